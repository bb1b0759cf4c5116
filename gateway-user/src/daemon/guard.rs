//! What an order may not do by mistake, and what wins over it.

use gateway_common::Class;

use super::{ActiveOrder, OrderRule};
use crate::{
    config::{Config, Network},
    numbering,
    what::What,
};

/// A source with fewer bits is a large part of the world, IPv4.
const WIDEST_V4: u8 = 8;
/// The same for IPv6.
const WIDEST_V6: u8 = 16;

/// Refuses an order that stops emergency calls, and, without `force`, one that hits the site itself.
pub(super) fn check(config: &Config, rule: OrderRule, what: &[What], force: bool) -> Result<(), String> {
    if !matches!(rule, OrderRule::Block | OrderRule::Monitor) {
        return Ok(());
    }
    if what.contains(&What::Class(Class::Emergency)) {
        return Err("emergency calls are never blocked; leave `emergency` out".into());
    }
    // What only counts hits nobody.
    let hit = if rule == OrderRule::Block { hits(config, what) } else { Vec::new() };
    if hit.is_empty() || force {
        return Ok(());
    }
    Err(format!("{}. Nothing was changed; if you mean it, say it again with --force", hit.join(". ")))
}

/// How blocking these would hit the site itself, each with how to write it narrower.
pub(super) fn hits(config: &Config, what: &[What]) -> Vec<String> {
    what.iter().filter_map(|what| hits_the_site(config, what)).collect()
}

fn hits_the_site(config: &Config, what: &What) -> Option<String> {
    match what {
        What::Country(country) => regions(config).any(|region| region == country).then(|| {
            let code = numbering::region(country).and_then(|region| region.calling_code).unwrap_or("81");
            format!(
                "`{country}` is the site's own country, so every call inside it would stop: name what is meant, a prefix \
                 such as +{code}570 or a class such as premium"
            )
        }),
        What::Class(class @ (Class::National | Class::None)) => Some(format!(
            "the class `{}` holds the site's own calls, so all of them would stop: name what is meant, a prefix or a \
             class such as international",
            class.as_str()
        )),
        What::Prefix(prefix) => own_number(config, prefix).or_else(|| own_code(config, prefix)),
        What::Source(network) => own_source(config, network),
        What::Dial(head) => own_dial(config, head),
        What::Class(_) | What::Line(_) => None,
    }
}

/// The regions of the site and of its profiles.
fn regions(config: &Config) -> impl Iterator<Item = &str> {
    config.profiles.iter().map(|profile| profile.region.as_str()).chain([config.site.region.as_str()])
}

fn own_number(config: &Config, prefix: &str) -> Option<String> {
    let own = config.site.own_numbers.iter().find(|own| own.starts_with(prefix))?;
    Some(format!(
        "`+{prefix}` covers the site's own number +{own}: write more digits of what is meant, so that they differ from it"
    ))
}

fn own_code(config: &Config, prefix: &str) -> Option<String> {
    let covered = |region: &str| {
        let code = numbering::region(region)?.calling_code?;
        code.starts_with(prefix).then_some((region.to_owned(), code))
    };
    let (region, code) = regions(config).find_map(covered)?;
    Some(format!(
        "`+{prefix}` covers +{code}, the site's own country {region}, so every call inside it would stop: write more digits \
         of what is meant, such as +{code}570"
    ))
}

fn own_dial(config: &Config, head: &str) -> Option<String> {
    let outside = config.profiles.iter().flat_map(|profile| profile.outside_line.iter().map(String::as_str));
    let national = regions(config).filter_map(|region| numbering::region(region)?.national_prefix);
    let code = outside.chain(national).find(|code| code.starts_with(head))?;
    Some(format!(
        "`dial:{head}` covers every call that is dialled with {code} in front: write more of what is dialled, such as \
         dial:{code}570"
    ))
}

fn own_source(config: &Config, network: &Network) -> Option<String> {
    let bits = if network.address.is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
    if network.prefix_len == 0 {
        return Some(format!("`{network}` is every source: name the network that is meant, such as 198.51.100.0/24"));
    }
    if network.prefix_len < bits {
        return Some(format!("`{network}` is a large part of all sources: name a network of /{bits} or less"));
    }
    let trunk = config.trunks.iter().find(|trunk| trunk.sources.iter().any(|own| meet(network, own)));
    if let Some(trunk) = trunk {
        return Some(format!(
            "`{network}` covers the trunk `{}`, so no call would come in from it: name the addresses beside it",
            trunk.name
        ));
    }
    let profile = config.profiles.iter().find(|profile| profile.sources.iter().any(|own| covers(network, own)))?;
    Some(format!(
        "`{network}` covers sources of the profile `{}`: name single addresses, or block a destination with --profile {}",
        profile.name, profile.name
    ))
}

