//! Sums over a stretch of time that ends now: how long calls took, how many numbers they went to, how often one of them.
//!
//! Times are nanoseconds of the kernel's clock. What is older than a stretch counts for nothing, to the nanosecond.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::config::MOST_NUMBERS;

/// Calls that are over of which one sum knows the beginning and the end. Beyond, neighbours are put together.
pub(super) const PIECES: usize = 1024;
/// What is put together ended within this part of the longest stretch.
const SLOTS: u64 = 256;
/// Calls whose numbers are remembered one by one.
pub(super) const NUMBERS: usize = 1024;

/// Calls that are over: one, or several that ended about together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Piece {
    /// When the first of them was answered.
    since: u64,
    /// When the first and the last of them ended.
    ended: (u64, u64),
    /// How long all together took.
    took: u64,
    calls: u64,
}

impl Piece {
    /// How much of it was behind `from`; never less, and of several calls at most as much as ended about then.
    fn behind(&self, from: u64) -> u64 {
        let (_, until) = self.ended;
        self.took.min(until.saturating_sub(self.since.max(from)).saturating_mul(self.calls))
    }
}

/// How long calls took, and take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Time {
    /// By their ends.
    done: Vec<Piece>,
    /// Calls that are up, each with the time since which it counts.
    up: BTreeMap<u64, u64>,
}

impl Time {
    /// A call goes on, and counts since then. One that counts already does so as before.
    pub(super) fn begin(&mut self, call: u64, since: u64) {
        self.up.entry(call).or_insert(since);
    }

    /// It has ended.
    pub(super) fn end(&mut self, call: u64, until: u64, longest: u64) {
        if let Some(since) = self.up.remove(&call) {
            self.add(since, until, longest);
        }
    }

    /// A call was up from then to then; `longest` is the longest stretch that is asked about.
    pub(super) fn add(&mut self, since: u64, until: u64, longest: u64) {
        let piece = Piece { since, ended: (until, until), took: until.saturating_sub(since), calls: 1 };
        let place = self.done.partition_point(|other| other.ended.1 <= until);
        self.done.insert(place, piece);
        if self.done.len() > PIECES {
            self.put_together(longest / SLOTS);
        }
    }

    fn put_together(&mut self, slot: u64) {
        let mut kept: Vec<Piece> = Vec::with_capacity(PIECES);
        for piece in self.done.drain(..) {
            match kept.last_mut().filter(|last| piece.ended.1 - last.ended.0 <= slot) {
                Some(last) => {
                    last.since = last.since.min(piece.since);
                    last.ended.1 = piece.ended.1;
                    last.took += piece.took;
                    last.calls += piece.calls;
                }
                None => kept.push(piece),
            }
        }
        self.done = kept;
    }

    /// How long calls were up within the last `stretch` before `now`, and how many.
    pub(super) fn within(&self, stretch: u64, now: u64) -> (u64, u64) {
        let from = now.saturating_sub(stretch);
        let done = self.done.iter().map(|piece| (piece.behind(from), piece.calls)).filter(|(time, _)| *time > 0);
        let up = self.up.values().map(|since| (now.saturating_sub(from.max(*since)), 1));
        done.chain(up).fold((0, 0), |(time, calls), (more, count)| (time + more, calls + count))
    }

    /// Forgets what ended before `time`.
    pub(super) fn forget(&mut self, time: u64) {
        let over = self.done.partition_point(|piece| piece.ended.1 <= time);
        self.done.drain(..over);
    }

    /// Forgets all; calls that are up count from `now`.
    pub(super) fn begin_anew(&mut self, now: u64) {
        self.done.clear();
        self.up.values_mut().for_each(|since| *since = now);
    }

    pub(super) fn len(&self) -> usize {
        self.done.len() + self.up.len()
    }
}

