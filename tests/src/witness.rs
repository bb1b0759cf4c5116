//! A witness: it counts the INVITEs that a host really sends or receives, whatever program sends or receives them.
//!
//! It reads an AF_PACKET socket, which lies outside XDP: at the gateway it would see nothing that XDP drops, at a host it sees what
//! leaves and what arrives.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with,
    sockopt::set_socket_recv_buffer_size_force,
};

use crate::{netns::Namespace, network::SIP_PORT, sip::Message};

/// How often the socket is emptied, where nobody asks.
const TICK: Duration = Duration::from_millis(50);

/// Octets that may wait in the socket.
const BUFFER: usize = 32 << 20;

/// What one address and port sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// INVITE datagrams, retransmissions included.
    pub invites: u64,
    /// Their Call-IDs.
    pub calls: BTreeSet<String>,
    /// INVITE datagrams by Request-URI.
    pub uris: BTreeMap<String, u64>,
}

/// The INVITEs to port 5060 that a witness has seen, by sender.
pub type Tally = BTreeMap<SocketAddr, Sender>;

/// INVITE datagrams of all senders that `which` names.
pub fn invites(tally: &Tally, which: impl Fn(&SocketAddr) -> bool) -> u64 {
    tally.iter().filter(|(sender, _)| which(sender)).map(|(_, seen)| seen.invites).sum()
}

/// Watches every interface of a namespace until it is dropped.
#[derive(Debug)]
pub struct Witness {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    socket: OwnedFd,
    tally: Mutex<Tally>,
}

impl Witness {
    /// Watches from now on.
    ///
    /// # Errors
    /// Where the caller lacks CAP_NET_RAW.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.run(|| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, Some(eth::ALL))
                .context("cannot open a packet socket: run as root (CAP_NET_RAW)")?;
            set_socket_recv_buffer_size_force(&socket, BUFFER).context("cannot enlarge the receive buffer")?;
            Ok(socket)
        })?;
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), socket, tally: Mutex::default() });
        let background = Arc::clone(&shared);
        let thread = thread::Builder::new().name("witness".to_owned()).spawn(move || {
            while !background.stop.load(Ordering::Relaxed) {
                background.read_all(|_| ());
                thread::sleep(TICK);
            }
        });
        Ok(Self { shared, thread: Some(thread.context("cannot start the witness")?) })
    }

    /// All that has passed so far, up to the packet before this call.
    pub fn tally(&self) -> Tally {
        self.shared.read_all(Tally::clone)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Counts what waits in the socket, then shows the tally to `look`.
    fn read_all<T>(&self, look: impl FnOnce(&Tally) -> T) -> T {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; 2048];
        // Any error, most of all "nothing there", ends the round; the next one is a tick away.
        while let Ok((length, _)) = recv(&self.socket, &mut buffer[..], RecvFlags::empty()) {
            if let Some((sender, message)) = buffer.get(..length).and_then(invite) {
                let seen = tally.entry(sender).or_default();
                seen.invites += 1;
                seen.calls.insert(message.call_id().to_owned());
                let uri = message.request().map_or("", |(_, uri)| uri);
                *seen.uris.entry(uri.to_owned()).or_default() += 1;
            }
        }
        look(&tally)
    }
}

/// The sender and the message, where an IP packet carries an INVITE to the SIP port.
fn invite(packet: &[u8]) -> Option<(SocketAddr, Message)> {
    let sliced = SlicedPacket::from_ip(packet).ok()?;
    let address = match sliced.net? {
        NetSlice::Ipv4(ip) => IpAddr::V4(ip.header().source_addr()),
        NetSlice::Ipv6(ip) => IpAddr::V6(ip.header().source_addr()),
        NetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Udp(udp)) = sliced.transport else {
        return None;
    };
    if udp.destination_port() != SIP_PORT {
        return None;
    }
    let message = Message::parse(udp.payload()).filter(Message::is_invite)?;
    Some((SocketAddr::new(address, udp.source_port()), message))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;
    use crate::sip::{Disguise, Invite};

    fn packet(port: u16, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        PacketBuilder::ipv4([192, 0, 2, 10], [198, 51, 100, 10], 64).udp(5070, port).write(&mut out, payload).unwrap();
        out
    }

    #[test]
    fn invites_are_known_in_every_disguise_and_nothing_else_is() {
        let from = SocketAddr::from(([192, 0, 2, 10], 5070));
        for disguise in Disguise::ALL {
            let payload = Invite::new(disguise.start_line("23276123456", "h"), from).to_bytes();
            assert_eq!(invite(&packet(5060, &payload)).map(|(sender, _)| sender), Some(from), "{disguise:?}");
            assert!(invite(&packet(5080, &payload)).is_none());
        }
        for other in [&b"OPTIONS sip:h SIP/2.0\r\n\r\n"[..], b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n", b"", b"\xff"]
        {
            assert!(invite(&packet(5060, other)).is_none());
        }
        assert!(invite(&[]).is_none());
        assert!(invite(&[0x45; 30]).is_none());
    }
}
