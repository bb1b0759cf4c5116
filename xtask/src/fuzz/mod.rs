//! Coverage-guided search through every parser that reads octets from outside, and the corpora that it leaves.

mod archive;
mod build;
mod report;
mod search;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{
    setup::{self, Need},
    tool,
};
use build::Sanitizer;

/// The crate of the targets.
const PACKAGE: &str = "gateway-fuzz";
/// How long a target is searched where nothing else is asked for.
const USUAL: Duration = Duration::from_secs(60);

/// What to do.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One target; without it each of them, one after the other.
    target: Option<String>,
    /// How long each target is searched, such as 90s, 10m or 2h; a minute where neither this nor --runs is given.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    time: Option<Duration>,
    /// How many inputs each process tries at most.
    #[arg(long, value_name = "N")]
    runs: Option<u64>,
    /// What looks for errors of memory: `address` is slower and finds more.
    #[arg(long, default_value = "address")]
    sanitizer: Sanitizer,
    /// Processes that search one target together.
    #[arg(long, value_name = "N", default_value_t = 1)]
    jobs: u32,
    /// Tries the committed inputs and the findings on stable Rust instead, as `cargo xtask test` does.
    #[arg(long, conflicts_with_all = ["time", "runs", "merge"])]
    replay: bool,
    /// Puts what earlier searches found into the committed archive, without what adds no coverage.
    #[arg(long, conflicts_with_all = ["time", "runs"])]
    merge: bool,
}

/// Runs `cargo xtask fuzz`.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.replay {
        return replay();
    }
    setup::ensure(&[Need::Fuzz])?;
    let names = targets(args.target.as_deref())?;
    let program = build::program(args.sanitizer)?;
    for name in &names {
        archive::unpack(name, &corpus(name))?;
    }
    if args.merge {
        return merge(&program, &names);
    }
    let time = args.time.or_else(|| args.runs.is_none().then_some(USUAL));
    let search =
        search::Search { program: &program, sanitizer: args.sanitizer, time, runs: args.runs, jobs: args.jobs };
    let mut faults = Vec::new();
    println!("{}", report::HEADING);
    for name in &names {
        let found = search.run(name, &corpus(name))?;
        println!("{}", found.line());
        faults.extend(found.faults);
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("inputs that a target does not stand:\n  {}", faults.join("\n  "))
}

fn replay() -> Result<()> {
    let mut cargo = tool::cargo();
    cargo.args(["test", "--locked", "--package", PACKAGE, "--test", "replay", "--", "--show-output"]);
    tool::run(&mut cargo)
}

/// Leaves in the archive the fewest inputs that cover what all of them cover. Targets that were not asked for keep theirs.
fn merge(program: &std::path::Path, names: &[String]) -> Result<()> {
    for name in names {
        let merged = work().join("merged").join(name);
        if merged.exists() {
            std::fs::remove_dir_all(&merged).with_context(|| format!("cannot remove {}", merged.display()))?;
        }
        std::fs::create_dir_all(&merged).with_context(|| format!("cannot make {}", merged.display()))?;
        search::merge(program, name, &corpus(name), &merged)?;
        archive::replace(name, &merged)?;
    }
    println!("{}", archive::summary()?);
    Ok(())
}

/// The targets to search: writing the seeds names every one.
fn targets(wanted: Option<&str>) -> Result<Vec<String>> {
    let mut cargo = tool::cargo();
    cargo.args(["run", "--locked", "--quiet", "--package", PACKAGE, "--bin", "fuzz-seeds", "--"]).arg(seeds());
    let all: Vec<String> = tool::output(&mut cargo)?.lines().map(str::to_owned).collect();
    match wanted {
        None => Ok(all),
        Some(name) if all.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("{name:?} is no target; write one of {}", all.join(", ")),
    }
}

/// Where everything lies that is not committed.
fn work() -> PathBuf {
    tool::target_dir().join("fuzz")
}

fn seeds() -> PathBuf {
    work().join("seeds")
}

fn corpus(target: &str) -> PathBuf {
    work().join("corpus").join(target)
}

fn duration(text: &str) -> Result<Duration> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => bail!("write a number and a unit, such as 90s, 10m or 2h"),
    };
    let count: u64 = digits.parse().context("write a number and a unit, such as 90s, 10m or 2h")?;
    if count == 0 {
        bail!("no time at all; write such as 10m");
    }
    count.checked_mul(seconds).map(Duration::from_secs).context("that is longer than anybody lives")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("10m").unwrap(), Duration::from_secs(600));
        for wrong in ["", "10", "m", "0s", "1d", "-1s", "99999999999999999999h", "9999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
