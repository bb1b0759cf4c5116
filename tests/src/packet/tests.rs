//! Frames are read back by etherparse, which knows nothing of the builder.

use etherparse::{NetSlice, SlicedPacket, TransportSlice, defrag::IpDefragPool};

use super::*;

const A4: ([u8; 4], u16) = ([192, 0, 2, 10], 5060);
const B4: ([u8; 4], u16) = ([198, 51, 100, 10], 5060);
const A6: (Ipv6Addr, u16) = (Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x10), 5060);
const B6: (Ipv6Addr, u16) = (Ipv6Addr::new(0x2001, 0xdb8, 3, 0, 0, 0, 0, 0x10), 5060);
const PAYLOAD: &[u8] = b"INVITE sip:201@h SIP/2.0\r\n\r\n";

/// What etherparse, which knows nothing of this module, finds as UDP payload, checksum verified.
fn payload_of(packet: &SlicedPacket<'_>) -> Vec<u8> {
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("no UDP: {packet:?}") };
    let sum = match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            udp.to_header().calc_checksum_ipv4_raw(ip.header().source(), ip.header().destination(), udp.payload())
        }
        NetSlice::Ipv6(ip) => {
            udp.to_header().calc_checksum_ipv6_raw(ip.header().source(), ip.header().destination(), udp.payload())
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(sum.unwrap(), udp.checksum());
    udp.payload().to_vec()
}

#[test]
fn plain_tagged_and_optioned_frames_are_read_back() {
    let frames = [
        Frame::udp(A4, B4, PAYLOAD),
        Frame::udp(A6, B6, PAYLOAD),
        Frame::udp(A4, B4, PAYLOAD).vlan(TPID_8021Q, 7),
        Frame::udp(A4, B4, PAYLOAD).vlan(TPID_8021AD, 7).vlan(TPID_8021Q, 8),
        Frame::udp(A6, B6, PAYLOAD).vlan(TPID_8021AD, 7).vlan(TPID_8021Q, 8).vlan(TPID_8021Q, 9),
        Frame::udp(A4, B4, PAYLOAD).ipv4_options([1; 40]),
        Frame::udp(A6, B6, PAYLOAD).extension(Extension::HopByHop(6)).extension(Extension::DestinationOptions(22)),
        Frame::udp(A6, B6, PAYLOAD).extension(Extension::Routing(14)).extension(Extension::AtomicFragment(9)),
    ];
    for frame in frames {
        let octets = frame.build().unwrap();
        assert_eq!(payload_of(&SlicedPacket::from_ethernet(&octets).unwrap()), PAYLOAD, "{frame:?}");
    }
}

#[test]
fn a_tcp_segment_is_read_back() {
    let flags = TcpFlags { ack: true, psh: true, ..TcpFlags::default() };
    let octets = Frame::tcp(A4, B4, (7, 9), flags, PAYLOAD).build().unwrap();
    let packet = SlicedPacket::from_ethernet(&octets).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("no TCP") };
    assert_eq!((tcp.sequence_number(), tcp.acknowledgment_number(), tcp.payload()), (7, 9, PAYLOAD));
    assert!(tcp.ack() && tcp.psh() && !tcp.syn() && !tcp.fin() && !tcp.rst());
    assert_eq!(tcp.calc_checksum_ipv4(A4.0, B4.0).unwrap(), tcp.checksum());
}

#[test]
fn pppoe_and_tunnels_hold_the_packet_at_the_right_place() {
    let inner = Frame::udp(A4, B4, PAYLOAD);
    let plain = inner.build().unwrap();
    let pppoe = inner.clone().pppoe().build().unwrap();
    assert_eq!(&pppoe[12..22], [0x88, 0x64, 0x11, 0, 0, 1, 0, plain.len() as u8 - 14 + 2, 0, 0x21]);
    assert_eq!(pppoe[22..], plain[14..]);
    assert_eq!(&Frame::udp(A6, B6, PAYLOAD).pppoe().build().unwrap()[20..22], [0, 0x57]);
    let tunnelled = inner.tunnel(A6.0, B6.0).build().unwrap();
    let outer = SlicedPacket::from_ethernet(&tunnelled).unwrap();
    let Some(NetSlice::Ipv6(outer)) = outer.net else { panic!("no IPv6 outside") };
    assert_eq!(outer.header().next_header(), IpNumber::IPV4);
    assert_eq!(outer.payload().payload, &plain[14..]);
}

#[test]
fn fragments_make_the_packet_again() {
    let long: Vec<u8> = PAYLOAD.iter().copied().cycle().take(300).collect();
    for frame in [Frame::udp(A4, B4, long.clone()), Frame::udp(A6, B6, long.clone())] {
        for size in [8, 16, 128, 512] {
            let fragments = frame.fragments(size).unwrap();
            assert_eq!(fragments.len(), 308_usize.div_ceil(size));
            let mut pool = IpDefragPool::<(), ()>::new();
            let whole: Vec<_> = fragments
                .iter()
                .filter_map(|f| pool.process_sliced_packet(&SlicedPacket::from_ethernet(f).unwrap(), (), ()).unwrap())
                .collect();
            if size < 308 {
                assert_eq!(whole.len(), 1);
                assert_eq!(whole[0].payload[8..], long);
            }
        }
        assert!(frame.fragments(0).is_err());
        assert!(frame.fragments(12).is_err());
    }
}

#[test]
fn what_cannot_be_built_is_refused() {
    assert!(Frame::udp(A4, B6, PAYLOAD).build().is_err());
    assert!(Frame::udp(A4, B4, vec![0; 70_000]).build().is_err());
    assert!(Frame::udp(A4, B4, PAYLOAD).ipv4_options([1; 3]).build().is_err());
    assert!(Frame::udp(A4, B4, PAYLOAD).ipv4_options([1; 44]).build().is_err());
    assert!(Frame::udp(A4, B4, PAYLOAD).extension(Extension::HopByHop(6)).build().is_err());
    assert!(Frame::udp(A6, B6, PAYLOAD).extension(Extension::HopByHop(5)).build().is_err());
    assert!(Frame::udp(A6, B6, PAYLOAD).ipv4_options([1; 4]).build().is_err());
}

#[test]
fn another_protocol_carries_its_payload_bare() {
    let octets = Frame::ip(IpAddr::from(A4.0), IpAddr::from(B4.0), 47, *b"GRE").build().unwrap();
    let packet = SlicedPacket::from_ethernet(&octets).unwrap();
    let payload = packet.ip_payload().unwrap();
    assert_eq!((payload.ip_number, payload.payload), (IpNumber(47), &b"GRE"[..]));
}
