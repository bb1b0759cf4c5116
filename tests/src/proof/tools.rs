//! Real scanners against the gateway, with a real Kamailio that asks for passwords behind it, and a telephone that calls meanwhile.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    gate::{Gate, Reasons, since},
    policy,
    tap::{Seen, Tap},
};
use crate::{
    link::{self, End},
    netns::Namespace,
    network::Network,
    peer::{
        Kamailio, Sipp, find_program,
        sipp::{Calls, Scenario},
    },
    sip::Pbx,
};

/// The telephone calls so often.
const EVERY: Duration = Duration::from_millis(500);
/// Longest time that its last call gets to end.
const GRACE: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(20);
/// The hosts beside the PBX that are scanned, by the last octet.
const HOSTS: std::ops::RangeInclusive<u8> = 11..=250;

/// A tool, and what it is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// SIPVicious looks for SIP servers in a network.
    Svmap,
    /// SIPVicious looks for extensions by INVITE.
    SvwarInvite,
    /// SIPVicious looks for extensions by REGISTER.
    SvwarRegister,
    /// SIPVicious guesses a password of four digits.
    Svcrack,
    /// sipsak floods with OPTIONS.
    Sipsak,
    /// sipp calls two countries in turn, one of which the policy blocks.
    Sipp,
}

impl Tool {
    /// Every tool.
    pub const ALL: [Self; 6] =
        [Self::Svmap, Self::SvwarInvite, Self::SvwarRegister, Self::Svcrack, Self::Sipsak, Self::Sipp];

    /// What it is called in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Svmap => "svmap",
            Self::SvwarInvite => "svwar -m INVITE",
            Self::SvwarRegister => "svwar -m REGISTER",
            Self::Svcrack => "svcrack",
            Self::Sipsak => "sipsak -F",
            Self::Sipp => "sipp",
        }
    }

    /// The program, and the Debian package that brings it.
    pub const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Svmap => ("svmap", "sipvicious"),
            Self::SvwarInvite | Self::SvwarRegister => ("svwar", "sipvicious"),
            Self::Svcrack => ("svcrack", "sipvicious"),
            Self::Sipsak => ("sipsak", "sipsak"),
            Self::Sipp => ("sipp", "sip-tester"),
        }
    }

    /// What is needed of the machine to try it: a program, and how to get it, where it is not there.
    pub fn missing(self) -> Option<String> {
        let programs = [self.program(), ("kamailio", "kamailio"), ("sipp", "sip-tester")];
        let (_, package) = programs.into_iter().find(|(program, _)| find_program(program).is_none())?;
        Some(format!("apt-get install {package}"))
    }

    fn arguments(self) -> Vec<String> {
        let (own, pbx) = (Network::FLOODER, Network::PBX);
        let words = match self {
            Self::Svmap => {
                let [a, b, c, _] = pbx.octets();
                format!("-b {own} -x {own} -p 5060-5062 -m OPTIONS {a}.{b}.{c}.10-{}", HOSTS.end())
            }
            Self::SvwarInvite => format!("-b {own} -x {own} -m INVITE -e 1000-4999 {pbx}"),
            Self::SvwarRegister => format!("-b {own} -x {own} -m REGISTER -e 1000-4999 {pbx}"),
            Self::Svcrack => format!("-b {own} -x {own} -u 1000 -r 1000-9999 {pbx}"),
            Self::Sipsak => format!("-F -e 3000 -s sip:1000@{pbx}:5060"),
            Self::Sipp => String::new(),
        };
        words.split_whitespace().map(str::to_owned).collect()
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Requests that the tool sent.
    pub sent: u64,
    /// Those that came through the gateway.
    pub through: u64,
    /// How many came through before the first that did not; `None` where all did.
    pub before_first_stop: Option<u64>,
    /// What the gateway decided meanwhile, about the telephone too, by reason.
    pub reasons: Reasons,
    /// What the tool was answered, by status.
    pub answers: BTreeMap<u16, u64>,
    /// How long it took, from before the first request to after the last.
    pub at_most: Duration,
    /// Calls of the telephone that were placed, and those that completed.
    pub calls: (u64, u64),
    /// Requests of the telephone that did not come through.
    pub cut: u64,
}

