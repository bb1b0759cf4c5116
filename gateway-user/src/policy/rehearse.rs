//! What an order would have done to a call of the journal, of which only the head of the number is known.

use std::net::IpAddr;

use gateway_common::limit::line_digest;

use super::{matching::profile_of, say::Say};
use crate::{
    config::{Config, Profile},
    daemon::{ActiveOrder, OrderRule, Readable},
    numbering,
    orders::Scope,
    what::What,
};

/// A call, as far as the journal knows it.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a> {
    /// What can be read of its number.
    pub number: &'a Readable,
    /// Its class.
    pub class: &'a str,
    /// Its country.
    pub country: Option<&'a str>,
    /// Its source.
    pub from: IpAddr,
    /// The digest of its line; 0 where it has none, or that is not known.
    pub line: u64,
    /// Whether the site vouched for its source.
    pub vouched: bool,
}

impl Remembered<'_> {
    fn is_line(&self, name: &str) -> bool {
        self.line != 0 && line_digest(name.as_bytes()) == self.line
    }

    /// Whether an order holds for the call. What an unproved source says of its line lets nothing pass.
    fn is_under(&self, order: &ActiveOrder, profile: &Profile) -> bool {
        match &order.scope {
            Scope::Site => true,
            Scope::Profile(name) => profile.name == *name,
            Scope::Source(network) => network.contains(self.from),
            Scope::Line(name) => self.is_line(name) && (self.vouched || order.rule != OrderRule::Allow),
        }
    }
}

/// Whether an order would have decided about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grip {
    /// It would.
    Decides,
    /// The digits that would tell are masked.
    Perhaps,
    /// It would not, or another order would have won.
    No,
}

/// One thing of an order that matches, or may.
struct Match {
    sure: bool,
    weight: (usize, u8, Say),
    ours: bool,
}

/// Whether `order` would have decided about a call, among the `others` in force.
pub fn rehearse(config: &Config, others: &[ActiveOrder], order: &ActiveOrder, call: Remembered<'_>) -> Grip {
    let Some(profile) = profile_of(config, Some(call.from)) else { return Grip::No };
    let all: Vec<&ActiveOrder> = others.iter().chain([order]).collect();
    let mut doubtful = false;
    // What is dialled is asked before the number, and the number before the line and the source.
    let tiers: [fn(&What) -> bool; 4] = [
        |what| matches!(what, What::Dial(_)),
        |what| matches!(what, What::Prefix(_) | What::Country(_) | What::Class(_)),
        |what| matches!(what, What::Line(_)),
        |what| matches!(what, What::Source(_)),
    ];
    for tier in tiers {
        let matches: Vec<Match> = all
            .iter()
            .filter(|given| call.is_under(given, profile))
            .flat_map(|given| given.what.iter().map(move |what| (*given, what)))
            .filter(|(_, what)| tier(what))
            .filter_map(|(given, what)| {
                let (sure, length) = matched(what, call)?;
                let weight = (length, given.scope.narrowness(), acts(given, order)?);
                Some(Match { sure, weight, ours: std::ptr::eq(given, order) })
            })
            .collect();
        let best = matches.iter().filter(|found| found.sure).max_by_key(|found| found.weight);
        let rival = |found: &&Match| !found.sure && best.is_none_or(|best| found.weight > best.weight);
        let (ours, theirs) = (
            matches.iter().filter(rival).any(|found| found.ours),
            matches.iter().filter(rival).any(|found| !found.ours),
        );
        match best {
            Some(best) if best.ours => return if theirs || doubtful { Grip::Perhaps } else { Grip::Decides },
            Some(_) => return if ours { Grip::Perhaps } else { Grip::No },
            None if ours => return Grip::Perhaps,
            None => doubtful |= theirs,
        }
    }
    Grip::No
}

/// What an order says; the one that is tried, as if it acted.
fn acts(given: &ActiveOrder, tried: &ActiveOrder) -> Option<Say> {
    let counts = given.rule == OrderRule::Monitor && std::ptr::eq(given, tried);
    Say::of(given.rule).or(counts.then_some(Say::Block))
}

