//! The journal behind the command line: `why`, `report`, what `status` tells of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    fs,
    time::{Duration, Instant},
};

use gateway_common::{
    Class, Reason, Verdict,
    judged::Who,
    limit::{CellKey, line_digest, name_hash, window::Ring},
    policy::image::Key,
};
use gateway_user::daemon::{Decided, Event, MaskedNumber};
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use support::{Daemon, POLICY, event, stderr, stdout};

/// A telephone of the site, stopped on its way to Sierra Leone.
fn stopped(seconds_ago: i64) -> Event {
    Event {
        time: Timestamp::now() - seconds_ago.seconds(),
        number: Some(MaskedNumber::of("232761234567")),
        source: "192.0.2.20".parse().unwrap(),
        who: Who::Lan,
        decided: Some(Decided {
            profile: "default".into(),
            rule: Some("block SL (Sierra Leone) at tollgate.toml:12 (profile default)".into()),
            ..Decided::default()
        }),
        ..event()
    }
}

fn by_order(order: u64) -> Event {
    Event {
        reason: Reason::Order,
        decided: Some(Decided {
            rule: Some(format!("order {order}: block +232 (site)")),
            order: Some(order),
            ..Decided::default()
        }),
        ..stopped(0)
    }
}

fn passed(digits: &str, country: &'static str) -> Event {
    Event {
        verdict: Verdict::Pass,
        reason: Reason::Allowed,
        number: Some(MaskedNumber::of(digits)),
        country: Some(country),
        ..stopped(0)
    }
}

fn limited() -> Event {
    Event {
        reason: Reason::SourceLimit,
        decided: Some(Decided {
            profile: "lobby".into(),
            limit: Some("limit.caller, 10 in 1s, burst 20: used up".into()),
            ..Decided::default()
        }),
        verdict: Verdict::WouldDrop,
        source: "192.0.2.3".parse().unwrap(),
        ..stopped(0)
    }
}

