//! Entries of the policy file that change nothing, because others say the same of the same numbers, or win over them
//! everywhere. Lists in files of their own are looked at as what may cover an entry, and not told about: lists that others
//! keep overlap each other as they please.

use std::collections::{BTreeSet, HashMap};

use super::{
    Entry, Profile,
    problem::{Complaint, Report},
};
use crate::{numbering, what::What};

/// Warnings of this kind told of one profile.
const TOLD: usize = 20;

/// What an entry says; on a tie the greater wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Say {
    Allow,
    Block,
}

impl Say {
    const fn list(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

/// An entry, and how many digits of a number it names.
type Weighed<'a> = (usize, Say, &'a Entry);

/// Tells of the entries that `block` and `allow` of the file have for this profile.
pub(super) fn entries(report: &mut Report<'_>, profile: &Profile, block: &[Entry], allow: &[Entry]) {
    let block = block.iter().map(|entry| (Say::Block, entry));
    let mut own: Vec<(Say, &Entry)> = block.chain(allow.iter().map(|entry| (Say::Allow, entry))).collect();
    // The longest first: of two that say the same, the shorter covers more and stays.
    own.sort_by_key(|(_, entry)| match &entry.what {
        What::Prefix(digits) | What::Dial(digits) => usize::MAX - digits.len(),
        _ => usize::MAX,
    });
    let listed = listed(profile, &own);
    let index = Index::new(profile, &own, &listed);
    let mut told = Vec::new();
    for (say, entry) in own {
        if told.len() == TOLD {
            break;
        }
        if let Some(complaint) = impossible(entry).or_else(|| index.idle(say, entry, &told)) {
            report.warn_at_place(&entry.place, complaint);
            told.push(&entry.what);
        }
    }
}

/// What no number can match.
fn impossible(entry: &Entry) -> Option<Complaint> {
    match &entry.what {
        What::Prefix(digits) => {
            let range = numbering::lookup(digits)?;
            let most = usize::from(range.max);
            (most > 0 && digits.len() > most).then(|| {
                Complaint::new(
                    format!(
                        "+{digits} can never match: numbers that begin with +{} have at most {most} digits",
                        range.prefix
                    ),
                    format!("write +{}, or look for a digit too many", digits.get(..most).unwrap_or(digits)),
                )
            })
        }
        What::Country(code) => numbering::prefixes_of_country(code).is_empty().then(|| {
            let name = numbering::country_name(code).unwrap_or("this country");
            Complaint::new(
                format!("{code} can never match: {name} has no numbers of its own"),
                "remove it, or name the prefix that you mean, such as +232",
            )
        }),
        What::Dial(_) | What::Source(_) | What::Class(_) | What::Line(_) => None,
    }
}

/// The entries of a profile that may meet those of the file.
struct Index<'a> {
    prefixes: HashMap<&'a str, Vec<(Say, &'a Entry)>>,
    dialled: HashMap<&'a str, Vec<(Say, &'a Entry)>>,
    countries: HashMap<&'a str, Vec<(Say, &'a Entry)>>,
}

