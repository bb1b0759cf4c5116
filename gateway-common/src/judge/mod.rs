//! The life of a packet behind the transport header: what is it, whom does it call, may it?
//!
//! [`judge`] is the order of decisions; everything it calls answers one question.

mod limits;
mod places;
mod rules;
mod source;
mod start_line;

use limits::{ceiling, emergency, limits};
use places::call;
use source::{Source, settled, stop};
use start_line::{is_response, method};

use crate::{
    Class, Method, Reason, Verdict,
    env::Env,
    judged::{Judged, NO_NUMBER, Who},
    policy::image::{PORTS, Ruling, SWITCHES},
    sip::{
        scan::{START_LINE, StartLine},
        target,
    },
    wire::Datagram,
};

pub use limits::{Charge, LIMITS_A_PROFILE, limit};
pub use places::{Finding, Places, number, place};
pub use rules::rule;
pub use source::{Asker, source_entry};

/// The side a packet came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The outside.
    Wan,
    /// The inside.
    Lan,
}

/// What was decided.
pub type Decision = (Verdict, Reason);

const PASS: Decision = (Verdict::Pass, Reason::NotSip);

/// Whether one of the ports carries SIP.
#[inline(always)]
pub fn is_sip_port<E: Env>(env: &E, port: u16) -> bool {
    env.cell(PORTS + (port as u32 >> 6)) >> (port & 63) & 1 != 0
}

/// Decides about a datagram of which one port carries SIP, and writes the record.
///
/// The text is the payload; `datagram` says where it came from.
#[inline(always)]
pub fn judge<E: Env>(env: &mut E, datagram: &Datagram, side: Side, ifindex: u32) -> Decision {
    let switches = env.cell(SWITCHES);
    let source = source::source(env, datagram.src, side, ifindex, switches);
    let record = env.judged();
    record.method = 0;
    record.class = Class::None as u8;
    record.country = 0;
    record.dialled_len = 0;
    record.e164_at = NO_NUMBER;
    record.own_code = 0;
    record.who = source.asker.0 as u8;
    record.reserved = 0;
    record.generation = switches as u32;
    record.ifindex = ifindex;
    record.reserved2 = 0;
    record.time = 0;
    record.source = datagram.src;
    let decision = settled(decide(env, &source, datagram), switches);
    let record = env.judged();
    record.verdict = decision.0 as u8;
    record.reason = decision.1 as u8;
    decision
}

#[inline(always)]
fn decide<E: Env>(env: &mut E, source: &Source, datagram: &Datagram) -> Decision {
    let len = env.len();
    let line = StartLine(env.scan(START_LINE, 0, len, 0));
    let (token, token_end) = line.token();
    if line.is_cut() {
        if datagram.first_fragment {
            return stop(Reason::FragmentShort);
        }
        if env.is_whole() {
            return PASS;
        }
        let makes_call = token_end != 0 && method(env, token, token_end).is_some_and(Method::makes_call);
        return if line.is_blank() || makes_call { source.asker.unreadable(Reason::Unreadable) } else { PASS };
    }
    if line.uri() == 0 {
        return if is_response(env, token, token_end) { (Verdict::Pass, Reason::SipOther) } else { PASS };
    }
    let Some(method) = method(env, token, token_end) else {
        return if target::is_sip_uri(env, line.uri()) { (Verdict::Pass, Reason::SipOther) } else { PASS };
    };
    env.judged().method = method as u8;
    if !method.makes_call() {
        return ceiling(env, source, method).unwrap_or_else(|| other(env, source, method));
    }
    let found = call(env, source, matches!(method, Method::Refer), line.uri(), datagram.first_fragment);
    if found.stops() {
        return found.decision();
    }
    if found.is_class(Class::Emergency) {
        return emergency(env, source);
    }
    if let Some(refused) = ceiling(env, source, method) {
        return refused;
    }
    match limits(env, source, method, found.class()) {
        Some(refused) if found.passes() || refused.0 == Verdict::Drop => refused,
        _ => found.decision(),
    }
}

/// SIP that makes no call: only a ban or a limit that names its method may stop it, and nothing stops what ends or
/// acknowledges a call.
#[inline(always)]
fn other<E: Env>(env: &mut E, source: &Source, method: Method) -> Decision {
    let starts =
        matches!(method, Method::Register | Method::Options | Method::Subscribe | Method::Message | Method::Publish);
    if starts {
        if matches!(source.asker.order(), Ruling::Block) && source.asker.is(Who::Unproved) {
            return (Verdict::Drop, Reason::Order);
        }
        if let Some(refused) = limits(env, source, method, Class::None as u8) {
            return refused;
        }
    }
    (Verdict::Pass, Reason::SipOther)
}

/// A record for a packet that was not judged.
#[inline(always)]
pub fn unjudged(record: &mut Judged, verdict: Verdict, reason: Reason) {
    *record = Judged::NOTHING;
    record.verdict = verdict as u8;
    record.reason = reason as u8;
}
