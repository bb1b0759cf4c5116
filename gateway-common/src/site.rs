//! What the filter has learned of its site: state that no policy holds.

use crate::addr::Addr;

const HOUR: u64 = 3_600_000_000_000;
/// How long a source stays known after the PBX took its credentials.
pub const KNOWN: u64 = 24 * HOUR;
/// How long answers of the PBX have been seen before the floor refuses foreign calls of sources that nobody knows.
pub const ARMED: u64 = HOUR;

/// How long after attaching that is so: as long as a call holds of which nothing is seen.
pub const SPARED: u64 = 4 * HOUR;

/// One for the whole site.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Site {
    /// By which digests are keyed.
    pub seed: u64,
    /// When an answer of the PBX to the outside was first seen, nanoseconds; 0 for never.
    pub answered: u64,
    /// 1 once answers have been seen for [`ARMED`]: where they are not seen, nobody could become known.
    pub armed: u64,
    /// Until when requests of calls that the filter has not seen begin are spared, nanoseconds: those calls were up when it
    /// was attached.
    pub spared: u64,
    /// Not 0 once a source was banned: until then nobody is looked up.
    pub bans: u64,
}

impl Site {
    /// Notes an answer of the PBX at `now`.
    #[inline(always)]
    pub fn note_answer(&mut self, now: u64) {
        if self.answered == 0 {
            self.answered = if now == 0 { 1 } else { now };
        } else if now.saturating_sub(self.answered) >= ARMED {
            self.armed = 1;
        }
    }
}

/// Bits of the table of hints: a source whose bit is not set is not known. 8 KiB.
pub const HINTS: u32 = 1 << 16;

/// The bit of a source in that table.
#[inline(always)]
pub const fn hint(source: Addr) -> u32 {
    let folded = source.source().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (folded >> 48) as u32 & (HINTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_armed_an_hour_after_the_first_answer() {
        let mut site = Site::default();
        for now in [5, 10, HOUR, HOUR + 4] {
            site.note_answer(now);
            assert_eq!(site.armed, 0, "{now}");
        }
        site.note_answer(HOUR + 5);
        assert_eq!((site.answered, site.armed), (5, 1));
    }

    #[test]
    fn hints_are_spread() {
        let hints: std::collections::BTreeSet<u32> = (0..1000).map(|host| hint(Addr::v4(0xc000_0200 + host))).collect();
        assert!(hints.len() > 980, "{}", hints.len());
    }
}
