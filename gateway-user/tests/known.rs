//! Whom the PBX knew, over a reboot: the daemon without its socket, with clocks that the test sets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{fs, net::IpAddr, path::Path};

use gateway_user::daemon::Core;
use jiff::Timestamp;
use support::{POLICY, Shared, parts};

const HOUR: u64 = 3_600_000_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn start(dir: &Path, board: &Shared) -> Core {
    fs::write(dir.join("tollgate.toml"), POLICY).unwrap();
    Core::start(&dir.join("state"), parts(dir, board)()).unwrap()
}

#[test]
fn sources_that_were_known_are_known_after_a_reboot_and_no_file_keeps_the_daemon_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let phone = |host: u8| IpAddr::from([198, 51, 100, host]);
    let rebooted = |dir: &Path, second: i64| {
        let board = Shared::default();
        board.lock().unwrap().now = Some(at(second));
        board.lock().unwrap().clock = HOUR;
        let core = start(dir, &board);
        (core, board)
    };
    let (mut core, board) = rebooted(dir.path(), 0);
    {
        let mut board = board.lock().unwrap();
        board.clock = 20 * HOUR;
        board.known = vec![(phone(1), 20 * HOUR + HOUR / 2), (phone(2), 40 * HOUR)];
    }
    core.note_stop("the test");
    drop(core);

    // An hour later one of them is known no more, and the clock of the kernel began anew.
    let (core, board) = rebooted(dir.path(), 3600);
    assert_eq!(board.lock().unwrap().known, [(phone(2), 20 * HOUR)]);
    drop(core);
    // A kernel that was there all the time knows better.
    let board = Shared::default();
    board.lock().unwrap().now = Some(at(3600));
    board.lock().unwrap().known = vec![(phone(3), 1)];
    drop(start(dir.path(), &board));
    assert_eq!(board.lock().unwrap().known, [(phone(3), 1)]);

    // Every five minutes while the daemon runs, so that a crash of the machine costs no more.
    let (mut core, board) = rebooted(dir.path(), 3600);
    let state = dir.path().join("state");
    let file = state.join("known-sources");
    core.tick();
    let first = fs::read(&file).unwrap();
    board.lock().unwrap().known.push((phone(4), 10 * HOUR));
    board.lock().unwrap().now = Some(at(3600 + 299));
    core.tick();
    assert_eq!(fs::read(&file).unwrap(), first);
    board.lock().unwrap().now = Some(at(3600 + 300));
    core.tick();
    assert_ne!(fs::read(&file).unwrap(), first);
    drop(core);

    for damaged in ["", "what", "00000000 {}"] {
        fs::write(&file, damaged).unwrap();
        let (core, board) = rebooted(dir.path(), 3600);
        assert!(board.lock().unwrap().known.is_empty(), "{damaged:?}");
        assert_eq!(fs::read_to_string(state.join("known-sources.refused")).unwrap(), damaged, "it is kept aside");
        drop(core);
    }
}
