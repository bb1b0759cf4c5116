//! Limits: how much, for whom.

pub mod gcra;

/// What a limiter cell is kept under: it survives a policy swap, since the limit is named by a hash of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct CellKey {
    /// Hash of the limit's name; see [`name_hash`].
    pub limit: u32,
    /// What `value` is: a [`crate::policy::image::Key`] as its number.
    pub kind: u32,
    /// The source, the network, or 0.
    pub value: u64,
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
