//! What this machine lacks, and what to do about it.

mod drivers;
mod interface;
pub(crate) mod kernel;
pub(crate) mod rtnetlink;

use std::path::Path;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, such as `kernel` or `driver`.
    pub name: &'static str,
    /// The interface, where it is about one.
    pub subject: Option<String>,
    /// How it stands.
    pub grade: Grade,
    /// What was found.
    pub finding: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As it should be.
    Good,
    /// It works, and there is something to know.
    Note,
    /// It keeps Tollgate from working.
    Bad,
}

impl Grade {
    /// The name used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "bad",
        }
    }
}

impl Check {
    fn good(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, subject: None, grade: Grade::Good, finding: finding.into(), remedy: None }
    }

    fn note(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Note, remedy: Some(remedy.into()), ..Self::good(name, finding) }
    }

    fn bad(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { grade: Grade::Bad, remedy: Some(remedy.into()), ..Self::good(name, finding) }
    }

    fn of(self, subject: &str) -> Self {
        Self { subject: Some(subject.to_owned()), ..self }
    }
}

/// Looks at the kernel, the privilege, the place for pins, and at `interfaces`; at all that are up where none is named.
pub fn examine(pin_dir: &Path, interfaces: &[String]) -> Vec<Check> {
    let mut checks = vec![kernel::version(), kernel::jit(), kernel::privilege(), kernel::pins(pin_dir)];
    match rtnetlink::links() {
        Ok(links) => {
            if interfaces.is_empty() {
                let up = links.iter().filter(|link| link.up && !link.loopback);
                checks.extend(up.flat_map(|link| interface::examine(&link.name, Some(link))));
            } else {
                checks.extend(
                    interfaces
                        .iter()
                        .flat_map(|name| interface::examine(name, links.iter().find(|link| link.name == *name))),
                );
            }
        }
        Err(error) => checks.push(Check::bad(
            "interfaces",
            format!("the kernel does not list its interfaces: {error}"),
            "run it where a netlink socket may be opened; a container or a seccomp filter may forbid it",
        )),
    }
    checks
}