/// Digests of numbers, each with the time of a call to it, in the order of those.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    /// Adds one; beyond `most` the oldest goes.
    fn add(&mut self, number: u64, time: u64, most: usize) {
        let place = self.0.partition_point(|(_, other)| *other <= time);
        self.0.insert(place, (number, time));
        if self.0.len() > most {
            self.0.remove(0);
        }
    }

    /// Those within the last `stretch` before `now`.
    fn within(&self, stretch: u64, now: u64) -> &[(u64, u64)] {
        let from = self.0.partition_point(|(_, time)| now.saturating_sub(*time) >= stretch);
        self.0.get(from..).unwrap_or_default()
    }

    pub(super) fn forget(&mut self, time: u64) {
        self.0.drain(..self.0.partition_point(|(_, other)| *other <= time));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// When the last one was called.
    pub(super) fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, time)| *time)
    }
}

/// Different numbers, each with the last call to it.
///
/// More than the greatest limit and one need not be known, so the one that was called longest ago goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Distinct(pub(super) Numbers);

impl Distinct {
    /// A number was called then.
    pub(super) fn call(&mut self, number: u64, time: u64) {
        self.note(number, time, MOST_NUMBERS);
    }

    /// The same where no limit allows more than `most`.
    pub(super) fn note(&mut self, number: u64, time: u64, most: u32) {
        let numbers = &mut self.0.0;
        let before = numbers.iter().position(|(other, _)| *other == number);
        let time = before.map_or(time, |at| numbers.remove(at).1.max(time));
        self.0.add(number, time, most as usize + 1);
    }

    /// How many were called within the last `stretch` before `now`, up to one more than the greatest limit.
    pub(super) fn within(&self, stretch: u64, now: u64) -> u64 {
        self.0.within(stretch, now).len() as u64
    }
}

/// The last calls, each with its number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Same(pub(super) Numbers);

impl Same {
    /// A number was called then.
    pub(super) fn call(&mut self, number: u64, time: u64) {
        self.0.add(number, time, NUMBERS);
    }

