//! A limit that asks before it suspends: what is asked, what an answer does, what silence does, over restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{fs, path::Path, time::Duration, time::Instant};

use gateway_common::{
    Class, Method, Reason, Verdict,
    addr::Addr,
    judged::Who,
    limit::{CellKey, name_hash, window::Ring},
    policy::image::Key,
};
use gateway_user::{
    control::{Answer, protocol::Command},
    daemon::{Core, Event},
};
use jiff::Timestamp;
use serde_json::Value;
use support::{Shared, event, parts};

const POLICY: &str = r#"
mode = "enforce"
[interface.eth0]
role = "wan"
[site]
region = "JP"
time_zone = "Asia/Tokyo"
[profile.default]
limits = ["abroad"]
[limit.abroad]
key = "source"
class = "international"
windows = ["2/60s"]
over = "suspend"
suspend = "2h"
ask = "15m"
ask_schedule = "business"
[schedule.business]
hours = "09:00-18:00"
days = "mon-fri"
[notify]
command = ["/bin/sh", "-c", "cat >> OUT; echo >> OUT"]
"#;

const SECOND: u64 = 1_000_000_000;
const CLOCK: u64 = 100_000 * SECOND;

/// Friday, this time in Tokyo.
fn at(time: &str) -> Timestamp {
    format!("2026-11-20T{time}:00+09:00").parse().unwrap()
}

fn start(dir: &Path, board: &Shared) -> Core {
    let policy = POLICY.replace("OUT", &dir.join("notices").display().to_string());
    fs::write(dir.join("tollgate.toml"), policy).unwrap();
    Core::start(&dir.join("state"), parts(dir, board)()).unwrap()
}

fn key(host: u8) -> CellKey {
    let source = Addr::v4(0xc000_0200 | u32::from(host)).source();
    CellKey { limit: name_hash(b"abroad"), kind: Key::Source as u32, value: source }
}

/// A call of this telephone that goes on although two in a minute are allowed.
fn call(board: &Shared, core: &mut Core, host: u8) {
    let mut board = board.lock().unwrap();
    let (time, now) = (board.now.unwrap(), board.clock);
    let mut ring = Ring { admitted: 2, first: now - 2 * SECOND, ..Ring::FRESH };
    (ring.calls[0], ring.calls[1]) = (now - 2 * SECOND, now - SECOND);
    board.cells.entry(key(host)).or_insert(ring);
    board.events.push(Event {
        time,
        verdict: Verdict::WouldDrop,
        reason: Reason::SourceLimit,
        method: Some(Method::Invite),
        class: Class::International,
        country: Some("SL"),
        source: [192, 0, 2, host].into(),
        who: Who::Lan,
        clock: now,
        ..event()
    });
    drop(board);
    core.drain_events();
}

fn until(board: &Shared, host: u8) -> u64 {
    board.lock().unwrap().cells[&key(host)].until
}

fn answer(core: &mut Core, question: u64, keep: bool) -> Result<Value, String> {
    match core.handle(Command::Answer { question, keep }, "owner").0 {
        Answer::Reply(reply) => reply.map_err(|error| error.message),
        _ => panic!("a reply"),
    }
}

fn told(dir: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(dir.join("notices")).unwrap_or_default();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let notices = messages.flat_map(|message| message["notices"].as_array().unwrap().clone());
    notices.map(|it| (it["kind"].as_str().unwrap().to_owned(), it["text"].as_str().unwrap().to_owned())).collect()
}

fn wait(dir: &Path, kind: &str) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some((_, text)) = told(dir).into_iter().find(|(it, _)| it == kind) {
            return text;
        }
        assert!(Instant::now() < end, "{kind} is never told: {:?}", told(dir));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn board(time: &str) -> Shared {
    let board = Shared::default();
    {
        let mut board = board.lock().unwrap();
        (board.now, board.clock) = (Some(at(time)), CLOCK);
    }
    board
}

