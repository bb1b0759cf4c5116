//! The site that is attacked: a gateway with one uplink, Kamailio as the PBX behind it, and the provider on the uplink.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{Attack, Defence, calls::ANSWERER, flood::Flood, queue, report::Rates};
use crate::{
    bench::{
        frames::{Content, Vary, Wrap, sample_to},
        peers,
        traffic::{Bare, Receiver},
    },
    daemon::{Daemon, Tollgate, find_binary},
    link::{self, End},
    netns::Namespace,
    network::Network,
    offload::{self, Offload},
    peer::{Kamailio, kamailio},
    proof::shipped,
    xdp::Pass,
};

/// The uplink: the end of the provider and of the attack, and that of the gateway.
pub(super) const UPLINK: &str = "flooder0";
/// A pair whose far end drops what arrives.
const SINK: [&str; 2] = ["sink0", "sink1"];
const NFT_PREFIXES: u32 = 51;
/// A daemon of a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Each appears once in the longest measurement.
const SOURCES: u32 = 14_000_000;
/// A number in Sierra Leone that begins with one of the prefixes that nftables is given; the shipped policy blocks the country.
const BLOCKED: &str = "+23276000001";
/// A number in Tokyo, which no rule stops.
const DOMESTIC: &str = "0312345678";

/// Who has which CPUs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpus {
    /// The receive queue of the uplink, and the PBX.
    pub(super) attacked: CpuSet,
    /// The outside world, who answers calls, and the daemon. Where the machine has one CPU, the same.
    pub(super) others: CpuSet,
}

impl Cpus {
    /// The attack has this one; the last one unless given.
    pub(super) fn choose(cpu: Option<usize>) -> Result<Self> {
        let all = sched_getaffinity(None).context("cannot ask which CPUs there are")?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| all.is_set(cpu)).context("there is no CPU")?;
        let cpu = cpu.unwrap_or(last);
        ensure!(all.is_set(cpu), "cannot stay on CPU {cpu}: is there one?");
        let mut attacked = CpuSet::new();
        attacked.set(cpu);
        let mut others = all;
        others.unset(cpu);
        Ok(Self { attacked, others: if others.count() == 0 { attacked } else { others } })
    }
}

/// Runs `f`, and what it starts, on these CPUs.
pub(super) fn on<T>(cpus: CpuSet, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None).context("cannot ask which CPUs there are")?;
    sched_setaffinity(None, &cpus).context("cannot change the CPU")?;
    let done = f();
    sched_setaffinity(None, &before).context("cannot go back to all CPUs")?;
    done
}

/// Where an attack goes: the interfaces that it leaves by and arrives at.
struct Aim {
    leaves: &'static str,
    host: Namespace,
    arrives: &'static str,
}

/// What has happened at a site.
pub(super) struct Counted {
    at: Instant,
    /// Frames that the receive queue gave out, and those that it had no room for.
    device: [u64; 2],
    datagrams: u64,
    stopped: Option<u64>,
    /// Of the attacked CPUs, in ticks: idle, and all.
    idle: u64,
    passed: u64,
}

impl Counted {
    /// What happened since `before`.
    pub(super) fn since(&self, before: &Self) -> Rates {
        let seconds = (self.at - before.at).as_secs_f64();
        let rate = |after: u64, before: u64| after.saturating_sub(before) as f64 / seconds;
        Rates {
            frames: rate(self.device[0], before.device[0]),
            overrun: rate(self.device[1], before.device[1]),
            to_pbx: rate(self.datagrams, before.datagrams),
            stopped: self.stopped.zip(before.stopped).map(|(after, before)| rate(after, before)),
            idle: (self.idle - before.idle) as f64 / (self.passed - before.passed) as f64,
        }
    }
}

/// Frames that an interface of the calling thread's namespace received, and those that it had to drop.
fn device(interface: &str) -> Result<[u64; 2]> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").context("cannot read the counters of interfaces")?;
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(interface)?.strip_prefix(':'));
    let numbers: Vec<u64> = line.unwrap_or_default().split_whitespace().map_while(|word| word.parse().ok()).collect();
    // Octets, packets, errors, dropped.
    match numbers.get(..4) {
        Some([_, packets, _, dropped]) => Ok([*packets, *dropped]),
        _ => bail!("the kernel does not count what {interface} receives"),
    }
}

/// Ticks for which these CPUs were idle, and all of theirs (proc(5), `/proc/stat`).
fn idle(cpus: CpuSet) -> Result<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").context("cannot read the times of CPUs")?;
    let (mut idle, mut all) = (0, 0);
    for line in text.lines() {
        let Some((cpu, times)) = line.strip_prefix("cpu").and_then(|line| line.split_once(' ')) else { continue };
        if cpu.parse().is_ok_and(|cpu| cpus.is_set(cpu)) {
            // User, nice, system, idle, waiting, interrupts, soft interrupts, taken by the host.
            let times: Vec<u64> = times.split(' ').take(8).map_while(|time| time.parse().ok()).collect();
            idle += times.iter().skip(3).take(2).sum::<u64>();
            all += times.iter().sum::<u64>();
        }
    }
    ensure!(all > 0, "the kernel does not tell the times of the attacked CPU");
    Ok((idle, all))
}

