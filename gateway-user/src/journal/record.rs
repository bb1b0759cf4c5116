//! What the journal keeps: decisions about packets, and changes of what decides.

use std::{borrow::Cow, collections::HashMap, net::IpAddr};

use gateway_common::{Verdict, judged::Who};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    config::Role,
    daemon::{Event, Held, MaskedNumber, line_word},
};

/// A name of a fixed list.
pub type Name = Cow<'static, str>;

/// How many digits of a policy's digest are kept with each decision.
const HASH_DIGITS: usize = 12;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[expect(clippy::large_enum_variant, reason = "nearly every record is a decision")]
pub enum Entry {
    /// What was decided about a packet, or about several alike within a second.
    Decision(Decision),
    /// What was changed.
    Change(Change),
}

/// What was decided about a packet. Fields are added with a default, never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When the packet arrived; of several, the first.
    pub time: Timestamp,
    /// When the last of several arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How many packets alike.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// `pass`, `drop`, `reject` or `would-drop`.
    pub verdict: Name,
    /// Why.
    pub reason: Name,
    /// The method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Name>,
    /// The class of the dialled number.
    pub class: Name,
    /// Its country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Name>,
    /// The number, masked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Who sent it.
    pub source: IpAddr,
    /// `unproved`, `lan` or `trunk`.
    pub who: Name,
    /// The interface it arrived on.
    pub interface: String,
    /// The side of that interface: `wan` or `lan`.
    pub side: Name,
    /// The profile of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The rule that decided, in words, with file and line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The order that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// The limit that was used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Number of the policy image.
    pub generation: u64,
    /// The first digits of its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// The digest of the line, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// What a limit that refused it held then; of several packets, at the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
}

const fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_one(count: &u64) -> bool {
    *count == 1
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When.
    pub time: Timestamp,
    /// What kind of change.
    pub change: ChangeKind,
    /// What was done, in words.
    pub done: String,
    /// Who did it; `None` for what happened by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Number of the policy image in force behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The digest of that image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// The kinds of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// The daemon started.
    Start,
    /// The daemon ended; what is in force stays.
    Stop,
    /// The policy file was read again.
    Policy,
    /// The rules of the file act from now on, or do not any more.
    Mode,
    /// An order was given.
    Order,
    /// An order was reversed.
    Undo,
    /// An order ended by itself.
    Expired,
    /// Nothing is filtered any more.
    Detach,
    /// What is in force was tried, and does otherwise than it must.
    SelfTest,
    /// A limit or the floor has suspended calls.
    Suspended,
    /// A suspension has ended, or was lifted.
    Resumed,
    /// Calls went uncounted by limits.
    Uncounted,
    /// A country was called for the first time.
    NewCountry,
    /// An account registered from a network where it never was.
    NewNetwork,
    /// Somebody calls abroad as regularly as only a machine does.
    RegularCalls,
    /// A trunk called a foreign number.
    TrunkAbroad,
    /// The owner was asked before a limit suspends.
    Asked,
    /// He answered.
    Answered,
    /// Nobody did.
    Unanswered,
    /// Calls brought more minutes or numbers than a limit allows that only warns, or a source that is not banned tried more heads.
    OverLimit,
}

impl ChangeKind {
    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Policy => "policy",
            Self::Mode => "mode",
            Self::Order => "order",
            Self::Undo => "undo",
            Self::Expired => "expired",
            Self::Detach => "detach",
            Self::SelfTest => "self-test",
            Self::Suspended => "suspended",
            Self::Resumed => "resumed",
            Self::Uncounted => "uncounted",
            Self::NewCountry => "new-country",
            Self::NewNetwork => "new-network",
            Self::RegularCalls => "regular-calls",
            Self::TrunkAbroad => "trunk-abroad",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Unanswered => "unanswered",
            Self::OverLimit => "over-limit",
        }
    }
}

/// Records that share one part of the room, so that none of the others can crowd them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Changes.
    Changes,
    /// What was stopped, or would have been, of trunk and lan sources: every packet.
    Own,
    /// What passed of trunk and lan sources.
    Passed,
    /// Unproved sources, sampled.
    Unproved,
}

impl Lane {
    /// Every lane.
    pub const ALL: [Self; 4] = [Self::Changes, Self::Own, Self::Passed, Self::Unproved];

    /// The name of its directory.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Own => "own",
            Self::Passed => "passed",
            Self::Unproved => "unproved",
        }
    }

    /// Its part of `size` octets.
    pub const fn share(self, size: u64) -> u64 {
        match self {
            Self::Own => size / 2,
            Self::Passed => size / 4,
            Self::Changes | Self::Unproved => size / 8,
        }
    }
}

