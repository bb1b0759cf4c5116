//! What the floor counts: calls to one country, and countries in which fraud ends up.

use std::time::Duration;

use gateway_common::{
    limit::{FLOOR_CELL, window},
    policy::image::{FLOOR_LIMIT, HOT, Key, LIMIT_CELLS, OVER_SUSPEND},
};

use super::{
    actions::country_number,
    cells::{Cells, Full},
    limits,
};
use crate::config::{Config, Window};

/// Countries in which fraud ends up, each with its sources.
const HOT_COUNTRIES: &str = include_str!("../../data/hot.tsv");

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Calls of the site to one country, after which none goes abroad.
///
/// Japan's fraud of 2015 placed 8,000 calls to one country in two days, 2.8 a minute. Thirty telephones with a tenth of
/// their calls abroad place 20 in an hour less than once in a hundred years by Poisson, were all to one country.
pub const BREAKER: [Window; 2] = [Window { count: 20, per: HOUR }, Window { count: 60, per: DAY }];
/// Calls of the site that are up to one country at once, after the last of which none goes abroad.
///
/// Of the same thirty telephones, three minutes a call, fewer than one call abroad is up in the busy hour (0.1 × 30 × 2 calls
/// of 3 minutes are 0.3 Erlang); more than six at once by Poisson less than once in a million of them.
pub const AT_ONCE: u32 = 6;
/// How long the breaker stays open unless somebody resumes: over a night, so that somebody looks.
pub const OPEN: Duration = DAY;
/// How long the first call to a new country is the only one, where fraud ends up there; Simwood gives hotspots one in 12 h.
pub const NEW: Duration = Duration::from_secs(12 * 3600);

/// The ISO codes of the countries in which fraud ends up.
pub fn hot() -> impl Iterator<Item = &'static str> {
    let lines = HOT_COUNTRIES.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split('\t').next()).filter(|code| !code.is_empty())
}

/// Puts into the image what the floor counts by, where it is on.
pub(super) fn put(cells: &mut Cells, config: &Config) -> Result<(), Full> {
    if !config.floor {
        return Ok(());
    }
    let mut out = [0; LIMIT_CELLS as usize];
    let head = u64::from(FLOOR_CELL) | (Key::Country as u64) << 32 | OVER_SUSPEND << 56;
    let first = [head, limits::nanoseconds(NEW), 0, limits::nanoseconds(OPEN)];
    let windows = limits::windows(&BREAKER).into_iter().chain([0; window::WINDOWS]);
    let values = first.into_iter().chain(windows).chain([u64::from(AT_ONCE)]);
    for (cell, value) in out.iter_mut().zip(values) {
        *cell = value;
    }
    let at = cells.put(&out)?;
    cells.set(FLOOR_LIMIT, u64::from(at));
    for country in hot().filter_map(country_number) {
        let at = HOT + u32::from(country >> 6);
        cells.set(at, cells.get(at) | 1 << (country & 63));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbering;

    #[test]
    fn every_hot_country_is_one_and_has_a_source() {
        let lines: Vec<&str> = HOT_COUNTRIES.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), hot().count());
        assert!(lines.is_sorted());
        for line in lines {
            let (code, source) = line.split_once('\t').unwrap();
            assert!(numbering::country_name(code).is_some(), "{code}");
            assert!(source.len() > 5, "{line}");
        }
    }

    #[test]
    fn no_floor_no_count() {
        let mut config = crate::config::built_in().unwrap();
        for floor in [false, true] {
            config.floor = floor;
            let mut cells = Cells::new();
            put(&mut cells, &config).unwrap();
            assert_eq!(cells.get(FLOOR_LIMIT) != 0, floor);
            let sierra_leone = u32::from(country_number("SL").unwrap());
            assert_eq!(cells.get(HOT + sierra_leone / 64) >> (sierra_leone % 64) & 1 != 0, floor);
        }
    }
}
