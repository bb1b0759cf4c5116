//! Presence: whether a source is where it says it is, so that it may be banned. A UDP source can be forged, and who is forged
//! must not be banned for it.
//!
//! Whoever repeats what an answer of the PBX gave to that address alone has received it: the To tag of an answer, in the
//! ACK or a request within the dialog (RFC 3261 section 12.2.1.1), or the nonce of a challenge (RFC 7616 section 3.3). A tag that
//! the request had named itself proves nothing, and neither does a nonce that two sources were given: some servers make them
//! from the time alone.

use super::{Arrival, Charge, Side, follow, limits::limits, source};
use crate::{
    Method,
    addr::Addr,
    call::Digest,
    dialog,
    env::Env,
    judged::Who,
    policy::image::{BANS, SWITCHES},
    sip::{
        headers::{CHALLENGE, CREDENTIALS, walk},
        parameter::NONCE,
    },
    wire::Datagram,
};

/// How long a source is present after it has shown that it is, nanoseconds: an hour.
const PRESENT: u64 = 3_600_000_000_000;
/// Given to more than one source.
const SHARED: u64 = u64::MAX;
/// What stands for "something" among what was given to a source.
const ANYTHING: Digest = 0x616e_7974_6869_6e67;

/// What stands for one thing that only one source should have.
const fn own(source: Addr) -> Digest {
    source.source() ^ ANYTHING
}

/// Notes what the message at `from` shows of its source outside, or what an answer of the PBX gives to one. The calls were
/// [followed](super::follow) before.
#[inline(always)]
pub fn presence<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival, from: u32) {
    if env.cell(SWITCHES) & BANS == 0 {
        return;
    }
    if matches!(arrival.side, Side::Wan) {
        prove(env, datagram, from);
    } else if env.dialog().status != 0 {
        answered(env, datagram, from);
    }
}

/// Notes that the source of a request is present, if the request shows it.
#[inline(always)]
fn prove<E: Env>(env: &mut E, datagram: &Datagram, from: u32) {
    let record = env.judged();
    let (method, who) = (record.method, record.who);
    let source = datagram.src.source();
    if method == 0 || who != Who::Unproved as u8 || env.given(own(datagram.src)) != source {
        return;
    }
    let now = env.now();
    if now < env.present_until(source) {
        return;
    }
    dialog::request(env, from, who);
    let to_tag = env.dialog().to_tag;
    let mut shown = method != Method::Register as u8 && to_tag != 0 && env.given(to_tag) == source;
    let credentials = *env.found(CREDENTIALS);
    if !shown && credentials != 0 {
        let seed = env.site().seed;
        let nonce = env.digest(NONCE, credentials, 0, seed);
        shown = nonce != 0 && env.given(nonce) == source;
    }
    if shown {
        env.note_present(source, now.saturating_add(PRESENT));
    }
}

/// Notes what an answer of the PBX gives to the source outside that it goes to, and charges that source for what the PBX
/// refused.
#[inline(always)]
fn answered<E: Env>(env: &mut E, datagram: &Datagram, from: u32) {
    let answer = *env.dialog();
    let status = answer.status;
    let arrival = Arrival { side: Side::Wan, ifindex: 0 };
    let switches = env.cell(SWITCHES);
    let callee = source::source(env, datagram.dst, arrival, switches);
    if !callee.asker.is(Who::Unproved) || env.is_known(datagram.dst) {
        return;
    }
    let (tag, proves) = match follow::current(env, answer.call_id) {
        Some(call) => call.gives(&answer, datagram.dst),
        None => (0, false),
    };
    let value = datagram.dst.source();
    if tag != 0 {
        give(env, tag, value);
        env.give(own(datagram.dst), value);
    }
    if status == 401 || status == 407 {
        walk(env, from);
        let (challenge, seed) = (*env.found(CHALLENGE), env.site().seed);
        let nonce = env.digest(NONCE, challenge, 0, seed);
        if nonce != 0 {
            give(env, nonce, value);
            env.give(own(datagram.dst), value);
        }
    }
    if is_refusal(status, proves) {
        let answer = env.judged().source;
        env.judged().source = datagram.dst;
        limits(env, &callee, Charge::failure());
        env.judged().source = answer;
    }
}

/// Gives something to a source; what another had before is nobody's.
#[inline(always)]
fn give<E: Env>(env: &mut E, what: Digest, source: u64) {
    let before = env.given(what);
    if before != source {
        env.give(what, if before == 0 { source } else { SHARED });
    }
}

/// Whether an answer says that whoever asked guesses: credentials that do not hold, and numbers that are none. A telephone
/// is challenged first, so 401 and 407 count only where credentials came; busy, declined and cancelled never do.
const fn is_refusal(status: u32, proves: bool) -> bool {
    match status {
        401 | 403 | 407 => proves,
        404 | 484 => true,
        _ => false,
    }
}

/// Whether a source outside is banned.
#[inline(always)]
pub(super) fn is_banned<E: Env>(env: &mut E, source: Addr) -> bool {
    env.site().bans != 0 && {
        let now = env.now();
        env.is_banned(source.source(), now)
    }
}
