//! The demo, with the gateway's filter and without it: the account, and what a signal leaves.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use gateway_tests::{
    capability::{require_kernel, require_namespaces, require_program},
    daemon::find_binary,
    peer::Sipp,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

fn demo(arguments: &[&str]) -> Command {
    let mut command = filtered(arguments);
    command.arg("--no-gateway");
    command
}

/// The demo as it is run by itself, with the filter.
fn filtered(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate-demo"));
    command.arg("--json").args(arguments).stdin(Stdio::null());
    command
}

/// Whether there is a filter to try, and a kernel that takes it.
fn require_filter(test: &str) -> bool {
    require_kernel(test) && require_program(test, find_binary().ok(), "cargo build -p gateway-user").is_some()
}

/// Runs the filtered demo to its end and checks its account.
fn everything_is_accounted_for(arguments: &[&str]) {
    let output = filtered(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let dropped = last["dropped"].as_object().unwrap();
    let count = |value: &Value| value.as_u64().unwrap();
    assert_eq!(last["ok"], true, "{last}");
    assert_eq!(count(&last["sent"]), count(&last["passed"]) + dropped.values().map(count).sum::<u64>(), "{last}");
    for reason in ["blocked-country", "source-limit"] {
        assert!(count(&dropped[reason]) > 0, "nothing was dropped for {reason}: {last}");
    }
    assert!(count(&last["passed"]) > 0, "{last}");
}

/// Interrupts a demo that runs and sees that its processes and files are gone.
fn interrupted(mut command: Command, signal: Signal, daemons: usize) {
    let temporary = tempfile::tempdir().unwrap();
    let mut child = command.env("TMPDIR", temporary.path()).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.contains("\"time\":1"), "{first}");
    let children = started_by(child.id());
    assert!(children.len() >= daemons, "{children:?}");
    kill_process(Pid::from_raw(child.id() as i32).unwrap(), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{signal:?}");
    let alive = |pid: &u32| Path::new(&format!("/proc/{pid}")).exists();
    assert!(!children.iter().any(alive), "processes are left");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0, "files are left");
}

/// The processes that a process has started.
fn started_by(parent: u32) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let of = |pid: u32| -> Option<u32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in parentheses, may hold anything; state and parent follow it (proc_pid_stat(5)).
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    processes.filter(|&pid| of(pid) == Some(parent)).collect()
}

#[test]
fn what_is_sent_unfiltered_arrives_and_is_accounted_for() {
    if !require_namespaces("demo::what_is_sent_unfiltered_arrives_and_is_accounted_for") {
        return;
    }
    let output = demo(&["--peer", "builtin", "--for", "2s"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["ok"], &last["dropped"], &last["sent"]), (&json!(true), &json!({}), &last["passed"]));
    assert!(last["sent"].as_u64().unwrap() > 0);
}

#[test]
fn a_signal_ends_the_demo_with_130_and_nothing_left() {
    if !require_namespaces("demo::a_signal_ends_the_demo_with_130_and_nothing_left") {
        return;
    }
    for signal in [Signal::INT, Signal::TERM] {
        interrupted(demo(&["--peer", "builtin", "--for", "10m"]), signal, 0);
    }
}

#[test]
fn the_filtered_demo_accounts_for_all_that_the_builtin_agents_sent() {
    if !require_filter("demo::the_filtered_demo_accounts_for_all_that_the_builtin_agents_sent") {
        return;
    }
    everything_is_accounted_for(&["--peer", "builtin", "--for", "5s"]);
}

#[test]
fn the_filtered_demo_accounts_for_all_that_sipp_sent() {
    let test = "demo::the_filtered_demo_accounts_for_all_that_sipp_sent";
    if !require_filter(test) || require_program(test, Sipp::find(), "apt-get install sip-tester").is_none() {
        return;
    }
    everything_is_accounted_for(&["--peer", "sipp", "--for", "5s"]);
}

#[test]
fn a_signal_ends_the_filtered_demo_with_nothing_left() {
    if !require_filter("demo::a_signal_ends_the_filtered_demo_with_nothing_left") {
        return;
    }
    for signal in [Signal::INT, Signal::TERM] {
        interrupted(filtered(&["--peer", "builtin", "--for", "10m"]), signal, 1);
    }
}

#[test]
fn wrong_arguments_are_refused_before_anything_is_made() {
    for (arguments, words) in
        [(&["--for", "1s"][..], "20s"), (&["--for", "soon"], "20s"), (&["--peer", "asterisk"], "kamailio")]
    {
        let output = demo(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{arguments:?}");
    }
}
