//! What an operator meets: mistakes answered with their remedy, and the shapes that scripts rely on.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    process::Stdio,
};

use gateway_tests::{
    daemon::{Tollgate, existing, find_binary},
    network::{Network, SIP_PORT},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::site::{DOMESTIC, FORBIDDEN, Site, caller, send, until, uri};

const BLOCKS: &str = "[profile.default]\nblock = [\"SL\"]\n";

/// Three errors on three lines, counted from the first table.
const MALFORMED: &str = "[profile.default]\nblock = [\"232\"]\nblok = []\n[limit.caller]\nkey = \"nobody\"\n";

fn filtered(site: &Site) -> bool {
    [Network::WAN_CALLER, Network::WAN_FLOODER, Network::LAN].iter().any(|name| site.program(name).is_some())
}

/// What each error of [`MALFORMED`] is known by in a message: its line and its word.
fn malformed_lines(site: &Site) -> Vec<(String, &'static str)> {
    let text = fs::read_to_string(site.tollgate.policy()).unwrap();
    let line = |word: &str| 1 + text.lines().position(|line| line.contains(word)).unwrap();
    let place = |word| format!("tollgate.toml:{}: ", line(word));
    vec![(place("\"232\""), "232"), (place("blok"), "block"), (place("\"nobody\""), "nobody")]
}

#[test]
fn a_second_daemon_names_the_first() {
    let Some(site) = Site::new("operator::a_second_daemon_names_the_first") else { return };
    site.policy("enforce", BLOCKS);
    let first = site.start();
    let (code, said) = site.refusal(&["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&first.pid().to_string()) && said.contains("control.sock"), "{said}");
    assert_eq!(site.json(&["status", "--json"])["pid"], first.pid());
}

#[test]
fn an_interface_that_is_not_there_is_answered_with_those_that_are() {
    let test = "operator::an_interface_that_is_not_there_is_answered_with_those_that_are";
    let Some(site) = Site::new(test) else { return };
    site.policy("enforce", BLOCKS);
    let (code, said) = site.refusal(&["run", "--iface", "wan0:wan", "--iface", "wna1:wan"]);
    assert_eq!(code, Some(1), "{said}");
    for name in ["wna1", "wan0", "wan1", "lan0"] {
        assert!(said.contains(name), "{name} is not named: {said}");
    }
    assert!(!filtered(&site), "half of the interfaces is filtered");
}

#[test]
fn a_malformed_policy_starts_nothing_and_replaces_nothing() {
    let test = "operator::a_malformed_policy_starts_nothing_and_replaces_nothing";
    let Some(site) = Site::new(test) else { return };
    site.policy("enforce", MALFORMED);
    let expected = malformed_lines(&site);
    let named = |said: &str| {
        expected.iter().all(|(place, word)| said.lines().any(|line| line.contains(place) && line.contains(word)))
    };
    let (code, said) = site.refusal(&["run"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(named(&said), "{expected:?}: {said}");
    assert!(!filtered(&site) && !site.pinned());

    site.policy("enforce", BLOCKS);
    let daemon = site.start();
    let before = site.json(&["status", "--json"])["policy"]["generation"].clone();
    site.policy("enforce", MALFORMED);
    let (code, said) = site.refusal(&["reload"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(named(&said), "{expected:?}: {said}");
    kill_process(Pid::from_raw(daemon.pid() as i32).unwrap(), Signal::HUP).unwrap();
    until("SIGHUP is answered in the log", || named(&site.tollgate.log()));
    assert_eq!(site.json(&["status", "--json"])["policy"]["generation"], before);
    send(&caller(&site, SIP_PORT), Network::pbx_sip(), &uri(FORBIDDEN), 4);
    until("the old policy stays in force", || site.reason("blocked-country") == 4);
}

#[test]
fn without_privilege_it_says_what_is_missing() {
    let Some(site) = Site::new("operator::without_privilege_it_says_what_is_missing") else { return };
    let binary = find_binary().unwrap();
    // The file is opened before the privilege is given away: it may lie where nobody else may look.
    for give_away in ["--bounding-set=-all --inh-caps=-all", "--reuid=65534 --regid=65534 --clear-groups"] {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("tollgate");
        let text =
            format!("#!/bin/sh\nexec 9<'{}'\nexec setpriv {give_away} /proc/self/fd/9 \"$@\"\n", binary.display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let poor = Tollgate::new(existing(&script).unwrap(), &site.network.gateway).unwrap();
        fs::set_permissions(poor.directory(), fs::Permissions::from_mode(0o777)).unwrap();
        fs::set_permissions(poor.state_dir(), fs::Permissions::from_mode(0o777)).unwrap();
        poor.write_policy(&format!("mode = \"enforce\"\n{}{BLOCKS}", crate::site::COMMON)).unwrap();
        let output = poor.cli(&["run"]).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{give_away}: {said}");
        assert!(said.contains("CAP_BPF") && said.contains("root"), "{give_away}: {said}");
        assert!(!filtered(&site), "{give_away}: something was attached");
    }
}

#[test]
fn a_cut_off_capture_is_replayed_as_far_as_it_is_whole() {
    let test = "operator::a_cut_off_capture_is_replayed_as_far_as_it_is_whole";
    let Some(site) = Site::new(test) else { return };
    let mut capture = Vec::new();
    // The header of a pcap file of Ethernet frames, then records of 60 zero octets.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        capture.extend(word.to_le_bytes());
    }
    for second in 0..3_u32 {
        for word in [second, 0, 60, 60] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend([0; 60]);
    }
    capture.truncate(capture.len() - 7);
    let file = site.tollgate.directory().join("cut.pcap");
    fs::write(&file, capture).unwrap();
    for engine in ["host", "kernel"] {
        let output = site.tollgate.cli(&["replay", file.to_str().unwrap(), "--engine", engine, "--json"]).unwrap();
        let (text, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("cut.pcap") && said.contains("packet 3"), "{said}");
        let packets: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let numbers: Vec<_> = packets.iter().map(|packet| packet["packet"].as_u64()).collect();
        assert_eq!(numbers, [Some(1), Some(2)], "{text}");
        assert!(packets.iter().all(|packet| packet["verdict"] == "pass"), "{text}");
    }
}

#[test]
fn json_has_the_keys_that_scripts_rely_on() {
    let Some(site) = Site::new("operator::json_has_the_keys_that_scripts_rely_on") else { return };
    site.policy("enforce", BLOCKS);
    let daemon = site.start();
    let has = |what: &str, object: &Value, keys: &[&str]| {
        for key in keys {
            assert!(object.get(key).is_some(), "{what} lacks {key}: {object}");
        }
    };
    let status = site.json(&["status", "--json"]);
    has("status", &status, &["mode", "interfaces", "policy", "answers", "pid"]);
    has("status.policy", &status["policy"], &["hash", "generation", "prefixes"]);
    for interface in status["interfaces"].as_array().unwrap() {
        has("status.interfaces", interface, &["name", "role", "attach", "link"]);
    }
    assert_eq!((&status["mode"], &status["pid"]), (&"enforce".into(), &daemon.pid().into()));

    let counters = ["time", "reasons", "passed", "dropped", "rejected", "would_drop", "events_lost", "answers"];
    has("counters", &site.json(&["counters", "--json"]), &counters);
    let changed = site.json(&["block", "+881", "--for", "48h", "--reason", "satellite", "--json"]);
    has("block", &changed, &["ok", "order", "generation"]);
    let undone = site.json(&["undo", &changed["order"].to_string(), "--json"]);
    has("undo", &undone, &["ok", "order", "generation"]);
    has("reload", &site.json(&["reload", "--json"]), &["ok", "order", "generation"]);
    let orders = site.lines(&["orders", "--json"]);
    assert_eq!(orders.len(), 2);
    for order in &orders {
        has("orders", order, &["order", "verb", "what", "scope", "reason", "who", "since", "expires", "undone"]);
    }
    assert_eq!(orders[0]["undone"], undone["order"]);
    let list = site.lines(&["list", "--json"]);
    assert!(!list.is_empty());
    for entry in &list {
        has("list", entry, &["kind", "value", "action", "profile", "origin", "reason", "since", "expires"]);
    }
    let explained = site.json(&["explain", FORBIDDEN, "--json"]);
    let keys = ["input", "profile", "dialled", "e164", "class", "country", "verdict", "reason", "rule", "steps"];
    has("explain", &explained, &keys);
    assert_eq!((&explained["country"], &explained["reason"]), (&"SL".into(), &"blocked-country".into()));
    assert!(explained["rule"].as_str().unwrap().contains("SL"), "{explained}");
}

#[test]
fn events_show_the_country_and_never_the_number() {
    let Some(site) = Site::new("operator::events_show_the_country_and_never_the_number") else { return };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let mut follower = site.tollgate.command(&["events", "--follow", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let (seen, events) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| seen.send(line).unwrap()));
    let socket = caller(&site, SIP_PORT);
    let mut texts = Vec::new();
    // Whatever came before the follower was there is not for it: so it is sent until something is told.
    until("both calls are told", || {
        for number in [FORBIDDEN, DOMESTIC] {
            send(&socket, Network::pbx_sip(), &uri(number), 1);
        }
        texts.extend(events.try_iter());
        let told = |reason| texts.iter().any(|text: &String| text.contains(reason));
        told("blocked-country") && told("allowed")
    });
    follower.kill().unwrap();
    follower.wait().unwrap();
    reader.join().unwrap();
    for text in &texts {
        let event: Value = serde_json::from_str(text).unwrap();
        if event.get("lost").is_some() {
            continue;
        }
        let number = event["number"].as_str().unwrap();
        assert!(number.contains('•'), "{text}");
        for whole in ["232761234567", "76123", "0312345678", "31234"] {
            assert!(!text.contains(whole), "a number is readable: {text}");
        }
        if event["reason"] == "blocked-country" {
            assert_eq!((&event["country"], &event["verdict"]), (&"SL".into(), &"drop".into()), "{text}");
            assert!(number.starts_with("+232 76"), "{text}");
        }
    }
    // What is kept for the next follower, and the log, tell no more.
    let kept = site.tollgate.cli(&["events", "--json"]).unwrap();
    let kept = String::from_utf8(kept.stdout).unwrap();
    for text in [kept, site.tollgate.log()] {
        assert!(!text.contains("76123"), "a number is readable: {text}");
    }
}
