//! Who asks: the side of the interface, then the source table of the policy; and what that means for a stop.

use super::{Arrival, Decision, Finding, Side};
use crate::{
    Class, Reason, Verdict,
    addr::Addr,
    judged::Who,
    policy::{
        Policy,
        image::{
            ENFORCE, FLOOR, PROFILE_CELLS, PROFILES, REGISTER_DENY, REGISTER_KNOWN, Ruling, SHIELD, SOURCES_V4,
            SOURCES_V6, SourceEntry, TCP_PASS, TRUNK_CELLS, TRUNK_HEAD, TRUNKS,
        },
    },
};

/// Who sent the datagram, and the cell of the profile that holds for it.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) asker: Asker,
    pub(super) profile: u32,
    pub(super) switches: u64,
}

/// What of a source matters to the rules, in one word: who it is, what an order and the file say of it, whether the floor
/// is on, the number of its trunk.
#[derive(Clone, Copy)]
pub struct Asker(pub u64);

impl Asker {
    pub(super) const ORDER: u32 = 8;
    const FILE: u32 = 10;
    pub(super) const WATCHED: u64 = 1 << 12;
    pub(super) const FLOOR: u64 = 1 << 17;
    const BANNED: u64 = 1 << 20;
    const TRUNK: u32 = 24;
    const SHIELDED: u64 = 1 << 18;
    pub(super) const ARMED: u64 = 1 << 19;
    const NAMED: u64 = 1 << 21;
    const HEARD: u64 = 1 << 22;
    const ASKED: u64 = 1 << 23;
    /// The reason of a limit in front, less that of the first limit, from 1.
    const IN_FRONT: u32 = 13;
    const FIRST_LIMIT: u64 = Reason::SourceLimit as u64 - 1;

    #[inline(always)]
    pub(super) const fn new(who: Who, entry: SourceEntry, switches: u64) -> Self {
        let mut flags = if switches & FLOOR != 0 { Self::FLOOR } else { 0 };
        if switches & SHIELD != 0 && matches!(who, Who::Unproved) {
            flags |= Self::SHIELDED;
        }
        if entry.is_watched() {
            flags |= Self::WATCHED;
        }
        if entry.is_named() {
            flags |= Self::NAMED;
        }
        Self(who as u64 | (entry.order() as u64) << Self::ORDER | (entry.file() as u64) << Self::FILE | flags)
    }

    /// The same of a trunk, by its number from 1; 0 for none.
    #[inline(always)]
    const fn of_trunk(self, trunk: u32) -> Self {
        Self(self.0 | (trunk as u64 & 0xff) << Self::TRUNK)
    }

    /// The number of the trunk.
    #[inline(always)]
    pub(super) const fn trunk(self) -> u32 {
        (self.0 >> Self::TRUNK & 0xff) as u32
    }

    /// Whether an order counts what it starts.
    #[inline(always)]
    pub(super) const fn is_watched(self) -> bool {
        self.0 & Self::WATCHED != 0
    }

    /// Whether the shield keeps it from starting SIP.
    #[inline(always)]
    pub(super) const fn is_shielded(self) -> bool {
        self.0 & Self::SHIELDED != 0
    }

    /// Whether a profile of the file names its source.
    #[inline(always)]
    const fn is_named(self) -> bool {
        self.0 & Self::NAMED != 0
    }

    /// The same, known to the PBX: no shield keeps it out.
    #[inline(always)]
    pub(super) const fn known(self) -> Self {
        Self(self.0 & !(0xff | Self::SHIELDED) | Who::Known as u64)
    }

    /// The same where the floor refuses foreign calls of sources that nobody knows.
    #[inline(always)]
    pub(super) const fn armed(self) -> Self {
        Self(if self.0 & Self::FLOOR != 0 { self.0 | Self::ARMED } else { self.0 })
    }

    /// The same, banned or not.
    #[inline(always)]
    pub(super) const fn banned(self, yes: bool) -> Self {
        Self(if yes { self.0 | Self::BANNED } else { self.0 })
    }

    /// Whether it is banned.
    #[inline(always)]
    pub(super) const fn is_banned(self) -> bool {
        self.0 & Self::BANNED != 0
    }

    /// The same, whom the PBX just answered, or who came back after a refusal.
    #[inline(always)]
    pub(super) const fn heard(self) -> Self {
        Self(self.0 | Self::HEARD)
    }

    /// Whether that is so.
    #[inline(always)]
    pub(super) const fn is_heard(self) -> bool {
        self.0 & Self::HEARD != 0
    }

    /// The same, whom the limits in front let pass.
    #[inline(always)]
    pub(super) const fn let_pass(self) -> Self {
        Self(self.0 | Self::ASKED)
    }

    /// Whether no limit in front refuses it.
    #[inline(always)]
    pub const fn may_pass(self) -> bool {
        self.0 >> Self::IN_FRONT & 7 == 0
    }

