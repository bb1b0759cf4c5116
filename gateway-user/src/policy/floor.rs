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
use crate::config::Config;

/// Countries in which fraud ends up, each with its sources.
const HOT_COUNTRIES: &str = include_str!("../../data/hot.tsv");

/// How long the breaker stays open unless somebody resumes: over a weekend, so that somebody looks. After a day it would close within
/// the same weekend, for as many calls again.
pub const OPEN: Duration = Duration::from_secs(72 * 3600);
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
    let windows = limits::windows(&config.breaker.windows).into_iter().chain([0; window::WINDOWS]);
    let values = first.into_iter().chain(windows).chain([u64::from(config.breaker.at_once)]);
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
    use gateway_common::policy::image::{LIMIT_AT_ONCE, LIMIT_WINDOWS};

    use super::*;
    use crate::{config::parse, numbering};

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
            let at = cells.get(FLOOR_LIMIT) as u32;
            let calls = |place| window::Window(cells.get(at + place)).calls();
            assert!(!floor || [calls(LIMIT_WINDOWS), calls(LIMIT_WINDOWS + 1)] == [20, 60]);
            let sierra_leone = u32::from(country_number("SL").unwrap());
            assert_eq!(cells.get(HOT + sierra_leone / 64) >> (sierra_leone % 64) & 1 != 0, floor);
        }
    }

    #[test]
    fn the_file_raises_what_it_counts_by() {
        let text = "floor_windows = [\"40/1h\", \"64/8h\"]\nfloor_concurrent = 12\n";
        let (config, warnings) = parse(text, None, std::path::Path::new(".")).unwrap();
        assert!(!warnings.iter().any(|it| it.to_string().contains("floor")), "{warnings:?}");
        let mut cells = Cells::new();
        put(&mut cells, &config).unwrap();
        let at = cells.get(FLOOR_LIMIT) as u32;
        let windows = [0, 1, 2].map(|place| window::Window(cells.get(at + LIMIT_WINDOWS + place)).calls());
        assert_eq!((windows, cells.get(at + LIMIT_AT_ONCE)), ([40, 64, 0], 12));
    }
}
