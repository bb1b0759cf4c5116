//! One line of a replay, the same for people and programs.

use std::{
    net::{IpAddr, Ipv6Addr},
    path::Path,
};

use gateway_common::{
    Class, Reason, Verdict,
    addr::Addr,
    judged::Judged,
    wire::{self, Datagram, Walk},
};
use serde::Serialize;

use crate::numbering;

/// What was decided about one packet. Numbers are whole here: a replay shows the operator's own data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The file, as it was reached.
    pub file: String,
    /// The packet, from 1.
    pub packet: u64,
    /// Seconds since the first packet of the file.
    pub time: f64,
    /// `pass`, `drop`, `reject` or `would-drop`.
    pub verdict: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The method; null where it is not a SIP request.
    pub method: Option<&'static str>,
    /// The string that a server would dial.
    pub dialled: Option<String>,
    /// The number it reaches, digits without the plus.
    pub e164: Option<String>,
    /// Its class; null where it is not a SIP request.
    pub class: Option<&'static str>,
    /// Its country, ISO 3166-1 alpha-2.
    pub country: Option<&'static str>,
    /// Source address, of the innermost header; null where there is none.
    pub source: Option<IpAddr>,
    /// The verdict.
    #[serde(skip)]
    pub verdict_kind: Verdict,
    /// The reason.
    #[serde(skip)]
    pub reason_kind: Reason,
}

impl Line {
    /// The line of one frame of a file.
    pub fn new(file: &Path, packet: u64, time: f64, frame: &[u8], judged: &Judged) -> Self {
        let text = |octets: Vec<u8>| (!octets.is_empty()).then(|| String::from_utf8_lossy(&octets).into_owned());
        let request = judged.method().is_some() || judged.class() != Class::None;
        let mut datagram = Datagram::default();
        let walk = wire::walk(&mut wire::Slice::new(frame), &mut datagram);
        let source = matches!(walk, Walk::Datagram).then(|| address(datagram.src));
        Self {
            file: file.display().to_string(),
            packet,
            time,
            verdict: judged.verdict().as_str(),
            reason: judged.reason().as_str(),
            method: judged.method().map(gateway_common::Method::as_str),
            // Malformed from its first octet on, nothing was dialled, and that is what decided.
            dialled: text(judged.dialled().to_vec()).or_else(|| (judged.class() == Class::Malformed).then(String::new)),
            e164: text(judged.e164().collect()),
            class: request.then(|| judged.class().as_str()),
            country: country(judged.country),
            source,
            verdict_kind: judged.verdict(),
            reason_kind: judged.reason(),
        }
    }
}

/// The country of this number in the image.
pub(crate) fn country(number: u16) -> Option<&'static str> {
    numbering::country_codes().get(usize::from(number.checked_sub(1)?)).copied()
}

fn address(addr: Addr) -> IpAddr {
    match addr.as_v4() {
        Some(v4) => IpAddr::V4(v4.into()),
        None => IpAddr::V6(Ipv6Addr::from(u128::from(addr.hi) << 64 | u128::from(addr.lo))),
    }
}