    /// What the limits in front said that let it pass.
    #[inline(always)]
    pub const fn passport(self) -> u64 {
        self.0 & (Self::ASKED | Self::HEARD)
    }

    /// 1 if they did, else 0.
    #[inline(always)]
    pub(super) const fn was_let_pass(self) -> u64 {
        self.0 >> 23 & 1
    }

    /// The same, whose request a limit refuses before it is read, for this reason.
    #[inline(always)]
    pub(super) const fn refused_in_front(self, reason: u64) -> Self {
        Self(self.0 | (reason.wrapping_sub(Self::FIRST_LIMIT) & 7) << Self::IN_FRONT)
    }

    /// What a limit in front made of the request, if one refused it.
    #[inline(always)]
    pub(super) fn in_front(self) -> Option<Decision> {
        let reason = self.0 >> Self::IN_FRONT & 7;
        if reason == 0 { None } else { Reason::from_u8((reason + Self::FIRST_LIMIT) as u8).map(stop) }
    }

    /// Whether that is since strangers are too many.
    #[inline(always)]
    pub const fn is_one_of_too_many(self) -> bool {
        self.0 >> Self::IN_FRONT & 7 == Reason::UnprovedLimit as u64 - Self::FIRST_LIMIT
    }

    #[inline(always)]
    pub(super) const fn is(self, who: Who) -> bool {
        self.0 & 0xff == who as u64
    }

    #[inline(always)]
    pub(super) const fn order(self) -> Ruling {
        Ruling::from_bits(self.0 >> Self::ORDER)
    }

    #[inline(always)]
    pub(super) const fn file(self) -> Ruling {
        Ruling::from_bits(self.0 >> Self::FILE)
    }

    /// What happens to a request that cannot be read: sources that the site vouches for are only counted.
    #[inline(always)]
    pub(super) const fn unreadable(self, reason: Reason) -> Decision {
        (if self.is(Who::Unproved) { Verdict::Drop } else { Verdict::WouldDrop }, reason)
    }
}

/// A stop by the policy file or a limit, as in enforce mode; [`settled`] says what becomes of it in monitor mode.
#[inline(always)]
pub(super) const fn stop(reason: Reason) -> Decision {
    (Verdict::Drop, reason)
}

/// What acts in either mode: orders of the operator, and the floor.
pub(super) const ALWAYS: u64 = 1 << Reason::Order as u64
    | 1 << Reason::Floor as u64
    | 1 << Reason::InternationalOff as u64
    | 1 << Reason::Banned as u64
    | 1 << Reason::Suspended as u64
    | 1 << Reason::Shield as u64;

const _: () = assert!(
    Reason::PacketLimit as u64 - Asker::FIRST_LIMIT < 8 && (Reason::PacketLimit as u64) < 64,
    "the reason of a limit in front has three bits"
);

impl Source {
    /// What a ban makes of what was found, if the source is banned: step 4. What stands in either mode stays what it is, since a
    /// ban is of the file, and so does an emergency call.
    #[inline(always)]
    pub(super) fn banned(&self, found: Finding) -> Option<Decision> {
        let always = found.stops() && ALWAYS >> (found.decision().1 as u64 & 63) & 1 != 0;
        if !self.asker.is_banned() || always || found.is_class(Class::Emergency) {
            return None;
        }
        let verdict = if self.switches & ENFORCE != 0 { Verdict::Drop } else { Verdict::WouldDrop };
        Some((verdict, Reason::Banned))
    }

    /// Whether the file keeps it from registering from outside. An order that lets the source do anything lets it do that.
    #[inline(always)]
    pub(super) fn may_not_register(&self) -> bool {
        let (unproved, known) = (self.asker.is(Who::Unproved), self.asker.is(Who::Known));
        let denied = self.switches & REGISTER_DENY != 0 && (unproved || known);
        let strange = self.switches & REGISTER_KNOWN != 0 && unproved && !self.asker.is_named();
        (denied || strange) && !matches!(self.asker.order(), Ruling::Allow)
    }

    /// Whether a request that says to belong to a call of which nothing is known may be spared what was found: rules of the
    /// file and limits only, and only of a source that the site vouches for. A To tag proves nothing.
    #[inline(always)]
    pub(super) fn spares(&self, found: Finding) -> bool {
        let always = found.stops() && ALWAYS >> (found.decision().1 as u64 & 63) & 1 != 0;
        !always && !self.asker.is(Who::Unproved)
    }
}