/// What stands at the uplink; dropping it ends it.
enum Gate {
    /// The daemon, and its files.
    Tollgate(#[expect(dead_code, reason = "it is killed when it is dropped")] Daemon, Tollgate),
    /// Rules of the namespace, behind a program that passes everything.
    Other(#[expect(dead_code, reason = "it is detached when it is dropped")] Pass),
    /// The same, and where the attack goes.
    Elsewhere(
        #[expect(dead_code, reason = "it is detached when it is dropped")] Pass,
        #[expect(dead_code, reason = "it is detached when it is dropped")] Receiver,
    ),
}

/// A site under one attack with one defence.
pub(super) struct Site {
    gate: Gate,
    _pbx: kamailio::Running,
    /// The hosts: the provider and the attack are the flooder.
    pub(super) network: Network,
    cpus: Cpus,
    /// Where the attack goes.
    aim: Aim,
}

impl Site {
    pub(super) fn new(defence: Defence, cpus: Cpus) -> Result<Self> {
        let network = Network::new()?;
        // Answers to forged addresses leave the way they came.
        link::default_route(&network.gateway, Network::FLOODER.into())?;
        offload::set(&network.flooder, UPLINK, Offload::Gro, true)?;
        offload::set(&network.gateway, Network::WAN_FLOODER, Offload::Gro, true)?;
        let gate = on(cpus.others, || Gate::new(defence, &network))?;
        queue::to(&network.gateway, Network::WAN_FLOODER, cpus.attacked)?;
        let text = read("kamailio-pbx.cfg")?
            .replace("LISTEN", &Network::pbx_sip().to_string())
            .replace("PROVIDER", &Network::FLOODER.to_string())
            .replace("ANSWERER", &ANSWERER.to_string());
        let pbx = on(cpus.attacked, || {
            let kamailio = Kamailio::find().context("Kamailio is not installed")?;
            kamailio.run(&network.pbx, Network::pbx_sip(), &text)
        })?;
        let uplink = || Aim { leaves: UPLINK, host: network.gateway.clone(), arrives: Network::WAN_FLOODER };
        let sink = || Aim { leaves: SINK[0], host: network.flooder.clone(), arrives: SINK[1] };
        let aim = if defence == Defence::Elsewhere { sink() } else { uplink() };
        Ok(Self { gate, _pbx: pbx, network, cpus, aim })
    }

    /// Begins the attack.
    pub(super) fn attack(&self, attack: Attack) -> Result<Flood> {
        let dialled = match attack {
            Attack::Blocked => BLOCKED,
            Attack::Forged => DOMESTIC,
        };
        let vary = Vary { sources: SOURCES, numbers: 1, call_ids: true };
        let content = Content::Invite(dialled.to_owned());
        let sample = sample_to(Network::PBX, &content, Wrap::Plain, vary, Network::WAN_FLOODER_MAC)?;
        Flood::start(&self.network.flooder, self.aim.leaves, sample, self.cpus.others)
    }

    /// What has happened so far.
    pub(super) fn counted(&self) -> Result<Counted> {
        let interface = self.aim.arrives;
        let device = self.aim.host.run(|| device(interface))?;
        let (idle, passed) = idle(self.cpus.attacked)?;
        Ok(Counted { at: Instant::now(), device, datagrams: self.arrived()?, stopped: self.stopped()?, idle, passed })
    }

    /// Datagrams that reached the PBX, whether it read them or had no room for them.
    fn arrived(&self) -> Result<u64> {
        self.network.pbx.run(|| peers::datagrams(&["InDatagrams", "NoPorts", "RcvbufErrors"]))
    }

    /// What Tollgate, where it stands there, has counted as stopped for the reasons that these attacks meet.
    fn stopped(&self) -> Result<Option<u64>> {
        let Gate::Tollgate(_, tollgate) = &self.gate else { return Ok(None) };
        let counters = tollgate.json(&["counters", "--json"])?;
        let of = |name: &str| counters.get("reasons").and_then(|all| all.get(name)?.as_u64()).unwrap_or(0);
        Ok(Some(of("blocked-country") + of("unproved-limit")))
    }
}

impl Gate {
    fn new(defence: Defence, network: &Network) -> Result<Self> {
        // A veth end without any XDP program has no queue that a sender's packets wait in.
        let pass = || Pass::attach(&network.gateway, Network::WAN_FLOODER);
        Ok(match defence {
            Defence::None => Self::Other(pass()?),
            Defence::Elsewhere => Self::Elsewhere(pass()?, sink(&network.flooder)?),
            Defence::Nft(file) => {
                let text = peers::filled(file, NFT_PREFIXES, Network::WAN_FLOODER)?;
                let text = text.replace("PROVIDER", &Network::FLOODER.to_string());
                network.gateway.run(|| peers::run("nft", &["-f", "-"], &text))?;
                Self::Other(pass()?)
            }
            Defence::Tollgate => {
                let (provider, wan) = (Network::FLOODER, Network::WAN_FLOODER);
                let tollgate = Tollgate::new(find_binary()?, &network.gateway)?;
                let trunk = format!("[trunk.provider]\nsources = [\"{provider}\"]\ninterface = \"{wan}\"\n");
                tollgate.write_policy(&shipped(&trunk))?;
                let mut daemon = tollgate.run(&[])?;
                daemon.wait_ready_for(&tollgate, PATIENCE)?;
                Self::Tollgate(daemon, tollgate)
            }
        })
    }
}

/// Makes a pair beside the uplink whose far end drops what arrives.
fn sink(namespace: &Namespace) -> Result<Receiver> {
    let [near, far] = SINK;
    link::veth(
        End { namespace, name: near, mac: [2, 0, 0, 0, 8, 1], addresses: &[] },
        End { namespace, name: far, mac: [2, 0, 0, 0, 8, 2], addresses: &[] },
    )?;
    offload::set(namespace, near, Offload::Gro, true)?;
    let index = link::index(namespace, far)?;
    let mut receiver = Receiver::new(Bare::Drop)?;
    namespace.run(|| receiver.attach(index, gateway_user::daemon::AttachMode::Driver))?;
    Ok(receiver)
}

fn read(file: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
