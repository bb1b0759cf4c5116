//! Frames, octet by octet: what a test sends, runs through `BPF_PROG_TEST_RUN` or writes into a capture.
//!
//! A frame is described from the inside out and then built: transport, IP with options or extension headers, tunnel, PPPoE, VLAN
//! tags, Ethernet. Nothing is checked for sense, so that senseless frames can be built too.

mod ipv6;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use etherparse::{IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, TcpHeader, UdpHeader};

pub use ipv6::Extension;
use ipv6::{fragment_header, ipv6_header, options_header};

/// IEEE 802.1Q.
pub const TPID_8021Q: u16 = 0x8100;
/// IEEE 802.1ad, the outer of two tags.
pub const TPID_8021AD: u16 = 0x88a8;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// PPPoE session stage (RFC 2516).
const ETHERTYPE_PPPOE: u16 = 0x8864;
/// PPP protocol numbers of IPv4 and IPv6.
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// Flags of a TCP segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// Opens a connection.
    pub syn: bool,
    /// The acknowledgement number counts.
    pub ack: bool,
    /// To be handed up at once.
    pub psh: bool,
    /// Ends one direction.
    pub fin: bool,
    /// Ends the connection at once.
    pub rst: bool,
}

#[derive(Clone, Debug)]
enum Transport {
    Udp,
    Tcp {
        sequence: u32,
        acknowledgement: u32,
        flags: TcpFlags,
    },
    /// The payload follows the IP header at once.
    Other(u8),
}

/// A frame to be built.
#[derive(Clone, Debug)]
pub struct Frame {
    macs: ([u8; 6], [u8; 6]),
    tags: Vec<(u16, u16)>,
    pppoe: bool,
    tunnel: Option<(Ipv6Addr, Ipv6Addr)>,
    source: SocketAddr,
    destination: SocketAddr,
    options: Vec<u8>,
    extensions: Vec<Extension>,
    transport: Transport,
    payload: Vec<u8>,
    identification: u32,
}

