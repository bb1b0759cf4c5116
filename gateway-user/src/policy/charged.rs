//! Which cells a call is charged to: what `judge::windows` does with an image, over the policy that it was compiled from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use gateway_common::{
    Class, Method,
    addr::Addr,
    judged::Who,
    limit::{CellKey, FLOOR_CELL, name_hash},
    policy::image::Key,
};
use jiff::Timestamp;

use super::limits::{kind, line_of};
use crate::config::{Config, Limit, LimitKey, Profile};

/// A call, as far as limits by windows see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charged {
    pub(crate) who: Who,
    pub(crate) source: IpAddr,
    /// The digest of its line; 0 for none.
    pub(crate) line: u64,
    /// The number of its country; 0 for none.
    pub(crate) country: u16,
    pub(crate) class: Class,
    pub(crate) method: Option<Method>,
}

impl Charged {
    /// The cells, in the order in which they are asked: those of the floor, then those of each limit of the profile that
    /// holds at `now`. An unproved source has no cell that remembers its calls, and a trunk its own rate.
    pub(crate) fn cells(&self, config: &Config, profile: &Profile, now: Timestamp) -> Vec<CellKey> {
        if !matches!(self.who, Who::Lan | Who::Known) || !self.method.is_some_and(Method::makes_call) {
            return Vec::new();
        }
        let mut cells = Vec::new();
        let abroad = matches!(self.class, Class::International | Class::NonGeographic | Class::Suspicious);
        if config.floor && self.who == Who::Lan && abroad {
            let cell = |kind: Key, value: u64| CellKey { limit: FLOOR_CELL, kind: kind as u32, value };
            cells.extend([cell(Key::All, 0), cell(Key::Country, self.country.into())]);
        }
        for limit in self.limits(config, profile, now) {
            if !limit.windows.is_empty() || limit.concurrent.is_some() || !limit.tallies.is_empty() {
                cells.push(self.cell(limit, profile));
            }
            if !limit.site_windows.is_empty() || limit.site_concurrent.is_some() || !limit.site_tallies.is_empty() {
                cells.push(of_site(limit));
            }
        }
        cells
    }

    /// Those of the cells that the daemon adds up for.
    pub(crate) fn tallied(&self, config: &Config, profile: &Profile, now: Timestamp) -> Vec<CellKey> {
        if !matches!(self.who, Who::Lan | Who::Known) {
            return Vec::new();
        }
        let mut cells = Vec::new();
        for limit in self.limits(config, profile, now) {
            if !limit.tallies.is_empty() {
                cells.push(self.cell(limit, profile));
            }
            if !limit.site_tallies.is_empty() {
                cells.push(of_site(limit));
            }
        }
        cells
    }

    /// The limits on heads that count what a source outside dials, each with the cell of the source.
    pub(crate) fn tried<'c>(
        &self,
        config: &'c Config,
        profile: &'c Profile,
        now: Timestamp,
    ) -> Vec<(CellKey, &'c Limit)> {
        if self.who != Who::Unproved {
            return Vec::new();
        }
        let limits = self.limits(config, profile, now).filter(|limit| !limit.heads.is_empty());
        limits.map(|limit| (self.cell(limit, profile), limit)).collect()
    }

    /// The limits of the profile that may count it.
    fn limits<'c>(
        &self,
        config: &'c Config,
        profile: &'c Profile,
        now: Timestamp,
    ) -> impl Iterator<Item = &'c Limit> + use<'c> {
        let it = *self;
        let named = profile.limits.iter().filter_map(|name| config.limits.iter().find(|limit| limit.name == *name));
        named.filter(move |limit| {
            let schedule = limit.schedule.as_ref().map(|name| config.schedule(name));
            limit.method.is_none_or(|method| Some(method) == it.method)
                && limit.class.is_none_or(|class| class == it.class)
                && schedule.is_none_or(|schedule| schedule.is_some_and(|schedule| schedule.is_active(now)))
        })
    }

    /// The cell of a limit's key.
    fn cell(&self, limit: &Limit, profile: &Profile) -> CellKey {
        let source = addr(self.source);
        let kind = match limit.key {
            // Where the line is not known, its source stands for it.
            LimitKey::Line if self.line == 0 => Key::Source,
            key => kind(key),
        };
        let country = match kind {
            Key::SourceCountry => u32::from(self.country) << 16,
            _ => 0,
        };
        let value = match kind {
            Key::Network => source.network(),
            Key::Country => self.country.into(),
            Key::Line => line_of(&profile.name, self.line),
            Key::All | Key::Site => 0,
            Key::Source | Key::SourceCountry | Key::Unproved => source.source(),
        };
        CellKey { limit: name_hash(limit.name.as_bytes()), kind: kind as u32 | country, value }
    }
}

/// The cell of the site beside that of a limit's key.
fn of_site(limit: &Limit) -> CellKey {
    CellKey { limit: name_hash(limit.name.as_bytes()), kind: Key::Site as u32, value: 0 }
}

