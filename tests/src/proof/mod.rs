//! What the filter holds to, shown by count: limits that are exact, honest callers in a flood, and real scanners.
//!
//! Nothing here is a time: counts of packets and of calls, which hold on any machine.

mod clock;
mod flood;
mod forge;
mod gate;
mod honest;
mod policy;
mod rates;
mod tap;
mod tools;

use std::{collections::BTreeMap, fmt::Display, time::Duration};

use anyhow::Result;

pub use clock::{CLOCKS, Clock, Paced, WINDOWS, Windowed, Windows, pace, windows};
pub use flood::{Defence, Dialled, Flood, Weathered, flood};
pub use honest::{Behaved, Behaviour, behave};
pub(crate) use policy::shipped;
pub use rates::{Calls, Flow, Outcome, Rate, calls, rate};
pub use tools::{Tool, Tried, tool};

/// Shows by count what the filter holds to.
#[derive(Debug, clap::Parser)]
#[command(name = "tollgate-proof")]
pub struct Options {
    /// Only these tables.
    #[arg(value_enum)]
    tables: Vec<Table>,
    /// Forged packets of a flood, at least.
    #[arg(long, default_value_t = 5_000_000)]
    forged: u64,
    /// Calls of the hundred known telephones in a flood.
    #[arg(long, default_value_t = 10_000)]
    calls: u64,
    /// Seconds that a tool gets at most.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Table {
    /// Limits by rate and by windows, against what their lines in the policy say.
    Accuracy,
    /// Forged packets among honest telephones.
    Flood,
    /// Real scanners.
    Tools,
    /// What honest telephones do within a call and around it.
    Honest,
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
    if wanted(Table::Flood) {
        floods(options)?;
    }
    if wanted(Table::Tools) {
        scans(options)?;
    }
    if wanted(Table::Honest) {
        honest()?;
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
    println!("\nWindows and calls at once: new calls of one telephone at line rate through the attached filter");
    println!("{:>4} {:>14} {:>10} {:>10}", "cpus", "limit", "judged", "admitted");
    for (cpus, most) in [(1, 50), (2, 50), (2, 1), (2, 64)] {
        for (limit, name) in [(Calls::InAnHour(most), "in an hour"), (Calls::AtOnce(most), "at once")] {
            let (judged, admitted) = calls(limit, cpus, 1_000_000)?;
            println!("{cpus:>4} {:>14} {judged:>10} {admitted:>10}", format!("{most} {name}"));
        }
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

/// Forged packets where nothing keeps them from the PBX, which drowns: fewer, since it remembers each.
const DROWNING: u64 = 500_000;

fn floods(options: &Options) -> Result<()> {
    println!(
        "\nA flood of INVITE, REGISTER and OPTIONS, 100,000 a second, each source once, among 100 telephones that the PBX knows;\n\
         new: telephones that call for the first time; greedy: INVITEs of a known one, and what its limit allows of them"
    );
    println!(
        "{:<24} {:<9} {:>9} {:>9} {:>7} {:>9} {:>8} {:>8} {:>7} {:>7} {:>7} {:>8}  by reason",
        "policy",
        "dials",
        "forged",
        "through",
        "calls",
        "completed",
        "INVITEs",
        "new rang",
        "of new",
        "greedy",
        "through",
        "allowed"
    );
    for (defence, dialled) in [
        (Defence::Limited(100), Dialled::Domestic),
        (Defence::Limited(100), Dialled::Blocked),
        (Defence::Shield, Dialled::Domestic),
        (Defence::Shipped, Dialled::Blocked),
        (Defence::Shipped, Dialled::Domestic),
    ] {
        let forged = if defence == Defence::Shipped { options.forged.min(DROWNING) } else { options.forged };
        let calls = if defence == Defence::Shipped { options.calls.min(500) } else { options.calls };
        let got = flood(Flood { defence, dialled, forged, calls })?;
        let (greedy, greedy_through, greedy_allowed) = got.greedy;
        println!(
            "{:<24} {:<9} {:>9} {:>9} {:>7} {:>9} {:>8} {:>8} {:>7} {greedy:>7} {greedy_through:>7} {greedy_allowed:>8}  {}",
            match defence {
                Defence::Shipped => "shipped".to_owned(),
                Defence::Limited(a_second) => format!("shipped, {a_second}/s outside"),
                Defence::Shield => "shipped, shield on".to_owned(),
            },
            if dialled == Dialled::Blocked { "blocked" } else { "domestic" },
            got.forged,
            got.forged_passed,
            got.calls,
            got.completed,
            got.invites,
            got.new_rang,
            got.new,
            listed(&got.reasons)
        );
    }
    Ok(())
}

fn scans(options: &Options) -> Result<()> {
    println!(
        "\nReal tools, shipped policy in enforce mode, Kamailio with passwords behind it, a telephone that calls meanwhile"
    );
    println!(
        "{:<18} {:>6} {:>8} {:>12} {:>6} {:>9} {:>4}  by reason; answers to the tool",
        "tool", "sent", "through", "before stop", "calls", "completed", "cut"
    );
    for one in Tool::ALL {
        if let Some(remedy) = one.missing() {
            println!("{:<18} not tried: {remedy}", one.name());
            continue;
        }
        let got = tool(one, Duration::from_secs(options.seconds))?;
        println!(
            "{:<18} {:>6} {:>8} {:>12} {:>6} {:>9} {:>4}  {}; {}",
            one.name(),
            got.sent,
            got.through,
            got.before_first_stop.map_or("-".to_owned(), |count| count.to_string()),
            got.calls.0,
            got.calls.1,
            got.cut,
            listed(&got.reasons),
            listed(&got.answers)
        );
    }
    Ok(())
}

fn honest() -> Result<()> {
    println!(
        "\nOne telephone, five calls abroad in a minute, shipped policy in enforce mode: what is cut of a call that"
    );
    println!("{:<36} {:>8} {:>15} {:>5}", "", "messages", "INVITE or REFER", "cut");
    for behaviour in Behaviour::ALL {
        let Behaved { messages, calling, cut } = behave(behaviour)?;
        let name = behaviour.name();
        println!("{name:<36} {messages:>8} {calling:>15} {:>5}  {}", cut.values().sum::<u64>(), listed(&cut));
    }
    Ok(())
}

/// Counts by name, in one line.
fn listed<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    counts.join(", ")
}
