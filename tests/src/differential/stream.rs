//! TCP segments and later fragments: streams of messages, cut where it hurts.

use std::fmt::Write as _;

use super::{Chance, address, request, uri};
use crate::packet::{Frame, TcpFlags};

/// Segments of one stream that are judged at most.
const SEGMENTS: usize = 8;

/// A message with headers that say whom else it calls, and how long it is, or lies about it.
pub(super) fn message(chance: &mut Chance) -> Vec<u8> {
    let end = *chance.pick(&[&"\r\n", &"\r\n", &"\r\n", &"\n"]);
    let mut text = match chance.below(8) {
        0 => format!("SIP/2.0 {} Moved{end}", chance.pick(&["302", "300", "380", " 301", "200", "486", "3"])),
        1 => format!("FOO {} SIP/2.0{end}", chance.pick(&["x", "im:bob", "sip:1@x"])),
        2 => format!("POST /x HTTP/1.1{end}"),
        3 => format!("REGISTER {} SIP/2.0{end}", uri(chance)),
        _ => {
            let method = chance.pick(&["INVITE", "INVITE", "REFER", "REGISTER", "OPTIONS", "ACK", "MESSAGE"]);
            format!("{method} {} SIP/2.0{end}", uri(chance))
        }
    };
    for _ in 0..chance.below(5) {
        let name =
            chance.pick(&["Contact", "m", "CONTACT ", "P-Called-Party-ID", "p-called-party-id", "To", "Refer-To"]);
        let mut list = String::new();
        for i in 0..*chance.pick(&[&0, &1, &1, &1, &2, &3, &9]) {
            let display = chance.pick(&["", "\"Doe, \\\"J\" ", "Doe, J "]);
            let parameters = chance.pick(&["", ";q=0.5", ";methods=\"INVITE, ACK\""]);
            let separator = if i == 0 { "" } else { *chance.pick(&[&", ", &",", &",\r\n ", &",,"]) };
            let target = uri(chance);
            let _ = match chance.below(3) {
                0 => write!(list, "{separator}{target}{parameters}"),
                _ => write!(list, "{separator}{display}<{target}>{parameters}"),
            };
        }
        let _ = write!(text, "{name}: {list}{end}");
    }
    let body = if chance.one_in(3) { "INVITE sip:+23276123456@x SIP/2.0\r\n\r\n" } else { "" };
    for _ in 0..*chance.pick(&[&0, &1, &1, &1, &1, &1, &2]) {
        let name = chance.pick(&["Content-Length", "l", "CONTENT-LENGTH ", "Content-length", "content-lengths"]);
        let length = match chance.below(8) {
            0 => chance.below(100).to_string(),
            1 => (*chance.pick(&["", "-1", "+5", "0x10", "99999999999", "4294967296", "many", "\r\n 0"])).to_owned(),
            2 => format!("{:010}", body.len()),
            _ => body.len().to_string(),
        };
        let _ = write!(text, "{name}: {length}{end}");
    }
    if !chance.one_in(12) {
        text.push_str(end);
    }
    text.push_str(body);
    text.into_bytes()
}

/// Messages one behind the other, with what keeps a connection alive between them.
fn stream(chance: &mut Chance, first: Vec<u8>) -> Vec<u8> {
    let mut stream = first;
    for _ in 0..chance.below(6) {
        match chance.below(8) {
            0 => stream.extend_from_slice(chance.pick(&["\r\n\r\n", "\r\n", "\r\n\r\n\r\n\r\n", "\0", " "]).as_bytes()),
            1 => stream.extend_from_slice(&[0x16, 3, 1, 2, 0, 1]),
            2 => stream.extend(request(chance)),
            _ => stream.extend(message(chance)),
        }
    }
    stream
}

/// The stream in segments: whole, by a size, or cut in places that are near each other.
fn cut(chance: &mut Chance, stream: &[u8]) -> Vec<Vec<u8>> {
    let size = match chance.below(4) {
        0 => stream.len().max(1),
        1 => *chance.pick(&[&1, &7, &100, &536, &1448]),
        _ => 1 + chance.below(stream.len().clamp(1, 3000)),
    };
    let start = chance.below(stream.len().clamp(1, 60));
    let (head, rest) = stream.split_at(if chance.one_in(2) { start } else { 0 });
    [head].into_iter().chain(rest.chunks(size)).take(SEGMENTS).map(<[u8]>::to_vec).collect()
}

/// The segments of a stream that begins with `first`, or the request for its connection.
pub(super) fn segments(chance: &mut Chance, first: Vec<u8>) -> Vec<Frame> {
    let v6 = chance.one_in(4);
    let (source, destination) = (address(chance, v6), address(chance, v6));
    let port = *chance.pick(&[&5060, &5060, &5060, &5062, &65535, &443]);
    let from = *chance.pick(&[&40000, &40000, &5060]);
    let segment = |flags, payload| Frame::tcp((source, from), (destination, port), (1, 1), flags, payload);
    if chance.one_in(4) {
        let data = if chance.one_in(4) { first } else { Vec::new() };
        return vec![segment(TcpFlags { syn: true, ack: chance.one_in(5), ..TcpFlags::default() }, data)];
    }
    let stream = stream(chance, first);
    let flags = TcpFlags { ack: true, psh: chance.one_in(2), fin: chance.one_in(9), ..TcpFlags::default() };
    cut(chance, &stream).into_iter().map(|payload| segment(flags, payload)).collect()
}

/// Fragments without their first one, to few destinations.
pub(super) fn later_fragments(chance: &mut Chance, message: Vec<u8>) -> Vec<Vec<u8>> {
    let v6 = chance.one_in(2);
    let (source, destination) = (address(chance, v6), address(chance, v6));
    let frame = Frame::udp((source, 5060), (destination, 5060), message);
    let frame = if chance.one_in(4) { frame.vlan(crate::packet::TPID_8021Q, 5) } else { frame };
    frame.fragments(*chance.pick(&[&8, &64, &256])).unwrap_or_default().into_iter().skip(1).take(SEGMENTS).collect()
}
