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
    /// Masks an E.164 number, digits without the plus.
    pub fn of(digits: &str) -> Self {
        Self::e164(digits, calling_code(digits))
    }

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

/// What can be read of a masked number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readable {
    /// Its first digits: the calling code and two more; of a dialled string that is no E.164 number, two characters.
    pub head: String,
    /// Whether the head is that of an E.164 number.
    pub e164: bool,
    /// How many digits are hidden.
    pub hidden: usize,
}

impl Readable {
    /// Of the text of a masked number.
    pub fn of(masked: &str) -> Self {
        let hidden = masked.chars().filter(|&c| c == HIDDEN).count();
        let shown = |text: &str| text.chars().filter(|&c| c != HIDDEN && c != ' ').collect();
        // A dialled string may begin with a plus too; only an E.164 number has a blank behind its calling code.
        match masked.strip_prefix('+').filter(|rest| rest.contains(' ')) {
            Some(rest) => Self { head: shown(rest), e164: true, hidden },
            None => Self { head: shown(masked), e164: false, hidden },
        }
    }
}

/// How many digits the calling code has (ITU-T E.164): +1 and +7 one, and no shorter code begins a longer one.
fn calling_code(digits: &str) -> usize {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [first, second, ..] if two_digits(*first, *second) => 2,
        _ => 3,
    }
}

/// The calling codes of two digits.
const fn two_digits(first: u8, second: u8) -> bool {
    match first {
        b'2' => matches!(second, b'0' | b'7'),
        b'3' => matches!(second, b'0'..=b'4' | b'6' | b'9'),
        b'4' => !matches!(second, b'2'),
        b'5' => matches!(second, b'1'..=b'8'),
        b'6' => matches!(second, b'0'..=b'6'),
        b'8' => matches!(second, b'1' | b'2' | b'4' | b'6'),
        b'9' => matches!(second, b'0'..=b'5' | b'8'),
        _ => false,
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
    fn what_can_be_read_of_a_masked_number() {
        let read = |number: MaskedNumber| Readable::of(number.as_str());
        assert_eq!(read(MaskedNumber::of("23276123456")), Readable { head: "23276".into(), e164: true, hidden: 6 });
        assert_eq!(read(MaskedNumber::of("232")), Readable { head: "232".into(), e164: true, hidden: 0 });
        assert_eq!(read(MaskedNumber::dialled("0570012")), Readable { head: "05".into(), e164: false, hidden: 5 });
        assert_eq!(read(MaskedNumber::dialled("+232761")), Readable { head: "+2".into(), e164: false, hidden: 5 });
        assert_eq!(read(MaskedNumber::dialled("")), Readable { head: String::new(), e164: false, hidden: 0 });
    }

    #[test]
    fn calling_codes() {
        for (digits, length) in [("12025550123", 1), ("74951234567", 1), ("442071838750", 2), ("81312345678", 2)] {
            assert_eq!(calling_code(digits), length, "{digits}");
        }
        for (digits, length) in [("23276123456", 3), ("3531234567", 3), ("420123456789", 3), ("88213", 3), ("2", 3)] {
            assert_eq!(calling_code(digits), length, "{digits}");
        }
    }

    #[test]
    fn a_dialled_string_shows_its_first_two_characters() {
        assert_eq!(MaskedNumber::dialled("0570012345").as_str(), "05••••••••");
        assert_eq!(MaskedNumber::dialled("").as_str(), "");
        assert_eq!(MaskedNumber::dialled("\u{1b}[2J").as_str(), "•[••");
    }
}
