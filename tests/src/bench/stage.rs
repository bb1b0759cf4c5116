//! The network of the measurements: veth pairs in one namespace without a name.

use std::net::IpAddr;

use anyhow::{Context, Result};
use rustix::{
    process::setpriority_process,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::{
    link::{self, End},
    netns::Namespace,
    offload::{self, Offload},
};

/// The Ethernet address of the end that receives.
pub const TAKER: link::Mac = [2, 0, 0, 0, 0xbe, 2];
/// One that nobody has: what is passed to the stack ends at its door, and costs what it costs behind a bare program.
pub const NOBODY: link::Mac = [2, 0, 0, 0, 0xbe, 0xff];
/// The nice value that goes before all others, so that few runs are interrupted.
pub(super) const FOREMOST: i32 = -20;
const SENDER: link::Mac = [2, 0, 0, 0, 0xbe, 1];

/// A namespace that the calling thread is inside of.
#[derive(Debug)]
pub struct Stage {
    namespace: Namespace,
    others: CpuSet,
    own: CpuSet,
}

/// A veth pair.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The index of the end that frames are sent by.
    pub sender: u32,
    /// The index of the end that they arrive at.
    pub taker: u32,
    /// The name of that end.
    pub name: String,
}

impl Wire {
    /// Frames that were sent and found no room at the other end, as when the machine has no time to take them. To be asked by a
    /// thread of its network.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn lost(&self) -> Result<u64> {
        // That of the process is of the network of its first thread.
        let table =
            std::fs::read_to_string("/proc/thread-self/net/dev").context("cannot read /proc/thread-self/net/dev")?;
        let mut rows = table.lines().filter_map(|line| line.trim_start().strip_prefix(&self.name)?.strip_prefix(':'));
        let row = rows.next().with_context(|| format!("/proc/thread-self/net/dev has no {}", self.name))?;
        // Octets, packets, errors, and what was dropped.
        let dropped = row.split_whitespace().nth(3).and_then(|count| count.parse().ok());
        dropped.with_context(|| format!("/proc/thread-self/net/dev says of {} what nobody can read: {row}", self.name))
    }
}

impl Stage {
    /// Makes the namespace and moves the calling thread into it, and to one CPU, for good.
    ///
    /// # Errors
    /// Where the caller lacks CAP_SYS_ADMIN, or there is no such CPU.
    pub fn enter(cpu: usize) -> Result<Self> {
        let namespace = Namespace::new()?;
        namespace.enter()?;
        let mut others = sched_getaffinity(None).context("cannot ask which CPUs there are")?;
        others.unset(cpu);
        let mut cpus = CpuSet::new();
        cpus.set(cpu);
        sched_setaffinity(None, &cpus).with_context(|| format!("cannot stay on CPU {cpu}: is there one?"))?;
        setpriority_process(None, FOREMOST).context("cannot go before other processes")?;
        Ok(Self { namespace, others, own: cpus })
    }

    /// The namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The CPUs that are left for other threads; none where the machine has one.
    pub const fn others(&self) -> CpuSet {
        self.others
    }

    /// Starts programs that are to have the other CPUs, before other processes. Where there is no other CPU they share.
    ///
    /// # Errors
    /// Those of `start`.
    pub fn elsewhere<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.others.count() > 0 {
            sched_setaffinity(None, &self.others).context("cannot leave the CPU")?;
        }
        let started = start();
        sched_setaffinity(None, &self.own).context("cannot go back to the CPU")?;
        started
    }

    /// Makes a pair whose ends take frames that XDP sends.
    ///
    /// # Errors
    /// Where the kernel has no veth.
    pub fn wire(&self, name: &str, addresses: &[(IpAddr, u8)]) -> Result<Wire> {
        let namespace = &self.namespace;
        let (from, to) = (format!("{name}0"), format!("{name}1"));
        link::veth(
            End { namespace, name: &from, mac: SENDER, addresses: &[] },
            End { namespace, name: &to, mac: TAKER, addresses },
        )?;
        for end in [&from, &to] {
            offload::set(namespace, end, Offload::Gro, true)?;
        }
        Ok(Wire { sender: link::index(namespace, &from)?, taker: link::index(namespace, &to)?, name: to })
    }
}
