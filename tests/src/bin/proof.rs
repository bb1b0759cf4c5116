//! What the filter holds to, shown by count: see [`gateway_tests::proof`].

use std::process::ExitCode;

use clap::Parser;
use gateway_tests::proof;

fn main() -> ExitCode {
    match proof::main(&proof::Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollgate-proof: {error:#}");
            ExitCode::FAILURE
        }
    }
}
