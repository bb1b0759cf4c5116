//! The demo network: a caller and a flooder outside, a gateway that forwards, a PBX inside.
//!
//! ```text
//! caller  192.0.2.10 ────── 192.0.2.1   wan0 ┐
//!                                            │ gateway ── lan0 198.51.100.1 ────── 198.51.100.10 PBX
//! flooder 203.0.113.10 ─── 203.0.113.1  wan1 ┘
//! ```
//! The prefixes are those set aside for documentation (RFC 5737, RFC 3849); each link has an IPv6 prefix too.

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::{
    link::{self, End, Mac},
    netns::Namespace,
};

/// The port of SIP (RFC 3261 19.1.2).
pub const SIP_PORT: u16 = 5060;

/// Octets that a socket of the harness may hold unread: a peer that waits for a CPU must not lose what it is to count.
const RECEIVE_BUFFER: usize = 16 << 20;

/// One host outside or inside, and the gateway's interface that faces it.
#[derive(Clone, Copy, Debug)]
struct Side {
    /// The host's interface.
    host: &'static str,
    /// The gateway's interface.
    gateway: &'static str,
    /// Addresses: the host ends in `.10`, the gateway in `.1`.
    ipv4: [u8; 3],
    /// Third group of the IPv6 prefix 2001:db8:N::/64.
    ipv6: u16,
}

const CALLER: Side = Side { host: "caller0", gateway: "wan0", ipv4: [192, 0, 2], ipv6: 1 };
const FLOODER: Side = Side { host: "flooder0", gateway: "wan1", ipv4: [203, 0, 113], ipv6: 2 };
const PBX: Side = Side { host: "pbx0", gateway: "lan0", ipv4: [198, 51, 100], ipv6: 3 };

/// Last octets of Ethernet addresses.
const HOST_END: u8 = 0x10;
const GATEWAY_END: u8 = 1;

impl Side {
    const fn host_v4(self) -> Ipv4Addr {
        let [a, b, c] = self.ipv4;
        Ipv4Addr::new(a, b, c, 10)
    }

    const fn gateway_v4(self) -> Ipv4Addr {
        let [a, b, c] = self.ipv4;
        Ipv4Addr::new(a, b, c, 1)
    }

    const fn host_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, self.ipv6, 0, 0, 0, 0, 0x10)
    }

    const fn gateway_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, self.ipv6, 0, 0, 0, 0, 1)
    }

    /// Locally administered addresses that name the link and the end.
    const fn mac(self, end: u8) -> Mac {
        [2, 0, 0, 0, self.ipv6 as u8, end]
    }

    /// Links the host with the gateway and makes the gateway its default route.
    fn connect(self, host: &Namespace, gateway: &Namespace, ipv6: bool) -> Result<()> {
        let families = if ipv6 { 2 } else { 1 };
        let near = [(IpAddr::V4(self.host_v4()), 24), (IpAddr::V6(self.host_v6()), 64)];
        let far = [(IpAddr::V4(self.gateway_v4()), 24), (IpAddr::V6(self.gateway_v6()), 64)];
        link::veth(
            End { namespace: host, name: self.host, mac: self.mac(HOST_END), addresses: &near[..families] },
            End { namespace: gateway, name: self.gateway, mac: self.mac(GATEWAY_END), addresses: &far[..families] },
        )?;
        far[..families].iter().try_for_each(|&(address, _)| link::default_route(host, address))
    }
}

/// The four hosts. Dropping it removes them.
#[derive(Debug)]
pub struct Network {
    /// Places good and forbidden calls; behind the gateway's `wan0`.
    pub caller: Namespace,
    /// Floods; behind the gateway's `wan1`.
    pub flooder: Namespace,
    /// Forwards between `wan0`, `wan1` and `lan0`.
    pub gateway: Namespace,
    /// Answers calls; behind the gateway's `lan0`.
    pub pbx: Namespace,
    /// Whether the links have IPv6 addresses too.
    pub ipv6: bool,
}

impl Network {
    /// The caller's address.
    pub const CALLER: Ipv4Addr = CALLER.host_v4();
    /// The flooder's address.
    pub const FLOODER: Ipv4Addr = FLOODER.host_v4();
    /// The PBX's address.
    pub const PBX: Ipv4Addr = PBX.host_v4();
    /// The caller's IPv6 address.
    pub const CALLER_V6: Ipv6Addr = CALLER.host_v6();
    /// The flooder's IPv6 address.
    pub const FLOODER_V6: Ipv6Addr = FLOODER.host_v6();
    /// The PBX's IPv6 address.
    pub const PBX_V6: Ipv6Addr = PBX.host_v6();
    /// The gateway's interface towards the caller.
    pub const WAN_CALLER: &str = CALLER.gateway;
    /// The gateway's interface towards the flooder.
    pub const WAN_FLOODER: &str = FLOODER.gateway;
    /// Its Ethernet address.
    pub const WAN_FLOODER_MAC: Mac = FLOODER.mac(GATEWAY_END);
    /// The gateway's interface towards the PBX.
    pub const LAN: &str = PBX.gateway;

    /// Makes the four hosts and links them. Packets cross from the moment this returns.
    ///
    /// # Errors
    /// Where the caller lacks CAP_SYS_ADMIN and CAP_NET_ADMIN, or the kernel has no namespaces or veth.
    pub fn new() -> Result<Self> {
        let (caller, flooder, gateway, pbx) =
            (Namespace::new()?, Namespace::new()?, Namespace::new()?, Namespace::new()?);
        let ipv6 = gateway.run(|| Ok(std::path::Path::new("/proc/sys/net/ipv6").exists()))?;
        gateway.sysctl("net/ipv4/ip_forward", "1")?;
        if ipv6 {
            gateway.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        }
        for (side, host) in [(CALLER, &caller), (FLOODER, &flooder), (PBX, &pbx)] {
            side.connect(host, &gateway, ipv6)
                .with_context(|| format!("cannot link {} with {}", side.host, side.gateway))?;
        }
        Ok(Self { caller, flooder, gateway, pbx, ipv6 })
    }

    /// Where the PBX takes SIP.
    pub const fn pbx_sip() -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Self::PBX), SIP_PORT)
    }
}

/// Opens a UDP socket in `namespace` that keeps what its owner has no time to read.
///
/// # Errors
/// Where the address is taken or not one of the namespace.
pub fn udp(namespace: &Namespace, address: impl Into<SocketAddr>) -> Result<UdpSocket> {
    let address = address.into();
    namespace.run(|| {
        let socket = bound(address).with_context(|| format!("cannot open UDP {address}"))?;
        set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).context("cannot enlarge the receive buffer")?;
        Ok(socket)
    })
}

/// A child that another thread has forked holds a socket that was just closed here until it runs its program.
fn bound(address: SocketAddr) -> std::io::Result<UdpSocket> {
    const PATIENCE: Duration = Duration::from_secs(5);
    let began = Instant::now();
    loop {
        match UdpSocket::bind(address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && began.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            bound => return bound,
        }
    }
}
