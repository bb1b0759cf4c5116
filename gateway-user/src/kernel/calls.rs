//! What the filter knows of calls, of sources and of its site.

#![expect(unsafe_code, reason = "a record of the kernel's tables is read as its octets")]

use std::{net::IpAddr, os::fd::AsFd as _, time::Duration};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, Map as AnyMap, MapData, MapError},
};
use gateway_common::{
    Class,
    addr::Addr,
    call::{CALL, Call, PLACES, State},
    judged::Who,
    site::{ARMED, HINTS, SPARED, Site, hint},
};
use rustix::time::{ClockId, clock_gettime};

use super::{
    events::{Clocks, country},
    mapped::Mapped,
};
use crate::{
    control::exposure::Port,
    daemon::{CallState, FromOutside, SiteState},
    policy::charged::{addr, address},
};

const WORDS: usize = HINTS as usize / 64;
/// Sources that the table of known ones has room for.
const ROOM: u32 = 16_384;
/// Twice as many records as the table of calls has room for.
const LONGEST_WALK: usize = 65_536;
/// BPF_NOEXIST: what is there stays.
const NOEXIST: u64 = 1;

/// What was learned of a site, as the kernel keeps it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Learned(Site);

// SAFETY: three words, of which every value is one.
unsafe impl Pod for Learned {}

/// Calls that are set up or go on, the oldest first.
pub(super) fn list(ebpf: &Ebpf, clocks: Clocks) -> Result<Vec<CallState>> {
    let now = monotonic();
    let mut calls: Vec<CallState> =
        records(ebpf)?.iter().filter(|call| call.is_up(now)).map(|call| shown(call, clocks)).collect();
    calls.sort_by_key(|call| call.since);
    Ok(calls)
}

/// Calls and registrations of sources outside, also those that are over: the tables keep them until there is no more room.
pub(super) fn outside_calls(ebpf: &Ebpf, clocks: Clocks) -> Result<Vec<FromOutside>> {
    Ok(records(ebpf)?.iter().filter_map(|call| outside(call, clocks)).collect())
}

fn outside(call: &Call, clocks: Clocks) -> Option<FromOutside> {
    let who = Who::from_u8(call.who).filter(|who| matches!(who, Who::Known | Who::Unproved))?;
    // What a limit refused did not reach the host; what nobody answered proves nothing of it.
    let answered = matches!(call.state(), State::Ringing | State::Challenged | State::Answered | State::Ended);
    Some(FromOutside {
        source: address(call.caller),
        host: address(call.callee),
        port: Port { transport: if call.tcp != 0 { "tcp" } else { "udp" }.to_owned(), port: call.port },
        registers: call.registers(),
        answered,
        who,
        line: call.line,
        last: clocks.wall(call.last),
    })
}

fn shown(call: &Call, clocks: Clocks) -> CallState {
    CallState {
        state: call.state(),
        caller: address(call.caller),
        callee: address(call.callee),
        who: Who::from_u8(call.who).unwrap_or(Who::Unproved),
        class: Class::from_u8(call.class).unwrap_or(Class::None),
        country: country(call.country),
        since: clocks.wall(call.begun),
    }
}

/// What was learned of the site.
pub(super) fn site(ebpf: &Ebpf, clocks: Clocks) -> Result<SiteState> {
    let Learned(site) = learned(ebpf)?;
    let now = monotonic();
    let known = table::<[u64; 2], u64>(ebpf, "KNOWN")?;
    let known = known.iter().filter_map(Result::ok).filter(|(_, until)| *until > now).count();
    let answered = (site.answered != 0).then(|| clocks.wall(site.answered));
    let armed = (site.armed == 0 && site.answered != 0).then(|| clocks.wall(site.answered.saturating_add(ARMED)));
    Ok(SiteState {
        known: u32::try_from(known).unwrap_or(ROOM),
        room: ROOM,
        answered,
        armed: site.armed != 0,
        arms: armed,
    })
}

/// What a filter that has seen nothing yet must know: a key for its digests, so that nobody can choose a Call-ID that
/// collides; and until when requests of calls that were up before it are spared. Returns the key.
pub(super) fn begin(ebpf: &mut Ebpf) -> Result<u64> {
    let Learned(mut site) = learned(ebpf)?;
    if site.seed != 0 {
        return Ok(site.seed);
    }
    let mut octets = [0; 8];
    rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty())
        .context("the kernel gives no chance")?;
    site.seed = u64::from_ne_bytes(octets) | 1;
    site.spared = monotonic().saturating_add(SPARED);
    learn(ebpf, site).context("cannot key the table of calls")?;
    Ok(site.seed)
}

