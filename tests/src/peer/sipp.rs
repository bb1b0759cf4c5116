//! sipp (Debian package `sip-tester`) with scenarios of our own.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::find_program;
use crate::netns::Namespace;

/// How often sipp is asked whether it has ended.
const TICK: Duration = Duration::from_millis(20);

/// An installed sipp.
#[derive(Clone, Debug)]
pub struct Sipp {
    program: PathBuf,
    transport: Transport,
    /// What it calls itself: `SIPp v3.6.1-SCTP-PCAP-RTPSTREAM.`
    pub version: String,
}

/// What sipp does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// INVITE, 200, ACK, BYE, 200; the call fails where an answer is missing. Field 0 of the list is the Request-URI.
    GoodCall,
    /// INVITE, sent twice, into silence; the call fails where it is answered. Field 0 of the list is the Request-URI.
    SilentCall,
    /// INVITE, 603, ACK; the call fails where it is not answered so. Field 0 of the list is the Request-URI.
    RefusedCall,
    /// REGISTER, 401, REGISTER with the password of 1001, 200; the call fails where an answer is missing.
    Register,
    /// INVITE, 407, ACK, INVITE with the password of 1001, 200, ACK, BYE, 200; the call fails where an answer is missing. Field 0
    /// of the list is the Request-URI.
    ProvedCall,
    /// Answers INVITEs with 100, 180 and 200, and BYEs with 200.
    Answer,
}

impl Scenario {
    const fn xml(self) -> &'static str {
        match self {
            Self::GoodCall => include_str!("../../sipp/good-call.xml"),
            Self::SilentCall => include_str!("../../sipp/silent-call.xml"),
            Self::RefusedCall => include_str!("../../sipp/refused-call.xml"),
            Self::Register => include_str!("../../sipp/register.xml"),
            Self::ProvedCall => include_str!("../../sipp/proved-call.xml"),
            Self::Answer => include_str!("../../sipp/answer.xml"),
        }
    }
}

/// What sipp sends over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// One TCP connection for all calls.
    Tcp,
    /// One TCP connection for each call.
    TcpEach,
}

impl Transport {
    /// The value of sipp's option `-t`.
    const fn option(self) -> &'static str {
        match self {
            Self::Udp => "u1",
            Self::Tcp => "t1",
            Self::TcpEach => "tn",
        }
    }
}

/// Calls that sipp is to place.
#[derive(Clone, Debug)]
pub struct Calls {
    /// How each goes.
    pub scenario: Scenario,
    /// Where they are sent from.
    pub from: SocketAddr,
    /// Where they are sent to.
    pub target: SocketAddr,
    /// The Request-URIs, used in turn. None may hold a `;`, which parts the fields of sipp's lists.
    pub uris: Vec<String>,
    /// How many calls.
    pub count: u64,
    /// Time between the beginnings of two calls.
    pub every: Duration,
}

/// Calls that are placed at a rate, whatever becomes of them, until sipp is dropped.
#[derive(Clone, Debug)]
pub struct Load {
    /// How each goes.
    pub scenario: Scenario,
    /// Where they are sent from.
    pub from: SocketAddr,
    /// Where they are sent to.
    pub target: SocketAddr,
    /// The Request-URI, without `;`.
    pub uri: String,
    /// Calls begun a second.
    pub a_second: u32,
}

/// Calls that are open at once, at most: more than any load leaves open.
const OPEN: &str = "100000";

/// Octets that its sockets may hold unread: as much as Linux gives without being told to give more (`net.core.rmem_max`).
const ROOM: &str = "212992";

/// What sipp has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls begun, outgoing and incoming.
    pub begun: u64,
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages sent again.
    pub retransmissions: u64,
}

/// A sipp that runs; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    directory: TempDir,
}

impl Sipp {
    /// Finds sipp.
    pub fn find() -> Option<Self> {
        let program = find_program("sipp")?;
        let output = Command::new(&program).arg("-v").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version =
            text.lines().map(str::trim).find(|line| line.starts_with("SIPp"))?.trim_end_matches('.').to_owned();
        Some(Self { program, transport: Transport::Udp, version })
    }

    /// The same over another transport; [`Sipp::find`] gives one over UDP.
    #[must_use]
    pub fn over(&self, transport: Transport) -> Self {
        Self { transport, ..self.clone() }
    }

    /// Places calls.
    ///
    /// # Errors
    /// Where sipp cannot be started.
    pub fn call(&self, namespace: &Namespace, calls: &Calls) -> Result<Running> {
        if let Some(uri) = calls.uris.iter().find(|uri| uri.contains([';', '\n', '['])) {
            bail!("sipp cannot take the URI {uri} from a list: send it with the built-in caller");
        }
        let (mut command, directory) = self.prepare(namespace, calls.scenario, calls.from)?;
        let list = directory.path().join("uris.csv");
        fs::write(&list, format!("SEQUENTIAL\n{}\n", calls.uris.join("\n")))
            .context("cannot write sipp's list of URIs")?;
        command.arg("-inf").arg(list);
        command.args(["-m", &calls.count.to_string(), "-r", "1", "-rp", &calls.every.as_millis().max(1).to_string()]);
        command.arg(calls.target.to_string());
        Self::start(command, directory)
    }

    /// Places calls at a rate until it is dropped.
    ///
    /// # Errors
    /// Where sipp cannot be started.
    pub fn load(&self, namespace: &Namespace, load: &Load) -> Result<Running> {
        let (mut command, directory) = self.prepare(namespace, load.scenario, load.from)?;
        let list = directory.path().join("uris.csv");
        fs::write(&list, format!("SEQUENTIAL\n{}\n", load.uri)).context("cannot write sipp's list of URIs")?;
        command.arg("-inf").arg(list);
        // Ten parts a second, so that calls are spread over it.
        command.args(["-r", &load.a_second.div_ceil(10).to_string(), "-rp", "100", "-l", OPEN]);
        command.arg(load.target.to_string());
        Self::start(command, directory)
    }

