//! The receive queue of a veth end, emptied on one CPU by a thread of the kernel's (threaded NAPI), as a network card's is by the CPU
//! of its interrupt. Otherwise whoever sends empties it, on the CPU of the sender.

use std::{
    collections::BTreeSet,
    fs, io,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount, mount_change},
    process::Pid,
    thread::{CpuSet, UnshareFlags, sched_setaffinity, unshare_unsafe},
};

use crate::netns::Namespace;

/// How long the kernel may take to start a thread.
const PATIENCE: Duration = Duration::from_secs(5);

/// Gives the queue of an interface a thread on these CPUs.
pub(super) fn to(namespace: &Namespace, interface: &str, cpus: CpuSet) -> Result<()> {
    let before = threads(interface)?;
    let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
    namespace.run(|| switch(directory.path(), interface))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let started: Vec<_> = threads(interface)?.difference(&before).copied().collect();
        for pid in &started {
            sched_setaffinity(Pid::from_raw(*pid), &cpus).context("cannot move the thread of a queue")?;
            foremost(*pid)?;
        }
        if !started.is_empty() {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the kernel gives the queue of {interface} no thread: it takes Linux 5.12 or newer"
        );
        thread::sleep(Duration::from_millis(10));
    }
}

/// Puts a thread, the calling one where the number is 0, before all that are not so, as an interrupt is: it runs at once when it is
/// woken. The kernel leaves the others a twentieth of a CPU that such threads would fill (`kernel.sched_rt_runtime_us`).
#[expect(unsafe_code, reason = "sched_setscheduler has no safe wrapper")]
pub(super) fn foremost(thread: i32) -> Result<()> {
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads the parameter, and it outlives the call.
    let result = unsafe { libc::sched_setscheduler(thread, libc::SCHED_FIFO, &raw const first) };
    if result < 0 {
        return Err(io::Error::last_os_error())
            .context("cannot put a thread before programs: run as root (CAP_SYS_NICE)");
    }
    Ok(())
}

/// Writes the attribute in a sysfs of the calling thread's network namespace, which nobody else sees.
fn switch(directory: &Path, interface: &str) -> Result<()> {
    unshare_mounts()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot make the mounts private")?;
    mount("sysfs", directory, "sysfs", MountFlags::empty(), None).context("cannot mount a sysfs")?;
    let file = directory.join("class/net").join(interface).join("threaded");
    fs::write(&file, "1").with_context(|| format!("cannot give {interface} a thread"))
}

#[expect(unsafe_code, reason = "unshare has no safe wrapper")]
fn unshare_mounts() -> Result<()> {
    // SAFETY: only CLONE_FILES can pull descriptors away from other threads, and it is not asked for.
    unsafe { unshare_unsafe(UnshareFlags::FS | UnshareFlags::NEWNS) }
        .context("cannot make a mount namespace: run as root (CAP_SYS_ADMIN)")
}

/// The kernel's threads for queues of interfaces of this name, in any namespace.
fn threads(interface: &str) -> Result<BTreeSet<i32>> {
    let name = format!("napi/{interface}-");
    let entries = fs::read_dir("/proc").context("cannot list /proc")?.flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers
        .filter(|pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(&name)))
        .collect())
}