/// The orders in force that win over `given` where both match: longest prefix, then narrower scope, on a tie block.
pub(super) fn overridden_by(given: &ActiveOrder, in_force: &[ActiveOrder]) -> Vec<String> {
    if given.rule == OrderRule::Shield {
        return Vec::new();
    }
    if given.rule == OrderRule::InternationalOff {
        // Each is pierced by its own exceptions only.
        let others = in_force.iter().filter(|other| other.rule == given.rule && other.number != given.number);
        return others
            .filter(|_| !given.what.is_empty())
            .map(|other| {
                let (number, scope) = (other.number, &other.scope);
                format!(
                    "order {number} ({}, {scope}) for what it does not except itself; tollgate undo {number}",
                    other.action()
                )
            })
            .collect();
    }
    let switched = |other: &&ActiveOrder| other.rule == OrderRule::InternationalOff && given.rule == OrderRule::Allow;
    let switched = in_force.iter().filter(switched).map(|other| {
        format!(
            "order {} ({}, {}) for whatever leaves the country; tollgate undo {}",
            other.number,
            other.action(),
            other.scope,
            other.number
        )
    });
    let narrower = in_force
        .iter()
        .filter(|other| other.number != given.number && other.rule != given.rule)
        .filter(|other| matches!(other.rule, OrderRule::Block | OrderRule::Allow))
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
        });
    switched.chain(narrower).collect()
}

/// What wins over every order of this kind.
pub(super) const fn always_wins(rule: OrderRule) -> &'static str {
    match rule {
        OrderRule::Block => "emergency calls: they pass whatever an order says",
        OrderRule::Monitor => "whatever stops the call: it only counts those that go on",
        OrderRule::Shield => "nothing: it stands above every order; emergency calls and what ends a call pass",
        OrderRule::InternationalOff => "nothing but what it excepts itself: no allow, of an order or of the file",
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
        ActiveOrder { number, rule, what: what.iter().map(|text| text.parse().unwrap()).collect(), scope, max: None }
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
    fn a_second_switch_names_the_first_which_its_exceptions_do_not_pierce() {
        let first = order(1, OrderRule::InternationalOff, &[], Scope::Site);
        let both = |what: &[&str]| {
            let second = order(2, OrderRule::InternationalOff, what, Scope::Site);
            overridden_by(&second, &[first.clone(), second.clone()])
        };
        let [told] = both(&["GB"]).try_into().unwrap();
        assert!(told.starts_with("order 1 ") && told.ends_with("tollgate undo 1"), "{told}");
        assert_eq!(both(&[]), [] as [String; 0], "it excepts nothing that the first could stop");
    }

    #[test]
    fn what_would_stop_the_site_itself_is_refused_with_what_to_write() {
        let text = "[site]\nregion = \"JP\"\nown_numbers = [\"+81312345678\"]\n[profile.default]\noutside_line = [\"9\"]\n\
                    [profile.us]\nregion = \"US\"\nsources = [\"192.0.2.0/28\"]\n[trunk.itsp]\nsources = [\"203.0.113.10\"]\n";
        let (config, _) = crate::config::parse(text, None, std::path::Path::new(".")).unwrap();
        let refused = |text: &str| check(&config, OrderRule::Block, &[text.parse().unwrap()], false).err();
        for (what, needles) in [
            ("JP", ["own country", "+81570"]),
            ("US", ["own country", "+1570"]),
            ("+81", ["own number", "more digits"]),
            ("+8131", ["own number", "more digits"]),
            ("+8", ["own number", "more digits"]),
            ("+1", ["own country US", "more digits"]),
            ("national", ["own calls", "international"]),
            ("none", ["own calls", "international"]),
            ("dial:0", ["dialled with 0", "dial:0570"]),
            ("dial:9", ["dialled with 9", "more of what is dialled"]),
            ("0.0.0.0/0", ["every source", "198.51.100.0/24"]),
            ("::/0", ["every source", "name the network"]),
            ("128.0.0.0/1", ["large part", "/8"]),
            ("2000::/3", ["large part", "/16"]),
            ("203.0.113.0/24", ["trunk `itsp`", "no call would come in"]),
            ("192.0.2.0/24", ["profile `us`", "--profile us"]),
        ] {
            let error = refused(what).expect(what);
            for needle in needles.iter().chain(&["--force", "Nothing was changed"]) {
                assert!(error.contains(needle), "{what}: {error}");
            }
            assert_eq!(check(&config, OrderRule::Block, &[what.parse().unwrap()], true), Ok(()), "{what} with --force");
            assert_eq!(check(&config, OrderRule::Allow, &[what.parse().unwrap()], false), Ok(()), "allow {what}");
        }
        for fine in ["SL", "+232", "+8190", "+12", "international", "dial:010", "dial:0570", "192.0.2.3", "10.0.0.0/8"]
        {
            assert_eq!(refused(fine), None, "{fine}");
        }
        let emergency = [What::Class(Class::Emergency)];
        assert!(check(&config, OrderRule::Block, &emergency, true).unwrap_err().contains("never blocked"));
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
