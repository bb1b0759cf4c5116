//! What the machine allows a test to do. A skip is printed, and impossible where `TOLLGATE_REQUIRE_KERNEL=1` is set.

use std::{io, sync::OnceLock};

use anyhow::{Context, Result};

use crate::netns::Namespace;

/// The environment variable that turns a skip into a failure.
pub const REQUIRE: &str = "TOLLGATE_REQUIRE_KERNEL";

/// Whether `test` can make network namespaces.
///
/// # Panics
/// Where it cannot and `TOLLGATE_REQUIRE_KERNEL=1` is set.
pub fn require_namespaces(test: &str) -> bool {
    static PROBE: OnceLock<Option<String>> = OnceLock::new();
    decide(test, PROBE.get_or_init(|| namespaces().err().map(|e| format!("{e:#}"))).as_deref())
}

/// Whether `test` can make network namespaces and load BPF programs.
///
/// # Panics
/// Where it cannot and `TOLLGATE_REQUIRE_KERNEL=1` is set.
pub fn require_kernel(test: &str) -> bool {
    static PROBE: OnceLock<Option<String>> = OnceLock::new();
    require_namespaces(test) && decide(test, PROBE.get_or_init(|| bpf().err().map(|e| format!("{e:#}"))).as_deref())
}

/// What `test` needs of a program that is not part of the system, as a `find` function gives it.
///
/// # Panics
/// Where it is not installed and `TOLLGATE_REQUIRE_KERNEL=1` is set.
pub fn require_program<T>(test: &str, found: Option<T>, install: &str) -> Option<T> {
    if found.is_none() {
        decide(test, Some(&format!("a program is not installed: `{install}`")));
    }
    found
}

fn decide(test: &str, obstacle: Option<&str>) -> bool {
    let Some(why) = obstacle else { return true };
    assert_ne!(std::env::var(REQUIRE).as_deref(), Ok("1"), "{test} needs the kernel ({REQUIRE}=1): {why}");
    // Past the test runner's capture: a skip is seen without --nocapture.
    let _ = io::Write::write_all(&mut io::stderr(), format!("SKIPPED: {test}: {why}\n").as_bytes());
    false
}

fn namespaces() -> Result<()> {
    Namespace::new().map(drop)
}

#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper in the crates at hand")]
fn bpf() -> Result<()> {
    /// The head of `union bpf_attr` for BPF_MAP_CREATE.
    #[repr(C)]
    struct MapCreate {
        map_type: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
    }
    const BPF_MAP_CREATE: libc::c_long = 0;
    const BPF_MAP_TYPE_ARRAY: u32 = 2;
    let attr = MapCreate { map_type: BPF_MAP_TYPE_ARRAY, key_size: 4, value_size: 8, max_entries: 1 };
    // SAFETY: the kernel reads size_of::<MapCreate>() octets at `attr`, which outlives the call.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_CREATE, &raw const attr, size_of::<MapCreate>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error())
            .context("cannot make a BPF map: run as root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)");
    }
    // SAFETY: the kernel has just given this descriptor to nobody else.
    drop(unsafe { <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) });
    Ok(())
}