    /// Answers calls until it is dropped.
    ///
    /// # Errors
    /// Where sipp cannot be started.
    pub fn answer(&self, namespace: &Namespace, at: SocketAddr) -> Result<Running> {
        let (command, directory) = self.prepare(namespace, Scenario::Answer, at)?;
        Self::start(command, directory)
    }

    fn prepare(&self, namespace: &Namespace, scenario: Scenario, local: SocketAddr) -> Result<(Command, TempDir)> {
        let directory =
            tempfile::Builder::new().prefix("tollgate-sipp-").tempdir().context("cannot make a temporary directory")?;
        let file = directory.path().join("scenario.xml");
        fs::write(&file, scenario.xml()).context("cannot write sipp's scenario")?;
        let mut command = namespace.command(&self.program);
        command.arg("-sf").arg(file).args(["-i", &local.ip().to_string(), "-p", &local.port().to_string()]);
        // Without a bound of its own it asks for more descriptors than a process may have.
        command.args(["-t", self.transport.option(), "-max_socket", "512", "-buff_size", ROOM]);
        command.args(["-nostdin", "-trace_stat", "-fd", "1", "-stf"]).arg(directory.path().join("counts.csv"));
        command.current_dir(directory.path()).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(directory.path().join("errors")).context("cannot make sipp's error file")?);
        Ok((command, directory))
    }

    fn start(mut command: Command, directory: TempDir) -> Result<Running> {
        let child = command.spawn().context("cannot start sipp")?;
        Ok(Running { child, directory })
    }
}

impl Running {
    /// Waits until all calls have ended, or `give_up` says so; then sipp is killed.
    ///
    /// # Errors
    /// Where sipp itself failed: with what it wrote.
    pub fn wait(mut self, mut give_up: impl FnMut() -> bool) -> Result<Counts> {
        while self.child.try_wait().context("cannot ask for sipp")?.is_none() {
            if give_up() {
                break;
            }
            thread::sleep(TICK);
        }
        self.counts().with_context(|| {
            let errors = fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default();
            format!("sipp left no counts; it wrote: {}", errors.trim())
        })
    }

    /// What it has counted so far; sipp writes that once a second, and at its end.
    ///
    /// # Errors
    /// Where it has written nothing yet.
    pub fn counts(&self) -> Result<Counts> {
        Ok(self.counts_at()?.1)
    }

    /// The same, and when that was, in seconds since sipp began.
    ///
    /// # Errors
    /// Where it has written nothing yet.
    pub fn counts_at(&self) -> Result<(f64, Counts)> {
        let text = fs::read_to_string(self.directory.path().join("counts.csv")).context("cannot read sipp's counts")?;
        parse(&text).context("sipp's counts have another form than expected")
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it listens, which it does before it writes its first counts.
    ///
    /// # Errors
    /// Where it has ended or does not listen within 10 s.
    pub fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.counts().is_err() {
            if let Some(status) = self.child.try_wait().context("cannot ask for sipp")? {
                let errors = fs::read_to_string(self.directory.path().join("errors")).unwrap_or_default();
                bail!("sipp ended with {status}: {}", errors.trim());
            }
            if Instant::now() >= deadline {
                bail!("sipp does not listen after 10 s");
            }
            thread::sleep(TICK);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the last line of sipp's statistics by the names in the first: its time since the beginning, and its counts.
fn parse(text: &str) -> Option<(f64, Counts)> {
    // The line that is being written has no end yet.
    let whole = text.rfind('\n').and_then(|end| text.get(..end))?;
    let mut lines = whole.lines().filter(|line| !line.is_empty());
    let names = lines.next()?;
    let values: BTreeMap<_, _> = names.split(';').zip(lines.next_back()?.split(';')).collect();
    let number = |name: &str| values.get(name)?.parse::<u64>().ok();
    // Date, time of day and seconds since 1970, with tabs between them.
    let time = |name: &str| values.get(name)?.rsplit('\t').next()?.parse::<f64>().ok();
    let counts = Counts {
        begun: number("TotalCallCreated")?,
        successful: number("SuccessfulCall(C)")?,
        failed: number("FailedCall(C)")?,
        retransmissions: number("Retransmissions(C)")?,
    };
    Some((time("CurrentTime")? - time("StartTime")?, counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_name_from_the_last_line() {
        let head = "StartTime;CurrentTime;TotalCallCreated;SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n";
        let line =
            |at: &str, counts: &str| format!("2026-11-22\t12:00:00\t100.25;2026-11-22\t12:00:02\t{at};{counts};\n");
        let text = [head, &line("101.25", "1;0;0;0"), &line("102.75", "9;7;2;3"), "\n"].concat();
        let last = Some((2.5, Counts { begun: 9, successful: 7, failed: 2, retransmissions: 3 }));
        assert_eq!(parse(&text), last);
        // The end of a line that is being written.
        assert_eq!(parse(&format!("{text}2026-11-22\t12:00:00\t100.25;2026")), last);
        for bad in [
            "",
            "A;B\n",
            "TotalCallCreated\n1\n",
            "StartTime;CurrentTime;TotalCallCreated;SuccessfulCall(C);FailedCall(C);Retransmissions(C)\n1;2;a;b;c;d\n",
            "TotalCallCreated;SuccessfulCall(C);FailedCall(C);Retransmissions(C)\n1;2;3;4\n",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
