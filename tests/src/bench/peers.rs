//! Other filters on the same frames: nftables, iptables, xdp-filter, Kamailio, Suricata, each as `tests/peers` configures it.

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    frames::{self, CALLED, Content, Vary, Wrap},
    policies::prefix,
    stage::{Stage, TAKER, Wire},
    suricata::{self, Suricata},
    traffic::Generator,
};
use crate::peer::{Kamailio, find_program, kamailio::Running};

/// The number that is dialled, the first of the prefixes.
const DIALLED: &str = "+2327600000";
/// How long Kamailio is offered more than it can take.
const FLOOD: Duration = Duration::from_secs(2);
/// Twice the burst that the limits of `tests/peers` allow.
const BURSTS: u32 = 40;
/// Frames of each part of that flood.
const PART: u32 = 100_000;

/// What a peer does with the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// Nothing: Linux looks for a socket and finds none.
    None,
    /// `nft -f` of a file.
    Nft(&'static str),
    /// `iptables-restore` of a file.
    Iptables(&'static str),
    /// xdp-filter, by port.
    PortByXdp,
    /// Kamailio with a file.
    Kamailio(&'static str),
    /// Suricata, inline.
    Suricata,
}

/// A peer with a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What the row is called.
    pub name: &'static str,
    filter: Filter,
    prefixes: u32,
    sources: u32,
}

/// Every peer, in the order of the table.
pub fn all() -> Vec<Peer> {
    let peer = |name, filter, prefixes| Peer { name, filter, prefixes, sources: 1 };
    vec![
        peer("Linux to a closed port", Filter::None, 0),
        peer("xdp-filter, port", Filter::PortByXdp, 0),
        peer("nft ingress, port", Filter::Nft("nft-port.nft"), 0),
        peer("nft ingress, 51 prefixes", Filter::Nft("nft-prefixes.nft"), 51),
        peer("nft ingress, 200,000 prefixes", Filter::Nft("nft-prefixes.nft"), 200_000),
        peer("nft ingress, over the limit", Filter::Nft("nft-limit.nft"), 0),
        Peer { sources: 1_000, ..peer("nft ingress, over the limit, 1,000 sources", Filter::Nft("nft-limit.nft"), 0) },
        peer("iptables raw, 1 prefix", Filter::Iptables("iptables-prefixes.rules"), 1),
        peer("iptables raw, 51 prefixes", Filter::Iptables("iptables-prefixes.rules"), 51),
        peer("iptables raw, over the limit", Filter::Iptables("iptables-limit.rules"), 0),
        peer("Kamailio, pike", Filter::Kamailio("kamailio-pike.cfg"), 0),
        peer("Kamailio, 51 prefixes", Filter::Kamailio("kamailio-prefixes.cfg"), 51),
        peer("Suricata inline, 51 prefixes", Filter::Suricata, 51),
        Peer { sources: 1_000_000, ..peer("Suricata inline, 51 prefixes, 1,000,000 sources", Filter::Suricata, 51) },
    ]
}

impl Peer {
    /// The program that has to be installed, where it is not.
    pub fn missing(&self) -> Option<&'static str> {
        let program = match self.filter {
            Filter::None => return None,
            Filter::Nft(_) => "nft",
            Filter::Iptables(_) => "iptables-restore",
            Filter::PortByXdp => "xdp-filter",
            Filter::Kamailio(_) => "kamailio",
            Filter::Suricata => suricata::PROGRAM,
        };
        find_program(program).is_none().then_some(program)
    }

    /// The command that installs it.
    pub const fn remedy(&self) -> &'static str {
        match self.filter {
            Filter::Suricata => "apt-get install --no-install-recommends --target-release bookworm-backports suricata",
            Filter::None | Filter::Nft(_) | Filter::Iptables(_) | Filter::PortByXdp | Filter::Kamailio(_) => {
                "cargo xtask setup --peers"
            }
        }
    }

    /// Whether packets arrive at a program, which another CPU runs: then there is a rate of its own, and none of the sender.
    pub const fn is_server(&self) -> bool {
        matches!(self.filter, Filter::Kamailio(_) | Filter::Suricata)
    }

    /// The generator of its frames.
    ///
    /// # Errors
    /// Where the kernel refuses it.
    pub fn generator(&self) -> Result<Generator> {
        let content = Content::Invite(DIALLED.to_owned());
        Generator::new(&frames::sample(&content, Wrap::Plain, Vary::sources(self.sources), TAKER)?)
    }

    /// Starts it on the receiving end of a wire.
    ///
    /// # Errors
    /// Where it cannot be started: with what it said.
    pub fn start(&self, stage: &Stage, wire: &Wire) -> Result<Started> {
        let (mut kamailio, mut suricata) = (None, None);
        match self.filter {
            Filter::None => {}
            Filter::Nft(file) => run("nft", &["-f", "-"], &self.configuration(file, wire)?)?,
            Filter::Iptables(file) => run("iptables-restore", &["--noflush"], &self.configuration(file, wire)?)?,
            Filter::PortByXdp => {
                run("xdp-filter", &["load", &wire.name, "--mode", "native", "--features", "udp"], "")?;
                run("xdp-filter", &["port", "5060", "--mode", "dst", "--proto", "udp"], "")?;
            }
            Filter::Kamailio(file) => kamailio = Some(self.kamailio(file, stage, wire)?),
            Filter::Suricata => suricata = Some(Suricata::start(stage, wire, self.prefixes)?),
        }
        Ok(Started { filter: self.filter, device: wire.name.clone(), _kamailio: kamailio, suricata })
    }

    fn kamailio(&self, file: &str, stage: &Stage, wire: &Wire) -> Result<(Running, tempfile::TempDir)> {
        let database = tempfile::tempdir().context("cannot make a temporary directory")?;
        let rows: String = prefixes(self.prefixes).into_iter().map(|prefix| prefix + ":1\n").collect();
        fs::write(database.path().join("mtree"), format!("tprefix(string) tvalue(string)\n{rows}"))?;
        fs::write(database.path().join("version"), "table_name(string) table_version(int)\nmtree:1\n")?;
        let at = SocketAddr::from((CALLED, 5060));
        let text = self.configuration(file, wire)?;
        let text = text.replace("DATABASE", &database.path().to_string_lossy()).replace("LISTEN", &at.to_string());
        // It has the other CPUs, as a server behind a network card's queue would.
        let running = stage.elsewhere(|| {
            let kamailio = Kamailio::find().context("Kamailio is not installed")?;
            kamailio.run(stage.namespace(), at, &text)
        })?;
        Ok((running, database))
    }

    /// A file of `tests/peers`, filled in.
    fn configuration(&self, file: &str, wire: &Wire) -> Result<String> {
        filled(file, self.prefixes, &wire.name)
    }

    /// Sends so many frames first that every source has used up its burst.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn exhaust(&self, generator: &mut Generator, wire: &Wire) -> Result<()> {
        generator.send(wire.sender, self.sources * BURSTS).map(drop)
    }

    /// Checks that the frames met what the row is called after: a filter lets none through, and Linux without one takes all.
    ///
    /// # Errors
    /// Where it is otherwise.
    pub fn check(&self, sent: u64, arrived: u64) -> Result<()> {
        let share = arrived as f64 / sent as f64;
        match self.filter {
            Filter::None => ensure!(share > 0.9, "{arrived} of {sent} frames arrived: it measures something else"),
            Filter::Kamailio(_) | Filter::Suricata => ensure!(arrived > 0, "no frame arrived"),
            // Many sources are let through their ten a second each.
            _ => ensure!(
                share < if self.sources > 1 { 0.1 } else { 0.01 },
                "{arrived} of {sent} frames passed: it measures something else"
            ),
        }
        Ok(())
    }
}

