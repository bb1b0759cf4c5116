//! What was seen and told, over restarts and reboots.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::{used::Used, whole},
    networks::Account,
};

/// What this version writes, and the only one that it reads.
const VERSION: u32 = 1;

/// What is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u32,
    /// When this began.
    pub(super) since: Timestamp,
    /// Whether what was there at the beginning has been told.
    pub(super) learned: bool,
    /// The first call to each country, by its ISO code.
    pub(super) countries: BTreeMap<String, Timestamp>,
    /// Where accounts registered from outside, by the digest of their name.
    pub(super) accounts: BTreeMap<u64, Account>,
    /// When a line's or a source's regular calls were told, by its number.
    pub(super) regular: BTreeMap<u64, Timestamp>,
    /// When a trunk's calls abroad were told, by `address country`.
    pub(super) inbound: BTreeMap<String, Timestamp>,
}

impl Kept {
    /// A beginning: countries of which the floor knows are no news.
    pub(super) fn new(used: &Used, now: Timestamp) -> Self {
        Self {
            version: VERSION,
            since: now,
            learned: false,
            countries: used.clone(),
            accounts: BTreeMap::new(),
            regular: BTreeMap::new(),
            inbound: BTreeMap::new(),
        }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("told-news.json")
}

/// What the last daemon left; `None` where there is nothing that can be read, and all begins anew.
pub(super) fn open(dir: &Path) -> Option<Kept> {
    let path = path(dir);
    let octets = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        read => read.map_err(|error| error.to_string()),
    };
    let read = octets.and_then(|octets| {
        let kept: Kept = serde_json::from_slice(&octets).map_err(|error| error.to_string())?;
        let known = kept.version == VERSION;
        known.then_some(kept).ok_or_else(|| "it is of another version".to_owned())
    });
    read.map_err(|error| {
        tracing::warn!("cannot read {}: {error}; what was told of countries and networks begins anew", path.display());
    })
    .ok()
}

pub(super) fn write(dir: &Path, kept: &Kept) -> io::Result<()> {
    whole::write(&path(dir), &serde_json::to_vec(kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_known_after_a_restart_and_no_file_keeps_the_daemon_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(open(dir.path()), None);
        let used = Used::from([("SL".to_owned(), Timestamp::UNIX_EPOCH)]);
        let mut kept = Kept::new(&used, Timestamp::UNIX_EPOCH);
        let network = "198.51.100.0/24".parse().unwrap();
        kept.accounts.insert(u64::MAX, Account { networks: vec![(network, Timestamp::UNIX_EPOCH)], roams: true });
        kept.inbound.insert("203.0.113.10 SL".into(), Timestamp::UNIX_EPOCH);
        write(dir.path(), &kept).unwrap();
        assert_eq!(open(dir.path()), Some(kept.clone()));
        write(dir.path(), &Kept { version: 2, ..kept }).unwrap();
        assert_eq!(open(dir.path()), None);
        fs::write(path(dir.path()), "{").unwrap();
        assert_eq!(open(dir.path()), None);
    }
}
