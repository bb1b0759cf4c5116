//! The command line: every sub-command, its options, its help.

use std::{net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{
    switch::{INTERNATIONAL_EXAMPLES, International, Shield},
    when,
};
use crate::{
    config::{Network, Role},
    control::protocol::ListKind,
    what::What,
};

/// Where the policy file lies unless something else is said.
pub(super) const POLICY: &str = "/etc/tollgate/tollgate.toml";

/// A SIP rate limiter and toll-fraud firewall in the Linux kernel.
#[derive(Debug, Parser)]
#[command(
    name = "tollgate",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes: 0 done, 1 refused or found wrong, 2 usage, 3 no daemon or no privilege."
)]
pub struct Cli {
    /// Where the daemon is met and keeps what it needs.
    #[command(flatten)]
    pub places: Places,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where the daemon is met and keeps what it needs. Two daemons with different places do not meet.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Places")]
pub struct Places {
    /// Control socket of the daemon
    #[arg(
        long,
        global = true,
        env = "TOLLGATE_SOCKET",
        value_name = "PATH",
        hide_env_values = true,
        default_value = "/run/tollgate/control.sock"
    )]
    pub socket: PathBuf,
    /// Directory of what survives a restart: the orders and the journal
    #[arg(
        long,
        global = true,
        env = "TOLLGATE_STATE_DIR",
        value_name = "DIR",
        hide_env_values = true,
        default_value = "/var/lib/tollgate"
    )]
    pub state_dir: PathBuf,
    /// Directory on a BPF file system for what survives the daemon: program, maps, links
    #[arg(
        long,
        global = true,
        env = "TOLLGATE_PIN_DIR",
        value_name = "DIR",
        hide_env_values = true,
        default_value = "/sys/fs/bpf/tollgate"
    )]
    pub pin_dir: PathBuf,
}

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Filter: load the program, put policy and orders in force, attach, serve the other commands
    Run(super::run::RunArgs),
    /// Write a first policy, from the interfaces of this machine or from a capture
    Init(super::init::InitArgs),
    /// Read a policy file and say everything that is wrong with it; changes nothing
    #[command(after_help = "\
Examples:
  tollgate check                  the policy file that `run` takes
  tollgate check new.toml && sudo mv new.toml /etc/tollgate/tollgate.toml && sudo tollgate reload
Ends 1 if the policy would not load.")]
    Check(CheckArgs),
    /// What a policy file would change: against the policy in force, or against another file
    Diff(super::diff::DiffArgs),
    /// Stop calls to a destination or from a source, in either mode
    #[command(after_help = BLOCK_EXAMPLES)]
    Block(BlockArgs),
    /// Let calls pass the floor and the policy file; limits still apply
    #[command(after_help = ALLOW_EXAMPLES)]
    Allow(AllowArgs),
    /// Switch calls that leave the country off, above all other orders, or on again
    #[command(subcommand, after_help = INTERNATIONAL_EXAMPLES)]
    International(International),
    /// Let only trunk, LAN and known sources start SIP, or others again
    #[command(subcommand)]
    Shield(Shield),
    /// Reverse an order by its number, another undo included
    #[command(after_help = "\
Examples:
  tollgate undo 7                 take back order 7
  tollgate undo 8                 where 8 undid 7: bring 7 back")]
    Undo(UndoArgs),
    /// Lift what a limit or the floor has suspended, and count from nothing again
    #[command(after_help = "\
Examples:
  tollgate list lines             what is suspended or counted, and the word for each
  tollgate resume 192.0.2.20      the calls abroad of this telephone
  tollgate resume SL              calls to this country; the floor takes it for one that the site uses
  tollgate resume international   the calls abroad of the whole site")]
    Resume(ResumeArgs),
    /// Answer a question: whether calls that are too many for a limit go on
    #[command(after_help = "\
