//! What each profile does with each E.164 prefix.
//!
//! Prefixes are walked in the order of their digits, each with what it inherits from the longest one it begins with.
//! Equal outcomes share a vector; a million prefixes of one list have a few hundred.

use std::collections::HashMap;

use gateway_common::{
    Class, Reason,
    policy::image::{Action, Ruling, Vector},
};

use super::{
    off::{self, Off},
    say::{Said, Say},
    scopes::Effective,
    trie::Key,
};
use crate::{
    config::{Answer, Config, Profile},
    daemon::ActiveOrder,
    numbering::{self, Kind, Range},
    what::What,
};

/// Least number of digits where no number can be whole: a prefix of no range counts only where it is dialled exactly.
const NEVER: u8 = u8::MAX;
/// Calling codes that the floor refuses beside the unassigned ones: international premium rate and networks of no
/// country.
const FLOOR: [&str; 3] = ["979", "882", "883"];

/// Something said of one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Fact {
    /// A range of the numbering plan begins, by its place.
    Range(u32),
    /// One of the site's own numbers.
    Own,
    /// An entry of a profile's list.
    File(u8, Say),
    /// An order, by its place.
    Order(u16, Say),
}

/// What holds for a prefix; lengths are digits of the prefix that said so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    range: Option<u32>,
    own: bool,
    file: Vec<Option<(u8, Say)>>,
    orders: Vec<Option<(u8, Say)>>,
}

/// What the trie and the rows of actions are made of.
pub(super) struct Actions {
    /// Every prefix in order, with its vector.
    pub(super) prefixes: Vec<(Key, u16)>,
    /// Vectors; the first, which no prefix has, is zero.
    pub(super) vectors: Vec<Vector>,
    /// For each effective profile its actions, by vector.
    pub(super) rows: Vec<Vec<Action>>,
}

/// More vectors than the trie can number.
pub(super) struct TooMany;

/// The rules of one policy, ready to be asked.
pub(super) struct Rules<'a> {
    config: &'a Config,
    orders: &'a [ActiveOrder],
    effectives: &'a [Effective],
    /// For each profile of the file.
    profiles: Vec<ProfileRules<'a>>,
}

