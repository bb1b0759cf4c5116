//! Orders, floor and policy file: steps 3 to 7 of the order of decisions.

use super::{
    Decision,
    places::Finding,
    source::{Asker, stop},
};
use crate::{
    Class, Reason, Verdict,
    judged::Who,
    policy::image::{Action, Ruling},
    sip::target::Kind,
};

/// What one place of the request gets: steps 3 to 7 of the order of decisions (orders, floor, policy file).
///
/// `place` is the kind of its target in the lowest byte, and 1 above it in a first fragment.
#[inline(always)]
pub fn rule(asker: Asker, action: Action, place: u64) -> Finding {
    let class = action.class();
    let fragment = place >> 8 != 0;
    let kind = place & 0xff;
    let decision = if kind == Kind::Cut as u64 {
        if fragment { stop(Reason::FragmentShort) } else { asker.unreadable(Reason::Unreadable) }
    } else if kind == Kind::Ambiguous as u64 {
        asker.unreadable(Reason::AmbiguousTarget)
    } else if class == Class::Emergency as u8 {
        (Verdict::Pass, Reason::Emergency)
    } else {
        rule_on_number(asker, action)
    };
    let decision = match asker.in_front() {
        Some(refused) if names(kind) && class != Class::Emergency as u8 && decision.0.passes() => refused,
        _ => decision,
    };
    let found = Finding::new(decision, class);
    let allowed = matches!(decision, (Verdict::Pass, Reason::Allowed)) && !asker.is(Who::Trunk);
    if allowed { found.at_most(action.allowance()) } else { found }
}

/// Whether such a target names somebody: then no other place makes an emergency call of it, but for a strict router (RFC 2543).
#[inline(always)]
const fn names(kind: u64) -> bool {
    kind == Kind::User as u64 || kind == Kind::Host as u64 || kind == Kind::Other as u64
}

/// What the floor refuses to sources that nobody knows: all but national numbers, emergencies, own extensions, and what is no number
/// for certain. A provider that the policy does not name may write the site's own numbers in any form.
const ABROAD: u64 = 1 << Class::Premium as u64
    | 1 << Class::International as u64
    | 1 << Class::NonGeographic as u64
    | 1 << Class::Unassigned as u64
    | 1 << Class::CarrierService as u64
    | 1 << Class::Suspicious as u64;

#[inline(always)]
pub(super) fn rule_on_number(asker: Asker, action: Action) -> Decision {
    let decision = ruled(asker, action);
    // An order on the number is asked before one on the source.
    let source = matches!(action.order(), Ruling::None) && asker.is_watched();
    match decision.0 {
        Verdict::Pass if source || action.is_watched() => (Verdict::WouldDrop, Reason::Order),
        _ => decision,
    }
}

#[inline(always)]
fn ruled(asker: Asker, action: Action) -> Decision {
    if action.is_off() {
        return (Verdict::Drop, Reason::InternationalOff);
    }
    match (action.order(), asker.order()) {
        (Ruling::Block, _) => return (Verdict::Drop, Reason::Order),
        (Ruling::Allow, _) => return (Verdict::Pass, Reason::Allowed),
        (_, Ruling::Block) => return (Verdict::Drop, Reason::Order),
        (_, Ruling::Allow) => return (Verdict::Pass, Reason::Allowed),
        _ => {}
    }
    if asker.is(Who::Trunk) {
        return (Verdict::Pass, Reason::Inbound);
    }
    if matches!(action.floor(), Ruling::Block) && asker.0 & Asker::FLOOR != 0 {
        return (Verdict::Drop, Reason::Floor);
    }
    if asker.0 & Asker::ARMED != 0 && ABROAD >> (action.class() & 63) & 1 != 0 {
        return (Verdict::Drop, Reason::Floor);
    }
    let reason = Reason::from_u8(action.reason()).unwrap_or(Reason::BlockedPrefix);
    match action.file() {
        Ruling::Block if action.class() == Class::Malformed as u8 => asker.unreadable(Reason::Malformed),
        Ruling::Block => stop(reason),
        Ruling::Monitor => (Verdict::WouldDrop, reason),
        Ruling::None | Ruling::Allow => match asker.file() {
            Ruling::Block => stop(Reason::BlockedPrefix),
            _ if action.class() == Class::None as u8 => (Verdict::Pass, Reason::NoNumber),
            _ => (Verdict::Pass, Reason::Allowed),
        },
    }
}
