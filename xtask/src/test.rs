//! Runs every test, and counts what was left out.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    setup::{self, Need},
    tool,
};

const BPFFS: &str = "/sys/fs/bpf";
/// A test that leaves itself out prints a line that starts so, with the reason.
const SKIPPED: &str = "SKIPPED:";
/// A test that loads a program prints a line that starts so: the program's name and its verified instructions.
pub(crate) const VERIFIED: &str = "VERIFIED:";

/// What to hand on.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Arguments of `cargo test`, such as a part of a test's name, `--package gateway-common`, or `-- --exact NAME`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs `cargo xtask test`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let report = run_tests(&args.args, None)?;
    println!("{} passed, {} failed, {} skipped", report.passed, report.failed, report.skipped.len());
    Ok(if report.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prepares the machine as far as it can be, and runs the tests. Tests that fail are in the report; an error means that
/// they could not be built or run.
///
/// `object` is a BPF object to test instead of the committed one.
pub(crate) fn run_tests(args: &[String], object: Option<&Path>) -> Result<Report> {
    let root = tool::is_root();
    if root {
        if tool::is_debian() {
            setup::ensure(&[Need::Tests])?;
        } else if let Err(error) = setup::ensure(&[Need::Tests]) {
            eprintln!("test: tests that need these are left out: {error:#}");
        }
        mount_bpffs()?;
    } else {
        eprintln!("test: not root: the tests that need the kernel leave themselves out");
    }
    let mut cargo = command(args);
    if root {
        cargo.env("TOLLGATE_REQUIRE_KERNEL", "1");
    }
    if let Some(object) = object {
        cargo.env("TOLLGATE_EBPF_OBJECT", object);
    }
    let mut child = cargo.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut report = Report::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        if report.take(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    for line in &report.skipped {
        println!("{line}");
    }
    if !status.success() && report.failed == 0 {
        bail!("`{}` ended with {status}, and no test failed: see above", tool::shown(&cargo));
    }
    Ok(report)
}

fn command(args: &[String]) -> Command {
    let (of_cargo, of_tests) = match args.iter().position(|arg| arg == "--") {
        Some(at) => (&args[..at], &args[at + 1..]),
        None => (args, &[][..]),
    };
    let mut cargo = tool::cargo();
    cargo.args(["test", "--locked", "--no-fail-fast"]);
    if !of_cargo.iter().any(|arg| arg.starts_with("-p") || arg.starts_with("--package")) {
        cargo.arg("--workspace");
    }
    // What passing tests print is where they say that they left themselves out.
    cargo.args(of_cargo).args(["--", "--show-output"]).args(of_tests);
    cargo
}

/// Mounts the file system in which programs and maps are pinned, where it is missing (containers, small images).
fn mount_bpffs() -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    if is_mounted(&mounts) {
        return Ok(());
    }
    tool::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))
        .with_context(|| format!("cannot mount the BPF file system at {BPFFS}"))
}

fn is_mounted(mounts: &str) -> bool {
    mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        words.next() == Some(BPFFS) && words.next() == Some("bpf")
    })
}

/// What the tests said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Tests that ran and passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
    /// One line for each test that left itself out.
    pub(crate) skipped: Vec<String>,
    /// Lines with verified instruction counts.
    pub(crate) verified: Vec<String>,
    /// Tests of the binary that is running which left themselves out: libtest counts them among those that passed.
    left_out: u64,
    /// Inside the section in which libtest repeats what passing tests printed.
    in_successes: bool,
    /// The test whose output is being repeated, and whether it has said that it left itself out.
    test: Option<(String, bool)>,
}

impl Report {
    /// Takes in one line; whether a person should see it.
    fn take(&mut self, line: &str) -> bool {
        if line == "failures:" {
            self.in_successes = false;
            return true;
        }
        if let Some(counts) = line.strip_prefix("test result:") {
            self.in_successes = false;
            self.test = None;
            self.count(counts);
            return true;
        }
        if line == "successes:" {
            self.in_successes = true;
            self.test = None;
            return false;
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.test = Some((name.to_owned(), false));
            return !self.in_successes;
        }
        if line.starts_with(VERIFIED) {
            self.verified.push(line.to_owned());
        }
        if line.starts_with(SKIPPED) {
            self.skip(line);
            return false;
        }
        !self.in_successes
    }

