//! Sliding windows over calls: the times of the last calls, and nothing averaged.
//!
//! A window of `n` in `T` refuses a call if the `n`-th last admitted one is younger than `T`. So calls whose places in
//! the order of admission are `n` apart are at least `T` apart in time, whatever the clock did between them; any `n + 1`
//! admitted calls hold two such, and no stretch of `T` holds more than `n`. A rate (GCRA) with the same allowance lets
//! `2n - 1` through. A refused call writes nothing but the suspension it sets off.

use crate::policy::{
    Policy,
    image::{LIMIT_HEAD, LIMIT_INTERVAL, LIMIT_SITE_WINDOWS, LIMIT_SUSPEND, LIMIT_WINDOWS},
};

/// The longest ban, and after how long without one the next is as short as the first: a day, nanoseconds.
pub const LONGEST_BAN: u64 = 24 * 3_600_000_000_000;
/// Calls that a cell remembers, and the most that a window can allow.
pub const CALLS: usize = 64;
/// Windows that hold at once.
pub const WINDOWS: usize = 4;

/// `n` calls in any `T`, in one word: the number above, nanoseconds below. Zero is no window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window(pub u64);

impl Window {
    const TIME: u32 = 56;

    /// A window; the number is at most [`CALLS`], the time less than 2⁵⁶ ns (833 days).
    pub const fn new(calls: u32, nanoseconds: u64) -> Self {
        let calls = if calls as usize > CALLS { CALLS as u64 } else { calls as u64 };
        Self(calls << Self::TIME | nanoseconds & ((1 << Self::TIME) - 1))
    }

    /// How many calls.
    #[inline(always)]
    pub const fn calls(self) -> u64 {
        self.0 >> Self::TIME
    }

    /// In what time, in nanoseconds.
    #[inline(always)]
    pub const fn time(self) -> u64 {
        self.0 & ((1 << Self::TIME) - 1)
    }

    /// Interval and tolerance of a rate that never admits more than the window does, where there is no memory for the
    /// calls of everybody: half of them at once, the others spread over the time.
    #[inline(always)]
    pub const fn rate(self) -> (u64, u64) {
        let burst = (self.calls() + 1) >> 1;
        // A divisor that the compiler cannot prove to be none would leave a panic in the kernel.
        let interval = match self.time().checked_div(self.calls() - burst + 1) {
            Some(interval) => interval + 1,
            None => u64::MAX,
        };
        // Less than 2⁶³: the time is less than 2⁵⁶, and the number less than 2⁸.
        (interval, interval.wrapping_mul(burst.saturating_sub(1)))
    }
}

/// What a cell says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Answer {
    /// It conforms.
    Conforms = 0,
    /// A window is full.
    Over = 1,
    /// The cell is suspended.
    Suspended = 2,
    /// A new country, which has had its one call.
    New = 3,
}

impl Answer {
    /// The answer with this number; one that nobody gives conforms.
    #[inline(always)]
    pub const fn from_u64(n: u64) -> Self {
        match n {
            1 => Self::Over,
            2 => Self::Suspended,
            3 => Self::New,
            _ => Self::Conforms,
        }
    }
}

/// What is asked of a cell, in one word: whether to take a call, which windows of the limit hold, what else, and the
/// country that is to be remembered as the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How(pub u64);

impl How {
    /// Takes the call, if it conforms.
    pub const TAKE: u64 = 1 << 32;
    /// By the windows for the site.
    pub const SITE: u64 = 1 << 33;
    /// No windows: only whether the cell is suspended.
    pub const LATCH: u64 = 1 << 34;
    /// Suspends the cell, whatever it holds.
    pub const TRIP: u64 = 1 << 35;
    /// Suspends the cell where a window is full.
    pub const SUSPENDS: u64 = 1 << 36;
    /// The cell is that of a country in which fraud ends up: until its first call is old enough, that is the only one.
    pub const HOT: u64 = 1 << 37;
    /// The cell is a ban: each is longer than the one before.
    pub const BAN: u64 = 1 << 38;
    const CAUSE: u32 = 40;

    /// The same for the limit whose cells begin at `base`.
    #[inline(always)]
    pub const fn at(self, base: u32) -> Self {
        Self(self.0 & !0xffff_ffff | base as u64)
    }

    /// The same, because of a country.
    #[inline(always)]
    pub const fn because(self, country: u16) -> Self {
        Self(self.0 | (country as u64) << Self::CAUSE)
    }

    /// Where the limit begins.
    #[inline(always)]
    pub const fn base(self) -> u32 {
        self.0 as u32
    }

