//! Captures written here octet by octet, whole, cut off and damaged.

use std::{fs, io::Cursor, path::Path};

use super::*;

/// Byte order of a generated file.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    Little,
    Big,
}

use Order::{Big, Little};

impl Order {
    fn u16(self, n: u16) -> [u8; 2] {
        if self == Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }

    fn u32(self, n: u32) -> [u8; 4] {
        if self == Big { n.to_be_bytes() } else { n.to_le_bytes() }
    }
}

fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let mut out = order.u32(magic).to_vec();
    out.extend(order.u16(2));
    out.extend(order.u16(4));
    for word in [0, 0, 65_535, link] {
        out.extend(order.u32(word));
    }
    out
}

fn pcap_record(order: Order, seconds: u32, fraction: u32, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for word in [seconds, fraction, data.len() as u32, data.len() as u32 + 7] {
        out.extend(order.u32(word));
    }
    out.extend_from_slice(data);
    out
}

fn pcap(order: Order, magic: u32) -> Vec<u8> {
    let mut out = pcap_header(order, magic, 1);
    out.extend(pcap_record(order, 1_700_000_000, 123_456, b"first frame"));
    out.extend(pcap_record(order, 1_700_000_001, 0, b""));
    out.extend(pcap_record(order, 1_700_000_002, 999_999, &[0xee; 1_500]));
    out
}

fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let length = order.u32(12 + body.len() as u32);
    [&order.u32(kind)[..], &length, body, &length].concat()
}

fn padded(data: &[u8]) -> Vec<u8> {
    let mut out = data.to_vec();
    out.resize(data.len().next_multiple_of(4), 0);
    out
}

fn section(order: Order) -> Vec<u8> {
    let body = [&order.u32(0x1a2b_3c4d)[..], &order.u16(1), &order.u16(0), &[0xff; 8]].concat();
    block(order, 0x0a0d_0d0a, &body)
}

/// An interface, with `if_tsresol` and `if_tsoffset` where given.
fn interface(order: Order, link: u16, snaplen: u32, resolution: Option<u8>, offset: Option<u64>) -> Vec<u8> {
    let mut body = [&order.u16(link)[..], &order.u16(0), &order.u32(snaplen)].concat();
    if let Some(resolution) = resolution {
        body.extend([&order.u16(9)[..], &order.u16(1), &[resolution, 0, 0, 0]].concat());
    }
    if let Some(offset) = offset {
        body.extend([&order.u16(14)[..], &order.u16(8)].concat());
        body.extend(if order == Big { offset.to_be_bytes() } else { offset.to_le_bytes() });
    }
    if resolution.is_some() || offset.is_some() {
        body.extend([0; 4]);
    }
    block(order, 1, &body)
}

fn enhanced(order: Order, interface: u32, ticks: u64, data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for word in [interface, (ticks >> 32) as u32, ticks as u32, data.len() as u32, data.len() as u32] {
        body.extend(order.u32(word));
    }
    body.extend(padded(data));
    block(order, 6, &body)
}

fn pcapng(order: Order) -> Vec<u8> {
    let simple = [&order.u32(9)[..], &padded(b"simple 99")].concat();
    let mut old = [order.u16(1), order.u16(0)].concat();
    for word in [0, 5, 3, 3] {
        old.extend(order.u32(word));
    }
    old.extend(padded(b"old"));
    [
        section(order),
        interface(order, 1, 0, None, None),
        interface(order, 101, 0, Some(9), Some(100)),
        interface(order, 276, 0, Some(0x8a), None),
        enhanced(order, 0, 1_700_000_000_000_001, b"microseconds"),
        block(order, 4, &[0; 8]),
        enhanced(order, 1, 42, b"nanoseconds"),
        enhanced(order, 2, 3 * 1_024 + 512, b"binary"),
        block(order, 3, &simple),
        block(order, 2, &old),
    ]
    .concat()
}

fn read(octets: &[u8]) -> Result<Vec<Packet>, CaptureError> {
    Capture::new("test.pcap".to_owned(), Cursor::new(octets.to_vec()))?.collect()
}

/// The packets before the error, and the error.
fn read_until_error(octets: &[u8]) -> (usize, Option<CaptureError>) {
    match Capture::new("test.pcap".to_owned(), Cursor::new(octets.to_vec())) {
        Err(error) => (0, Some(error)),
        Ok(capture) => {
            let mut whole = 0;
            for packet in capture {
                match packet {
                    Ok(_) => whole += 1,
                    Err(error) => return (whole, Some(error)),
                }
            }
            (whole, None)
        }
    }
}