struct ProfileRules<'a> {
    profile: &'a Profile,
    /// Countries of its lists, block where both have one.
    countries: HashMap<&'a str, Say>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(config: &'a Config, orders: &'a [ActiveOrder], effectives: &'a [Effective]) -> Self {
        Self { config, orders, effectives, profiles: config.profiles.iter().map(ProfileRules::new).collect() }
    }

    /// Every prefix with its vector, and what each vector means to each profile.
    pub(super) fn actions(&self) -> Result<Actions, TooMany> {
        let facts = self.facts();
        let mut states = Interned::default();
        let mut groups = Interned::default();
        let mut next: HashMap<(u32, u32), u32> = HashMap::new();
        let mut outcomes = Interned::default();
        let mut by_state: Vec<Option<u32>> = Vec::new();
        let root =
            State { file: vec![None; self.profiles.len()], orders: vec![None; self.orders.len()], ..State::default() };
        let root = states.number(root);
        outcomes.number((Vector::default(), vec![Action::default(); self.effectives.len()]));
        let mut prefixes = Vec::with_capacity(facts.len());
        let mut above: Vec<(Key, u32)> = Vec::new();
        for group in facts.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(key, _)) = group.first() else { continue };
            while above.last().is_some_and(|(prefix, _)| !prefix.begins(key)) {
                above.pop();
            }
            let parent = above.last().map_or(root, |(_, state)| *state);
            let said: Vec<Option<Fact>> = group.iter().map(|(_, fact)| *fact).collect();
            let length = key.len() as u8;
            let group = groups.number((length, said));
            let state = *next.entry((parent, group)).or_insert_with(|| {
                let mut state = states.get(parent).clone();
                for fact in groups.get(group).1.iter().flatten() {
                    state.take(*fact, length);
                }
                states.number(state)
            });
            above.push((key, state));
            by_state.resize(by_state.len().max(state as usize + 1), None);
            let vector = match by_state[state as usize] {
                Some(vector) => vector,
                None => outcomes.number(self.outcome(states.get(state))),
            };
            by_state[state as usize] = Some(vector);
            prefixes.push((key, u16::try_from(vector).map_err(|_large| TooMany)?));
        }
        let outcomes = outcomes.into_values();
        let rows = (0..self.effectives.len())
            .map(|place| outcomes.iter().map(|(_, actions)| actions.get(place).copied().unwrap_or_default()).collect())
            .collect();
        Ok(Actions { prefixes, vectors: outcomes.iter().map(|(vector, _)| *vector).collect(), rows })
    }

    /// Everything that is said of any prefix, sorted. Calling codes of the profiles have a node of their own.
    fn facts(&self) -> Vec<(Key, Option<Fact>)> {
        let mut facts: Vec<(Key, Option<Fact>)> = Vec::new();
        for (place, range) in numbering::ranges().iter().enumerate() {
            facts.push((Key::new(range.prefix), Some(Fact::Range(place as u32))));
        }
        for number in &self.config.site.own_numbers {
            facts.push((Key::new(number), Some(Fact::Own)));
        }
        for (place, rules) in self.profiles.iter().enumerate() {
            if let Some(code) = numbering::region(&rules.profile.region).and_then(|region| region.calling_code) {
                facts.push((Key::new(code), None));
            }
            for (list, say) in [(&rules.profile.block, Say::Block), (&rules.profile.allow, Say::Allow)] {
                for entry in list {
                    if let What::Prefix(digits) = &entry.what {
                        facts.push((Key::new(digits), Some(Fact::File(place as u8, say))));
                    }
                }
            }
        }
        for (place, order) in self.orders.iter().enumerate() {
            for what in &order.what {
                if let What::Prefix(digits) = what {
                    let say = Say::of(order.rule).unwrap_or(Say::Allow);
                    facts.push((Key::new(digits), Some(Fact::Order(place as u16, say))));
                }
            }
        }
        facts.sort_unstable();
        facts.dedup();
        facts
    }

    fn outcome(&self, state: &State) -> (Vector, Vec<Action>) {
        let range = state.range.and_then(|place| numbering::ranges().get(place as usize));
        let country = range.and_then(|range| range.country).and_then(country_number).unwrap_or(0);
        let vector = Vector::new(country, range.map_or(NEVER, |range| range.min), range.map_or(0, |range| range.max));
        (vector, self.effectives.iter().map(|effective| self.action(effective, state, range)).collect())
    }

    fn action(&self, effective: &Effective, state: &State, range: Option<&Range>) -> Action {
        let Some(rules) = self.profiles.get(effective.profile) else { return Action::default() };
        let class = rules.class(state.own, range);
        let (file, reason) = rules.file(effective.profile, class, state, range);
        let floor = match range {
            Some(range) if self.config.floor && on_floor(range) => Ruling::Block,
            _ => Ruling::None,
        };
        let said = self.order(effective, class, state, range);
        let action =
            Action::new(class as u8, said.ruling(), floor, file, reason as u8).with(counted(said.is_watched()));
        match off::of(self.orders, effective, self.config, class, |place, order| excepted(place, order, state, range)) {
            Off::No => action,
            Off::Elsewhere => action.with(Action::LOOKS_ON),
            Off::Here => action.with(Action::OFF),
        }
    }

    /// Longest prefix, then the narrower scope, on a tie block.
    fn order(&self, effective: &Effective, class: Class, state: &State, range: Option<&Range>) -> Said {
        let mut said = Said::default();
        for (place, order) in self.orders.iter().enumerate() {
            if !effective.is_in(&order.scope, self.config) {
                continue;
            }
            let prefix = state.orders.get(place).copied().flatten().map(|(length, _)| length);
            let others = order.what.iter().filter_map(|what| match (what, range) {
                (What::Country(code), Some(range)) if range.country == Some(code) => Some(range.prefix.len() as u8),
                (What::Class(named), _) if *named == class => Some(0),
                _ => None,
            });
            if let Some(length) = others.chain(prefix).max() {
                said.take(order.rule, (length, order.scope.narrowness()));
            }
        }
        said
    }

    /// What an effective profile does with a class that stands for no number.
    pub(super) fn class_action(&self, effective: &Effective, class: Class) -> Action {
        let nothing = Action::new(class as u8, Ruling::None, Ruling::None, Ruling::None, 0);
        let Some(rules) = self.profiles.get(effective.profile) else { return nothing };
        if matches!(class, Class::None | Class::Emergency) {
            return nothing;
        }
        let mut said = Said::default();
        for given in self.orders {
            if effective.is_in(&given.scope, self.config) && given.what.contains(&What::Class(class)) {
                said.take(given.rule, (0, given.scope.narrowness()));
            }
        }
        let (file, reason) = rules.answer(class);
        let action =
            Action::new(class as u8, said.ruling(), Ruling::None, file, reason as u8).with(counted(said.is_watched()));
        if rules.profile.class[class as usize] == Answer::AsInternational { action.as_international() } else { action }
    }
}

