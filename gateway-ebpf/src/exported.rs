//! The functions that the programs call: each is verified by itself (a global function of BTF), and is glue around one function
//! of gateway-common.

use gateway_common::{
    addr::Addr,
    judge::{self, Asker, Charge, Request},
    number::{
        plan::{self, Readings},
        shape::Shape,
    },
    policy::image::{Action, DialCell},
};

use crate::{
    calls::tg_follow,
    env::{decided, with_image},
    facts::tg_presence,
    maps::Image,
    told::Told,
    windows::tg_charge,
};

/// Judges a message in the window, and notes what it does to the calls: see [`decided`]. `told` is a [`Told`].
#[inline(always)]
pub(crate) fn message(image: *const Image, told: u64) -> u64 {
    if tg_judge(image, told) == NOTHING {
        tg_charge(image);
    }
    let decided = tg_follow(image, told);
    tg_presence(image, told);
    decided
}

/// Judges a message in the window: see [`decided`]; [`NOTHING`] where it is to be charged. `told` is a [`Told`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_judge(image: *const Image, told: u64) -> u64 {
    let Some(mut env) = with_image(image) else { return 0 };
    // SAFETY: the map gave the pointer, and nothing else on this CPU uses the scratch while the program runs.
    let datagram = unsafe { &(*env.window.scratch).datagram };
    match judge::judge(&mut env, datagram, Told(told).arrival(), (told >> Told::FROM) as u32) {
        Some(decision) => decided(decision),
        None => NOTHING,
    }
}

/// Judges the TCP segment in the window: as [`tg_judge`], and [`NOTHING`] where it says nothing.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_segment(image: *const Image, told: u64) -> u64 {
    let Some(mut env) = with_image(image) else { return NOTHING };
    // SAFETY: as in `tg_judge`.
    let datagram = unsafe { &(*env.window.scratch).datagram };
    match judge::segment(&mut env, datagram, Told(told).arrival(), told & Told::TO_SIP != 0) {
        Some(decision) => decided(decision),
        None => NOTHING,
    }
}

/// What exported functions answer where there is no decision: nothing was judged, or not yet all of it.
pub(crate) const NOTHING: u64 = u64::MAX;

/// Judges the later fragment of the scratch: as [`tg_segment`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_fragment(image: *const Image, now: u64, told: u64) -> u64 {
    let Some(mut env) = with_image(image) else { return NOTHING };
    // SAFETY: as in `tg_judge`.
    unsafe { (*env.window.scratch).now = now };
    // SAFETY: as in `tg_judge`.
    let dst = unsafe { (*env.window.scratch).datagram.dst };
    match judge::fragment(&mut env, dst, Told(told).arrival().side) {
        Some(decision) => decided(decision),
        None => NOTHING,
    }
}

/// What a dialled string means.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_meaning(image: *const Image, profile: u32, shape: u64) -> u64 {
    match with_image(image) {
        Some(env) => plan::meaning(&env, profile, Shape(shape)).0,
        None => 0,
    }
}

/// Where numbers may begin.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_readings(image: *const Image, plan: u64, shape: u64) -> u64 {
    match with_image(image) {
        Some(env) => plan::read(&env, plan, Shape(shape)).0,
        None => 0,
    }
}

/// What digits mean that no codes resolve.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_junk(image: *const Image, profile: u32, shape: u64) -> u64 {
    match with_image(image) {
        Some(env) => plan::junk(&env, profile, Shape(shape)).0,
        None => 0,
    }
}

/// The readings that begin at one octet.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_mark(cell: u64, readings: u64, at: u32, octet: u32) -> u64 {
    plan::mark(DialCell(cell), Readings(readings), at, octet as u8).0
}

/// What orders make of a line.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_line(image: *const Image, key: u64) -> u64 {
    match with_image(image) {
        Some(env) => judge::line(&env, key).0,
        None => 0,
    }
}

/// The rule on a dialled string.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_dial_rule(image: *const Image, start: u32, shape: u64) -> u64 {
    match with_image(image) {
        Some(env) => plan::dial_rule(&env, start, Shape(shape)),
        None => 0,
    }
}

/// What one reading weighs.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_weigh(image: *const Image, profile: u32, word: u64) -> u64 {
    match with_image(image) {
        Some(env) => plan::weigh(&env, profile, word).0,
        None => 0,
    }
}

/// The vector of a number.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_look_up(image: *const Image, from: u32, span: u32) -> u64 {
    match with_image(image) {
        Some(env) => plan::look_up(&env, from, span).0,
        None => 0,
    }
}

/// Judges one place of a request: 1 if there is another.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_place(image: *const Image, profile: u32, asker: u64, request: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::place(&mut env, profile, Asker(asker), Request(request)) as u64,
        None => 0,
    }
}

/// What one place of a request gets.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_rule(asker: u64, action: u64, place: u64) -> u64 {
    judge::rule(Asker(asker), Action(action), place).0
}

/// Which limit of a profile refuses.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_limits(image: *const Image, profile: u32, asker: u64, request: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::over(&mut env, profile, Asker(asker), Charge(request)),
        None => 0,
    }
}

/// Whether one limit refuses.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_limit(image: *const Image, profile: u32, asker: u64, charge: u64, now: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::limit(&mut env, profile, Asker(asker), Charge(charge), now),
        None => 0,
    }
}

/// What the policy says of a source.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_source(image: *const Image, hi: u64, lo: u64) -> u64 {
    match with_image(image) {
        Some(env) => judge::source_entry(&env, Addr { hi, lo }).0,
        None => 0,
    }
}
