//! The lists of the profiles, sorted for a question about one number: an event must not walk a million entries.

use std::{borrow::Cow, collections::HashMap, sync::OnceLock};

use super::say::Say;
use crate::{
    config::{Config, Entry, Profile},
    numbering,
    what::What,
};

/// An entry, and what it says.
pub(super) type Found<'c> = (Say, Cow<'c, Entry>);

/// The lists of one policy. Those in files of their own are sorted already; those of a profile are sorted when they are first asked.
#[derive(Debug)]
pub struct Lists(Vec<OnceLock<Sorted>>);

/// Places of the entries of one profile, `block` before `allow`, by what they name.
#[derive(Debug)]
struct Sorted {
    prefixes: Vec<u32>,
    dials: Vec<u32>,
    countries: HashMap<String, u32>,
}

impl Lists {
    /// Those of `config`, which must be the one that is named in every question.
    pub fn new(config: &Config) -> Self {
        Self(config.profiles.iter().map(|_| OnceLock::new()).collect())
    }

    /// The entry on what is dialled that decides: the longest; on a tie block.
    pub(super) fn dial<'c>(&self, config: &'c Config, profile: &Profile, dialled: &str) -> Option<Found<'c>> {
        let (sorted, profile) = self.sorted(config, profile)?;
        let own = longest(&sorted.dials, dialled, |place| head(profile, place));
        let own = own.and_then(|(length, place)| Some((length, entry(profile, place)?)));
        let listed = profile.block_files.iter().filter_map(|list| list.longest_dial(dialled));
        heaviest(own.into_iter().chain(listed.map(|entry| (digits(&entry), (Say::Block, Cow::Owned(entry))))))
    }

    /// The entry on the number that decides: the longest prefix, a country counting as the range that it has the number
    /// by; on a tie block.
    pub(super) fn number<'c>(&self, config: &'c Config, profile: &Profile, number: &str) -> Option<Found<'c>> {
        let (sorted, profile) = self.sorted(config, profile)?;
        let prefix = longest(&sorted.prefixes, number, |place| head(profile, place));
        let range = numbering::lookup(number).and_then(|range| Some((range.prefix.len(), range.country?)));
        let country = range.and_then(|(length, code)| Some((length, *sorted.countries.get(code)?)));
        // Where both weigh the same the first in the file is told.
        let mut own: Vec<(usize, u32)> = prefix.into_iter().chain(country).collect();
        own.sort_unstable_by_key(|(_, place)| *place);
        let own = own.into_iter().filter_map(|(length, place)| Some((length, entry(profile, place)?)));
        let listed = profile.block_files.iter().flat_map(|list| {
            let prefix = list.longest(number).map(|entry| (digits(&entry), entry));
            let country = range.and_then(|(length, code)| Some((length, list.find(&What::Country(code.to_owned()))?)));
            prefix.into_iter().chain(country)
        });
        let listed = listed.map(|(length, entry)| (length, (Say::Block, Cow::Owned(entry))));
        heaviest(own.chain(listed))
    }

    fn sorted<'c>(&self, config: &'c Config, profile: &Profile) -> Option<(&Sorted, &'c Profile)> {
        let at = config.profiles.iter().position(|known| known.name == profile.name)?;
        let profile = config.profiles.get(at)?;
        Some((self.0.get(at)?.get_or_init(|| Sorted::new(profile)), profile))
    }
}

impl Sorted {
    fn new(profile: &Profile) -> Self {
        let (mut prefixes, mut dials, mut countries) = (Vec::new(), Vec::new(), HashMap::new());
        for (place, entry) in (0..).zip(profile.block.iter().chain(&profile.allow)) {
            match &entry.what {
                What::Prefix(_) => prefixes.push(place),
                What::Dial(_) => dials.push(place),
                What::Country(code) => {
                    countries.entry(code.clone()).or_insert(place);
                }
                What::Source(_) | What::Class(_) | What::Line(_) => {}
            }
        }
        for places in [&mut prefixes, &mut dials] {
            // Stable, so of two that name the same the first, and block before allow, stays in front.
            places.sort_by(|&a, &b| head(profile, a).cmp(head(profile, b)));
        }
        Self { prefixes, dials, countries }
    }
}

/// Of those that weigh the same the first.
fn heaviest<'c>(found: impl Iterator<Item = (usize, Found<'c>)>) -> Option<Found<'c>> {
    let weight = |(length, (say, _)): &(usize, Found<'_>)| (*length, *say);
    found.reduce(|best, next| if weight(&next) > weight(&best) { next } else { best }).map(|(_, found)| found)
}

/// How many digits or keys an entry names.
fn digits(entry: &Entry) -> usize {
    match &entry.what {
        What::Prefix(text) | What::Dial(text) => text.len(),
        _ => 0,
    }
}

/// The longest of the sorted entries that `text` begins with: how long it is, and its place.
fn longest<'p>(sorted: &[u32], text: &str, head: impl Fn(u32) -> &'p str) -> Option<(usize, u32)> {
    (1..=text.len()).rev().find_map(|length| {
        let wanted = text.get(..length)?;
        let at = sorted.partition_point(|&place| head(place) < wanted);
        let place = *sorted.get(at)?;
        (head(place) == wanted).then_some((length, place))
    })
}

/// What the entry at a place names, where it names digits.
fn head(profile: &Profile, place: u32) -> &str {
    let place = place as usize;
    let entry = profile.block.get(place).or_else(|| profile.allow.get(place - profile.block.len()));
    match entry.map(|entry| &entry.what) {
        Some(What::Prefix(text) | What::Dial(text)) => text,
        _ => "",
    }
}

fn entry(profile: &Profile, place: u32) -> Option<Found<'_>> {
    let place = place as usize;
    let found = match profile.block.get(place) {
        Some(entry) => (Say::Block, entry),
        None => (Say::Allow, profile.allow.get(place - profile.block.len())?),
    };
    Some((found.0, Cow::Borrowed(found.1)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_common::Class;

    use super::*;
    use crate::{config, policy::matching::Called};

    #[test]
    fn the_same_entry_is_found_as_by_walking_the_lists() {
        let text = r#"
            [site]
            region = "JP"
            [profile.default]
            block = ["SL", "+2327", "+23276", "+44", "+1", "dial:010", "dial:0102", "GB", "+881", "+232"]
            allow = ["+232", "+2327612", "GB", "+4420", "+44", "US", "dial:010232", "+88", "SL"]
            [profile.lobby]
            sources = ["192.0.2.0/28"]
            allow = ["+23276", "FR"]
        "#;
        let (config, _) = config::parse(text, None, Path::new(".")).unwrap();
        let lists = Lists::new(&config);
        let mut found = 0;
        for profile in &config.profiles {
            for digits in
                ["", "2", "23", "232", "2327", "23276", "2327612345", "232991", "4420718", "44151", "1202", "336"]
            {
                for code in ["", "0", "010", "+"] {
                    let dialled = format!("{code}{digits}");
                    let called =
                        Called { class: Class::International, dialled: &dialled, digits, profile, from: None, line: 0 };
                    let walked = called.entry(|what| matches!(what, What::Prefix(_) | What::Country(_)));
                    assert_eq!(lists.number(&config, profile, digits), walked, "{digits} in {}", profile.name);
                    let walked = called.entry(|what| matches!(what, What::Dial(_)));
                    assert_eq!(lists.dial(&config, profile, &dialled), walked, "{dialled} in {}", profile.name);
                    found += usize::from(walked.is_some());
                }
            }
        }
        assert!(found > 20, "{found} of them are named by an entry");
    }
}
