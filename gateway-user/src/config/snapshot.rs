//! A whole policy as lines of JSON: how the daemon hands out the one in force, and keeps the one to go back to.
//!
//! The first line is the policy without its lists, the last one counts their entries, and each in between is one entry,
//! so that a list of a million needs no more memory than itself.

use std::{error::Error, path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Config, EXAMPLE_NAME, Entry, ListFile, ListWriter, Profile};
use crate::what::What;

/// Format of the lines; another one is refused.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head<C> {
    format: u32,
    config: C,
}

/// What any version's first line begins with.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Line {
    Entry {
        /// Place of the profile in the policy.
        profile: usize,
        allow: bool,
        what: What,
        place: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Last {
        entries: usize,
    },
}

/// Why lines are no policy.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// They cannot be had.
    #[error("{0}")]
    Read(Box<dyn Error + Send + Sync>),
    /// They mean nothing to this version.
    #[error("line {line} cannot be read: {cause}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// Why.
        cause: serde_json::Error,
    },
    /// They end too early, or more come than were counted.
    #[error("the policy is not whole")]
    Cut,
    /// Another version wrote them.
    #[error("the policy was written in format {0}, and this version reads format {FORMAT}")]
    Format(u32),
}

/// The lines of a policy, without line ends.
pub fn lines(config: Arc<Config>) -> impl Iterator<Item = String> + Send {
    let head = serde_json::to_string(&Head { format: FORMAT, config: &*config });
    let count = |config: &Config| config.profiles.iter().map(Profile::entries).sum();
    let last = serde_json::to_string(&Line::Last { entries: count(&config) });
    let profiles = config.profiles.len();
    let entries = (0..profiles).flat_map(move |profile| {
        let config = Arc::clone(&config);
        let all = config.profiles[profile].entries();
        (0..all).filter_map(move |place| {
            let (allow, entry) = config.profiles[profile].entry(place)?;
            let Entry { what, place, reason } = entry.into_owned();
            Some(serde_json::to_string(&Line::Entry { profile, allow, what, place, reason }))
        })
    });
    // Nothing of a policy is a map with odd keys, the one thing that JSON cannot hold; a line lost would be counted.
    std::iter::once(head).chain(entries).chain(std::iter::once(last)).filter_map(Result::ok)
}

/// The policy that [`lines`] wrote.
///
/// # Errors
///
/// Where a line is missing, is too many or cannot be read.
pub fn read<E: Error + Send + Sync + 'static>(
    mut lines: impl Iterator<Item = Result<String, E>>,
) -> Result<Config, SnapshotError> {
    let head = lines.next().ok_or(SnapshotError::Cut)?.map_err(|cause| SnapshotError::Read(cause.into()))?;
    let unreadable = |line| move |cause| SnapshotError::Line { line, cause };
    let Format { format } = serde_json::from_str(&head).map_err(unreadable(1))?;
    if format != FORMAT {
        return Err(SnapshotError::Format(format));
    }
    let Head { mut config, .. } = serde_json::from_str::<Head<Config>>(&head).map_err(unreadable(1))?;
    let mut found = 0;
    let own = config.path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let own = own.unwrap_or_else(|| EXAMPLE_NAME.to_owned());
    let mut lists: Vec<(usize, String, ListWriter)> = Vec::new();
    for (text, line) in lines.by_ref().zip(2..) {
        let text = text.map_err(|cause| SnapshotError::Read(cause.into()))?;
        match serde_json::from_str(&text).map_err(unreadable(line))? {
            Line::Entry { profile, allow, what, place, reason } => {
                let it = config.profiles.get_mut(profile).ok_or(SnapshotError::Cut)?;
                found += 1;
                let (file, number) = place.rsplit_once(':').unwrap_or((&place, ""));
                match number.parse() {
                    Ok(number) if !allow && file != own => {
                        let list = list_of(&mut lists, profile, file);
                        list.add(what, number, reason.as_deref());
                    }
                    _ if allow => it.allow.push(Entry { what, place, reason }),
                    _ => it.block.push(Entry { what, place, reason }),
                }
            }
            Line::Last { entries } if entries == found => {
                give(&mut config, lists);
                return Ok(config);
            }
            Line::Last { .. } => break,
        }
    }
    Err(SnapshotError::Cut)
}