impl Frame {
    /// A UDP datagram, its checksum right.
    pub fn udp(source: impl Into<SocketAddr>, destination: impl Into<SocketAddr>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            macs: ([2, 0, 0, 0, 0, 0x10], [2, 0, 0, 0, 0, 1]),
            tags: Vec::new(),
            pppoe: false,
            tunnel: None,
            source: source.into(),
            destination: destination.into(),
            options: Vec::new(),
            extensions: Vec::new(),
            transport: Transport::Udp,
            payload: payload.into(),
            identification: 1,
        }
    }

    /// A TCP segment, its checksum right.
    pub fn tcp(
        source: impl Into<SocketAddr>,
        destination: impl Into<SocketAddr>,
        (sequence, acknowledgement): (u32, u32),
        flags: TcpFlags,
        payload: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            transport: Transport::Tcp { sequence, acknowledgement, flags },
            ..Self::udp(source, destination, payload)
        }
    }

    /// A packet of another protocol: `payload` follows the IP header.
    pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { transport: Transport::Other(protocol), ..Self::udp((source, 0), (destination, 0), payload) }
    }

    /// Whether it is an IPv6 packet.
    pub const fn is_v6(&self) -> bool {
        self.source.is_ipv6()
    }

    /// Ethernet addresses: source and destination.
    #[must_use]
    pub const fn macs(mut self, source: [u8; 6], destination: [u8; 6]) -> Self {
        self.macs = (source, destination);
        self
    }

    /// Adds a VLAN tag inside those already there.
    #[must_use]
    pub fn vlan(mut self, tpid: u16, id: u16) -> Self {
        self.tags.push((tpid, id));
        self
    }

    /// Puts the packet into a PPPoE session.
    #[must_use]
    pub const fn pppoe(mut self) -> Self {
        self.pppoe = true;
        self
    }

    /// Puts the packet into an IPv6 packet between these two: 4in6 as of MAP-E and DS-Lite, or 6in6.
    #[must_use]
    pub const fn tunnel(mut self, source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        self.tunnel = Some((source, destination));
        self
    }

    /// IPv4 options: up to 40 octets, a multiple of 4.
    #[must_use]
    pub fn ipv4_options(mut self, options: impl Into<Vec<u8>>) -> Self {
        self.options = options.into();
        self
    }

    /// Adds an IPv6 extension header behind those already there.
    #[must_use]
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions.push(extension);
        self
    }

    /// The identification that fragments share; IPv4 takes the low 16 bits.
    #[must_use]
    pub const fn identification(mut self, identification: u32) -> Self {
        self.identification = identification;
        self
    }

    /// Builds the frame.
    ///
    /// # Errors
    /// Where the addresses are of two families, the payload is too long for IP, or options or extensions have an impossible length.
    pub fn build(&self) -> Result<Vec<u8>> {
        let transport = self.transport()?;
        self.frame(&transport, None)
    }

    /// Builds the frames of the packet's fragments, each but the last with `size` octets of transport header and payload.
    ///
    /// # Errors
    /// As [`Frame::build`]; or the size is no multiple of 8.
    pub fn fragments(&self, size: usize) -> Result<Vec<Vec<u8>>> {
        ensure!(size > 0 && size.is_multiple_of(8), "a fragment holds a multiple of 8 octets, not {size}");
        let transport = self.transport()?;
        let last = transport.len().div_ceil(size).saturating_sub(1);
        let pieces = transport.chunks(size).enumerate();
        pieces.map(|(i, piece)| self.frame(piece, Some(Fragment { offset: i * size, more: i < last }))).collect()
    }

    /// Transport header and payload.
    fn transport(&self) -> Result<Vec<u8>> {
        let (from, to) = (self.source.port(), self.destination.port());
        let payload = &self.payload;
        let mut out = match self.transport {
            Transport::Other(_) => Vec::new(),
            Transport::Udp => {
                let length = payload.len() + 8;
                let length =
                    u16::try_from(length).with_context(|| format!("a UDP datagram of {length} octets is too long"))?;
                let mut udp = UdpHeader { source_port: from, destination_port: to, length, checksum: 0 };
                udp.checksum = match self.addresses()? {
                    Addresses::V4(source, destination) => {
                        udp.calc_checksum_ipv4_raw(source.octets(), destination.octets(), payload)?
                    }
                    Addresses::V6(source, destination) => {
                        udp.calc_checksum_ipv6_raw(source.octets(), destination.octets(), payload)?
                    }
                };
                udp.to_bytes().to_vec()
            }
            Transport::Tcp { sequence, acknowledgement, flags } => {
                let mut tcp = TcpHeader::new(from, to, sequence, 64_240);
                tcp.acknowledgment_number = acknowledgement;
                (tcp.syn, tcp.ack, tcp.psh, tcp.fin, tcp.rst) = (flags.syn, flags.ack, flags.psh, flags.fin, flags.rst);
                tcp.checksum = match self.addresses()? {
                    Addresses::V4(source, destination) => {
                        tcp.calc_checksum_ipv4_raw(source.octets(), destination.octets(), payload)?
                    }
                    Addresses::V6(source, destination) => {
                        tcp.calc_checksum_ipv6_raw(source.octets(), destination.octets(), payload)?
                    }
                };
                tcp.to_bytes().to_vec()
            }
        };
        out.extend_from_slice(payload);
        Ok(out)
    }

    const fn protocol(&self) -> IpNumber {
        match self.transport {
            Transport::Udp => IpNumber::UDP,
            Transport::Tcp { .. } => IpNumber::TCP,
            Transport::Other(number) => IpNumber(number),
        }
    }

    fn addresses(&self) -> Result<Addresses> {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Ok(Addresses::V4(source, destination)),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(Addresses::V6(source, destination)),
            (source, destination) => {
                bail!("{source} and {destination} are of two address families")
            }
        }
    }

    /// All headers around a piece of the transport layer.
    fn frame(&self, piece: &[u8], fragment: Option<Fragment>) -> Result<Vec<u8>> {
        let (mut packet, mut is_v6) = match self.addresses()? {
            Addresses::V4(source, destination) => (self.ipv4(source, destination, piece, fragment)?, false),
            Addresses::V6(source, destination) => (self.ipv6(source, destination, piece, fragment)?, true),
        };
        if let Some((source, destination)) = self.tunnel {
            let inner = if is_v6 { IpNumber::IPV6 } else { IpNumber::IPV4 };
            packet = ipv6_header(source, destination, inner, &packet)?;
            is_v6 = true;
        }
        let (source, destination) = self.macs;
        let mut out = [destination, source].concat();
        for (tpid, id) in &self.tags {
            out.extend_from_slice(&tpid.to_be_bytes());
            out.extend_from_slice(&id.to_be_bytes());
        }
        if self.pppoe {
            out.extend_from_slice(&ETHERTYPE_PPPOE.to_be_bytes());
            // Version and type 1, code 0 (session data), session 1, length with the two octets of the PPP protocol.
            let length = u16::try_from(packet.len() + 2).context("the packet is too long for PPPoE")?;
            out.extend_from_slice(&[0x11, 0, 0, 1]);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&(if is_v6 { PPP_IPV6 } else { PPP_IPV4 }).to_be_bytes());
        } else {
            out.extend_from_slice(&(if is_v6 { ETHERTYPE_IPV6 } else { ETHERTYPE_IPV4 }).to_be_bytes());
        }
        out.append(&mut packet);
        Ok(out)
    }

    fn ipv4(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        piece: &[u8],
        fragment: Option<Fragment>,
    ) -> Result<Vec<u8>> {
        ensure!(self.extensions.is_empty(), "IPv4 has no extension headers");
        let length = u16::try_from(piece.len()).context("the packet is too long for IPv4")?;
        let mut ip = Ipv4Header::new(length, 64, self.protocol(), source.octets(), destination.octets())?;
        ip.options = Ipv4Options::try_from(self.options.as_slice())?;
        ip.set_payload_len(piece.len())?;
        ip.identification = self.identification as u16;
        ip.dont_fragment = fragment.is_none();
        if let Some(Fragment { offset, more }) = fragment {
            ip.fragment_offset = IpFragOffset::try_new(u16::try_from(offset / 8)?)?;
            ip.more_fragments = more;
        }
        ip.header_checksum = ip.calc_header_checksum();
        Ok([ip.to_bytes().as_slice(), piece].concat())
    }

    fn ipv6(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        piece: &[u8],
        fragment: Option<Fragment>,
    ) -> Result<Vec<u8>> {
        ensure!(self.options.is_empty(), "IPv6 has no options: give it extension headers");
        // From the last header to the first, since each names its successor.
        let (mut next, mut body) = (self.protocol(), piece.to_vec());
        if let Some(Fragment { offset, more }) = fragment {
            body = [
                fragment_header(next, u16::try_from(offset)? | u16::from(more), self.identification).as_slice(),
                &body,
            ]
            .concat();
            next = IpNumber::IPV6_FRAGMENTATION_HEADER;
        }
        for extension in self.extensions.iter().rev() {
            let (number, header) = match *extension {
                Extension::HopByHop(length) => (IpNumber::IPV6_HEADER_HOP_BY_HOP, options_header(next, length, 0)?),
                Extension::DestinationOptions(length) => {
                    (IpNumber::IPV6_DESTINATION_OPTIONS, options_header(next, length, 0)?)
                }
                // Type 253, for experiments (RFC 4727), with no segments left: a router passes it on.
                Extension::Routing(length) => (IpNumber::IPV6_ROUTE_HEADER, options_header(next, length, 253)?),
                Extension::AtomicFragment(id) => {
                    (IpNumber::IPV6_FRAGMENTATION_HEADER, fragment_header(next, 0, id).to_vec())
                }
            };
            body = [header, body].concat();
            next = number;
        }
        ipv6_header(source, destination, next, &body)
    }
}

#[derive(Clone, Copy)]
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

#[derive(Clone, Copy)]
struct Fragment {
    /// In octets.
    offset: usize,
    more: bool,
}
