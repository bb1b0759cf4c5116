//! The command line against a daemon with a gateway in memory: what is printed, how it ends, what is in force then.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use gateway_common::limit::{CellKey, window::Ring};
use serde_json::{Value, json};
use support::{Daemon, event, stderr, stdout, tollgate};

fn code(output: &std::process::Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

#[test]
fn an_order_is_numbered_shown_and_undone() {
    let daemon = Daemon::start();
    let output = daemon.tollgate(&["block", "+881", "LV", "--for", "48h", "--reason", "IRSF wave"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stdout(&output);
    for needle in ["order 1 in force: block +881 LV", "JST", "tollgate undo 1", "emergency calls", "(2d)"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    assert!(!text.contains('\x1b'), "no colour where nobody looks");
    assert_eq!(daemon.board.lock().unwrap().orders.len(), 1);

    let changed = daemon.json(&["allow", "+881", "--json"]);
    assert_eq!(changed[0]["ok"], true);
    assert_eq!(changed[0]["order"], 2);
    assert_eq!(changed[0]["generation"], 3);
    assert!(changed[0]["overridden_by"][0].as_str().unwrap().contains("tollgate undo 1"), "{changed:?}");

    assert_eq!(code(&daemon.tollgate(&["undo", "1"])), 0);
    let active: Vec<u64> = daemon.board.lock().unwrap().orders.iter().map(|order| order.number).collect();
    assert_eq!(active, [2]);
    assert_eq!(code(&daemon.tollgate(&["undo", "3", "--json"])), 0);

    let orders = daemon.json(&["orders", "--json"]);
    let told: Vec<_> = orders
        .iter()
        .map(|it| (it["order"].as_u64().unwrap(), it["verb"].as_str().unwrap(), it["undone"].clone()))
        .collect();
    assert_eq!(
        told,
        [(1, "block", Value::Null), (2, "allow", Value::Null), (3, "undo", json!(4)), (4, "undo", Value::Null)]
    );
    assert_eq!(orders[0]["what"], json!(["+881", "LV"]));
    assert_eq!(orders[0]["scope"], "site");
    assert_eq!(orders[0]["reason"], "IRSF wave");
    assert!(!orders[0]["who"].as_str().unwrap().is_empty());
    assert!(stdout(&daemon.tollgate(&["orders"])).contains("undone by 4"));
}

#[test]
fn a_refusal_ends_1_and_changes_nothing() {
    let daemon = Daemon::start();
    for (args, needle) in [
        (&["block", "JP"][..], "--force"),
        (&["block", "+813"], "own number"),
        (&["block", "203.0.113.0/24"], "trunk `itsp`"),
        (&["block", "0.0.0.0/0"], "every source"),
        (&["block", "national"], "--force"),
        (&["block", "emergency", "--force"], "never blocked"),
        (&["block", "SL", "--profile", "lobbi"], "default, lobby"),
        (&["undo", "99"], "tollgate orders"),
        (&["trace", "on"], "built without traces"),
    ] {
        let output = daemon.tollgate(args);
        assert_eq!(code(&output), 1, "{args:?}: {output:?}");
        assert!(stderr(&output).contains(needle), "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
    }
    let output = daemon.tollgate(&["block", "JP", "--json"]);
    assert_eq!(code(&output), 1);
    let refusal: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(refusal["ok"], false);
    assert_eq!(daemon.json(&["orders", "--json"]), [] as [Value; 0]);
    assert_eq!(daemon.board.lock().unwrap().generation, 1);
    assert_eq!(code(&daemon.tollgate(&["block", "JP", "--force"])), 0);
}

#[test]
fn what_makes_no_sense_ends_2() {
    let nowhere = Path::new("/nonexistent/control.sock");
    for (args, needle) in [
        (&["block"][..], "WHAT"),
        (&["block", ""], "nothing is named"),
        (&["block", "232"], "+232"),
        (&["block", "SL", "--for", "2w"], "48h"),
        (&["block", "SL", "--until", "someday"], "fri 18:00"),
        (&["block", "SL", "--until", "2020-01-01T00:00:00Z"], "has passed"),
        (&["block", "SL", "--for", "1h", "--until", "18:00"], "cannot be used"),
        (&["block", "SL", "--source", "SL"], "a source is"),
        (&["undo", "-1"], "-1"),
        (&["undo", "seven"], "seven"),
        (&["explode"], "explode"),
        (&["list", "lies"], "lies"),
        (&[], "Usage"),
    ] {
        let output = tollgate(nowhere, args);
        assert_eq!(code(&output), 2, "{args:?}: {output:?}");
        assert!(stderr(&output).contains(needle), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn without_a_daemon_it_ends_3_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let stale = dir.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).unwrap());
    for socket in [&dir.path().join("none.sock"), &stale] {
        for args in [&["status"][..], &["block", "SL"], &["counters", "--follow"], &["events", "--follow"], &["list"]] {
            let output = tollgate(socket, args);
            assert_eq!(code(&output), 3, "{args:?}: {output:?}");
            assert!(stderr(&output).contains("tollgate run"), "{output:?}");
        }
    }
}

#[test]
fn the_json_shapes_are_those_that_others_rely_on() {
    let daemon = Daemon::start();
    assert_eq!(code(&daemon.tollgate(&["allow", "LV", "--source", "192.0.2.10", "--for", "1h"])), 0);

    let status = &daemon.json(&["status", "--json"])[0];
    assert_eq!(status["mode"], "enforce");
    assert_eq!(status["interfaces"], json!([{"name":"eth0","role":"wan","attach":"driver","link":"pinned"}]));
    assert_eq!(status["policy"]["hash"], "5ea1");
    assert_eq!(status["policy"]["generation"], 2);
    assert_eq!(status["policy"]["prefixes"], 3);
    assert_eq!(status["pid"], std::process::id());

    let counters = &daemon.json(&["counters", "--json"])[0];
    assert_eq!(counters["reasons"], json!({"allowed": 11, "blocked-country": 9}));
    for (key, count) in [("passed", 11), ("dropped", 7), ("rejected", 0), ("would_drop", 2), ("events_lost", 1)] {
        assert_eq!(counters[key], count, "{key}");
    }
    let answers = json!({"given": 4, "capped": 3, "lost": 0, "unfit": 0, "error": null});
    assert_eq!((&counters["answers"], &status["answers"]), (&answers, &answers));

    let explained = &daemon.json(&["explain", "010232761234567", "--json"])[0];
    for (key, value) in [("verdict", "drop"), ("reason", "blocked-country"), ("country", "SL"), ("profile", "default")]
    {
        assert_eq!(explained[key], value, "{key}");
    }
    assert_eq!(explained["steps"][0]["decides"], true);

    let list = daemon.json(&["list", "prefixes", "--json"]);
    let find = |value: &str| list.iter().find(|it| it["value"] == value).unwrap_or_else(|| panic!("{value}: {list:?}"));
    assert_eq!(find("LV")["origin"], "order 1");
    assert_eq!(find("LV")["profile"], "source:192.0.2.10");
    assert_eq!(find("SL")["action"], "block");
    assert_eq!(find("SL")["since"], Value::Null);
    let keys: Vec<&str> = find("SL").as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "action", "active", "expires", "kind", "level", "origin", "profile", "reason", "schedule", "since", "undo",
            "value"
        ]
    );
    let calls = daemon.json(&["list", "calls", "--json"]);
    assert_eq!(calls.len(), 2, "{calls:?}");
    let abroad = daemon.json(&["list", "calls", "--abroad", "--json"]);
    assert_eq!(abroad.len(), 1, "{abroad:?}");
    assert_eq!(abroad[0]["value"], "192.0.2.1 > 198.51.100.7");
    assert_eq!((&abroad[0]["action"], &abroad[0]["reason"]), (&"answered".into(), &"international SL".into()));
    assert!(daemon.json(&["list", "sources", "--json"]).iter().any(|it| it["action"] == "trunk"));

    for args in [&["status"][..], &["counters"], &["explain", "0570"], &["list"], &["orders"], &["events"]] {
        let output = daemon.tollgate(args);
        assert_eq!(code(&output), 0, "{args:?}: {output:?}");
        assert!(!stdout(&output).is_empty(), "{args:?}");
    }
}

#[test]
fn a_reload_is_whole_or_not_at_all() {
    let daemon = Daemon::start();
    let file = daemon.dir.path().join("tollgate.toml");
    std::fs::write(&file, support::POLICY.replace("enforce", "monitor")).unwrap();
    let changed = daemon.json(&["reload", "--json"]);
    assert_eq!(
        (&changed[0]["ok"], &changed[0]["order"], &changed[0]["generation"]),
        (&json!(true), &Value::Null, &json!(2))
    );
    assert_eq!(daemon.json(&["status", "--json"])[0]["mode"], "monitor");

    std::fs::write(&file, support::POLICY.replace("\"enforce\"", "\"enfroce\"").replace("region", "regoin")).unwrap();
    let output = daemon.tollgate(&["reload"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("enfroce") && stderr(&output).contains("regoin"), "{}", stderr(&output));
    assert_eq!(daemon.json(&["status", "--json"])[0]["mode"], "monitor");
    assert_eq!(daemon.board.lock().unwrap().generation, 2);

    let output = daemon.tollgate(&["check", file.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("enfroce") && stdout(&output).contains("regoin"), "{}", stdout(&output));
    std::fs::write(&file, support::POLICY).unwrap();
    assert_eq!(code(&daemon.tollgate(&["check", file.to_str().unwrap()])), 0);
}

#[test]
fn a_reload_on_trial_says_how_to_keep_it() {
    let daemon = Daemon::start();
    let file = daemon.dir.path().join("tollgate.toml");
    std::fs::write(&file, support::POLICY.replace("enforce", "monitor")).unwrap();
    let output = daemon.tollgate(&["reload", "--confirm", "90s"]);
    assert_eq!(code(&output), 0, "{output:?}");
    for needle in ["until", "(1m 30s)", "tollgate confirm", "comes back by itself"] {
        assert!(stdout(&output).contains(needle), "{needle}: {}", stdout(&output));
    }
    let status = stdout(&daemon.tollgate(&["status"]));
    assert!(status.contains("the policy is on trial by") && status.contains("`tollgate confirm` until"), "{status}");
    assert_eq!(daemon.json(&["status", "--json"])[0]["confirm"]["state"], "waiting");
    assert_eq!(daemon.json(&["confirm", "--json"])[0]["ok"], true);
    assert_eq!(daemon.json(&["status", "--json"])[0]["confirm"], Value::Null);
    let output = daemon.tollgate(&["confirm"]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("nothing waits to be confirmed"), "{output:?}");
    assert_eq!(daemon.json(&["reload", "--confirm", "--json"])[0]["confirm"], "tollgate confirm");
    for wrong in ["1s", "2d", "soon"] {
        assert_eq!(code(&daemon.tollgate(&["reload", "--confirm", wrong])), 2, "{wrong}");
    }
}

#[test]
fn diff_says_in_words_what_a_file_would_change() {
    let daemon = Daemon::start();
    let file = daemon.dir.path().join("new.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, support::POLICY).unwrap();
    let output = daemon.tollgate(&["diff", path]);
    assert_eq!((code(&output), stdout(&output).as_str()), (0, "nothing would change\n"), "{output:?}");

    let changed = support::POLICY.replace("\"enforce\"", "\"monitor\"").replace("\"SL\"", "\"LV\", \"+881\"");
    std::fs::write(&file, &changed).unwrap();
    let output = daemon.tollgate(&["diff", path]);
    assert_eq!((code(&output), stderr(&output).as_str()), (1, ""), "{output:?}");
    let text = stdout(&output);
    for needle in [
        "mode: enforce -> monitor",
        "LV: allow -> block, Latvia, +371 (profile default, new.toml:12)",
        "SL: block -> allow, Sierra Leone, +232 (profile lobby, tollgate.toml:12)",
        "+881: block, as before",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    let output = daemon.tollgate(&["diff", path, "--json"]);
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((&last["same"], &last["changes"]), (&json!(false), &json!(lines.len() - 1)));
    let keys: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["after", "before", "country", "note", "part", "place", "what"]);
    assert_eq!(daemon.json(&["status", "--json"])[0]["mode"], "enforce", "nothing was changed");

    std::fs::write(&file, "mode = \"enfroce\"").unwrap();
    let output = daemon.tollgate(&["diff", path]);
    assert_eq!((code(&output), stdout(&output).as_str()), (2, ""));
    assert!(stderr(&output).contains("new.toml:1: mode: \"enfroce\""), "{}", stderr(&output));
}

#[test]
fn diff_of_two_files_needs_no_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("none.sock");
    let (old, new) = (dir.path().join("old.toml"), dir.path().join("new.toml"));
    std::fs::write(&old, support::POLICY).unwrap();
    let list: Vec<String> = (0..1000).map(|number| format!("+2327{number:03}")).collect();
    std::fs::write(dir.path().join("list.txt"), list.join("\n")).unwrap();
    let longer = support::POLICY.replace("block = [\"SL\"]", "allow = [\"SL\"]\nblock_files = [\"list.txt\"]");
    std::fs::write(&new, longer).unwrap();
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let output = tollgate(&nowhere, &["diff", new, "--config", old]);
    assert_eq!(code(&output), 1, "{output:?}");
    let text = stdout(&output);
    assert!(text.lines().count() < 100 && text.contains("profile.default: and 961 more; --json shows all"), "{text}");
    let output = tollgate(&nowhere, &["diff", new, "--config", old, "--json"]);
    assert_eq!(stdout(&output).lines().count(), 2 * 1001 + 1);
    assert_eq!(code(&tollgate(&nowhere, &["diff", old, "--config", old])), 0);
    assert_eq!(code(&tollgate(&nowhere, &["diff", new])), 3, "no daemon");
    assert_eq!(code(&tollgate(&nowhere, &["diff", new, "--config", "no-such.toml"])), 2);
}

#[test]
fn init_writes_a_policy_that_check_accepts_and_overwrites_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (nowhere, file) = (dir.path().join("none.sock"), dir.path().join("tollgate.toml"));
    let path = file.to_str().unwrap();
    let output = tollgate(&nowhere, &["init", "--output", path]);
    assert_eq!(code(&output), 0, "{output:?}");
    let check = tollgate(&nowhere, &["check", path]);
    assert_eq!((code(&check), stdout(&check)), (0, format!("{path}: would load\n")));
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("mode = \"monitor\"") && written.contains("region = \"JP\""), "{written}");
    let shown = stdout(&tollgate(&nowhere, &["init", "--region", "de"]));
    assert!(shown.contains("region = \"DE\""), "{shown}");

    std::fs::write(&file, "precious").unwrap();
    let output = tollgate(&nowhere, &["init", "--output", path]);
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).contains("stays as it is"), "{output:?}");
    let dangling = dir.path().join("link.toml");
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &dangling).unwrap();
    assert_eq!(code(&tollgate(&nowhere, &["init", "--output", dangling.to_str().unwrap()])), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    assert_eq!(code(&tollgate(&nowhere, &["init", "--region", "XX"])), 2);
    assert_eq!(code(&tollgate(&nowhere, &["init", "--pcap", path])), 1);
}

#[test]
fn events_arrive_masked() {
    let daemon = Daemon::start();
    let mut following = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["events", "--follow", "--json", "--socket"])
        .arg(daemon.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(following.stdout.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        line
    });
    // Nothing tells when the follower is there: offer events until it has one.
    while !reader.is_finished() {
        daemon.board.lock().unwrap().events.push(event());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    following.kill().unwrap();
    following.wait().unwrap();
    let seen: Value = serde_json::from_str(&reader.join().unwrap()).unwrap();
    assert_eq!(seen["verdict"], "drop");
    assert_eq!(seen["country"], "SL");
    assert_eq!(seen["number"], "+232 76••••••");

    let latest = daemon.json(&["events", "--json"]);
    assert_eq!(latest[0]["number"], "+232 76••••••");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let daemon = Daemon::start();
    let mut following = Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(["counters", "--follow", "--json", "--socket"])
        .arg(daemon.socket())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(following.stdout.take());
    assert_eq!(following.wait().unwrap().code(), Some(0));
}

#[test]
fn orders_survive_the_daemon() {
    let daemon = Daemon::start();
    assert_eq!(code(&daemon.tollgate(&["block", "+881"])), 0);
    assert_eq!(code(&daemon.tollgate(&["block", "+882"])), 0);
    assert_eq!(code(&daemon.tollgate(&["undo", "1"])), 0);
    let dir = daemon.stop();
    let daemon = Daemon::start_in(dir);
    let active: Vec<u64> = daemon.board.lock().unwrap().orders.iter().map(|order| order.number).collect();
    assert_eq!(active, [2]);
    assert_eq!(daemon.json(&["allow", "LV", "--json"])[0]["order"], 4);
}

#[test]
fn detach_disarms_and_ends_the_daemon() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    daemon.stop();
    assert_eq!(code(&tollgate(&socket, &["status"])), 3);
}

