//! Sources outside that are more than one packet: whom the PBX has just answered, and who came back after a refusal.
//!
//! A flood of forged sources, each of which appears once, can do neither; a telephone repeats its request after 0.5 s (RFC 3261
//! section 17.1.1.2, timer A), and answers a challenge at once. The idea is that of greylisting mail (Harris 2003).
//!
//! An entry stands in the place that its source names, since a flood asks for nothing else. It is a tag of 23 bits, whether
//! the PBX answered, and a time in units of 2^20 ns, about a millisecond.

use super::gcra;

/// Places.
pub const PLACES: u32 = 1 << 18;
/// Octets of all: 2 MB.
pub const OCTETS: usize = 8 * PLACES as usize;

const SECOND: u64 = 1_000_000_000;
/// How soon after a refusal who comes again has come back: less than timer A, more than a burst.
const SOONEST: u64 = 300_000_000;
/// Until when: timer B, and a little.
const LATEST: u64 = 40 * SECOND;
/// How long one that was refused keeps its place, so that a flood does not take it before the repetition: a little more than timer A.
const KEPT: u64 = 600_000_000;
/// How long a challenge is answered by the same request with credentials: that and its first three repetitions.
pub const CHALLENGED: u64 = 4 * SECOND;

const TIME: u32 = 40;
const ANSWERED: u64 = 1 << TIME;
const UNIT: u32 = 20;

/// What stands in a place; 0 for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry(pub u64);

/// What an entry says of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing.
    Never,
    /// It came before, and was refused.
    Back,
    /// The PBX answered it.
    Answered,
}

