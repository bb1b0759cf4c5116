//! The kernel, the privilege of this process, the place for pins.

use std::{fs, path::Path};

use super::Check;

/// The oldest kernel that the program is verified on.
const FLOOR: (u32, u32) = (6, 1);
/// Magic number of a BPF file system (linux/magic.h, BPF_FS_MAGIC).
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
/// The capabilities that loading and attaching take (linux/capability.h), and their numbers.
const CAPABILITIES: [(&str, u32); 3] = [("CAP_NET_ADMIN", 12), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

pub(crate) fn version() -> Check {
    let uname = rustix::system::uname();
    of_release(&uname.release().to_string_lossy())
}

fn of_release(release: &str) -> Check {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let found = (numbers.next().and_then(Result::ok), numbers.next().and_then(Result::ok));
    let name = "kernel";
    match found {
        (Some(major), Some(minor)) if (major, minor) >= FLOOR => Check::good(name, release),
        (Some(_), Some(_)) => Check::bad(
            name,
            format!("{release} is too old"),
            format!("boot Linux {}.{} or newer, such as Debian 12's", FLOOR.0, FLOOR.1),
        ),
        _ => Check::note(
            name,
            format!("`{release}` does not say which version it is"),
            format!("Tollgate is made for Linux {}.{} and newer", FLOOR.0, FLOOR.1),
        ),
    }
}

pub(super) fn jit() -> Check {
    let name = "bpf jit";
    match fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").as_deref().map(str::trim) {
        Ok("0") => {
            Check::note(name, "off: programs are interpreted, several times slower", "sysctl net.core.bpf_jit_enable=1")
        }
        Ok(_) => Check::good(name, "on"),
        // Only a privileged process may read it; a kernel with CONFIG_BPF_JIT_ALWAYS_ON has no other state.
        Err(_) => Check::good(name, "not readable by this user; on, unless somebody switched it off"),
    }
}

pub(super) fn privilege() -> Check {
    let name = "privilege";
    let remedy = "run it as root, or give the service AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON";
    match fs::read_to_string("/proc/self/status").ok().as_deref().and_then(effective) {
        Some(set) => match missing(set).as_slice() {
            [] => Check::good(name, "this user may load and attach programs"),
            missing => Check::bad(name, format!("{} missing", missing.join(", ")), remedy),
        },
        None => Check::note(name, "/proc/self/status does not tell the capabilities of this process", remedy),
    }
}

/// The capabilities that this process lacks for loading and attaching; none where it cannot be told.
pub(crate) fn missing_capabilities() -> Vec<&'static str> {
    let set = fs::read_to_string("/proc/self/status").ok().as_deref().and_then(effective);
    set.map(missing).unwrap_or_default()
}

/// Whether `path` lies on a BPF file system.
pub(crate) fn is_bpffs(path: &Path) -> std::io::Result<bool> {
    Ok(rustix::fs::statfs(path)?.f_type as u64 & 0xffff_ffff == BPF_FS_MAGIC)
}

/// The effective capabilities in the text of `/proc/self/status`.
fn effective(status: &str) -> Option<u64> {
    status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapEff:")?.trim(), 16).ok())
}

fn missing(set: u64) -> Vec<&'static str> {
    CAPABILITIES.iter().filter(|(_, number)| set >> number & 1 == 0).map(|(name, _)| *name).collect()
}

pub(super) fn pins(pin_dir: &Path) -> Check {
    let name = "pins";
    let Some(existing) = pin_dir.ancestors().find(|path| path.exists()) else {
        return Check::bad(name, format!("{} cannot be reached", pin_dir.display()), "choose another with --pin-dir");
    };
    match is_bpffs(existing) {
        Ok(true) => Check::good(name, format!("{} is on a BPF file system", pin_dir.display())),
        Ok(false) => Check::bad(
            name,
            format!("{} is not on a BPF file system", pin_dir.display()),
            "mount -t bpf bpf /sys/fs/bpf (in a container: pass the host's /sys/fs/bpf in)",
        ),
        Err(error) => Check::bad(
            name,
            format!("{} cannot be looked at: {error}", existing.display()),
            "run it as root, or choose another directory with --pin-dir",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Grade;

    #[test]
    fn versions() {
        assert_eq!(of_release("6.1.0-40-cloud-amd64").grade, Grade::Good);
        assert_eq!(of_release("6.18").grade, Grade::Good);
        assert_eq!(of_release("7.0.1").grade, Grade::Good);
        assert_eq!(of_release("5.15.0").grade, Grade::Bad);
        assert_eq!(of_release("6.0.12").grade, Grade::Bad);
        assert_eq!(of_release("mystery").grade, Grade::Note);
    }

    #[test]
    fn capabilities() {
        let all = effective("Name:\tx\nCapEff:\t000001ffffffffff\nCapBnd:\t0\n").unwrap();
        assert_eq!(missing(all), [""; 0]);
        assert_eq!(missing(1 << 12), ["CAP_PERFMON", "CAP_BPF"]);
        assert_eq!(effective("CapEff:\tzz\n"), None);
    }

    #[test]
    fn an_ordinary_directory_takes_no_pins() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(pins(&dir.path().join("a/b")).grade, Grade::Bad);
    }
}
