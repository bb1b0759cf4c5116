//! `[journal]`: how long and how much is kept.

use super::{
    Journal,
    keys::{Kind, shown},
    problem::{Complaint, Report},
    section::Section,
};

/// As long as a duration of the policy file may be.
const MOST_DAYS: u32 = 366;
/// Less holds no day of an ordinary office.
const LEAST: u64 = 1_000_000;
const MOST: u64 = 100_000_000_000;

pub(super) fn journal(report: &mut Report<'_>, top: &Section<'_>) -> Journal {
    let section = top.section(report, "journal", Kind::Journal);
    let default = Journal::default();
    Journal {
        days: section.number(report, "days", 1, MOST_DAYS).unwrap_or(default.days),
        size: section.parsed(report, "size", size).unwrap_or(default.size),
    }
}

/// `64MB`, `2GB`.
fn size(text: &str) -> Result<u64, Complaint> {
    let complaint = |why: &str| {
        Complaint::new(format!("{:?} {why}", shown(text)), "write 1MB to 100GB, such as \"64MB\" or \"2GB\"")
    };
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let unit = match unit {
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "" => return Err(complaint("has no unit")),
        _ => return Err(complaint("is no size")),
    };
    let octets = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit));
    match octets {
        Some(octets) if (LEAST..=MOST).contains(&octets) => Ok(octets),
        Some(_) => Err(complaint("is out of range")),
        None => Err(complaint("is no size")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_a_range() {
        assert_eq!(size("64MB"), Ok(64_000_000));
        assert_eq!(size("100GB"), Ok(MOST));
        for (wrong, why) in [
            ("64", "has no unit"),
            ("", "has no unit"),
            ("MB", "is no size"),
            ("64mb", "is no size"),
            ("64 MB", "is no size"),
            ("-1MB", "is no size"),
            ("0MB", "is out of range"),
            ("101GB", "is out of range"),
            ("99999999999999999999MB", "is no size"),
        ] {
            let complaint = size(wrong).unwrap_err();
            assert!(complaint.message.contains(why) && complaint.remedy.contains("64MB"), "{wrong}: {complaint}");
        }
    }
}
