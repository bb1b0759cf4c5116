//! The topmost Via: where an answer goes, and what it tells the sender of himself (RFC 3261 section 18.2, RFC 3581).

use std::net::{IpAddr, SocketAddr};

use super::head::{assigned, parts, trimmed};

/// The port of SIP over UDP where Via names none (RFC 3261 section 18.2.2).
const PORT: u16 = 5060;

/// The first value of the first Via header.
#[derive(Debug)]
pub(super) struct Via<'a> {
    /// Host and port as the sender wrote them.
    sent_by: &'a [u8],
    host: &'a [u8],
    port: u16,
    /// It asks for its port (RFC 3581).
    rport: bool,
    /// The parameters but for `rport` and `received`, which are the server's to say.
    parameters: Vec<&'a [u8]>,
    /// Values that share the header with it, as they came.
    others: Option<&'a [u8]>,
}

/// Reads a Via header; `None` where it is none over UDP, or names another place for its answers.
pub(super) fn read(header: &[u8]) -> Option<Via<'_>> {
    let first = *parts(header, b',')?.first()?;
    let others = header.get(first.len() + 1..);
    let mut parameters = parts(first, b';')?.into_iter();
    let mut protocol = parameters.next()?.splitn(3, |&octet| octet == b'/');
    let (name, version) = (protocol.next()?, protocol.next()?);
    let rest = trimmed(protocol.next()?);
    let (transport, sent_by) = rest.split_at(rest.iter().position(|&octet| matches!(octet, b' ' | b'\t'))?);
    if !trimmed(name).eq_ignore_ascii_case(b"SIP")
        || trimmed(version) != b"2.0"
        || !transport.eq_ignore_ascii_case(b"UDP")
    {
        return None;
    }
    let sent_by = trimmed(sent_by);
    let (host, port) = host_and_port(sent_by)?;
    let mut via = Via { sent_by, host, port, rport: false, parameters: Vec::new(), others };
    for parameter in parameters {
        let (name, _) = assigned(parameter);
        if name.eq_ignore_ascii_case(b"rport") {
            via.rport = true;
        } else if name.eq_ignore_ascii_case(b"maddr") {
            return None;
        } else if !name.eq_ignore_ascii_case(b"received") {
            via.parameters.push(trimmed(parameter));
        }
    }
    Some(via)
}

fn host_and_port(sent_by: &[u8]) -> Option<(&[u8], u16)> {
    let (host, behind) = match sent_by.strip_prefix(b"[") {
        Some(inner) => {
            let (host, behind) = inner.split_at(inner.iter().position(|&octet| octet == b']')?);
            (host, behind.get(1..)?)
        }
        None => sent_by.split_at(sent_by.iter().position(|&octet| octet == b':').unwrap_or(sent_by.len())),
    };
    let host = trimmed(host);
    let port = match trimmed(behind) {
        [] => PORT,
        [b':', port @ ..] => std::str::from_utf8(trimmed(port)).ok()?.parse().ok().filter(|&port| port != 0)?,
        _ => return None,
    };
    let is_host = |&octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b':' | b'%');
    (!host.is_empty() && host.iter().all(is_host)).then_some((host, port))
}

impl Via<'_> {
    /// The port that an answer to a request from `source` goes to. Its address is that of the packet and no other: a name
    /// or an address in Via is the word of the sender, and may be somebody else's.
    pub(super) const fn port(&self, source: SocketAddr) -> u16 {
        if self.rport { source.port() } else { self.port }
    }

    /// The header of the answer, in which the sender is told where his request came from.
    pub(super) fn received(&self, source: SocketAddr) -> Vec<u8> {
        let mut out = [b"SIP/2.0/UDP ", self.sent_by].concat();
        for parameter in &self.parameters {
            out.push(b';');
            out.extend(*parameter);
        }
        let written = std::str::from_utf8(self.host).ok().and_then(|host| host.parse::<IpAddr>().ok());
        if self.rport || written != Some(source.ip()) {
            out.extend(format!(";received={}", source.ip()).bytes());
        }
        if self.rport {
            out.extend(format!(";rport={}", source.port()).bytes());
        }
        if let Some(others) = self.others {
            out.push(b',');
            out.extend(others);
        }
        out
    }
}
