//! The daemon without its socket, with a clock that the test sets: expiry, refusals, restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::path::Path;

use gateway_common::{
    limit::{CellKey, FLOOR_CELL, window::Ring},
    policy::image::Key,
};
use gateway_user::{
    config::Mode,
    control::{
        Answer,
        protocol::{Command, ErrorView, ListKind, NewOrder},
    },
    daemon::{self, Core, Flow},
    policy::floor,
};
use jiff::Timestamp;
use serde_json::Value;
use support::{Daemon, POLICY, Shared, options, parts};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn start(dir: &Path, board: &Shared) -> Core {
    std::fs::write(dir.join("tollgate.toml"), POLICY).unwrap();
    Core::start(&dir.join("state"), parts(dir, board)()).unwrap()
}

fn ask(core: &mut Core, command: Command) -> Result<Value, ErrorView> {
    match core.handle(command, "noc") {
        (Answer::Reply(reply), _) => reply,
        _ => panic!("a stream"),
    }
}

fn block(what: &str, expires: Option<Timestamp>) -> Command {
    Command::Block(NewOrder { what: vec![what.into()], expires, ..NewOrder::default() })
}

fn active(board: &Shared) -> Vec<u64> {
    board.lock().unwrap().orders.iter().map(|order| order.number).collect()
}

#[test]
fn an_order_ends_at_its_time_and_stays_ended_over_a_restart_with_a_wrong_clock() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir.path(), &board);
    ask(&mut core, block("+881", Some(at(60)))).unwrap();
    ask(&mut core, block("+882", None)).unwrap();
    assert_eq!(core.next_expiry(), Some(at(60)));
    board.lock().unwrap().now = Some(at(59));
    core.tick();
    assert_eq!(active(&board), [1, 2]);
    board.lock().unwrap().now = Some(at(60));
    core.tick();
    assert_eq!(active(&board), [2]);
    assert_eq!(core.next_expiry(), None);
    let orders = ask(&mut core, Command::Orders {}).unwrap();
    assert_eq!((&orders[0]["state"], &orders[0]["who"]), (&"expired".into(), &"noc".into()));
    drop(core);

    board.lock().unwrap().now = Some(at(0));
    let core = start(dir.path(), &board);
    assert_eq!(active(&board), [2]);
    drop(core);
}

#[test]
fn an_order_whose_time_ran_out_while_the_daemon_was_down_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir.path(), &board);
    ask(&mut core, block("+881", Some(at(60)))).unwrap();
    drop(core);
    board.lock().unwrap().now = Some(at(61));
    drop(start(dir.path(), &board));
    assert_eq!(active(&board), [0; 0]);
}

#[test]
fn an_expiry_that_the_kernel_refuses_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir.path(), &board);
    ask(&mut core, block("+881", Some(at(60)))).unwrap();
    board.lock().unwrap().now = Some(at(60));
    board.lock().unwrap().fail_apply = true;
    core.tick();
    assert_eq!(active(&board), [1]);
    board.lock().unwrap().fail_apply = false;
    core.tick();
    assert_eq!(active(&board), [0; 0]);
    let generation = board.lock().unwrap().generation;
    core.tick();
    assert_eq!(board.lock().unwrap().generation, generation, "nothing to do, nothing done");
}

#[test]
fn what_does_not_compile_or_load_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let mut core = start(dir.path(), &board);
    ask(&mut core, block("+881", None)).unwrap();

    board.lock().unwrap().fail_check = true;
    let error = ask(&mut core, block("+882", None)).unwrap_err();
    assert!(error.message.contains("does not compile"), "{error}");
    board.lock().unwrap().fail_check = false;

    board.lock().unwrap().fail_apply = true;
    let error = ask(&mut core, block("+882", None)).unwrap_err();
    assert!(error.message.contains("the kernel says no") && error.message.contains("nothing was changed"), "{error}");
    let undo = Command::Undo { order: 1, reason: None };
    assert!(ask(&mut core, undo).is_err());
    assert!(ask(&mut core, Command::Reload { confirm: None }).is_err());
    board.lock().unwrap().fail_apply = false;

    assert_eq!(active(&board), [1]);
    let orders = ask(&mut core, Command::Orders {}).unwrap();
    assert_eq!(orders.as_array().unwrap().len(), 1);
    assert_eq!(orders[0]["undone"], Value::Null);
    drop(core);
    let mut core = start(dir.path(), &board);
    assert_eq!(active(&board), [1]);
    let next = ask(&mut core, block("+882", None)).unwrap();
    assert_eq!(next["order"], 4, "numbers of orders that failed are not used again");
}

