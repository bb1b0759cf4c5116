//! Limits by rate and by windows in the attached filter, at line rate, on one CPU and on two, over policies that change.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::gate::{Gate, Reasons, of, since};
use crate::{
    bench::{
        frames::{Content, Sample, Vary, Wrap, for_nobody},
        traffic::Generator,
    },
    link,
};

/// Frames of the first part, whose clock bounds that of the first packet.
const EDGE: u32 = 64;
/// Frames of every other part. The last one must find no more in a bucket than it has frames: what grew since the part before.
const PART: u32 = 8_192;
/// Longest time that a flow gets to offer more than its allowance.
const PATIENCE: Duration = Duration::from_secs(120);

/// A limit by source.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// So many a second.
    pub a_second: u32,
    /// So many at once.
    pub burst: u32,
}

/// What is offered to it.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// CPUs that send at once, each by an interface of its own; 1 or 2.
    pub cpus: usize,
    /// Sources, the same ones on every CPU.
    pub sources: u32,
    /// How long at least.
    pub time: Duration,
    /// How often the policy is exchanged meanwhile.
    pub reloads: u32,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// OPTIONS that were judged.
    pub judged: u64,
    /// Those that passed.
    pub admitted: u64,
    /// burst + rate x time, for the time between the end of the first part and the beginning of the last.
    pub least: u64,
    /// The same for the time from the beginning of the first part to the end of the last.
    pub most: u64,
}

impl Outcome {
    /// Whether what passed is within one in a hundred, or one a source, of burst + rate x time.
    pub fn holds(&self, sources: u32) -> bool {
        let slack = |bound: u64| (bound / 100).max(u64::from(sources));
        self.admitted + slack(self.least) >= self.least && self.admitted <= self.most + slack(self.most)
    }

    /// How far what passed lies outside of the two bounds, in per cent.
    pub fn deviation(&self) -> f64 {
        let bound = self.admitted.clamp(self.least.min(self.most), self.most);
        (self.admitted as f64 - bound as f64) / bound as f64 * 100.0
    }
}

/// The policy: this limit on OPTIONS, and nothing else that would stop one. The number is that of the blocked prefix by which one
/// policy differs from the next.
fn policy(rate: Rate, number: u32) -> String {
    let Rate { a_second, burst } = rate;
    format!(
        "mode = \"enforce\"\nfloor = false\n{}\n[profile.default]\nblock = [\"+23276{number:05}\"]\nlimits = [\"options\"]\n\
         [limit.options]\nkey = \"source\"\nmethod = \"OPTIONS\"\nrate = \"{a_second}/s\"\nburst = {burst}\nover = \"drop\"\n",
        site("wan", "lan")
    )
}

fn site(senders: &str, others: &str) -> String {
    format!(
        "[interface.wan0]\nrole = \"{senders}\"\n[interface.wan1]\nrole = \"{senders}\"\n[interface.lan0]\nrole = \"{others}\"\n\
         [site]\nregion = \"JP\"\n[ceiling]\nunproved = \"10000000/s\"\nburst = 1000000\n"
    )
}

/// Offers OPTIONS to a limit by rate.
///
/// # Errors
/// Where the kernel or the daemon refuses, or this machine cannot offer more than the limit allows.
pub fn rate(rate: Rate, flow: Flow) -> Result<Outcome> {
    let mut gate = Gate::new(&policy(rate, 0))?;
    let sample = for_nobody(&Content::Options, Wrap::Plain, Vary::sources(flow.sources))?;
    let samples = vec![sample; flow.cpus];
    // Each source has whole packets.
    let each = |time: Duration| u64::from(rate.burst) + (f64::from(rate.a_second) * time.as_secs_f64()) as u64;
    let allowance = |time: Duration| u64::from(flow.sources) * each(time);
    let before = gate.reasons()?;
    let began = Instant::now();
    let enough = |sent: u64| began.elapsed() >= flow.time && sent > 2 * allowance(began.elapsed());
    let span = send(&gate, &samples, enough, || {
        for number in 0..flow.reloads {
            gate.reload(&policy(rate, 1 + number)).with_context(|| format!("reload {number}"))?;
        }
        Ok(())
    })?;
    gate.check()?;
    let seen = since(&before, &gate.reasons()?);
    let (admitted, refused) = (of(&seen, "sip-other"), of(&seen, "source-limit"));
    only(&seen, &["sip-other", "source-limit"])?;
    Ok(Outcome { judged: admitted + refused, admitted, least: allowance(span.least), most: allowance(span.most) })
}

/// By what a limit counts calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// So many in an hour.
    InAnHour(u32),
    /// So many at once.
    AtOnce(u32),
}

