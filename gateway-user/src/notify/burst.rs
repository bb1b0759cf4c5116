//! Bursts: many stops of trunk and lan sources in a short time, told once, then at most every ten minutes.

use std::{collections::HashMap, time::Duration};

use gateway_common::{Verdict, judged::Who};
use jiff::{SignedDuration, Timestamp};

use super::Notice;
use crate::daemon::Event;

/// Rest between two notices of bursts.
const QUIET: SignedDuration = SignedDuration::from_mins(10);
/// Countries and sources that a notice names.
const NAMED: usize = 5;
/// Sources that are told apart; the others are counted all the same.
const MOST_SOURCES: usize = 1000;

pub(super) struct Burst {
    threshold: u32,
    per: SignedDuration,
    /// Where the time that is counted in begins.
    since: Option<Timestamp>,
    in_time: u32,
    told: Option<Timestamp>,
    sum: Sum,
}

/// What was not told yet.
#[derive(Default)]
struct Sum {
    stopped: u64,
    would_drop: u64,
    countries: HashMap<&'static str, u64>,
    sources: HashMap<String, u64>,
}

impl Burst {
    pub(super) fn new((threshold, per): (u32, Duration)) -> Self {
        let per = SignedDuration::try_from(per).unwrap_or(SignedDuration::MAX);
        Self { threshold, per, since: None, in_time: 0, told: None, sum: Sum::default() }
    }

    /// Counts one event; the notice, where it makes a burst of those before.
    pub(super) fn count(&mut self, event: &Event) -> Option<Notice> {
        if event.who == Who::Unproved || event.verdict == Verdict::Pass {
            return None;
        }
        // A clock that goes back begins anew as well.
        let running = self
            .since
            .is_some_and(|since| (SignedDuration::ZERO..self.per).contains(&(event.time.duration_since(since))));
        if !running {
            self.since = Some(event.time);
            self.in_time = 0;
            if self.told.is_none() {
                self.sum = Sum::default();
            }
        }
        self.in_time = self.in_time.saturating_add(1);
        self.sum.add(event);
        if self.in_time < self.threshold || self.told.is_some() {
            return None;
        }
        self.told = Some(event.time);
        Some(std::mem::take(&mut self.sum).notice(event.time, "a burst of stopped calls"))
    }

    /// The notice of what has come on top since the last one, once its rest is over.
    pub(super) fn tick(&mut self, now: Timestamp) -> Option<Notice> {
        let told = self.told?;
        if now.duration_since(told) < QUIET && now >= told {
            return None;
        }
        let more = std::mem::take(&mut self.sum);
        if more.stopped + more.would_drop < u64::from(self.threshold) {
            // It is over; the next one is told at once.
            self.told = None;
            return None;
        }
        self.told = Some(now);
        Some(more.notice(now, "the burst of stopped calls goes on"))
    }
}

impl Sum {
    fn add(&mut self, event: &Event) {
        if event.verdict == Verdict::WouldDrop {
            self.would_drop += 1;
        } else {
            self.stopped += 1;
        }
        if let Some(country) = event.country {
            *self.countries.entry(country).or_default() += 1;
        }
        let source = event.source.to_string();
        if self.sources.len() < MOST_SOURCES || self.sources.contains_key(&source) {
            *self.sources.entry(source).or_default() += 1;
        }
    }

    fn notice(self, time: Timestamp, what: &str) -> Notice {
        let countries = most(self.countries.into_iter().map(|(country, count)| (country.to_owned(), count)));
        let sources = most(self.sources);
        let monitored =
            if self.would_drop > 0 { format!(", {} more would have been", self.would_drop) } else { String::new() };
        let place = |names: &[String]| if names.is_empty() { "no country".to_owned() } else { names.join(", ") };
        Notice {
            time,
            kind: "burst".into(),
            text: format!(
                "{what}: {} stopped{monitored}; to {}; from {}; `tollgate report --since 1h` shows them",
                self.stopped,
                place(&countries),
                sources.join(", ")
            ),
            who: None,
            order: None,
            reason: None,
            stopped: Some(self.stopped),
            would_drop: Some(self.would_drop),
            countries,
            sources,
        }
    }
}

/// The names with the most.
fn most(all: impl IntoIterator<Item = (String, u64)>) -> Vec<String> {
    let mut all: Vec<(String, u64)> = all.into_iter().collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.into_iter().take(NAMED).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use gateway_common::Reason;
    use jiff::ToSpan as _;

    use super::*;

    fn event(second: i64, who: Who, verdict: Verdict, source: u8) -> Event {
        Event {
            time: Timestamp::UNIX_EPOCH + second.seconds(),
            verdict,
            reason: Reason::BlockedCountry,
            country: Some(if source == 1 { "SL" } else { "LV" }),
            source: std::net::Ipv4Addr::new(192, 0, 2, source).into(),
            who,
            ..Event::sample()
        }
    }

    fn stop(second: i64) -> Event {
        event(second, Who::Lan, Verdict::Drop, 1)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + second.seconds()
    }

    fn burst() -> Burst {
        Burst::new((3, Duration::from_secs(60)))
    }

    #[test]
    fn so_many_in_so_long_are_a_burst_and_fewer_are_none() {
        let mut slow = burst();
        assert!((0..20).all(|i| slow.count(&stop(i * 31)).is_none()), "two in a minute");
        let mut others = burst();
        for _ in 0..100 {
            assert_eq!(others.count(&event(1, Who::Unproved, Verdict::Drop, 1)), None);
            assert_eq!(others.count(&event(1, Who::Lan, Verdict::Pass, 1)), None);
        }
        let mut burst = burst();
        assert_eq!(burst.count(&event(0, Who::Lan, Verdict::Drop, 2)), None);
        assert_eq!(burst.count(&event(1, Who::Trunk, Verdict::WouldDrop, 1)), None);
        let notice = burst.count(&stop(59)).unwrap();
        assert_eq!((notice.stopped, notice.would_drop), (Some(2), Some(1)));
        assert_eq!(
            (notice.countries, notice.sources),
            (vec!["SL".into(), "LV".into()], vec!["192.0.2.1".into(), "192.0.2.2".into()])
        );
    }

    #[test]
    fn one_that_goes_on_is_told_every_ten_minutes_and_the_next_one_at_once() {
        let mut burst = burst();
        assert_eq!((0..3).filter_map(|_| burst.count(&stop(0))).count(), 1);
        assert_eq!((0..1000).filter_map(|_| burst.count(&stop(10))).count(), 0);
        assert_eq!(burst.tick(at(599)), None);
        let more = burst.tick(at(600)).unwrap();
        assert_eq!(more.stopped, Some(1000));
        assert!(more.text.contains("goes on"));
        assert_eq!(burst.count(&stop(700)), None);
        assert_eq!(burst.tick(at(1200)), None, "one more is no burst: it is over");
        assert_eq!((0..3).filter_map(|_| burst.count(&stop(1300))).count(), 1);
        // A clock that goes back does not silence it for good.
        assert_eq!(burst.tick(at(5)), None);
        assert_eq!((0..3).filter_map(|_| burst.count(&stop(6))).count(), 1);
    }

    #[test]
    fn forged_sources_cost_no_memory_without_bound() {
        let mut burst = Burst::new((u32::MAX, Duration::from_secs(60)));
        for i in 0..20_000_u32 {
            let forged = Event { source: std::net::Ipv4Addr::from_bits(i).into(), ..stop(0) };
            assert_eq!(burst.count(&forged), None);
        }
        assert_eq!((burst.sum.sources.len(), burst.sum.stopped), (MOST_SOURCES, 20_000));
    }
}