/// Lets a tool at the gateway for so long, or until it ends.
///
/// # Errors
/// Where a program is missing or fails, or the telephone cannot register.
pub fn tool(tool: Tool, time: Duration) -> Result<Tried> {
    let sipp = Sipp::find().context("there is no sipp: apt-get install sip-tester")?;
    let kamailio = Kamailio::find().context("there is no kamailio: apt-get install kamailio")?;
    let mut gate = Gate::new(&policy::shipped(""))?;
    let network = &gate.network;
    let _hosts = hosts(network)?;
    let behind = SocketAddr::from((Network::PBX, 5080));
    let _pbx = Pbx::start(&network.pbx, behind)?;
    let _kamailio = kamailio.run(&network.pbx, Network::pbx_sip(), &configuration(Network::pbx_sip(), behind))?;

    let calls = |scenario, count| Calls {
        scenario,
        from: (Network::CALLER, 5060).into(),
        target: Network::pbx_sip(),
        uris: vec![format!("sip:0312345678@{}", Network::PBX)],
        count,
        every: EVERY,
    };
    let deadline = Instant::now() + GRACE;
    let registered = sipp.call(&network.caller, &calls(Scenario::Register, 1))?.wait(|| Instant::now() >= deadline)?;
    ensure!(registered.successful == 1, "the telephone cannot register: {registered:?}");

    let before = gate.reasons()?;
    let (outside, inside, home) = (Tap::new(&network.flooder)?, Tap::new(&network.pbx)?, Tap::new(&network.caller)?);
    let count = (time.as_millis() / EVERY.as_millis()) as u64;
    let began = Instant::now();
    let telephone = sipp.call(&network.caller, &calls(Scenario::ProvedCall, count))?;
    run(tool, network, &sipp, time)?;
    let at_most = began.elapsed();
    let deadline = Instant::now() + time + GRACE;
    let telephone = telephone.wait(|| Instant::now() >= deadline)?;

    let (mut outside, mut inside, mut home) = (outside.seen(), inside.seen(), home.seen());
    let mut of = |address: Ipv4Addr, sent: &mut BTreeMap<IpAddr, Seen>| {
        let arrived = inside.remove(&address.into()).unwrap_or_default();
        (sent.remove(&address.into()).unwrap_or_default(), arrived)
    };
    let (sent, arrived) = of(Network::FLOODER, &mut outside);
    let (phone_sent, phone_arrived) = of(Network::CALLER, &mut home);
    let reasons = since(&before, &gate.reasons()?);
    gate.check()?;
    Ok(Tried {
        sent: sent.requests.len() as u64,
        through: arrived.requests.len() as u64,
        before_first_stop: sent.before_first_loss(&arrived),
        reasons,
        answers: sent.answers,
        at_most,
        calls: (telephone.begun, telephone.successful),
        cut: (phone_sent.requests.len() as u64).abs_diff(phone_arrived.requests.len() as u64),
    })
}

/// Runs the tool to its end, or for so long.
fn run(tool: Tool, network: &Network, sipp: &Sipp, time: Duration) -> Result<()> {
    let deadline = Instant::now() + time;
    if tool == Tool::Sipp {
        // Sierra Leone, and Jamaica, which the shipped policy does not name.
        let uris =
            ["010232761234567", "01018765550100"].map(|number| format!("sip:{number}@{}", Network::PBX)).to_vec();
        let calls = Calls {
            scenario: Scenario::SilentCall,
            from: (Network::FLOODER, 5060).into(),
            target: Network::pbx_sip(),
            uris,
            count: 400,
            every: Duration::from_millis(10),
        };
        sipp.call(&network.flooder, &calls)?.wait(|| Instant::now() >= deadline)?;
        return Ok(());
    }
    let (name, package) = tool.program();
    let program = find_program(name).with_context(|| format!("there is no {name}: apt-get install {package}"))?;
    let home =
        tempfile::Builder::new().prefix("tollgate-tool-").tempdir().context("cannot make a temporary directory")?;
    let mut command = prepare(&network.flooder, program, tool, home.path())?;
    let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
    while child.try_wait().with_context(|| format!("cannot ask for {name}"))?.is_none() {
        if Instant::now() >= deadline {
            child.kill().with_context(|| format!("cannot end {name}"))?;
            child.wait().with_context(|| format!("cannot wait for {name}"))?;
            break;
        }
        thread::sleep(TICK);
    }
    Ok(())
}

fn prepare(namespace: &Namespace, program: PathBuf, tool: Tool, home: &std::path::Path) -> Result<Command> {
    let said = fs::File::create(home.join("said")).context("cannot make the tool's log")?;
    let mut command = namespace.command(program);
    command.args(tool.arguments()).env("HOME", home).current_dir(home).stdin(Stdio::null());
    command.stdout(said.try_clone().context("cannot share the tool's log")?).stderr(said);
    Ok(command)
}

/// Gives the PBX's host further addresses, on which nothing listens.
fn hosts(network: &Network) -> Result<Namespace> {
    let nowhere = Namespace::new()?;
    let [a, b, c, _] = Network::PBX.octets();
    let addresses: Vec<_> = HOSTS.map(|host| (IpAddr::from([a, b, c, host]), 32)).collect();
    link::veth(
        End { namespace: &network.pbx, name: "hosts0", mac: [2, 0, 0, 0, 9, 3], addresses: &addresses },
        End { namespace: &nowhere, name: "hosts1", mac: [2, 0, 0, 0, 9, 4], addresses: &[] },
    )?;
    Ok(nowhere)
}

/// A proxy and registrar as they are run: accounts 1000 to 1009, each with a password, and nobody else; calls with a password
/// go to the PBX behind it. The password of 1000 has four digits, as the one that is guessed; svcrack needs `qop` to answer. One process, so that answers
/// keep their order, which sipp minds.
fn configuration(at: SocketAddr, pbx: SocketAddr) -> String {
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:{at}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "auth.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
request_route {{
    if (loose_route()) {{
        t_relay();
        exit;
    }}
    if (method == "OPTIONS") {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (method == "ACK" || method == "CANCEL") {{
        if (t_check_trans()) {{
            t_relay();
        }}
        exit;
    }}
    if (!($fU =~ "^100[0-9]$")) {{
        sl_send_reply("404", "Not Found");
        exit;
    }}
    $var(password) = "K9-" + $fU;
    if ($fU == "1000") {{
        $var(password) = "7777";
    }}
    if (!pv_auth_check("pbx", "$var(password)", "0", "0")) {{
        auth_challenge("pbx", "1");
        exit;
    }}
    if (method == "REGISTER") {{
        save("location");
        exit;
    }}
    consume_credentials();
    record_route();
    $du = "sip:{pbx}";
    t_relay();
}}
"#
    )
}
