//! The pins: what keeps program, state and attachments alive without the daemon.
//!
//! `DIR/links/IFNAME-IFINDEX` are the attachments, `DIR/progs/NAME` the programs, `DIR/next/NAME-ID` the tables by
//! which they go on with others, `DIR/DIGEST/NAME` the maps, where the digest names their layout.

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::{
    Ebpf,
    maps::{Map, MapData, MapInfo},
};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, flock},
    mount::{MountFlags, mount},
    process::geteuid,
};

use super::{
    load::{TABLES, refused},
    object::{Definition, Schema},
};
use crate::doctor::kernel::is_bpffs;

/// Where the system has its BPF file system.
const SYSTEM: &str = "/sys/fs/bpf";
const LINKS: &str = "links";
const PROGRAMS: &str = "progs";
const NEXT: &str = "next";

/// The pin directory of this daemon; no other daemon uses it meanwhile.
#[derive(Debug)]
pub(super) struct Pins {
    dir: PathBuf,
    _lock: OwnedFd,
}

/// The directory of the maps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) dir: PathBuf,
    /// Whether there was one, so that its state goes on.
    pub(super) adopted: bool,
    /// Directories of other layouts, to be removed once nothing uses them.
    pub(super) outdated: Vec<PathBuf>,
}

/// A pinned attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkPin {
    pub(super) path: PathBuf,
    pub(super) interface: String,
    pub(super) index: u32,
}

impl Pins {
    /// Makes the pin directory where it is missing, and takes it for this process.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        mounted(dir)?;
        make(dir)?;
        for part in [LINKS, PROGRAMS, NEXT] {
            make(&dir.join(part))?;
        }
        let lock = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .with_context(|| format!("cannot open {}", dir.display()))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => bail!(
                "another tollgate runs with the pin directory {}: stop it, or give this one another --pin-dir",
                dir.display()
            ),
            Err(error) => Err(error).with_context(|| format!("cannot lock {}", dir.display())),
        }
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The pin of an attachment.
    pub(super) fn link(&self, interface: &str, index: u32) -> PathBuf {
        self.dir.join(LINKS).join(format!("{}-{index}", escaped(interface)))
    }

    /// Every pinned attachment.
    pub(super) fn links(&self) -> Result<Vec<LinkPin>> {
        links(&self.dir)
    }

    /// The pin of a program.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.dir.join(PROGRAMS).join(name)
    }

    /// Pins the tables by which programs go on with others: the kernel empties a table that user space has let go of.
    pub(super) fn keep_tables(&self, ebpf: &Ebpf) -> Result<()> {
        for (pin, table) in self.tables(ebpf)? {
            if !pin.exists() {
                table.pin(&pin).map_err(|error| refused(error, format!("cannot pin {}", pin.display())))?;
            }
        }
        Ok(())
    }

    /// Removes the pins of all other tables.
    pub(super) fn keep_only_tables(&self, ebpf: &Ebpf) -> Result<()> {
        let tables = self.tables(ebpf)?;
        for old in entries(&self.dir.join(NEXT))? {
            if !tables.iter().any(|(pin, _)| *pin == old) {
                unlink(&old)?;
            }
        }
        Ok(())
    }

    /// The tables of an object, with their pins.
    fn tables<'a>(&self, ebpf: &'a Ebpf) -> Result<Vec<(PathBuf, &'a MapData)>> {
        let mut tables = Vec::new();
        for name in TABLES {
            let Some(Map::ProgramArray(table)) = ebpf.map(name) else { bail!("the BPF object has no table {name}") };
            tables.push((self.dir.join(NEXT).join(format!("{name}-{}", table.info()?.id())), table));
        }
        Ok(tables)
    }

    /// The pins of all programs.
    pub(super) fn programs(&self) -> Result<Vec<PathBuf>> {
        entries(&self.dir.join(PROGRAMS))
    }

    /// Finds or makes the directory for maps of this layout. What is pinned there is compared with the definitions,
    /// since the loader takes whatever has the right name.
    pub(super) fn maps(&self, schema: &Schema) -> Result<Maps> {
        let mut found = Maps { dir: PathBuf::new(), adopted: false, outdated: Vec::new() };
        let mut others = entries(&self.dir)?;
        others.retain(|path| ![LINKS, PROGRAMS, NEXT].iter().any(|part| path.ends_with(part)));
        for attempt in 0.. {
            let name = if attempt == 0 { schema.digest.clone() } else { format!("{}-{attempt}", schema.digest) };
            let dir = self.dir.join(name);
            if let Some(place) = others.iter().position(|other| *other == dir) {
                let differences = differences(&dir, schema)?;
                others.remove(place);
                if differences.is_empty() {
                    found.adopted = true;
                } else {
                    tracing::warn!(
                        "the pinned state in {} is not of this version and is left behind: limits and counters begin \
                         anew ({})",
                        dir.display(),
                        differences.join("; ")
                    );
                    found.outdated.push(dir);
                    continue;
                }
            } else {
                make(&dir)?;
            }
            found.dir = dir;
            break;
        }
        if !found.adopted && !others.is_empty() {
            tracing::warn!("the pinned state is of another version: limits and counters begin anew");
        }
        found.outdated.extend(others);
        Ok(found)
    }
}

/// Removes everything under a pin directory, and the directory: nothing is filtered any more. Returns the interfaces
/// that were filtered.
pub(super) fn remove(dir: &Path) -> Result<Vec<String>> {
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", dir.display())),
        Ok(_) => {}
    }
    ensure!(is_bpffs(dir)?, "{} is not on a BPF file system; is it the --pin-dir of the daemon?", dir.display());
    let links = links(dir)?;
    super::attach::unpin(&links)?;
    for part in entries(dir)? {
        remove_part(&part)?;
    }
    match fs::remove_dir(dir) {
        // Made beforehand for a service, where it makes none itself: empty, it does no harm.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        removed => removed.with_context(|| format!("cannot remove {}", dir.display()))?,
    }
    Ok(links.into_iter().map(|link| link.interface).collect())
}

