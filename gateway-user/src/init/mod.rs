//! A first policy, from what this machine is attached to or from a capture.

mod abroad;
mod machine;
mod shipped;
mod survey;
mod text;

use std::{collections::BTreeMap, net::IpAddr, path::Path};

pub use abroad::Abroad;
pub use machine::{local_region, machine};
pub use survey::{SurveyError, survey};
pub use text::policy;

use crate::config::Role;

/// An interface of this machine that has addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// The side that it seems to look at.
    pub role: Role,
    /// Its addresses, with prefix lengths.
    pub addresses: Vec<String>,
    /// What to know about it.
    pub note: Option<String>,
}

/// What a capture shows of a site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Packets read, and those of them that are SIP over UDP and over TCP.
    pub packets: u64,
    /// SIP over UDP.
    pub udp: u64,
    /// SIP over TCP.
    pub tcp: u64,
    /// Whom most SIP comes from or goes to: the PBX, or the gateway in front of it.
    pub hub: Option<IpAddr>,
    /// UDP ports that SIP was sent to, with how often.
    pub ports: BTreeMap<u16, u64>,
    /// Who exchanged SIP with the hub.
    pub peers: BTreeMap<IpAddr, Peer>,
    /// Peers beyond those that are kept.
    pub more_peers: u64,
    /// Foreign countries that were called, ISO 3166-1, with how often.
    pub countries: BTreeMap<String, u64>,
    /// How much the site itself called abroad.
    pub abroad: Abroad,
}

/// One that exchanged SIP with the hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Calls that it placed to the hub.
    pub calls_in: u64,
    /// Calls that the hub placed to it.
    pub calls_out: u64,
    /// Registrations that the hub asked it for.
    pub asked: u64,
    /// Of these, those that it accepted.
    pub registrar: u64,
    /// Its own registrations that the hub accepted.
    pub registered: u64,
}

impl Peer {
    /// Whether it looks like a provider: the hub registers there, or calls go both ways and it never registers here.
    pub const fn is_trunk(&self) -> bool {
        self.registrar > 0 || self.calls_in > 0 && self.calls_out > 0 && self.registered == 0
    }
}

/// What a first policy is written from.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// ISO 3166-1 code, or `ZZ`.
    pub region: String,
    /// Where the region was found.
    pub region_by: &'static str,
    /// The interfaces.
    pub interfaces: Vec<Found>,
    /// What the capture shows, with its name.
    pub survey: Option<(String, Survey)>,
}

/// Looks at this machine and, where one is named, at a capture.
///
/// # Errors
///
/// Where the interfaces cannot be listed, or the capture cannot be read.
pub fn look(capture: Option<&Path>, region: Option<&str>) -> anyhow::Result<Findings> {
    let (region, region_by) = match region {
        Some(region) => (region.to_owned(), "named by --region"),
        None => local_region().map_or_else(
            || ("ZZ".to_owned(), "the time zone of this machine names no country: write yours"),
            |region| (region, "by the time zone of this machine"),
        ),
    };
    let survey = match capture {
        Some(path) => Some((path.display().to_string(), survey::survey(path, &region)?)),
        None => None,
    };
    Ok(Findings { interfaces: machine()?, region, region_by, survey })
}

#[cfg(test)]
mod tests;
