//! The frames that are measured, and where the generator varies them.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context, Result};

use super::stage::NOBODY;
use crate::{
    link::Mac,
    packet::{Frame, TPID_8021Q},
};

const SIP: u16 = 5060;
/// The first source; the others follow. Inside 10.0.0.0/8, so that a million have room.
pub const FIRST: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 0);
/// The network of the first source of IPv6; the others are networks behind it.
const FIRST_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 10);
/// The address that is called.
pub const CALLED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);
const CALLED_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 9);
/// What the generator puts letters in place of.
const CALL_ID: &str = "aaaaaaaa";

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An INVITE to this user; To repeats it.
    Invite(String),
    /// OPTIONS, as a telephone sends them to keep its port open.
    Options,
    /// Voice on a port that is not SIP's.
    Voice,
    /// OPTIONS in a TCP segment.
    Tcp,
}

/// How a frame is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// IPv4 in Ethernet.
    Plain,
    /// IPv6 in Ethernet.
    V6,
    /// IPv4 in one VLAN tag.
    Vlan,
    /// IPv4 in a PPPoE session.
    Pppoe,
    /// IPv4 in IPv6, as of MAP-E and DS-Lite.
    FourInSix,
    /// The first fragment of an IPv4 packet; the rest never comes.
    FirstFragment,
}

/// What is different from frame to frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vary {
    /// How many sources.
    pub sources: u32,
    /// How many numbers, which differ in their last five digits; at most 65,536.
    pub numbers: u32,
    /// Whether the Call-ID does.
    pub call_ids: bool,
}

impl Vary {
    /// The same frame again and again.
    pub const NOTHING: Self = Self { sources: 1, numbers: 1, call_ids: false };

    /// So many sources.
    pub const fn sources(sources: u32) -> Self {
        Self { sources, ..Self::NOTHING }
    }
}

/// Where fields stand; 0 for what is not varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The 32 bits of the source address that tell sources apart.
    pub source: u32,
    /// Their first value.
    pub first_source: u32,
    /// The checksum of the IPv4 header.
    pub sum: u32,
    /// The sum of the words of that header, source and checksum left out.
    pub sum_of_rest: u32,
    /// The last five digits of the number.
    pub number: u32,
    /// The same in To.
    pub number_again: u32,
    /// The eight letters of the Call-ID.
    pub call_id: u32,
}

/// A frame, and how it is varied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The first of the frames.
    pub frame: Vec<u8>,
    /// Where it is varied.
    pub places: Places,
    /// What varies.
    pub vary: Vary,
}

/// Builds a frame and finds what is varied in it. `mac` is the receiver's address.
///
/// # Errors
/// Where what is to be varied is not in the frame.
pub fn sample(content: &Content, wrap: Wrap, vary: Vary, mac: Mac) -> Result<Sample> {
    sample_to(CALLED, content, wrap, vary, mac)
}

/// [`sample`], whose IPv4 packets go to this address.
///
/// # Errors
/// As [`sample`].
pub fn sample_to(called: Ipv4Addr, content: &Content, wrap: Wrap, vary: Vary, mac: Mac) -> Result<Sample> {
    let mut frame = build(called, content, wrap, mac)?;
    let mut places = Places::default();
    if vary.sources > 1 {
        vary_source(&mut frame, wrap, &mut places)?;
    }
    if vary.numbers > 1 {
        let Content::Invite(user) = content else { anyhow::bail!("only an INVITE dials a number") };
        let mut found = all(&frame, user.as_bytes());
        let last = |at: usize| (at + user.len() - 5) as u32;
        places.number = found.next().map(last).context("the number is not in the frame")?;
        places.number_again = found.next().map_or(0, last);
    }
    if vary.call_ids {
        places.call_id = all(&frame, CALL_ID.as_bytes()).next().context("the Call-ID is not in the frame")? as u32;
    }
    Ok(Sample { frame, places, vary })
}

