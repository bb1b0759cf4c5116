//! What decided about a packet, in words: found again for the journal at the moment of the event, since the policy may be
//! another one when somebody asks.

use std::net::IpAddr;

use gateway_common::{
    Class, Reason, Verdict,
    judged::{Judged, Who},
};

use super::{
    Lists,
    explain::{limit, ruling},
    matching::{Called, profile_of, suspected_by},
};
use crate::{
    config::{Answer, Config, Limit, LimitKey, Profile, Rate, Window},
    daemon::{ActiveOrder, Decided, OrderRule},
    numbering,
};

/// What decided about `judged`, a packet of `from`, under the policy and the orders that were in force then. `lists` are
/// those of `config`.
pub fn decided(config: &Config, orders: &[ActiveOrder], lists: &Lists, judged: &Judged, from: IpAddr) -> Decided {
    let Some(profile) = profile_of(config, Some(from)) else { return Decided::default() };
    let dialled = String::from_utf8_lossy(judged.dialled()).into_owned();
    let digits: String = match judged.class() {
        Class::Suspicious => suspected_by(&dialled, |digits| lists.number(config, profile, digits).is_some()),
        _ => judged.e164().map(char::from).collect(),
    };
    let called = Called {
        class: judged.class(),
        dialled: &dialled,
        digits: &digits,
        profile,
        from: Some(from),
        line: judged.line,
        vouched: judged.who() != Who::Unproved,
    };
    let switched_off = || {
        let order = called.switched_off(orders)?;
        Some((order.number, format!("order {}: {} ({})", order.number, order.action(), order.scope)))
    };
    let by_order = || {
        let (order, what) = match judged.verdict() {
            Verdict::WouldDrop => called.watching_order(orders)?,
            Verdict::Pass | Verdict::Drop | Verdict::Reject => called.deciding_order(orders)?,
        };
        let max = order.max.map(|max| format!(" --max {max}")).unwrap_or_default();
        let (number, verb, scope) = (order.number, order.rule.as_str(), &order.scope);
        Some((order, format!("order {number}: {verb} {what}{max} ({scope})")))
    };
    let reason = judged.reason();
    let mut found = Decided { profile: profile.name.clone(), ..Decided::default() };
    match reason {
        Reason::Inbound => found.rule = trunk(config, from).map(|name| format!("trunk.{name}: an inbound call")),
        Reason::Emergency | Reason::Unreadable | Reason::AmbiguousTarget => {
            found.rule = Some(reason.meaning().trim().into());
        }
        Reason::InternationalOff => (found.order, found.rule) = switched_off().unzip(),
        Reason::Shield => {
            let order = orders.iter().find(|order| order.rule == OrderRule::Shield);
            (found.order, found.rule) =
                order.map(|order| (order.number, format!("order {}: {}", order.number, order.action()))).unzip();
        }
        Reason::OutsideRegistration => {
            let place = config.site.outside_registration_at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
            let word = config.site.outside_registration.as_str();
            found.rule = Some(format!("site.outside_registration = {word:?}{place}"));
        }
        // An order that allows stops only what is too much for it, and undoing it would let less pass.
        Reason::Order => match by_order() {
            Some((order, rule)) if order.rule == OrderRule::Allow => found.limit = Some(format!("{rule}: used up")),
            Some((order, rule)) => (found.order, found.rule) = (Some(order.number), Some(rule)),
            None => {}
        },
        Reason::Floor if judged.class() == Class::International => found.limit = Some(counted(config, &digits)),
        Reason::Floor => found.rule = Some(floor(&digits)),
        reason if limit(reason) => found.limit = Some(used_up(config, profile, judged, from)),
        Reason::Allowed | Reason::NoNumber => {
            (found.order, found.rule) = by_order().map(|(order, rule)| (order.number, rule)).unzip();
            found.rule = found.rule.or_else(|| file(config, lists, &called));
        }
        reason if reason.stops() => found.rule = file(config, lists, &called),
        _ => {}
    }
    found
}

fn trunk(config: &Config, from: IpAddr) -> Option<&str> {
    let trunk = config.trunks.iter().find(|trunk| trunk.sources.iter().any(|network| network.contains(from)));
    trunk.map(|trunk| trunk.name.as_str())
}

/// What the floor counts of a call abroad.
fn counted(config: &Config, digits: &str) -> String {
    let breaker = config.breaker.shown("and");
    let country = super::explain::named_country(digits);
    format!(
        "the floor: at most {breaker} to one country, and one in 12h to a country new to the site in which fraud ends \
         up; dialled{country}"
    )
}

fn floor(digits: &str) -> String {
    let prefix = numbering::lookup(digits).map_or(digits, |range| range.prefix);
    format!("the floor refuses +{prefix} in either mode")
}

