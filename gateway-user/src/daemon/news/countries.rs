//! Countries that the site never called, and calls of trunks that would leave the country.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::{SignedDuration, Timestamp};

use super::{Event, News, counted, listed, shown};
use crate::{numbering, policy::floor};

/// Trunks and countries that are remembered; those of the longest ago go first.
const MOST_INBOUND: usize = 1000;
/// What a trunk calls abroad is told again after so long.
const AGAIN: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Calls that are to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Called {
    first: Timestamp,
    calls: usize,
    /// Who placed the first; `None` where nobody was there to see.
    by: Option<IpAddr>,
}

/// The ISO code, as the numbering tables have it.
pub(super) fn code(code: &str) -> Option<&'static str> {
    let codes = numbering::country_codes();
    codes.get(codes.binary_search(&code).ok()?).copied()
}

impl News {
    /// A call to a country, by whom; it is news if there was none before.
    pub(super) fn note_country(&mut self, code: &'static str, time: Timestamp, by: Option<IpAddr>) {
        if let Some(called) = self.called.get_mut(code) {
            called.calls += usize::from(by.is_some());
        } else if !self.kept.countries.contains_key(code) {
            self.kept.countries.insert(code.to_owned(), time);
            self.called.insert(code, Called { first: time, calls: 1, by });
            self.dirty = true;
        }
    }

    /// A call of a trunk to a foreign number.
    pub(super) fn note_inbound(&mut self, code: &'static str, event: &Event) {
        if let Some(called) = self.inbound.get_mut(&(event.source, code)) {
            called.calls += 1;
            return;
        }
        let key = format!("{} {code}", event.source);
        let told = &mut self.kept.inbound;
        if told.get(&key).is_some_and(|last| event.time.duration_since(*last).abs() < AGAIN) {
            return;
        }
        if told.len() >= MOST_INBOUND
            && let Some(oldest) = told.iter().min_by_key(|(_, time)| **time).map(|(key, _)| key.clone())
        {
            told.remove(&oldest);
        }
        told.insert(key, event.time);
        self.inbound.insert((event.source, code), Called { first: event.time, calls: 1, by: Some(event.source) });
        self.dirty = true;
    }
}

fn named(code: &str) -> String {
    format!("{} ({code})", numbering::country_name(code).unwrap_or("unnamed"))
}

pub(super) fn told(called: &BTreeMap<&'static str, Called>) -> String {
    let hot: Vec<&str> = called.keys().copied().filter(|code| floor::hot().any(|hot| hot == *code)).collect();
    let codes: Vec<&str> = called.keys().copied().take(super::NAMED).collect();
    let block =
        format!("If that is none of yours: `tollgate block {}`, or `tollgate international off`", codes.join(" "));
    if let ([(code, it)], hot) = (called.iter().collect::<Vec<_>>().as_slice(), hot.is_empty()) {
        let by = it.by.map_or_else(|| " while no daemon ran".to_owned(), |by| format!(" by {by}"));
        let hot = if hot { "" } else { "; fraud often ends there" };
        return format!(
            "the first call ever of this site to {}, at {}{by}, {} by now{hot}. {block}",
            named(code),
            shown(it.first),
            counted(it.calls, "call")
        );
    }
    let since = called.values().map(|it| it.first).min().unwrap_or_default();
    let hot = if hot.is_empty() {
        String::new()
    } else {
        format!("; fraud often ends in {}", listed(hot.iter().map(|it| (*it).to_owned())))
    };
    let countries = called.iter().map(|(code, it)| format!("{} {}", named(code), it.calls));
    let countries = listed(countries.collect::<Vec<_>>().into_iter());
    format!(
        "the first calls ever of this site to {} countries since {}: {countries}{hot}. {block}",
        called.len(),
        shown(since)
    )
}

