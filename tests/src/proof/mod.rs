//! What the filter holds to, shown by count: limits that are exact, honest callers in a flood, and real scanners.
//!
//! Nothing here is a time: counts of packets and of calls, which hold on any machine.

mod clock;
mod gate;
mod rates;

use std::time::Duration;

use anyhow::Result;

pub use clock::{CLOCKS, Clock, Paced, WINDOWS, Windowed, Windows, pace, windows};
pub use rates::{Flow, Outcome, Rate, rate, window};

/// Shows by count what the filter holds to.
#[derive(Debug, clap::Parser)]
#[command(name = "tollgate-proof")]
pub struct Options {
    /// Only these tables.
    #[arg(value_enum)]
    tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Table {
    /// Limits by rate and by windows, against what their lines in the policy say.
    Accuracy,
}

/// Plays everything and prints the tables.
///
/// # Errors
/// Where something cannot be tried.
pub fn main(options: &Options) -> Result<()> {
    let wanted = |table| options.tables.is_empty() || options.tables.contains(&table);
    if wanted(Table::Accuracy) {
        accuracy()?;
    }
    Ok(())
}

fn accuracy() -> Result<()> {
    println!("Limits by rate: OPTIONS at line rate through the attached filter, against burst + rate x time");
    println!(
        "{:>4} {:>8} {:>8} {:>8} {:>8} {:>12} {:>10} {:>12} {:>12} {:>8}",
        "cpus", "sources", "rate/s", "burst", "reloads", "judged", "admitted", "at least", "at most", "off"
    );
    let time = Duration::from_secs(5);
    let one = |cpus| Flow { cpus, sources: 1, time, reloads: 0 };
    let many = |cpus| Flow { sources: 10_000, ..one(cpus) };
    for (limit, flow) in [
        (Rate { a_second: 10, burst: 20 }, one(1)),
        (Rate { a_second: 10, burst: 20 }, one(2)),
        (Rate { a_second: 1_000, burst: 1_000 }, one(1)),
        (Rate { a_second: 1_000, burst: 1_000 }, one(2)),
        (Rate { a_second: 20_000, burst: 20_000 }, one(2)),
        (Rate { a_second: 2, burst: 40 }, many(1)),
        (Rate { a_second: 2, burst: 40 }, many(2)),
        (Rate { a_second: 1_000, burst: 1_000 }, Flow { reloads: 100, ..one(2) }),
        (Rate { a_second: 2, burst: 40 }, Flow { reloads: 100, ..many(2) }),
    ] {
        let got = rate(limit, flow)?;
        println!(
            "{:>4} {:>8} {:>8} {:>8} {:>8} {:>12} {:>10} {:>12} {:>12} {:>6.2} %",
            flow.cpus,
            flow.sources,
            limit.a_second,
            limit.burst,
            flow.reloads,
            got.judged,
            got.admitted,
            got.least,
            got.most,
            got.deviation()
        );
    }
    println!("\nLimits by rate: 10 a second, 20 at once, in kernel and host on a scripted clock");
    println!("{:<28} {:>8} {:>9} {:>8} {:>15}", "clock", "offered", "admitted", "allowed", "over in any T");
    for clock in CLOCKS {
        let Paced { offered, admitted, allowed, over } = pace(clock)?;
        println!("{:<28} {offered:>8} {admitted:>9} {allowed:>8} {over:>15}", clock.name);
    }
    println!("\nWindows: new calls of one telephone at line rate through the attached filter");
    println!("{:>4} {:>10} {:>10} {:>10}", "cpus", "in an hour", "judged", "admitted");
    for (cpus, calls) in [(1, 50), (2, 50), (2, 1), (2, 64)] {
        let (judged, admitted) = window(calls, cpus, 1_000_000)?;
        println!("{cpus:>4} {calls:>10} {judged:>10} {admitted:>10}");
    }
    println!("\nWindows: calls of one telephone, in kernel and host on a scripted clock");
    println!("{:<50} {:>8} {:>9} {:>9} {:>8}", "calls/seconds", "offered", "admitted", "too many", "too few");
    for list in WINDOWS {
        let Windowed { offered, admitted, too_many, too_few } = windows(list, 20_000)?;
        let name: Vec<String> = list.iter().map(|(calls, seconds)| format!("{calls}/{seconds}")).collect();
        println!("{:<50} {offered:>8} {admitted:>9} {too_many:>9} {too_few:>8}", name.join(" "));
    }
    Ok(())
}
