//! WHAT of the command line and of `block` and `allow` lists: what a thing is shows in its form.

use std::{fmt, str::FromStr};

use gateway_common::Class;

use crate::config::{Complaint, Network, known_region};

/// A thing that can be blocked or allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// `+232`: E.164 digits, without the plus here.
    Prefix(String),
    /// `SL`: a country, ISO 3166-1 alpha-2.
    Country(String),
    /// `dial:0570`: the head of a dialled string.
    Dial(String),
    /// `198.51.100.0/24`: a source.
    Source(Network),
    /// `international`: a class.
    Class(Class),
    /// `line:203`: a line.
    Line(String),
}

/// The forms, for remedies.
const FORMS: &str = "write +232 (a number's head), SL (a country), dial:0570 (a dialled string's head), \
                     198.51.100.0/24 (a source), international (a class) or line:203 (a line)";
/// ITU-T E.164: country code and national number together.
const E164_DIGITS: usize = 15;
/// As many keys as a dialled string is read.
const DIAL_KEYS: usize = 32;
/// Octets in the name of a line.
const LINE_OCTETS: usize = 64;

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(digits) => write!(f, "+{digits}"),
            Self::Country(code) => f.write_str(code),
            Self::Dial(keys) => write!(f, "dial:{keys}"),
            Self::Source(network) => network.fmt(f),
            Self::Class(class) => f.write_str(class.as_str()),
            Self::Line(name) => write!(f, "line:{name}"),
        }
    }
}

impl FromStr for What {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        if text.is_empty() {
            return Err(Complaint::new("nothing is named", FORMS));
        }
        if let Some(digits) = text.strip_prefix('+') {
            return prefix(text, digits);
        }
        if let Some(keys) = text.strip_prefix("dial:") {
            return dial(keys);
        }
        if let Some(name) = text.strip_prefix("line:") {
            return line(name);
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bare_digits(text));
        }
        if text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()) {
            return country(text);
        }
        if let Some(class) = Class::from_name(text) {
            return Ok(Self::Class(class));
        }
        if text.contains(['.', ':', '/']) && text.bytes().all(|b| b.is_ascii_hexdigit() || b".:/".contains(&b)) {
            return text.parse().map(Self::Source);
        }
        Err(unknown(text))
    }
}

/// What was written, short enough for a message.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

fn prefix(text: &str, digits: &str) -> Result<What, Complaint> {
    let message = |why: &str| format!("{:?} {why}", shown(text));
    if digits.is_empty() {
        return Err(Complaint::new(message("has no digits"), "write the digits after the plus, such as +232"));
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        let only: String = digits.chars().filter(char::is_ascii_digit).take(E164_DIGITS).collect();
        let remedy = if only.is_empty() {
            "write digits after the plus, such as +232".to_owned()
        } else {
            format!("write +{only}")
        };
        return Err(Complaint::new(message("has more than digits after the plus"), remedy));
    }
    if digits.starts_with('0') {
        let remedy = "write the country code after the plus, such as +232, or dial: for a string as it is dialled";
        return Err(Complaint::new(message("begins with 0, as no country code does"), remedy));
    }
    if digits.len() > E164_DIGITS {
        return Err(Complaint::new(
            message("is longer than a telephone number"),
            "write at most 15 digits after the plus",
        ));
    }
    Ok(What::Prefix(digits.to_owned()))
}

fn dial(keys: &str) -> Result<What, Complaint> {
    if (1..=DIAL_KEYS).contains(&keys.len())
        && keys.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#' || b == b'+')
    {
        return Ok(What::Dial(keys.to_owned()));
    }
    let message = format!("{:?} is no dialled string", format!("dial:{}", shown(keys)));
    Err(Complaint::new(message, "write 1 to 32 of the keys 0-9, *, # and + after dial:, such as dial:0570"))
}

fn line(name: &str) -> Result<What, Complaint> {
    if (1..=LINE_OCTETS).contains(&name.len()) && !name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Ok(What::Line(name.to_owned()));
    }
    let message = format!("{:?} names no line", format!("line:{}", shown(name)));
    Err(Complaint::new(message, "write 1 to 64 octets without blanks after line:, such as line:203"))
}

