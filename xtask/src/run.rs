//! The demo network, or the daemon on a real interface: built, then run in place of this process.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::tool;

const DAEMON: &str = "tollgate";
const DEMO: &str = "tollgate-demo";

/// What to hand on.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Arguments of the demo (`--for 10s --json --peer kamailio`); with `--iface IF`, arguments of `tollgate run`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs `cargo xtask run`. On success it does not return: signals then reach the program itself.
pub(crate) fn run(args: &Args) -> Result<()> {
    let asks_for_help = args.args.iter().any(|arg| arg == "--help" || arg == "-h");
    if !tool::is_root() && !asks_for_help {
        bail!(
            "this needs root, to make network namespaces and load an XDP program: run `sudo -E env \"PATH=$PATH\" cargo xtask run`"
        );
    }
    build()?;
    let mut command = command(&args.args, &release_dir());
    let error = command.exec();
    Err(anyhow!(error)).with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))
}

fn command(args: &[String], programs: &Path) -> Command {
    let on_interface = args.iter().any(|arg| arg == "--iface" || arg.starts_with("--iface="));
    let mut command = Command::new(programs.join(if on_interface { DAEMON } else { DEMO }));
    if on_interface {
        command.arg("run");
    }
    command.args(args);
    command
}

/// Builds both programs; says so only where it takes long.
fn build() -> Result<()> {
    if ![DAEMON, DEMO].iter().all(|program| release_dir().join(program).exists()) {
        eprintln!("building (first time: about two minutes)");
    }
    let mut cargo = tool::cargo();
    cargo.args(["build", "--release", "--quiet", "--package", "gateway-user", "--package", "gateway-tests"]);
    cargo.args(["--bin", DAEMON, "--bin", DEMO]);
    tool::run(&mut cargo)
}

fn release_dir() -> PathBuf {
    tool::target_dir().join("release")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&str]) -> String {
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        tool::shown(&command(&args, Path::new("/bin")))
    }

    #[test]
    fn without_an_interface_it_is_the_demo() {
        assert_eq!(shown(&[]), "/bin/tollgate-demo");
        assert_eq!(shown(&["--for", "10s", "--json"]), "/bin/tollgate-demo --for 10s --json");
    }

    #[test]
    fn with_an_interface_it_is_the_daemon() {
        assert_eq!(shown(&["--iface", "eth0:wan"]), "/bin/tollgate run --iface eth0:wan");
        assert_eq!(shown(&["--mode", "monitor", "--iface=eth0"]), "/bin/tollgate run --mode monitor --iface=eth0");
    }
}
