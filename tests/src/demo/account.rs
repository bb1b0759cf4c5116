//! The account: every INVITE sent is either one that arrived or one that was dropped for the reason expected.

use std::{collections::BTreeMap, time::Duration};

use gateway_common::Reason;
use serde::Serialize;

use super::counters::Counters;
use crate::sip::flood;

/// The limit of the demo's policy.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// INVITEs a second.
    pub rate: u32,
    /// INVITEs at once.
    pub burst: u32,
}

/// What one kind of traffic came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Calls placed.
    pub placed: u64,
    /// Calls that were answered, acknowledged and ended.
    pub completed: u64,
    /// INVITE datagrams that left the sender, retransmissions included.
    pub sent: u64,
    /// INVITE datagrams that reached the PBX.
    pub arrived: u64,
}

/// All that was seen at the edges of the network and counted in the middle.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Calls that are to complete.
    pub good: Flow,
    /// Calls to the blocked country.
    pub blocked: Flow,
    /// The flood.
    pub flood: Flow,
    /// When it was sent; `None` until it has ended.
    pub flood_time: Option<flood::Sent>,
    /// The gateway's counters since the traffic began; `None` without a filter.
    pub counters: Option<Counters>,
}

/// The last line of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// INVITE datagrams sent.
    pub sent: u64,
    /// INVITE datagrams that reached the PBX.
    pub passed: u64,
    /// Those dropped, by reason.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Whether all is accounted for.
    pub ok: bool,
}

impl Facts {
    /// INVITE datagrams sent.
    pub const fn sent(&self) -> u64 {
        self.good.sent + self.blocked.sent + self.flood.sent
    }

    /// INVITE datagrams that reached the PBX.
    pub const fn passed(&self) -> u64 {
        self.good.arrived + self.blocked.arrived + self.flood.arrived
    }

    /// Drops by reason; the two that the demo expects are always there.
    pub fn dropped(&self) -> BTreeMap<&'static str, u64> {
        let Some(counters) = &self.counters else {
            return BTreeMap::new();
        };
        let mut dropped = counters.stops();
        for expected in [Reason::BlockedCountry, Reason::SourceLimit] {
            dropped.entry(expected.as_str()).or_insert(0);
        }
        dropped
    }

    /// Whether nothing is on its way any more: what was sent has arrived or has been dropped.
    pub fn settled(&self) -> bool {
        self.sent() == self.passed() + self.dropped().values().sum::<u64>()
    }

    /// The account, and what does not add up.
    pub fn report(&self, limit: Limit) -> (Report, Vec<String>) {
        let mut wrong = Vec::new();
        let mut expect = |what: &str, found: u64, expected: u64| {
            if found != expected {
                wrong.push(format!("{what}: {found}, expected {expected}"));
            }
        };
        let Self { good, blocked, flood, .. } = self;
        expect("good calls completed", good.completed, good.placed);
        expect("INVITEs of good calls that reached the PBX", good.arrived, good.sent);
        match &self.counters {
            None => {
                expect("unfiltered INVITEs to the blocked country that reached the PBX", blocked.arrived, blocked.sent);
                expect("unfiltered INVITEs of the flooder that reached the PBX", flood.arrived, flood.sent);
            }
            Some(counters) => {
                expect("INVITEs to the blocked country that reached the PBX", blocked.arrived, 0);
                expect("drops with reason blocked-country", counters.reason(Reason::BlockedCountry), blocked.sent);
                let limited = counters.reason(Reason::SourceLimit);
                expect(
                    "the flooder's INVITEs passed and dropped with reason source-limit",
                    flood.arrived + limited,
                    flood.sent,
                );
                for (reason, count) in counters.stops() {
                    if reason != Reason::BlockedCountry.as_str() && reason != Reason::SourceLimit.as_str() {
                        expect(&format!("drops with reason {reason}"), count, 0);
                    }
                }
                expect("packets dropped in all", counters.dropped, counters.stops().values().sum());
                expect("packets answered with a refusal", counters.rejected, 0);
                expect("packets that would have been dropped", counters.would_drop, 0);
            }
        }
        for (what, flow) in [("good calls", good), ("calls to the blocked country", blocked), ("flood", flood)] {
            if flow.sent == 0 {
                wrong.push(format!("{what}: no INVITE was sent"));
            }
        }
        if self.counters.is_some() {
            wrong.extend(self.flood_time.and_then(|time| outside(flood, time, limit)));
        }
        let report = Report { sent: self.sent(), passed: self.passed(), dropped: self.dropped(), ok: wrong.is_empty() };
        (report, wrong)
    }
}

