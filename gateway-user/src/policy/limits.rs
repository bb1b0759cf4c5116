//! Limits, trunks and the built-in buckets, as parameters of the rate algorithm.

use std::{collections::HashMap, time::Duration};

use gateway_common::{
    Method,
    limit::{gcra, name_hash, window},
    policy::image::{
        FAILURE, IN_FRONT_CEILING, Key, LIMIT_CELLS, LISTS, OVER_BAN, OVER_DROP, OVER_SUSPEND, OVER_WARN, TRUNK_CELLS,
        list_of,
    },
};

use super::cells::{Cells, Full};
use crate::{
    config::{Config, Count, Limit, LimitKey, Over, Profile, Rate, Role, Tallies, Trunk, Window},
    daemon::ActiveOrder,
};

/// Limits of a profile that can count one request: a byte each in one cell.
const A_PROFILE: usize = 8;
/// What the [lists](list_of) count.
const COUNTED: [&str; LISTS as usize] = ["calls", "REGISTER", "OPTIONS", "failures", "other requests"];
/// Limits and trunks are numbered from 1 in one byte, of which [`IN_FRONT_CEILING`] is none.
pub(super) const MOST: usize = 254;
/// The tolerance of a trunk's rate that drops.
const DROPS: u64 = 1 << 63;

/// Emission interval and tolerance of a rate, in nanoseconds.
pub(super) fn parameters(rate: &Rate) -> [u64; 2] {
    let (interval, tolerance) = gcra::parameters(rate.count, nanoseconds(rate.per), rate.burst);
    [interval, tolerance & !DROPS]
}

/// What of the limits cannot be put into an image, and what counts otherwise than it reads.
pub(super) fn problems(config: &Config, errors: &mut Vec<String>, warnings: &mut Vec<String>) {
    for (count, what) in [(config.limits.len(), "limits"), (config.trunks.len(), "trunks")] {
        if count > MOST {
            errors.push(format!("{count} {what}, and the kernel can tell {MOST} apart: give several sources one"));
        }
    }
    let mut names: HashMap<u32, String> = HashMap::new();
    let limits = config.limits.iter().map(|limit| limit.name.clone());
    for name in limits.chain(config.trunks.iter().map(trunk_name)) {
        if let Some(other) = names.insert(name_hash(name.as_bytes()), name.clone()) {
            errors.push(format!("the names {other:?} and {name:?} are the same to the kernel: rename one of them"));
        }
    }
    errors.extend(one_sided(config));
    if !config.interfaces.is_empty() && config.interfaces.iter().all(|interface| interface.role == Role::Wan) {
        for limit in config.limits.iter().filter(|limit| limit.key == LimitKey::Line) {
            let name = &limit.name;
            warnings.push(format!(
                "limit.{name}: no interface has role lan, and what unproved sources say of themselves names no line: it \
                 counts by source"
            ));
        }
    }
    for profile in &config.profiles {
        for (what, list) in COUNTED.into_iter().zip(0..) {
            let count = listed(config, profile, list).count();
            if count > A_PROFILE {
                let name = &profile.name;
                errors.push(format!(
                    "profile.{name} has {count} limits that count {what}, and a profile can have {A_PROFILE} of them: remove some"
                ));
            }
        }
    }
}

/// Limits on calls at once, or on minutes, where answer and end of a call would never be seen.
fn one_sided(config: &Config) -> Option<String> {
    let follows = |limit: &Limit| match at_once(limit) {
        0 if limit.tallies.minutes.is_empty() && limit.site_tallies.minutes.is_empty() => None,
        0 => Some("minutes"),
        _ => Some("concurrent"),
    };
    let (limit, key) = config.limits.iter().find_map(|limit| Some((limit, follows(limit)?)))?;
    let sees = |role| config.interfaces.iter().any(|interface| interface.role == role);
    if config.interfaces.is_empty() || sees(Role::Wan) && sees(Role::Lan) {
        return None;
    }
    let (has, lacks) = if sees(Role::Wan) { ("wan", "lan") } else { ("lan", "wan") };
    Some(format!(
        "limit.{}: {key} needs both directions of a call, to see it answered and ended, and every interface has role {has}: \
         add the one with role = {lacks:?} between the PBX and this machine, or use windows = [\"5/60s\"] in place of {key}",
        limit.name
    ))
}

