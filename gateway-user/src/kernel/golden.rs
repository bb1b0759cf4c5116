//! The frames of the self-test: one for each way through the filter, judged by the host.

use etherparse::{PacketBuilder, PacketBuilderStep, UdpHeader};
use gateway_common::{judge::Side, judged::Judged};

use crate::{engine::host::HostEngine, policy::PolicyImage};

/// A frame, and what the host decides about it after the ones before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Golden {
    /// The frame, from its Ethernet header on.
    pub frame: Vec<u8>,
    /// The side it arrives on.
    pub side: Side,
    /// Interface it arrives by.
    pub ifindex: u32,
    /// When it arrives, nanoseconds.
    pub now_ns: u64,
    /// What the host decides.
    pub judged: Judged,
}

/// Between two frames, nanoseconds.
const STEP: u64 = 1_000_000;
/// When the first one arrives, nanoseconds.
const START: u64 = 1 << 50;
/// The SIP port, and one that is none in any policy that keeps the other.
const SIP: u16 = 5060;
const OTHER: u16 = 9;
/// Request-URIs: national, international in its forms, emergency, an extension, nothing that can be dialled, disguises.
const TARGETS: [&str; 14] = [
    "sip:0312345678@192.0.2.1",
    "sip:010232761234567@192.0.2.1",
    "sip:+442071838750@192.0.2.1;user=phone",
    "sip:0044-20-7183-8750@192.0.2.1",
    "tel:+1-202-555-0123",
    "tel:7123;phone-context=+881",
    "sip:%2B23276123456@192.0.2.1",
    "sips:011882161234567@192.0.2.1",
    "sip:110@192.0.2.1",
    "urn:service:sos",
    "sip:203@192.0.2.1",
    "sip:alice@192.0.2.1",
    "sip:184003301023276123456789012345@192.0.2.1",
    "SIP:00\t1@192.0.2.1",
];

/// The frames with what the host decides about them under a policy, one after the other.
pub(super) fn golden(image: &PolicyImage) -> Vec<Golden> {
    let mut host = HostEngine::new(image.clone());
    let ifindex = 1;
    frames()
        .into_iter()
        .enumerate()
        .map(|(number, (frame, side))| {
            let now_ns = START + number as u64 * STEP;
            let judged = host.judge(&frame, side, ifindex, now_ns);
            Golden { frame, side, ifindex, now_ns, judged }
        })
        .collect()
}

fn frames() -> Vec<(Vec<u8>, Side)> {
    let mut frames = Vec::new();
    for target in TARGETS {
        let invite = request("INVITE", target, "");
        frames.push((udp(v4().udp(SIP, SIP), &invite), Side::Wan));
        frames.push((udp(v4().udp(SIP, SIP), &invite), Side::Lan));
    }
    let target = "sip:010232761234567@192.0.2.1";
    for method in ["OPTIONS", "REGISTER", "ACK", "BYE", "CANCEL", "REFER", "MESSAGE", "INFO", "NOSUCH"] {
        let refer = "Refer-To: <sip:+23276123456@192.0.2.1>\r\n";
        frames.push((udp(v4().udp(SIP, SIP), &request(method, target, refer)), Side::Wan));
    }
    let invite = request("INVITE", target, "");
    let long = request("INVITE", target, &format!("Subject: {}\r\n", "x".repeat(6000)));
    let ok = b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n";
    let v6 = PacketBuilder::ethernet2(MAC, MAC).ipv6([0x20; 16], [0x21; 16], 64).udp(SIP, SIP);
    let vlan = PacketBuilder::ethernet2(MAC, MAC).single_vlan(7.try_into().unwrap_or_default());
    frames.extend([
        (udp(v6, &invite), Side::Wan),
        (udp(vlan.ipv4(SOURCE, TARGET, 64).udp(SIP, SIP), &invite), Side::Wan),
        (udp(v4().udp(SIP, SIP), &long), Side::Wan),
        (udp(v4().udp(SIP, SIP), ok), Side::Wan),
        (udp(v4().udp(SIP, SIP), b"\r\n\r\n"), Side::Wan),
        (udp(v4().udp(SIP, SIP), &invite[..40]), Side::Wan),
        (udp(v4().udp(OTHER, OTHER), &invite), Side::Wan),
        (vec![0; 60], Side::Lan),
    ]);
    // The same again and again: limits and ceilings.
    frames.extend((0..40).map(|_| (udp(v4().udp(SIP, SIP), &invite), Side::Wan)));
    frames
}

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const SOURCE: [u8; 4] = [192, 0, 2, 66];
const TARGET: [u8; 4] = [192, 0, 2, 1];

fn v4() -> PacketBuilderStep<etherparse::IpHeaders> {
    PacketBuilder::ethernet2(MAC, MAC).ipv4(SOURCE, TARGET, 64)
}

fn udp(headers: PacketBuilderStep<UdpHeader>, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(headers.size(payload.len()));
    // Writing to memory fails only where a length does not fit its header, and none here is that long.
    let _ = headers.write(&mut frame, payload);
    frame
}

fn request(method: &str, target: &str, headers: &str) -> Vec<u8> {
    format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK-1\r\nFrom: <sip:203@192.0.2.66>;tag=1\r\n\
         To: <{target}>\r\nCall-ID: 1@192.0.2.66\r\nCSeq: 1 {method}\r\n{headers}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_can_be_a_test_run() {
        let frames = frames();
        assert!(frames.len() > 80);
        for (frame, _) in frames {
            assert!((14..=9000).contains(&frame.len()), "{}", frame.len());
        }
    }
}
