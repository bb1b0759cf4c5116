//! Before a request of a source that nobody knows is read: whether a limit refuses it whatever it says.
//!
//! To read a request and to keep its call costs ten times what its refusal does, and a flood of forged sources would take the
//! machine with it. So the limits that may be used up are asked first, and nothing is taken from any. A number that a rule
//! stops, and an emergency call, get what they would get without. Whom the PBX has just answered goes past all but the packet
//! ceiling: the call table knows whether its INVITE repeats one with credentials, or belongs to a call that is up.

use super::{
    Arrival, Charge, Decision,
    canonical::names_a_word,
    limits::{LIMITS_A_PROFILE, cell, concerns, tolerance},
    rules::rule,
    source::{Asker, settled, source},
};
use crate::{
    Class, Method, Reason,
    addr::Addr,
    env::Env,
    judged::Who,
    limit::{CEILING_CELL, CellKey, heard::Heard},
    policy::{
        Policy,
        image::{
            Action, CEILING, CLASS_ACTIONS, IN_FRONT_CEILING, Key, LIMIT_CELLS, LIMIT_HEAD, LIMIT_TOLERANCE, LIMITS,
            PROFILE_IN_FRONT, SWITCHES,
        },
    },
    sip::target::Kind,
    wire::{Datagram, Frame},
};

/// The request of an unproved source, as the limits in front see it: who asks in the lower half, then where its profile
/// stands, and its method.
#[derive(Clone, Copy, Debug)]
pub struct Front(pub u64);

impl Front {
    const PROFILE: u32 = 32;
    const METHOD: u32 = 56;

    #[inline(always)]
    pub(super) const fn new(asker: Asker, profile: u32, method: Method) -> Self {
        Self(asker.0 & 0xffff_ffff | (profile as u64) << Self::PROFILE | (method as u64) << Self::METHOD)
    }

    /// The same asker or another, asked about the limit with this number.
    #[inline(always)]
    const fn of(self, number: u64, asker: Asker) -> Self {
        Self(asker.0 & 0xffff_ffff | number << Self::PROFILE | self.0 >> Self::METHOD << Self::METHOD)
    }

    #[inline(always)]
    const fn asker(self) -> Asker {
        Asker(self.0 & 0xffff_ffff)
    }

    /// The asker, whom the limits in front let pass before with this [passport](Asker::passport).
    #[inline(always)]
    pub const fn with(self, passport: u64) -> Asker {
        Asker(self.0 & 0xffff_ffff | passport)
    }

    #[inline(always)]
    const fn profile(self) -> u32 {
        (self.0 >> Self::PROFILE) as u32 & 0x00ff_ffff
    }

    #[inline(always)]
    const fn request(self) -> Charge {
        Charge::of((self.0 >> Self::METHOD) as u8, Class::None as u8)
    }

    #[inline(always)]
    const fn is_invite(self) -> bool {
        self.0 >> Self::METHOD == Method::Invite as u64
    }
}

/// What the limits in front say of a request of `src` at `now`: the asker, who may be refused in front, and is
/// heard where that matters.
#[inline(always)]
pub fn front<E: Env>(env: &mut E, src: Addr, asked: Front, now: u64) -> Asker {
    let mut asker = asked.asker();
    // An opaque word, so that the loop is verified once and not for each list.
    let list = env.opaque(asked.request().list() as u64) as u32;
    let numbers = env.cell(asked.profile() + PROFILE_IN_FRONT + list);
    let mut i = 0u32;
    while i < LIMITS_A_PROFILE {
        let number = numbers >> (8 * (i & 7)) & 0xff;
        if number == 0 {
            break;
        }
        let mut refused = env.is_used_up(src, asked.of(number, asker), now);
        if refused != 0 && number != IN_FRONT_CEILING {
            let seed = env.site().seed;
            match env.heard(src.source()).says(src.source(), seed, now) {
                Heard::Answered if asked.is_invite() => (asker, refused) = (asker.heard(), 0),
                Heard::Answered | Heard::Back if !asker.is_heard() => {
                    asker = asker.heard();
                    refused = env.is_used_up(src, asked.of(number, asker), now);
                }
                _ => {}
            }
        }
        if refused != 0 {
            return asker.refused_in_front(refused);
        }
        i = env.rolled(i + 1);
    }
    // Whom the PBX answered was not asked for all.
    if asker.is_heard() { asker } else { asker.let_pass() }
}

