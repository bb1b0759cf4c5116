//! Building the program of the targets with the instruments of libFuzzer.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{PACKAGE, work};
use crate::tool;

/// What looks for errors of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Sanitizer {
    /// AddressSanitizer: octets read or written outside of what was allocated, and memory that is lost.
    Address,
    /// None: several times as many inputs a second.
    None,
}

impl Sanitizer {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::None => "none",
        }
    }
}

/// What cargo-fuzz gives to the compiler: counters at every edge, and the operands of comparisons.
const INSTRUMENTS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Builds the program; says where it is.
pub(crate) fn program(sanitizer: Sanitizer) -> Result<PathBuf> {
    let host = host()?;
    let folder = work().join(sanitizer.as_str());
    let mut cargo = tool::cargo();
    cargo.args(["build", "--locked", "--quiet", "--package", PACKAGE, "--features", "engine", "--bin", "fuzz"]);
    // With a target named, build scripts and macros are spared the instruments.
    cargo.args(["--profile", "fuzz", "--target", &host]).arg("--target-dir").arg(&folder);
    match sanitizer {
        // The sanitizer's library comes with stable Rust, the option that asks for it does not yet.
        Sanitizer::Address => {
            cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", format!("{INSTRUMENTS} -Zsanitizer=address"));
        }
        Sanitizer::None => {
            cargo.env("RUSTFLAGS", INSTRUMENTS);
        }
    }
    if !folder.exists() {
        eprintln!("building with the instruments (first time: some minutes)");
    }
    tool::run(&mut cargo)?;
    Ok(folder.join(host).join("fuzz/fuzz"))
}

/// The host as the compiler calls it.
fn host() -> Result<String> {
    let mut rustc = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let about = tool::output(rustc.arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("`rustc -vV` names no host")
}
