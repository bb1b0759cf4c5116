//! Every place from which a server would dial, one after the other; the worst verdict wins.

use super::{
    Decision,
    source::{Asker, Source},
};
use crate::{
    Class, Reason, Verdict,
    env::Env,
    number::{plan::Meaning, shape::Form},
    policy::{Policy, image::CALLED_PARTY},
    sip::{
        headers::{self, REFER_TO, REFERRED_TWICE, is_complete},
        scan::{self, BEHIND, FIRST, LIST},
        target::{Kind, Target},
    },
};

/// What one place of the request got: how bad it is, then whether it is about a number at all, in the lowest byte;
/// verdict, reason and class in the next three. All that differs between places is one opaque word, so that the loop
/// over them is verified once a turn.
#[derive(Clone, Copy, Default)]
pub struct Finding(pub u64);

impl Finding {
    #[inline(always)]
    pub(super) const fn new((verdict, reason): Decision, class: u8) -> Self {
        let severity = match verdict {
            Verdict::Pass => 0,
            Verdict::WouldDrop => 2,
            Verdict::Drop | Verdict::Reject => 4,
        };
        let number = if class == Class::None as u8 { 0 } else { 1 };
        Self(1 + severity + number | (verdict as u64) << 8 | (reason as u64) << 16 | (class as u64) << 24)
    }

    /// The same, allowed by the windows of a limit.
    #[inline(always)]
    pub(super) const fn at_most(self, limit: u8) -> Self {
        Self(self.0 | (limit as u64) << 32)
    }

    #[inline(always)]
    pub(super) const fn rank(self) -> u64 {
        self.0 & 0xff
    }

    #[inline(always)]
    pub(super) const fn stops(self) -> bool {
        self.rank() >= 5
    }

    #[inline(always)]
    pub(super) const fn passes(self) -> bool {
        self.rank() < 3
    }

    /// A pass that is about no number.
    #[inline(always)]
    pub(super) const fn is_nothing(self) -> bool {
        self.rank() < 2
    }

    #[inline(always)]
    pub(super) fn decision(self) -> Decision {
        (
            Verdict::from_u8((self.0 >> 8) as u8).unwrap_or(Verdict::Pass),
            Reason::from_u8((self.0 >> 16) as u8).unwrap_or(Reason::NoNumber),
        )
    }

    #[inline(always)]
    pub(super) const fn class(self) -> u8 {
        (self.0 >> 24) as u8
    }

    #[inline(always)]
    pub(super) const fn is_class(self, class: Class) -> bool {
        self.class() == class as u8
    }
}

/// What is known of the places of a request that were judged so far.
///
/// It lies in memory, not in variables: what the verifier reads back from there is unknown to it, so that one turn over
/// the places is verified once.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Places {
    best: u64,
    routing: u64,
    at: u32,
    place: u32,
    emergency: u32,
    named: u32,
}

/// The Request-URI, or the Refer-To of a REFER.
pub(super) const URI: u32 = 0;
pub(super) const TO: u32 = 1;
pub(super) const FROM: u32 = 2;
pub(super) const FIRST_ROUTE: u32 = 3;
pub(super) const ROUTE: u32 = 4;
pub(super) const CALLED: u32 = 5;
/// A Contact, of which all are judged.
pub(super) const CONTACT: u32 = 6;

/// Places and routing numbers that are judged at most; a message with more is unreadable.
pub(super) const PLACES: u32 = 8;

/// What is judged, in one word: where its URI, or its start line, begins; and what follows.
#[derive(Clone, Copy)]
pub struct Request(pub u64);

impl Request {
    const FRAGMENT: u64 = 1 << 32;
    const CALLED_PARTY: u64 = 1 << 33;

    /// The request whose URI begins at `uri`, under the switches of the policy.
    #[inline(always)]
    pub(super) const fn new(uri: u32, fragment: bool, switches: u64) -> Self {
        let fragment = if fragment { Self::FRAGMENT } else { 0 };
        let called = if switches & CALLED_PARTY != 0 { Self::CALLED_PARTY } else { 0 };
        Self(uri as u64 | fragment | called)
    }

