//! Charging a call that rules have decided about: the ceiling, the limits, and step 6, as far as that counts.
//!
//! It is a step of its own behind the decision, since the stack of the kernel has no room for both at once.

use super::{
    Decision, Finding,
    channels::{self, FLOOR_IS_BUSY},
    limits::{Charge, ceiling, limits},
    source::{Asker, Source, settled, stop},
    windows::{Floor, is_of_floor},
};
use crate::{
    Method, Reason, Verdict,
    env::Env,
    policy::{Policy, image::SWITCHES},
};

/// A call that rules have decided about, and that is still to be charged.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Bill {
    pub(super) account: u64,
    pub(super) asker: u64,
    pub(super) profile: u32,
    /// Which limit, and whether the floor, has no [channel](super::channel) left.
    pub(super) busy: u32,
}

impl Bill {
    /// Whether there is anything to charge.
    #[inline(always)]
    pub(super) const fn is_due(&self) -> bool {
        self.account != 0
    }

    /// Who is charged.
    #[inline(always)]
    pub(super) fn source<P: Policy>(&self, policy: &P) -> Source {
        Source { asker: Asker(self.asker), profile: self.profile, switches: policy.cell(SWITCHES) }
    }
}

/// What rules found in the lower half, then whether the call came over TCP, whether it is spared, and the number of the
/// limit by which an order allows it. Never zero.
#[derive(Clone, Copy)]
pub(super) struct Account(pub(super) u64);

impl Account {
    const TCP: u64 = 1 << 32;
    const SPARED: u64 = 1 << 33;
    const REDIALLED: u64 = 1 << 34;
    const ORDER: u32 = 40;

    #[inline(always)]
    pub(super) const fn new(found: Finding, tcp: bool) -> Self {
        let order = (found.0 >> 32 & 0xff) << Self::ORDER;
        Self(found.0 & 0xffff_ffff | if tcp { Self::TCP } else { 0 } | order)
    }

    /// The same of a call that goes on, as it says: only what stands above the file counts it.
    #[inline(always)]
    pub(super) const fn spared(self) -> Self {
        Self(self.0 | Self::SPARED)
    }

    /// The same of a call that dials again what failed: windows counted it before.
    #[inline(always)]
    pub(super) const fn redialled(self) -> Self {
        Self(self.0 | Self::REDIALLED)
    }

    #[inline(always)]
    const fn is_redialled(self) -> bool {
        self.0 & Self::REDIALLED != 0
    }

    #[inline(always)]
    pub(super) const fn found(self) -> Finding {
        Finding(self.0 & 0xffff_ffff)
    }

    #[inline(always)]
    pub(super) const fn is_tcp(self) -> bool {
        self.0 & Self::TCP != 0
    }

    #[inline(always)]
    pub(super) const fn is_spared(self) -> bool {
        self.0 & Self::SPARED != 0
    }

    #[inline(always)]
    const fn order(self) -> u64 {
        self.0 >> Self::ORDER & 0xff
    }
}

/// Notes what is to be charged.
#[inline(always)]
pub(super) fn due<E: Env>(env: &mut E, source: &Source, account: Account) {
    *env.bill() = Bill { account: account.0, asker: source.asker.0, profile: source.profile, busy: 0 };
}

/// Charges the call at hand, and writes what becomes of it into the record.
#[inline(always)]
pub fn charge<E: Env>(env: &mut E) {
    channels::ask(env);
    let bill = *env.bill();
    let account = Account(bill.account);
    let source = bill.source(env);
    let (verdict, reason) = settled(floored(env, &source, account, bill.busy), &source, account.is_tcp());
    let record = env.judged();
    record.verdict = verdict as u8;
    record.reason = reason as u8;
}

/// The floor counts what goes abroad, in monitor mode too, and nothing else. Sources outside count for nothing: what goes out
/// because of them comes in again from the site, and unproved ones could have the calls of the site stopped.
#[inline(always)]
fn floored<E: Env>(env: &mut E, source: &Source, account: Account, busy: u32) -> Decision {
    let found = account.found();
    let passes = |decision: Decision| settled(decision, source, account.is_tcp()).0.passes();
    let goes_on = is_of_floor(source, found.class()) && (account.is_spared() || passes(found.decision()));
    let counts = goes_on && !account.is_redialled();
    let full = goes_on && busy & FLOOR_IS_BUSY != 0;
    let now = if goes_on { env.now() } else { 0 };
    let mut stopped = if counts { env.floor(Floor::Read, now) } else { 0 };
    if stopped == 0 {
        let spared = (Verdict::Pass, Reason::InDialog);
        let decision = if account.is_spared() { spared } else { charged(env, source, account, busy) };
        if !(counts || full) || !passes(decision) {
            return decision;
        }
        stopped = env.floor(if full { Floor::Trip } else { Floor::Take }, now);
        if stopped == 0 {
            return decision;
        }
    }
    stop(Reason::from_u8(stopped as u8).unwrap_or(Reason::Floor))
}

#[inline(always)]
fn charged<E: Env>(env: &mut E, source: &Source, account: Account, busy: u32) -> Decision {
    let found = account.found();
    if found.stops() {
        return found.decision();
    }
    let method = Method::from_u8(env.judged().method).unwrap_or(Method::Invite);
    // An INVITE was held against the ceiling before its dialog was read.
    if !matches!(method, Method::Invite)
        && let Some(refused) = ceiling(env, source, method)
    {
        return refused;
    }
    let request = Charge::new(method, found.class()).allowed_by(account.order()).redialled(account.is_redialled());
    match limits(env, source, request.busy(busy)) {
        Some(refused) if found.passes() || refused.0 == Verdict::Drop => refused,
        _ => found.decision(),
    }
}