/// An address as the kernel has it.
pub(crate) fn addr(address: IpAddr) -> Addr {
    match address.to_canonical() {
        IpAddr::V4(v4) => Addr::v4(v4.to_bits()),
        IpAddr::V6(v6) => Addr { hi: (v6.to_bits() >> 64) as u64, lo: v6.to_bits() as u64 },
    }
}

/// An address of the kernel.
pub(crate) fn address(addr: Addr) -> IpAddr {
    match addr.as_v4() {
        Some(v4) => Ipv4Addr::from_bits(v4).into(),
        None => Ipv6Addr::from_bits(u128::from(addr.hi) << 64 | u128::from(addr.lo)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, path::Path};

    use gateway_common::{judge::Side, limit::line_digest};

    use super::*;
    use crate::{config, engine::host::HostEngine, policy, replay};

    const POLICY: &str = r#"
        mode = "enforce"
        floor = true
        [interface.eth0]
        role = "wan"
        [interface.eth1]
        role = "lan"
        [site]
        region = "JP"
        [profile.default]
        limits = ["line", "source", "network", "country", "both", "site", "sms", "home"]
        [limit.line]
        key = "line"
        class = "international"
        windows = ["5/60s"]
        site_windows = ["20/1h"]
        [limit.source]
        key = "source"
        minutes = "60/1h"
        over = "warn"
        [limit.network]
        key = "network"
        windows = ["5/60s"]
        [limit.country]
        key = "country"
        windows = ["5/60s"]
        [limit.both]
        key = "source-country"
        windows = ["5/60s"]
        [limit.site]
        key = "site"
        windows = ["5/60s"]
        [limit.sms]
        key = "source"
        method = "REFER"
        windows = ["5/60s"]
        [limit.home]
        key = "line"
        class = "national"
        windows = ["5/60s"]
        site_windows = ["20/1h"]
    "#;

    /// The cells of a call are those that the decision itself fills.
    #[test]
    fn the_cells_named_are_those_that_the_engine_charges() {
        let config = config::parse(POLICY, None, Path::new(".")).unwrap().0;
        let (image, _) = policy::compile(&config, &[], &HashMap::new(), 1).unwrap();
        for (source, line, number) in [
            ("192.0.2.20", "203", "010442071838750"),
            ("192.0.2.20", "", "010442071838750"),
            ("2001:db8:1:2ff::5", "204", "010442071838750"),
            ("192.0.2.20", "203", "0312345678"),
        ] {
            let mut engine = HostEngine::new(image.clone());
            let source: IpAddr = source.parse().unwrap();
            let frame = replay::invite(Some(source), line, &format!("sip:{number}@gateway.invalid")).unwrap();
            let judged = engine.judge(&frame, Side::Lan, 0, 1_000_000_000);
            assert!(judged.verdict().passes(), "{judged:?}");
            assert!(line.is_empty() || judged.line == line_digest(line.as_bytes()));
            let charged = Charged {
                who: judged.who(),
                source,
                line: judged.line,
                country: judged.country,
                class: judged.class(),
                method: judged.method(),
            };
            let named = charged.cells(&config, &config.profiles[0], Timestamp::UNIX_EPOCH);
            let mut expected: Vec<CellKey> = engine.rings().map(|(key, _)| *key).collect();
            // The breaker of the floor has no cell until it opens.
            expected.extend(named.iter().filter(|key| key.limit == FLOOR_CELL && key.kind == Key::All as u32));
            let sorted = |mut cells: Vec<CellKey>| {
                cells.sort_unstable_by_key(|key| (key.limit, key.kind, key.value));
                cells
            };
            assert_eq!(sorted(named), sorted(expected), "{source} {line} {number}");
        }
    }

    #[test]
    fn who_has_no_cells_is_charged_to_none() {
        let config = config::parse(POLICY, None, Path::new(".")).unwrap().0;
        let call = Charged {
            who: Who::Lan,
            source: [192, 0, 2, 20].into(),
            line: 1,
            country: 1,
            class: Class::International,
            method: Some(Method::Invite),
        };
        let count = |call: Charged| call.cells(&config, &config.profiles[0], Timestamp::UNIX_EPOCH).len();
        assert_eq!(count(call), 9);
        let tallied = call.tallied(&config, &config.profiles[0], Timestamp::UNIX_EPOCH);
        assert_eq!(
            tallied,
            [CellKey { limit: name_hash(b"source"), kind: Key::Source as u32, value: 0xffff_c000_0214 }]
        );
        assert_eq!(count(Charged { who: Who::Known, ..call }), 7, "the floor counts what the site itself calls");
        for who in [Who::Unproved, Who::Trunk] {
            assert_eq!(count(Charged { who, ..call }), 0);
            assert!(Charged { who, ..call }.tallied(&config, &config.profiles[0], Timestamp::UNIX_EPOCH).is_empty());
        }
        assert_eq!(count(Charged { method: Some(Method::Register), ..call }), 0);
        assert_eq!(count(Charged { method: None, ..call }), 0);
    }
}
