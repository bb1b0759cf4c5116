//! Ending a TCP connection from the middle: the refused segment becomes a reset (RFC 9293 section 3.5.2), towards the
//! server the first time, and towards the client when it sends again, as every TCP does.
//!
//! A segment that is dropped instead would be sent again and again, and stall every call on its connection. The payload
//! stays in the frame behind the IP length, as padding that nobody reads, so that no frame changes its size.

use crate::{limit::CellKey, limit::RESET_CELL, wire::Datagram};

/// The head of a frame, up to the end of its TCP header without options.
pub trait Head {
    /// The octet at `at`.
    fn octet(&self, at: u32) -> u8;
    /// Sets the octet at `at`.
    fn set(&mut self, at: u32, octet: u8);
    /// A loop's counter, which the compiler shall not unroll, where that matters.
    fn rolled(&self, counter: u32) -> u32;
}

/// Where a reset goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On to the server, in the place of the segment.
    On,
    /// Back to the client.
    Back,
}

/// How long a connection that was reset towards its server is reset towards its client, nanoseconds: longer than a TCP
/// waits before it sends again (RFC 6298 section 2).
pub const REMEMBERED: u64 = 64_000_000_000;

/// Octets of a TCP header without options.
pub const TCP: u32 = 20;

const ACK: u16 = 0x10;
const RST: u16 = 0x04;
const IPV6: u32 = 40;

/// The cell under which a connection is remembered.
#[inline(always)]
pub fn cell<H: Head>(head: &H, datagram: &Datagram) -> CellKey {
    let (at, octets) = addresses(head, datagram);
    let mut hash = 0xcbf2_9ce4_8422_2325;
    hash = fnv(head, at, octets, hash);
    hash = fnv(head, datagram.transport_at as u32, 4, hash);
    CellKey { limit: RESET_CELL, kind: 0, value: hash }
}

/// Where a reset goes: `first` says that the connection was not reset a moment ago. Who asks for a connection has none
/// yet, and out of a tunnel no way leads back.
pub const fn way(datagram: &Datagram, first: bool) -> Way {
    if (datagram.syn || !first) && !datagram.tunnelled { Way::Back } else { Way::On }
}

/// Makes a reset of the segment.
#[inline(always)]
pub fn rewrite<H: Head>(head: &mut H, datagram: &Datagram, way: Way) {
    let (ip, tcp) = (datagram.ip_at as u32, datagram.transport_at as u32);
    let six = head.octet(ip) >> 4 == 6;
    let (addresses, octets) = addresses(head, datagram);
    let sequence = get(head, tcp + 4) << 16 | get(head, tcp + 6);
    let acknowledged = get(head, tcp + 8) << 16 | get(head, tcp + 10);
    let has_ack = get(head, tcp + 12) as u16 & ACK != 0;
    let (sequence, acknowledged, flags) = match way {
        Way::On => (sequence, acknowledged, if has_ack { RST | ACK } else { RST }),
        Way::Back if has_ack => (acknowledged, 0, RST),
        Way::Back => (0, sequence.wrapping_add(datagram.len).wrapping_add(datagram.syn as u32), RST | ACK),
    };
    if matches!(way, Way::Back) {
        swap(head, 0, 6);
        swap(head, addresses, octets / 2);
        swap(head, tcp, 2);
        head.set(ip + if six { 7 } else { 8 }, 64);
    }
    for (at, value) in [
        (4, sequence >> 16),
        (6, sequence & 0xffff),
        (8, acknowledged >> 16),
        (10, acknowledged & 0xffff),
        (12, (TCP << 10) | flags as u32),
        (14, 0),
        (16, 0),
        (18, 0),
    ] {
        put(head, tcp + at, value);
    }
    let pseudo = 6 + TCP;
    let checksum = fold(sum(head, addresses, octets, sum(head, tcp, TCP, pseudo)));
    put(head, tcp + 16, checksum);
    if six {
        put(head, ip + 4, tcp - ip - IPV6 + TCP);
    } else {
        put(head, ip + 2, tcp - ip + TCP);
        put(head, ip + 10, 0);
        let checksum = fold(sum(head, ip, (tcp - ip) & 0x3c, 0));
        put(head, ip + 10, checksum);
    }
}

/// Where the addresses of the IP header stand, and how many octets they take.
#[inline(always)]
fn addresses<H: Head>(head: &H, datagram: &Datagram) -> (u32, u32) {
    let ip = datagram.ip_at as u32;
    if head.octet(ip) >> 4 == 6 { (ip + 8, 32) } else { (ip + 12, 8) }
}

#[inline(always)]
fn get<H: Head>(head: &H, at: u32) -> u32 {
    (head.octet(at) as u32) << 8 | head.octet(at + 1) as u32
}

#[inline(always)]
fn put<H: Head>(head: &mut H, at: u32, value: u32) {
    head.set(at, (value >> 8) as u8);
    head.set(at + 1, value as u8);
}

/// Exchanges two fields of `octets`, one behind the other.
#[inline(always)]
fn swap<H: Head>(head: &mut H, at: u32, octets: u32) {
    let mut i = 0u32;
    while i < 16 {
        if i >= octets {
            break;
        }
        let (left, right) = (head.octet(at + i), head.octet(at + octets + i));
        head.set(at + i, right);
        head.set(at + octets + i, left);
        i = head.rolled(i + 1);
    }
}

/// Adds `octets`, an even number, as words of sixteen bits (RFC 1071).
#[inline(always)]
fn sum<H: Head>(head: &H, at: u32, octets: u32, mut sum: u32) -> u32 {
    let mut i = 0u32;
    while i < 60 {
        if i >= octets {
            break;
        }
        sum = sum.wrapping_add(get(head, at + i));
        i = head.rolled(i + 2);
    }
    sum
}

#[inline(always)]
const fn fold(sum: u32) -> u32 {
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) & 0xffff
}

/// FNV-1a.
#[inline(always)]
fn fnv<H: Head>(head: &H, at: u32, octets: u32, mut hash: u64) -> u64 {
    let mut i = 0u32;
    while i < 32 {
        if i >= octets {
            break;
        }
        hash = (hash ^ head.octet(at + i) as u64).wrapping_mul(0x0100_0000_01b3);
        i = head.rolled(i + 1);
    }
    hash
}