Examples:
  tollgate status                 the questions that wait, and until when
  tollgate answer 3 keep          they are ours: let them go on, as long as the hours last in which the limit asks
  tollgate answer 3 stop          stop them now; `tollgate resume` lifts it")]
    Answer(super::answer::AnswerArgs),
    /// Every order ever given: who, when, why, and what has become of it
    Orders(JsonArgs),
    /// What blocks, allows and limits now, of the policy file and of the orders
    #[command(after_help = "\
Examples:
  tollgate list                   everything
  tollgate list prefixes          prefixes, countries, dialled strings, classes
  tollgate list lines             what limits by windows count: how full each is, until when it is suspended
  tollgate list sources --json    blocked and allowed sources, profiles, trunks; one object a line")]
    List(ListArgs),
    /// What is attached where, in which mode, under which policy
    Status(JsonArgs),
    /// Packets by reason and verdict, exact
    #[command(after_help = "\
Examples:
  tollgate counters               once
  tollgate counters --follow      every second, with rates
  tollgate counters --json | jq .reasons")]
    Counters(FollowArgs),
    /// Sampled decisions, with numbers masked
    #[command(after_help = "\
Examples:
  tollgate events                 the latest
  tollgate events --follow        as they happen
  tollgate events --follow --json | jq 'select(.verdict != \"pass\")'")]
    Events(FollowArgs),
    /// What would happen now to a call, in every step
    #[command(after_help = "\
Examples:
  tollgate explain 010232761234567
  tollgate explain +442071838750 --from 192.0.2.10         its side by the route to it, and any ban on it
  tollgate explain +442071838750 --from 192.0.2.10 --side wan
  tollgate explain 010442071838750 --line 203              how full its limits are, and what suspends it
  tollgate explain 'sip:110@pbx.example.net' --config new.toml
  tollgate explain 0103712345678 --at 'sat 03:00'          by the schedules and orders that hold then
Without a daemon and without --config, the built-in example policy answers.")]
    Explain(ExplainArgs),
    /// What was decided about a call, which rule said so, and the command that undoes it
    #[command(after_help = "\
Examples:
  tollgate why --last                                the last call that was stopped or let through
  tollgate why --from 192.0.2.20 --at 14:10          what happened to this telephone around ten past two
  tollgate why --line 203 --at 14:10                 the same, by the extension, wherever it was
  tollgate why --number 010232761234567 --since 7d   a number as it is dialled, or with its plus
  tollgate why --json | jq 'select(.verdict == \"drop\") | .rule'
Numbers are kept masked, so those that share country, two digits and length are shown together.
Decisions of trunk and LAN sources are all kept, those of others are sampled.")]
    Why(WhyArgs),
    /// What was stopped, by country, reason, source and hour, and what was changed
    #[command(after_help = "\
Examples:
  tollgate report                                    the last 24 hours
  tollgate report --since 7d --json
  tollgate report --since 3d --export incidents      for a carrier or an authority: no numbers in it
  tollgate report --exposure                         which hosts answer SIP from outside, who registered from where
  tollgate report --exposure --capture wan.pcap      the same from a capture: on which ports, and those that answer OPTIONS")]
    Report(ReportArgs),
    /// What the site calls abroad, and limits from that as a diff of the policy file; changes nothing
    Suggest(super::suggest::SuggestArgs),
    /// What a policy decides about captured packets or SIP messages; touches no interface
    #[command(after_help = "\
Examples:
  tollgate replay calls.pcap                         under the built-in example policy
  tollgate replay calls.pcap --config new.toml       before it goes into force
  tollgate replay --sip invite.sip messages/ --json  each file is one UDP datagram on a WAN interface
Of a folder the files are taken in the order of their names, without sub-folders: captures that end in .pcap, .pcapng
or .cap; with --sip those that end in .sip or .dat, or all files where none does.
Ends 0 whatever the verdicts, 1 if a file cannot be read to its end.")]
    Replay(ReplayArgs),
    /// Read the policy file again: all of it or nothing
    #[command(after_help = "\