fn write(dir: &Path, mode: &str) {
    std::fs::write(dir.join("tollgate.toml"), POLICY.replace("enforce", mode)).unwrap();
}

/// A daemon in enforce mode, the file saying monitor, reloaded with a minute to confirm.
fn on_trial(dir: &Path, board: &Shared) -> Core {
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir, board);
    write(dir, "monitor");
    let changed = ask(&mut core, Command::Reload { confirm: Some(60) }).unwrap();
    assert_eq!((&changed["confirm"], &changed["expires"]), (&"tollgate confirm".into(), &at(60).to_string().into()));
    assert_eq!(mode(board), Some(Mode::Monitor));
    core
}

fn mode(board: &Shared) -> Option<Mode> {
    board.lock().unwrap().mode
}

fn state(core: &mut Core) -> Value {
    ask(core, Command::Status {}).unwrap()["confirm"]["state"].clone()
}

/// Starts over what a crash left, without writing the policy file.
fn again(dir: &Path, board: &Shared) -> Core {
    Core::start(&dir.join("state"), parts(dir, board)()).unwrap()
}

#[test]
fn a_reload_that_nobody_confirms_goes_back_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let mut core = on_trial(dir.path(), &board);
    assert_eq!((core.next_expiry(), state(&mut core)), (Some(at(60)), "waiting".into()));
    ask(&mut core, block("+881", None)).unwrap();
    board.lock().unwrap().now = Some(at(59));
    core.tick();
    assert_eq!(mode(&board), Some(Mode::Monitor));
    board.lock().unwrap().now = Some(at(60));
    core.tick();
    assert_eq!((mode(&board), active(&board)), (Some(Mode::Enforce), vec![1]), "the order stays");
    assert_eq!((core.next_expiry(), state(&mut core)), (None, "returned".into()));
    let late = ask(&mut core, Command::Confirm {}).unwrap_err();
    assert!(late.message.contains("the former policy is back"), "{late}");
    drop(core);

    // The file still says what was not confirmed: only a reload takes it.
    board.lock().unwrap().now = Some(at(0));
    let mut core = again(dir.path(), &board);
    assert_eq!((mode(&board), state(&mut core)), (Some(Mode::Enforce), "returned".into()));
    ask(&mut core, Command::Reload { confirm: None }).unwrap();
    assert_eq!((mode(&board), state(&mut core)), (Some(Mode::Monitor), Value::Null));
    drop(core);
    drop(again(dir.path(), &board));
    assert_eq!(mode(&board), Some(Mode::Monitor));
}

/// What lies in the state directory.
fn kept(dir: &Path) -> Vec<std::ffi::OsString> {
    let mut left: Vec<_> = std::fs::read_dir(dir.join("state")).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    left
}

#[test]
fn a_confirmed_reload_stays() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let mut core = on_trial(dir.path(), &board);
    ask(&mut core, Command::Confirm {}).unwrap();
    let nothing = ask(&mut core, Command::Confirm {}).unwrap_err();
    assert!(nothing.message.contains("nothing waits"), "{nothing}");
    board.lock().unwrap().now = Some(at(61));
    core.tick();
    drop(core);
    drop(again(dir.path(), &board));
    assert_eq!(mode(&board), Some(Mode::Monitor));
    let left = kept(dir.path());
    assert_eq!(left, ["journal", "orders.redb", "told-news.json"]);
}

