//! The answer to `report --exposure`, which is also the shape of its `--json`.

use std::{collections::BTreeSet, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `report --exposure --json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExposureView {
    /// Hosts of the site that were seen to answer calls or registrations from outside.
    pub hosts: Vec<HostView>,
    /// Who registered from outside, those first whose credentials held.
    pub registered: Vec<RegisteredView>,
    /// Rows that are left out.
    pub left_out: usize,
    /// REGISTER requests since the filter was loaded, of whatever side.
    pub requests: u64,
    /// The ports on which SIP is judged.
    pub ports: Vec<u16>,
    /// Sockets of this machine itself that are open on these ports; whether anybody outside reaches them is not said by that.
    #[serde(default)]
    pub listens: Vec<ListensView>,
    /// When an answer of the site to the outside was first seen; null where none was, so that nothing can be told.
    pub answered: Option<Timestamp>,
}

/// A socket of this machine that takes SIP from anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListensView {
    /// `udp` or `tcp`.
    pub transport: String,
    /// Its address; unspecified, where it takes what comes to any.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
}

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// `udp` or `tcp`.
    pub transport: String,
    /// Its number.
    pub port: u16,
}

/// A host that answers outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its address.
    pub host: IpAddr,
    /// Where it was asked what it answered.
    pub ports: BTreeSet<Port>,
    /// Registrations with credentials that it answered, whatever it said.
    pub registrations: u64,
    /// Calls of sources that the PBX knows.
    pub known_calls: u64,
    /// Calls of sources that nobody knows.
    pub unproved_calls: u64,
    /// When the last of them came.
    pub last: Timestamp,
}

impl HostView {
    /// One that was asked then, and of which nothing is counted yet.
    pub fn of(host: IpAddr, last: Timestamp) -> Self {
        Self { host, ports: BTreeSet::new(), registrations: 0, known_calls: 0, unproved_calls: 0, last }
    }
}

/// Who registered from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredView {
    /// From where.
    pub source: IpAddr,
    /// The digest of the account, as `why --line` takes it; null where it is not remembered.
    pub account: Option<String>,
    /// With which host; null where it is not remembered.
    pub host: Option<IpAddr>,
    /// When last.
    pub last: Timestamp,
    /// Until when it is known; null where its credentials did not hold, or not for long enough.
    pub known_until: Option<Timestamp>,
}
