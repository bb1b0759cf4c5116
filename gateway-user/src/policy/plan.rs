//! The dial plan of a profile, the world's access codes, and `dial:` rules, as automata.

use std::collections::BTreeMap;

use gateway_common::{
    Class, Reason,
    policy::image::{Action, DialCell, Ruling, symbol},
};

use super::{
    automaton::{Codes, States},
    cells::{Cells, Full},
    say::{Said, Say},
};
use crate::{
    config::Profile,
    daemon::OrderRule,
    numbering::{self, Region},
};

/// Service codes in front of a number that are read.
const SERVICES: usize = 2;

/// Puts a profile's dial plan into the image; returns the cell of the empty string.
///
/// A dialled string is: outside-line digits and up to two service codes in any order; then an emergency number, or a
/// carrier code or none; then an access code and an E.164 number, or a trunk prefix and a national number, or a number
/// without either where the plan has such. A leading plus is an access code, and codes may begin anew behind it.
pub(super) fn dial_plan(cells: &mut Cells, states: &mut States, profile: &Profile) -> Result<u64, Full> {
    let region = numbering::region(&profile.region);
    let lists = Lists::of(profile, region);
    let mut codes = Codes::default();
    let number = codes.place(DialCell::ACCESS);
    let national = codes.place(DialCell::NATIONAL);
    let emergency = codes.place(DialCell::EMERGENCY);
    let harmless = codes.place(DialCell::HARMLESS);
    let mut carrier_flags = DialCell::CARRIER;
    if lists.all_national {
        carrier_flags |= DialCell::NATIONAL | DialCell::ZERO;
    }
    let carrier = codes.place(carrier_flags);
    let targets = Targets { number, national, emergency, harmless, carrier };
    for code in &lists.access {
        codes.code(carrier, code, number);
    }
    if let Some(code) = lists.trunk {
        codes.code(carrier, code, national);
    }
    let bare = if profile.bare_e164 { DialCell::BARE } else { 0 };
    let plus = fronts(&mut codes, &lists, &targets, bare, DialCell::ACCESS | DialCell::PLUS);
    if let Some(code) = region.and_then(|region| region.calling_code) {
        for number in &lists.emergency {
            codes.code(plus, &format!("{code}{number}"), emergency);
        }
    }
    let bare = if lists.all_national { bare | DialCell::NATIONAL | DialCell::ZERO } else { bare };
    let start = fronts(&mut codes, &lists, &targets, bare, bare);
    codes.code(start, "+", plus);
    states.put(cells, &codes, start)
}

/// What a site's codes are, the region's and its own.
struct Lists<'a> {
    outside: &'a [String],
    service: Vec<&'a str>,
    carrier: Vec<&'a str>,
    access: Vec<&'a str>,
    emergency: Vec<&'a str>,
    harmless: &'a [&'a str],
    trunk: Option<&'a str>,
    /// Heads of national numbers that are dialled without the trunk prefix.
    heads: Vec<&'a str>,
    /// Every national number is.
    all_national: bool,
}

impl<'a> Lists<'a> {
    fn of(profile: &'a Profile, region: Option<&'a Region>) -> Self {
        let with = |own: &'a [String], of: fn(&Region) -> &Vec<&'static str>| {
            let theirs = region.map(of).into_iter().flatten().copied();
            theirs.chain(own.iter().map(String::as_str)).collect::<Vec<&'a str>>()
        };
        let optional = region.map_or(&[][..], |region| &region.trunk_optional);
        let mut access = with(&profile.access_codes, |region| &region.access_codes);
        access.retain(|code| *code != "+");
        Self {
            outside: &profile.outside_line,
            service: with(&profile.service_codes, |region| &region.service_codes),
            carrier: with(&profile.carrier_codes, |region| &region.carrier_codes),
            access,
            emergency: with(&profile.emergency, |region| &region.emergency),
            harmless: region.map_or(&[], |region| &region.harmless),
            trunk: region.and_then(|region| region.national_prefix),
            heads: optional.iter().copied().filter(|head| *head != "*").collect(),
            all_national: optional.contains(&"*"),
        }
    }
}

/// Places that codes lead to.
struct Targets {
    number: u32,
    national: u32,
    emergency: u32,
    harmless: u32,
    carrier: u32,
}