Examples:
  tollgate reload                 at once, to stay
  tollgate reload --confirm 60s   on trial: the former policy comes back unless `tollgate confirm` comes within 60 s")]
    Reload(ReloadArgs),
    /// Let a policy that was reloaded with --confirm stay
    Confirm(JsonArgs),
    /// What this machine, its kernel and its network cards lack, and what to do about it
    #[command(after_help = "\
Examples:
  tollgate doctor                 every interface that is up
  tollgate doctor --iface eth0    only this one
Ends 1 if something is in the way.")]
    Doctor(DoctorArgs),
    /// Switch the kernel's debug traces; the daemon logs them
    Trace(TraceArgs),
    /// Detach from every interface and remove every pin: nothing is filtered any more
    Detach(JsonArgs),
}

const BLOCK_EXAMPLES: &str = "\
WHAT shows in its form what it is:
  +232  a prefix      SL  a country      dial:0570  a dialled string
  198.51.100.0/24  a source              line:203  a line        international  a class

Examples:
  tollgate block SL                                    a country, until undone
  tollgate block +881 +882 --for 48h --reason 'IRSF'   prefixes, for two days
  tollgate block international --profile lobby --until 'mon 08:00'
  tollgate block 198.51.100.0/24                       a source
  tollgate block GB --dry-run                          which calls it would have cut
  tollgate block GB --monitor                          count from now on what it would stop

The longest prefix wins, then the narrower scope; on a tie block wins. Emergency calls always pass.";

const ALLOW_EXAMPLES: &str = "\
WHAT shows in its form what it is:
  +371  a prefix      LV  a country      dial:0570  a dialled string
  198.51.100.0/24  a source              line:203  a line        international  a class

Examples:
  tollgate allow LV --until 'fri 18:00' --reason 'order 4711'
  tollgate allow +37167 --source 192.0.2.10            for one source only
  tollgate allow LV --line 203 --max 20/1d             for one line, 20 calls in any 24 hours
  tollgate allow LV --dry-run                          which calls it would have let through

The longest prefix wins, then the narrower scope; on a tie block wins. Limits still apply.";

/// When an order ends by itself.
#[derive(Clone, Debug, Args)]
pub struct End {
    /// End by itself after this time: 90s, 15m, 48h, 7d
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::duration, conflicts_with = "until")]
    pub duration: Option<std::time::Duration>,
    /// End by itself at this time: '18:00', 'fri 18:00', '2026-12-24 18:00' (of the site), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = when::until_typed)]
    pub until: Option<when::Typed>,
}

