//! The command line of the demo.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, ValueEnum};

/// Shows Tollgate at work in a network of its own: a caller, a flooder, the gateway and a PBX, in namespaces that vanish with it.
///
/// Good calls complete, calls to a blocked country never arrive in any disguise, and a flooding source gets its rate and no more.
/// Every INVITE that was sent is accounted for at the end. Nothing outside the namespaces is touched.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tollgate-demo",
    version,
    after_help = "Examples:\n  tollgate-demo\n  tollgate-demo --for 10s --json\n  tollgate-demo --peer kamailio\n\nExit codes: 0 all is accounted for, 1 it is not, 2 usage, 3 no privilege, 130 interrupted."
)]
pub struct Options {
    /// How long traffic runs: 20s, 2m.
    #[arg(long = "for", value_name = "DURATION", default_value = "20s", value_parser = duration)]
    pub time: Duration,

    /// Print one JSON object a second, and the account as the last one.
    #[arg(long)]
    pub json: bool,

    /// Which SIP programs place and answer the calls; `auto` is sipp where it is installed, else the built-in ones.
    #[arg(long, value_enum, default_value_t = PeerChoice::Auto)]
    pub peer: PeerChoice,

    /// The tollgate binary; the one beside this program unless given.
    #[arg(long, value_name = "PATH")]
    pub tollgate: Option<PathBuf>,

    /// Run the network without the gateway's filter: everything then arrives.
    #[arg(long, hide = true)]
    pub no_gateway: bool,
}

/// Which SIP programs place and answer the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PeerChoice {
    /// sipp where it is installed, else the built-in ones.
    Auto,
    /// The user agents of this program.
    Builtin,
    /// sipp on both sides.
    Sipp,
    /// The built-in ones, with a real Kamailio as the proxy before the PBX.
    Kamailio,
}

/// Shortest run: shorter ones do not reach every disguise.
const SHORTEST: Duration = Duration::from_secs(2);
/// Longest run: every INVITE is remembered.
const LONGEST: Duration = Duration::from_secs(3600);

fn duration(text: &str) -> Result<Duration, String> {
    let hint = || {
        format!(
            "write seconds or minutes, such as 20s or 2m, between {}s and {}m",
            SHORTEST.as_secs(),
            LONGEST.as_secs() / 60
        )
    };
    let (digits, unit) = match text.strip_suffix('m') {
        Some(digits) => (digits, 60),
        None => (text.strip_suffix('s').unwrap_or(text), 1),
    };
    let seconds: u64 = digits.parse().map_err(|e| format!("{e}: {}", hint()))?;
    let time = Duration::from_secs(seconds.saturating_mul(unit));
    if (SHORTEST..=LONGEST).contains(&time) { Ok(time) } else { Err(hint()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn durations_are_read_and_bounded() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("5"), Ok(Duration::from_secs(5)));
        for bad in ["", "s", "1s", "2h", "-3s", "61m", "99999999999999999999m", "1.5s"] {
            assert!(duration(bad).is_err_and(|e| e.contains("20s")), "{bad}");
        }
    }
}
