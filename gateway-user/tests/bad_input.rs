//! What an operator or his disk gets wrong: a clear error with its place and remedy, and what was in force stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    fmt::Write as _,
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use serde_json::Value;
use support::{Daemon, stderr};

const LIST: &str = "irsf.txt";

/// What makes the list bad, and what the refusal must say.
type Case = (&'static str, fn(&Path), &'static [&'static str]);

const CASES: [Case; 13] = [
    (
        "five bad lines among many",
        |list| {
            let mut text = String::new();
            for line in 0..100_000 {
                let plus = if line % 20_000 == 7 { "" } else { "+" };
                writeln!(text, "{plus}232{line:05}").unwrap();
            }
            fs::write(list, text).unwrap();
        },
        &[
            "irsf.txt:8: \"23200007\" can mean two things; write +23200007",
            "irsf.txt:20008: ",
            "irsf.txt:40008: ",
            "irsf.txt:60008: ",
            "irsf.txt:80008: ",
        ],
    ),
    ("bare digits", |list| fs::write(list, "+881\n232\n").unwrap(), &["irsf.txt:2: ", "write +232", "dial:232"]),
    (
        "an entry that is empty",
        |list| fs::write(list, "+881\n,2027-01-01\n").unwrap(),
        &["irsf.txt:2: nothing is named; "],
    ),
    ("a plus alone", |list| fs::write(list, "+\n").unwrap(), &["irsf.txt:1: \"+\" has no digits; write the digits"]),
    (
        "a NUL",
        |list| fs::write(list, "+881\n+88\u{0}2\n").unwrap(),
        &["irsf.txt:2: holds a NUL octet", "the right file"],
    ),
    (
        "another encoding",
        |list| fs::write(list, b"+881\n# caf\xe9\n").unwrap(),
        &["irsf.txt:2: is not UTF-8; save it as"],
    ),
    (
        "ten gigabytes",
        |list| fs::File::create(list).unwrap().set_len(10 << 30).unwrap(),
        &["tollgate.toml:", "irsf.txt: is larger than 128 MiB; look whether it is the right file"],
    ),
    ("none at all", |_| {}, &["tollgate.toml:", "irsf.txt: there is no such file; write it, or correct the path ("]),
    (
        "a folder",
        |list| fs::create_dir(list).unwrap(),
        &["tollgate.toml:", "irsf.txt: is a folder; name the file in it"],
    ),
    (
        "a pipe that nobody writes to",
        |list| rustix::fs::mkfifoat(rustix::fs::CWD, list, rustix::fs::Mode::RUSR).unwrap(),
        &["tollgate.toml:", "irsf.txt: is a pipe; name a file"],
    ),
    ("a device", |list| symlink("/dev/zero", list).unwrap(), &["tollgate.toml:", "irsf.txt: is a device; name a file"]),
    ("a socket", |list| drop(UnixListener::bind(list).unwrap()), &["irsf.txt: is a socket or a device; name a file"]),
    (
        "a link to itself",
        |list| symlink(list, list).unwrap(),
        &["irsf.txt: is a chain of symbolic links without an end"],
    ),
];

/// Memory that this process has held at most, in octets.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_bad_list_is_told_with_its_place_and_loads_nothing() {
    let daemon = Daemon::start();
    let list = daemon.dir.path().join(LIST);
    let policy = support::POLICY.replace("block = [\"SL\"]", "block = [\"SL\"]\nblock_files = [\"irsf.txt\"]");
    fs::write(daemon.dir.path().join("tollgate.toml"), policy).unwrap();
    // The list as it should be, by way of a link: whoever writes the policy says what it names.
    fs::write(daemon.dir.path().join("of others.txt"), "+881\n+882\n").unwrap();
    symlink("of others.txt", &list).unwrap();
    assert!(daemon.tollgate(&["reload"]).status.success());
    fs::remove_file(&list).unwrap();
    let in_force = |daemon: &Daemon| {
        let prefixes = daemon.json(&["list", "prefixes", "--json"]);
        let prefixes: Vec<Value> = prefixes.into_iter().filter(|it| it["kind"] == "prefix").collect();
        (daemon.json(&["status", "--json"])[0]["policy"].clone(), prefixes)
    };
    let before = in_force(&daemon);
    assert_eq!(before.1.len(), 2 * 2, "two entries in two profiles: {before:?}");
    for (name, make, told) in CASES {
        make(&list);
        let output = daemon.tollgate(&["reload"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        for part in told {
            assert!(said.contains(part), "{name}: {part:?} is not in {said}");
        }
        assert_eq!(in_force(&daemon), before, "{name}");
        let _ = if list.is_dir() { fs::remove_dir(&list) } else { fs::remove_file(&list) };
    }
    assert!(peak() < 1 << 30, "what is too large is not read: {} MiB", peak() >> 20);
}

#[test]
fn an_order_that_names_nothing_or_two_things_is_refused_with_what_to_write() {
    let daemon = Daemon::start();
    for (what, told) in [
        (&["232"][..], "write +232 for the country code, or dial:232"),
        (&["010232"], "dial:010232"),
        (&[""], "nothing is named; write +232"),
        (&["+881", ""], "nothing is named; write +232"),
        (&["+"], "has no digits; write the digits after the plus"),
        (&["+232 76"], "write +23276"),
        (&[" "], "is nothing that can be named; write +232"),
    ] {
        for verb in ["block", "allow"] {
            let output = daemon.tollgate(&[&[verb], what].concat());
            let said = stderr(&output);
            assert!(!output.status.success() && said.contains(told), "{verb} {what:?}: {said}");
        }
    }
    let output = daemon.tollgate(&["block"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert_eq!(daemon.json(&["orders", "--json"]), [Value::Null; 0]);
    assert!(daemon.board.lock().unwrap().orders.is_empty());
}

#[test]
fn two_operators_at_once_are_both_heard() {
    const EACH: u64 = 20;
    let daemon = Daemon::start();
    let give = |head: &str| {
        let order =
            |tail: u64| daemon.json(&["block", &format!("+{head}{tail:02}"), "--json"])[0]["order"].as_u64().unwrap();
        (0..EACH).map(order).collect::<Vec<_>>()
    };
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| give("882"));
        (give("881"), theirs.join().unwrap())
    });
    for own in [&ours, &theirs] {
        assert!(own.is_sorted() && own.len() as u64 == EACH, "{own:?}");
    }
    let mut numbers = [ours, theirs].concat();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=2 * EACH).collect::<Vec<_>>(), "each has a number of its own, and none is left out");
    let mut active: Vec<u64> = daemon.board.lock().unwrap().orders.iter().map(|order| order.number).collect();
    active.sort_unstable();
    assert_eq!(active, numbers);
    let daemon = Daemon::start_in(daemon.stop());
    assert_eq!(daemon.board.lock().unwrap().orders.len() as u64, 2 * EACH, "none is lost");
}
