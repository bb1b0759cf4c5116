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
    text::DIALLED,
};
use jiff::{SignedDuration, Timestamp};
use rustix::{
    event::epoll,
    time::{ClockId, clock_gettime},
};
use sha2::{Digest as _, Sha256};

use crate::{
    config::Role,
    daemon::{Event, MaskedNumber, Tried},
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

    /// What a source outside that nobody knows dialled, in halves. A string as long as the record keeps may have gone on.
    fn tried(&self, judged: &Judged) -> Option<Tried> {
        let asks = judged.who() == Who::Unproved && judged.method().is_some_and(Method::makes_call);
        let (head, tail) = halves(judged.dialled()).filter(|_| asks && judged.dialled().len() < DIALLED - 1)?;
        let of = |what: &[u8], part: &[u8]| digest(self.0.clone().chain_update(what).chain_update(part));
        Some(Tried { tail: of(b"tail:", tail), head: of(b"head:", head) })
    }
}

/// Digits of the end of a number that stays the same behind different heads: no subscriber's number in use for scans is shorter.
const TAIL: usize = 8;

/// A dialled string without marks behind it, in front of its last digits and from there on; `None` where one of both is not there.
fn halves(dialled: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = dialled.iter().rposition(u8::is_ascii_digit)? + 1;
    let (head, tail) = dialled.get(..end)?.split_at_checked(end.checked_sub(TAIL)?)?;
    (!head.is_empty() && tail.iter().all(u8::is_ascii_digit)).then_some((head, tail))
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
        tried: numbers.tried(judged),
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
    use std::{
        collections::{HashMap, HashSet},
        path::Path,
    };

    use super::*;
    use crate::{config, engine::host::HostEngine, policy, replay};
    use gateway_common::{Reason, Verdict, addr::Addr, judge::Side};

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
    fn what_a_stranger_dials_has_a_head_and_a_tail_and_tells_neither() {
        let dialled = |text: &[u8]| {
            let mut judged = Judged::NOTHING;
            judged.dialled[..text.len()].copy_from_slice(text);
            (judged.dialled_len, judged.method) = (text.len() as u8, Method::Invite as u8);
            judged
        };
        let numbers = Numbers::keyed(7);
        let tried = |text: &[u8]| numbers.tried(&dialled(text)).unwrap();
        let plain = tried(b"00972592277524");
        for other in [&b"+972592277524"[..], b"900972592277524", b"*67592277524", b"0w92277524", b"592277524"] {
            let other = tried(other);
            assert!(other.tail == plain.tail && other.head != plain.head, "{other:?}");
        }
        assert_eq!(tried(b"00972592277524#"), plain);
        assert_ne!(tried(b"00972592277525").tail, plain.tail);
        assert_eq!(tried(b"00972592277525").head, plain.head);
        assert_ne!(Numbers::keyed(8).tried(&dialled(b"00972592277524")), Some(plain));
        for none in [&b""[..], b"203", b"92277524", b"92277524##", b"+9725922*77524", b"##", &[b'7'; DIALLED - 1]] {
            assert_eq!(numbers.tried(&dialled(none)), None, "{none:?}");
        }
        for who in [Who::Lan, Who::Trunk, Who::Known] {
            let judged = Judged { who: who as u8, ..dialled(b"00972592277524") };
            assert_eq!(numbers.tried(&judged), None);
        }
        let options = Judged { method: Method::Options as u8, ..dialled(b"00972592277524") };
        assert_eq!(numbers.tried(&options), None);
    }

    #[test]
    fn the_tail_is_the_same_behind_every_head_whatever_the_plan_makes_of_it() {
        let heads = [
            "",
            "+",
            "0",
            "00",
            "000",
            "0000000000",
            "011",
            "9011",
            "90011",
            "900",
            "0900",
            "810",
            "010",
            "9010",
            "001",
            "0011",
            "1",
            "1234",
            "123456",
            "184010",
            "0033010",
            "*",
            "*67",
            "#",
            "#31#",
            "88",
            "99999",
            "110",
            "112",
        ];
        for (region, text) in [
            ("jp", include_str!("../../policies/jp.toml")),
            ("de", include_str!("../../policies/de.toml")),
            ("us", include_str!("../../policies/us.toml")),
        ] {
            let config = config::parse(text, None, Path::new(".")).unwrap().0;
            let (image, _) = policy::compile(&config, &[], &HashMap::new(), 1).unwrap();
            let numbers = Numbers::keyed(7);
            for number in ["972592277524", "442071838750", "46812111111", "37061234567", "12025550123"] {
                let found = heads.map(|head| {
                    let uri = format!("sip:{head}{number}@gateway.invalid");
                    let frame = replay::invite(Some([198, 51, 100, 9].into()), "", &uri).unwrap();
                    numbers.tried(&HostEngine::new(image.clone()).judge(&frame, Side::Wan, 0, 1_000_000_000)).unwrap()
                });
                assert!(found.iter().all(|it| it.tail == found[0].tail), "{region} {number}");
                let different: HashSet<u64> = found.iter().map(|it| it.head).collect();
                assert_eq!(different.len(), heads.len(), "{region} {number}");
            }
        }
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
