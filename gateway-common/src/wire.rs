//! From the Ethernet frame to the datagram: one bounded walk over the headers.
//!
//! Nothing behind the IP total length or the UDP length is ever read. A tunnel is entered once; the addresses are then
//! the inner ones.

use crate::addr::Addr;

/// A cursor over the frame. Reads are relative to the cursor and `None` past the end; skipping past the end is allowed
/// and makes every later read `None`. The kernel's implementation keeps packet pointers, the host's a slice.
pub trait Frame: Sized {
    /// One octet.
    fn u8(&self, at: usize) -> Option<u8>;
    /// Two octets in network order.
    fn u16(&self, at: usize) -> Option<u16>;
    /// Four octets in network order.
    fn u32(&self, at: usize) -> Option<u32>;
    /// Eight octets in network order.
    fn u64(&self, at: usize) -> Option<u64>;
    /// Moves the cursor on by at most 2,047 octets.
    fn skip(&mut self, octets: usize);
    /// Octets between the start of the frame and the cursor.
    fn offset(&self) -> u32;
    /// A value of which the verifier knows nothing any more, where that matters: paths that differ only in it merge.
    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        value
    }
    /// A loop's counter, which the compiler shall not unroll, where that matters.
    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        counter
    }
}

/// Octets of a frame within which its headers must lie.
pub const HEADERS: usize = 2048;

/// Where a datagram is, and between whom it goes.
///
/// The walk fills it in as it goes: an enum that carried it would cost the kernel's stack a copy for each way through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Datagram {
    /// Source address, of the innermost header read.
    pub src: Addr,
    /// Destination address.
    pub dst: Addr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// Where the payload begins, in octets from the start of the frame.
    pub at: u32,
    /// Octets of payload, by UDP and IP length.
    pub len: u32,
    /// Where the innermost IP header begins, in octets from the start of the frame.
    pub ip_at: u16,
    /// Where the UDP or TCP header begins.
    pub transport_at: u16,
    /// The first fragment of several.
    pub first_fragment: bool,
    /// TCP instead of UDP.
    pub tcp: bool,
    /// A TCP segment that asks for a connection: SYN without ACK.
    pub syn: bool,
    /// It came through a tunnel.
    pub tunnelled: bool,
}

/// What the walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// A UDP datagram or TCP segment.
    Datagram,
    /// A later fragment.
    LaterFragment,
    /// An encapsulation that is not read.
    Unparsed,
    /// Neither UDP nor TCP over IP, or too short to be anything.
    Other,
    /// Extension headers or a tunnel, which only the deep walk reads.
    Deep,
}

const ETH_IPV4: u16 = 0x0800;
const ETH_IPV6: u16 = 0x86dd;
const ETH_VLAN: u16 = 0x8100;
const ETH_QINQ: u16 = 0x88a8;
const ETH_PPPOE: u16 = 0x8864;
/// Ethernet in GRE (RFC 1701, transparent Ethernet bridging).
const ETH_BRIDGED: u16 = 0x6558;
const ETH_MPLS: u16 = 0x8847;
const ETH_MPLS_MULTICAST: u16 = 0x8848;

const IP_HOP_BY_HOP: u8 = 0;
const IP_IPIP: u8 = 4;
const IP_TCP: u8 = 6;
const IP_UDP: u8 = 17;
const IP_IPV6: u8 = 41;
const IP_ROUTING: u8 = 43;
const IP_FRAGMENT: u8 = 44;
const IP_GRE: u8 = 47;
/// Ethernet in IP (RFC 3378).
const IP_ETHERIP: u8 = 97;
const IP_DESTINATION: u8 = 60;

/// UDP port of VXLAN (RFC 7348).
const VXLAN: u16 = 4789;

/// IPv6 extension headers read before the chain counts as unparsed.
pub const EXTENSIONS: u32 = 6;

/// Walks from the Ethernet header to the transport payload, through extension headers and one tunnel.
#[inline(always)]
pub fn walk<F: Frame>(frame: &mut F, found: &mut Datagram) -> Walk {
    walk_to::<F, true>(frame, found)
}

