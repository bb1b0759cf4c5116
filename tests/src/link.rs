//! veth pairs, addresses, routes and neighbours, by netlink alone.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures_util::TryStreamExt;
use rtnetlink::{
    Handle, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        address::AddressHeaderFlags,
        link::{InfoData, InfoVeth, LinkAttribute},
    },
};
use rustix::net::netdevice::name_to_index;

use crate::netns::Namespace;

/// How long the kernel may take for what it does in the background.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked.
const TICK: Duration = Duration::from_millis(1);

/// An Ethernet address.
pub type Mac = [u8; 6];

/// One end of a veth pair.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The namespace it lies in.
    pub namespace: &'a Namespace,
    /// Its name, at most 15 octets.
    pub name: &'a str,
    /// Its Ethernet address.
    pub mac: Mac,
    /// Its addresses, each with the length of its prefix.
    pub addresses: &'a [(IpAddr, u8)],
}

/// Makes a veth pair, gives both ends their addresses and brings them up. Each end knows the addresses of the other as neighbours, so
/// that no packet waits for ARP or neighbour discovery.
///
/// # Errors
/// Where a name is taken, or the kernel has no veth.
pub fn veth(one: End<'_>, other: End<'_>) -> Result<()> {
    let far = LinkMessageBuilder::<LinkUnspec>::new()
        .name(other.name)
        .address(other.mac.to_vec())
        .setns_by_fd(other.namespace.as_raw_fd())
        .build();
    let near = LinkVeth::new(one.name, other.name)
        .address(one.mac.to_vec())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(far)))
        .build();
    netlink(one.namespace, async |netlink| {
        let (one, other) = (one.name, other.name);
        netlink.link().add(near).execute().await.with_context(|| format!("cannot make the veth pair {one}, {other}"))
    })?;
    configure(one, other)?;
    configure(other, one)?;
    for end in [one, other] {
        wait_until_it_sends(end)?;
        wait_until_it_receives(end)?;
    }
    Ok(())
}

/// Waits until the namespace takes packets to the IPv6 addresses as its own: the kernel adds those routes in the background.
fn wait_until_it_receives(end: End<'_>) -> Result<()> {
    /// `RTF_LOCAL` of `linux/ipv6_route.h`.
    const LOCAL: u32 = 0x8000_0000;
    let deadline = Instant::now() + PATIENCE;
    for &(address, _) in end.addresses {
        let IpAddr::V6(address) = address else {
            continue;
        };
        // Destination, its prefix length, source, its prefix length, next hop, metric, two counters, flags, device; all hexadecimal.
        let destination = format!("{:032x} 80 ", address.to_bits());
        let is_local = |route: &str| {
            let flags = route.strip_prefix(&destination).and_then(|rest| rest.split_whitespace().nth(6));
            flags.and_then(|flags| u32::from_str_radix(flags, 16).ok()).is_some_and(|flags| flags & LOCAL != 0)
        };
        end.namespace.run(|| {
            loop {
                let routes =
                    fs::read_to_string("/proc/thread-self/net/ipv6_route").context("cannot read the IPv6 routes")?;
                if routes.lines().any(is_local) {
                    return Ok(());
                }
                ensure!(Instant::now() < deadline, "{address} is of no use after 30 s");
                thread::sleep(TICK);
            }
        })?;
    }
    Ok(())
}

/// Waits until the kernel has given the interface its queue, which it does in the background once both ends are up: until then it
/// throws away whatever is sent.
fn wait_until_it_sends(end: End<'_>) -> Result<()> {
    let index = index(end.namespace, end.name)?;
    let deadline = Instant::now() + PATIENCE;
    netlink(end.namespace, async |netlink| {
        loop {
            let link = netlink.link().get().match_index(index).execute().try_next().await;
            let link = link.with_context(|| format!("cannot ask for {}", end.name))?;
            let attributes = link.map(|link| link.attributes).unwrap_or_default();
            // "noop" is the queue of an interface that does not send yet.
            if attributes.iter().any(|a| matches!(a, LinkAttribute::Qdisc(queue) if queue != "noop")) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{} does not send after 30 s", end.name);
            thread::sleep(TICK);
        }
    })
}

