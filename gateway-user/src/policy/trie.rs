//! The E.164 trie: sorted prefixes, cut into nodes level by level.

use gateway_common::policy::image::{Node, ZERO};

use super::cells::{Cells, Full};
use crate::digits::Digits;

/// Where the children of a node stand, and for which digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Children {
    pub(super) place: u32,
    pub(super) first: u32,
    /// How many digits they are for; 0 where there are none.
    pub(super) count: u32,
}

impl Children {
    pub(super) fn of(node: Node) -> Self {
        // Most nodes have none.
        if node == Node::new(0, 0, 0, node.vector() as u16) {
            return Self { place: 0, first: 0, count: 0 };
        }
        let has = |digit: &u32| node.child(*digit) != ZERO;
        let first = (0..10).find(has).unwrap_or(0);
        let last = (0..10).rev().find(has).unwrap_or(0);
        Self { place: node.child(first), first, count: last - first + 1 }
    }

    /// The node that has them, and this vector.
    pub(super) const fn node(self, vector: u16) -> Node {
        Node::new(self.place, self.first, self.count, vector)
    }
}

/// The prefixes below one node: a part of all, and the cell of the node.
struct Part {
    from: u32,
    to: u32,
    at: u32,
}

/// Puts the trie of sorted, single prefixes, each with its vector, into the image; returns the root.
pub(super) fn put(cells: &mut Cells, prefixes: &[(Digits, u16)]) -> Result<u32, Full> {
    let root = cells.room(1)?;
    let mut level = vec![Part { from: 0, to: prefixes.len() as u32, at: root }];
    let mut below = Vec::new();
    let mut depth = 0;
    while !level.is_empty() {
        for Part { from, to, at } in level.drain(..) {
            let mut rest = prefixes.get(from as usize..to as usize).unwrap_or_default();
            let mut vector = 0;
            if let Some(&(digits, own)) = rest.first()
                && digits.len() == depth
            {
                vector = own;
                rest = &rest[1..];
            }
            let (Some(first), Some(last)) = (rest.first(), rest.last()) else {
                cells.set(at, Node::new(0, 0, 0, vector).0);
                continue;
            };
            let (first, last) = (first.0.symbol(depth), last.0.symbol(depth));
            let place = cells.room((last - first + 1) as usize)?;
            cells.set(at, Node::new(place, first - 1, last - first + 1, vector).0);
            let mut from = to - rest.len() as u32;
            while let Some((digits, _)) = rest.first() {
                let symbol = digits.symbol(depth);
                let count = same(rest, depth, symbol);
                below.push(Part { from, to: from + count as u32, at: place + symbol - first });
                from += count as u32;
                rest = &rest[count..];
            }
        }
        std::mem::swap(&mut level, &mut below);
        depth += 1;
    }
    Ok(root)
}

/// How many of the prefixes, from the first on, have this symbol.
fn same(prefixes: &[(Digits, u16)], depth: usize, symbol: u32) -> usize {
    // Near the leaves there are few, and looking at each is faster than halving.
    const FEW: usize = 16;
    let is = |(digits, _): &(Digits, u16)| digits.symbol(depth) == symbol;
    match prefixes.get(FEW) {
        Some(other) if is(other) => FEW + prefixes[FEW..].partition_point(is),
        _ => prefixes.iter().take(FEW).take_while(|prefix| is(prefix)).count(),
    }
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
    fn every_prefix_has_its_node() -> Result<(), Full> {
        let mut cells = Cells::new();
        let prefixes = [("1", 1), ("1212", 2), ("23", 3), ("232", 4), ("9", 5)];
        let keys: Vec<_> = prefixes.iter().map(|(digits, vector)| (Digits::new(digits), *vector)).collect();
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
