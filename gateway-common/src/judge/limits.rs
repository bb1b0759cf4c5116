//! Limits: the flood bucket of emergency calls, the packet ceiling, the limits of a profile, the rate of a trunk.

use super::{
    Decision, Finding, Side,
    source::{Asker, Source, settled, stop},
    windows::{self, Asked, is_abroad},
};
use crate::{
    Method, Reason, Verdict,
    addr::Addr,
    env::Env,
    judged::Who,
    limit::{CEILING_CELL, CONNECTIONS_CELL, CellKey, EMERGENCY_CELL, FRAGMENTS_CELL},
    policy::image::{
        CEILING, CONNECTIONS, EMERGENCY, ENFORCE, FLOOR, FRAGMENTS, Key, LIMIT_CELLS, LIMIT_HEAD, LIMIT_INTERVAL,
        LIMIT_SITE_WINDOWS, LIMIT_TOLERANCE, LIMIT_WINDOWS, LIMITS, OVER_DROP, PROFILE_LIMITS, SWITCHES, TRUNK_CELLS,
        TRUNK_HEAD, TRUNK_INTERVAL, TRUNK_TOLERANCE, TRUNKS,
    },
};

/// Emergency calls of sources that nobody knows go through a small bucket, so that `119@victim` is no weapon.
#[inline(always)]
pub(super) fn emergency<E: Env>(env: &mut E, source: &Source) -> Decision {
    if source.asker.is(Who::Unproved) {
        let key = CellKey { limit: EMERGENCY_CELL, kind: Key::Source as u32, value: env.judged().source.source() };
        let (interval, tolerance) = (env.cell(EMERGENCY), env.cell(EMERGENCY + 1));
        if interval != 0 && !take(env, &key, interval, tolerance) {
            return stop(Reason::EmergencyFlood);
        }
    }
    (Verdict::Pass, Reason::Emergency)
}

/// The packet ceiling of an unproved source. What ends or acknowledges a call is spared.
#[inline(always)]
pub(super) fn ceiling<E: Env>(env: &mut E, source: &Source, method: Method) -> Option<Decision> {
    let spared = matches!(method, Method::Ack | Method::Bye | Method::Cancel | Method::Prack);
    if spared || !source.asker.is(Who::Unproved) || is_below_ceiling(env) {
        None
    } else {
        Some(stop(Reason::PacketLimit))
    }
}

/// Whether the source at hand is below the packet ceiling, which counts the packet.
#[inline(always)]
pub(super) fn is_below_ceiling<E: Env>(env: &mut E) -> bool {
    let interval = env.cell(CEILING);
    let tolerance = env.cell(CEILING + 1);
    let key = CellKey { limit: CEILING_CELL, kind: Key::Source as u32, value: env.judged().source.source() };
    interval == 0 || take(env, &key, interval, tolerance)
}

/// Later fragments to one destination: each is nothing without its first one, but a reassembly queue takes memory.
///
/// `None` where they pass.
#[inline(always)]
pub fn fragment<E: Env>(env: &mut E, dst: Addr, side: Side) -> Option<Decision> {
    let (interval, tolerance) = (env.cell(FRAGMENTS), env.cell(FRAGMENTS + 1));
    if interval == 0 || !matches!(side, Side::Wan) {
        return None;
    }
    let key = CellKey { limit: FRAGMENTS_CELL, kind: Key::All as u32, value: dst.source() };
    if take(env, &key, interval, tolerance) {
        return None;
    }
    let enforce = env.cell(SWITCHES) & ENFORCE != 0;
    Some((if enforce { Verdict::Drop } else { Verdict::WouldDrop }, Reason::PacketLimit))
}

/// TCP connections to SIP ports that one unproved source asks for: all that can be seen of SIP over TLS or WebSocket.
#[inline(always)]
pub(super) fn connections<E: Env>(env: &mut E) -> bool {
    let (interval, tolerance) = (env.cell(CONNECTIONS), env.cell(CONNECTIONS + 1));
    let key = CellKey { limit: CONNECTIONS_CELL, kind: Key::Source as u32, value: env.judged().source.source() };
    interval == 0 || take(env, &key, interval, tolerance)
}

/// Limits that a profile can name.
pub const LIMITS_A_PROFILE: u32 = 8;

