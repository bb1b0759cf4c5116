//! What a message does to the calls: who is called, who answered, who ended it, whose credentials hold.

use super::{Arrival, Decision, Side, channels, limits::is_below_ceiling, source::stop};
use crate::{
    Method, Reason, Verdict,
    addr::Addr,
    call::{AFTERWARDS, ANSWERED, Again, Call, Digest, REDIAL, State, redial},
    dialog,
    env::Env,
    judged::Who,
    limit::heard::{CHALLENGED, Entry},
    site::KNOWN,
    wire::Datagram,
};

/// No answer of [`again`].
pub(super) const NEW: u64 = 0;
const IN_DIALOG: u64 = 1;
const REPEAT: u64 = 2;
/// Refused before, for the reason in the byte above.
const REFUSED: u64 = 3;
/// It says that it belongs to a call, of which nothing is known.
const UNKNOWN: u64 = 4;

/// What the call table says of the INVITE at hand, whose Request-URI is at `at`, of a source `who`. It reads its dialog,
/// unless the source is over the packet ceiling; that of a REFER too, which names its line.
#[inline(always)]
pub fn again<E: Env>(env: &mut E, datagram: &Datagram, at: u32, who: u8) -> u64 {
    if who == Who::Unproved as u8 && !is_below_ceiling(env) {
        return REFUSED | (Reason::PacketLimit as u64) << 8;
    }
    dialog::request(env, at, who);
    let invite = *env.dialog();
    if invite.call_id == 0 || env.judged().method != Method::Invite as u8 {
        return NEW;
    }
    let now = env.now();
    let Some(call) = current(env, invite.call_id) else { return if invite.to_tag == 0 { NEW } else { UNKNOWN } };
    match call.again(&invite, datagram.src, datagram.dst, now) {
        Again::New => NEW,
        Again::InDialog => IN_DIALOG,
        Again::Repeat => REPEAT,
        Again::Refused => REFUSED | (call.reason as u64) << 8,
    }
}

/// The call with this Call-ID, if its record still holds: one that does not is as one that was pushed out, which nobody can foresee.
#[inline(always)]
pub(super) fn current<E: Env>(env: &mut E, id: Digest) -> Option<&mut Call> {
    let now = env.now();
    env.call(id).filter(|call| now <= call.until)
}

/// The decision in an answer of [`again`], if it is one.
#[inline(always)]
pub(super) fn decided(again: u64) -> Option<Decision> {
    match again & 0xff {
        IN_DIALOG => Some((Verdict::Pass, Reason::InDialog)),
        REPEAT => Some((Verdict::Pass, Reason::Repeat)),
        REFUSED => Some(stop(Reason::from_u8((again >> 8) as u8).unwrap_or(Reason::LineLimit))),
        _ => None,
    }
}

/// Whether it belongs to a call that goes on.
#[inline(always)]
pub(super) const fn is_in_dialog(again: u64) -> bool {
    again == IN_DIALOG
}

/// Whether it says that it belongs to a call, of which nothing is known.
#[inline(always)]
pub(super) const fn is_unknown(again: u64) -> bool {
    again == UNKNOWN
}

/// Whether the INVITE at hand dials again what failed a moment ago, which counts once. Each failure is good for one.
#[inline(always)]
pub(super) fn dials_again<E: Env>(env: &mut E, caller: Addr) -> bool {
    let dialog = env.dialog();
    let attempt = redial(caller, dialog.line, dialog.user);
    if dialog.call_id == 0 || dialog.user == 0 {
        return false;
    }
    let now = env.now();
    let failed = env.failed_at(attempt);
    if failed == 0 || now.saturating_sub(failed) >= REDIAL {
        return false;
    }
    env.note_failed(attempt, 0);
    true
}

/// The limits, whose refusal of a call holds for its retransmissions.
const LIMITS: u64 = 1 << Reason::SourceLimit as u64
    | 1 << Reason::NetworkLimit as u64
    | 1 << Reason::UnprovedLimit as u64
    | 1 << Reason::LineLimit as u64
    | 1 << Reason::SiteLimit as u64
    | 1 << Reason::DestinationLimit as u64;

/// Notes what the message at `from` does to the calls, and says what becomes of it. The record says what was decided about
/// it, and its dialog was read if it is an INVITE that no rule stopped, and no emergency call.
#[inline(always)]
pub fn follow<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival, from: u32) -> Decision {
    note(env, datagram, arrival, from);
    channels::seize(env);
    let record = env.judged();
    let verdict = Verdict::from_u8(record.verdict).unwrap_or(Verdict::Pass);
    (verdict, Reason::from_u8(record.reason).unwrap_or(Reason::NotSip))
}

