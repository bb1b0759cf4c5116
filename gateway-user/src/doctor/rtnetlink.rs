//! The interfaces as the kernel lists them: one dump over a route netlink socket (rtnetlink(7)).

use std::io;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink, recv, sendto, socket_with,
};

// linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if.h
const RTM_GETLINK: u16 = 18;
const RTM_NEWLINK: u16 = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_HEADER: usize = 16;
const IFINFOMSG: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
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
    pub(crate) xdp: Option<Attached>,
}

/// The XDP program of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) program: u32,
    pub(crate) generic: bool,
}

/// Every interface of this network namespace.
pub(crate) fn links() -> io::Result<Vec<Link>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut request = Vec::with_capacity(NLMSG_HEADER + IFINFOMSG);
    request.extend(((NLMSG_HEADER + IFINFOMSG) as u32).to_ne_bytes());
    request.extend(RTM_GETLINK.to_ne_bytes());
    request.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    request.resize(NLMSG_HEADER + IFINFOMSG, 0);
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;

    let mut links = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let (length, _) = recv(&socket, &mut *buffer, RecvFlags::empty())?;
        if messages(&buffer[..length], &mut links)? {
            return Ok(links);
        }
    }
}

/// Reads the messages of one datagram; true after the last one of the dump.
fn messages(mut octets: &[u8], links: &mut Vec<Link>) -> io::Result<bool> {
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
            RTM_NEWLINK => links.extend(link(body)),
            _ => {}
        }
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
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
        assert!(messages(&datagram, &mut links).unwrap());
        let expected = Link {
            index: 3,
            name: "eth0".into(),
            up: true,
            loopback: false,
            mtu: 1500,
            kind: Some("veth".into()),
            xdp: Some(Attached { program: 42, generic: true }),
        };
        assert_eq!(links, [expected]);

        for cut in 0..datagram.len() {
            // Whatever is missing, the reader ends; it says so or has read only what was whole.
            let _ = messages(&datagram[..cut], &mut Vec::new());
        }
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let refused = message(NLMSG_ERROR, &(-1i32).to_ne_bytes());
        assert_eq!(messages(&refused, &mut Vec::new()).unwrap_err().raw_os_error(), Some(1));
        let endless = [0; 16];
        assert!(messages(&endless, &mut Vec::new()).is_err());
    }

    #[test]
    fn this_machine_has_a_loopback() {
        assert!(links().unwrap().iter().any(|link| link.loopback && link.name == "lo"));
    }
}
