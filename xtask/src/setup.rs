//! Installs what building and testing need, and nothing that is there already.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Context, Result, bail};

use crate::{
    ebpf::{self, BPF_LINKER, LLVM_MAJOR, LLVM_PREFIX},
    tool,
};

/// What to install.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also install the packet filters that the benches can be run against.
    #[arg(long)]
    peers: bool,
}

/// A purpose that packages serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Building the BPF object.
    Bpf,
    /// The tests with namespaces and real SIP.
    Tests,
    /// Booting other kernels.
    Kernels,
    /// Building the engine of `cargo xtask fuzz`.
    Fuzz,
    /// Packet filters to measure against.
    Peers,
}

/// A Debian package, and why it is wanted.
#[derive(Debug, PartialEq, Eq)]
struct Package {
    name: &'static str,
    why: &'static str,
}

const fn package(name: &'static str, why: &'static str) -> Package {
    Package { name, why }
}

const BPF: &[Package] = &[
    package("rustc-web", "a Rust compiler for which Debian has a prebuilt `core` for BPF"),
    package("cargo-web", "the cargo of that compiler"),
    package("libstd-rust-web-dev-bpf", "the prebuilt `core` for BPF"),
    package("llvm-22", "llvm-objcopy and llvm-objdump for BPF objects"),
    package("llvm-22-dev", "the LLVM that bpf-linker is built with"),
    package("libpolly-22-dev", "a library that llvm-22-dev names when a program links with it"),
    package("libzstd-dev", "a library that LLVM needs when a program links with it"),
    package("zlib1g-dev", "a library that LLVM needs when a program links with it"),
];

const TESTS: &[Package] = &[
    package("sip-tester", "sipp: the SIP callers and servers of the tests and the demo"),
    package("kamailio", "a SIP proxy behind the gateway, and the judge of what a call is"),
    package("baresip", "a SIP telephone, which shows what a refused caller is told"),
    package("python3", "runs sipvicious"),
    package("sipvicious", "the scanner that most SIP attacks begin with"),
    package("sipsak", "floods with OPTIONS, as some attackers do"),
    package("iproute2", "ip: what an operator would use to look at the test network"),
    package("ethtool", "offload settings of the test network's interfaces"),
];

const KERNELS: &[Package] = &[
    package("qemu-system-x86", "the machine that boots other kernels"),
    package("busybox-static", "the shell inside that machine"),
];

const FUZZ: &[Package] = &[package("g++", "compiles libFuzzer, the engine of the search, which is C++")];

const PEERS: &[Package] = &[
    package("nftables", "a packet filter to compare with"),
    package("iptables", "a packet filter to compare with"),
    package("xdp-tools", "xdp-filter, a packet filter to compare with"),
];

impl Need {
    const fn packages(self) -> &'static [Package] {
        match self {
            Self::Bpf => BPF,
            Self::Tests => TESTS,
            Self::Kernels => KERNELS,
            Self::Fuzz => FUZZ,
            Self::Peers => PEERS,
        }
    }
}

/// What is missing.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    packages: Vec<&'static Package>,
    bpf_linker: bool,
}

impl Plan {
    fn new(needs: &[Need], installed: &BTreeSet<String>, linker_is_here: bool) -> Self {
        let wanted = needs.iter().flat_map(|need| need.packages());
        let packages = wanted.filter(|package| !installed.contains(package.name)).collect();
        Self { packages, bpf_linker: needs.contains(&Need::Bpf) && !linker_is_here }
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty() && !self.bpf_linker
    }

    fn names(&self) -> Vec<&'static str> {
        self.packages.iter().map(|package| package.name).collect()
    }

    /// The commands that do it by hand.
    fn by_hand(&self) -> String {
        let mut lines = Vec::new();
        if !self.packages.is_empty() {
            lines.push(format!("  apt-get install --no-install-recommends {}", self.names().join(" ")));
        }
        if self.bpf_linker {
            lines.push(format!("  LLVM_PREFIX={LLVM_PREFIX} cargo {}", linker_arguments().join(" ")));
        }
        lines.join("\n")
    }
}

fn linker_arguments() -> Vec<String> {
    let command = format!(
        "install bpf-linker --version {BPF_LINKER} --no-default-features --features llvm-{LLVM_MAJOR} --locked"
    );
    command.split(' ').map(str::to_owned).collect()
}

/// Runs `cargo xtask setup`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut needs = vec![Need::Bpf, Need::Tests, Need::Kernels];
    if args.peers {
        needs.push(Need::Peers);
    }
    ensure(&needs)?;
    println!("setup: everything is there");
    Ok(())
}

/// Installs what these needs lack; an error says what could not be installed and what to type instead.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let linker_is_here = tool::which("bpf-linker").is_some();
    if !tool::is_debian() {
        return elsewhere(needs, linker_is_here);
    }
    let plan = Plan::new(needs, &installed()?, linker_is_here);
    if plan.is_empty() {
        return Ok(());
    }
    if !tool::is_root() {
        bail!("only root can install packages. What is missing:\n{}", plan.by_hand());
    }
    if !plan.packages.is_empty() {
        install(&plan)?;
    }
    if plan.bpf_linker {
        eprintln!("setup: bpf-linker {BPF_LINKER}: links BPF objects; compiled from crates.io, about a minute");
        let mut cargo = tool::cargo();
        cargo.args(linker_arguments()).env("LLVM_PREFIX", LLVM_PREFIX);
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            cargo.env_remove(name);
        }
        tool::run(&mut cargo)?;
    }
    Ok(())
}

