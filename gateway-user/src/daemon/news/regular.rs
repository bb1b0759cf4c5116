//! Calls abroad that only a machine places: short, and alike to the second in how long they are or how far apart they begin.
//!
//! Fraud by machine shows in that: 30-second calls by the thousand, 2.8 a minute for two days (Japan 2015, Asahi Shimbun), 4.0 a
//! minute for 46 hours (magna5), one each 2.67 s for a weekend (New York Times). Calls of people differ by minutes. A fax machine
//! that sends one page to many has calls that differ by several seconds, by how long each rings and how both ends agree on a
//! speed; where it redials, or a person does, it is one number, and mostly nobody answers. A conference calls everybody within a
//! minute. Hence [`LEAST`] answered calls within an hour, nearly all of that line, to [`NUMBERS`] numbers or more.

use std::collections::{BTreeMap, HashMap, HashSet};

use gateway_common::{Class, call::Call, judged::Who};
use jiff::{SignedDuration, Timestamp};

use super::{super::cell::Site, News, counted, is_abroad};
use crate::policy::charged::address;

const SECOND: u64 = 1_000_000_000;
/// So long is looked back.
const HOUR: u64 = 3600 * SECOND;
/// So many calls alike are no chance.
const LEAST: usize = 8;
/// To fewer numbers they are somebody's who dials again, unless they are twice as many.
const NUMBERS: usize = 3;
/// Longer calls are talked in: fraud by machine keeps to half a minute, since many carriers charge by that.
const SHORT: u64 = 120 * SECOND;
/// Within this they are alike, or within a thirtieth of the shortest: a machine hangs up to the second, and how soon a call is put
/// through differs by one or two.
const ALIKE: u64 = 2 * SECOND;
/// Nearer together they are rung at once, by a conference or a group.
const APART: u64 = 5 * SECOND;
/// From the first to the last at least so long: a conference takes less.
const SPAN: u64 = 60 * SECOND;
/// The same line is told again after so long, if it still does it.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// Calls of one caller that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Alike {
    /// Whether it is their distance that is; else how long they are.
    apart: bool,
    calls: usize,
    least: u64,
    most: u64,
}

impl News {
    /// What is to be told of the calls that the tables remember, at `clock`, which is `now`.
    pub(super) fn regular(&mut self, calls: &[Call], clock: u64, now: Timestamp) -> Vec<String> {
        let mut lines: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        let mut sources: BTreeMap<u64, Vec<&Call>> = BTreeMap::new();
        for call in calls.iter().filter(|call| counts(call) && clock.saturating_sub(call.begun) < HOUR) {
            if call.line != 0 {
                lines.entry(call.line).or_default().push(call);
            }
            sources.entry(call.caller.source()).or_default().push(call);
        }
        self.kept.regular.retain(|_, told| now.duration_since(*told).abs() < AGAIN);
        let mut out = Vec::new();
        let mut of_told = HashSet::new();
        for (key, calls, line) in lines
            .into_iter()
            .map(|(key, calls)| (key, calls, true))
            .chain(sources.into_iter().map(|(key, calls)| (key, calls, false)))
        {
            // A source is told where no line of it is: whoever says to be another with each call has calls of no line.
            let Some(alike) = alike(&calls, clock) else { continue };
            let is_of_told = !line && of_told.contains(&key);
            of_told.extend(calls.iter().map(|call| call.caller.source()));
            if is_of_told || self.kept.regular.contains_key(&key) {
                continue;
            }
            self.kept.regular.insert(key, now);
            self.dirty = true;
            out.push(told(alike, &calls, line));
        }
        out
    }
}

/// An answered call abroad of a telephone of the site, or of one outside that is known.
fn counts(call: &Call) -> bool {
    let own = call.who == Who::Lan as u8 || call.who == Who::Known as u8;
    let abroad = Class::from_u8(call.class).is_some_and(is_abroad);
    own && abroad && call.was_taken() && !call.registers()
}

/// How long it was, or is by now.
fn length(call: &Call, clock: u64) -> u64 {
    call.ended_at().unwrap_or(clock).saturating_sub(call.begun)
}

fn alike(calls: &[&Call], clock: u64) -> Option<Alike> {
    if calls.len() < LEAST {
        return None;
    }
    let numbers = calls.iter().map(|call| call.admitted).collect::<HashSet<_>>().len();
    let mut begun: Vec<u64> = calls.iter().map(|call| call.begun).collect();
    begun.sort_unstable();
    let span = begun.last()?.saturating_sub(*begun.first()?);
    if span < SPAN || numbers < NUMBERS && calls.len() < 2 * LEAST {
        return None;
    }
    let lengths: Vec<u64> = calls.iter().map(|call| length(call, clock)).collect();
    let short = lengths.iter().filter(|length| **length <= SHORT).count();
    if short * 4 < calls.len() * 3 {
        return None;
    }
    let gaps: Vec<u64> = begun.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    let (calls, least, most) = crowd(lengths, 0).map_or((0, 0, 0), |found| found);
    if calls > 0 {
        return Some(Alike { apart: false, calls, least, most });
    }
    crowd(gaps, APART).map(|(gaps, least, most)| Alike { apart: true, calls: gaps + 1, least, most })
}

