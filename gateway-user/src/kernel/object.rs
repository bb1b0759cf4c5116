//! The BPF object: compiled in, or a file that a developer names; what maps it defines.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, anyhow};
use aya_obj::Object;
use gateway_common::policy::image::FORMAT_V1;
use sha2::{Digest as _, Sha256};

/// The environment variable that names a BPF object to load in place of the one compiled in.
pub const OBJECT: &str = "TOLLGATE_EBPF_OBJECT";

static PLAIN: &[u8] = aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/tollgate.bpfel.o"));
static TRACING: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/tollgate-trace.bpfel.o"));

/// The maps that outlive a program: the state of the filter.
pub(super) const KEPT: [&str; 19] = [
    "POLICY",
    "LIMITS",
    "WINDOWS",
    "SHARED",
    "BANS",
    "CHANNELS",
    "CHANNELS_SHARED",
    "FAILED",
    "GIVEN",
    "PRESENT",
    "CALLS",
    "CALLS_OTHER",
    "KNOWN",
    "HINTS_MAP",
    "SITE",
    "COUNTERS_MAP",
    "EVENTS",
    "EVENTS_OWN",
    "REFUSED",
];

/// The object that filters.
pub(super) fn plain() -> Result<Cow<'static, [u8]>> {
    match std::env::var_os(OBJECT) {
        Some(path) => {
            let octets = std::fs::read(&path).with_context(|| {
                format!("cannot read the BPF object {}, which {OBJECT} names; unset it", path.display())
            })?;
            Ok(octets.into())
        }
        None => Ok(PLAIN.into()),
    }
}

/// The same filter with traces.
pub(super) fn tracing() -> &'static [u8] {
    TRACING
}

/// What a map is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) kind: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
}

impl Definition {
    fn of(map: &aya_obj::Map) -> Self {
        Self {
            kind: map.map_type(),
            key_size: map.key_size(),
            value_size: map.value_size(),
            max_entries: map.max_entries(),
            flags: map.map_flags(),
        }
    }
}

/// The maps of [`KEPT`] as an object defines them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) maps: BTreeMap<&'static str, Definition>,
    /// Names the layout of everything in them: 16 hexadecimal digits.
    pub(super) digest: String,
}

impl Schema {
    /// Reads the definitions of an object.
    pub(super) fn of(octets: &[u8]) -> Result<Self> {
        let object =
            Object::parse(octets).map_err(|error| anyhow!("the BPF object cannot be read, build it anew: {error}"))?;
        let mut maps = BTreeMap::new();
        let mut text = format!("image {FORMAT_V1:x}\n");
        for name in KEPT {
            let map = object.maps.get(name).ok_or_else(|| {
                anyhow!("the BPF object has no map {name}: it was built from other sources, build it anew")
            })?;
            let inner = map.inner().map(|inner| Definition::of(&inner));
            writeln!(text, "{name} {:?} {inner:?}", Definition::of(map))?;
            maps.insert(name, Definition::of(map));
        }
        let digest = Sha256::digest(text.as_bytes());
        let head = digest.first_chunk().copied().map_or(0, u64::from_be_bytes);
        Ok(Self { maps, digest: format!("{head:016x}") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_define_what_is_kept_alike() {
        let plain = Schema::of(PLAIN).unwrap();
        assert_eq!(plain, Schema::of(TRACING).unwrap());
        assert_eq!(plain.digest.len(), 16);
        assert_eq!(plain.maps["WINDOWS"].key_size, 16);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(Schema::of(b"").is_err());
        assert!(Schema::of(&PLAIN[..PLAIN.len() / 2]).is_err());
    }
}