fn install(plan: &Plan) -> Result<()> {
    for package in &plan.packages {
        eprintln!("setup: {}: {}", package.name, package.why);
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-o", "Dpkg::Use-Pty=0"]).args(arguments);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // One source that does not answer must not stop what the others have.
    if let Err(error) = tool::run(&mut apt(&["update"])) {
        eprintln!("setup: {error:#}; trying with the package lists that are here");
    }
    let names = plan.names();
    let arguments = [&["install", "--yes", "--no-install-recommends"], names.as_slice()].concat();
    tool::run(&mut apt(&arguments)).with_context(|| {
        format!(
            "cannot install {}. Where this release of Debian lacks the compiler's packages, build the BPF object with rustup: \
             `rustup toolchain install nightly --component rust-src`, and bpf-linker {BPF_LINKER} from its release page",
            names.join(" ")
        )
    })
}

/// The names of the packages that are installed.
fn installed() -> Result<BTreeSet<String>> {
    let list =
        tool::output(Command::new("dpkg-query").args(["--show", "--showformat", "${db:Status-Status} ${Package}\n"]))?;
    Ok(parse_installed(&list))
}

fn parse_installed(list: &str) -> BTreeSet<String> {
    list.lines().filter_map(|line| line.strip_prefix("installed ")).map(str::to_owned).collect()
}

/// On a system without Debian's packages: what each need looks for, by the name of the program.
fn elsewhere(needs: &[Need], linker_is_here: bool) -> Result<()> {
    let mut missing = Vec::new();
    if needs.contains(&Need::Bpf) {
        if !ebpf::a_compiler_is_here() {
            missing.push(
                "  rustup toolchain install nightly --component rust-src    (a compiler that can build `core` for BPF)"
                    .to_owned(),
            );
        }
        if !linker_is_here {
            missing.push(format!(
                "  bpf-linker {BPF_LINKER}, a release binary from https://github.com/aya-rs/bpf-linker/releases"
            ));
        }
    }
    missing.extend(missing_programs(needs, |program| tool::which(program).is_some()));
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "this is not Debian, so nothing is installed by itself. Install with your own package manager:\n{}",
        missing.join("\n")
    )
}

fn missing_programs(needs: &[Need], is_here: impl Fn(&str) -> bool) -> Vec<String> {
    let programs = needs.iter().flat_map(|need| match need {
        Need::Bpf => [].as_slice(),
        Need::Tests => &["sipp", "kamailio", "baresip", "python3", "svmap", "sipsak", "ip", "ethtool"],
        Need::Kernels => &["qemu-system-x86_64", "busybox"],
        Need::Fuzz => &["c++"],
        Need::Peers => &["nft", "iptables", "xdp-filter"],
    });
    programs.filter(|program| !is_here(program)).map(|program| format!("  {program}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_of(needs: &[Need]) -> BTreeSet<String> {
        needs.iter().flat_map(|need| need.packages()).map(|package| package.name.to_owned()).collect()
    }

    #[test]
    fn nothing_is_planned_where_everything_is_there() {
        let needs = [Need::Bpf, Need::Tests, Need::Kernels, Need::Fuzz, Need::Peers];
        assert!(Plan::new(&needs, &all_of(&needs), true).is_empty());
    }

    #[test]
    fn a_bare_machine_gets_all_of_it_and_only_what_was_asked_for() {
        let plan = Plan::new(&[Need::Bpf, Need::Tests], &BTreeSet::new(), false);
        assert!(plan.bpf_linker);
        assert!(plan.names().contains(&"rustc-web") && plan.names().contains(&"sip-tester"));
        assert!(!plan.names().contains(&"nftables") && !plan.names().contains(&"busybox-static"));
        assert!(
            plan.by_hand().contains("apt-get install")
                && plan.by_hand().contains("LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker")
        );
    }

    #[test]
    fn one_missing_package_is_planned_alone_and_the_linker_only_for_building() {
        let mut installed = all_of(&[Need::Tests]);
        installed.remove("ethtool");
        let plan = Plan::new(&[Need::Tests], &installed, false);
        assert_eq!(plan.names(), ["ethtool"]);
        assert!(!plan.bpf_linker);
        assert_eq!(plan.by_hand(), "  apt-get install --no-install-recommends ethtool");
    }

    #[test]
    fn removed_packages_are_not_installed_ones() {
        let list = "installed iproute2\nconfig-files ethtool\nnot-installed cpio\n";
        assert_eq!(parse_installed(list).into_iter().collect::<Vec<_>>(), ["iproute2"]);
    }

    #[test]
    fn elsewhere_programs_are_named_that_are_not_there() {
        assert_eq!(
            missing_programs(&[Need::Tests], |program| program == "ip"),
            ["  sipp", "  kamailio", "  baresip", "  python3", "  svmap", "  sipsak", "  ethtool"]
        );
        assert!(missing_programs(&[Need::Kernels], |_| true).is_empty());
    }
}
