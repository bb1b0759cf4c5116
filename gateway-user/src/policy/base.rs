//! What lists and the numbering plan say of prefixes, without any order: the large part of a policy, compiled once and
//! kept for all orders that come after it.
//!
//! Prefixes are walked in the order of their digits, each with what it inherits from the longest one it begins with. A
//! vector stands for everything that no order and no answer of a class can tell apart; a million prefixes of one list
//! have a few hundred.

use std::{collections::HashMap, sync::Arc};

use sha2::{Digest as _, Sha256};

use super::{
    actions::{ProfileRules, State, country_number, on_floor},
    cells::{Cells, Full},
    say::Say,
    trie,
};
use crate::{
    config::{Config, Entry, ListFile},
    digits::Digits,
    numbering::{self, Kind},
    what::What,
};

/// Least number of digits where no number can be whole: a prefix of no range counts only where it is dialled exactly.
pub(super) const NEVER: u8 = u8::MAX;

/// The trie of a policy without orders.
pub(super) struct Base {
    origin: Origin,
    /// The image as far as it goes: an empty header, and the trie.
    cells: Cells,
    /// Root of the trie.
    pub(super) root: u32,
    /// What holds for the prefixes of a vector, by its number; of number 0, which no prefix has, nothing.
    pub(super) states: Vec<State>,
    /// How many prefixes the trie holds.
    pub(super) prefixes: usize,
    /// Digest of the trie.
    pub(super) digest: [u8; 32],
}

/// Why there is no trie.
pub(super) enum Problem {
    Full,
    /// More vectors than the trie can number.
    TooMany,
}

impl From<Full> for Problem {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// What of a policy a trie is made of.
#[derive(PartialEq)]
struct Origin {
    own_numbers: Vec<String>,
    profiles: Vec<OriginProfile>,
}

#[derive(PartialEq)]
struct OriginProfile {
    region: String,
    block: Vec<Entry>,
    allow: Vec<Entry>,
    lists: Vec<Arc<ListFile>>,
}

/// Something said of one prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Fact {
    /// Nothing, and there must be a node.
    Node,
    /// A range of the numbering plan begins, by its place.
    Range(u32),
    /// One of the site's own numbers.
    Own,
    /// An entry of a profile's lists.
    File(u8, Say),
    /// An entry of a list in a file of its own, by its place among all.
    List(u32),
    /// Several of these, by the place of the group.
    Several(u32),
}

/// What tells vectors apart.
#[derive(PartialEq, Eq, Hash)]
struct Vectored {
    country: u16,
    kind: Option<Kind>,
    lengths: (u8, u8, u8),
    floor: bool,
    own: bool,
    /// What the lists of each profile say.
    file: Vec<Option<(Say, bool)>>,
}

impl Base {
    /// Compiles the lists of a policy.
    pub(super) fn new(config: &Config) -> Result<Self, Problem> {
        let lists = lists(config);
        let facts = facts(config, &lists);
        let mut walk = Walk::new(config, &lists);
        let mut prefixes: Vec<(Digits, u16)> = Vec::with_capacity(facts.len());
        let mut above: Vec<(Digits, u32)> = Vec::new();
        for group in facts.chunk_by(|a, b| a.0 == b.0) {
            let Some(&(digits, _)) = group.first() else { continue };
            while above.last().is_some_and(|(prefix, _)| !prefix.begins(digits)) {
                above.pop();
            }
            let parent = above.last().map_or(Walk::ROOT, |(_, state)| *state);
            let state = walk.state(parent, digits.len() as u8, group);
            above.push((digits, state));
            prefixes.push((digits, walk.vector(state)?));
        }
        let mut cells = Cells::new();
        let root = trie::put(&mut cells, &prefixes)?;
        let mut digest = Sha256::new();
        cells.digest(0, cells.len(), &mut digest);
        let digest = digest.finalize().into();
        let states = walk.of_vector;
        Ok(Self { origin: Origin::of(config), cells, root, states, prefixes: prefixes.len(), digest })
    }

    /// Whether it was compiled from the same lists.
    pub(super) fn is_of(&self, config: &Config) -> bool {
        self.origin.is_of(config)
    }

    /// The image so far, with room for what follows.
    pub(super) fn cells(&self) -> Cells {
        self.cells.roomy()
    }

    /// The first cell behind the trie.
    pub(super) const fn end(&self) -> u32 {
        self.cells.len()
    }
}

impl Origin {
    fn of(config: &Config) -> Self {
        let profiles = config.profiles.iter().map(|profile| OriginProfile {
            region: profile.region.clone(),
            block: profile.block.clone(),
            allow: profile.allow.clone(),
            lists: profile.block_files.clone(),
        });
        Self { own_numbers: config.site.own_numbers.clone(), profiles: profiles.collect() }
    }

    /// Lists that are shared are not compared entry by entry.
    fn is_of(&self, config: &Config) -> bool {
        let same = |(known, profile): (&OriginProfile, &crate::config::Profile)| {
            known.region == profile.region
                && known.lists == profile.block_files
                && known.block == profile.block
                && known.allow == profile.allow
        };
        self.own_numbers == config.site.own_numbers
            && self.profiles.len() == config.profiles.len()
            && self.profiles.iter().zip(&config.profiles).all(same)
    }
}

/// Every list in a file of its own, with the places of the profiles that have it.
fn lists(config: &Config) -> Vec<(&ListFile, Vec<u8>)> {
    let mut lists: Vec<(&ListFile, Vec<u8>)> = Vec::new();
    for (place, profile) in config.profiles.iter().enumerate() {
        for list in &profile.block_files {
            match lists.iter_mut().find(|(known, _)| std::ptr::eq(*known, &raw const **list)) {
                Some((_, profiles)) => profiles.push(place as u8),
                None => lists.push((list, vec![place as u8])),
            }
        }
    }
    lists
}

