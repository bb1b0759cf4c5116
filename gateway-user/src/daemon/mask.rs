//! Masking of numbers: country and two digits are shown, the rest is not.

use std::fmt;

/// What stands for a hidden digit.
const HIDDEN: char = '•';
/// How many digits after the calling code stay readable.
const SHOWN: usize = 2;

/// A dialled number of which only the country and two digits can be read. It cannot be made any other way, so whatever
/// carries one may be logged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MaskedNumber(String);

impl MaskedNumber {
    /// Masks an E.164 number, digits without the plus, whose calling code is the first `calling_code_len` digits.
    pub fn e164(digits: &str, calling_code_len: usize) -> Self {
        let code: String = digits.chars().take(calling_code_len).collect();
        let mut text = format!("+{code} ");
        mask_after(&mut text, digits.chars().skip(calling_code_len));
        Self(text)
    }

    /// Masks a dialled string that resolves to no E.164 number.
    pub fn dialled(string: &str) -> Self {
        let mut text = String::new();
        mask_after(&mut text, string.chars());
        Self(text)
    }

    /// The masked text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MaskedNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Appends the first [`SHOWN`] characters and hides the others. Characters that could act on a terminal are hidden too.
fn mask_after(text: &mut String, rest: impl Iterator<Item = char>) {
    for (i, c) in rest.enumerate() {
        text.push(if i < SHOWN && c.is_ascii_graphic() { c } else { HIDDEN });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_and_two_digits_stay_readable() {
        assert_eq!(MaskedNumber::e164("23276123456", 3).as_str(), "+232 76••••••");
        assert_eq!(MaskedNumber::e164("12025550123", 1).as_str(), "+1 20••••••••");
        assert_eq!(MaskedNumber::e164("232", 3).as_str(), "+232 ");
        assert_eq!(MaskedNumber::e164("23", 3).as_str(), "+23 ");
    }

    #[test]
    fn a_dialled_string_shows_its_first_two_characters() {
        assert_eq!(MaskedNumber::dialled("0570012345").as_str(), "05••••••••");
        assert_eq!(MaskedNumber::dialled("").as_str(), "");
        assert_eq!(MaskedNumber::dialled("\u{1b}[2J").as_str(), "•[••");
    }
}
