//! A flood of forged packets, each of a source that appears once, among telephones that the PBX knows and new ones.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    forge::{Template, Wire},
    gate::{Gate, Reasons, since},
    policy,
};
use crate::{
    link::{self, End},
    netns::Namespace,
    network::{self, Network, SIP_PORT},
    sip::{Caller, Invite, Message, Outcome, Pbx, StartLine, Timers},
};

/// Forged packets a second.
const PACE: u32 = 100_000;
/// Forged packets in a row.
const PART: u64 = 12;
/// Telephones that the PBX knows, and new ones, by the last octet of their addresses.
const KNOWN: std::ops::Range<u8> = 100..200;
const NEW: std::ops::Range<u8> = 200..250;
/// A known telephone that calls more often than its limit allows, by the last octet of its address.
const GREEDY: u8 = 50;
/// Its calls a second, and what the shipped policy admits of them.
const GREED: u32 = 50;
const GREEDY_BURST: u32 = 320;
const GREEDY_RATE: u32 = 10;
/// A new telephone rings if one of so many transmissions is answered: the first and two more.
const TRANSMISSIONS: u64 = 3;

/// How the gateway meets the flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defence {
    /// By the shipped policy as it is.
    Shipped,
    /// By that policy with a limit of so many a second that sources outside share, for each of INVITE, REGISTER and OPTIONS.
    Limited(u32),
    /// By that policy and `tollgate shield on`.
    Shield,
}

/// What the forged INVITEs dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// A number in Sierra Leone, which the policy blocks.
    Blocked,
    /// A number in Tokyo.
    Domestic,
}

/// A flood.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// How the gateway meets it.
    pub defence: Defence,
    /// What it dials.
    pub dialled: Dialled,
    /// Forged packets at least; it goes on until the calls have ended.
    pub forged: u64,
    /// Calls of telephones that the PBX knows.
    pub calls: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Weathered {
    /// Forged packets.
    pub forged: u64,
    /// Those that the PBX took.
    pub forged_passed: u64,
    /// How long it took, from before the first packet to after the last.
    pub at_most: Duration,
    /// What the gateway decided meanwhile, by reason.
    pub reasons: Reasons,
    /// Calls of known telephones that were placed.
    pub calls: u64,
    /// Those that completed.
    pub completed: u64,
    /// INVITEs that they sent.
    pub invites: u64,
    /// New telephones that called.
    pub new: u64,
    /// Those that rang within two retransmissions.
    pub new_rang: u64,
    /// INVITEs of a known telephone that exceeds its limit, those that reached the PBX, and those that its limit allows in the time
    /// from before the first to after the last.
    pub greedy: (u64, u64, u64),
}

