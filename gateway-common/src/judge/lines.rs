//! Orders for a line: the profile that holds in place of its source's.

use super::source::{Asker, Source};
use crate::{
    env::Env,
    judged::Who,
    policy::{
        Policy,
        image::{LINE_CELLS, LINE_PROBES, LINES, LINES_MASK, LineEntry, PROFILE_CELLS, PROFILES, Ruling, line_key},
    },
};

/// Whether an order may be about the line of a source: what a trunk says of a line is no line of the site.
#[inline(always)]
pub(super) fn matter<P: Policy>(env: &P, asker: Asker) -> bool {
    env.cell(LINES) != 0 && !asker.is(Who::Trunk)
}

/// Makes the source what orders for the line of the message at hand have it be, and says whether there are any. The dialog
/// was read.
#[inline(always)]
pub(super) fn take<E: Env>(env: &mut E, source: &mut Source) -> bool {
    let line = env.judged().line;
    if line == 0 {
        return false;
    }
    let profiles = env.cell(PROFILES) as u32;
    let number = source.profile.wrapping_sub(profiles) / PROFILE_CELLS;
    let entry = env.line(line_key(number, line)).of(source.asker.is(Who::Unproved));
    if entry.is_some() {
        source.asker = source.asker.of_line(entry);
        source.profile = profiles + entry.profile() * PROFILE_CELLS;
    }
    entry.is_some()
}

/// What the table says of a line.
#[inline(always)]
pub fn line<P: Policy>(env: &P, key: u64) -> LineEntry {
    let (first, mask) = (env.cell(LINES) as u32, env.cell(LINES_MASK) as u32);
    let mut i = 0u32;
    while i < LINE_PROBES {
        let slot = first + (((key >> 32) as u32 + i) & mask) * LINE_CELLS;
        if env.cell(slot) == key {
            return LineEntry(env.cell(slot + 1));
        }
        i = env.rolled(i + 1);
    }
    LineEntry(0)
}

impl Asker {
    /// The same, with what orders say of its line: that is narrower than what they say of the source.
    #[inline(always)]
    const fn of_line(self, entry: LineEntry) -> Self {
        let said = match entry.order() {
            Ruling::None => self.0,
            order => self.0 & !(3 << Self::ORDER) | (order as u64) << Self::ORDER,
        };
        Self(if entry.is_watched() { said | Self::WATCHED } else { said })
    }
}
