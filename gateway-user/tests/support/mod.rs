//! A daemon with a gateway in memory, for the tests of the control socket and the command line.

#![allow(dead_code, reason = "each test binary uses its part of it")]

pub(crate) mod told;

use std::{
    collections::HashMap,
    net::IpAddr,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, mpsc},
    thread::JoinHandle,
};

use gateway_common::{
    Class, Method, Reason, Verdict,
    call::{Call, State},
    judged::Who,
    limit::{CellKey, Table, window::Ring},
};
use gateway_user::selftest::SelfTest;
use gateway_user::{
    config::{self, Config},
    control::exposure::Port,
    daemon::{
        self, ActiveOrder, Answers, Applied, AttachMode, CallState, Counters, Event, ExplainStep, Explanation,
        FromOutside, Gateway, InterfaceState, Levels, LinkState, MaskedNumber, Options, Parts, SiteState,
    },
    policy::Caller,
};
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const POLICY: &str = r#"
mode = "enforce"

[interface.eth0]
role = "wan"

[site]
region = "JP"
own_numbers = ["+81312345678"]

[profile.default]
block = ["SL"]

[profile.lobby]
sources = ["192.0.2.0/28"]

[trunk.itsp]
sources = ["203.0.113.10"]
"#;

/// What a test sees of the gateway, and how it makes it fail.
#[derive(Default)]
pub(crate) struct Board {
    pub(crate) orders: Vec<ActiveOrder>,
    pub(crate) mode: Option<config::Mode>,
    /// What the default profile blocks, and its limits.
    pub(crate) blocked: Vec<String>,
    pub(crate) limits: Vec<String>,
    /// What happens over each limit of the policy, as it holds.
    pub(crate) overs: Vec<&'static str>,
    /// What imports name.
    pub(crate) imported: Vec<String>,
    pub(crate) generation: u64,
    pub(crate) detached: bool,
    pub(crate) fail_check: bool,
    pub(crate) fail_apply: bool,
    pub(crate) fail_self_test: bool,
    pub(crate) events: Vec<Event>,
    pub(crate) cells: HashMap<CellKey, Ring>,
    /// Calls that are up, of limits on calls at once.
    pub(crate) channels: HashMap<CellKey, u32>,
    pub(crate) clock: u64,
    pub(crate) uncounted: u64,
    /// Sources that the PBX knows, and until when by the clock.
    pub(crate) known: Vec<(IpAddr, u64)>,
    /// Sources that are where they say, and until when by the clock.
    pub(crate) present: HashMap<u64, u64>,
    /// Whether there is room for another ban.
    pub(crate) no_bans: bool,
    /// What the tables remember of calls and registrations.
    pub(crate) records: Vec<Call>,
    pub(crate) now: Option<Timestamp>,
}

pub(crate) type Shared = Arc<Mutex<Board>>;

pub(crate) struct Fake(Shared);

impl Fake {
    pub(crate) fn start(board: &Shared, config: &Config, orders: &[ActiveOrder]) -> (Box<dyn Gateway>, Applied) {
        let mut fake = Self(Arc::clone(board));
        let applied = fake.apply(config, orders).unwrap();
        (Box::new(fake), applied)
    }
}

impl Gateway for Fake {
    fn check(&self, _: &Config, _: &[ActiveOrder]) -> anyhow::Result<Vec<String>> {
        anyhow::ensure!(!self.0.lock().unwrap().fail_check, "the policy does not compile");
        Ok(Vec::new())
    }

    fn apply(&mut self, config: &Config, orders: &[ActiveOrder]) -> anyhow::Result<Applied> {
        let mut board = self.0.lock().unwrap();
        anyhow::ensure!(!board.fail_apply, "the kernel says no");
        board.generation += 1;
        board.orders = orders.to_vec();
        board.mode = Some(config.mode);
        let default = &config.profiles[0];
        board.blocked = default.block.iter().map(|entry| entry.what.to_string()).collect();
        board.limits.clone_from(&default.limits);
        board.overs = config.limits.iter().map(|limit| limit.over.as_str()).collect();
        board.imported = config.imported.iter().map(|it| it.network.to_string()).collect();
        Ok(Applied {
            generation: board.generation,
            hash: "5ea1".into(),
            prefixes: 3,
            in_force: board.now.unwrap_or_else(Timestamp::now),
            warnings: Vec::new(),
        })
    }