/// `block` and `allow`.
#[derive(Clone, Debug, Args)]
pub struct OrderArgs {
    /// What: +232, SL, dial:0570, 198.51.100.0/24, international
    #[arg(required = true, value_name = "WHAT", value_parser = what)]
    pub what: Vec<String>,
    /// When it ends.
    #[command(flatten)]
    pub end: End,
    /// Only for calls of this source or network
    #[arg(long, value_name = "ADDR", value_parser = source, group = "scope")]
    pub source: Option<String>,
    /// Only for calls of the sources of this profile
    #[arg(long, value_name = "NAME", group = "scope")]
    pub profile: Option<String>,
    /// Only for calls of this line: the username that its telephone signs in with, or else its number
    #[arg(long, value_name = "LINE", group = "scope")]
    pub line: Option<String>,
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only show which calls of the journal it would have cut or let through; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do it even if it hits the site's own country, numbers, trunks or everything
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `allow`.
#[derive(Clone, Debug, Args)]
pub struct AllowArgs {
    /// What every order takes.
    #[command(flatten)]
    pub order: OrderArgs,
    /// Only so many calls in so long: 20/1d; those beyond it are stopped
    #[arg(long, value_name = "N/TIME")]
    pub max: Option<String>,
}

/// `block`.
#[derive(Clone, Debug, Args)]
pub struct BlockArgs {
    /// What every order takes.
    #[command(flatten)]
    pub order: OrderArgs,
    /// Only count the calls that it would stop, as would-drop
    #[arg(long)]
    pub monitor: bool,
}

/// `why`.
#[derive(Clone, Debug, Args)]
pub struct WhyArgs {
    /// Only calls of this source
    #[arg(long, value_name = "ADDR")]
    pub from: Option<IpAddr>,
    /// Only calls to this number, as it is dialled or with its plus
    #[arg(long, value_name = "NUMBER")]
    pub number: Option<String>,
    /// Only calls of this line: 203, or # and the digits that `list lines` shows
    #[arg(long, value_name = "LINE")]
    pub line: Option<String>,
    /// Five minutes before and after this time: '14:10', 'fri 14:10', '2026-11-20 14:10' (of the site), or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = when::past_typed, conflicts_with_all = ["last", "since"])]
    pub at: Option<when::Typed>,
    /// Only the last one
    #[arg(long)]
    pub last: bool,
    /// Only so far back: 15m, 48h, 7d
    #[arg(long, value_name = "TIME", value_parser = crate::config::duration)]
    pub since: Option<std::time::Duration>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// So far back: 15m, 48h, 7d
    #[arg(long, value_name = "TIME", value_parser = crate::config::duration, default_value = "24h")]
    pub since: std::time::Duration,
    /// Print one JSON object a line for others to read: country, hour, source, reason and count, no numbers
    #[arg(long, value_enum, value_name = "WHAT")]
    pub export: Option<Export>,
    /// Which hosts answer SIP from outside, and who registered from where, as far as it is remembered
    #[arg(long, conflicts_with_all = ["export", "since"])]
    pub exposure: bool,
    /// With --exposure: what this capture (pcap, pcapng) shows, with ports and every method; no daemon is asked
    #[arg(long, value_name = "FILE", requires = "exposure")]
    pub capture: Option<PathBuf>,
    /// With --capture: a network of the site, in place of private networks and those of this machine; may be given more than once
    #[arg(long, value_name = "NETWORK", requires = "capture", value_parser = network)]
    pub inside: Vec<Network>,
    /// With --capture: the policy file, which names trunks and LAN interfaces
    #[arg(long, value_name = "FILE", env = "TOLLGATE_CONFIG", hide_env_values = true, default_value = POLICY)]
    pub config: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `report` exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Export {
    /// What was stopped, by hour, country, source and reason.
    Incidents,
}

/// `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The policy file
    #[arg(value_name = "FILE", env = "TOLLGATE_CONFIG", hide_env_values = true, default_value = POLICY)]
    pub file: PathBuf,
    /// Print one JSON object for each problem and warning, then one for the whole
    #[arg(long)]
    pub json: bool,
}

/// `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Captures (pcap, pcapng); with --sip, files or folders of SIP messages
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Each file, or every file of a folder, is one SIP message over UDP
    #[arg(long)]
    pub sip: bool,
    /// What decides: this process, or the committed program in this kernel
    #[arg(long, value_enum, default_value_t = Engine::Host)]
    pub engine: Engine,
    /// Policy file; without one, the built-in example of region JP in enforce mode
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The time by which schedules hold, throughout the capture; now, where it is left out
    #[arg(long, value_name = "TIME", value_parser = when::at_typed)]
    pub at: Option<when::Typed>,
    /// Print one JSON object a packet
    #[arg(long)]
    pub json: bool,
}

/// What decides in `replay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// This process; needs no privilege.
    Host,
    /// The committed program, through BPF_PROG_TEST_RUN.
    Kernel,
}

