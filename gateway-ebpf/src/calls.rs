//! The calls, the sources that are known, and what was learned of the site.

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg};

use gateway_common::{
    addr::Addr,
    call::{CALL, Call, Digest, place},
    judge,
    site::{Site, hint},
};

use crate::{
    env::{decided, now, with_image},
    maps::{CALLS, CALLS_OTHER, HINTS_MAP, Image, KNOWN, SITE},
    told::Told,
    window::{Scratch, Window, masked},
};

/// What was learned of the site; a part of the scratch, which nobody reads, where the map does not say.
#[inline(always)]
pub(crate) fn site(scratch: *mut Scratch) -> *mut Site {
    match SITE.get_ptr_mut(0) {
        Some(site) => site,
        // SAFETY: the pointer is the per-CPU scratch of this program run.
        None => unsafe { &raw mut (*scratch).no_site },
    }
}

/// Whether the floor refuses foreign calls of sources that nobody knows, and whether any source was banned yet.
#[inline(always)]
pub(crate) fn is_armed_and_bans() -> (bool, bool) {
    SITE.get(0).map_or((false, false), |site| (site.armed != 0, site.bans != 0))
}

/// Whether a source may be known.
#[inline(always)]
pub(crate) fn is_hinted(source: Addr) -> bool {
    let Some(hints) = HINTS_MAP.get_ptr_mut(0) else { return true };
    let bit = hint(source);
    let word = masked!(bit >> 6, 1023);
    // SAFETY: the index is masked to the table.
    unsafe { core::ptr::read_volatile(hints.cast::<u64>().add(word)) >> (bit & 63) & 1 != 0 }
}

/// The call with this Call-ID.
#[inline(always)]
pub(crate) fn find<'a>(id: Digest) -> Option<&'a mut Call> {
    if let Some(call) = CALLS.get_ptr_mut(&id) {
        // SAFETY: the map gave the pointer; what another CPU writes meanwhile is another packet of the same call.
        return Some(unsafe { &mut *call });
    }
    let there = CALLS_OTHER.get_ptr_mut(place(id))?;
    // SAFETY: the map gave the pointer; a call that takes the place meanwhile is one that nobody vouches for, as this one is.
    unsafe { if (*there).id == id { Some(&mut (*there).call) } else { None } }
}

/// Keeps a call in its place, unless another CPU writes there right now.
#[inline(always)]
fn keep_other(id: Digest, call: &Call) -> bool {
    const WORDS: usize = CALL / 8;
    let Some(there) = CALLS_OTHER.get_ptr_mut(place(id)) else { return false };
    // SAFETY: the map gave the pointer.
    let writing = unsafe { &raw mut (*there).writing };
    // SAFETY: as above; a record of two calls would give one of them what the other has shown.
    if !unsafe { atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(writing, 0, 1).1 } {
        return false;
    }
    // SAFETY: both are of so many words, and do not overlap.
    unsafe {
        core::ptr::write_volatile(&raw mut (*there).id, 0);
        core::ptr::copy_nonoverlapping(
            core::ptr::from_ref(call).cast(),
            (&raw mut (*there).call).cast::<[u64; WORDS]>(),
            1,
        );
        core::ptr::write_volatile(&raw mut (*there).id, id);
        core::ptr::write_volatile(writing, 0);
    }
    true
}

/// Whether a source is known.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_is_known(hi: u64, lo: u64) -> u64 {
    let source = Addr { hi, lo };
    if !is_hinted(source) {
        return 0;
    }
    let Some(until) = KNOWN.get_ptr_mut(&source) else { return 0 };
    let Some(window) = Window::of_this_cpu() else { return 0 };
    let now = now(window.scratch);
    // SAFETY: the map gave the pointer; an aligned word is read whole.
    (now < unsafe { core::ptr::read_volatile(until) }) as u64
}

/// Makes a source known.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_know(hi: u64, lo: u64, until: u64) -> u64 {
    let source = Addr { hi, lo };
    // A full table leaves the source unknown, which user space sees by its fill.
    if KNOWN.insert(&source, until, 0).is_err() {
        return 0;
    }
    let Some(hints) = HINTS_MAP.get_ptr_mut(0) else { return 0 };
    let bit = hint(source);
    let word = masked!(bit >> 6, 1023);
    // SAFETY: the index is masked to the table. Two CPUs that set bits of one word may lose one: the source is then taken
    // for unknown until its next registration.
    unsafe { *hints.cast::<u64>().add(word) |= 1 << (bit & 63) };
    1
}

/// Keeps the call of the scratch.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_keep_call(own: u32, id: u64) -> u64 {
    let Some(window) = Window::of_this_cpu() else { return 0 };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let call = unsafe { &(*window.scratch).call };
    let kept = if own != 0 { CALLS.insert(&id, call, 0).is_ok() } else { keep_other(id, call) };
    kept as u64
}

/// What the call table says of an INVITE.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_again(image: *const Image, at: u32, who: u32) -> u64 {
    let Some(mut env) = with_image(image) else { return 0 };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let datagram = unsafe { &(*env.window.scratch).datagram };
    judge::again(&mut env, datagram, at, who as u8)
}

/// What a message does to the calls, and what becomes of it: see [`decided`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_follow(image: *const Image, told: u64) -> u64 {
    let Some(mut env) = with_image(image) else { return 0 };
    // SAFETY: as in `tg_again`.
    let datagram = unsafe { &(*env.window.scratch).datagram };
    decided(judge::follow(&mut env, datagram, Told(told).arrival(), (told >> Told::FROM) as u32))
}
