//! The reset that takes a refused segment's place, as a TCP would read it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

use etherparse::{
    IpHeaders, IpNumber, Ipv4Header, Ipv6Header, NetSlice, PacketBuilder, SlicedPacket, TcpHeader, TcpSlice,
    TransportSlice,
};
use gateway_common::{
    reset::{self, Head, Way},
    wire::{self, Datagram, Walk},
};

const CLIENT: [u8; 4] = [192, 0, 2, 66];
const SERVER: [u8; 4] = [198, 51, 100, 10];
const CLIENT_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x66];
const SERVER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10];
const MACS: ([u8; 6], [u8; 6]) = ([2, 0, 0, 0, 0, 0x66], [2, 0, 0, 0, 0, 1]);
const PAYLOAD: &[u8] = b"INVITE sip:+23276123456@gw.example.net SIP/2.0\r\n\r\n";
const SEQUENCE: u32 = 0xffff_fff0;
const ACKNOWLEDGED: u32 = 0x8000_0001;

struct Frame(Vec<u8>);

impl Head for Frame {
    fn octet(&self, at: u32) -> u8 {
        self.0[at as usize]
    }

    fn set(&mut self, at: u32, octet: u8) {
        self.0[at as usize] = octet;
    }

    fn rolled(&self, counter: u32) -> u32 {
        counter
    }
}

/// A segment with options, behind an IP header that is made around it.
fn tcp(change: impl Fn(&mut TcpHeader)) -> TcpHeader {
    let mut tcp = TcpHeader::new(40_000, 5060, SEQUENCE, 64_240);
    tcp.set_options_raw(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
    (tcp.ack, tcp.psh, tcp.urgent_pointer, tcp.acknowledgment_number) = (true, true, 7, ACKNOWLEDGED);
    change(&mut tcp);
    tcp
}

fn v4(options: &[u8], tcp: &TcpHeader, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(tcp.header_len() + payload.len()).unwrap();
    let mut ip = Ipv4Header::new(length, 3, IpNumber::TCP, CLIENT, SERVER).unwrap();
    ip.options = options.try_into().unwrap();
    ip.set_payload_len(usize::from(length)).unwrap();
    ip.header_checksum = ip.calc_header_checksum();
    [&ip.to_bytes()[..], &tcp.to_bytes(), payload].concat()
}

fn v6(extensions: &[u8], tcp: &TcpHeader, payload: &[u8]) -> Vec<u8> {
    let length = extensions.len() + tcp.header_len() + payload.len();
    let next = if extensions.is_empty() { IpNumber::TCP } else { IpNumber::IPV6_DESTINATION_OPTIONS };
    let ip = Ipv6Header {
        payload_length: u16::try_from(length).unwrap(),
        next_header: next,
        hop_limit: 3,
        source: CLIENT_V6,
        destination: SERVER_V6,
        ..Ipv6Header::default()
    };
    [&ip.to_bytes()[..], extensions, &tcp.to_bytes(), payload].concat()
}

/// One header of destination options, padding alone, in front of TCP.
const EXTENSION: [u8; 16] = [6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Headers below the IP packet.
fn ethernet(rest: &[u8], packet: &[u8]) -> Vec<u8> {
    [&MACS.1[..], &MACS.0, rest, packet].concat()
}

fn pppoe(protocol: u8, packet: &[u8]) -> Vec<u8> {
    let length = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
    [&[0x88, 0x64, 0x11, 0, 0, 1][..], &length, &[0, protocol]].concat()
}

fn walked(frame: &[u8]) -> Datagram {
    let mut datagram = Datagram::default();
    assert_eq!(wire::walk(&mut wire::Slice::new(frame), &mut datagram), Walk::Datagram);
    datagram
}

fn rewritten(frame: &[u8], way: Way) -> (Datagram, Vec<u8>) {
    let datagram = walked(frame);
    let mut head = Frame(frame.to_vec());
    reset::rewrite(&mut head, &datagram, way);
    assert_eq!(head.0.len(), frame.len(), "no frame changes its size");
    (datagram, head.0)
}

/// What a host reads of the packet: its TCP header without payload, all checksums right.
struct Read {
    addresses: (Vec<u8>, Vec<u8>),
    hops: u8,
    tcp: TcpHeader,
}

fn read(packet: &[u8]) -> Read {
    let sliced = SlicedPacket::from_ip(packet).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { panic!("no TCP: {sliced:?}") };
    assert_eq!((tcp.payload(), tcp.options()), (&[][..], &[][..]));
    let (addresses, hops) = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum(), "the checksum of the IP header");
            ((header.source.to_vec(), header.destination.to_vec()), header.time_to_live)
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header().to_header();
            ((header.source.to_vec(), header.destination.to_vec()), header.hop_limit)
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(tcp.checksum(), sum(packet, &tcp), "the checksum of TCP");
    Read { addresses, hops, tcp: tcp.to_header() }
}

fn sum(packet: &[u8], tcp: &TcpSlice<'_>) -> u16 {
    match IpHeaders::from_slice_lax(packet).unwrap().0 {
        IpHeaders::Ipv4(ip, _) => tcp.calc_checksum_ipv4(ip.source, ip.destination).unwrap(),
        IpHeaders::Ipv6(ip, _) => tcp.calc_checksum_ipv6(ip.source, ip.destination).unwrap(),
    }
}

/// Frames of every kind around one segment: a name, the frame, where its innermost IP header begins.
fn frames(tcp: &TcpHeader, payload: &[u8]) -> Vec<(&'static str, Vec<u8>, usize)> {
    let (four, six) = (v4(&[], tcp, payload), v6(&[], tcp, payload));
    let options = v4(&[7, 39, 4].iter().copied().chain([0; 37]).collect::<Vec<_>>(), tcp, payload);
    let outer = |next, inner: &[u8]| {
        let ip = Ipv6Header {
            payload_length: u16::try_from(inner.len()).unwrap(),
            next_header: next,
            hop_limit: 9,
            ..Ipv6Header::default()
        };
        [&ip.to_bytes()[..], inner].concat()
    };
    let tag = [0x81, 0, 0, 5];
    vec![
        ("IPv4", ethernet(&[8, 0], &four), 14),
        ("IPv4 with options", ethernet(&[8, 0], &options), 14),
        ("IPv6", ethernet(&[0x86, 0xdd], &six), 14),
        ("IPv6 with an extension header", ethernet(&[0x86, 0xdd], &v6(&EXTENSION, tcp, payload)), 14),
        ("VLAN", ethernet(&[&tag[..], &[8, 0]].concat(), &four), 18),
        ("two tags, IPv6", ethernet(&[&[0x88, 0xa8, 0, 9], &tag[..], &[0x86, 0xdd]].concat(), &six), 22),
        ("PPPoE", ethernet(&pppoe(0x21, &four), &four), 22),
        ("PPPoE, IPv6", ethernet(&pppoe(0x57, &six), &six), 22),
        ("4in6", ethernet(&[0x86, 0xdd], &outer(IpNumber::IPV4, &four)), 54),
        ("6in6", ethernet(&[0x86, 0xdd], &outer(IpNumber::IPV6, &six)), 54),
    ]
}

#[test]
fn the_server_gets_a_reset_in_the_place_of_the_segment() {
    let tcp = tcp(|_| ());
    for payload in [PAYLOAD, &PAYLOAD[..1]] {
        for (name, frame, ip) in frames(&tcp, payload) {
            let (datagram, reset) = rewritten(&frame, Way::On);
            assert_eq!((usize::from(datagram.ip_at), datagram.tunnelled), (ip, ip == 54), "{name}");
            assert_eq!(reset[..ip], frame[..ip], "{name}: nothing below IP changes");
            let (before, after) = (read_head(&frame[ip..]), read(&reset[ip..]));
            assert_eq!(after.addresses, before, "{name}");
            assert_eq!(after.hops, 3, "{name}: a router on the way has taken its hops");
            let tcp = after.tcp;
            assert_eq!((tcp.source_port, tcp.destination_port), (40_000, 5060), "{name}");
            // RFC 9293 section 3.10.7.4: a reset counts where its sequence number is the next expected one.
            assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (SEQUENCE, ACKNOWLEDGED), "{name}");
            flags(&tcp, true, name);
        }
    }
}

