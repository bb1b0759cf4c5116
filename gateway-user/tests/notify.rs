//! Notices to real receivers on this machine: a program, HTTP, HTTPS, and receivers that fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use gateway_common::{Verdict, judged::Who};
use gateway_user::{
    config::Webhook,
    daemon::Event,
    notify::{Notice, Outlet as _, Pace, Poster, SIGNATURE, Way, signature},
};
use jiff::Timestamp;
use serde_json::Value;
use support::{Daemon, POLICY, event};

const KEY: &str = "a key of more than sixteen octets";
/// Far more than anything here takes: only a fault lasts so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// As usual, without the waiting.
const FAST: Pace =
    Pace { collect: Duration::from_millis(50), rest: Duration::ZERO, pause: Duration::from_millis(5), tries: 4 };

/// One request that a receiver got.
struct Got {
    signature: String,
    delivery: String,
    body: Vec<u8>,
}

impl Got {
    fn message(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Checks the signature as a receiver would.
    fn is_signed(&self) -> bool {
        let second =
            self.signature.strip_prefix("t=").and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap();
        signature(KEY.as_bytes(), second, &self.body) == self.signature
    }
}

/// Reads one request and answers it.
fn receive(stream: &mut (impl Read + Write), answer: &str) -> Got {
    let mut reader = BufReader::new(stream);
    let (mut got, mut length) = (Got { signature: String::new(), delivery: String::new(), body: Vec::new() }, 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line.trim_end().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            name if name == SIGNATURE.to_ascii_lowercase() => got.signature = value.into(),
            "x-tollgate-delivery" => got.delivery = value.into(),
            _ => {}
        }
    }
    got.body = vec![0; length];
    reader.read_exact(&mut got.body).unwrap();
    let stream = reader.into_inner();
    stream
        .write_all(format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    stream.flush().unwrap();
    got
}

/// An HTTP receiver that gives these answers, one a request, the last for ever.
fn receiver(answers: &'static [&'static str]) -> (SocketAddr, mpsc::Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, got) = mpsc::channel();
    std::thread::spawn(move || {
        for (place, stream) in listener.incoming().enumerate() {
            let answer = answers[place.min(answers.len() - 1)];
            if sender.send(receive(&mut stream.unwrap(), answer)).is_err() {
                return;
            }
        }
    });
    (address, got)
}

fn webhook(dir: &tempfile::TempDir, url: String) -> Webhook {
    let key_file: PathBuf = dir.path().join("hook.key");
    fs::write(&key_file, format!("{KEY}\n")).unwrap();
    Webhook { url, key_file }
}

fn notice(number: u64) -> Notice {
    Notice {
        time: Timestamp::now(),
        kind: "order".into(),
        text: format!("block +{number}"),
        who: Some("noc".into()),
        order: Some(number),
        reason: None,
        stopped: None,
        would_drop: None,
        countries: Vec::new(),
        sources: Vec::new(),
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn orders(message: &Value) -> Vec<u64> {
    message["notices"].as_array().unwrap().iter().map(|notice| notice["order"].as_u64().unwrap()).collect()
}

#[test]
fn what_comes_together_is_one_message_signed() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) = receiver(&["204 No Content"]);
    let way = Way::open("webhook", FAST, Poster::new(webhook(&dir, format!("http://{address}/hook"))));
    (1..=3).for_each(|number| way.push(notice(number)));
    let first = got.recv_timeout(PATIENCE).unwrap();
    assert!(first.is_signed(), "{}", first.signature);
    assert_eq!(orders(&first.message()), [1, 2, 3]);
    assert_eq!(
        (first.message()["version"].clone(), first.message()["id"].as_str().unwrap()),
        (1.into(), first.delivery.as_str())
    );
    until("delivered", || way.state().delivered == 3);
    // A hundred are two messages, and none is lost.
    (1..=100).for_each(|number| way.push(notice(number)));
    let mut seen = Vec::new();
    while seen.len() < 100 {
        let message = got.recv_timeout(PATIENCE).unwrap().message();
        assert!(message["notices"].as_array().unwrap().len() <= 50);
        seen.extend(orders(&message));
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_receiver_that_fails_is_tried_again_with_the_same_message() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) = receiver(&["503 Busy", "429 Slow", "200 OK"]);
    let way = Way::open("webhook", FAST, Poster::new(webhook(&dir, format!("http://{address}/"))));
    way.push(notice(1));
    let tries: Vec<Got> = (0..3).map(|_| got.recv_timeout(PATIENCE).unwrap()).collect();
    assert!(tries.iter().all(|it| it.delivery == tries[0].delivery && it.body == tries[0].body && it.is_signed()));
    until("delivered", || way.state().delivered == 1);
    assert_eq!((way.state().lost, way.state().error), (0, None));
}

#[test]
fn what_cannot_be_delivered_is_given_up_counted_and_told_later() {
    let dir = tempfile::tempdir().unwrap();
    let (address, got) =
        receiver(&["503 Busy", "503 Busy", "503 Busy", "503 Busy", "302 Found", "404 Not Found", "200 OK"]);
    let way = Way::open("webhook", FAST, Poster::new(webhook(&dir, format!("http://{address}/"))));
    way.push(notice(1));
    until("given up after four tries", || way.state().lost == 1);
    assert!(way.state().error.unwrap().contains("503"));
    way.push(notice(2));
    until("a redirect is not followed", || way.state().lost == 2);
    way.push(notice(3));
    until("what was refused is not tried again", || way.state().lost == 3);
    way.push(notice(4));
    until("delivered", || way.state().delivered == 1);
    let last = got.try_iter().last().unwrap().message();
    assert_eq!((orders(&last), last["lost"].as_u64()), (vec![4], Some(3)));
    // Nobody listens, and then the key is gone.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let hook = webhook(&dir, format!("http://{free}/"));
    let mut poster = Poster::new(hook.clone());
    assert!(poster.deliver("1", b"{}").unwrap_err().again);
    fs::remove_file(&hook.key_file).unwrap();
    assert!(poster.deliver("1", b"{}").unwrap_err().cause.contains("hook.key"));
}

