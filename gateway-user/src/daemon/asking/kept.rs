//! Questions and answers, over restarts.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gateway_common::limit::CellKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{super::whole, Asking};

/// What this version writes, and the only one that it reads.
const VERSION: u32 = 1;

/// A cell of a limit, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    limit: u32,
    kind: u32,
    value: u64,
}

impl From<CellKey> for Cell {
    fn from(CellKey { limit, kind, value }: CellKey) -> Self {
        Self { limit, kind, value }
    }
}

impl From<Cell> for CellKey {
    fn from(Cell { limit, kind, value }: Cell) -> Self {
        Self { limit, kind, value }
    }
}

/// A question that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) cell: Cell,
    /// The name of the limit.
    pub(super) limit: String,
    /// Whose calls it is about, in words.
    pub(super) what: String,
    /// The number of the country that was called; 0 for none.
    pub(super) country: u16,
    pub(super) asked: Timestamp,
    /// When silence is an answer.
    pub(super) until: Timestamp,
    /// Calls over the limit since.
    pub(super) calls: u64,
}

/// What is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    version: u32,
    /// The number of the next question.
    pub(super) next: u64,
    pub(super) waiting: Vec<Question>,
    /// What was answered with "keep", and until when that holds.
    pub(super) let_be: Vec<(Cell, Timestamp)>,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("questions.json")
}

/// What the last daemon left; of what cannot be read is asked again.
pub(in super::super) fn open(dir: &Path) -> Asking {
    let path = path(dir);
    let read = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(Err(error.to_string())),
        Ok(octets) => Some(serde_json::from_slice::<Kept>(&octets).map_err(|error| error.to_string())),
    };
    let read =
        read.map(|read| read.and_then(|it| if it.version == VERSION { Ok(it) } else { Err("another version".into()) }));
    let kept = match read {
        Some(Ok(kept)) => kept,
        Some(Err(error)) => {
            tracing::warn!("cannot read {}: {error}; what waited for an answer is asked again", path.display());
            Kept { version: VERSION, next: 1, waiting: Vec::new(), let_be: Vec::new() }
        }
        None => Kept { version: VERSION, next: 1, waiting: Vec::new(), let_be: Vec::new() },
    };
    Asking { kept, dirty: false }
}

pub(super) fn write(dir: &Path, kept: &Kept) -> io::Result<()> {
    whole::write(&path(dir), &serde_json::to_vec(kept)?)
}
