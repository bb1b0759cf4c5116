//! SIP over TCP, as far as one segment shows it (RFC 3261 section 18.3).
//!
//! A segment that begins a message is judged like a datagram, and so are the messages behind it in the same segment. What
//! began in an earlier segment is not read: body octets that look like an INVITE are none. A request of which the
//! segment holds only the head is unreadable.

use super::{
    Arrival, Decision, PASS, Side,
    limits::connections,
    source::{Source, stop},
};
use crate::{
    Reason, Verdict,
    env::Env,
    judged::Who,
    policy::image::{Ruling, TCP_DENY},
    sip::headers::{self, BODY, CONTENT_LENGTH, NO_NUMBER, TWICE, UNENDED, is_complete},
    wire::Datagram,
};

/// Messages of one segment that are judged; more are unreadable.
pub(super) const MESSAGES: u32 = 4;

/// Decides about a TCP segment of which one port carries SIP (`to_sip`: its destination), and writes the record. The
/// worst of its messages decides. `None` where it says nothing.
#[inline(always)]
pub fn segment<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival, to_sip: bool) -> Option<Decision> {
    if datagram.syn {
        let judged = to_sip && matches!(arrival.side, Side::Wan);
        return if judged { Some(env.message(datagram, arrival, 0)) } else { None };
    }
    if env.len() == 0 {
        return None;
    }
    let mut at = 0u32;
    let mut i = 0u32;
    while i <= MESSAGES {
        let decision = env.message(datagram, arrival, if i < MESSAGES { at } else { UNFRAMED });
        let rank = rank(decision);
        if i == 0 || rank > self::rank((env.kept().verdict(), env.kept().reason())) {
            env.keep_judged();
        }
        if rank == NOTHING || rank == STOPPED {
            break;
        }
        at = next_message(env, at);
        if at != UNFRAMED && at >= env.len() {
            break;
        }
        i = env.rolled(i + 1);
    }
    env.restore_judged();
    Some((env.kept().verdict(), env.kept().reason()))
}

const NOTHING: u64 = 1;
const STOPPED: u64 = 4;

#[inline(always)]
const fn rank((verdict, reason): Decision) -> u64 {
    match (verdict, reason) {
        (Verdict::Pass, Reason::NotSip) => NOTHING,
        (Verdict::Pass, _) => 2,
        (Verdict::WouldDrop, _) => 3,
        (Verdict::Drop | Verdict::Reject, _) => STOPPED,
    }
}

/// What an unproved source gets that asks for a connection.
#[inline(always)]
pub(super) fn connect<E: Env>(env: &mut E, source: &Source) -> Decision {
    if !source.asker.is(Who::Unproved) {
        PASS
    } else if matches!(source.asker.order(), Ruling::Block) {
        stop(Reason::Order)
    } else if source.switches & TCP_DENY != 0 {
        stop(Reason::TcpDenied)
    } else if !connections(env) {
        stop(Reason::SynLimit)
    } else {
        PASS
    }
}

/// In the place of a message's position: more messages than are judged, or one of which servers differ where it ends.
pub(super) const UNFRAMED: u32 = 0xff_ffff;

/// Where the message behind the one at `at` begins; the length of the text where there is none.
#[inline(always)]
fn next_message<E: Env>(env: &mut E, at: u32) -> u32 {
    let len = env.len();
    // The line ends in front of the start line end no head.
    let (start, _) = env.first_line(at).token();
    headers::walk(env, start);
    if !is_complete(env) {
        return if *env.found(UNENDED) != 0 { UNFRAMED } else { len };
    }
    // Where there is no Content-Length, servers that go on take it for zero (RFC 3261 section 20.14 wants one).
    let mut length = 0;
    let value = *env.found(CONTENT_LENGTH);
    if value != 0 {
        let number = env.decimal(value);
        // What else stands there servers read in different ways.
        let ends = matches!((number >> 32) as u8, b' ' | b'\t' | b'\r' | b'\n') && number != NO_NUMBER;
        length = if ends { number as u32 } else { UNFRAMED };
    }
    let body = *env.found(BODY);
    let unframed = *env.found(TWICE) != 0 || length == UNFRAMED;
    let next = if unframed && body < len { UNFRAMED } else { body + length };
    env.opaque(next as u64) as u32
}

/// Whether the headers behind `at` end in the segment and say how long the body is, as those of a message do whose method
/// and URI nobody knows.
#[inline(always)]
pub(super) fn is_framed<E: Env>(env: &mut E, at: u32) -> bool {
    headers::walk(env, at);
    is_complete(env) && *env.found(CONTENT_LENGTH) != 0
}
