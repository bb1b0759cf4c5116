//! Which countries the site has called: the kernel knows, and this keeps it over a reboot.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use gateway_common::{
    limit::{CellKey, FLOOR_CELL, window::Ring},
    policy::image::Key,
};
use jiff::Timestamp;

use super::{Core, cell::Clocks, whole};
use crate::policy::floor::NEW;

/// The first call to each country, by its ISO code.
pub(super) type Used = BTreeMap<String, Timestamp>;

fn path(dir: &Path) -> PathBuf {
    dir.join("used-countries.json")
}

/// What the last daemon left. A file that cannot be read leaves every country new, which costs calls and no money.
pub(super) fn open(dir: &Path) -> Used {
    let path = path(dir);
    let read = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Used::new(),
        read => read.and_then(|octets| Ok(serde_json::from_slice(&octets)?)),
    };
    read.unwrap_or_else(|error| {
        tracing::warn!("cannot read {}, so every country counts as new to the floor: {error}", path.display());
        Used::new()
    })
}

/// Notes the countries that were called since, on disk where there are any.
pub(super) fn keep(core: &mut Core, cells: &[(CellKey, Ring)], clocks: Clocks) {
    let mut all = core.used.clone();
    for (code, first) in Core::first_calls(cells, clocks) {
        all.entry(code.to_owned()).or_insert(first);
    }
    if all == core.used {
        return;
    }
    match write(&core.state_dir, &all) {
        Ok(()) => core.used = all,
        Err(error) => tracing::warn!("cannot keep which countries were called; trying again: {error}"),
    }
}

fn write(dir: &Path, used: &Used) -> io::Result<()> {
    whole::write(&path(dir), &serde_json::to_vec(used)?)
}

/// Whether a cell is one in which the floor counts the calls to a country.
pub(super) fn is_of_floor(key: &CellKey) -> bool {
    key.limit == FLOOR_CELL && key.kind == Key::Country as u32
}

/// The cell of a country that was first called then.
pub(super) fn ring(first: Timestamp, clocks: Clocks) -> Ring {
    let age = u64::try_from(clocks.wall.duration_since(first).as_nanos()).unwrap_or(0);
    let is_old = u128::from(age) >= NEW.as_nanos();
    Ring { used: is_old.into(), first: clocks.kernel.saturating_sub(age).max(1), ..Ring::FRESH }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;

    #[test]
    fn what_was_called_is_known_after_a_reboot() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).is_empty());
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let used = Used::from([("SL".to_owned(), now - 13.hours()), ("LV".to_owned(), now - 1.hour())]);
        write(dir.path(), &used).unwrap();
        assert_eq!(open(dir.path()), used);
        // The machine has run for two hours.
        let clocks = Clocks { wall: now, kernel: 7_200_000_000_000 };
        assert_eq!((ring(used["SL"], clocks).used, ring(used["SL"], clocks).first), (1, 1));
        let latvia = ring(used["LV"], clocks);
        assert_eq!((latvia.used, latvia.first), (0, 3_600_000_000_000));
        fs::write(path(dir.path()), "{").unwrap();
        assert!(open(dir.path()).is_empty(), "a damaged file costs calls, not the start");
    }
}