    fn counters(&self) -> anyhow::Result<Counters> {
        Ok(Counters {
            cells: vec![
                (Reason::BlockedCountry, Verdict::Drop, 7),
                (Reason::BlockedCountry, Verdict::WouldDrop, 2),
                (Reason::Allowed, Verdict::Pass, 11),
                (Reason::Malformed, Verdict::Drop, 0),
            ],
            by_method: vec![(Method::Invite, 20)],
            events_lost: 1,
            uncounted: self.0.lock().unwrap().uncounted,
            answers: Answers { given: 4, capped: 3, ..Answers::default() },
        })
    }

    fn calls(&self) -> anyhow::Result<Vec<CallState>> {
        let call = |class, country| CallState {
            state: State::Answered,
            caller: [192, 0, 2, 1].into(),
            callee: [198, 51, 100, 7].into(),
            who: Who::Lan,
            class,
            country: Some(country),
            since: Timestamp::UNIX_EPOCH,
        };
        Ok(vec![call(Class::National, "JP"), call(Class::International, "SL")])
    }

    fn outside_calls(&self) -> anyhow::Result<Vec<FromOutside>> {
        let register = FromOutside {
            source: [198, 51, 100, 7].into(),
            host: [192, 0, 2, 1].into(),
            port: Port { transport: "udp".to_owned(), port: 5060 },
            registers: true,
            answered: true,
            who: Who::Unproved,
            line: 0xff,
            last: Timestamp::UNIX_EPOCH,
        };
        Ok(vec![register])
    }

    fn call_records(&self) -> anyhow::Result<Vec<Call>> {
        Ok(self.0.lock().unwrap().records.clone())
    }

    fn own_calls(&self) -> anyhow::Result<Vec<(u64, Call)>> {
        Ok((1..).zip(self.0.lock().unwrap().records.iter().copied()).collect())
    }

    fn run(&self) -> anyhow::Result<u64> {
        Ok(1)
    }

    fn site(&self) -> anyhow::Result<SiteState> {
        Ok(SiteState { known: 3, room: 16, answered: Some(Timestamp::UNIX_EPOCH), armed: true, arms: None })
    }

    fn known(&self) -> anyhow::Result<Vec<(IpAddr, u64)>> {
        Ok(self.0.lock().unwrap().known.clone())
    }

    fn make_known(&mut self, sources: &[(IpAddr, u64)]) -> anyhow::Result<()> {
        self.0.lock().unwrap().known.extend(sources);
        Ok(())
    }

    fn cells(&self) -> anyhow::Result<Vec<(CellKey, Ring)>> {
        Ok(self.0.lock().unwrap().cells.iter().map(|(key, ring)| (*key, *ring)).collect())
    }

    fn cell(&self, key: &CellKey) -> anyhow::Result<Option<Ring>> {
        Ok(self.0.lock().unwrap().cells.get(key).copied())
    }

    fn present_until(&self, source: u64) -> anyhow::Result<u64> {
        Ok(self.0.lock().unwrap().present.get(&source).copied().unwrap_or(0))
    }

    fn set_cell(&mut self, key: &CellKey, ring: Option<&Ring>) -> anyhow::Result<()> {
        let mut board = self.0.lock().unwrap();
        anyhow::ensure!(ring.is_none() || key.table() != Table::Bans || !board.no_bans, "all places are taken");
        let cells = &mut board.cells;
        match ring {
            Some(ring) => cells.insert(*key, *ring),
            None => cells.remove(key),
        };
        Ok(())
    }

    fn channels(&self) -> anyhow::Result<Vec<(CellKey, u32)>> {
        Ok(self.0.lock().unwrap().channels.iter().map(|(key, up)| (*key, *up)).collect())
    }

    fn up_at_once(&self, key: &CellKey) -> anyhow::Result<u32> {
        Ok(self.0.lock().unwrap().channels.get(key).copied().unwrap_or(0))
    }

    fn forget_channels(&mut self, key: &CellKey) -> anyhow::Result<()> {
        self.0.lock().unwrap().channels.remove(key);
        Ok(())
    }

    fn clock(&self) -> u64 {
        self.0.lock().unwrap().clock
    }

    fn interfaces(&self) -> Vec<InterfaceState> {
        vec![InterfaceState {
            name: "eth0".into(),
            role: config::Role::Wan,
            attach: AttachMode::Driver,
            link: LinkState::Pinned,
        }]
    }

    fn poll_events(&mut self, sink: &mut dyn FnMut(Event)) {
        let events = std::mem::take(&mut self.0.lock().unwrap().events);
        events.into_iter().for_each(sink);
    }

