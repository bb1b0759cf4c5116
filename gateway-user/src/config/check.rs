//! What only the whole policy can show: references, contradictions, and what could reach an emergency call.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    Entry, Interface, Limit, ListFile, Network, OutsideRegistration, Profile, Role, Site, Trunk,
    keys::{nearest, shown},
    overlap,
    problem::{Complaint, Report},
    profile::Written,
    region::emergency_numbers,
    schedule,
    section::Span,
};
use crate::what::What;

/// The policy compiler numbers profiles with eight bits.
const MOST_PROFILES: usize = 256;
/// Warnings of one kind told of one profile.
const TOLD: usize = 20;

/// Every limit that a profile names exists, and every limit is named.
pub(super) fn limits(report: &mut Report<'_>, written: &[Written], limits: &[(Span, Limit)]) {
    let mut used = HashSet::new();
    for profile in written {
        let mut own = HashSet::new();
        for (span, name) in profile.limits.iter().flatten() {
            used.insert(name.as_str());
            if !own.insert(name.as_str()) {
                report.warn(span, Complaint::new(format!("limits has {name:?} twice"), "remove one of the two"));
            }
            if limits.iter().any(|(_, limit)| limit.name == *name) {
                continue;
            }
            let remedy = match nearest(name, limits.iter().map(|(_, limit)| limit.name.as_str())) {
                Some(near) => format!("write {near:?}"),
                None => format!("write [limit.{}] with key and rate or windows, or remove the name", shown(name)),
            };
            report.missing(span, Complaint::new(format!("there is no limit {:?}", shown(name)), remedy));
        }
    }
    for (span, limit) in limits {
        if !used.contains(limit.name.as_str()) {
            let message = format!("nothing uses limit.{}", limit.name);
            let remedy = format!("write limits = [{:?}] in the profile it is meant for, or remove it", limit.name);
            report.missing(span, Complaint::new(message, remedy));
        }
    }
}

/// Who is to be known must be able to become so, and to come back.
pub(super) fn outside_registration(
    report: &mut Report<'_>,
    site: &Site,
    interfaces: &[Interface],
    profiles: &[Profile],
) {
    let Some(place) = &site.outside_registration_at else { return };
    if site.outside_registration != OutsideRegistration::Known {
        return;
    }
    if !interfaces.is_empty() && !interfaces.iter().any(|it| it.role == Role::Lan) {
        let message =
            "nobody outside is ever known: no interface has the role \"lan\", so no answer of the PBX is seen";
        let remedy = "name the interface that looks at the PBX, with role = \"lan\", or write \"allow\"";
        report.warn_at_place(place, Complaint::new(message, remedy));
    }
    if profiles.iter().all(|profile| profile.sources.is_empty()) {
        let message = "a telephone outside that was away for a day cannot register again, nor can a new one";
        let remedy = "write the networks of yours outside in sources of a profile, or let each in by \
                      `tollgate allow ADDRESS --for 5m`";
        report.warn_at_place(place, Complaint::new(message, remedy));
    }
    let wide = |network: &&Network| network.prefix_len < if network.address.is_ipv4() { 16 } else { 32 };
    for profile in profiles {
        let Some(network) = profile.sources.iter().find(wide) else { continue };
        let message = format!("everybody in {network} may register, since profile.{} names it", shown(&profile.name));
        report.warn_at_place(place, Complaint::new(message, "name the networks of yours alone, or write \"deny\""));
    }
}

/// Every source belongs to one profile, or to one trunk on one interface.
pub(super) fn sources(report: &mut Report<'_>, written: &[Written], trunks: &[(Trunk, Vec<(Span, Network)>)]) {
    let mut owner: HashMap<(Network, Option<&str>), String> = HashMap::new();
    let mut networks: HashMap<Network, String> = HashMap::new();
    let twice = |network: &Network, first: &str| {
        Complaint::new(format!("{network} already belongs to {first}"), format!("remove it here or from {first}"))
    };
    for (trunk, sources) in trunks {
        let name = format!("trunk.{}", shown(&trunk.name));
        for (span, network) in sources {
            let on = trunk.interface.as_deref();
            // Without an interface a trunk is met on every one, so it shares its source with no other trunk.
            let clash = match on {
                Some(_) => owner.get(&(*network, on)).or_else(|| owner.get(&(*network, None))),
                None => networks.get(network),
            };
            if let Some(first) = clash {
                report.problem(span, twice(network, first));
            }
            owner.insert((*network, on), name.clone());
            networks.insert(*network, name.clone());
        }
    }
    for profile in written {
        for (span, network) in &profile.sources {
            if let Some(first) = networks.get(network) {
                report.problem(span, twice(network, first));
            } else {
                networks.insert(*network, format!("profile.{}", shown(&profile.name)));
            }
        }
    }
}

