//! What a network interface does in place of the stack: checksums, segmentation, GRO. By the ioctl of ethtool(8), without the program.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use anyhow::{Context, Result, ensure};

use crate::netns::Namespace;

/// A task that an interface can take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Checks checksums of what arrives.
    ReceiveChecksum,
    /// Computes checksums of what leaves. A veth pair that has it on does not compute them at all: the receiver is told to trust.
    TransmitChecksum,
    /// Parts what leaves into packets.
    Segmentation,
    /// Joins what arrives. A veth end that has it on takes frames of XDP_TX and XDP_REDIRECT without a program of its own.
    Gro,
}

impl Offload {
    /// The commands that read and write it (`linux/ethtool.h`).
    const fn commands(self) -> (u32, u32) {
        match self {
            Self::ReceiveChecksum => (0x14, 0x15),
            Self::TransmitChecksum => (0x16, 0x17),
            Self::Segmentation => (0x23, 0x24),
            Self::Gro => (0x2b, 0x2c),
        }
    }
}

/// Switches an offload on or off.
///
/// # Errors
/// Where there is no such interface, or its driver refuses.
pub fn set(namespace: &Namespace, interface: &str, offload: Offload, on: bool) -> Result<()> {
    let (_, write) = offload.commands();
    ethtool(namespace, interface, write, u32::from(on))
        .with_context(|| format!("cannot set {offload:?} of {interface}"))?;
    ensure!(is_on(namespace, interface, offload)? == on, "the driver of {interface} keeps {offload:?} as it is");
    Ok(())
}

/// Whether an offload is on.
///
/// # Errors
/// Where there is no such interface.
pub fn is_on(namespace: &Namespace, interface: &str, offload: Offload) -> Result<bool> {
    let (read, _) = offload.commands();
    let value =
        ethtool(namespace, interface, read, 0).with_context(|| format!("cannot read {offload:?} of {interface}"))?;
    Ok(value != 0)
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ifreq`, as the ethtool ioctl uses it.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    value: *mut Value,
    /// The rest of the union that ends `struct ifreq`.
    _rest: [u8; 16],
}

#[expect(unsafe_code, reason = "ioctl(SIOCETHTOOL) has no safe wrapper")]
fn ethtool(namespace: &Namespace, interface: &str, command: u32, data: u32) -> Result<u32> {
    const SIOCETHTOOL: libc::Ioctl = 0x8946;
    let mut name = [0; libc::IFNAMSIZ];
    // The last octet stays 0.
    let room = name.get_mut(..interface.len()).filter(|room| room.len() < libc::IFNAMSIZ);
    room.with_context(|| format!("{interface} is no name of an interface"))?.copy_from_slice(interface.as_bytes());
    namespace.run(|| {
        let socket = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).context("cannot open a socket")?;
        let mut value = Value { command, data };
        let mut request = Request { name, value: &raw mut value, _rest: [0; 16] };
        // SAFETY: `request` is laid out as a struct ifreq with ifr_data, and both it and `value` outlive the call.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
        if result < 0 {
            return Err(io::Error::last_os_error().into());
        }
        Ok(value.data)
    })
}
