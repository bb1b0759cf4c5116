//! Judges the evasion set: see [`gateway_tests::evasion`].

use std::process::ExitCode;

use clap::Parser;
use gateway_tests::evasion;

fn main() -> ExitCode {
    evasion::main(&evasion::Options::parse())
}
