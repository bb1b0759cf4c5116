//! What honest telephones do within a call, and around it: message by message, on a scripted clock, through kernel and host.
//!
//! The shipped policy in enforce mode, with its trunk named. Every behaviour is that of one telephone which places as many calls
//! abroad in a minute as the policy allows, so that whatever is counted twice shows.

use std::{collections::BTreeMap, fmt::Write as _, net::Ipv4Addr};

use anyhow::Result;
use gateway_common::{Verdict, judge::Side};
use gateway_user::config::Mode;

use crate::{differential::Pair, packet::Frame, weekend};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// The interface that the trunk is bound to, as [`Pair`] numbers it.
const WAN: u32 = 7;
const PORT: u16 = 5060;
/// The PBX of the site, its provider, and a telephone outside that the PBX knows.
const PBX: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 2);
const PROVIDER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 77);
/// Calls abroad of one telephone in a minute that the shipped policy allows.
const CALLS: u64 = 5;

/// What a telephone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// The call is held and taken back, twice.
    Hold,
    /// The other side holds the call.
    HeldByCallee,
    /// The answer takes 30 seconds, and the INVITE is sent again by timer A.
    SlowAnswer,
    /// The provider asks for a password, each time.
    Challenged,
    /// A session timer: re-INVITE each 15 minutes for four hours.
    SessionTimer,
    /// The call is handed to a colleague: REFER to an extension.
    Transferred,
    /// The call is handed over with consultation: a second call, then REFER with Replaces to the same number.
    Consulted,
    /// It rings, and the caller hangs up: CANCEL, 487.
    Cancelled,
    /// The INVITE is longer than a packet, and comes in two fragments.
    Fragmented,
    /// The number is busy, and is dialled again after 20 seconds until it is free, at the third try.
    Redialled,
    /// The INVITE forks to two gateways of the provider: the same call to two addresses.
    Forked,
    /// The telephone is outside, and known by its password; it registers each minute and calls.
    Outside,
}

impl Behaviour {
    /// Every behaviour.
    pub const ALL: [Self; 12] = [
        Self::Hold,
        Self::HeldByCallee,
        Self::SlowAnswer,
        Self::Challenged,
        Self::SessionTimer,
        Self::Transferred,
        Self::Consulted,
        Self::Cancelled,
        Self::Fragmented,
        Self::Redialled,
        Self::Forked,
        Self::Outside,
    ];

    /// What it is called in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hold => "holds twice",
            Self::HeldByCallee => "is held by the other side",
            Self::SlowAnswer => "is answered after 30 s",
            Self::Challenged => "is asked for a password",
            Self::SessionTimer => "refreshes its session for 4 h",
            Self::Transferred => "hands the call to an extension",
            Self::Consulted => "hands it over with Replaces",
            Self::Cancelled => "hangs up while it rings",
            Self::Fragmented => "sends INVITEs in two fragments",
            Self::Redialled => "dials a busy number three times",
            Self::Forked => "forks to two gateways",
            Self::Outside => "registers and calls from outside",
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaved {
    /// Messages, of all sides.
    pub messages: u64,
    /// INVITEs and REFERs among them.
    pub calling: u64,
    /// What was stopped, or counted as to be stopped, by reason.
    pub cut: BTreeMap<&'static str, u64>,
}

/// Plays as many calls of this kind in a minute as the policy allows.
///
/// # Errors
/// Where kernel and host decide otherwise, or the kernel refuses.
pub fn behave(behaviour: Behaviour) -> Result<Behaved> {
    let config = weekend::installed(Mode::Enforce)?;
    // A Tuesday morning in Japan.
    let config = config.at("2026-11-10T01:00:00Z".parse()?);
    let mut stage = Stage { pair: Pair::new(&config)?, now: 1000 * SECOND, behaved: Behaved::default() };
    for number in 0..CALLS {
        let began = stage.now;
        play(&mut stage, behaviour, number)?;
        // The next call begins ten seconds behind the last one, or when that is over.
        stage.now = stage.now.max(began + 10 * SECOND);
    }
    Ok(stage.behaved)
}

struct Stage {
    pair: Pair,
    now: u64,
    behaved: Behaved,
}

impl Stage {
    /// One message goes from one host to another, 20 ms behind the last one.
    fn say(&mut self, from: Ipv4Addr, to: Ipv4Addr, text: &str) -> Result<()> {
        self.whole_or_not(from, to, text, false)
    }