fn trunk_name(trunk: &Trunk) -> String {
    format!("trunk.{}", trunk.name)
}

/// Puts the limits into the image, those of the file and behind them the allowances of orders; returns where they begin.
pub(super) fn put_limits(cells: &mut Cells, config: &Config, orders: &[ActiveOrder]) -> Result<u32, Full> {
    let mut out = Vec::with_capacity(config.limits.len() * LIMIT_CELLS as usize);
    for limit in &config.limits {
        let method = match limit.count {
            Count::Requests => limit.method.map_or(0, |method| method as u64),
            Count::Failures => u64::from(FAILURE),
        };
        let class = limit.class.map_or(0, |class| class as u64 + 1);
        let over = match limit.over {
            Over::Warn => OVER_WARN,
            Over::Suspend => OVER_SUSPEND,
            Over::Ban => OVER_BAN,
            Over::Drop => OVER_DROP,
        };
        let name = u64::from(name_hash(limit.name.as_bytes()));
        let [interval, tolerance] = limit.rate.as_ref().map_or([0; 2], parameters);
        out.extend([name | (kind(limit.key) as u64) << 32 | method << 40 | class << 48 | over << 56]);
        out.extend([interval, tolerance, limit.suspend.or(limit.ban).map_or(0, nanoseconds)]);
        out.extend(kept_windows(&limit.windows, &limit.tallies));
        out.extend(kept_windows(&limit.site_windows, &limit.site_tallies));
        out.extend([at_once(limit)]);
    }
    for (order, max) in orders.iter().filter_map(|order| Some((order, order.max?))) {
        let name = u64::from(name_hash(allowance_name(order.number).as_bytes()));
        out.extend([name | (Key::All as u64) << 32 | OVER_DROP << 56, 0, 0, 0]);
        out.extend(windows(&[max]));
        out.extend(windows(&[]));
        out.extend([0]);
    }
    cells.put(&out)
}

/// The numbers of the limits by which orders allow, by the place of the order; 0 for those that allow without.
pub(super) fn allowances(config: &Config, orders: &[ActiveOrder]) -> Vec<u8> {
    let mut next = config.limits.len() + 1;
    let number = |order: &ActiveOrder| {
        let number = next;
        next += usize::from(order.max.is_some());
        if order.max.is_some() { u8::try_from(number).unwrap_or(0) } else { 0 }
    };
    orders.iter().map(number).collect()
}

/// The name of the allowance of an order; no limit of a file can have it.
pub(crate) fn allowance_name(order: u64) -> String {
    format!("order {order}")
}

/// What shares one allowance, as the kernel calls it.
pub(crate) const fn kind(key: LimitKey) -> Key {
    match key {
        LimitKey::Source => Key::Source,
        LimitKey::Network => Key::Network,
        LimitKey::Unproved => Key::Unproved,
        LimitKey::All | LimitKey::Site => Key::All,
        LimitKey::Line => Key::Line,
        LimitKey::Country => Key::Country,
        LimitKey::SourceCountry => Key::SourceCountry,
    }
}

/// Calls at once, of the key in the lower half and of the site in the upper one.
pub(super) fn at_once(limit: &Limit) -> u64 {
    u64::from(limit.concurrent.unwrap_or(0)) | u64::from(limit.site_concurrent.unwrap_or(0)) << 32
}

/// Windows as the kernel reads them.
pub(crate) fn windows(windows: &[Window]) -> [u64; window::WINDOWS] {
    let mut out = [0; window::WINDOWS];
    for (cell, it) in out.iter_mut().zip(windows) {
        *cell = window::Window::new(it.count, nanoseconds(it.per)).0;
    }
    out
}

