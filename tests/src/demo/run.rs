//! The course of the demo: build the network, start the gateway, send, count, check, take everything away.

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    account::{Facts, Limit},
    control::{Control, INTERRUPTED},
    counters::Counters,
    edges::Edges,
    options::Options,
    peers::Peers,
    show::Show,
    traffic::{Finished, Traffic},
};
use crate::{
    daemon::{self, Daemon, Tollgate},
    network::Network,
};

/// The exit code where the privilege is missing.
const NO_PRIVILEGE: u8 = 3;
/// Longest time until the daemon answers.
const READY: Duration = Duration::from_secs(60);
/// Longest time until the daemon has ended after SIGTERM.
const FAREWELL: Duration = Duration::from_secs(10);
/// Longest time until the last packet has been counted.
const SETTLE: Duration = Duration::from_secs(10);

/// The limit that the policy sets.
const LIMIT: Limit = Limit { rate: 10, burst: 20 };

/// The policy: one blocked country, one limit for every source. The ceiling of unproved sources lies above the flood, so that the
/// limit alone answers for what the flooder loses.
fn policy() -> String {
    let Limit { rate, burst } = LIMIT;
    format!(
        r#"mode = "enforce"
floor = false

[sip]
ports = [5060]

[site]
region = "JP"
extensions = "3"

[profile.default]
block = ["SL"]
limits = ["caller"]

[ceiling]
unproved = "1000/s"

[limit.caller]
key = "source"
method = "INVITE"
rate = "{rate}/s"
burst = {burst}
over = "drop"
"#
    )
}