/// The largest group of values that are alike and not below `floor`, with its bounds, if nearly all values are in it.
fn crowd(mut values: Vec<u64>, floor: u64) -> Option<(usize, u64, u64)> {
    values.sort_unstable();
    let mut best = None;
    let mut end = 0;
    for (at, least) in values.iter().enumerate().filter(|(_, value)| **value >= floor) {
        let reach = least + ALIKE.max(least / 30);
        while values.get(end).is_some_and(|value| *value <= reach) {
            end += 1;
        }
        let most = end.checked_sub(1).and_then(|last| values.get(last))?;
        if best.is_none_or(|(count, _, _)| end - at > count) {
            best = Some((end - at, *least, *most));
        }
    }
    best.filter(|(count, _, _)| *count >= LEAST && count * 4 >= values.len() * 3)
}

fn told(alike: Alike, calls: &[&Call], line: bool) -> String {
    let mut countries: HashMap<u16, usize> = HashMap::new();
    for call in calls {
        *countries.entry(call.country).or_default() += 1;
    }
    let most = countries.iter().max_by_key(|(country, count)| (**count, **country)).map_or(0, |(country, _)| *country);
    let numbers = calls.iter().map(|call| call.admitted).collect::<HashSet<_>>().len();
    let last = calls.iter().max_by_key(|call| call.begun);
    let source = last.map_or_else(String::new, |call| address(call.caller).to_string());
    let who = match calls.first() {
        Some(call) if line => format!("the line #{:016x} at {source}", call.line),
        _ => source.clone(),
    };
    let (least, most_long) = (alike.least as f64 / 1e9, alike.most as f64 / 1e9);
    let how = if alike.apart { "begin" } else { "take" };
    let apart = if alike.apart { " after one another" } else { "" };
    format!(
        "{who} calls abroad like a machine: {} in the last hour {how} {least:.1} s to {most_long:.1} s{apart}, to {}, most in {}. \
         If that is none of yours: `tollgate block international --source {source}`, then change its password",
        counted(alike.calls, "call"),
        counted(numbers, "number"),
        Site::name(most.into()),
    )
}

#[cfg(test)]
mod tests {
    use gateway_common::{
        Reason,
        addr::Addr,
        call::{AFTERWARDS, State},
    };
    use jiff::ToSpan as _;

    use super::{
        super::{super::used::Used, Kept},
        *,
    };

    const NOW: u64 = 100 * HOUR;

    /// Marsaglia's xorshift64.
    struct Chance(u64);

    impl Chance {
        /// Between the two, in milliseconds.
        fn ms(&mut self, from: u64, to: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (from + self.0 % (to - from)) * 1_000_000
        }
    }

    /// A call that began so long before now, took so long, to this number.
    fn call(ago: u64, length: u64, number: u64) -> Call {
        let begun = NOW - ago;
        Call {
            caller: Addr::v4(0xc000_0214),
            line: 7,
            who: Who::Lan as u8,
            class: Class::International as u8,
            country: Site::number("SL"),
            reason: Reason::Allowed as u8,
            state: State::Ended as u8,
            contacts: [1, 1],
            admitted: number,
            begun,
            until: begun + length + AFTERWARDS,
            ..Call::default()
        }
    }

    fn news() -> News {
        News::of(Kept::new(&Used::new(), Timestamp::UNIX_EPOCH))
    }

    fn found(calls: &[Call]) -> Vec<String> {
        news().regular(calls, NOW, Timestamp::UNIX_EPOCH)
    }

    /// Calls in a row, a pause behind each.
    fn row(count: u64, numbers: u64, mut length: impl FnMut() -> u64, mut pause: impl FnMut() -> u64) -> Vec<Call> {
        let mut ago = HOUR - SECOND;
        let mut calls = Vec::new();
        for number in 0..count {
            let length = length();
            calls.push(call(ago, length, 1 + number % numbers));
            ago = ago.saturating_sub(length + pause());
        }
        calls
    }