pub(super) fn told_inbound(inbound: &BTreeMap<(IpAddr, &'static str), Called>) -> String {
    let since = inbound.values().map(|it| it.first).min().unwrap_or_default();
    let calls = inbound.iter().map(|((source, code), it)| format!("{source} to {} {}", named(code), it.calls));
    let calls = listed(calls.collect::<Vec<_>>().into_iter());
    format!(
        "calls came in from a trunk for foreign numbers since {}: {calls}. Nobody calls you by those: the PBX may put them \
         through abroad, or the address is forged. Look at its inbound routes, name the trunk's `interface`; `tollgate \
         block COUNTRY` stops them",
        shown(since)
    )
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;

    use super::{
        super::{super::used::Used, Kept, Kind},
        *,
    };
    use gateway_common::{Class, Method, Reason, Verdict, judged::Who};

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + minute.minutes()
    }

    fn call(minute: i64, who: Who, country: &'static str) -> Event {
        let reason = if who == Who::Trunk { Reason::Inbound } else { Reason::Allowed };
        Event { time: at(minute), reason, country: Some(country), who, ..Event::sample() }
    }

    fn news() -> News {
        News::of(Kept::new(&Used::from([("US".to_owned(), at(0))]), at(0)))
    }

    #[test]
    fn a_country_is_new_once_and_only_where_a_call_goes_on() {
        let mut news = news();
        for other in [
            Event { verdict: Verdict::Drop, reason: Reason::BlockedCountry, ..call(1, Who::Lan, "SL") },
            Event { reason: Reason::InDialog, ..call(1, Who::Lan, "SL") },
            Event { reason: Reason::Repeat, ..call(1, Who::Lan, "SL") },
            Event { class: Class::National, ..call(1, Who::Lan, "JP") },
            Event { method: Some(Method::Options), ..call(1, Who::Lan, "SL") },
            call(1, Who::Unproved, "SL"),
            call(1, Who::Lan, "US"),
        ] {
            news.note(&other);
            assert!(news.called.is_empty(), "{other:?}");
        }
        news.note(&call(2, Who::Lan, "SL"));
        news.note(&call(3, Who::Lan, "SL"));
        assert_eq!(
            told(&news.called),
            "the first call ever of this site to Sierra Leone (SL), at 1970-01-01 00:02 UTC by 192.0.2.20, 2 calls by now; \
             fraud often ends there. If that is none of yours: `tollgate block SL`, or `tollgate international off`"
        );
        news.called.clear();
        news.note(&call(4, Who::Lan, "SL"));
        assert!(news.called.is_empty(), "told once");
        let would = Event { verdict: Verdict::WouldDrop, reason: Reason::BlockedCountry, ..call(5, Who::Known, "CH") };
        news.note(&would);
        assert_eq!(news.called.len(), 1, "in monitor mode it went on");
    }

    #[test]
    fn what_comes_within_the_rest_is_one_notice_of_bounded_length() {
        let mut news = news();
        news.note(&call(0, Who::Lan, "SL"));
        assert!(news.may_tell(Kind::Country, at(0)));
        news.called.clear();
        for code in ["LV", "CU", "SO", "GB", "CH"] {
            news.note(&call(1, Who::Lan, code));
        }
        assert!(!news.may_tell(Kind::Country, at(9)));
        assert!(news.may_tell(Kind::Country, at(10)));
        let text = told(&news.called);
        assert!(text.contains("5 countries since 1970-01-01 00:01 UTC: Switzerland (CH) 1, Cuba (CU) 1"), "{text}");
        assert!(text.contains(" and 2 more; fraud often ends in CU, LV, SO. If"), "{text}");
        assert!(text.chars().count() < 300, "a notice is cut there: {text}");
        // A clock that goes back does not silence it.
        assert!(news.may_tell(Kind::Country, at(1)));
        assert!(news.may_tell(Kind::Trunk, at(1)), "kinds rest by themselves");
    }

    #[test]
    fn a_trunk_that_calls_abroad_is_told_once_a_month() {
        let mut news = news();
        for minute in 0..3 {
            news.note(&call(minute, Who::Trunk, "SL"));
        }
        let text = told_inbound(&news.inbound);
        assert!(text.contains("192.0.2.20 to Sierra Leone (SL) 3. Nobody") && text.chars().count() <= 300, "{text}");
        assert!(news.called.is_empty(), "the site did not call there");
        news.inbound.clear();
        news.note(&call(29 * 24 * 60, Who::Trunk, "SL"));
        assert!(news.inbound.is_empty());
        news.note(&call(31 * 24 * 60, Who::Trunk, "SL"));
        assert_eq!(news.inbound.len(), 1);
        let stopped = Event { verdict: Verdict::Drop, reason: Reason::Order, ..call(1, Who::Trunk, "LV") };
        news.note(&stopped);
        assert_eq!(news.inbound.len(), 1, "what an order stops is no news");
        for host in 0..2 * MOST_INBOUND as u32 {
            let source = std::net::Ipv4Addr::from_bits(host).into();
            news.note(&Event { source, ..call(40 * 24 * 60, Who::Trunk, "SL") });
        }
        assert_eq!(news.kept.inbound.len(), MOST_INBOUND);
    }
}