#[test]
fn in_business_hours_the_owner_is_asked_and_silence_stops() {
    let dir = tempfile::tempdir().unwrap();
    let board = board("12:00");
    let mut core = start(dir.path(), &board);
    assert_eq!(board.lock().unwrap().overs, ["warn"], "who asks does not stop yet");
    for _ in 0..3 {
        call(&board, &mut core, 20);
    }
    let questions = core.status().questions;
    assert_eq!(questions.len(), 1, "one question for three calls");
    assert_eq!((questions[0].question, questions[0].calls, questions[0].until), (1, 3, at("12:15")));
    assert_eq!(core.next_expiry(), Some(at("12:15")));
    let text = wait(dir.path(), "asked");
    assert_eq!(
        text,
        "question 1: international calls of 192.0.2.20: 2 calls, the last to Sierra Leone (SL), are too many for [limit.abroad]. If \
         nobody answers they are stopped at 2026-11-20 12:15 JST for 2h. `tollgate answer 1 stop` stops them now, `tollgate \
         answer 1 keep` lets them go on until 2026-11-20 18:00 JST"
    );
    assert!(text.chars().count() < 300, "a notice is cut there");

    // A daemon that was away asks no second time, and stops when the time is over.
    drop(core);
    board.lock().unwrap().now = Some(at("12:14"));
    let mut core = start(dir.path(), &board);
    core.tick();
    assert_eq!((core.status().questions.len(), until(&board, 20)), (1, 0));
    board.lock().unwrap().now = Some(at("12:15"));
    core.tick();
    assert_eq!((core.status().questions.len(), until(&board, 20)), (0, CLOCK + 7200 * SECOND));
    assert_eq!(
        wait(dir.path(), "unanswered"),
        "nobody answered question 1: international calls of 192.0.2.20 are suspended until 2026-11-20 14:15 JST, the last call was \
         to Sierra Leone (SL) ([limit.abroad]); `tollgate resume 192.0.2.20` lifts it"
    );
    assert!(answer(&mut core, 1, true).unwrap_err().contains("question 1 does not wait"));
    core.tick();
    assert!(told(dir.path()).iter().all(|(kind, _)| kind != "suspended"), "told once");
}

#[test]
fn keep_holds_as_long_as_the_hours_and_stop_acts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let board = board("17:50");
    let mut core = start(dir.path(), &board);
    call(&board, &mut core, 20);
    call(&board, &mut core, 21);
    let kept = answer(&mut core, 1, true).unwrap();
    assert_eq!(kept["expires"], "2026-11-20T09:00:00Z", "{kept}");
    let stopped = answer(&mut core, 2, false).unwrap();
    assert!(stopped["done"].as_str().unwrap().contains("`tollgate resume 192.0.2.21` lifts it"), "{stopped}");
    assert_eq!((until(&board, 20), until(&board, 21)), (0, CLOCK + 7200 * SECOND));
    drop(core);
    board.lock().unwrap().now = Some(at("17:59"));
    let mut core = start(dir.path(), &board);
    call(&board, &mut core, 20);
    core.tick();
    assert_eq!((core.status().questions.len(), until(&board, 20)), (0, 0), "kept, over a restart");
    // After hours the limit acts by itself, and nobody is asked.
    board.lock().unwrap().now = Some(at("18:00"));
    core.tick();
    assert_eq!(board.lock().unwrap().overs, ["suspend"]);
    call(&board, &mut core, 22);
    assert_eq!(core.status().questions.len(), 0);
}

#[test]
fn a_daemon_that_ends_leaves_limits_that_suspend() {
    let dir = tempfile::tempdir().unwrap();
    let board = board("12:00");
    let mut core = start(dir.path(), &board);
    core.note_stop("the test");
    assert_eq!(board.lock().unwrap().overs, ["suspend"], "nobody is there to ask");
    drop(core);
    let _core = start(dir.path(), &board);
    assert_eq!(board.lock().unwrap().overs, ["warn"]);
}

#[test]
fn a_question_never_waits_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let board = board("12:00");
    let mut core = start(dir.path(), &board);
    // Who answers many? What is beyond is stopped as at night.
    for host in 1..=65 {
        call(&board, &mut core, host);
    }
    assert_eq!(core.status().questions.len(), 64);
    assert_eq!((until(&board, 64), until(&board, 65)), (0, CLOCK + 7200 * SECOND));
    // Lifted by hand: nothing is left to ask.
    let (answer, _) = core.handle(Command::Resume { what: "192.0.2.64".into() }, "owner");
    assert!(matches!(answer, Answer::Reply(Ok(_))));
    assert_eq!(core.status().questions.len(), 63);
    // A reboot forgets the calls, and a policy that asks no more has nothing to stop.
    board.lock().unwrap().cells.remove(&key(63));
    // A clock that was set back prolongs nothing.
    board.lock().unwrap().now = Some(at("11:00"));
    core.tick();
    assert_eq!(core.status().questions.len(), 0);
    assert_eq!(until(&board, 1), CLOCK + 7200 * SECOND);
    assert!(!board.lock().unwrap().cells.contains_key(&key(63)));
    for damaged in ["", "{", r#"{"version":2}"#] {
        drop(core);
        fs::write(dir.path().join("state/questions.json"), damaged).unwrap();
        core = start(dir.path(), &board);
        assert_eq!(core.status().questions.len(), 0, "{damaged:?}");
    }
}

#[test]
fn monitor_mode_asks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let board = board("12:00");
    let policy = POLICY.replace("\"enforce\"", "\"monitor\"").replace("OUT", "/dev/null");
    fs::write(dir.path().join("tollgate.toml"), policy).unwrap();
    let mut core = Core::start(&dir.path().join("state"), parts(dir.path(), &board)()).unwrap();
    call(&board, &mut core, 20);
    assert_eq!(core.status().questions.len(), 0);
}
