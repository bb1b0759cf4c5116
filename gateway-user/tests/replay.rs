//! `tollgate replay` and `tollgate explain` as they are typed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

fn tollgate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(args)
        .env("TOLLGATE_SOCKET", "/nonexistent/socket")
        .output()
        .unwrap()
}

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evasion").join(path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn one_message_is_one_line_with_every_key() {
    let output = tollgate(&["replay", "--sip", text(&data("S01.sip")), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = lines(&output);
    assert_eq!(lines.len(), 1);
    let keys: Vec<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["class", "country", "dialled", "e164", "file", "method", "packet", "reason", "source", "time", "verdict"]
    );
    for (key, value) in
        [("verdict", "drop"), ("reason", "blocked-country"), ("country", "SL"), ("source", "192.0.2.66")]
    {
        assert_eq!(lines[0][key], value, "{key}");
    }
    assert_eq!((&lines[0]["packet"], &lines[0]["time"]), (&Value::from(1), &Value::from(0.0)));
}

#[test]
fn a_folder_of_messages_is_taken_in_name_order_each_with_fresh_state() {
    let output = tollgate(&["replay", "--sip", text(&data("")), "--config", text(&data("policy.toml")), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let files: Vec<String> = lines(&output).iter().map(|line| line["file"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files.len(), 251, "neither cases.json, nor policy.toml, nor the captures below");
    assert!(files.is_sorted());
}

#[test]
fn of_a_folder_without_endings_every_file_is_a_message() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b", "a"] {
        std::fs::copy(data("S01.sip"), folder.path().join(name)).unwrap();
    }
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::copy(data("S01.sip"), folder.path().join("below/c")).unwrap();
    let output = tollgate(&["replay", "--sip", text(folder.path()), "--json"]);
    let files: Vec<String> = lines(&output).iter().map(|line| line["file"].as_str().unwrap().to_owned()).collect();
    assert_eq!(files.len(), 2);
    assert!(files[0].ends_with("/a") && files[1].ends_with("/b"), "{files:?}");
}

/// A capture of so many INVITEs, a tenth of a second apart.
fn capture(count: u32) -> Vec<u8> {
    let message = std::fs::read(data("F05.sip")).unwrap();
    let builder =
        etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([192, 0, 2, 66], [192, 0, 2, 1], 64).udp(5060, 5060);
    let mut frame = Vec::new();
    builder.write(&mut frame, &message).unwrap();
    let mut file = Vec::new();
    file.extend(0xa1b2_c3d4u32.to_le_bytes());
    file.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]);
    for packet in 0..count {
        file.extend((1_700_000_000 + packet / 1000).to_le_bytes());
        file.extend((packet % 1000 * 1000).to_le_bytes());
        file.extend((frame.len() as u32).to_le_bytes());
        file.extend((frame.len() as u32).to_le_bytes());
        file.extend(&frame);
    }
    file
}

#[test]
fn a_capture_keeps_state_and_its_own_clock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flood.pcap");
    std::fs::write(&path, capture(2001)).unwrap();
    // The limit of the example: 20 at once and 10 a second from one source; the capture lasts two seconds.
    let output = tollgate(&["replay", text(&path), text(&path), "--json"]);
    let lines = lines(&output);
    assert_eq!(lines.len(), 4002);
    for half in lines.chunks(2001) {
        assert_eq!(half.iter().filter(|line| line["verdict"] == "pass").count(), 40);
        assert_eq!(half[2000]["time"], 2.0);
        assert_eq!(half[2000]["packet"], 2001);
    }
    assert!(lines.iter().any(|line| line["reason"] == "source-limit"));
    let human = stdout(&tollgate(&["replay", text(&path)]));
    assert!(human.starts_with("policy: built-in example (JP, enforce)\n"), "{human}");
    assert!(human.contains("2001 packets: 40 passed"), "{human}");
}

#[test]
fn what_cannot_be_read_ends_1_behind_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pcap");
    let whole = capture(3);
    std::fs::write(&cut, &whole[..whole.len() - 10]).unwrap();
    let output = tollgate(&["replay", text(&cut), text(&data("pcap/T01.pcap")), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output).len(), 3, "two whole packets, and the next file");
    assert!(stderr(&output).contains("packet 3"), "{}", stderr(&output));

    let output = tollgate(&["replay", "/nonexistent.pcap", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nonexistent.pcap"), "{}", stderr(&output));
    let output = tollgate(&["replay", text(&data("S01.sip"))]);
    assert!(stderr(&output).contains("--sip"), "{}", stderr(&output));
    assert_eq!(tollgate(&["replay", "--sip", "/nonexistent"]).status.code(), Some(1));
    let large = folder.path().join("large.sip");
    std::fs::write(&large, vec![b'x'; 70_000]).unwrap();
    assert_eq!(tollgate(&["replay", "--sip", text(&large)]).status.code(), Some(1));
    let broken = folder.path().join("broken.toml");
    std::fs::write(&broken, "mode = \"enfroce\"\n").unwrap();
    let output = tollgate(&["replay", text(&data("pcap/T01.pcap")), "--config", text(&broken)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("enforce"), "{}", stderr(&output));
    assert_eq!(tollgate(&["replay"]).status.code(), Some(2));
}

#[test]
fn explain_without_a_daemon_names_rule_and_country() {
    let output = tollgate(&["explain", "010232761234567"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let human = stdout(&output);
    assert!(human.contains("block SL (Sierra Leone)") && human.contains("Sierra Leone (SL)"), "{human}");
    assert!(stderr(&output).contains("built-in example"), "{}", stderr(&output));

    let config = data("policy.toml");
    let output = tollgate(&["explain", "0023276123456", "--config", text(&config), "--json"]);
    let answer = &lines(&output)[0];
    for (key, value) in [
        ("verdict", "drop"),
        ("reason", "blocked-prefix"),
        ("dialled", "0023276123456"),
        ("e164", "23276123456"),
        ("class", "international"),
        ("country", "SL"),
        ("profile", "default"),
        ("rule", "block +232 at policy.toml:21"),
    ] {
        assert_eq!(answer[key], value, "{key}: {answer}");
    }
    let steps: Vec<&str> =
        answer["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        steps,
        [
            "source",
            "dialled string",
            "emergency",
            "shield",
            "kill switch",
            "bans",
            "orders",
            "floor",
            "policy file",
            "limits"
        ]
    );
    for (input, verdict) in
        [("119", "pass"), ("sip:110@x", "pass"), ("tel:+881612345678", "drop"), ("+232 76 123 456", "drop")]
    {
        let answer = &lines(&tollgate(&["explain", input, "--json"]))[0];
        assert_eq!(answer["verdict"], verdict, "{input}: {answer}");
    }
    assert_eq!(tollgate(&["explain", ""]).status.code(), Some(2));
    assert_eq!(tollgate(&["explain", "sip:a b"]).status.code(), Some(2));
    assert_eq!(tollgate(&["explain", "im:110@x"]).status.code(), Some(2));
    assert_eq!(tollgate(&["explain", "+232761234567@x"]).status.code(), Some(2));
    assert_eq!(lines(&tollgate(&["explain", "<sip:110@x>", "--json"]))[0]["class"], "emergency");
}
