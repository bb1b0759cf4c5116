//! Interfaces, addresses and default routes as the kernel lists them: one dump each over a route netlink socket
//! (rtnetlink(7)).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::OwnedFd,
};

use libc::{EHOSTUNREACH, ENETUNREACH};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink, recv, sendto, socket_with,
};

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if.h
const RTM_GETLINK: u16 = 18;
const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_HEADER: usize = 16;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const RTMSG: usize = 12;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RT_TABLE_MAIN: u8 = 254;
const RT_SCOPE_LINK: u8 = 253;
const RTN_UNICAST: u8 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const XDP_ATTACHED_NONE: u8 = 0;
const XDP_ATTACHED_SKB: u8 = 2;
const IFF_UP: u32 = 1;
const IFF_LOOPBACK: u32 = 8;
/// Bits of an attribute's type that say how it is encoded.
const NLA_TYPE_MASK: u16 = 0x3fff;

/// One interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) loopback: bool,
    /// In octets.
    pub(crate) mtu: u32,
    /// What kind of virtual interface it is, such as `veth`.
    pub(crate) kind: Option<String>,
    /// The interface that it rides on.
    pub(crate) parent: Option<u32>,
    pub(crate) xdp: Option<Attached>,
}

/// The XDP program of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) program: u32,
    pub(crate) generic: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) index: u32,
    pub(crate) ip: IpAddr,
    pub(crate) prefix_len: u8,
    /// Whether it means nothing beyond its link.
    pub(crate) link_local: bool,
}

/// Every interface of this network namespace.
pub(crate) fn links() -> io::Result<Vec<Link>> {
    dump(RTM_GETLINK, IFINFOMSG, RTM_NEWLINK, link)
}

/// Every address of every interface.
pub(crate) fn addresses() -> io::Result<Vec<Address>> {
    dump(RTM_GETADDR, IFADDRMSG, RTM_NEWADDR, address)
}

/// The interfaces that default routes of the main table lead out of.
pub(crate) fn default_routes() -> io::Result<Vec<u32>> {
    dump(RTM_GETROUTE, RTMSG, RTM_NEWROUTE, default_route)
}

/// The interface that the route to an address leads out of; `None` where none does.
pub(crate) fn route(to: IpAddr) -> io::Result<Option<u32>> {
    let to = to.to_canonical();
    let (family, octets) = match to {
        IpAddr::V4(v4) => (AddressFamily::INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AddressFamily::INET6, v6.octets().to_vec()),
    };
    let mut body = vec![0; RTMSG];
    body[0] = family.as_raw() as u8;
    body[1] = octets.len() as u8 * 8;
    body.extend(((octets.len() + 4) as u16).to_ne_bytes());
    body.extend(RTA_DST.to_ne_bytes());
    body.extend(octets);
    let socket = asked(RTM_GETROUTE, NLM_F_REQUEST, &body)?;
    let mut buffer = vec![0; 1 << 12];
    let (length, _) = recv(&socket, &mut *buffer, RecvFlags::empty())?;
    let mut found = Vec::new();
    match messages(&buffer[..length], RTM_NEWROUTE, out_of, &mut found) {
        Ok(_) => Ok(found.pop()),
        // No route leads there.
        Err(error) if matches!(error.raw_os_error(), Some(ENETUNREACH | EHOSTUNREACH)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A socket on which one thing was asked.
fn asked(request: u16, flags: u16, body: &[u8]) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let length = NLMSG_HEADER + body.len();
    let mut message = Vec::with_capacity(length);
    message.extend((length as u32).to_ne_bytes());
    message.extend(request.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.resize(NLMSG_HEADER, 0);
    message.extend(body);
    sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    Ok(socket)
}

/// Everything of one kind, read message by message.
fn dump<T>(request: u16, header: usize, reply: u16, read: fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
    let socket = asked(request, NLM_F_REQUEST_DUMP, &vec![0; header])?;
    let mut found = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (length, _) = recv(&socket, &mut *buffer, RecvFlags::empty())?;
        if messages(&buffer[..length], reply, read, &mut found)? {
            return Ok(found);
        }
    }
}

/// Reads the messages of one datagram; true after the last one of the dump.
fn messages<T>(mut octets: &[u8], wanted: u16, read: fn(&[u8]) -> Option<T>, found: &mut Vec<T>) -> io::Result<bool> {
    let cut = || io::Error::new(io::ErrorKind::InvalidData, "the kernel sent half a message");
    while !octets.is_empty() {
        let length = u32_at(octets, 0).ok_or_else(cut)? as usize;
        let kind = u16_at(octets, 4).ok_or_else(cut)?;
        let body = octets.get(NLMSG_HEADER..length).ok_or_else(cut)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let code = u32_at(body, 0).ok_or_else(cut)?.cast_signed();
                return Err(io::Error::from_raw_os_error(code.saturating_neg()));
            }
            kind if kind == wanted => found.extend(read(body)),
            _ => {}
        }
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

fn address(body: &[u8]) -> Option<Address> {
    let (prefix_len, scope, index) = (*body.get(1)?, *body.get(3)?, u32_at(body, 4)?);
    let find = |wanted| {
        let mut all = attributes(body.get(IFADDRMSG..).unwrap_or_default());
        all.find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    };
    // On a point-to-point link the other attribute is the address of the other end.
    let octets = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?;
    let ip = match octets.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?)),
        _ => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?)),
    };
    Some(Address { index, ip, prefix_len, link_local: scope == RT_SCOPE_LINK })
}

fn default_route(body: &[u8]) -> Option<u32> {
    let (destination, table, kind) = (*body.get(1)?, *body.get(4)?, *body.get(7)?);
    if destination != 0 || table != RT_TABLE_MAIN || kind != RTN_UNICAST {
        return None;
    }
    out_of(body)
}

