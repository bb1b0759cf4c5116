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
        command.args(["-t", self.transport.option(), "-max_socket", "512"]);
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
        let text = fs::read_to_string(self.directory.path().join("counts.csv")).context("cannot read sipp's counts")?;
        parse(&text).context("sipp's counts have another form than expected")
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

/// Reads the last line of sipp's statistics by the names in the first.
fn parse(text: &str) -> Option<Counts> {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let names = lines.next()?;
    let values: BTreeMap<_, _> = names.split(';').zip(lines.next_back()?.split(';')).collect();
    let number = |name: &str| values.get(name)?.parse::<u64>().ok();
    Some(Counts {
        begun: number("TotalCallCreated")?,
        successful: number("SuccessfulCall(C)")?,
        failed: number("FailedCall(C)")?,
        retransmissions: number("Retransmissions(C)")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_by_name_from_the_last_line() {
        let text = "A;TotalCallCreated;SuccessfulCall(C);FailedCall(C);Retransmissions(C);\nx;1;0;0;0;\nx;9;7;2;3;\n\n";
        assert_eq!(parse(text), Some(Counts { begun: 9, successful: 7, failed: 2, retransmissions: 3 }));
        for bad in [
            "",
            "A;B\n",
            "TotalCallCreated\n1\n",
            "TotalCallCreated;SuccessfulCall(C);FailedCall(C);Retransmissions(C)\na;b;c;d\n",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