    #[inline(always)]
    const fn uri(self) -> u32 {
        self.0 as u32
    }

    /// A first fragment.
    #[inline(always)]
    const fn is_fragment(self) -> bool {
        self.0 & Self::FRAGMENT != 0
    }

    /// Whether P-Called-Party-ID is a place from which the site's servers dial.
    #[inline(always)]
    const fn called_party(self) -> bool {
        self.0 & Self::CALLED_PARTY != 0
    }
}

/// Judges every place from which a server would dial; the worst verdict wins.
#[inline(always)]
pub(super) fn call<E: Env>(env: &mut E, source: &Source, refer: bool, request: Request) -> Finding {
    // Opaque, or the compiler makes of it a function that goes octet by octet.
    let mut start = Places { best: env.opaque(0), at: request.uri(), ..Places::default() };
    if refer {
        headers::walk(env, request.uri());
        let value = *env.found(REFER_TO);
        let at = scan::address(address(env, value, true));
        if at == 0 {
            // Without a Refer-To nothing is dialled (RFC 3515 section 2.4.2: 400).
            let nothing = (Verdict::Pass, Reason::NoNumber);
            let decision = if is_complete(env) { nothing } else { source.asker.unreadable(Reason::Unreadable) };
            return Finding::new(decision, Class::None as u8);
        }
        // RFC 3515 section 2.1 has one.
        if *env.found(REFERRED_TWICE) != 0 {
            let decision = source.asker.unreadable(Reason::AmbiguousTarget);
            return Finding::new(decision, Class::Malformed as u8);
        }
        start = Places { at, place: CALLED, named: 1, ..start };
    }
    *env.places() = start;
    let more = all(env, source, request);
    let places = *env.places();
    let best = Finding(places.best);
    if best.passes() && (more || places.named == 0 && !is_complete(env)) {
        return Finding::new(source.asker.unreadable(Reason::Unreadable), Class::Malformed as u8);
    }
    best
}

/// Judges every Contact of a message: a redirection dials them, and so does a call to whoever registered them.
#[inline(always)]
pub(super) fn contacts<E: Env>(env: &mut E, source: &Source, request: Request) -> Finding {
    let value = headers::next_contact(env, request.uri());
    let at = scan::address(listed(env, value, FIRST | LIST));
    if at != 0 {
        *env.places() = Places { at, place: CONTACT, named: 1, ..Places::default() };
        if all(env, source, request) {
            headers::forget(env);
        }
    }
    let best = Finding(env.places().best);
    if !is_complete(env) && (at == 0 || best.passes()) {
        return Finding::new(source.asker.unreadable(Reason::Unreadable), Class::Malformed as u8);
    }
    if at == 0 { Finding::new((Verdict::Pass, Reason::SipOther), Class::None as u8) } else { best }
}

/// Judges one place after the other, and says whether there are more than are judged.
#[inline(always)]
fn all<E: Env>(env: &mut E, source: &Source, request: Request) -> bool {
    let mut i = 0u32;
    while i < PLACES {
        if !env.place(source.profile, source.asker, request) {
            return false;
        }
        i = env.rolled(i + 1);
    }
    true
}

/// Judges one place, or the routing number of the last one, and finds the next.
#[inline(always)]
pub fn place<E: Env>(env: &mut E, profile: u32, asker: Asker, request: Request) -> bool {
    let (routing, at) = (env.places().routing, env.places().at);
    let target = if routing != 0 {
        env.routing_number(routing as u32 & 0xfff, (routing >> 12) as u32 & 0xfff)
    } else {
        env.target(at)
    };
    let meaning = env.number(profile, target);
    let fragment = if request.is_fragment() { 1 << 8 } else { 0 };
    let mut finding = env.rule(asker, meaning.action(), target.kind_number() | fragment);
    let places = env.places();
    places.routing = target.routing();
    if places.place == URI && routing == 0 {
        places.named = target.names() as u32;
    }
    let best = Finding(places.best);
    let another = !finding.is_class(Class::None) && !finding.is_class(Class::Emergency);
    if places.emergency != 0 && finding.passes() && another {
        finding = Finding::new(asker.unreadable(Reason::AmbiguousTarget), Class::Malformed as u8);
    }
    if finding.is_class(Class::Emergency) && best.is_nothing() {
        places.emergency = 1;
    }
    if finding.rank() > best.rank() {
        places.best = finding.0;
        let record = env.judged();
        record.class = finding.class();
        record.country = meaning.country();
        record.e164_at = meaning.at();
        record.own_code = meaning.own_code();
        record.dialled_len = (target.shape().len() - meaning.surplus()) as u8;
        env.keep_dialled();
    }
    if Finding(env.places().best).stops() {
        return false;
    }
    env.places().routing != 0 || next_place(env, request)
}

