//! Networks as they are written: `198.51.100.0/24`, `2001:db8::/32`, or one address.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use super::{Network, keys::shown, problem::Complaint};

impl Network {
    /// The network of one address; an IPv4-mapped IPv6 address is the IPv4 address.
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix_len: width(address) }
    }

    /// The network of this length around an address; `None` where it has no such length.
    pub fn around(address: IpAddr, prefix_len: u8) -> Option<Self> {
        let mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        let prefix_len = if mapped { prefix_len.checked_sub(96)? } else { prefix_len };
        let address = address.to_canonical();
        (prefix_len <= width(address)).then(|| Self { address: masked(address, prefix_len), prefix_len })
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.prefix_len) == self.address
    }
}

/// Bits in an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with its host bits zero.
fn masked(address: IpAddr, prefix_len: u8) -> IpAddr {
    match address {
        IpAddr::V4(a) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_len.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(a) & mask).into())
        }
        IpAddr::V6(a) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_len.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(a) & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix_len == width(self.address) {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix_len)
        }
    }
}

impl FromStr for Network {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let complaint = |why: &str, remedy: &str| Complaint::new(format!("{:?} {why}", shown(text)), remedy.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let Ok(written) = address.parse::<IpAddr>() else {
            return Err(complaint(
                "is no address",
                "write an address such as 203.0.113.10 or a network such as 192.0.2.0/28",
            ));
        };
        let Some(length) = length else {
            return Ok(Self::host(written));
        };
        let most = width(written);
        let digits = !length.is_empty() && length.len() <= 3 && length.bytes().all(|b| b.is_ascii_digit());
        let Some(length) = length.parse::<u8>().ok().filter(|&n| digits && n <= most) else {
            let remedy =
                format!("write a length from 0 to {most}, such as {address}/{}", if most == 32 { 24 } else { 64 });
            return Err(complaint("has no valid prefix length", &remedy));
        };
        let (address, prefix_len) = match written {
            IpAddr::V6(a) => match (mapped(a), length.checked_sub(96)) {
                (Some(v4), Some(rest)) => (v4, rest),
                _ => (written, length),
            },
            IpAddr::V4(_) => (written, length),
        };
        let network = Self { address: masked(address, prefix_len), prefix_len };
        if network.address == address {
            Ok(network)
        } else {
            let remedy = format!("write {network} for the network, or {} for the one address", Self::host(address));
            Err(complaint("has host bits set", &remedy))
        }
    }
}

/// The IPv4 address in `::ffff:0:0/96`.
fn mapped(address: Ipv6Addr) -> Option<IpAddr> {
    address.to_ipv4_mapped().map(IpAddr::V4)
}
