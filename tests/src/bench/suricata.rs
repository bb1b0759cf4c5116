//! Suricata inline between two interfaces (AF_PACKET, IPS), as `tests/peers` configures it.

use std::{
    fs,
    net::IpAddr,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    peers::filled,
    stage::{Stage, Wire},
    traffic::Generator,
};
use crate::{link, netns::Namespace, peer::find_program};

/// The program.
pub(super) const PROGRAM: &str = "suricata";
const CONFIGURATION: &str = "suricata.yaml";
const RULES: &str = "suricata.rules";
/// The wire that it copies to what it lets through.
const BEHIND: &str = "behind";
/// Where it writes its counters, once a second.
const COUNTERS: &str = "eve.json";
/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(50);
/// How long it is offered more than it can take. Its counters come once a second, and the first and the last of them are left out.
const FLOOD: Duration = Duration::from_secs(8);
/// Frames of each part of that flood.
const PART: u32 = 100_000;
/// The share of frames that its rules must drop; else the row measured something else.
const ENOUGH: f64 = 0.95;

/// A Suricata that runs; dropping it kills it.
#[derive(Debug)]
pub(super) struct Suricata {
    child: Child,
    directory: tempfile::TempDir,
    namespace: Namespace,
}

impl Suricata {
    /// Starts it between the receiving end of a wire and another one, on the CPUs that the generator leaves.
    pub(super) fn start(stage: &Stage, wire: &Wire, prefixes: u32) -> Result<Self> {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        let nowhere: &[(IpAddr, u8)] = &[];
        let behind = stage.wire(BEHIND, nowhere)?;
        let text = configuration(wire, &behind, directory.path())?;
        let file = directory.path().join(CONFIGURATION);
        fs::write(&file, text).context("cannot write Suricata's configuration")?;
        fs::write(directory.path().join(RULES), rules(wire, prefixes)?).context("cannot write Suricata's rules")?;
        let path = find_program(PROGRAM).context("Suricata is not installed")?;
        let mut command = stage.namespace().command(path);
        command.arg("-c").arg(&file).arg("-l").arg(directory.path()).arg("--af-packet");
        let told = fs::File::create(directory.path().join("told")).context("cannot make Suricata's log")?;
        command.stdin(Stdio::null()).stdout(told.try_clone().context("cannot share Suricata's log")?).stderr(told);
        let child = stage.elsewhere(|| command.spawn().context("cannot start Suricata"))?;
        let mut suricata = Self { child, directory, namespace: stage.namespace().clone() };
        suricata.wait_ready()?;
        Ok(suricata)
    }

    fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.counters().is_empty() {
            let ended = self.child.try_wait().context("cannot ask for Suricata")?;
            if ended.is_some() || Instant::now() >= deadline {
                let told = fs::read_to_string(self.directory.path().join("told")).unwrap_or_default();
                bail!("Suricata does not count after {} s; it wrote: {}", PATIENCE.as_secs(), told.trim());
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Sends more than it can take, and returns how many frames a second it dropped by its rules.
    pub(super) fn flood(&self, generator: &mut Generator, wire: &Wire) -> Result<f64> {
        let before = self.counters().len();
        let began = Instant::now();
        while began.elapsed() < FLOOD {
            generator.send(wire.sender, PART)?;
            thread::yield_now();
        }
        rate(self.counters().get(before + 1..).unwrap_or_default())
    }

    /// Every line of counters so far.
    fn counters(&self) -> Vec<Counters> {
        let text = fs::read_to_string(self.directory.path().join(COUNTERS)).unwrap_or_default();
        text.lines().filter_map(Counters::read).collect()
    }
}

impl Drop for Suricata {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Err(error) = link::delete(&self.namespace, &format!("{BEHIND}0")) {
            eprintln!("{error:#}");
        }
    }
}

/// One line of its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counters {
    /// Seconds since it began.
    uptime: u64,
    /// Packets that it looked at.
    seen: u64,
    /// Those that a rule dropped.
    blocked: u64,
}

impl Counters {
    fn read(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        let stats = line.get("stats")?;
        let number = |path: &str| stats.pointer(path)?.as_u64();
        Some(Self { uptime: number("/uptime")?, seen: number("/decoder/pkts")?, blocked: number("/ips/blocked")? })
    }
}

/// Packets a second that were dropped between the first and the last line.
fn rate(lines: &[Counters]) -> Result<f64> {
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else { bail!("Suricata did not count") };
    ensure!(last.uptime > first.uptime, "Suricata counted once: its counters must come once a second");
    let (seen, blocked) = ((last.seen - first.seen) as f64, (last.blocked - first.blocked) as f64);
    ensure!(
        seen > 0.0 && blocked >= seen * ENOUGH,
        "{blocked} of {seen} frames were dropped: it measures something else"
    );
    Ok(blocked / (last.uptime - first.uptime) as f64)
}

fn configuration(wire: &Wire, behind: &Wire, directory: &Path) -> Result<String> {
    let text = filled(CONFIGURATION, 0, &wire.name)?;
    Ok(text.replace("BEHIND", &behind.name).replace("DIRECTORY", &directory.to_string_lossy()))
}

/// A rule a prefix, each with a number of its own.
fn rules(wire: &Wire, prefixes: u32) -> Result<String> {
    let text = filled(RULES, prefixes, &wire.name)?;
    let numbered = text.lines().enumerate().map(|(number, line)| line.replace("SID", &(number + 1).to_string()) + "\n");
    Ok(numbered.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_configuration_are_filled_in() {
        let wire = |name: &str| Wire { sender: 1, taker: 2, name: name.into() };
        let rules = rules(&wire("peer1"), 51).unwrap();
        let drops: Vec<_> = rules.lines().filter(|line| line.starts_with("drop sip ")).collect();
        assert_eq!(drops.len(), 51);
        assert!(drops[0].contains("sid:2;") && drops[50].contains("sid:52;") && drops[25].contains("sip:+2327600000"));
        let text = configuration(&wire("peer1"), &wire("behind1"), Path::new("/nowhere")).unwrap();
        assert!(!["DEVICE", "BEHIND", "DIRECTORY"].iter().any(|word| text.contains(word)), "{text}");
    }

    #[test]
    fn the_rate_is_that_between_the_first_and_the_last_line() {
        let line = |uptime, seen, blocked| {
            let text = format!(
                r#"{{"event_type":"stats","stats":{{"uptime":{uptime},"decoder":{{"pkts":{seen}}},"ips":{{"blocked":{blocked}}}}}}}"#
            );
            Counters::read(&text).unwrap()
        };
        let lines = [line(4, 10, 10), line(5, 40, 40), line(8, 410, 406)];
        assert_eq!(rate(&lines).unwrap() as u64, 99);
        assert!(rate(&[line(4, 10, 10), line(8, 410, 20)]).is_err());
        assert!(rate(&[line(4, 10, 10)]).is_err() && rate(&[]).is_err());
        assert_eq!(Counters::read("{}"), None);
    }
}
