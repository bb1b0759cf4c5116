//! The demo network: see [`gateway_tests::demo`].

use std::process::ExitCode;

use clap::Parser;
use gateway_tests::demo;

fn main() -> ExitCode {
    demo::main(&demo::Options::parse())
}
