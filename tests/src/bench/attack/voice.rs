//! Voice by the uplink that is attacked: how long each packet takes from the provider to the PBX.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    panic::resume_unwind,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use rustix::thread::sched_setaffinity;

use super::{
    Row,
    flood::Flood,
    queue,
    report::{Rates, Voice},
    site::{Cpus, Site},
};
use crate::network::{self, Network};

/// Streams, each of 50 packets a second: 20 ms of G.711 in a packet.
const STREAMS: u32 = 20;
const EVERY: Duration = Duration::from_millis(20);
/// Packets of each stream.
const PACKETS: u32 = 400;
/// From the first packet of a stream to that of the next.
const APART: Duration = Duration::from_millis(1);
const PORT: u16 = 20_000;
/// An RTP header (RFC 3550) and 160 octets.
const OCTETS: usize = 172;
/// Where a packet carries the time at which it left: behind the header.
const LEFT: std::ops::Range<usize> = 12..20;
/// Before voice begins: the attack is in its stride then, and the kernel stamps packets.
const SETTLE: Duration = Duration::from_secs(2);
/// Nothing is under way any more when nothing has come for so long.
const SILENCE: Duration = Duration::from_secs(1);

/// Sends voice from the provider to the PBX of a site.
pub(super) fn measure(site: &Site, row: &Row, cpus: Cpus) -> Result<(Rates, Voice)> {
    let target = SocketAddr::from((Network::PBX, PORT));
    let listener = network::udp(&site.network.pbx, target)?;
    listener.set_read_timeout(Some(SILENCE)).context("cannot set a timeout on a socket")?;
    // The kernel stamps packets from the first question on, to which there is no answer yet.
    let _ = stamp(&listener);
    let sender = network::udp(&site.network.flooder, (Ipv4Addr::UNSPECIFIED, PORT))?;
    sender.connect(target).context("cannot reach the PBX")?;
    let flood = row.attack.map(|attack| site.attack(attack)).transpose()?;
    thread::sleep(SETTLE);
    let before = site.counted()?;
    let speaking = thread::Builder::new().name("voice".into()).spawn(move || {
        sched_setaffinity(None, &cpus.others).context("cannot stay on a CPU")?;
        // The delay of the network is measured, and not how long a sender waits for its CPU.
        queue::foremost(0)?;
        speak(&sender)
    })?;
    let mut delays = Vec::new();
    let mut packet = [0; OCTETS];
    // Silence before the last packet has left is that of an uplink which lets nothing through.
    loop {
        let over = speaking.is_finished();
        match listener.recv(&mut packet) {
            Ok(OCTETS) => delays.push(delay(&packet, stamp(&listener)?)?),
            Ok(length) => anyhow::bail!("a packet of {length} octets arrived where voice was awaited"),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && over => break,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot hear the voice"),
        }
    }
    let after = site.counted()?;
    speaking.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    flood.map_or(Ok(()), Flood::end)?;
    let sent = u64::from(STREAMS * PACKETS);
    ensure!(delays.len() as u64 <= sent, "more voice arrived than left");
    Ok((after.since(&before), Voice::of(sent, delays)))
}

/// Sends every packet at its time.
fn speak(sender: &UdpSocket) -> Result<()> {
    let began = Instant::now();
    for number in 0..PACKETS {
        for stream in 0..STREAMS {
            let due = EVERY * number + APART * stream;
            thread::sleep(due.saturating_sub(began.elapsed()));
            let mut packet = [0; OCTETS];
            packet[..4].copy_from_slice(&(0x8000_0000 | number & 0xffff).to_be_bytes());
            packet[4..8].copy_from_slice(&(number * 160).to_be_bytes());
            packet[8..12].copy_from_slice(&stream.to_be_bytes());
            packet[LEFT].copy_from_slice(&now()?.to_be_bytes());
            sender.send(&packet).context("cannot speak")?;
        }
    }
    Ok(())
}

/// The clock of the kernel's stamps, nanoseconds since 1970.
fn now() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(now.as_nanos() as u64)
}

/// How long a packet took that arrived at this time.
fn delay(packet: &[u8; OCTETS], arrived: u64) -> Result<Duration> {
    let left = packet.get(LEFT).and_then(|octets| octets.try_into().ok()).map_or(0, u64::from_be_bytes);
    let took = arrived.checked_sub(left).context("the clock was set back meanwhile: measure again")?;
    Ok(Duration::from_nanos(took))
}

/// When the packet that was read last came to the host.
#[expect(unsafe_code, reason = "ioctl(SIOCGSTAMPNS) has no safe wrapper")]
fn stamp(socket: &UdpSocket) -> Result<u64> {
    /// linux/sockios.h.
    const SIOCGSTAMPNS: libc::Ioctl = 0x8907;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, and it outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSTAMPNS, &raw mut time) };
    if result < 0 {
        return Err(io::Error::last_os_error()).context("the kernel does not stamp packets");
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32).as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_stamps_what_arrives_by_the_clock_of_the_sender() {
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        listener.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stamp(&listener);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut packet = [0; OCTETS];
        packet[LEFT].copy_from_slice(&now().unwrap().to_be_bytes());
        sender.send_to(&packet, listener.local_addr().unwrap()).unwrap();
        let mut heard = [0; OCTETS];
        assert_eq!(listener.recv(&mut heard).unwrap(), OCTETS);
        let behind = now().unwrap();
        let arrived = stamp(&listener).unwrap();
        assert!(arrived <= behind, "{arrived} {behind}");
        assert!(delay(&heard, arrived).is_ok());
        assert!(delay(&heard, 1).is_err());
    }
}
