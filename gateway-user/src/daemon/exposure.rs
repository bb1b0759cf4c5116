//! What of the site answers outside, and who registered from there: from the tables of the kernel as they are now.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use anyhow::Context as _;
use gateway_common::{judged::Who, site::KNOWN};
use jiff::Timestamp;

use super::{Core, FromOutside, cell::Clocks, listening::listening};
use crate::control::exposure::{ExposureView, HostView, RegisteredView};

/// Rows of each kind; the others are counted.
const MOST: usize = 1000;

impl Core {
    /// What can be seen of the site from outside.
    pub(super) fn exposure(&self) -> anyhow::Result<ExposureView> {
        let (seen, known) = (self.gateway.outside_calls()?, self.gateway.known()?);
        let counters = self.gateway.counters().context("cannot read the counters of the kernel")?;
        let registers = counters.by_method.iter().find(|(method, _)| *method == gateway_common::Method::Register);
        let mut view = of(&seen, &known, self.clocks());
        view.requests = registers.map_or(0, |(_, count)| *count);
        view.ports.clone_from(&self.config.sip.ports);
        view.listens = listening(&view.ports);
        view.answered = self.gateway.site()?.answered;
        Ok(view)
    }
}

fn of(seen: &[FromOutside], known: &[(IpAddr, u64)], clocks: Clocks) -> ExposureView {
    let until: HashMap<IpAddr, Timestamp> =
        known.iter().map(|(source, until)| (*source, clocks.wall_of(*until))).collect();
    let mut hosts: BTreeMap<IpAddr, HostView> = BTreeMap::new();
    let mut registered: BTreeMap<(IpAddr, Option<String>), RegisteredView> = BTreeMap::new();
    for it in seen {
        if it.answered {
            let host = hosts.entry(it.host).or_insert_with(|| HostView::of(it.host, it.last));
            host.last = host.last.max(it.last);
            host.ports.insert(it.port.clone());
            match (it.registers, it.who) {
                (true, _) => host.registrations += 1,
                (false, Who::Unproved) => host.unproved_calls += 1,
                (false, Who::Known | Who::Lan | Who::Trunk) => host.known_calls += 1,
            }
        }
        if it.registers {
            let account = (it.line != 0).then(|| format!("#{:016x}", it.line));
            let row = registered.entry((it.source, account.clone())).or_insert_with(|| RegisteredView {
                source: it.source,
                account,
                host: Some(it.host),
                last: it.last,
                known_until: until.get(&it.source).copied(),
            });
            if it.last >= row.last {
                (row.last, row.host) = (it.last, Some(it.host));
            }
        }
    }
    // Whoever is known gave credentials that held, also where the table of calls remembers it no more.
    for (source, end) in &until {
        if !registered.keys().any(|(other, _)| other == source) {
            let taken = clocks.wall_of(known_since(known, *source));
            let row =
                RegisteredView { source: *source, account: None, host: None, last: taken, known_until: Some(*end) };
            registered.insert((*source, None), row);
        }
    }
    let mut registered: Vec<RegisteredView> = registered.into_values().collect();
    registered.sort_by_key(|row| (row.known_until.is_none(), std::cmp::Reverse(row.last)));
    let left_out = registered.len().saturating_sub(MOST) + hosts.len().saturating_sub(MOST);
    registered.truncate(MOST);
    ExposureView { hosts: hosts.into_values().take(MOST).collect(), registered, left_out, ..ExposureView::default() }
}

/// When the PBX last took the credentials of a source that is known.
fn known_since(known: &[(IpAddr, u64)], source: IpAddr) -> u64 {
    known.iter().find(|(other, _)| *other == source).map_or(0, |(_, until)| until.saturating_sub(KNOWN))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::control::exposure::Port;

    fn udp(port: u16) -> Port {
        Port { transport: "udp".to_owned(), port }
    }

    const HOUR: u64 = 3_600_000_000_000;

    #[test]
    fn hosts_that_answered_and_sources_that_registered_are_told_apart() {
        let wall: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let ago = |hours| wall - SignedDuration::from_hours(hours);
        let (pbx, other): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 9].into());
        let phone = |host: u8| IpAddr::from([198, 51, 100, host]);
        let call = FromOutside {
            source: phone(7),
            host: pbx,
            port: udp(5060),
            registers: false,
            answered: true,
            who: Who::Known,
            line: 1,
            last: ago(2),
        };
        let register = FromOutside { registers: true, port: udp(5080), last: ago(1), ..call.clone() };
        let guess = FromOutside { source: phone(66), who: Who::Unproved, line: 2, ..register.clone() };
        let silent = FromOutside { host: other, port: udp(5062), answered: false, who: Who::Unproved, ..call.clone() };
        let stranger = FromOutside { source: phone(66), who: Who::Unproved, ..call.clone() };
        let known = [(phone(7), 40 * HOUR), (phone(8), 30 * HOUR)];
        let clocks = Clocks { wall, kernel: 20 * HOUR };
        let found = of(&[call, register.clone(), register, guess, silent, stranger], &known, clocks);

        assert_eq!(found.hosts.len(), 1, "a host that never answered is not told to answer: {:?}", found.hosts);
        let host = &found.hosts[0];
        assert_eq!((host.host, host.registrations, host.known_calls, host.unproved_calls), (pbx, 3, 1, 1));
        assert_eq!((host.last, &host.ports), (ago(1), &[udp(5060), udp(5080)].into()));
        let rows: Vec<_> =
            found.registered.iter().map(|row| (row.source, row.account.is_some(), row.known_until)).collect();
        let (one, two) = (wall + SignedDuration::from_hours(20), wall + SignedDuration::from_hours(10));
        assert_eq!(rows, [(phone(7), true, Some(one)), (phone(8), false, Some(two)), (phone(66), true, None)]);
        assert_eq!(found.registered[1].last, ago(14), "24 hours before it is known no more");
        assert_eq!(of(&[], &[], clocks), ExposureView::default());
    }
}
