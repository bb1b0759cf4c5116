//! The measurements: see [`gateway_tests::bench`].

use std::process::ExitCode;

use clap::Parser;
use gateway_tests::bench;

fn main() -> ExitCode {
    bench::main(&bench::Options::parse())
}