fn learn(ebpf: &mut Ebpf, site: Site) -> Result<()> {
    let map = ebpf.map_mut("SITE").ok_or_else(|| anyhow!("the BPF object has no map SITE"))?;
    let mut map: Array<_, Learned> = map.try_into()?;
    map.set(0, Learned(site), 0).context("cannot write what was learned of the site")
}

/// Notes that some source was banned: until then nobody is looked for among the bans.
pub(super) fn note_ban(ebpf: &mut Ebpf) -> Result<()> {
    let Learned(mut site) = learned(ebpf)?;
    if site.bans != 0 {
        return Ok(());
    }
    site.bans = 1;
    // What the program learns meanwhile is undone, and learned again with the next answer.
    learn(ebpf, site)
}

/// Until when a source is present; 0 where it is not.
pub(super) fn present_until(ebpf: &Ebpf, source: u64) -> Result<u64> {
    match table::<u64, u64>(ebpf, "PRESENT")?.get(&source, 0) {
        Ok(until) => Ok(until),
        Err(MapError::KeyNotFound) => Ok(0),
        Err(error) => Err(error).context("cannot read which sources are present"),
    }
}

/// Sources that are known, and until when.
pub(super) fn known(ebpf: &Ebpf) -> Result<Vec<(IpAddr, u64)>> {
    let now = monotonic();
    let entries: Vec<([u64; 2], u64)> =
        table::<[u64; 2], u64>(ebpf, "KNOWN")?.iter().collect::<Result<_, _>>().context("cannot read KNOWN")?;
    let known = entries.into_iter().filter(|(_, until)| *until > now);
    Ok(known.map(|([hi, lo], until)| (address(Addr { hi, lo }), until)).collect())
}

/// Makes sources known that are not. Their hints are written first: a source without one is not looked up. What becomes known
/// meanwhile may lose its hint, as in [`tidy`], and is taken for an unknown source until it registers again.
pub(super) fn make_known(ebpf: &mut Ebpf, sources: &[(IpAddr, u64)]) -> Result<()> {
    let sources: Vec<(Addr, u64)> = sources.iter().map(|(source, until)| (addr(*source), *until)).collect();
    let map = ebpf.map_mut("HINTS_MAP").ok_or_else(|| anyhow!("the BPF object has no map HINTS_MAP"))?;
    let mut map: Array<_, [u64; WORDS]> = map.try_into()?;
    let mut hints = map.get(&0, 0).context("cannot read the hints")?;
    for (source, _) in &sources {
        let bit = hint(*source) as usize;
        hints[bit / 64] |= 1 << (bit % 64);
    }
    map.set(0, hints, 0).context("cannot write the hints")?;
    let map = ebpf.map_mut("KNOWN").ok_or_else(|| anyhow!("the BPF object has no map KNOWN"))?;
    let mut map: HashMap<_, [u64; 2], u64> = map.try_into()?;
    for (source, until) in sources {
        match map.insert([source.hi, source.lo], until, NOEXIST) {
            // It registered meanwhile, and is known for longer.
            Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::EEXIST) => {}
            inserted => inserted.context("cannot make a source known")?,
        }
    }
    Ok(())
}

/// Forgets sources whose time is over. Hints are made anew only then: a source that becomes known meanwhile may be taken for
/// an unknown one until it registers again.
pub(super) fn tidy(ebpf: &mut Ebpf) -> Result<()> {
    let now = monotonic();
    let entries: Vec<([u64; 2], u64)> =
        table::<[u64; 2], u64>(ebpf, "KNOWN")?.iter().collect::<Result<_, _>>().context("cannot read KNOWN")?;
    let mut hints = [0u64; WORDS];
    let mut over = Vec::new();
    for (key, until) in entries {
        if until <= now {
            over.push(key);
        } else {
            let bit = hint(Addr { hi: key[0], lo: key[1] }) as usize;
            hints[bit / 64] |= 1 << (bit % 64);
        }
    }
    if over.is_empty() {
        return Ok(());
    }
    let map = ebpf.map_mut("KNOWN").ok_or_else(|| anyhow!("the BPF object has no map KNOWN"))?;
    let mut map: HashMap<_, [u64; 2], u64> = map.try_into()?;
    for key in over {
        map.remove(&key).context("cannot forget a source")?;
    }
    let map = ebpf.map_mut("HINTS_MAP").ok_or_else(|| anyhow!("the BPF object has no map HINTS_MAP"))?;
    let mut map: Array<_, [u64; WORDS]> = map.try_into()?;
    map.set(0, hints, 0).context("cannot write the hints")
}

