//! Answers to refused callers: the ring that hands out their requests, and the socket that answers leave by.
//!
//! It all stays on this side of the façade, since a request holds whole numbers.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
};
use gateway_common::{answer::Refused, judged::Judged};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    time::{ClockId, clock_gettime},
};

use super::events::Events;
use crate::{answer::Answerer, daemon::Answers as Counts};

/// An answer to what is older helps nobody: the request has come again, or the caller has gone. So old is what the kernel
/// handed out while no daemon ran.
const OLDEST: Duration = Duration::from_secs(4);

/// Gives answers, and counts them.
pub(super) struct Answers {
    ring: RingBuf<MapData>,
    socket: Option<OwnedFd>,
    answerer: Answerer,
    given: u64,
    unfit: u64,
    lost: u64,
    error: Option<String>,
}

impl Answers {
    /// Opens the ring of a loaded object, of which `events` tells too. Its programs must have been loaded, since this takes
    /// the map. Without the privilege to send, calls are refused in silence.
    pub(super) fn open(ebpf: &mut Ebpf, events: &Events) -> Result<Self> {
        let map = ebpf.take_map("REFUSED").ok_or_else(|| anyhow!("the BPF object has no map REFUSED"))?;
        let ring = RingBuf::try_from(map).context("cannot read the refused requests of REFUSED")?;
        events.watch(ring.as_fd())?;
        // With protocol 0 it receives nothing.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None);
        let error = socket.as_ref().err().map(|error| {
            format!(
                "no packet socket, so refused callers hear nothing ({error}): run as root, or add CAP_NET_RAW to \
                 AmbientCapabilities of the service"
            )
        });
        if let Some(error) = &error {
            tracing::warn!("{error}");
        }
        Ok(Self { ring, socket: socket.ok(), answerer: Answerer::default(), given: 0, unfit: 0, lost: 0, error })
    }

    /// Answers every request that waits with `status`; none where that is `None`. `order` says which order stopped one.
    pub(super) fn give(&mut self, status: Option<u16>, order: impl Fn(&Judged) -> Option<u64>) {
        let clock = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(clock.tv_sec as u64, clock.tv_nsec as u32);
        while let Some(item) = self.ring.next() {
            let (Some(status), Some((refused, frame))) = (status, Refused::from_octets(&item)) else { continue };
            let age = now.saturating_sub(Duration::from_nanos(refused.judged.time));
            let Some(socket) = self.socket.as_ref().filter(|_| age <= OLDEST) else {
                self.lost += 1;
                continue;
            };
            let Some(answer) = self.answerer.answer(&refused, frame, status, order(&refused.judged)) else {
                self.unfit += 1;
                continue;
            };
            match send(socket, refused.judged.ifindex, &answer) {
                Ok(()) => {
                    self.given += 1;
                    self.error = None;
                }
                Err(error) => {
                    self.lost += 1;
                    self.error = Some(format!("the last answer could not be sent: {error}"));
                }
            }
        }
    }

    /// What was counted here, on top of what the kernel counted.
    pub(super) fn add_to(&self, counts: &mut Counts) {
        counts.given += self.given;
        counts.unfit += self.unfit;
        counts.lost += self.lost;
        counts.error.clone_from(&self.error);
    }
}

/// Sends a frame out of an interface.
#[expect(unsafe_code, reason = "no safe wrapper knows the address of a packet socket")]
fn send(socket: &OwnedFd, ifindex: u32, frame: &[u8]) -> io::Result<()> {
    let to = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: 0,
        sll_ifindex: ifindex as i32,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of_val(&to) as libc::socklen_t;
    // SAFETY: frame and address are read in these lengths, and outlive the call.
    let sent = unsafe {
        libc::sendto(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, (&raw const to).cast(), length)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
