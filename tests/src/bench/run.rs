//! Runs the rows.

use std::{collections::HashMap, process::ExitCode, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use gateway_common::{Reason, Verdict, counters::by_reason, judge::Side};
use gateway_user::{config::Role, daemon::AttachMode, kernel::Measured, policy::PolicyImage};

use super::{
    Options,
    frames::for_nobody,
    policies::Policy,
    report::{self, Runs},
    rows::{self, Row},
    stage::{Stage, Wire},
    traffic::{Bare, Generator, Receiver},
};

/// The share of frames that a row must see counted under its reason.
const ENOUGH: f64 = 0.99;

/// How long a run of live frames takes; beginning and ending it takes as long again.
const RUN: Duration = Duration::from_millis(8);
/// How long test runs of one frame take: shorter than a time slice, since a wall clock tells how long.
const TEST_RUN: Duration = Duration::from_millis(1);
/// Test runs for each run of live frames.
const TEST_RUNS: u32 = 5;
/// Runs of each of the two receivers that are compared.
const QUICK: u32 = 12;
const FULL: u32 = 60;
/// Fewer frames would measure how a run begins.
const FEWEST: u32 = 1_000;
/// Frames of the run that warms up and tells how long a frame takes.
const FIRST: u32 = 20_000;

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
    let wanted = |name: &str| options.filter.as_ref().is_none_or(|filter| name.contains(filter.as_str()));
    let rows: Vec<Row> = rows::all().into_iter().filter(|row| wanted(&row.name)).collect();
    ensure!(!rows.is_empty(), "no row has that in its name: `--list` prints them all");
    if options.list {
        for row in &rows {
            println!("{}", row.name);
        }
        return Ok(());
    }
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let stage = Stage::enter(options.cpu.unwrap_or(cpus - 1))?;
    let mut bench = Bench {
        runs: if options.quick { QUICK } else { FULL },
        images: HashMap::new(),
        drop: Reference::new(&stage, "drop", Bare::Drop)?,
        pass: Reference::new(&stage, "pass", Bare::Pass)?,
        wire: stage.wire("gate", &[])?,
    };
    if !options.json {
        println!("{}", report::Result::head());
    }
    for row in &rows {
        let result = bench.row(row).with_context(|| format!("row {:?}", row.name))?;
        if options.json {
            println!("{}", serde_json::to_string(&result)?);
        } else {
            println!("{result}");
        }
    }
    Ok(())
}

/// A bare receiver and its wire.
struct Reference {
    wire: Wire,
    receiver: Receiver,
}

impl Reference {
    fn new(stage: &Stage, name: &str, bare: Bare) -> Result<Self> {
        let wire = stage.wire(name, &[])?;
        let receiver = Receiver::attach(bare, wire.taker, AttachMode::Driver)?;
        Ok(Self { wire, receiver })
    }
}

struct Bench {
    runs: u32,
    images: HashMap<Policy, PolicyImage>,
    drop: Reference,
    pass: Reference,
    wire: Wire,
}

impl Bench {
    /// Measures a row: bare and filter in turns, so that whatever else the machine does meets both.
    fn row(&mut self, row: &Row) -> Result<report::Result> {
        let sample = for_nobody(&row.content, row.wrap, row.vary)?;
        let image = match self.images.remove(&row.policy) {
            Some(image) => image,
            None => row.policy.compile()?,
        };
        let mut filter = Measured::new(&image.cells, Role::Wan)?;
        self.images.insert(row.policy, image);
        filter.attach(self.wire.taker, row.mode)?;
        let mut generator = Generator::new(&sample)?;
        let reference = match row.bare {
            Bare::Drop => &mut self.drop,
            Bare::Pass => &mut self.pass,
        };

        let (mut live, mut bare) = (Runs::default(), Runs::default());
        let frames = fitting(RUN, nanoseconds(generator.send(self.wire.sender, FIRST)?));
        let before = counted(&filter, row.reason)?;
        for _ in 0..self.runs {
            bare.add(nanoseconds(generator.send(reference.wire.sender, frames)?));
            live.add(nanoseconds(generator.send(self.wire.sender, frames)?));
        }
        let counted = (counted(&filter, row.reason)? - before) as f64 / (f64::from(self.runs) * f64::from(frames));
        ensure!(
            counted >= ENOUGH,
            "{:.1} % of its frames were counted as {}: it measures something else",
            counted * 100.0,
            row.reason.as_str()
        );

        let (mut test, mut bare_test) = (Runs::default(), Runs::default());
        let each = |time: Duration, times: u32| nanoseconds(time) / f64::from(times);
        let times = fitting(TEST_RUN, each(filter.repeat(&sample.frame, FIRST)?, FIRST));
        for _ in 0..self.runs * TEST_RUNS {
            bare_test.add(each(reference.receiver.repeat(&sample.frame, times)?, times));
            test.add(each(filter.repeat(&sample.frame, times)?, times));
        }
        Ok(report::Result {
            row: row.name.clone(),
            bare: row.bare.as_str(),
            mode: row.mode.as_str(),
            mpps: 1000.0 / live.best(),
            mpps_median: 1000.0 / live.median(),
            bare_mpps: 1000.0 / bare.best(),
            bare_mpps_median: 1000.0 / bare.median(),
            share: bare.best() / live.best(),
            added_ns: live.best() - bare.best(),
            added_ns_median: live.median() - bare.median(),
            test_run_ns: test.best(),
            bare_test_run_ns: bare_test.best(),
            reason: row.reason.as_str(),
            counted,
        })
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

/// How many frames fill a run, where one takes this long.
fn fitting(run: Duration, nanoseconds_each: f64) -> u32 {
    ((run.as_nanos() as f64 / nanoseconds_each.max(1.0)) as u32).max(FEWEST)
}

/// How many packets were counted under a reason, whatever was done with them.
fn counted(filter: &Measured, reason: Reason) -> Result<u64> {
    let counters = filter.counters()?;
    let of = |verdict| counters.get(by_reason(Side::Wan, reason, verdict)).copied().unwrap_or(0);
    Ok([Verdict::Pass, Verdict::WouldDrop, Verdict::Drop, Verdict::Reject].into_iter().map(of).sum())
}
