//! The daemon without its socket, with a clock that the test sets: expiry, refusals, restarts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::path::Path;

use gateway_user::{
    control::{
        Answer,
        protocol::{Command, ErrorView, NewOrder},
    },
    daemon::{self, Core, Flow},
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
    assert!(ask(&mut core, Command::Reload {}).is_err());
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
