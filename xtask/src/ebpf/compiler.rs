//! The compiler, the linker and the LLVM tools that make an object, and how they are called.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Object, bpf_target_dir, manifest::Toolchain};
use crate::tool;

/// The target: BPF, little-endian.
const TARGET: &str = "bpfel-unknown-none";
/// The flags of the target's code. `v3` is what kernel 6.1 verifies; debug information is what BTF is made from.
///
/// Misaligned loads: the parser reads words at any octet; without the feature LLVM makes eight loads of each.
const RUSTFLAGS: &[&str] =
    &["-Ctarget-cpu=v3", "-Ctarget-feature=+allows-misaligned-mem-access", "-Cdebuginfo=2", "-Clink-arg=--btf"];
/// Every setting of the release profile, so that the workspace's own has no say in the object.
const PROFILE: &[(&str, &str)] = &[
    ("opt-level", "3"),
    ("lto", "true"),
    ("codegen-units", "1"),
    ("panic", "\"abort\""),
    ("debug-assertions", "false"),
    ("overflow-checks", "false"),
    ("incremental", "false"),
    ("strip", "\"none\""),
];

/// Where Debian's LLVM of the linker's version lives.
pub(crate) const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
/// The LLVM that bpf-linker is built with: it reads what compilers of this and older LLVMs write.
pub(crate) const LLVM_MAJOR: u32 = 22;
/// The version of bpf-linker that `cargo xtask setup` installs.
pub(crate) const BPF_LINKER: &str = "0.13.0";
/// The rustup toolchain that is looked for where none is named.
const NIGHTLY: &str = "nightly";
/// Debian's compiler, and the folder in which its `core` for the target lies.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_CORE: &str = "/usr/lib/rustlib/bpfel-unknown-none/lib";

/// The settings that are inputs of every object.
pub(crate) fn settings() -> BTreeMap<String, String> {
    let profile: Vec<_> = PROFILE.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    BTreeMap::from([
        ("target".to_owned(), TARGET.to_owned()),
        ("rustflags".to_owned(), RUSTFLAGS.join(" ")),
        ("profile".to_owned(), profile.join(", ")),
    ])
}

/// Whether a compiler for the target is installed, Debian's or rustup's nightly.
pub(crate) fn a_compiler_is_here() -> bool {
    debian_compiler_is_here() || rustup_way(NIGHTLY).is_ok()
}

/// Whether Debian's compiler and its `core` for BPF are installed.
fn debian_compiler_is_here() -> bool {
    [DEBIAN_RUSTC, DEBIAN_CARGO].iter().all(|file| tool::is_executable(Path::new(file)))
        && Path::new(DEBIAN_CORE).is_dir()
}

/// Which compiler builds the object.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Debian's, whose package `libstd-rust-web-dev-bpf` holds a prebuilt `core`.
    Debian,
    /// A rustup toolchain with rust-src: cargo builds `core` itself.
    Rustup(String),
}

/// A compiler and a linker that were found on this machine.
#[derive(Debug)]
pub(crate) struct Compiler {
    way: Way,
    linker: PathBuf,
    identity: Toolchain,
}

impl Compiler {
    /// Finds Debian's compiler, else the rustup toolchain `nightly`; `wanted` names a rustup toolchain and goes first.
    pub(crate) fn find(wanted: Option<&str>) -> Result<Self> {
        let way = match wanted {
            Some(name) => rustup_way(name)?,
            None if debian_compiler_is_here() => Way::Debian,
            None => rustup_way(NIGHTLY).map_err(|error| {
                anyhow::anyhow!(
                    "no compiler for the BPF target is here.\nOn Debian: run `cargo xtask setup` as root.\nElsewhere: run `rustup toolchain \
                     install nightly --component rust-src` and install bpf-linker {BPF_LINKER} from its release page \
                     (https://github.com/aya-rs/bpf-linker/releases).\nWhat was found: {error:#}"
                )
            })?,
        };
        let linker = tool::which("bpf-linker").context(
            "bpf-linker is not in PATH nor in cargo's folder of programs: run `cargo xtask setup` as root on Debian, or install a release \
             binary from https://github.com/aya-rs/bpf-linker/releases",
        )?;
        let (rustc, rustc_llvm) = rustc_version(&mut way.rustc())?;
        check_llvm(&rustc, &rustc_llvm)?;
        let version = tool::output(Command::new(&linker).arg("--version"))?;
        let identity = Toolchain {
            rustc,
            rustc_llvm,
            bpf_linker: version.trim().trim_start_matches("bpf-linker ").to_owned(),
            linker_llvm: linker_llvm(&linker)?,
            core: match way {
                Way::Debian => "prebuilt".into(),
                Way::Rustup(_) => "build-std".into(),
            },
        };
        Ok(Self { way, linker, identity })
    }

    /// What the manifest records of this toolchain.
    pub(crate) fn identity(&self) -> &Toolchain {
        &self.identity
    }

