//! What each profile does with each E.164 prefix.

use std::collections::HashMap;

use gateway_common::{
    Class, Reason,
    policy::image::{Action, Ruling, Vector},
};

use super::{
    base::NEVER,
    limits::allowances,
    off::{self, Off},
    say::{Said, Say},
    scopes::Effective,
};
use crate::{
    config::{Answer, Config, Profile},
    daemon::ActiveOrder,
    numbering::{self, Kind, Range},
    what::What,
};

/// Calling codes that the floor refuses beside the unassigned ones: international premium rate and networks of no
/// country.
const FLOOR: [&str; 3] = ["979", "882", "883"];

/// What holds for a prefix; lengths are digits of the prefix that said so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// The range of the numbering plan, by its place.
    pub(super) range: Option<u32>,
    /// Whether it is one of the site's own numbers.
    pub(super) own: bool,
    /// What the lists of each profile say.
    pub(super) file: Vec<Option<(u8, Say)>>,
    /// What each order says of a prefix; those behind the last say nothing.
    pub(super) orders: Vec<Option<(u8, Say)>>,
}

/// The rules of one policy, ready to be asked.
pub(super) struct Rules<'a> {
    config: &'a Config,
    orders: &'a [ActiveOrder],
    effectives: &'a [Effective],
    /// The limits that orders allow by, by the place of the order.
    allowances: Vec<u8>,
    /// For each profile of the file.
    profiles: Vec<ProfileRules<'a>>,
}

/// What one profile of the file says.
pub(super) struct ProfileRules<'a> {
    profile: &'a Profile,
    /// Countries of its lists, block where both have one.
    countries: HashMap<&'a str, Say>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(config: &'a Config, orders: &'a [ActiveOrder], effectives: &'a [Effective]) -> Self {
        let profiles = config.profiles.iter().map(ProfileRules::new).collect();
        Self { config, orders, effectives, allowances: allowances(config, orders), profiles }
    }

    /// What a prefix in this state is, and what each effective profile does with it.
    pub(super) fn outcome(&self, state: &State) -> (Vector, Vec<Action>) {
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
        let action = action.at_most(said.allowance());
        match off::of(self.orders, effective, self.config, class, |place, order| excepted(place, order, state, range)) {
            Off::No => action,
            Off::Elsewhere => action.with(Action::LOOKS_ON),
            Off::Here => action.with(Action::OFF),
        }
    }

    /// The number of the limit by which an order allows, 0 for none.
    fn allowance(&self, order: usize) -> u8 {
        self.allowances.get(order).copied().unwrap_or(0)
    }

    /// Longest prefix, then the narrower scope, on a tie block.
    fn order(&self, effective: &Effective, class: Class, state: &State, range: Option<&Range>) -> Said {
        let mut said = Said::default();
        for (place, order) in self.orders.iter().enumerate() {
            if !effective.has(order, self.config) {
                continue;
            }
            let prefix = state.orders.get(place).copied().flatten().map(|(length, _)| length);
            let others = order.what.iter().filter_map(|what| match (what, range) {
                (What::Country(code), Some(range)) if range.country == Some(code) => Some(range.prefix.len() as u8),
                (What::Class(named), _) if *named == class => Some(0),
                _ => None,
            });
            if let Some(length) = others.chain(prefix).max() {
                said.take(order.rule, (length, order.scope.narrowness()), self.allowance(place));
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
        for (place, given) in self.orders.iter().enumerate() {
            if effective.has(given, self.config) && given.what.contains(&What::Class(class)) {
                said.take(given.rule, (0, given.scope.narrowness()), self.allowance(place));
            }
        }
        let (file, reason) = rules.answer(class);
        let action =
            Action::new(class as u8, said.ruling(), Ruling::None, file, reason as u8).with(counted(said.is_watched()));
        let action = action.at_most(said.allowance());
        if rules.profile.class[class as usize] == Answer::AsInternational { action.as_international() } else { action }
    }
}

impl<'a> ProfileRules<'a> {
    pub(super) fn new(profile: &'a Profile) -> Self {
        let mut countries = HashMap::new();
        for (list, say) in [(&profile.allow, Say::Allow), (&profile.block, Say::Block)] {
            for entry in list {
                if let What::Country(code) = &entry.what {
                    countries.insert(code.as_str(), say);
                }
            }
        }
        for what in profile.block_files.iter().flat_map(|list| list.others()) {
            if let What::Country(code) = what {
                countries.insert(code.as_str(), Say::Block);
            }
        }
        Self { profile, countries }
    }

    fn class(&self, own: bool, range: Option<&Range>) -> Class {
        class_of(&self.profile.region, own, range)
    }

    /// What the lists say, and whether by a prefix: the longest, a country counting as the range that it has the number
    /// by; on a tie block.
    pub(super) fn named(&self, place: usize, state: &State, range: Option<&Range>) -> Option<(Say, bool)> {
        let prefix = state.file.get(place).copied().flatten();
        let country = range.and_then(|range| {
            let say = self.countries.get(range.country?)?;
            Some((range.prefix.len() as u8, *say))
        });
        match (prefix, country) {
            (Some(prefix), country) if Some(prefix) >= country => Some((prefix.1, true)),
            (_, country) => country.map(|(_, say)| (say, false)),
        }
    }

    /// What the lists say, else the answer of the class.
    fn file(&self, place: usize, class: Class, state: &State, range: Option<&Range>) -> (Ruling, Reason) {
        match self.named(place, state, range) {
            Some((say, true)) => (say.ruling(), Reason::BlockedPrefix),
            Some((say, false)) => (say.ruling(), Reason::BlockedCountry),
            None => match (self.answer(class), range.map(|range| range.kind)) {
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
