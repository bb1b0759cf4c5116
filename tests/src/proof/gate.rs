//! The demo network with a daemon at its gateway, and what its counters say.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    daemon::{Daemon, Tollgate, find_binary},
    network::Network,
    offload::{self, Offload},
};

/// Far more than a daemon takes to begin: only a fault lasts so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many packets were decided for each reason.
pub(super) type Reasons = BTreeMap<String, u64>;

/// The network and the daemon at its gateway. Dropping it removes both.
#[derive(Debug)]
pub(super) struct Gate {
    daemon: Daemon,
    /// The installation.
    pub(super) tollgate: Tollgate,
    /// The hosts.
    pub(super) network: Network,
}

impl Gate {
    /// Starts a daemon under this policy, whose interfaces are `wan0`, `wan1` and `lan0`.
    pub(super) fn new(policy: &str) -> Result<Self> {
        let network = Network::new()?;
        // Both ends of a pair take frames that XDP sends.
        for (host, theirs, ours) in
            [(&network.caller, "caller0", Network::WAN_CALLER), (&network.flooder, "flooder0", Network::WAN_FLOODER)]
        {
            offload::set(host, theirs, Offload::Gro, true)?;
            offload::set(&network.gateway, ours, Offload::Gro, true)?;
        }
        let tollgate = Tollgate::new(find_binary()?, &network.gateway)?;
        tollgate.write_policy(policy)?;
        let mut daemon = tollgate.run(&[])?;
        daemon.wait_ready_for(&tollgate, PATIENCE)?;
        Ok(Self { daemon, tollgate, network })
    }

    /// What was decided so far, on all interfaces.
    pub(super) fn reasons(&self) -> Result<Reasons> {
        let counters = self.tollgate.json(&["counters", "--json"])?;
        let reasons = counters.get("reasons").and_then(Value::as_object).context("counters --json has no reasons")?;
        Ok(reasons.iter().map(|(name, count)| (name.clone(), count.as_u64().unwrap_or(0))).collect())
    }

    /// Puts another policy in force.
    pub(super) fn reload(&self, policy: &str) -> Result<()> {
        self.tollgate.write_policy(policy)?;
        let output = self.tollgate.cli(&["reload"])?;
        ensure!(output.status.success(), "tollgate reload: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(())
    }

    /// Whether the daemon is there still.
    pub(super) fn check(&mut self) -> Result<()> {
        match self.daemon.ended()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the daemon ended with {status}:\n{}", self.tollgate.log_tail()),
        }
    }
}

/// What was counted under one reason.
pub(super) fn of(reasons: &Reasons, name: &str) -> u64 {
    reasons.get(name).copied().unwrap_or(0)
}

/// What was counted from `before` to `after`.
pub(super) fn since(before: &Reasons, after: &Reasons) -> Reasons {
    let grown = after.iter().map(|(name, count)| (name.clone(), count.saturating_sub(of(before, name))));
    grown.filter(|(_, count)| *count > 0).collect()
}
