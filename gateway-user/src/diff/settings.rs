//! Everything but lists and classes: mode, floor, interfaces, ports, site, trunks, limits, and the plans of profiles.

use std::{fmt::Display, time::Duration};

use super::Change;
use crate::config::{
    Ceiling, Config, Count, Import, Interface, Limit, Network, Profile, Rate, Schedule, Sip, Site, Trunk,
};

/// The settings of one part: key and value, `None` where there is none.
type Facts = Vec<(&'static str, Option<String>)>;

pub(super) fn changes(before: &Config, after: &Config) -> Vec<Change> {
    let mut out = Vec::new();
    if !before.overridden.mode {
        let mode = |config: &Config| vec![("", Some(config.mode.as_str().to_owned()))];
        part(&mut out, "mode", &mode(before), &mode(after));
    }
    let floor = |config: &Config| {
        let breaker = &config.breaker;
        vec![
            ("", Some(if config.floor { "on" } else { "off" }.to_owned())),
            ("windows", list(&breaker.windows)),
            ("concurrent", Some(breaker.at_once.to_string())),
        ]
    };
    part(&mut out, "floor", &floor(before), &floor(after));
    if !before.overridden.interfaces {
        sections(&mut out, "interface", &before.interfaces, &after.interfaces, |it| &it.name, interface);
    }
    part(&mut out, "sip", &sip(&before.sip), &sip(&after.sip));
    part(&mut out, "site", &site(&before.site), &site(&after.site));
    sections(&mut out, "trunk", &before.trunks, &after.trunks, |it| &it.name, trunk);
    let rate = |rate: &Rate| vec![("unproved", Some(rate.to_string()))];
    part(&mut out, "emergency", &rate(&before.emergency_unproved), &rate(&after.emergency_unproved));
    part(&mut out, "ceiling", &ceiling(&before.ceiling), &ceiling(&after.ceiling));
    sections(&mut out, "limit", &before.limits, &after.limits, |it| &it.name, limit);
    sections(&mut out, "schedule", &before.schedules, &after.schedules, |it| &it.name, schedule);
    sections(&mut out, "import", &before.imports, &after.imports, |it| &it.name, import);
    sections(&mut out, "profile", &before.profiles, &after.profiles, |it| &it.name, profile);
    out
}

/// The sections `[kind.NAME]`, by name; one that is new or gone is one difference.
fn sections<T>(
    out: &mut Vec<Change>,
    kind: &str,
    before: &[T],
    after: &[T],
    name: impl Fn(&T) -> &String,
    facts: impl Fn(&T) -> Facts,
) {
    for old in before {
        let section = format!("{kind}.{}", name(old));
        match after.iter().find(|new| name(new) == name(old)) {
            Some(new) => part(out, &section, &facts(old), &facts(new)),
            None => out.push(Change::new(section, None, Some(shown(&facts(old))), None)),
        }
    }
    for new in after.iter().filter(|new| !before.iter().any(|old| name(old) == name(new))) {
        out.push(Change::new(format!("{kind}.{}", name(new)), None, None, Some(shown(&facts(new)))));
    }
}

fn part(out: &mut Vec<Change>, part: &str, before: &Facts, after: &Facts) {
    for ((key, old), (_, new)) in before.iter().zip(after).filter(|(old, new)| old.1 != new.1) {
        out.push(Change::new(part, (!key.is_empty()).then_some(*key), old.clone(), new.clone()));
    }
}

/// All settings of a section in one line.
fn shown(facts: &Facts) -> String {
    let shown = facts.iter().filter_map(|(key, value)| {
        let value = value.as_ref()?;
        Some(format!("{key} {value}"))
    });
    shown.collect::<Vec<_>>().join("; ")
}

/// A duration as a policy file writes it, in the largest unit that it is whole in.
fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(unit, name)| format!("{}{name}", seconds / unit))
}

/// `a b c`, or nothing for an empty list.
fn list<T: Display>(items: impl IntoIterator<Item = T>) -> Option<String> {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    (!items.is_empty()).then(|| items.join(" "))
}

/// Sources in the order of their addresses: another order in the file is no difference.
fn networks(networks: &[Network]) -> Option<String> {
    let mut sorted = networks.to_vec();
    sorted.sort_unstable_by_key(|network| (network.address, network.prefix_len));
    list(sorted)
}

