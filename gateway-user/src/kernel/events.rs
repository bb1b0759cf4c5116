//! Events: two ring buffers, so that trunk and lan sources have a lane that others cannot fill.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{Map, MapData, RingBuf},
};
use gateway_common::{
    Method,
    judged::{Judged, Who},
};
use jiff::{SignedDuration, Timestamp};
use rustix::{
    event::epoll,
    time::{ClockId, clock_gettime},
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::Role,
    daemon::{Event, MaskedNumber},
    numbering,
    policy::charged::address,
};

/// The rings, and one descriptor that tells of both.
pub(super) struct Events {
    rings: Vec<RingBuf<MapData>>,
    epoll: OwnedFd,
}

impl Events {
    /// Opens the rings of a loaded object. Its programs must have been loaded, since this takes the maps.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot wait for events")?;
        let mut rings = Vec::new();
        for name in ["EVENTS_OWN", "EVENTS"] {
            let map: Map = ebpf.take_map(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
            let ring = RingBuf::try_from(map).with_context(|| format!("cannot read the events of {name}"))?;
            watch(&epoll, ring.as_fd())?;
            rings.push(ring);
        }
        Ok(Self { rings, epoll })
    }

    /// Readable when events wait.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Adds another descriptor to wait on, which leaves by being closed.
    pub(super) fn watch(&self, fd: BorrowedFd<'_>) -> Result<()> {
        watch(&self.epoll, fd)
    }

    /// Hands over every record that waits; those that are cut short are left out.
    pub(super) fn drain(&mut self, sink: &mut dyn FnMut(Judged)) {
        for ring in &mut self.rings {
            while let Some(item) = ring.next() {
                if let Some(judged) = Judged::from_octets(&item) {
                    drop(item);
                    sink(judged);
                }
            }
        }
    }
}

fn watch(epoll: &OwnedFd, fd: BorrowedFd<'_>) -> Result<()> {
    epoll::add(epoll, fd, epoll::EventData::new_u64(0), epoll::EventFlags::IN).context("cannot wait for events")
}

/// The wall clock and the clock of the kernel's records, read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    wall: Timestamp,
    monotonic: Duration,
}

impl Clocks {
    pub(super) fn now() -> Self {
        let now = clock_gettime(ClockId::Monotonic);
        Self { wall: Timestamp::now(), monotonic: Duration::new(now.tv_sec as u64, now.tv_nsec as u32) }
    }

    /// The wall time of a record, or of what the kernel waits for; 0 is one of which the kernel noted none.
    pub(super) fn wall(&self, nanoseconds: u64) -> Timestamp {
        if nanoseconds == 0 {
            return self.wall;
        }
        let of = |time: Duration| SignedDuration::try_from(time).unwrap_or_default();
        let from_now = of(Duration::from_nanos(nanoseconds)).saturating_sub(of(self.monotonic));
        self.wall.checked_add(from_now).unwrap_or(self.wall)
    }
}

/// Digests of numbers, keyed by what the filter's tables are: two of one number are alike, and neither tells it.
pub(super) struct Numbers(Sha256);

impl Numbers {
    /// With the key of this run of the filter.
    pub(super) fn keyed(seed: u64) -> Self {
        Self(Sha256::new_with_prefix(seed.to_ne_bytes()))
    }

    /// What tells this run of the filter from others.
    pub(super) fn run(&self) -> u64 {
        digest(self.0.clone())
    }

    fn of(&self, judged: &Judged) -> u64 {
        let passed = judged.verdict().passes() && matches!(judged.who(), Who::Lan | Who::Known);
        if !passed || !judged.method().is_some_and(Method::makes_call) || judged.dialled().is_empty() {
            return 0;
        }
        let mut hash = self.0.clone();
        let digits: Vec<u8> = judged.e164().collect();
        if digits.is_empty() {
            hash.update(b"dial:");
            hash.update(judged.dialled());
        } else {
            hash.update(b"+");
            hash.update(digits);
        }
        digest(hash).max(1)
    }
}

