//! Enforcement under continuous traffic while daemons end, start, reload and replace the program.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use gateway_tests::{
    daemon::Daemon,
    network::{Network, SIP_PORT},
    sip::{Caller, Outcome, Pbx, StartLine, Timers, flood::Flood},
    witness::Witness,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::site::{
    BRITISH, DOMESTIC, FORBIDDEN, PATIENCE, Site, caller, from_port, send, to, total, until, uri, watch,
};

/// Blocked INVITEs a second.
const RATE: u32 = 2000;
/// Where they come from.
const BLOCKED_PORT: u16 = 5070;
/// Where an order is tried from.
const ORDER_PORT: u16 = 5071;

/// Blocked and good calls that go on until they are stopped.
struct Stream {
    stop: Arc<AtomicBool>,
    blocked: JoinHandle<u64>,
    good: JoinHandle<(u64, u64)>,
}

impl Stream {
    fn start(site: &Site) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let pbx = Network::pbx_sip();
        let (socket, until) = (caller(site, BLOCKED_PORT), Arc::clone(&stop));
        let flood = Flood { target: pbx, uri: uri(FORBIDDEN), rate: RATE, count: u64::MAX };
        let blocked = thread::spawn(move || {
            let wait = |pause| {
                thread::sleep(pause);
                until.load(Ordering::Relaxed)
            };
            flood.send(&socket, wait).unwrap().count
        });
        let good =
            Caller::new(caller(site, SIP_PORT), pbx, Timers { talk: Duration::ZERO, ..Timers::STANDARD }).unwrap();
        let until = Arc::clone(&stop);
        let good = thread::spawn(move || {
            let (mut placed, mut completed) = (0, 0);
            while !until.load(Ordering::Relaxed) {
                let call = good.call(StartLine::plain(uri(DOMESTIC))).unwrap();
                placed += 1;
                completed += u64::from(call.outcome == Outcome::Completed);
                thread::sleep(Duration::from_millis(20));
            }
            (placed, completed)
        });
        Self { stop, blocked, good }
    }

    /// Ends it: blocked INVITEs sent, good calls placed and completed.
    fn stop(self) -> (u64, (u64, u64)) {
        self.stop.store(true, Ordering::Relaxed);
        (self.blocked.join().unwrap(), self.good.join().unwrap())
    }
}

fn blocks(countries: &str) -> String {
    format!("[profile.default]\nblock = [{countries}]\n")
}

/// Waits until this many more blocked INVITEs and some good ones have left the caller.
fn flow(outside: &Witness) {
    let seen = |port| from_port(outside, (Network::CALLER, port));
    let (blocked, good) = (seen(BLOCKED_PORT), seen(SIP_PORT));
    until("traffic flows", || seen(BLOCKED_PORT) >= blocked + 400 && seen(SIP_PORT) >= good + 3);
}

fn listed(site: &Site) -> BTreeSet<String> {
    let list = site.lines(&["list", "prefixes", "--json"]);
    list.iter().map(|entry| entry["value"].as_str().unwrap().to_owned()).collect()
}

fn orders(site: &Site) -> Vec<Value> {
    site.lines(&["orders", "--json"])
}

fn signal(daemon: &Daemon, signal: Signal) {
    kill_process(Pid::from_raw(daemon.pid() as i32).unwrap(), signal).unwrap();
}