/// `undo`.
#[derive(Clone, Debug, Args)]
pub struct UndoArgs {
    /// Number of the order, as `tollgate orders` shows it
    #[arg(value_name = "N")]
    pub order: u64,
    /// Why; kept with the order
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `resume`.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// For whom: 192.0.2.20, line:203, SL or international
    #[arg(value_name = "WHAT", value_parser = resumed)]
    pub what: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What only shows.
#[derive(Clone, Copy, Debug, Args)]
pub struct JsonArgs {
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `reload`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ReloadArgs {
    /// Go back to the former policy after this time (5s to 1d) unless `tollgate confirm` comes
    #[arg(long, value_name = "TIME", value_parser = crate::config::duration, num_args = 0..=1, default_missing_value = "60s")]
    pub confirm: Option<std::time::Duration>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `list`.
#[derive(Clone, Copy, Debug, Args)]
pub struct ListArgs {
    /// Only this part
    #[arg(value_enum)]
    pub kind: Option<ListKind>,
    /// With `calls`: only those that leave the country
    #[arg(long)]
    pub abroad: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `counters` and `events`.
#[derive(Clone, Copy, Debug, Args)]
pub struct FollowArgs {
    /// Go on until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `explain`.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The number as it is dialled, or a SIP or tel URI
    #[arg(value_name = "NUMBER|URI")]
    pub input: String,
    /// The source of the call; its profile applies, and any ban on it
    #[arg(long, value_name = "ADDR")]
    pub from: Option<IpAddr>,
    /// The side that the source is on, wan or lan; by the route to it, where it is left out
    #[arg(long, value_name = "SIDE", value_parser = side)]
    pub side: Option<Role>,
    /// The line that places it, a telephone of the site: 203. Shows how full its limits are
    #[arg(long, value_name = "LINE")]
    pub line: Option<String>,
    /// When the call is placed, for schedules and orders: as of --until of `block`, or a time that has passed
    #[arg(long, value_name = "TIME", value_parser = when::at_typed)]
    pub at: Option<when::Typed>,
    /// Policy file to ask instead of the daemon; orders are left out
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// Only this interface; may be given more than once
    #[arg(long, value_name = "IF")]
    pub iface: Vec<String>,
    /// Print one JSON object a check
    #[arg(long)]
    pub json: bool,
}

/// `trace`.
#[derive(Clone, Copy, Debug, Args)]
pub struct TraceArgs {
    /// on or off
    #[arg(value_enum)]
    pub state: Switch,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

/// Refuses what is no WHAT before the daemon is asked; the text travels as typed.
pub(super) fn what(text: &str) -> Result<String, String> {
    text.parse::<What>().map(|_| text.to_owned()).map_err(|error| {
        let is_number = names_a_line(text) && text.bytes().all(|octet| octet.is_ascii_digit());
        if is_number { format!("{error}, or line:{text} for a line") } else { error.to_string() }
    })
}

/// What `resume` takes: of what could be the name of a line the form is said at once, since prefixes are never suspended.
fn resumed(text: &str) -> Result<String, String> {
    text.parse::<What>().map(|_| text.to_owned()).map_err(|error| {
        if names_a_line(text) {
            format!(
                "{text:?} does not say what it is: write line:{text} for the line; a country is SL, a source 192.0.2.20, all calls \
                 abroad international"
            )
        } else {
            error.to_string()
        }
    })
}

/// Whether a text could be the name of a line, without the word in front of it.
fn names_a_line(text: &str) -> bool {
    let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.#".contains(&octet);
    !text.is_empty() && text.bytes().all(is_name) && format!("line:{text}").parse::<What>().is_ok()
}

fn side(text: &str) -> Result<Role, String> {
    [Role::Wan, Role::Lan]
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| "a side is wan, the outside, or lan, the inside".to_owned())
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|error: crate::config::Complaint| error.to_string())
}

fn source(text: &str) -> Result<String, String> {
    match text.parse::<What>() {
        Ok(What::Source(_)) => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err("a source is an address or a network, such as 192.0.2.10 or 198.51.100.0/24".into()),
    }
}
