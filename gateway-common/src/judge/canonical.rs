//! The short way of a flood: an INVITE as nearly every caller writes it, refused for the number in its Request-URI.
//!
//! It reads the number by words straight from the packet, and asks the same questions of the same policy as the long way.
//! Whatever it refuses, the long way refuses for the same reason; whatever it does not, the long way decides.

use super::{
    Arrival, Decision,
    rules::rule,
    source::{settled, source, stop},
};
use crate::{
    Class, Reason,
    addr::Addr,
    judged::Who,
    number::shape::Shape,
    policy::{
        Policy,
        image::{ACTIONS, Action, SHORT, SWITCHES, Short, VECTORS, Vector},
    },
    sip::target::Kind,
    wire::{Datagram, Frame},
};

/// `INVITE sip:`, a plus or none, 1 to 15 digits, `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Canonical {
    /// The digits, four bits each, the first one highest.
    pub digits: u64,
    /// How many they are, and whether a plus stands in front of them.
    pub shape: Shape,
}

/// Octets of the request line that may be read.
const HEAD: u32 = 28;

/// Octets of `INVITE sip:`.
const SCHEME: usize = 11;

/// Whether the request line at the cursor begins with `INVITE sip:`.
#[inline(always)]
fn is_invite<F: Frame>(frame: &F, datagram: &Datagram) -> Option<bool> {
    if datagram.tcp || datagram.first_fragment || datagram.len < HEAD {
        return None;
    }
    let (method, scheme) = (frame.u64(0)?, frame.u64(3)?);
    Some(method == u64::from_be_bytes(*b"INVITE s") && scheme == u64::from_be_bytes(*b"ITE sip:"))
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = ONES << 7;

impl Canonical {
    /// Reads the request line at the cursor, if it is canonical.
    #[inline(always)]
    pub fn read<F: Frame>(frame: &mut F, datagram: &Datagram) -> Option<Self> {
        if !is_invite(frame, datagram)? {
            return None;
        }
        let plus = frame.u8(SCHEME)? == b'+';
        frame.skip(SCHEME + plus as usize);
        let (first, second) = (frame.u64(0)?, frame.u64(8)?);
        let (head, tail) = (Run::of(first), Run::of(second));
        let (digits, count, ends) = if head.is_whole() {
            (pack(first, head) << 32 | pack(second, tail), 8 + tail.count(), tail.ends_in_at(second))
        } else {
            (pack(first, head) << 32, head.count(), head.ends_in_at(first))
        };
        if !ends || count == 0 {
            return None;
        }
        Some(Self { digits, shape: Shape::of_digits(count, plus) })
    }

    /// The octet of the dialled string at `at`, which is less than its length.
    #[inline(always)]
    pub const fn octet(self, at: u32) -> u8 {
        let plus = self.shape.plus() as u32;
        if at < plus {
            return b'+';
        }
        b'0' + (self.digits >> (60u32.wrapping_sub((at - plus) << 2) & 63) & 15) as u8
    }
}

/// The digits, or letters, that eight octets begin with: the highest bit of each octet that is one, with nothing else before it.
#[derive(Clone, Copy)]
struct Run(u64);

impl Run {
    #[inline(always)]
    const fn of(word: u64) -> Self {
        let value = word ^ ONES * b'0' as u64;
        Self::before(((value & !HIGH) + ONES * 0x76 | value) & HIGH)
    }

    #[inline(always)]
    const fn of_letters(word: u64) -> Self {
        let lower = (word | ONES * 0x20) & !HIGH;
        let (from_a, behind_z) = (lower + ONES * (0x80 - b'a' as u64), lower + ONES * (0x7f - b'z' as u64));
        Self::before((!from_a | behind_z | word) & HIGH)
    }

    /// What stands before the first octet of which the highest bit is set.
    #[inline(always)]
    const fn before(foreign: u64) -> Self {
        let mut foreign = foreign | foreign >> 8;
        foreign |= foreign >> 16;
        foreign |= foreign >> 32;
        Self(!foreign & HIGH)
    }

    #[inline(always)]
    const fn is_whole(self) -> bool {
        self.0 == HIGH
    }

    #[inline(always)]
    const fn count(self) -> u32 {
        ((self.0 >> 7).wrapping_mul(ONES) >> 56) as u32
    }

    /// Whether an `@` stands behind the last digit.
    #[inline(always)]
    const fn ends_in_at(self, word: u64) -> bool {
        let behind = !self.0 & HIGH;
        let end = (behind & !(behind >> 8)) >> 7;
        end != 0 && word & end * 0xff == end * b'@' as u64
    }
}

/// The digits of a run, four bits each, the first in the highest of the lower 32 bits.
#[inline(always)]
const fn pack(word: u64, run: Run) -> u64 {
    let mut packed = word & (run.0 >> 7) * 0x0f;
    packed = (packed | packed >> 4) & 0x00ff_00ff_00ff_00ff;
    packed = (packed | packed >> 8) & 0x0000_ffff_0000_ffff;
    (packed | packed >> 16) & 0xffff_ffff
}

/// A policy, and a canonical number held against it.
pub struct Packed<'a, P> {
    policy: &'a P,
    canonical: Canonical,
}