#[test]
fn a_daemon_that_crashes_on_trial_goes_back_in_time_all_the_same() {
    for (second, mode_then, state_then) in [
        (30, Mode::Monitor, "waiting"),
        (60, Mode::Enforce, "returned"),
        (9_999, Mode::Enforce, "returned"),
        (-3600, Mode::Enforce, "returned"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let board = Shared::default();
        drop(on_trial(dir.path(), &board));
        board.lock().unwrap().now = Some(at(second));
        let mut core = again(dir.path(), &board);
        assert_eq!((mode(&board), state(&mut core)), (Some(mode_then), state_then.into()), "at {second}");
        board.lock().unwrap().now = Some(at(60));
        core.tick();
        assert_eq!(mode(&board), Some(Mode::Enforce), "at {second}");
    }
    // A policy on trial that is gone or wrong when the daemon starts again cannot be tried any longer.
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    drop(on_trial(dir.path(), &board));
    write(dir.path(), "enfroce");
    let mut core = again(dir.path(), &board);
    assert_eq!((mode(&board), state(&mut core)), (Some(Mode::Enforce), "returned".into()));
}

#[test]
fn a_second_trial_goes_back_to_what_was_confirmed_last() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let mut core = on_trial(dir.path(), &board);
    board.lock().unwrap().now = Some(at(50));
    ask(&mut core, Command::Reload { confirm: Some(60) }).unwrap();
    board.lock().unwrap().now = Some(at(70));
    core.tick();
    assert_eq!(mode(&board), Some(Mode::Monitor));
    board.lock().unwrap().now = Some(at(110));
    core.tick();
    assert_eq!(mode(&board), Some(Mode::Enforce));
}

#[test]
fn a_reload_on_trial_that_fails_leaves_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir.path(), &board);
    write(dir.path(), "monitor");
    for confirm in [0, 4, 86_401, u64::MAX] {
        assert!(ask(&mut core, Command::Reload { confirm: Some(confirm) }).is_err(), "{confirm}");
    }
    board.lock().unwrap().fail_apply = true;
    assert!(ask(&mut core, Command::Reload { confirm: Some(60) }).is_err());
    board.lock().unwrap().fail_apply = false;
    board.lock().unwrap().fail_check = true;
    assert!(ask(&mut core, Command::Reload { confirm: Some(60) }).is_err());
    board.lock().unwrap().fail_check = false;
    assert_eq!((mode(&board), state(&mut core)), (Some(Mode::Enforce), Value::Null));
    assert_eq!(kept(dir.path()), ["journal", "orders.redb"], "nothing is kept");

    // A return that the kernel refuses is tried again.
    ask(&mut core, Command::Reload { confirm: Some(60) }).unwrap();
    board.lock().unwrap().now = Some(at(60));
    board.lock().unwrap().fail_apply = true;
    core.tick();
    assert_eq!((mode(&board), core.next_expiry()), (Some(Mode::Monitor), None));
    assert!(ask(&mut core, Command::Confirm {}).is_err(), "it is too late");
    board.lock().unwrap().fail_apply = false;
    core.tick();
    assert_eq!(mode(&board), Some(Mode::Enforce));
}

#[test]
fn a_former_policy_that_cannot_be_read_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    drop(on_trial(dir.path(), &board));
    let generation = board.lock().unwrap().generation;
    let file = dir.path().join("state/unconfirmed-policy.jsonl");
    std::fs::write(&file, "{}").unwrap();
    let refused = Core::start(&dir.path().join("state"), parts(dir.path(), &board)()).err().unwrap();
    assert!(format!("{refused:#}").contains("what the kernel enforces stays as it is"), "{refused:#}");
    assert_eq!(board.lock().unwrap().generation, generation, "the gateway was not touched");
}

/// Nights and weekends in Japan: more is blocked and limited.
const SCHEDULED: &str = r#"
mode = "enforce"
[interface.eth0]
[site]
region = "JP"
time_zone = "Asia/Tokyo"
holidays = ["JP"]
[profile.default]
block = ["SL", { what = "LV", schedule = "night" }, { what = "international", schedule = "weekend" }]
limits = ["slow"]
[schedule.night]
hours = "18:00-08:00"
[schedule.weekend]
days = "sat-sun"
holidays = "include"
[limit.slow]
key = "source"
rate = "1/m"
schedule = "night"
"#;

fn set(board: &Shared, time: &str) {
    board.lock().unwrap().now = Some(time.parse().unwrap());
}

fn held(board: &Shared) -> (String, String) {
    let board = board.lock().unwrap();
    (board.blocked.join(" "), board.limits.join(" "))
}