fn bare_digits(text: &str) -> Complaint {
    let text = shown(text);
    let message = format!("{text:?} can mean two things");
    let dialled = format!("dial:{text} for what is dialled");
    if text.starts_with('0') {
        let digits = text.trim_start_matches('0');
        let number = if digits.is_empty() { "+232" } else { "+ and the country code" };
        Complaint::new(message, format!("write {dialled}, or {number} for a number"))
    } else {
        Complaint::new(message, format!("write +{text} for the country code, or {dialled}"))
    }
}

fn country(text: &str) -> Result<What, Complaint> {
    let upper = text.to_ascii_uppercase();
    if !known_region(&upper) {
        let message = format!("{text:?} is no country");
        return Err(Complaint::new(message, "write its ISO 3166-1 code in two capital letters, such as SL or GB"));
    }
    if upper == text {
        Ok(What::Country(upper))
    } else {
        Err(Complaint::new(format!("{text:?} is not in capital letters"), format!("write {upper} for the country")))
    }
}

fn unknown(text: &str) -> Complaint {
    let message = format!("{:?} is nothing that can be named", shown(text));
    let lower = text.to_lowercase();
    let near = Class::ALL
        .iter()
        .map(|class| class.as_str())
        .map(|name| (strsim::damerau_levenshtein(&lower, name), name))
        .filter(|&(distance, name)| distance <= name.len() / 4)
        .min();
    match near {
        Some((_, name)) => Complaint::new(message, format!("write {name}")),
        None => Complaint::new(message, FORMS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_reads_and_writes_itself() {
        for text in [
            "+1",
            "+232",
            "+123456789012345",
            "SL",
            "XK",
            "dial:0570",
            "dial:*31#",
            "dial:+",
            "198.51.100.0/24",
            "203.0.113.10",
            "2001:db8::/32",
            "international",
            "non-geographic",
            "carrier-service",
            "line:203",
            "line:alice@example.net",
        ] {
            let what: What = text.parse().unwrap();
            assert_eq!(what.to_string(), text);
        }
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(What::Class(class)));
        }
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        let what: What = "::ffff:198.51.100.0/120".parse().unwrap();
        assert_eq!(what.to_string(), "198.51.100.0/24");
    }

    #[test]
    fn what_is_nothing_is_told_what_to_write() {
        let long_dial = format!("dial:{}", "1".repeat(33));
        let long_line = format!("line:{}", "x".repeat(65));
        for (text, cause, remedy) in [
            ("", "nothing is named", "write +232"),
            ("232", "can mean two things", "write +232 for the country code, or dial:232"),
            ("010232", "can mean two things", "dial:010232"),
            ("0", "can mean two things", "dial:0"),
            ("+", "has no digits", "+232"),
            ("+0232", "begins with 0", "country code"),
            ("+44 20", "more than digits", "write +4420"),
            ("+x", "more than digits", "+232"),
            ("+1234567890123456", "longer than", "15 digits"),
            ("sl", "capital letters", "write SL"),
            ("Sl", "capital letters", "write SL"),
            ("QX", "is no country", "ISO 3166-1"),
            ("ZZ", "is no country", "ISO 3166-1"),
            ("dial:", "no dialled string", "dial:0570"),
            ("dial:05a", "no dialled string", "dial:0570"),
            (&long_dial, "no dialled string", "1 to 32"),
            ("line:", "names no line", "line:203"),
            ("line:a b", "names no line", "line:203"),
            (&long_line, "names no line", "1 to 64"),
            ("198.51.100.7/24", "host bits", "198.51.100.0/24"),
            ("198.51.100", "is no address", "203.0.113.10"),
            ("internatinal", "nothing that can be named", "write international"),
            ("Premium", "nothing that can be named", "write premium"),
            ("everything", "nothing that can be named", "dial:0570"),
            ("２３２", "nothing that can be named", "+232"),
        ] {
            let complaint = text.parse::<What>().expect_err(text);
            assert!(complaint.message.contains(cause) && complaint.remedy.contains(remedy), "{text}: {complaint}");
        }
    }
}
