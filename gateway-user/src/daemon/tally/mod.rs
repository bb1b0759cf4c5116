//! What calls bring together: minutes, different numbers, calls to one number. The kernel counts calls; this adds up what only
//! shows once they have passed, every few seconds, and suspends the cell of the limit that the kernel asks about each call.

mod act;
mod follow;
mod heads;
mod kept;
mod numbers;
mod scans;
mod sums;
mod words;

use std::{collections::HashMap, sync::Arc};

use gateway_common::{
    Class, Method, Reason,
    call::Call,
    judged::Who,
    limit::{CellKey, Table, name_hash},
    policy::image::Key,
};
use jiff::{SignedDuration, Timestamp};

use super::{
    Core, Event,
    cell::{Clocks, Site},
};
use crate::{
    config::{Config, Limit, Mode, Tallies},
    policy::{
        charged::{Charged, address},
        profile_of,
    },
};
use follow::{Calls, Step};
use heads::Heads;
pub(super) use kept::open;
use numbers::Waiting;
use sums::{Distinct, Same, Time};
pub use words::Levels;
pub(crate) use words::{allowed, empty};

/// How often calls are added up.
pub(super) const LOOK: std::time::Duration = std::time::Duration::from_secs(2);
/// Cells of lines, sources and networks that are added up for. Those of the site and of countries have no bound but their number.
const MOST_CELLS: usize = 4096;
/// What all cells together remember.
const MOST_REMEMBERED: usize = 262_144;
/// How often the disk gets what is known.
const KEEP: SignedDuration = SignedDuration::from_mins(1);
/// How often it is told that there is no room.
const REST: SignedDuration = SignedDuration::from_hours(1);

/// What one line, source, country or the site brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    time: Time,
    distinct: Distinct,
    same: Same,
    /// The country of the last call; 0 for none.
    country: u16,
    /// Since when it is over its limit, where that was told; of the kernel's clock.
    over: Option<u64>,
}

impl Sum {
    /// Notes a call to a number; a redial of one that failed is no other call to it.
    fn call(&mut self, number: u64, time: u64, redials: bool, tallies: &Tallies) {
        if !tallies.distinct.is_empty() {
            self.distinct.call(number, time);
        }
        if !tallies.same.is_empty() && !redials {
            self.same.call(number, time);
        }
    }

    fn forget(&mut self, time: u64) {
        self.time.forget(time);
        self.distinct.0.forget(time);
        self.same.0.forget(time);
    }

    fn len(&self) -> usize {
        self.time.len() + self.distinct.0.len() + self.same.0.len()
    }
}

/// What was added up.
#[derive(Default)]
pub(super) struct Tally {
    calls: Calls,
    sums: HashMap<CellKey, Sum>,
    waiting: Waiting,
    /// What sources outside try.
    heads: Heads,
    remembered: usize,
    /// Calls that no room was left for, and when that was told.
    left_out: u64,
    told: Option<Timestamp>,
    written: Option<Timestamp>,
}

/// The limits that add up, by the hash of their names.
struct Rules<'c>(HashMap<u32, &'c Limit>);

impl<'c> Rules<'c> {
    fn of(config: &'c Config) -> Self {
        let adds_up = |limit: &&Limit| !limit.tallies.is_empty() || !limit.site_tallies.is_empty();
        let limits = config.limits.iter().filter(adds_up);
        Self(limits.map(|limit| (name_hash(limit.name.as_bytes()), limit)).collect())
    }

    fn get(&self, key: &CellKey) -> Option<(&'c Limit, &'c Tallies)> {
        let limit = self.0.get(&key.limit)?;
        Some((limit, tallies_of(limit, key)))
    }
}

/// What a cell of a limit adds up.
fn tallies_of<'c>(limit: &'c Limit, key: &CellKey) -> &'c Tallies {
    if key.kind & 0xff == Key::Site as u32 { &limit.site_tallies } else { &limit.tallies }
}

