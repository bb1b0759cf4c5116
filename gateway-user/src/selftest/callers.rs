//! Who calls in a self-test: for every profile a telephone inside and somebody outside, and every trunk.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use gateway_common::judged::Who;

use crate::{
    config::{Config, Network, Profile},
    daemon::ActiveOrder,
    policy::profile_of,
};

/// Addresses of the documentation (RFC 5737), of benchmarks (RFC 2544) and private ones (RFC 1918), of which one hardly ever
/// belongs to no profile and no trunk at a site.
const NOBODY: [Ipv4Addr; 6] = [
    Ipv4Addr::new(192, 0, 2, 66),
    Ipv4Addr::new(198, 51, 100, 66),
    Ipv4Addr::new(203, 0, 113, 66),
    Ipv4Addr::new(198, 18, 0, 66),
    Ipv4Addr::new(10, 255, 254, 66),
    Ipv4Addr::new(192, 168, 254, 66),
];

/// Who calls.
#[derive(Clone)]
pub(super) struct Caller<'a> {
    pub(super) address: IpAddr,
    pub(super) who: Who,
    /// The profile that holds for the address.
    pub(super) profile: &'a Profile,
    /// The line that it says it is, if any.
    pub(super) line: Option<&'a str>,
}

impl fmt::Display for Caller<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|name| format!(", line {name}")).unwrap_or_default();
        write!(f, "{} ({}, profile {}{line})", self.address, self.who.as_str(), self.profile.name)
    }
}

/// Every caller, and each telephone inside as every line that an order is given for. A profile none of whose addresses is
/// its own alone has none.
pub(super) fn all<'a>(config: &'a Config, orders: &'a [ActiveOrder]) -> Vec<Caller<'a>> {
    let mut callers = bare(config);
    let mut lines: Vec<&str> = orders.iter().filter_map(|order| order.scope.line()).collect();
    lines.sort_unstable();
    lines.dedup();
    let inside: Vec<Caller<'_>> = callers.iter().filter(|caller| caller.who == Who::Lan).cloned().collect();
    callers.extend(
        lines
            .into_iter()
            .flat_map(|line| inside.iter().map(move |caller| Caller { line: Some(line), ..caller.clone() })),
    );
    callers
}

fn bare(config: &Config) -> Vec<Caller<'_>> {
    let mut callers = Vec::new();
    for profile in &config.profiles {
        let nobody =
            NOBODY.into_iter().map(IpAddr::V4).chain([IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 66))]);
        let own = profile.sources.iter().flat_map(addresses);
        let is_its = |address: &IpAddr| profile_of(config, Some(*address)).is_some_and(|of| of.name == profile.name);
        let free = |address: &IpAddr| is_its(address) && !is_trunk(config, *address);
        let found = own.chain(nobody.filter(|_| profile.sources.is_empty())).find(free);
        let sides = [Who::Lan, Who::Unproved];
        callers.extend(
            found.into_iter().flat_map(|address| sides.map(|who| Caller { address, who, profile, line: None })),
        );
    }
    for trunk in &config.trunks {
        let address = trunk.sources.iter().flat_map(addresses).find(|address| is_trunk(config, *address));
        let caller = address.and_then(|address| {
            let profile = profile_of(config, Some(address))?;
            Some(Caller { address, who: Who::Trunk, profile, line: None })
        });
        callers.extend(caller);
    }
    callers
}

/// The first addresses of a network, and the last.
fn addresses(network: &Network) -> impl Iterator<Item = IpAddr> {
    let (first, host_bits) = match network.address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32 - u32::from(network.prefix_len)),
        IpAddr::V6(address) => (u128::from(address), 128 - u32::from(network.prefix_len)),
    };
    let last = first | 1u128.checked_shl(host_bits).map_or(u128::MAX, |size| size - 1);
    let is_v4 = network.address.is_ipv4();
    [first, first + 1, first + 2, last].into_iter().filter(move |address| *address <= last).map(move |address| {
        if is_v4 { IpAddr::V4(Ipv4Addr::from(address as u32)) } else { IpAddr::V6(Ipv6Addr::from(address)) }
    })
}

/// Whether the source table has an address as that of a trunk: a profile's own source inside a trunk's network is none.
fn is_trunk(config: &Config, address: IpAddr) -> bool {
    let nearest = |sources: &[Network]| {
        sources.iter().filter(|network| network.contains(address)).map(|network| network.prefix_len).max()
    };
    let trunk = config.trunks.iter().filter_map(|trunk| nearest(&trunk.sources)).max();
    let profile = config.profiles.iter().filter_map(|profile| nearest(&profile.sources)).max();
    trunk.is_some() && trunk >= profile
}
