//! The head of a refused request, and the answer made of it. The first octet chooses family and VLAN, the next two the octets
//! that an answer may have.

use std::net::IpAddr;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use gateway_common::{answer::Refused, judged::Judged};
use gateway_user::answer::{Answerer, STATUS};

const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const PORTS: [u16; 2] = [5070, 5060];

pub(crate) fn run(input: &[u8]) {
    let [form, high, low, head @ ..] = input else { return };
    if head.len() > 2048 {
        return;
    }
    let v6 = form & 1 != 0;
    let mut frame = MACS.concat();
    if form & 2 != 0 {
        frame.extend([0x81, 0, 0, 10]);
    }
    frame.extend(if v6 { [0x86, 0xdd] } else { [8, 0] });
    let link = frame.len();
    let (six, four) = ([[0x20; 16], [0x21; 16]], [[192, 0, 2, 20], [198, 51, 100, 10]]);
    let builder = if v6 { PacketBuilder::ipv6(six[0], six[1], 64) } else { PacketBuilder::ipv4(four[0], four[1], 64) };
    let written = builder.udp(PORTS[0], PORTS[1]).write(&mut frame, head);
    assert!(written.is_ok(), "a frame cannot be built: {written:?}");
    let octets = if v6 { 40 } else { 20 };
    let refused = Refused {
        judged: Judged::NOTHING,
        ip_at: link as u16,
        transport_at: (link + octets) as u16,
        at: (link + octets + 8) as u16,
        payload: u16::from_be_bytes([*high, *low]),
    };
    let answerer = Answerer::default();
    let (status, _) = STATUS[usize::from(form >> 2) % STATUS.len()];
    let Some(answer) = answerer.answer(&refused, &frame, status, Some(u64::from(*low))) else { return };
    assert_eq!(answerer.answer(&refused, &frame, status, Some(u64::from(*low))), Some(answer.clone()), "sent again");
    assert_eq!(answer.get(..link), Some(&[&MACS[1], &MACS[0], &frame[12..link]].concat()[..]), "another way back");
    let sliced = SlicedPacket::from_ip(answer.get(link..).unwrap_or_default());
    let Ok(SlicedPacket { net: Some(net), transport: Some(TransportSlice::Udp(udp)), .. }) = sliced else {
        panic!("no datagram: {sliced:?}")
    };
    let from_to: [IpAddr; 2] = match net {
        NetSlice::Ipv4(ip) => [ip.header().source_addr().into(), ip.header().destination_addr().into()],
        NetSlice::Ipv6(ip) => [ip.header().source_addr().into(), ip.header().destination_addr().into()],
        NetSlice::Arp(_) => panic!("no IP"),
    };
    let expected: [IpAddr; 2] = if v6 { [six[1].into(), six[0].into()] } else { [four[1].into(), four[0].into()] };
    assert_eq!((from_to, udp.source_port()), (expected, PORTS[1]), "another sender or receiver");
    message(udp.payload(), usize::from(refused.payload), status);
}

/// A response as RFC 3261 section 8.2.6 wants it, in so many octets at most.
fn message(text: &[u8], most: usize, status: u16) {
    let shown = text.escape_ascii();
    assert!(text.len() <= most, "{} octets where {most} came: {shown}", text.len());
    let lines: Vec<&[u8]> = text.split(|&octet| octet == b'\n').collect();
    assert!(lines.iter().rev().skip(1).all(|line| line.ends_with(b"\r")), "a line feed by itself: {shown}");
    assert_eq!(lines.iter().position(|line| line == b"\r"), lines.len().checked_sub(2), "the blank line: {shown}");
    assert!(text.starts_with(format!("SIP/2.0 {status} ").as_bytes()), "{shown}");
    let count = |name: &[u8]| lines.iter().filter(|line| line.starts_with(name)).count();
    assert!(count(b"Via: ") > 0, "no way back: {shown}");
    for name in [&b"From: "[..], b"To: ", b"Call-ID: ", b"CSeq: ", b"Content-Length: 0\r"] {
        assert_eq!(count(name), 1, "{}: {shown}", name.escape_ascii());
    }
}