#[test]
fn nothing_blocked_arrives_and_nothing_good_is_lost_whatever_becomes_of_the_daemon() {
    let test = "restart::nothing_blocked_arrives_and_nothing_good_is_lost_whatever_becomes_of_the_daemon";
    let Some(site) = Site::new(test) else { return };
    site.policy("enforce", &blocks("\"SL\""));
    let daemon = site.start();
    let _pbx = Pbx::start(&site.network.pbx, Network::pbx_sip()).unwrap();
    let (outside, inside) = (watch(&site.network.caller), watch(&site.network.pbx));
    let stream = Stream::start(&site);
    let ordering = caller(&site, ORDER_PORT);
    let british = |count| send(&ordering, Network::pbx_sip(), &uri(BRITISH), count);
    flow(&outside);
    assert_eq!(site.json(&["block", "GB", "--reason", "under test", "--json"])["ok"], true);
    let given = orders(&site);
    assert_eq!(given.len(), 1);
    british(3);

    // A farewell, and nobody there for a while.
    let (counted, first) = (site.reason("blocked-country"), site.program("wan0"));
    assert!(counted >= 400 && first.is_some());
    assert!(daemon.terminate(PATIENCE).unwrap().success());
    british(3);
    flow(&outside);
    assert_eq!(site.program("wan0"), first);
    let daemon = site.start();
    let again = site.reason("blocked-country");
    assert!(again >= counted + 400, "{again} after {counted}: the counters began anew");
    let second = site.program("wan0");
    assert!(second.is_some() && second != first, "the program was not replaced");
    flow(&outside);

    // No farewell.
    daemon.kill().unwrap();
    british(3);
    flow(&outside);
    let mut daemon = site.start();
    assert!(site.reason("blocked-country") >= again + 800, "the counters began anew");
    assert_eq!(orders(&site), given, "an order did not survive kill -9");
    british(3);
    flow(&outside);

    // Another policy, by signal and by command; the program stays.
    let third = site.program("wan0");
    site.policy("enforce", &blocks("\"SL\", \"FR\""));
    signal(&daemon, Signal::HUP);
    until("SIGHUP brings the new policy", || listed(&site).contains("FR"));
    flow(&outside);
    site.policy("enforce", &blocks("\"SL\", \"DE\""));
    assert_eq!(site.json(&["reload", "--json"])["ok"], true);
    assert!(listed(&site).contains("DE") && !listed(&site).contains("FR"));
    flow(&outside);
    assert_eq!(site.program("wan0"), third);

    // Another program under a running daemon.
    for state in ["on", "off"] {
        let before = site.program("wan0");
        let answer = site.tollgate.cli(&["trace", state]).unwrap();
        assert!(answer.status.success(), "{answer:?}");
        assert_ne!(site.program("wan0"), before, "trace {state} did not replace the program");
        flow(&outside);
    }

    let (sent, (placed, completed)) = stream.stop();
    until("every blocked INVITE is counted", || site.reason("blocked-country") == sent);
    let counters = site.counters();
    assert_eq!(counters["reasons"]["order"], 12, "{counters}");
    assert_eq!(total(&counters, "dropped"), sent + 12, "{counters}");
    assert_eq!(from_port(&outside, (Network::CALLER, BLOCKED_PORT)), sent);
    assert_eq!(to(&inside, &uri(FORBIDDEN)), 0, "blocked INVITEs reached the PBX");
    assert_eq!(to(&inside, &uri(BRITISH)), 0, "INVITEs reached the PBX against an order");
    assert_eq!(completed, placed, "good calls did not complete");
    let good = |witness| from_port(witness, (Network::CALLER, SIP_PORT));
    assert_eq!((good(&outside), good(&inside)), (placed, placed), "a good INVITE was lost and sent again");

    // Disarmed, and by nothing else.
    assert!(site.tollgate.cli(&["detach"]).unwrap().status.success());
    until("the daemon ends", || daemon.ended().unwrap().is_some());
    assert!(!site.pinned(), "pins are left");
    for interface in [Network::WAN_CALLER, Network::WAN_FLOODER, Network::LAN] {
        assert_eq!(site.program(interface), None, "{interface} is still filtered");
    }
    let socket = caller(&site, BLOCKED_PORT);
    until("unfiltered, a forbidden INVITE arrives", || {
        send(&socket, Network::pbx_sip(), &uri(FORBIDDEN), 1);
        to(&inside, &uri(FORBIDDEN)) > 0
    });
}

#[test]
fn a_storm_of_reloads_and_orders_leaves_no_gap() {
    let Some(site) = Site::new("restart::a_storm_of_reloads_and_orders_leaves_no_gap") else { return };
    site.policy("enforce", &blocks("\"SL\""));
    let _daemon = site.start();
    let _pbx = Pbx::start(&site.network.pbx, Network::pbx_sip()).unwrap();
    let (outside, inside) = (watch(&site.network.caller), watch(&site.network.pbx));
    let stream = Stream::start(&site);
    flow(&outside);
    // Every policy stops the calls, each by a rule of its own.
    for rule in ["\"+232\"", "\"SL\""].into_iter().cycle().take(10) {
        site.policy("enforce", &blocks(rule));
        assert_eq!(site.json(&["reload", "--json"])["ok"], true);
        let ordered = site.json(&["block", "+23276", "--json"]);
        assert_eq!(site.json(&["undo", &ordered["order"].to_string(), "--json"])["ok"], true);
    }
    let (sent, (placed, completed)) = stream.stop();
    until("every blocked INVITE is counted", || total(&site.counters(), "dropped") >= sent);
    let counters = site.counters();
    let by = |reason: &str| counters["reasons"][reason].as_u64().unwrap_or(0);
    assert_eq!(by("blocked-country") + by("blocked-prefix") + by("order"), sent, "{counters}");
    assert!(by("blocked-country") > 0 && by("blocked-prefix") > 0 && by("order") > 0, "{counters}");
    assert_eq!(total(&counters, "dropped"), sent, "{counters}");
    assert_eq!(to(&inside, &uri(FORBIDDEN)), 0, "blocked INVITEs reached the PBX");
    assert_eq!(completed, placed, "good calls did not complete");
    let good = |witness| from_port(witness, (Network::CALLER, SIP_PORT));
    assert_eq!((good(&outside), good(&inside)), (placed, placed), "a good INVITE was lost and sent again");
}
