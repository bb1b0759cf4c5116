//! What the daemon asks of one loaded, attached and pinned instance of the filter.
//!
//! The kernel façade implements [`Gateway`]; tests implement it in memory. Everything here is plain data: the shapes
//! that travel over the control socket are in `control::protocol`.

use std::{fmt, net::IpAddr, os::fd::BorrowedFd, sync::Arc};

use gateway_common::{
    Class, Method, Reason, Verdict,
    call::{Call, State},
    judged::Who,
    limit::{CellKey, window::Ring},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{cell::Site, mask::MaskedNumber, tally::Levels};
use crate::{
    config::{Config, Role, Window},
    control::exposure::Port,
    orders::{Action, Scope},
    policy::{Caller, charged::Charged},
    selftest::SelfTest,
    what::What,
    zone,
};

/// One instance of the filter: loaded, attached, pinned.
pub trait Gateway {
    /// Compiles `config` and `orders` without putting them in force; returns the warnings.
    fn check(&self, config: &Config, orders: &[ActiveOrder]) -> anyhow::Result<Vec<String>>;

    /// Compiles `config` and `orders` and puts them in force in one step. On an error what was in force stays.
    fn apply(&mut self, config: &Config, orders: &[ActiveOrder]) -> anyhow::Result<Applied>;

    /// The counters of the kernel, exact.
    fn counters(&self) -> anyhow::Result<Counters>;

    /// Calls that are set up or go on, the oldest first.
    fn calls(&self) -> anyhow::Result<Vec<CallState>>;

    /// Calls and registrations that came from outside, as far as the tables remember them, in no order.
    fn outside_calls(&self) -> anyhow::Result<Vec<FromOutside>>;

    /// Every call and registration that the tables remember, in no order; their times are of [`Gateway::clock`].
    fn call_records(&self) -> anyhow::Result<Vec<Call>>;

    /// Calls of sources that the site vouches for, as [`Gateway::call_records`], each with the digest of its Call-ID.
    fn own_calls(&self) -> anyhow::Result<Vec<(u64, Call)>>;

    /// What tells this run of the filter from others: its digests and times mean nothing to another.
    fn run(&self) -> anyhow::Result<u64>;

    /// What was learned of the site.
    fn site(&self) -> anyhow::Result<SiteState>;

    /// Sources that the PBX knows, each with the end of that by [`Gateway::clock`].
    fn known(&self) -> anyhow::Result<Vec<(IpAddr, u64)>>;

    /// Makes sources known that are not, as far as there is room.
    fn make_known(&mut self, sources: &[(IpAddr, u64)]) -> anyhow::Result<()>;

    /// Every cell of limits by windows.
    fn cells(&self) -> anyhow::Result<Vec<(CellKey, Ring)>>;

    /// One cell of a limit by windows; `None` where nothing was counted under that key.
    fn cell(&self, key: &CellKey) -> anyhow::Result<Option<Ring>>;

    /// Until when a source, as cells name it, has shown that it receives what is sent to it; 0 where it has not.
    fn present_until(&self, source: u64) -> anyhow::Result<u64>;

    /// Writes a cell, or removes it.
    fn set_cell(&mut self, key: &CellKey, ring: Option<&Ring>) -> anyhow::Result<()>;

    /// The cells of limits on calls at once, each with how many calls are up.
    fn channels(&self) -> anyhow::Result<Vec<(CellKey, u32)>>;

    /// How many calls are up of what such a cell counts.
    fn up_at_once(&self, key: &CellKey) -> anyhow::Result<u32>;

    /// Removes such a cell.
    fn forget_channels(&mut self, key: &CellKey) -> anyhow::Result<()>;

    /// The clock that the times in cells are of, in nanoseconds.
    fn clock(&self) -> u64;

    /// The interfaces, as they are attached now.
    fn interfaces(&self) -> Vec<InterfaceState>;

    /// Hands every event that waits in the kernel to `sink`.
    fn poll_events(&mut self, sink: &mut dyn FnMut(Event));

    /// A descriptor that becomes readable when events wait; `None` where there is nothing to wait on.
    fn events_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Tries the policy in force, in an instance of its own, on calls whose verdict is known: emergency calls pass, and
    /// foreign numbers do not where international calls are off.
    fn self_test(&mut self) -> anyhow::Result<SelfTest>;

    /// What would happen now to a call to `input` from `caller`; without a source, from the default profile. With a line, a
    /// telephone of the site places it, and limits are as full as they are, with what the daemon has `summed` up.
    fn explain(&self, input: &str, caller: &Caller, line: Option<&str>, summed: &Levels)
    -> anyhow::Result<Explanation>;

    /// Switches the kernel's debug traces.
    fn set_trace(&mut self, on: bool) -> anyhow::Result<()>;

    /// Detaches from every interface and removes every pin: the gateway is disarmed.
    fn detach(&mut self) -> anyhow::Result<()>;
}

/// An order as the policy compiler sees it: in force, with nothing of its history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveOrder {
    /// Its number, which `explain` names.
    pub number: u64,
    /// What it does.
    pub rule: OrderRule,
    /// What it names; of `international off`, what it excepts.
    pub what: Vec<What>,
    /// Where it holds.
    pub scope: Scope,
    /// How many calls it allows; `None` where it allows all, or does not allow.
    pub max: Option<Window>,
}