fn configure(end: End<'_>, peer: End<'_>) -> Result<()> {
    up(end.namespace, end.name)?;
    let index = index(end.namespace, end.name)?;
    netlink(end.namespace, async |netlink| {
        for &(address, prefix) in end.addresses {
            let name = end.name;
            let mut request = netlink.address().add(index, address, prefix);
            // An IPv6 address is otherwise tentative, and of no use, until nobody has claimed it for a while.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
            request.execute().await.with_context(|| format!("cannot give {name} the address {address}/{prefix}"))?;
        }
        for &(address, _) in peer.addresses {
            let name = end.name;
            netlink
                .neighbours()
                .add(index, address)
                .link_layer_address(&peer.mac)
                .execute()
                .await
                .with_context(|| format!("cannot name {address} as a neighbour on {name}"))?;
        }
        Ok(())
    })
}

/// Brings an interface up.
///
/// # Errors
/// Where there is no such interface.
pub fn up(namespace: &Namespace, name: &str) -> Result<()> {
    set(namespace, name, true)
}

/// Takes an interface down.
///
/// # Errors
/// Where there is no such interface.
pub fn down(namespace: &Namespace, name: &str) -> Result<()> {
    set(namespace, name, false)
}

fn set(namespace: &Namespace, name: &str, up: bool) -> Result<()> {
    let link = LinkUnspec::new_with_index(index(namespace, name)?);
    let message = if up { link.up() } else { link.down() }.build();
    let state = if up { "up" } else { "down" };
    netlink(namespace, async |netlink| {
        netlink.link().set(message).execute().await.with_context(|| format!("cannot set {name} {state}"))
    })
}

/// Removes an interface; the other end of a veth pair goes with it.
///
/// # Errors
/// Where there is no such interface.
pub fn delete(namespace: &Namespace, name: &str) -> Result<()> {
    let index = index(namespace, name)?;
    netlink(namespace, async |netlink| {
        netlink.link().del(index).execute().await.with_context(|| format!("cannot remove {name}"))
    })
}

/// Sets the largest packet of an interface, in octets without the Ethernet header.
///
/// # Errors
/// Where there is no such interface, or its driver refuses the size.
pub fn mtu(namespace: &Namespace, name: &str, octets: u32) -> Result<()> {
    let message = LinkUnspec::new_with_index(index(namespace, name)?).mtu(octets).build();
    netlink(namespace, async |netlink| {
        netlink.link().set(message).execute().await.with_context(|| format!("cannot set the MTU of {name} to {octets}"))
    })
}

/// Sends everything that no other route covers, of the gateway's address family, to `gateway`.
///
/// # Errors
/// Where no interface of the namespace reaches the gateway.
pub fn default_route(namespace: &Namespace, gateway: IpAddr) -> Result<()> {
    let message = match gateway {
        IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway).build(),
        IpAddr::V6(gateway) => RouteMessageBuilder::<std::net::Ipv6Addr>::new().gateway(gateway).build(),
    };
    netlink(namespace, async |netlink| {
        netlink.route().add(message).execute().await.with_context(|| format!("cannot add a default route by {gateway}"))
    })
}

/// The kernel's number of an interface.
///
/// # Errors
/// Where there is no such interface.
pub fn index(namespace: &Namespace, name: &str) -> Result<u32> {
    namespace.run(|| {
        let any = UdpSocket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).context("cannot open a socket")?;
        name_to_index(&any, name).with_context(|| format!("there is no interface {name} in the namespace"))
    })
}

/// Runs `f` with a netlink connection of the namespace.
fn netlink<T: Send>(namespace: &Namespace, f: impl AsyncFnOnce(Handle) -> Result<T> + Send) -> Result<T> {
    namespace.run(|| {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().context("cannot start a runtime")?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().context("cannot open a netlink socket")?;
            let worker = tokio::spawn(connection);
            let result = f(handle).await;
            worker.abort();
            result
        })
    })
}
