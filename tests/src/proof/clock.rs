//! Limits on a clock that is written by hand: the program in the kernel, in probe mode, and the engine of this process beside it,
//! which must decide the same.

use std::{net::Ipv4Addr, path::Path};

use anyhow::Result;
use gateway_common::{Verdict, judge::Side};
use gateway_user::config;

use crate::{
    differential::{Chance, Pair},
    packet::Frame,
    sip::{Invite, StartLine},
};

const SECOND: u64 = 1_000_000_000;
const SITE: &str = "mode = \"enforce\"\nfloor = false\n[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n\
                    [site]\nregion = \"JP\"\n[ceiling]\nunproved = \"10000000/s\"\nburst = 1000000\n[profile.default]\nlimits = [\"it\"]\n\
                    [limit.it]\nover = \"drop\"\n";

/// A clock, and how it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// What is shown of it.
    pub name: &'static str,
    /// Its first reading.
    pub from: u64,
    /// At most so long between two packets.
    pub step: u64,
    /// Each packet may be so much earlier than the one before, as where another CPU reads the clock.
    pub back: u64,
}

impl Clock {
    /// Whether it comes to its end.
    pub const fn ends(&self) -> bool {
        self.from > u64::MAX / 4 * 3
    }
}

/// Those that a machine has, and those that it will have at the ends of the clock.
pub const CLOCKS: [Clock; 6] = [
    Clock { name: "from 1 ns after boot", from: 1, step: 2_000_000, back: 0 },
    Clock { name: "after 10 days", from: 864_000 * SECOND, step: 2_000_000, back: 0 },
    Clock { name: "after 10 days, 50 us back", from: 864_000 * SECOND, step: 2_000_000, back: 50_000 },
    Clock { name: "slower than the rate", from: 864_000 * SECOND, step: 400_000_000, back: 0 },
    Clock { name: "at 2^63", from: (1 << 63) - 10 * SECOND, step: 2_000_000, back: 0 },
    Clock { name: "up to 2^64 - 1", from: u64::MAX - 20 * SECOND, step: 2_000_000, back: 0 },
];

/// What a limit by rate let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paced {
    /// Packets.
    pub offered: u64,
    /// Those that passed.
    pub admitted: u64,
    /// burst + rate x time from the first packet's clock to the last one's, rounded down.
    pub allowed: u64,
    /// The most by which any stretch of time held more than burst + rate x its length.
    pub over: u64,
}

/// Packets of one source, 20,000 or until the clock ends, against 10 a second and 20 at once.
///
/// # Errors
/// Where kernel and host decide otherwise about one packet, or the kernel refuses.
pub fn pace(clock: Clock) -> Result<Paced> {
    const BURST: u64 = 20;
    const INTERVAL: u64 = SECOND / 10;
    let text = format!("{SITE}key = \"source\"\nmethod = \"OPTIONS\"\nrate = \"10/s\"\nburst = {BURST}\n");
    let mut pair = Pair::new(&config::parse(&text, None, Path::new("."))?.0)?;
    let frame =
        Frame::udp((Ipv4Addr::new(192, 0, 2, 9), 5060), (Ipv4Addr::new(198, 51, 100, 1), 5060), OPTIONS).build()?;
    let mut chance = Chance(0x5eed);
    let (mut now, mut first, mut last, mut offered) = (clock.from, u64::MAX, 0, 0);
    let mut admitted: Vec<u64> = Vec::new();
    for _ in 0..20_000 {
        let read = if clock.back > 0 { now.saturating_sub(chance.draw() % clock.back) } else { now };
        offered += 1;
        (first, last) = (first.min(read), last.max(read));
        if pair.check(&clock.name, &frame, Side::Wan, 0, read)?.verdict() == Verdict::Pass {
            admitted.push(read);
        }
        let Some(next) = now.checked_add(chance.draw() % clock.step) else { break };
        now = next;
    }
    admitted.sort_unstable();
    let mut over = 0;
    for (i, from) in admitted.iter().enumerate() {
        for (j, to) in admitted.iter().enumerate().skip(i) {
            over = over.max(((j - i) as u64 + 1).saturating_sub(BURST + (to - from) / INTERVAL));
        }
    }
    let allowed = BURST + (last - first) / INTERVAL;
    Ok(Paced { offered, admitted: admitted.len() as u64, allowed, over })
}

const OPTIONS: &str = "OPTIONS sip:198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                       To: <sip:b@b>\r\nCall-ID: 1@b\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

/// Windows of a limit: how many calls in how many seconds, all at once.
pub type Windows = &'static [(usize, u64)];

/// Those that are tried: the least, the largest, those of the shipped policy, and windows that meet at their edges.
pub const WINDOWS: [Windows; 5] =
    [&[(1, 1)], &[(5, 60)], &[(64, 3600)], &[(5, 60), (6, 300), (10, 3600), (30, 86_400)], &[(2, 2), (3, 3), (4, 4)]];

/// What windows let through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Windowed {
    /// Calls.
    pub offered: u64,
    /// Those that passed.
    pub admitted: u64,
    /// Calls that passed although a window was full.
    pub too_many: u64,
    /// Calls that were refused although no window was.
    pub too_few: u64,
}

/// Calls of one telephone, each of its own, in clusters and with pauses as long as the windows are, to the nanosecond.
///
/// # Errors
/// As [`pace`].
pub fn windows(windows: Windows, calls: u64) -> Result<Windowed> {
    let list: Vec<String> = windows.iter().map(|(calls, seconds)| format!("\"{calls}/{seconds}s\"")).collect();
    let text = format!("{SITE}key = \"source\"\nwindows = [{}]\n", list.join(", "));
    let mut pair = Pair::new(&config::parse(&text, None, Path::new("."))?.0)?;
    let from = (Ipv4Addr::new(192, 168, 0, 9), 5060);
    let mut chance = Chance(0xca11 + windows.len() as u64);
    let (mut now, mut result) = (864_000 * SECOND, Windowed::default());
    let mut admitted: Vec<u64> = Vec::new();
    for number in 0..calls {
        let call = Invite::new(StartLine::plain("sip:0312345678@198.51.100.1"), from.into()).to_bytes();
        let frame = Frame::udp(from, (Ipv4Addr::new(198, 51, 100, 1), 5060), call).build()?;
        let what = format!("windows {windows:?}, call {number}");
        let passes = pair.check(&what, &frame, Side::Lan, 0, now)?.verdict() == Verdict::Pass;
        let full = windows.iter().any(|&(calls, seconds)| {
            admitted.iter().rev().take_while(|&&time| now - time < seconds * SECOND).count() >= calls
        });
        result.offered += 1;
        result.too_many += u64::from(passes && full);
        result.too_few += u64::from(!passes && !full);
        if passes {
            result.admitted += 1;
            admitted.push(now);
        }
        let (calls, seconds) = windows.get(chance.below(windows.len())).copied().unwrap_or((1, 1));
        let time = seconds * SECOND;
        let behind = |back: usize| admitted.len().checked_sub(1 + back).and_then(|at| admitted.get(at));
        now = if chance.one_in(2 * calls + 4) {
            // The very end of a window, and the nanosecond before it, behind one of the calls that fill it; or half of it passes.
            match chance.below(5) {
                0 | 1 => behind(chance.below(calls)).map_or(now, |call| now.max(call + time)),
                2 | 3 => behind(chance.below(calls)).map_or(now, |call| now.max(call + time - 1)),
                _ => now + time / 2,
            }
        } else if chance.one_in(2) {
            now + chance.draw() % (time / calls as u64)
        } else {
            now + chance.draw() % 1_000_000
        };
    }
    Ok(result)
}