#[test]
fn pcap_in_either_order_and_resolution() {
    for order in [Little, Big] {
        for (magic, unit) in [(0xa1b2_c3d4, 1_000), (0xa1b2_3c4d, 1)] {
            let packets = read(&pcap(order, magic)).unwrap();
            assert_eq!(packets.len(), 3);
            assert_eq!(
                packets[0],
                Packet {
                    time_ns: 1_700_000_000_000_000_000 + 123_456 * unit,
                    link: LinkType::Ethernet,
                    data: b"first frame".to_vec(),
                    original_len: 18,
                }
            );
            assert_eq!(packets[1].data, b"");
            assert_eq!(packets[2].data.len(), 1_500);
        }
    }
}

#[test]
fn pcapng_with_every_kind_of_packet_block() {
    for order in [Little, Big] {
        let packets = read(&pcapng(order)).unwrap();
        let found: Vec<_> = packets.iter().map(|p| (p.time_ns, p.link, p.data.as_slice())).collect();
        assert_eq!(
            found,
            [
                (1_700_000_000_000_001_000, LinkType::Ethernet, &b"microseconds"[..]),
                (100_000_000_042, LinkType::Raw, b"nanoseconds"),
                (3_500_000_000, LinkType::CookedV2, b"binary"),
                (3_500_000_000, LinkType::Ethernet, b"simple 99"),
                (100_000_000_005, LinkType::Raw, b"old"),
            ]
        );
    }
}

#[test]
fn a_second_section_has_interfaces_of_its_own() {
    let octets = [pcapng(Little), section(Big), enhanced(Big, 0, 1, b"x")].concat();
    let (whole, error) = read_until_error(&octets);
    assert_eq!(whole, 5);
    let error = error.unwrap().to_string();
    assert!(error.contains("packet 6") && error.contains("interface 0 is not described"), "{error}");
}

#[test]
fn simple_packets_are_cut_at_the_snapshot_length() {
    let simple = [&Little.u32(100)[..], b"12345678"].concat();
    let octets = [section(Little), interface(Little, 1, 8, None, None), block(Little, 3, &simple)].concat();
    let packets = read(&octets).unwrap();
    assert_eq!((packets[0].data.as_slice(), packets[0].original_len), (&b"12345678"[..], 100));
}

#[test]
fn every_truncation_yields_what_is_whole_and_names_the_rest() {
    for whole in [pcap(Little, 0xa1b2_c3d4), pcap(Big, 0xa1b2_3c4d), pcapng(Little), pcapng(Big)] {
        let total = read(&whole).unwrap().len();
        let mut clean_ends = 0;
        let mut before = 0;
        for end in 0..whole.len() {
            let (packets, error) = read_until_error(&whole[..end]);
            assert!(packets >= before && packets <= total, "{end}");
            before = packets;
            match error {
                None => clean_ends += 1,
                Some(CaptureError::NotCapture { .. }) => assert!(end < 4, "{end}"),
                Some(CaptureError::Truncated { packet, offset, .. }) => {
                    assert_eq!(packet, packets as u64 + 1);
                    assert!(offset < end as u64, "{offset} {end}");
                }
                Some(other) => panic!("{end}: {other}"),
            }
        }
        assert!((3..=10).contains(&clean_ends), "only between records: {clean_ends}");
    }
}

#[test]
fn a_cut_off_file_is_told_with_packet_and_octet() {
    let whole = pcap(Little, 0xa1b2_c3d4);
    let (packets, error) = read_until_error(&whole[..whole.len() - 1]);
    assert_eq!(packets, 2);
    let error = error.unwrap().to_string();
    assert!(error.starts_with("test.pcap: ends inside packet 3, whose record begins at octet 67"), "{error}");
    assert!(error.ends_with("go on with the 2 packets before it"), "{error}");
}