/// Hands events to the daemon and waits until it has taken them.
fn happen(daemon: &Daemon, events: Vec<Event>) {
    daemon.board.lock().unwrap().events = events;
    let end = Instant::now() + Duration::from_secs(30);
    while !daemon.board.lock().unwrap().events.is_empty() {
        assert!(Instant::now() < end, "the daemon takes no events");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn why_names_the_rule_of_then_and_the_command_that_undoes_it_now() {
    let daemon = Daemon::start();
    daemon.json(&["block", "+232", "--json"]);
    happen(&daemon, vec![stopped(0), by_order(1), limited(), passed("442071838750", "GB")]);

    let output = daemon.tollgate(&["why"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    for needle in ["tollgate.toml:12", "tollgate undo 1", "limit.caller, 10 in 1s, burst 20: used up", "monitor mode"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert!(!text.contains("1234567"), "{text}");

    let found = daemon.json(&["why", "--from", "192.0.2.20", "--json"]);
    assert_eq!(found.len(), 3);
    let of = |reason: &str| found.iter().find(|line| line["reason"] == reason).expect(reason);
    let blocked = of("blocked-country");
    assert_eq!(blocked["undo"], "tollgate allow +23276 --source 192.0.2.20 --for 1h");
    assert_eq!(blocked["number"], "+232 76•••••••");
    assert_eq!(
        (&blocked["who"], &blocked["policy"], &blocked["sampled"]),
        (&json!("lan"), &json!("5ea1"), &json!(false))
    );
    assert_eq!(of("order")["undo"], "tollgate undo 1");
    assert_eq!(of("allowed")["undo"], Value::Null);

    assert_eq!(daemon.json(&["why", "--last", "--json"]).len(), 1);
    assert_eq!(daemon.json(&["why", "--from", "192.0.2.3", "--json"])[0]["reason"], "source-limit");
    assert_eq!(daemon.json(&["why", "--from", "203.0.113.77", "--json"]), [] as [Value; 0]);

    // The fake gateway resolves whatever is dialled to this number of Sierra Leone.
    assert_eq!(daemon.json(&["why", "--number", "010232761234567", "--json"]).len(), 3);
    assert_eq!(
        daemon.json(&["why", "--number", "+442071838750", "--json"]).len(),
        4,
        "as it is written, and as it is read"
    );

    // The command that `why` named is the one that works; afterwards there is nothing left to undo.
    daemon.json(&["undo", "1", "--json"]);
    let found = daemon.json(&["why", "--from", "192.0.2.20", "--json"]);
    let order = found.iter().find(|line| line["reason"] == "order").unwrap();
    assert_eq!(order["undo"], Value::Null);
    assert!(order["advice"].as_str().unwrap().contains("undone by order 2"), "{order}");
}

/// A policy with a limit for each line.
const LIMITED: &str = r#"
mode = "enforce"

[interface.eth0]
role = "wan"
[interface.eth1]
role = "lan"

[site]
region = "JP"

[profile.default]
limits = ["abroad"]

[limit.abroad]
key = "line"
class = "international"
windows = ["3/60s", "10/1h"]
site_windows = ["20/1h"]
over = "suspend"
suspend = "1h"
"#;

const SECOND: u64 = 1_000_000_000;

#[test]
fn why_of_a_line_shows_what_its_limit_held_and_the_resume_that_lifts_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tollgate.toml"), LIMITED).unwrap();
    let daemon = Daemon::start_in(dir);
    // Line 203 placed three calls between 960 s and 980 s, and was suspended by a fourth at 990 s; it is 1,000 s now.
    let (line, name) = (line_digest(b"203"), u64::from(name_hash(b"default")));
    let cell = line ^ (name << 32 | name);
    let key = CellKey { limit: name_hash(b"abroad"), kind: Key::Line as u32, value: cell };
    let mut ring =
        Ring { admitted: 3, first: 960 * SECOND, since: 990 * SECOND, until: 4590 * SECOND, refused: 1, ..Ring::FRESH };
    ring.calls[..3].copy_from_slice(&[960 * SECOND, 970 * SECOND, 980 * SECOND]);
    {
        let mut board = daemon.board.lock().unwrap();
        board.clock = 1000 * SECOND;
        board.cells.insert(key, ring);
    }
    let refused = Event {
        reason: Reason::LineLimit,
        line,
        clock: 990 * SECOND,
        country: Some("SL"),
        decided: Some(Decided { profile: "default".into(), ..Decided::default() }),
        ..stopped(10)
    };
    let other = Event { line: line_digest(b"204"), ..refused.clone() };
    happen(&daemon, vec![refused, other, stopped(5)]);

    let found = daemon.json(&["why", "--line", "203", "--json"]);
    assert_eq!(found.len(), 1, "{found:?}");
    let word = format!("line:#{cell:016x}");
    let held = &found[0]["held"][0];
    assert_eq!(found[0]["line"], json!(word));
    assert_eq!(held["limit"], "[limit.abroad]");
    assert_eq!(held["windows"], json!(["3 of 3/1m", "3 of 10/1h"]));
    assert_eq!(held["read_after_ms"], 10_000);
    assert!(held["since"].is_string() && held["until"].is_string(), "{held}");
    assert_eq!(found[0]["undo"], json!(format!("tollgate resume {word}")));
    let text = stdout(&daemon.tollgate(&["why", "--line", "203"]));
    for needle in ["held then", "3 of 3/1m", "suspended since", "read 10000 ms later", "tollgate resume line:#"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    // The same line by the words that other commands print.
    for line in ["line:203".to_owned(), word.clone(), format!("#{line:016x}")] {
        assert_eq!(daemon.json(&["why", "--line", &line, "--json"]).len(), 1, "{line}");
    }
    // A line of which nothing is counted: what is not known is not told.
    assert_eq!(daemon.json(&["why", "--line", "204", "--json"])[0]["held"], json!([]));
    assert_eq!(daemon.json(&["why", "--line", "20", "--json"]), [] as [Value; 0]);
    for line in ["", "line:", "#x"] {
        let output = daemon.tollgate(&["why", "--line", line]);
        assert_eq!(output.status.code(), Some(2), "{line}: {output:?}");
        assert!(stderr(&output).contains("is no line"), "{line}: {output:?}");
    }

    // The command that it names is the one that works.
    daemon.json(&["resume", &word, "--json"]);
    let found = daemon.json(&["why", "--line", "203", "--json"]);
    assert_eq!(found[0]["undo"], Value::Null);
    assert!(found[0]["advice"].as_str().unwrap().contains("nothing to undo"), "{found:?}");
}

#[test]
fn the_exposure_names_hosts_and_who_registered() {
    let daemon = Daemon::start();
    let found = &daemon.json(&["report", "--exposure", "--json"])[0];
    assert_eq!(found["hosts"][0]["host"], "192.0.2.1");
    assert_eq!(found["hosts"][0]["ports"], serde_json::json!([{"transport": "udp", "port": 5060}]));
    assert_eq!(found["registered"][0]["account"], "#00000000000000ff");
    assert_eq!(found["registered"][0]["known_until"], Value::Null);
    let text = stdout(&daemon.tollgate(&["report", "--exposure"]));
    for needle in ["192.0.2.1", "198.51.100.7", "not known: no credentials that held", "5060/udp"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    for also in [&["--export", "incidents"][..], &["--since", "3d"]] {
        let output = daemon.tollgate(&[&["report", "--exposure"], also].concat());
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
}

#[test]
fn why_at_a_time_shows_what_happened_around_it() {
    let daemon = Daemon::start();
    happen(&daemon, vec![stopped(7200), stopped(3600), stopped(3500), stopped(0)]);
    let at = (Timestamp::now() - 3600.seconds()).to_string();
    assert_eq!(daemon.json(&["why", "--at", &at, "--json"]).len(), 2);
    assert_eq!(daemon.json(&["why", "--since", "90m", "--json"]).len(), 3);
    assert_eq!(daemon.json(&["why", "--since", "1m", "--json"]).len(), 1);
    let nothing = daemon.tollgate(&["why", "--at", "2026-01-01 10:00"]);
    assert!(nothing.status.success() && stdout(&nothing).contains("tollgate explain"), "{nothing:?}");
    for (args, needle) in [
        (&["why", "--at", "2999-01-01 10:00"][..], "is to come"),
        (&["why", "--at", "teatime"], "yesterday 18:00"),
        (&["why", "--at", "10:00", "--last"], "cannot be used with"),
        (&["why", "--from", "example.net"], "invalid value"),
        (&["why", "--since", "7"], "has no unit"),
    ] {
        let output = daemon.tollgate(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(stderr(&output).contains(needle), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn a_report_counts_what_was_stopped_and_lists_what_was_changed() {
    let daemon = Daemon::start();
    daemon.json(&["block", "LV", "--reason", "calls at night", "--json"]);
    daemon.json(&["undo", "1", "--json"]);
    fs::write(daemon.dir.path().join("tollgate.toml"), POLICY.replace("\"enforce\"", "\"monitor\"")).unwrap();
    daemon.json(&["reload", "--json"]);
    let unproved = Event { source: "198.51.100.9".parse().unwrap(), who: Who::Unproved, ..stopped(0) };
    let mut events = vec![stopped(0); 30];
    events.extend([limited(), unproved, passed("442071838750", "GB")]);
    events.push(Event {
        country: None,
        class: Class::Unknown,
        number: Some(MaskedNumber::dialled("0570")),
        ..stopped(0)
    });
    happen(&daemon, events);

    let report = &daemon.json(&["report", "--json"])[0];
    assert_eq!(report["total"], json!({"stopped": 31, "would_drop": 1, "unproved": 1}));
    assert_eq!(report["countries"][0], json!({"of": "SL", "stopped": 30, "would_drop": 1, "unproved": 1}));
    assert_eq!(report["countries"][1]["of"], "-");
    assert_eq!(report["sources"][0]["of"], "192.0.2.20");
    let changes: Vec<(&str, &Value)> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| (change["change"].as_str().unwrap(), &change["order"]))
        .collect();
    let none = &Value::Null;
    assert_eq!(
        changes,
        [
            ("start", none),
            ("order", &json!(1)),
            ("undo", &json!(2)),
            ("policy", none),
            ("mode", none),
            ("new-country", none)
        ]
    );
    assert_eq!(report["changes"][1]["reason"], "calls at night");
    assert_eq!(report["changes"][4]["done"], "mode enforce -> monitor");
    assert!(report["changes"][3]["generation"].as_u64().is_some());

    let text = stdout(&daemon.tollgate(&["report"]));
    for needle in ["31 packets", "SL", "block LV (site)", "calls at night", "JST"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }

    let incidents = daemon.json(&["report", "--export", "incidents"]);
    assert_eq!(incidents.len(), 4, "{incidents:?}");
    let all = stdout(&daemon.tollgate(&["report", "--export", "incidents"]));
    assert!(!all.contains("76") && !all.contains('•') && !all.contains("number"), "{all}");
    let sum: u64 = incidents.iter().map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(sum, 33);
    assert!(incidents.iter().all(|line| line["hour"].as_str().unwrap().ends_with(":00:00Z")));
    assert_eq!(daemon.json(&["report", "--since", "366d", "--json"])[0]["total"]["stopped"], 31);
}

#[test]
fn the_journal_survives_the_daemon_and_its_loss_does_not_stop_it() {
    let daemon = Daemon::start();
    happen(&daemon, vec![stopped(0)]);
    let dir = daemon.stop();
    let daemon = Daemon::start_in(dir);
    let report = &daemon.json(&["report", "--json"])[0];
    let kinds: Vec<&str> =
        report["changes"].as_array().unwrap().iter().map(|change| change["change"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "detach", "start"]);
    assert_eq!(report["total"]["stopped"], 1);
    let status = &daemon.json(&["status", "--json"])[0]["journal"];
    assert_eq!((&status["error"], &status["lost"], &status["days"]), (&Value::Null, &json!(0), &json!(14)));
    assert!(status["octets"].as_u64().unwrap() > 0 && status["size"] == 64_000_000, "{status}");

    let dir = daemon.stop();
    let journal = dir.path().join("state/journal");
    fs::remove_dir_all(&journal).unwrap();
    fs::write(&journal, "in the way").unwrap();
    let daemon = Daemon::start_in(dir);
    happen(&daemon, vec![stopped(0)]);
    daemon.json(&["block", "LV", "--json"]);
    let why = daemon.tollgate(&["why"]);
    assert_eq!(why.status.code(), Some(1), "{why:?}");
    assert!(stderr(&why).contains("cannot read the journal"), "{why:?}");
    let status = stdout(&daemon.tollgate(&["status"]));
    assert!(status.contains("cannot be written in") && status.contains("judged all the same"), "{status}");
    assert_eq!(daemon.board.lock().unwrap().orders.len(), 1, "orders work without a journal");
}

#[test]
fn a_dry_run_shows_what_an_order_would_have_done_and_changes_nothing() {
    let daemon = Daemon::start();
    let from_outside = Event { who: Who::Unproved, ..passed("442071838750", "GB") };
    let would = Event { verdict: Verdict::WouldDrop, ..stopped(0) };
    let mut events = vec![passed("442071838750", "GB"); 12];
    events.extend([passed("442071838750", "GB"), passed("441614960000", "GB"), passed("33123456789", "FR")]);
    events.extend([stopped(0), would, limited(), from_outside]);
    happen(&daemon, events);

    let found = &daemon.json(&["block", "GB", "FR", "--dry-run", "--json"])[0];
    assert_eq!((&found["dry_run"], &found["would"]), (&json!(true), &json!("cut")));
    assert_eq!((&found["requests"], &found["perhaps"], &found["sampled"]), (&json!(16), &json!(0), &json!(1)));
    assert_eq!(found["countries"], json!([{"country": "GB", "requests": 15}, {"country": "FR", "requests": 1}]));
    assert!(!found.to_string().contains("2071838750"), "{found}");
    let found = &daemon.json(&["block", "+442071", "--dry-run", "--json"])[0];
    assert_eq!((&found["requests"], &found["perhaps"]), (&json!(0), &json!(14)), "its digits are masked");
    let found = &daemon.json(&["block", "SL", "--dry-run", "--json"])[0];
    assert_eq!(found["requests"], 2, "what went on: in monitor mode, and over a limit that warns");
    let found = &daemon.json(&["allow", "SL", "--dry-run", "--json"])[0];
    assert_eq!((&found["would"], &found["requests"]), (&json!("let through"), &json!(2)), "no limit is lifted");
    let found = &daemon.json(&["allow", "SL", "--source", "192.0.2.99", "--dry-run", "--json"])[0];
    assert_eq!(found["requests"], 0);
    let found = &daemon.json(&["block", "JP", "--dry-run", "--json"])[0];
    assert!(found["warnings"][0].as_str().unwrap().contains("own country"), "{found}");

    let text = stdout(&daemon.tollgate(&["block", "GB", "--dry-run"]));
    for needle in ["nothing is changed", "cut 15 requests", "GB", "192.0.2.20 (lan)", "sampled"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    for (args, code, needle) in [
        (&["block", "SL", "--profile", "lobbi", "--dry-run"][..], 1, "default, lobby"),
        (&["block", "232", "--dry-run"], 2, "+232"),
    ] {
        let output = daemon.tollgate(args);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(stderr(&output).contains(needle), "{output:?}");
    }
    daemon.board.lock().unwrap().fail_check = true;
    let output = daemon.tollgate(&["block", "SL", "--dry-run"]);
    assert!(stderr(&output).contains("does not compile"), "{output:?}");
    daemon.board.lock().unwrap().fail_check = false;
    assert_eq!(daemon.json(&["orders", "--json"]), [] as [Value; 0]);
    assert_eq!(daemon.board.lock().unwrap().generation, 1);
    assert_eq!(daemon.json(&["block", "SL", "--json"])[0]["order"], 1, "a dry run takes no number");
}

#[test]
fn a_dry_run_without_a_journal_says_so() {
    let daemon = Daemon::start();
    let output = daemon.tollgate(&["allow", "SL", "--dry-run"]);
    assert!(stdout(&output).contains("the journal is empty"), "{output:?}");
}

/// Ten thousand stops in one go, each with a number of its own: nothing is lost, and the daemon answers meanwhile.
/// `cargo test -p gateway-user --test past -- --nocapture ten_thousand` prints how long it took.
#[test]
fn ten_thousand_drops_are_all_kept() {
    let daemon = Daemon::start();
    let events: Vec<Event> = (0..10_000)
        .map(|i: u32| Event { source: std::net::Ipv4Addr::from_bits(0x0a00_0000 + i).into(), ..stopped(0) })
        .collect();
    let start = Instant::now();
    daemon.board.lock().unwrap().events = events;
    let mut slowest = Duration::ZERO;
    while !daemon.board.lock().unwrap().events.is_empty() {
        let asked = Instant::now();
        daemon.json(&["status", "--json"]);
        slowest = slowest.max(asked.elapsed());
    }
    let taken = start.elapsed();
    let report = &daemon.json(&["report", "--json"])[0];
    println!("taken in {taken:?}, reported after {:?}, slowest status meanwhile {slowest:?}", start.elapsed());
    assert_eq!(report["total"]["stopped"], 10_000);
    assert_eq!(daemon.json(&["status", "--json"])[0]["journal"]["lost"], 0);
}

#[test]
fn what_is_no_number_and_no_line_is_not_asked_about() {
    let daemon = Daemon::start();
    let output = daemon.tollgate(&["why", "--number", "abc"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("`abc` is no number"), "{output:?}");
    let output = daemon.tollgate(&["why", "--line", "#12"]);
    assert!(output.status.code() == Some(2) && stderr(&output).contains("16 digits"), "{output:?}");
}
