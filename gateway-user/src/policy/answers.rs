//! What the lists and classes of one profile answer, by name: for comparing policies without compiling them.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use super::{actions::class_of, say::Say};
use crate::{
    config::{Answer, Entry, ListFile, Profile},
    numbering::{self, Kind},
    what::What,
};

type Named<'a> = HashMap<&'a str, (Say, &'a Entry)>;

/// One profile, ready to be asked.
pub(crate) struct Answers<'a> {
    profile: &'a Profile,
    own_numbers: &'a [String],
    prefixes: Named<'a>,
    countries: Named<'a>,
    /// Lists in files of their own; what is above is named by the file itself.
    lists: &'a [Arc<ListFile>],
    dialled: Named<'a>,
    /// Digits of the longest prefix, and keys of the longest dialled string.
    longest: (usize, usize),
}

impl<'a> Answers<'a> {
    pub(crate) fn new(profile: &'a Profile, own_numbers: &'a [String]) -> Self {
        let (mut prefixes, mut countries, mut dialled) = (Named::new(), Named::new(), Named::new());
        let mut longest = (0, 0);
        for (list, say) in [(&profile.allow, Say::Allow), (&profile.block, Say::Block)] {
            for entry in list {
                let (map, name) = match &entry.what {
                    What::Prefix(digits) => {
                        longest.0 = longest.0.max(digits.len());
                        (&mut prefixes, digits)
                    }
                    What::Dial(keys) => {
                        longest.1 = longest.1.max(keys.len());
                        (&mut dialled, keys)
                    }
                    What::Country(code) => (&mut countries, code),
                    What::Source(_) | What::Class(_) | What::Line(_) => continue,
                };
                // Block comes second: on a tie it holds.
                map.entry(name.as_str()).and_modify(|known| known.0 = say).or_insert((say, entry));
            }
        }
        let lists = &profile.block_files;
        Self { profile, own_numbers, prefixes, countries, lists, dialled, longest }
    }

    /// What happens to a number that begins so, where nothing longer says otherwise: `allow`, `monitor` or `block`.
    pub(crate) fn number(&self, digits: &str) -> &'static str {
        let range = numbering::lookup(digits);
        let prefix = longest(&self.prefixes, digits, self.longest.0);
        let country = range.and_then(|range| {
            let what = What::Country(range.country?.to_owned());
            Some((range.prefix.len(), self.said(&what)?))
        });
        let listed = self.lists.iter().filter_map(|list| list.longest(digits)).filter_map(|entry| match entry.what {
            What::Prefix(digits) => Some((digits.len(), Say::Block)),
            _ => None,
        });
        if let Some((_, say)) = prefix.max(country).max(listed.max()) {
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
        let listed =
            self.lists.iter().filter_map(|list| list.longest_dial(keys)).filter_map(|entry| match entry.what {
                What::Dial(keys) => Some((keys.len(), Say::Block)),
                _ => None,
            });
        longest(&self.dialled, keys, self.longest.1).max(listed.max()).map(|(_, say)| said(say))
    }

    fn exactly(&self, what: &What) -> Option<&(Say, &'a Entry)> {
        match what {
            What::Prefix(digits) => self.prefixes.get(digits.as_str()),
            What::Dial(keys) => self.dialled.get(keys.as_str()),
            What::Country(code) => self.countries.get(code.as_str()),
            What::Source(_) | What::Class(_) | What::Line(_) => None,
        }
    }

    /// The entry that names exactly this.
    pub(crate) fn entry(&self, what: &What) -> Option<Cow<'a, Entry>> {
        let own = self.exactly(what).map(|(_, entry)| Cow::Borrowed(*entry));
        own.or_else(|| self.lists.iter().find_map(|list| list.find(what)).map(Cow::Owned))
    }

    fn said(&self, what: &What) -> Option<Say> {
        let listed = || self.lists.iter().any(|list| list.find(what).is_some());
        match self.exactly(what).map(|(say, _)| *say) {
            Some(Say::Block) => Some(Say::Block),
            own => {
                if listed() {
                    Some(Say::Block)
                } else {
                    own
                }
            }
        }
    }

    /// Which lists name exactly this: `block` where both do.
    pub(crate) fn listed(&self, what: &What) -> Option<&'static str> {
        self.said(what).map(said)
    }

    /// Everything that its lists name, but for files that `other` has as well: they say the same of what they name.
    pub(crate) fn named(&self, other: &Self) -> impl Iterator<Item = What> {
        let all = self.countries.values().chain(self.prefixes.values()).chain(self.dialled.values());
        let lists = self.lists.iter().filter(|list| !other.lists.contains(list));
        all.map(|(_, entry)| entry.what.clone()).chain(lists.flat_map(|list| list.entries().map(|entry| entry.what)))
    }
}

/// The longest head of `text` that is named, of at most `most` octets.
fn longest(named: &Named<'_>, text: &str, most: usize) -> Option<(usize, Say)> {
    let heads = (1..=text.len().min(most)).rev().filter_map(|length| text.get(..length));
    heads.into_iter().find_map(|head| named.get(head).map(|(say, _)| (head.len(), *say)))
}

const fn said(say: Say) -> &'static str {
    match say {
        Say::Allow => "allow",
        Say::Block => "block",
    }
}