fn digest(hash: Sha256) -> u64 {
    hash.finalize().first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// The event of a record that came in on `side`, as `interface` is called.
pub(super) fn event(judged: &Judged, clocks: Clocks, interface: String, side: Role, numbers: &Numbers) -> Event {
    Event {
        time: clocks.wall(judged.time),
        verdict: judged.verdict(),
        reason: judged.reason(),
        method: judged.method(),
        class: judged.class(),
        country: country(judged.country),
        number: number(judged),
        callee: numbers.of(judged),
        source: address(judged.source),
        interface,
        side,
        who: judged.who(),
        generation: judged.generation.into(),
        policy: None,
        decided: None,
        line: judged.line,
        clock: judged.time,
        held: Vec::new(),
    }
}

/// The ISO code of a country, by its number in the policy image.
pub(super) fn country(number: u16) -> Option<&'static str> {
    numbering::country_codes().get(usize::from(number).checked_sub(1)?).copied()
}

fn number(judged: &Judged) -> Option<MaskedNumber> {
    let digits: String = judged.e164().map(char::from).collect();
    if !digits.is_empty() {
        return Some(MaskedNumber::of(&digits));
    }
    let dialled = judged.dialled();
    (!dialled.is_empty()).then(|| MaskedNumber::dialled(&String::from_utf8_lossy(dialled)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_common::{Reason, Verdict, addr::Addr};

    #[test]
    fn a_record_becomes_an_event_without_its_number() {
        let mut judged = Judged::NOTHING;
        judged.verdict = Verdict::Drop as u8;
        judged.reason = Reason::BlockedCountry as u8;
        judged.dialled[..14].copy_from_slice(b"01023276123456");
        judged.dialled_len = 14;
        judged.e164_at = 3;
        judged.source = Addr::v4(0xc000_0242);
        judged.time = 5;
        let clocks = Clocks { wall: Timestamp::UNIX_EPOCH, monotonic: Duration::from_nanos(1_000_000_005) };
        let event = |judged: &Judged| event(judged, clocks, "eth0".into(), Role::Wan, &Numbers::keyed(7));
        let found = event(&judged);
        assert_eq!(found.number.unwrap().as_str(), "+232 76••••••");
        assert_eq!(found.source.to_string(), "192.0.2.66");
        assert_eq!(found.time, Timestamp::from_second(-1).unwrap());
        assert_eq!((found.verdict, found.reason), (Verdict::Drop, Reason::BlockedCountry));

        judged.e164_at = gateway_common::judged::NO_NUMBER;
        judged.time = 0;
        let found = event(&judged);
        assert_eq!(found.number.unwrap().as_str(), "01••••••••••••");
        assert_eq!(found.time, Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn one_number_has_one_digest_however_it_is_dialled_and_none_without_the_key() {
        let dialled = |text: &[u8], e164_at: u8| {
            let mut judged = Judged::NOTHING;
            judged.dialled[..text.len()].copy_from_slice(text);
            (judged.dialled_len, judged.e164_at) = (text.len() as u8, e164_at);
            (judged.method, judged.who) = (Method::Invite as u8, Who::Lan as u8);
            judged
        };
        let numbers = Numbers::keyed(7);
        let plus = numbers.of(&dialled(b"+23276123456", 1));
        assert_eq!(numbers.of(&dialled(b"01023276123456", 3)), plus);
        assert_ne!(numbers.of(&dialled(b"01023276123457", 3)), plus);
        assert_ne!(numbers.of(&dialled(b"23276123456", gateway_common::judged::NO_NUMBER)), plus);
        assert_ne!(Numbers::keyed(8).of(&dialled(b"+23276123456", 1)), plus);
        assert_ne!(Numbers::keyed(8).run(), numbers.run());
        let mut other = dialled(b"+23276123456", 1);
        other.who = Who::Trunk as u8;
        assert_eq!((numbers.of(&other), numbers.of(&dialled(b"", 0))), (0, 0));
    }

    #[test]
    fn countries_count_from_one() {
        assert_eq!(country(0), None);
        assert_eq!(country(1), numbering::country_codes().first().copied());
        assert_eq!(country(u16::MAX), None);
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(address(Addr { hi: 0x2001_0db8 << 32, lo: 1 }).to_string(), "2001:db8::1");
    }
}
