//! The table of limiter cells: sets of eight, a cache line or two each, so that a cell that is not there costs no more to find than one
//! that is. A flood of forged sources asks for nothing else.
//!
//! A cell is a tag, which names its key, and a theoretical arrival time ([`gcra`](super::gcra)). Where a set is full the cell
//! whose time is least gives way: its time has passed, or will first, and a cell whose time has passed equals an absent one.

use super::CellKey;

/// Cells of a set.
pub const WAYS: u32 = 8;
/// Sets.
pub const SETS: u32 = 1 << 16;
/// Octets of the table: a tag and a time for each cell.
pub const OCTETS: usize = 16 * (SETS * WAYS) as usize;

/// What a key stands under, keyed by a secret so that nobody can choose who shares a set with whom; never 0.
///
/// Every step is a permutation of 64 bits (the finalizer of `SplitMix64`, Steele, Lea, Flood 2014), so two values of one limit differ
/// in more than the last bit.
#[inline(always)]
pub const fn tag(key: &CellKey, seed: u64) -> u64 {
    let named = key.limit as u64 | (key.kind as u64) << 32;
    let mut mixed = (key.value ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ named;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31) | 1
}

/// The set of a tag.
#[inline(always)]
pub const fn set(tag: u64) -> u32 {
    (tag >> 48) as u32
}

/// One set.
pub trait Set {
    /// The tag of a cell, 0 where there is none.
    fn tag(&self, way: u32) -> u64;

    /// The time of a cell.
    fn tat(&self, way: u32) -> u64;

    /// A loop's counter, which the compiler shall not unroll.
    fn rolled(&self, counter: u32) -> u32;
}

/// Where in its set a cell is, or is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the eight.
    pub way: u32,
    /// Whether it is there: else what is there gives way.
    pub found: bool,
}

/// The time of the cell with this tag, 0 where there is none.
#[inline(always)]
pub fn tat<S: Set>(set: &S, tag: u64) -> u64 {
    let mut way = 0u32;
    while way < WAYS {
        if set.tag(way) == tag {
            return set.tat(way);
        }
        way = set.rolled(way + 1);
    }
    0
}

/// The place of the cell with this tag.
#[inline(always)]
pub fn find<S: Set>(set: &S, tag: u64) -> Place {
    let (mut least, mut victim, mut way) = (u64::MAX, 0, 0u32);
    while way < WAYS {
        if set.tag(way) == tag {
            return Place { way, found: true };
        }
        let tat = set.tat(way);
        if tat < least {
            (least, victim) = (tat, set.rolled(way));
        }
        way = set.rolled(way + 1);
    }
    Place { way: victim, found: false }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{limit::CEILING_CELL, policy::image::Key};

    struct Eight([(u64, u64); WAYS as usize]);

    impl Set for Eight {
        fn tag(&self, way: u32) -> u64 {
            self.0[way as usize].0
        }

        fn tat(&self, way: u32) -> u64 {
            self.0[way as usize].1
        }

        fn rolled(&self, counter: u32) -> u32 {
            counter
        }
    }

    fn key(value: u64) -> CellKey {
        CellKey { limit: CEILING_CELL, kind: Key::Source as u32, value }
    }

    #[test]
    fn a_cell_is_found_or_takes_the_place_of_the_one_whose_time_is_least() {
        let mut eight = Eight([(0, 0); 8]);
        assert_eq!(find(&eight, 5), Place { way: 0, found: false });
        for way in 0..8 {
            eight.0[way] = (way as u64 + 1, 100 - way as u64);
        }
        assert_eq!(find(&eight, 5), Place { way: 4, found: true });
        assert_eq!((tat(&eight, 5), tat(&eight, 9)), (96, 0));
        assert_eq!(find(&eight, 9), Place { way: 7, found: false });
        eight.0 = [(1, u64::MAX); 8];
        assert!(!find(&eight, 9).found, "at the end of the clock");
    }

    #[test]
    fn neighbours_are_in_sets_of_their_own_and_share_no_tag() {
        for seed in [0, 7, u64::MAX] {
            let tags: BTreeSet<u64> = (0..60_000).map(|host| tag(&key(0xffff_c000_0000 + host), seed)).collect();
            assert_eq!(tags.len(), 60_000);
            assert!(!tags.contains(&0));
            let mut sets: BTreeMap<u32, u32> = BTreeMap::new();
            for tag in tags {
                *sets.entry(set(tag)).or_default() += 1;
            }
            // Poisson with a mean of 0.92: more than eight in a set are seen once in ten thousand such draws.
            assert!(sets.values().all(|cells| *cells <= 9), "{seed}");
            assert!(sets.len() > 38_000 && sets.keys().all(|set| *set < SETS), "{seed}: {}", sets.len());
        }
        let of = |limit, kind| tag(&CellKey { limit, kind, value: 7 }, 1);
        assert!(of(2, 1) != of(4, 1) && of(2, 1) != of(2, 2));
    }
}
