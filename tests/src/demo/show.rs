//! What the demo prints.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    account::{Facts, Limit, Report},
    traffic::{FLOOD_RATE, Finished},
};
use crate::network::Network;

/// Prints a line; a reader who has gone is no error.
fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// Prints for people, or one JSON object a line.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    json: bool,
    colour: bool,
}

impl Show {
    /// Colour only where a terminal shows it and nobody objects (<https://no-color.org>).
    pub fn new(json: bool) -> Self {
        let colour =
            std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { json, colour }
    }

    fn object(value: &impl Serialize) {
        // The values are numbers, strings and maps with string keys: they cannot fail to serialise.
        line(&serde_json::to_string(value).unwrap_or_default());
    }

    fn strong(self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Before the traffic: who is there. `attached` is how the filter sits on each interface, where there is a filter.
    pub fn opening(self, peers: &str, attached: Option<&str>, limit: Limit) {
        if self.json {
            return;
        }
        line(&self.strong("Tollgate demo"));
        line(&format!("  caller   {:<13} ── wan0 ┐", Network::CALLER));
        line(&format!("                                 ├─ gateway ── lan0 ── PBX {}", Network::PBX));
        line(&format!("  flooder  {:<13} ── wan1 ┘", Network::FLOODER));
        line(&format!("  peers    {peers}"));
        match attached {
            Some(attached) => {
                line(&format!("  filter   {attached}"));
                line(&format!(
                    "  policy   enforce; blocks SL (+232); {} INVITEs at once and {} a second for each source",
                    limit.burst, limit.rate
                ));
            }
            None => line("  filter   none: everything arrives"),
        }
        line("");
        line(&self.strong("  INVITEs        good calls      to Sierra Leone           flood          dropped by the gateway, by reason"));
        line(&self.strong("   time        sent  arrived      sent  arrived       sent  arrived    blocked-country  source-limit    other"));
    }

    /// One second of the traffic.
    pub fn tick(self, seconds: u64, facts: &Facts) {
        let dropped = facts.dropped();
        if self.json {
            let mut object = Map::new();
            object.insert("time".to_owned(), json!(seconds));
            object.insert("sent".to_owned(), json!(facts.sent()));
            object.insert("passed".to_owned(), json!(facts.passed()));
            object.insert("dropped".to_owned(), json!(dropped));
            Self::object(&Value::Object(object));
            return;
        }
        let reason = |name: &str| dropped.get(name).copied().unwrap_or(0);
        let (blocked, limited) = (reason("blocked-country"), reason("source-limit"));
        let other = dropped.values().sum::<u64>() - blocked - limited;
        let Facts { good, blocked: forbidden, flood, .. } = facts;
        line(&format!(
            "  {seconds:>4} s    {:>8} {:>8}  {:>8} {:>8}   {:>8} {:>8}    {blocked:>15}  {limited:>12} {other:>8}",
            good.sent, good.arrived, forbidden.sent, forbidden.arrived, flood.sent, flood.arrived
        ));
    }

    /// After the traffic: the account, and what does not add up.
    pub fn account(self, facts: &Facts, finished: &Finished, report: &Report, wrong: &[String], limit: Limit) {
        if self.json {
            for mismatch in wrong {
                eprintln!("not accounted for: {mismatch}");
            }
            Self::object(report);
            return;
        }
        let reason = |name: &str| report.dropped.get(name).copied().unwrap_or(0);
        let Facts { good, blocked, flood, .. } = facts;
        line("");
        line(&format!(
            "  {}     {} placed, {} completed: {} INVITEs sent, {} arrived",
            self.strong("good calls"),
            good.placed,
            good.completed,
            good.sent,
            good.arrived
        ));
        line(&format!(
            "  {}   {} calls in {} disguises: {} INVITEs sent, {} arrived, {} dropped as blocked-country",
            self.strong("Sierra Leone"),
            blocked.placed,
            finished.disguises.len(),
            blocked.sent,
            blocked.arrived,
            reason("blocked-country")
        ));
        let names: Vec<_> = finished.disguises.iter().map(|disguise| disguise.name()).collect();
        for names in names.chunks(7) {
            line(&format!("                 {}", names.join(", ")));
        }
        let seconds = finished.flood.at_most.as_secs_f64();
        line(&format!(
            "  {}          {FLOOD_RATE} INVITEs a second for {seconds:.1} s: {} sent, {} passed, {} dropped as source-limit",
            self.strong("flood"),
            flood.sent,
            flood.arrived,
            reason("source-limit")
        ));
        if facts.counters.is_some() {
            let allowance = f64::from(limit.burst) + f64::from(limit.rate) * seconds;
            line(&format!(
                "                 its allowance: {} at once and {} a second, {allowance:.1} in all",
                limit.burst, limit.rate
            ));
        }
        let dropped: u64 = report.dropped.values().sum();
        line(&format!(
            "  {}        {} sent = {} passed + {dropped} dropped",
            self.strong("account"),
            report.sent,
            report.passed
        ));
        line("");
        if report.ok {
            line(&self.strong("Every INVITE is accounted for."));
        } else {
            line(&self.strong("Not accounted for:"));
            for mismatch in wrong {
                line(&format!("  {mismatch}"));
            }
        }
    }
}
