//! Who tries one number behind many heads: `00X`, `900X`, `9011X`, `+X`. A person writes a number in a few ways; who does not know the
//! dial plan of the PBX tries them all.
//!
//! Addresses can be forged, so whatever is remembered here an attacker can fill. A source is remembered by itself from its second
//! head in front of one number on: those that come once each, as in a flood of forged ones, share a queue, and push nobody out but
//! each other. Where there are too many sources, those go first that have not shown to be at their address. Of one source those numbers are
//! followed whose keyed digests are the smallest, so that nobody can choose numbers that push another one out.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    net::IpAddr,
};

use gateway_common::limit::CellKey;
use jiff::Timestamp;

use super::{
    super::{Event, Tried},
    nanoseconds,
    sums::Distinct,
};
use crate::{
    config::{Config, Limit, Window},
    policy::{
        charged::{Charged, addr},
        profile_of,
    },
};

/// Numbers tried between two looks; more are not looked at.
const MOST: usize = 16_384;
/// Numbers that were tried behind one head so far.
pub(super) const FIRST: usize = 65_536;
/// Sources that tried a number behind several.
pub(super) const SOURCES: usize = 4_096;
/// Numbers of each of them.
const TAILS: usize = 256;
/// Heads of all of them together.
pub(super) const REMEMBERED: usize = 262_144;

/// A number that a source outside tried.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    tried: Tried,
    call: Charged,
    clock: u64,
    at: Timestamp,
}

/// The source and the digest of the number.
type Number = (u64, u64);

/// Numbers of which one head is known: the digest of that, and when it was tried last. The one that was tried first goes first.
#[derive(Debug, Default)]
struct First {
    seen: HashMap<Number, (u64, u64)>,
    order: VecDeque<Number>,
}

impl First {
    /// Notes a head; the one before it, with its time, if there was another. Then the number is not kept here any more.
    fn note(&mut self, number: Number, head: u64, clock: u64) -> Option<(u64, u64)> {
        match self.seen.entry(number) {
            Entry::Occupied(mut there) if there.get().0 == head => there.get_mut().1 = clock,
            Entry::Occupied(there) => return Some(there.remove()),
            Entry::Vacant(place) => {
                place.insert((head, clock));
                self.order.push_back(number);
                if self.order.len() > FIRST
                    && let Some(oldest) = self.order.pop_front()
                {
                    self.seen.remove(&oldest);
                }
            }
        }
        None
    }
}

/// A source that tried a number behind several heads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suspect {
    /// Heads by the digest of the number.
    tails: BTreeMap<u64, Distinct>,
    /// Since when it is over its limit.
    pub(super) over: Option<u64>,
    /// Whether that was told.
    pub(super) told: bool,
}

impl Suspect {
    fn note(&mut self, tail: u64, heads: &[(u64, u64)], most: u32) {
        let known = self.tails.entry(tail).or_default();
        for (head, clock) in heads {
            known.note(*head, *clock, most);
        }
        if self.tails.len() > TAILS {
            self.tails.pop_last();
        }
    }

    /// How many heads were tried in front of the number that had most within the last `stretch` before `now`.
    pub(super) fn within(&self, stretch: u64, now: u64) -> u64 {
        self.tails.values().map(|heads| heads.within(stretch, now)).max().unwrap_or(0)
    }

    pub(super) fn is_over(&self, windows: &[Window], now: u64) -> bool {
        windows.iter().any(|window| self.within(nanoseconds(window.per), now) > window.count.into())
    }

    fn forget(&mut self, time: u64) {
        self.tails.retain(|_, heads| {
            heads.0.forget(time);
            heads.0.len() > 0
        });
    }

    fn len(&self) -> usize {
        self.tails.values().map(|heads| heads.0.len()).sum()
    }

    /// By what it is kept: the most heads of a number, and when the last one was tried.
    fn rank(&self) -> (usize, u64) {
        let most = self.tails.values().map(|heads| heads.0.len()).max();
        (most.unwrap_or(0), self.tails.values().filter_map(|heads| heads.0.last()).max().unwrap_or(0))
    }
}

