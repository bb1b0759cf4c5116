//! The guard on instructions a packet: counted in an emulated machine, compared with what is committed.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use anyhow::{Context, Result, bail};

use crate::{
    kernels::{self, Clock},
    tool,
};

/// The kernel that runs the programs; its compiler of BPF has a say in the count.
const KERNEL: &str = "6.1";
/// The counts that were accepted.
const FILE: &str = "tests/instructions.tsv";
/// What the machine prints in front of a count.
const EXECUTED: &str = "EXECUTED:";
/// How many per cent more than was accepted is an error. Another patch level of the kernel moves a count by one.
const MARGIN: u64 = 5;

/// What to do with the counts.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Accept what is counted: writes it into tests/instructions.tsv.
    #[arg(long)]
    accept: bool,
}

/// Instructions a packet, by row.
type Counts = BTreeMap<String, u64>;

/// Runs `cargo xtask instructions`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let counts = count()?;
    let file = tool::root().join(FILE);
    if args.accept {
        fs::write(&file, written(&counts)).with_context(|| format!("cannot write {FILE}"))?;
        println!("instructions: {} rows written to {FILE}", counts.len());
        return Ok(());
    }
    compare(&read(&tool::read_text(&file)?)?, &counts)
}

/// Counts, and compares with what was accepted.
pub(crate) fn check() -> Result<()> {
    run(&Args { accept: false })
}

fn count() -> Result<Counts> {
    let lines = kernels::boot_each(&[KERNEL], Clock::Instructions)?;
    let counts: Counts = lines.iter().filter_map(|line| executed(line)).collect();
    if counts.is_empty() {
        bail!("nothing was counted: the kernel {KERNEL} was not booted, or the test in it printed no `{EXECUTED}`");
    }
    Ok(counts)
}

/// The count of a line such as `EXECUTED: 512 not SIP`.
fn executed(line: &str) -> Option<(String, u64)> {
    let (count, row) = line.strip_prefix(EXECUTED)?.trim().split_once(' ')?;
    Some((row.to_owned(), count.parse().ok()?))
}

fn written(counts: &Counts) -> String {
    let mut text = String::from(
        "# Instructions a packet, beyond those of a program that does nothing; written by `cargo xtask instructions --accept`.\n",
    );
    for (row, count) in counts {
        let _ = writeln!(text, "{count}\t{row}");
    }
    text
}

fn read(text: &str) -> Result<Counts> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|(number, line)| {
            let (count, row) = line.split_once('\t').unwrap_or_default();
            let count = count.parse().with_context(|| {
                format!("{FILE}:{}: no count and row: run `cargo xtask instructions --accept`", number + 1)
            })?;
            Ok((row.to_owned(), count))
        })
        .collect()
}

/// Prints each row beside what was accepted; an error names those that grew by more than the margin, or are new or gone.
fn compare(accepted: &Counts, counts: &Counts) -> Result<()> {
    let mut faults = Vec::new();
    println!("{:>8} {:>8} {:>7}  instructions a packet", "now", "accepted", "");
    for (row, count) in counts {
        let Some(before) = accepted.get(row) else {
            faults.push(format!("{row}: {count}, and nothing was accepted yet"));
            continue;
        };
        let change = (*count as f64 / *before as f64 - 1.0) * 100.0;
        println!("{count:>8} {before:>8} {change:>+6.1}%  {row}");
        if count * 100 > before * (100 + MARGIN) {
            faults.push(format!("{row}: {count}, {change:.1} % more than {before}"));
        }
    }
    faults.extend(accepted.keys().filter(|row| !counts.contains_key(*row)).map(|row| format!("{row}: not counted")));
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "instructions a packet:\n  {}\nmake it shorter, or accept it by `cargo xtask instructions --accept` and say why in the commit",
        faults.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, u64)]) -> Counts {
        of.iter().map(|&(row, count)| (row.to_owned(), count)).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let some = counts(&[("not SIP", 40), ("allowed", 3200)]);
        assert_eq!(read(&written(&some)).unwrap(), some);
        assert!(format!("{:#}", read("allowed 3200\n").unwrap_err()).contains("instructions.tsv:1"));
    }

    #[test]
    fn lines_of_the_machine_that_count_are_found() {
        assert_eq!(executed("EXECUTED: 512 not SIP"), Some(("not SIP".into(), 512)));
        assert_eq!(executed("VERIFIED: wan 512"), None);
    }

    #[test]
    fn more_than_the_margin_and_rows_without_a_count_are_faults() {
        let accepted = counts(&[("a", 1000), ("b", 100)]);
        assert!(compare(&accepted, &counts(&[("a", 1050), ("b", 10)])).is_ok());
        let error = compare(&accepted, &counts(&[("a", 1051), ("c", 1)])).unwrap_err().to_string();
        assert!(
            error.contains("a: 1051, 5.1 % more") && error.contains("b: not counted") && error.contains("c: 1"),
            "{error}"
        );
    }
}
