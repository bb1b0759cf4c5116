//! The digits of an E.164 prefix in one word: a million of them are sorted, compared and kept without a string each.

use std::fmt;

/// Up to 15 digits: four bits each from the top, 1 more than the digit, so that the order of the words is that of the
/// strings and a prefix stands in front of what it begins. The lowest four bits hold how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digits(u64);

/// Digits that a word holds; ITU-T E.164 has no more.
const MOST: usize = 15;

impl Digits {
    /// The first 15 digits of a text; octets that are none are left out.
    pub fn new(text: &str) -> Self {
        let digits = text.bytes().filter(u8::is_ascii_digit).take(MOST);
        digits.fold(Self(0), |all, digit| all.with(digit - b'0'))
    }

    /// What an entry `+232` names, behind its plus: 1 to 15 digits of which the first is no zero; `None` for anything else.
    pub fn of_prefix(octets: &[u8]) -> Option<Self> {
        if octets.is_empty() || octets.len() > MOST || octets.first() == Some(&b'0') {
            return None;
        }
        octets.iter().try_fold(Self(0), |all, octet| octet.is_ascii_digit().then(|| all.with(octet.wrapping_sub(b'0'))))
    }

    /// These digits and one more, where there is room for it.
    const fn with(self, digit: u8) -> Self {
        let len = self.len();
        if len >= MOST {
            return self;
        }
        Self((self.0 | (digit as u64 + 1) << (60 - 4 * len)) + 1)
    }

    /// How many there are.
    #[expect(clippy::len_without_is_empty, reason = "the digits of no prefix are none, and nobody asks")]
    pub const fn len(self) -> usize {
        (self.0 & 15) as usize
    }

    /// Digit `at` plus 1, or 0 behind the last.
    pub const fn symbol(self, at: usize) -> u32 {
        if at >= MOST { 0 } else { (self.0 >> (60 - 4 * at)) as u32 & 15 }
    }

    /// The digits, as numbers.
    pub fn each(self) -> impl Iterator<Item = u32> {
        (0..self.len()).map(move |at| self.symbol(at) - 1)
    }

    /// Whether these digits are the first of `other`'s.
    pub const fn begins(self, other: Self) -> bool {
        let len = self.len();
        len == 0 || len <= other.len() && (self.0 ^ other.0) >> (64 - 4 * len) == 0
    }

    /// The first `len` of these digits.
    pub const fn head(self, len: usize) -> Self {
        if len == 0 {
            return Self(0);
        }
        if len >= self.len() {
            return self;
        }
        Self(self.0 & u64::MAX << (64 - 4 * len) | len as u64)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.each().try_for_each(|digit| write!(f, "{digit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_order_as_strings_do() {
        let mut texts = ["232", "23", "2", "2329", "24", "1", "123456789012345", "0", "00", ""];
        texts.sort_unstable();
        assert!(texts.windows(2).all(|pair| Digits::new(pair[0]) < Digits::new(pair[1])));
        for a in texts {
            for b in texts {
                assert_eq!(Digits::new(a).begins(Digits::new(b)), b.starts_with(a), "{a} {b}");
            }
        }
    }

    #[test]
    fn digits_survive_the_word() {
        for text in ["1", "232", "9876543210", "123456789012345"] {
            let digits = Digits::of_prefix(text.as_bytes()).unwrap();
            assert_eq!((digits, digits.len(), digits.to_string()), (Digits::new(text), text.len(), text.to_owned()));
            for len in 0..=text.len() + 1 {
                assert_eq!(digits.head(len), Digits::new(&text[..len.min(text.len())]), "{text} {len}");
            }
        }
        assert_eq!(Digits::new("1234567890123456"), Digits::new("123456789012345"));
    }

    #[test]
    fn what_no_prefix_is() {
        for text in ["", "0", "0232", "23 2", "+232", "232a", "1234567890123456", "２３２", "23\u{0}2"] {
            assert_eq!(Digits::of_prefix(text.as_bytes()), None, "{text:?}");
        }
    }
}