/// To and From are dialled where the Request-URI has no user part (FreeSWITCH), the last Route by strict routers (RFC
/// 3261 section 16.4), the first by loose ones that find no `lr` in it (section 16.6), P-Called-Party-ID where the policy says so.
#[inline(always)]
pub(super) fn next_place<E: Env>(env: &mut E, request: Request) -> bool {
    if env.places().place == CONTACT {
        return next_contact(env);
    }
    headers::walk(env, request.uri());
    let (to, from) = (*env.found(headers::TO), *env.found(headers::FROM));
    let (first_route, route) = (*env.found(headers::FIRST_ROUTE), *env.found(headers::ROUTE));
    let called = *env.found(headers::CALLED_PARTY);
    let places = env.places();
    let mut value = 0;
    if places.place < TO {
        places.place = TO;
        if places.named == 0 {
            value = to;
        }
    }
    if value == 0 && places.place < FROM {
        places.place = FROM;
        if places.named == 0 && Finding(places.best).is_nothing() {
            value = from;
        }
    }
    let before = places.at;
    if value == 0 && places.place < FIRST_ROUTE {
        places.place = FIRST_ROUTE;
        value = first_route;
    }
    if value == 0 && places.place < ROUTE {
        places.place = ROUTE;
        value = route;
    }
    if value == 0 && places.place < CALLED {
        places.place = CALLED;
        if request.called_party() {
            value = called;
        }
    }
    if value == 0 {
        return false;
    }
    let last = places.place == ROUTE;
    let mut at = scan::address(address(env, value, !last));
    if last && at == before {
        // There is one Route.
        env.places().place = CALLED;
        let value = if request.called_party() { called } else { 0 };
        at = scan::address(address(env, value, true));
    }
    let places = env.places();
    places.at = at;
    // A header without an address hides no other.
    at != 0 || places.place < CALLED
}

/// The next address of this Contact, or the first of the next one.
#[inline(always)]
fn next_contact<E: Env>(env: &mut E) -> bool {
    let at = env.places().at;
    let mut next = scan::address(listed(env, at, FIRST | LIST | BEHIND));
    if next == 0 {
        let value = headers::next_contact(env, at);
        next = scan::address(listed(env, value, FIRST | LIST));
    }
    env.places().at = next;
    next != 0
}

#[inline(always)]
pub(super) fn address<E: Env>(env: &mut E, value: u32, first: bool) -> u64 {
    listed(env, value, if first { FIRST } else { 0 })
}

#[inline(always)]
fn listed<E: Env>(env: &mut E, value: u32, start: u64) -> u64 {
    if value == 0 {
        return 0;
    }
    scan::find_address(env, value, start)
}

/// What a target means to a source of `profile`.
#[inline(always)]
pub fn number<P: Policy>(env: &P, profile: u32, target: Target) -> Meaning {
    let class = match target.kind() {
        Kind::Emergency => Class::Emergency,
        Kind::NoUser | Kind::Other => Class::None,
        Kind::Ambiguous | Kind::Cut => Class::Malformed,
        Kind::User | Kind::Host => match target.shape().form() {
            Form::Number => {
                let meaning = env.meaning(profile, target.shape());
                let unresolved = meaning.is_unresolved();
                return if unresolved { env.junk(profile, target.shape()).instead_of(meaning) } else { meaning };
            }
            Form::Word => Class::None,
            Form::Malformed => Class::Malformed,
        },
    };
    Meaning::of_class(env, profile, class as u32)
}