#[test]
fn the_client_gets_a_reset_that_it_believes() {
    let tcp = tcp(|_| ());
    for (name, frame, ip) in frames(&tcp, PAYLOAD) {
        if ip == 54 {
            continue;
        }
        let (_, reset) = rewritten(&frame, Way::Back);
        assert_eq!((&reset[..6], &reset[6..12]), (&MACS.0[..], &MACS.1[..]), "{name}: back where it came from");
        assert_eq!(reset[12..ip], frame[12..ip], "{name}: tags and sessions stay");
        let ((source, destination), after) = (read_head(&frame[ip..]), read(&reset[ip..]));
        assert_eq!(after.addresses, (destination, source), "{name}");
        assert_eq!(after.hops, 64, "{name}: it has the whole way back before it");
        let tcp = after.tcp;
        assert_eq!((tcp.source_port, tcp.destination_port), (5060, 40_000), "{name}");
        // RFC 9293 section 3.5.2: the number that the segment acknowledged.
        assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (ACKNOWLEDGED, 0), "{name}");
        flags(&tcp, false, name);
    }
}

#[test]
fn a_request_for_a_connection_is_refused_as_a_closed_port_does() {
    for data in [&[][..], PAYLOAD] {
        let syn = tcp(|tcp| (tcp.syn, tcp.ack, tcp.psh, tcp.acknowledgment_number) = (true, false, false, 0));
        for (name, frame, ip) in frames(&syn, data) {
            let datagram = walked(&frame);
            assert!(datagram.syn, "{name}");
            let way = if ip == 54 { Way::On } else { Way::Back };
            assert_eq!([true, false].map(|first| reset::way(&datagram, first)), [way; 2], "{name}");
            if ip == 54 {
                // A server that has heard of no connection throws the reset away, and nobody answers.
                let tcp = read(&rewritten(&frame, way).1[ip..]).tcp;
                assert!(tcp.rst && !tcp.ack && !tcp.syn, "{name}");
                continue;
            }
            let tcp = read(&rewritten(&frame, Way::Back).1[ip..]).tcp;
            // The sequence number wraps; a SYN takes one.
            let acknowledged = SEQUENCE.wrapping_add(1).wrapping_add(u32::try_from(data.len()).unwrap());
            assert_eq!((tcp.sequence_number, tcp.acknowledgment_number), (0, acknowledged), "{name}");
            flags(&tcp, true, name);
        }
    }
}

