//! Putting a policy image in force: a new array, filled through memory, then one slot that points to it.

#![expect(unsafe_code, reason = "an array of the kernel is filled through memory: 20 MB in 3 ms instead of 550 ms")]

use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result, anyhow, ensure};
use aya::{
    Ebpf,
    maps::{ArrayOfMaps, MapData},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use gateway_common::policy::image::CELLS;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Octets of an image.
const OCTETS: usize = CELLS as usize * size_of::<u64>();
/// linux/bpf.h, BPF_F_MMAPABLE.
const MMAPABLE: u32 = 1 << 10;
/// The slot that the program reads.
const SLOT: u32 = 0;

/// An image in the kernel's memory, which no program reads yet.
pub(super) struct Written(MapData);

/// Writes an image into an array of its own. Cells that are not given are zero.
pub(super) fn write(cells: &[u64]) -> Result<Written> {
    ensure!(
        cells.len() <= CELLS as usize,
        "the policy takes {} MiB and may take {}: shorten its lists",
        size_of_val(cells) >> 20,
        OCTETS >> 20
    );
    let image = aya_obj::Map::new_from_params(BPF_MAP_TYPE_ARRAY as u32, 4, OCTETS as u32, 1, MMAPABLE);
    let image = MapData::create(image, "policy", None)
        .with_context(|| format!("the kernel gives no {} MiB for a policy: free some memory", OCTETS >> 20))?;
    fill(image.fd().as_fd(), cells).context("cannot write the policy into the kernel's memory")?;
    Ok(Written(image))
}

/// Puts an image in force, in one step for every packet.
pub(super) fn install(ebpf: &mut Ebpf, image: &Written) -> Result<()> {
    let outer = ebpf.map_mut("POLICY").ok_or_else(|| anyhow!("the BPF object has no map POLICY"))?;
    let mut outer: ArrayOfMaps<_, MapData> = outer.try_into()?;
    outer.set(SLOT, &image.0, 0).context("the kernel does not take the policy")
}

/// Copies `cells`, at most [`CELLS`], to the beginning of an array of that size.
fn fill(array: BorrowedFd<'_>, cells: &[u64]) -> Result<()> {
    // SAFETY: the kernel chooses the place, so no memory of this process is replaced.
    let memory =
        unsafe { mmap(std::ptr::null_mut(), OCTETS, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, array, 0) }?;
    // SAFETY: the mapping has room for OCTETS octets, which the caller checked to be enough, it begins at a page, and
    // nobody else knows of it.
    unsafe { std::ptr::copy_nonoverlapping(cells.as_ptr(), memory.cast::<u64>(), cells.len()) };
    // SAFETY: the mapping was made above, and nothing refers to it any more.
    unsafe { munmap(memory, OCTETS) }?;
    Ok(())
}