/// Offers calls, each of its own, of one telephone to a limit, and returns how many were judged and how many passed. Nobody answers
/// them, so they are up for half a minute, which is longer than it takes.
///
/// # Errors
/// As [`rate`].
pub fn calls(limit: Calls, cpus: usize, offered: u64) -> Result<(u64, u64)> {
    let limit = match limit {
        Calls::InAnHour(calls) => format!("windows = [\"{calls}/1h\"]"),
        Calls::AtOnce(calls) => format!("concurrent = {calls}"),
    };
    let text = format!(
        "mode = \"enforce\"\nfloor = false\n{}\n[profile.default]\nlimits = [\"calls\"]\n\
         [limit.calls]\nkey = \"source\"\n{limit}\nover = \"drop\"\n",
        site("lan", "wan")
    );
    let mut gate = Gate::new(&text)?;
    let vary = Vary { sources: 1, numbers: 1, call_ids: true };
    let samples = (0..cpus).map(|cpu| {
        let mut sample = for_nobody(&Content::Invite("0312345678".to_owned()), Wrap::Plain, vary)?;
        // Each CPU counts its Call-IDs from the same beginning: their hosts tell them apart.
        let host = b"@203.0.113.10\r\nCSeq";
        let at =
            sample.frame.windows(host.len()).position(|octets| octets == host).context("no Call-ID in the frame")?;
        *sample.frame.get_mut(at + host.len() - 7).context("the Call-ID is cut off")? = b'1' + cpu as u8;
        Ok(sample)
    });
    let samples = samples.collect::<Result<Vec<Sample>>>()?;
    let before = gate.reasons()?;
    send(&gate, &samples, |sent| sent >= offered, || Ok(()))?;
    gate.check()?;
    let seen = since(&before, &gate.reasons()?);
    only(&seen, &["allowed", "source-limit"])?;
    Ok((of(&seen, "allowed") + of(&seen, "source-limit"), of(&seen, "allowed")))
}

/// Nothing else than these reasons may have been counted: it would measure something else. The hosts' own chatter is no SIP.
fn only(seen: &Reasons, wanted: &[&str]) -> Result<()> {
    let odd: Vec<_> = seen.iter().filter(|(name, _)| !wanted.contains(&name.as_str()) && *name != "not-sip").collect();
    ensure!(odd.is_empty(), "other reasons than {wanted:?} were counted: {odd:?}");
    Ok(())
}

/// What is known of the clocks of the first and the last packet.
struct Span {
    least: Duration,
    most: Duration,
}

/// The parts of one sender: when the first and the last began and ended.
struct Parts {
    first: (Instant, Instant),
    last: (Instant, Instant),
}

/// Sends a sample on each CPU until there is enough and `meanwhile` is through.
fn send(
    gate: &Gate,
    samples: &[Sample],
    enough: impl Fn(u64) -> bool + Sync,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Span> {
    let allowed = sched_getaffinity(None).context("cannot ask which CPUs there are")?;
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    ensure!(cpus.len() >= samples.len(), "{} CPUs are to send, and there are {}", samples.len(), cpus.len());
    let (through, enough) = (AtomicBool::new(false), &enough);
    let parts = thread::scope(|scope| {
        let hosts = [(&gate.network.caller, "caller0"), (&gate.network.flooder, "flooder0")];
        let started: Vec<_> = samples
            .iter()
            .zip(hosts)
            .zip(&cpus)
            .map(|((sample, (host, interface)), &cpu)| {
                let (through, share) = (&through, samples.len() as u64);
                scope.spawn(move || {
                    let index = link::index(host, interface)?;
                    host.enter()?;
                    let mut own = CpuSet::new();
                    own.set(cpu);
                    sched_setaffinity(None, &own).with_context(|| format!("cannot stay on CPU {cpu}"))?;
                    let stop = |sent: u64| through.load(Ordering::Relaxed) && enough(sent * share);
                    offer(&mut Generator::new(sample)?, index, stop)
                })
            })
            .collect();
        let done = meanwhile();
        through.store(true, Ordering::Relaxed);
        let parts: Vec<Result<Parts>> = started
            .into_iter()
            .map(|sender| sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        done?;
        parts.into_iter().collect::<Result<Vec<Parts>>>()
    })?;
    // Whoever sent first sent the first packet, or somebody else did before him; the same for the last.
    let edge = |of: fn(&Parts) -> Instant| parts.iter().map(of).collect::<Vec<_>>();
    let min = |of| edge(of).into_iter().min();
    let max = |of| edge(of).into_iter().max();
    let (Some(began), Some(begun)) = (min(|parts| parts.first.0), min(|parts| parts.first.1)) else {
        bail!("nobody sends")
    };
    let (Some(ends), Some(ended)) = (max(|parts| parts.last.0), max(|parts| parts.last.1)) else {
        bail!("nobody sends")
    };
    Ok(Span { least: ends.saturating_duration_since(begun), most: ended - began })
}

fn offer(generator: &mut Generator, interface: u32, stop: impl Fn(u64) -> bool) -> Result<Parts> {
    let began = Instant::now();
    let mut part = |frames| -> Result<(Instant, Instant)> {
        let start = Instant::now();
        generator.send(interface, frames)?;
        Ok((start, Instant::now()))
    };
    let first = part(EDGE)?;
    let mut sent = u64::from(EDGE);
    while !stop(sent) {
        part(PART)?;
        sent += u64::from(PART);
        ensure!(
            began.elapsed() < PATIENCE,
            "this machine cannot offer more than the limit allows within {} s",
            PATIENCE.as_secs()
        );
    }
    Ok(Parts { first, last: part(PART)? })
}
