//! A tap on the wire of one host: which requests leave it or reach it, in their order, and what is answered.
//!
//! It reads an AF_PACKET socket, as [`crate::witness`] does, and sees every method.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    os::fd::OwnedFd,
};

use anyhow::{Context, Result};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with,
    sockopt::set_socket_recv_buffer_size_force,
};

use crate::{netns::Namespace, sip::Message};

/// Octets that may wait in the socket: all of a run is read at its end.
const BUFFER: usize = 64 << 20;

/// What tells one request from another: its Call-ID, and its CSeq.
type Name = (String, String);

/// What a tap has seen of one host.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The requests that it sent, in order, but for ACKs, which nothing stops.
    pub(super) requests: Vec<Name>,
    /// The answers to it, by status.
    pub(super) answers: BTreeMap<u16, u64>,
}

impl Seen {
    /// How many of these requests came through before the first that did not, where `arrived` is what was seen behind the
    /// gateway; `None` where all did.
    pub(super) fn before_first_loss(&self, arrived: &Self) -> Option<u64> {
        let mut there: HashMap<&Name, u64> = HashMap::new();
        for request in &arrived.requests {
            *there.entry(request).or_default() += 1;
        }
        let lost = |request: &Name| match there.get_mut(request) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
        self.requests.iter().position(lost).map(|position| position as u64)
    }
}

/// A tap from its making on.
#[derive(Debug)]
pub(super) struct Tap(OwnedFd);

impl Tap {
    /// Taps every interface of a namespace.
    pub(super) fn new(namespace: &Namespace) -> Result<Self> {
        namespace.run(|| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, Some(eth::ALL))
                .context("cannot open a packet socket: run as root (CAP_NET_RAW)")?;
            set_socket_recv_buffer_size_force(&socket, BUFFER).context("cannot enlarge the receive buffer")?;
            Ok(Self(socket))
        })
    }

    /// What was seen until now, by host: what it sent, and what it was answered.
    pub(super) fn seen(self) -> BTreeMap<IpAddr, Seen> {
        let mut seen: BTreeMap<IpAddr, Seen> = BTreeMap::new();
        let mut buffer = [0; 4096];
        while let Ok((length, _)) = recv(&self.0, &mut buffer[..], RecvFlags::empty()) {
            let Some((from, to, message)) = buffer.get(..length).and_then(read) else { continue };
            match (message.request(), message.code()) {
                (Some((method, _)), _) if method != "ACK" => {
                    let cseq = message.header("CSeq").unwrap_or_default().to_owned();
                    seen.entry(from).or_default().requests.push((message.call_id().to_owned(), cseq));
                }
                (_, Some(code)) => *seen.entry(to).or_default().answers.entry(code).or_default() += 1,
                _ => {}
            }
        }
        seen
    }
}

/// Both addresses and the message, where an IP packet carries SIP over UDP.
fn read(packet: &[u8]) -> Option<(IpAddr, IpAddr, Message)> {
    let sliced = SlicedPacket::from_ip(packet).ok()?;
    let NetSlice::Ipv4(ip) = sliced.net? else { return None };
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { return None };
    let message = Message::parse(udp.payload())?;
    let header = ip.header();
    Some((header.source_addr().into(), header.destination_addr().into(), message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(names: &[&str]) -> Seen {
        let requests = names.iter().map(|name| ((*name).to_owned(), "1 OPTIONS".to_owned())).collect();
        Seen { requests, ..Seen::default() }
    }

    #[test]
    fn what_came_through_before_the_first_loss_is_counted() {
        assert_eq!(sent(&["a", "b", "c"]).before_first_loss(&sent(&["a", "b", "c"])), None);
        assert_eq!(sent(&["a", "b", "c"]).before_first_loss(&sent(&["c", "a"])), Some(1));
        assert_eq!(sent(&["a", "a", "b"]).before_first_loss(&sent(&["a", "b"])), Some(1));
        assert_eq!(sent(&["a"]).before_first_loss(&sent(&[])), Some(0));
    }
}
