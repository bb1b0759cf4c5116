//! What is measured, a row each.

use gateway_common::Reason;
use gateway_user::daemon::AttachMode;

use super::{
    frames::{Content, Vary, Wrap, escaped},
    policies::{Kind, Policy},
    traffic::Bare,
};

/// A user in Sierra Leone, in the canonical form; no prefix of the large policy holds it.
const FORBIDDEN: &str = "+23276987654";
/// One of 65,536 numbers there, each of which is a prefix of its own in a large policy.
const DEEP: &str = "+2327600000";
/// A number in Japan.
const DOMESTIC: &str = "+81352345678";
/// Prefixes of an ordinary policy, of one with a list, and of one with all that fraud lists know.
const FEW: u32 = 50;
const SOME: u32 = 10_000;
const MANY: u32 = 1_000_000;

/// The numbers that the generator can dial.
const ALL: u32 = 65_536;

/// One measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is called.
    pub name: String,
    /// What is sent.
    pub content: Content,
    /// How it is wrapped.
    pub wrap: Wrap,
    /// What varies.
    pub vary: Vary,
    /// What is in force.
    pub policy: Policy,
    /// The bare program that does the same.
    pub bare: Bare,
    /// What nearly all frames must be counted under; else the row measured something else.
    pub reason: Reason,
    /// Where the program runs.
    pub mode: AttachMode,
    /// Whether somebody reads the events.
    pub events_read: bool,
}

impl Row {
    fn new(name: &str, content: Content, prefixes: u32, bare: Bare, reason: Reason) -> Self {
        Self {
            name: name.to_owned(),
            content,
            wrap: Wrap::Plain,
            vary: Vary::NOTHING,
            policy: Policy { prefixes, kind: Kind::Roomy },
            bare,
            reason,
            mode: AttachMode::Driver,
            events_read: false,
        }
    }

    fn vary(self, vary: Vary) -> Self {
        Self { vary, ..self }
    }

    fn kind(self, kind: Kind) -> Self {
        Self { policy: Policy { kind, ..self.policy }, ..self }
    }

    fn generic(self) -> Self {
        Self { mode: AttachMode::Generic, ..self }
    }

    fn wrapped(self, wrap: Wrap) -> Self {
        Self { wrap, ..self }
    }
}

fn invite(user: &str) -> Content {
    Content::Invite(user.to_owned())
}

/// A blocked call to the country.
fn country(name: &str) -> Row {
    blocked(name, FORBIDDEN)
}

fn blocked(name: &str, user: &str) -> Row {
    Row::new(name, invite(user), MANY, Bare::Drop, Reason::BlockedCountry)
}

/// A blocked call to a number that is a prefix of its own.
fn deep(name: &str, prefixes: u32) -> Row {
    Row::new(name, invite(DEEP), prefixes, Bare::Drop, Reason::BlockedPrefix)
}

/// A call that goes on.
fn allowed(name: &str) -> Row {
    Row::new(name, invite(DOMESTIC), MANY, Bare::Pass, Reason::Allowed)
}

/// An inbound call.
fn trunk(name: &str) -> Row {
    Row::new(name, invite(DOMESTIC), MANY, Bare::Pass, Reason::Inbound).kind(Kind::Trunk)
}

/// Every row, in the order of the table.
pub fn all() -> Vec<Row> {
    let numbers = |numbers| Vary { numbers, ..Vary::NOTHING };
    let everything = Vary { call_ids: true, ..numbers(ALL) };
    vec![
        Row::new("not SIP", Content::Voice, MANY, Bare::Pass, Reason::NotSip),
        Row::new("SIP over TCP that makes no call", Content::Tcp, MANY, Bare::Pass, Reason::SipOther),
        Row::new("SIP that makes no call", Content::Options, MANY, Bare::Pass, Reason::SipOther),
        country("country-blocked"),
        country("country-blocked, 10,000 sources").vary(Vary::sources(10_000)),
        country("country-blocked, 1,000,000 sources").vary(Vary::sources(1_000_000)),
        blocked("country-blocked, every digit escaped", &format!("+{}", escaped(&FORBIDDEN[1..]))),
        Row { bare: Bare::Pass, ..country("country-blocked, monitor mode").kind(Kind::Monitor) },
        country("country-blocked, generic mode").generic(),
        Row { reason: Reason::Banned, ..country("banned source").kind(Kind::Banned) },
        deep("deep prefix of 50", FEW),
        deep("deep prefix of 50, as many numbers", FEW).vary(numbers(FEW)),
        deep("deep prefix of 10,000", SOME),
        deep("deep prefix of 10,000, as many numbers", SOME).vary(numbers(SOME)),
        deep("deep prefix of 1,000,000", MANY),
        deep("deep prefix of 1,000,000, 65,536 numbers", MANY).vary(numbers(ALL)),
        allowed("allowed"),
        allowed("allowed, numbers and Call-IDs vary").vary(everything),
        allowed("allowed, the same and 10,000 sources").vary(Vary { sources: 10_000, ..everything }),
        allowed("allowed, the same and 1,000,000 sources").vary(Vary { sources: 1_000_000, ..everything }),
        allowed("allowed, generic mode").generic(),
        trunk("call of a trunk, events unread"),
        Row { events_read: true, ..trunk("call of a trunk, events read") },
        Row::new("over the ceiling", invite(DOMESTIC), MANY, Bare::Drop, Reason::PacketLimit).kind(Kind::Ceiling),
        Row::new("over the limit", invite(DOMESTIC), MANY, Bare::Drop, Reason::SourceLimit).kind(Kind::Limit),
        Row::new("over the limit, 1,000 sources", invite(DOMESTIC), MANY, Bare::Drop, Reason::SourceLimit)
            .kind(Kind::Limit)
            .vary(Vary::sources(1_000)),
        country("country-blocked, IPv6").wrapped(Wrap::V6),
        country("country-blocked, VLAN").wrapped(Wrap::Vlan),
        country("country-blocked, PPPoE").wrapped(Wrap::Pppoe),
        country("country-blocked, IPv4 in IPv6").wrapped(Wrap::FourInSix),
        country("country-blocked, first fragment").wrapped(Wrap::FirstFragment),
    ]
}