    /// Whether one of these is asked.
    #[inline(always)]
    pub const fn has(self, what: u64) -> bool {
        self.0 & what != 0
    }

    /// Whether the cell has something to remember of it, so that it must be made.
    #[inline(always)]
    pub const fn remembers(self) -> bool {
        self.has(Self::TAKE | Self::TRIP)
    }

    /// The country.
    #[inline(always)]
    pub const fn cause(self) -> u64 {
        self.0 >> Self::CAUSE & 0xffff
    }
}

/// One cell: the last calls of whatever it counts, and its suspension.
///
/// The times are those of the clock that the decisions run on. Everything zero is a cell that nothing has happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Ring {
    /// Calls admitted since the cell was made; of a ban, how many there were in a row.
    pub admitted: u64,
    /// When the first of them was; 0 for none.
    pub first: u64,
    /// Not zero where user space knows that the country was used before; of a ban, the hash of the limit's name.
    pub used: u64,
    /// Until when the cell is suspended; 0 if it is not.
    pub until: u64,
    /// Since when.
    pub since: u64,
    /// Calls refused since then.
    pub refused: u64,
    /// The country of the call that set it off, from 1; 0 for none.
    pub cause: u64,
    /// When the last calls were admitted; the latest stands at `admitted - 1`.
    pub calls: [u64; CALLS],
}

/// Octets of a [`Ring`].
pub const RING: usize = 8 * (7 + CALLS);
const _: () = assert!(size_of::<Ring>() == RING && CALLS == 64, "an index would be masked to another place");

impl Ring {
    /// A cell that nothing has happened to.
    pub const FRESH: Self =
        Self { admitted: 0, first: 0, used: 0, until: 0, since: 0, refused: 0, cause: 0, calls: [0; CALLS] };

    /// Asks the cell about a call at `now`. A clock that goes back finds every call young.
    ///
    /// The terms are read from the image as they are needed: kept, they would take a place on the stack.
    #[inline(always)]
    pub fn ask<P: Policy>(&mut self, policy: &P, how: How, now: u64) -> Answer {
        let base = how.base();
        if now < self.until {
            self.refused = self.refused.wrapping_add(1);
            return Answer::Suspended;
        }
        if how.has(How::TRIP) {
            let time = policy.cell(base + LIMIT_SUSPEND);
            let time = if how.has(How::BAN) { self.ban(time, policy.cell(base + LIMIT_HEAD), now) } else { time };
            self.suspend(time, how, now);
            return Answer::Suspended;
        }
        if how.has(How::LATCH) {
            return Answer::Conforms;
        }
        if how.has(How::HOT)
            && self.used == 0
            && self.first != 0
            && now.saturating_sub(self.first) < policy.cell(base + LIMIT_INTERVAL)
        {
            return Answer::New;
        }
        let at = base + if how.has(How::SITE) { LIMIT_SITE_WINDOWS } else { LIMIT_WINDOWS };
        let full = |ring: &Self, place: u32| ring.is_full(Window(policy.cell(at + place)), now);
        if full(self, 0) || full(self, 1) || full(self, 2) || full(self, 3) {
            if how.has(How::SUSPENDS) {
                self.suspend(policy.cell(base + LIMIT_SUSPEND), how, now);
            }
            return Answer::Over;
        }
        if how.has(How::TAKE) {
            self.admit(now);
        }
        Answer::Conforms
    }

    /// Whether a window takes no other call.
    #[inline(always)]
    pub fn is_full(&self, window: Window, now: u64) -> bool {
        if window.0 == 0 || self.admitted < window.calls() {
            return false;
        }
        let at = (self.admitted.wrapping_sub(window.calls()) & (CALLS as u64 - 1)) as usize;
        self.calls.get(at).is_some_and(|time| now.saturating_sub(*time) < window.time())
    }

    /// How many calls a window holds now, at most [`CALLS`].
    pub fn level(&self, window: Window, now: u64) -> u64 {
        let held = (1..=self.admitted.min(CALLS as u64)).map(|back| {
            let at = (self.admitted.wrapping_sub(back) & (CALLS as u64 - 1)) as usize;
            self.calls.get(at).copied().unwrap_or(0)
        });
        held.filter(|time| now.saturating_sub(*time) < window.time()).count() as u64
    }

    #[inline(always)]
    fn admit(&mut self, now: u64) {
        let at = (self.admitted & (CALLS as u64 - 1)) as usize;
        if let Some(call) = self.calls.get_mut(at) {
            *call = now;
        }
        if self.first == 0 {
            self.first = if now == 0 { 1 } else { now };
        }
        self.admitted = self.admitted.wrapping_add(1);
    }