impl ActiveOrder {
    /// What it does, as it would be typed.
    pub fn action(&self) -> Action {
        match self.max {
            Some(max) => Action::AllowAtMost(max, self.what.clone()),
            None => Action::Rule(self.rule, self.what.clone()),
        }
    }
}

/// What an order does to the calls it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderRule {
    /// They are stopped.
    Block,
    /// They pass the floor and the policy file.
    Allow,
    /// Those that leave the country are stopped, above all other orders; what the order names is excepted.
    InternationalOff,
    /// They are counted as calls that a block would have stopped.
    Monitor,
    /// Sources that nobody knows start nothing, on the whole site.
    Shield,
}

impl OrderRule {
    /// The verb of the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Allow => "allow",
            Self::InternationalOff => "international off",
            Self::Monitor => "block --monitor",
            Self::Shield => "shield on",
        }
    }
}

/// What an [`Gateway::apply`] put in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Number of the policy image, one more with each.
    pub generation: u64,
    /// Digest of the policy image, hexadecimal.
    pub hash: String,
    /// How many prefixes it holds.
    pub prefixes: usize,
    /// When the kernel took it.
    pub in_force: Timestamp,
    /// What can never match, is shadowed, contradicts or is unused.
    pub warnings: Vec<String>,
}

/// The counters of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets by reason and verdict; pairs that are absent are zero.
    pub cells: Vec<(Reason, Verdict, u64)>,
    /// SIP requests by method.
    pub by_method: Vec<(Method, u64)>,
    /// Events that the kernel could not hand over.
    pub events_lost: u64,
    /// Calls that a limit by windows did not count, since no cell was free.
    pub uncounted: u64,
    /// Answers to refused callers.
    pub answers: Answers,
}

/// Answers to callers of trunks and of the site whose calls over UDP were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Given, since the daemon started.
    pub given: u64,
    /// Not given, since there are only so many for one source, and for all.
    pub capped: u64,
    /// Not given, since no daemon read the request in time, or the answer could not be sent.
    pub lost: u64,
    /// Not given, since the request cannot be answered: its head is not whole, or lacks what an answer repeats.
    pub unfit: u64,
    /// Why none can be sent now.
    pub error: Option<String>,
}

/// A call that is set up or goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallState {
    /// How far it is.
    pub state: State,
    /// Who called.
    pub caller: IpAddr,
    /// Whom: the server that the call was sent to, or that answered it.
    pub callee: IpAddr,
    /// Who the caller is.
    pub who: Who,
    /// The class of the dialled number.
    pub class: Class,
    /// The country of the dialled number, ISO 3166-1 alpha-2.
    pub country: Option<&'static str>,
    /// When the INVITE came.
    pub since: Timestamp,
}

/// A call, or a registration with credentials, of a source outside that is no trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromOutside {
    /// Who sent it.
    pub source: IpAddr,
    /// The host of the site that it was sent to, or that took the call.
    pub host: IpAddr,
    /// Where it was asked.
    pub port: Port,
    /// Whether it was a registration.
    pub registers: bool,
    /// Whether the host was seen to answer it at all.
    pub answered: bool,
    /// Whether it was known when it came.
    pub who: Who,
    /// The digest of the account of a registration, or of the line of a call; 0 where there is none.
    pub line: u64,
    /// When it came last.
    pub last: Timestamp,
}

/// What the filter has learned of its site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteState {
    /// Sources whose credentials the PBX took.
    pub known: u32,
    /// How many of them there is room for.
    pub room: u32,
    /// When an answer of the PBX to the outside was first seen.
    pub answered: Option<Timestamp>,
    /// Whether the floor refuses foreign calls of sources that nobody knows.
    pub armed: bool,
    /// When it will, if answers go on.
    pub arms: Option<Timestamp>,
}

/// One interface, as it is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceState {
    /// Its name.
    pub name: String,
    /// The side it looks at.
    pub role: Role,
    /// Where in the kernel the program runs.
    pub attach: AttachMode,
    /// Whether the attachment outlives the daemon.
    pub link: LinkState,
}

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachMode {
    /// In the driver, before a socket buffer exists.
    Driver,
    /// In the network stack: slower, and the same verdicts.
    Generic,
}

impl AttachMode {
    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Generic => "generic",
        }
    }
}

/// The state of the BPF link of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Pinned: enforcement outlives the daemon.
    Pinned,
    /// Held by the daemon alone: enforcement ends with it.
    Held,
    /// The interface is gone, and nothing is filtered there.
    Defunct,
}

