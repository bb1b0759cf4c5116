//! The numbers that were called, by the events of calls that passed, and which of these dial again what failed.

use std::{collections::HashMap, net::IpAddr};

use gateway_common::{
    Method, Reason, Verdict,
    call::{Call, REDIAL},
    judged::Who,
};
use jiff::Timestamp;

use super::super::{Event, cell::TICK};
use crate::policy::charged::{Charged, address};

/// Calls between two looks; more are not added up.
const MOST: usize = 16_384;

/// One call to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialled {
    pub(super) call: Charged,
    /// The digest of the number.
    pub(super) number: u64,
    /// When it came, by the clock of the kernel and the one on the wall.
    pub(super) clock: u64,
    pub(super) at: Timestamp,
    /// Whether rules would stop it in enforce mode.
    pub(super) stopped: bool,
}

/// Calls that were told of since the last look, and the failures that were dialled again.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    calls: Vec<Dialled>,
    /// By the digests of their Call-ID and when they began.
    used: HashMap<(u64, u64), u64>,
}

/// A source and a line of it.
type Caller = (IpAddr, u64);

/// A record of the call table, as far as it matters here.
struct Record {
    id: u64,
    begun: u64,
    /// The digest of what was dialled.
    dialled: u64,
    /// When it failed, if it did.
    failed: Option<u64>,
}

impl Record {
    fn of(id: u64, call: &Call) -> Self {
        let failed = call.ended_at().filter(|_| !call.was_taken());
        Self { id, begun: call.begun, dialled: call.admitted, failed }
    }
}

/// Those whose time is a tick from `time` at most; they are in the order of their times.
fn near<T>(sorted: &[T], time: u64, of: impl Fn(&T) -> u64) -> &[T] {
    let from = sorted.partition_point(|it| of(it) < time.saturating_sub(TICK));
    let to = sorted.partition_point(|it| of(it) <= time.saturating_add(TICK));
    sorted.get(from..to).unwrap_or_default()
}

impl Waiting {
    /// Notes an event, if it is of a call that goes out; whether there was room for it.
    pub(super) fn note(&mut self, event: &Event) -> bool {
        let goes_out = match event.verdict {
            Verdict::Pass => event.reason == Reason::Allowed || event.reason == Reason::NoNumber,
            Verdict::WouldDrop => true,
            Verdict::Drop | Verdict::Reject => false,
        };
        let vouched = matches!(event.who, Who::Lan | Who::Known);
        if !goes_out || !vouched || event.callee == 0 || !event.method.is_some_and(Method::makes_call) {
            return true;
        }
        if self.calls.len() >= MOST {
            return false;
        }
        self.calls.push(Dialled {
            call: event.charged(),
            number: event.callee,
            clock: event.clock,
            at: event.time,
            stopped: event.reason.stops(),
        });
        true
    }

    pub(super) fn clear(&mut self) {
        self.calls.clear();
        self.used.clear();
    }

    /// The calls since the last look, in the order in which they came, each with whether it dials again what failed: such a one
    /// is free of windows too. `records` are those of the call table.
    pub(super) fn take(&mut self, records: &[(u64, Call)]) -> Vec<(Dialled, bool)> {
        let mut calls = std::mem::take(&mut self.calls);
        let Some(newest) = calls.iter().map(|call| call.clock).max() else { return Vec::new() };
        calls.sort_by_key(|call| call.clock);
        let mut known: HashMap<Caller, Vec<Record>> = HashMap::new();
        for (id, call) in records.iter().filter(|(_, call)| !call.registers()) {
            known.entry((address(call.caller), call.line)).or_default().push(Record::of(*id, call));
        }
        for records in known.values_mut() {
            records.sort_unstable_by_key(|record| (record.begun, record.id));
            records.dedup_by_key(|record| (record.begun, record.id));
        }
        let mut told: HashMap<Caller, Vec<u64>> = HashMap::new();
        for call in &calls {
            told.entry((call.call.source, call.call.line)).or_default().push(call.clock);
        }
        let redials = |used: &mut HashMap<(u64, u64), u64>, call: &Dialled| {
            let caller = (call.call.source, call.call.line);
            let (Some(records), Some(told)) = (known.get(&caller), told.get(&caller)) else { return false };
            // Which of two that came within a tick is meant nobody can say: then neither is a redial.
            let [own] = near(records, call.clock, |record| record.begun) else { return false };
            if near(told, call.clock, |time| *time).len() != 1 {
                return false;
            }
            let mut found = false;
            for record in records.iter().filter(|record| record.dialled == own.dialled && own.dialled != 0) {
                let is_before = |failed: &u64| *failed <= own.begun && own.begun - *failed < REDIAL;
                if record.failed.as_ref().is_some_and(is_before) {
                    found |= used.insert((record.id, record.begun), call.clock).is_none();
                }
            }
            found
        };
        let used = &mut self.used;
        let taken = calls
            .into_iter()
            .map(|call| {
                let redials = redials(used, &call);
                (call, redials)
            })
            .collect();
        used.retain(|_, time| newest.saturating_sub(*time) < REDIAL);
        taken
    }
}

