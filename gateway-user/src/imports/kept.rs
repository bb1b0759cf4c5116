//! The imports of the policy in force: the last good file of each, in memory and on disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Contents, Import, Imported, LARGEST, MOST, Protected, read};
use crate::{
    config::{Config, Network},
    zone,
};

/// How an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The file is good.
    Good,
    /// The file is not, and the last good one holds.
    Kept,
    /// There is none that holds: never one that was good, or it is too old.
    None,
}

impl State {
    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Kept => "kept",
            Self::None => "none",
        }
    }
}

/// One import, and the last good file of it.
#[derive(Clone, Debug)]
struct Kept {
    import: Import,
    good: Option<Good>,
    /// Why the file as it is now is not good.
    error: Option<String>,
    left_out: Vec<String>,
    looked: bool,
    /// Size and time of the file when it was last looked at.
    seen: Option<(u64, SystemTime)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Good {
    written: Timestamp,
    networks: Vec<Network>,
}

/// Every import of a policy.
#[derive(Clone, Debug, Default)]
pub struct Imports(Vec<Kept>);

/// What `status` shows of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// How it stands.
    pub state: State,
    /// Networks that it blocks.
    pub networks: usize,
    /// When the list that holds was written.
    pub written: Option<Timestamp>,
    /// When it no longer holds.
    pub expires: Option<Timestamp>,
    /// What is wrong, or was left out.
    pub notes: Vec<String>,
}

impl Imports {
    /// Reads every import of a policy. Where a file is not good, the last good one in `dir` holds.
    pub fn of(config: &Config, dir: &Path) -> Self {
        let start = |import: &Import| {
            let mut kept = Kept {
                import: import.clone(),
                good: load(dir, import),
                error: None,
                left_out: Vec::new(),
                looked: false,
                seen: None,
            };
            kept.look(&Protected::of(config), dir);
            kept
        };
        Self(config.imports.iter().map(start).collect())
    }

    /// Reads again what has changed on disk.
    pub fn refresh(&mut self, config: &Config, dir: &Path) {
        for kept in &mut self.0 {
            if kept.seen != seen(&kept.import.file) || kept.error.is_some() {
                kept.look(&Protected::of(config), dir);
            }
        }
    }

    /// What is blocked at `now`, each network once.
    pub fn networks(&self, now: Timestamp) -> Vec<Imported> {
        let mut known = std::collections::HashSet::new();
        let mut out = Vec::new();
        for kept in &self.0 {
            let networks = kept.holding(now).map(|good| good.networks.as_slice()).unwrap_or_default();
            for network in networks.iter().filter(|network| known.insert(**network)) {
                out.push(Imported { import: kept.import.name.clone(), network: *network });
            }
        }
        out.truncate(MOST);
        out
    }

    /// What `status` shows.
    pub fn shown(&self, now: Timestamp) -> Vec<Shown> {
        self.0.iter().map(|kept| kept.shown(now)).collect()
    }
}

impl Kept {
    /// Reads the file; what is good takes the place of what was, in `dir` too.
    fn look(&mut self, protected: &Protected, dir: &Path) {
        let looked = self.looked;
        self.looked = true;
        self.seen = seen(&self.import.file);
        match read(&self.import, protected) {
            Ok(Contents { networks, written, left_out }) => {
                let good = Good { written, networks };
                // Whoever reads the policy tells what is left out at first; here only what is new is.
                for left_out in left_out.iter().filter(|_| looked && self.left_out != left_out) {
                    tracing::warn!("import.{}: {left_out}", self.import.name);
                }
                if self.good.as_ref() != Some(&good) {
                    tracing::info!("import.{}: {} networks", self.import.name, good.networks.len());
                    if let Err(error) = save(dir, &self.import, &good) {
                        tracing::warn!(
                            "import.{}: cannot keep the list in {}: {error}",
                            self.import.name,
                            dir.display()
                        );
                    }
                }
                (self.good, self.error, self.left_out) = (Some(good), None, left_out);
            }
            Err(error) => {
                if looked && self.error.as_ref() != Some(&error) {
                    let rest = match &self.good {
                        Some(_) => "the last good list holds until it is too old",
                        None => "there is no good list, so it blocks nobody",
                    };
                    tracing::warn!("import.{}: {error}; {rest}", self.import.name);
                }
                self.error = Some(error);
                // What was kept on disk, or is now named in the policy, may have become the site's own.
                if let Some(good) = &mut self.good {
                    good.networks.retain(|network| protected.why(network).is_none());
                }
            }
        }
    }

    fn holding(&self, now: Timestamp) -> Option<&Good> {
        self.good.as_ref().filter(|good| now < self.import.ends(good.written, now))
    }

    fn shown(&self, now: Timestamp) -> Shown {
        let holding = self.holding(now);
        let mut notes: Vec<String> = self.error.iter().chain(&self.left_out).cloned().collect();
        if let (None, Some(good)) = (holding, &self.good) {
            notes.push(format!(
                "the list of {} is too old and blocks nobody; fetch it again",
                zone::shown(good.written)
            ));
        }
        Shown {
            name: self.import.name.clone(),
            file: self.import.file.clone(),
            state: match (holding, &self.error) {
                (None, _) => State::None,
                (Some(_), None) => State::Good,
                (Some(_), Some(_)) => State::Kept,
            },
            networks: holding.map_or(0, |good| good.networks.len()),
            written: self.good.as_ref().map(|good| good.written),
            expires: self.good.as_ref().map(|good| self.import.ends(good.written, now)),
            notes,
        }
    }
}

fn seen(path: &Path) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

fn path(dir: &Path, import: &Import) -> PathBuf {
    dir.join(format!("import-{}.json", import.name))
}

/// The last good list that an earlier daemon kept; one that cannot be read is none.
fn load(dir: &Path, import: &Import) -> Option<Good> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path(dir, import)).ok()?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    let mut good: Good = serde_json::from_str(&text).ok()?;
    good.networks.truncate(MOST);
    Some(good)
}

fn save(dir: &Path, import: &Import, good: &Good) -> io::Result<()> {
    let path = path(dir, import);
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(serde_json::to_string(good)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(dir)?.sync_all()
}