/// A file of `tests/peers` for so many prefixes at this interface.
pub(super) fn filled(file: &str, count: u32, device: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let prefixes = prefixes(count);
    let elements: Vec<String> = prefixes.iter().map(|prefix| element(prefix)).collect();
    let line = |line: &str| {
        if line.contains("PREFIX") {
            return prefixes.iter().map(|prefix| line.replace("PREFIX", prefix) + "\n").collect();
        }
        line.replace("ELEMENTS", &elements.join(", ")) + "\n"
    };
    Ok(text.lines().map(line).collect::<String>().replace("DEVICE", device))
}

/// So many prefixes, the one that is dialled in the middle.
fn prefixes(count: u32) -> Vec<String> {
    let mut prefixes: Vec<String> = (0..count).map(prefix).collect();
    prefixes.rotate_right(count as usize / 2);
    prefixes
}

/// The octets of a number behind the plus, as nftables writes them.
fn element(prefix: &str) -> String {
    format!("+{prefix}").bytes().fold("0x".to_owned(), |text, octet| text + &format!("{octet:02x}"))
}

/// A peer that runs; dropping it ends it.
#[derive(Debug)]
pub struct Started {
    filter: Filter,
    device: String,
    _kamailio: Option<(Running, tempfile::TempDir)>,
    suricata: Option<Suricata>,
}

