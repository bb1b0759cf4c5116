//! Frames around a payload: every encapsulation that the walk reads, with one source inside.

use gateway_common::judge::Side;

/// The circumstances of a message, as one octet says them: side (1 bit), source (2), first fragment (1), wrapper (4).
#[derive(Clone, Copy)]
pub(crate) struct Envelope(pub(crate) u8);

/// Unknown, in the profile `lobby`, blocked by an order, a trunk.
const SOURCES: [[u8; 4]; 4] = [[192, 0, 2, 66], [192, 0, 2, 5], [198, 51, 100, 9], [203, 0, 113, 10]];
const SERVER: [u8; 4] = [192, 0, 2, 1];
const SIP: [u8; 2] = 5060u16.to_be_bytes();

/// What stands behind a datagram, and may not be read.
const BEHIND: &[u8] = b"\r\nRoute: <sip:119@behind>\r\n";

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const PPPOE: u16 = 0x8864;

const IPIP: u8 = 4;
const UDP: u8 = 17;
const GRE: u8 = 47;
const DESTINATION: u8 = 60;

impl Envelope {
    pub(crate) const fn side(self) -> Side {
        if self.0 & 1 == 0 { Side::Wan } else { Side::Lan }
    }

    pub(crate) const fn source(self) -> [u8; 4] {
        SOURCES[(self.0 >> 1 & 3) as usize]
    }

    pub(crate) const fn first_fragment(self) -> bool {
        self.0 & 8 != 0
    }

    /// The payload in UDP, IPv4 and Ethernet.
    pub(crate) fn plain(self, payload: &[u8]) -> Vec<u8> {
        let mut frame = ethernet(IPV4);
        self.datagram(&mut frame, &[], payload, &[]);
        frame
    }

    /// The same datagram in the wrapper, and octets behind its end.
    pub(crate) fn wrapped(self, payload: &[u8]) -> Vec<u8> {
        let length = 28 + payload.len();
        let mut frame;
        match self.0 >> 4 {
            0 => frame = ethernet(IPV4),
            1 => {
                frame = ethernet(IPV4);
                self.datagram(&mut frame, &[], payload, BEHIND);
                return frame;
            }
            2 => {
                frame = ethernet(VLAN);
                tag(&mut frame, IPV4);
            }
            3 => {
                frame = ethernet(QINQ);
                tag(&mut frame, VLAN);
                tag(&mut frame, IPV4);
            }
            4 => {
                frame = ethernet(PPPOE);
                pppoe(&mut frame, length);
            }
            5 => {
                frame = ethernet(VLAN);
                tag(&mut frame, PPPOE);
                pppoe(&mut frame, length);
            }
            6 | 7 => {
                frame = ethernet(IPV4);
                let options = [7, 7, 4, 0, 0, 0, 0, 1, 1, 1, 1, 0];
                self.datagram(&mut frame, &options, payload, &[]);
                frame.extend_from_slice(BEHIND);
                return frame;
            }
            8 | 9 => {
                frame = ethernet(IPV4);
                ipv4(&mut frame, [10, 0, 0, 1], IPIP, length, 0, &[]);
            }
            10 => {
                frame = ethernet(IPV4);
                ipv4(&mut frame, [10, 0, 0, 1], GRE, 4 + length, 0, &[]);
                frame.extend_from_slice(&[0, 0, 8, 0]);
            }
            11 => {
                frame = ethernet(IPV4);
                ipv4(&mut frame, [10, 0, 0, 1], GRE, 16 + length, 0, &[]);
                frame.extend_from_slice(&[0xb0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
            }
            12 | 13 => {
                frame = ethernet(IPV6);
                ipv6(&mut frame, IPIP, length);
            }
            _ => {
                frame = ethernet(IPV6);
                ipv6(&mut frame, DESTINATION, 16 + length);
                frame.extend_from_slice(&[IPIP, 1, 1, 4, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0]);
            }
        }
        self.datagram(&mut frame, &[], payload, &[]);
        frame.extend_from_slice(BEHIND);
        frame
    }

    /// IPv4 and UDP; `rest` stands behind the datagram by the length of UDP, and in the packet by that of IP.
    fn datagram(self, frame: &mut Vec<u8>, options: &[u8], payload: &[u8], rest: &[u8]) {
        let length = 8 + payload.len();
        let more = if self.first_fragment() { 0x2000 } else { 0 };
        ipv4(frame, self.source(), UDP, length + rest.len(), more, options);
        frame.extend_from_slice(&SIP);
        frame.extend_from_slice(&SIP);
        frame.extend_from_slice(&be(length));
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(payload);
        frame.extend_from_slice(rest);
    }
}

fn be(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn ethernet(kind: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend_from_slice(&kind.to_be_bytes());
    frame
}

fn tag(frame: &mut Vec<u8>, kind: u16) {
    frame.extend_from_slice(&[0, 42]);
    frame.extend_from_slice(&kind.to_be_bytes());
}

fn pppoe(frame: &mut Vec<u8>, length: usize) {
    frame.extend_from_slice(&[0x11, 0, 0, 1]);
    frame.extend_from_slice(&be(2 + length));
    frame.extend_from_slice(&[0, 0x21]);
}

fn ipv4(frame: &mut Vec<u8>, source: [u8; 4], protocol: u8, length: usize, fragment: u16, options: &[u8]) {
    let header = 20 + options.len();
    frame.extend_from_slice(&[0x40 | (header / 4) as u8, 0]);
    frame.extend_from_slice(&be(header + length));
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&fragment.to_be_bytes());
    frame.extend_from_slice(&[64, protocol, 0, 0]);
    frame.extend_from_slice(&source);
    frame.extend_from_slice(&SERVER);
    frame.extend_from_slice(options);
}

fn ipv6(frame: &mut Vec<u8>, next: u8, length: usize) {
    frame.extend_from_slice(&[0x60, 0, 0, 0]);
    frame.extend_from_slice(&be(length));
    frame.extend_from_slice(&[next, 64]);
    frame.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend_from_slice(&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
}
