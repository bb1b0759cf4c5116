//! The way back: the headers in front of an answer.
//!
//! The link header of the request is used again with its addresses exchanged. So the answer has the VLAN tags and the PPPoE
//! session of the request, and needs neither a route nor a neighbour.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use etherparse::PacketBuilder;
use gateway_common::answer::Refused;

/// Hops that an answer may take.
const HOPS: u8 = 64;
/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// EtherTypes of VLAN tags (IEEE 802.1Q).
const VLAN: [u16; 2] = [0x8100, 0x88a8];
/// EtherType of a PPPoE session (RFC 2516).
const PPPOE: u16 = 0x8864;

/// Where a request came from, and how.
#[derive(Debug)]
pub(super) struct Way<'a> {
    /// Everything in front of the IP header.
    link: &'a [u8],
    /// It ends in a PPPoE header.
    pppoe: bool,
    /// Who sent it.
    pub(super) source: SocketAddr,
    /// Whom it was sent to.
    destination: SocketAddr,
}

impl<'a> Way<'a> {
    /// The way of a request; `None` where no answer can go back: it went to many, or came from nobody.
    pub(super) fn of(refused: &Refused, frame: &'a [u8]) -> Option<Self> {
        let link = frame.get(..usize::from(refused.ip_at))?;
        let ip = frame.get(usize::from(refused.ip_at)..)?;
        let (source, destination) = match ip.first()? >> 4 {
            4 => (v4(ip.get(12..)?)?, v4(ip.get(16..)?)?),
            6 => (v6(ip.get(8..)?)?, v6(ip.get(24..)?)?),
            _ => return None,
        };
        let ports = frame.get(usize::from(refused.transport_at)..)?;
        let (sport, dport) = (be16(ports, 0)?, be16(ports, 2)?);
        let to_one =
            |mac: &[u8]| mac.first().is_some_and(|first| first & 1 == 0) && mac.iter().any(|&octet| octet != 0);
        if sport == 0 || !to_one(link.get(..6)?) || !to_one(link.get(6..12)?) {
            return None;
        }
        let source = SocketAddr::new(source, sport);
        Some(Self { link, pppoe: pppoe(link)?, source, destination: SocketAddr::new(destination, dport) })
    }

    /// The frame that carries an answer to this port of the sender.
    pub(super) fn back(&self, port: u16, answer: &[u8]) -> Option<Vec<u8>> {
        let mut packet = Vec::with_capacity(ETHERNET + answer.len() + 64);
        let builder = match (self.destination.ip(), self.source.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
            (IpAddr::V6(from), IpAddr::V6(to)) => PacketBuilder::ipv6(from.octets(), to.octets(), HOPS),
            _ => return None,
        };
        builder.udp(self.destination.port(), port).write(&mut packet, answer).ok()?;
        let (to, rest) = self.link.split_at_checked(6)?;
        let (from, kind) = rest.split_at_checked(6)?;
        let mut link = [from, to, kind].concat();
        let kept = link.len();
        if self.pppoe {
            // Its length covers the protocol of PPP, two octets, and what follows.
            let length = u16::try_from(packet.len() + 2).ok()?;
            link.get_mut(kept - 4..kept - 2)?.copy_from_slice(&length.to_be_bytes());
        }
        link.extend(packet);
        Some(link)
    }
}

/// Whether a link header ends in one of PPPoE; `None` where it is another than the filter reads.
fn pppoe(link: &[u8]) -> Option<bool> {
    let mut end = ETHERNET;
    let mut kind = be16(link, 12)?;
    while VLAN.contains(&kind) {
        kind = be16(link, end + 2)?;
        end += 4;
    }
    let pppoe = kind == PPPOE;
    let end = if pppoe { end + 8 } else { end };
    (end == link.len()).then_some(pppoe)
}

fn be16(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

fn v4(octets: &[u8]) -> Option<IpAddr> {
    let address = Ipv4Addr::from(*octets.first_chunk::<4>()?);
    let one = !(address.is_multicast() || address.is_broadcast() || address.is_unspecified() || address.is_loopback());
    one.then_some(address.into())
}

fn v6(octets: &[u8]) -> Option<IpAddr> {
    let address = Ipv6Addr::from(*octets.first_chunk::<16>()?);
    let one = !(address.is_multicast() || address.is_unspecified() || address.is_loopback());
    one.then_some(address.into())
}
