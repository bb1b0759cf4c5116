//! What no outside list may block.

use std::net::IpAddr;

use crate::{
    config::{Config, Network},
    doctor::rtnetlink,
};

/// The shortest prefixes that a list may name: a wider one is a slip, or an attack.
const WIDEST: (u8, u8) = (16, 32);
/// Private, local and special networks (RFC 6890, RFC 6598, RFC 4193).
const SPECIAL: [&str; 13] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
    "::/8",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
];

/// The networks of the site itself.
#[derive(Clone, Debug, Default)]
pub struct Protected {
    special: Vec<Network>,
    trunks: Vec<Network>,
    profiles: Vec<Network>,
    machine: Vec<Network>,
}

impl Protected {
    /// Those of a policy and of this machine.
    pub fn of(config: &Config) -> Self {
        // Where the kernel does not list its addresses, what the policy names is protected still.
        let machine = rtnetlink::addresses().unwrap_or_default();
        Self {
            special: SPECIAL.iter().filter_map(|text| text.parse().ok()).collect(),
            trunks: config.trunks.iter().flat_map(|trunk| trunk.sources.clone()).collect(),
            profiles: config.profiles.iter().flat_map(|profile| profile.sources.clone()).collect(),
            machine: machine.into_iter().map(|own| Network::host(own.ip)).collect(),
        }
    }

    /// Why a network may not be blocked.
    pub(super) fn why(&self, network: &Network) -> Option<&'static str> {
        let meets = |networks: &[Network]| networks.iter().any(|own| meet(own, network));
        let widest = if matches!(network.address, IpAddr::V4(_)) { WIDEST.0 } else { WIDEST.1 };
        if network.prefix_len < widest {
            Some("it is too wide for a list of others")
        } else if meets(&self.trunks) {
            Some("a trunk of the policy is in it")
        } else if meets(&self.profiles) {
            Some("sources of a profile are in it")
        } else if meets(&self.machine) {
            Some("an address of this machine is in it")
        } else if meets(&self.special) {
            Some("it is private or reserved")
        } else {
            None
        }
    }
}

fn meet(a: &Network, b: &Network) -> bool {
    a.contains(b.address) && a.prefix_len <= b.prefix_len || b.contains(a.address) && b.prefix_len <= a.prefix_len
}
