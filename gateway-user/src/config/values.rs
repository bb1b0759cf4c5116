//! Small values of the policy file: durations, rates, extension lengths, numbers, codes and names.

use std::time::Duration;

use super::{keys::shown, problem::Complaint};

/// The longest duration: a year.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// A rate without its burst: so many in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PerTime {
    pub(super) count: u32,
    pub(super) per: Duration,
}

const DURATION: &str = "write a number and a unit, such as 90s, 15m, 48h or 7d";
const RATE: &str = r#"write such as "10/s", "50/m", "100/h" or "3/10s""#;

fn unit(text: &str) -> Option<u64> {
    match text {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    }
}

/// `90s`, `15m`, `48h`, `7d`: at most a year, never zero.
pub fn duration(text: &str) -> Result<Duration, Complaint> {
    let complaint = |why: &str| Complaint::new(format!("{:?} {why}", shown(text)), DURATION);
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, suffix) = text.split_at(at);
    if suffix.is_empty() && !digits.is_empty() {
        return Err(complaint("has no unit"));
    }
    let (Some(seconds), false) = (unit(suffix), digits.is_empty()) else {
        return Err(complaint("is no duration"));
    };
    let total = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(seconds)).map(Duration::from_secs);
    match total {
        Some(Duration::ZERO) => Err(complaint("is no time at all")),
        Some(total) if total <= LONGEST => Ok(total),
        _ => Err(complaint("is longer than a year")),
    }
}

/// `10/s`, `50/m`, `3/10s`.
pub(super) fn rate(text: &str) -> Result<PerTime, Complaint> {
    let complaint = |why: &str| Complaint::new(format!("{:?} {why}", shown(text)), RATE);
    let Some((count, per)) = text.split_once('/') else {
        return Err(complaint("is no rate"));
    };
    if count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
        return Err(complaint("is no rate"));
    }
    let per = match unit(per) {
        Some(seconds) => Duration::from_secs(seconds),
        None => duration(per).map_err(|inner| complaint(&format!("is no rate: {}", inner.message)))?,
    };
    let count =
        count.parse::<u32>().ok().filter(|&n| n <= 10_000_000).ok_or_else(|| complaint("is too fast to limit"))?;
    if count == 0 {
        return Err(Complaint::new(
            format!("{:?} lets nothing through", shown(text)),
            "write a rate of at least 1, or block instead of limiting",
        ));
    }
    if per.as_nanos() / u128::from(count) < 100 {
        return Err(complaint("is too fast to limit"));
    }
    Ok(PerTime { count, per })
}

/// `3` or `2-5`: how many digits an own extension has.
pub(super) fn extensions(text: &str) -> Result<(u8, u8), Complaint> {
    const REMEDY: &str = r#"write how many digits they have, such as "3" or "2-5" (1 to 10)"#;
    let complaint = |why: &str| Complaint::new(format!("{:?} {why}", shown(text)), REMEDY);
    let one = |part: &str| part.parse::<u8>().ok().filter(|n| (1..=10).contains(n) && !part.starts_with('+'));
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (Some(low), Some(high)) = (one(low.trim()), one(high.trim())) else {
        return Err(complaint("is no length of extensions"));
    };
    if low > high {
        let message = format!("{:?} runs backwards", shown(text));
        return Err(Complaint::new(message, format!("write \"{high}-{low}\"")));
    }
    Ok((low, high))
}

/// `+81312345678`: a whole number, kept without its plus.
pub(super) fn own_number(text: &str) -> Result<String, Complaint> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let plain = text.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    let complaint = |why: &str, remedy: String| Err(Complaint::new(format!("{:?} {why}", shown(text)), remedy));
    if digits.starts_with('0') || !(5..=15).contains(&digits.len()) {
        let remedy = r#"write the whole number with its country code, such as "+81312345678""#;
        return complaint("is no number in the international form", remedy.to_owned());
    }
    if plain {
        Ok(digits)
    } else {
        complaint(
            "is not a plus and digits",
            format!("write \"+{digits}\" if that is the number with its country code"),
        )
    }
}

/// A code that a telephone can dial: digits, `*`, `#`.
pub(super) fn code(text: &str) -> Result<String, Complaint> {
    if (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#') {
        Ok(text.to_owned())
    } else {
        Err(Complaint::new(format!("{:?} is no code", shown(text)), "write 1 to 12 of the keys 0-9, * and #"))
    }
}

/// An access code; `+` is one, and always known: `None`.
pub(super) fn access_code(text: &str) -> Result<Option<String>, Complaint> {
    if text == "+" { Ok(None) } else { code(text).map(Some) }
}

/// An emergency number. It passes before every rule, so it must be too short to reach anybody else.
pub(super) fn emergency(text: &str) -> Result<String, Complaint> {
    if (2..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        let message = format!("{:?} is no emergency number: it would pass before every rule", shown(text));
        Err(Complaint::new(message, r#"write 2 to 6 digits, such as "119""#))
    }
}

/// A name that the operator gives: letters, digits, `-`, `_`.
pub(super) fn name(text: &str) -> Result<String, Complaint> {
    if (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        Ok(text.to_owned())
    } else {
        let message = format!("{:?} is no name", shown(text));
        Err(Complaint::new(message, "write 1 to 32 letters, digits, hyphens or underscores"))
    }
}

/// A name as the kernel takes it for an interface (`dev_valid_name`).
pub(super) fn interface_name(text: &str) -> Result<String, Complaint> {
    let bad = |b: u8| b == b'/' || b == b':' || b.is_ascii_whitespace() || b.is_ascii_control();
    if (1..=15).contains(&text.len()) && text != "." && text != ".." && !text.bytes().any(bad) {
        Ok(text.to_owned())
    } else {
        let message = format!("{:?} cannot be the name of an interface", shown(text));
        Err(Complaint::new(message, "write 1 to 15 characters as `ip link` shows it, such as eth0"))
    }
}
