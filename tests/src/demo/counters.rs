//! The gateway's counters, as `tollgate counters --json` prints them.

use std::collections::BTreeMap;

use anyhow::Result;
use gateway_common::Reason;
use serde::Deserialize;

use crate::daemon::Tollgate;

/// A reading of the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Counters {
    /// Packets by reason.
    #[serde(default)]
    pub reasons: BTreeMap<String, u64>,
    /// Packets dropped.
    #[serde(default)]
    pub dropped: u64,
    /// Packets answered with a refusal.
    #[serde(default)]
    pub rejected: u64,
    /// Packets that enforce mode would have dropped.
    #[serde(default)]
    pub would_drop: u64,
}

impl Counters {
    /// Asks the daemon.
    ///
    /// # Errors
    /// Where the daemon does not answer, or answers something else.
    pub fn read(tollgate: &Tollgate) -> Result<Self> {
        Ok(serde_json::from_value(tollgate.json(&["counters", "--json"])?)?)
    }

    /// What has been counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let reasons = self.reasons.iter().map(|(reason, count)| {
            let before = earlier.reasons.get(reason).copied().unwrap_or(0);
            (reason.clone(), count.saturating_sub(before))
        });
        Self {
            reasons: reasons.collect(),
            dropped: self.dropped.saturating_sub(earlier.dropped),
            rejected: self.rejected.saturating_sub(earlier.rejected),
            would_drop: self.would_drop.saturating_sub(earlier.would_drop),
        }
    }

    /// Packets with this reason.
    pub fn reason(&self, reason: Reason) -> u64 {
        self.reasons.get(reason.as_str()).copied().unwrap_or(0)
    }

    /// The reasons that stop a packet, where any packet had them.
    pub fn stops(&self) -> BTreeMap<&'static str, u64> {
        let stops = Reason::ALL.iter().filter(|reason| reason.stops());
        stops.map(|&reason| (reason.as_str(), self.reason(reason))).filter(|&(_, count)| count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_is_parsed_subtracted_and_sorted_into_stops() {
        let earlier: Counters =
            serde_json::from_str(r#"{"time":1,"reasons":{"allowed":3,"source-limit":1},"passed":3,"dropped":1}"#)
                .unwrap();
        let later: Counters = serde_json::from_str(
            r#"{"time":2,"reasons":{"allowed":9,"source-limit":5,"blocked-country":2},"dropped":7,"new":0}"#,
        )
        .unwrap();
        let since = later.since(&earlier);
        assert_eq!((since.dropped, since.reason(Reason::Allowed)), (6, 6));
        assert_eq!(since.stops(), BTreeMap::from([("blocked-country", 2), ("source-limit", 4)]));
        assert!(serde_json::from_str::<Counters>(r#"{"reasons":[]}"#).is_err());
    }
}