#[test]
fn help_and_doctor_need_no_daemon() {
    let nowhere = Path::new("/nonexistent/control.sock");
    let help = tollgate(nowhere, &["block", "--help"]);
    assert_eq!(code(&help), 0);
    assert!(stdout(&help).contains("Examples:"));
    let doctor = tollgate(nowhere, &["doctor", "--json", "--iface", "lo", "--iface", "nosuch0"]);
    assert_eq!(code(&doctor), 1);
    let checks: Vec<Value> = stdout(&doctor).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(checks.iter().any(|check| check["check"] == "kernel"));
    let missing = checks.iter().find(|check| check["subject"] == "nosuch0").unwrap();
    assert_eq!(missing["status"], "bad");
    assert!(missing["remedy"].is_string());
}

#[test]
fn check_and_diff_take_the_file_that_run_takes() {
    let daemon = Daemon::start();
    let file = daemon.dir.path().join("tollgate.toml");
    let with = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tollgate"))
            .args(args)
            .env_clear()
            .env("TOLLGATE_SOCKET", daemon.socket())
            .env("TOLLGATE_CONFIG", &file)
            .output()
            .unwrap()
    };
    let output = with(&["check"]);
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(stdout(&output).contains(&format!("{}: would load", file.display())), "{output:?}");
    assert_eq!(code(&with(&["diff"])), 0, "nothing differs");
    std::fs::write(&file, support::POLICY.replace("\"SL\"", "\"SL\", \"CU\"")).unwrap();
    let output = with(&["diff"]);
    assert!(code(&output) == 1 && stdout(&output).contains("CU: allow -> block"), "{output:?}");
    std::fs::write(&file, "mode = 3\n").unwrap();
    assert_eq!(code(&with(&["check"])), 1);
    let nowhere = tollgate(&daemon.socket(), &["check"]);
    assert!(stderr(&nowhere).contains("/etc/tollgate/tollgate.toml"), "{nowhere:?}");
}

