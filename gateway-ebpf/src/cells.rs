//! Limiter cells: one word each, changed by compare-and-swap.

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg};

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use gateway_common::{
    env::{self, Cells},
    limit::{CellKey, gcra},
};

use crate::{maps::LIMITS, window::rolled};

/// BPF_NOEXIST: an insert that finds the key fails.
pub(crate) const NOEXIST: u64 = 1;

/// Limit and kind of a key in one word, since a function takes at most five arguments.
#[inline(always)]
pub(crate) fn named(key: &CellKey) -> u64 {
    key.limit as u64 | (key.kind as u64) << 32
}

/// The limiter cells, and the one last asked for.
struct Table {
    cell: *mut u64,
}

impl Cells for Table {
    #[inline(always)]
    fn tat(&mut self, key: &CellKey) -> u64 {
        match LIMITS.get_ptr_mut(key) {
            Some(cell) => {
                self.cell = cell;
                // SAFETY: the map gave the pointer; an aligned word is read whole.
                unsafe { core::ptr::read_volatile(cell) }
            }
            None => {
                self.cell = core::ptr::null_mut();
                0
            }
        }
    }

    #[inline(always)]
    fn swap(&mut self, key: &CellKey, old: u64, new: u64) -> bool {
        if self.cell.is_null() {
            return LIMITS.insert(key, new, NOEXIST).is_ok();
        }
        // SAFETY: the map gave the pointer in `tat`; a cell that is evicted meanwhile stays readable until the program
        // ends (RCU), and a write to it is lost, as if the cell had been evicted a moment later.
        unsafe { atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(self.cell, old, new).1 }
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}

/// Whether a cell is over its limit.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_is_over(named: u64, value: u64, now: u64, tolerance: u64) -> u64 {
    let key = CellKey { limit: named as u32, kind: (named >> 32) as u32, value };
    gcra::is_over(Table { cell: core::ptr::null_mut() }.tat(&key), now, tolerance) as u64
}

/// Takes one from a cell.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_take(named: u64, value: u64, now: u64, interval: u64, tolerance: u64) -> u64 {
    let key = CellKey { limit: named as u32, kind: (named >> 32) as u32, value };
    env::take(&mut Table { cell: core::ptr::null_mut() }, &key, now, interval, tolerance) as u64
}

/// Whether a cell is asked for the first time within `interval` nanoseconds, by a clock of its own reading.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_take_first(limit: u32, value: u64, interval: u64) -> u64 {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    tg_take(limit as u64, value, now, interval, 0)
}