/// The same for the headers of nearly every packet, by moves the verifier follows in packet memory; [`Walk::Deep`] for
/// the rest. Whatever else it answers, [`walk`] answers too.
#[inline(always)]
pub fn walk_shallow<F: Frame>(frame: &mut F, found: &mut Datagram) -> Walk {
    walk_to::<F, false>(frame, found)
}

/// The ports, source and destination, of a datagram or segment with nothing but Ethernet and IPv4 without options in front
/// of it; `None` for any other frame. A frame of which neither carries SIP needs no walk.
#[inline(always)]
pub fn plain_ports<F: Frame>(frame: &F) -> Option<(u16, u16)> {
    let ether = frame.u16(12)?;
    let version = frame.u8(14)?;
    let fragment = frame.u16(20)?;
    let protocol = frame.u8(23)?;
    let ports = frame.u32(34)?;
    let tunnel = protocol == IP_UDP && ports & 0xffff == VXLAN as u32;
    let plain = ether == ETH_IPV4 && version == 0x45 && fragment & 0x3fff == 0 && !tunnel;
    if plain && (protocol == IP_UDP || protocol == IP_TCP) { Some(((ports >> 16) as u16, ports as u16)) } else { None }
}

/// The datagram that such a frame holds, if it is UDP and its lengths are right; the cursor then stands at its payload.
#[inline(always)]
pub fn plain_datagram<F: Frame>(frame: &mut F, found: &mut Datagram) -> Option<()> {
    const IP: u32 = 14;
    const UDP: u32 = IP + 20;
    let total = frame.u16(16)? as u32;
    let protocol = frame.u8(23)?;
    let src = frame.u32(26)?;
    let dst = frame.u32(30)?;
    let ports = frame.u32(34)?;
    let length = frame.u16(38)? as u32;
    if protocol != IP_UDP || length < 8 || length + 20 > total {
        return None;
    }
    found.src = Addr::v4(src);
    found.dst = Addr::v4(dst);
    found.ip_at = IP as u16;
    found.transport_at = UDP as u16;
    found.first_fragment = false;
    found.tunnelled = false;
    found.tcp = false;
    found.syn = false;
    frame.skip(UDP as usize + 8);
    matches!(datagram(frame, ports, length - 8, found), Walk::Datagram).then_some(())
}

#[inline(always)]
fn walk_to<F: Frame, const DEEP: bool>(frame: &mut F, found: &mut Datagram) -> Walk {
    let Some(mut ether) = frame.u16(12) else {
        return Walk::Other;
    };
    frame.skip(14);
    for _ in 0..2 {
        if ether == ETH_VLAN || ether == ETH_QINQ {
            let Some(inner) = frame.u16(2) else {
                return Walk::Other;
            };
            ether = inner;
            frame.skip(4);
        }
    }
    if ether == ETH_PPPOE {
        // RFC 2516: version, type and code, session, length; then the PPP protocol in two octets.
        let Some(code) = frame.u16(0) else { return Walk::Other };
        let Some(ppp) = frame.u16(6) else { return Walk::Other };
        if code != 0x1100 {
            return Walk::Other;
        }
        ether = match ppp {
            0x0021 => ETH_IPV4,
            0x0057 => ETH_IPV6,
            _ => return Walk::Other,
        };
        frame.skip(8);
    }
    let mut depth = 0u32;
    while depth < 2 {
        let ip_at = frame.offset();
        let outer = match ether {
            ETH_IPV4 => ipv4(frame, found),
            ETH_IPV6 => ipv6::<F, DEEP>(frame, found),
            ETH_VLAN | ETH_QINQ | ETH_MPLS | ETH_MPLS_MULTICAST | ETH_BRIDGED => return Walk::Unparsed,
            // RFC 1042: below 0x600 the field is a length, and LLC/SNAP follows.
            0..0x600 => return Walk::Unparsed,
            _ => return Walk::Other,
        };
        let ip = match outer {
            Ok(ip) => ip,
            Err(end) => return end,
        };
        found.ip_at = ip_at as u16;
        found.transport_at = frame.offset() as u16;
        found.tunnelled = depth != 0;
        match ip.protocol {
            IP_UDP => return udp(frame, ip.len, found),
            IP_TCP => return tcp(frame, ip.len, found),
            _ if found.first_fragment => return Walk::Other,
            IP_IPIP | IP_IPV6 | IP_GRE | IP_ETHERIP if !DEEP => return Walk::Deep,
            IP_IPIP => ether = ETH_IPV4,
            IP_IPV6 => ether = ETH_IPV6,
            IP_ETHERIP => ether = ETH_BRIDGED,
            IP_GRE => match gre(frame) {
                Some(inner) => ether = inner,
                None => return Walk::Other,
            },
            _ => return Walk::Other,
        }
        ether = frame.opaque(ether as u64) as u16;
        depth = frame.rolled(depth + 1);
    }
    Walk::Unparsed
}

