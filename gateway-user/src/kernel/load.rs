//! Loading the object and its programs; what the operator is told where the kernel refuses.

use std::{io, path::Path};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::ProgramArray,
    programs::{ProgramError, Xdp},
};

use super::object::KEPT;
use crate::{
    config::Role,
    doctor::{Grade, kernel},
};

/// Octets of the rings of the self-test, which nobody reads: one page, the least that a ring has.
const PROVED_RING: u32 = 4096;
/// Lines of the verifier's log that are shown.
const LOG_LINES: usize = 12;

/// What an object is loaded for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use<'a> {
    /// Filtering: the state is kept in this directory, and adopted where it is there already.
    Filter(&'a Path),
    /// Test runs: the state is its own, clock and interface come with the frame.
    Probe,
    /// The self-test of the daemon: test runs, with small rings, since it stays loaded.
    Proof,
    /// Measurements: as for filtering, but the state is its own and ends with it.
    Measure,
}

/// The name of a program.
pub(super) const fn program_name(role: Role, frags: bool) -> &'static str {
    match (role, frags) {
        (Role::Wan, false) => "wan",
        (Role::Wan, true) => "wan_frags",
        (Role::Lan, false) => "lan",
        (Role::Lan, true) => "lan_frags",
    }
}

/// Refuses a kernel that is too old.
pub(super) fn check_kernel() -> Result<()> {
    let version = kernel::version();
    if version.grade == Grade::Bad {
        bail!("the kernel {}: {}", version.finding, version.remedy.unwrap_or_default());
    }
    Ok(())
}

/// Makes or adopts the maps of an object. Its programs are loaded by [`program`].
pub(super) fn open(object: &[u8], usage: Use<'_>) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    // Nothing in the object depends on the kernel's types, and reading those takes long.
    loader.btf(None);
    let probe = u32::from(matches!(usage, Use::Probe | Use::Proof));
    loader.override_global("PROBE", &probe, true);
    if matches!(usage, Use::Proof) {
        for ring in ["EVENTS", "EVENTS_OWN"] {
            loader.map_max_entries(ring, PROVED_RING);
        }
    }
    if let Use::Filter(maps) = usage {
        for name in KEPT {
            loader.map_pin_path(name, maps.join(name));
        }
    }
    loader.load(object).map_err(|error| refused(error, "cannot make the BPF maps"))
}

/// The tables of the programs that entry points go on with: for frames in one buffer, and in several.
pub(super) const TABLES: [&str; 2] = ["NEXT", "NEXT_FRAGS"];
/// The programs in such a table, from slot 0 on; those for frames in several buffers end in `_frags`.
const FOLLOWING: [&str; 1] = ["judge"];

/// The entry point of this name, loaded at its first use, after what it goes on with.
pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    if named(ebpf, name)?.fd().is_err() {
        let (table, suffix) = if name.ends_with("_frags") { (TABLES[1], "_frags") } else { (TABLES[0], "") };
        for (slot, following) in FOLLOWING.iter().enumerate() {
            let following = format!("{following}{suffix}");
            let program = named(ebpf, &following)?;
            if program.fd().is_err() {
                program.load().map_err(|error| unloadable(error, &following))?;
            }
            let fd = program.fd()?.try_clone()?;
            let table = ebpf.map_mut(table).ok_or_else(|| anyhow!("the BPF object has no map {table}"))?;
            let mut table: ProgramArray<_> = table.try_into()?;
            table.set(slot as u32, &fd, 0).with_context(|| format!("the kernel does not take {following}"))?;
        }
        named(ebpf, name)?.load().map_err(|error| unloadable(error, name))?;
    }
    named(ebpf, name)
}

/// The program of this name, loaded or not.
fn named<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = ebpf.program_mut(name).ok_or_else(|| {
        anyhow!("the BPF object has no program {name}: it was built from other sources, build it anew")
    })?;
    program.try_into().with_context(|| format!("the program {name} is no XDP program"))
}

/// How many instructions the verifier walked through for each program that is loaded.
pub(super) fn verified(ebpf: &Ebpf) -> Vec<(String, u32)> {
    let mut counts: Vec<(String, u32)> = ebpf
        .programs()
        .filter_map(|(name, program)| Some((name.to_owned(), program.info().ok()?.verified_instruction_count()?)))
        .collect();
    counts.sort();
    counts
}

fn unloadable(error: ProgramError, name: &str) -> Error {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return refused(error, format!("cannot load the BPF program {name}"));
    };
    let log = verifier_log.to_string();
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    // Without CAP_PERFMON the verifier refuses what it accepts with it, so privilege comes first.
    if !kernel::missing_capabilities().is_empty() || (io_error.raw_os_error() == Some(libc::EPERM) && lines.is_empty())
    {
        return unprivileged(format!("cannot load the BPF program {name}"));
    }
    let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n  ");
    anyhow!(
        "Linux {} does not accept the BPF program {name} ({io_error}). Boot another kernel, or report this with the \
         lines below; nothing was changed.\n  {last}",
        rustix::system::uname().release().to_string_lossy()
    )
}

/// An error of the kernel. Where privilege is what lacks, it says which, and the chain ends in an [`io::Error`] of kind
/// `PermissionDenied`.
pub(super) fn refused(error: impl Into<Error>, what: impl std::fmt::Display) -> Error {
    let error = error.into();
    if os_error(&error) != Some(libc::EPERM) {
        return error.context(what.to_string());
    }
    unprivileged(what)
}

fn unprivileged(what: impl std::fmt::Display) -> Error {
    let missing = kernel::missing_capabilities();
    let remedy = if missing.is_empty() {
        "the process has every capability it takes, so something else forbids it: a container, a seccomp filter, or \
         kernel lockdown; `tollgate doctor` looks further"
            .to_owned()
    } else {
        format!(
            "{} missing: run it as root, or give the service AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON",
            missing.join(", ")
        )
    };
    Error::new(io::Error::from(io::ErrorKind::PermissionDenied)).context(format!("{what}: {remedy}"))
}

/// The number of the kernel's error, wherever it stands in the chain.
pub(super) fn os_error(error: &Error) -> Option<i32> {
    error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_privilege_is_known_by_its_kind() {
        let error = refused(io::Error::from_raw_os_error(libc::EPERM), "cannot load");
        assert!(error.chain().any(|cause| {
            cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::PermissionDenied)
        }));
        assert!(error.to_string().starts_with("cannot load: "), "{error}");
        let other = refused(io::Error::from_raw_os_error(libc::ENOMEM), "cannot load");
        assert_eq!(os_error(&other), Some(libc::ENOMEM));
    }

    #[test]
    fn a_refusal_of_the_verifier_is_none_of_privilege() {
        let refusal = |code, log: &str| {
            let error =
                ProgramError::LoadError { io_error: io::Error::from_raw_os_error(code), verifier_log: aya_log_of(log) };
            unloadable(error, "wan")
        };
        let error = refusal(libc::EACCES, "0: R1=ctx()\nR0 !read_ok\nprocessed 2 insns\n");
        assert!(error.to_string().contains("R0 !read_ok"), "{error}");
        assert!(error.chain().all(|cause| cause.downcast_ref::<io::Error>().is_none()));
    }

    fn aya_log_of(text: &str) -> aya_obj::VerifierLog {
        aya_obj::VerifierLog::new(text.to_owned())
    }
}
