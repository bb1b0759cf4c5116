//! Calls and registrations as both sides speak of them, with retransmissions, credentials, holds, and lies.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr},
};

use gateway_common::judge::Side;

use super::Chance;
use crate::packet::Frame;

const MS: u64 = 1_000_000;

/// Calls that go on at once; a new one takes the place of any.
const CALLS: usize = 24;

#[derive(Clone)]
struct Call {
    id: u64,
    /// The caller's number, and where it sends from.
    line: usize,
    caller: IpAddr,
    callee: IpAddr,
    side: Side,
    number: String,
    from_tag: u64,
    to_tag: u64,
    method: &'static str,
}

/// What is spoken of.
pub(super) struct Conversations(Vec<Call>);

/// One datagram of a conversation, the side that it comes in on, and how long after the one before, nanoseconds.
pub(super) struct Turn {
    pub(super) frame: Vec<u8>,
    pub(super) side: Side,
    pub(super) after: u64,
}

impl Conversations {
    pub(super) fn new(chance: &mut Chance) -> Self {
        Self((0..CALLS).map(|_| Call::new(chance)).collect())
    }

    /// What is said next.
    pub(super) fn turn(&mut self, chance: &mut Chance) -> Turn {
        let at = chance.below(self.0.len());
        if chance.one_in(12) {
            self.0[at] = Call::new(chance);
        }
        let call = &mut self.0[at];
        let (message, from_caller) = call.says(chance);
        let (source, destination) = if from_caller { (call.caller, call.callee) } else { (call.callee, call.caller) };
        let side = if from_caller { call.side } else { other(call.side) };
        let side = if chance.one_in(40) { other(side) } else { side };
        let frame = Frame::udp((source, 5060), (destination, 5060), message).build().unwrap_or_default();
        let after = *chance.pick(&[&0, &MS, &(20 * MS), &(500 * MS), &(1_000 * MS), &(4_000 * MS), &(33_000 * MS)]);
        // Now and then a night passes.
        let after = if chance.one_in(4_000) { 9 * 3_600_000 * MS } else { after };
        Turn { frame, side, after: 1 + after }
    }
}

const fn other(side: Side) -> Side {
    match side {
        Side::Wan => Side::Lan,
        Side::Lan => Side::Wan,
    }
}

impl Call {
    fn new(chance: &mut Chance) -> Self {
        let outside: IpAddr = match chance.below(4) {
            0 => Ipv4Addr::new(203, 0, 113, 10),
            _ => Ipv4Addr::new(198, 51, 100, 3 + chance.below(6) as u8),
        }
        .into();
        let pbx: IpAddr = Ipv4Addr::new(192, 0, 2, 1).into();
        let outward = chance.one_in(2);
        let (caller, callee) = if outward { (pbx, outside) } else { (outside, pbx) };
        Self {
            id: chance.draw() % 500,
            line: 200 + chance.below(5),
            caller,
            callee,
            side: if outward { Side::Lan } else { Side::Wan },
            number: (*chance.pick(&[
                "+12025550123",
                "0312345678",
                "+447700900123",
                "01012025550123",
                "203",
                "110",
                "+23276123456",
            ]))
            .to_owned(),
            from_tag: chance.draw() % 9,
            to_tag: chance.draw() % 9,
            method: chance.pick(&["INVITE", "INVITE", "INVITE", "REGISTER"]),
        }
    }

    /// A message of this call, and whether the caller says it.
    fn says(&mut self, chance: &mut Chance) -> (Vec<u8>, bool) {
        match chance.below(16) {
            0..=4 => (self.request(chance, self.method, false, false), true),
            5 | 6 => (self.request(chance, self.method, false, true), true),
            7 => (self.request(chance, "ACK", true, false), true),
            8 | 9 => {
                let from_caller = chance.one_in(2);
                let method = chance.pick(&["INVITE", "INVITE", "BYE", "UPDATE"]);
                (self.within(chance, method, from_caller), from_caller)
            }
            10 => {
                let from_caller = chance.one_in(2);
                let method = chance.pick(&["BYE", "UPDATE", "INVITE"]);
                (self.answer(chance, method, "200 OK", from_caller), from_caller)
            }
            _ => {
                let status = chance.pick(&[
                    "100 Trying",
                    "180 Ringing",
                    "200 OK",
                    "200 OK",
                    "200 OK",
                    "401 Unauthorized",
                    "401 Unauthorized",
                    "407 Proxy Authentication Required",
                    "403 Forbidden",
                    "404 Not Found",
                    "484 Address Incomplete",
                    "481 Call Does Not Exist",
                    "486 Busy Here",
                    "603 Decline",
                    "700 No",
                    "2x0 OK",
                ]);
                (self.answer(chance, self.method, status, false), false)
            }
        }
    }

