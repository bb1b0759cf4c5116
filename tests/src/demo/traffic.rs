//! What the hosts of the demo send: good calls, calls to the blocked country in every disguise, and a flood.

use std::{
    collections::BTreeSet,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};

use super::{control::Control, peers::Peers};
use crate::{
    netns::Namespace,
    network::{Network, SIP_PORT, udp},
    peer::{Sipp, sipp},
    sip::{Caller, Disguise, Outcome, StartLine, Timers, flood},
};

/// Time between two good calls, and between two forbidden ones. A good call is one INVITE and a forbidden one two, so that the caller
/// sends 6 a second: well below the limit of 10, retransmissions included.
const EVERY: Duration = Duration::from_millis(500);
/// INVITEs of the flooder a second.
pub const FLOOD_RATE: u32 = 200;
/// A number in Sierra Leone.
const FORBIDDEN: &str = "23276123456";
/// What the good calls dial, in turn: an emergency call at most every six seconds, since an unknown source has three in ten.
const GOOD: [&str; 12] = [
    "110",
    "0312345678",
    "201",
    "09012345678",
    "0312345678",
    "202",
    "08012345678",
    "0661234567",
    "203",
    "07012345678",
    "0521234567",
    "204",
];
/// What the flooder dials.
const FLOODED: &str = "0312345678";

/// Where good calls come from.
pub(super) const GOOD_PORT: u16 = SIP_PORT;
/// Where forbidden calls come from.
pub(super) const FORBIDDEN_PORT: u16 = 5070;
/// Where forbidden calls come from that sipp cannot write.
pub(super) const FORBIDDEN_ODD_PORT: u16 = 5071;

/// How often the senders are asked whether they have ended.
const TICK: Duration = Duration::from_millis(20);
/// Longest time that sipp gets after its last call began.
const SIPP_GRACE: Duration = Duration::from_secs(40);

/// What one sender did.
#[derive(Clone, Debug, Default)]
struct Done {
    placed: u64,
    completed: u64,
    disguises: BTreeSet<Disguise>,
}

/// What all senders did.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Good calls placed and completed.
    pub good: (u64, u64),
    /// Forbidden calls placed.
    pub forbidden: u64,
    /// The disguises they wore.
    pub disguises: BTreeSet<Disguise>,
    /// The flood.
    pub flood: flood::Sent,
}

/// The senders at work, each on a thread.
#[derive(Debug)]
pub struct Traffic {
    good: JoinHandle<Result<Done>>,
    forbidden: Vec<JoinHandle<Result<Done>>>,
    flood: JoinHandle<Result<flood::Sent>>,
}

impl Traffic {
    /// Starts sending, until `control` says to stop; sipp, which cannot be told, counts the calls that fit into `time`.
    ///
    /// # Errors
    /// Where a sender cannot be started.
    pub fn start(network: &Network, peers: &Peers, time: Duration, control: &Arc<Control>) -> Result<Self> {
        let host = Network::PBX.to_string();
        let good: Vec<StartLine> = GOOD.iter().map(|number| StartLine::plain(format!("sip:{number}@{host}"))).collect();
        let (by_sipp, odd): (Vec<Disguise>, Vec<Disguise>) = match peers.sipp {
            Some(_) => {
                Disguise::ALL.iter().partition(|disguise| sipp_can_write(&disguise.start_line(FORBIDDEN, &host)))
            }
            None => (Vec::new(), Disguise::ALL.to_vec()),
        };
        let mut forbidden = Vec::new();
        let good = if let Some(program) = &peers.sipp {
            let uris = by_sipp.iter().map(|disguise| disguise.start_line(FORBIDDEN, &host).uri).collect();
            let plan = plan(sipp::Scenario::SilentCall, FORBIDDEN_PORT, uris, 2 * EVERY, time);
            forbidden.push(sipp_calls(program, &network.caller, plan, by_sipp, control)?);
            let plan = plan_good(good, time);
            sipp_calls(program, &network.caller, plan, Vec::new(), control)?
        } else {
            let lines = good.into_iter().map(|line| (None, line)).collect();
            builtin_calls(&network.caller, GOOD_PORT, Timers::STANDARD, lines, EVERY, control)?
        };
        // Beside sipp, each of the two senders of forbidden calls has half the pace.
        let (port, every) =
            if peers.sipp.is_some() { (FORBIDDEN_ODD_PORT, 2 * EVERY) } else { (FORBIDDEN_PORT, EVERY) };
        let lines = odd.into_iter().map(|disguise| (Some(disguise), disguise.start_line(FORBIDDEN, &host))).collect();
        forbidden.push(builtin_calls(&network.caller, port, Timers::IMPATIENT, lines, every, control)?);
        Ok(Self { good, forbidden, flood: start_flood(network, &host, control)? })
    }