impl Entry {
    /// The lane that keeps it.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Change(_) => Lane::Changes,
            Self::Decision(decision) => decision.lane(),
        }
    }

    /// When it happened.
    pub const fn time(&self) -> Timestamp {
        match self {
            Self::Decision(decision) => decision.time,
            Self::Change(change) => change.time,
        }
    }
}

impl Decision {
    /// The record of an event.
    pub fn of(event: &Event) -> Self {
        let decided = event.decided.as_ref();
        Self {
            time: event.time,
            last: None,
            count: 1,
            verdict: event.verdict.as_str().into(),
            reason: event.reason.as_str().into(),
            method: event.method.map(|method| method.as_str().into()),
            class: event.class.as_str().into(),
            country: event.country.map(Into::into),
            number: event.number.as_ref().map(MaskedNumber::to_string),
            source: event.source,
            who: event.who.as_str().into(),
            interface: event.interface.clone(),
            side: match event.side {
                Role::Wan => "wan".into(),
                Role::Lan => "lan".into(),
            },
            profile: decided.map(|decided| decided.profile.clone()).filter(|name| !name.is_empty()),
            rule: decided.and_then(|decided| decided.rule.clone()),
            order: decided.and_then(|decided| decided.order),
            limit: decided.and_then(|decided| decided.limit.clone()),
            generation: event.generation,
            policy: event.policy.as_ref().map(|hash| hash.chars().take(HASH_DIGITS).collect()),
            line: (event.line != 0).then(|| format!("{:016x}", event.line)),
            held: event.held.clone(),
        }
    }

    /// The digest of the line.
    pub fn line(&self) -> Option<u64> {
        u64::from_str_radix(self.line.as_ref()?, 16).ok()
    }

    /// The line as `list lines` shows it, and as `resume` takes it.
    pub fn line_word(&self) -> Option<String> {
        Some(line_word(self.profile.as_ref()?, self.line()?))
    }

    /// The lane that keeps it.
    pub fn lane(&self) -> Lane {
        if self.who == Who::Unproved.as_str() {
            Lane::Unproved
        } else if self.passed() {
            Lane::Passed
        } else {
            Lane::Own
        }
    }

    /// Whether the packet went on and no rule would have stopped it.
    pub fn passed(&self) -> bool {
        self.verdict == Verdict::Pass.as_str()
    }

    /// Whether it would have been stopped in enforce mode.
    pub fn would_drop(&self) -> bool {
        self.verdict == Verdict::WouldDrop.as_str()
    }

    /// Whether the packet ended here.
    pub fn stopped(&self) -> bool {
        !self.passed() && !self.would_drop()
    }

    /// When the last of its packets arrived.
    pub fn end(&self) -> Timestamp {
        self.last.unwrap_or(self.time)
    }
}

/// Puts together what differs only in time: a telephone that repeats itself a thousand times a second is one record a
/// second, with the count.
pub(super) fn grouped(events: &[Event]) -> Vec<Decision> {
    #[derive(PartialEq, Eq, Hash)]
    struct Alike<'e> {
        second: i64,
        verdict: u8,
        reason: u8,
        method: Option<&'static str>,
        class: u8,
        number: Option<&'e MaskedNumber>,
        source: IpAddr,
        interface: &'e str,
        who: &'static str,
        generation: u64,
        rule: Option<&'e str>,
        line: u64,
    }
    let mut places: HashMap<Alike<'_>, usize> = HashMap::new();
    let mut decisions: Vec<Decision> = Vec::new();
    for event in events {
        let alike = Alike {
            second: event.time.as_second(),
            verdict: event.verdict as u8,
            reason: event.reason as u8,
            method: event.method.map(gateway_common::Method::as_str),
            class: event.class as u8,
            number: event.number.as_ref(),
            source: event.source,
            interface: &event.interface,
            who: event.who.as_str(),
            generation: event.generation,
            rule: event.decided.as_ref().and_then(|decided| decided.rule.as_deref().or(decided.limit.as_deref())),
            line: event.line,
        };
        let place = *places.entry(alike).or_insert(decisions.len());
        match decisions.get_mut(place) {
            Some(decision) => {
                decision.last = Some(decision.end().max(event.time));
                decision.time = decision.time.min(event.time);
                decision.count += 1;
            }
            None => decisions.push(Decision::of(event)),
        }
    }
    decisions
}
