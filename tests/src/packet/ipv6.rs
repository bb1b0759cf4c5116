//! The IPv6 header and its extension headers.

use std::net::Ipv6Addr;

use anyhow::{Context, Result, ensure};
use etherparse::{IpNumber, Ipv6Header};

/// An IPv6 extension header (RFC 8200 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// Hop-by-hop options with so many octets after the first two: 6, 14, 22, ...
    HopByHop(usize),
    /// Routing, as above.
    Routing(usize),
    /// Destination options, as above.
    DestinationOptions(usize),
    /// A fragment header of a packet that is whole: offset 0, no more fragments (RFC 6946).
    AtomicFragment(u32),
}

pub(super) fn ipv6_header(source: Ipv6Addr, destination: Ipv6Addr, next: IpNumber, body: &[u8]) -> Result<Vec<u8>> {
    let payload_length = u16::try_from(body.len()).context("the packet is too long for IPv6")?;
    let ip = Ipv6Header {
        payload_length,
        next_header: next,
        hop_limit: 64,
        source: source.octets(),
        destination: destination.octets(),
        ..Ipv6Header::default()
    };
    Ok([ip.to_bytes().as_slice(), body].concat())
}

/// An extension header whose `length` octets after the first two are one PadN option (RFC 8200 4.2), or the routing type and zeros.
pub(super) fn options_header(next: IpNumber, length: usize, routing_type: u8) -> Result<Vec<u8>> {
    ensure!(
        length % 8 == 6 && length < 2048,
        "an extension header has 6, 14, 22 ... octets after the first two, not {length}"
    );
    let mut out = vec![0; length + 2];
    let head = if routing_type == 0 {
        [next.0, (length / 8) as u8, 1, (length - 2).min(255) as u8]
    } else {
        [next.0, (length / 8) as u8, routing_type, 0]
    };
    out.splice(..4, head);
    Ok(out)
}

/// `offset_and_more`: the offset in octets, a multiple of 8, with the flag in bit 0.
pub(super) fn fragment_header(next: IpNumber, offset_and_more: u16, identification: u32) -> [u8; 8] {
    let mut out = [next.0, 0, 0, 0, 0, 0, 0, 0];
    out[2..4].copy_from_slice(&offset_and_more.to_be_bytes());
    out[4..].copy_from_slice(&identification.to_be_bytes());
    out
}
