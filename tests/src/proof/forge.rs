//! Forged requests: each of a source and with a Call-ID that appear once, written into a template and sent as a frame.
//!
//! From user space and one by one: the generator of the measurements sends thousands in a row, and between its runs honest
//! requests would find what has grown in a bucket meanwhile.

use std::{
    io,
    net::Ipv4Addr,
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socket_with};

use crate::{
    netns::Namespace,
    network::{Network, SIP_PORT},
    packet::Frame,
};

/// Sources of one template: as many as appear once each.
const SOURCES: u32 = 1 << 22;
/// What the letters of a Call-ID take the place of.
const CALL_ID: &str = "aaaaaaaa";
/// Behind the Ethernet header: the checksum and the source of the IPv4 header, and the checksum of the UDP header.
const SUM: usize = 14 + 10;
const SOURCE: usize = 14 + 12;
const UDP_SUM: usize = 14 + 20 + 6;

/// A packet socket that sends frames by one interface, and takes none.
#[derive(Debug)]
pub(super) struct Wire(OwnedFd);

impl Wire {
    /// Opens it for an interface of a namespace.
    pub(super) fn open(namespace: &Namespace, interface: u32) -> Result<Self> {
        namespace.run(|| {
            let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
                .context("cannot open a packet socket: run as root (CAP_NET_RAW)")?;
            bind(&socket, interface).context("cannot bind a packet socket to the interface")?;
            Ok(Self(socket))
        })
    }

    /// Sends a frame.
    pub(super) fn send(&self, frame: &[u8]) -> Result<()> {
        send(&self.0, frame, SendFlags::empty()).context("cannot send a forged frame")?;
        Ok(())
    }
}

#[expect(unsafe_code, reason = "no safe wrapper knows the address of a packet socket")]
fn bind(socket: &OwnedFd, interface: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: interface as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the kernel reads the address in this length, and it outlives the call.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A request to the PBX, to be sent again and again as somebody else's.
#[derive(Debug)]
pub(super) struct Template {
    frame: Vec<u8>,
    first: u32,
    call_ids: Vec<usize>,
    sum_of_rest: u32,
    made: u32,
}

impl Template {
    /// A request of this method for this user; its sources begin at `first`.
    pub(super) fn new(method: &str, user: &str, first: Ipv4Addr) -> Result<Self> {
        let pbx = Network::PBX;
        let message = format!(
            "{method} sip:{user}@{pbx} SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.8.7:5060;branch=z9hG4bK{CALL_ID}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{pbx}>;tag={CALL_ID}\r\nTo: <sip:{user}@{pbx}>\r\nCall-ID: {CALL_ID}@10.9.8.7\r\n\
             CSeq: 1 {method}\r\nContact: <sip:{user}@10.9.8.7>\r\nContent-Length: 0\r\n\r\n"
        );
        let frame = Frame::udp((first, SIP_PORT), Network::pbx_sip(), message);
        let mut frame = frame.macs([2, 0, 0, 0, 2, 0x10], [2, 0, 0, 0, 2, 1]).build()?;
        // None: it would have to follow every change.
        frame.get_mut(UDP_SUM..UDP_SUM + 2).context("the UDP header is cut off")?.fill(0);
        let header = frame.get(14..34).context("the IPv4 header is cut off")?;
        let words = header.chunks(2).enumerate().filter(|(word, _)| !(5..=7).contains(word));
        let sum_of_rest = words.map(|(_, octets)| u32::from(octets[0]) << 8 | u32::from(octets[1])).sum();
        let here = frame.windows(CALL_ID.len()).enumerate().filter(|(_, octets)| *octets == CALL_ID.as_bytes());
        let call_ids = here.map(|(at, _)| at).collect();
        Ok(Self { frame, first: first.to_bits(), call_ids, sum_of_rest, made: 0 })
    }

    /// The next one: another source, another call.
    pub(super) fn next(&mut self) -> &[u8] {
        // An odd factor walks through all sources before it meets one again.
        let source = self.first + self.made.wrapping_mul(0x9e37_79b1) % SOURCES;
        let sum = self.sum_of_rest + (source >> 16) + (source & 0xffff);
        let sum = (sum & 0xffff) + (sum >> 16);
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        let mut put = |at: usize, octets: &[u8]| {
            if let Some(place) = self.frame.get_mut(at..at + octets.len()) {
                place.copy_from_slice(octets);
            }
        };
        put(SOURCE, &source.to_be_bytes());
        put(SUM, &sum.to_be_bytes());
        let letters: [u8; 8] = std::array::from_fn(|place| b'a' + (self.made >> (4 * place) & 15) as u8);
        for &at in &self.call_ids {
            put(at, &letters);
        }
        self.made = self.made.wrapping_add(1);
        &self.frame
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use etherparse::{NetSlice, SlicedPacket};

    use super::*;

    #[test]
    fn no_source_and_no_call_is_forged_twice() {
        let mut template = Template::new("INVITE", "201", Ipv4Addr::new(10, 64, 0, 0)).unwrap();
        assert_eq!(template.call_ids.len(), 3);
        let (mut sources, mut messages) = (HashSet::new(), HashSet::new());
        for _ in 0..10_000 {
            let frame = template.next();
            let sliced = SlicedPacket::from_ethernet(frame).unwrap();
            let Some(NetSlice::Ipv4(ip)) = sliced.net else { panic!("no IPv4") };
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            assert_eq!(header.source[0], 10);
            assert!(header.source[1] >= 64 && header.source[1] < 128);
            sources.insert(header.source);
            messages.insert(frame[42..].to_vec());
        }
        assert_eq!((sources.len(), messages.len()), (10_000, 10_000));
    }
}