    fn skip(&mut self, line: &str) {
        match &mut self.test {
            Some((_, true)) => {}
            Some((name, said)) => {
                *said = true;
                self.left_out += 1;
                self.skipped.push(format!("{line} ({name})"));
            }
            None => self.skipped.push(line.to_owned()),
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn count(&mut self, counts: &str) {
        let counts = counts.trim_start().trim_start_matches("ok. ").trim_start_matches("FAILED. ");
        for part in counts.split("; ") {
            match part.split_once(' ').map(|(number, what)| (number.parse::<u64>(), what)) {
                Some((Ok(number), "passed")) => {
                    self.passed += number.saturating_sub(std::mem::take(&mut self.left_out));
                }
                Some((Ok(number), "failed")) => self.failed += number,
                Some((Ok(number), "ignored")) => {
                    self.skipped.extend((0..number).map(|_| format!("{SKIPPED} a test marked #[ignore]")));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 3 tests
test quiet ... ok
test says_something ... ok
test needs_root ... ok

successes:

---- says_something stdout ----
a line that nobody needs
VERIFIED: sip 1234

---- needs_root stdout ----
SKIPPED: not root
SKIPPED: not root, said twice

successes:
    needs_root
    quiet
    says_something

test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    const FAILING: &str = "
running 2 tests
test good ... ok
test bad ... FAILED

successes:

---- good stdout ----
noise

successes:
    good

failures:

---- bad stdout ----
left: 1

failures:
    bad

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    fn shown(report: &mut Report, output: &str) -> String {
        output.lines().filter(|line| report.take(line)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn tests_that_left_themselves_out_are_counted_once_and_not_as_passed() {
        let mut report = Report::default();
        let shown = shown(&mut report, OUTPUT);
        assert_eq!((report.passed, report.failed), (2, 0));
        assert_eq!(report.skipped, ["SKIPPED: not root (needs_root)", "SKIPPED: a test marked #[ignore]"]);
        assert_eq!(report.verified, ["VERIFIED: sip 1234"]);
        assert!(shown.contains("test quiet ... ok") && !shown.contains("nobody needs"), "{shown}");
    }

    #[test]
    fn what_failing_tests_print_is_shown() {
        let mut report = Report::default();
        let shown = shown(&mut report, FAILING);
        assert_eq!((report.passed, report.failed), (1, 1));
        assert!(shown.contains("left: 1") && !shown.contains("noise"), "{shown}");
    }

    #[test]
    fn several_binaries_add_up() {
        let mut report = Report::default();
        shown(&mut report, OUTPUT);
        shown(&mut report, FAILING);
        assert_eq!((report.passed, report.failed, report.skipped.len()), (3, 1, 2));
    }

    #[test]
    fn a_line_of_the_harness_itself_is_a_skip_of_its_own() {
        let mut report = Report::default();
        report.take("SKIPPED: the whole binary");
        report.take("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        assert_eq!((report.passed, report.skipped.len()), (0, 1));
    }

    #[test]
    fn arguments_go_where_they_belong() {
        let words = |args: &[&str]| tool::shown(&command(&args.iter().map(ToString::to_string).collect::<Vec<_>>()));
        assert!(words(&[]).ends_with("test --locked --no-fail-fast --workspace -- --show-output"));
        assert!(words(&["-p", "xtask", "tidy"]).ends_with("--no-fail-fast -p xtask tidy -- --show-output"));
        assert!(words(&["name", "--", "--exact"]).ends_with("--workspace name -- --show-output --exact"));
    }

    #[test]
    fn bpffs_is_recognised_by_place_and_kind() {
        assert!(is_mounted("proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw 0 0\n"));
        assert!(!is_mounted("tmpfs /sys/fs/bpf tmpfs rw 0 0\nbpf /mnt bpf rw 0 0\n"));
    }
}
