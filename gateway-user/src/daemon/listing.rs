//! What `list` shows: what blocks, allows and limits, of the policy file and of the orders in force.

use std::sync::Arc;

use gateway_common::Class;
use jiff::Timestamp;

use crate::{
    config::{Answer, Config, Imported, Limit, Profile, Scheduled, Trunk},
    control::{protocol::ListKind, views::ListView},
    daemon::{CallState, OrderRule},
    orders::{Action, Order, Scope},
    policy,
    what::What,
};

/// One JSON line for each entry, made as it is asked for: a policy may hold a million.
pub(super) fn lines(
    config: &Arc<Config>,
    imported: &[Imported],
    orders: Vec<Order>,
    kind: Option<ListKind>,
    now: Timestamp,
) -> impl Iterator<Item = String> + Send + use<> {
    let wanted = move |list: ListKind| kind.is_none_or(|kind| kind == list);
    let ordered = orders.into_iter().flat_map(|order| of_order(&order));
    let by_profile = Arc::clone(config);
    let entries = (0..config.profiles.len()).flat_map(move |profile| {
        let config = Arc::clone(&by_profile);
        let count = config.profiles[profile].entries();
        (0..count).filter_map(move |entry| of_entry(&config.profiles[profile], entry))
    });
    let others: Vec<ListView> = config
        .profiles
        .iter()
        .flat_map(of_profile)
        .chain(config.trunks.iter().flat_map(of_trunk))
        .chain(imported.iter().map(of_import))
        .chain(config.limits.iter().flat_map(|limit| of_limit(config, limit, now)))
        .chain(config.profiles.iter().flat_map(|profile| of_schedules(config, profile, now)))
        .collect();
    ordered
        .chain(entries)
        .chain(others)
        .filter(move |view| wanted(part(view)))
        .filter_map(|view| serde_json::to_string(&view).ok())
}

/// Whether a call leaves the country, or may.
pub(super) const fn is_abroad(call: &CallState) -> bool {
    !matches!(call.class, Class::None | Class::National | Class::Emergency | Class::Unknown)
}

/// One JSON line for each call, or only for those that leave the country.
pub(super) fn calls(calls: Vec<CallState>, abroad: bool) -> Vec<String> {
    calls
        .into_iter()
        .filter(|call| !abroad || is_abroad(call))
        .map(|call| {
            let country = call.country.map(|country| format!(" {country}")).unwrap_or_default();
            ListView {
                reason: Some(format!("{}{country}", call.class.as_str())),
                since: Some(call.since),
                ..of_file(
                    "call",
                    format!("{} > {}", call.caller, call.callee),
                    call.state.as_str(),
                    None,
                    call.who.as_str(),
                )
            }
        })
        .filter_map(|view| serde_json::to_string(&view).ok())
        .collect()
}

/// The part of the list that an entry belongs to.
fn part(view: &ListView) -> ListKind {
    match view.kind.as_str() {
        "source" | "line" => ListKind::Sources,
        "limit" => ListKind::Limits,
        _ => ListKind::Prefixes,
    }
}

fn kind_of(what: &What) -> &'static str {
    match what {
        What::Prefix(_) => "prefix",
        What::Country(_) => "country",
        What::Dial(_) => "dial",
        What::Source(_) => "source",
        What::Class(_) => "class",
        What::Line(_) => "line",
    }
}

fn of_order(order: &Order) -> Vec<ListView> {
    let Action::Rule(rule, what) = &order.action else {
        return Vec::new();
    };
    let off = *rule == OrderRule::InternationalOff;
    let classes = Class::ALL.into_iter().filter(|class| off && policy::leaves(*class)).map(What::Class);
    let switched = classes.map(|class| (class, rule.as_str()));
    let rule_name = if *rule == OrderRule::Monitor { "monitor" } else { rule.as_str() };
    let named = what.iter().map(|what| (what.clone(), if off { "except" } else { rule_name }));
    switched
        .chain(named)
        .map(|(what, action)| ListView {
            kind: kind_of(&what).into(),
            value: what.to_string(),
            action: action.into(),
            profile: match &order.scope {
                Scope::Site => None,
                Scope::Profile(name) => Some(name.clone()),
                narrower => Some(narrower.to_string()),
            },
            origin: format!("order {}", order.number),
            reason: order.reason.clone(),
            since: Some(order.since),
            expires: order.expires,
            schedule: None,
            active: true,
            level: None,
            undo: None,
        })
        .collect()
}

/// The entry of a profile at a place.
fn of_entry(profile: &Profile, place: usize) -> Option<ListView> {
    let (allows, entry) = profile.entry(place)?;
    let action = if allows { "allow" } else { "block" };
    Some(ListView {
        reason: entry.reason.clone(),
        ..of_file(kind_of(&entry.what), entry.what.to_string(), action, Some(&profile.name), &entry.place)
    })
}

fn of_profile(profile: &Profile) -> Vec<ListView> {
    let place = format!("[profile.{}]", profile.name);
    let classes = Class::ALL.into_iter().filter_map(|class| {
        let answer = profile.class[class as usize];
        (answer != Answer::Allow)
            .then(|| of_file("class", class.as_str().into(), answer.as_str(), Some(&profile.name), &place))
    });
    let sources = profile
        .sources
        .iter()
        .map(|network| of_file("source", network.to_string(), "profile", Some(&profile.name), &place));
    classes.chain(sources).collect()
}

fn of_import(imported: &Imported) -> ListView {
    let origin = format!("[import.{}]", imported.import);
    of_file("source", imported.network.to_string(), "block", None, &origin)
}

fn of_trunk(trunk: &Trunk) -> Vec<ListView> {
    let place = format!("[trunk.{}]", trunk.name);
    trunk.sources.iter().map(|network| of_file("source", network.to_string(), "trunk", None, &place)).collect()
}

/// Entries that hold by a schedule.
fn of_schedules(config: &Config, profile: &Profile, now: Timestamp) -> Vec<ListView> {
    let view = |it: &Scheduled| {
        let (what, place) = (&it.entry.what, &it.entry.place);
        by_schedule(
            config,
            Some(&it.schedule),
            now,
            of_file(kind_of(what), what.to_string(), it.list(), Some(&profile.name), place),
        )
    };
    profile.scheduled.iter().map(view).collect()
}

fn by_schedule(config: &Config, name: Option<&String>, now: Timestamp, view: ListView) -> ListView {
    let Some(name) = name else { return view };
    let active = config.schedule(name).is_some_and(|schedule| schedule.is_active(now));
    ListView { schedule: Some(name.clone()), active, ..view }
}

fn of_limit(config: &Config, limit: &Limit, now: Timestamp) -> Vec<ListView> {
    let place = format!("[limit.{}]", limit.name);
    config
        .profiles
        .iter()
        .filter(|profile| profile.limits.contains(&limit.name))
        .map(|profile| of_file("limit", limit.name.clone(), limit.over.as_str(), Some(&profile.name), &place))
        .map(|view| by_schedule(config, limit.schedule.as_ref(), now, view))
        .collect()
}

fn of_file(kind: &str, value: String, action: &str, profile: Option<&str>, origin: &str) -> ListView {
    ListView {
        kind: kind.into(),
        value,
        action: action.into(),
        profile: profile.map(Into::into),
        origin: origin.into(),
        reason: None,
        since: None,
        expires: None,
        schedule: None,
        active: true,
        level: None,
        undo: None,
    }
}