/// Whether the flooder got more than burst and rate allow, or less than they owe him, to within one.
fn outside(flood: &Flow, time: flood::Sent, Limit { rate, burst }: Limit) -> Option<String> {
    let allowed = |time: Duration| f64::from(burst) + f64::from(rate) * time.as_secs_f64();
    let most = allowed(time.at_most).floor() as u64 + 1;
    // A flooder that paused until its bucket was full again has wasted what overflowed.
    let steady = time.longest_pause.as_secs_f64() * f64::from(rate) < f64::from(burst);
    let least = if steady { (allowed(time.at_least).floor() as u64).saturating_sub(1).min(flood.sent) } else { 0 };
    let passed = flood.arrived;
    (!(least..=most).contains(&passed)).then(|| {
        format!("the flooder's INVITEs that passed: {passed}, expected {least} to {most} (burst {burst} and {rate} a second for {:.2} s)", time.at_most.as_secs_f64())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { rate: 10, burst: 20 };

    fn facts() -> Facts {
        let second = Duration::from_secs(10);
        Facts {
            good: Flow { placed: 4, completed: 4, sent: 5, arrived: 5 },
            blocked: Flow { placed: 3, completed: 0, sent: 6, arrived: 0 },
            flood: Flow { placed: 2000, completed: 0, sent: 2000, arrived: 120 },
            flood_time: Some(flood::Sent {
                count: 2000,
                at_most: second,
                at_least: second,
                longest_pause: Duration::from_millis(9),
            }),
            counters: Some(Counters {
                reasons: BTreeMap::from([
                    ("blocked-country".into(), 6),
                    ("source-limit".into(), 1880),
                    ("allowed".into(), 125),
                ]),
                dropped: 1886,
                ..Counters::default()
            }),
        }
    }

    /// The words that name a mismatch, and what brings it about.
    type Case = (&'static str, fn(&mut Facts));

    fn counters(facts: &mut Facts) -> &mut Counters {
        facts.counters.as_mut().unwrap()
    }

    fn count(facts: &mut Facts, reason: &str, packets: u64) {
        counters(facts).reasons.insert(reason.to_owned(), packets);
    }

    #[test]
    fn what_adds_up_is_ok_and_printed_as_agreed() {
        let (report, wrong) = facts().report(LIMIT);
        assert_eq!(wrong, Vec::<String>::new());
        assert!(facts().settled());
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"sent":2011,"passed":125,"dropped":{"blocked-country":6,"source-limit":1880},"ok":true}"#
        );
    }

    #[test]
    fn each_thing_that_does_not_add_up_is_named() {
        let cases: [Case; 9] = [
            ("good calls completed", |f| f.good.completed -= 1),
            ("good calls that reached", |f| f.good.arrived -= 1),
            ("blocked country that reached", |f| f.blocked.arrived += 1),
            ("reason blocked-country", |f| f.blocked.sent += 1),
            ("source-limit", |f| f.flood.sent += 1),
            ("reason packet-limit", |f| count(f, "packet-limit", 1)),
            ("would have been dropped", |f| counters(f).would_drop = 1),
            ("dropped in all", |f| counters(f).dropped += 1),
            ("no INVITE was sent", |f| f.good = Flow::default()),
        ];
        for (name, change) in cases {
            let mut facts = facts();
            change(&mut facts);
            let (report, wrong) = facts.report(LIMIT);
            assert!(!report.ok);
            assert!(wrong.iter().any(|line| line.contains(name)), "{name}: {wrong:?}");
        }
    }

    #[test]
    fn the_flooder_gets_his_rate_to_within_one() {
        for (arrived, ok) in [(118, false), (119, true), (120, true), (121, true), (122, false)] {
            let mut facts = facts();
            facts.flood.arrived = arrived;
            facts.counters.as_mut().unwrap().reasons.insert("source-limit".into(), 2000 - arrived);
            facts.counters.as_mut().unwrap().dropped = 2006 - arrived;
            assert_eq!(facts.report(LIMIT).0.ok, ok, "{arrived}");
        }
        let mut paused = facts();
        paused.flood_time.as_mut().unwrap().longest_pause = Duration::from_secs(3);
        paused.flood.arrived = 90;
        paused.counters.as_mut().unwrap().reasons.insert("source-limit".into(), 1910);
        paused.counters.as_mut().unwrap().dropped = 1916;
        assert!(paused.report(LIMIT).0.ok, "a flooder that paused may get less");
    }

    #[test]
    fn without_a_filter_everything_must_arrive() {
        let mut facts = Facts { counters: None, ..facts() };
        assert!(!facts.report(LIMIT).0.ok);
        facts.blocked.arrived = 6;
        facts.flood.arrived = 2000;
        let (report, wrong) = facts.report(LIMIT);
        assert!(report.ok && report.dropped.is_empty(), "{wrong:?}");
    }
}