/// Plays it.
///
/// # Errors
/// Where the kernel or the daemon refuses, or a telephone cannot register.
pub fn flood(flood: Flood) -> Result<Weathered> {
    let text = match flood.defence {
        Defence::Limited(a_second) => policy::limited(a_second),
        Defence::Shipped | Defence::Shield => policy::shipped(""),
    };
    let mut gate = Gate::new(&text)?;
    // Answers to forged addresses leave the way they came.
    link::default_route(&gate.network.gateway, Network::FLOODER.into())?;
    let _addresses = telephones(&gate.network)?;
    let pbx = Pbx::start(&gate.network.pbx, Network::pbx_sip())?;
    let known: Vec<UdpSocket> = KNOWN.map(|host| telephone(&gate, host)).collect::<Result<_>>()?;
    let greedy = telephone(&gate, GREEDY)?;
    for socket in known.iter().chain([&greedy]) {
        register(socket)?;
    }
    if flood.defence == Defence::Shield {
        let output = gate.tollgate.cli(&["shield", "on"])?;
        ensure!(output.status.success(), "tollgate shield on: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let before = (gate.reasons()?, pbx.seen().methods);
    let mut weathered = play(&gate, flood, &known, &greedy)?;
    gate.check()?;
    weathered.reasons = since(&before.0, &gate.reasons()?);
    let seen = pbx.seen();
    let from = |socket: &UdpSocket| -> Result<u64> {
        let address = socket.local_addr()?;
        Ok(seen.invites.iter().filter(|invite| invite.source == address).count() as u64)
    };
    weathered.greedy.1 = from(&greedy)?;
    weathered.forged_passed = seen.invites.iter().filter(|invite| forged(invite.source)).count() as u64;
    for method in ["REGISTER", "OPTIONS"] {
        // Nobody honest sends them once the flood has begun.
        let count = |of: &BTreeMap<String, u64>| of.get(method).copied().unwrap_or(0);
        weathered.forged_passed += count(&seen.methods) - count(&before.1);
    }
    Ok(weathered)
}

fn forged(source: SocketAddr) -> bool {
    matches!(source, SocketAddr::V4(address) if address.ip().octets()[0] == 10)
}

fn address(host: u8) -> Ipv4Addr {
    let [a, b, c, _] = Network::CALLER.octets();
    Ipv4Addr::new(a, b, c, host)
}

/// Gives the caller's host the addresses of all telephones.
fn telephones(network: &Network) -> Result<Namespace> {
    let nowhere = Namespace::new()?;
    let hosts = KNOWN.chain(NEW).chain([GREEDY]);
    let addresses: Vec<_> = hosts.map(|host| (address(host).into(), 32)).collect();
    link::veth(
        End { namespace: &network.caller, name: "phones0", mac: [2, 0, 0, 0, 9, 1], addresses: &addresses },
        End { namespace: &nowhere, name: "phones1", mac: [2, 0, 0, 0, 9, 2], addresses: &[] },
    )?;
    Ok(nowhere)
}

fn telephone(gate: &Gate, host: u8) -> Result<UdpSocket> {
    network::udp(&gate.network.caller, (address(host), SIP_PORT))
}

/// Registers a telephone with credentials, which the PBX stand-in takes whatever they are.
fn register(socket: &UdpSocket) -> Result<()> {
    let from = socket.local_addr().context("cannot read the telephone's address")?;
    let id = crate::sip::id::unique();
    let request = format!(
        "REGISTER sip:{pbx} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch={branch};rport\r\nMax-Forwards: 70\r\n\
         From: <sip:{id}@{pbx}>;tag={id}\r\nTo: <sip:{id}@{pbx}>\r\nCall-ID: {id}\r\nCSeq: 2 REGISTER\r\n\
         Contact: <sip:{id}@{from}>\r\nExpires: 3600\r\n\
         Authorization: Digest username=\"{id}\", realm=\"pbx\", nonce=\"1\", uri=\"sip:{pbx}\", response=\"0\"\r\n\
         Content-Length: 0\r\n\r\n",
        pbx = Network::pbx_sip(),
        branch = crate::sip::id::branch(),
    );
    let mut buffer = [0; 4096];
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .context("cannot set a timeout on a telephone's socket")?;
    for _ in 0..20 {
        socket.send_to(request.as_bytes(), Network::pbx_sip()).context("a telephone cannot send")?;
        let answer = socket.recv(&mut buffer).ok().and_then(|length| Message::parse(buffer.get(..length)?));
        if answer.is_some_and(|answer| answer.code() == Some(200)) {
            return Ok(());
        }
    }
    bail!("the telephone at {from} cannot register")
}

/// What all senders share.
struct Stage<'a> {
    gate: &'a Gate,
    flood: Flood,
    /// Set when the calls of the known telephones have ended.
    over: AtomicBool,
    sent: AtomicU64,
}

fn play(gate: &Gate, flood: Flood, known: &[UdpSocket], greedy: &UdpSocket) -> Result<Weathered> {
    let began = Instant::now();
    let stage = Stage { gate, flood, over: AtomicBool::new(false), sent: AtomicU64::new(0) };
    thread::scope(|scope| {
        let stage = &stage;
        let forging = scope.spawn(|| stage.forge());
        let greed = scope.spawn(|| stage.greed(greedy));
        let ringing = scope.spawn(|| stage.ring());
        let share = flood.calls.div_ceil(known.len() as u64);
        let calling: Vec<_> = known
            .iter()
            .enumerate()
            .map(|(number, socket)| scope.spawn(move || stage.call(number, socket, share)))
            .collect();
        let called: Result<Vec<_>> = calling.into_iter().map(join).collect();
        // Also where a telephone failed: the others wait for it.
        stage.over.store(true, Ordering::Relaxed);
        let (forged, rang, greedy) = (join(forging), join(ringing), join(greed));
        let called = called?;
        let (new, new_rang) = rang?;
        let (greedy_sent, greedy_allowed) = greedy?;
        Ok(Weathered {
            forged: forged?,
            forged_passed: 0,
            at_most: began.elapsed(),
            reasons: Reasons::new(),
            calls: share * known.len() as u64,
            completed: called.iter().map(|(completed, _)| completed).sum(),
            invites: called.iter().map(|(_, invites)| invites).sum(),
            new,
            new_rang,
            greedy: (greedy_sent, 0, greedy_allowed),
        })
    })
}

fn join<T>(sender: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Stage<'_> {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Sends the flood, at its pace, until there is enough of it and the calls have ended.
    fn forge(&self) -> Result<u64> {
        let flooder = &self.gate.network.flooder;
        let wire = Wire::open(flooder, link::index(flooder, "flooder0")?)?;
        let number = match self.flood.dialled {
            Dialled::Blocked => "+23276123456",
            Dialled::Domestic => "0312345678",
        };
        // 10.64.0.0, 10.128.0.0, 10.192.0.0.
        let template =
            |method, user, block: u32| Template::new(method, user, Ipv4Addr::from_bits(10 << 24 | block << 22));
        let mut templates =
            [template("INVITE", number, 1)?, template("REGISTER", "1000", 2)?, template("OPTIONS", "1000", 3)?];
        let (began, mut sent) = (Instant::now(), 0);
        while sent < self.flood.forged || !self.is_over() {
            for _ in 0..PART / templates.len() as u64 {
                for template in &mut templates {
                    wire.send(template.next())?;
                }
            }
            sent += PART;
            self.sent.store(sent, Ordering::Relaxed);
            let due = Duration::from_secs_f64(sent as f64 / f64::from(PACE));
            thread::sleep(due.saturating_sub(began.elapsed()));
        }
        Ok(sent)
    }

    /// Places the calls of one known telephone while the flood comes; returns how many completed, and the INVITEs sent.
    fn call(&self, number: usize, socket: &UdpSocket, share: u64) -> Result<(u64, u64)> {
        let caller = Caller::new(socket.try_clone()?, Network::pbx_sip(), Timers::STANDARD)?;
        let (mut completed, mut invites) = (0, 0);
        for call in 0..share {
            // Its share of the flood goes by first, so that the calls are spread over all of it.
            let due = self.flood.forged * (call * 100 + number as u64) / (share * 100);
            while self.sent.load(Ordering::Relaxed) < due {
                thread::sleep(Duration::from_millis(5));
            }
            let call = caller.call(StartLine::plain(format!("sip:0398765432@{}", Network::PBX)))?;
            completed += u64::from(call.outcome == Outcome::Completed);
            invites += call.invites;
        }
        Ok((completed, invites))
    }

    /// New telephones call, each once, one after the other; returns how many did, and how many of them rang in time.
    fn ring(&self) -> Result<(u64, u64)> {
        let (mut called, mut rang) = (0, 0);
        for host in NEW {
            if self.is_over() {
                break;
            }
            let socket = telephone(self.gate, host)?;
            // Time for the first transmission and two more, and for an answer to the last one.
            let timers = Timers { give_up: Duration::from_secs(3), ..Timers::STANDARD };
            let call = Caller::new(socket, Network::pbx_sip(), timers)?
                .call(StartLine::plain(format!("sip:0387654321@{}", Network::PBX)))?;
            called += 1;
            rang += u64::from(call.outcome == Outcome::Completed && call.invites <= TRANSMISSIONS);
        }
        Ok((called, rang))
    }

    /// Calls more often than the limit of one source allows; returns how often, and how many of these the limit allows.
    fn greed(&self, socket: &UdpSocket) -> Result<(u64, u64)> {
        let (began, mut sent) = (Instant::now(), 0u64);
        let from = socket.local_addr().context("cannot read the telephone's address")?;
        while !self.is_over() {
            // What its limit allows at once comes first.
            let late = sent.saturating_sub(u64::from(GREEDY_BURST)) as f64 / f64::from(GREED);
            thread::sleep(Duration::from_secs_f64(late).saturating_sub(began.elapsed()));
            let invite = Invite::new(StartLine::plain(format!("sip:0376543210@{}", Network::PBX)), from);
            socket.send_to(&invite.to_bytes(), Network::pbx_sip()).context("a telephone cannot send")?;
            sent += 1;
        }
        let allowed = f64::from(GREEDY_BURST) + f64::from(GREEDY_RATE) * began.elapsed().as_secs_f64();
        Ok((sent, allowed as u64))
    }
}
