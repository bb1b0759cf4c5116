//! Orders of the operator: numbered, durable, undone by their number.
//!
//! An order is never changed or removed: what it did, who gave it and why stay readable. `undo` is an order itself.

mod book;
pub mod record;
mod store;

use std::fmt;

use jiff::Timestamp;

pub use book::{Book, UndoError};
pub use store::{FILE_NAME, Store, StoreError};

use crate::{
    config::{Network, Window},
    daemon::{ActiveOrder, OrderRule},
    what::What,
};

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number; numbers grow and are never used twice.
    pub number: u64,
    /// What it does.
    pub action: Action,
    /// Where it holds.
    pub scope: Scope,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// The user who gave it, as the kernel named the peer of the control socket.
    pub who: String,
    /// Where it came from.
    pub origin: Origin,
    /// When it was given.
    pub since: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// Whether it was seen to end by itself: a clock that goes back does not bring it back.
    pub expired: bool,
    /// The order that undid it, unless that was undone in turn.
    pub undone: Option<u64>,
}

/// What an order does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stops or lets pass what it names, or switches something.
    Rule(OrderRule, Vec<What>),
    /// Lets pass what it names, so many calls in so long.
    AllowAtMost(Window, Vec<What>),
    /// Reverses the order with this number.
    Undo(u64),
}

impl Action {
    /// The verb of the command line.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Rule(rule, _) => rule.as_str(),
            Self::AllowAtMost(..) => OrderRule::Allow.as_str(),
            Self::Undo(_) => "undo",
        }
    }

    /// What it names, as it would be typed.
    pub fn what(&self) -> Vec<String> {
        match self {
            Self::Rule(_, what) | Self::AllowAtMost(_, what) => what.iter().map(ToString::to_string).collect(),
            Self::Undo(number) => vec![number.to_string()],
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Rule(OrderRule::Monitor, what) = self {
            f.write_str(OrderRule::Block.as_str())?;
            what.iter().try_for_each(|what| write!(f, " {what}"))?;
            return f.write_str(" --monitor");
        }
        f.write_str(self.verb())?;
        let excepted = matches!(self, Self::Rule(OrderRule::InternationalOff, what) if !what.is_empty());
        if excepted {
            f.write_str(" --except")?;
        }
        self.what().iter().try_for_each(|what| write!(f, " {what}"))?;
        if let Self::AllowAtMost(max, _) = self { write!(f, " --max {max}") } else { Ok(()) }
    }
}

/// Where an order holds. Variants are in the order of precedence: the later is the narrower.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Everywhere.
    #[default]
    Site,
    /// For the sources of one profile.
    Profile(String),
    /// For one source.
    Source(Network),
    /// For one line.
    Line(String),
}

impl Scope {
    /// The name of the line, if it is one.
    pub const fn line(&self) -> Option<&str> {
        match self {
            Self::Line(name) => Some(name.as_str()),
            Self::Site | Self::Profile(_) | Self::Source(_) => None,
        }
    }

    /// How narrow it is; on equal prefixes the narrower scope wins.
    pub const fn narrowness(&self) -> u8 {
        match self {
            Self::Site => 0,
            Self::Profile(_) => 1,
            Self::Source(_) => 2,
            Self::Line(_) => 3,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site => f.write_str("site"),
            Self::Profile(name) => write!(f, "profile:{name}"),
            Self::Source(network) => write!(f, "source:{network}"),
            Self::Line(line) => write!(f, "line:{line}"),
        }
    }
}

/// Where an order came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The command line.
    Cli,
}

impl Origin {
    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
        }
    }
}

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It acts.
    InForce,
    /// Its time has run out.
    Expired,
    /// Another order reversed it.
    Undone,
}

impl State {
    /// The name used in `--json` output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in-force",
            Self::Expired => "expired",
            Self::Undone => "undone",
        }
    }
}

impl Order {
    /// What has become of it at `now`.
    pub fn state(&self, now: Timestamp) -> State {
        if self.undone.is_some() {
            State::Undone
        } else if self.expired || self.expires.is_some_and(|end| end <= now) {
            State::Expired
        } else {
            State::InForce
        }
    }

    /// The order for the policy compiler, if it acts at `now`.
    pub fn active(&self, now: Timestamp) -> Option<ActiveOrder> {
        if self.state(now) != State::InForce {
            return None;
        }
        let (rule, what, max) = match &self.action {
            Action::Rule(rule, what) => (*rule, what, None),
            Action::AllowAtMost(max, what) => (OrderRule::Allow, what, Some(*max)),
            Action::Undo(_) => return None,
        };
        Some(ActiveOrder { number: self.number, rule, what: what.clone(), scope: self.scope.clone(), max })
    }
}