/// Whether it matches for sure or perhaps, and with how many digits; `None` where it cannot.
fn matched(what: &What, call: Remembered<'_>) -> Option<(bool, usize)> {
    let Readable { head, e164, hidden } = call.number;
    let by_head = |text: &String| {
        if head.starts_with(text.as_str()) {
            Some((true, text.len()))
        } else {
            (text.starts_with(head.as_str()) && text.len() <= head.len() + hidden).then_some((false, text.len()))
        }
    };
    match what {
        What::Prefix(digits) if *e164 => by_head(digits),
        // What was dialled for an E.164 number is not kept.
        What::Dial(keys) if *e164 => Some((false, keys.len())),
        What::Dial(keys) => by_head(keys),
        What::Country(code) => {
            let length = numbering::lookup(head).map_or(0, |range| range.prefix.len());
            (call.country == Some(code)).then_some((true, length))
        }
        What::Class(class) => (class.as_str() == call.class).then_some((true, 0)),
        What::Source(network) => network.contains(call.from).then_some((true, usize::from(network.prefix_len))),
        What::Line(name) => call.is_line(name).then_some((true, 0)),
        What::Prefix(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::{MaskedNumber, OrderRule};

    fn order(rule: OrderRule, what: &[&str], scope: Scope) -> ActiveOrder {
        ActiveOrder { number: 1, rule, what: what.iter().map(|text| text.parse().unwrap()).collect(), scope, max: None }
    }

    fn grip(others: &[ActiveOrder], order: &ActiveOrder, masked: &MaskedNumber, country: Option<&str>) -> Grip {
        let text = "[site]\nregion = \"JP\"\n[profile.default]\n[profile.lobby]\nsources = [\"192.0.2.0/28\"]\n";
        let (config, _) = crate::config::parse(text, None, std::path::Path::new(".")).unwrap();
        let number = Readable::of(masked.as_str());
        let class = if number.e164 { "international" } else { "unknown" };
        let from = "192.0.2.3".parse().unwrap();
        rehearse(
            &config,
            others,
            order,
            Remembered { number: &number, class, country, from, line: line_digest(b"203"), vouched: true },
        )
    }

    #[test]
    fn what_the_readable_digits_tell_is_sure_and_the_rest_is_not() {
        let number = MaskedNumber::of("23276123456");
        let block = |what: &str| order(OrderRule::Block, &[what], Scope::Site);
        for (what, expected) in [
            ("+232", Grip::Decides),
            ("+23276", Grip::Decides),
            ("SL", Grip::Decides),
            ("international", Grip::Decides),
            ("192.0.2.0/24", Grip::Decides),
            ("+232761", Grip::Perhaps),
            ("+23276123456", Grip::Perhaps),
            ("+232761234567", Grip::No),
            ("dial:010", Grip::Perhaps),
            ("+23277", Grip::No),
            ("GB", Grip::No),
            ("premium", Grip::No),
            ("198.51.100.0/24", Grip::No),
        ] {
            assert_eq!(grip(&[], &block(what), &number, Some("SL")), expected, "{what}");
        }
        let dialled = MaskedNumber::dialled("0570012345");
        for (what, expected) in
            [("dial:05", Grip::Decides), ("dial:0570", Grip::Perhaps), ("dial:06", Grip::No), ("+81", Grip::No)]
        {
            assert_eq!(grip(&[], &block(what), &dialled, None), expected, "{what}");
        }
    }

    #[test]
    fn an_order_for_a_line_cuts_its_calls_and_no_others() {
        let number = MaskedNumber::of("23276123456");
        for (scope, expected) in [("203", Grip::Decides), ("204", Grip::No)] {
            let block = order(OrderRule::Block, &["SL"], Scope::Line(scope.into()));
            assert_eq!(grip(&[], &block, &number, Some("SL")), expected, "{scope}");
            let whole = order(OrderRule::Block, &[&format!("line:{scope}")], Scope::Site);
            assert_eq!(grip(&[], &whole, &number, Some("SL")), expected, "{scope}");
        }
    }

    #[test]
    fn other_orders_win_as_they_would_have() {
        let number = MaskedNumber::of("23276123456");
        let block = order(OrderRule::Block, &["SL"], Scope::Site);
        for (other, expected) in [
            (order(OrderRule::Allow, &["+23276"], Scope::Site), Grip::No),
            (order(OrderRule::Allow, &["+232761"], Scope::Site), Grip::Perhaps),
            (order(OrderRule::Allow, &["+2327", "GB"], Scope::Profile("lobby".into())), Grip::No),
            (order(OrderRule::Allow, &["+2327"], Scope::Profile("default".into())), Grip::Decides),
            (order(OrderRule::Allow, &["international"], Scope::Site), Grip::Decides),
            (order(OrderRule::Allow, &["SL"], Scope::Site), Grip::Decides),
            (order(OrderRule::Allow, &["dial:010232"], Scope::Site), Grip::Perhaps),
            (order(OrderRule::Allow, &["192.0.2.3"], Scope::Site), Grip::Decides),
        ] {
            assert_eq!(grip(std::slice::from_ref(&other), &block, &number, Some("SL")), expected, "{other:?}");
        }
    }
}