    #[test]
    fn a_machine_is_told_once_a_day_with_what_to_do() {
        let (mut chance, mut pause) = (Chance(7), Chance(11));
        // Thirty seconds, and one or two until it is put through; some minutes apart, as chance will have it.
        let lengths = row(9, 3, || 30 * SECOND + chance.ms(0, 1900), || pause.ms(60_000, 300_000));
        let mut news = news();
        let text = news.regular(&lengths, NOW, Timestamp::UNIX_EPOCH);
        assert_eq!(text.len(), 1, "{text:?}");
        assert!(
            text[0].starts_with(
                "the line #0000000000000007 at 192.0.2.20 calls abroad like a machine: 9 calls in the last hour take 3"
            ),
            "{text:?}"
        );
        assert!(
            text[0].contains("to 3 numbers, most in Sierra Leone (SL)") && text[0].chars().count() < 300,
            "{text:?}"
        );
        let at = |hours: i64| Timestamp::UNIX_EPOCH + hours.hours();
        assert!(news.regular(&lengths, NOW, at(23)).is_empty());
        assert_eq!(news.regular(&lengths, NOW, at(24)).len(), 1, "it goes on");
        let mut again = News::of(news.kept);
        assert!(again.regular(&lengths, NOW, at(25)).is_empty(), "nor after a restart");
    }

    #[test]
    fn every_real_pace_is_found_and_so_is_one_that_changes_its_name() {
        for (per_minute, length) in [(2.8, 30), (4.0, 30), (22.0, 30), (22.5, 8)] {
            let gap = (60e9 / per_minute) as u64;
            let calls: Vec<Call> =
                (0..40).map(|n| call(HOUR / 2 - n * gap, length * SECOND + n % 3 * 300_000_000, n % 20)).collect();
            assert_eq!(found(&calls).len(), 1, "{per_minute} a minute");
            let rotated: Vec<Call> = calls.iter().enumerate().map(|(n, it)| Call { line: n as u64, ..*it }).collect();
            assert!(found(&rotated)[0].starts_with("192.0.2.20 calls abroad like a machine"), "{per_minute} a minute");
        }
        // How long they are differs, and the clock that dials does not.
        let mut chance = Chance(9);
        let calls: Vec<Call> =
            (0..20).map(|n| call(HOUR / 2 - n * 45 * SECOND, chance.ms(8_000, 40_000), n % 5)).collect();
        assert!(found(&calls)[0].contains("20 calls in the last hour begin 45.0 s to 45.0 s after one another"));
    }

    #[test]
    fn nobody_honest_is_told() {
        for seed in 1..=1000 {
            let mut chance = Chance(seed * 7919);
            // A fax to thirty customers: it rings, both ends agree on a speed, one page, the next.
            let mut fax = Chance(seed * 104_729);
            let pages = row(
                30,
                30,
                || fax.ms(3_000, 13_000) + fax.ms(5_000, 15_000) + fax.ms(30_000, 36_000),
                || chance.ms(2_000, 3_000),
            );
            assert!(found(&pages).is_empty(), "a fax, {seed}: {:?}", found(&pages));
            // An office that talks, sixteen calls in the hour, some short.
            let talk = row(16, 16, || chance.ms(4_000, 300_000), || fax.ms(1_000, 60_000));
            assert!(found(&talk).is_empty(), "people, {seed}: {:?}", found(&talk));
        }
        let each = |count, gap: u64, length: u64, numbers| -> Vec<Call> {
            (0..count).map(|n| call(HOUR / 2 - n * gap, length, n % numbers)).collect()
        };
        let machine = each(8, 30 * SECOND, 20 * SECOND, 3);
        assert_eq!(found(&machine).len(), 1, "what the following differ from");
        assert!(found(&each(7, 30 * SECOND, 20 * SECOND, 3)).is_empty(), "seven");
        assert!(found(&each(15, 30 * SECOND, 20 * SECOND, 1)).is_empty(), "one number again and again");
        assert_eq!(found(&each(16, 30 * SECOND, 20 * SECOND, 1)).len(), 1, "sixteen times is no redial");
        assert!(found(&each(20, SECOND, 60 * SECOND, 20)).is_empty(), "a conference");
        assert!(found(&each(8, 180 * SECOND, 170 * SECOND, 8)).is_empty(), "long calls");
        for (what, other) in [
            ("busy", Call { contacts: [1, 0], ..machine[0] }),
            ("a trunk", Call { who: Who::Trunk as u8, ..machine[0] }),
            ("at home", Call { class: Class::National as u8, ..machine[0] }),
            ("a registration", Call { reason: Reason::SipOther as u8, ..machine[0] }),
        ] {
            let mut calls = machine.clone();
            calls[0] = other;
            assert!(found(&calls).is_empty(), "{what}");
        }
        let old: Vec<Call> =
            machine.iter().map(|it| Call { begun: it.begun - HOUR, until: it.until - HOUR, ..*it }).collect();
        assert!(found(&old).is_empty(), "more than an hour ago");
    }
}
