//! What a loaded filter takes of the kernel's memory, by the kernel's own account.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd as _},
};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf,
    maps::{ArrayOfMaps, Map, MapData},
};

/// Octets of each map, of the policy in force, and of the programs that are loaded.
pub(super) fn of(ebpf: &Ebpf) -> Result<Vec<(String, u64)>> {
    let mut parts = Vec::new();
    for (name, map) in ebpf.maps() {
        let (Map::Array(data)
        | Map::ArrayOfMaps(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::ProgramArray(data)
        | Map::RingBuf(data)) = map
        else {
            bail!("the map {name} is of a kind whose memory is not asked for");
        };
        parts.push((name.to_owned(), locked(data.fd())?));
        if matches!(map, Map::ArrayOfMaps(_)) {
            let slot: ArrayOfMaps<&MapData, MapData> = map.try_into()?;
            let policy = slot.get(&0, 0).context("there is no policy in force")?;
            parts.push((format!("{name}[0]"), locked(policy.fd())?));
        }
    }
    let mut programs = 0;
    for (name, program) in ebpf.programs() {
        // One that is not loaded has none.
        let Ok(info) = program.info() else { continue };
        let locked = info.memory_locked().with_context(|| format!("the kernel does not tell the size of {name}"))?;
        programs += u64::from(locked) + u64::from(info.size_jitted());
    }
    parts.push(("programs".to_owned(), programs));
    Ok(parts)
}

/// Octets of one map (bpf(2), the line `memlock` of its descriptor).
fn locked(map: impl AsFd) -> Result<u64> {
    let number = map.as_fd().as_raw_fd();
    let text = fs::read_to_string(format!("/proc/thread-self/fdinfo/{number}")).context("cannot ask for a map")?;
    let octets = text.lines().find_map(|line| line.strip_prefix("memlock:")?.trim().parse().ok());
    octets.ok_or_else(|| anyhow!("the kernel does not tell the size of a map"))
}
