//! The life of a packet behind the transport header: what is it, whom does it call, may it?
//!
//! [`judge`] is the order of decisions; everything it calls answers one question.

mod canonical;
mod channels;
mod charge;
mod follow;
mod front;
mod limits;
mod lines;
mod places;
mod presence;
mod rules;
mod source;
mod start_line;
mod stream;
mod windows;

use charge::{Account, due};
use follow::{NEW, decided, dials_again, is_in_dialog, is_unknown};
use front::{is_asked, starts};
use limits::{ceiling, emergency, limits};
use places::{call, contacts};
use source::{Source, settled, stop};
use start_line::{begins_call, is_redirection, is_response, method};
use stream::{UNFRAMED, connect, is_framed};

use crate::{
    Class, Method, Reason, Verdict,
    addr::Addr,
    env::Env,
    judged::{Judged, NO_NUMBER, Who},
    limit::heard::Entry,
    policy::{
        Policy,
        image::{ENFORCE, PORTS, REDIRECTS, Ruling, SWITCHES},
    },
    sip::{scan::StartLine, target},
    text::WINDOW,
    wire::Datagram,
};

pub use canonical::{Canonical, OCTETS, Packed, Said, refused};
pub use channels::{channel, channels};
pub use charge::{Bill, charge};
pub use follow::{again, follow};
pub use front::{Front, front, is_used_up, numberless, refused_unread, refused_word};
pub use limits::{Charge, LIMITS_A_PROFILE, fragment, limit, over};
pub use lines::line;
pub use places::{Finding, Places, Request, number, place};
pub use presence::presence;
pub use rules::rule;
pub use source::{Asker, source_entry};
pub use stream::segment;
pub use windows::{Floor, floor};

/// The side a packet came in on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The outside.
    Wan,
    /// The inside.
    Lan,
}

/// Where a packet came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The side.
    pub side: Side,
    /// The index of the interface, 0 where there is none.
    pub ifindex: u32,
}

/// What was decided.
pub type Decision = (Verdict, Reason);

const PASS: Decision = (Verdict::Pass, Reason::NotSip);

/// Whether one of the ports carries SIP.
#[inline(always)]
pub fn is_sip_port<P: Policy>(env: &P, port: u16) -> bool {
    env.cell(PORTS + (port as u32 >> 6)) >> (port & 63) & 1 != 0
}

/// Decides about the message at `from` of a datagram of which one port carries SIP, and writes the record. `None` where it is
/// a call that is still to be [charged](charge).
///
/// The text is the payload; `datagram` says where it came from.
#[inline(always)]
pub fn judge<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival, from: u32) -> Option<Decision> {
    let mut source = begin(env, datagram, arrival);
    let decision = decide(env, &mut source, datagram, from);
    if source.asker.is_one_of_too_many() && matches!(decision.1, Reason::UnprovedLimit) {
        note_refused(env, datagram.src);
    }
    if env.bill().is_due() { None } else { Some(end(env, &source, datagram, decision)) }
}

/// Who asks; and a record that says nothing else yet.
#[inline(always)]
fn begin<E: Env>(env: &mut E, datagram: &Datagram, arrival: Arrival) -> Source {
    let switches = env.cell(SWITCHES);
    let mut source = source::source(env, datagram.src, arrival, switches);
    let outside = source.asker.is(Who::Unproved);
    source.asker = source.asker.banned(outside && presence::is_banned(env, datagram.src));
    if outside {
        if env.is_known(datagram.src) {
            source.asker = source.asker.known();
        } else if env.site().armed != 0 {
            source.asker = source.asker.armed();
        }
    }
    let record = env.judged();
    record.method = 0;
    record.class = Class::None as u8;
    record.country = 0;
    record.dialled_len = 0;
    record.e164_at = NO_NUMBER;
    record.own_code = 0;
    record.who = source.asker.0 as u8;
    record.differs = 0;
    record.generation = switches as u32;
    record.ifindex = arrival.ifindex;
    record.reserved2 = 0;
    record.time = 0;
    record.source = datagram.src;
    record.line = 0;
    env.dialog().call_id = 0;
    env.dialog().status = 0;
    *env.bill() = Bill::default();
    source
}

/// What the limits in front make of who asks. A connection over TCP has shown that its source receives answers.
#[inline(always)]
fn ask_in_front<E: Env>(env: &mut E, source: &Source, datagram: &Datagram, method: Method) -> Asker {
    if datagram.tcp {
        return source.asker.heard();
    }
    let now = env.now();
    env.front(datagram.src, Front::new(source.asker, source.profile, method), now)
}

/// Notes who was refused because strangers are too many, so that it is heard when it comes back.
#[inline(always)]
fn note_refused<E: Env>(env: &mut E, src: Addr) {
    let (now, seed) = (env.now(), env.site().seed);
    env.hear(src.source(), Entry::refused(src.source(), seed, now), now);
}

/// What becomes of a decision under the mode of the policy; the record says it too.
#[inline(always)]
fn end<E: Env>(env: &mut E, source: &Source, datagram: &Datagram, decision: Decision) -> Decision {
    let decision = settled(decision, source, datagram.tcp);
    let record = env.judged();
    record.verdict = decision.0 as u8;
    record.reason = decision.1 as u8;
    decision
}