#[test]
fn schedules_begin_and_end_at_their_time_and_are_right_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    std::fs::write(dir.path().join("tollgate.toml"), SCHEDULED).unwrap();
    // Friday; the Monday after it is a holiday.
    set(&board, "2026-11-20T17:00:00+09:00");
    let mut core = again(dir.path(), &board);
    let (day, night) = (("SL".into(), String::new()), ("SL LV".into(), "slow".into()));
    assert_eq!(held(&board), day);
    assert_eq!(core.next_expiry(), Some("2026-11-20T18:00:00+09:00".parse().unwrap()));
    set(&board, "2026-11-20T17:59:59+09:00");
    core.tick();
    assert_eq!(board.lock().unwrap().generation, 1, "nothing to do, nothing done");
    set(&board, "2026-11-20T18:00:00+09:00");
    core.tick();
    assert_eq!(held(&board), night);
    assert_eq!(core.next_expiry(), Some("2026-11-21T00:00:00+09:00".parse().unwrap()), "the weekend");

    // An order, and what is refused, keep to what holds now.
    ask(&mut core, block("+881", None)).unwrap();
    assert_eq!(held(&board), night);
    set(&board, "2026-11-21T08:00:00+09:00");
    board.lock().unwrap().fail_apply = true;
    core.tick();
    assert_eq!(held(&board), night, "the kernel said no");
    board.lock().unwrap().fail_apply = false;
    core.tick();
    assert_eq!(held(&board), day);
    drop(core);

    set(&board, "2026-11-22T23:00:00+09:00");
    let mut core = again(dir.path(), &board);
    assert_eq!(held(&board), night);
    // A clock that is set back is followed.
    set(&board, "2026-11-22T12:00:00+09:00");
    core.tick();
    assert_eq!(held(&board), day);
}

#[test]
fn an_import_is_read_again_when_its_file_changes_and_shown_with_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let list = dir.path().join("list.txt");
    std::fs::write(&list, "5.6.7.8\n203.0.113.10\n").unwrap();
    let policy = format!("{POLICY}[import.others]\nfile = \"list.txt\"\n");
    std::fs::write(dir.path().join("tollgate.toml"), &policy).unwrap();
    let mut core = again(dir.path(), &board);
    let imported = |board: &Shared| board.lock().unwrap().imported.join(" ");
    assert_eq!(imported(&board), "5.6.7.8", "the trunk is left out");
    let generation = board.lock().unwrap().generation;
    core.tick();
    assert_eq!(board.lock().unwrap().generation, generation, "nothing new");

    std::fs::write(&list, "5.6.7.9\n").unwrap();
    core.tick();
    assert_eq!(imported(&board), "5.6.7.9");
    std::fs::write(&list, "<html>404</html>\n").unwrap();
    core.tick();
    ask(&mut core, block("+881", None)).unwrap();
    assert_eq!(imported(&board), "5.6.7.9", "the last good one");
    let status = ask(&mut core, Command::Status {}).unwrap();
    let shown = &status["imports"][0];
    assert_eq!((&shown["name"], &shown["state"], &shown["networks"]), (&"others".into(), &"kept".into(), &1.into()));
    assert!(shown["written"].is_string() && shown["notes"][0].as_str().unwrap().contains("is no address"), "{shown}");
    let (Answer::Lines(lines), _) = core.handle(Command::List { kind: None, abroad: false }, "noc") else {
        panic!("a reply")
    };
    assert!(lines.into_iter().any(|line| line.contains("5.6.7.9") && line.contains("[import.others]")));

    // The import goes with a reload, and a reload that fails leaves it.
    std::fs::write(dir.path().join("tollgate.toml"), POLICY).unwrap();
    board.lock().unwrap().fail_apply = true;
    assert!(ask(&mut core, Command::Reload { confirm: None }).is_err());
    board.lock().unwrap().fail_apply = false;
    core.tick();
    assert_eq!(imported(&board), "5.6.7.9");
    ask(&mut core, Command::Reload { confirm: None }).unwrap();
    assert_eq!(imported(&board), "");
}