/// Everything that is said of any prefix, sorted. Calling codes of the profiles have a node of their own.
fn facts(config: &Config, lists: &[(&ListFile, Vec<u8>)]) -> Vec<(Digits, Fact)> {
    let mut facts: Vec<(Digits, Fact)> = Vec::new();
    for (place, range) in numbering::ranges().iter().enumerate() {
        facts.push((Digits::new(range.prefix), Fact::Range(place as u32)));
    }
    for (place, (list, _)) in lists.iter().enumerate() {
        facts.extend(list.prefixes().map(|digits| (digits, Fact::List(place as u32))));
    }
    for number in &config.site.own_numbers {
        facts.push((Digits::new(number), Fact::Own));
    }
    for (place, profile) in config.profiles.iter().enumerate() {
        if let Some(code) = numbering::region(&profile.region).and_then(|region| region.calling_code) {
            facts.push((Digits::new(code), Fact::Node));
        }
        for (list, say) in [(&profile.block, Say::Block), (&profile.allow, Say::Allow)] {
            for entry in list {
                if let What::Prefix(digits) = &entry.what {
                    facts.push((Digits::new(digits), Fact::File(place as u8, say)));
                }
            }
        }
    }
    // Each list is sorted already, and the stable sort merges such runs.
    facts.sort();
    facts.dedup();
    facts
}

/// States that prefixes are in, each once, and their vectors.
struct Walk<'a> {
    rules: Vec<ProfileRules<'a>>,
    lists: &'a [(&'a ListFile, Vec<u8>)],
    states: Interned<State>,
    groups: Interned<Vec<Fact>>,
    /// The state behind a state, digits and a fact.
    next: HashMap<(u32, u8, Fact), u32>,
    last: Option<((u32, u8, Fact), u32)>,
    vectors: HashMap<Vectored, u16>,
    /// The vector of each state.
    by_state: Vec<Option<u16>>,
    /// A state of each vector.
    of_vector: Vec<State>,
}

impl<'a> Walk<'a> {
    /// The state of what no prefix begins.
    const ROOT: u32 = 0;

    fn new(config: &'a Config, lists: &'a [(&'a ListFile, Vec<u8>)]) -> Self {
        let mut states = Interned::default();
        let root = State { file: vec![None; config.profiles.len()], ..State::default() };
        states.number(root.clone());
        Self {
            rules: config.profiles.iter().map(ProfileRules::new).collect(),
            lists,
            states,
            groups: Interned::default(),
            next: HashMap::new(),
            last: None,
            vectors: HashMap::new(),
            by_state: Vec::new(),
            of_vector: vec![root],
        }
    }

    fn state(&mut self, parent: u32, length: u8, said: &[(Digits, Fact)]) -> u32 {
        let fact = match said {
            [(_, fact)] => *fact,
            several => Fact::Several(self.groups.number(several.iter().map(|(_, fact)| *fact).collect())),
        };
        let key = (parent, length, fact);
        // Most prefixes follow one that differs in its last digit alone.
        if let Some((known, state)) = self.last
            && known == key
        {
            return state;
        }
        let state = if let Some(&state) = self.next.get(&key) {
            state
        } else {
            let mut state = self.states.get(parent).clone();
            for (_, fact) in said {
                self.take(&mut state, *fact, length);
            }
            let state = self.states.number(state);
            self.next.insert(key, state);
            state
        };
        self.last = Some((key, state));
        state
    }

    fn take(&self, state: &mut State, fact: Fact, length: u8) {
        let mut listed = |profile: u8, say| {
            if let Some(slot) = state.file.get_mut(usize::from(profile)) {
                *slot = (*slot).max(Some((length, say)));
            }
        };
        match fact {
            Fact::Node | Fact::Several(_) => {}
            Fact::Range(place) => state.range = Some(place),
            Fact::Own => state.own = true,
            Fact::File(profile, say) => listed(profile, say),
            Fact::List(place) => {
                for profile in self.lists.get(place as usize).into_iter().flat_map(|(_, profiles)| profiles) {
                    listed(*profile, Say::Block);
                }
            }
        }
    }

    fn vector(&mut self, state: u32) -> Result<u16, Problem> {
        let place = state as usize;
        if let Some(Some(vector)) = self.by_state.get(place) {
            return Ok(*vector);
        }
        let state = self.states.get(state);
        let range = state.range.and_then(|place| numbering::ranges().get(place as usize));
        let file = self.rules.iter().enumerate();
        let vectored = Vectored {
            country: range.and_then(|range| range.country).and_then(country_number).unwrap_or(0),
            kind: range.map(|range| range.kind),
            lengths: range.map_or((0, 0, 0), |range| (range.prefix.len() as u8, range.min, range.max)),
            floor: range.is_some_and(on_floor),
            own: state.own,
            file: file.map(|(place, rules)| rules.named(place, state, range)).collect(),
        };
        let next = self.of_vector.len();
        let vector = if let Some(&vector) = self.vectors.get(&vectored) {
            vector
        } else {
            let vector = u16::try_from(next).map_err(|_large| Problem::TooMany)?;
            self.of_vector.push(state.clone());
            self.vectors.insert(vectored, vector);
            vector
        };
        self.by_state.resize(self.by_state.len().max(place + 1), None);
        self.by_state[place] = Some(vector);
        Ok(vector)
    }
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
}
