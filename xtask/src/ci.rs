//! Everything that must hold before a change is merged, in one command that a bare machine can run.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    ebpf, instructions,
    kernels::{self, Clock},
    setup::{self, Need},
    test, tidy, tool,
};

/// The kernel that the object must load on: the oldest that is promised.
const FLOOR_KERNEL: &str = "6.1";
/// More than this on the floor kernel leaves too little room for growth below the verifier's million.
const MAX_VERIFIED: u64 = 300_000;

/// What the steps leave for the summary.
#[derive(Default)]
struct Findings {
    passed: u64,
    failed: u64,
    skipped: Vec<String>,
    verified: Vec<String>,
}

type Step = (&'static str, fn(&mut Findings) -> Result<()>);

/// The steps: cheap ones first. All of them run, whatever fails, so that one run shows all that is wrong. They share one
/// profile and one set of flags, so that nothing is compiled twice for the host.
const STEPS: &[Step] = &[
    ("setup", |_| setup::ensure(&[Need::Bpf, Need::Tests, Need::Kernels])),
    ("format", |_| cargo(&["fmt", "--all", "--check"])),
    ("tidy", |_| tidy::run()),
    ("ebpf check", |_| ebpf::check(&tool::root())),
    ("clippy", |_| cargo(&["clippy", "--locked", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])),
    ("docs", |_| docs()),
    ("tests", tests),
    ("decisions with the BPF compiler", |_| ebpf::build_common(&tool::root())),
    ("ebpf verify", |_| ebpf::verify(&tool::root())),
    ("kernel 6.1", kernel),
    ("verified instructions", |findings| verified(&findings.verified)),
    ("instructions a packet", |_| instructions::check()),
];

/// Runs `cargo xtask ci`.
pub(crate) fn run() -> ExitCode {
    let started = Instant::now();
    let mut findings = Findings::default();
    let mut report = Vec::new();
    let mut faults = 0;
    for (name, step) in STEPS {
        println!("== {name}");
        let began = Instant::now();
        let result = step(&mut findings);
        if let Err(error) = &result {
            println!("error: {error:#}");
            faults += 1;
        }
        report.push((*name, result.is_ok(), began.elapsed()));
    }
    println!("== summary");
    for (name, ok, took) in &report {
        println!("{:<8} {:>8}  {name}", if *ok { "ok" } else { "FAILED" }, seconds(*took));
    }
    println!("{:<8} {:>8}  total", if faults == 0 { "ok" } else { "FAILED" }, seconds(started.elapsed()));
    for line in findings.verified.iter().chain(&findings.skipped) {
        println!("{line}");
    }
    println!("{} passed, {} failed", findings.passed, findings.failed);
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f32())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    tool::run(tool::cargo().args(arguments))
}

fn docs() -> Result<()> {
    let mut cargo = tool::cargo();
    cargo.args(["doc", "--locked", "--quiet", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings");
    tool::run(&mut cargo)
}

fn tests(findings: &mut Findings) -> Result<()> {
    let report = test::run_tests(&[], None)?;
    findings.passed += report.passed;
    findings.failed += report.failed;
    findings.skipped.extend(report.skipped);
    findings.verified.extend(report.verified);
    if report.failed > 0 {
        bail!("{} tests failed", report.failed);
    }
    if report.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

fn kernel(findings: &mut Findings) -> Result<()> {
    let lines = kernels::boot_each(&[FLOOR_KERNEL], Clock::Time)?;
    if lines.is_empty() {
        bail!("kernel {FLOOR_KERNEL} was not booted: its package was not found");
    }
    let verified = lines.into_iter().filter(|line| line.starts_with(test::VERIFIED));
    findings.verified.extend(verified.map(|line| format!("{line} (kernel {FLOOR_KERNEL})")));
    Ok(())
}

/// Holds the counts that tests printed, `VERIFIED: program count`, against the limit.
fn verified(lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        bail!("no test printed a line `{} PROGRAM COUNT`, so nothing is known of the verifier's limit", test::VERIFIED);
    }
    let mut most = 0;
    for line in lines {
        most = most.max(verified_count(line)?);
    }
    println!("{most} instructions at most, of {MAX_VERIFIED}");
    if most > MAX_VERIFIED {
        bail!("{most} verified instructions are more than {MAX_VERIFIED}");
    }
    Ok(())
}

fn verified_count(line: &str) -> Result<u64> {
    let mut words = line.split_whitespace().skip(1);
    let count = words.nth(1).and_then(|word| word.parse().ok());
    count.with_context(|| format!("`{line}` is not of the form `{} PROGRAM COUNT`", test::VERIFIED))
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn the_limit_on_verified_instructions_holds_for_every_program() {
        let line = |count: u64| format!("VERIFIED: sip_wan {count} (kernel 6.1)");
        assert!(verified(&[line(1), line(MAX_VERIFIED)]).is_ok());
        assert!(verified(&[line(MAX_VERIFIED + 1), line(1)]).is_err());
        assert!(verified(&[]).is_err());
        assert!(verified(&["VERIFIED: sip_wan many".to_owned()]).is_err());
    }
}
