//! Lists of sources that others keep, from files: read, held to what may be blocked, kept while the next one is bad, and
//! forgotten when they are old. Nothing is fetched.

mod format;
mod guard;
mod kept;

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use format::Format;
pub use guard::Protected;
pub use kept::{Imports, Shown, State};

use crate::config::Network;

/// The largest file.
const LARGEST: u64 = 16 << 20;
/// Networks of all imports together: each may take two nodes of the source table, 4 KiB of the 32 MiB of an image.
pub const MOST: usize = 4096;
/// The longest that a list holds without being written anew.
pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Networks that are named where some are left out.
const NAMED: usize = 5;

/// `[import.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Its name.
    pub name: String,
    /// The file, as it is found from the folder of the policy.
    pub file: PathBuf,
    /// How it is written.
    pub format: Format,
    /// How long it holds after it was written.
    pub expires: Duration,
}

/// One network of an import in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The import that names it.
    pub import: String,
    /// What it names.
    pub network: Network,
}

/// What a file held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The networks that may be blocked, each once, in the order of the file.
    pub networks: Vec<Network>,
    /// When the file was written.
    pub written: Timestamp,
    /// What was left out, and why; for the operator.
    pub left_out: Vec<String>,
}

/// Reads the file of an import.
///
/// # Errors
///
/// What is wrong with it and what to do, on one line.
pub fn read(import: &Import, protected: &Protected) -> Result<Contents, String> {
    let file = import.file.display();
    let (text, written) = text(&import.file).map_err(|why| format!("{file}: {why}"))?;
    let named = format::parse(import.format, &text).map_err(|why| format!("{file}{why}"))?;
    let mut networks: Vec<Network> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut refused: Vec<(Network, &'static str)> = Vec::new();
    let mut too_many = 0;
    for network in named.into_iter().filter(|network| seen.insert(*network)) {
        match protected.why(&network) {
            Some(why) => refused.push((network, why)),
            None if networks.len() < MOST => networks.push(network),
            None => too_many += 1,
        }
    }
    let mut left_out: Vec<String> =
        refused.iter().take(NAMED).map(|(network, why)| format!("{file}: {network} is left out: {why}")).collect();
    if refused.len() > NAMED {
        left_out.push(format!("{file}: and {} more are left out for such reasons", refused.len() - NAMED));
    }
    if too_many > 0 {
        left_out.push(format!(
            "{file}: the last {too_many} networks are left out: {MOST} are the most; take a shorter list"
        ));
    }
    Ok(Contents { networks, written, left_out })
}

/// The text of a file and when it was written.
fn text(path: &Path) -> Result<(String, Timestamp), String> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file; write it, or correct the path".to_owned(),
        _ => format!("cannot be read: {error}; look at it with ls -l"),
    };
    let file = fs::File::open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err("is no regular file; name a file that whoever fetches the list writes".to_owned());
    }
    let mut octets = Vec::new();
    (&file).take(LARGEST + 1).read_to_end(&mut octets).map_err(failed)?;
    if octets.len() as u64 > LARGEST {
        return Err(format!("is larger than {} MiB; look whether it is the right file", LARGEST >> 20));
    }
    let after = file.metadata().map_err(failed)?;
    if before.len() != after.len() || before.modified().ok() != after.modified().ok() {
        return Err("changed while it was read; it is read again soon. Write a new file and rename it".to_owned());
    }
    let written = after.modified().map_err(failed)?;
    let written = Timestamp::try_from(written).map_err(|error| format!("has no usable time: {error}; touch it"))?;
    let text =
        String::from_utf8(octets).map_err(|_octets| "is not UTF-8; look whether it is the right file".to_owned())?;
    Ok((text, written))
}

impl Import {
    /// When a file that was written then no longer holds. One from the future holds no longer than one of now.
    pub fn ends(&self, written: Timestamp, now: Timestamp) -> Timestamp {
        let expires = SignedDuration::try_from(self.expires).unwrap_or(SignedDuration::ZERO);
        written.min(now).checked_add(expires).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests;
