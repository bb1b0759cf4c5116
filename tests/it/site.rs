//! The demo network with a daemon at its gateway: what the tests of traffic, restarts and operators stand on.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use gateway_tests::{
    capability::{require_kernel, require_program},
    daemon::{Daemon, Tollgate, find_binary},
    netns::Namespace,
    network::{self, Network},
    sip::{Invite, StartLine},
    witness::{self, Witness},
};
use gateway_user::doctor;
use serde_json::Value;

/// Far more than anything here takes: only a fault lasts so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The interfaces and what every policy here shares. The ceiling of unproved sources lies above all that is sent, so that the rules
/// alone answer for what is dropped.
pub(crate) const COMMON: &str = r#"
floor = false
[interface.wan0]
role = "wan"
[interface.wan1]
role = "wan"
[interface.lan0]
role = "lan"
[site]
region = "JP"
extensions = "3"
[ceiling]
unproved = "100000/s"
"#;

/// A number in Sierra Leone, as Japan dials it.
pub(crate) const FORBIDDEN: &str = "010232761234567";
/// A number in Great Britain, as Japan dials it.
pub(crate) const BRITISH: &str = "010442071838750";
/// A number in Tokyo.
pub(crate) const DOMESTIC: &str = "0312345678";

/// The network and the installation at its gateway.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) network: Network,
    pub(crate) tollgate: Tollgate,
}

impl Site {
    /// A site for `test`; `None`, said aloud, where the machine allows none.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !require_kernel(test) {
            return None;
        }
        let binary = require_program(test, find_binary().ok(), "cargo build -p gateway-user")?;
        let network = Network::new().unwrap();
        let tollgate = Tollgate::new(binary, &network.gateway).unwrap();
        Some(Self { network, tollgate })
    }

    /// Writes [`COMMON`] with this mode and these further tables.
    pub(crate) fn policy(&self, mode: &str, rules: &str) {
        self.tollgate.write_policy(&format!("mode = \"{mode}\"\n{COMMON}{rules}")).unwrap();
    }

    /// Starts a daemon under the policy as it is written, and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        let mut daemon = self.tollgate.run(&[]).unwrap();
        daemon.wait_ready_for(&self.tollgate, PATIENCE).unwrap();
        daemon
    }

    /// What a command answers that must end well.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.tollgate.json(arguments).unwrap()
    }

    /// What a command prints that must end well, one object a line.
    pub(crate) fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.tollgate.cli(arguments).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Exit code and standard error of a command.
    pub(crate) fn refusal(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.tollgate.cli(arguments).unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(crate) fn counters(&self) -> Value {
        self.json(&["counters", "--json"])
    }

    /// How many packets have been decided for this reason.
    pub(crate) fn reason(&self, name: &str) -> u64 {
        self.counters()["reasons"][name].as_u64().unwrap_or(0)
    }

    /// The program of an interface of the gateway, as the kernel tells.
    pub(crate) fn program(&self, interface: &str) -> Option<String> {
        let name = interface.to_owned();
        let look = || Ok(doctor::examine(std::path::Path::new("/sys/fs/bpf"), &[name]));
        let checks = self.network.gateway.run(look).unwrap();
        let finding = checks.into_iter().find(|check| check.name == "xdp").unwrap().finding;
        (finding != "no program attached").then_some(finding)
    }

    /// Whether anything is left where the pins were.
    pub(crate) fn pinned(&self) -> bool {
        let directory = self.tollgate.pin_dir();
        self.tollgate.bpffs().run(|| Ok(directory.exists())).unwrap()
    }
}

/// A total of `counters --json`.
pub(crate) fn total(counters: &Value, key: &str) -> u64 {
    counters[key].as_u64().unwrap()
}

/// The Request-URI that dials `number` at the PBX.
pub(crate) fn uri(number: &str) -> String {
    format!("sip:{number}@{}", Network::PBX)
}

/// A socket of the caller.
pub(crate) fn caller(site: &Site, port: u16) -> UdpSocket {
    network::udp(&site.network.caller, (Network::CALLER, port)).unwrap()
}

/// Sends `count` INVITEs, each a call of its own, without waiting for answers.
pub(crate) fn send(socket: &UdpSocket, target: SocketAddr, uri: &str, count: u64) {
    let from = socket.local_addr().unwrap();
    for _ in 0..count {
        let datagram = Invite::new(StartLine::plain(uri), from).to_bytes();
        socket.send_to(&datagram, target).unwrap();
    }
}

/// Waits until something that must come about has.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not after {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Watches the INVITEs of a host.
pub(crate) fn watch(namespace: &Namespace) -> Witness {
    Witness::start(namespace).unwrap()
}

/// INVITEs that a witness has seen from this address.
pub(crate) fn from(witness: &Witness, address: impl Into<IpAddr>) -> u64 {
    let address = address.into();
    witness::invites(&witness.tally(), |sender| sender.ip() == address)
}

/// INVITEs that a witness has seen from this address and port.
pub(crate) fn from_port(witness: &Witness, address: impl Into<SocketAddr>) -> u64 {
    let address = address.into();
    witness::invites(&witness.tally(), |sender| *sender == address)
}

/// INVITEs that a witness has seen for this Request-URI.
pub(crate) fn to(witness: &Witness, uri: &str) -> u64 {
    witness.tally().values().filter_map(|seen| seen.uris.get(uri)).sum()
}