/// Who places a call, and to where.
struct Placed {
    call: Charged,
    at: Timestamp,
    /// Whether rules would stop it in enforce mode: then it would bring nothing.
    stopped: bool,
}

impl Placed {
    fn of(call: &Call, clocks: Clocks) -> Self {
        Self {
            call: Charged {
                who: Who::from_u8(call.who).unwrap_or(Who::Unproved),
                source: address(call.caller),
                line: call.line,
                country: call.country,
                class: Class::from_u8(call.class).unwrap_or(Class::None),
                method: Some(Method::Invite),
            },
            at: clocks.wall_of(call.begun),
            stopped: Reason::from_u8(call.reason).is_some_and(Reason::stops),
        }
    }

    /// The cells that it counts for.
    fn cells(&self, config: &Config) -> Vec<CellKey> {
        // In enforce mode what a limit or a class only warns of goes on.
        if self.stopped && config.mode == Mode::Monitor {
            return Vec::new();
        }
        let Some(profile) = profile_of(config, Some(self.call.source)) else { return Vec::new() };
        self.call.tallied(config, profile, self.at)
    }
}

impl Tally {
    /// Notes an event that may be of a call.
    pub(super) fn note(&mut self, event: &Event) {
        self.heads.note(event);
        if !self.waiting.note(event) {
            self.left_out += 1;
        }
    }

    /// The sum of a cell, if there is one or room for one.
    fn sum(&mut self, key: CellKey, country: u16) -> Option<&mut Sum> {
        let own = key.table() == Table::Own;
        if own && !self.sums.contains_key(&key) {
            let taken = self.sums.keys().filter(|key| key.table() == Table::Own).count();
            if taken >= MOST_CELLS || self.remembered >= MOST_REMEMBERED {
                self.left_out += 1;
                return None;
            }
        }
        let sum = self.sums.entry(key).or_default();
        sum.country = country;
        Some(sum)
    }

    /// Adds up what happened to calls since the last look.
    fn follow(&mut self, config: &Config, rules: &Rules<'_>, records: &[(u64, Call)], generation: u32, clocks: Clocks) {
        let now = clocks.kernel;
        let longest = |key: &CellKey| rules.get(key).map_or(0, |(_, tallies)| nanoseconds(tallies.longest()));
        let counts = |key: &CellKey| rules.get(key).is_some_and(|(_, tallies)| !tallies.minutes.is_empty());
        for step in self.calls.look(records, now) {
            match step {
                Step::Up { id, call, since } => {
                    let Some(up) = self.calls.up.get_mut(&id).filter(|up| up.rules != generation) else { continue };
                    let mut cells = Placed::of(&call, clocks).cells(config);
                    cells.retain(counts);
                    // A limit that came while the call was up counts it from then on.
                    let since = if up.rules == 0 { since } else { now };
                    up.rules = generation;
                    let before = std::mem::replace(&mut up.cells, cells.clone());
                    for key in before.iter().filter(|key| !cells.contains(key)) {
                        if let Some(sum) = self.sums.get_mut(key) {
                            sum.time.end(id, now, longest(key));
                        }
                    }
                    for key in cells {
                        if let Some(sum) = self.sum(key, call.country) {
                            sum.time.begin(id, since);
                        }
                    }
                }
                Step::Ended { id, cells, until } => {
                    for key in cells {
                        if let Some(sum) = self.sums.get_mut(&key) {
                            sum.time.end(id, until, longest(&key));
                        }
                    }
                }
                Step::Whole { call, since, until } => {
                    for key in Placed::of(&call, clocks).cells(config).into_iter().filter(counts) {
                        if let Some(sum) = self.sum(key, call.country) {
                            sum.time.add(since, until, longest(&key));
                        }
                    }
                }
            }
        }
    }

