//! Calls at once: whether the limits of a profile, and the floor, have a channel left for a call.
//!
//! Before a call is [charged](super::charge) its channels are asked for, so that the limits refuse together or not at all; once
//! the call table knows it they are seized.

use super::{
    Asker, Charge,
    charge::{Account, Bill},
    limits::{LIMITS_A_PROFILE, concerns, worse},
    source::{settled, stop},
    windows::{Asked, Floor, is_of_floor, key},
};
use crate::{
    Method, Reason, Verdict,
    call::{Digest, State},
    env::Env,
    judged::Who,
    limit::CellKey,
    policy::image::{AT_ONCE, FLOOR_LIMIT, Key, LIMIT_AT_ONCE, LIMIT_CELLS, LIMIT_HEAD, LIMITS, OVER_WARN, SWITCHES},
};

/// The limits refuse, in the lower half of [`Bill::busy`]; above it, whether the floor does.
pub(super) const FLOOR_IS_BUSY: u32 = 1 << 16;

/// Whether one limit of the profile has no channel left: as [`limit`](super::limit). A `call` that is not 0 seizes one.
///
/// What an unproved source says of its calls proves nothing, so its calls have no channels; neither have those of trunks.
#[inline(always)]
pub fn channel<E: Env>(env: &mut E, profile: u32, asker: Asker, charge: Charge, call: Digest) -> u64 {
    let number = charge.number(env, profile);
    let base = env.cell(LIMITS) as u32 + (number as u32).wrapping_sub(1) * LIMIT_CELLS;
    let at_once = if number == 0 { 0 } else { env.cell(base + LIMIT_AT_ONCE) };
    if at_once == 0 {
        return 0;
    }
    let head = env.cell(base + LIMIT_HEAD);
    if !concerns(head, charge) {
        return 0;
    }
    // It refuses and no more, since who has hung up may call again; where the limit suspends, its windows count the attempt.
    let over = head >> 56 << 8;
    let asked = Asked { base, head, profile, asker, take: false };
    let (own, site) = (at_once as u32, (at_once >> 32) as u32);
    if own != 0 {
        let (key, reason) = key(env, (head >> 32 & 0xff) as u32, &asked);
        if !env.seize(&key, own, call) {
            return reason as u64 | over;
        }
    }
    let key = CellKey { limit: head as u32, kind: Key::Site as u32, value: 0 };
    if site != 0 && !env.seize(&key, site, call) { Reason::SiteLimit as u64 | over } else { 0 }
}

/// Which limit has no channel left for the call of the bill: as [`limit`](super::limit). A `call` that is not 0 seizes one of
/// each.
#[inline(always)]
pub fn channels<E: Env>(env: &mut E, call: Digest) -> u64 {
    let Bill { account, asker, profile, .. } = *env.bill();
    let (asker, charge) = (Asker(asker), Charge::new(Method::Invite, Account(account).found().class()));
    let mut over = 0u64;
    let mut slot = 0u32;
    while slot < LIMITS_A_PROFILE {
        let charge = charge.at(slot);
        if charge.number(env, profile) == 0 {
            break;
        }
        let refused = env.channel(profile, asker, charge, call);
        over = env.opaque(worse(over, refused));
        slot = env.rolled(slot + 1);
    }
    over
}

/// Whether the floor has a channel left to the country of the call at hand.
#[inline(always)]
fn floor<E: Env>(env: &mut E, call: Digest) -> bool {
    let base = env.cell(FLOOR_LIMIT) as u32;
    let most = if base == 0 { 0 } else { env.cell(base + LIMIT_AT_ONCE) as u32 };
    let key = CellKey::of_floor(env.judged().country);
    most == 0 || env.seize(&key, most, call)
}

/// Whether channels count the call of a bill: an INVITE of who can be held to it.
#[inline(always)]
fn counts<E: Env>(env: &mut E, asker: Asker) -> bool {
    let switches = env.cell(SWITCHES);
    let vouched = asker.is(Who::Lan) || asker.is(Who::Known);
    switches & AT_ONCE != 0 && vouched && env.judged().method == Method::Invite as u8
}

/// Notes in the bill who has no channel left for its call.
#[inline(always)]
pub(super) fn ask<E: Env>(env: &mut E) {
    let bill = *env.bill();
    let asker = Asker(bill.asker);
    if !counts(env, asker) {
        return;
    }
    let mut busy = env.channels(0) as u32;
    if is_of_floor(&bill.source(env), Account(bill.account).found().class()) && !floor(env, 0) {
        busy |= FLOOR_IS_BUSY;
    }
    env.bill().busy = busy;
}

/// Seizes the channels of a call that goes on, which the call table knows by now. Where another CPU was faster the call
/// is refused after all.
#[inline(always)]
pub(super) fn seize<E: Env>(env: &mut E) {
    let bill = *env.bill();
    let asker = Asker(bill.asker);
    let id = env.dialog().call_id;
    if !bill.is_due() || id == 0 || !counts(env, asker) {
        return;
    }
    let account = Account(bill.account);
    let record = env.judged();
    let (passes, admitted) = (
        Verdict::from_u8(record.verdict).is_some_and(Verdict::passes),
        record.verdict == Verdict::Pass as u8 && !account.is_spared(),
    );
    let source = bill.source(env);
    let mut refused = (Verdict::Pass, Reason::Allowed);
    if passes && is_of_floor(&source, account.found().class()) && !floor(env, id) {
        let now = env.now();
        refused = stop(Reason::from_u8(env.floor(Floor::Trip, now) as u8).unwrap_or(Reason::Floor));
    } else if admitted {
        let over = env.channels(id);
        if over != 0 {
            let reason = Reason::from_u8(over as u8).unwrap_or(Reason::LineLimit);
            refused = if over >> 8 == OVER_WARN { (Verdict::WouldDrop, reason) } else { stop(reason) };
        }
    }
    if matches!(refused.0, Verdict::Pass) {
        return;
    }
    let (verdict, reason) = settled(refused, &source, account.is_tcp());
    let record = env.judged();
    record.verdict = verdict as u8;
    record.reason = reason as u8;
    if !verdict.passes()
        && let Some(call) = env.call(id)
    {
        call.state = State::Refused as u8;
        call.reason = reason as u8;
    }
}