    /// Waits for the end of every call that was begun; `None` where a signal came first.
    ///
    /// # Errors
    /// Those of the senders.
    pub fn join(self, control: &Control) -> Result<Option<Finished>> {
        while !self.ended() {
            if control.wait_for_signal(TICK) {
                return Ok(None);
            }
        }
        let good = join(self.good).context("good calls")?;
        let mut forbidden = Done::default();
        for sender in self.forbidden {
            let done = join(sender).context("calls to the blocked country")?;
            forbidden.placed += done.placed;
            forbidden.disguises.extend(done.disguises);
        }
        Ok(Some(Finished {
            good: (good.placed, good.completed),
            forbidden: forbidden.placed,
            disguises: forbidden.disguises,
            flood: join(self.flood).context("flood")?,
        }))
    }

    /// Whether every sender has ended; one that failed has.
    fn ended(&self) -> bool {
        let callers = self.forbidden.iter().chain([&self.good]);
        callers.into_iter().all(JoinHandle::is_finished) && self.flood.is_finished()
    }
}

fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_panic| anyhow!("the sender's thread panicked"))?
}

/// Whether sipp can send it from a list of URIs.
fn sipp_can_write(line: &StartLine) -> bool {
    *line == StartLine::plain(line.uri.clone()) && !line.uri.contains(';')
}

fn plan_good(lines: Vec<StartLine>, time: Duration) -> sipp::Calls {
    plan(sipp::Scenario::GoodCall, GOOD_PORT, lines.into_iter().map(|line| line.uri).collect(), EVERY, time)
}

fn plan(scenario: sipp::Scenario, port: u16, uris: Vec<String>, every: Duration, time: Duration) -> sipp::Calls {
    let count = (time.as_millis() / every.as_millis()).max(1) as u64;
    sipp::Calls { scenario, from: (Network::CALLER, port).into(), target: Network::pbx_sip(), uris, count, every }
}

fn sipp_calls(
    program: &Sipp,
    namespace: &Namespace,
    plan: sipp::Calls,
    disguises: Vec<Disguise>,
    control: &Arc<Control>,
) -> Result<JoinHandle<Result<Done>>> {
    let (program, namespace, control) = (program.clone(), namespace.clone(), Arc::clone(control));
    spawn("sipp", move || {
        // Started here, since it is killed when the thread that started it ends.
        let running = program.call(&namespace, &plan)?;
        let deadline = Instant::now() + plan.every * plan.count as u32 + SIPP_GRACE;
        let counts = running.wait(|| control.interrupted() || Instant::now() >= deadline)?;
        let disguises = disguises.into_iter().take(counts.begun as usize).collect();
        Ok(Done { placed: counts.begun, completed: counts.successful, disguises })
    })
}

fn builtin_calls(
    namespace: &Namespace,
    port: u16,
    timers: Timers,
    lines: Vec<(Option<Disguise>, StartLine)>,
    every: Duration,
    control: &Arc<Control>,
) -> Result<JoinHandle<Result<Done>>> {
    let socket = udp(namespace, (Network::CALLER, port))?;
    let caller = Caller::new(socket, Network::pbx_sip(), timers)?;
    let control = Arc::clone(control);
    spawn("caller", move || {
        let mut done = Done::default();
        let mut due = Instant::now();
        for (disguise, line) in lines.iter().cycle() {
            if control.wait(due.saturating_duration_since(Instant::now())) {
                break;
            }
            // A call that lasted longer delays the next one; it is not caught up with, which might exceed the limit.
            due = Instant::now() + every;
            let call = caller.call(line.clone())?;
            done.placed += 1;
            done.completed += u64::from(call.outcome == Outcome::Completed);
            done.disguises.extend(disguise);
        }
        Ok(done)
    })
}

fn start_flood(network: &Network, host: &str, control: &Arc<Control>) -> Result<JoinHandle<Result<flood::Sent>>> {
    let socket = udp(&network.flooder, (Network::FLOODER, SIP_PORT))?;
    let flood = flood::Flood {
        target: Network::pbx_sip(),
        uri: format!("sip:{FLOODED}@{host}"),
        rate: FLOOD_RATE,
        count: u64::MAX,
    };
    let control = Arc::clone(control);
    spawn("flooder", move || flood.send(&socket, |pause| control.wait(pause)))
}

fn spawn<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    thread::Builder::new().name(name.to_owned()).spawn(f).with_context(|| format!("cannot start the {name} thread"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sipp_gets_what_it_can_write_and_the_rest_is_ours() {
        let can: Vec<_> = Disguise::ALL.iter().filter(|d| sipp_can_write(&d.start_line(FORBIDDEN, "h"))).collect();
        assert_eq!(can.len(), 9, "{can:?}");
        assert!(!can.contains(&&Disguise::LeadingLines) && !can.contains(&&Disguise::UserParameters));
    }
}
