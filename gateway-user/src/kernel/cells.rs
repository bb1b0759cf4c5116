//! Cells that remember their calls, as user space reads and writes them.

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
};
use gateway_common::limit::{
    CellKey, Table,
    window::{CALLS, RING, Ring},
};

use super::calls;

/// Octets of a cell: its lock and padding, then the ring.
pub(super) const CELL: usize = 8 + RING;
/// The map of lines, sources and networks.
pub(super) const WINDOWS: &str = "WINDOWS";
/// The map of the site and of countries.
pub(super) const SHARED: &str = "SHARED";
/// The map of bans.
pub(super) const BANS: &str = "BANS";
/// BPF_F_LOCK: a cell is read and written under its lock.
const LOCK: u64 = 4;

type Map<M> = HashMap<M, [u8; 16], [u8; CELL]>;

/// Every cell.
pub(super) fn read(ebpf: &Ebpf) -> Result<Vec<(CellKey, Ring)>> {
    let mut found = Vec::new();
    for name in [WINDOWS, SHARED, BANS] {
        let map = ebpf.map(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
        let map: Map<&MapData> = map.try_into()?;
        for key in map.keys() {
            let key = key.context("cannot list the cells of limits")?;
            match map.get(&key, LOCK) {
                Ok(cell) => found.extend(ring(&cell).map(|ring| (of_octets(key), ring))),
                // Somebody removed it meanwhile.
                Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error).context("cannot read a cell of a limit"),
            }
        }
    }
    Ok(found)
}

/// One cell.
pub(super) fn read_one(ebpf: &Ebpf, key: &CellKey) -> Result<Option<Ring>> {
    let name = table(key);
    let map = ebpf.map(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
    let map: Map<&MapData> = map.try_into()?;
    match map.get(&octets_of(key), LOCK) {
        Ok(cell) => Ok(ring(&cell)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error).context("cannot read a cell of a limit"),
    }
}

/// Writes a cell, or removes it; one that is away already is none that could not be removed.
pub(super) fn write(ebpf: &mut Ebpf, key: &CellKey, ring: Option<&Ring>) -> Result<()> {
    let name = table(key);
    let map = ebpf.map_mut(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
    let mut map: Map<&mut MapData> = map.try_into()?;
    match ring {
        Some(ring) => {
            map.insert(octets_of(key), octets(ring), LOCK).context("cannot write a cell of a limit")?;
            if key.table() == Table::Bans { calls::note_ban(ebpf) } else { Ok(()) }
        }
        None => match map.remove(&octets_of(key)) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            Err(error) => Err(error).context("cannot remove a cell of a limit"),
        },
    }
}

/// The map that a cell stands in.
const fn table(key: &CellKey) -> &'static str {
    match key.table() {
        Table::Own => WINDOWS,
        Table::Shared => SHARED,
        Table::Bans => BANS,
    }
}

pub(super) fn of_octets(key: [u8; 16]) -> CellKey {
    let word = |at: usize| key.get(at..at + 4).and_then(|it| it.try_into().ok()).map_or(0, u32::from_ne_bytes);
    let value = key.last_chunk().copied().map_or(0, u64::from_ne_bytes);
    CellKey { limit: word(0), kind: word(4), value }
}

pub(super) fn octets_of(key: &CellKey) -> [u8; 16] {
    let mut out = [0; 16];
    let values = [key.limit.to_ne_bytes(), key.kind.to_ne_bytes()].into_iter().flatten().chain(key.value.to_ne_bytes());
    for (octet, value) in out.iter_mut().zip(values) {
        *octet = value;
    }
    out
}

fn ring(cell: &[u8; CELL]) -> Option<Ring> {
    let mut words = cell.chunks_exact(8).skip(1).filter_map(|word| word.try_into().ok()).map(u64::from_ne_bytes);
    let mut next = || words.next();
    let [admitted, first, used, until, since, refused, cause] =
        [next()?, next()?, next()?, next()?, next()?, next()?, next()?];
    let mut calls = [0; CALLS];
    for call in &mut calls {
        *call = next()?;
    }
    Some(Ring { admitted, first, used, until, since, refused, cause, calls })
}

fn octets(ring: &Ring) -> [u8; CELL] {
    let Ring { admitted, first, used, until, since, refused, cause, calls } = *ring;
    let words = [0, admitted, first, used, until, since, refused, cause].into_iter().chain(calls);
    let mut out = [0; CELL];
    for (octet, value) in out.iter_mut().zip(words.flat_map(u64::to_ne_bytes)) {
        *octet = value;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_keys_survive_the_way_into_the_kernel_and_back() {
        let mut it =
            Ring { admitted: 1, first: 2, used: 3, until: 4, since: 5, refused: 6, cause: 7, calls: [0; CALLS] };
        for (call, n) in it.calls.iter_mut().zip(8..) {
            *call = n;
        }
        assert_eq!(ring(&octets(&it)), Some(it));
        let key = CellKey { limit: 0x0102_0304, kind: 0x0506_0708, value: 0x090a_0b0c_0d0e_0f10 };
        assert_eq!(of_octets(octets_of(&key)), key);
    }
}
