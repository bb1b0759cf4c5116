//! The source table: which profile, trunk and source rule an address has. The most specific network wins.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use gateway_common::policy::image::{Ruling, SourceEntry};

use super::{
    cells::{Cells, Full},
    say::Said,
    scopes::{Effective, Effectives, source_scopes},
};
use crate::{
    config::{Config, Network},
    daemon::ActiveOrder,
    what::What,
};

/// What is said of one network, whatever is said of those around it.
#[derive(Default)]
struct Facts<'o> {
    profile: Option<usize>,
    trunk: Option<u8>,
    scope: bool,
    orders: Vec<&'o ActiveOrder>,
    /// Whether an import names it.
    imported: bool,
}

/// Why the table cannot be made.
pub(super) enum Problem {
    Full,
    /// More effective profiles than the table can tell apart.
    TooManyProfiles,
    /// Trunks that share a network.
    SharedTrunk(Network, String),
}

impl From<Full> for Problem {
    fn from(_: Full) -> Self {
        Self::Full
    }
}

/// Puts both tables into the image; returns their root nodes, IPv4 first, 0 for a table without entries.
pub(super) fn put(
    cells: &mut Cells,
    config: &Config,
    orders: &[ActiveOrder],
    effectives: &mut Effectives,
) -> Result<[u32; 2], Problem> {
    let facts = facts(config, orders)?;
    let mut networks: Vec<Network> = facts.keys().copied().collect();
    networks.sort_unstable_by_key(|network| (network.prefix_len, network.address));
    let mut roots = [0; 2];
    for network in networks {
        let entry = entry(config, &facts, network, effectives).ok_or(Problem::TooManyProfiles)?;
        let (root, octets) = match network.address {
            IpAddr::V4(address) => (&mut roots[0], address.octets().to_vec()),
            IpAddr::V6(address) => (&mut roots[1], address.octets().to_vec()),
        };
        insert(cells, root, &octets, network.prefix_len, entry)?;
    }
    Ok(roots)
}

fn facts<'o>(config: &Config, orders: &'o [ActiveOrder]) -> Result<HashMap<Network, Facts<'o>>, Problem> {
    let mut facts: HashMap<Network, Facts<'o>> = HashMap::new();
    for (place, profile) in config.profiles.iter().enumerate() {
        for network in &profile.sources {
            facts.entry(*network).or_default().profile = Some(place);
        }
    }
    for (place, trunk) in config.trunks.iter().enumerate() {
        for network in &trunk.sources {
            let facts = facts.entry(*network).or_default();
            if facts.trunk.is_some() {
                return Err(Problem::SharedTrunk(*network, trunk.name.clone()));
            }
            facts.trunk = Some(place as u8 + 1);
        }
    }
    for imported in config.imported.iter() {
        facts.entry(imported.network).or_default().imported = true;
    }
    for network in source_scopes(orders) {
        facts.entry(network).or_default().scope = true;
    }
    for order in orders {
        for what in &order.what {
            if let What::Source(network) = what {
                facts.entry(*network).or_default().orders.push(order);
            }
        }
    }
    Ok(facts)
}

/// What holds for the addresses of `network` that lie in no narrower one.
fn entry(
    config: &Config,
    facts: &HashMap<Network, Facts<'_>>,
    network: Network,
    effectives: &mut Effectives,
) -> Option<SourceEntry> {
    let around: Vec<(Network, &Facts<'_>)> = (0..=network.prefix_len)
        .rev()
        .map(|prefix_len| wider(network, prefix_len))
        .filter_map(|wide| facts.get(&wide).map(|facts| (wide, facts)))
        .collect();
    let profile = around.iter().find_map(|(_, facts)| facts.profile).unwrap_or(0);
    let scopes: Vec<Network> = around.iter().filter(|(_, facts)| facts.scope).map(|(wide, _)| *wide).collect();
    // A profile's own source inside a trunk's network is no trunk.
    let nearest = around.iter().find(|(_, facts)| facts.trunk.is_some() || facts.profile.is_some());
    let trunk = nearest.and_then(|(_, facts)| facts.trunk).unwrap_or(0);
    let number = effectives.number(Effective { profile, scopes, line: None })?;
    let effective = effectives.all().get(usize::from(number))?;
    let mut said = Said::default();
    for (wide, facts) in &around {
        for order in facts.orders.iter().filter(|order| effective.has(order, config)) {
            said.take(order.rule, (wide.prefix_len, order.scope.narrowness()), 0);
        }
    }
    // Lists of the file name destinations; what it says of a source is the profile, and what imports name.
    let imported = around.iter().any(|(_, facts)| facts.imported);
    let file = if imported && trunk == 0 { Ruling::Block } else { Ruling::None };
    let leaf = SourceEntry::new(number, trunk, said.ruling(), file);
    let leaf = if profile == 0 { leaf } else { leaf.named() };
    Some(if said.is_watched() { leaf.watched() } else { leaf })
}

/// The network of this length around `network`.
fn wider(network: Network, prefix_len: u8) -> Network {
    let address = match network.address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len)).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    };
    Network { address, prefix_len }
}

/// Sets all addresses of a network. Networks come widest first, so what is there is wider.
fn insert(cells: &mut Cells, root: &mut u32, octets: &[u8], prefix_len: u8, entry: SourceEntry) -> Result<(), Full> {
    if *root == 0 {
        *root = cells.put(&[SourceEntry::new(0, 0, Ruling::None, Ruling::None).0; 256])?;
    }
    let mut node = *root;
    for (depth, octet) in octets.iter().enumerate() {
        let left = usize::from(prefix_len).saturating_sub(8 * depth);
        let at = node + u32::from(*octet);
        if left <= 8 {
            let count = 1u32 << (8 - left);
            for at in at..at + count {
                cells.set(at, entry.0);
            }
            return Ok(());
        }
        let below = SourceEntry(cells.get(at));
        if below.is_leaf() {
            let child = cells.put(&[below.0; 256])?;
            cells.set(at, u64::from(child));
            node = child;
        } else {
            node = below.0 as u32;
        }
    }
    Ok(())
}
