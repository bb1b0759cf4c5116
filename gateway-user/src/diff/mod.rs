//! What changes from one policy to another, in the words of the policy file.

mod lists;
mod settings;

use std::fmt;

use serde::Serialize;

use crate::config::Config;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Where: `mode`, `site`, `interface.eth0`, `profile.default`, `limit.caller`.
    pub part: String,
    /// What of it: a key, or what a list or a class names, such as `+232` or `international`; null for all of it.
    pub what: Option<String>,
    /// The country of a prefix, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// How it is; null where it is not there.
    pub before: Option<String>,
    /// How it would be; null where it would not be there.
    pub after: Option<String>,
    /// The line of the list that says so, or that said so.
    pub place: Option<String>,
    /// What there is to know beside.
    pub note: Option<String>,
}

impl Change {
    /// A difference without anything beside it.
    fn new(part: impl Into<String>, what: Option<&str>, before: Option<String>, after: Option<String>) -> Self {
        let what = what.map(str::to_owned);
        Self { part: part.into(), what, country: None, before, after, place: None, note: None }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = self.country.is_some() || self.place.is_some();
        match &self.what {
            // In a list, what it is about comes first: that is what is looked for.
            Some(what) if listed => {
                f.write_str(what)?;
                if let Some(country) = self.country.as_ref().filter(|country| *country != what) {
                    write!(f, " {country}")?;
                }
            }
            Some(what) => write!(f, "{} {what}", self.part)?,
            None => f.write_str(&self.part)?,
        }
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if before == after => write!(f, ": {after}, as before")?,
            (before, after) => {
                let or_none = |side: &Option<String>| side.clone().unwrap_or_else(|| "none".to_owned());
                write!(f, ": {} -> {}", or_none(before), or_none(after))?;
            }
        }
        if let Some(note) = &self.note {
            write!(f, ", {note}")?;
        }
        if listed {
            let part = self.part.replacen('.', " ", 1);
            match &self.place {
                Some(place) => write!(f, " ({part}, {place})")?,
                None => write!(f, " ({part})")?,
            }
        }
        Ok(())
    }
}

/// Everything that changes from `before` to `after`, settings first. What the command line of the daemon says in place of
/// the file stays as it is.
pub fn changes(before: &Config, after: &Config) -> Vec<Change> {
    let mut changes = settings::changes(before, after);
    changes.extend(lists::changes(before, after));
    changes
}

#[cfg(test)]
mod tests;
