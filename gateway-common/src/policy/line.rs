//! The table of the lines that orders are about.

use super::image::Ruling;

/// Cells of a slot of the table of lines: its [`line_key`], 0 where it is empty, and its [`LineEntry`].
pub const LINE_CELLS: u32 = 2;
/// Slots in a row in which a line may stand.
pub const LINE_PROBES: u32 = 8;

/// What a line of a profile, by its number, stands under; its first slot is that of the upper half.
#[inline(always)]
pub const fn line_key(profile: u32, line: u64) -> u64 {
    let mixed = (line ^ (profile as u64 + 1) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29) | 1
}

/// What orders make of a line: the profile in place of its source's, and what they say of all its calls. What an unproved
/// source says of its line can only make it worse off, so there are two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineEntry(pub u64);

impl LineEntry {
    const UNPROVED: u32 = 32;

    /// An entry of a source that the site vouches for, and of one that it does not; of each the profile, the ruling of
    /// orders, and whether an order counts its calls.
    pub const fn new(vouched: (u8, Ruling, bool), unproved: (u8, Ruling, bool)) -> Self {
        Self(Self::half(vouched) | Self::half(unproved) << Self::UNPROVED)
    }

    const fn half((profile, order, watched): (u8, Ruling, bool)) -> u64 {
        profile as u64 | (order as u64) << 8 | (watched as u64) << 10 | 1 << 31
    }

    /// The half that holds for a source, in the lower half.
    #[inline(always)]
    pub const fn of(self, unproved: bool) -> Self {
        if unproved { Self(self.0 >> Self::UNPROVED) } else { self }
    }

    /// Whether there is one.
    #[inline(always)]
    pub const fn is_some(self) -> bool {
        self.0 >> 31 & 1 != 0
    }

    /// Number of the profile.
    #[inline(always)]
    pub const fn profile(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    /// What an order says of the line.
    #[inline(always)]
    pub const fn order(self) -> Ruling {
        Ruling::from_bits(self.0 >> 8)
    }

    /// Whether an order counts its calls.
    #[inline(always)]
    pub const fn is_watched(self) -> bool {
        self.0 >> 10 & 1 != 0
    }
}
