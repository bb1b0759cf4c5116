//! Limits: the flood bucket of emergency calls, the packet ceiling, the limits of a profile, the rate of a trunk.

use super::{
    Decision, Side,
    source::{Asker, Source, stop},
    windows::{self, Asked},
};
use crate::{
    Class, Method, Reason, Verdict,
    addr::Addr,
    env::Env,
    judged::Who,
    limit::{
        CEILING_CELL, CONNECTIONS_CELL, CellKey, EMERGENCY_CELL, FRAGMENTS_CELL, heard::of_strangers, window::How,
    },
    policy::{
        Policy,
        image::{
            CEILING, CONNECTIONS, EMERGENCY, ENFORCE, FAILURE, FRAGMENTS, Key, LIMIT_AT_ONCE, LIMIT_CELLS, LIMIT_HEAD,
            LIMIT_INTERVAL, LIMIT_SITE_WINDOWS, LIMIT_TOLERANCE, LIMIT_WINDOWS, LIMITS, OVER_BAN, OVER_DROP, OVER_WARN,
            PROFILE_LIMITS, SWITCHES, TRUNK_CELLS, TRUNK_HEAD, TRUNK_INTERVAL, TRUNK_TOLERANCE, TRUNKS, list_of,
        },
    },
};

/// A known source has the room of so many unproved ones, as a power of two: 32.
const KNOWN_ROOM: u32 = 5;

