//! The control socket as a program speaks to it, well or badly: whatever arrives, the next request is answered.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
};

use serde_json::{Value, json};
use support::{Daemon, event};

/// One connection.
struct Peer(BufReader<UnixStream>);

impl Peer {
    fn of(daemon: &Daemon) -> Self {
        Self(BufReader::new(UnixStream::connect(daemon.socket()).unwrap()))
    }

    fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(octets.as_ref()).unwrap();
    }

    /// Sends to a daemon that may have closed the connection, being busy.
    fn send_in_vain(&mut self, octets: &str) {
        let _ = self.0.get_mut().write_all(octets.as_bytes());
    }

    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
        }
    }

    fn ask(&mut self, request: &str) -> Value {
        self.send(format!("{request}\n"));
        self.line().expect("a reply")
    }
}

fn assert_alive(daemon: &Daemon) {
    let reply = Peer::of(daemon).ask(r#"{"v":1,"cmd":"status"}"#);
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!(reply["v"], 1);
}

#[test]
fn requests_on_one_connection_are_answered_in_order() {
    let daemon = Daemon::start();
    let mut peer = Peer::of(&daemon);
    peer.send("{\"v\":1,\"cmd\":\"status\"}\n{\"v\":1,\"cmd\":\"orders\"}\n{\"v\":1,\"cmd\":\"cou");
    assert_eq!(peer.line().unwrap()["result"]["mode"], "enforce");
    assert_eq!(peer.line().unwrap()["result"], json!([]));
    peer.send("nters\"}");
    peer.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(peer.line().unwrap()["result"]["dropped"], 7, "a last line needs no end");
    assert_eq!(peer.line(), None);
}

#[test]
fn malformed_requests_get_a_reply_and_disturb_nobody() {
    let daemon = Daemon::start();
    let mut peer = Peer::of(&daemon);
    for (request, kind) in [
        (&b"\n"[..], "usage"),
        (b"\0\0\0\0\n", "usage"),
        (b"{\"v\":1,\"cmd\":\"status\"}\0\n", "usage"),
        (b"\xff\xfe\xfd\n", "usage"),
        (b"{\"v\":1,\"cmd\":\"block\",\"what\":[]}\n", "usage"),
        (b"{\"v\":1,\"cmd\":\"block\",\"what\":[\"+2\\u000032\"]}\n", "usage"),
        (b"{\"v\":1,\"cmd\":\"block\",\"what\":[\"232\"]}\n", "usage"),
        (b"{\"v\":1,\"cmd\":\"block\",\"what\":[\"SL\"],\"reason\":\"a\\nb\"}\n", "usage"),
        (b"{\"v\":1,\"cmd\":\"block\",\"what\":[\"SL\"],\"expires\":\"2001-01-01T00:00:00Z\"}\n", "refused"),
        (b"{\"v\":9,\"cmd\":\"status\"}\n", "version"),
        (b"GET / HTTP/1.1\r\n", "usage"),
    ] {
        peer.send(request);
        let reply = peer.line().expect("a reply");
        assert_eq!(reply["ok"], false, "{reply}");
        assert_eq!(reply["error"]["kind"], kind, "{}: {reply}", request.escape_ascii());
        assert!(!reply["error"]["message"].as_str().unwrap().is_empty());
    }
    let many = vec!["+232"; 1001];
    let reply = peer.ask(&json!({"v": 1, "cmd": "block", "what": many}).to_string());
    assert!(reply["error"]["message"].as_str().unwrap().contains("block_files"), "{reply}");
    let reason = "x".repeat(501);
    let reply = peer.ask(&json!({"v": 1, "cmd": "block", "what": ["SL"], "reason": reason}).to_string());
    assert!(reply["error"]["message"].as_str().unwrap().contains("501"), "{reply}");
    assert_eq!(daemon.board.lock().unwrap().generation, 1, "nothing came in force");
    assert_alive(&daemon);
}

#[test]
fn a_request_without_end_is_cut_off() {
    let daemon = Daemon::start();
    let mut peer = Peer::of(&daemon);
    // The daemon stops reading at its limit and closes, so the rest may not be taken.
    let _ = peer.0.get_mut().write_all(&vec![b'x'; 1 << 20]);
    let reply = peer.line().expect("a reply");
    assert!(reply["error"]["message"].as_str().unwrap().contains("65536"), "{reply}");
    assert_eq!(peer.line(), None, "and the connection ends");
    assert_alive(&daemon);
}

#[test]
fn a_request_as_long_as_allowed_is_read() {
    let daemon = Daemon::start();
    let mut peer = Peer::of(&daemon);
    let head = r#"{"v":1,"cmd":"explain","input":""#;
    let input = "0".repeat(64 * 1024 - head.len() - 2);
    let reply = peer.ask(&format!("{head}{input}\"}}"));
    assert_eq!(reply["result"]["input"].as_str().map(str::len), Some(input.len()));
}

#[test]
fn a_slow_request_is_given_up() {
    let daemon = Daemon::start();
    let mut slow = Peer::of(&daemon);
    slow.send("{\"v\":1,");
    assert_alive(&daemon);
    let reply = slow.line().expect("a reply");
    assert!(reply["error"]["message"].as_str().unwrap().contains("no whole request"), "{reply}");
    assert_eq!(slow.line(), None);
}

#[test]
fn too_many_peers_are_told_that_the_daemon_is_busy() {
    let daemon = Daemon::start();
    let mut followers: Vec<Peer> = (0..16).map(|_| Peer::of(&daemon)).collect();
    for follower in &mut followers {
        assert_eq!(follower.ask(r#"{"v":1,"cmd":"events","follow":true}"#)["ok"], true);
    }
    let reply = Peer::of(&daemon).ask(r#"{"v":1,"cmd":"events","follow":true}"#);
    assert_eq!(reply["error"]["kind"], "busy", "{reply}");
    let silent: Vec<UnixStream> = (0..16).map(|_| UnixStream::connect(daemon.socket()).unwrap()).collect();
    let mut refused = Peer::of(&daemon);
    assert_eq!(refused.line().unwrap()["error"]["kind"], "busy");
    assert_eq!(refused.line(), None);
    drop((silent, followers));
    while Peer::of(&daemon).ask(r#"{"v":1,"cmd":"status"}"#)["ok"] != true {}
}

#[test]
fn a_follower_that_stands_still_is_told_what_it_missed() {
    let daemon = Daemon::start();
    let mut follower = Peer::of(&daemon);
    assert_eq!(follower.ask(r#"{"v":1,"cmd":"events","follow":true}"#)["ok"], true);
    // More than its queue and the socket hold.
    daemon.board.lock().unwrap().events = vec![event(); 20_000];
    while !daemon.board.lock().unwrap().events.is_empty() {
        assert_alive(&daemon);
    }
    let (mut seen, mut lost) = (0, 0);
    while seen + lost < 20_000 {
        let line = follower.line().expect("a line");
        match line["lost"].as_u64() {
            Some(count) => lost += count,
            None => seen += 1,
        }
    }
    assert!(lost > 0 && seen >= 1024, "{seen} seen, {lost} lost");
    assert_eq!(seen + lost, 20_000, "every event is seen or counted");
}

#[test]
fn peers_that_vanish_leave_nothing_behind() {
    let daemon = Daemon::start();
    for _ in 0..200 {
        let mut peer = Peer::of(&daemon);
        peer.send_in_vain(r#"{"v":1,"cmd":"list","kind":null}"#);
        drop(peer);
        let mut peer = Peer::of(&daemon);
        peer.send_in_vain("{\"v\":1,\"cmd\":\"events\",\"follow\":true}\n");
    }
    while Peer::of(&daemon).ask(r#"{"v":1,"cmd":"status"}"#)["ok"] != true {}
    let mut rest = Vec::new();
    let mut peer = Peer::of(&daemon);
    peer.send("{\"v\":1,\"cmd\":\"list\",\"kind\":\"limits\"}\n");
    peer.0.read_to_end(&mut rest).unwrap();
    assert_eq!(String::from_utf8(rest).unwrap(), "{\"ok\":true,\"result\":null,\"v\":1}\n");
}
