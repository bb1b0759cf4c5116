//! The SIP message of a captured frame, as far as it tells who asked whom for what.

use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

/// One SIP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Who sent it.
    pub(crate) from: SocketAddr,
    /// Whom it was sent to.
    pub(crate) to: SocketAddr,
    /// Whether it came over TCP.
    pub(crate) tcp: bool,
    /// The method of the request, or of the one that it answers.
    pub(crate) method: &'a [u8],
    /// The status of an answer.
    pub(crate) status: Option<u16>,
}

/// The SIP message of a frame, if one begins in it.
pub(crate) fn message(frame: &[u8]) -> Option<Message<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (from, to): (IpAddr, IpAddr) = match packet.net? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let (payload, ports, tcp) = match packet.transport? {
        TransportSlice::Udp(udp) => (udp.payload(), [udp.source_port(), udp.destination_port()], false),
        TransportSlice::Tcp(tcp) => (tcp.payload(), [tcp.source_port(), tcp.destination_port()], true),
        _ => return None,
    };
    let (from, to) = (SocketAddr::new(from, ports[0]), SocketAddr::new(to, ports[1]));
    let mut lines = payload.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next()?;
    let mut words = first.split(|octet| *octet == b' ');
    let (head, second) = (words.next()?, words.next()?);
    if head != b"SIP/2.0" {
        let request = first.ends_with(b" SIP/2.0") && head.iter().all(u8::is_ascii_uppercase) && !head.is_empty();
        return request.then_some(Message { from, to, tcp, method: head, status: None });
    }
    let status = std::str::from_utf8(second).ok()?.parse().ok()?;
    let cseq = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_at_checked(5)?;
        name.eq_ignore_ascii_case(b"CSeq:").then_some(value)
    })?;
    let method = cseq.split(|octet| *octet == b' ').next_back()?;
    Some(Message { from, to, tcp, method, status: Some(status) })
}
