//! The policy to go back to: on disk from `reload --confirm` until the new one is confirmed, and, once it is back in
//! force, until the next reload. A daemon that crashes in between goes on where it was.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::{Config, snapshot};

/// While the new policy waits for its confirmation.
const WAITING: &str = "unconfirmed-policy.jsonl";
/// Once the former one is back in force.
const RETURNED: &str = "former-policy.jsonl";
/// What a clock that is set right may step back.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(60);

/// A reload that wants to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trial {
    /// When it was asked for.
    pub(super) since: Timestamp,
    /// When the former policy comes back.
    pub(super) until: Timestamp,
    /// Who asked.
    pub(super) who: String,
}

impl Trial {
    /// Whether its time is over. A clock that runs well before the beginning cannot tell, and going back is the safe side.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until || self.since.duration_since(now) > CLOCK_STEP
    }
}

/// The former policy.
#[derive(Clone)]
pub(super) struct Former {
    pub(super) trial: Trial,
    pub(super) config: Arc<Config>,
    /// Whether it is in force again.
    pub(super) returned: bool,
}

/// The former policy that the last daemon left, if it left one.
pub(super) fn open(dir: &Path) -> anyhow::Result<Option<Former>> {
    for (name, returned) in [(WAITING, false), (RETURNED, true)] {
        let path = dir.join(name);
        match read(&path) {
            Ok((trial, config)) => return Ok(Some(Former { trial, config: Arc::new(config), returned })),
            Err(error) if missing(&error) => {}
            Err(error) => {
                let path = path.display();
                return Err(error.context(format!(
                    "a reload was not confirmed, and the policy to go back to, {path}, cannot be read; what the kernel \
                     enforces stays as it is. To start with the policy file instead, move it away (mv {path} {path}.damaged)"
                )));
            }
        }
    }
    Ok(None)
}

fn missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read(path: &Path) -> anyhow::Result<(Trial, Config)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let mut lines = BufReader::new(file).lines();
    let first = lines.next().context("it is empty")??;
    let trial = serde_json::from_str(&first).context("its first line")?;
    Ok((trial, snapshot::read(lines)?))
}

/// Writes a former policy, whole and durable, or changes nothing.
pub(super) fn keep(dir: &Path, former: &Former) -> io::Result<()> {
    let path = dir.join(if former.returned { RETURNED } else { WAITING });
    let new = path.with_extension("new");
    remove(&new)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let mut writer = BufWriter::new(file);
    writeln!(writer, "{}", serde_json::to_string(&former.trial)?)?;
    for line in snapshot::lines(Arc::clone(&former.config)) {
        writeln!(writer, "{line}")?;
    }
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(&new, &path)?;
    sync(dir)
}

/// Notes that the former policy is in force again.
pub(super) fn returned(dir: &Path) -> io::Result<()> {
    fs::rename(dir.join(WAITING), dir.join(RETURNED))?;
    sync(dir)
}

/// Removes the policy to go back to from a state directory: what is in force stays, and the next start reads the file.
///
/// # Errors
///
/// Where it is there and cannot be removed.
pub fn forget(dir: &Path) -> io::Result<()> {
    let names = [WAITING, RETURNED].map(|name| dir.join(name));
    if !names.iter().any(|path| path.symlink_metadata().is_ok()) {
        return Ok(());
    }
    names.iter().try_for_each(|path| remove(path))?;
    sync(dir)
}

/// The files that [`forget`] removes, for an error that says what to do.
pub(super) fn files(dir: &Path) -> [PathBuf; 2] {
    [dir.join(WAITING), dir.join(RETURNED)]
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn former() -> Former {
        let second = |second| Timestamp::from_second(second).unwrap();
        Former {
            trial: Trial { since: second(100), until: second(160), who: "noc".into() },
            config: Arc::new(crate::config::built_in().unwrap()),
            returned: false,
        }
    }

    #[test]
    fn what_was_kept_is_there_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        assert!(open(dir.path()).unwrap().is_none());
        keep(dir.path(), &former()).unwrap();
        let found = open(dir.path()).unwrap().unwrap();
        assert_eq!((&found.trial, &found.config, found.returned), (&former().trial, &former().config, false));
        returned(dir.path()).unwrap();
        assert!(open(dir.path()).unwrap().unwrap().returned);
        forget(dir.path()).unwrap();
        assert!(open(dir.path()).unwrap().is_none());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_crash_at_any_octet_leaves_the_last_whole_one() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &former()).unwrap();
        let whole = fs::read(dir.path().join(WAITING)).unwrap();
        let new = dir.path().join(WAITING).with_extension("new");
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(&new, &whole[..cut]).unwrap();
            assert!(open(dir.path()).unwrap().is_some());
            keep(dir.path(), &former()).unwrap();
        }
        assert_eq!(fs::read(dir.path().join(WAITING)).unwrap(), whole);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &former()).unwrap();
        let path = dir.path().join(WAITING);
        let whole = fs::read(&path).unwrap();
        for damaged in [&b""[..], b"\0\0", &whole[..whole.len() / 2], &whole[..whole.len() - 5]] {
            fs::write(&path, damaged).unwrap();
            let error = format!("{:#}", open(dir.path()).err().unwrap());
            assert!(error.contains("mv ") && error.contains(WAITING), "{error}");
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(open(dir.path()).is_err(), "a link is not followed");
    }

    #[test]
    fn time_is_over_at_its_end_and_where_the_clock_cannot_tell() {
        let trial = former().trial;
        for (second, over) in [(39, true), (40, false), (100, false), (159, false), (160, true), (1_000_000, true)] {
            assert_eq!(trial.is_over(Timestamp::from_second(second).unwrap()), over, "{second}");
        }
    }
}