/// The interface that a route leads out of.
fn out_of(body: &[u8]) -> Option<u32> {
    attributes(body.get(RTMSG..)?).find(|(kind, _)| *kind == RTA_OIF).and_then(|(_, value)| u32_at(value, 0))
}

fn link(body: &[u8]) -> Option<Link> {
    let flags = u32_at(body, 8)?;
    let mut link = Link {
        index: u32_at(body, 4)?,
        up: flags & IFF_UP != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        ..Link::default()
    };
    for (kind, value) in attributes(body.get(IFINFOMSG..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_LINK => link.parent = u32_at(value, 0),
            IFLA_LINKINFO => {
                link.kind = attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND).map(|(_, value)| text(value));
            }
            IFLA_XDP => link.xdp = attached(value),
            _ => {}
        }
    }
    Some(link)
}

fn attached(value: &[u8]) -> Option<Attached> {
    let find = |wanted| attributes(value).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let mode = *find(IFLA_XDP_ATTACHED)?.first()?;
    (mode != XDP_ATTACHED_NONE).then(|| Attached {
        // Several programs at once (driver and generic) have no single number.
        program: find(IFLA_XDP_PROG_ID).and_then(|value| u32_at(value, 0)).unwrap_or(0),
        generic: mode == XDP_ATTACHED_SKB,
    })
}

/// The attributes in `octets`: type and value.
fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u16_at(octets, 0)? as usize;
        let kind = u16_at(octets, 2)? & NLA_TYPE_MASK;
        let value = octets.get(4..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut octets = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        octets.extend(kind.to_ne_bytes());
        octets.extend(value);
        octets.resize(octets.len().next_multiple_of(4), 0);
        octets
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut octets = ((body.len() + NLMSG_HEADER) as u32).to_ne_bytes().to_vec();
        octets.extend(kind.to_ne_bytes());
        octets.resize(NLMSG_HEADER, 0);
        octets.extend(body);
        octets
    }

    #[test]
    fn a_link_is_read_with_its_program() {
        let mut body = vec![0; IFINFOMSG];
        body[4] = 3;
        body[8] = IFF_UP as u8;
        body.extend(attribute(IFLA_IFNAME, b"eth0\0"));
        body.extend(attribute(IFLA_MTU, &1500u32.to_ne_bytes()));
        body.extend(attribute(IFLA_LINKINFO | 0x8000, &attribute(IFLA_INFO_KIND, b"veth\0")));
        let mut xdp = attribute(IFLA_XDP_ATTACHED, &[XDP_ATTACHED_SKB]);
        xdp.extend(attribute(IFLA_XDP_PROG_ID, &42u32.to_ne_bytes()));
        body.extend(attribute(IFLA_XDP, &xdp));
        let mut datagram = message(RTM_NEWLINK, &body);
        datagram.extend(message(NLMSG_DONE, &[0; 4]));

        let mut links = Vec::new();
        assert!(messages(&datagram, RTM_NEWLINK, link, &mut links).unwrap());
        let expected = Link {
            index: 3,
            name: "eth0".into(),
            up: true,
            loopback: false,
            mtu: 1500,
            kind: Some("veth".into()),
            parent: None,
            xdp: Some(Attached { program: 42, generic: true }),
        };
        assert_eq!(links, [expected]);

        for cut in 0..datagram.len() {
            // Whatever is missing, the reader ends; it says so or has read only what was whole.
            let _ = messages(&datagram[..cut], RTM_NEWLINK, link, &mut Vec::new());
        }
    }

    #[test]
    fn addresses_and_default_routes_are_read() {
        let mut body = vec![2, 24, 0, 0, 3, 0, 0, 0];
        body.extend(attribute(IFA_ADDRESS, &[192, 0, 2, 2]));
        body.extend(attribute(IFA_LOCAL, &[192, 0, 2, 1]));
        let own = Address { index: 3, ip: [192, 0, 2, 1].into(), prefix_len: 24, link_local: false };
        assert_eq!(address(&body), Some(own));
        let mut body = vec![10, 64, 0, RT_SCOPE_LINK, 3, 0, 0, 0];
        body.extend(attribute(IFA_ADDRESS, &[0xfe; 16]));
        assert!(address(&body).is_some_and(|it| it.link_local && it.ip.is_ipv6()));

        let route = |destination: u8, table: u8| {
            let mut body = vec![2, destination, 0, 0, table, 0, 0, RTN_UNICAST, 0, 0, 0, 0];
            body.extend(attribute(RTA_OIF, &7u32.to_ne_bytes()));
            default_route(&body)
        };
        assert_eq!((route(0, RT_TABLE_MAIN), route(24, RT_TABLE_MAIN), route(0, 255)), (Some(7), None, None));
        for cut in 0..body.len() {
            let _ = (address(&body[..cut]), default_route(&body[..cut]));
        }
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let refused = message(NLMSG_ERROR, &(-1i32).to_ne_bytes());
        assert_eq!(messages(&refused, RTM_NEWLINK, link, &mut Vec::new()).unwrap_err().raw_os_error(), Some(1));
        let endless = [0; 16];
        assert!(messages(&endless, RTM_NEWLINK, link, &mut Vec::new()).is_err());
    }

    #[test]
    fn this_machine_has_a_loopback() {
        assert!(links().unwrap().iter().any(|link| link.loopback && link.name == "lo"));
        assert!(addresses().is_ok() && default_routes().is_ok());
        let lo = links().unwrap().iter().find(|link| link.loopback).map(|link| link.index);
        assert_eq!(route([127, 0, 0, 1].into()).unwrap(), lo, "as `ip route get` says");
    }
}