/// Everything is decided as in enforce mode, so that monitor mode moves the same state; only here a stop by a rule of the
/// file becomes one that would have been.
///
/// Over TCP a stop is a reset, since one lost segment stalls every call on its connection; and connections that carry all
/// calls of a trunk or of the site are cut for what acts in either mode only.
#[inline(always)]
pub(super) const fn settled((verdict, reason): Decision, source: &Source, tcp: bool) -> Decision {
    if !matches!(verdict, Verdict::Drop) {
        return (verdict, reason);
    }
    let always = ALWAYS >> (reason as u64 & 63) & 1 != 0;
    let vouched = tcp && (source.asker.is(Who::Lan) || source.asker.is(Who::Trunk));
    let unread = tcp && source.switches & TCP_PASS != 0 && matches!(reason, Reason::Unreadable);
    if !always && (source.switches & ENFORCE == 0 || vouched || unread) {
        return (Verdict::WouldDrop, reason);
    }
    // Nothing stalls where no connection is yet, and an answer to a forged address would go to somebody else.
    if tcp && !matches!(reason, Reason::SynLimit) { (Verdict::Reject, reason) } else { (verdict, reason) }
}

/// Who sent it: the interface's side, then the source table of the policy.
#[inline(always)]
pub(super) fn source<P: Policy>(env: &P, addr: Addr, arrival: Arrival, switches: u64) -> Source {
    let Arrival { side, ifindex } = arrival;
    let entry = env.source_entry(addr);
    let profile = env.cell(PROFILES) as u32 + entry.profile() * PROFILE_CELLS;
    let mut trunk = entry.trunk();
    if trunk != 0 {
        let bound = env.cell(env.cell(TRUNKS) as u32 + (trunk - 1) * TRUNK_CELLS + TRUNK_HEAD) as u32;
        if matches!(side, Side::Lan) || bound != 0 && ifindex != 0 && bound != ifindex {
            trunk = 0;
        }
    }
    let who = match side {
        Side::Lan => Who::Lan,
        Side::Wan if trunk != 0 => Who::Trunk,
        Side::Wan => Who::Unproved,
    };
    let asker = Asker(env.opaque(Asker::new(who, entry, switches).of_trunk(trunk).0));
    Source { asker, profile, switches }
}

/// What the policy says of a source: the leaf of the source table, octet by octet.
#[inline(always)]
pub fn source_entry<P: Policy>(env: &P, addr: Addr) -> SourceEntry {
    let (mut node, mut word, octets) = match addr.as_v4() {
        Some(v4) => (env.cell(SOURCES_V4), (v4 as u64) << 32, 4),
        None => (env.cell(SOURCES_V6), addr.hi, 16),
    };
    let mut i = 0u32;
    while i < octets {
        if i == 8 {
            word = addr.lo;
        }
        if node == 0 {
            break;
        }
        let entry = SourceEntry(env.cell(node as u32 + (word >> 56) as u32));
        if entry.is_leaf() {
            return entry;
        }
        node = entry.0;
        word <<= 8;
        i = env.rolled(i + 1);
    }
    SourceEntry(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_registers_from_outside_is_known_or_named_or_allowed_by_an_order() {
        let of = |who, entry: SourceEntry, switches| Source {
            asker: Asker::new(who, entry, switches),
            profile: 0,
            switches,
        };
        let nobody = SourceEntry::new(0, 0, Ruling::None, Ruling::None);
        let allowed = SourceEntry::new(0, 0, Ruling::Allow, Ruling::None);
        let blocked = SourceEntry::new(0, 0, Ruling::Block, Ruling::None);
        for (switches, entry, unproved, known) in [
            (0, nobody, false, false),
            (REGISTER_DENY, nobody, true, true),
            (REGISTER_DENY, nobody.named(), true, true),
            (REGISTER_DENY, allowed, false, false),
            (REGISTER_KNOWN, nobody, true, false),
            (REGISTER_KNOWN, blocked, true, false),
            (REGISTER_KNOWN, nobody.named(), false, false),
            (REGISTER_KNOWN, allowed, false, false),
        ] {
            let source = of(Who::Unproved, entry, switches);
            assert_eq!(source.may_not_register(), unproved, "{switches:x} {entry:?}");
            assert_eq!(
                Source { asker: source.asker.known(), ..source }.may_not_register(),
                known,
                "{switches:x} {entry:?}"
            );
            for who in [Who::Lan, Who::Trunk] {
                assert!(!of(who, entry, switches).may_not_register(), "{who:?} is never outside");
            }
        }
    }

    #[test]
    fn the_shield_is_for_sources_that_nobody_knows() {
        let unproved = Asker::new(Who::Unproved, SourceEntry(0), SHIELD | FLOOR);
        assert!(unproved.is_shielded());
        let known = unproved.known();
        assert!(known.is(Who::Known) && !known.is_shielded() && known.0 & Asker::FLOOR != 0);
        for who in [Who::Lan, Who::Trunk] {
            assert!(!Asker::new(who, SourceEntry(0), SHIELD).is_shielded(), "{who:?}");
        }
    }
}