#[inline(always)]
fn decide<E: Env>(env: &mut E, source: &mut Source, datagram: &Datagram, from: u32) -> Decision {
    if datagram.syn {
        return connect(env, source);
    }
    if from == UNFRAMED {
        return source.asker.unreadable(Reason::Unreadable);
    }
    let line = env.first_line(from);
    let (token, token_end) = line.token();
    if line.is_cut() {
        return cut(env, source, datagram, line);
    }
    let request = Request::new(line.uri(), datagram.first_fragment, source.switches);
    if line.uri() == 0 {
        if !is_response(env, token, token_end) {
            return PASS;
        }
        if source.switches & REDIRECTS != 0 && is_redirection(env, token_end) {
            let found = contacts(env, source, Request(token_end as u64));
            if found.stops() {
                return found.decision();
            }
        }
        return (Verdict::Pass, Reason::SipOther);
    }
    let Some(method) = method(env, token, token_end) else {
        // In a stream a server goes on behind what it does not understand.
        let sip = target::is_sip_uri(env, line.uri()) || datagram.tcp && is_framed(env, line.uri());
        return if sip { (Verdict::Pass, Reason::SipOther) } else { PASS };
    };
    env.judged().method = method as u8;
    if is_asked(method) && source.asker.is(Who::Unproved) {
        source.asker = ask_in_front(env, source, datagram, method);
    }
    if !method.makes_call() {
        if let Some(refused) = source.asker.in_front() {
            return refused;
        }
        if source.switches & REDIRECTS != 0 && matches!(method, Method::Register) {
            let found = contacts(env, source, request);
            if found.stops() {
                return found.decision();
            }
        }
        return ceiling(env, source, method).unwrap_or_else(|| other(env, source, method));
    }
    let refer = matches!(method, Method::Refer);
    let mut found = call(env, source, refer, request);
    if let Some(refused) = source.asker.in_front()
        && found.is_class(Class::None)
        && !found.stops()
    {
        found = Finding::new(refused, found.class());
    }
    if source.asker.is_shielded() && !found.is_class(Class::Emergency) {
        return stop(Reason::Shield);
    }
    let banned = source.banned(found);
    if let Some(banned) = banned
        && source.asker.is(Who::Unproved)
    {
        return banned;
    }
    // Who could be anybody has no call here that a rule would cut.
    let lines = lines::matter(env, source.asker);
    let cut = found.stops() && source.asker.is(Who::Unproved);
    let asks = !(cut || refer && !lines || found.is_class(Class::Emergency));
    let again = if asks { env.again(datagram, line.uri(), source.asker.0 as u8) } else { NEW };
    if asks && lines && lines::take(env, source) {
        found = call(env, source, refer, request);
    }
    // Calls of a known source that are up go on.
    if let Some(banned) = banned
        && !is_in_dialog(again)
    {
        return banned;
    }
    let account = Account::new(found, datagram.tcp);
    if is_unknown(again) && source.spares(found) && (source.switches & ENFORCE == 0 || env.spares_unknown()) {
        due(env, source, account.spared());
        return PASS;
    }
    if found.stops() {
        if is_in_dialog(again) {
            return (Verdict::Pass, Reason::InDialog);
        }
        // What the floor counts goes on in monitor mode, and counts once.
        if again != NEW && !is_unknown(again) || !source.asker.is(Who::Lan) {
            return found.decision();
        }
    } else if found.is_class(Class::Emergency) {
        return emergency(env, source);
    } else if let Some(decision) = decided(again) {
        return decision;
    }
    let vouched = source.asker.is(Who::Lan) || source.asker.is(Who::Known);
    let redialled = asks && vouched && !found.stops() && dials_again(env, datagram.src);
    due(env, source, if redialled { account.redialled() } else { account });
    PASS
}

/// The message ended before its start line did.
#[inline(always)]
fn cut<E: Env>(env: &mut E, source: &Source, datagram: &Datagram, line: StartLine) -> Decision {
    if datagram.first_fragment {
        return stop(Reason::FragmentShort);
    }
    if env.is_whole() {
        return PASS;
    }
    let (token, token_end) = line.token();
    let unread = if line.is_blank() {
        // In a stream blanks keep a connection alive (RFC 5626 section 4.4.1), and what follows them is judged.
        !datagram.tcp || env.len() >= WINDOW
    } else if token_end == 0 {
        datagram.tcp && begins_call(env, token)
    } else {
        method(env, token, token_end).is_some_and(Method::makes_call)
    };
    if unread { source.asker.unreadable(Reason::Unreadable) } else { PASS }
}

/// SIP that makes no call: only a ban, a limit that names its method, or where a registration comes from may stop it, and
/// nothing stops what ends or acknowledges a call.
#[inline(always)]
fn other<E: Env>(env: &mut E, source: &Source, method: Method) -> Decision {
    if starts(method) {
        if source.asker.is_shielded() {
            return stop(Reason::Shield);
        }
        if let Some(banned) = source.banned(Finding::default()) {
            return banned;
        }
        let outside = source.asker.is(Who::Unproved) || source.asker.is(Who::Known);
        if matches!(source.asker.order(), Ruling::Block) && outside {
            return (Verdict::Drop, Reason::Order);
        }
        if matches!(method, Method::Register) && source.may_not_register() {
            return stop(Reason::OutsideRegistration);
        }
        if let Some(refused) = limits(env, source, Charge::new(method, Class::None as u8)) {
            return refused;
        }
        if source.asker.is_watched() && source.asker.is(Who::Unproved) {
            return (Verdict::WouldDrop, Reason::Order);
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
