//! The channels of limits on calls at once: two maps that evict nothing, each channel changed by compare-and-swap.

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg};

use aya_ebpf::{btf_maps::HashMap, macros::btf_map};
use gateway_common::{
    call::Digest,
    env::Env as _,
    judge::{self, Asker, Charge},
    limit::{
        CellKey, Table,
        channels::{self, Cell, Holders},
    },
};

use crate::{
    calls::find,
    env::with_image,
    maps::Image,
    window::{masked, rolled},
    windows::{self, cell},
};

/// BPF_F_NO_PREALLOC: few sites bound calls at once, and a cell takes memory when it is made.
const AS_NEEDED: usize = 1;

/// Channels of lines, sources and networks: 8,192 of about 590 octets, 5 MB when all are in use. As with windows, only trunk,
/// lan and proven sources have any, and user space removes those that no call holds.
#[btf_map]
pub(crate) static CHANNELS: HashMap<CellKey, Holders, 8_192, AS_NEEDED> = HashMap::new();

/// Channels of the site and of countries, 0.6 MB; see [`Table`].
#[btf_map]
pub(crate) static CHANNELS_SHARED: HashMap<CellKey, Holders, 1_024, AS_NEEDED> = HashMap::new();

const _: () = assert!(size_of::<Holders>() <= size_of::<windows::Cell>(), "a fresh cell would be cut off");

/// The channels of one cell.
struct Channels {
    holders: *mut Holders,
    now: u64,
}

impl Channels {
    #[inline(always)]
    fn place(&self, channel: u32) -> *mut Digest {
        let at = masked!(channel, 63);
        // SAFETY: the index is masked to the cell.
        unsafe { self.holders.cast::<Digest>().add(at) }
    }
}

impl Cell for Channels {
    #[inline(always)]
    fn holder(&mut self, channel: u32) -> Digest {
        // SAFETY: the map gave the pointer; an aligned word is read whole.
        unsafe { core::ptr::read_volatile(self.place(channel)) }
    }

    #[inline(always)]
    fn hand_over(&mut self, channel: u32, from: Digest, to: Digest) -> bool {
        // SAFETY: the map gave the pointer; cells are never freed while a program that found them runs (RCU).
        unsafe { atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(self.place(channel), from, to).1 }
    }

    #[inline(always)]
    fn is_up(&mut self, call: Digest) -> bool {
        tg_is_up(call, self.now) != 0
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}

/// Whether one of the first `most` channels of a cell is free; `named` is limit and kind of its key.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_seize(image: *const Image, named: u64, value: u64, most: u32, call: u64) -> u64 {
    let Some(mut env) = with_image(image) else { return 1 };
    let now = env.now();
    let key = CellKey { limit: named as u32, kind: (named >> 32) as u32, value };
    let found = match key.table() {
        Table::Shared => cell(&CHANNELS_SHARED, &key, call != 0),
        _ => cell(&CHANNELS, &key, call != 0),
    };
    let Some(holders) = found else { return 1 };
    channels::seize(&mut Channels { holders, now }, most, call) as u64
}

/// Whether a call is up.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_is_up(call: u64, now: u64) -> u64 {
    find(call).is_some_and(|call| call.is_up(now)) as u64
}

/// Whether one limit has no channel left.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_channel(image: *const Image, profile: u32, asker: u64, charge: u64, call: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::channel(&mut env, profile, Asker(asker), Charge(charge), call),
        None => 0,
    }
}

/// Which limit has no channel left for the call at hand.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_channels(image: *const Image, call: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::channels(&mut env, call),
        None => 0,
    }
}
