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
    /// Arguments of the measurements (`--quick --peers --json --only TABLE --filter NAME --help`), and `--object FILE` to measure another
    /// BPF object than the committed one.
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
    let (object, rest) = split(&args.args)?;
    let mut cargo = tool::cargo();
    // The profile of the tests, which are built already: what is measured runs in the kernel.
    cargo.args(["build", "--quiet", "--package", "gateway-tests", "--package", "gateway-user", "--bin", PROGRAM]);
    cargo.args(["--bin", "tollgate"]);
    tool::run(&mut cargo)?;
    let mut command = Command::new(tool::target_dir().join("debug").join(PROGRAM));
    command.args(rest);
    if let Some(object) = object {
        let object = object.canonicalize().with_context(|| format!("there is no object {}", object.display()))?;
        command.env(OBJECT, object);
    }
    let error = command.exec();
    Err(anyhow!(error)).with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

/// The object that is named, and the arguments without it.
fn split(args: &[String]) -> Result<(Option<PathBuf>, Vec<&String>)> {
    let mut object = None;
    let mut rest = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if let Some(file) = arg.strip_prefix("--object=") {
            object = Some(PathBuf::from(file));
        } else if arg == "--object" {
            let file = args.next().context("--object names no file: write --object target/some.bpfel.o")?;
            object = Some(PathBuf::from(file));
        } else {
            rest.push(arg);
        }
    }
    Ok((object, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_found_wherever_it_stands() {
        for line in ["--quick --object a.o --filter b", "--object=a.o --quick --filter b"] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let (object, rest) = split(&args).unwrap();
            assert_eq!(object, Some(PathBuf::from("a.o")));
            assert_eq!(rest, ["--quick", "--filter", "b"]);
        }
        assert!(split(&["--object".to_owned()]).is_err());
    }
}