/// The windows that the kernel keeps of a limit. Where only the daemon counts it is one that no call fills, so that each call asks
/// for the cell that the daemon suspends.
fn kept_windows(written: &[Window], tallies: &Tallies) -> [u64; window::WINDOWS] {
    let mut out = windows(written);
    if let (true, false, [first, ..]) = (written.is_empty(), tallies.is_empty(), &mut out) {
        *first = window::Window::new(window::CALLS as u32, 0).0;
    }
    out
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Puts the trunks into the image; returns where they begin.
pub(super) fn put_trunks(cells: &mut Cells, trunks: &[Trunk], interfaces: &HashMap<String, u32>) -> Result<u32, Full> {
    let mut out = Vec::with_capacity(trunks.len() * TRUNK_CELLS as usize);
    for trunk in trunks {
        let interface = trunk.interface.as_ref().and_then(|name| interfaces.get(name)).copied().unwrap_or(0);
        let name = u64::from(name_hash(trunk_name(trunk).as_bytes()));
        let [interval, tolerance] = trunk.rate.as_ref().map_or([0; 2], parameters);
        let drops = if trunk.over == Over::Warn { 0 } else { DROPS };
        out.extend([u64::from(interface) | name << 32, interval, tolerance | drops, 0]);
    }
    cells.put(&out)
}

/// The limits of a profile that may count what has this [list](list_of), with their numbers. Heads are added up by the daemon alone.
fn listed<'a>(config: &'a Config, profile: &'a Profile, list: u32) -> impl Iterator<Item = (u64, &'a Limit)> {
    profile.limits.iter().filter_map(move |name| {
        let (place, limit) = config.limits.iter().enumerate().find(|(_, limit)| limit.name == *name)?;
        let method = limit.method.unwrap_or(Method::Invite) as u8;
        let counts = list_of(if limit.count == Count::Failures { FAILURE } else { method });
        (counts == list && limit.heads.is_empty()).then_some((place as u64 + 1, limit))
    })
}

/// Numbers, a byte each.
fn packed(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.take(A_PROFILE).enumerate().fold(0, |cell, (slot, number)| cell | number << (8 * slot))
}

/// The numbers of a profile's limits that may count what has this list.
pub(super) fn of_profile(config: &Config, profile: &Profile, list: u32) -> u64 {
    packed(listed(config, profile, list).map(|(number, _)| number))
}

/// Whether a limit is asked before the request of an unproved source is read: by a rate that drops, whatever the number.
fn is_in_front(limit: &Limit) -> bool {
    limit.rate.is_some() && limit.class.is_none() && limit.over == Over::Drop && limit.count == Count::Requests
}

/// The numbers of those of them that are not asked before, or for which the list in front has no room beside the ceiling.
pub(super) fn behind(config: &Config, profile: &Profile, list: u32) -> u64 {
    let asked = in_front(config, profile, list).to_le_bytes();
    let numbers = listed(config, profile, list).map(|(number, _)| number);
    packed(numbers.filter(|number| !asked.iter().any(|other| u64::from(*other) == *number)))
}

/// The numbers of those that are. That of all unproved sources comes first, since a flood needs no other, then the ceiling.
pub(super) fn in_front(config: &Config, profile: &Profile, list: u32) -> u64 {
    let asked = |shared: bool| {
        listed(config, profile, list).filter_map(move |(number, limit)| {
            (is_in_front(limit) && (limit.key == LimitKey::Unproved) == shared).then_some(number)
        })
    };
    packed(asked(true).chain([IN_FRONT_CEILING]).chain(asked(false)))
}

/// What the cells of a line are kept under: its digest, and a hash of the name of its profile.
pub(crate) fn line_of(profile: &str, digest: u64) -> u64 {
    let name = u64::from(name_hash(profile.as_bytes()));
    // The lower half of a digest tells lines apart as well as the upper one: both are to be touched.
    digest ^ (name << 32 | name)
}