/// The reason if the limit with this number, or the ceiling, refuses; or 0. The place of the profile does not matter here: the number
/// stands in its stead.
#[inline(always)]
pub fn is_used_up<E: Env>(env: &mut E, src: Addr, asked: Front, now: u64) -> u64 {
    let number = asked.profile() as u64;
    if number == IN_FRONT_CEILING {
        is_over_ceiling(env, src, now)
    } else {
        is_over(env, number, src, (asked.asker(), asked.request()), now)
    }
}

/// The reason if the source is over the packet ceiling, or 0.
#[inline(always)]
fn is_over_ceiling<E: Env>(env: &mut E, src: Addr, now: u64) -> u64 {
    let key = CellKey { limit: CEILING_CELL, kind: Key::Source as u32, value: src.source() };
    let tolerance = env.cell(CEILING + 1);
    if env.cell(CEILING) != 0 && env.is_over(&key, now, tolerance) { Reason::PacketLimit as u64 } else { 0 }
}

/// The reason if the limit with this number counts the request and is used up, or 0.
#[inline(always)]
fn is_over<E: Env>(env: &mut E, number: u64, src: Addr, (asker, request): (Asker, Charge), now: u64) -> u64 {
    let base = env.cell(LIMITS) as u32 + (number as u32).wrapping_sub(1) * LIMIT_CELLS;
    let head = env.cell(base + LIMIT_HEAD);
    if !concerns(head, request) {
        return 0;
    }
    let (key, reason) = cell(head, asker, src);
    let tolerance = tolerance(head, asker, env.cell(base + LIMIT_TOLERANCE));
    if env.is_over(&key, now, tolerance) { reason as u64 } else { 0 }
}

/// Methods that a limit in front may refuse before they are read; what ends or acknowledges a call is none of them.
#[inline(always)]
pub(super) const fn is_asked(method: Method) -> bool {
    matches!(method, Method::Invite) || starts(method)
}

/// Requests that make no call and start something.
#[inline(always)]
pub(super) const fn starts(method: Method) -> bool {
    matches!(method, Method::Register | Method::Options | Method::Subscribe | Method::Message | Method::Publish)
}

/// Octets of the request line that may be read.
const HEAD: u32 = 28;

/// The method of a request at the cursor, as nearly everybody writes it, if no number is to be read: one that starts something and makes
/// no call, or an INVITE that names a word.
#[inline(always)]
pub fn numberless<F: Frame>(frame: &F, datagram: &Datagram) -> Option<Method> {
    if datagram.tcp || datagram.first_fragment || datagram.len < HEAD {
        return None;
    }
    let first = frame.u64(0)?;
    if first == const { octets(b"INVITE sip:", 0) } {
        return if names_a_word(frame, datagram) { Some(Method::Invite) } else { None };
    }
    macro_rules! compare {
        ($($line:literal => $method:ident),+) => {
            $(
                const { assert!($line.len() > 8) };
                if first == const { octets($line, 0) } {
                    let last = frame.u64($line.len() - 8)?;
                    return if last == const { octets($line, $line.len() - 8) } { Some(Method::$method) } else { None };
                }
            )+
        };
    }
    compare!(
        b"REGISTER sip:" => Register, b"OPTIONS sip:" => Options, b"SUBSCRIBE sip:" => Subscribe,
        b"MESSAGE sip:" => Message, b"PUBLISH sip:" => Publish
    );
    None
}

const fn octets(line: &[u8], at: usize) -> u64 {
    let (_, line) = line.split_at(at);
    match line.first_chunk() {
        Some(octets) => u64::from_be_bytes(*octets),
        None => 0,
    }
}

