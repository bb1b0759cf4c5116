//! `tollgate run`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

use super::{
    Failure, Out,
    args::{POLICY, Places},
    status,
};
use crate::{
    config::{self, Config, Interface, Mode, Role},
    daemon::{self, Options, Parts, Starter},
    zone,
};

const EXAMPLES: &str = "\
Examples:
  tollgate run                                  the policy of /etc/tollgate/tollgate.toml
  tollgate run --iface eth0:wan --iface eth1:lan --mode monitor
  TOLLGATE_LOG=debug tollgate run --config ./lab.toml --detach-on-exit

SIGHUP reads the policy again. SIGTERM and SIGINT end the daemon and leave enforcement in place.";

/// `run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// Policy file
    #[arg(
        long,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        hide_env_values = true,
        default_value = POLICY
    )]
    pub config: PathBuf,
    /// Interface to attach to, in place of those of the file; wan unless said; may be given more than once
    #[arg(long, value_name = "IF[:wan|lan]", value_parser = interface)]
    pub iface: Vec<Interface>,
    /// Whether the rules of the file act, in place of what the file says
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// Disarm on SIGTERM and SIGINT; otherwise enforcement outlives the daemon
    #[arg(long)]
    pub detach_on_exit: bool,
}

/// `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// The rules of the file are counted.
    Monitor,
    /// They act.
    Enforce,
}

impl RunArgs {
    /// The policy as the command line changes it; at every reload too, and where the daemon goes back to a former policy.
    pub fn override_policy(&self, mut config: Config) -> Config {
        if !self.iface.is_empty() {
            config.interfaces.clone_from(&self.iface);
            config.overridden.interfaces = true;
        }
        match self.mode {
            Some(ModeArg::Monitor) => config.mode = Mode::Monitor,
            Some(ModeArg::Enforce) => config.mode = Mode::Enforce,
            None => {}
        }
        config.overridden.mode |= self.mode.is_some();
        config
    }
}

/// Runs the daemon until it is told to stop. `start` loads the filter, puts policy and orders in force and attaches.
pub fn run(args: &RunArgs, places: &Places, start: Starter, out: &mut Out) -> Result<(), Failure> {
    let (policy, adjusted) = (args.clone(), args.clone());
    let load = move || {
        let (config, warnings) = config::load(&policy.config)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Ok(policy.override_policy(config))
    };
    let adjust = Box::new(move |config| adjusted.override_policy(config));
    serve(args, places, Parts { load: Box::new(load), adjust, start, clock: Box::new(Timestamp::now) }, out)
}

fn serve(args: &RunArgs, places: &Places, parts: Parts, out: &mut Out) -> Result<(), Failure> {
    // What the daemon makes is for root and the group of the socket alone, whatever it inherits.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    log_to_stderr();
    let options = Options {
        socket: places.socket.clone(),
        state_dir: places.state_dir.clone(),
        detach_on_exit: args.detach_on_exit,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::Refused(format!("cannot start the event loop: {e}")))?;
    let ready = |view: &_, socket: &std::path::Path| {
        let shown = status::show(view, out)
            .and_then(|()| Ok(out.line(&format!("control socket {}", socket.display()))?))
            .and_then(|()| Ok(out.flush()?));
        if let Err(failure) = shown {
            tracing::warn!("cannot print the status: {}", failure.message());
        }
    };
    runtime.block_on(daemon::run(options, parts, ready)).map_err(|error| Failure::of(&error))
}

/// Logs to standard error; `TOLLGATE_LOG` filters, such as `debug` or `tollgate::event=debug`.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("TOLLGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    // A subscriber that is there already is that of a test.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(SiteTime)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none())
        .try_init();
}

/// The time of a line of the log: in the zone in which everything else is shown.
struct SiteTime;

impl FormatTime for SiteTime {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        write!(out, "{}", Timestamp::now().to_zoned(zone::current()).strftime("%F %T%.3f %Z"))
    }
}

/// Reads `IF[:wan|lan]`. The role is what follows the last colon, since names of aliases hold colons too.
fn interface(text: &str) -> Result<Interface, String> {
    let (name, role) = match text.rsplit_once(':') {
        Some((name, "wan")) => (name, Role::Wan),
        Some((name, "lan")) => (name, Role::Lan),
        Some((_, other)) => return Err(format!("`{other}` is no role; write IF:wan or IF:lan")),
        None => (text, Role::Wan),
    };
    // IFNAMSIZ is 16, the closing NUL included (linux/if.h).
    if name.is_empty() || name.len() > 15 || name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
        return Err(format!("`{}` is no name of an interface; `ip -br link` lists them", name.escape_debug()));
    }
    Ok(Interface { name: name.into(), role })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_a_role() {
        let found = |text| interface(text).map(|it| (it.name, it.role));
        assert_eq!(found("eth0"), Ok(("eth0".into(), Role::Wan)));
        assert_eq!(found("eth0.100:lan"), Ok(("eth0.100".into(), Role::Lan)));
        for wrong in ["", ":wan", "eth0:dmz", "eth0:", "a/b", "a b", "sixteencharacters"] {
            assert!(found(wrong).is_err(), "{wrong}");
        }
    }
}
