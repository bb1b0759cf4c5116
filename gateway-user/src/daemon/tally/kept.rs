//! What was added up, over restarts of the daemon. Times and digests are of one run of the filter: one that begins anew, as after a
//! reboot, begins with nothing, like the windows of the kernel.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use gateway_common::limit::CellKey;
use serde::{Deserialize, Serialize};

use super::{
    super::{Core, whole},
    KEEP, Sum, Tally,
    follow::{Calls, Up},
    sums::{Distinct, Same, Time},
};

/// What this version writes, and the only one that it reads.
const VERSION: u32 = 1;
/// The longest file that is read: as much as is remembered takes half of it.
const LONGEST: u64 = 32 << 20;

/// What is on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// The run of the filter that it is of.
    run: u64,
    looked: u64,
    up: Vec<KeptCall>,
    sums: Vec<KeptSum>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCall {
    id: u64,
    begun: u64,
    seen: u64,
    cells: Vec<(u32, u32, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptSum {
    cell: (u32, u32, u64),
    time: Time,
    distinct: Distinct,
    same: Same,
    country: u16,
    over: Option<u64>,
}

const fn written(key: &CellKey) -> (u32, u32, u64) {
    (key.limit, key.kind, key.value)
}

const fn read((limit, kind, value): (u32, u32, u64)) -> CellKey {
    CellKey { limit, kind, value }
}

impl Kept {
    fn of(tally: &Tally, run: u64) -> Self {
        let up = tally.calls.up.iter().map(|(id, up)| KeptCall {
            id: *id,
            begun: up.begun,
            seen: up.seen,
            cells: up.cells.iter().map(written).collect(),
        });
        let sums = tally.sums.iter().map(|(key, sum)| {
            let Sum { time, distinct, same, country, over } = sum.clone();
            KeptSum { cell: written(key), time, distinct, same, country, over }
        });
        Self { version: VERSION, run, looked: tally.calls.looked, up: up.collect(), sums: sums.collect() }
    }

    fn into_tally(self) -> Tally {
        let up: BTreeMap<u64, Up> = self
            .up
            .into_iter()
            .map(|it| {
                let cells = it.cells.into_iter().map(read).collect();
                // No policy has this generation, so cells of limits that came meanwhile are found at the first look.
                (it.id, Up { begun: it.begun, seen: it.seen, cells, rules: u32::MAX })
            })
            .collect();
        let sums = self.sums.into_iter().map(|it| {
            let KeptSum { cell, time, distinct, same, country, over } = it;
            (read(cell), Sum { time, distinct, same, country, over })
        });
        Tally { calls: Calls { up, looked: self.looked }, sums: sums.collect(), ..Tally::default() }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("tallies.json")
}

/// What the last daemon left of this run of the filter.
pub(in super::super) fn open(dir: &Path, run: u64) -> Tally {
    let path = path(dir);
    match load(&path) {
        Ok(Some(kept)) if kept.run == run => kept.into_tally(),
        Ok(_) => Tally::default(),
        Err(error) => {
            tracing::warn!("cannot read {}: {error}; limits on minutes and numbers begin anew", path.display());
            Tally::default()
        }
    }
}

/// Removes what is on disk; what cannot be removed is of a time that no stretch holds some day.
pub(super) fn remove(dir: &Path) {
    if let Err(error) = fs::remove_file(path(dir))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!("cannot remove {}: {error}", path(dir).display());
    }
}

fn load(path: &Path) -> Result<Option<Kept>, String> {
    let octets = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(meta) if !meta.is_file() || meta.len() > LONGEST => return Err("it is no file that Tollgate wrote".into()),
        Ok(_) => fs::read(path).map_err(|error| error.to_string())?,
    };
    let kept: Kept = serde_json::from_slice(&octets).map_err(|error| error.to_string())?;
    if kept.version != VERSION {
        return Err(format!("it is of version {}, and this Tollgate reads version {VERSION}", kept.version));
    }
    Ok(Some(kept))
}

impl Core {
    /// Writes what was added up, if it is time, or now at once.
    pub(in super::super) fn keep_tally(&mut self, at_once: bool) {
        let now = self.now();
        let due = self.tally.written.is_none_or(|last| now.duration_since(last).abs() >= KEEP);
        let nothing = self.tally.calls.looked == 0 || self.tally.sums.is_empty() && !path(&self.state_dir).exists();
        if nothing || !due && !at_once {
            return;
        }
        self.tally.written = Some(now);
        let write = || -> anyhow::Result<()> {
            let kept = Kept::of(&self.tally, self.gateway.run()?);
            Ok(whole::write(&path(&self.state_dir), &serde_json::to_vec(&kept)?)?)
        };
        if let Err(error) = write() {
            tracing::warn!("cannot keep what limits on minutes and numbers added up; trying again: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_by_the_same_run_of_the_filter_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path(), 5).sums.is_empty());
        let mut tally = Tally::default();
        let key = CellKey { limit: 1, kind: 2, value: 3 };
        let mut sum = Sum { country: 9, over: Some(4), ..Sum::default() };
        sum.time.add(1, 10, 100);
        sum.time.begin(77, 5);
        sum.distinct.call(8, 9);
        sum.same.call(8, 9);
        tally.sums.insert(key, sum.clone());
        tally.calls.looked = 12;
        tally.calls.up.insert(77, Up { begun: 4, seen: 12, cells: vec![key], rules: 1 });
        let kept = serde_json::to_vec(&Kept::of(&tally, 5)).unwrap();
        whole::write(&path(dir.path()), &kept).unwrap();
        let again = open(dir.path(), 5);
        assert_eq!(again.sums.get(&key), Some(&sum));
        assert_eq!((again.calls.looked, again.calls.up[&77].begun, &again.calls.up[&77].cells), (12, 4, &vec![key]));
        assert!(open(dir.path(), 6).sums.is_empty(), "another run");
        for bad in [&b"{"[..], b"{\"version\":2}", &kept[..kept.len() / 2]] {
            fs::write(path(dir.path()), bad).unwrap();
            assert!(open(dir.path(), 5).sums.is_empty(), "a damaged file costs sums, not the start");
        }
    }
}