/// The places in front of a number, by outside line (taken or not) and service codes taken. Returns the first of them,
/// which has `first` as flags; the others have `flags`.
fn fronts(codes: &mut Codes, lists: &Lists<'_>, to: &Targets, flags: u64, first: u64) -> u32 {
    let mut places = [[0; SERVICES + 1]; 2];
    for (line, row) in places.iter_mut().enumerate() {
        for (services, place) in row.iter_mut().enumerate() {
            *place = codes.place(if line + services == 0 { first } else { flags });
        }
    }
    for line in 0..2 {
        for services in 0..=SERVICES {
            let here = places[line][services];
            if line == 0 {
                for code in lists.outside {
                    codes.code(here, code, places[1][services]);
                }
            }
            if services < SERVICES {
                for code in &lists.service {
                    codes.code(here, code, places[line][services + 1]);
                }
            }
            for number in &lists.emergency {
                codes.code(here, number, to.emergency);
            }
            for number in lists.harmless {
                codes.code(here, number, to.harmless);
            }
            for code in &lists.carrier {
                codes.code(here, code, to.carrier);
            }
            for code in &lists.access {
                codes.code(here, code, to.number);
            }
            if let Some(code) = lists.trunk {
                codes.code(here, code, to.national);
            }
            if first & DialCell::PLUS == 0 {
                for head in &lists.heads {
                    let end = codes.place(DialCell::back(head.len() as u64));
                    codes.code(here, head, end);
                }
            }
        }
    }
    places[0][0]
}

/// Puts the automaton of the world's access codes into the image.
pub(super) fn world(cells: &mut Cells, states: &mut States) -> Result<u64, Full> {
    let mut codes = Codes::default();
    let number = codes.place(DialCell::ACCESS);
    let [start, plus] = [codes.place(0), codes.place(0)];
    for code in numbering::world_access_codes() {
        codes.code(start, code, number);
        codes.code(plus, code, number);
    }
    codes.code(start, "+", plus);
    states.put(cells, &codes, start)
}

/// Rules on dialled strings, of the file and of orders.
#[derive(Default)]
pub(super) struct DialRules {
    rules: BTreeMap<Vec<u8>, Rule>,
    looks_on: bool,
}

#[derive(Clone, Copy, Default)]
struct Rule {
    file: Option<Say>,
    order: Said,
    flags: u64,
}

impl DialRules {
    pub(super) fn file(&mut self, keys: &str, say: Say) {
        let rule = self.rules.entry(symbols(keys)).or_default();
        rule.file = rule.file.max(Some(say));
    }

    pub(super) fn order(&mut self, keys: &str, narrowness: u8, rule: OrderRule) {
        self.rules.entry(symbols(keys)).or_default().order.take(rule, (keys.len() as u8, narrowness), 0);
    }

    /// The number behind what is dialled is looked at all the same, since it may be switched off.
    pub(super) const fn look_on(&mut self) {
        self.looks_on = true;
    }

    /// Puts the rules into the image; returns the start state, 0 where there are none.
    pub(super) fn put(&self, cells: &mut Cells, states: &mut States) -> Result<u64, Full> {
        let rules: Vec<(&[u8], Rule)> = self.rules.iter().map(|(keys, rule)| (keys.as_slice(), *rule)).collect();
        let flags = if self.looks_on { Action::LOOKS_ON } else { 0 };
        Ok(put_rules(cells, states, &rules, 0, Rule { flags, ..Rule::default() })? as u64)
    }
}

fn symbols(keys: &str) -> Vec<u8> {
    keys.bytes().filter_map(symbol).map(|symbol| symbol as u8).collect()
}

/// The state behind `depth` keys that all `rules` share, given what holds for those keys.
fn put_rules(
    cells: &mut Cells,
    states: &mut States,
    rules: &[(&[u8], Rule)],
    depth: usize,
    above: Rule,
) -> Result<u32, Full> {
    let mut state = [0; 16];
    let mut rest = rules;
    while let Some(&(keys, _)) = rest.first() {
        let Some(&symbol) = keys.get(depth) else {
            rest = &rest[1..];
            continue;
        };
        let (same, others) = rest.split_at(rest.partition_point(|(keys, _)| keys.get(depth) <= Some(&symbol)));
        rest = others;
        let own = same.first().filter(|(keys, _)| keys.len() == depth + 1).map_or(Rule::default(), |(_, rule)| *rule);
        let order = own.order.within(above.order);
        let rule = Rule { file: own.file.or(above.file), order, flags: above.flags };
        let next = put_rules(cells, states, same, depth + 1, rule)?;
        state[symbol as usize & 15] = rule.action() << 32 | next as u64;
    }
    states.stored(cells, state)
}

impl Rule {
    fn action(self) -> u64 {
        if self.file.is_none() && self.order.is_nothing() {
            return 0;
        }
        let order = self.order.ruling();
        let mut flags = self.flags;
        if self.order.is_watched() {
            flags |= Action::WATCHED;
        }
        if self.file.is_none() && order == Ruling::None {
            flags |= Action::LOOKS_ON;
        }
        let file = self.file.map_or(Ruling::None, Say::ruling);
        Action::new(Class::Unknown as u8, order, Ruling::None, file, Reason::BlockedPrefix as u8).with(flags).0
    }
}