impl<'a> Index<'a> {
    /// Only heads of what the file names are kept.
    fn new(profile: &'a Profile, own: &[(Say, &'a Entry)], listed: &'a [Entry]) -> Self {
        let (mut prefixes, mut dialled, mut countries) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (_, entry) in own {
            match &entry.what {
                What::Dial(keys) => dialled.extend(heads(keys).map(|head| (head, Vec::new()))),
                what => prefixes.extend(points(what).into_iter().flat_map(heads).map(|head| (head, Vec::new()))),
            }
        }
        for (say, list) in [(Say::Block, &*profile.block), (Say::Block, listed), (Say::Allow, &profile.allow)] {
            for entry in list {
                let found = match &entry.what {
                    What::Prefix(digits) => prefixes.get_mut(digits.as_str()),
                    What::Dial(keys) => dialled.get_mut(keys.as_str()),
                    What::Country(code) => Some(countries.entry(code.as_str()).or_insert_with(Vec::new)),
                    What::Source(_) | What::Class(_) | What::Line(_) => None,
                };
                if let Some(found) = found {
                    found.push((say, entry));
                }
            }
        }
        Self { prefixes, dialled, countries }
    }

    /// Why an entry decides nothing, or nothing that would not be decided so without it. `told` are left out: of two that
    /// cover each other one must stay.
    fn idle(&self, say: Say, entry: &Entry, told: &[&What]) -> Option<Complaint> {
        let what = &entry.what;
        let mut covers = None;
        let mut wins = None;
        for point in points(what) {
            let length = match what {
                What::Prefix(digits) => digits.len(),
                _ => point.len(),
            };
            let (longer, said, other) = self.best(what, point, told)?;
            if said == say {
                covers = covers.or(Some(other));
            } else if (longer, said) > (length, say) {
                wins = wins.or(Some((other, said)));
            } else {
                return None;
            }
        }
        let list = say.list();
        if let Some(Entry { what: other, place, .. }) = covers {
            let message = format!("{what} changes nothing: {other}, at {place}, is in {list} too and covers it");
            return Some(Complaint::new(message, "remove it"));
        }
        let (Entry { what: other, place, .. }, said) = wins?;
        let message = format!(
            "{what} is in {list} and never decides: {other}, at {place}, is in {} and wins for the same numbers",
            said.list()
        );
        Some(Complaint::new(message, "remove one of the two"))
    }

    /// Of the other entries, the one that decides about what begins with `point`.
    fn best(&self, what: &What, point: &str, told: &[&What]) -> Option<Weighed<'a>> {
        let counts = |entry: &Entry| entry.what != *what && !told.contains(&&entry.what);
        let map = if matches!(what, What::Dial(_)) { &self.dialled } else { &self.prefixes };
        let by_head = heads(point).flat_map(|head| map.get(head).into_iter().flatten().map(move |it| (head.len(), it)));
        let country = match what {
            What::Dial(_) => None,
            _ => numbering::lookup(point).and_then(|range| Some((range.prefix.len(), range.country?))),
        };
        let by_country = country
            .into_iter()
            .flat_map(|(length, code)| self.countries.get(code).into_iter().flatten().map(move |it| (length, it)));
        let all = by_head.chain(by_country).filter(|(_, (_, entry))| counts(entry));
        all.map(|(length, (say, entry))| (length, *say, *entry)).max_by_key(|(length, say, _)| (*length, *say))
    }
}

/// Where the numbers that an entry names begin to differ: its own digits, and every range of the numbering plan in it.
fn points(what: &What) -> Vec<&str> {
    match what {
        What::Prefix(digits) => {
            let inner = numbering::ranges().iter().map(|range| range.prefix);
            let inner = inner.filter(|prefix| prefix.len() > digits.len() && prefix.starts_with(digits.as_str()));
            std::iter::once(digits.as_str()).chain(inner).collect()
        }
        What::Dial(keys) => vec![keys],
        What::Country(code) => numbering::prefixes_of_country(code),
        What::Source(_) | What::Class(_) | What::Line(_) => Vec::new(),
    }
}

/// What lists in files of their own say of heads of what the file names; they can hold a million others.
fn listed(profile: &Profile, own: &[(Say, &Entry)]) -> Vec<Entry> {
    let mut found = Vec::new();
    for list in &profile.block_files {
        let points = own.iter().flat_map(|(_, entry)| match &entry.what {
            What::Dial(_) => Vec::new(),
            what => points(what),
        });
        let heads: BTreeSet<&str> = points.flat_map(heads).collect();
        found.extend(heads.into_iter().filter_map(|head| list.find(&What::Prefix(head.to_owned()))));
        found.extend(list.other_entries());
    }
    found
}

/// Everything that `text` begins with, itself included.
fn heads(text: &str) -> impl Iterator<Item = &str> {
    (1..=text.len()).filter_map(|length| text.get(..length))
}