#[cfg(test)]
mod tests {
    use gateway_common::{
        addr::Addr,
        call::{AFTERWARDS, State},
    };

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn event(clock: u64) -> Event {
        Event { clock, callee: 7, line: 5, ..Event::sample() }
    }

    /// The record of a call to number 9 that began then and goes on.
    fn record(begun: u64) -> (u64, Call) {
        let call = Call {
            caller: Addr::v4(0xc000_0214),
            who: Who::Lan as u8,
            state: State::Ringing as u8,
            reason: Reason::Allowed as u8,
            line: 5,
            admitted: 9,
            begun,
            ..Call::default()
        };
        (begun, call)
    }

    /// The same of one that failed so much later.
    fn failed(begun: u64, after: u64) -> (u64, Call) {
        let (id, call) = record(begun);
        (id, Call { state: State::Ended as u8, until: begun + after + AFTERWARDS, ..call })
    }

    /// What calls at these times are, told of a little early, as the coarse clock has it.
    fn redials(times: &[u64], records: &[(u64, Call)]) -> Vec<bool> {
        let mut waiting = Waiting::default();
        assert!(times.iter().all(|time| waiting.note(&event(*time - TICK / 2))));
        waiting.take(records).into_iter().map(|(_, redials)| redials).collect()
    }

    fn at(seconds: u64) -> u64 {
        1000 * SECOND + seconds * SECOND
    }

    #[test]
    fn each_failure_is_good_for_one_redial_within_two_minutes() {
        let (first, second, third) = (at(0), at(10), at(20));
        let busy = failed(first, SECOND);
        assert_eq!(redials(&[first, second, third], &[busy, record(second), record(third)]), [false, true, false]);
        let again = failed(second, SECOND);
        assert_eq!(redials(&[first, second, third], &[busy, again, record(third)]), [false, true, true]);
        assert_eq!(redials(&[first, at(122)], &[busy, record(at(122))]), [false, false], "too late");
        assert_eq!(redials(&[first, second], &[record(first), record(second)]), [false, false], "it did not fail");
        let answered = (first, Call { contacts: [1, 2], ..busy.1 });
        assert_eq!(redials(&[first, second], &[answered, record(second)]), [false, false], "it was answered");
        let other = (second, Call { admitted: 8, ..record(second).1 });
        assert_eq!(redials(&[first, second], &[busy, other]), [false, false], "another number");
        let other = (second, Call { line: 6, ..record(second).1 });
        assert_eq!(redials(&[first, second], &[busy, other]), [false, false], "another line");
        // Beside what dials again, another call of the line: which is which?
        let beside = (1, Call { admitted: 8, begun: second + TICK / 4, ..record(second).1 });
        assert_eq!(redials(&[first, second], &[busy, record(second), beside]), [false, false]);
        assert_eq!(redials(&[first, second, second + 1], &[busy, record(second)]), [false, false, false]);
        let mut waiting = Waiting::default();
        waiting.note(&event(first));
        assert!(!waiting.take(&[record(first)])[0].1);
        for (time, redials) in [(second, true), (third, false)] {
            waiting.note(&event(time));
            assert_eq!(waiting.take(&[busy, record(second), record(third)])[0].1, redials, "over two looks");
        }
    }

    #[test]
    fn only_calls_that_go_out_count() {
        let counts = |event: Event| {
            let mut waiting = Waiting::default();
            waiting.note(&event);
            waiting.take(&[]).len() == 1
        };
        assert!(counts(event(1)));
        assert!(counts(Event { who: Who::Known, ..event(1) }));
        assert!(counts(Event { verdict: Verdict::WouldDrop, reason: Reason::LineLimit, ..event(1) }));
        for other in [
            Event { reason: Reason::Repeat, ..event(1) },
            Event { reason: Reason::InDialog, ..event(1) },
            Event { reason: Reason::Emergency, ..event(1) },
            Event { verdict: Verdict::Drop, reason: Reason::LineLimit, ..event(1) },
            Event { who: Who::Trunk, ..event(1) },
            Event { who: Who::Unproved, ..event(1) },
            Event { method: Some(Method::Register), ..event(1) },
            Event { callee: 0, ..event(1) },
        ] {
            assert!(!counts(other.clone()), "{other:?}");
        }
    }

    #[test]
    fn memory_between_two_looks_is_bounded() {
        let mut waiting = Waiting::default();
        let noted = (0..MOST as u64 + 10).filter(|n| waiting.note(&Event { callee: n + 1, ..event(*n) })).count();
        assert_eq!(noted, MOST);
        assert_eq!(waiting.take(&[]).len(), MOST);
    }
}
