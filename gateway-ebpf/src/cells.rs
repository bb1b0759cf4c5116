//! Limiter cells, changed by compare-and-swap; see [`table`].

use core::intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg};

use aya_ebpf::{btf_maps::Array, helpers::generated::bpf_ktime_get_ns, macros::btf_map};
use gateway_common::{
    env::{self, Cells},
    limit::{
        CellKey, gcra,
        table::{self, OCTETS, Place, SETS, Set, WAYS},
    },
};

use crate::{
    maps::{MMAPABLE, SITE},
    window::{masked, rolled},
};

/// BPF_NOEXIST: an insert that finds the key fails.
pub(crate) const NOEXIST: u64 = 1;

/// Limit and kind of a key in one word, since a function takes at most five arguments.
#[inline(always)]
pub(crate) fn named(key: &CellKey) -> u64 {
    key.limit as u64 | (key.kind as u64) << 32
}

/// A limiter cell.
#[repr(C)]
pub(crate) struct Cell {
    tag: u64,
    tat: u64,
}

const _: () = assert!(size_of::<Cell>() * (SETS * WAYS) as usize == OCTETS, "user space would empty another part");

/// The limiter cells: 65,536 sets of eight, 8 MB.
#[btf_map]
pub(crate) static LIMITS: Array<[Cell; WAYS as usize], { SETS as usize }, MMAPABLE> = Array::new();

/// What a key stands under.
#[inline(always)]
fn tag(key: &CellKey) -> u64 {
    table::tag(key, SITE.get(0).map_or(0, |site| site.seed))
}

/// One set of them.
#[derive(Clone, Copy)]
struct Eight(*mut Cell);

impl Eight {
    /// The set of a tag.
    #[inline(always)]
    fn of(tag: u64) -> Option<Self> {
        LIMITS.get_ptr_mut(table::set(tag)).map(|set| Self(set.cast()))
    }

    #[inline(always)]
    fn cell(self, way: u32) -> *mut Cell {
        let way = masked!(way, 7);
        // SAFETY: the index is masked to the set.
        unsafe { self.0.add(way) }
    }
}

impl Set for Eight {
    #[inline(always)]
    fn tag(&self, way: u32) -> u64 {
        // SAFETY: the map gave the pointer; an aligned word is read whole.
        unsafe { core::ptr::read_volatile(&raw const (*self.cell(way)).tag) }
    }

    #[inline(always)]
    fn tat(&self, way: u32) -> u64 {
        // SAFETY: as above.
        unsafe { core::ptr::read_volatile(&raw const (*self.cell(way)).tat) }
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}

/// The limiter cells, and the one last asked for.
struct Cached {
    set: Option<Eight>,
    tag: u64,
    place: Place,
}

impl Cached {
    #[inline(always)]
    const fn new() -> Self {
        Self { set: None, tag: 0, place: Place { way: 0, found: false } }
    }
}

impl Cells for Cached {
    #[inline(always)]
    fn tat(&mut self, key: &CellKey) -> u64 {
        self.tag = tag(key);
        self.set = Eight::of(self.tag);
        let Some(set) = self.set else { return 0 };
        self.place = table::find(&set, self.tag);
        if self.place.found { set.tat(self.place.way) } else { 0 }
    }

    #[inline(always)]
    fn tat_now(&mut self, _: &CellKey) -> u64 {
        self.set.map_or(0, |set| set.tat(self.place.way))
    }

    #[inline(always)]
    fn swap(&mut self, _: &CellKey, old: u64, new: u64) -> bool {
        let Some(set) = self.set else { return true };
        let cell = set.cell(self.place.way);
        if self.place.found {
            // SAFETY: the map gave the pointer. A cell that has given way meanwhile takes this time for its own: that of one packet.
            return unsafe { atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(&raw mut (*cell).tat, old, new).1 };
        }
        let before = set.tag(self.place.way);
        // SAFETY: as above; who takes the cell over writes its time, and until then it has one that has passed, or nearly. Who
        // comes second goes uncounted, once.
        unsafe {
            if atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(&raw mut (*cell).tag, before, self.tag).1 {
                core::ptr::write_volatile(&raw mut (*cell).tat, new);
            }
        }
        true
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
    let tag = tag(&key);
    gcra::is_over(Eight::of(tag).map_or(0, |set| table::tat(&set, tag)), now, tolerance) as u64
}

/// Takes one from a cell.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_take(named: u64, value: u64, now: u64, interval: u64, tolerance: u64) -> u64 {
    let key = CellKey { limit: named as u32, kind: (named >> 32) as u32, value };
    env::take(&mut Cached::new(), &key, now, interval, tolerance) as u64
}

/// Whether a cell is asked for the first time within `interval` nanoseconds, by a clock of its own reading.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_take_first(limit: u32, value: u64, interval: u64) -> u64 {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    tg_take(limit as u64, value, now, interval, 0)
}