#[test]
fn damage_never_panics() {
    for whole in [pcap(Little, 0xa1b2_c3d4), pcapng(Little), pcapng(Big)] {
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, whole[at] ^ 4] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                if let (_, Some(error)) = read_until_error(&damaged) {
                    assert!(error.to_string().starts_with("test.pcap: "), "{error}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_capture_is_told_what_to_do() {
    for (octets, part) in [
        (&b""[..], "is for `replay --sip`"),
        (b"INVITE sip:+232@example.net SIP/2.0\r\n", "is for `replay --sip`"),
        (b"\xd4\xc3", "is for `replay --sip`"),
        (b"\x1f\x8b\x08\x00", "gzip -d"),
        (b"\x28\xb5\x2f\xfd", "zstd -d"),
        (b"\xfd7zXZ", "xz -d"),
    ] {
        let error = read(octets).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = open(Path::new("/no/such/file")).err().unwrap().to_string();
    assert!(error.starts_with("/no/such/file: cannot be opened"), "{error}");
    let error = open(Path::new("/")).err().unwrap().to_string();
    assert!(error.starts_with("/: cannot be opened"), "{error}");
}

#[test]
fn impossible_lengths_take_no_memory() {
    let mut octets = pcap_header(Little, 0xa1b2_c3d4, 1);
    for word in [0, 0, 0xffff_ffff, 0xffff_ffff] {
        octets.extend(Little.u32(word));
    }
    assert!(matches!(read(&octets), Err(CaptureError::TooLong { packet: 1, offset: 24, length: 0xffff_ffff, .. })));

    let mut octets = [section(Little), interface(Little, 1, 0, None, None)].concat();
    octets.extend([Little.u32(6), Little.u32(0xffff_fffc), [0; 4]].concat());
    assert!(matches!(read(&octets), Err(CaptureError::Malformed { .. })));

    let frame = vec![0; LONGEST_FRAME];
    let octets = [pcap_header(Little, 0xa1b2_c3d4, 1), pcap_record(Little, 0, 0, &frame)].concat();
    assert_eq!(read(&octets).unwrap()[0].data.len(), LONGEST_FRAME);
    let frame = vec![0; LONGEST_FRAME + 1];
    let octets = [pcap_header(Little, 0xa1b2_c3d4, 1), pcap_record(Little, 0, 0, &frame)].concat();
    assert!(matches!(read(&octets), Err(CaptureError::TooLong { .. })));
}

#[test]
fn other_link_types_are_named() {
    let octets = [pcap_header(Little, 0xa1b2_c3d4, 127), pcap_record(Little, 0, 0, b"radiotap")].concat();
    let error = read(&octets).unwrap_err().to_string();
    assert!(error.contains("link type 127"), "{error}");
    let octets =
        [pcap_header(Little, 0xa1b2_c3d4, 0x5400_0001), pcap_record(Little, 0, 0, b"with check sequence")].concat();
    assert_eq!(read(&octets).unwrap()[0].link, LinkType::Ethernet);
}

#[test]
fn every_link_type_becomes_ethernet() {
    let v4: &[u8] = b"\x45rest of an IPv4 packet";
    let v6: &[u8] = b"\x60rest of an IPv6 packet";
    let frame = |kind: [u8; 2], payload: &[u8]| [&[0; 12][..], &kind, payload].concat();
    for (number, data, expected) in [
        (1, frame([0x08, 0x00], v4), Some(frame([0x08, 0x00], v4))),
        (1, b"short".to_vec(), None),
        (101, v4.to_vec(), Some(frame([0x08, 0x00], v4))),
        (12, v6.to_vec(), Some(frame([0x86, 0xdd], v6))),
        (101, b"\x00".to_vec(), None),
        (101, Vec::new(), None),
        (0, [b"\x02\0\0\0", v4].concat(), Some(frame([0x08, 0x00], v4))),
        (108, [b"\0\0\0\x1e", v6].concat(), Some(frame([0x86, 0xdd], v6))),
        (0, b"\x02\0\0".to_vec(), None),
        (113, [&[0; 14][..], b"\x08\x00", v4].concat(), Some(frame([0x08, 0x00], v4))),
        (
            113,
            [&[0; 14][..], b"\x81\x00\x00\x05\x08\x00", v4].concat(),
            Some(frame([0x81, 0], &[b"\0\x05\x08\0", v4].concat())),
        ),
        (113, [&[0; 14][..], b"\x00\x04", v4].concat(), None),
        (113, vec![8; 15], None),
        (276, [&b"\x86\xdd"[..], &[0; 18], v6].concat(), Some(frame([0x86, 0xdd], v6))),
        (276, vec![8; 19], None),
    ] {
        let link = LinkType::from_number(number).unwrap();
        let packet = Packet { time_ns: 0, link, original_len: data.len() as u32, data };
        assert_eq!(to_ethernet(&packet).map(std::borrow::Cow::into_owned), expected, "{number} {:?}", packet.data);
    }
}

#[test]
fn captures_of_disguised_calls_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evasion/pcap");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "pcap" || e == "pcapng") {
            let packets: Vec<_> = open(&path).unwrap().collect::<Result<_, _>>().unwrap();
            assert!(packets.iter().all(|p| to_ethernet(p).is_some_and(|f| f.len() >= 14)), "{}", path.display());
            assert!(!packets.is_empty());
            files += 1;
        }
    }
    assert_eq!(files, 67);
}