/// Emergency calls of sources that nobody knows go through a small bucket, so that `119@victim` is no weapon; those of known
/// ones through a large one, since a telephone may be taken over.
#[inline(always)]
pub(super) fn emergency<E: Env>(env: &mut E, source: &Source) -> Decision {
    let known = source.asker.is(Who::Known);
    if known || source.asker.is(Who::Unproved) {
        let kind = Key::Source as u32 | (source.asker.0 as u32 & 0xff) << 8;
        let key = CellKey { limit: EMERGENCY_CELL, kind, value: env.judged().source.source() };
        let tolerance = env.cell(EMERGENCY + 1);
        let interval = if known { env.cell(EMERGENCY) >> KNOWN_ROOM } else { env.cell(EMERGENCY) };
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

/// A request, as a limit sees it, in one word: method, class, slot of the profile's list, whether to take, and which list.
#[derive(Clone, Copy)]
pub struct Charge(pub u64);

impl Charge {
    const TAKE: u64 = 1 << 24;
    const REDIALLED: u64 = 1 << 25;
    const BUSY: u32 = 40;
    const LIST: u32 = 26;
    /// Above the list: those [behind](PROFILE_BEHIND) others.
    const BEHIND: u32 = Self::LIST + 4;

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
    pub(super) const fn new(method: Method, class: u8) -> Self {
        Self::of(method as u8, class)
    }

    /// A request that the PBX refused.
    #[inline(always)]
    pub(super) const fn failure() -> Self {
        Self::of(FAILURE, Class::None as u8)
    }

    #[inline(always)]
    pub(super) const fn of(method: u8, class: u8) -> Self {
        Self(method as u64 | (class as u64) << 8 | (list_of(method) as u64) << Self::LIST)
    }

    /// The list of a profile's limits that may count it.
    #[inline(always)]
    pub(super) const fn list(self) -> u32 {
        (self.0 >> Self::LIST) as u32 & 7
    }

    /// The same, allowed by an order, whose allowance is the limit with this number, from 1; 0 for none.
    #[inline(always)]
    pub(super) const fn allowed_by(self, limit: u64) -> Self {
        Self(self.0 | limit << 32)
    }

    /// The same, which some limit has no [channel](super::channel) left for: its reason, and what happens over it in the byte
    /// above; 0 if all have one.
    #[inline(always)]
    pub(super) const fn busy(self, busy: u32) -> Self {
        Self(self.0 | (busy as u64 & 0xffff) << Self::BUSY)
    }

    /// The same, asked of one slot of the profile's list.
    #[inline(always)]
    pub(super) const fn at(self, slot: u32) -> Self {
        Self(self.0 | (slot as u64) << 16)
    }

    /// The same of a call that dials again what failed: no window counts it.
    #[inline(always)]
    pub(super) const fn redialled(self, yes: bool) -> Self {
        Self(if yes { self.0 | Self::REDIALLED } else { self.0 })
    }

    #[inline(always)]
    const fn order(self) -> u64 {
        self.0 >> 32 & 0xff
    }

    /// Whether it is asked about the allowance of the order, behind the profile's limits.
    #[inline(always)]
    const fn is_of_order(self) -> bool {
        self.slot() == LIMITS_A_PROFILE as u64
    }

    /// The number of the limit that is asked, from 1; 0 for none.
    #[inline(always)]
    pub(super) fn number<P: Policy>(self, policy: &P, profile: u32) -> u64 {
        if self.is_of_order() {
            return self.order();
        }
        policy.cell(profile + PROFILE_LIMITS + (self.0 >> Self::LIST & 0b1_0111) as u32) >> (8 * (self.slot() & 7))
            & 0xff
    }

    #[inline(always)]
    pub(super) const fn makes_call(self) -> bool {
        self.method() == Method::Invite as u8 || self.method() == Method::Refer as u8
    }
}

/// Whether the limit with this head counts such a request.
#[inline(always)]
pub(super) const fn concerns(head: u64, charge: Charge) -> bool {
    let method = (head >> 40 & 0xff) as u8;
    let class = (head >> 48 & 0xff) as u8;
    let asked = method == charge.method() || method == 0 && charge.makes_call();
    asked && (class == 0 || class == charge.class() + 1)
}

/// Of two answers of limits the one that decides: one that drops outweighs one that warns, else the first.
#[inline(always)]
pub(super) const fn worse(over: u64, refused: u64) -> u64 {
    if refused != 0 && (over == 0 || refused >> 8 == OVER_DROP) && over >> 8 != OVER_DROP { refused } else { over }
}

/// The cell of a limit by a rate with this head, and the reason where it refuses.
#[inline(always)]
pub(super) const fn cell(head: u64, asker: Asker, source: Addr) -> (CellKey, Reason) {
    let kind = (head >> 32 & 0xff) as u32;
    let (value, reason) = if kind == Key::Source as u32 {
        (source.source(), Reason::SourceLimit)
    } else if kind == Key::Network as u32 {
        (source.network(), Reason::NetworkLimit)
    } else if kind == Key::Unproved as u32 {
        (0, Reason::UnprovedLimit)
    } else {
        (0, Reason::SiteLimit)
    };
    // Who asks is part of the cell: a forged address on the WAN side spends nothing of the one on the LAN side.
    (CellKey { limit: head as u32, kind: kind | (asker.0 as u32 & 0xff) << 8, value }, reason)
}

/// The tolerance of the limit with this head for who asks.
#[inline(always)]
pub(super) const fn tolerance(head: u64, asker: Asker, tolerance: u64) -> u64 {
    let strangers = head >> 32 & 0xff == Key::Unproved as u64 && !asker.is_heard();
    if strangers { of_strangers(tolerance) } else { tolerance }
}

/// Whether one limit of the profile refuses: its reason, and what happens over it in the byte above; 0 if it does not.
#[inline(always)]
pub fn limit<E: Env>(env: &mut E, profile: u32, asker: Asker, charge: Charge, now: u64) -> u64 {
    let number = charge.number(env, profile);
    if number == 0 {
        return 0;
    }
    let base = env.cell(LIMITS) as u32 + (number as u32 - 1) * LIMIT_CELLS;
    let head = env.cell(base + LIMIT_HEAD);
    if !concerns(head, charge) {
        return 0;
    }
    let counts_calls =
        env.cell(base + LIMIT_WINDOWS) | env.cell(base + LIMIT_SITE_WINDOWS) | env.cell(base + LIMIT_AT_ONCE);
    if counts_calls != 0 {
        if charge.0 & Charge::REDIALLED != 0 {
            return 0;
        }
        let asked = Asked { base, head, profile, asker, take: charge.0 & Charge::TAKE != 0 };
        let refused = windows::limit(env, asked, now);
        // Orders act in either mode.
        return if refused != 0 && charge.is_of_order() { Reason::Order as u64 | OVER_DROP << 8 } else { refused };
    }
    let (key, reason) = cell(head, asker, env.judged().source);
    if matches!(reason, Reason::UnprovedLimit) && !asker.is(Who::Unproved) {
        return 0;
    }
    let tolerance = tolerance(head, asker, env.cell(base + LIMIT_TOLERANCE));
    let refused = if charge.0 & Charge::TAKE != 0 {
        let interval = env.cell(base + LIMIT_INTERVAL);
        !env.take(&key, now, interval, tolerance)
    } else {
        env.is_over(&key, now, tolerance)
    };
    if !refused {
        return 0;
    }
    if head >> 56 != OVER_BAN {
        return reason as u64 | head >> 56 << 8;
    }
    ban(env, asker, base, now);
    reason as u64 | OVER_DROP << 8
}

/// Bans the source of the record for going over the limit at `base`, if it is known or present. Trunks and the site's own are
/// never banned, only refused, and neither is who may be forged.
#[inline(always)]
fn ban<E: Env>(env: &mut E, asker: Asker, base: u32, now: u64) {
    let source = env.judged().source.source();
    if asker.is(Who::Known) || asker.is(Who::Unproved) && now < env.present_until(source) {
        env.window(&CellKey::of_ban(source), How(How::TRIP | How::BAN).at(base), now);
        env.site().bans = 1;
    }
}

/// Step 8: the limits of a profile, and the allowance of an order.
#[inline(always)]
pub(super) fn limits<E: Env>(env: &mut E, source: &Source, request: Charge) -> Option<Decision> {
    if source.asker.is(Who::Trunk) {
        return trunk_rate(env, source, request);
    }
    if env.cell(source.profile + PROFILE_LIMITS + request.list()) == 0 && request.order() == 0 {
        return None;
    }
    let over = env.limits(source.profile, source.asker, request);
    if over == 0 {
        return None;
    }
    let reason = Reason::from_u8(over as u8).unwrap_or(Reason::SourceLimit);
    if matches!(reason, Reason::Suspended) && source.switches & ENFORCE == 0 {
        // The reason acts in either mode for the sake of the floor; what a limit of the file suspends does not.
        return Some((Verdict::WouldDrop, reason));
    }
    Some(if over >> 8 == OVER_WARN { (Verdict::WouldDrop, reason) } else { stop(reason) })
}

/// Which limit refuses, as [`limit`]: all are read first, and taken only if all agree; the allowance of an order is one of them.
#[inline(always)]
pub fn over<E: Env>(env: &mut E, profile: u32, asker: Asker, request: Charge) -> u64 {
    const ASKED: u32 = LIMITS_A_PROFILE + 1;
    let now = env.now();
    let mut over = request.0 >> Charge::BUSY & 0xffff;
    let mut i = 0u32;
    // What limits in front did not refuse is not read again.
    let read = Charge(request.0 | asker.was_let_pass() << Charge::BEHIND);
    while i < 2 * ASKED {
        if i == ASKED && over >> 8 == OVER_DROP {
            break;
        }
        let charge = if i < ASKED { read.at(i) } else { Charge(request.at(i - ASKED).0 | Charge::TAKE) };
        // A slot without a limit is not called for, since nearly all have none.
        let refused = if charge.number(env, profile) == 0 { 0 } else { env.limit(profile, asker, charge, now) };
        over = env.opaque(worse(over, refused));
        i = env.rolled(i + 1);
    }
    over
}

#[inline(always)]
pub(super) fn trunk_rate<E: Env>(env: &mut E, source: &Source, request: Charge) -> Option<Decision> {
    const DROPS: u64 = 1 << 63;
    let base = env.cell(TRUNKS) as u32 + (source.asker.trunk() - 1) * TRUNK_CELLS;
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