#[test]
fn list_and_explain_say_which_schedule_holds() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    std::fs::write(dir.path().join("tollgate.toml"), SCHEDULED).unwrap();
    set(&board, "2026-11-20T17:00:00+09:00");
    let mut core = again(dir.path(), &board);
    let (Answer::Lines(lines), _) = core.handle(Command::List { kind: None, abroad: false }, "noc") else {
        panic!("a reply")
    };
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    let find = |value: &str| lines.iter().find(|it| it["value"] == value).unwrap_or_else(|| panic!("{value}"));
    assert_eq!((&find("LV")["schedule"], &find("LV")["active"]), (&"night".into(), &false.into()));
    assert_eq!((&find("SL")["schedule"], &find("SL")["active"]), (&Value::Null, &true.into()));
    assert_eq!((&find("slow")["schedule"], &find("slow")["active"]), (&"night".into(), &false.into()));

    ask(&mut core, block("EE", Some("2026-11-20T20:00:00+09:00".parse().unwrap()))).unwrap();
    let explain = |core: &mut Core, number: &str, at: &str| {
        let (input, at) = (number.into(), Some(at.parse().unwrap()));
        let command = Command::Explain { input, from: None, line: None, at, side: None };
        let view = ask(core, command).unwrap();
        let of = |step: &str| {
            let steps = view["steps"].as_array().unwrap();
            steps.iter().find(|it| it["step"] == step).map(|it| it["finding"].as_str().unwrap().to_owned())
        };
        (view["reason"].as_str().unwrap().to_owned(), of("policy file").unwrap(), of("schedules").unwrap_or_default())
    };
    let (reason, file, schedules) = explain(&mut core, "+37167123456", "2026-11-20T17:00:00+09:00");
    assert_eq!(reason, "allowed");
    assert!(file.contains("class.international = allow"), "{file}");
    for needle in [
        "block LV at tollgate.toml:9 does not act by schedule night until Fri 2026-11-20 18:00:00 JST",
        "block international at tollgate.toml:9 does not act by schedule weekend until Sat 2026-11-21 00:00:00 JST",
        "limit.slow does not act by schedule night",
    ] {
        assert!(schedules.contains(needle), "{needle}: {schedules}");
    }
    let (reason, file, _) = explain(&mut core, "+37167123456", "2026-11-20T18:00:00+09:00");
    assert_eq!(reason, "blocked-country");
    assert!(file.contains("block LV (Latvia) at tollgate.toml:9, schedule night"), "{file}");
    let (reason, file, schedules) = explain(&mut core, "+12125551234", "2026-11-23T12:00:00+09:00");
    assert_eq!(
        (reason.as_str(), file.as_str()),
        ("class-international", "block international at tollgate.toml:9, schedule weekend")
    );
    assert!(schedules.contains("acts by schedule weekend until Tue 2026-11-24 00:00:00 JST"), "{schedules}");
    // Orders are those of that time, too.
    assert_eq!(explain(&mut core, "+3726123456", "2026-11-20T19:00:00+09:00").0, "order");
    assert_eq!(explain(&mut core, "+3726123456", "2026-11-20T21:00:00+09:00").0, "allowed");
}

#[test]
fn detach_forgets_the_former_policy() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let mut core = on_trial(dir.path(), &board);
    ask(&mut core, Command::Detach {}).unwrap();
    drop(core);
    board.lock().unwrap().now = Some(at(61));
    let mut core = again(dir.path(), &board);
    assert_eq!((mode(&board), state(&mut core)), (Some(Mode::Monitor), Value::Null));
}

#[test]
fn detach_ends_the_daemon_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    let mut core = start(dir.path(), &board);
    assert_eq!(core.handle(Command::Status {}, "noc").1, Flow::Continue);
    assert_eq!(core.handle(Command::Detach {}, "noc").1, Flow::Stop);
    assert!(board.lock().unwrap().detached);
}

