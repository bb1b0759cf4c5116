//! The measurements of `gateway-tests`: built, then run in place of this process.

use std::{os::unix::process::CommandExt, path::PathBuf, process::Command};

use anyhow::{Context, Result, anyhow, bail};

use crate::tool;

const PROGRAM: &str = "tollgate-bench";
/// What gateway-user reads.
const OBJECT: &str = "TOLLGATE_EBPF_OBJECT";

/// What to measure.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Measure this BPF object instead of the committed one.
    #[arg(long, value_name = "FILE")]
    object: Option<PathBuf>,

    /// Arguments of the measurements (`--quick --json --filter NAME --list --help`).
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs `cargo xtask bench`. On success it does not return: signals then reach the program itself.
pub(crate) fn run(args: &Args) -> Result<()> {
    let asks = args.args.iter().any(|arg| ["--help", "-h", "--list"].contains(&arg.as_str()));
    if !tool::is_root() && !asks {
        bail!(
            "this needs root, to make a network namespace and load XDP programs: run `sudo -E env \"PATH=$PATH\" cargo xtask bench`"
        );
    }
    let mut cargo = tool::cargo();
    // The profile of the tests, which are built already: what is measured runs in the kernel.
    cargo.args(["build", "--quiet", "--package", "gateway-tests", "--bin", PROGRAM]);
    tool::run(&mut cargo)?;
    let mut command = Command::new(tool::target_dir().join("debug").join(PROGRAM));
    command.args(&args.args);
    if let Some(object) = &args.object {
        let object = object.canonicalize().with_context(|| format!("there is no object {}", object.display()))?;
        command.env(OBJECT, object);
    }
    let error = command.exec();
    Err(anyhow!(error)).with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}
