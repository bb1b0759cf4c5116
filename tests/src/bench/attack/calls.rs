//! Calls of the provider that the PBX completes while it is attacked.

use std::{
    net::{IpAddr, SocketAddr},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{
    Row,
    flood::Flood,
    queue::foremost,
    report::{Calls, Rates},
    site::{Cpus, Site, on},
};
use crate::{
    network::{Network, SIP_PORT},
    peer::{
        Sipp,
        sipp::{Load, Scenario},
    },
};

/// Who answers what the PBX relays.
pub(super) const ANSWERER: SocketAddr = SocketAddr::new(IpAddr::V4(Network::PBX), 5070);
/// Calls a second that are offered.
const OFFERED: u32 = 1_000;
/// Before anything is counted, and how long is counted.
const SETTLE: Duration = Duration::from_secs(3);
const TIME: Duration = Duration::from_secs(8);

/// Offers calls to the PBX behind a site, and counts what becomes of them.
pub(super) fn measure(site: &Site, row: &Row, cpus: Cpus) -> Result<(Rates, Calls)> {
    let sipp = Sipp::find().context("sipp is not installed")?;
    let load = Load {
        scenario: Scenario::GoodCall,
        from: (Network::FLOODER, SIP_PORT).into(),
        target: Network::pbx_sip(),
        uri: format!("sip:0398765432@{}", Network::PBX),
        a_second: OFFERED,
    };
    let (_answerer, mut caller) = on(cpus.others, || {
        let mut answerer = sipp.answer(&site.network.pbx, ANSWERER)?;
        answerer.wait_ready()?;
        let caller = sipp.load(&site.network.flooder, &load)?;
        // Both stand for many that have CPUs of their own, and must not wait for the generator.
        foremost(answerer.pid() as i32)?;
        foremost(caller.pid() as i32)?;
        Ok((answerer, caller))
    })?;
    caller.wait_ready()?;
    let flood = row.attack.map(|attack| site.attack(attack)).transpose()?;
    thread::sleep(SETTLE);
    let (before, began) = (site.counted()?, caller.counts_at()?);
    thread::sleep(TIME);
    let (after, ended) = (site.counted()?, caller.counts_at()?);
    flood.map_or(Ok(()), Flood::end)?;
    Ok((after.since(&before), Calls::between(began, ended)))
}
