//! What an order may not do by mistake, and what wins over it.

use gateway_common::Class;

use super::{ActiveOrder, OrderRule};
use crate::{
    config::{Config, Network},
    what::What,
};

/// Refuses an order that stops emergency calls, and, without `force`, one that hits the site itself.
pub(super) fn check(config: &Config, rule: OrderRule, what: &[What], force: bool) -> Result<(), String> {
    if rule == OrderRule::Allow {
        return Ok(());
    }
    if what.contains(&What::Class(Class::Emergency)) {
        return Err("emergency calls are never blocked; leave `emergency` out".into());
    }
    let hit: Vec<String> = what.iter().filter_map(|what| hits_the_site(config, what)).collect();
    if hit.is_empty() || force {
        return Ok(());
    }
    Err(format!("{}; nothing was changed. If you mean it, say it again with --force", hit.join("; ")))
}

/// How blocking `what` would hit the site itself.
fn hits_the_site(config: &Config, what: &What) -> Option<String> {
    match what {
        What::Country(country) => config
            .profiles
            .iter()
            .map(|profile| &profile.region)
            .chain([&config.site.region])
            .any(|region| region == country)
            .then(|| format!("`{country}` is the site's own country")),
        What::Class(class @ (Class::National | Class::None)) => {
            Some(format!("the class `{}` holds the site's own calls", class.as_str()))
        }
        What::Prefix(prefix) => config
            .site
            .own_numbers
            .iter()
            .find(|own| own.starts_with(prefix.as_str()))
            .map(|own| format!("`+{prefix}` covers the site's own number +{own}")),
        What::Source(network) => {
            if network.prefix_len == 0 {
                return Some(format!("`{network}` is every source"));
            }
            let trunk = config.trunks.iter().find(|trunk| trunk.sources.iter().any(|own| meet(network, own)));
            if let Some(trunk) = trunk {
                return Some(format!("`{network}` covers the trunk `{}`", trunk.name));
            }
            let profile = config.profiles.iter().find(|profile| profile.sources.iter().any(|own| covers(network, own)));
            profile.map(|profile| format!("`{network}` covers sources of the profile `{}`", profile.name))
        }
        What::Dial(head) => head.is_empty().then(|| "`dial:` is every dialled string".into()),
        What::Class(_) | What::Line(_) => None,
    }
}

/// The orders in force that win over `given` where both match: longest prefix, then narrower scope, on a tie block.
pub(super) fn overridden_by(given: &ActiveOrder, in_force: &[ActiveOrder]) -> Vec<String> {
    in_force
        .iter()
        .filter(|other| other.number != given.number && other.rule != given.rule)
        .filter(|other| other.what.iter().any(|theirs| given.what.iter().any(|ours| wins(other, theirs, given, ours))))
        .map(|other| {
            let what: Vec<String> = other.what.iter().map(ToString::to_string).collect();
            format!(
                "order {} ({} {}, {}) where both match; tollgate undo {}",
                other.number,
                other.rule.as_str(),
                what.join(" "),
                other.scope,
                other.number
            )
        })
        .collect()
}

/// What wins over every order of this kind.
pub(super) const fn always_wins(rule: OrderRule) -> &'static str {
    match rule {
        OrderRule::Block => "emergency calls: they pass whatever an order says",
        OrderRule::Allow => "limits, bans and suspensions: an allow lifts a destination rule, never these",
    }
}

/// Whether `theirs` of the order `other` can match what `ours` of `given` matches, and wins there.
fn wins(other: &ActiveOrder, theirs: &What, given: &ActiveOrder, ours: &What) -> bool {
    let narrower = match (theirs, ours) {
        (What::Prefix(theirs), What::Prefix(ours)) | (What::Dial(theirs), What::Dial(ours)) => {
            if theirs == ours {
                None
            } else if theirs.starts_with(ours.as_str()) {
                Some(true)
            } else {
                return false;
            }
        }
        (What::Source(theirs), What::Source(ours)) => {
            if theirs == ours {
                None
            } else if covers(ours, theirs) {
                Some(true)
            } else {
                return false;
            }
        }
        _ if theirs == ours => None,
        // A country and a class hold many prefixes; which, the compiler knows. The longer match wins where they meet.
        (What::Prefix(_) | What::Dial(_), What::Country(_) | What::Class(_)) | (What::Country(_), What::Class(_)) => {
            Some(true)
        }
        _ => return false,
    };
    narrower.unwrap_or_else(|| {
        let (theirs, ours) = (other.scope.narrowness(), given.scope.narrowness());
        theirs > ours || (theirs == ours && other.rule == OrderRule::Block)
    })
}

/// Whether every address of `inner` is in `outer`.
fn covers(outer: &Network, inner: &Network) -> bool {
    outer.prefix_len <= inner.prefix_len && outer.contains(inner.address)
}

/// Whether two networks have an address in common.
fn meet(a: &Network, b: &Network) -> bool {
    covers(a, b) || covers(b, a)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::Scope;

    fn order(number: u64, rule: OrderRule, what: &[&str], scope: Scope) -> ActiveOrder {
        ActiveOrder { number, rule, what: what.iter().map(|text| text.parse().unwrap()).collect(), scope }
    }

    #[test]
    fn what_wins_over_an_order_is_named_with_its_undo() {
        let site = Scope::Site;
        let profile = Scope::Profile("lobby".into());
        let given = order(9, OrderRule::Allow, &["+232"], site.clone());
        for (other, named) in [
            (order(1, OrderRule::Block, &["+232"], site.clone()), true),
            (order(2, OrderRule::Block, &["+23276"], site.clone()), true),
            (order(3, OrderRule::Block, &["+23"], site.clone()), false),
            (order(4, OrderRule::Block, &["SL"], site.clone()), false),
            (order(5, OrderRule::Allow, &["+2327"], site.clone()), false),
            (order(6, OrderRule::Block, &["+232"], profile.clone()), true),
            (order(7, OrderRule::Block, &["+44"], profile), false),
        ] {
            let found = overridden_by(&given, std::slice::from_ref(&other));
            assert_eq!(!found.is_empty(), named, "{other:?}: {found:?}");
            if named {
                assert!(found[0].contains(&format!("tollgate undo {}", other.number)), "{found:?}");
            }
        }
        let block = order(9, OrderRule::Block, &["international"], site.clone());
        assert_eq!(overridden_by(&block, &[order(1, OrderRule::Allow, &["international"], site.clone())]).len(), 0);
        assert_eq!(overridden_by(&block, &[order(1, OrderRule::Allow, &["SL"], site)]).len(), 1);
    }

    #[test]
    fn networks_cover_and_meet() {
        let network = |text: &str| match text.parse() {
            Ok(What::Source(network)) => network,
            other => panic!("{text}: {other:?}"),
        };
        assert!(covers(&network("192.0.2.0/24"), &network("192.0.2.7/32")));
        assert!(!covers(&network("192.0.2.7/32"), &network("192.0.2.0/24")));
        assert!(meet(&network("192.0.2.7/32"), &network("192.0.2.0/24")));
        assert!(covers(&network("0.0.0.0/0"), &network("192.0.2.7/32")));
        assert!(!covers(&network("0.0.0.0/0"), &network("2001:db8::/32")));
        assert!(covers(&network("2001:db8::/32"), &network("2001:db8::1/128")));
        assert!(!covers(&network("2001:db8::/32"), &network("2001:db9::1/128")));
        assert!(covers(&network("::/0"), &network("::1/128")));
    }
}
