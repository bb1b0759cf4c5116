//! How much the site calls: the most calls abroad that any window of a length has held, from what was decided.

use std::{collections::HashMap, io, net::IpAddr, ops::RangeInclusive};

use gateway_common::{Class, Method, Reason, judged::Who};
use jiff::{SignedDuration, Timestamp};

use super::{ChangeKind, Decision, Entry, Lane, Reader};

/// The lengths of the windows, in seconds: those that Tollgate's first policies have.
pub const LENGTHS: [u64; 4] = [60, 300, 3_600, 86_400];
/// The lengths over which requests of one source are counted, in seconds.
pub const BURSTS: [u64; 2] = [1, 60];
/// Calls that are looked at; more do not fit into a day of the largest office.
const MOST: usize = 4_000_000;
/// A refused call is sent again so long (RFC 3261 section 17.1.1.2), and stays refused as long.
const AGAIN: SignedDuration = SignedDuration::from_secs(32);
const SECOND: i128 = 1_000_000_000;

/// The most that was seen, and in what time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    /// The oldest record of a call that passed; `None` where there is none.
    pub since: Option<Timestamp>,
    /// How long the daemon has read what the kernel told since then.
    pub observed: SignedDuration,
    /// Calls abroad that the site placed, those that a limit would have refused in enforce mode among them.
    pub calls: u64,
    /// Calls abroad that a limit refused: they are in no peak.
    pub refused: u64,
    /// By line, or by source where the line is not known; the highest first.
    pub lines: Vec<(String, [u64; 4])>,
    /// By country; the highest first.
    pub countries: Vec<(String, [u64; 4])>,
    /// By the whole site.
    pub site: [u64; 4],
    /// INVITEs of one source, retransmissions too; the highest first.
    pub bursts: Vec<(IpAddr, [u64; 2])>,
    /// Records that are damaged and were left out.
    pub damaged: u64,
}

/// When, and how many at once.
pub(crate) type Times = Vec<(i128, u64)>;

/// What is collected on the way.
#[derive(Default)]
struct Seen {
    since: Option<Timestamp>,
    calls: u64,
    refused: u64,
    kept: usize,
    lines: HashMap<String, Times>,
    countries: HashMap<String, Times>,
    site: Times,
    invites: HashMap<IpAddr, Times>,
    /// What a limit would have refused, and when last: retransmissions of it are the same call.
    warned: HashMap<(String, Option<String>), Timestamp>,
    /// When anything was recorded, and whether the daemon stopped or started then.
    record: Vec<(Timestamp, Option<ChangeKind>)>,
}

/// The peaks of `span`.
///
/// # Errors
///
/// Where the files cannot be read, or hold more calls than fit into memory.
pub fn peaks(reader: &Reader, span: &RangeInclusive<Timestamp>) -> io::Result<Peaks> {
    let mut seen = Seen::default();
    let damaged = reader.read(&[Lane::Changes, Lane::Own, Lane::Passed], span, &mut |entry| seen.take(entry))?;
    if seen.kept > MOST {
        return Err(io::Error::other(format!("it holds more than {MOST} calls: ask for less with --since")));
    }
    let mut found = Peaks {
        since: seen.since,
        calls: seen.calls,
        refused: seen.refused,
        site: most(&mut seen.site, LENGTHS),
        lines: highest(seen.lines, LENGTHS),
        countries: highest(seen.countries, LENGTHS),
        bursts: highest(seen.invites, BURSTS),
        damaged,
        ..Peaks::default()
    };
    if let Some(since) = seen.since {
        found.observed = observed(&mut seen.record, since, *span.end());
    }
    Ok(found)
}

impl Seen {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Change(change) => {
                let ends = matches!(change.change, ChangeKind::Start | ChangeKind::Stop | ChangeKind::Detach);
                self.record.push((change.time, ends.then_some(change.change)));
            }
            Entry::Decision(decision) => self.decision(&decision),
        }
    }

    fn decision(&mut self, decision: &Decision) {
        self.record.push((decision.end(), None));
        if self.kept > MOST {
            return;
        }
        if decision.passed() && self.since.is_none_or(|since| decision.time < since) {
            self.since = Some(decision.time);
        }
        let at = (decision.time.as_nanosecond(), decision.count);
        if decision.method.as_deref() == Some(Method::Invite.as_str()) && decision.who != Who::Trunk.as_str() {
            self.invites.entry(decision.source).or_default().push(at);
            self.kept += 1;
        }
        let own = decision.who == Who::Lan.as_str() || decision.who == Who::Known.as_str();
        if !own || decision.class != Class::International.as_str() {
            return;
        }
        let line = decision.line_word().unwrap_or_else(|| decision.source.to_string());
        let limited = LIMITS.iter().any(|reason| decision.reason == reason.as_str());
        let count = match (decision.passed(), decision.would_drop()) {
            (true, _) if decision.reason == Reason::Allowed.as_str() => decision.count,
            (_, true) if limited && self.is_another(&line, decision) => 1,
            (false, false) if limited => {
                self.refused += decision.count;
                return;
            }
            _ => return,
        };
        self.calls += count;
        let at = (at.0, count);
        let country = decision.country.as_deref().unwrap_or("-").to_owned();
        self.lines.entry(line).or_default().push(at);
        self.countries.entry(country).or_default().push(at);
        self.site.push(at);
        self.kept += 3;
    }

    /// Whether it is another call than the one before it, which a limit would have refused too.
    fn is_another(&mut self, line: &str, decision: &Decision) -> bool {
        let before = self.warned.insert((line.to_owned(), decision.number.clone()), decision.end());
        before.is_none_or(|before| decision.time.duration_since(before) > AGAIN)
    }
}

