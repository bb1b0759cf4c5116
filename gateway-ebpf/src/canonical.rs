//! The short way of a flood; see `gateway_common::judge::Canonical`.

use gateway_common::{
    Method, Reason, Verdict,
    addr::Addr,
    judge::{self, Canonical, Decision, Said},
    number::{
        plan::{self, Meaning, Readings, Weight},
        shape::Shape,
    },
    policy::{
        Policy,
        image::{DialCell, ZERO},
    },
    text::Steps,
};

use crate::{
    env::{Bare, decided},
    exported::tg_mark,
    maps::Image,
    told::Told,
    window::rolled,
};

/// The answer of [`tg_refused`] where the long way decides.
pub(crate) const NOT_REFUSED: u64 = 0;

/// In the scratch in place of an [`answer`]: limits in front let the request pass, with the passport in the lower half.
pub(crate) const PASSED: u64 = 1 << 33;

/// Whether an answer of the short way refuses.
#[inline(always)]
pub(crate) const fn refuses(answer: u64) -> bool {
    answer >> 32 & 1 != 0
}

/// The country in an [`answer`].
pub(crate) const COUNTRY: u64 = 0xffff << 16;

/// A policy, and a canonical number held against it.
struct Packed {
    policy: Bare,
    canonical: Canonical,
}

impl Packed {
    #[inline(always)]
    fn new(image: *const Image, packed: u64, plus: u64) -> Option<Self> {
        let shape = Shape::of_digits(packed as u32 & 15, plus != 0);
        Some(Self { policy: Bare::new(image)?, canonical: Canonical { digits: packed & !15, shape } })
    }
}

/// Digits and their number in one word: there are at most fifteen.
#[inline(always)]
pub(crate) const fn packed(canonical: Canonical) -> u64 {
    canonical.digits | canonical.shape.digits() as u64
}

impl Steps for Packed {
    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        value ^ self.cell(ZERO)
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}

impl Policy for Packed {
    const OCTETS: u32 = judge::OCTETS;

    #[inline(always)]
    fn cell(&self, index: u32) -> u64 {
        self.policy.cell(index)
    }

    #[inline(always)]
    fn dialled(&self, at: u32) -> u8 {
        self.canonical.octet(at)
    }

    #[inline(always)]
    fn all_digits(&self) -> bool {
        true
    }

    #[inline(always)]
    fn meaning(&self, profile: u32, shape: Shape) -> Meaning {
        Meaning(tg_packed_meaning(self.policy.image(), profile, packed(self.canonical), shape.plus() as u64))
    }

    #[inline(always)]
    fn readings(&self, plan: u64, shape: Shape) -> Readings {
        Readings(tg_packed_readings(self.policy.image(), plan, packed(self.canonical), shape.plus() as u64))
    }

    #[inline(always)]
    fn mark(&self, cell: DialCell, readings: Readings, at: u32, octet: u8) -> Readings {
        Readings(tg_mark(cell.0, readings.0, at, octet as u32))
    }

    #[inline(always)]
    fn weigh(&self, profile: u32, word: u64) -> Weight {
        let plus = self.canonical.shape.plus() as u64;
        Weight(tg_packed_weigh(self.policy.image(), profile, word, packed(self.canonical), plus))
    }
}

/// An answer of the short way: verdict and reason in the two lowest bytes, country in the two above, then a one, then the method.
#[inline(always)]
pub(crate) const fn answer(decision: Decision, method: Method, country: u16) -> u64 {
    decided(decision) | (country as u64) << 16 | 1 << 32 | (method as u64) << 40
}

/// Whether a canonical INVITE is refused: [`NOT_REFUSED`], or [`answer`], which may [pass](passes). `told` has a plus where the number has one.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_refused(image: *const Image, told: u64, packed: u64, hi: u64, lo: u64) -> u64 {
    let told = Told(told);
    let Some(policy) = Packed::new(image, packed, told.plus()) else { return NOT_REFUSED };
    let learned = (told.is_armed(), told.is_banned());
    match judge::refused(&policy, Addr { hi, lo }, told.arrival(), learned, policy.canonical) {
        (Said::Refused(decision), country) => answer(decision, Method::Invite, country),
        (Said::Passes, country) => answer((Verdict::Pass, Reason::Allowed), Method::Invite, country),
        (Said::Nothing, _) => NOT_REFUSED,
    }
}

/// Whether an answer says that no rule refuses an INVITE: then limits are asked.
#[inline(always)]
pub(crate) const fn passes(answer: u64) -> bool {
    answer & 0xffff == decided((Verdict::Pass, Reason::Allowed))
}

/// What a canonical number means.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_packed_meaning(image: *const Image, profile: u32, packed: u64, plus: u64) -> u64 {
    match Packed::new(image, packed, plus) {
        Some(policy) => plan::meaning(&policy, profile, policy.canonical.shape).0,
        None => 0,
    }
}

/// Where numbers may begin in a canonical one.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_packed_readings(image: *const Image, plan: u64, packed: u64, plus: u64) -> u64 {
    match Packed::new(image, packed, plus) {
        Some(policy) => plan::read(&policy, plan, policy.canonical.shape).0,
        None => 0,
    }
}

/// What one reading of a canonical number weighs.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_packed_weigh(image: *const Image, profile: u32, word: u64, packed: u64, plus: u64) -> u64 {
    match Packed::new(image, packed, plus) {
        Some(policy) => plan::weigh(&policy, profile, word).0,
        None => 0,
    }
}
