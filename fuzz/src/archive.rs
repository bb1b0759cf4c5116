//! The committed corpora: one archive, in it a folder a target.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use flate2::read::GzDecoder;

/// Inputs by target and name.
pub type Corpora = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// Where the archive is.
pub fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora.tar.gz")
}

/// Where the findings are, a folder a target.
pub fn regressions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions")
}

/// Everything in the archive.
///
/// # Errors
///
/// Where it is missing or damaged.
pub fn read(archive: &Path) -> anyhow::Result<Corpora> {
    let octets = std::fs::read(archive).with_context(|| format!("cannot read {}", archive.display()))?;
    let mut corpora = Corpora::new();
    let damaged = || format!("{} is damaged: check it out again", archive.display());
    for entry in tar::Archive::new(GzDecoder::new(octets.as_slice())).entries().with_context(damaged)? {
        let mut entry = entry.with_context(damaged)?;
        let path = entry.path().with_context(damaged)?.into_owned();
        let (Some(target), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let mut input = Vec::new();
        entry.read_to_end(&mut input).with_context(damaged)?;
        let of_target = corpora.entry(target.to_string_lossy().into_owned()).or_default();
        of_target.insert(name.to_string_lossy().into_owned(), input);
    }
    Ok(corpora)
}