#[test]
fn the_server_is_told_first_and_the_client_when_it_sends_again() {
    let tcp = tcp(|_| ());
    for (name, frame, ip) in frames(&tcp, PAYLOAD) {
        let datagram = walked(&frame);
        assert_eq!(reset::way(&datagram, true), Way::On, "{name}");
        // Out of a tunnel no way leads back.
        assert_eq!(reset::way(&datagram, false), if ip == 54 { Way::On } else { Way::Back }, "{name}");
    }
}

#[test]
fn a_connection_is_known_by_addresses_and_ports_alone() {
    let key = |packet: Vec<u8>, kind: [u8; 2]| {
        let frame = ethernet(&kind, &packet);
        reset::cell(&Frame(frame.clone()), &walked(&frame))
    };
    let (one, again) = (tcp(|_| ()), tcp(|tcp| (tcp.sequence_number, tcp.psh) = (9, false)));
    let first = key(v4(&[], &one, PAYLOAD), [8, 0]);
    assert_eq!(first, key(v4(&[1, 1, 1, 0], &again, &PAYLOAD[..7]), [8, 0]));
    let other = tcp(|tcp| tcp.source_port = 40_001);
    let six = key(v6(&[], &one, PAYLOAD), [0x86, 0xdd]);
    assert_eq!(six, key(v6(&EXTENSION, &again, b""), [0x86, 0xdd]));
    let keys = [first, six, key(v4(&[], &other, PAYLOAD), [8, 0]), key(v6(&[], &other, PAYLOAD), [0x86, 0xdd])];
    for (i, key) in keys.iter().enumerate() {
        assert!(keys[..i].iter().all(|earlier| earlier != key), "{key:?}");
    }
}

#[test]
fn a_segment_without_acknowledgement_is_answered_by_what_it_sent() {
    let bare = tcp(|tcp| (tcp.ack, tcp.acknowledgment_number) = (false, 0));
    let frame = ethernet(&[8, 0], &v4(&[], &bare, PAYLOAD));
    let on = read(&rewritten(&frame, Way::On).1[14..]).tcp;
    assert_eq!((on.rst, on.ack, on.sequence_number), (true, false, SEQUENCE));
    let back = read(&rewritten(&frame, Way::Back).1[14..]).tcp;
    let end = SEQUENCE.wrapping_add(u32::try_from(PAYLOAD.len()).unwrap());
    assert_eq!((back.rst, back.ack, back.acknowledgment_number), (true, true, end));
}

#[test]
fn checksums_hold_for_any_addresses_and_numbers() {
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..2000 {
        let mut octets = [0; 20];
        for octet in &mut octets {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *octet = if seed & 0x300 == 0 { 0xff } else { seed as u8 };
        }
        let number = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(MACS.0, MACS.1)
            .ipv4(octets[..4].try_into().unwrap(), octets[4..8].try_into().unwrap(), octets[8])
            .tcp(u16::from(octets[9]), 5060, number(10), 1)
            .ack(number(14))
            .write(&mut frame, PAYLOAD)
            .unwrap();
        for way in [Way::On, Way::Back] {
            read(&rewritten(&frame, way).1[14..]);
        }
    }
}

/// Source and destination of a packet.
fn read_head(packet: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match IpHeaders::from_slice_lax(packet).unwrap().0 {
        IpHeaders::Ipv4(ip, _) => (ip.source.to_vec(), ip.destination.to_vec()),
        IpHeaders::Ipv6(ip, _) => (ip.source.to_vec(), ip.destination.to_vec()),
    }
}

fn flags(tcp: &TcpHeader, ack: bool, name: &str) {
    assert!(tcp.rst, "{name}");
    assert_eq!(tcp.ack, ack, "{name}");
    assert!(!tcp.syn && !tcp.fin && !tcp.psh && !tcp.urg, "{name}");
    assert_eq!((tcp.window_size, tcp.urgent_pointer), (0, 0), "{name}");
}