pub(super) fn profiles(report: &mut Report<'_>, written: &[Written], merged: &[Profile], own_numbers: &[String]) {
    if let Some(extra) = written.get(MOST_PROFILES) {
        let message = format!("{} profiles, and the kernel can tell {MOST_PROFILES} apart", written.len());
        report.problem(&extra.span, Complaint::new(message, "give sources with the same rules one profile"));
    }
    for (profile, written) in merged.iter().zip(written) {
        emergency(report, profile);
        contradictions(report, profile);
        schedule::contradictions(report, profile);
        own_side(report, profile, own_numbers);
        // What a profile inherits is told of where it stands.
        let (block, allow) = (written.block.as_deref(), written.allow.as_deref());
        overlap::entries(report, profile, block.unwrap_or_default(), allow.unwrap_or_default());
    }
}

/// No entry may name what an emergency call dials, alone or behind an outside line or a service code.
fn emergency(report: &mut Report<'_>, profile: &Profile) {
    let numbers: Vec<&str> = emergency_numbers(&profile.region)
        .iter()
        .copied()
        .chain(profile.emergency.iter().map(String::as_str))
        .collect();
    let listed: Vec<Entry> = profile.block_files.iter().flat_map(|list| list.other_entries()).collect();
    for entry in blocked(profile).chain(&listed) {
        let What::Dial(keys) = &entry.what else {
            continue;
        };
        let wrapped = profile
            .outside_line
            .iter()
            .chain(&profile.service_codes)
            .filter_map(|code| keys.strip_prefix(code.as_str()))
            .find_map(|rest| numbers.iter().find(|number| **number == rest));
        let reached = numbers.iter().find(|number| number.starts_with(keys.as_str())).or(wrapped);
        if let Some(number) = reached {
            let message = format!("{} would drop an emergency call ({number})", entry.what);
            let remedy = "remove it, or write more digits of what is to be blocked";
            report.problem_at_place(&entry.place, Complaint::new(message, remedy));
        }
    }
}

fn contradictions(report: &mut Report<'_>, profile: &Profile) {
    if profile.allow.is_empty() {
        return;
    }
    let allowed: HashMap<&What, &Entry> = profile.allow.iter().map(|entry| (&entry.what, entry)).collect();
    let both =
        profile.block.iter().filter_map(|entry| allowed.get(&entry.what).map(|allow| (Cow::Borrowed(entry), *allow)));
    let listed = profile.allow.iter().filter_map(|allow| {
        let entry = profile.block_files.iter().find_map(|list| list.find(&allow.what))?;
        Some((Cow::Owned(entry), allow))
    });
    for (entry, allow) in both.chain(listed).take(TOLD) {
        let message = format!("{} is in allow and, at {}, in block: on a tie block holds", entry.what, entry.place);
        report.warn_at_place(&allow.place, Complaint::new(message, "remove one of the two"));
    }
}

/// What of a list can concern the own country or number.
fn on_own_side(list: &ListFile, own_numbers: &[String]) -> Vec<Entry> {
    let heads = own_numbers.iter().flat_map(|number| (1..=number.len()).filter_map(|length| number.get(..length)));
    heads.filter_map(|head| list.find(&What::Prefix(head.to_owned()))).chain(list.other_entries()).collect()
}

/// What the file blocks, always or by a schedule.
fn blocked(profile: &Profile) -> impl Iterator<Item = &Entry> {
    profile.block.iter().chain(profile.scheduled.iter().filter(|it| !it.allow).map(|it| &it.entry))
}

/// Blocking one's own country or number is more often a slip than a wish.
fn own_side(report: &mut Report<'_>, profile: &Profile, own_numbers: &[String]) {
    let listed: Vec<Entry> = profile.block_files.iter().flat_map(|list| on_own_side(list, own_numbers)).collect();
    for entry in blocked(profile).chain(&listed) {
        let hit = match &entry.what {
            What::Country(code) => (*code == profile.region).then(|| "the profile's own country".to_owned()),
            What::Prefix(digits) => {
                own_numbers.iter().find(|n| n.starts_with(digits.as_str())).map(|n| format!("your own number +{n}"))
            }
            _ => None,
        };
        if let Some(hit) = hit {
            let message = format!("{} blocks {hit}", entry.what);
            report.warn_at_place(&entry.place, Complaint::new(message, "remove it unless that is meant"));
        }
    }
}