#[inline(always)]
fn note<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival, from: u32) {
    let record = env.judged();
    let (verdict, reason, method, who) = (record.verdict, record.reason, record.method, record.who);
    if method == Method::Invite as u8 {
        let dropped = verdict == Verdict::Drop as u8 || verdict == Verdict::Reject as u8;
        if dropped && (LIMITS >> (reason as u64 & 63) & 1 == 0 || who == Who::Unproved as u8) {
            return;
        }
        let begins = dropped
            || verdict == Verdict::WouldDrop as u8
            || reason == Reason::Allowed as u8
            || reason == Reason::NoNumber as u8
            || reason == Reason::Inbound as u8;
        let id = env.dialog().call_id;
        // A call that was up before the filter saw any: its answer will show that it is one.
        let adopts = reason == Reason::InDialog as u8 && current(env, id).is_none();
        if (begins || adopts) && id != 0 {
            begin(env, datagram, if dropped { State::Refused } else { State::Invited });
        }
        return;
    }
    // What monitor mode lets through makes a source known, or none would be left when the rule acts.
    let watched = verdict == Verdict::WouldDrop as u8 && reason == Reason::OutsideRegistration as u8;
    if reason != Reason::SipOther as u8 && !watched {
        return;
    }
    let registers = method == Method::Register as u8 && matches!(arrival.side, Side::Wan);
    if registers || method == Method::Bye as u8 {
        request(env, datagram, from, registers);
    }
    if method == 0 {
        answer(env, datagram, arrival, from);
    }
}

/// A registration, or a BYE. Only a registration with credentials can show that they hold.
#[inline(always)]
fn request<E: Env>(env: &mut E, datagram: &Datagram, from: u32, registers: bool) {
    let who = env.judged().who;
    // Nothing stops a BYE, but a flood of them is not to be read.
    if !registers && who == Who::Unproved as u8 && !is_below_ceiling(env) {
        return;
    }
    dialog::request(env, from, who);
    let asked = *env.dialog();
    if asked.call_id == 0 {
        return;
    }
    if registers {
        if asked.credentials != 0 {
            begin(env, datagram, State::Invited);
        }
        return;
    }
    let now = env.now();
    if let Some(call) = env.call(asked.call_id) {
        call.hang_up(&asked, datagram.src, datagram.dst, now);
    }
}

/// A call, or a registration, that waits for its answer.
#[inline(always)]
fn begin<E: Env>(env: &mut E, datagram: &Datagram, state: State) {
    let now = env.now();
    let (id, from_tag, user) = (env.dialog().call_id, env.dialog().from_tag, env.dialog().user);
    let record = env.judged();
    let (country, class, who, reason) = (record.country, record.class, record.who, record.reason);
    // What a limit has dropped stays dropped, also while monitor mode lets the same call through.
    if !matches!(state, State::Refused)
        && let Some(call) = env.call(id)
        && call.state == State::Refused as u8
        && now <= call.until
        && call.from_tag == from_tag
        && call.admitted == user
    {
        return;
    }
    let (call, dialog) = env.fresh_call();
    *call = Call::default();
    call.caller = datagram.src;
    call.callee = datagram.dst;
    call.from_tag = dialog.from_tag;
    call.to_tag = dialog.to_tag;
    call.admitted = dialog.user;
    call.contacts[0] = dialog.contact;
    call.line = dialog.line;
    call.begun = now;
    call.last = now;
    call.until = now.saturating_add(AFTERWARDS);
    call.country = country;
    call.class = class;
    call.who = who;
    call.state = state as u8;
    call.flags = Call::flags(dialog);
    call.reason = reason;
    call.port = datagram.dport;
    call.tcp = datagram.tcp as u16;
    env.keep_call(who != Who::Unproved as u8, id);
}

/// Whom the site answers is [heard](crate::limit::heard) until it could have answered a challenge, or as long as its call
/// may hold.
#[inline(always)]
fn hear<E: Env>(env: &mut E, dst: Addr, status: u32, method: u32) {
    let challenged = status == 401 || status == 407;
    let taken = status / 100 == 2 && method == Method::Invite as u32;
    if challenged || taken {
        let (now, seed) = (env.now(), env.site().seed);
        let until = now.saturating_add(if challenged { CHALLENGED } else { ANSWERED });
        env.hear(dst.source(), Entry::answered(dst.source(), seed, until), now);
    }
}

/// `SIP/2.0 `, as every server writes it.
const VERSION: u64 = u64::from_le_bytes(*b"SIP/2.0 ");

#[inline(always)]
fn answer<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival, from: u32) {
    if env.word(from) != VERSION {
        return;
    }
    let digits = env.word(from + 8);
    let digit = |at: u32| (digits >> (8 * at) & 0xff).wrapping_sub(b'0' as u64) as u32;
    let (hundreds, tens, ones) = (digit(0), digit(1), digit(2));
    if hundreds == 0 || hundreds > 6 || tens > 9 || ones > 9 {
        return;
    }
    let status = hundreds * 100 + tens * 10 + ones;
    dialog::answer(env, from);
    let answer = *env.dialog();
    if answer.call_id == 0 || answer.method == 0 {
        return;
    }
    let now = env.now();
    let of_site = matches!(arrival.side, Side::Lan);
    if of_site && status >= 200 {
        env.site().note_answer(now);
    }
    env.dialog().status = status;
    if of_site {
        hear(env, datagram.dst, status, answer.method);
    }
    let Some(call) = env.call(answer.call_id) else { return };
    let vouched = call.who == Who::Lan as u8 || call.who == Who::Known as u8;
    let failed = vouched && call.fails(&answer, status, datagram.dst);
    let attempt = if failed { redial(call.caller, call.line, call.admitted) } else { 0 };
    let proved = call.answer(&answer, status, datagram.src, datagram.dst, now);
    if attempt != 0 {
        env.note_failed(attempt, now);
    }
    if proved && of_site {
        env.know(datagram.dst, now.saturating_add(KNOWN));
    }
}
