//! Where calls go: numbers of countries, and what they cost.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail};

use crate::differential::Chance;

const TARIFF: &str = include_str!("../../data/tariff.tsv");

/// Countries that toll fraud went to from 2011 to 2022, and the head of a number there with what follows it: `#` is a digit.
pub(super) const FRAUD: [(&str, &str); 20] = [
    ("SL", "23276######"),
    ("GN", "224601######"),
    ("CM", "2376########"),
    ("ST", "2399######"),
    ("GW", "245955######"),
    ("SO", "25261#######"),
    ("LT", "3706#######"),
    ("LV", "3712#######"),
    ("LI", "4232######"),
    ("TL", "67077######"),
    ("CU", "535#######"),
    ("AZ", "99450#######"),
    ("ZW", "26377#######"),
    ("MV", "96077#####"),
    ("SN", "22177#######"),
    ("GM", "2207######"),
    ("DO", "18092######"),
    ("NG", "234803#######"),
    ("BE", "32470######"),
    ("AT", "43664#######"),
];

/// Where an office in Japan calls.
pub(super) const TRADE: [(&str, &str); 18] = [
    ("US", "12125######"),
    ("CN", "8621########"),
    ("KR", "8225######"),
    ("TW", "8862########"),
    ("TH", "662#######"),
    ("VN", "8428########"),
    ("SG", "656#######"),
    ("GB", "442079######"),
    ("DE", "4930#######"),
    ("HK", "8522#######"),
    ("PH", "632########"),
    ("ID", "6221#######"),
    ("IN", "9122########"),
    ("AU", "612########"),
    ("FR", "331########"),
    ("NL", "3120#######"),
    ("MY", "603########"),
    ("IT", "3902########"),
];

/// National numbers of Japan, as they are dialled.
pub(super) const HOME: [&str; 9] = [
    "03########",
    "06########",
    "052#######",
    "011#######",
    "090########",
    "080########",
    "050########",
    "0120######",
    "0570######",
];

/// A number of a pattern.
pub(super) fn number(pattern: &str, chance: &mut Chance) -> String {
    let digit = |letter| if letter == '#' { char::from(b'2' + chance.below(8) as u8) } else { letter };
    pattern.chars().map(digit).collect()
}

/// What a call costs, by country.
pub struct Tariff {
    yen: HashMap<&'static str, u64>,
    others: u64,
}

impl Tariff {
    /// Reads `tests/data/tariff.tsv`.
    pub fn load() -> Result<Self> {
        let mut yen = HashMap::new();
        for line in TARIFF.lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [country, price, source] = columns[..] else { bail!("tariff.tsv: {line}: not three columns") };
            if source.is_empty() {
                bail!("tariff.tsv: {line}: the source is missing");
            }
            yen.insert(country, price.parse().with_context(|| format!("tariff.tsv: {line}"))?);
        }
        let others = yen.remove("*").context("tariff.tsv: no line for *, the other countries")?;
        Ok(Self { yen, others })
    }

    /// The yen of a call of so many seconds.
    pub fn cost(&self, country: &str, seconds: u64) -> u64 {
        seconds.div_ceil(30) * self.yen.get(country).copied().unwrap_or(self.others)
    }
}

#[cfg(test)]
mod tests {
    use gateway_user::numbering;

    use super::*;

    #[test]
    fn every_number_is_one_of_its_country() {
        let mut chance = Chance(7);
        for (country, pattern) in FRAUD.iter().chain(&TRADE) {
            for _ in 0..100 {
                let number = number(pattern, &mut chance);
                let range = numbering::lookup(&number).unwrap_or_else(|| panic!("{number} has no range"));
                assert_eq!(range.country, Some(*country), "{number}");
                assert!(
                    (usize::from(range.min)..=usize::from(range.max)).contains(&number.len()),
                    "{number}: {range:?}"
                );
            }
        }
    }

    #[test]
    fn a_call_to_sierra_leone_costs_what_the_newspaper_says() -> Result<()> {
        let tariff = Tariff::load()?;
        assert_eq!([tariff.cost("SL", 30), tariff.cost("SL", 31), tariff.cost("DO", 30)], [187, 374, 187]);
        Ok(())
    }
}
