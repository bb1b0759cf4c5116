//! The built-in PBX: it answers every call and remembers every INVITE.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};

use super::message::{Message, user_of};
use crate::{netns::Namespace, network};

/// How long the PBX waits for a datagram before it looks whether it is to stop.
const TICK: Duration = Duration::from_millis(20);

/// One INVITE datagram that reached the PBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InviteSeen {
    /// Who sent it.
    pub source: SocketAddr,
    /// Its Call-ID.
    pub call_id: String,
    /// Its Request-URI as written.
    pub uri: String,
}

/// All that reached a PBX.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Every INVITE datagram, retransmissions included, in order.
    pub invites: Vec<InviteSeen>,
    /// Datagrams by method, in upper case; responses count as `response`.
    pub methods: BTreeMap<String, u64>,
    /// INVITE datagrams by the user part of the Request-URI.
    pub users: BTreeMap<String, u64>,
    /// Call-IDs whose 200 was acknowledged.
    pub acknowledged: BTreeSet<String>,
    /// Call-IDs that were ended by a BYE.
    pub ended: BTreeSet<String>,
    /// Datagrams that are no SIP message.
    pub odd: u64,
}

impl Seen {
    /// Datagrams with this method, in upper case.
    pub fn method(&self, method: &str) -> u64 {
        self.methods.get(method).copied().unwrap_or(0)
    }

    /// How many calls, by Call-ID, came from this address.
    pub fn calls_from(&self, source: std::net::IpAddr) -> usize {
        self.invites
            .iter()
            .filter(|invite| invite.source.ip() == source)
            .map(|invite| &invite.call_id)
            .collect::<BTreeSet<_>>()
            .len()
    }
}

/// A PBX that runs on a thread until it is dropped.
#[derive(Debug)]
pub struct Pbx {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    seen: Mutex<Seen>,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pbx {
    /// Answers SIP on `address` of the namespace from now on.
    ///
    /// # Errors
    /// Where the address is taken or not one of the namespace.
    pub fn start(namespace: &Namespace, address: SocketAddr) -> Result<Self> {
        let socket = network::udp(namespace, address)?;
        socket.set_read_timeout(Some(TICK)).context("cannot set a timeout on the PBX's socket")?;
        let address = socket.local_addr().context("cannot read the PBX's address")?;
        let shared = Arc::new(Shared::default());
        let server = Server { socket, address, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new()
            .name("pbx".to_owned())
            .spawn(move || server.serve())
            .context("cannot start the PBX")?;
        Ok(Self { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has reached it so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }
}

impl Drop for Pbx {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed by its own thread.
            let _ = thread.join();
        }
    }
}

struct Server {
    socket: UdpSocket,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    fn serve(self) {
        let mut buffer = vec![0; 65_536];
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, source)) => {
                    self.handle(buffer.get(..length).unwrap_or_default(), source);
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                // An ICMP error of an earlier answer, whose receiver has gone.
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => thread::sleep(TICK),
            }
        }
    }

    fn handle(&self, datagram: &[u8], source: SocketAddr) {
        let Some(message) = Message::parse(datagram) else {
            self.shared.seen().odd += 1;
            return;
        };
        let Some((method, uri)) = message.request() else {
            *self.shared.seen().methods.entry("response".to_owned()).or_default() += 1;
            return;
        };
        let method = method.to_ascii_uppercase();
        self.note(&method, uri, source, &message);
        // The tag is the same for every repetition of a request, so that a retransmission finds its dialog.
        let tag = format!(
            "pbx{:08x}",
            message.call_id().bytes().fold(17_u32, |hash, octet| hash.wrapping_mul(31) ^ u32::from(octet))
        );
        let answers: &[(u16, &str)] = match method.as_str() {
            "INVITE" => &[(100, "Trying"), (180, "Ringing"), (200, "OK")],
            "ACK" => &[],
            _ => &[(200, "OK")],
        };
        for &(code, phrase) in answers {
            let contact = (method == "INVITE" && code >= 180).then_some(self.address);
            // The sender may have gone; it will not miss the answer.
            let _ = self.socket.send_to(&message.answer(code, phrase, &tag, contact), source);
        }
    }

    fn note(&self, method: &str, uri: &str, source: SocketAddr, message: &Message) {
        let mut seen = self.shared.seen();
        *seen.methods.entry(method.to_owned()).or_default() += 1;
        let call_id = message.call_id().to_owned();
        match method {
            "INVITE" => {
                *seen.users.entry(user_of(uri).to_owned()).or_default() += 1;
                seen.invites.push(InviteSeen { source, call_id, uri: uri.to_owned() });
            }
            "ACK" => _ = seen.acknowledged.insert(call_id),
            "BYE" => _ = seen.ended.insert(call_id),
            _ => {}
        }
    }
}
