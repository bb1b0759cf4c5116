//! Small facts that may be forgotten: what answers of the PBX gave to which source outside, who has shown that it received
//! it, and which attempts to call failed.

use aya_ebpf::{btf_maps::LruHashMap, macros::btf_map};
use gateway_common::judge;

use crate::{env::with_image, maps::Image, told::Told};

/// The source that a tag or nonce was given to: 32,768 of about 80 octets, 2.6 MB. What was given longest ago goes first: then
/// a source shows its presence with the next answer.
#[btf_map]
pub(crate) static GIVEN: LruHashMap<u64, u64, 32_768> = LruHashMap::new();

/// Until when sources are present: 16,384 of about 80 octets, 1.3 MB. Only who has received an answer comes in.
#[btf_map]
pub(crate) static PRESENT: LruHashMap<u64, u64, 16_384> = LruHashMap::new();

/// When attempts of telephones that the site vouches for failed: 8,192 of about 80 octets, 0.7 MB.
#[btf_map]
pub(crate) static FAILED: LruHashMap<u64, u64, 8_192> = LruHashMap::new();

/// The value of a key, 0 where there is none.
#[inline(always)]
fn value<const MOST: usize>(map: &LruHashMap<u64, u64, MOST>, key: u64) -> u64 {
    match map.get_ptr_mut(&key) {
        // SAFETY: the map gave the pointer; an aligned word is read whole.
        Some(value) => unsafe { core::ptr::read_volatile(value) },
        None => 0,
    }
}

/// Notes what the message at hand shows of its source, or gives to one.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_presence(image: *const Image, told: u64) -> u64 {
    let Some(mut env) = with_image(image) else { return 0 };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let datagram = unsafe { &(*env.window.scratch).datagram };
    judge::presence(&mut env, datagram, Told(told).arrival(), (told >> Told::FROM) as u32);
    1
}

/// To which source something was given.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_given(what: u64) -> u64 {
    value(&GIVEN, what)
}

/// Notes to which source something was given.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_give(what: u64, source: u64) -> u64 {
    GIVEN.insert(&what, source, 0).is_ok() as u64
}

/// Until when a source is present.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_present_until(source: u64) -> u64 {
    value(&PRESENT, source)
}

/// Notes that a source is present.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_note_present(source: u64, until: u64) -> u64 {
    PRESENT.insert(&source, until, 0).is_ok() as u64
}

/// When an attempt to call failed.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_failed_at(attempt: u64) -> u64 {
    value(&FAILED, attempt)
}

/// Notes when an attempt to call failed.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_note_failed(attempt: u64, at: u64) -> u64 {
    FAILED.insert(&attempt, at, 0).is_ok() as u64
}
