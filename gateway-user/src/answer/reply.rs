//! The message of an answer.

use super::head::Head;

/// What an answer says of its own; the rest is the request's.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) status: &'a (u16, &'a str),
    /// The topmost Via, with what the sender is told.
    pub(super) via: Vec<u8>,
    pub(super) tag: String,
    /// Why, in printable ASCII without quotes.
    pub(super) why: String,
}

impl Reply<'_> {
    /// The message, in at most so many octets; `None` where it does not fit. What it need not say goes first.
    pub(super) fn write(&self, head: &Head, most: usize) -> Option<Vec<u8>> {
        // Q.850 cause 21 is "call rejected"; RFC 6432 lets a response say it. 399 is the warning for anything else (RFC 3261
        // section 20.43).
        let reason = format!("Reason: Q.850;cause=21;text=\"{}\"\r\n", self.why);
        let warning = format!("Warning: 399 tollgate \"{}\"\r\n", self.why);
        let short = "Reason: Q.850;cause=21\r\n";
        let choices = [format!("{reason}{warning}"), format!("{short}{warning}"), short.to_owned(), String::new()];
        choices.iter().map(|choice| self.with(head, choice)).find(|message| message.len() <= most)
    }

    fn with(&self, head: &Head, optional: &str) -> Vec<u8> {
        let (code, phrase) = self.status;
        let mut out = format!("SIP/2.0 {code} {phrase}\r\n").into_bytes();
        let mut line = |name: &str, parts: &[&[u8]]| {
            out.extend(name.bytes());
            out.extend(parts.concat());
            out.extend(b"\r\n");
        };
        line("Via: ", &[&self.via]);
        for via in head.vias.iter().skip(1) {
            line("Via: ", &[via]);
        }
        line("From: ", &[&head.from]);
        if head.tagged {
            line("To: ", &[&head.to]);
        } else {
            line("To: ", &[&head.to, b";tag=", self.tag.as_bytes()]);
        }
        line("Call-ID: ", &[&head.call_id]);
        line("CSeq: ", &[&head.cseq]);
        out.extend(optional.bytes());
        out.extend(b"Content-Length: 0\r\n\r\n");
        out
    }
}
