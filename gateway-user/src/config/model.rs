//! The policy file, validated: what the policy compiler, the daemon and the CLI work with.

use std::{borrow::Cow, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use gateway_common::{Class, Method};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Breaker, ListFile, Tallies, named};
pub use crate::imports::{Import, Imported};
pub use crate::schedule::{OnHolidays, Schedule, Scheduled};
use crate::what::What;

/// A whole policy. Every value is in range, every name is known, every reference resolves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// The file it came from; `None` for the built-in example.
    pub path: Option<PathBuf>,
    /// Whether the rules of the file act or are only counted.
    pub mode: Mode,
    /// Whether the protections that act in either mode are on.
    pub floor: bool,
    /// What the floor counts calls to one country by.
    #[serde(default)]
    pub breaker: Breaker,
    /// The interfaces, in the order of the file.
    pub interfaces: Vec<Interface>,
    /// What is SIP and how it is read.
    pub sip: Sip,
    /// The site.
    pub site: Site,
    /// The profiles; the first is always `default`, which every other one has already been merged with.
    pub profiles: Vec<Profile>,
    /// The trunks.
    pub trunks: Vec<Trunk>,
    /// The flood bucket for emergency calls of sources that nobody knows.
    pub emergency_unproved: Rate,
    /// What holds whatever a packet says.
    pub ceiling: Ceiling,
    /// The limits, by name.
    pub limits: Vec<Limit>,
    /// The schedules that entries and limits name.
    pub schedules: Vec<Schedule>,
    /// Lists of sources that others keep.
    pub imports: Vec<Import>,
    /// What of them holds now: calls from there are blocked. The daemon fills it in.
    #[serde(skip)]
    pub imported: Arc<Vec<Imported>>,
    /// The moment for which entries and limits of schedules are in place; `None` where none are.
    pub as_of: Option<Timestamp>,
    /// What the command line says in its place.
    pub overridden: Overridden,
    /// How long and how much the journal keeps.
    pub journal: Journal,
    /// Who is told of what happens.
    pub notify: Notify,
}

/// What of a policy the command line says in place of the file; a reload keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overridden {
    /// The mode.
    pub mode: bool,
    /// The interfaces.
    pub interfaces: bool,
}

/// `[journal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// How many days a record is kept.
    pub days: u32,
    /// How many octets all records take at most.
    pub size: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self { days: 14, size: 64_000_000 }
    }
}

/// `[notify]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notify {
    /// The program that gets each message on its standard input, with its arguments.
    pub command: Option<Vec<String>>,
    /// Where each message is posted.
    pub webhook: Option<Webhook>,
    /// So many stops of trunk and lan sources in this time are a burst.
    pub burst: (u32, Duration),
}

/// Where messages are posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The file of the key that signs them; it is read for each message.
    pub key_file: PathBuf,
}

/// What the rules of the file do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// They are counted (`would-drop`).
    Monitor,
    /// They act.
    Enforce,
}

impl Mode {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::Enforce => "enforce",
        }
    }
}

/// One interface to attach to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name, as the kernel knows it.
    pub name: String,
    /// The side it looks at.
    pub role: Role,
}

/// The side an interface looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// The outside: sources are unproved unless a trunk or known.
    Wan,
    /// The inside: every source is the site's own.
    Lan,
}

impl Role {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wan => "wan",
            Self::Lan => "lan",
        }
    }
}

/// `[sip]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sip {
    /// UDP and TCP ports that carry SIP.
    pub ports: Vec<u16>,
    /// What happens to SIP over TCP from unproved sources.
    pub tcp: TcpPolicy,
    /// Whether the Contact of 3xx answers and of REGISTER is judged too.
    pub redirects: bool,
    /// Whether P-Called-Party-ID is judged too.
    pub called_party: bool,
    /// What a caller of a trunk or of the site hears whose call over UDP is refused; `None` for nothing.
    pub reject: Option<u16>,
}

/// `[ceiling]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// SIP requests of one unproved source.
    pub unproved: Rate,
    /// TCP connections to SIP ports that one unproved source asks for.
    pub connections: Rate,
    /// Later fragments to one destination, from outside.
    pub fragments: Rate,
}

/// What happens to SIP over TCP from unproved sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TcpPolicy {
    /// Segments that begin a SIP message are judged.
    Inspect,
    /// Refused at the SYN.
    Deny,
    /// Passed unread.
    Pass,
}

impl TcpPolicy {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inspect => "inspect",
            Self::Deny => "deny",
            Self::Pass => "pass",
        }
    }
}

