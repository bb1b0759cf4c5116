//! Every map, with its size in memory.

use aya_ebpf::{
    Global,
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
    macros::btf_map,
};
use gateway_common::{
    addr::Addr,
    call::{CALL, Call, Digest, PLACES},
    counters::COUNTERS,
    judged::Judged,
    policy::image::CELLS,
    site::{HINTS, Site},
};

use crate::window::Scratch;

/// BPF_F_MMAPABLE: user space writes an image through memory, 20 MB in 3 ms instead of 550 ms.
pub(crate) const MMAPABLE: usize = 1024;

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

/// Calls of trunk, lan and known sources by the digest of their Call-ID: 32,768 of about 190 octets, 6 MB. The one that was
/// touched longest ago goes first; a call holds four hours, so only more than that at once forget one that goes on.
#[btf_map]
pub(crate) static CALLS: LruHashMap<Digest, Call, 32_768> = LruHashMap::new();

/// A place for a call of a source that nobody knows.
#[repr(C)]
pub(crate) struct Place {
    /// Not 0 while a CPU writes here.
    pub(crate) writing: u64,
    /// The digest of its Call-ID, 0 for none.
    pub(crate) id: Digest,
    pub(crate) call: Call,
}

const _: () = assert!(size_of::<Place>() == 16 + CALL, "user space would read other words");

/// Calls of sources that nobody knows, each in the place that its Call-ID names, 4 MB: what has the same place is forgotten. A hash
/// that evicts is several times as dear, for calls that a flood pushes out either way.
#[btf_map]
pub(crate) static CALLS_OTHER: Array<Place, { PLACES as usize }, MMAPABLE> = Array::new();

/// Until when sources are known, in boot time: 16,384. Only who has credentials of the PBX comes in, and nothing is evicted.
#[btf_map]
pub(crate) static KNOWN: HashMap<Addr, u64, 16_384> = HashMap::new();

/// A bit for each source that may be known, so that a flood need not be looked up; see `gateway_common::site::hint`.
#[btf_map]
pub(crate) static HINTS_MAP: Array<[u64; HINTS as usize / 64], 1> = Array::new();

/// What was learned of the site.
#[btf_map]
pub(crate) static SITE: Array<Site, 1> = Array::new();

/// Exact counters, 15 KB a CPU.
#[btf_map]
pub(crate) static COUNTERS_MAP: PerCpuArray<[u64; COUNTERS], 1> = PerCpuArray::new();

/// The programs that follow on an entry point; see [`crate::next`].
#[btf_map]
pub(crate) static NEXT: ProgramArray<1> = ProgramArray::new();

/// The same for frames in several buffers.
#[btf_map]
pub(crate) static NEXT_FRAGS: ProgramArray<1> = ProgramArray::new();

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
