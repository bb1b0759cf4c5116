//! Sources that the PBX knows, over a reboot: the kernel forgets them with its clock, and every telephone outside would be one
//! that nobody knows until it registers again.

use std::{
    fs, io,
    io::{Read as _, Write as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use gateway_common::site::KNOWN;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Core, cell::Clocks};

/// Name of the file in the state directory.
const FILE: &str = "known-sources";
/// Where a file goes that cannot be read.
const REFUSED: &str = "known-sources.refused";
/// What this version writes, and the only one that it reads.
const VERSION: u32 = 1;
/// How often it is written. What a crash of the machine costs is a registration of what became known since.
const INTERVAL: SignedDuration = SignedDuration::from_mins(5);
/// As many sources as the kernel has room for.
const ROOM: usize = 16_384;
/// Longest file that is read: twice what the room takes.
const LONGEST: u64 = 4 << 20;

/// What is on disk, behind a checksum and a blank.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// Each with the end of its being known.
    sources: Vec<(IpAddr, Timestamp)>,
}

/// Only the version, which says whether the rest can be read.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// When it was written last, by this process.
#[derive(Default)]
pub(super) struct Keeper {
    written: Option<Timestamp>,
}

impl Core {
    /// Sources that were known when the machine, or the filter, went down are known again.
    pub(super) fn restore_known(&mut self) {
        match self.gateway.known() {
            // The kernel was there all the time.
            Ok(known) if !known.is_empty() => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!("cannot read which sources are known, so none is restored: {error:#}");
                return;
            }
        }
        let sources = match read(&self.state_dir.join(FILE)) {
            Ok(None) => return,
            Ok(Some(kept)) => restored(&kept.sources, self.clocks()),
            Err(why) => {
                let kept = match fs::rename(self.state_dir.join(FILE), self.state_dir.join(REFUSED)) {
                    Ok(()) => format!("it lies in {REFUSED} now"),
                    Err(error) => format!("it cannot be put aside: {error}"),
                };
                tracing::warn!(
                    "{}: {why}; {kept}. Telephones outside are unknown until they register again",
                    self.state_dir.join(FILE).display()
                );
                return;
            }
        };
        if sources.is_empty() {
            return;
        }
        match self.gateway.make_known(&sources) {
            Ok(()) => tracing::info!("{} sources that the PBX knew are known again", sources.len()),
            Err(error) => tracing::warn!("not all sources that the PBX knew are known again: {error:#}"),
        }
    }

    /// Writes which sources are known, if it is time, or `now` at once. What cannot be written is tried again.
    pub(super) fn keep_known(&mut self, at_once: bool) {
        let now = self.now();
        let due = self.keeper.written.is_none_or(|last| now.duration_since(last).abs() >= INTERVAL);
        if !due && !at_once {
            return;
        }
        self.keeper.written = Some(now);
        let known = match self.gateway.known() {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!("cannot read which sources are known, so they are not kept: {error:#}");
                return;
            }
        };
        if known.is_empty() && !self.state_dir.join(FILE).exists() {
            return;
        }
        let clocks = self.clocks();
        let mut sources: Vec<(IpAddr, Timestamp)> =
            known.into_iter().map(|(source, until)| (source, clocks.wall_of(until))).collect();
        sources.sort_unstable();
        if let Err(error) = write(&self.state_dir, &Kept { version: VERSION, sources }) {
            tracing::warn!("cannot keep which sources are known; trying again: {error}");
        }
    }
}

/// What is still to be known, by the kernel's clock. Whatever a file or a clock that was set says, nobody is known for longer than
/// the kernel would make him.
fn restored(sources: &[(IpAddr, Timestamp)], clocks: Clocks) -> Vec<(IpAddr, u64)> {
    let left = |until: Timestamp| until.duration_since(clocks.wall).as_nanos().clamp(0, i128::from(KNOWN)) as u64;
    let living = sources.iter().filter(|(_, until)| left(*until) > 0).take(ROOM);
    living.map(|(source, until)| (*source, clocks.kernel.saturating_add(left(*until)))).collect()
}

