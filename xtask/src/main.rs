//! Tollgate's build system: `cargo xtask --help`.
//!
//! One file a command. Nothing here knows what a SIP request is, and nothing here depends on the product's crates, so
//! that it compiles in seconds on a machine that has just been given stable Rust.

mod bench;
mod ci;
mod ebpf;
mod fuzz;
mod instructions;
mod kernels;
mod numbers;
mod run;
mod setup;
mod test;
mod tidy;
mod tool;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Builds, runs, tests and checks Tollgate.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Shows the product at work: a network of its own, good calls and fraud, counted. Needs root; installs nothing.
    Run(run::Args),
    /// Runs every test, installing what they need on Debian as root, and counts what was left out.
    Test(test::Args),
    /// Measures the filter at line rate, beside programs that do nothing. Needs root; installs nothing.
    Bench(bench::Args),
    /// Runs everything that must hold before a change is merged.
    Ci,
    /// The BPF object that is committed in gateway-user: build it, check it, verify it, read it.
    #[command(subcommand)]
    Ebpf(ebpf::Task),
    /// Searches the parsers for inputs that they do not stand, guided by coverage; keeps the corpora.
    Fuzz(fuzz::Args),
    /// Boots Debian's kernels in an emulated machine and runs the machine's test in them.
    Kernels(kernels::Args),
    /// Counts the instructions of a packet in an emulated machine, and fails where they have grown.
    Instructions(instructions::Args),
    /// Installs what building and testing need, on Debian as root; elsewhere says what to install.
    Setup(setup::Args),
    /// Makes the numbering tables of gateway-user/data anew from libphonenumber's metadata.
    Numbers {
        /// The folder of PhoneNumberMetadata.xml and ShortNumberMetadata.xml, instead of the published package.
        #[arg(long, value_name = "DIR")]
        metadata: Option<PathBuf>,
    },
    /// Checks the rules of this repository that no compiler checks.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Run(args) => done(run::run(&args)),
        Task::Test(args) => test::run(&args),
        Task::Bench(args) => done(bench::run(&args)),
        Task::Ci => Ok(ci::run()),
        Task::Ebpf(task) => done(ebpf::run(task)),
        Task::Fuzz(args) => done(fuzz::run(&args)),
        Task::Kernels(args) => done(kernels::run(&args)),
        Task::Instructions(args) => done(instructions::run(&args)),
        Task::Setup(args) => done(setup::run(&args)),
        Task::Numbers { metadata } => done(numbers::run(metadata.as_deref())),
        Task::Tidy => done(tidy::run()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn done(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}