    /// How long the next ban lasts, the first `time`: each twice as long as the one before, until a day has passed without.
    #[inline(always)]
    fn ban(&mut self, time: u64, head: u64, now: u64) -> u64 {
        if now.saturating_sub(self.until) > LONGEST_BAN {
            self.admitted = 0;
        }
        let doubled = if self.admitted < 20 { time << self.admitted } else { LONGEST_BAN };
        self.admitted = self.admitted.wrapping_add(1);
        self.used = head & 0xffff_ffff;
        if doubled < LONGEST_BAN { doubled } else { LONGEST_BAN }
    }

    #[inline(always)]
    fn suspend(&mut self, time: u64, how: How, now: u64) {
        self.until = now.saturating_add(time);
        self.since = now;
        self.refused = 1;
        self.cause = how.cause();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::image::LIMIT_CELLS, text::Steps};
    use std::{vec, vec::Vec};

    const SECOND: u64 = 1_000_000_000;
    const TAKES: How = How(How::TAKE);

    /// Marsaglia's xorshift64: chance that can be met again.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, n: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % n
        }
    }

    fn chance(seed: u64) -> Chance {
        Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// One limit, at the beginning of an image.
    struct Terms([u64; LIMIT_CELLS as usize]);

    impl Steps for Terms {}

    impl Policy for Terms {
        fn cell(&self, index: u32) -> u64 {
            self.0[index as usize]
        }

        fn dialled(&self, _: u32) -> u8 {
            0
        }
    }

    fn terms(windows: &[(u32, u64)], suspend: u64) -> Terms {
        let mut cells = [0; LIMIT_CELLS as usize];
        (cells[LIMIT_SUSPEND as usize], cells[LIMIT_INTERVAL as usize]) = (suspend, 12 * 3600 * SECOND);
        for (place, (calls, time)) in cells[LIMIT_WINDOWS as usize..].iter_mut().zip(windows) {
            *place = Window::new(*calls, *time).0;
        }
        Terms(cells)
    }

    /// The most that any stretch of `time` holds.
    fn most(admitted: &[u64], time: u64) -> usize {
        let mut sorted = admitted.to_vec();
        sorted.sort_unstable();
        (0..sorted.len())
            .map(|from| sorted[from..].iter().take_while(|at| *at - sorted[from] < time).count())
            .max()
            .unwrap_or(0)
    }

    #[test]
    fn never_more_than_n_in_any_t_and_never_fewer_than_could_be() {
        for seed in 1..400 {
            let mut chance = chance(seed);
            let windows: Vec<(u32, u64)> =
                (0..=chance.below(4)).map(|_| (1 + chance.below(64) as u32, 1 + chance.below(400))).collect();
            let terms = terms(&windows, 0);
            let (mut ring, mut admitted, mut now) = (Ring::FRESH, Vec::new(), chance.below(1000));
            for _ in 0..1000 {
                now += [0, 0, 1, chance.below(20), chance.below(500)][chance.below(5) as usize];
                // The reference looks at every call that was ever admitted.
                let may = windows
                    .iter()
                    .all(|(calls, time)| admitted.iter().filter(|at| now - **at < *time).count() < *calls as usize);
                let answer = ring.ask(&terms, TAKES, now);
                assert_eq!(answer == Answer::Conforms, may, "seed {seed} at {now}: {windows:?} {admitted:?}");
                if may {
                    admitted.push(now);
                }
            }
            for (calls, time) in windows {
                assert!(most(&admitted, time) <= calls as usize, "seed {seed}: more than {calls} in {time}");
            }
        }
    }

    #[test]
    fn a_clock_that_jumps_back_admits_no_more_either() {
        for seed in 1..400 {
            let mut chance = chance(seed);
            let (calls, time) = (1 + chance.below(64) as u32, 1 + chance.below(300));
            let terms = terms(&[(calls, time)], 0);
            let (mut ring, mut admitted) = (Ring::FRESH, Vec::new());
            for _ in 0..2000 {
                let now = chance.below(2000);
                if ring.ask(&terms, TAKES, now) == Answer::Conforms {
                    admitted.push(now);
                }
            }
            assert!(most(&admitted, time) <= calls as usize, "seed {seed}: {calls} in {time}");
        }
    }

    #[test]
    fn a_window_is_open_again_to_the_nanosecond() {
        let terms = terms(&[(5, 60 * SECOND)], 0);
        let mut ring = Ring::FRESH;
        assert_eq!((0..100).filter(|_| ring.ask(&terms, TAKES, 7) == Answer::Conforms).count(), 5);
        assert_eq!(ring.level(Window::new(5, 60 * SECOND), 7), 5);
        assert_eq!(ring.ask(&terms, TAKES, 7 + 60 * SECOND - 1), Answer::Over);
        assert_eq!((0..100).filter(|_| ring.ask(&terms, TAKES, 7 + 60 * SECOND) == Answer::Conforms).count(), 5);
        assert_eq!(ring.ask(&terms, How(0), 1), Answer::Over, "asked only");
    }

    #[test]
    fn extremes_of_clock_and_windows_neither_overflow_nor_open() {
        for now in [0, 1, u64::MAX - 1, u64::MAX] {
            let terms = terms(&[(64, u64::MAX), (1, 1), (65, 1)], u64::MAX);
            let mut ring = Ring::FRESH;
            assert_eq!(ring.ask(&terms, TAKES, now), Answer::Conforms);
            assert_eq!(ring.ask(&terms, How(How::TAKE | How::SUSPENDS), now), Answer::Over);
            let expected = if now == u64::MAX { Answer::Over } else { Answer::Suspended };
            assert_eq!(ring.ask(&terms, TAKES, now), expected, "a suspension cannot last beyond the clock");
        }
        let mut old = Ring { admitted: u64::MAX, ..Ring::FRESH };
        assert_eq!(old.ask(&terms(&[(1, 5)], 0), TAKES, 100), Answer::Conforms);
        assert_eq!(old.admitted, 0);
        assert_eq!(Window::new(65, u64::MAX).calls(), 64);
        assert_eq!(Window::new(1, 3).time(), 3);
    }

    #[test]
    fn a_suspension_lasts_as_long_as_it_should_and_counts_what_it_refuses() {
        let terms = terms(&[(2, 10)], 100);
        let how = How(How::TAKE | How::SUSPENDS).because(7);
        let mut ring = Ring::FRESH;
        let answers: Vec<Answer> = [1, 2, 3, 50, 102, 103].map(|now| ring.ask(&terms, how, now)).to_vec();
        let expected = vec![
            Answer::Conforms,
            Answer::Conforms,
            Answer::Over,
            Answer::Suspended,
            Answer::Suspended,
            Answer::Conforms,
        ];
        assert_eq!(answers, expected);
        assert_eq!((ring.since, ring.until, ring.refused, ring.cause), (3, 103, 3, 7));
    }

    #[test]
    fn a_breaker_is_latched_by_another_cell_and_counts_nothing() {
        let terms = terms(&[(1, 10)], 100);
        let mut site = Ring::FRESH;
        assert_eq!(site.ask(&terms, How(How::LATCH | How::TAKE), 1), Answer::Conforms);
        assert_eq!(site.admitted, 0);
        assert_eq!(site.ask(&terms, How(How::TRIP).because(3), 2), Answer::Suspended);
        assert_eq!(site.ask(&terms, How(How::LATCH), 101), Answer::Suspended);
        assert_eq!(site.ask(&terms, How(How::LATCH), 102), Answer::Conforms);
        assert_eq!(site.cause, 3);
    }

    #[test]
    fn a_new_country_gets_one_call_until_that_is_old_enough() {
        let terms = terms(&[(20, 3600 * SECOND)], 0);
        let (how, hours) = (How(How::TAKE | How::HOT), |n: u64| n * 3600 * SECOND);
        let mut ring = Ring::FRESH;
        assert_eq!(ring.ask(&terms, how, 0), Answer::Conforms);
        assert_eq!(ring.ask(&terms, how, 1), Answer::New);
        assert_eq!(ring.ask(&terms, how, hours(12)), Answer::New, "the first call was noted as at 1 ns");
        assert_eq!((0..30).filter(|_| ring.ask(&terms, how, hours(13)) == Answer::Conforms).count(), 20);
        let mut known = Ring { used: 1, ..Ring::FRESH };
        assert_eq!((0..30).filter(|_| known.ask(&terms, how, 5) == Answer::Conforms).count(), 20);
    }

    #[test]
    fn the_rate_in_place_of_a_window_never_admits_more() {
        use crate::limit::gcra;
        for calls in 1..=64 {
            let window = Window::new(calls, 1000);
            let (interval, tolerance) = window.rate();
            for seed in 1..20 {
                let mut chance = chance(seed);
                let (mut tat, mut now, mut admitted) = (0, 5000, Vec::new());
                for _ in 0..600 {
                    now += chance.below(1 + 100 * (seed % 4));
                    if !gcra::is_over(tat, now, tolerance) {
                        tat = gcra::admit(tat, now, interval);
                        admitted.push(now);
                    }
                }
                assert!(most(&admitted, 1000) <= calls as usize, "{calls} in 1000: {}", most(&admitted, 1000));
            }
        }
    }
}
