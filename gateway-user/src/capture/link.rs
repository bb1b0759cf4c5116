//! What a captured frame begins with, and how to make an Ethernet frame of it.

use std::borrow::Cow;

use super::Packet;

/// Ethernet: two addresses and the type.
const ETHERNET_HEADER: usize = 14;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The link types that are read (tcpdump.org/linktypes.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkType {
    /// BSD loopback (0, 108): the address family in four octets, then IP.
    Null,
    /// Ethernet (1).
    Ethernet,
    /// IP without a header (101, 228, 229; 12 and 14 in files of some systems).
    Raw,
    /// Linux cooked capture (113), as `tcpdump -i any` wrote it.
    Cooked,
    /// Linux cooked capture, second version (276).
    CookedV2,
}

impl LinkType {
    /// The link type with this number, if it is one that carries IP as we read it.
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 | 108 => Some(Self::Null),
            1 => Some(Self::Ethernet),
            12 | 14 | 101 | 228 | 229 => Some(Self::Raw),
            113 => Some(Self::Cooked),
            276 => Some(Self::CookedV2),
            _ => None,
        }
    }
}

/// The packet as an Ethernet frame: itself, or its payload behind a header with addresses of zeros. `None` where the
/// header of its link type is not whole or says that something else than an Ethernet payload follows.
pub fn to_ethernet(packet: &Packet) -> Option<Cow<'_, [u8]>> {
    let data = packet.data.as_slice();
    let (kind, payload) = match packet.link {
        LinkType::Ethernet => return (data.len() >= ETHERNET_HEADER).then_some(Cow::Borrowed(data)),
        LinkType::Raw => (ip_version(data)?, data),
        // The family's number differs from system to system (2, 10, 24, 28, 30) and so does its byte order.
        LinkType::Null => {
            let payload = data.get(4..)?;
            (ip_version(payload)?, payload)
        }
        LinkType::Cooked => (be16(data, 14)?, data.get(16..)?),
        LinkType::CookedV2 => (be16(data, 0)?, data.get(20..)?),
    };
    // Below 1536 it is a length or one of Linux's own numbers (if_ether.h), not a type.
    if kind < 0x0600 {
        return None;
    }
    let mut frame = Vec::with_capacity(ETHERNET_HEADER + payload.len());
    frame.extend_from_slice(&[0; 12]);
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.extend_from_slice(payload);
    Some(Cow::Owned(frame))
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// The Ethernet type of an IP packet, by its version.
fn ip_version(packet: &[u8]) -> Option<u16> {
    match packet.first()? >> 4 {
        4 => Some(IPV4),
        6 => Some(IPV6),
        _ => None,
    }
}
