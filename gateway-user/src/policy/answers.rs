//! What the lists and classes of one profile answer, by name: for comparing policies without compiling them.

use std::collections::HashMap;

use super::{actions::class_of, say::Say};
use crate::{
    config::{Answer, Entry, Profile},
    numbering::{self, Kind},
    what::What,
};

/// One profile, ready to be asked.
pub(crate) struct Answers<'a> {
    profile: &'a Profile,
    own_numbers: &'a [String],
    entries: HashMap<&'a What, (Say, &'a Entry)>,
    /// Digits of the longest prefix, and keys of the longest dialled string.
    longest: (usize, usize),
}

impl<'a> Answers<'a> {
    pub(crate) fn new(profile: &'a Profile, own_numbers: &'a [String]) -> Self {
        let mut entries: HashMap<&What, (Say, &Entry)> = HashMap::new();
        let mut longest = (0, 0);
        for (list, say) in [(&profile.allow, Say::Allow), (&profile.block, Say::Block)] {
            for entry in list {
                match &entry.what {
                    What::Prefix(digits) => longest.0 = longest.0.max(digits.len()),
                    What::Dial(keys) => longest.1 = longest.1.max(keys.len()),
                    _ => {}
                }
                // Block comes second: on a tie it holds.
                entries.entry(&entry.what).and_modify(|known| known.0 = say).or_insert((say, entry));
            }
        }
        Self { profile, own_numbers, entries, longest }
    }

    /// What happens to a number that begins so, where nothing longer says otherwise: `allow`, `monitor` or `block`.
    pub(crate) fn number(&self, digits: &str) -> &'static str {
        let range = numbering::lookup(digits);
        let longest = digits.len().min(self.longest.0);
        let heads = (1..=longest).rev().filter_map(|length| digits.get(..length));
        let prefix = heads.into_iter().find_map(|head| {
            let (say, _) = self.entries.get(&What::Prefix(head.to_owned()))?;
            Some((head.len(), *say))
        });
        let country = range.and_then(|range| {
            let (say, _) = self.entries.get(&What::Country(range.country?.to_owned()))?;
            Some((range.prefix.len(), *say))
        });
        if let Some((_, say)) = prefix.max(country) {
            return said(say);
        }
        let own = self.own_numbers.iter().any(|own| digits.starts_with(own.as_str()));
        let class = class_of(&self.profile.region, own, range);
        match (self.profile.class[class as usize], range.map(|range| range.kind)) {
            (Answer::Block, Some(Kind::UnassignedArea)) => Answer::Monitor.as_str(),
            (answer, _) => answer.as_str(),
        }
    }

    /// What happens to a dialled string that begins so before its number is looked at; `None` where no entry matches.
    pub(crate) fn dialled(&self, keys: &str) -> Option<&'static str> {
        let heads = (1..=keys.len().min(self.longest.1)).rev().filter_map(|length| keys.get(..length));
        heads.into_iter().find_map(|head| self.entries.get(&What::Dial(head.to_owned()))).map(|(say, _)| said(*say))
    }

    /// The entry that names exactly this.
    pub(crate) fn entry(&self, what: &What) -> Option<&'a Entry> {
        self.entries.get(what).map(|(_, entry)| *entry)
    }

    /// Which lists name exactly this: `block` where both do.
    pub(crate) fn listed(&self, what: &What) -> Option<&'static str> {
        self.entries.get(what).map(|(say, _)| said(*say))
    }

    /// Everything that its lists name.
    pub(crate) fn named(&self) -> impl Iterator<Item = &'a What> {
        self.entries.keys().copied()
    }
}

const fn said(say: Say) -> &'static str {
    match say {
        Say::Allow => "allow",
        Say::Block => "block",
    }
}