/// A request, as a limit sees it, in one word: method, class, slot of the profile's list, and whether to take.
#[derive(Clone, Copy)]
pub struct Charge(pub u64);

impl Charge {
    const TAKE: u64 = 1 << 24;

    #[inline(always)]
    pub(super) const fn method(self) -> u8 {
        self.0 as u8
    }

    #[inline(always)]
    pub(super) const fn class(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline(always)]
    pub(super) const fn slot(self) -> u64 {
        self.0 >> 16 & 0xff
    }

    #[inline(always)]
    pub(super) const fn makes_call(self) -> bool {
        self.method() == Method::Invite as u8 || self.method() == Method::Refer as u8
    }
}

/// Whether one limit of the profile refuses: its reason, and what happens over it in the byte above; 0 if it does not.
#[inline(always)]
pub fn limit<E: Env>(env: &mut E, profile: u32, asker: Asker, charge: Charge, now: u64) -> u64 {
    let number = env.cell(profile + PROFILE_LIMITS) >> (8 * (charge.slot() & 7)) & 0xff;
    if number == 0 {
        return 0;
    }
    let base = env.cell(LIMITS) as u32 + (number as u32 - 1) * LIMIT_CELLS;
    let head = env.cell(base + LIMIT_HEAD);
    let method = (head >> 40 & 0xff) as u8;
    if method != charge.method() && !(method == 0 && charge.makes_call()) {
        return 0;
    }
    let class = (head >> 48 & 0xff) as u8;
    if class != 0 && class != charge.class() + 1 {
        return 0;
    }
    if env.cell(base + LIMIT_WINDOWS) != 0 || env.cell(base + LIMIT_SITE_WINDOWS) != 0 {
        let asked = Asked { base, head, profile, asker, take: charge.0 & Charge::TAKE != 0 };
        return windows::limit(env, asked, now);
    }
    let kind = (head >> 32 & 0xff) as u32;
    let source = env.judged().source;
    let (value, reason) = if kind == Key::Source as u32 {
        (source.source(), Reason::SourceLimit)
    } else if kind == Key::Network as u32 {
        (source.network(), Reason::NetworkLimit)
    } else if kind == Key::Unproved as u32 {
        (0, Reason::UnprovedLimit)
    } else {
        (0, Reason::SiteLimit)
    };
    if kind == Key::Unproved as u32 && !asker.is(Who::Unproved) {
        return 0;
    }
    // Who asks is part of the cell: a forged address on the WAN side spends nothing of the one on the LAN side.
    let key = CellKey { limit: head as u32, kind: kind | (asker.0 as u32 & 0xff) << 8, value };
    let tolerance = env.cell(base + LIMIT_TOLERANCE);
    let refused = if charge.0 & Charge::TAKE != 0 {
        let interval = env.cell(base + LIMIT_INTERVAL);
        !env.take(&key, now, interval, tolerance)
    } else {
        env.is_over(&key, now, tolerance)
    };
    if refused { reason as u64 | head >> 56 << 8 } else { 0 }
}

/// Step 8: all limits are read first, and taken only if all agree.
#[inline(always)]
pub(super) fn limits<E: Env>(env: &mut E, source: &Source, method: Method, class: u8) -> Option<Decision> {
    let request = Charge(method as u64 | (class as u64) << 8);
    if source.asker.is(Who::Trunk) {
        return trunk_rate(env, source, request);
    }
    if env.cell(source.profile + PROFILE_LIMITS) == 0 {
        return None;
    }
    let now = env.now();
    let mut over = 0u64;
    let mut i = 0u32;
    while i < 2 * LIMITS_A_PROFILE {
        if i == LIMITS_A_PROFILE && over >> 8 == OVER_DROP {
            break;
        }
        let slot = (i & (LIMITS_A_PROFILE - 1)) as u64;
        let take = if i < LIMITS_A_PROFILE { 0 } else { Charge::TAKE };
        let empty = env.cell(source.profile + PROFILE_LIMITS) >> (8 * slot) & 0xff == 0;
        let charge = Charge(request.0 | slot << 16 | take);
        let refused = if empty { 0 } else { env.limit(source.profile, source.asker, charge, now) };
        // One that drops outweighs one that warns.
        if refused != 0 && (over == 0 || refused >> 8 == OVER_DROP) && over >> 8 != OVER_DROP {
            over = refused;
        }
        over = env.opaque(over);
        i = env.rolled(i + 1);
    }
    if over == 0 {
        return None;
    }
    let reason = Reason::from_u8(over as u8).unwrap_or(Reason::SourceLimit);
    if matches!(reason, Reason::Suspended) && source.switches & ENFORCE == 0 {
        // The reason acts in either mode for the sake of the floor; what a limit of the file suspends does not.
        return Some((Verdict::WouldDrop, reason));
    }
    Some(if over >> 8 == OVER_DROP { stop(reason) } else { (Verdict::WouldDrop, reason) })
}