    /// Adds up the numbers that were called since the last look.
    fn count_numbers(&mut self, config: &Config, rules: &Rules<'_>, records: &[(u64, Call)]) {
        for (dialled, redials) in self.waiting.take(records) {
            let placed = Placed { call: dialled.call, at: dialled.at, stopped: dialled.stopped };
            for key in placed.cells(config) {
                let Some((_, tallies)) = rules.get(&key) else { continue };
                if tallies.distinct.is_empty() && tallies.same.is_empty() {
                    continue;
                }
                if let Some(sum) = self.sum(key, placed.call.country) {
                    sum.call(dialled.number, dialled.clock, redials, tallies);
                }
            }
        }
    }

    /// Forgets what no stretch holds any more, and what limits are for that the policy has lost.
    fn forget_old(&mut self, rules: &Rules<'_>, now: u64) {
        self.sums.retain(|key, sum| {
            let Some((_, tallies)) = rules.get(key) else { return false };
            sum.forget(now.saturating_sub(nanoseconds(tallies.longest())));
            sum.len() > 0
        });
        self.remembered = self.sums.values().map(Sum::len).sum();
    }

    /// What it adds up for.
    pub(super) fn cells(&self) -> impl Iterator<Item = &CellKey> {
        self.sums.keys().chain(self.heads.cells())
    }

    /// Forgets what led to suspensions that the operator lifted; calls that are up count from now.
    pub(super) fn forget(&mut self, key: &CellKey, now: u64) {
        self.heads.forget(key);
        let Some(sum) = self.sums.get_mut(key) else { return };
        sum.time.begin_anew(now);
        sum.distinct.0.clear();
        sum.same.0.clear();
        sum.over = None;
    }
}

impl Core {
    /// Adds up what calls brought since the last look, and suspends or tells what is over its limit.
    pub fn count_calls(&mut self) {
        let config = Arc::clone(&self.config);
        self.count_heads(&config);
        let rules = Rules::of(&config);
        if rules.0.is_empty() {
            // What was added up for limits that are gone is of no use to others that come.
            if self.tally.calls.looked != 0 {
                self.tally = Tally { heads: std::mem::take(&mut self.tally.heads), ..Tally::default() };
                kept::remove(&self.state_dir);
            }
            self.tally.waiting.clear();
            self.tally.left_out = 0;
            return;
        }
        // Read before the calls are: see `Calls::look`.
        let clocks = self.clocks();
        let records = match self.gateway.own_calls() {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!("cannot read the calls, so their minutes are added up later: {error:#}");
                return;
            }
        };
        let generation = u32::try_from(self.applied.generation).unwrap_or(u32::MAX).max(1);
        self.tally.follow(&config, &rules, &records, generation, clocks);
        self.tally.count_numbers(&config, &rules, &records);
        self.tally.forget_old(&rules, clocks.kernel);
        self.act_on_sums(&rules, clocks);
        self.tell_left_out(clocks.wall);
        self.keep_tally(false);
    }

    /// How far over its limit a cell is, and the country of its last call; `None` where it is not.
    pub(super) fn over_limit(&self, key: &CellKey) -> Option<String> {
        let sum = self.tally.sums.get(key)?;
        let over = words::over(sum, tallies_of(self.limit_of(key)?, key), self.gateway.clock())?;
        Some(format!("{over}, the last to {}", Site::name(sum.country.into())))
    }

    /// How full the sums of a cell are.
    pub(super) fn level(&self, key: &CellKey) -> Vec<String> {
        let level = |sum: &Sum| Some(words::levels(sum, tallies_of(self.limit_of(key)?, key), self.gateway.clock()));
        self.tally.sums.get(key).and_then(level).unwrap_or_default()
    }

    /// How full the sums of each cell are; of heads in front of one number, those that are over their limit.
    pub(super) fn levels(&self) -> Levels {
        let (rules, now) = (Rules::of(&self.config), self.gateway.clock());
        let level = |(key, sum): (&CellKey, &Sum)| Some((*key, words::levels(sum, rules.get(key)?.1, now)));
        self.tally.sums.iter().filter_map(level).chain(self.levels_of_heads(now)).collect()
    }
}

fn nanoseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