/// What an unproved source gets for a request that makes no call, or for an INVITE whose number [passes](super::Said::Passes),
/// if a limit in front refuses it. `front` asks them.
///
/// Whatever it refuses, the long way refuses for the same reason.
#[inline(always)]
pub fn refused_unread<P: Policy>(
    policy: &P,
    src: Addr,
    arrival: Arrival,
    method: Method,
    front: impl FnOnce(Front) -> Asker,
) -> Option<Decision> {
    let mut source = source(policy, src, arrival, policy.cell(SWITCHES));
    if !source.asker.is(Who::Unproved) {
        return None;
    }
    source.asker = front(Front::new(source.asker, source.profile, method));
    source.asker.in_front().map(|decision| settled(decision, &source, false))
}

/// The same for an INVITE that names a word.
#[inline(always)]
pub fn refused_word<P: Policy>(
    policy: &P,
    src: Addr,
    arrival: Arrival,
    banned: bool,
    front: impl FnOnce(Front) -> Asker,
) -> Option<Decision> {
    let mut source = source(policy, src, arrival, policy.cell(SWITCHES));
    if !source.asker.is(Who::Unproved) || source.asker.is_shielded() || banned {
        return None;
    }
    let action = Action(policy.cell(source.profile + CLASS_ACTIONS + Class::None as u32));
    if rule(source.asker, action, Kind::Other as u64).stops() {
        return None;
    }
    source.asker = front(Front::new(source.asker, source.profile, Method::Invite));
    let found = rule(source.asker, action, Kind::Other as u64);
    if found.stops() { Some(settled(found.decision(), &source, false)) } else { None }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;
    use crate::wire::Slice;

    fn read(line: &str) -> Option<Method> {
        let octets = format!("{line} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n");
        let datagram = Datagram { len: octets.len() as u32, ..Datagram::default() };
        numberless(&Slice::new(octets.as_bytes()), &datagram)
    }

    #[test]
    fn a_request_line_without_a_number_is_known_by_its_words() {
        for (line, method) in [
            ("REGISTER sip:example.net", Some(Method::Register)),
            ("OPTIONS sip:100@example.net", Some(Method::Options)),
            ("SUBSCRIBE sip:100@example.net", Some(Method::Subscribe)),
            ("MESSAGE sip:a@example.net", Some(Method::Message)),
            ("PUBLISH sip:a@example.net", Some(Method::Publish)),
            ("NOTIFY sip:a@example.net", None),
            ("REGISTER  sip:example.net", None),
            ("REGISTER tel:119", None),
            ("register sip:example.net", None),
            ("INVITE sip:alice@example.net", Some(Method::Invite)),
            ("INVITE sip:Bob@example.net", Some(Method::Invite)),
            ("INVITE sip:abcdefghijklmno@x", Some(Method::Invite)),
            ("INVITE sip:abcdefghijklmnop@x", None),
            ("INVITE sip:abcdefgh@example.net", Some(Method::Invite)),
            ("INVITE sip:@example.net.example", None),
            ("INVITE sip:example.net", None),
            ("INVITE sip:al1ce@example.net", None),
            ("INVITE sip:a;b@example.net.invalid", None),
            ("INVITE sip:[::1]:5060@example.net", None),
            ("INVITE sip:al\u{e4}@example.net.invalid", None),
            ("INVITE sip:100@example.net.invalid", None),
            ("INVITE sip:%61@example.net.invalid", None),
            ("INVITE sips:alice@example.net", None),
        ] {
            assert_eq!(read(line), method, "{line}");
        }
        let octets = b"REGISTER sip:example.net SIP/2.0\r\n";
        for datagram in [
            Datagram { len: 34, tcp: true, ..Datagram::default() },
            Datagram { len: 34, first_fragment: true, ..Datagram::default() },
            Datagram { len: 20, ..Datagram::default() },
        ] {
            assert_eq!(numberless(&Slice::new(octets), &datagram), None, "{datagram:?}");
        }
    }
}