    /// How often the number was called that was called most within the last `stretch` before `now`.
    pub(super) fn within(&self, stretch: u64, now: u64) -> u64 {
        let mut often: HashMap<u64, u64> = HashMap::new();
        for (number, _) in self.0.within(stretch, now) {
            *often.entry(*number).or_default() += 1;
        }
        often.into_values().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3600 * SECOND;

    /// Marsaglia's xorshift64.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    /// How long calls, each from and to a time, were up in the stretch, second by second where they are whole.
    fn exact(calls: &[(u64, u64)], stretch: u64, now: u64) -> u64 {
        let from = now.saturating_sub(stretch);
        calls.iter().map(|(since, until)| (*until).min(now).saturating_sub((*since).max(from))).sum()
    }

    #[test]
    fn the_time_of_calls_is_exact_in_every_stretch() {
        for seed in 1..=200 {
            let mut chance = Chance(seed * 7919);
            let (mut time, mut calls, mut up) = (Time::default(), Vec::new(), Vec::new());
            let mut now = 10 * HOUR;
            for call in 0..300u64 {
                now += chance.below(60 * SECOND);
                if chance.below(3) > 0 {
                    time.begin(call, now);
                    up.push((call, now));
                }
                if !up.is_empty() && chance.below(2) == 0 {
                    let (call, since) = up.remove(chance.below(up.len() as u64) as usize);
                    time.end(call, now, HOUR);
                    calls.push((since, now));
                }
                for stretch in [60 * SECOND, 600 * SECOND, HOUR] {
                    let all: Vec<(u64, u64)> =
                        calls.iter().copied().chain(up.iter().map(|(_, since)| (*since, now))).collect();
                    assert_eq!(time.within(stretch, now).0, exact(&all, stretch, now), "{seed} {call}");
                }
                time.forget(now - HOUR);
            }
            assert!(time.len() < 300, "what is over is forgotten");
        }
    }

    #[test]
    fn a_call_leaves_the_stretch_as_it_came_in() {
        let mut time = Time::default();
        time.add(HOUR, HOUR + 600 * SECOND, HOUR);
        assert_eq!(time.within(HOUR, 2 * HOUR), (600 * SECOND, 1));
        assert_eq!(time.within(HOUR, 2 * HOUR + 240 * SECOND), (360 * SECOND, 1));
        assert_eq!(time.within(HOUR, 2 * HOUR + 600 * SECOND), (0, 0));
    }

    #[test]
    fn of_very_many_calls_never_less_is_counted_and_hardly_more() {
        for seed in 1..=20 {
            let mut chance = Chance(seed * 104_729);
            let (mut time, mut calls, mut now) = (Time::default(), Vec::new(), HOUR);
            for _ in 0..20_000 {
                now += chance.below(SECOND);
                let since = now - chance.below(20 * SECOND);
                time.add(since, now, HOUR);
                calls.push((since, now));
                time.forget(now.saturating_sub(HOUR));
                assert!(time.len() <= PIECES);
            }
            for stretch in [HOUR, HOUR / 2, HOUR / 60] {
                let (counted, exact) = (time.within(stretch, now).0, exact(&calls, stretch, now));
                // What ended within one slot, and began before the stretch did.
                let slot: u64 = {
                    let from = now - stretch;
                    let of_slot = calls.iter().filter(|(_, until)| until.abs_diff(from) <= HOUR / SLOTS);
                    of_slot.map(|(since, until)| until - since).sum()
                };
                assert!((exact..=exact + slot).contains(&counted), "{seed}: {counted} of {exact}, slot {slot}");
            }
        }
    }

    #[test]
    fn numbers_are_counted_once_each_and_the_most_called_exactly() {
        for seed in 1..=100 {
            let mut chance = Chance(seed * 31);
            let (mut distinct, mut same, mut calls, mut now) = (Distinct::default(), Same::default(), Vec::new(), HOUR);
            for _ in 0..400 {
                now += chance.below(30 * SECOND);
                let number = chance.below(50);
                distinct.call(number, now);
                same.call(number, now);
                calls.push((number, now));
                for stretch in [60 * SECOND, HOUR] {
                    let young: Vec<u64> =
                        calls.iter().filter(|(_, time)| now - time < stretch).map(|(number, _)| *number).collect();
                    let numbers: HashSet<u64> = young.iter().copied().collect();
                    assert_eq!(distinct.within(stretch, now), numbers.len() as u64);
                    let often = |number: &u64| young.iter().filter(|it| *it == number).count() as u64;
                    assert_eq!(same.within(stretch, now), numbers.iter().map(often).max().unwrap_or(0));
                }
                distinct.0.forget(now - HOUR);
                same.0.forget(now - HOUR);
            }
            assert!(distinct.0.len() <= 50 && same.0.len() < 400);
        }
    }

    #[test]
    fn memory_is_bounded_and_the_greatest_limit_is_still_met() {
        let (mut distinct, mut same) = (Distinct::default(), Same::default());
        for number in 0..10_000 {
            distinct.call(number, number);
            same.call(number % 2, number);
        }
        assert_eq!(distinct.within(HOUR, 10_000), u64::from(MOST_NUMBERS) + 1);
        assert_eq!((distinct.0.len(), same.0.len()), (MOST_NUMBERS as usize + 1, NUMBERS));
        assert!(same.within(HOUR, 10_000) > u64::from(MOST_NUMBERS));
    }

    #[test]
    fn what_begins_anew_counts_calls_that_are_up_from_now() {
        let mut time = Time::default();
        time.add(0, 60 * SECOND, HOUR);
        time.begin(1, 0);
        time.begin_anew(100 * SECOND);
        time.begin(1, 0);
        assert_eq!(time.within(HOUR, 130 * SECOND), (30 * SECOND, 1));
        time.end(1, 140 * SECOND, HOUR);
        assert_eq!(time.within(HOUR, 150 * SECOND), (40 * SECOND, 1));
    }
}