    fn events_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn explain(&self, input: &str, caller: &Caller, _: Option<&str>, _: &Levels) -> anyhow::Result<Explanation> {
        Ok(Explanation {
            input: input.into(),
            profile: if caller.from.is_some() { "lobby".into() } else { "default".into() },
            dialled: Some(input.into()),
            e164: Some("232761234567".into()),
            class: Class::International,
            country: Some("SL".into()),
            verdict: Verdict::Drop,
            reason: Reason::BlockedCountry,
            rule: Some("tollgate.toml:12".into()),
            steps: vec![ExplainStep { name: "policy".into(), finding: "SL is blocked".into(), decides: true }],
            charged: Vec::new(),
        })
    }

    fn self_test(&mut self) -> anyhow::Result<SelfTest> {
        let wrong = u64::from(self.0.lock().unwrap().fail_self_test);
        let failures = (0..wrong).map(|_| "a call of 192.0.2.66 to +232 passes".into()).collect();
        Ok(SelfTest { foreign: 500, emergency: 40, wrong, failures, took: std::time::Duration::from_millis(30) })
    }

    fn set_trace(&mut self, on: bool) -> anyhow::Result<()> {
        anyhow::ensure!(!on, "this program was built without traces");
        Ok(())
    }

    fn detach(&mut self) -> anyhow::Result<()> {
        self.0.lock().unwrap().detached = true;
        Ok(())
    }
}

/// An event as the kernel would hand it over.
pub(crate) fn event() -> Event {
    Event {
        time: "2026-11-20T12:00:00Z".parse().unwrap(),
        verdict: Verdict::Drop,
        reason: Reason::BlockedCountry,
        method: Some(Method::Invite),
        class: Class::International,
        country: Some("SL"),
        number: Some(MaskedNumber::e164("23276123456", 3)),
        callee: 7,
        source: "192.0.2.66".parse().unwrap(),
        interface: "eth0".into(),
        side: config::Role::Wan,
        who: Who::Unproved,
        generation: 1,
        policy: Some("5ea1".into()),
        decided: None,
        line: 0,
        clock: 0,
        held: Vec::new(),
        tried: None,
    }
}

/// A running daemon; ends with the test.
pub(crate) struct Daemon {
    pub(crate) dir: TempDir,
    pub(crate) board: Shared,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Daemon {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tollgate.toml"), POLICY).unwrap();
        Self::start_in(dir)
    }

    pub(crate) fn start_in(dir: TempDir) -> Self {
        let board = Shared::default();
        let (options, parts) = (options(dir.path()), parts(dir.path(), &board));
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(daemon::run(options, parts(), |_, _| {
                ready.send(()).unwrap();
            }))
        });
        is_ready.recv().expect("the daemon starts");
        Self { dir, board, thread: Some(thread) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        options(self.dir.path()).socket
    }

    /// Runs the command line against this daemon.
    pub(crate) fn tollgate(&self, args: &[&str]) -> Output {
        tollgate(&self.socket(), args)
    }

    /// Runs it and reads its output as JSON, one object a line.
    pub(crate) fn json(&self, args: &[&str]) -> Vec<Value> {
        let output = self.tollgate(args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        stdout(&output).lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// Detaches, and waits for the daemon to end.
    pub(crate) fn stop(mut self) -> TempDir {
        let output = self.tollgate(&["detach"]);
        assert!(output.status.success(), "{output:?}");
        self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(self.board.lock().unwrap().detached);
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.tollgate(&["detach"]);
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

pub(crate) fn options(dir: &Path) -> Options {
    Options { socket: dir.join("control.sock"), state_dir: dir.join("state"), detach_on_exit: false }
}

/// How the daemon is made, on the thread that it runs on.
pub(crate) fn parts(dir: &Path, board: &Shared) -> impl FnOnce() -> Parts + Send + use<> {
    let (file, starter, clock) = (dir.join("tollgate.toml"), Arc::clone(board), Arc::clone(board));
    move || Parts {
        load: Box::new(move || Ok(config::load(&file)?.0)),
        adjust: Box::new(|config| config),
        start: Box::new(move |config, orders| Ok(Fake::start(&starter, config, orders))),
        clock: Box::new(move || clock.lock().unwrap().now.unwrap_or_else(Timestamp::now)),
    }
}

pub(crate) fn tollgate(socket: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tollgate"))
        .args(args)
        .env_clear()
        .env("TOLLGATE_SOCKET", socket)
        .env("TOLLGATE_PIN_DIR", socket.with_file_name("pins"))
        .env("TZ", "Asia/Tokyo")
        .output()
        .unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