/// Runs the demo and says how it went.
pub fn main(options: &Options) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("tollgate-demo: network namespaces and BPF need root: run it with sudo");
        return ExitCode::from(NO_PRIVILEGE);
    }
    let outcome = Control::with_signals().and_then(|control| {
        let outcome = run(options, &control);
        // Whatever a signal broke off is no failure of its own.
        if control.interrupted() { Ok(None) } else { outcome }
    });
    match outcome {
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Ok(None) => {
            eprintln!("tollgate-demo: interrupted; namespaces, links and programs are gone");
            ExitCode::from(INTERRUPTED)
        }
        Err(e) => {
            eprintln!("tollgate-demo: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything was accounted for; `None` where a signal came first.
fn run(options: &Options, control: &Arc<Control>) -> Result<Option<bool>> {
    let binary = match &options.tollgate {
        _ if options.no_gateway => None,
        Some(path) => Some(daemon::existing(path)?),
        None => Some(daemon::find_binary()?),
    };
    let peers = Peers::choose(options.peer)?;
    let network = Network::new()?;
    let _answering = peers.answer(&network.pbx)?;
    let gateway = binary.map(|binary| Gateway::start(Tollgate::new(binary, &network.gateway)?, control)).transpose()?;
    let show = Show::new(options.json);
    let attached = gateway.as_ref().map(Gateway::attached).transpose()?;
    show.opening(&peers.describe(), attached.as_deref(), LIMIT);

    let scene = Scene {
        edges: Edges::watch(&network)?,
        baseline: gateway.as_ref().map(Gateway::counters).transpose()?,
        gateway,
    };
    let traffic = Traffic::start(&network, &peers, options.time, control)?;
    let begin = Instant::now();
    let mut seconds = 0;
    while begin.elapsed() < options.time {
        let next = Duration::from_secs(seconds + 1).min(options.time);
        if control.wait(next.saturating_sub(begin.elapsed())) {
            break;
        }
        seconds += 1;
        show.tick(seconds, &scene.facts()?);
    }
    control.finish();
    if control.interrupted() {
        // The senders end with the process.
        scene.close()?;
        return Ok(None);
    }
    let Some(finished) = traffic.join(control)? else {
        scene.close()?;
        return Ok(None);
    };
    let facts = scene.settle(&finished, control)?;
    let (report, wrong) = facts.report(LIMIT);
    // Taken away before the verdict is printed: that it went well is part of it.
    scene.close()?;
    if control.interrupted() {
        return Ok(None);
    }
    show.account(&facts, &finished, &report, &wrong, LIMIT);
    Ok(Some(report.ok))
}

/// All that is watched while the traffic runs.
struct Scene {
    edges: Edges,
    baseline: Option<Counters>,
    gateway: Option<Gateway>,
}

impl Scene {
    /// What has been seen and counted so far.
    fn facts(&self) -> Result<Facts> {
        // The counters first: what they have dropped has certainly been sent.
        let counters = self.gateway.as_ref().map(Gateway::counters).transpose()?;
        let counters = counters.zip(self.baseline.as_ref()).map(|(now, before)| now.since(before));
        let flows = self.edges.flows();
        Ok(Facts { good: flows.good, blocked: flows.blocked, flood: flows.flood, flood_time: None, counters })
    }

    /// What has been seen and counted once every packet has come to its end.
    fn settle(&self, finished: &Finished, control: &Control) -> Result<Facts> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut facts = self.facts()?;
            (facts.good.placed, facts.good.completed) = finished.good;
            facts.blocked.placed = finished.forbidden;
            facts.flood.placed = finished.flood.count;
            facts.flood_time = Some(finished.flood);
            if facts.settled() || Instant::now() >= deadline || control.wait_for_signal(Duration::from_millis(100)) {
                return Ok(facts);
            }
        }
    }

    fn close(self) -> Result<()> {
        self.gateway.map_or(Ok(()), Gateway::close)
    }
}

/// The daemon under test.
struct Gateway {
    daemon: Daemon,
    tollgate: Tollgate,
}

impl Gateway {
    fn start(tollgate: Tollgate, control: &Control) -> Result<Self> {
        tollgate.write_policy(&policy())?;
        let interfaces = [(Network::WAN_CALLER, "wan"), (Network::WAN_FLOODER, "wan"), (Network::LAN, "lan")]
            .map(|(name, role)| format!("{name}:{role}"));
        let config = tollgate.policy();
        let config = config
            .to_str()
            .context("the temporary directory has a name that is not UTF-8: set TMPDIR to another one")?;
        let mut arguments = vec!["--config", config];
        for interface in &interfaces {
            arguments.extend(["--iface", interface.as_str()]);
        }
        arguments.extend(["--mode", "enforce", "--detach-on-exit"]);
        let mut daemon = tollgate.run(&arguments)?;
        let deadline = Instant::now() + READY;
        let ready = daemon.wait_ready(&tollgate, || control.interrupted() || Instant::now() >= deadline);
        let gateway = Self { daemon, tollgate };
        match ready {
            Ok(()) => Ok(gateway),
            Err(e) => {
                // It is to detach, even where it was not ready; the reason why it was not is what counts.
                let _ = gateway.close();
                Err(e)
            }
        }
    }

    fn counters(&self) -> Result<Counters> {
        Counters::read(&self.tollgate)
            .with_context(|| format!("the gateway gives no counters; its log ends:\n{}", self.tollgate.log_tail()))
    }

    /// How the filter sits on each interface: `driver mode on wan0, ...`.
    fn attached(&self) -> Result<String> {
        let status = self.tollgate.json(&["status", "--json"])?;
        let text = |interface: &Value, key: &str| interface.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        let interfaces = status.get("interfaces").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let described: Vec<_> = interfaces
            .iter()
            .map(|i| format!("{} ({}, {})", text(i, "name"), text(i, "role"), text(i, "attach")))
            .collect();
        Ok(format!("tollgate on {}", described.join(", ")))
    }

    /// Ends the daemon, which detaches, and sees that nothing stays pinned.
    fn close(self) -> Result<()> {
        let Self { daemon, tollgate } = self;
        let status = daemon.terminate(FAREWELL)?;
        let directory = tollgate.pin_dir();
        let pins = tollgate.bpffs().run(|| Ok(pins(&directory)))?;
        if !status.success() {
            bail!("the daemon ended with {status} instead of detaching; its log ends:\n{}", tollgate.log_tail());
        }
        if !pins.is_empty() {
            bail!("the daemon was to detach and left pins: {}", pins.join(", "));
        }
        Ok(())
    }
}

/// Every file under a directory of pins.
fn pins(directory: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(pins(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
