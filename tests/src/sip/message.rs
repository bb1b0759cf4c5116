//! SIP messages: a lenient reader, as lenient as the servers that attackers aim at, and builders.

#[cfg(test)]
mod tests;

use std::{fmt::Write as _, net::SocketAddr};

use super::id;

/// A message as a server that forgives much reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its first line.
    pub start: Start,
    /// Its headers in order, names as written, folded lines joined.
    pub headers: Vec<(String, String)>,
}

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request.
    Request {
        /// The method as written.
        method: String,
        /// The Request-URI as written.
        uri: String,
    },
    /// A response.
    Response {
        /// Its status code.
        code: u16,
    },
}

impl Message {
    /// Reads a datagram; `None` where it is no SIP message. Blanks and line ends may stand before the start line, several blanks
    /// between its parts, and line ends may lack their CR.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(datagram);
        let mut lines =
            text.trim_start_matches(['\r', '\n', ' ', '\t', '\0']).split('\n').map(|line| line.trim_end_matches('\r'));
        let mut words = lines.next()?.split([' ', '\t']).filter(|word| !word.is_empty());
        let (first, second) = (words.next()?, words.next()?);
        let start = if is_version(first) {
            Start::Response { code: second.parse().ok().filter(|code| (100..700).contains(code))? }
        } else if words.any(is_version) {
            Start::Request { method: first.to_owned(), uri: second.to_owned() }
        } else {
            return None;
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.is_empty() {
                break;
            }
            if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), headers.last_mut()) {
                value.push(' ');
                value.push_str(line.trim());
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Some(Self { start, headers })
    }

    /// The values of a header, by its long name, in order; the compact form (RFC 3261 7.3.3) counts.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + Clone {
        let compact = compact(name);
        self.headers
            .iter()
            .filter(move |(have, _)| {
                have.eq_ignore_ascii_case(name) || compact.is_some_and(|short| have.eq_ignore_ascii_case(short))
            })
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let compact = compact(name);
        self.headers
            .iter()
            .find(|(have, _)| {
                have.eq_ignore_ascii_case(name) || compact.is_some_and(|short| have.eq_ignore_ascii_case(short))
            })
            .map(|(_, value)| value.as_str())
    }

    /// The Call-ID; empty where there is none.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// Method and Request-URI, where it is a request.
    pub fn request(&self) -> Option<(&str, &str)> {
        match &self.start {
            Start::Request { method, uri } => Some((method, uri)),
            Start::Response { .. } => None,
        }
    }

    /// The status code, where it is a response.
    pub fn code(&self) -> Option<u16> {
        match self.start {
            Start::Response { code } => Some(code),
            Start::Request { .. } => None,
        }
    }

    /// Whether it is an INVITE, in any case.
    pub fn is_invite(&self) -> bool {
        self.request().is_some_and(|(method, _)| method.eq_ignore_ascii_case("INVITE"))
    }

    /// Sequence number and method of CSeq.
    pub fn cseq(&self) -> Option<(u32, &str)> {
        let (number, method) = self.header("CSeq")?.split_once([' ', '\t'])?;
        Some((number.parse().ok()?, method.trim()))
    }

    /// The URI of the Contact, without angle brackets and parameters of the header.
    pub fn contact(&self) -> Option<&str> {
        let value = self.header("Contact")?;
        Some(match value.split_once('<') {
            Some((_, rest)) => rest.split('>').next()?,
            None => value.split(';').next()?.trim(),
        })
    }

    /// Builds the answer of a server to this request: Via, Record-Route, From, Call-ID and CSeq as they came, To with `tag`.
    pub fn answer(&self, code: u16, phrase: &str, tag: &str, contact: Option<SocketAddr>) -> Vec<u8> {
        let mut out = format!("SIP/2.0 {code} {phrase}\r\n");
        for name in ["Via", "Record-Route", "From"] {
            self.all(name).for_each(|value| line(&mut out, name, value));
        }
        let to = self.header("To").unwrap_or_default();
        let tagged = code == 100 || to.contains(";tag=");
        line(&mut out, "To", &if tagged { to.to_owned() } else { format!("{to};tag={tag}") });
        line(&mut out, "Call-ID", self.call_id());
        line(&mut out, "CSeq", self.header("CSeq").unwrap_or_default());
        if let Some(contact) = contact {
            line(&mut out, "Contact", &format!("<sip:pbx@{contact}>"));
        }
        finish(out, "")
    }

    /// Builds a request inside the dialog that this 2xx answer to an INVITE made: ACK or BYE.
    pub fn in_dialog(&self, method: &str, cseq: u32, invite: &Invite) -> Vec<u8> {
        let uri = self.contact().unwrap_or(&invite.line.uri);
        let mut out = format!("{method} {uri} SIP/2.0\r\n");
        line(&mut out, "Via", &format!("SIP/2.0/UDP {};branch={};rport", invite.from, id::branch()));
        let routes: Vec<_> = self.all("Record-Route").collect();
        routes.iter().rev().for_each(|route| line(&mut out, "Route", route));
        line(&mut out, "Max-Forwards", "70");
        line(&mut out, "From", self.header("From").unwrap_or_default());
        line(&mut out, "To", self.header("To").unwrap_or_default());
        line(&mut out, "Call-ID", &invite.call_id);
        line(&mut out, "CSeq", &format!("{cseq} {method}"));
        finish(out, "")
    }

    /// Builds the ACK of this refusal, which belongs to the transaction of the INVITE (RFC 3261 17.1.1.3).
    pub fn ack_of_refusal(&self, invite: &Invite) -> Vec<u8> {
        let mut out = format!("ACK {} SIP/2.0\r\n", invite.line.uri);
        line(&mut out, "Via", &format!("SIP/2.0/UDP {};branch={};rport", invite.from, invite.branch));
        line(&mut out, "Max-Forwards", "70");
        line(&mut out, "From", self.header("From").unwrap_or_default());
        line(&mut out, "To", self.header("To").unwrap_or_default());
        line(&mut out, "Call-ID", &invite.call_id);
        line(&mut out, "CSeq", "1 ACK");
        finish(out, "")
    }
}