    /// Builds a package for the host.
    pub(crate) fn build_for_host(&self, root: &Path, package: &str) -> Result<()> {
        let mut cargo = self.way.cargo();
        cargo.current_dir(root).args(["build", "--locked", "--quiet", "--package", package]);
        cargo.arg("--target-dir").arg(bpf_target_dir(root));
        tool::run(&mut cargo)
    }

    /// Builds the object and returns its content, without the debug sections that neither aya nor the kernel reads.
    pub(crate) fn build(&self, root: &Path, object: &Object) -> Result<Vec<u8>> {
        let target_dir = bpf_target_dir(root);
        let mut cargo = self.way.cargo();
        clean_environment(&mut cargo);
        cargo.current_dir(root).args(["build", "--release", "--locked", "--quiet", "--target", TARGET]);
        cargo.args(["--package", object.package, "--bin", object.bin, "--target-dir"]).arg(&target_dir);
        if !object.features.is_empty() {
            cargo.args(["--features", &object.features.join(",")]);
        }
        for (name, value) in PROFILE {
            cargo.args(["--config", &format!("profile.release.{name}={value}")]);
        }
        cargo.env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &self.linker);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags(root).join("\x1f"));
        // On a stable compiler: `core::intrinsics` holds the only atomic read-modify-write that the target has.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        if let Way::Rustup(_) = self.way {
            cargo.args(["-Z", "build-std=core"]);
        }
        tool::run(&mut cargo).with_context(|| format!("cannot build {}", object.output))?;
        strip_debug(&target_dir.join(TARGET).join("release").join(object.bin), &target_dir.join(object.file_name()))
    }
}

impl Way {
    fn cargo(&self) -> Command {
        match self {
            Self::Debian => {
                let mut command = Command::new(DEBIAN_CARGO);
                clean_environment(&mut command);
                command.env("RUSTC", DEBIAN_RUSTC);
                command
            }
            Self::Rustup(name) => rustup_run(name, "cargo"),
        }
    }

    fn rustc(&self) -> Command {
        match self {
            Self::Debian => Command::new(DEBIAN_RUSTC),
            Self::Rustup(name) => rustup_run(name, "rustc"),
        }
    }
}

fn rustup_run(toolchain: &str, program: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, program]);
    clean_environment(&mut command);
    command
}

fn rustup_way(name: &str) -> Result<Way> {
    let Some(_) = tool::which("rustup") else { bail!("rustup is not installed") };
    let sysroot = tool::output(rustup_run(name, "rustc").args(["--print", "sysroot"]))
        .with_context(|| format!("the rustup toolchain {name} does not run"))?;
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/core").is_dir() {
        bail!("the rustup toolchain {name} lacks rust-src: run `rustup component add rust-src --toolchain {name}`");
    }
    Ok(Way::Rustup(name.to_owned()))
}

/// Takes out of a command what the cargo that runs xtask, or the user's host builds, put into the environment.
fn clean_environment(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_build_variable) {
            command.env_remove(name);
        }
    }
}

fn is_build_variable(name: &str) -> bool {
    let kept = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_TERM_", "CARGO_REGISTR"];
    let taken = ["CARGO", "RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"];
    taken.iter().any(|prefix| name.starts_with(prefix)) && !kept.iter().any(|prefix| name.starts_with(prefix))
}

/// The flags of one build: those that are inputs, and the renaming of this machine's folders, so that every checkout makes
/// the same object.
fn rustflags(root: &Path) -> Vec<String> {
    let mut flags: Vec<_> = RUSTFLAGS.iter().map(ToString::to_string).collect();
    if let Some(home) = tool::cargo_home() {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.join("registry/src").display()));
    }
    flags.push(format!("--remap-path-prefix={}=/tollgate", root.display()));
    flags
}

/// Version line and LLVM version of a compiler.
fn rustc_version(rustc: &mut Command) -> Result<(String, String)> {
    clean_environment(rustc);
    parse_rustc_version(&tool::output(rustc.arg("-vV"))?)
}

fn parse_rustc_version(text: &str) -> Result<(String, String)> {
    let llvm = text
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "))
        .context("`rustc -vV` names no LLVM version")?;
    Ok((text.lines().next().unwrap_or_default().trim().to_owned(), llvm.trim().to_owned()))
}

/// The linker refuses what a newer LLVM than its own wrote, with a message that names neither; so this does it first.
fn check_llvm(rustc: &str, llvm: &str) -> Result<()> {
    let major: u32 =
        llvm.split('.').next().unwrap_or_default().parse().with_context(|| format!("`{llvm}` is no LLVM version"))?;
    if major > LLVM_MAJOR {
        bail!(
            "{rustc} has LLVM {llvm}, and bpf-linker {BPF_LINKER} reads LLVM {LLVM_MAJOR} at most: use a toolchain with LLVM {LLVM_MAJOR} \
             (`cargo xtask ebpf build --toolchain nightly-DATE`), or raise LLVM_MAJOR and BPF_LINKER in xtask/src/ebpf/compiler.rs together"
        );
    }
    Ok(())
}

