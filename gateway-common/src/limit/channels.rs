//! Channels: how many calls of a cell are up at once.
//!
//! A cell has as many channels as the limit allows calls, and each remembers by which call it is held. A channel is free if no
//! call holds it, or one that the call table knows to be over: nothing has to be given back, so nothing is lost where an end
//! is, and no count drifts. A channel changes hands by compare-and-swap, so that of two calls on two CPUs one has it.

use crate::call::Digest;

/// Channels of a cell, and the most calls at once that a limit can allow.
pub const CHANNELS: usize = 64;

/// By which calls the channels of a cell are held, each by the digest of its Call-ID; 0 for none.
pub type Holders = [Digest; CHANNELS];

/// The channels of one cell.
pub trait Cell {
    /// The call that holds a channel, 0 for none.
    fn holder(&mut self, channel: u32) -> Digest;

    /// Gives a channel from one call to another; `false` if `from` does not hold it any more.
    fn hand_over(&mut self, channel: u32, from: Digest, to: Digest) -> bool;

    /// Whether a call is up, or about to be.
    fn is_up(&mut self, call: Digest) -> bool;

    /// A loop's counter, which the compiler shall not unroll.
    fn rolled(&self, counter: u32) -> u32;
}

/// Whether one of the first `most` channels is free; a `call` that is not 0 seizes it.
#[inline(always)]
pub fn seize<C: Cell>(cell: &mut C, most: u32, call: Digest) -> bool {
    let mut channel = 0u32;
    while channel < most && channel < CHANNELS as u32 {
        let holder = cell.holder(channel);
        let free = holder == 0 || !cell.is_up(holder);
        if free && (call == 0 || cell.hand_over(channel, holder, call)) {
            return true;
        }
        channel = cell.rolled(channel + 1);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    struct Scripted {
        holders: Holders,
        up: BTreeSet<Digest>,
        /// A call that takes each channel just before it is handed over.
        thief: Option<Digest>,
    }

    impl Cell for Scripted {
        fn holder(&mut self, channel: u32) -> Digest {
            self.holders[channel as usize]
        }

        fn hand_over(&mut self, channel: u32, from: Digest, to: Digest) -> bool {
            let held = &mut self.holders[channel as usize];
            if let Some(thief) = self.thief.take() {
                *held = thief;
                self.up.insert(thief);
            }
            let same = *held == from;
            if same {
                *held = to;
            }
            same
        }

        fn is_up(&mut self, call: Digest) -> bool {
            self.up.contains(&call)
        }

        fn rolled(&self, counter: u32) -> u32 {
            counter
        }
    }

    fn cell() -> Scripted {
        Scripted { holders: [0; CHANNELS], up: BTreeSet::new(), thief: None }
    }

    fn call(cell: &mut Scripted, most: u32, id: Digest) -> bool {
        let seized = seize(cell, most, id);
        if seized {
            cell.up.insert(id);
        }
        seized
    }

    #[test]
    fn so_many_are_up_at_once_and_the_end_of_one_makes_room_for_one() {
        let mut cell = cell();
        assert!((1..=3).all(|id| call(&mut cell, 3, id)));
        assert!(!call(&mut cell, 3, 4), "a fourth");
        cell.up.remove(&2);
        assert!(seize(&mut cell, 3, 0), "asking takes nothing");
        assert!(call(&mut cell, 3, 5));
        assert!(!seize(&mut cell, 3, 0));
        assert_eq!(cell.holders[..4], [1, 5, 3, 0]);
    }

    #[test]
    fn who_loses_the_race_for_a_channel_takes_the_next_or_none() {
        let mut cell = cell();
        cell.thief = Some(7);
        assert!(call(&mut cell, 2, 1));
        assert_eq!(cell.holders[..2], [7, 1]);
        cell.up.remove(&1);
        cell.thief = Some(8);
        assert!(!call(&mut cell, 2, 2));
        assert_eq!(cell.holders[..2], [7, 8]);
    }

    #[test]
    fn any_order_of_begins_and_ends_keeps_the_bound() {
        let mut cell = cell();
        let mut seed = 1u64;
        for id in 1..5_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if seed >> 62 == 0
                && let Some(ended) = cell.up.iter().nth((seed >> 40) as usize % 5).copied()
            {
                cell.up.remove(&ended);
            }
            let before = cell.up.len();
            let seized = call(&mut cell, 5, id);
            assert_eq!(seized, before < 5, "call {id} beside {before}");
        }
    }

    #[test]
    fn no_limit_has_more_channels_than_a_cell() {
        let mut cell = cell();
        assert!((1..=CHANNELS as u64).all(|id| call(&mut cell, u32::MAX, id)));
        assert!(!call(&mut cell, u32::MAX, 99));
    }
}