/// What a source stands under, keyed by a secret; the lower bits name its place, the highest ones are its tag.
#[inline(always)]
const fn mixed(source: u64, seed: u64) -> u64 {
    let mixed = (source ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}

/// The place of a source.
#[inline(always)]
pub const fn place(source: u64, seed: u64) -> u32 {
    mixed(source, seed) as u32 & (PLACES - 1)
}

impl Entry {
    const TAG: u64 = !0 << (TIME + 1);

    #[inline(always)]
    const fn new(source: u64, seed: u64, kind: u64, time: u64) -> Self {
        let time = time >> UNIT;
        Self(mixed(source, seed) & Self::TAG | kind | if time < ANSWERED { time } else { ANSWERED - 1 })
    }

    /// A source that was refused at `now`.
    #[inline(always)]
    pub const fn refused(source: u64, seed: u64, now: u64) -> Self {
        Self::new(source, seed, 0, now)
    }

    /// A source that the PBX answered, which counts until then.
    #[inline(always)]
    pub const fn answered(source: u64, seed: u64, until: u64) -> Self {
        Self::new(source, seed, ANSWERED, until)
    }

    #[inline(always)]
    const fn time(self) -> u64 {
        (self.0 & (ANSWERED - 1)) << UNIT
    }

    #[inline(always)]
    const fn is_answered(self) -> bool {
        self.0 & ANSWERED != 0
    }

    /// What it says of a source at `now`.
    #[inline(always)]
    pub const fn says(self, source: u64, seed: u64, now: u64) -> Heard {
        if self.0 == 0 || (self.0 ^ mixed(source, seed)) & Self::TAG != 0 {
            return Heard::Never;
        }
        if self.is_answered() {
            return if now < self.time() { Heard::Answered } else { Heard::Never };
        }
        let age = now.saturating_sub(self.time());
        if age >= SOONEST && age < LATEST { Heard::Back } else { Heard::Never }
    }

    /// Whether another entry takes its place at `now`. One that was answered gives way only to one that counts longer, and one
    /// that was refused not before it could have come back.
    #[inline(always)]
    pub const fn gives_way(self, other: Self, now: u64) -> bool {
        if self.is_answered() {
            return now >= self.time() || other.is_answered() && other.time() >= self.time();
        }
        if other.is_answered() {
            return true;
        }
        let age = now.saturating_sub(self.time());
        // The same source came back: it stays what it is while that counts.
        let kept = if (self.0 ^ other.0) & Self::TAG == 0 { LATEST } else { KEPT };
        self.0 == 0 || age >= kept
    }
}

/// The tolerance of the limit of all unproved sources for one that is not heard: a quarter of the burst is kept for those that are, so
/// that they come first once it is used up. Together they never get more than the limit.
#[inline(always)]
pub const fn of_strangers(tolerance: u64) -> u64 {
    tolerance - (tolerance >> 2)
}

const _: () = assert!(!gcra::is_over(0, 0, of_strangers(0)), "a burst of one is one");

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SEED: u64 = 0x5eed;

    #[test]
    fn who_repeats_a_request_has_come_back_and_who_repeats_it_at_once_has_not() {
        let now = 7_000 * SECOND;
        let entry = Entry::refused(5, SEED, now);
        for (after, heard) in [
            (0, Heard::Never),
            (298 * MS, Heard::Never),
            (302 * MS, Heard::Back),
            (500 * MS, Heard::Back),
            (39 * SECOND, Heard::Back),
            (41 * SECOND, Heard::Never),
        ] {
            assert_eq!(entry.says(5, SEED, now + after), heard, "{after}");
        }
        assert_eq!(entry.says(6, SEED, now + SECOND), Heard::Never);
        assert_eq!(entry.says(5, SEED + 1, now + SECOND), Heard::Never);
        assert_eq!(Entry::default().says(5, SEED, now), Heard::Never);
    }

    #[test]
    fn whom_the_pbx_answered_is_heard_for_a_time() {
        let now = 7_000 * SECOND;
        let entry = Entry::answered(5, SEED, now + CHALLENGED);
        assert_eq!(entry.says(5, SEED, now), Heard::Answered);
        assert_eq!(entry.says(5, SEED, now + CHALLENGED - 3 * MS), Heard::Answered);
        assert_eq!(entry.says(5, SEED, now + CHALLENGED), Heard::Never);
        assert_eq!(entry.says(6, SEED, now), Heard::Never);
    }

    #[test]
    fn a_place_is_kept_until_its_source_could_have_come_back() {
        let now = 7_000 * SECOND;
        let (mine, other) = (Entry::refused(5, SEED, now), |after| Entry::refused(6, SEED, now + after));
        assert!(Entry::default().gives_way(mine, now));
        assert!(!mine.gives_way(other(550 * MS), now + 550 * MS));
        assert!(mine.gives_way(other(650 * MS), now + 650 * MS));
        assert!(!mine.gives_way(Entry::refused(5, SEED, now + SECOND), now + SECOND), "it is older than that");
        assert!(mine.gives_way(Entry::refused(5, SEED, now + 41 * SECOND), now + 41 * SECOND));
    }

    #[test]
    fn no_flood_takes_the_place_of_whom_the_pbx_answered() {
        let now = 7_000 * SECOND;
        let until = |seconds| Entry::answered(5, SEED, now + seconds * SECOND);
        assert!(!until(4).gives_way(Entry::refused(6, SEED, now), now));
        assert!(until(4).gives_way(Entry::refused(6, SEED, now + 5 * SECOND), now + 5 * SECOND));
        assert!(!until(100).gives_way(until(4), now));
        assert!(until(4).gives_way(until(100), now));
        assert!(Entry::refused(6, SEED, now).gives_way(until(4), now));
    }

    #[test]
    fn behind_the_time_that_an_entry_can_hold_nobody_is_heard() {
        let entry = Entry::answered(5, SEED, u64::MAX);
        assert_eq!(entry.says(5, SEED, SECOND), Heard::Answered);
        assert_eq!(entry.says(5, SEED, u64::MAX), Heard::Never);
        assert_eq!(Entry::refused(5, SEED, u64::MAX).says(5, SEED, u64::MAX), Heard::Never);
        assert!(entry.gives_way(Entry::refused(6, SEED, u64::MAX), u64::MAX));
    }

    #[test]
    fn strangers_have_three_quarters_of_the_burst() {
        assert_eq!(of_strangers(0), 0);
        assert_eq!(of_strangers(8), 6);
        assert_eq!(of_strangers(u64::MAX), u64::MAX - (u64::MAX >> 2));
    }

    #[test]
    fn neighbours_have_places_of_their_own() {
        let places: std::collections::BTreeSet<u32> =
            (0..20_000).map(|host| place(0xffff_c000_0000 + host, SEED)).collect();
        assert!(places.len() > 19_000 && places.iter().all(|place| *place < PLACES), "{}", places.len());
    }
}
