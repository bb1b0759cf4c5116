//! Cells that remember their calls: two maps that evict nothing, each cell under a lock of its own.

use aya_ebpf::{
    bindings::bpf_spin_lock as Lock,
    btf_maps::{Array, HashMap},
    helpers::generated::{bpf_ktime_get_coarse_ns, bpf_spin_lock, bpf_spin_unlock},
    macros::btf_map,
};
use gateway_common::{
    judge::{self, Floor},
    limit::{
        CellKey, Table,
        window::{Answer, How, RING, Ring},
    },
};

use crate::{
    cells::NOEXIST,
    counters::count_full,
    env::{Bare, with_image},
    maps::Image,
};

/// A cell under its lock.
#[repr(C)]
pub(crate) struct Cell {
    lock: Lock,
    reserved: u32,
    ring: Ring,
}

const _: () = assert!(size_of::<Cell>() == 8 + RING, "a fresh cell would be of another size");

/// Cells of lines, sources and networks: 16,384 of about 640 octets, 10 MB. Only trunk, lan and proven sources have any, so
/// that a flood fills nothing; user space removes those that hold no call any more.
#[btf_map]
pub(crate) static WINDOWS: HashMap<CellKey, Cell, 16_384> = HashMap::new();

/// Cells of the site and of countries, 1.3 MB; see [`Table`].
#[btf_map]
pub(crate) static SHARED: HashMap<CellKey, Cell, 2_048> = HashMap::new();

/// Bans, 2.6 MB.
#[btf_map]
pub(crate) static BANS: HashMap<CellKey, Cell, 4_096> = HashMap::new();

/// A cell that nothing has happened to, always zero: too large for a stack.
#[btf_map]
static FRESH: Array<[u64; size_of::<Cell>() / 8], 1> = Array::new();

/// The cell of a key, made where it is missing and something is to be remembered: no larger than a [`Cell`], and all of its bits
/// may be zero.
#[inline(always)]
pub(crate) fn cell<V, const MOST: usize, const FLAGS: usize>(
    map: &HashMap<CellKey, V, MOST, FLAGS>,
    key: &CellKey,
    make: bool,
) -> Option<*mut V> {
    if let Some(cell) = map.get_ptr_mut(key) {
        return Some(cell);
    }
    if !make {
        return None;
    }
    let fresh = FRESH.get_ptr(0)?.cast::<V>();
    // SAFETY: the map gave the pointer, and its value is at least as large as what is read, all of whose bits may be zero.
    let _ = map.insert(key, unsafe { &*fresh }, NOEXIST);
    let made = map.get_ptr_mut(key);
    if made.is_none() {
        count_full();
    }
    made
}

/// Asks a cell; `named` is limit and kind of its key, the answer an [`Answer`].
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_window(image: *const Image, named: u64, value: u64, how: u64, now: u64) -> u64 {
    let Some(policy) = Bare::new(image) else { return Answer::Conforms as u64 };
    let (how, key) = (How(how), CellKey { limit: named as u32, kind: (named >> 32) as u32, value });
    let make = how.remembers();
    let found = match key.table() {
        Table::Own => cell(&WINDOWS, &key, make),
        Table::Shared => cell(&SHARED, &key, make),
        Table::Bans => cell(&BANS, &key, make),
    };
    let Some(cell) = found else { return Answer::Conforms as u64 };
    // SAFETY: the map gave the pointer; cells are never removed while a program that found them runs (RCU).
    let lock = unsafe { &raw mut (*cell).lock };
    // SAFETY: the lock of this cell; nothing is called before it is given back.
    unsafe { bpf_spin_lock(lock) };
    // SAFETY: whoever holds the lock is alone with the cell.
    let answer = unsafe { &mut (*cell).ring }.ask(&policy, how, now);
    // SAFETY: taken above.
    unsafe { bpf_spin_unlock(lock) };
    answer as u64
}

/// Charges the call at hand.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_charge(image: *const Image) -> u64 {
    let Some(mut env) = with_image(image) else { return 0 };
    judge::charge(&mut env);
    1
}

/// Whether the floor stops a call abroad: its reason, or 0.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_floor(image: *const Image, ask: u64, now: u64) -> u64 {
    match with_image(image) {
        Some(mut env) => judge::floor(&mut env, Floor::from_u64(ask), now),
        None => 0,
    }
}

/// Whether a source is banned; `now` is 0 where the clock was not read.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_is_banned(source: u64, now: u64) -> u64 {
    let Some(cell) = BANS.get_ptr_mut(&CellKey::of_ban(source)) else { return 0 };
    // SAFETY: the map gave the pointer; an aligned word is read whole, and needs no lock.
    let until = unsafe { core::ptr::read_volatile(&raw const (*cell).ring.until) };
    // SAFETY: the helper has no preconditions. A ban that ends a tick later is none the worse for it, and this clock costs a
    // seventh of the exact one.
    let now = if now == 0 { unsafe { bpf_ktime_get_coarse_ns() } } else { now };
    (now < until) as u64
}
