//! A real Kamailio as the transaction proxy in front of the PBX.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::find_program;
use crate::{contained::Contained, netns::Namespace, network, sip::Message};

/// Its log, in its working directory.
const LOG: &str = "log";

/// An installed Kamailio.
#[derive(Clone, Debug)]
pub struct Kamailio {
    program: PathBuf,
}

/// A Kamailio that runs; dropping it kills it and its children.
#[derive(Debug)]
pub struct Running {
    program: Contained,
    directory: TempDir,
}

impl Kamailio {
    /// Finds Kamailio.
    pub fn find() -> Option<Self> {
        find_program("kamailio").map(|program| Self { program })
    }

    /// Relays what arrives at `at` to `pbx`, and stays in the route of the calls. Returns once it answers.
    ///
    /// # Errors
    /// Where it cannot be started, or does not answer within 15 s: with what it wrote.
    pub fn start(&self, namespace: &Namespace, at: SocketAddr, pbx: SocketAddr) -> Result<Running> {
        self.run(namespace, at, &configuration(at, pbx))
    }

    /// Listens at `at` and writes a line `TAKEN USER`, the user part in hexadecimal, to its log for every INVITE that comes
    /// to its script, in the order
    /// in which the messages arrive. Returns once it answers.
    ///
    /// # Errors
    /// As [`Kamailio::start`].
    pub fn start_witness(&self, namespace: &Namespace, at: SocketAddr) -> Result<Running> {
        self.run(namespace, at, &witness(at))
    }

    /// Runs this configuration, which answers OPTIONS at `at`. Returns once it does.
    ///
    /// # Errors
    /// As [`Kamailio::start`].
    pub fn run(&self, namespace: &Namespace, at: SocketAddr, configuration: &str) -> Result<Running> {
        let directory = tempfile::Builder::new()
            .prefix("tollgate-kamailio-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        let file = directory.path().join("kamailio.cfg");
        fs::write(&file, configuration).context("cannot write Kamailio's configuration")?;
        let log = directory.path().join(LOG);
        let output = fs::File::create(&log).context("cannot make Kamailio's log")?;
        let mut command = namespace.command(&self.program);
        command
            .args(["-DD", "-E", "-m", "256", "-M", "8", "-f"])
            .arg(file)
            .arg("-w")
            .arg(directory.path())
            .arg("-Y")
            .arg(directory.path());
        command.stdin(Stdio::null()).stdout(output.try_clone().context("cannot share Kamailio's log")?).stderr(output);
        let program = Contained::spawn(command).context("cannot start Kamailio")?;
        let mut running = Running { program, directory };
        let probe = network::udp(namespace, (at.ip(), 0))?;
        if let Err(e) = running.wait_ready(&probe, at) {
            bail!("{e}: {}", fs::read_to_string(&log).unwrap_or_default().trim());
        }
        Ok(running)
    }
}

impl Running {
    /// What it has written so far.
    ///
    /// # Errors
    /// Where its log cannot be read.
    pub fn log(&self) -> Result<Vec<u8>> {
        fs::read(self.directory.path().join(LOG)).context("cannot read Kamailio's log")
    }

    /// Sends OPTIONS until one is answered.
    fn wait_ready(&mut self, probe: &UdpSocket, at: SocketAddr) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(15);
        let from = probe.local_addr().context("cannot read the probe's address")?;
        let options = format!(
            "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKprobe\r\nMax-Forwards: 1\r\nFrom: <sip:probe@{from}>;tag=1\r\nTo: <sip:{at}>\r\n\
             Call-ID: probe@{from}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        probe.set_read_timeout(Some(Duration::from_millis(100))).context("cannot set a timeout on the probe")?;
        let mut buffer = [0; 2048];
        while Instant::now() < deadline {
            if let Some(status) = self.program.child().try_wait().context("cannot ask for Kamailio")? {
                bail!("Kamailio ended with {status}");
            }
            // Until it listens, the kernel refuses: that is an answer of another kind.
            let _ = probe.send_to(options.as_bytes(), at);
            if probe.recv(&mut buffer).ok().and_then(|length| Message::parse(buffer.get(..length)?)?.code()).is_some() {
                return Ok(());
            }
        }
        bail!("Kamailio does not answer")
    }
}

/// A proxy that relays with transactions and records its route. Its own OPTIONS are answered.
fn configuration(at: SocketAddr, pbx: SocketAddr) -> String {
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=2
auto_aliases=no
disable_tcp=yes
listen=udp:{at}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
request_route {{
    if (loose_route()) {{
        t_relay();
        exit;
    }}
    if (method == "OPTIONS") {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (method == "INVITE") {{
        record_route();
    }}
    $du = "sip:{pbx}";
    t_relay();
}}
"#
    )
}

/// A server that only says which calls it was asked for. One process, so that it answers in order.
fn witness(at: SocketAddr) -> String {
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:{at}
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "xlog.so"
request_route {{
    if (method == "INVITE") {{
        xlog("L_ALERT", "TAKEN $(rU{{s.encode.hexa}})\n");
        exit;
    }}
    sl_send_reply("200", "OK");
}}
"#
    )
}
