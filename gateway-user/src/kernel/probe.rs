//! Test runs: the filter judges frames that are handed to it, with a state and a clock of its own. What is attached is
//! never run this way.

use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map, PerCpuArray, PerCpuValues},
    programs::{TestRun as _, TestRunOptions, Xdp},
    util::nr_cpus,
};
use gateway_common::{
    Verdict,
    call::CALL,
    counters::COUNTERS,
    judge::Side,
    judged::{JUDGED, Judged},
    limit::{channels::CHANNELS, heard, table},
    site::{HINTS, Site},
};

use super::{
    calls,
    cells::{BANS, CELL, SHARED, WINDOWS},
    channels, counters,
    image::{Prepared, Slot},
    load,
    mapped::Mapped,
    object,
};
use crate::{config::Role, engine::Engine};

/// Octets in front of the frame: clock, interface, padding.
const META: usize = 16;
/// Shortest and longest frame: an Ethernet header, and one in front of the longest IP packet.
const FRAME: std::ops::RangeInclusive<usize> = 14..=14 + 65_535;
/// linux/bpf.h.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;
/// What no record begins with: the verdict of a run that wrote none.
const UNWRITTEN: u8 = 0xff;

/// A loaded filter for test runs.
pub struct Probe {
    ebpf: Ebpf,
    cpus: usize,
    /// Metadata and frame, kept from run to run.
    data: Vec<u8>,
    /// Whether something ran since the state was emptied.
    ran: bool,
}

impl Probe {
    /// Loads the filter anew, under a policy image.
    pub fn new(cells: &[u64]) -> Result<Self> {
        Self::open(&Prepared::new(cells)?, load::Use::Probe)
    }

    /// Loads the filter anew for the self-test of the daemon, under an image that is written already.
    pub(super) fn proving(image: &Prepared) -> Result<Self> {
        Self::open(image, load::Use::Proof)
    }

    fn open(image: &Prepared, usage: load::Use<'_>) -> Result<Self> {
        load::check_kernel()?;
        let object = object::plain()?;
        let mut ebpf = load::open(&object, usage)?;
        for role in [Role::Wan, Role::Lan] {
            // The program for several buffers takes short frames too.
            load::program(&mut ebpf, load::program_name(role, true))?;
        }
        image.put(&mut ebpf)?;
        let cpus = nr_cpus().map_err(|(path, error)| anyhow!("cannot count the CPUs by {path}: {error}"))?;
        Ok(Self { ebpf, cpus, data: Vec::new(), ran: false })
    }

    /// Judges one frame that arrives now, at `now_ns`, on `side` and by the interface `ifindex`.
    pub fn judge(&mut self, frame: &[u8], side: Side, ifindex: u32, now_ns: u64) -> Result<Judged> {
        ensure!(
            FRAME.contains(&frame.len()),
            "the frame has {} octets; a test run takes {} to {}",
            frame.len(),
            FRAME.start(),
            FRAME.end()
        );
        self.data.clear();
        self.data.extend(now_ns.to_ne_bytes());
        self.data.extend(u64::from(ifindex).to_ne_bytes());
        self.data.extend(frame);
        // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
        let mut context = [0; 24];
        context[..4].copy_from_slice(&(META as u32).to_ne_bytes());
        context[4..8].copy_from_slice(&(self.data.len() as u32).to_ne_bytes());

        let blank = PerCpuValues::try_from(vec![[UNWRITTEN; JUDGED]; self.cpus])?;
        self.probed()?.set(0, blank, 0).context("cannot empty the record of the test run")?;
        self.ran = true;
        let role = match side {
            Side::Wan => Role::Wan,
            Side::Lan => Role::Lan,
        };
        let program: &mut Xdp = load::program(&mut self.ebpf, load::program_name(role, true))?;
        let run = program
            .test_run(TestRunOptions { data_in: Some(&self.data), ctx_in: Some(&context), ..TestRunOptions::new() })
            .map_err(|error| load::refused(error, "the kernel does not run the test"))?;
        // Whichever CPU it ran on is the one whose record was written.
        let records = self.probed()?.get(&0, 0).context("cannot read the record of the test run")?;
        let record = records
            .iter()
            .find(|record| record[0] != UNWRITTEN)
            .and_then(|record| Judged::from_octets(record))
            .ok_or_else(|| anyhow!("the filter left no record of a test run (it returned {})", run.return_value))?;
        agree(run.return_value, record.verdict())?;
        ensure!(record.differs == 0, "the filter's short way says otherwise than its long way: {record:?}");
        Ok(record)
    }

    /// Puts another policy image in force; the state stays.
    pub fn set_policy(&mut self, cells: &[u64]) -> Result<()> {
        self.set_image(&Prepared::new(cells)?)
    }

    /// Puts an image in force that is written already; the state stays.
    pub(super) fn set_image(&mut self, image: &Prepared) -> Result<()> {
        image.put(&mut self.ebpf)
    }

