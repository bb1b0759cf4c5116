//! Runs the rows.

use std::{
    collections::{HashMap, hash_map::Entry},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use gateway_common::{Reason, Verdict, counters::by_reason, judge::Side};
use gateway_user::{
    daemon::AttachMode,
    kernel::{Measured, Repeated, Told},
    policy::PolicyImage,
};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{
    Options, attack,
    frames::{CALLED, Content, Vary, Wrap, for_nobody},
    memory,
    options::Table,
    peers::{self, Peer},
    plot,
    policies::Policy,
    report::{self, Runs},
    rows::{self, Row},
    stage::{Stage, Wire},
    tables,
    traffic::{Bare, Generator, Receiver},
};

/// The share of frames that a row must see counted under its reason. A limit lets a few through.
const ENOUGH: f64 = 0.95;
/// Frames of each source, and at most of all, that are sent first: state is there then, and bursts are used up.
const BURSTS: u32 = 40;
const MOST_FIRST: u32 = 400_000;

/// How long a run of live frames takes; beginning and ending it takes as long again.
const RUN: Duration = Duration::from_millis(8);
/// How long test runs of one frame take: shorter than a time slice, since a wall clock tells how long.
const TEST_RUN: Duration = Duration::from_millis(1);
/// Test runs for each run of live frames.
const TEST_RUNS: u32 = 5;
/// Runs of each of the two receivers that are compared.
const QUICK: u32 = 12;
const FULL: u32 = 60;
/// Times that a large policy is put in force.
const QUICK_TABLES: u32 = 3;
const FULL_TABLES: u32 = 10;
/// Fewer would measure how a run begins.
const FEWEST: u32 = 20_000;

/// Runs the measurements and prints them.
pub fn main(options: &Options) -> ExitCode {
    match measure(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<()> {
    let packets = |name: &str| options.wants(Table::Packets, name);
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| packets(&row.name)).collect();
    let peers: Vec<Peer> = peers::all().into_iter().filter(|peer| options.peers && packets(peer.name)).collect();
    let tables = options.wants(Table::Policy, tables::NAME);
    let memory: Vec<_> = memory::ROWS.into_iter().filter(|(name, _)| options.wants(Table::Memory, name)).collect();
    let mut attacks = attack::rows();
    attacks.retain(|row| options.wants(row.table, row.name));
    ensure!(
        !(rows.is_empty() && peers.is_empty() && attacks.is_empty() && memory.is_empty()) || tables,
        "no row has that in its name: `--list` prints them all"
    );
    if options.list {
        let names = rows.iter().map(|row| row.name.as_str()).chain(peers.iter().map(|peer| peer.name));
        let others = tables.then_some(tables::NAME).into_iter();
        let others = others.chain(memory.iter().map(|row| row.0)).chain(attacks.iter().map(|row| row.name));
        for name in names.chain(others) {
            println!("{name}");
        }
        return Ok(());
    }
    for (name, prefixes) in memory {
        let figures = memory::measure(name, prefixes).with_context(|| format!("row {name:?}"))?;
        match options {
            Options { json: true, .. } => println!("{}", serde_json::to_string(&figures)?),
            _ => println!("{figures}"),
        }
    }
    attacked(&attacks, options)?;
    // Before the network of the rows is entered: it starts a daemon in one of its own.
    if tables {
        let figures = tables::measure(if options.quick { QUICK_TABLES } else { FULL_TABLES })
            .with_context(|| format!("row {:?}", tables::NAME))?;
        match options {
            Options { json: true, .. } => println!("{}", serde_json::to_string(&figures)?),
            _ => println!("{figures}"),
        }
    }
    if rows.is_empty() && peers.is_empty() {
        return Ok(());
    }
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let stage = Stage::enter(options.cpu.unwrap_or(cpus - 1))?;
    let mut bench = Bench {
        runs: if options.quick { QUICK } else { FULL },
        images: HashMap::new(),
        references: HashMap::new(),
        wire: stage.wire("gate", &[])?,
        stage,
    };
    match options {
        Options { json: true, .. } => {}
        Options { markdown: true, .. } => println!("{}", report::MARKDOWN_HEAD),
        _ => println!("{}", report::Result::head()),
    }
    let mut results = Vec::new();
    let mut show = |result: report::Result| {
        show(&result, options)?;
        results.push(result);
        Ok::<_, anyhow::Error>(())
    };
    for bare in [Bare::Drop, Bare::Pass] {
        if options.filter.is_none() {
            show(bench.bare(bare)?)?;
        }
    }
    for row in &rows {
        let result = bench.row(row).with_context(|| format!("row {:?}", row.name))?;
        show(result)?;
    }
    if !peers.is_empty() {
        let wire = bench.stage.wire("peer", &[(CALLED.into(), 24)])?;
        for peer in peers {
            if let Some(program) = peer.missing() {
                let remedy = peer.remedy();
                eprintln!("SKIPPED: {}: {program} is not installed: run `{remedy}`", peer.name);
                continue;
            }
            let result = bench.peer(&peer, &wire).with_context(|| format!("row {:?}", peer.name))?;
            show(result)?;
        }
    }
    options.plots.as_ref().map_or(Ok(()), |folder| plot::write(folder, &results))
}

/// Measures what an attack leaves of a site, each row at one of its own.
fn attacked(rows: &[attack::Row], options: &Options) -> Result<()> {
    let mut table = None;
    for row in rows {
        if table.replace(row.table) != Some(row.table) && !options.json {
            println!("{}", attack::head(row.table, options.markdown));
        }
        if let Some(program) = row.missing() {
            eprintln!("SKIPPED: {}: {program} is not installed: run `cargo xtask setup --peers`", row.name);
            continue;
        }
        let measured = row.measure(options.cpu).with_context(|| format!("row {:?}", row.name))?;
        match options {
            Options { json: true, .. } => println!("{}", serde_json::to_string(&measured)?),
            Options { markdown: true, .. } => println!("{}", measured.markdown()),
            _ => println!("{measured}"),
        }
    }
    Ok(())
}

fn show(result: &report::Result, options: &Options) -> Result<()> {
    match options {
        Options { json: true, .. } => println!("{}", serde_json::to_string(result)?),
        Options { markdown: true, .. } => println!("{}", result.markdown()),
        _ => println!("{result}"),
    }
    Ok(())
}

/// A bare receiver and its wire.
struct Reference {
    wire: Wire,
    receiver: Receiver,
}

impl Reference {
    fn new(stage: &Stage, bare: Bare, mode: AttachMode) -> Result<Self> {
        let wire = stage.wire(&format!("{}-{}", bare.as_str(), mode.as_str()), &[])?;
        let mut receiver = Receiver::new(bare)?;
        receiver.attach(wire.taker, mode)?;
        Ok(Self { wire, receiver })
    }

    /// Nanoseconds of one of so many test runs.
    fn repeat(&mut self, frame: &[u8], times: u32) -> Result<f64> {
        Ok(each(self.receiver.repeat(frame, times)?, times))
    }
}

struct Bench {
    runs: u32,
    images: HashMap<Policy, PolicyImage>,
    references: HashMap<(Bare, AttachMode), Reference>,
    wire: Wire,
    stage: Stage,
}

impl Bench {
    /// Measures a program that looks at nothing.
    fn bare(&mut self, bare: Bare) -> Result<report::Result> {
        let sample = for_nobody(&Content::Voice, Wrap::Plain, Vary::NOTHING)?;
        let mut generator = Generator::new(&sample)?;
        let runs = self.runs;
        let reference = self.reference(bare, AttachMode::Driver)?;
        let mut live = Runs::default();
        let frames = enough(&mut generator, reference.wire.sender)?;
        for _ in 0..runs {
            live.add(nanoseconds(generator.send(reference.wire.sender, frames)?));
        }
        let mut test = Runs::default();
        let times = fitting(TEST_RUN, reference.repeat(&sample.frame, FEWEST)?);
        for _ in 0..runs * TEST_RUNS {
            test.add(reference.repeat(&sample.frame, times)?);
        }
        Ok(report::Result::new(
            format!("bare {}", bare.as_str()),
            bare,
            AttachMode::Driver,
            [&live, &live, &test, &test],
        ))
    }

    /// Measures another filter beside the program that drops everything.
    fn peer(&mut self, peer: &Peer, wire: &Wire) -> Result<report::Result> {
        let started = peer.start(&self.stage, wire)?;
        let mut generator = peer.generator()?;
        let (mut live, mut bare) = (Runs::default(), Runs::default());
        let unknown = Runs::default();
        if peer.is_server() {
            live.add(1e9 / started.flood(&mut generator, wire)?);
        } else {
            let frames = enough(&mut generator, wire.sender)?;
            peer.exhaust(&mut generator, wire)?;
            let (runs, before) = (self.runs, peers::arrived()?);
            let reference = self.reference(Bare::Drop, AttachMode::Driver)?;
            for _ in 0..runs {
                bare.add(nanoseconds(generator.send(reference.wire.sender, frames)?));
                live.add(nanoseconds(generator.send(wire.sender, frames)?));
            }
            peer.check(u64::from(runs) * u64::from(frames), peers::arrived()? - before)?;
        }
        drop(started);
        Ok(report::Result {
            mode: "other",
            ..report::Result::new(
                peer.name.to_owned(),
                Bare::Drop,
                AttachMode::Driver,
                [&live, &bare, &unknown, &unknown],
            )
        })
    }

    fn reference(&mut self, bare: Bare, mode: AttachMode) -> Result<&mut Reference> {
        Ok(match self.references.entry((bare, mode)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(room) => room.insert(Reference::new(&self.stage, bare, mode)?),
        })
    }

    /// Measures a row: bare and filter in turns, so that whatever else the machine does meets both.
    fn row(&mut self, row: &Row) -> Result<report::Result> {
        let sample = for_nobody(&row.content, row.wrap, row.vary)?;
        let image = match self.images.remove(&row.policy) {
            Some(image) => image,
            None => row.policy.compile()?,
        };
        let mut filter = row.policy.load(&image)?;
        self.images.insert(row.policy, image);
        filter.attach(self.wire.taker, row.mode)?;
        let mut generator = Generator::new(&sample)?;
        let reader = row.events_read.then(|| Reader::start(filter.events()?, self.stage.others())).transpose()?;
        let (runs, sender) = (self.runs, self.wire.sender);
        let reference = self.reference(row.bare, row.mode)?;
        let (mut live, mut bare) = (Runs::default(), Runs::default());
        generator.send(sender, row.vary.sources.saturating_mul(BURSTS).min(MOST_FIRST))?;
        let frames = enough(&mut generator, sender)?;
        let before = counted(&filter, row.reason)?;
        for _ in 0..runs {
            bare.add(nanoseconds(generator.send(reference.wire.sender, frames)?));
            live.add(nanoseconds(generator.send(sender, frames)?));
        }
        let counted = (counted(&filter, row.reason)? - before) as f64 / (f64::from(runs) * f64::from(frames));
        ensure!(
            counted >= ENOUGH,
            "{:.1} % of its frames were counted as {}: it measures something else",
            counted * 100.0,
            row.reason.as_str()
        );

        drop(reader);

        let (mut test, mut bare_test) = (Runs::default(), Runs::default());
        let times = fitting(TEST_RUN, each(filter.repeat(&sample.frame, FEWEST)?, FEWEST));
        for _ in 0..runs * TEST_RUNS {
            bare_test.add(reference.repeat(&sample.frame, times)?);
            test.add(each(filter.repeat(&sample.frame, times)?, times));
        }
        Ok(report::Result {
            reason: Some(row.reason.as_str()),
            ..report::Result::new(row.name.clone(), row.bare, row.mode, [&live, &bare, &test, &bare_test])
        })
    }
}

/// Reads events on other CPUs than the generator's, until it is dropped.
struct Reader {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    fn start(mut events: Told, cpus: CpuSet) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("events".into()).spawn(move || {
            // Where the machine has one CPU, reader and generator share it.
            let _ = sched_setaffinity(None, &cpus);
            while !stopped.load(Ordering::Relaxed) {
                events.read();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A reader that panicked has nothing more to say than what it has printed.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Nanoseconds of one of so many test runs. By the clock of this process: the kernel's figure has no fractions, and some
/// rows differ by less than one.
fn each(runs: Repeated, times: u32) -> f64 {
    nanoseconds(runs.all) / f64::from(times)
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// Warms up, and tells how many live frames fill a run.
fn enough(generator: &mut Generator, sender: u32) -> Result<u32> {
    generator.send(sender, FEWEST)?;
    Ok(fitting(RUN, nanoseconds(generator.send(sender, FEWEST)?)).max(FEWEST))
}

/// How many packets fill a run, where one takes this long.
fn fitting(run: Duration, nanoseconds_each: f64) -> u32 {
    (run.as_nanos() as f64 / nanoseconds_each.max(1.0)) as u32
}

/// How many packets were counted under a reason, whatever was done with them.
fn counted(filter: &Measured, reason: Reason) -> Result<u64> {
    let counters = filter.counters()?;
    let of = |verdict| counters.get(by_reason(Side::Wan, reason, verdict)).copied().unwrap_or(0);
    Ok([Verdict::Pass, Verdict::WouldDrop, Verdict::Drop, Verdict::Reject].into_iter().map(of).sum())
}
