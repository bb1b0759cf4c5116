//! Which SIP programs the demo runs, and the PBX that they make.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};

use super::options::PeerChoice;
use crate::{
    netns::Namespace,
    network::Network,
    peer::{Kamailio, Sipp, kamailio, sipp},
    sip::Pbx,
};

/// Where the PBX listens behind a proxy.
const BEHIND_PROXY_PORT: u16 = 5080;

/// The SIP programs of a run.
#[derive(Clone, Debug)]
pub struct Peers {
    pub(super) sipp: Option<Sipp>,
    kamailio: Option<Kamailio>,
}

impl Peers {
    /// Finds what was asked for.
    ///
    /// # Errors
    /// Where it is not installed: with the command that installs it.
    pub fn choose(choice: PeerChoice) -> Result<Self> {
        let none = Self { sipp: None, kamailio: None };
        Ok(match choice {
            PeerChoice::Builtin => none,
            PeerChoice::Auto => Self { sipp: Sipp::find(), ..none },
            PeerChoice::Sipp => {
                let found = Sipp::find()
                    .context("sipp is not installed: `apt-get install sip-tester`, or use --peer builtin")?;
                Self { sipp: Some(found), ..none }
            }
            PeerChoice::Kamailio => {
                let found = Kamailio::find()
                    .context("kamailio is not installed: `apt-get install kamailio`, or use --peer builtin")?;
                Self { kamailio: Some(found), ..none }
            }
        })
    }

    /// What the output says about them.
    pub fn describe(&self) -> String {
        match (&self.sipp, &self.kamailio) {
            (Some(sipp), _) => format!("{} places and answers the calls; the built-in user agent floods", sipp.version),
            (None, Some(_)) => "the built-in user agents, with Kamailio as the proxy before the PBX".to_owned(),
            (None, None) => "the built-in user agents".to_owned(),
        }
    }

    /// Starts the PBX.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn answer(&self, namespace: &Namespace) -> Result<Answering> {
        let at = Network::pbx_sip();
        if let Some(sipp) = &self.sipp {
            let mut running = sipp.answer(namespace, at)?;
            running.wait_ready()?;
            return Ok(Answering { _sipp: Some(running), _pbx: None, _proxy: None });
        }
        let Some(kamailio) = &self.kamailio else {
            return Ok(Answering { _sipp: None, _pbx: Some(Pbx::start(namespace, at)?), _proxy: None });
        };
        let behind = SocketAddr::new(IpAddr::V4(Network::PBX), BEHIND_PROXY_PORT);
        let pbx = Pbx::start(namespace, behind)?;
        let proxy = kamailio.start(namespace, at, behind)?;
        Ok(Answering { _sipp: None, _pbx: Some(pbx), _proxy: Some(proxy) })
    }
}

/// The PBX, as long as it lives.
#[derive(Debug)]
pub struct Answering {
    _proxy: Option<kamailio::Running>,
    _pbx: Option<Pbx>,
    _sipp: Option<sipp::Running>,
}