    fn whole_or_not(&mut self, from: Ipv4Addr, to: Ipv4Addr, text: &str, fragments: bool) -> Result<()> {
        let frame = Frame::udp((from, PORT), (to, PORT), text);
        let frames = if fragments { frame.fragments(1400)? } else { vec![frame.build()?] };
        let (side, interface) = if from == PBX { (Side::Lan, WAN + 1) } else { (Side::Wan, WAN) };
        self.behaved.messages += 1;
        self.behaved.calling += u64::from(text.starts_with("INVITE ") || text.starts_with("REFER "));
        for frame in frames {
            let start = text.lines().next().unwrap_or_default();
            let judged = self.pair.check(&start, &frame, side, interface, self.now)?;
            if judged.verdict() != Verdict::Pass {
                *self.behaved.cut.entry(judged.reason().as_str()).or_default() += 1;
            }
        }
        self.now += 20 * MS;
        Ok(())
    }
}

/// A call between two hosts.
#[derive(Clone)]
struct Call {
    id: String,
    caller: Ipv4Addr,
    callee: Ipv4Addr,
    number: String,
    cseq: u32,
}

impl Call {
    /// A call abroad, to another number each time: 1 to 5 in Great Britain, in turn.
    fn abroad(caller: Ipv4Addr, callee: Ipv4Addr, number: u64) -> Self {
        Self { id: format!("call{number}"), caller, callee, number: format!("01044207183875{number}"), cseq: 1 }
    }

    fn message(&self, start: &str, method: &str, from_caller: bool, tagged: bool, more: &str) -> String {
        let Self { id, caller, callee, number, cseq } = self;
        let (ours, theirs) = (format!("<sip:203@{caller}>;tag=a{id}"), format!("<sip:{number}@{callee}>"));
        let theirs = if tagged { format!("{theirs};tag=b{id}") } else { theirs };
        let (from, to, host) = if from_caller { (&ours, &theirs, caller) } else { (&theirs, &ours, callee) };
        let mut text =
            format!("{start}\r\nVia: SIP/2.0/UDP {host}:{PORT};branch=z9hG4bK{id}x{cseq}\r\nMax-Forwards: 70\r\n");
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "From: {from}\r\nTo: {to}\r\nCall-ID: {id}@site\r\nCSeq: {cseq} {method}\r\nContact: <sip:203@{host}>\r\n{more}Content-Length: 0\r\n\r\n"
        );
        text
    }

    fn request(&self, method: &str, tagged: bool, more: &str) -> String {
        let start = format!("{method} sip:{}@{} SIP/2.0", self.number, self.callee);
        self.message(&start, method, true, tagged, more)
    }

    fn answer(&self, stage: &mut Stage, status: &str, method: &str) -> Result<()> {
        let text = self.message(&format!("SIP/2.0 {status}"), method, true, !status.starts_with("100"), "");
        stage.say(self.callee, self.caller, &text)
    }

    fn ask(&self, stage: &mut Stage, method: &str, tagged: bool, more: &str) -> Result<()> {
        stage.say(self.caller, self.callee, &self.request(method, tagged, more))
    }

    /// INVITE, 100, 183, 200, ACK.
    fn up(&self, stage: &mut Stage) -> Result<()> {
        self.ask(stage, "INVITE", false, "")?;
        self.answered(stage)
    }

    fn answered(&self, stage: &mut Stage) -> Result<()> {
        for status in ["100 Trying", "183 Session Progress", "200 OK"] {
            self.answer(stage, status, "INVITE")?;
        }
        self.ask(stage, "ACK", true, "")
    }

    /// A re-INVITE of the caller, answered.
    fn again(&mut self, stage: &mut Stage) -> Result<()> {
        self.cseq += 1;
        self.ask(stage, "INVITE", true, "")?;
        self.answer(stage, "200 OK", "INVITE")?;
        self.ask(stage, "ACK", true, "")
    }

    fn down(&mut self, stage: &mut Stage) -> Result<()> {
        self.cseq += 1;
        self.ask(stage, "BYE", true, "")?;
        self.answer(stage, "200 OK", "BYE")
    }

    fn refused(&self, stage: &mut Stage, status: &str) -> Result<()> {
        self.answer(stage, status, "INVITE")?;
        self.ask(stage, "ACK", true, "")
    }
}

/// A password, as a telephone proves that it has it.
const PROOF: &str =
    "Proxy-Authorization: Digest username=\"203\", realm=\"pbx\", nonce=\"n\", uri=\"sip:pbx\", response=\"0\"\r\n";

