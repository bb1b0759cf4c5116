//! The E.164 trie: digits packed into words, sorted, then cut into nodes level by level.

use std::collections::VecDeque;

use gateway_common::policy::image::Node;

use super::cells::{Cells, Full};

/// The digits of an E.164 prefix: four bits each from the top, 1 more than the digit, so that the order of the words is
/// that of the strings and a prefix stands in front of what it begins. The lowest four bits hold how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key(u64);

/// Digits that a key holds; E.164 has no more.
const DIGITS: u32 = 15;

impl Key {
    /// The key of up to 15 digits; octets that are none, and further ones, are left out.
    pub(super) fn new(digits: &str) -> Self {
        let mut word = 0;
        let mut len = 0;
        for digit in digits.bytes().filter(u8::is_ascii_digit).take(DIGITS as usize) {
            word |= u64::from(digit - b'0' + 1) << (60 - 4 * len);
            len += 1;
        }
        Self(word | len)
    }

    pub(super) const fn len(self) -> u32 {
        self.0 as u32 & 15
    }

    /// Digit `at` plus 1, or 0 behind the last.
    const fn symbol(self, at: u32) -> u64 {
        if at >= DIGITS { 0 } else { self.0 >> (60 - 4 * at) & 15 }
    }

    /// Whether these digits are the first of `other`'s.
    pub(super) const fn begins(self, other: Self) -> bool {
        let len = self.len();
        len == 0 || len <= other.len() && (self.0 ^ other.0) >> (64 - 4 * len) == 0
    }
}

/// Puts the trie of sorted, single prefixes, each with its vector, into the image; returns the root.
pub(super) fn put(cells: &mut Cells, prefixes: &[(Key, u16)]) -> Result<u32, Full> {
    let root = cells.room(1)?;
    let mut waiting = VecDeque::from([(prefixes, 0u32, root)]);
    while let Some((mut range, depth, at)) = waiting.pop_front() {
        let mut vector = 0;
        if let Some(&(key, own)) = range.first()
            && key.len() == depth
        {
            vector = own;
            range = &range[1..];
        }
        let mut children = Vec::with_capacity(10);
        let mut bounds = None;
        while let Some(&(key, _)) = range.first() {
            let symbol = key.symbol(depth);
            let (same, others) = range.split_at(range.partition_point(|(key, _)| key.symbol(depth) <= symbol));
            let digit = symbol as u32 - 1;
            bounds = Some((bounds.map_or(digit, |(first, _)| first), digit));
            children.push((digit, same));
            range = others;
        }
        let Some((first, last)) = bounds else {
            cells.set(at, Node::new(0, 0, 0, vector).0);
            continue;
        };
        let count = last - first + 1;
        let place = cells.room(count as usize)?;
        cells.set(at, Node::new(place, first, count, vector).0);
        waiting.extend(children.into_iter().map(|(digit, same)| (same, depth + 1, place + digit - first)));
    }
    Ok(root)
}

/// The node of `digits`, if the trie has one.
pub(super) fn node(cells: &Cells, root: u32, digits: &str) -> Option<u32> {
    digits.bytes().filter(u8::is_ascii_digit).try_fold(root, |at, digit| child(cells, at, u32::from(digit - b'0')))
}

/// The child of the node at `at` for a digit, if it has one.
pub(super) fn child(cells: &Cells, at: u32, digit: u32) -> Option<u32> {
    let child = Node(cells.get(at)).child(digit);
    (cells.get(child) != 0).then_some(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_strings_do() {
        let mut texts = ["232", "23", "2", "2329", "24", "1", "123456789012345", "0", "00"];
        texts.sort_unstable();
        assert!(texts.windows(2).all(|pair| Key::new(pair[0]) < Key::new(pair[1])));
        for a in texts {
            for b in texts {
                assert_eq!(Key::new(a).begins(Key::new(b)), b.starts_with(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn every_prefix_has_its_node() -> Result<(), Full> {
        let mut cells = Cells::new();
        let prefixes = [("1", 1), ("1212", 2), ("23", 3), ("232", 4), ("9", 5)];
        let keys: Vec<_> = prefixes.iter().map(|(digits, vector)| (Key::new(digits), *vector)).collect();
        let root = put(&mut cells, &keys)?;
        for (digits, vector) in prefixes {
            let at = node(&cells, root, digits).map(|at| Node(cells.get(at)).vector());
            assert_eq!(at, Some(u32::from(vector)), "{digits}");
        }
        assert_eq!(node(&cells, root, "12").map(|at| Node(cells.get(at)).vector()), Some(0));
        assert_eq!(node(&cells, root, "3"), None);
        Ok(())
    }
}
