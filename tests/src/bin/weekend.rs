//! What a weekend of fraud costs under the shipped policy, and what honest years lose by it: see [`gateway_tests::weekend`].

use std::process::ExitCode;

use clap::Parser;
use gateway_tests::weekend;

fn main() -> ExitCode {
    match weekend::main(&weekend::Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate-weekend: {error:#}");
            ExitCode::FAILURE
        }
    }
}