/// What a call is charged under, beside who asks and the profile, in one word: what rules found in the lower half, then the
/// number of the trunk, and whether it came over TCP.
#[derive(Clone, Copy)]
pub struct Account(pub u64);

impl Account {
    const TCP: u64 = 1 << 40;

    #[inline(always)]
    pub(super) const fn new(found: Finding, trunk: u32, tcp: bool) -> Self {
        Self(found.0 & 0xffff_ffff | (trunk as u64 & 0xff) << 32 | if tcp { Self::TCP } else { 0 })
    }
}

/// What becomes of a call that rules have decided about: the ceiling, the limits, and step 6, as far as that counts.
///
/// The floor counts what goes abroad, in monitor mode too, and nothing else. Sources outside count for nothing: what goes out
/// because of them comes in again from the site, and unproved ones could have the calls of the site stopped.
#[inline(always)]
pub fn charge<E: Env>(env: &mut E, profile: u32, asker: Asker, account: Account) -> Decision {
    let (found, tcp) = (Finding(account.0 & 0xffff_ffff), account.0 & Account::TCP != 0);
    let switches = env.cell(SWITCHES);
    let source = Source { asker, profile, trunk: (account.0 >> 32 & 0xff) as u32, switches };
    let abroad = switches & FLOOR != 0 && asker.is(Who::Lan) && is_abroad(found.class());
    let counts = abroad && settled(found.decision(), &source, tcp).0.passes();
    let now = if counts { env.now() } else { 0 };
    let mut stopped = if counts { env.floor(false, now) } else { 0 };
    if stopped == 0 {
        let decision = charged(env, &source, found);
        if !counts || !settled(decision, &source, tcp).0.passes() {
            return decision;
        }
        stopped = env.floor(true, now);
        if stopped == 0 {
            return decision;
        }
    }
    stop(Reason::from_u8(stopped as u8).unwrap_or(Reason::Floor))
}

#[inline(always)]
fn charged<E: Env>(env: &mut E, source: &Source, found: Finding) -> Decision {
    if found.stops() {
        return found.decision();
    }
    let method = Method::from_u8(env.judged().method).unwrap_or(Method::Invite);
    // An INVITE was held against the ceiling before its dialog was read.
    if !matches!(method, Method::Invite)
        && let Some(refused) = ceiling(env, source, method)
    {
        return refused;
    }
    match limits(env, source, method, found.class()) {
        Some(refused) if found.passes() || refused.0 == Verdict::Drop => refused,
        _ => found.decision(),
    }
}

#[inline(always)]
pub(super) fn trunk_rate<E: Env>(env: &mut E, source: &Source, request: Charge) -> Option<Decision> {
    const DROPS: u64 = 1 << 63;
    let base = env.cell(TRUNKS) as u32 + (source.trunk - 1) * TRUNK_CELLS;
    let interval = env.cell(base + TRUNK_INTERVAL);
    if interval == 0 || !request.makes_call() {
        return None;
    }
    let tolerance = env.cell(base + TRUNK_TOLERANCE);
    let key = CellKey { limit: (env.cell(base + TRUNK_HEAD) >> 32) as u32, kind: Key::All as u32, value: 0 };
    if take(env, &key, interval, tolerance & !DROPS) {
        return None;
    }
    Some(if tolerance & DROPS != 0 { stop(Reason::SourceLimit) } else { (Verdict::WouldDrop, Reason::SourceLimit) })
}

#[inline(always)]
pub(super) fn take<E: Env>(env: &mut E, key: &CellKey, interval: u64, tolerance: u64) -> bool {
    let now = env.now();
    env.take(key, now, interval, tolerance)
}
