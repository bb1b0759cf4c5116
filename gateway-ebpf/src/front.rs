//! Limits that are asked before a request is read, and the sources that are heard; see `gateway_common::judge::front`.

use aya_ebpf::{btf_maps::Array, helpers::generated::bpf_ktime_get_coarse_ns, macros::btf_map};
use gateway_common::{
    Method,
    addr::Addr,
    judge::{self, Asker, Front},
    limit::heard::{Entry, PLACES, place},
};

use crate::{
    canonical::{NOT_REFUSED, PASSED, answer},
    env::{Bare, with_image},
    maps::{Image, MMAPABLE, PROBE, SITE},
    told::Told,
    window::{Window, masked},
};

/// Sources outside that are heard, each in the place that it names, 2 MB.
#[btf_map]
static HEARD: Array<[u64; PLACES as usize], 1, MMAPABLE> = Array::new();

const _: () = assert!(PLACES == 262_144, "a place would be masked to another");

/// The place of a source.
#[inline(always)]
fn at(source: u64) -> Option<*mut u64> {
    let places = HEARD.get_ptr_mut(0)?.cast::<u64>();
    let seed = SITE.get(0).map_or(0, |site| site.seed);
    let at = masked!(place(source, seed), 262143);
    // SAFETY: the map gave the pointer; the index is masked to the table.
    Some(unsafe { places.add(at) })
}

/// What is kept in the place of a source.
#[inline(always)]
pub(crate) fn heard(source: u64) -> Entry {
    // SAFETY: the map gave the pointer; an aligned word is read whole.
    at(source).map_or(Entry(0), |place| Entry(unsafe { core::ptr::read_volatile(place) }))
}

/// Puts an entry into the place of a source, if what stands there gives way.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_hear(source: u64, entry: u64, now: u64) -> u64 {
    let Some(place) = at(source) else { return 0 };
    // SAFETY: the map gave the pointer; an aligned word is read and written whole. Of two CPUs one is not kept.
    unsafe {
        if !Entry(core::ptr::read_volatile(place)).gives_way(Entry(entry), now) {
            return 0;
        }
        core::ptr::write_volatile(place, entry);
    }
    1
}

/// The asker, as the limits in front see a request.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_front(image: *const Image, hi: u64, lo: u64, asked: u64, now: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::front(&mut env, Addr { hi, lo }, Front(asked), now).0,
        None => 0,
    }
}

/// Whether a limit in front is used up.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_is_used_up(image: *const Image, hi: u64, lo: u64, asked: u64, now: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::is_used_up(&mut env, Addr { hi, lo }, Front(asked), now),
        None => 0,
    }
}

/// The limits in front of the short way, by a clock that costs nothing and is up to a tick late: it refuses so much longer, and
/// the long way admits what was due meanwhile. It notes whom it refuses as one of too many, and whom it lets pass for the long way.
#[inline(always)]
fn ask(image: *const Image, src: Addr, asked: Front) -> Asker {
    let now = clock();
    let asker = Asker(tg_front(image, src.hi, src.lo, asked.0, now));
    if asker.is_one_of_too_many() {
        let seed = SITE.get(0).map_or(0, |site| site.seed);
        tg_hear(src.source(), Entry::refused(src.source(), seed, now).0, now);
    }
    if asker.may_pass()
        && let Some(window) = Window::of_this_cpu()
    {
        // SAFETY: the pointer is the per-CPU scratch of this program run. The judge takes it away again.
        unsafe { (*window.scratch).short = PASSED | asker.passport() };
    }
    asker
}

#[inline(always)]
fn clock() -> u64 {
    if PROBE.load() != 0
        && let Some(window) = Window::of_this_cpu()
    {
        // SAFETY: the pointer is the per-CPU scratch of this program run.
        return unsafe { (*window.scratch).now };
    }
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// Whether a limit in front refuses an INVITE that names a word: [`NOT_REFUSED`], or as [`answer`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_refused_word(image: *const Image, told: u64, hi: u64, lo: u64) -> u64 {
    let Some(policy) = Bare::new(image) else { return NOT_REFUSED };
    let (src, told) = (Addr { hi, lo }, Told(told));
    match judge::refused_word(&policy, src, told.arrival(), told.is_banned(), |asked| ask(image, src, asked)) {
        Some(decision) => answer(decision, Method::Invite, 0),
        None => NOT_REFUSED,
    }
}

/// Whether a limit in front refuses a request that makes no call, or an INVITE that [passes](crate::canonical::passes): [`NOT_REFUSED`], or as [`answer`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_refused_unread(image: *const Image, told: u64, method: u32, hi: u64, lo: u64) -> u64 {
    let Some(policy) = Bare::new(image) else { return NOT_REFUSED };
    let Some(method) = Method::from_u8(method as u8) else { return NOT_REFUSED };
    let src = Addr { hi, lo };
    match judge::refused_unread(&policy, src, Told(told).arrival(), method, |asked| ask(image, src, asked)) {
        Some(decision) => answer(decision, method, 0),
        None => NOT_REFUSED,
    }
}
