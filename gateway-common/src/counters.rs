//! Where each exact counter of the kernel stands.

use crate::{Reason, Verdict, judge::Side};

/// Reasons that there is room for.
pub const REASONS: usize = 64;
/// Countries that there is room for, `none` included.
pub const COUNTRIES: usize = 320;

const SIDES: usize = 2;
const VERDICTS: usize = 4;
const METHODS: usize = 16;

/// First counter of side × reason × verdict.
const BY_REASON: usize = 0;
/// First counter of country × verdict.
const BY_COUNTRY: usize = BY_REASON + SIDES * REASONS * VERDICTS;
/// First counter of methods.
const BY_METHOD: usize = BY_COUNTRY + COUNTRIES * VERDICTS;
/// Events that were sampled out, or found the ring buffer full.
pub const EVENTS_LOST: usize = BY_METHOD + METHODS;
/// Refused callers that were to be told, and were not, since answers are bounded.
pub const ANSWERS_CAPPED: usize = EVENTS_LOST + 1;
/// The same, since the ring buffer was full: no daemon reads it.
pub const ANSWERS_LOST: usize = EVENTS_LOST + 2;
/// The same, since the head of the request does not end within the window.
pub const ANSWERS_UNFIT: usize = EVENTS_LOST + 3;
/// Calls that a limit by windows did not count, since no cell was free.
pub const CELLS_FULL: usize = EVENTS_LOST + 4;
/// First of the two words by which the kernel samples events: they stand with the counters, so that one lookup finds both.
pub const SAMPLER: usize = EVENTS_LOST + 5;
/// How many words there are.
pub const COUNTERS: usize = SAMPLER + 2;

/// Packets of one side that got this verdict for this reason.
#[inline(always)]
pub const fn by_reason(side: Side, reason: Reason, verdict: Verdict) -> usize {
    let side = match side {
        Side::Wan => 0,
        Side::Lan => 1,
    };
    BY_REASON + (side * REASONS + (reason as usize & (REASONS - 1))) * VERDICTS + verdict as usize
}

/// Call-making requests to this country, from 1, that got this verdict; 0 for no country.
#[inline(always)]
pub const fn by_country(country: u16, verdict: Verdict) -> usize {
    let country = if (country as usize) < COUNTRIES { country as usize } else { 0 };
    BY_COUNTRY + country * VERDICTS + verdict as usize
}

/// SIP requests of this method, by its number.
#[inline(always)]
pub const fn by_method(method: u8) -> usize {
    BY_METHOD + (method as usize & (METHODS - 1))
}

const _: () = assert!((Reason::ALL[Reason::ALL.len() - 1] as usize) < REASONS, "more reasons than counters");
