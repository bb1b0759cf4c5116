//! Limits: how much, for whom.

pub mod channels;
pub mod gcra;
pub mod heard;
pub mod table;
pub mod window;

use crate::policy::image::Key;
use crate::sip::parameter;

/// What a limiter cell is kept under: it survives a policy swap, since the limit is named by a hash of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CellKey {
    /// Hash of the limit's name; see [`name_hash`].
    pub limit: u32,
    /// What `value` is: a [`Key`] as its number, and who asks or which country above it.
    pub kind: u32,
    /// The source, the network, the line, the country, or 0.
    pub value: u64,
}

/// The tables that cells which remember their calls stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Cells of lines, sources and networks.
    Own,
    /// Cells of the site and of countries: whoever names another line with each call cannot keep them from being made.
    Shared,
    /// Bans: whoever is banned from many addresses takes no room from lines.
    Bans,
}

impl CellKey {
    /// The cell of the ban of a source.
    #[inline(always)]
    pub const fn of_ban(source: u64) -> Self {
        Self { limit: BAN_CELL, kind: Key::Source as u32, value: source }
    }

    /// The cell in which the floor counts the calls to a country.
    #[inline(always)]
    pub const fn of_floor(country: u16) -> Self {
        Self { limit: FLOOR_CELL, kind: Key::Country as u32, value: country as u64 }
    }

    /// The table that the cell stands in.
    #[inline(always)]
    pub const fn table(&self) -> Table {
        if self.limit == BAN_CELL {
            return Table::Bans;
        }
        if self.is_shared() { Table::Shared } else { Table::Own }
    }

    /// Whether the cell is of the site or of a country.
    #[inline(always)]
    const fn is_shared(&self) -> bool {
        let kind = self.kind & 0xff;
        kind == Key::All as u32 || kind == Key::Site as u32 || kind == Key::Country as u32
    }
}

/// Cells of built-in limits, which no file can name: their hash has the lowest bit clear.
pub const EMERGENCY_CELL: u32 = 2;
/// See [`EMERGENCY_CELL`].
pub const CEILING_CELL: u32 = 4;
/// See [`EMERGENCY_CELL`].
pub const FRAGMENTS_CELL: u32 = 6;
/// See [`EMERGENCY_CELL`].
pub const CONNECTIONS_CELL: u32 = 8;
/// Connections that were reset a moment ago; `value` is the hash of one.
pub const RESET_CELL: u32 = 10;
/// Answers to one refused source; see [`crate::answer`].
pub const ANSWER_CELL: u32 = 12;
/// Answers to all of them together.
pub const ANSWERS_CELL: u32 = 14;

/// What the floor counts: calls to each country, and its breaker.
pub const FLOOR_CELL: u32 = 16;

/// Sources that are banned, one cell each; see [`CellKey::of_ban`].
pub const BAN_CELL: u32 = 18;

/// The digest of a line's name, as the filter reads it from credentials or From; see [`crate::dialog::Dialog::line`].
pub fn line_digest(name: &[u8]) -> u64 {
    parameter::of_word(name)
}

/// FNV-1a of a limit's name, lowest bit set.
pub const fn name_hash(name: &[u8]) -> u32 {
    let mut hash = 0x811c_9dc5u32;
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        hash = (hash ^ *first as u32).wrapping_mul(0x0100_0193);
        rest = tail;
    }
    hash | 1
}