fn is_version(word: &str) -> bool {
    word.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("SIP/"))
}

fn compact(name: &str) -> Option<&'static str> {
    Some(match name {
        "Via" => "v",
        "From" => "f",
        "To" => "t",
        "Call-ID" => "i",
        "Contact" => "m",
        "Content-Length" => "l",
        _ => return None,
    })
}

fn line(out: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{name}: {value}\r\n");
}

fn finish(mut out: String, body: &str) -> Vec<u8> {
    line(&mut out, "Content-Length", &body.len().to_string());
    out.push_str("\r\n");
    out.push_str(body);
    out.into_bytes()
}

/// The user part of a SIP or tel URI as written: between the scheme and the first `@`, or all of a tel URI, without parameters.
pub fn user_of(uri: &str) -> &str {
    let uri = uri.trim_start_matches('<');
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let user = rest.split('@').next().unwrap_or_default();
    user.split(';').next().unwrap_or_default()
}

/// How the start line of a request is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartLine {
    /// What stands before it in the datagram.
    pub lead: &'static str,
    /// The method as written.
    pub method: &'static str,
    /// What stands between the method and the Request-URI.
    pub gap: &'static str,
    /// The Request-URI.
    pub uri: String,
}

impl StartLine {
    /// A start line as RFC 3261 25.1 writes it.
    pub fn plain(uri: impl Into<String>) -> Self {
        Self { lead: "", method: "INVITE", gap: " ", uri: uri.into() }
    }
}

/// An INVITE that opens a call.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Its start line.
    pub line: StartLine,
    /// Where it is sent from; stands in Via and Contact.
    pub from: SocketAddr,
    /// User of the From URI.
    pub from_user: String,
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of From.
    pub tag: String,
    /// The branch of Via.
    pub branch: String,
}

impl Invite {
    /// An INVITE of a call of its own.
    pub fn new(line: StartLine, from: SocketAddr) -> Self {
        let id = id::unique();
        Self {
            line,
            from,
            from_user: "alice".to_owned(),
            call_id: format!("{id}@{}", from.ip()),
            tag: id,
            branch: id::branch(),
        }
    }

    /// The datagram. A retransmission is the same octets again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let StartLine { lead, method, gap, uri } = &self.line;
        let from = self.from;
        let ip = from.ip();
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let mut out = format!("{lead}{method}{gap}{uri} SIP/2.0\r\n");
        line(&mut out, "Via", &format!("SIP/2.0/UDP {from};branch={};rport", self.branch));
        line(&mut out, "Max-Forwards", "70");
        line(&mut out, "From", &format!("<sip:{}@gateway.example>;tag={}", self.from_user, self.tag));
        // A disguised Request-URI stays out of To: servers that cannot read it there refuse the call for the wrong reason.
        line(&mut out, "To", "<sip:callee@gateway.example>");
        line(&mut out, "Call-ID", &self.call_id);
        line(&mut out, "CSeq", &format!("1 {method}"));
        line(&mut out, "Contact", &format!("<sip:{}@{from}>", self.from_user));
        line(&mut out, "Content-Type", "application/sdp");
        let body = format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"
        );
        finish(out, &body)
    }
}