struct Ip {
    protocol: u8,
    /// Octets behind the header, by its own length field.
    len: u32,
}

#[inline(always)]
fn ipv4<F: Frame>(frame: &mut F, found: &mut Datagram) -> Result<Ip, Walk> {
    let Some(head) = frame.u32(0) else { return Err(Walk::Other) };
    let Some(fragment) = frame.u16(6) else { return Err(Walk::Other) };
    let Some(protocol) = frame.u8(9) else { return Err(Walk::Other) };
    let Some(src) = frame.u32(12) else { return Err(Walk::Other) };
    let header = (head >> 24 & 15) << 2;
    let total = head & 0xffff;
    if head >> 28 != 4 || header < 20 || total < header {
        return Err(Walk::Other);
    }
    let Some(dst) = frame.u32(16) else { return Err(Walk::Other) };
    found.dst = Addr::v4(dst);
    if fragment & 0x1fff != 0 {
        return Err(Walk::LaterFragment);
    }
    frame.skip(header as usize);
    found.src = Addr::v4(src);
    found.first_fragment = fragment & 0x2000 != 0;
    Ok(Ip { protocol, len: total - header })
}

#[inline(always)]
fn ipv6<F: Frame, const DEEP: bool>(frame: &mut F, found: &mut Datagram) -> Result<Ip, Walk> {
    let Some(head) = frame.u8(0) else { return Err(Walk::Other) };
    let Some(payload) = frame.u16(4) else { return Err(Walk::Other) };
    let Some(next) = frame.u8(6) else { return Err(Walk::Other) };
    let Some(src_hi) = frame.u64(8) else { return Err(Walk::Other) };
    let Some(src_lo) = frame.u64(16) else { return Err(Walk::Other) };
    let Some(dst_hi) = frame.u64(24) else { return Err(Walk::Other) };
    let Some(dst_lo) = frame.u64(32) else { return Err(Walk::Other) };
    if head >> 4 != 6 {
        return Err(Walk::Other);
    }
    frame.skip(40);
    found.src = Addr { hi: src_hi, lo: src_lo };
    found.dst = Addr { hi: dst_hi, lo: dst_lo };
    found.first_fragment = false;
    let mut ip = Ip { protocol: next, len: payload as u32 };
    let mut i = 0u32;
    while i < EXTENSIONS {
        match ip.protocol {
            IP_HOP_BY_HOP | IP_ROUTING | IP_DESTINATION | IP_FRAGMENT if !DEEP => return Err(Walk::Deep),
            IP_HOP_BY_HOP | IP_ROUTING | IP_DESTINATION => {
                let Some(next) = frame.u8(0) else { return Err(Walk::Other) };
                let Some(words) = frame.u8(1) else { return Err(Walk::Other) };
                let octets = (words as u32 + 1) << 3;
                if octets > ip.len {
                    return Err(Walk::Other);
                }
                ip.protocol = next;
                ip.len -= octets;
                // One header is at most 2,048 octets long; the cursor moves by less than that at once.
                frame.skip((octets - 8) as usize);
                frame.skip(8);
            }
            IP_FRAGMENT => {
                let Some(next) = frame.u8(0) else { return Err(Walk::Other) };
                let Some(offset) = frame.u16(2) else { return Err(Walk::Other) };
                if offset & 0xfff8 != 0 {
                    return Err(Walk::LaterFragment);
                }
                if ip.len < 8 {
                    return Err(Walk::Other);
                }
                ip.protocol = next;
                ip.len -= 8;
                // An atomic fragment (RFC 6946) is whole.
                found.first_fragment |= offset & 1 != 0;
                frame.skip(8);
            }
            _ => return Ok(ip),
        }
        let next = ip.protocol as u64 | (ip.len as u64) << 8 | (found.first_fragment as u64) << 32;
        let next = frame.opaque(next);
        ip.protocol = next as u8;
        ip.len = (next >> 8) as u32 & 0xff_ffff;
        found.first_fragment = next >> 32 != 0;
        i = frame.rolled(i + 1);
    }
    match ip.protocol {
        IP_HOP_BY_HOP | IP_ROUTING | IP_DESTINATION | IP_FRAGMENT => Err(Walk::Unparsed),
        _ => Ok(ip),
    }
}

