//! Which entry or order decides about a number: the same precedence as in the compiled policy, with the names.

use std::{borrow::Cow, net::IpAddr};

use gateway_common::{Class, limit::line_digest};

use super::{leaves, say::Say};
use crate::{
    config::{Config, Entry, Profile},
    daemon::{ActiveOrder, OrderRule},
    numbering,
    orders::Scope,
    what::What,
};

/// A call, as far as entries see it.
pub(super) struct Called<'a> {
    pub(super) class: Class,
    /// The string that is dialled.
    pub(super) dialled: &'a str,
    /// E.164 digits, empty where there are none.
    pub(super) digits: &'a str,
    pub(super) profile: &'a Profile,
    pub(super) from: Option<IpAddr>,
    /// The digest of its line; 0 for none.
    pub(super) line: u64,
}

/// What weighs between two that match: digits of the prefix, how narrow the scope is, block before allow.
type Weight = (usize, u8, Say);

impl Called<'_> {
    /// How many digits of the number, or of the dialled string, an entry names; `None` where it does not match.
    fn length(&self, what: &What) -> Option<usize> {
        match what {
            What::Prefix(digits) => {
                (!self.digits.is_empty() && self.digits.starts_with(digits)).then_some(digits.len())
            }
            What::Country(code) => {
                let range = numbering::lookup(self.digits)?;
                (range.country == Some(code)).then_some(range.prefix.len())
            }
            What::Dial(keys) => self.dialled.starts_with(keys.as_str()).then_some(keys.len()),
            What::Class(class) => (*class == self.class).then_some(0),
            What::Source(network) => {
                self.from.is_some_and(|from| network.contains(from)).then_some(usize::from(network.prefix_len))
            }
            What::Line(_) => None,
        }
    }

    /// Whether an entry matches the call.
    pub(super) fn names(&self, what: &What) -> bool {
        self.length(what).is_some()
    }

    /// The entry of the profile's lists that decides, of the kind that `of` picks.
    pub(super) fn entry(&self, of: impl Fn(&What) -> bool) -> Option<(Say, Cow<'_, Entry>)> {
        let listed = self.profile.block_files.iter().flat_map(|list| {
            let dialled = list.longest_dial(self.dialled);
            list.longest(self.digits).into_iter().chain(dialled).chain(list.countries())
        });
        let block = self.profile.block.iter().map(Cow::Borrowed).chain(listed.map(Cow::Owned));
        let allow = self.profile.allow.iter().map(|entry| (Say::Allow, Cow::Borrowed(entry)));
        let matching = block.map(|entry| (Say::Block, entry)).chain(allow).filter(|(_, entry)| of(&entry.what));
        let weighed = matching.filter_map(|(say, entry)| Some(((self.length(&entry.what)?, 0, say), entry)));
        heaviest(weighed).map(|((_, _, say), entry)| (say, entry))
    }

    /// The order that decides, of those that act or those that count, about the things that `of` picks; and what of it
    /// matches.
    fn order<'o>(
        &self,
        orders: &'o [ActiveOrder],
        kind: OrderRule,
        of: impl Fn(&What) -> bool,
    ) -> Option<(&'o ActiveOrder, &'o What)> {
        let counts = kind == OrderRule::Monitor;
        let orders = orders.iter().filter(|order| (order.rule == OrderRule::Monitor) == counts);
        let named = orders.flat_map(|order| order.what.iter().map(move |what| (order, what)));
        let weighed = named.filter(|(order, what)| of(what) && self.is_in(&order.scope)).filter_map(|(order, what)| {
            let say = Say::of(order.rule).or((order.rule == OrderRule::Monitor).then_some(Say::Block))?;
            let weight = (self.length(what)?, order.scope.narrowness(), say);
            Some((weight, (order, what)))
        });
        heaviest(weighed).map(|(_, found)| found)
    }

    /// The order on the number, or else on its source, and what of it matches.
    pub(super) fn deciding_order<'o>(&self, orders: &'o [ActiveOrder]) -> Option<(&'o ActiveOrder, &'o What)> {
        self.deciding(orders, OrderRule::Block)
    }

    /// The order that decides among those that act, or among those that count.
    fn deciding<'o>(&self, orders: &'o [ActiveOrder], kind: OrderRule) -> Option<(&'o ActiveOrder, &'o What)> {
        let number = self.order(orders, kind, |what| matches!(what, What::Dial(_)));
        let number = number.or_else(|| {
            self.order(orders, kind, |what| matches!(what, What::Prefix(_) | What::Country(_) | What::Class(_)))
        });
        number.or_else(|| self.order(orders, kind, |what| matches!(what, What::Source(_))))
    }

    /// The order that counts the call as one that it would stop, and what of it matches.
    pub(super) fn watching_order<'o>(&self, orders: &'o [ActiveOrder]) -> Option<(&'o ActiveOrder, &'o What)> {
        self.deciding(orders, OrderRule::Monitor)
    }

    /// The order that switches international calls off for the call.
    pub(super) fn switched_off<'o>(&self, orders: &'o [ActiveOrder]) -> Option<&'o ActiveOrder> {
        let excepts = |order: &ActiveOrder| order.what.iter().any(|what| self.names(what));
        let mut holding = orders
            .iter()
            .filter(|order| order.rule == OrderRule::InternationalOff && self.is_in(&order.scope))
            .filter(|order| leaves(self.class) && !excepts(order));
        holding.next()
    }

    fn is_in(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Site => true,
            Scope::Profile(name) => self.profile.name == *name,
            Scope::Source(network) => self.from.is_some_and(|from| network.contains(from)),
            Scope::Line(name) => self.line != 0 && self.line == line_digest(name.as_bytes()),
        }
    }
}

fn heaviest<T>(found: impl Iterator<Item = (Weight, T)>) -> Option<(Weight, T)> {
    found.reduce(|best, next| if next.0 > best.0 { next } else { best })
}

/// The foreign number that a suspicious string could reach: behind the world's code that brings it to an entry, else
/// behind the first that fits.
pub(super) fn suspected(profile: &Profile, dialled: &str) -> String {
    suspected_by(dialled, |digits| {
        let called = Called { class: Class::Suspicious, dialled, digits, profile, from: None, line: 0 };
        called.entry(|what| matches!(what, What::Prefix(_) | What::Country(_))).is_some()
    })
}

/// [`suspected`], where `named` says whether an entry names a number.
pub(super) fn suspected_by(dialled: &str, named: impl Fn(&str) -> bool) -> String {
    let string = dialled.trim_start_matches('+');
    let behind = |code: &str| string.strip_prefix(code).filter(|rest| !rest.starts_with('0'));
    let readings: Vec<&str> =
        numbering::world_access_codes().iter().filter_map(|code| behind(code)).chain([string]).collect();
    let found = readings.iter().find(|digits| named(digits)).or(readings.first());
    found.map(|digits| (*digits).to_owned()).unwrap_or_default()
}

/// The profile whose network is nearest around the source.
pub(crate) fn profile_of(config: &Config, from: Option<IpAddr>) -> Option<&Profile> {
    let width = |profile: &Profile| {
        let around = profile.sources.iter().filter(|network| from.is_some_and(|from| network.contains(from)));
        around.map(|network| network.prefix_len).max()
    };
    let named = config.profiles.iter().filter_map(|profile| Some((width(profile)?, profile)));
    named.max_by_key(|(width, _)| *width).map(|(_, profile)| profile).or(config.profiles.first())
}