impl<'a, P: Policy> Packed<'a, P> {
    /// The number, held against the policy.
    pub const fn new(policy: &'a P, canonical: Canonical) -> Self {
        Self { policy, canonical }
    }
}

impl<P: Policy> crate::text::Steps for Packed<'_, P> {}

/// Octets of a canonical number: fifteen digits and a plus.
pub const OCTETS: u32 = 16;

impl<P: Policy> Policy for Packed<'_, P> {
    const OCTETS: u32 = OCTETS;

    fn cell(&self, index: u32) -> u64 {
        self.policy.cell(index)
    }

    fn dialled(&self, at: u32) -> u8 {
        self.canonical.octet(at)
    }

    fn all_digits(&self) -> bool {
        true
    }
}

/// Whether the request line at the cursor is `INVITE sip:`, 1 to 15 letters, `@`: who is called is no number.
#[inline(always)]
pub(super) fn names_a_word<F: Frame>(frame: &F, datagram: &Datagram) -> bool {
    // A letter has this bit, a digit or a plus has not.
    let may_be = frame.u8(SCHEME).is_some_and(|octet| octet & 0x40 != 0);
    may_be && is_invite(frame, datagram) == Some(true) && {
        let (Some(first), Some(second)) = (frame.u64(SCHEME), frame.u64(SCHEME + 8)) else { return false };
        let (head, tail) = (Run::of_letters(first), Run::of_letters(second));
        if head.is_whole() { tail.ends_in_at(second) } else { head.count() != 0 && head.ends_in_at(first) }
    }
}

/// What the short way says of a canonical INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// The long way decides.
    Nothing,
    /// No rule stops this number, which is no emergency call: a limit in front may; see [`super::refused_unread`].
    Passes,
    /// It is refused.
    Refused(Decision),
}

/// What a canonical INVITE of an unproved source gets for its number, and the country. `policy` holds the number.
///
/// `armed` says whether the floor refuses foreign calls of sources that nobody knows, of which `src` must be one; `banned`
/// whether that is banned.
///
/// What other sources are refused is told, each packet of it, and the long way writes the record that is told.
#[inline(always)]
pub fn refused<P: Policy>(
    policy: &P,
    src: Addr,
    arrival: Arrival,
    (armed, banned): (bool, bool),
    canonical: Canonical,
) -> (Said, u16) {
    let mut source = source(policy, src, arrival, policy.cell(SWITCHES));
    if !source.asker.is(Who::Unproved) {
        return (Said::Nothing, 0);
    }
    if armed {
        source.asker = source.asker.armed();
    }
    let (action, country) = if let Some(known) = short(policy, source.profile, canonical) {
        known
    } else {
        let meaning = policy.meaning(source.profile, canonical.shape);
        if meaning.is_unresolved() {
            return (Said::Nothing, 0);
        }
        (meaning.action(), meaning.country())
    };
    let finding = rule(source.asker, action, Kind::User as u64);
    source.asker = source.asker.banned(banned);
    let decision = match source.banned(finding) {
        _ if finding.is_class(Class::Emergency) => return (Said::Nothing, 0),
        _ if source.asker.is_shielded() && (banned || finding.stops()) => stop(Reason::Shield),
        Some(banned) => banned,
        None if finding.stops() => finding.decision(),
        None if source.asker.is_shielded() => return (Said::Nothing, 0),
        None => return (Said::Passes, country),
    };
    (Said::Refused(settled(decision, &source, false)), country)
}

/// Digits that a [`Short`] answer is found by.
const DIGITS: u32 = 3;

/// The action and country of a number behind a plus, if the compiler of the policy knows enough of all that begin as it
/// does, and it is blocked.
#[inline(always)]
fn short<P: Policy>(policy: &P, profile: u32, canonical: Canonical) -> Option<(Action, u16)> {
    let table = policy.cell(profile + SHORT) as u32;
    if table == 0 || !canonical.shape.plus() {
        return None;
    }
    let head = (canonical.digits >> 52) as u32;
    let at = table + 2 * ((head >> 8) * 100 + (head >> 4 & 15) * 10 + (head & 15));
    let (answer, below) = (Short(policy.cell(at)), policy.cell(at + 1) as u32);
    if below != 0 {
        let found = policy.look_up(below, DIGITS + 1 | canonical.shape.len() << 8 | DIGITS << 16);
        if found.depth() > DIGITS {
            let vector = Vector(policy.cell(policy.cell(VECTORS) as u32 + found.vector()));
            let action = Action(policy.cell(policy.cell(profile + ACTIONS) as u32 + found.vector()));
            let decides = action.blocks() && !action.looks_on() && (found.digits() >= vector.min() || found.exact());
            return if decides { Some((action, vector.country())) } else { None };
        }
    }
    if answer.holds(canonical.shape.digits()) { Some((answer.action(), answer.country())) } else { None }
}