    fn head(&self, chance: &mut Chance, from_tag: u64, to_tag: Option<u64>) -> String {
        let to = to_tag.map_or_else(String::new, |tag| format!(";tag={tag:x}"));
        let (call_id, from, to_name) = if chance.one_in(4) { ("i", "f", "t") } else { ("Call-ID", "From", "To") };
        let tag = if chance.one_in(30) { format!(";TAG = {from_tag:x}") } else { format!(";tag={from_tag:x}") };
        format!(
            "{call_id}: {}@{}\r\n{from}: \"L;tag=no\" <sip:{}@a;tag=no>{tag}\r\n{to_name}: <sip:{}@b>{to}\r\n",
            self.id, self.caller, self.line, self.number
        )
    }

    fn request(&self, chance: &mut Chance, method: &str, tagged: bool, credentials: bool) -> Vec<u8> {
        let uri = if method == "REGISTER" { "sip:pbx.example".to_owned() } else { format!("sip:{}@b", self.number) };
        let from_tag = if chance.one_in(20) { chance.draw() % 9 } else { self.from_tag };
        let head = self.head(chance, from_tag, tagged.then_some(self.to_tag));
        let mut text =
            format!("{method} {uri} SIP/2.0\r\n{head}CSeq: 1 {method}\r\nContact: <sip:c{}@a>\r\n", self.line);
        if credentials {
            let name = chance.pick(&["Authorization", "Proxy-Authorization", "AUTHORIZATION "]);
            let _ = write!(
                text,
                "{name}: Digest realm=\"a, username=b\", username=\"{}\", nonce={}, uri=\"x\"\r\n",
                self.line,
                self.nonce(chance)
            );
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// A request within the dialog, of either side, now and then to somebody else.
    fn within(&self, chance: &mut Chance, method: &str, from_caller: bool) -> Vec<u8> {
        let user = match chance.below(6) {
            0 => "+23276123456".to_owned(),
            1 => self.number.clone(),
            _ if from_caller => "callee".to_owned(),
            _ => format!("c{}", self.line),
        };
        let (from, to) = if from_caller { (self.from_tag, self.to_tag) } else { (self.to_tag, self.from_tag) };
        let to = if chance.one_in(10) { chance.draw() % 9 } else { to };
        format!(
            "{method} sip:{user}@b SIP/2.0\r\n{}CSeq: 2 {method}\r\nContact: <sip:x@a>\r\n\r\n",
            self.head(chance, from, Some(to))
        )
        .into_bytes()
    }

    /// An answer of who was called, or of the caller to a request of the other side.
    fn answer(&mut self, chance: &mut Chance, method: &str, status: &str, from_caller: bool) -> Vec<u8> {
        if chance.one_in(6) {
            self.to_tag = chance.draw() % 9;
        }
        let (from, to) = if from_caller { (self.to_tag, self.from_tag) } else { (self.from_tag, self.to_tag) };
        let head = self.head(chance, from, Some(to));
        let cseq = if chance.one_in(30) { "1" } else { method };
        let challenge = chance.pick(&["WWW-Authenticate", "proxy-authenticate", "WWW-Authenticat"]);
        let challenge = format!("{challenge}: Digest realm=\"nonce=1\", nonce={}\r\n", self.nonce(chance));
        let challenge = if status.starts_with("40") { challenge } else { String::new() };
        let session = chance.pick(&[
            "",
            "",
            "Session-Expires: 1800;refresher=uas\r\n",
            "x:90\r\n",
            "SESSION-EXPIRES :\t100000000\r\n",
            "X:\r\n 600 ;refresher=uac\r\n",
            "Session-Expires: soon\r\nx-session: 7\r\n",
        ]);
        format!("SIP/2.0 {status}\r\n{head}CSeq: 1 {cseq}\r\n{challenge}{session}m: <sip:callee@b>\r\n\r\n")
            .into_bytes()
    }

    /// The nonce of this call, or of somebody else's, as it may be written.
    fn nonce(&self, chance: &mut Chance) -> String {
        let nonce = if chance.one_in(8) { chance.draw() % 20 } else { self.id };
        if chance.one_in(4) { format!("n{nonce}") } else { format!("\"n{nonce}\"") }
    }
}