fn play(stage: &mut Stage, behaviour: Behaviour, number: u64) -> Result<()> {
    let mut call = Call::abroad(PBX, PROVIDER, number);
    match behaviour {
        Behaviour::Hold => {
            call.up(stage)?;
            for _ in 0..4 {
                stage.now += 2 * SECOND;
                call.again(stage)?;
            }
        }
        Behaviour::HeldByCallee => {
            call.up(stage)?;
            for _ in 0..2 {
                call.cseq += 1;
                let start = format!("INVITE sip:203@{PBX} SIP/2.0");
                stage.say(PROVIDER, PBX, &call.message(&start, "INVITE", false, true, ""))?;
                stage.say(PBX, PROVIDER, &call.message("SIP/2.0 200 OK", "INVITE", false, true, ""))?;
                stage.say(PROVIDER, PBX, &call.message(&start.replace("INVITE", "ACK"), "ACK", false, true, ""))?;
            }
        }
        Behaviour::SlowAnswer => {
            for wait in [500, 1_000, 2_000, 4_000, 8_000, 14_000] {
                call.ask(stage, "INVITE", false, "")?;
                stage.now += wait * MS;
            }
            call.answered(stage)?;
        }
        Behaviour::Challenged => {
            call.ask(stage, "INVITE", false, "")?;
            call.refused(stage, "407 Proxy Authentication Required")?;
            call.cseq += 1;
            call.ask(stage, "INVITE", false, PROOF)?;
            call.answered(stage)?;
        }
        Behaviour::SessionTimer => {
            call.up(stage)?;
            for _ in 0..16 {
                stage.now += 900 * SECOND;
                call.again(stage)?;
            }
        }
        Behaviour::Transferred => {
            call.up(stage)?;
            call.cseq += 1;
            call.ask(stage, "REFER", true, &format!("Refer-To: <sip:204@{PBX}>\r\n"))?;
            call.answer(stage, "202 Accepted", "REFER")?;
        }
        Behaviour::Consulted => {
            call.up(stage)?;
            call.again(stage)?;
            let mut second = Call { id: format!("second{number}"), number: "0312345678".to_owned(), ..call.clone() };
            second.up(stage)?;
            call.cseq += 1;
            let replaces =
                format!("Refer-To: <sip:0312345678@{PROVIDER}?Replaces=second{number}%40site%3Bto-tag%3Db>\r\n");
            call.ask(stage, "REFER", true, &replaces)?;
            call.answer(stage, "202 Accepted", "REFER")?;
            second.down(stage)?;
        }
        Behaviour::Cancelled => {
            call.ask(stage, "INVITE", false, "")?;
            call.answer(stage, "180 Ringing", "INVITE")?;
            call.ask(stage, "CANCEL", false, "")?;
            call.answer(stage, "200 OK", "CANCEL")?;
            return call.refused(stage, "487 Request Terminated");
        }
        Behaviour::Fragmented => {
            let long = format!("X-Long: {}\r\n", "x".repeat(1_500));
            stage.whole_or_not(PBX, PROVIDER, &call.request("INVITE", false, &long), true)?;
            call.answered(stage)?;
        }
        Behaviour::Redialled => {
            for attempt in 0..2 {
                let busy = Call { id: format!("busy{number}x{attempt}"), ..call.clone() };
                busy.ask(stage, "INVITE", false, "")?;
                busy.refused(stage, "486 Busy Here")?;
                stage.now += 20 * SECOND;
            }
            call.up(stage)?;
        }
        Behaviour::Forked => {
            call.ask(stage, "INVITE", false, "")?;
            let other = Call { callee: Ipv4Addr::new(203, 0, 113, 11), ..call.clone() };
            other.ask(stage, "INVITE", false, "")?;
            call.answered(stage)?;
            other.ask(stage, "CANCEL", false, "")?;
        }
        Behaviour::Outside => {
            call = Call { number: "0312345678".to_owned(), ..Call::abroad(OUTSIDE, PBX, number) };
            call.ask(stage, "REGISTER", false, "")?;
            call.answer(stage, "401 Unauthorized", "REGISTER")?;
            call.cseq += 1;
            call.ask(stage, "REGISTER", false, &PROOF.replace("Proxy-", ""))?;
            call.answer(stage, "200 OK", "REGISTER")?;
            call.id = format!("from-outside{number}");
            call.up(stage)?;
        }
    }
    stage.now += 2 * SECOND;
    call.down(stage)
}
