//! What passes the edges of the network, by kind of traffic.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;

use super::{
    account::Flow,
    traffic::{FORBIDDEN_ODD_PORT, FORBIDDEN_PORT, GOOD_PORT},
};
use crate::{
    network::{Network, SIP_PORT},
    witness::{Tally, Witness, invites},
};

/// The witnesses at the edges of the network.
#[derive(Debug)]
pub struct Edges {
    caller: Witness,
    flooder: Witness,
    pbx: Witness,
}

/// INVITEs sent and arrived, by kind; calls are not filled in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flows {
    /// Good calls.
    pub good: Flow,
    /// Calls to the blocked country.
    pub blocked: Flow,
    /// The flood.
    pub flood: Flow,
}

impl Edges {
    /// Watches from now on.
    ///
    /// # Errors
    /// Where the caller lacks CAP_NET_RAW.
    pub fn watch(network: &Network) -> Result<Self> {
        Ok(Self {
            caller: Witness::start(&network.caller)?,
            flooder: Witness::start(&network.flooder)?,
            pbx: Witness::start(&network.pbx)?,
        })
    }

    /// What they have seen so far.
    pub fn flows(&self) -> Flows {
        // The PBX first: what has arrived has certainly been sent.
        let pbx = self.pbx.tally();
        let (caller, flooder) = (self.caller.tally(), self.flooder.tally());
        let flow = |edge: &Tally, host: std::net::Ipv4Addr, ports: &[u16]| {
            let ours = |sender: &SocketAddr| sender.ip() == IpAddr::V4(host) && ports.contains(&sender.port());
            Flow { sent: invites(edge, ours), arrived: invites(&pbx, ours), ..Flow::default() }
        };
        Flows {
            good: flow(&caller, Network::CALLER, &[GOOD_PORT]),
            blocked: flow(&caller, Network::CALLER, &[FORBIDDEN_PORT, FORBIDDEN_ODD_PORT]),
            flood: flow(&flooder, Network::FLOODER, &[SIP_PORT]),
        }
    }
}