/// What the last daemon left; `None` where there is nothing. The error is for an operator.
fn read(path: &Path) -> Result<Option<Kept>, String> {
    // A pipe would wait for whoever writes to it, and a link could name anything.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| format!("cannot be opened: {error}"))?,
    };
    let meta = file.metadata().map_err(|error| format!("cannot be looked at: {error}"))?;
    if !meta.is_file() || meta.len() > LONGEST {
        return Err("is no file that Tollgate wrote".into());
    }
    let mut octets = Vec::new();
    file.take(LONGEST).read_to_end(&mut octets).map_err(|error| format!("cannot be read: {error}"))?;
    decode(&octets).map(Some)
}

fn decode(octets: &[u8]) -> Result<Kept, String> {
    const DAMAGED: &str = "is damaged";
    let (sum, json) = octets.split_at_checked(9).ok_or(DAMAGED)?;
    let sum = std::str::from_utf8(sum).ok().and_then(|sum| u32::from_str_radix(sum.strip_suffix(' ')?, 16).ok());
    if sum != Some(crc32fast::hash(json)) {
        return Err(DAMAGED.into());
    }
    let Versioned { version } = serde_json::from_slice(json).map_err(|error| format!("{DAMAGED}: {error}"))?;
    if version != VERSION {
        return Err(format!("is of version {version}, and this Tollgate reads version {VERSION}"));
    }
    serde_json::from_slice(json).map_err(|error| format!("{DAMAGED}: {error}"))
}

fn write(dir: &Path, kept: &Kept) -> io::Result<()> {
    let json = serde_json::to_vec(kept)?;
    let (path, new): (PathBuf, PathBuf) = (dir.join(FILE), dir.join(FILE).with_extension("new"));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    write!(file, "{:08x} ", crc32fast::hash(&json))?;
    file.write_all(&json)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    fs::File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::ToSpan as _;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn phone(host: u8) -> IpAddr {
        [198, 51, 100, host].into()
    }

    #[test]
    fn what_is_written_is_read_and_belongs_to_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(read(&path), Ok(None));
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        let kept = Kept { version: VERSION, sources: vec![(phone(7), now()), (v6, now() + 24.hours())] };
        write(dir.path(), &kept).unwrap();
        assert_eq!(read(&path), Ok(Some(kept)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn nobody_is_known_for_longer_than_he_was_or_than_anybody_is() {
        let clocks = Clocks { wall: now(), kernel: 7_000_000_000 };
        let sources = [
            (phone(1), now() - 1.second()),
            (phone(2), now()),
            (phone(3), now() + 2.seconds()),
            (phone(4), Timestamp::MAX),
        ];
        assert_eq!(restored(&sources, clocks), [(phone(3), 9_000_000_000), (phone(4), 7_000_000_000 + KNOWN)]);
        let many: Vec<(IpAddr, Timestamp)> =
            (0..20_000u32).map(|n| (std::net::Ipv4Addr::from_bits(n).into(), now() + 1.hour())).collect();
        assert_eq!(restored(&many, clocks).len(), ROOM);
    }

    #[test]
    fn what_is_damaged_newer_or_no_file_is_refused_in_words() {
        let whole = |json: &str| format!("{:08x} {json}", crc32fast::hash(json.as_bytes())).into_bytes();
        let good = whole(r#"{"version":1,"sources":[["198.51.100.7","2026-11-20T12:00:00Z"]]}"#);
        assert_eq!(decode(&good).unwrap().sources.len(), 1);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(decode(&bad).unwrap_err().contains("damaged"), "octet {at}");
            assert!(decode(&good[..at]).unwrap_err().contains("damaged"), "cut at {at}");
        }
        assert!(decode(&whole(r#"{"version":2,"all":"new"}"#)).unwrap_err().contains("of version 2"));
        assert!(decode(&whole(r#"{"version":1,"sources":[["x",1]]}"#)).unwrap_err().contains("damaged"));
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).unwrap_err().contains("no file"));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(read(&fifo).unwrap_err().contains("no file"));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        assert!(read(&link).unwrap_err().contains("cannot be opened"));
    }
}
