//! A call as it is on the wire, on each of its legs.

use std::{fmt::Write as _, net::Ipv4Addr};

use super::gate::Party;

/// What a leg asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    /// A call.
    Invite,
    /// A telephone that makes itself known.
    Register,
    /// A question whether somebody is there.
    Options,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Invite => "INVITE",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
        }
    }
}

/// One stretch of a call that the gateway sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leg {
    /// Who calls.
    pub(super) from: Party,
    /// Who is called.
    pub(super) to: Party,
    /// Whether that one asks for a password first.
    pub(super) challenged: bool,
}

/// Whether the called party takes the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It does.
    Taken,
    /// It talks to somebody else.
    Busy,
}

/// A call, or another request that is repeated until it is answered.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// What it is.
    pub(super) method: Method,
    /// From the caller on.
    pub(super) legs: Vec<Leg>,
    /// What is dialled.
    pub(super) dialled: String,
    /// The user of From and of the credentials.
    pub(super) user: u32,
    /// How long they talk, in seconds.
    pub(super) talk: u64,
    /// What the other end does.
    pub(super) answer: Answer,
    /// ISO code of a foreign destination.
    pub(super) country: Option<&'static str>,
    /// How often it was dialled before.
    pub(super) redials: u8,
}

impl Call {
    /// A call on these legs that is taken.
    pub(super) fn new(legs: Vec<Leg>, dialled: String, user: u32, talk: u64) -> Self {
        Self { method: Method::Invite, legs, dialled, user, talk, answer: Answer::Taken, country: None, redials: 0 }
    }

    /// A request of one leg.
    pub(super) fn request(method: Method, leg: Leg, user: u32) -> Self {
        Self { method, ..Self::new(vec![leg], String::new(), user, 0) }
    }

    /// When a request is sent again if nothing comes back: seconds/2 after the one before (RFC 3261 sections 17.1.1.2 and
    /// 17.1.2.2).
    pub(super) const fn timers(&self) -> &'static [u64] {
        match self.method {
            Method::Invite => &[1, 2, 4, 8, 16, 32],
            Method::Register | Method::Options => &[1, 2, 4, 8, 8, 8, 8, 8, 8, 8],
        }
    }

    /// Writes a request of a leg: that of the call, or an ACK or BYE of it.
    pub(super) fn write(&self, out: &mut String, id: u64, leg: usize, request: Request) {
        let Leg { from, to, .. } = self.legs[leg];
        let (from, to, user) = (from.addr, to.addr, self.user);
        let (method, cseq) = self.sequence(request);
        let (uri, tag) = match request {
            Request::First | Request::Authorized => (self.uri(to), String::new()),
            Request::AckRefusal(_) => (self.uri(to), format!(";tag=t{id:x}")),
            // Inside the dialog it goes where the Contact of the 2xx points.
            Request::Ack(_) | Request::Bye => (format!("sip:pbx@{to}:5060"), format!(";tag=t{id:x}")),
        };
        out.clear();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:5060;branch=z9hG4bK{id:x}.{leg}.{cseq}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@{to}>;tag=f{id:x}\r\nTo: <{}>{tag}\r\nCall-ID: {id:x}.{leg}@{from}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:{user}@{from}:5060>\r\n",
            self.called(to)
        );
        if request == Request::Authorized {
            let _ = write!(
                out,
                "Authorization: Digest username=\"{user}\", realm=\"pbx\", nonce=\"{id:016x}\", uri=\"{uri}\", \
                 response=\"{id:032x}\", algorithm=MD5\r\n"
            );
        }
        out.push_str("Content-Length: 0\r\n\r\n");
    }

    /// Writes an answer to a request of a leg.
    pub(super) fn write_answer(
        &self,
        out: &mut String,
        id: u64,
        leg: usize,
        (code, phrase): (u16, &str),
        to_what: Request,
    ) {
        let Leg { from, to, .. } = self.legs[leg];
        let (from, to, user) = (from.addr, to.addr, self.user);
        let (method, cseq) = self.sequence(to_what);
        out.clear();
        let _ = write!(
            out,
            "SIP/2.0 {code} {phrase}\r\nVia: SIP/2.0/UDP {from}:5060;branch=z9hG4bK{id:x}.{leg}.{cseq}{method}\r\n\
             From: <sip:{user}@{to}>;tag=f{id:x}\r\nTo: <{}>;tag=t{id:x}\r\nCall-ID: {id:x}.{leg}@{from}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:pbx@{to}:5060>\r\n",
            self.called(to)
        );
        if code == 401 {
            let _ = write!(out, "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"{id:016x}\", algorithm=MD5\r\n");
        }
        out.push_str("Content-Length: 0\r\n\r\n");
    }

    /// Method and sequence number.
    const fn sequence(&self, request: Request) -> (&'static str, u32) {
        match request {
            Request::First => (self.method.name(), 1),
            Request::Authorized => (self.method.name(), 2),
            Request::AckRefusal(cseq) | Request::Ack(cseq) => ("ACK", cseq),
            Request::Bye => ("BYE", 3),
        }
    }

    /// The Request-URI.
    fn uri(&self, to: Ipv4Addr) -> String {
        if self.dialled.is_empty() { format!("sip:{to}") } else { format!("sip:{}@{to}", self.dialled) }
    }

    /// The URI of To: who registers stands there himself (RFC 3261 section 10.2).
    fn called(&self, to: Ipv4Addr) -> String {
        if self.method == Method::Register { format!("sip:{}@{to}", self.user) } else { self.uri(to) }
    }
}

