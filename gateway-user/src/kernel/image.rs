//! Putting a policy image in force: a new array, filled through memory, then one slot that points to it.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, anyhow, ensure};
use aya::{
    Ebpf,
    maps::{ArrayOfMaps, MapData},
};
use aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY;
use gateway_common::policy::image::CELLS;

use super::{
    load::refused,
    mapped::{MMAPABLE, Mapped},
};

/// Octets of an image.
const OCTETS: usize = CELLS as usize * size_of::<u64>();
/// The slot that the program reads.
const SLOT: u32 = 0;

/// Puts an image in force, in one step for every packet. Cells that are not given are zero.
pub(super) fn install(ebpf: &mut Ebpf, cells: &[u64]) -> Result<()> {
    Prepared::new(cells)?.put(ebpf)
}

/// A policy image in the kernel's memory, which no packet meets yet.
#[derive(Debug)]
pub struct Prepared(MapData);

impl Prepared {
    /// Copies an image there. Cells that are not given are zero.
    pub fn new(cells: &[u64]) -> Result<Self> {
        ensure!(
            cells.len() <= CELLS as usize,
            "the policy takes {} MiB and may take {}: shorten its lists",
            size_of_val(cells) >> 20,
            OCTETS >> 20
        );
        let image = aya_obj::Map::new_from_params(BPF_MAP_TYPE_ARRAY as u32, 4, OCTETS as u32, 1, MMAPABLE);
        let image = MapData::create(image, "policy", None)
            .map_err(|error| refused(error, format!("the kernel gives no {} MiB for a policy", OCTETS >> 20)))?;
        let mut mapped =
            Mapped::of(image.fd().as_fd(), OCTETS).context("cannot write the policy into the kernel's memory")?;
        mapped.write(cells);
        Ok(Self(image))
    }

    /// The kernel's number of this memory: no other has it as long as this is there.
    pub fn id(&self) -> Result<u32> {
        Ok(self.0.info()?.id())
    }

    /// Puts it in force. What was in force goes once the last packet that met it has been judged.
    pub(super) fn put(&self, ebpf: &mut Ebpf) -> Result<()> {
        let outer = ebpf.map_mut("POLICY").ok_or_else(|| anyhow!("the BPF object has no map POLICY"))?;
        let mut outer: ArrayOfMaps<_, MapData> = outer.try_into()?;
        outer.set(SLOT, &self.0, 0).context("the kernel does not take the policy")
    }
}

/// The slot of a filter that is measured: from here policies are exchanged while it judges.
#[derive(Debug)]
pub struct Slot(ArrayOfMaps<MapData, MapData>);

impl Slot {
    /// Takes it out of a loaded object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self> {
        let outer = ebpf.take_map("POLICY").ok_or_else(|| anyhow!("the BPF object has no map POLICY"))?;
        Ok(Self(outer.try_into()?))
    }

    /// Puts another policy image in force; state and counters stay.
    pub fn flip(&mut self, policy: &Prepared) -> Result<()> {
        self.0.set(SLOT, &policy.0, 0).context("the kernel does not take the policy")
    }
}