/// RFC 2784 and 2890: flags say which of checksum, key and sequence number follow. Returns the inner EtherType.
#[inline(always)]
fn gre<F: Frame>(frame: &mut F) -> Option<u16> {
    let flags = frame.u16(0)?;
    let ether = frame.u16(2)?;
    if flags & 0x4fff != 0 {
        return None;
    }
    let mut octets = 4;
    if flags & 0x8000 != 0 {
        octets += 4;
    }
    if flags & 0x2000 != 0 {
        octets += 4;
    }
    if flags & 0x1000 != 0 {
        octets += 4;
    }
    frame.skip(octets);
    Some(ether)
}

#[inline(always)]
fn udp<F: Frame>(frame: &mut F, octets: u32, found: &mut Datagram) -> Walk {
    let Some(ports) = frame.u32(0) else { return Walk::Other };
    let Some(length) = frame.u16(4) else { return Walk::Other };
    if octets < 8 {
        return Walk::Other;
    }
    let length = length as u32;
    // RFC 768: the length covers the header. A first fragment holds less than it says.
    if length < 8 || (length > octets && !found.first_fragment) {
        return Walk::Other;
    }
    let whole = if length < octets { length } else { octets };
    frame.skip(8);
    if ports & 0xffff == VXLAN as u32 {
        return Walk::Unparsed;
    }
    found.tcp = false;
    found.syn = false;
    datagram(frame, ports, whole - 8, found)
}

#[inline(always)]
fn tcp<F: Frame>(frame: &mut F, octets: u32, found: &mut Datagram) -> Walk {
    const SYN: u16 = 0x02;
    const ACK: u16 = 0x10;
    let Some(ports) = frame.u32(0) else { return Walk::Other };
    // RFC 9293 section 3.1: data offset in the upper four bits, control bits in the lower eight.
    let Some(control) = frame.u16(12) else { return Walk::Other };
    let header = (control as u32 >> 12) << 2;
    if header < 20 || header > octets {
        return Walk::Other;
    }
    frame.skip(header as usize);
    found.tcp = true;
    found.syn = control & (SYN | ACK) == SYN;
    datagram(frame, ports, octets - header, found)
}

/// The payload of `len` octets behind the cursor; `ports` are source and destination, as they stand in either header.
#[inline(always)]
fn datagram<F: Frame>(frame: &F, ports: u32, len: u32, found: &mut Datagram) -> Walk {
    found.sport = (ports >> 16) as u16;
    found.dport = ports as u16;
    found.at = frame.offset();
    found.len = len;
    Walk::Datagram
}

/// A frame in memory.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    frame: &'a [u8],
    at: usize,
}

impl<'a> Slice<'a> {
    /// A cursor at the start of `frame`, of which no more than [`HEADERS`] octets are read.
    pub fn new(frame: &'a [u8]) -> Self {
        Self { frame: frame.get(..HEADERS).unwrap_or(frame), at: 0 }
    }

    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let start = self.at.checked_add(at)?;
        self.frame.get(start..start.checked_add(N)?)?.try_into().ok()
    }
}

impl Frame for Slice<'_> {
    fn u8(&self, at: usize) -> Option<u8> {
        self.array::<1>(at).map(|[a]| a)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn u64(&self, at: usize) -> Option<u64> {
        self.array(at).map(u64::from_be_bytes)
    }

    fn skip(&mut self, octets: usize) {
        self.at += octets;
    }

    fn offset(&self) -> u32 {
        self.at as u32
    }
}