/// A request of a call; with the sequence number of what it acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Without credentials.
    First,
    /// The repeat with a password.
    Authorized,
    /// The acknowledgement of a refusal.
    AckRefusal(u32),
    /// The acknowledgement of a 2xx.
    Ack(u32),
    /// The end.
    Bye,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::message::Message;

    fn written(call: &Call, request: Request) -> Message {
        let mut text = String::new();
        call.write(&mut text, 0xabc, 0, request);
        Message::parse(text.as_bytes()).unwrap_or_else(|| panic!("no message: {text}"))
    }

    #[test]
    fn the_messages_of_a_call_belong_together() {
        let leg = Leg { from: Party::outside(45, 1, 0, 1), to: Party::inside(192, 0, 2, 1), challenged: true };
        let call = Call::new(vec![leg], "01023276123456".to_owned(), 201, 30);
        let mut answer = String::new();
        call.write_answer(&mut answer, 0xabc, 0, (200, "OK"), Request::Authorized);
        let answer = Message::parse(answer.as_bytes()).unwrap_or_else(|| panic!("no message"));
        let asked = written(&call, Request::Authorized);
        assert_eq!(asked.request(), Some(("INVITE", "sip:01023276123456@192.0.2.1")));
        assert!(asked.header("Authorization").is_some_and(|value| value.contains("username=\"201\"")));
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            assert_eq!(answer.header(name), asked.header(name), "{name}");
        }
        for request in [Request::Ack(2), Request::Bye] {
            let inside = written(&call, request);
            assert_eq!(inside.request().map(|(_, uri)| uri), answer.contact());
            for name in ["From", "To", "Call-ID"] {
                assert_eq!(inside.header(name), answer.header(name), "{name}");
            }
        }
        assert_eq!(written(&call, Request::First).header("From"), asked.header("From"));
        assert_eq!(written(&call, Request::AckRefusal(1)).cseq(), Some((1, "ACK")));
    }

    #[test]
    fn who_registers_names_himself() {
        let leg = Leg { from: Party::outside(45, 1, 0, 1), to: Party::inside(192, 0, 2, 1), challenged: true };
        let message = written(&Call::request(Method::Register, leg, 201), Request::First);
        assert_eq!(message.request(), Some(("REGISTER", "sip:192.0.2.1")));
        assert_eq!(message.header("To"), Some("<sip:201@192.0.2.1>"));
    }
}