    /// Takes the slot, to exchange policies by while frames are judged. [`Probe::set_policy`] has none then.
    pub fn slot(&mut self) -> Result<Slot> {
        Slot::take(&mut self.ebpf)
    }

    /// Forgets every source and sets the counters to zero, as if newly loaded.
    pub fn reset(&mut self) -> Result<()> {
        if !self.ran {
            return Ok(());
        }
        for (name, octets) in [("LIMITS", table::OCTETS), ("HEARD", heard::OCTETS), calls::OTHERS] {
            self.zero(name, octets)?;
        }
        for name in [WINDOWS, SHARED, BANS] {
            self.empty::<[u8; 16], [u8; CELL]>(name)?;
        }
        self.empty::<u64, [u8; CALL]>("CALLS")?;
        for name in [channels::OWN, channels::SHARED] {
            self.empty::<[u8; 16], [u8; 8 * CHANNELS]>(name)?;
        }
        self.empty::<u64, u64>("FAILED")?;
        self.empty::<u64, u64>("GIVEN")?;
        self.empty::<u64, u64>("PRESENT")?;
        self.empty::<[u8; 16], u64>("KNOWN")?;
        self.blank("SITE", [0u8; size_of::<Site>()])?;
        self.blank("HINTS_MAP", [0u64; HINTS as usize / 64])?;
        let zero = PerCpuValues::try_from(vec![[0; COUNTERS]; self.cpus])?;
        let map = self.ebpf.map_mut("COUNTERS_MAP").ok_or_else(|| anyhow!("the BPF object has no map COUNTERS_MAP"))?;
        let mut counters: PerCpuArray<_, [u64; COUNTERS]> = map.try_into()?;
        counters.set(0, zero, 0).context("cannot empty the counters")?;
        self.ran = false;
        Ok(())
    }

    /// Zeroes an array that can be mapped.
    fn zero(&self, name: &str, octets: usize) -> Result<()> {
        let Some(Map::Array(array)) = self.ebpf.map(name) else { bail!("the BPF object has no map {name}") };
        Mapped::of(array.fd().as_fd(), octets).with_context(|| format!("cannot empty {name}"))?.zero();
        Ok(())
    }

    /// Removes every entry of a table.
    fn empty<K: Pod, V: Pod>(&mut self, name: &str) -> Result<()> {
        let map = self.ebpf.map_mut(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
        let mut map: HashMap<_, K, V> = map.try_into()?;
        let keys: Vec<K> = map.keys().collect::<Result<_, _>>().with_context(|| format!("cannot list {name}"))?;
        for key in keys {
            map.remove(&key).with_context(|| format!("cannot empty {name}"))?;
        }
        Ok(())
    }

    /// Sets the one element of an array.
    fn blank<V: Pod>(&mut self, name: &str, value: V) -> Result<()> {
        let map = self.ebpf.map_mut(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
        let mut map: Array<_, V> = map.try_into()?;
        map.set(0, value, 0).with_context(|| format!("cannot empty {name}"))
    }

    /// The counters, summed over the CPUs, in the order of [`gateway_common::counters`].
    pub fn counters(&self) -> Result<Box<[u64; COUNTERS]>> {
        counters::read(&self.ebpf)
    }

    /// How many instructions the verifier walked through, by program.
    pub fn verified(&self) -> Vec<(String, u32)> {
        load::verified(&self.ebpf)
    }

    fn probed(&mut self) -> Result<PerCpuArray<&mut aya::maps::MapData, [u8; JUDGED]>> {
        let map = self.ebpf.map_mut("PROBED").ok_or_else(|| anyhow!("the BPF object has no map PROBED"))?;
        Ok(map.try_into()?)
    }
}

impl Engine for Probe {
    fn judge(&mut self, frame: &[u8], side: Side, ifindex: u32, now_ns: u64) -> Result<Judged> {
        Self::judge(self, frame, side, ifindex, now_ns)
    }

    fn reset(&mut self) -> Result<()> {
        Self::reset(self)
    }
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}

/// Checks that what the program did is what its record says.
fn agree(returned: u32, verdict: Verdict) -> Result<()> {
    match (returned, verdict.passes()) {
        (XDP_PASS, true) | (XDP_DROP, false) => Ok(()),
        _ => bail!("the filter returned {returned} and recorded the verdict {}", verdict.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_and_what_is_said_must_agree() {
        assert!(agree(XDP_PASS, Verdict::Pass).is_ok());
        assert!(agree(XDP_PASS, Verdict::WouldDrop).is_ok());
        assert!(agree(XDP_DROP, Verdict::Drop).is_ok());
        assert!(agree(XDP_DROP, Verdict::Reject).is_ok());
        assert!(agree(XDP_DROP, Verdict::Pass).is_err());
        assert!(agree(XDP_PASS, Verdict::Drop).is_err());
        assert!(agree(0, Verdict::Pass).is_err());
    }
}
