//! Limits by windows, and what the floor counts: which cell is asked, and what its answer means.
//!
//! A cell that others share is charged for trunk and lan sources only. Unproved ones have cells of their own, which may be
//! forgotten: a rate that never admits more than the window, since nobody can remember the calls of every forged address.

use super::source::{Asker, Source};
use crate::{
    Class, Reason,
    env::Env,
    judged::Who,
    limit::{
        CellKey, FLOOR_CELL,
        window::{Answer, How, WINDOWS, Window},
    },
    policy::image::{
        FLOOR, FLOOR_LIMIT, HOT, Key, LIMIT_SITE_WINDOWS, LIMIT_WINDOWS, OVER_DROP, OVER_SUSPEND, PROFILE_NAME,
    },
};

/// A limit by windows: where it stands, its head, who asks of which profile, and whether to take.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) base: u32,
    pub(super) head: u64,
    pub(super) profile: u32,
    pub(super) asker: Asker,
    pub(super) take: bool,
}

/// Whether a limit by windows refuses: as [`super::limit`]. A cell for the site always stands beside that of a line.
#[inline(always)]
pub(super) fn limit<E: Env>(env: &mut E, asked: Asked, now: u64) -> u64 {
    let kind = (asked.head >> 32 & 0xff) as u32;
    if env.cell(asked.base + LIMIT_WINDOWS) != 0 {
        let (key, reason) = key(env, kind, &asked);
        let refused = ask(env, &key, &asked, How(0), reason, now);
        if refused != 0 {
            return refused;
        }
    }
    if env.cell(asked.base + LIMIT_SITE_WINDOWS) == 0 {
        return 0;
    }
    // The windows for the site are told from those of a limit with the key `site` by their kind.
    let key = CellKey { limit: asked.head as u32, kind: Key::Site as u32, value: 0 };
    ask(env, &key, &asked, How(How::SITE), Reason::SiteLimit, now)
}

/// The cell of the key, and the reason where it refuses. What an unproved source says of itself names no line.
#[inline(always)]
pub(super) fn key<E: Env>(env: &mut E, kind: u32, asked: &Asked) -> (CellKey, Reason) {
    let name = env.cell(asked.profile + PROFILE_NAME);
    let record = env.judged();
    let (source, country, line) = (record.source, record.country, record.line);
    let cell = |kind: u32, value: u64| CellKey { limit: asked.head as u32, kind, value };
    let of_source = (cell(Key::Source as u32, source.source()), Reason::SourceLimit);
    if kind == Key::Network as u32 {
        (cell(kind, source.network()), Reason::NetworkLimit)
    } else if kind == Key::Country as u32 {
        (cell(kind, country as u64), Reason::DestinationLimit)
    } else if kind == Key::SourceCountry as u32 {
        (cell(kind | (country as u32) << 16, source.source()), Reason::DestinationLimit)
    } else if kind == Key::All as u32 {
        (cell(kind, 0), Reason::SiteLimit)
    } else if kind == Key::Line as u32 && line != 0 && !asked.asker.is(Who::Unproved) {
        (cell(kind, line ^ name), Reason::LineLimit)
    } else {
        of_source
    }
}

#[inline(always)]
fn ask<E: Env>(env: &mut E, key: &CellKey, asked: &Asked, how: How, reason: Reason, now: u64) -> u64 {
    let over = asked.head >> 56;
    let answer = if asked.asker.is(Who::Unproved) {
        loose(env, key, asked, how, now)
    } else {
        let take = if asked.take { How::TAKE } else { 0 };
        let suspends = if over == OVER_SUSPEND { How::SUSPENDS } else { 0 };
        let country = env.judged().country;
        env.window(key, How(how.0 | take | suspends).because(country).at(asked.base), now)
    };
    match answer {
        Answer::Conforms | Answer::New => 0,
        Answer::Suspended => Reason::Suspended as u64 | OVER_DROP << 8,
        Answer::Over => reason as u64 | if over == OVER_SUSPEND { OVER_DROP } else { over } << 8,
    }
}

/// The same for an unproved source, by rates.
#[inline(always)]
fn loose<E: Env>(env: &mut E, key: &CellKey, asked: &Asked, how: How, now: u64) -> Answer {
    let first = asked.base + if how.has(How::SITE) { LIMIT_SITE_WINDOWS } else { LIMIT_WINDOWS };
    let mut i = 0u32;
    while i < WINDOWS as u32 {
        let window = Window(env.cell(first + (i & 3)));
        if window.0 != 0 {
            // The highest bit keeps these apart from the cells of rates.
            let key = CellKey { kind: key.kind | 1 << 15 | (i & 3) << 12, ..*key };
            let (interval, tolerance) = window.rate();
            let over =
                if asked.take { !env.take(&key, now, interval, tolerance) } else { env.is_over(&key, now, tolerance) };
            if over {
                return Answer::Over;
            }
        }
        i = env.rolled(i + 1);
    }
    Answer::Conforms
}

/// Whether the floor counts calls of a class by a source: what the site calls in other countries, and numbers that may be there.
#[inline(always)]
pub(super) const fn is_of_floor(source: &Source, class: u8) -> bool {
    let abroad =
        class == Class::International as u8 || class == Class::NonGeographic as u8 || class == Class::Suspicious as u8;
    source.switches & FLOOR != 0 && source.asker.is(Who::Lan) && abroad
}

/// What is asked of the floor about a call abroad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Floor {
    /// Whether it stops the call.
    Read = 0,
    /// The same, and the call counts.
    Take = 1,
    /// The same of a call to a country to which too many are up.
    Trip = 2,
}

impl Floor {
    /// The question with this number.
    #[inline(always)]
    pub const fn from_u64(n: u64) -> Self {
        match n {
            1 => Self::Take,
            2 => Self::Trip,
            _ => Self::Read,
        }
    }
}

/// Whether the floor stops a call abroad of a source that the site vouches for: its reason, or 0.
///
/// Too many calls to one country, and the breaker of the site is suspended: no call abroad passes. A country in which
/// fraud ends up, and which this site never called, gets one call.
#[inline(always)]
pub fn floor<E: Env>(env: &mut E, ask: Floor, now: u64) -> u64 {
    let base = env.cell(FLOOR_LIMIT) as u32;
    if base == 0 {
        return 0;
    }
    let site = CellKey { limit: FLOOR_CELL, kind: Key::All as u32, value: 0 };
    if env.window(&site, How(How::LATCH).at(base), now) == Answer::Suspended {
        return Reason::Suspended as u64;
    }
    let country = env.judged().country;
    if matches!(ask, Floor::Trip) {
        env.window(&site, How(How::TRIP).because(country).at(base), now);
        return Reason::Floor as u64;
    }
    let hot = env.cell(HOT + (country as u32 >> 6 & 7)) >> (country & 63) & 1 != 0;
    let key = CellKey::of_floor(country);
    let how = if matches!(ask, Floor::Take) { How::TAKE } else { 0 } | if hot { How::HOT } else { 0 };
    match env.window(&key, How(how).at(base), now) {
        Answer::Conforms | Answer::Suspended => 0,
        Answer::New => Reason::Floor as u64,
        Answer::Over => {
            env.window(&site, How(How::TRIP).because(country).at(base), now);
            Reason::Floor as u64
        }
    }
}
