//! Boots other kernels in a software-emulated machine and runs the machine's test in them.
//!
//! The verifier of an older kernel refuses what a newer one takes, and some of its faults show only in verdicts; so the
//! test inside the machine loads the object, sends packets and compares verdicts. `/dev/kvm` is not used: the machines
//! that run CI rarely have it, and emulation takes seconds.

mod initramfs;
mod machine;
mod package;

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

pub(crate) use self::machine::Clock;
use self::{initramfs::Initramfs, machine::Ending, package::Kernel};
use crate::{setup, tool};

/// The kernels that are booted where none is named: the floor, and the oldest later one that servers run.
const DEFAULT: [&str; 2] = ["6.1", "6.12"];
const TARGET: &str = "x86_64-unknown-linux-gnu";
const TEST: &str = "tollgate-vmtest";

/// Which kernels.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Kernel series, such as 6.1; by default 6.1 and 6.12.
    series: Vec<String>,
}

/// Runs `cargo xtask kernels`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let series: Vec<&str> = match args.series.as_slice() {
        [] => DEFAULT.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    boot_each(&series, Clock::Time).map(drop)
}

/// Boots each series that Debian has; returns the lines that the tests printed. An error names those that failed. Where
/// the clock goes by instructions, those of a packet are counted, and nothing is tested.
pub(crate) fn boot_each(series: &[&str], clock: Clock) -> Result<Vec<String>> {
    setup::ensure(&[setup::Need::Kernels])?;
    let cache = tool::root().join("target/kernels");
    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let test = build_test()?;
    let mut lines = Vec::new();
    let mut failed = Vec::new();
    for series in series {
        let Some(kernel) = package::fetch(series, &cache)? else {
            println!("SKIPPED: kernel {series}: the package sources of this machine have none of that series");
            continue;
        };
        let initrd = cache.join(format!("initramfs-{series}"));
        fs::write(&initrd, pack(&kernel, &test, clock)?)
            .with_context(|| format!("cannot write {}", initrd.display()))?;
        let boot = machine::boot(&kernel.image, &initrd, clock, |line| println!("{series} | {line}"))?;
        let seconds = boot.took.as_secs_f32();
        match boot.ending {
            Ending::Exit(0) => println!("kernel {}: passed, {seconds:.1} s from power-on to power-off", kernel.release),
            Ending::Exit(code) => {
                failed.push(format!("{}: the test ended with {code}", kernel.release));
            }
            Ending::TimedOut => failed.push(format!("{}: not finished after {seconds:.0} s", kernel.release)),
            Ending::Died => failed.push(format!("{}: the machine stopped before the test ended", kernel.release)),
        }
        lines.extend(boot.lines);
    }
    if !failed.is_empty() {
        bail!("kernel {}", failed.join("; kernel "));
    }
    Ok(lines)
}

/// Builds the test that runs inside, with everything that it needs linked in.
fn build_test() -> Result<PathBuf> {
    let target_dir = tool::root().join("target/vm");
    let mut cargo = tool::cargo();
    cargo.args([
        "build",
        "--locked",
        "--quiet",
        "--target",
        TARGET,
        "--package",
        "gateway-tests",
        "--bin",
        TEST,
        "--target-dir",
    ]);
    cargo.arg(&target_dir);
    // A folder and flags of its own: the host's build keeps its cache. Without debug information the image is a tenth.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", "-C target-feature=+crt-static");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "false");
    if !target_dir.exists() {
        eprintln!("kernels: building {TEST} (first time: about a minute)");
    }
    tool::run(&mut cargo)?;
    Ok(target_dir.join(TARGET).join("debug").join(TEST))
}

fn pack(kernel: &Kernel, test: &Path, clock: Clock) -> Result<Vec<u8>> {
    let modules = kernel.module_with_dependencies("veth")?;
    let busybox = env::split_paths("/bin:/usr/bin").map(|dir| dir.join("busybox")).find(|file| file.exists());
    let busybox = busybox.context("busybox is not installed: run `cargo xtask setup`")?;
    let mut archive = Initramfs::new();
    for folder in ["bin", "dev", "etc", "lib", "proc", "run", "sys", "tmp", "var"] {
        archive.folder(folder);
    }
    archive.program("init", init_script(&modules, clock).as_bytes());
    archive.program("bin/busybox", &tool::read(&busybox)?);
    archive.program("vmtest", &tool::read(test)?);
    for (name, content) in &modules {
        archive.program(&format!("lib/{name}.ko"), content);
    }
    Ok(archive.finish())
}

fn init_script(modules: &[(String, Vec<u8>)], clock: Clock) -> String {
    let argument = if clock == Clock::Instructions { " count" } else { "" };
    let mut insmod = String::new();
    for (name, _) in modules {
        let _ = writeln!(insmod, "$b insmod /lib/{name}.ko");
    }
    format!(
        "#!/bin/busybox sh\n\
         b=/bin/busybox\n\
         export PATH=/bin HOME=/tmp TOLLGATE_REQUIRE_KERNEL=1\n\
         $b mount -t proc proc /proc\n\
         $b mount -t sysfs sysfs /sys\n\
         $b mount -t devtmpfs devtmpfs /dev\n\
         $b mount -t bpf bpf /sys/fs/bpf\n\
         $b mount -t tmpfs tmpfs /run\n\
         $b mount -t tmpfs tmpfs /tmp\n\
         $b mkdir -p /run/netns /var/lib\n\
         $b ln -s /run /var/run\n\
         $b ifconfig lo up\n\
         {insmod}\
         /vmtest{argument}\n\
         echo \"{}$?\"\n\
         $b poweroff -f\n",
        machine::EXIT_LINE
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_in_order_and_before_the_test() {
        let modules = [("llc".to_owned(), vec![]), ("veth".to_owned(), vec![])];
        let script = init_script(&modules, Clock::Time);
        let at = |text: &str| script.find(text).unwrap();
        assert!(at("insmod /lib/llc.ko") < at("insmod /lib/veth.ko"));
        assert!(at("insmod /lib/veth.ko") < at("\n/vmtest"));
        assert!(at("\n/vmtest") < at("VMTEST-EXIT: $?") && at("VMTEST-EXIT") < at("poweroff"));
    }
}
