//! The policy file, validated: what the policy compiler, the daemon and the CLI work with.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use gateway_common::{Class, Method};

use crate::what::What;

/// A whole policy. Every value is in range, every name is known, every reference resolves.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it came from; `None` for the built-in example.
    pub path: Option<PathBuf>,
    /// Whether the rules of the file act or are only counted.
    pub mode: Mode,
    /// Whether the protections that act in either mode are on.
    pub floor: bool,
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
    /// The packet ceiling of unproved sources on the SIP ports.
    pub ceiling_unproved: Rate,
    /// The limits, by name.
    pub limits: Vec<Limit>,
    /// How long and how much the journal keeps.
    pub journal: Journal,
    /// Who is told of what happens.
    pub notify: Notify,
}

/// `[journal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The program that gets each message on its standard input, with its arguments.
    pub command: Option<Vec<String>>,
    /// Where each message is posted.
    pub webhook: Option<Webhook>,
    /// So many stops of trunk and lan sources in this time are a burst.
    pub burst: (u32, Duration),
}

/// Where messages are posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The file of the key that signs them; it is read for each message.
    pub key_file: PathBuf,
}

/// What the rules of the file do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are counted (`would-drop`).
    Monitor,
    /// They act.
    Enforce,
}

/// One interface to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, as the kernel knows it.
    pub name: String,
    /// The side it looks at.
    pub role: Role,
}

/// The side an interface looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The outside: sources are unproved unless a trunk or known.
    Wan,
    /// The inside: every source is the site's own.
    Lan,
}

/// `[sip]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sip {
    /// UDP and TCP ports that carry SIP.
    pub ports: Vec<u16>,
    /// What happens to SIP over TCP from unproved sources.
    pub tcp: TcpPolicy,
    /// Whether the Contact of 3xx answers and of REGISTER is judged too.
    pub redirects: bool,
}

/// What happens to SIP over TCP from unproved sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpPolicy {
    /// Segments that begin a SIP message are judged.
    Inspect,
    /// Refused at the SYN.
    Deny,
    /// Passed unread.
    Pass,
}

/// `[site]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// ISO 3166-1 alpha-2 region, or `ZZ`, which brings only `+`.
    pub region: String,
    /// How many digits our own extensions have; `None` where the site has none.
    pub extensions: Option<(u8, u8)>,
    /// Our own numbers: E.164 digits without the plus.
    pub own_numbers: Vec<String>,
}

/// `[profile.NAME]`, merged with `profile.default`.
#[derive(Clone, Debug, PartialEq)]
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
    /// What is blocked.
    pub block: Vec<Entry>,
    /// What is allowed.
    pub allow: Vec<Entry>,
    /// Names of the limits that apply.
    pub limits: Vec<String>,
    /// The answer where no prefix says otherwise, indexed by `Class as usize`.
    pub class: [Answer; Class::ALL.len()],
}

/// One entry of a `block` or `allow` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it names.
    pub what: What,
    /// Where it stands: `tollgate.toml:12` or `irsf.txt:3451`; shown by `explain`.
    pub place: String,
    /// The list's own reason, if it gives one.
    pub reason: Option<String>,
}

/// The answer of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// `[trunk.NAME]`.
#[derive(Clone, Debug, PartialEq)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// What shares one allowance.
    pub key: LimitKey,
    /// Only this method; `None` for every call-making request.
    pub method: Option<Method>,
    /// Only this class.
    pub class: Option<Class>,
    /// Sustained rate and burst.
    pub rate: Rate,
    /// What happens over the limit.
    pub over: Over,
    /// How long a ban lasts, where `over` is `ban`.
    pub ban: Option<Duration>,
}

/// What shares one allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKey {
    /// One source: IPv4 /32, IPv6 /64.
    Source,
    /// One network: IPv4 /24, IPv6 /56.
    Network,
    /// All unproved sources together.
    Unproved,
    /// Everything.
    All,
}

/// What happens over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// So many per time, and a burst: GCRA (ITU-T I.371) admits at most `burst + count * t / per` in any time `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In what time.
    pub per: Duration,
    /// How many at once.
    pub burst: u32,
}

/// An IPv4 or IPv6 network; host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// Its address.
    pub address: IpAddr,
    /// Its prefix length.
    pub prefix_len: u8,
}