/// What sources outside tried.
#[derive(Debug, Default)]
pub(super) struct Heads {
    waiting: Vec<Attempt>,
    first: First,
    pub(super) suspects: HashMap<CellKey, Suspect>,
    /// Sources that there was no room for.
    pub(super) left_out: u64,
    /// When something of a limit was told last, by the hash of its name; of 0, that there is no room.
    pub(super) told: HashMap<u32, Timestamp>,
}

impl Heads {
    /// Notes an event, if it is of a number that a source outside tries.
    pub(super) fn note(&mut self, event: &Event) {
        if let Some(tried) = event.tried.filter(|_| self.waiting.len() < MOST) {
            self.waiting.push(Attempt { tried, call: event.charged(), clock: event.clock, at: event.time });
        }
    }

    /// Forgets all, as where no limit asks for it.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds up what was tried since the last look.
    pub(super) fn count(&mut self, config: &Config) {
        for Attempt { tried, call, clock, at } in std::mem::take(&mut self.waiting) {
            let Some(profile) = profile_of(config, Some(call.source)) else { continue };
            let Tried { tail, head } = tried;
            let (known, new): (Vec<_>, Vec<_>) = call
                .tried(config, profile, at)
                .into_iter()
                .partition(|(key, _)| self.suspects.get(key).is_some_and(|it| it.tails.contains_key(&tail)));
            let before = match new.as_slice() {
                [] => None,
                [..] => self.first.note((source(call.source), tail), head, clock),
            };
            let both = [before.unwrap_or((head, clock)), (head, clock)];
            for (key, limit) in known.into_iter().chain(new.into_iter().filter(|_| before.is_some())) {
                self.suspects.entry(key).or_default().note(tail, &both, most(limit));
            }
        }
    }

    /// Forgets what no stretch holds any more, and what limits are for that the policy has lost.
    pub(super) fn forget_old<'c>(&mut self, limit: impl Fn(&CellKey) -> Option<&'c Limit>, now: u64) {
        self.suspects.retain(|key, suspect| {
            let Some(limit) = limit(key) else { return false };
            suspect.forget(now.saturating_sub(longest(limit)));
            !suspect.tails.is_empty()
        });
    }

    /// Makes room, where there is too little: who is not present goes first, then who tried the fewest heads, longest ago.
    pub(super) fn make_room(&mut self, present: impl Fn(u64) -> bool) {
        let (mut sources, mut heads) = (self.suspects.len(), self.suspects.values().map(Suspect::len).sum::<usize>());
        if sources <= SOURCES && heads <= REMEMBERED {
            return;
        }
        let rank = |(key, it): (&CellKey, &Suspect)| ((present(key.value), it.rank()), *key, it.len());
        let mut ranked: Vec<_> = self.suspects.iter().map(rank).collect();
        ranked.sort_unstable_by_key(|(rank, _, _)| *rank);
        for (_, key, len) in ranked {
            // An eighth is made free, so that not each look has to.
            if sources <= SOURCES / 8 * 7 && heads <= REMEMBERED / 8 * 7 {
                return;
            }
            self.suspects.remove(&key);
            (sources, heads) = (sources - 1, heads - len);
            self.left_out += 1;
        }
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &CellKey> {
        self.suspects.keys()
    }

    /// Forgets what a source tried.
    pub(super) fn forget(&mut self, key: &CellKey) {
        self.suspects.remove(key);
    }
}

fn source(address: IpAddr) -> u64 {
    addr(address).source()
}

/// The most heads that a window of the limit allows.
fn most(limit: &Limit) -> u32 {
    limit.heads.iter().map(|window| window.count).max().unwrap_or(0)
}

/// The longest stretch that it looks back.
fn longest(limit: &Limit) -> u64 {
    limit.heads.iter().map(|window| nanoseconds(window.per)).max().unwrap_or(0)
}