impl State {
    fn take(&mut self, fact: Fact, length: u8) {
        let (slot, say) = match fact {
            Fact::Range(place) => {
                self.range = Some(place);
                return;
            }
            Fact::Own => {
                self.own = true;
                return;
            }
            Fact::File(profile, say) => (self.file.get_mut(usize::from(profile)), say),
            Fact::Order(order, say) => (self.orders.get_mut(usize::from(order)), say),
        };
        if let Some(slot) = slot {
            *slot = (*slot).max(Some((length, say)));
        }
    }
}

impl<'a> ProfileRules<'a> {
    fn new(profile: &'a Profile) -> Self {
        let mut countries = HashMap::new();
        for (list, say) in [(&profile.allow, Say::Allow), (&profile.block, Say::Block)] {
            for entry in list {
                if let What::Country(code) = &entry.what {
                    countries.insert(code.as_str(), say);
                }
            }
        }
        Self { profile, countries }
    }

    fn class(&self, own: bool, range: Option<&Range>) -> Class {
        class_of(&self.profile.region, own, range)
    }

    /// Longest prefix, a country counting as the range that it has the number by; on a tie block.
    fn file(&self, place: usize, class: Class, state: &State, range: Option<&Range>) -> (Ruling, Reason) {
        let prefix = state.file.get(place).copied().flatten();
        let country = range.and_then(|range| {
            let say = self.countries.get(range.country?)?;
            Some((range.prefix.len() as u8, *say))
        });
        match (prefix, country) {
            (Some(prefix), country) if Some(prefix) >= country => (prefix.1.ruling(), Reason::BlockedPrefix),
            (_, Some((_, say))) => (say.ruling(), Reason::BlockedCountry),
            _ => match (self.answer(class), range.map(|range| range.kind)) {
                ((Ruling::Block, reason), Some(Kind::UnassignedArea)) => (Ruling::Monitor, reason),
                (answer, _) => answer,
            },
        }
    }

    fn answer(&self, class: Class) -> (Ruling, Reason) {
        let ruling = match self.profile.class[class as usize] {
            Answer::Allow | Answer::AsInternational => Ruling::None,
            Answer::Monitor => Ruling::Monitor,
            Answer::Block => Ruling::Block,
        };
        (ruling, class_reason(class))
    }
}

/// The flag of what an order only counts.
const fn counted(watched: bool) -> u64 {
    if watched { Action::WATCHED } else { 0 }
}

/// Whether an order that switches international calls off excepts the numbers of a state.
fn excepted(place: usize, order: &ActiveOrder, state: &State, range: Option<&Range>) -> bool {
    let country = range.and_then(|range| range.country);
    state.orders.get(place).copied().flatten().is_some()
        || order.what.iter().any(|what| matches!(what, What::Country(code) if country == Some(code)))
}

/// The class of a number of this range, dialled from `region`.
pub(super) fn class_of(region: &str, own: bool, range: Option<&Range>) -> Class {
    if own {
        return Class::National;
    }
    let Some(range) = range else { return Class::International };
    let home = range.country == Some(region);
    match range.kind {
        Kind::Premium if home => Class::Premium,
        Kind::Geographic if home => Class::National,
        Kind::Geographic | Kind::Premium => Class::International,
        Kind::NonGeographic => Class::NonGeographic,
        Kind::Unassigned | Kind::UnassignedArea => Class::Unassigned,
    }
}

/// The reason of a class's answer.
pub(super) const fn class_reason(class: Class) -> Reason {
    match class {
        Class::International => Reason::ClassInternational,
        Class::Premium => Reason::ClassPremium,
        Class::NonGeographic => Reason::ClassNonGeographic,
        Class::Unassigned => Reason::ClassUnassigned,
        Class::Suspicious => Reason::Suspicious,
        Class::Malformed => Reason::Malformed,
        Class::None | Class::Emergency | Class::National | Class::CarrierService | Class::Unknown => Reason::ClassOther,
    }
}

/// Whether the floor refuses a range.
pub(super) fn on_floor(range: &Range) -> bool {
    range.kind == Kind::Unassigned || FLOOR.iter().any(|code| range.prefix.starts_with(code))
}

/// The number of a country in the image, from 1.
pub(super) fn country_number(code: &str) -> Option<u16> {
    numbering::country_codes().binary_search(&code).ok().map(|place| place as u16 + 1)
}

/// Values by number, each once.
struct Interned<T> {
    numbers: HashMap<T, u32>,
    values: Vec<T>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn number(&mut self, value: T) -> u32 {
        if let Some(&number) = self.numbers.get(&value) {
            return number;
        }
        let number = self.values.len() as u32;
        self.values.push(value.clone());
        self.numbers.insert(value, number);
        number
    }

    fn get(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    fn into_values(self) -> Vec<T> {
        self.values
    }
}
