//! Which files a PATH of the command line means.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// One file to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A capture.
    Capture(PathBuf),
    /// One SIP message.
    Message(PathBuf),
}

/// Endings of SIP messages in a folder that holds other files too.
const MESSAGES: [&str; 2] = ["sip", "dat"];
/// Endings of captures in a folder.
const CAPTURES: [&str; 3] = ["pcap", "pcapng", "cap"];

/// The files of `path`: itself, or of a folder its regular files in the order of their names, without sub-folders.
///
/// A folder of messages (`sip`) gives those that end in `.sip` or `.dat`, or all files where none does; a folder of
/// captures those that end in `.pcap`, `.pcapng` or `.cap`.
pub fn sources(path: &Path, sip: bool) -> anyhow::Result<Vec<Source>> {
    let source = |path| if sip { Source::Message(path) } else { Source::Capture(path) };
    let metadata = fs::metadata(path)
        .with_context(|| format!("{}: cannot be opened; check the path and its permissions", path.display()))?;
    if !metadata.is_dir() {
        return Ok(vec![source(path.to_owned())]);
    }
    let files = files(path).with_context(|| format!("{}: the folder cannot be read", path.display()))?;
    let endings = if sip { &MESSAGES[..] } else { &CAPTURES[..] };
    let named = |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known));
    let mut chosen: Vec<PathBuf> = files.iter().filter(|path| named(path)).cloned().collect();
    if sip && chosen.is_empty() {
        chosen = files;
    }
    if chosen.is_empty() {
        let what = if sip { "no files" } else { "no .pcap, .pcapng or .cap files; add --sip for SIP messages" };
        anyhow::bail!("{}: the folder holds {what}", path.display());
    }
    Ok(chosen.into_iter().map(source).collect())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.is_file()) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}