/// Why a limit by windows, or the floor, refuses.
const LIMITS: [Reason; 7] = [
    Reason::LineLimit,
    Reason::SiteLimit,
    Reason::SourceLimit,
    Reason::NetworkLimit,
    Reason::DestinationLimit,
    Reason::Suspended,
    Reason::Floor,
];

/// The most calls in any window of each length: two calls that are as far apart as the window is long are in different ones.
pub(crate) fn most<const N: usize>(times: &mut Times, lengths: [u64; N]) -> [u64; N] {
    times.sort_unstable();
    lengths.map(|length| {
        let (mut first, mut held, mut most) = (0, 0, 0);
        for (at, count) in times.iter() {
            held += count;
            while let Some((begun, gone)) =
                times.get(first).filter(|(begun, _)| at - begun >= i128::from(length) * SECOND)
            {
                debug_assert!(begun <= at, "the times are sorted");
                held -= gone;
                first += 1;
            }
            most = most.max(held);
        }
        most
    })
}

/// The peaks of each, those first that reached the most in the longest window.
pub(crate) fn highest<K: Ord, const N: usize>(all: HashMap<K, Times>, lengths: [u64; N]) -> Vec<(K, [u64; N])> {
    let mut found: Vec<(K, [u64; N])> =
        all.into_iter().map(|(key, mut times)| (key, most(&mut times, lengths))).collect();
    found.sort_by(|a, b| b.1.iter().rev().cmp(a.1.iter().rev()).then_with(|| a.0.cmp(&b.0)));
    found
}

/// How long a daemon ran between `since` and `until`: not from a stop to the next start, and where it ended without a word, not
/// from the last thing that it recorded.
fn observed(record: &mut [(Timestamp, Option<ChangeKind>)], since: Timestamp, until: Timestamp) -> SignedDuration {
    record.sort_by_key(|(time, _)| *time);
    let mut away = SignedDuration::ZERO;
    for pair in record.windows(2) {
        if let [(last, _), (next, Some(ChangeKind::Start))] = pair {
            away += next.duration_since((*last).max(since)).max(SignedDuration::ZERO);
        }
    }
    (until.duration_since(since) - away).max(SignedDuration::ZERO)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::*;
    use crate::journal::tests::decision;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn call(second: i64, line: &str) -> Decision {
        Decision {
            time: at(second),
            verdict: "pass".into(),
            reason: Reason::Allowed.as_str().into(),
            line: Some(format!("{:016x}", gateway_common::limit::line_digest(line.as_bytes()))),
            ..decision(0)
        }
    }

    fn of(entries: impl IntoIterator<Item = Entry>) -> Seen {
        let mut seen = Seen::default();
        entries.into_iter().for_each(|entry| seen.take(entry));
        seen
    }

    #[test]
    fn a_window_slides_and_its_end_is_outside() {
        let mut times: Times = [0, 30, 59, 60, 61, 400].map(|second| (i128::from(second) * SECOND, 1)).to_vec();
        assert_eq!(most(&mut times, LENGTHS), [4, 5, 6, 6]);
        assert_eq!(most(&mut Vec::new(), LENGTHS), [0; 4]);
        assert_eq!(most(&mut vec![(0, 3), (SECOND, 2)], BURSTS), [3, 5]);
    }

    #[test]
    fn what_the_site_called_counts_and_nothing_else() {
        let repeat = Decision { reason: Reason::Repeat.as_str().into(), ..call(1, "203") };
        let home = Decision { class: "national".into(), ..call(1, "203") };
        let outside = Decision { who: "unproved".into(), ..call(1, "203") };
        let blocked =
            Decision { reason: Reason::BlockedCountry.as_str().into(), verdict: "would-drop".into(), ..call(1, "203") };
        let refused = Decision { reason: Reason::LineLimit.as_str().into(), verdict: "drop".into(), ..call(1, "203") };
        let warned = |second| Decision { verdict: "would-drop".into(), time: at(second), ..refused.clone() };
        // Sent again after 10 s it is the same call, after 33 s more another one.
        let entries = [
            call(0, "203"),
            call(10, "203"),
            call(20, "204"),
            repeat,
            home,
            outside,
            blocked,
            refused.clone(),
            warned(30),
            warned(40),
            warned(73),
        ];
        let seen = of(entries.into_iter().map(Entry::Decision));
        assert_eq!((seen.calls, seen.refused), (5, 1));
        let lines = highest(seen.lines, LENGTHS);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].1, [3, 4, 4, 4]);
        assert_eq!(highest(seen.countries, LENGTHS), [("SL".to_owned(), [4, 5, 5, 5])]);
    }

    #[test]
    fn times_without_a_daemon_are_not_observed() {
        let hour = |n: i64| at(n * 3600);
        let mut record = vec![
            (hour(0), None),
            (hour(10), Some(ChangeKind::Stop)),
            (hour(12), Some(ChangeKind::Start)),
            (hour(20), None),
            // It ended without a word some time behind 20 hours.
            (hour(25), Some(ChangeKind::Start)),
        ];
        assert_eq!(observed(&mut record, hour(0), hour(30)), SignedDuration::from_hours(23));
        assert_eq!(observed(&mut record, hour(11), hour(30)), SignedDuration::from_hours(13));
        assert_eq!(observed(&mut [], hour(0), hour(0) - 1.hour()), SignedDuration::ZERO);
    }
}
