//! Measurements: the filter as it is attached, with a state of its own and without pins.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    programs::{TestRun as _, TestRunOptions, Xdp, XdpMode, xdp::XdpLinkId},
};
use gateway_common::{
    counters::COUNTERS,
    limit::{CellKey, window::Ring},
};

use super::{
    cells, counters,
    events::Events,
    image::{self, Slot},
    load, memory, object,
};
use crate::{config::Role, daemon::AttachMode, policy::charged::addr};

/// A loaded filter to be measured. It ends with this value, and so does its attachment.
pub struct Measured {
    ebpf: Ebpf,
    program: &'static str,
    link: Option<XdpLinkId>,
}

impl Measured {
    /// Loads the program of one role under a policy image. The object is the one compiled in, or the one that
    /// [`super::OBJECT`] names.
    pub fn new(cells: &[u64], role: Role) -> Result<Self> {
        load::check_kernel()?;
        let mut ebpf = load::open(&object::plain()?, load::Use::Measure)?;
        let program = load::program_name(role, false);
        load::program(&mut ebpf, program)?;
        image::install(&mut ebpf, cells)?;
        Ok(Self { ebpf, program, link: None })
    }

    /// Attaches to an interface of the calling thread's network namespace, in place of a former attachment.
    pub fn attach(&mut self, ifindex: u32, mode: AttachMode) -> Result<()> {
        self.detach()?;
        let mode = match mode {
            AttachMode::Driver => XdpMode::Driver,
            AttachMode::Generic => XdpMode::Skb,
        };
        let link = self.program()?.attach_to_if_index(ifindex, mode);
        self.link = Some(link.map_err(|error| load::refused(error, "cannot attach the filter"))?);
        Ok(())
    }

    /// Ends the attachment, where there is one.
    pub fn detach(&mut self) -> Result<()> {
        let Some(link) = self.link.take() else { return Ok(()) };
        self.program()?.detach(link).context("cannot detach the filter")
    }

    /// Runs the program so often over one frame, which no interface sees.
    pub fn repeat(&mut self, frame: &[u8], times: u32) -> Result<Repeated> {
        let program = self.program()?;
        let began = Instant::now();
        let run = program
            .test_run(TestRunOptions { data_in: Some(frame), repeat: times, ..TestRunOptions::new() })
            .map_err(|error| load::refused(error, "the kernel does not run the test"))?;
        Ok(Repeated { all: began.elapsed(), each: run.duration })
    }

    /// Takes the slot, to exchange policies by while the filter judges.
    pub fn slot(&mut self) -> Result<Slot> {
        Slot::take(&mut self.ebpf)
    }

    /// The counters, summed over the CPUs, in the order of [`gateway_common::counters`].
    pub fn counters(&self) -> Result<Box<[u64; COUNTERS]>> {
        counters::read(&self.ebpf)
    }

    /// Takes the events, to be read by whoever holds them.
    pub fn events(&mut self) -> Result<Told> {
        Events::open(&mut self.ebpf).map(Told)
    }

    /// Octets of the kernel's memory: of each map, of the policy in force, and of the programs of both roles.
    pub fn memory(&mut self) -> Result<Vec<(String, u64)>> {
        for role in [Role::Wan, Role::Lan] {
            load::program(&mut self.ebpf, load::program_name(role, false))?;
        }
        memory::of(&self.ebpf)
    }

    /// Bans a source for good, as going over a limit does.
    pub fn ban(&mut self, source: IpAddr) -> Result<()> {
        let ring = Ring { admitted: 1, until: u64::MAX, ..Ring::FRESH };
        cells::write(&mut self.ebpf, &CellKey::of_ban(addr(source).source()), Some(&ring))
    }

    /// How many instructions the verifier walked through.
    pub fn verified(&self) -> Result<u32> {
        let verified = load::verified(&self.ebpf);
        let ours = verified.into_iter().find(|(name, _)| name == self.program);
        ours.map(|(_, count)| count).ok_or_else(|| anyhow!("the kernel does not tell what its verifier counted"))
    }

    fn program(&mut self) -> Result<&mut Xdp> {
        load::program(&mut self.ebpf, self.program)
    }
}

/// How long test runs took.
#[derive(Clone, Copy, Debug)]
pub struct Repeated {
    /// All of them by the clock of this process: what else the machine does in between is in it.
    pub all: Duration,
    /// One of them by the kernel's own account, which leaves out what begins and ends them; whole nanoseconds.
    pub each: Duration,
}

/// The events of a filter that is measured.
pub struct Told(Events);

impl Told {
    /// Reads every event that waits, and returns how many there were.
    pub fn read(&mut self) -> u64 {
        let mut events = 0;
        self.0.drain(&mut |_| events += 1);
        events
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Measured").field("program", &self.program).finish_non_exhaustive()
    }
}