/// What the file says of a call: its entry with the place, else the answer of the class.
fn file(config: &Config, lists: &Lists, called: &Called<'_>) -> Option<String> {
    let profile = called.profile;
    let entry = lists.dial(config, profile, called.dialled).or_else(|| lists.number(config, profile, called.digits));
    if let Some((say, entry)) = entry {
        let reason = entry.reason.as_ref().map_or_else(String::new, |reason| format!(", {reason}"));
        return Some(format!("{} at {} (profile {}){reason}", ruling(say, &entry.what), entry.place, profile.name));
    }
    let answer = match profile.class[called.class as usize] {
        Answer::Allow => "allow",
        Answer::Monitor => "monitor",
        Answer::Block => "block",
        Answer::AsInternational => "as-international",
    };
    match called.class {
        Class::None | Class::Emergency => None,
        class => {
            Some(format!("class.{} = {answer:?} of [profile.{}]; no entry names it", class.as_str(), profile.name))
        }
    }
}

/// The limit that refused. The kernel tells what shares the allowance, and where several limits share it, all are named.
fn used_up(config: &Config, profile: &Profile, judged: &Judged, from: IpAddr) -> String {
    let key = match judged.reason() {
        Reason::PacketLimit => return format!("[ceiling] unproved, {}: used up", allowance(config.ceiling.unproved)),
        Reason::SynLimit => {
            return format!("[ceiling] connections, {}: used up", allowance(config.ceiling.connections));
        }
        Reason::Banned => return "banned: `tollgate list lines` names by what, and until when".to_owned(),
        Reason::Suspended => return "suspended: `tollgate list lines` names by what, and what lifts it".to_owned(),
        Reason::EmergencyFlood => {
            return format!("[emergency] unproved, {}: used up", allowance(config.emergency_unproved));
        }
        Reason::SourceLimit if judged.who() == Who::Trunk => {
            let name = trunk(config, from).unwrap_or("of this source");
            let rate = config.trunks.iter().find(|trunk| trunk.name == name).and_then(|trunk| trunk.rate);
            return format!(
                "the rate of trunk.{name}{}: used up",
                rate.map(|rate| format!(", {}", allowance(rate))).unwrap_or_default()
            );
        }
        Reason::NetworkLimit => LimitKey::Network,
        Reason::UnprovedLimit => LimitKey::Unproved,
        Reason::SiteLimit => LimitKey::All,
        Reason::LineLimit => LimitKey::Line,
        Reason::DestinationLimit => LimitKey::Country,
        _ => LimitKey::Source,
    };
    let of_key = |limit: &Limit| match key {
        LimitKey::All => {
            matches!(limit.key, LimitKey::All | LimitKey::Site)
                || !limit.site_windows.is_empty()
                || limit.site_concurrent.is_some()
        }
        LimitKey::Country => matches!(limit.key, LimitKey::Country | LimitKey::SourceCountry),
        // Where the line is not known, its source stands for it.
        LimitKey::Source => matches!(limit.key, LimitKey::Source | LimitKey::Line),
        other => limit.key == other,
    };
    // What only the daemon counts suspends, and refuses for no other reason.
    let in_kernel = |limit: &Limit| {
        limit.rate.is_some()
            || !limit.windows.is_empty()
            || limit.concurrent.is_some()
            || !limit.site_windows.is_empty()
    };
    let counts = |limit: &&Limit| {
        profile.limits.contains(&limit.name)
            && in_kernel(limit)
            && of_key(limit)
            && limit.class.is_none_or(|class| class == judged.class())
            && limit.method.is_none_or(|method| Some(method) == judged.method())
    };
    let names: Vec<String> =
        config.limits.iter().filter(counts).map(|limit| format!("limit.{}, {}", limit.name, allowed(limit))).collect();
    match names.as_slice() {
        [] => format!("a limit of profile {}: used up", profile.name),
        [one] => format!("{one}: used up"),
        several => format!("one of {}: used up", several.join("; ")),
    }
}

/// What a limit allows, as the policy file writes it.
fn allowed(limit: &Limit) -> String {
    if let Some(rate) = limit.rate {
        return allowance(rate);
    }
    let calls = |windows: &[Window], at_once: Option<u32>| {
        let windows = windows.iter().map(ToString::to_string);
        windows.chain(at_once.map(|calls| format!("{calls} at once"))).collect::<Vec<_>>().join(", ")
    };
    let (own, site) = (calls(&limit.windows, limit.concurrent), calls(&limit.site_windows, limit.site_concurrent));
    if site.is_empty() { format!("calls {own}") } else { format!("calls {own}, of the site {site}") }
}

/// `10 in 1s, burst 20`.
fn allowance(rate: Rate) -> String {
    format!("{} in {}s, burst {}", rate.count, rate.per.as_secs(), rate.burst)
}
