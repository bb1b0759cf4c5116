//! `suggest`: limits from what the journal has of calls abroad, as a diff of the policy file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use gateway_common::{Reason, Verdict, judged::Who, limit::line_digest};
use gateway_user::{
    config,
    daemon::{Decided, Event, MaskedNumber},
};
use jiff::{Timestamp, ToSpan as _};
use support::{Daemon, event, stderr, stdout};

const POLICY: &str = include_str!("../policies/jp.toml");

fn daemon(policy: &str) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tollgate.toml"), policy).unwrap();
    Daemon::start_in(dir)
}

/// A call abroad of a telephone of the site that passed, so many seconds ago.
fn passed(line: &str, seconds_ago: i64) -> Event {
    Event {
        time: Timestamp::now() - seconds_ago.seconds(),
        verdict: Verdict::Pass,
        reason: Reason::Allowed,
        country: Some("GB"),
        number: Some(MaskedNumber::of("442071838750")),
        source: "192.0.2.20".parse().unwrap(),
        who: Who::Lan,
        line: line_digest(line.as_bytes()),
        decided: Some(Decided { profile: "default".into(), ..Decided::default() }),
        ..event()
    }
}

fn happen(daemon: &Daemon, events: Vec<Event>) {
    daemon.board.lock().unwrap().events = events;
    let end = Instant::now() + Duration::from_secs(30);
    while !daemon.board.lock().unwrap().events.is_empty() {
        assert!(Instant::now() < end, "the daemon takes no events");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Eight days back, 20 calls of one line within five minutes; then three of another within a minute.
fn fortnight() -> Vec<Event> {
    let begun = 8 * 86_400;
    (0..20).map(|n| passed("203", begun - 15 * n)).chain((0..3).map(|n| passed("204", 600 - 10 * n))).collect()
}

#[test]
fn what_was_seen_becomes_a_diff_that_patches_and_loads() {
    let daemon = daemon(POLICY);
    happen(&daemon, fortnight());
    // Of the last days alone too little is known.
    let refused = daemon.tollgate(&["suggest", "--since", "2d"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(stderr(&refused).contains("are missing") && stderr(&refused).contains("--anyway"), "{refused:?}");
    assert!(stdout(&refused).contains("calls abroad"), "what there is to see is shown all the same: {refused:?}");

    let output = daemon.tollgate(&["suggest"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    for needle in [
        "23 placed",
        "GB",
        "+# Suggested: 8/60s: at most 4 in 60s were seen; 8 is 2 times that.",
        "+windows = [\"8/60s\", \"40/24h\"]",
        "+site_windows = [\"40/1h\", \"60/24h\"]",
        "-windows = [\"8/60s\"",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert!(!text.contains("183875"), "a number: {text}");

    let diff = daemon.tollgate(&["suggest", "--diff"]);
    let file = daemon.dir.path().join("tollgate.toml");
    let mut patch = Command::new("patch").arg(&file).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    patch.stdin.take().unwrap().write_all(&diff.stdout).unwrap();
    assert!(patch.wait().unwrap().success());
    let (patched, _) = config::load(&file).unwrap();
    let abroad = patched.limits.iter().find(|limit| limit.name == "abroad").unwrap();
    assert_eq!(abroad.windows.iter().map(|it| it.count).collect::<Vec<_>>(), [8, 40]);
    assert_eq!(patched.limits.len(), 10, "everything else is as it was");

    // The file is not what is in force: a diff of it would speak of other figures.
    let output = daemon.tollgate(&["suggest"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("tollgate reload"), "{output:?}");
    daemon.json(&["reload", "--json"]);
    let output = daemon.tollgate(&["suggest"]);
    assert!(stdout(&output).contains("are what this would suggest"), "{output:?}");
}

#[test]
fn calls_that_a_limit_refused_and_those_of_strangers_raise_nothing() {
    let daemon = daemon(POLICY);
    let drop = |n| Event { verdict: Verdict::Drop, reason: Reason::LineLimit, ..passed("203", n) };
    let stranger = |n| Event { who: Who::Unproved, ..passed("203", n) };
    happen(&daemon, (0..50).flat_map(|n| [drop(n), stranger(n)]).chain([passed("203", 5)]).collect());
    let found = &daemon.json(&["suggest", "--anyway", "--json"])[0];
    assert_eq!((found["calls"].as_u64(), found["refused"].as_u64()), (Some(1), Some(50)), "{found}");
    assert_eq!(found["windows"], serde_json::json!(["5/60s", "6/300s", "10/1h", "30/24h"]));
    assert_eq!(found["lines"].as_array().unwrap().len(), 1);
    assert!(found["missing"].as_u64().unwrap() > 600_000);
}

#[test]
fn without_a_call_or_a_file_it_says_so() {
    let quiet = daemon(POLICY);
    let output = quiet.tollgate(&["suggest"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("nothing was observed"), "{output:?}");
    let output = quiet.tollgate(&["suggest", "--anyway", "--config", "/nowhere.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no such file"), "{output:?}");
    // A policy that has no limit on calls abroad gets one.
    let bare = support::POLICY;
    let file = quiet.dir.path().join("bare.toml");
    fs::write(&file, bare).unwrap();
    let output = quiet.tollgate(&["suggest", "--anyway", "--config", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).contains("+[limit.abroad]"), "{output:?}");
}
