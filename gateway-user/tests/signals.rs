//! Signals of a whole process, so alone in its own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on ends there")]

mod support;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use clap::Parser as _;
use gateway_user::{
    cli::{self, Out, args::Places, run::RunArgs},
    config::{Config, Mode, Role},
    daemon::{self, ActiveOrder},
};
use rustix::process::{Signal, getpid, kill_process};
use support::{Fake, POLICY, Shared, options, parts};

#[test]
fn signals_reload_and_end_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tollgate.toml");
    std::fs::write(&file, POLICY).unwrap();
    let board = Shared::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();

    let (watch, socket) = (board.clone(), options(dir.path()).socket);
    let ready = move |_: &_, _: &_| {
        std::thread::spawn(move || {
            std::fs::write(&file, "mode = \"enfroce\"").unwrap();
            kill_process(getpid(), Signal::HUP).unwrap();
            std::fs::write(&file, POLICY.replace("enforce", "monitor")).unwrap();
            // The first reload may read either file; the last one reads the good one.
            while watch.lock().unwrap().mode != Some(Mode::Monitor) {
                kill_process(getpid(), Signal::HUP).unwrap();
                std::thread::yield_now();
            }
            assert!(socket.exists());
            kill_process(getpid(), Signal::TERM).unwrap();
        });
    };
    let started = daemon::run(options(dir.path()), parts(dir.path(), &board)(), ready);
    runtime.block_on(started).unwrap();
    assert_eq!(board.lock().unwrap().mode, Some(Mode::Monitor));
    assert!(!board.lock().unwrap().detached, "enforcement outlives the daemon");
    assert!(!options(dir.path()).socket.exists());

    run_overrides_the_policy_and_disarms_where_asked(dir.path());
}

/// The command line of `run`, as the binary will read it.
#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    run: RunArgs,
}

fn run_overrides_the_policy_and_disarms_where_asked(dir: &Path) {
    std::fs::write(dir.join("tollgate.toml"), POLICY).unwrap();
    let place = |name| dir.join(name).display().to_string();
    let line = Line::parse_from([
        "tollgate",
        "--config",
        &place("tollgate.toml"),
        "--socket",
        &place("run.sock"),
        "--state-dir",
        &place("run-state"),
        "--mode=monitor",
        "--iface=wan7",
        "--iface=lan7:lan",
        "--detach-on-exit",
    ]);
    let board = Shared::default();
    let starter = board.clone();
    let attached = Arc::new(Mutex::new(Vec::new()));
    let interfaces = Arc::clone(&attached);
    let start = move |config: &Config, orders: &[ActiveOrder]| {
        interfaces.lock().unwrap().clone_from(&config.interfaces);
        let started = Fake::start(&starter, config, orders);
        // From the start on, a signal ends the daemon in order.
        kill_process(getpid(), Signal::TERM).unwrap();
        Ok(started)
    };
    cli::run::run(&line.run, &line.places, Box::new(start), &mut Out::stdout()).unwrap();
    let names: Vec<_> = attached.lock().unwrap().iter().map(|it| (it.name.clone(), it.role)).collect();
    assert_eq!(names, [("wan7".into(), Role::Wan), ("lan7".into(), Role::Lan)]);
    assert_eq!(board.lock().unwrap().mode, Some(Mode::Monitor));
    assert!(board.lock().unwrap().detached);
}