#[test]
fn a_name_without_its_word_is_answered_with_it() {
    let daemon = Daemon::start();
    for (args, needle) in [
        (&["resume", "203"][..], "write line:203 for the line"),
        (&["resume", "alice"], "write line:alice for the line"),
        (&["resume", "#98713e26367639a7"], "write line:#98713e26367639a7 for the line"),
        (&["block", "203"], "write +203 for the country code, or dial:203 for what is dialled, or line:203 for a line"),
    ] {
        let output = daemon.tollgate(args);
        assert_eq!(code(&output), 2, "{output:?}");
        assert!(stderr(&output).contains(needle), "{needle}: {}", stderr(&output));
    }
    assert!(!stderr(&daemon.tollgate(&["resume", "a b"])).contains("for the line"), "that is the name of no line");
}

#[test]
fn what_is_counted_fits_into_a_terminal_and_nothing_of_it_is_lost() {
    let daemon = Daemon::start();
    let key = CellKey::of_floor(gateway_user::numbering::country_codes().len() as u16);
    let ring = Ring { used: 1, first: 1, since: 1, until: u64::MAX / 4, cause: key.value, ..Ring::FRESH };
    daemon.board.lock().unwrap().cells.insert(key, ring);
    let text = stdout(&daemon.tollgate(&["list", "lines"]));
    let view = &daemon.json(&["list", "lines", "--json"])[0];
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for field in ["kind", "value", "action", "origin", "level", "undo"] {
        let told = view[field].as_str().unwrap_or_default();
        assert!(text.contains(told), "{field} {told}: {text}");
    }
    assert!(text.contains("\n  until      ") && text.contains("\n  undo with  tollgate resume "), "{text}");
    // A column in which nothing stands is left out.
    let all = stdout(&daemon.tollgate(&["list"]));
    let head = all.lines().find(|line| line.starts_with("kind")).unwrap();
    assert!(
        all.starts_with(text.lines().next().unwrap()) && head.contains("origin") && !head.contains("until"),
        "{all}"
    );
    assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
}

