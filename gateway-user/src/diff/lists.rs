//! What lists and classes of a profile answer now, and would answer: by country, prefix, dialled string and class.

use std::collections::BTreeMap;

use gateway_common::Class;

use super::Change;
use crate::{
    config::{Config, Profile, Scheduled},
    numbering,
    policy::Answers,
    what::What,
};

/// The profiles of both policies, each with its like. The sources of a profile that is new belonged to the default one
/// before, and those of one that is gone belong to it from then on.
pub(super) fn changes(before: &Config, after: &Config) -> Vec<Change> {
    let mut out = Vec::new();
    for old in &before.profiles {
        if let Some(new) = profile_of(after, &old.name).or(after.profiles.first()) {
            profile(&mut out, &old.name, (before, old), (after, new));
        }
    }
    for new in after.profiles.iter().filter(|new| profile_of(before, &new.name).is_none()) {
        if let Some(old) = before.profiles.first() {
            profile(&mut out, &new.name, (before, old), (after, new));
        }
    }
    out
}

fn profile_of<'c>(config: &'c Config, name: &str) -> Option<&'c Profile> {
    config.profiles.iter().find(|profile| profile.name == name)
}

fn profile(out: &mut Vec<Change>, name: &str, before: (&Config, &Profile), after: (&Config, &Profile)) {
    let part = format!("profile.{name}");
    for class in Class::ALL {
        let (old, new) = (before.1.class[class as usize], after.1.class[class as usize]);
        if old != new {
            let words = [old, new].map(|answer| Some(answer.as_str().to_owned()));
            let [old, new] = words;
            out.push(Change::new(&part, Some(&format!("class.{}", class.as_str())), old, new));
        }
    }
    let old = Answers::new(before.1, &before.0.site.own_numbers);
    let new = Answers::new(after.1, &after.0.site.own_numbers);
    scheduled(out, &part, before.1, after.1);
    let gone = old.named(&new).filter(|what| new.listed(what).is_none());
    let came = new.named(&old).filter(|what| new.listed(what) != old.listed(what));
    let mut changed: Vec<What> = came.chain(gone).collect();
    changed.sort_by_cached_key(|what| (order(what), what.to_string()));
    changed.dedup();
    for what in &changed {
        entry(out, &part, what, &old, &new);
    }
}

/// Entries that hold by a schedule, as they are written: what they answer depends on the time.
fn scheduled(out: &mut Vec<Change>, part: &str, before: &Profile, after: &Profile) {
    let same =
        |a: &Scheduled, b: &Scheduled| (a.allow, &a.entry.what, &a.schedule) == (b.allow, &b.entry.what, &b.schedule);
    let lacking = |of: &Profile, other: &Profile| -> Vec<Scheduled> {
        of.scheduled.iter().filter(|it| !other.scheduled.iter().any(|known| same(it, known))).cloned().collect()
    };
    let mut tell = |it: &Scheduled, before: Option<String>, after: Option<String>| {
        let change = Change::new(part, Some(&it.entry.what.to_string()), before, after);
        out.push(Change { place: Some(it.entry.place.clone()), ..change });
    };
    let words = |it: &Scheduled| Some(format!("{} by schedule {}", it.list(), it.schedule));
    for it in lacking(before, after) {
        tell(&it, words(&it), None);
    }
    for it in lacking(after, before) {
        tell(&it, None, words(&it));
    }
}

/// Countries first, then prefixes, then dialled strings.
const fn order(what: &What) -> u8 {
    match what {
        What::Country(_) => 0,
        What::Prefix(_) => 1,
        _ => 2,
    }
}

/// One thing that the lists name otherwise than before.
fn entry(out: &mut Vec<Change>, part: &str, what: &What, old: &Answers<'_>, new: &Answers<'_>) {
    let place = new.entry(what).or(old.entry(what)).map(|entry| entry.place.clone());
    let mut tell = |before: Option<&str>, after: Option<&str>, country: Option<&str>, note: Option<String>| {
        let words = [before, after].map(|word| word.map(str::to_owned));
        let [before, after] = words;
        let changed = before != after;
        let nothing = || match (old.listed(what), new.listed(what)) {
            (None, Some(list)) => format!("the entry in {list} is new and changes nothing"),
            (Some(list), None) => format!("the entry in {list} goes and changes nothing"),
            _ => "the entry changes its list, and nothing else".to_owned(),
        };
        out.push(Change {
            country: country.map(str::to_owned),
            place: place.clone(),
            note: if changed { note } else { Some(note.map_or_else(nothing, |note| format!("{note}; {}", nothing()))) },
            ..Change::new(part, Some(&what.to_string()), before, after)
        });
    };
    match what {
        What::Prefix(digits) => {
            let country = numbering::lookup(digits).and_then(|range| range.country);
            tell(Some(old.number(digits)), Some(new.number(digits)), country, None);
        }
        What::Dial(keys) => tell(old.dialled(keys), new.dialled(keys), None, None),
        What::Country(code) => {
            // A country is a set of prefixes, and longer entries may hold some of them back.
            let prefixes = numbering::prefixes_of_country(code);
            let mut outcomes: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
            for prefix in &prefixes {
                outcomes.entry((old.number(prefix), new.number(prefix))).or_default().push(prefix);
            }
            let whole = outcomes.len() == 1;
            let moves = outcomes.keys().any(|(before, after)| before != after);
            for ((before, after), some) in &outcomes {
                if moves && before == after {
                    continue;
                }
                let note = if whole { named(code, some) } else { some_of(code, some, prefixes.len()) };
                tell(Some(before), Some(after), Some(code), Some(note));
            }
        }
        What::Source(_) | What::Class(_) | What::Line(_) => {}
    }
}

/// Prefixes that are named one by one.
const NAMED: usize = 4;

/// `Sierra Leone, +232`; prefixes within a shorter one are left out.
fn named(code: &str, prefixes: &[&str]) -> String {
    let within = |prefix: &str| prefixes.iter().any(|other| prefix != *other && prefix.starts_with(other));
    let prefixes: Vec<&str> = prefixes.iter().copied().filter(|prefix| !within(prefix)).collect();
    let name = numbering::country_name(code).unwrap_or("unnamed");
    if prefixes.len() > NAMED {
        return format!("{name}, {} prefixes", prefixes.len());
    }
    let prefixes: Vec<String> = prefixes.iter().map(|prefix| format!("+{prefix}")).collect();
    format!("{name}, {}", prefixes.join(" "))
}

fn some_of(code: &str, prefixes: &[&str], all: usize) -> String {
    format!("{} only, of {all}", named(code, prefixes))
}