#[test]
fn a_certificate_that_nobody_trusts_gets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = made.cert.der().to_vec();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, got) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            // A client that does not trust this end breaks off here.
            if connection.complete_io(&mut stream).is_err() {
                continue;
            }
            let mut tls = rustls::Stream::new(&mut connection, &mut stream);
            if sender.send(receive(&mut tls, "200 OK")).is_err() {
                return;
            }
        }
    });
    let url = format!("https://localhost:{port}/hook");
    let hook = webhook(&dir, url);
    Poster::trusting(hook.clone(), &[certificate]).deliver("1", b"{\"notices\":[]}").unwrap();
    assert!(got.recv_timeout(PATIENCE).unwrap().is_signed());
    let refused = Poster::new(hook).deliver("2", b"{}").unwrap_err();
    assert!(refused.again && refused.cause.contains("localhost"), "{refused:?}");
    assert!(got.try_recv().is_err(), "nothing was sent to whom nobody trusts");
}

/// A daemon whose notices go to a program that appends them to a file.
fn noticed(script: &str) -> (Daemon, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("notices");
    let script = script.replace("OUT", &out.display().to_string());
    let command = serde_json::to_string(&["/bin/sh", "-c", &script]).unwrap();
    let policy = format!("{POLICY}\n[notify]\ncommand = {command}\nburst = \"5/m\"\n");
    fs::write(dir.path().join("tollgate.toml"), policy).unwrap();
    (Daemon::start_in(dir), out)
}

fn told(out: &PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(out).unwrap_or_default();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.flat_map(|message| message["notices"].as_array().unwrap().clone()).collect()
}

#[test]
fn the_daemon_tells_starts_orders_bursts_and_its_end() {
    let (daemon, out) = noticed("cat >> OUT; echo >> OUT");
    daemon.json(&["block", "LV", "--reason", "calls at night", "--json"]);
    let own = Event { who: Who::Lan, time: Timestamp::now(), ..event() };
    let unproved = Event { who: Who::Unproved, time: Timestamp::now(), ..event() };
    let passed = Event { verdict: Verdict::Pass, ..own.clone() };
    let mut events = vec![unproved; 50];
    events.extend(vec![passed; 50]);
    events.extend(vec![own; 200]);
    daemon.board.lock().unwrap().events = events;
    until("the burst is taken", || daemon.board.lock().unwrap().events.is_empty());
    let dir = daemon.stop();
    let found = told(&out);
    let kinds: Vec<&str> = found.iter().map(|notice| notice["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "burst").count(), 1, "two hundred stops are one notice: {kinds:?}");
    for kind in ["start", "order", "detach"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    let order = found.iter().find(|notice| notice["kind"] == "order").unwrap();
    assert_eq!((order["order"].as_u64(), order["reason"].as_str()), (Some(1), Some("calls at night")));
    let burst = found.iter().find(|notice| notice["kind"] == "burst").unwrap();
    assert_eq!((burst["stopped"].as_u64(), burst["countries"][0].as_str()), (Some(5), Some("SL")));
    assert!(!fs::read_to_string(&out).unwrap().contains('•'), "no number is told, not even a masked one");
    drop(dir);
}

#[test]
fn a_reload_tells_whom_the_new_policy_names() {
    let (daemon, out) = noticed("cat >> OUT; echo >> OUT");
    until("the start is told", || !told(&out).is_empty());
    let (policy, other) = (daemon.dir.path().join("tollgate.toml"), daemon.dir.path().join("other"));
    let text = fs::read_to_string(&policy).unwrap().replace(out.to_str().unwrap(), other.to_str().unwrap());
    fs::write(&policy, text).unwrap();
    daemon.json(&["reload", "--json"]);
    daemon.json(&["block", "LV", "--json"]);
    until("the new program is told", || told(&other).iter().any(|notice| notice["kind"] == "order"));
    assert!(told(&out).iter().all(|notice| notice["kind"] != "order"), "the old one is not");
    fs::write(&policy, POLICY).unwrap();
    daemon.json(&["reload", "--json"]);
    assert_eq!(daemon.json(&["status", "--json"])[0]["notify"], serde_json::json!([]), "and then nobody");
}

#[test]
fn a_program_that_hangs_or_fails_holds_nothing_up() {
    let (daemon, _) = noticed("sleep 60");
    let start = Instant::now();
    for _ in 0..20 {
        let order = daemon.json(&["block", "LV", "--json"])[0]["order"].as_u64().unwrap();
        daemon.json(&["undo", &order.to_string(), "--json"]);
    }
    let status = &daemon.json(&["status", "--json"])[0]["notify"][0];
    assert!(status["delivered"] == 0 && status["waiting"].as_u64().unwrap() >= 40, "{status}");
    assert!(start.elapsed() < Duration::from_secs(50), "the daemon waited for the program");
    drop(daemon);
    let (daemon, _) = noticed("exit 3");
    until("the failure is told", || {
        daemon.json(&["status", "--json"])[0]["notify"][0]["error"].as_str().unwrap_or_default().contains('3')
    });
}