/// A pcap file with an OPTIONS of 198.51.100.66 to port 5080 of 192.0.2.10, and its answer.
fn capture(path: &Path) {
    let mut octets = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        octets.extend(word.to_le_bytes());
    }
    let (scanner, pbx) = (([198, 51, 100, 66], 4000), ([192, 0, 2, 10], 5080));
    for (from, to, text) in [
        (scanner, pbx, "OPTIONS sip:1@x SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n"),
        (pbx, scanner, "SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n\r\n"),
    ] {
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).udp(from.1, to.1);
        let mut frame = Vec::new();
        builder.write(&mut frame, text.as_bytes()).unwrap();
        for word in [1_800_000_000, 0, frame.len() as u32, frame.len() as u32] {
            octets.extend(word.to_le_bytes());
        }
        octets.extend(frame);
    }
    std::fs::write(path, octets).unwrap();
}

#[test]
fn a_capture_tells_which_ports_answer_outside() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wan.pcap");
    capture(&file);
    let file = file.to_str().unwrap();
    let nowhere = dir.path().join("no.sock");
    let report = |more: &[&str]| {
        let args = [&["report", "--exposure", "--capture", file, "--config", "no-such.toml"], more].concat();
        tollgate(&nowhere, &args)
    };
    let output = report(&["--inside", "192.0.2.0/24"]);
    assert_eq!(code(&output), 0, "{output:?}");
    let text = stdout(&output);
    for needle in
        ["192.0.2.10", "udp 5080", "OPTIONS 1", "1 source", "2027-01-15 17:00:00 JST", "name a policy with --config"]
    {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    let json: Value = serde_json::from_str(&stdout(&report(&["--inside", "192.0.2.0/24", "--json"]))).unwrap();
    assert_eq!(json["answers"][0]["methods"], json!({"OPTIONS": 1}));
    assert_eq!(
        (&json["answers"][0]["port"], &json["answers"][0]["last"]),
        (&json!(5080), &json!("2027-01-15T08:00:00Z"))
    );
    let text = stdout(&report(&["--inside", "203.0.113.0/24"]));
    assert!(text.contains("name them with --inside"), "{text}");
    let output = tollgate(&nowhere, &["report", "--capture", file]);
    assert!(code(&output) == 2 && stderr(&output).contains("--exposure"), "{output:?}");
}

#[test]
fn a_plain_reload_says_that_it_settles_the_one_on_trial() {
    let daemon = Daemon::start();
    assert_eq!(code(&daemon.tollgate(&["reload", "--confirm", "60s"])), 0);
    let text = stdout(&daemon.tollgate(&["reload"]));
    assert!(text.contains("is settled by this one: what the file says stays"), "{text}");
    assert!(!stdout(&daemon.tollgate(&["reload"])).contains("settled"), "only once");
    assert_eq!(code(&daemon.tollgate(&["confirm"])), 1);
}