fn learned(ebpf: &Ebpf) -> Result<Learned> {
    let map = ebpf.map("SITE").ok_or_else(|| anyhow!("the BPF object has no map SITE"))?;
    let map: Array<_, Learned> = map.try_into()?;
    map.get(&0, 0).context("cannot read what was learned of the site")
}

fn table<'a, K: Pod, V: Pod>(ebpf: &'a Ebpf, name: &str) -> Result<HashMap<&'a MapData, K, V>> {
    let map = ebpf.map(name).ok_or_else(|| anyhow!("the BPF object has no map {name}"))?;
    Ok(map.try_into()?)
}

/// Calls of sources that the site vouches for, by the digest of their Call-ID.
pub(super) type Own<'a> = HashMap<&'a MapData, u64, [u8; CALL]>;

/// Opens the table of calls of sources that the site vouches for.
pub(super) fn own(ebpf: &Ebpf) -> Result<Own<'_>> {
    table(ebpf, "CALLS")
}

/// Whether a call of that table is up.
pub(super) fn is_up(own: &Own<'_>, id: u64, now: u64) -> bool {
    own.get(&id, 0).is_ok_and(|octets| Call::from_octets(&octets).is_up(now))
}

/// Every record of calls of sources that the site vouches for, with the digest of its Call-ID. A record that goes meanwhile sends the
/// walk back to the beginning, so some may come twice.
pub(super) fn own_records(ebpf: &Ebpf) -> Result<Vec<(u64, Call)>> {
    let mut found = Vec::new();
    for entry in own(ebpf)?.iter().take(LONGEST_WALK) {
        let (id, octets) = entry.context("cannot read the calls")?;
        found.push((id, Call::from_octets(&octets)));
    }
    Ok(found)
}

/// Every record of the tables, also of calls that are over.
pub(super) fn records(ebpf: &Ebpf) -> Result<Vec<Call>> {
    let mut found: Vec<Call> = own_records(ebpf)?.into_iter().map(|(_, call)| call).collect();
    let (name, octets) = OTHERS;
    let Some(AnyMap::Array(others)) = ebpf.map(name) else { bail!("the BPF object has no map {name}") };
    let others = Mapped::of(others.fd().as_fd(), octets).context("cannot read the calls")?.copy();
    found.extend(others.chunks_exact(PLACE).filter_map(in_place));
    Ok(found)
}

/// The calls of others, each in a place of its own, and octets of all: see `CALLS_OTHER` of the programs.
pub(super) const OTHERS: (&str, usize) = ("CALLS_OTHER", PLACES as usize * PLACE * 8);
/// Words of a place: whether somebody writes there, the Call-ID, the call.
const PLACE: usize = 2 + CALL / 8;

fn in_place(place: &[u64]) -> Option<Call> {
    let (id, words) = (*place.get(1)?, place.get(2..)?);
    let mut octets = [0; CALL];
    for (octet, value) in octets.iter_mut().zip(words.iter().flat_map(|word| word.to_ne_bytes())) {
        *octet = value;
    }
    (id != 0).then(|| Call::from_octets(&octets))
}

/// The clock of the kernel's records, nanoseconds.
pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(Duration::new(now.tv_sec as u64, now.tv_nsec as u32).as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use gateway_common::Reason;

    use super::*;

    #[test]
    fn a_record_of_a_source_outside_says_what_its_host_did() {
        let clocks = Clocks::now();
        let call = Call {
            caller: Addr::v4(0xc633_6407),
            callee: Addr::v4(0xc000_0201),
            who: Who::Unproved as u8,
            reason: Reason::SipOther as u8,
            line: 5,
            last: 1,
            ..Call::default()
        };
        let found = |state: State| outside(&Call { state: state as u8, ..call }, clocks).unwrap();
        let told = found(State::Challenged);
        assert_eq!((told.source.to_string(), told.host.to_string()), ("198.51.100.7".into(), "192.0.2.1".into()));
        assert!(told.registers && told.answered && told.line == 5, "{told:?}");
        assert!(!found(State::Invited).answered && !found(State::Refused).answered);
        assert!(!outside(&Call { reason: Reason::Allowed as u8, ..call }, clocks).unwrap().registers);
        for who in [Who::Lan, Who::Trunk] {
            assert_eq!(outside(&Call { who: who as u8, ..call }, clocks), None, "{}", who.as_str());
        }
    }
}