fn linker_llvm(linker: &Path) -> Result<String> {
    let shared = b"libLLVM.so";
    if !tool::read(linker)?.windows(shared.len()).any(|window| window == shared) {
        return Ok("its own".into());
    }
    let config = Path::new(LLVM_PREFIX).join("bin/llvm-config");
    Ok(tool::output(Command::new(config).arg("--version"))
        .map_or_else(|_| "unknown".into(), |version| version.trim().to_owned()))
}

/// Removes `.debug_*`; `.BTF` and `.BTF.ext` stay. An object shrinks to about a tenth, and the program is untouched.
fn strip_debug(built: &Path, stripped: &Path) -> Result<Vec<u8>> {
    let mut objcopy = llvm_tool(&["llvm-objcopy", "rust-objcopy"])?;
    tool::run(objcopy.arg("--strip-debug").arg(built).arg(stripped))?;
    let content = tool::read(stripped)?;
    fs::remove_file(stripped).with_context(|| format!("cannot remove {}", stripped.display()))?;
    Ok(content)
}

/// The code of an object as text, with its relocations.
pub(crate) fn disassembly(object: &Path) -> Result<String> {
    let mut objdump = llvm_tool(&["llvm-objdump"])?;
    tool::output(objdump.args(["--disassemble", "--reloc", "--no-show-raw-insn"]).arg(object))
}

/// The data of an object as text: constants, globals, legacy maps, licence.
pub(crate) fn data(object: &Path) -> Result<String> {
    let mut objdump = llvm_tool(&["llvm-objdump"])?;
    objdump.arg("--full-contents");
    for section in [".rodata", ".data", ".bss", "maps", "license"] {
        objdump.arg(format!("--section={section}"));
    }
    tool::output(objdump.arg(object))
}

/// An LLVM tool, by the first of its names that is found: Debian's of the linker's version, a rustup toolchain's, any.
fn llvm_tool(names: &[&str]) -> Result<Command> {
    for name in names {
        let debian = Path::new(LLVM_PREFIX).join("bin").join(name);
        if tool::is_executable(&debian) {
            return Ok(Command::new(debian));
        }
    }
    if let Some(command) = names.iter().find_map(|name| rustup_tool(name)) {
        return Ok(command);
    }
    match names.iter().find_map(|name| tool::which(&format!("{name}-{LLVM_MAJOR}")).or_else(|| tool::which(name))) {
        Some(file) => Ok(Command::new(file)),
        None => bail!(
            "{} is not installed: run `cargo xtask setup` as root on Debian, `rustup component add llvm-tools`, or install LLVM {LLVM_MAJOR}",
            names.join(" or ")
        ),
    }
}

/// A tool inside the sysroot of the active compiler. It needs the sysroot's own libLLVM.
fn rustup_tool(name: &str) -> Option<Command> {
    let mut rustc = Command::new("rustc");
    let sysroot = PathBuf::from(tool::output(rustc.args(["--print", "sysroot"])).ok()?.trim());
    let hosts = fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    let file = hosts.flatten().map(|host| host.path().join("bin").join(name)).find(|file| tool::is_executable(file))?;
    let mut command = Command::new(file);
    command.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_llvm_of_a_compiler() {
        let text = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.8\n";
        assert_eq!(parse_rustc_version(text).unwrap(), ("rustc 1.96.0 (ac68faa20 2026-05-25)".into(), "22.1.8".into()));
        assert!(parse_rustc_version("rustc 1.96.0\n").is_err());
    }

    #[test]
    fn a_compiler_newer_than_the_linker_is_refused_with_a_way_out() {
        assert!(check_llvm("rustc 1.96.0", "22.1.8").is_ok());
        assert!(check_llvm("rustc 1.90.0", "20.1.0").is_ok());
        let error = check_llvm("rustc 1.99.0", "23.0.1").unwrap_err().to_string();
        assert!(error.contains("23.0.1") && error.contains("--toolchain"), "{error}");
        assert!(check_llvm("rustc", "twenty").is_err());
    }

    #[test]
    fn host_build_variables_do_not_reach_the_bpf_build() {
        for name in [
            "CARGO",
            "CARGO_TARGET_DIR",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
            "RUSTUP_TOOLCHAIN",
            "LD_LIBRARY_PATH",
            "CARGO_PROFILE_RELEASE_LTO",
        ] {
            assert!(is_build_variable(name), "{name}");
        }
        for name in
            ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_HTTP_PROXY", "CARGO_TERM_COLOR", "PATH", "RUSTUP_HOME", "HOME"]
        {
            assert!(!is_build_variable(name), "{name}");
        }
    }
}
