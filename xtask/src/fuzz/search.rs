//! Starting the engine: one target, one or more processes, one corpus.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{build::Sanitizer, report::Report, seeds, work};
use crate::tool;

/// How long a process may take over one input; the slowest parser needs milliseconds.
const SLOWEST_SECONDS: u32 = 10;
/// MiB that one allocation may take under the address sanitizer: a reader of captures takes what the file has, not what it
/// claims; an image of a policy is 32 MiB.
const fn allocation_mib(target: &str) -> u32 {
    match target.as_bytes() {
        b"capture" => 1,
        _ => 64,
    }
}
/// MiB that a process may take.
const MEMORY_MIB: u32 = 4096;

/// What the engine needs to know of a target: the longest input, and words that it would not guess.
const fn shape(target: &str) -> (u32, Option<&'static str>) {
    match target.as_bytes() {
        b"wire" | b"frame" => (2200, None),
        b"message" | b"rewrite" => (3000, Some("sip")),
        b"number" => (120, Some("number")),
        b"policy" | b"compile" => (4096, Some("policy")),
        b"list" => (2048, Some("number")),
        b"capture" => (4096, None),
        b"control" | b"order" => (1024, Some("json")),
        b"explain" => (400, Some("sip")),
        _ => (100, Some("number")),
    }
}

/// A search.
pub(crate) struct Search<'a> {
    pub(crate) program: &'a Path,
    pub(crate) sanitizer: Sanitizer,
    pub(crate) time: Option<Duration>,
    pub(crate) runs: Option<u64>,
    pub(crate) jobs: u32,
}

impl Search<'_> {
    /// Searches one target; what it found worth keeping is in `corpus`.
    pub(crate) fn run(&self, target: &str, corpus: &Path) -> Result<Report> {
        let findings = work().join("findings").join(target);
        fs::create_dir_all(&findings).with_context(|| format!("cannot make {}", findings.display()))?;
        let before = tool::files_below(&findings)?;
        let began = Instant::now();
        let mut processes = Vec::new();
        for number in 0..self.jobs.max(1) {
            let log = work().join(format!("{target}-{}-{number}.log", self.sanitizer.as_str()));
            let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
            let mut command = self.command(target, &findings);
            command.arg(corpus).arg(seeds().join(target)).stderr(file).stdout(Stdio::null()).stdin(Stdio::null());
            let child = command.spawn().with_context(|| format!("cannot start `{}`", tool::shown(&command)))?;
            processes.push((child, log));
        }
        let mut report = Report::new(target, self.sanitizer.as_str());
        for (mut child, log) in processes {
            let status = child.wait().context("cannot wait for the engine")?;
            let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
            report.take(&String::from_utf8_lossy(&text));
            if !status.success() {
                report.faults.push(format!("{target}: {status}, see {}", log.display()));
            }
        }
        report.time = began.elapsed();
        let found = tool::files_below(&findings)?.into_iter().filter(|file| !before.contains(file));
        report.faults.extend(found.map(|file| format!("{target}: {}", file.display())));
        Ok(report)
    }

    fn command(&self, target: &str, findings: &Path) -> Command {
        let mut command = engine(self.program, target);
        command.arg(format!("-artifact_prefix={}/", findings.display())).arg("-print_final_stats=1");
        if self.sanitizer == Sanitizer::Address {
            command.arg(format!("-malloc_limit_mb={}", allocation_mib(target)));
        }
        if let Some(time) = self.time {
            command.arg(format!("-max_total_time={}", time.as_secs()));
        }
        if let Some(runs) = self.runs {
            command.arg(format!("-runs={runs}"));
        }
        command
    }
}

fn engine(program: &Path, target: &str) -> Command {
    let (longest, words) = shape(target);
    let mut command = Command::new(program);
    command.env("TOLLGATE_FUZZ_TARGET", target).current_dir(tool::root());
    command.arg(format!("-max_len={longest}")).arg(format!("-timeout={SLOWEST_SECONDS}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MIB}"));
    if let Some(words) = words {
        command.arg(format!("-dict={}", dictionary(words).display()));
    }
    command
}

fn dictionary(words: &str) -> PathBuf {
    tool::root().join("fuzz/dict").join(words).with_extension("dict")
}

/// Writes into `merged` the fewest inputs of `corpus` and of the seeds that cover as much as all of them.
pub(crate) fn merge(program: &Path, target: &str, corpus: &Path, merged: &Path) -> Result<()> {
    let mut command = engine(program, target);
    command.arg("-merge=1").arg(merged).arg(corpus).arg(seeds().join(target));
    let log = work().join(format!("{target}-merge.log"));
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command.stderr(file).stdin(Stdio::null()).status().context("cannot start the engine")?;
    if !status.success() {
        bail!("merging the corpus of {target} ended with {status}, see {}", log.display());
    }
    Ok(())
}