#[test]
fn a_daemon_that_cannot_start_says_why_and_touches_nothing() {
    let daemon = Daemon::start();
    let run = |dir: &Path, socket: &Path, state: &Path| {
        let board = Shared::default();
        let options = daemon::Options { socket: socket.into(), state_dir: state.into(), ..options(dir) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let parts = parts(dir, &board);
        let result = runtime.block_on(daemon::run(options, parts(), |_, _| panic!("it runs")));
        assert_eq!(board.lock().unwrap().generation, 0, "the gateway was not touched");
        format!("{:#}", result.unwrap_err())
    };
    let own = options(daemon.dir.path());
    let other = tempfile::tempdir().unwrap();
    let others = options(other.path());

    let refused = run(daemon.dir.path(), &own.socket, &others.state_dir);
    assert!(refused.contains(&format!("pid {}", std::process::id())), "{refused}");
    assert!(refused.contains("control.sock"), "{refused}");
    let refused = run(daemon.dir.path(), &others.socket, &own.state_dir);
    assert!(refused.contains("in use by another daemon"), "{refused}");
    assert!(!others.socket.exists(), "no socket of a daemon that did not start");
    let refused = run(other.path(), &others.socket, &others.state_dir);
    assert!(refused.contains("tollgate.toml"), "{refused}");
    std::fs::write(other.path().join("tollgate.toml"), "mode = \"enfroce\"").unwrap();
    let refused = run(other.path(), &others.socket, &others.state_dir);
    assert!(refused.contains("enfroce"), "{refused}");
    assert_eq!(daemon.tollgate(&["status"]).status.code(), Some(0), "the first daemon goes on");
}

const HOUR: u64 = 3_600_000_000_000;

/// A cell of the floor: of the site, or of Sierra Leone.
fn of_floor(kind: Key) -> CellKey {
    let codes = gateway_user::numbering::country_codes();
    let country = codes.iter().position(|code| *code == "SL").unwrap() as u64 + 1;
    let value = if kind == Key::Country { country } else { 0 };
    CellKey { limit: FLOOR_CELL, kind: kind as u32, value }
}

fn list(core: &mut Core) -> Vec<Value> {
    match core.handle(Command::List { kind: Some(ListKind::Lines), abroad: false }, "noc") {
        (Answer::Lines(lines), _) => lines.map(|line| serde_json::from_str(&line).unwrap()).collect(),
        _ => panic!("no stream"),
    }
}

#[test]
fn a_breaker_is_listed_kept_in_the_journal_and_lifted_by_its_country() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir.path(), &board);
    let sierra_leone = of_floor(Key::Country);
    {
        let mut board = board.lock().unwrap();
        board.clock = 100 * HOUR;
        let mut ring = Ring { admitted: 20, first: 99 * HOUR, ..Ring::FRESH };
        ring.calls[..20].fill(99 * HOUR + 1);
        board.cells.insert(sierra_leone, ring);
        let until = 100 * HOUR + floor::OPEN.as_nanos() as u64;
        let latched = Ring { until, since: 100 * HOUR, refused: 7, cause: sierra_leone.value, ..Ring::FRESH };
        board.cells.insert(of_floor(Key::All), latched);
    }
    core.tick();
    let lines = list(&mut core);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((&lines[0]["action"], &lines[0]["kind"]), (&"suspended".into(), &"site".into()));
    assert_eq!(lines[0]["undo"], "tollgate resume SL");
    assert_eq!(lines[0]["expires"], at(72 * 3600).to_string());
    assert_eq!(
        (&lines[1]["action"], &lines[1]["level"]),
        (&"counted".into(), &"20 of 20/1h, 20 of 60/1d, 0 of 6 at once".into())
    );

    let told = ask(&mut core, Command::Resume { what: "LV".into() }).unwrap();
    assert!(told["done"].as_str().unwrap().contains("nothing was suspended"), "{told}");
    assert!(ask(&mut core, Command::Resume { what: "192.0.2.20".into() }).is_err());
    let told = ask(&mut core, Command::Resume { what: "SL".into() }).unwrap();
    assert_eq!(told["done"], "resume SL: 1 suspension lifted");
    let board = board.lock().unwrap();
    assert!(!board.cells.contains_key(&of_floor(Key::All)));
    let ring = board.cells[&sierra_leone];
    assert_eq!((ring.admitted, ring.used), (0, 1), "the next call would trip it again");
}

#[test]
fn countries_that_were_called_are_known_after_a_reboot() {
    let dir = tempfile::tempdir().unwrap();
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(0));
    let mut core = start(dir.path(), &board);
    {
        let mut board = board.lock().unwrap();
        board.clock = 20 * HOUR;
        board.cells.insert(of_floor(Key::Country), Ring { admitted: 1, first: 2 * HOUR, ..Ring::FRESH });
    }
    core.note_stop("the test");
    drop(core);

    let board = Shared::default();
    board.lock().unwrap().now = Some(at(60));
    board.lock().unwrap().clock = HOUR;
    drop(start(dir.path(), &board));
    assert_eq!(board.lock().unwrap().cells[&of_floor(Key::Country)].used, 1);
}