fn sorted<T: Ord + Clone + Display>(items: &[T]) -> Option<String> {
    let mut sorted = items.to_vec();
    sorted.sort_unstable();
    list(sorted)
}

fn interface(it: &Interface) -> Facts {
    vec![("role", Some(it.role.as_str().to_owned()))]
}

fn sip(it: &Sip) -> Facts {
    vec![
        ("ports", sorted(&it.ports)),
        ("tcp", Some(it.tcp.as_str().to_owned())),
        ("redirects", Some(it.redirects.to_string())),
        ("called_party", Some(it.called_party.to_string())),
        ("reject", Some(it.reject.map_or_else(|| "false".to_owned(), |code| code.to_string()))),
    ]
}

fn ceiling(it: &Ceiling) -> Facts {
    vec![
        ("unproved", Some(it.unproved.to_string())),
        ("connections", Some(it.connections.to_string())),
        ("fragments", Some(it.fragments.to_string())),
    ]
}

fn site(it: &Site) -> Facts {
    let extensions =
        it.extensions.map(|(low, high)| if low == high { low.to_string() } else { format!("{low}-{high}") });
    vec![
        ("region", Some(it.region.clone())),
        ("extensions", extensions),
        ("own_numbers", list(it.own_numbers.iter().map(|number| format!("+{number}")))),
        ("time_zone", it.time_zone.clone()),
        ("outside_registration", Some(it.outside_registration.as_str().to_owned())),
    ]
}

fn trunk(it: &Trunk) -> Facts {
    vec![
        ("sources", networks(&it.sources)),
        ("interface", it.interface.clone()),
        ("rate", it.rate.as_ref().map(ToString::to_string)),
        ("over", it.rate.map(|_| it.over.as_str().to_owned())),
    ]
}

fn limit(it: &Limit) -> Facts {
    vec![
        ("key", Some(it.key.as_str().to_owned())),
        ("method", it.method.map(|method| method.as_str().to_owned())),
        ("class", it.class.map(|class| class.as_str().to_owned())),
        ("count", (it.count != Count::Requests).then(|| it.count.as_str().to_owned())),
        ("rate", it.rate.as_ref().map(ToString::to_string)),
        ("windows", list(&it.windows)),
        ("site_windows", list(&it.site_windows)),
        ("concurrent", it.concurrent.map(|calls| calls.to_string())),
        ("site_concurrent", it.site_concurrent.map(|calls| calls.to_string())),
        ("minutes", list(&it.tallies.minutes)),
        ("site_minutes", list(&it.site_tallies.minutes)),
        ("distinct", list(&it.tallies.distinct)),
        ("site_distinct", list(&it.site_tallies.distinct)),
        ("same", list(&it.tallies.same)),
        ("site_same", list(&it.site_tallies.same)),
        ("heads", list(&it.heads)),
        ("over", Some(it.over.as_str().to_owned())),
        ("suspend", it.suspend.map(length)),
        ("ban", it.ban.map(length)),
        ("schedule", it.schedule.clone()),
        ("ask", it.ask.map(length)),
        ("ask_schedule", it.ask_schedule.clone()),
    ]
}

fn import(it: &Import) -> Facts {
    vec![
        ("file", Some(it.file.display().to_string())),
        ("format", Some(it.format.as_str().to_owned())),
        ("expires", Some(length(it.expires))),
    ]
}

fn schedule(it: &Schedule) -> Facts {
    vec![
        ("hours", Some(it.shown_hours())),
        ("days", Some(it.shown_days()).filter(|days| !days.is_empty())),
        ("holidays", it.holidays.as_str().map(str::to_owned)),
        ("dates", list(&it.dates)),
        ("time_zone", it.zone.clone()),
    ]
}

fn profile(it: &Profile) -> Facts {
    vec![
        ("sources", networks(&it.sources)),
        ("region", Some(it.region.clone())),
        ("outside_line", sorted(&it.outside_line)),
        ("access_codes", sorted(&it.access_codes)),
        ("carrier_codes", sorted(&it.carrier_codes)),
        ("service_codes", sorted(&it.service_codes)),
        ("emergency", sorted(&it.emergency)),
        ("bare_e164", it.bare_e164.then(|| "true".to_owned())),
        ("limits", sorted(&it.limits)),
    ]
}