/// The places of the source address, and of the checksum over it.
fn vary_source(frame: &mut [u8], wrap: Wrap, places: &mut Places) -> Result<()> {
    if wrap == Wrap::V6 {
        let at = all(frame, &FIRST_V6.octets()).next().context("the source is not in the frame")?;
        // The second half of the network that is one source.
        places.source = at as u32 + 4;
        places.first_source = 0x0001_0000;
        return Ok(());
    }
    let at = all(frame, &FIRST.octets()).next().context("the source is not in the frame")?;
    (places.source, places.first_source, places.sum) = (at as u32, FIRST.to_bits(), at as u32 - 2);
    let header = frame.get(at - 12..at + 8).context("the IPv4 header is cut off")?;
    let words = header.chunks(2).enumerate().filter(|(word, _)| !(5..=7).contains(word));
    places.sum_of_rest = words.map(|(_, octets)| u32::from(octets[0]) << 8 | u32::from(octets[1])).sum();
    Ok(())
}

fn build(called: Ipv4Addr, content: &Content, wrap: Wrap, mac: Mac) -> Result<Vec<u8>> {
    let (port, payload) = match content {
        Content::Invite(user) => (SIP, invite(user)),
        Content::Options => (SIP, options()),
        Content::Voice => (20_000, voice()),
        Content::Tcp => (SIP, options()),
    };
    let (from, to): (IpAddr, IpAddr) = match wrap {
        Wrap::V6 => (FIRST_V6.into(), CALLED_V6.into()),
        _ => (FIRST.into(), called.into()),
    };
    let (from, to) = (SocketAddr::new(from, port), SocketAddr::new(to, port));
    let frame = match content {
        Content::Tcp => {
            let flags = crate::packet::TcpFlags { ack: true, psh: true, ..Default::default() };
            Frame::tcp(from, to, (1, 1), flags, payload)
        }
        _ => Frame::udp(from, to, payload),
    };
    let frame = frame.macs([2, 0, 0, 0, 0xbe, 1], mac);
    let mut octets = match wrap {
        Wrap::Plain | Wrap::V6 => frame.build()?,
        Wrap::Vlan => frame.vlan(TPID_8021Q, 7).build()?,
        Wrap::Pppoe => frame.pppoe().build()?,
        Wrap::FourInSix => frame.tunnel(FIRST_V6, CALLED_V6).build()?,
        Wrap::FirstFragment => frame.fragments(280)?.into_iter().next().context("there is no fragment")?,
    };
    if wrap != Wrap::V6 && *content != Content::Tcp {
        // None: it would have to follow every change.
        let at = all(&octets, &FIRST.octets()).next().context("the source is not in the frame")? + 8 + 6;
        octets.get_mut(at..at + 2).context("the UDP header is cut off")?.fill(0);
    }
    Ok(octets)
}

/// An INVITE as a small user agent writes it.
fn invite(user: &str) -> Vec<u8> {
    format!(
        "INVITE sip:{user}@203.0.113.9 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK-1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:100@203.0.113.10>;tag=1\r\nTo: <sip:{user}@203.0.113.9>\r\n\
         Call-ID: {CALL_ID}@203.0.113.10\r\nCSeq: 1 INVITE\r\nContact: <sip:100@203.0.113.10>\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn options() -> Vec<u8> {
    format!(
        "OPTIONS sip:203.0.113.9 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.10:5060;branch=z9hG4bK-1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:100@203.0.113.10>;tag=1\r\nTo: <sip:203.0.113.9>\r\n\
         Call-ID: {CALL_ID}@203.0.113.10\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// An RTP packet of 20 ms of G.711 (RFC 3551).
fn voice() -> Vec<u8> {
    [&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9][..], &[0xd5; 160]].concat()
}

/// Every digit of a number as `%3x`, the longest legal way to write it.
pub fn escaped(user: &str) -> String {
    user.bytes().fold(String::new(), |mut escaped, octet| {
        // Writing to a String cannot fail.
        let _ = write!(escaped, "%{octet:02x}");
        escaped
    })
}

fn all<'a>(frame: &'a [u8], wanted: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    frame.windows(wanted.len()).enumerate().filter(move |(_, window)| *window == wanted).map(|(at, _)| at)
}

/// [`sample`] for a receiver whose stack does not take the frame.
///
/// # Errors
/// As [`sample`].
pub fn for_nobody(content: &Content, wrap: Wrap, vary: Vary) -> Result<Sample> {
    sample(content, wrap, vary, NOBODY)
}
