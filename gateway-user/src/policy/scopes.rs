//! Effective profiles: a profile of the file, and the orders that hold for some of its sources alone.

use crate::{
    config::{Config, Network},
    daemon::{ActiveOrder, OrderRule},
    orders::Scope,
};

/// Profiles that the source table can tell apart.
const MOST: usize = 256;

/// One line, and what holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    /// Whether the site vouches for the source: an unproved one may say that it is any line, and gains nothing by it.
    pub(super) vouched: bool,
}

/// A profile of the file, and the scopes of orders that its sources lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Effective {
    /// Place of the profile in the configuration.
    pub(super) profile: usize,
    /// The networks of orders given for a source.
    pub(super) scopes: Vec<Network>,
    /// The line of orders given for one; `None` for every other.
    pub(super) line: Option<Line>,
}

/// Every effective profile; the place is the number. The first are the profiles of the file.
pub(super) struct Effectives(Vec<Effective>);

impl Effectives {
    pub(super) fn new(config: &Config) -> Self {
        Self((0..config.profiles.len()).map(|profile| Effective { profile, scopes: Vec::new(), line: None }).collect())
    }

    /// The number of this effective profile; `None` where there are too many.
    pub(super) fn number(&mut self, wanted: Effective) -> Option<u8> {
        let at = self.0.iter().position(|known| *known == wanted).unwrap_or_else(|| {
            self.0.push(wanted);
            self.0.len() - 1
        });
        (at < MOST).then_some(at as u8)
    }

    pub(super) fn all(&self) -> &[Effective] {
        &self.0
    }
}

impl Effective {
    /// Whether an order holds for the profile's calls.
    pub(super) fn has(&self, order: &ActiveOrder, config: &Config) -> bool {
        match &order.scope {
            Scope::Site => true,
            Scope::Profile(name) => config.profiles.get(self.profile).is_some_and(|profile| profile.name == *name),
            Scope::Source(network) => self.scopes.contains(network),
            Scope::Line(name) => {
                let lenient = order.rule == OrderRule::Allow;
                self.line.as_ref().is_some_and(|line| line.name == *name && (line.vouched || !lenient))
            }
        }
    }
}

/// The networks that orders were given for.
pub(super) fn source_scopes(orders: &[ActiveOrder]) -> Vec<Network> {
    let mut scopes: Vec<Network> = Vec::new();
    for order in orders {
        if let Scope::Source(network) = &order.scope
            && !scopes.contains(network)
        {
            scopes.push(*network);
        }
    }
    scopes
}
