//! A SIP message as the frame that would carry it.

use std::{fs::File, io::Read as _, net::IpAddr, path::Path};

use anyhow::Context as _;
use etherparse::PacketBuilder;

/// The longest payload of a UDP datagram over IPv4 (RFC 768, RFC 791).
const LONGEST: usize = 65_507;
/// Where the datagram comes from and where it goes (RFC 5737), both at port 5060.
const FROM: [u8; 4] = [192, 0, 2, 66];
const TO: [u8; 4] = [192, 0, 2, 1];
/// The same over IPv6 (RFC 3849).
const TO_V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PORT: u16 = 5060;

/// The file as one UDP datagram in an Ethernet frame.
pub(super) fn frame(path: &Path) -> anyhow::Result<Vec<u8>> {
    let name = path.display();
    let mut payload = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut payload))
        .with_context(|| format!("{name}: cannot be read; check the path and its permissions"))?;
    if payload.len() > LONGEST {
        anyhow::bail!(
            "{name}: is longer than a UDP datagram can carry ({LONGEST} octets); is it a capture? leave out --sip"
        );
    }
    datagram(FROM, &payload).with_context(|| format!("{name}: no datagram can be made of it"))
}

/// A UDP datagram from `source` to the gateway, both at port 5060.
fn datagram(source: [u8; 4], payload: &[u8]) -> anyhow::Result<Vec<u8>> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(source, TO, 64).udp(PORT, PORT);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload)?;
    Ok(frame)
}

/// An INVITE to `uri` from `source`, as the frame that would carry it; without a source, from where messages of files
/// come. `line` is the user of its From, empty for none.
pub(crate) fn invite(source: Option<IpAddr>, line: &str, uri: &str) -> anyhow::Result<Vec<u8>> {
    let at = if line.is_empty() { "" } else { "@" };
    let message = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP gateway.invalid\r\nFrom: <sip:{line}{at}gateway.invalid>;tag=1\r\nTo: <{uri}>\r\n\
         Call-ID: explain@gateway.invalid\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    match source.map(|source| source.to_canonical()) {
        None => datagram(FROM, message.as_bytes()),
        Some(IpAddr::V4(source)) => datagram(source.octets(), message.as_bytes()),
        Some(IpAddr::V6(source)) => {
            let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])
                .ipv6(source.octets(), TO_V6, 64)
                .udp(PORT, PORT);
            let mut frame = Vec::with_capacity(builder.size(message.len()));
            builder.write(&mut frame, message.as_bytes())?;
            Ok(frame)
        }
    }
}
