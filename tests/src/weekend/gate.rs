//! The gateway between the parties: every message is a frame that the engine of this process judges.

use std::{collections::HashMap, net::Ipv4Addr, path::Path};

use anyhow::{Context as _, Result, anyhow};
use gateway_common::{Reason, Verdict, judge::Side};
use gateway_user::{
    config::{self, Config, Mode},
    engine::host::HostEngine,
    policy,
};
use jiff::{SignedDuration, Timestamp};

/// The shipped first policy of a site in Japan.
const SHIPPED: &str = include_str!("../../../gateway-user/policies/jp.toml");
/// What whoever installs it takes out of comments: the provider, whose calls are inbound ones otherwise refused to nobody
/// but counted as those of strangers.
const INSTALLED: [&str; 5] = [
    "# own_numbers = ",
    "# [trunk.itsp]",
    "# sources = [\"203.0.113.10\"]",
    "# interface = \"eth0\"",
    "# rate = \"50/s\"",
];

const WAN: u32 = 2;
const LAN: u32 = 3;

/// Who sends or gets messages, and on which side of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Party {
    /// The side.
    pub(super) side: Side,
    /// Its address; its port is 5060.
    pub(super) addr: Ipv4Addr,
}

impl Party {
    /// Somebody outside.
    pub(super) const fn outside(a: u8, b: u8, c: u8, d: u8) -> Self {
        Self { side: Side::Wan, addr: Ipv4Addr::new(a, b, c, d) }
    }

    /// Somebody inside.
    pub(super) const fn inside(a: u8, b: u8, c: u8, d: u8) -> Self {
        Self { side: Side::Lan, addr: Ipv4Addr::new(a, b, c, d) }
    }
}

/// What became of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It goes on.
    Passed,
    /// It goes on, and enforce mode would have stopped it.
    Would(Reason),
    /// It does not.
    Stopped(Reason),
}

/// The shipped policy as somebody has installed it.
///
/// # Errors
/// Where it does not load.
pub fn installed(mode: Mode) -> Result<Config> {
    let mut text = SHIPPED.to_owned();
    for line in INSTALLED {
        text = text.replacen(line, &line["# ".len()..], 1);
    }
    let (mut config, _) =
        config::parse(&text, None, Path::new(".")).map_err(|problems| anyhow!("jp.toml: {problems}"))?;
    config.mode = mode;
    Ok(config)
}

/// The gateway.
pub(super) struct Gate {
    config: Config,
    interfaces: HashMap<String, u32>,
    engine: HostEngine,
    /// The wall time at which the engine's clock is 0.
    epoch: Timestamp,
    /// When a schedule of the policy next begins or ends, on the engine's clock.
    edge: u64,
    frame: Vec<u8>,
}

impl Gate {
    /// Under a policy, from this time in Japan on.
    pub(super) fn new(config: Config, epoch: &str) -> Result<Self> {
        let epoch = format!("{epoch}[Asia/Tokyo]").parse::<jiff::Zoned>().context("no time")?.timestamp();
        let interfaces = HashMap::from([("eth0".to_owned(), WAN), ("eth1".to_owned(), LAN)]);
        let (image, _) = policy::compile(&config.at(epoch), &[], &interfaces, 1)?;
        let mut gate = Self { config, interfaces, engine: HostEngine::new(image), epoch, edge: 0, frame: Vec::new() };
        gate.edge = gate.next_edge(epoch);
        Ok(gate)
    }

    /// Puts the policy in force as it holds at `now`, where a schedule has begun or ended since: what the daemon does.
    pub(super) fn keep_up(&mut self, now: u64) -> Result<()> {
        if now < self.edge {
            return Ok(());
        }
        let time = self.epoch + SignedDuration::from_nanos(i64::try_from(now)?);
        let (image, _) = policy::compile(&self.config.at(time), &[], &self.interfaces, 1)?;
        self.engine.replace(image);
        self.edge = self.next_edge(time);
        Ok(())
    }

    fn next_edge(&self, time: Timestamp) -> u64 {
        let next = self.config.next_change(time);
        next.map_or(u64::MAX, |next| u64::try_from(next.duration_since(self.epoch).as_nanos()).unwrap_or(u64::MAX))
    }

    /// Sends a message at `now`, in nanoseconds.
    pub(super) fn send(&mut self, now: u64, from: Party, to: Party, text: &str) -> Seen {
        datagram(&mut self.frame, from.addr, to.addr, text.as_bytes());
        let ifindex = if from.side == Side::Wan { WAN } else { LAN };
        let judged = self.engine.judge(&self.frame, from.side, ifindex, now);
        match judged.verdict() {
            Verdict::Pass => Seen::Passed,
            Verdict::WouldDrop => Seen::Would(judged.reason()),
            Verdict::Drop | Verdict::Reject => Seen::Stopped(judged.reason()),
        }
    }
}

/// A UDP datagram from port 5060 to port 5060 in an Ethernet frame. Built here, since a weekend has a million of them: the
/// UDP checksum is left out, as RFC 768 allows.
fn datagram(frame: &mut Vec<u8>, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) {
    const PORT: [u8; 2] = 5060u16.to_be_bytes();
    let udp = (payload.len() + 8) as u16;
    let mut ip = [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&(udp + 20).to_be_bytes());
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..20].copy_from_slice(&to.octets());
    let sum: u32 = ip.chunks_exact(2).map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ip[10..12].copy_from_slice(&(!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes());
    frame.clear();
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0]);
    frame.extend_from_slice(&ip);
    for part in [PORT, PORT, udp.to_be_bytes(), [0, 0]] {
        frame.extend_from_slice(&part);
    }
    frame.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Frame;

    #[test]
    fn a_datagram_is_what_the_builder_of_frames_makes() {
        let (from, to) = (Ipv4Addr::new(192, 0, 2, 66), Ipv4Addr::new(203, 0, 113, 10));
        let mut mine = Vec::new();
        datagram(&mut mine, from, to, b"OPTIONS sip:a SIP/2.0\r\n\r\n");
        let theirs =
            Frame::udp((from, 5060), (to, 5060), *b"OPTIONS sip:a SIP/2.0\r\n\r\n").build().unwrap_or_default();
        // Ethernet addresses, the IP header's identification and checksum, and the UDP checksum are their own.
        for range in [12..18, 20..24, 26..40, 42..mine.len()] {
            assert_eq!(mine[range.clone()], theirs[range]);
        }
    }
}