/// `[site]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// ISO 3166-1 alpha-2 region, or `ZZ`, which brings only `+`.
    pub region: String,
    /// How many digits our own extensions have; `None` where the site has none.
    pub extensions: Option<(u8, u8)>,
    /// Our own numbers: E.164 digits without the plus.
    pub own_numbers: Vec<String>,
    /// The time zone that its times are shown in, an IANA name; `None` for that of the machine.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Who may register from outside.
    #[serde(default)]
    pub outside_registration: OutsideRegistration,
    /// Where that stands, `FILE:LINE`; `None` where it is not written.
    #[serde(default)]
    pub outside_registration_at: Option<String>,
}

/// Who may register from outside, trunks apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutsideRegistration {
    /// Everybody; the PBX asks for a password.
    #[default]
    Allow,
    /// Whose credentials the PBX took within 24 hours, and sources that a profile names.
    Known,
    /// Nobody.
    Deny,
}

impl OutsideRegistration {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Known => "known",
            Self::Deny => "deny",
        }
    }
}

/// `[profile.NAME]`, merged with `profile.default`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The sources it holds for; empty for `default`.
    pub sources: Vec<Network>,
    /// Region whose codes and plan apply.
    pub region: String,
    /// Digits dialled for an outside line, each an alternative; a dialled string without one is read as well.
    pub outside_line: Vec<String>,
    /// International access codes beyond the region's; `+` is always one.
    pub access_codes: Vec<String>,
    /// Carrier codes beyond the region's: stripped only where an access code follows.
    pub carrier_codes: Vec<String>,
    /// Service codes beyond the region's, such as `184` or `*67`.
    pub service_codes: Vec<String>,
    /// Emergency numbers beyond the region's.
    pub emergency: Vec<String>,
    /// Whether a calling code without any access code is read as international.
    pub bare_e164: bool,
    /// What is blocked by the file itself. Entries are written one by one, since lists can be long.
    #[serde(skip)]
    pub block: Vec<Entry>,
    /// What is blocked by lists in files of their own, which profiles share.
    #[serde(skip)]
    pub block_files: Vec<Arc<ListFile>>,
    /// What is allowed.
    #[serde(skip)]
    pub allow: Vec<Entry>,
    /// Entries that hold by a schedule.
    pub scheduled: Vec<Scheduled>,
    /// Names of the limits that apply.
    pub limits: Vec<String>,
    /// The answer where no prefix says otherwise, indexed by `Class as usize`.
    pub class: [Answer; Class::ALL.len()],
}

impl Profile {
    /// How many entries block or allow, those of lists in files of their own included.
    pub fn entries(&self) -> usize {
        self.block.len() + self.block_files.iter().map(|list| list.len()).sum::<usize>() + self.allow.len()
    }

    /// The entry at a place and whether it allows: what the file blocks, then its lists, then what it allows.
    pub fn entry(&self, place: usize) -> Option<(bool, Cow<'_, Entry>)> {
        if let Some(entry) = self.block.get(place) {
            return Some((false, Cow::Borrowed(entry)));
        }
        let mut place = place - self.block.len();
        for list in &self.block_files {
            if place < list.len() {
                return list.entry(place).map(|entry| (false, Cow::Owned(entry)));
            }
            place -= list.len();
        }
        self.allow.get(place).map(|entry| (true, Cow::Borrowed(entry)))
    }

    /// The first entry that blocks exactly this.
    pub fn blocks(&self, what: &What) -> Option<Cow<'_, Entry>> {
        let own = self.block.iter().find(|entry| entry.what == *what).map(Cow::Borrowed);
        own.or_else(|| self.block_files.iter().find_map(|list| list.find(what)).map(Cow::Owned))
    }
}

/// One entry of a `block` or `allow` list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it names.
    pub what: What,
    /// Where it stands: `tollgate.toml:12` or `irsf.txt:3451`; shown by `explain`.
    pub place: String,
    /// The list's own reason, if it gives one.
    pub reason: Option<String>,
}

/// The answer of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The call goes on.
    Allow,
    /// The call is counted as one that would be stopped.
    Monitor,
    /// The call is stopped.
    Block,
    /// Only for `suspicious`: what the class `international` and the rules of the foreign number say.
    AsInternational,
}

impl Answer {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Monitor => "monitor",
            Self::Block => "block",
            Self::AsInternational => "as-international",
        }
    }
}

/// `[trunk.NAME]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// The addresses its calls come from.
    pub sources: Vec<Network>,
    /// The interface they arrive on; `None` for any WAN interface.
    pub interface: Option<String>,
    /// Its own rate.
    pub rate: Option<Rate>,
    /// What happens over that rate.
    pub over: Over,
}