impl Started {
    /// Sends a server more than it can take, and returns how many frames a second it took.
    ///
    /// # Errors
    /// Where the kernel refuses, or the server did something else with them.
    pub fn flood(&self, generator: &mut Generator, wire: &Wire) -> Result<f64> {
        if let Some(suricata) = &self.suricata {
            return suricata.flood(generator, wire);
        }
        let (before, began) = (arrived()?, Instant::now());
        while began.elapsed() < FLOOD {
            generator.send(wire.sender, PART)?;
            thread::yield_now();
        }
        Ok((arrived()? - before) as f64 / began.elapsed().as_secs_f64())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let ended = match self.filter {
            Filter::None | Filter::Kamailio(_) | Filter::Suricata => Ok(()),
            Filter::Nft(_) => run("nft", &["flush", "ruleset"], ""),
            Filter::Iptables(_) => run("iptables", &["--table", "raw", "--flush"], ""),
            Filter::PortByXdp => run("xdp-filter", &["unload", &self.device], ""),
        };
        if let Err(error) = ended {
            eprintln!("{error:#}");
        }
    }
}

/// Datagrams that reached the UDP layer of the calling thread's namespace: read by a program, or for nobody.
///
/// # Errors
/// Where the kernel does not tell.
pub fn arrived() -> Result<u64> {
    datagrams(&["InDatagrams", "NoPorts"])
}

/// The sum of these counters of UDP (RFC 4113, and Linux's own) in the calling thread's namespace.
pub(super) fn datagrams(wanted: &[&str]) -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/snmp").context("cannot read the counters of UDP")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let counters = names.split(' ').zip(values.split(' ').map(|value| value.parse::<u64>().unwrap_or(0)));
    Ok(counters.filter(|(name, _)| wanted.contains(name)).map(|(_, value)| value).sum())
}

/// Runs a program inside the calling thread's namespace; an error says what the program said.
pub(super) fn run(program: &str, arguments: &[&str], input: &str) -> Result<()> {
    let path = find_program(program).with_context(|| format!("{program} is not installed"))?;
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("{program} does not read its input"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("cannot wait for {program}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), told.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_filled_in() {
        let wire = Wire { sender: 1, taker: 2, name: "peer1".into() };
        for peer in all() {
            let (Filter::Nft(file) | Filter::Iptables(file) | Filter::Kamailio(file)) = peer.filter else { continue };
            let text = peer.configuration(file, &wire).unwrap();
            assert!(!["DEVICE", "ELEMENTS", "PREFIX"].iter().any(|word| text.contains(word)), "{}", peer.name);
        }
        let peer = all().into_iter().find(|peer| peer.name == "iptables raw, 51 prefixes").unwrap();
        let text = peer.configuration("iptables-prefixes.rules", &wire).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("-i peer1") && line.contains("sip:+")).count(), 51);
        assert!(text.lines().nth(26).unwrap().contains("sip:+2327600000"), "{text}");
        assert_eq!(element("23"), "0x2b3233");
    }
}