/// The list in a file of its own that a profile has.
fn list_of<'l>(lists: &'l mut Vec<(usize, String, ListWriter)>, profile: usize, file: &str) -> &'l mut ListWriter {
    // The entries of one list come one after the other, so it is nearly always the last.
    let known = lists.iter().rposition(|(of, name, _)| *of == profile && name == file);
    let place = known.unwrap_or_else(|| {
        lists.push((profile, file.to_owned(), ListWriter::new(file)));
        lists.len() - 1
    });
    &mut lists[place].2
}

/// Gives the profiles their lists; equal ones are shared again.
fn give(config: &mut Config, lists: Vec<(usize, String, ListWriter)>) {
    let mut shared: Vec<Arc<ListFile>> = Vec::new();
    for (profile, _, writer) in lists {
        let list = writer.finish();
        let list = match shared.iter().find(|known| ***known == list) {
            Some(known) => Arc::clone(known),
            None => Arc::new(list),
        };
        shared.push(Arc::clone(&list));
        if let Some(profile) = config.profiles.get_mut(profile) {
            profile.block_files.push(list);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, path::Path};

    use super::*;

    const POLICY: &str = r#"
mode = "enforce"
[interface.eth0]
[site]
region = "JP"
extensions = "2-5"
own_numbers = ["+81312345678"]
[profile.default]
block = ["SL", "+881", "dial:0570"]
allow = ["US"]
limits = ["caller"]
class.international = "block"
[profile.lobby]
sources = ["192.0.2.0/28", "2001:db8::/32"]
block = []
[trunk.itsp]
sources = ["203.0.113.10"]
rate = "50/s"
[limit.caller]
key = "source"
method = "INVITE"
class = "international"
rate = "10/s"
"#;

    fn config() -> Arc<Config> {
        Arc::new(crate::config::parse(POLICY, Some(Path::new("tollgate.toml")), Path::new(".")).unwrap().0)
    }

    fn again(lines: impl IntoIterator<Item = String>) -> Result<Config, SnapshotError> {
        read(lines.into_iter().map(Ok::<_, Infallible>))
    }

    #[test]
    fn a_policy_survives_the_lines() {
        let config = config();
        assert_eq!(again(lines(Arc::clone(&config))).unwrap(), *config);
    }

    #[test]
    fn a_policy_that_is_cut_is_none() {
        let all: Vec<String> = lines(config()).collect();
        for kept in 0..all.len() {
            assert!(matches!(again(all[..kept].to_vec()), Err(SnapshotError::Cut)), "{kept} of {}", all.len());
            let mut missing = all.clone();
            missing.remove(kept);
            assert!(again(missing).is_err(), "without line {kept}");
        }
        let last = all.last().unwrap();
        assert!(again(all.iter().cloned().chain([last.clone()])).is_ok(), "what follows the end is not read");
    }

    #[test]
    fn what_another_version_wrote_is_refused() {
        let mut all: Vec<String> = lines(config()).collect();
        all[0] = all[0].replace("\"format\":1", "\"format\":2");
        let refused = again(all.clone()).unwrap_err();
        assert!(matches!(refused, SnapshotError::Format(2)), "{refused}");
        all[0] = all[0].replace("\"format\":2", "\"format\":1").replace("\"floor\"", "\"flaw\"");
        assert!(matches!(again(all.clone()).unwrap_err(), SnapshotError::Line { line: 1, .. }));
        all[1] = "\0".into();
        assert!(again(all).is_err());
    }
}