/// Removes a directory of pins.
pub(super) fn remove_part(dir: &Path) -> Result<()> {
    for pin in entries(dir)? {
        unlink(&pin)?;
    }
    fs::remove_dir(dir).with_context(|| format!("cannot remove {}", dir.display()))
}

/// Removes a pin; one that is gone already is no error.
pub(super) fn unlink(pin: &Path) -> Result<()> {
    match fs::remove_file(pin) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", pin.display()))
        }
        _ => Ok(()),
    }
}

/// Makes sure that `dir` will lie on a BPF file system.
fn mounted(dir: &Path) -> Result<()> {
    ensure!(dir.is_absolute(), "the pin directory {} has to begin with /", dir.display());
    let existing = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if is_bpffs(existing).with_context(|| format!("cannot look at {}", existing.display()))? {
        return Ok(());
    }
    ensure!(
        dir.starts_with(SYSTEM),
        "{} is not on a BPF file system: choose a directory under {SYSTEM} with --pin-dir",
        dir.display()
    );
    mount("bpf", SYSTEM, "bpf", MountFlags::empty(), Some(c"mode=0700"))
        .with_context(|| format!("no BPF file system is mounted: mount -t bpf bpf {SYSTEM}"))?;
    tracing::info!("mounted a BPF file system on {SYSTEM}");
    Ok(())
}

/// Makes a directory for this user alone; one that is there has to be that.
fn make(dir: &Path) -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| {
                format!(
                    "cannot make the pin directory {}; it is made by root, or beforehand for the service",
                    dir.display()
                )
            });
        }
    }
    let found = fs::symlink_metadata(dir).with_context(|| format!("cannot look at {}", dir.display()))?;
    ensure!(found.is_dir(), "{} is no directory: remove it, or choose another --pin-dir", dir.display());
    ensure!(
        found.uid() == geteuid().as_raw(),
        "the pin directory {} belongs to user {} and not to this one, {}: what is pinned there cannot be trusted. Remove \
         it, or choose another --pin-dir",
        dir.display(),
        found.uid(),
        geteuid().as_raw()
    );
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot close {} to others", dir.display()))?;
    }
    Ok(())
}

/// What is pinned in `dir` and differs from the definitions.
fn differences(dir: &Path, schema: &Schema) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (name, &wanted) in &schema.maps {
        let pin = dir.join(name);
        if !pin.exists() {
            continue;
        }
        let info = MapInfo::from_pin(&pin)
            .map_err(|error| super::load::refused(error, format!("cannot look at the pinned map {}", pin.display())))?;
        let kind = info.map_type().map_err(|error| anyhow!("{}: {error}", pin.display()))?;
        let pinned = Definition {
            kind: kind as u32,
            key_size: info.key_size(),
            value_size: info.value_size(),
            max_entries: info.max_entries(),
            flags: info.map_flags(),
        };
        if pinned != wanted {
            found.push(format!("{name} is {pinned:?} and should be {wanted:?}"));
        }
    }
    Ok(found)
}

fn links(dir: &Path) -> Result<Vec<LinkPin>> {
    let pins = entries(&dir.join(LINKS))?;
    Ok(pins.into_iter().filter_map(parsed).collect())
}

fn parsed(path: PathBuf) -> Option<LinkPin> {
    let (interface, index) = path.file_name()?.to_str()?.rsplit_once('-')?;
    let (interface, index) = (unescaped(interface)?, index.parse().ok()?);
    Some(LinkPin { path, interface, index })
}

/// The entries of a directory; none where it is missing.
fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        list => list.with_context(|| format!("cannot list {}", dir.display()))?,
    };
    list.map(|entry| Ok(entry?.path())).collect()
}

/// A BPF file system takes no dots in names.
fn escaped(interface: &str) -> String {
    let plain = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'_' || *octet == b'-';
    interface
        .bytes()
        .map(|octet| if plain(&octet) { char::from(octet).to_string() } else { format!("%{octet:02x}") })
        .collect()
}

fn unescaped(name: &str) -> Option<String> {
    let mut octets = Vec::new();
    let mut rest = name.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet == b'%' {
            let (code, tail) = tail.split_at_checked(2)?;
            octets.push(u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?);
            rest = tail;
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_name_pins_and_pins_interfaces() {
        for name in ["eth0", "eth0.100", "br-lan", "a%b", "wlan0:1", "ü"] {
            let file = escaped(name);
            assert!(!file.contains('.'), "{file}");
            let pin = parsed(PathBuf::from(format!("/x/links/{file}-17"))).unwrap();
            assert_eq!((pin.interface.as_str(), pin.index), (name, 17));
        }
        for wrong in ["eth0", "eth0-x", "eth0%-1", "eth0%zz-1"] {
            assert_eq!(parsed(PathBuf::from(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn an_ordinary_directory_is_no_place_for_pins() {
        let dir = tempfile::tempdir().unwrap();
        let error = Pins::open(&dir.path().join("pins")).unwrap_err().to_string();
        assert!(error.contains("not on a BPF file system"), "{error}");
        let error = remove(dir.path()).unwrap_err().to_string();
        assert!(error.contains("not on a BPF file system"), "{error}");
        assert_eq!(remove(&dir.path().join("missing")).unwrap(), [""; 0]);
    }

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        assert!(make(&link).is_err());
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        make(&open).unwrap();
        assert_eq!(fs::metadata(&open).unwrap().mode() & 0o777, 0o700);
    }
}