/// `[limit.NAME]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What shares one allowance.
    pub key: LimitKey,
    /// Only this method; `None` for every call-making request.
    #[serde(with = "named")]
    pub method: Option<Method>,
    /// Only this class.
    #[serde(with = "named")]
    pub class: Option<Class>,
    /// What counts.
    #[serde(default)]
    pub count: Count,
    /// Sustained rate and burst; `None` for a limit by windows.
    pub rate: Option<Rate>,
    /// So many calls in any stretch of so long; all hold at once.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// The same for the whole site, beside the key.
    #[serde(default)]
    pub site_windows: Vec<Window>,
    /// So many calls at once.
    #[serde(default)]
    pub concurrent: Option<u32>,
    /// The same for the whole site, beside the key.
    #[serde(default)]
    pub site_concurrent: Option<u32>,
    /// What the daemon adds up.
    #[serde(default)]
    pub tallies: Tallies,
    /// The same for the whole site, beside the key.
    #[serde(default)]
    pub site_tallies: Tallies,
    /// So many different heads in front of one number, which a source outside that nobody knows may try in any stretch of so long.
    #[serde(default)]
    pub heads: Vec<Window>,
    /// What happens over the limit.
    pub over: Over,
    /// How long a suspension lasts, where `over` is `suspend`.
    #[serde(default)]
    pub suspend: Option<Duration>,
    /// How long a ban lasts, where `over` is `ban`.
    pub ban: Option<Duration>,
    /// The schedule by which it holds; `None` for always.
    pub schedule: Option<String>,
    /// How long an answer is waited for before it suspends; `None` where nobody is asked.
    #[serde(default)]
    pub ask: Option<Duration>,
    /// The schedule in which that is done.
    #[serde(default)]
    pub ask_schedule: Option<String>,
}

impl Limit {
    /// Whether it asks before it suspends while these schedules hold.
    pub fn asks_in(&self, schedules: &[String]) -> bool {
        self.ask.is_some() && self.ask_schedule.as_ref().is_some_and(|name| schedules.contains(name))
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Count {
    /// Requests.
    #[default]
    Requests,
    /// Requests that the PBX refused: credentials that do not hold, numbers that are none.
    Failures,
}

impl Count {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Failures => "failures",
        }
    }
}

/// What shares one allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LimitKey {
    /// One source: IPv4 /32, IPv6 /64.
    Source,
    /// One network: IPv4 /24, IPv6 /56.
    Network,
    /// All unproved sources together.
    Unproved,
    /// Everything.
    All,
    /// One line: who a trunk or LAN source says that it is.
    Line,
    /// Everything, as it is called of calls.
    Site,
    /// One country that is called.
    Country,
    /// One source and one country.
    SourceCountry,
}

impl LimitKey {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Network => "network",
            Self::Unproved => "unproved",
            Self::All => "all",
            Self::Line => "line",
            Self::Site => "site",
            Self::Country => "country",
            Self::SourceCountry => "source-country",
        }
    }
}

/// What happens over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Over {
    /// The packet is dropped.
    Drop,
    /// The source is banned.
    Ban,
    /// International calls are suspended.
    Suspend,
    /// It is counted and told.
    Warn,
}

impl Over {
    /// The word of the policy file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Ban => "ban",
            Self::Suspend => "suspend",
            Self::Warn => "warn",
        }
    }
}

/// So many per time, and a burst: GCRA (ITU-T I.371) admits at most `burst + count * t / per` in any time `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In what time.
    pub per: Duration,
    /// How many at once.
    pub burst: u32,
}

impl std::fmt::Display for Rate {
    /// `10/s, burst 20`, as the policy file writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (number, unit) = in_units(self.per);
        let number = if number == 1 { String::new() } else { number.to_string() };
        write!(f, "{}/{number}{unit}, burst {}", self.count, self.burst)
    }
}

/// So many calls in any stretch of so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// How many.
    pub count: u32,
    /// In what time.
    pub per: Duration,
}

impl std::fmt::Display for Window {
    /// `10/1h`, as the policy file writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (number, unit) = in_units(self.per);
        write!(f, "{}/{number}{unit}", self.count)
    }
}

/// A time in the largest unit in which it is whole.
pub(crate) fn in_units(time: Duration) -> (u64, &'static str) {
    let seconds = time.as_secs();
    [(86_400, "d"), (3_600, "h"), (60, "m")]
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit))
        .map_or((seconds, "s"), |(unit, name)| (seconds / unit, name))
}

/// An IPv4 or IPv6 network; host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_len: u8,
}