impl LinkState {
    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Held => "held",
            Self::Defunct => "defunct",
        }
    }
}

/// One sampled decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When the packet arrived.
    pub time: Timestamp,
    /// What happened to it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Its method; `None` where it is not a SIP request.
    pub method: Option<Method>,
    /// The class of the dialled number.
    pub class: Class,
    /// The country of the dialled number, ISO 3166-1 alpha-2.
    pub country: Option<&'static str>,
    /// The dialled number, masked.
    pub number: Option<MaskedNumber>,
    /// A keyed digest of it, as E.164 where it can be read so; 0 where there is none.
    pub callee: u64,
    /// Who sent it; the inner address of a tunnel.
    pub source: IpAddr,
    /// The interface it arrived on.
    pub interface: String,
    /// The side that the interface looks at.
    pub side: Role,
    /// Who the source is.
    pub who: Who,
    /// Number of the policy image that decided.
    pub generation: u64,
    /// Digest of that image; `None` where it is not known any more.
    pub policy: Option<Arc<str>>,
    /// What decided; `None` where the policy is not known any more.
    pub decided: Option<Decided>,
    /// The digest of the line; see [`gateway_common::limit::line_digest`]. 0 where there is none.
    pub line: u64,
    /// When the packet arrived, by the clock that cells run on, to a tick of the kernel.
    pub clock: u64,
    /// What was full or suspended then, where a limit or the floor refused the call.
    pub held: Vec<Held>,
    /// What a source outside that nobody knows dialled, in halves; `None` of others, and where there is no number of nine digits.
    pub tried: Option<Tried>,
}

/// The end of a dialled string and what stands in front of it, each as a keyed digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Of its last eight digits.
    pub tail: u64,
    /// Of what stands in front of these: codes, plus and marks, without visual separators.
    pub head: u64,
}

impl Event {
    /// The call, as far as limits by windows see it.
    pub(super) fn charged(&self) -> Charged {
        Charged {
            who: self.who,
            source: self.source,
            line: self.line,
            country: self.country.map_or(0, Site::number),
            class: self.class,
            method: self.method,
        }
    }
}

#[cfg(test)]
impl Event {
    /// A call abroad of a telephone that passed at the beginning of time.
    pub(crate) fn sample() -> Self {
        Self {
            time: Timestamp::UNIX_EPOCH,
            verdict: Verdict::Pass,
            reason: Reason::Allowed,
            method: Some(Method::Invite),
            class: Class::International,
            country: Some("LV"),
            number: None,
            callee: 0,
            source: std::net::Ipv4Addr::new(192, 0, 2, 20).into(),
            interface: "eth1".into(),
            side: Role::Lan,
            who: Who::Lan,
            generation: 1,
            policy: None,
            decided: None,
            line: 0,
            clock: 0,
            held: Vec::new(),
            tried: None,
        }
    }
}

/// A cell of a limit by windows, as full as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Whose cell it is: `[limit.NAME]`, or `the floor`.
    pub limit: String,
    /// What it counts.
    pub counts: String,
    /// How full each of its windows was, in words.
    pub windows: Vec<String>,
    /// Since when it was suspended; `None` if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The word that `tollgate resume` takes for it.
    pub resume: String,
    /// How many milliseconds behind that moment the cell was read. It remembers the times of its calls, so what is told is
    /// of that moment all the same.
    pub read_after_ms: u64,
}

/// What decided about a packet, in the words of the policy that was in force then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The profile of the source.
    pub profile: String,
    /// The entry with file and line, the answer of a class, or the order; `None` where no rule was asked.
    pub rule: Option<String>,
    /// The order, where one decided.
    pub order: Option<u64>,
    /// The limit that was used up, and what it allows.
    pub limit: Option<String>,
}

/// What would happen to one call now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What was asked about.
    pub input: String,
    /// The profile that applies to the source.
    pub profile: String,
    /// The string that a server would dial.
    pub dialled: Option<String>,
    /// The number in E.164, digits without the plus.
    pub e164: Option<String>,
    /// Its class.
    pub class: Class,
    /// Its country, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// What would happen.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// The rule that decides, with file and line or the number of the order.
    pub rule: Option<String>,
    /// Every step of the decision, in order.
    pub steps: Vec<ExplainStep>,
    /// The cells that the call would be charged to, as full as they are now; only where a line was asked about.
    pub charged: Vec<Held>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.counts)?;
        if !self.windows.is_empty() {
            write!(f, ": {}", self.windows.join(", "))?;
        }
        match self.until {
            Some(until) => {
                write!(f, ", suspended until {}; tollgate resume {} lifts it", zone::shown(until), self.resume)
            }
            None if self.windows.is_empty() => f.write_str(": not suspended"),
            None => Ok(()),
        }
    }
}

/// One step of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainStep {
    /// Its name, such as `dial plan` or `orders`.
    pub name: String,
    /// What it found.
    pub finding: String,
    /// Whether it decided.
    pub decides: bool,
}
