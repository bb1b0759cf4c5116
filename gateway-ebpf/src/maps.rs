//! Every map, with its size in memory.

use aya_ebpf::{
    Global,
    btf_maps::{Array, ArrayOfMaps, LruHashMap, PerCpuArray, RingBuf},
    macros::btf_map,
};
use gateway_common::{counters::COUNTERS, judged::Judged, limit::CellKey, policy::image::CELLS};

use crate::window::Scratch;

/// BPF_F_MMAPABLE: user space writes an image through memory, 20 MB in 3 ms instead of 550 ms.
const MMAPABLE: usize = 1024;

/// A policy image, 32 MiB: one element, so that one lookup gives a pointer to all of it, which is cheap to index and can
/// be handed to an exported function.
#[repr(C)]
pub(crate) struct Image {
    pub(crate) cells: [u64; CELLS as usize],
}

/// The map's value is the array and not [`Image`]: Linux 6.1 takes an inner map only if it is known to hold no timer in the
/// same way as the template, and of a map without BTF, which user space makes, it knows that as of an array.
type Cells = [u64; CELLS as usize];

/// Slot 0 is the policy in force; a program reads it once a packet.
#[btf_map]
pub(crate) static POLICY: ArrayOfMaps<Array<Cells, 1, MMAPABLE>, 1> = ArrayOfMaps::new();

/// Limiter cells: 262,144 of about 90 octets, 23 MB. Least recently used ones go first; a cell whose time has passed
/// equals an absent one.
#[btf_map]
pub(crate) static LIMITS: LruHashMap<CellKey, u64, 262_144> = LruHashMap::new();

/// Exact counters, 15 KB a CPU.
#[btf_map]
pub(crate) static COUNTERS_MAP: PerCpuArray<[u64; COUNTERS], 1> = PerCpuArray::new();

/// The message at hand, 2.4 KB a CPU.
#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<Scratch, 1> = PerCpuArray::new();

/// Sampled events of unproved sources, 256 KiB.
#[btf_map]
pub(crate) static EVENTS: RingBuf<(), 262_144> = RingBuf::new();

/// Every event of trunk and lan sources, 256 KiB: a lane that unproved ones cannot fill.
#[btf_map]
pub(crate) static EVENTS_OWN: RingBuf<(), 262_144> = RingBuf::new();

/// Requests of trunk and lan sources that were refused, each up to the blank line behind its headers, 256 KiB: they are
/// answered from here, and kept nowhere.
#[btf_map]
pub(crate) static REFUSED: RingBuf<(), 262_144> = RingBuf::new();

/// What was decided about the last packet of `BPF_PROG_TEST_RUN`; see [`PROBE`].
#[btf_map]
pub(crate) static PROBED: PerCpuArray<Judged, 1> = PerCpuArray::new();

/// Probe mode, set before loading: clock and interface come in metadata in front of the frame, the record goes to
/// [`PROBED`], and no event is sent. Zero, it is dead code that the verifier removes.
#[unsafe(no_mangle)]
pub(crate) static PROBE: Global<u32> = Global::new(0);
