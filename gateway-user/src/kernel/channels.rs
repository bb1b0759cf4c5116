//! The channels of limits on calls at once, as user space reads them.

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
};
use gateway_common::limit::{
    CellKey, Table,
    channels::{CHANNELS, Holders},
};

use super::{
    calls::{self, Own},
    cells::{octets_of, of_octets},
};

/// The map of lines, sources and networks.
pub(super) const OWN: &str = "CHANNELS";
/// The map of the site and of countries.
pub(super) const SHARED: &str = "CHANNELS_SHARED";

type Map<M> = HashMap<M, [u8; 16], [u8; 8 * CHANNELS]>;

/// Every cell that was made, with how many of its calls are up.
pub(super) fn read(ebpf: &Ebpf) -> Result<Vec<(CellKey, u32)>> {
    let own = calls::own(ebpf)?;
    let mut found = Vec::new();
    for name in [OWN, SHARED] {
        for key in map(ebpf, name)?.keys() {
            let key = of_octets(key.context("cannot list the channels of limits")?);
            found.push((key, up_of(ebpf, &own, &key)?));
        }
    }
    Ok(found)
}

/// How many calls of a cell are up.
pub(super) fn up(ebpf: &Ebpf, key: &CellKey) -> Result<u32> {
    up_of(ebpf, &calls::own(ebpf)?, key)
}

/// The same, by the calls of sources that the site vouches for: no other holds a channel.
fn up_of(ebpf: &Ebpf, own: &Own<'_>, key: &CellKey) -> Result<u32> {
    let octets = match map(ebpf, table(key))?.get(&octets_of(key), 0) {
        Ok(octets) => octets,
        Err(MapError::KeyNotFound) => return Ok(0),
        Err(error) => return Err(error).context("cannot read the channels of a limit"),
    };
    let mut holders: Holders = [0; CHANNELS];
    for (holder, word) in holders.iter_mut().zip(octets.chunks_exact(8)) {
        *holder = word.try_into().map_or(0, u64::from_ne_bytes);
    }
    let now = calls::monotonic();
    let is_up = |holder: &&u64| **holder != 0 && calls::is_up(own, **holder, now);
    Ok(holders.iter().filter(is_up).count() as u32)
}

/// Removes a cell; one that is away already is none that could not be removed.
pub(super) fn remove(ebpf: &mut Ebpf, key: &CellKey) -> Result<()> {
    let name = table(key);
    let map = ebpf.map_mut(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
    let mut map: Map<&mut MapData> = map.try_into()?;
    match map.remove(&octets_of(key)) {
        Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        Err(error) => Err(error).context("cannot remove channels that no call holds"),
    }
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> Result<Map<&'a MapData>> {
    Ok(ebpf.map(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?.try_into()?)
}

fn table(key: &CellKey) -> &'static str {
    if key.table() == Table::Shared { SHARED } else { OWN }
}
