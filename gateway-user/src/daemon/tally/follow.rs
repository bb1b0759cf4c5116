//! When calls were answered and when they ended, by looking at the call table every few seconds.
//!
//! The table says until when a record holds, which an answer and an end set each in its own way: so both are known to the
//! nanosecond, however late it is looked at. Only a call that was answered and ended between two looks lacks its answer.

use std::collections::{BTreeMap, HashSet};

use gateway_common::{
    call::{Call, State},
    judged::Who,
    limit::CellKey,
};

/// A call that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Up {
    /// When its INVITE came: another call may have its Call-ID later.
    pub(super) begun: u64,
    /// When it was seen last.
    pub(super) seen: u64,
    /// The cells that it counts for.
    pub(super) cells: Vec<CellKey>,
    /// The generation of the policy by which they were found.
    pub(super) rules: u32,
}

/// What a look has found about one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// That with this digest of its Call-ID was answered then, and is up.
    Up { id: u64, call: Call, since: u64 },
    /// It was up, counted for these cells, and has ended then.
    Ended { id: u64, cells: Vec<CellKey>, until: u64 },
    /// It was answered and has ended since the last look.
    Whole { call: Call, since: u64, until: u64 },
}

/// The calls that are up, and when it was looked last; 0 for never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Calls {
    pub(super) up: BTreeMap<u64, Up>,
    pub(super) looked: u64,
}

impl Calls {
    /// What has happened since the last look. `now` was read before the records were, so that what came in between is left to
    /// the next look, and counts once.
    pub(super) fn look(&mut self, records: &[(u64, Call)], now: u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let last = if self.looked == 0 { now } else { self.looked };
        // Where a record goes while they are read, others come twice.
        let mut read = HashSet::new();
        for (id, call) in records {
            let vouched = call.who == Who::Lan as u8 || call.who == Who::Known as u8;
            if !vouched || call.registers() || !read.insert(*id) {
                continue;
            }
            let is_up = self.up.get(id).is_some_and(|up| up.begun == call.begun);
            let (since, until) = match (call.refreshed_at(), call.ended_at()) {
                // A record that nothing has touched for so long is none of a call that is up.
                (Some(refreshed), _) => (refreshed.max(call.begun), call.until),
                (None, Some(ended)) => (call.begun.max(last), ended),
                (None, None) => continue,
            };
            if until >= now {
                if is_up || call.state() == State::Answered {
                    self.goes_on(*id, call, since, now, &mut steps);
                }
                continue;
            }
            if is_up {
                let cells = self.up.remove(id).map(|up| up.cells).unwrap_or_default();
                steps.push(Step::Ended { id: *id, cells, until });
            } else if call.was_taken() && until >= last {
                steps.push(Step::Whole { call: *call, since: since.min(until), until });
            }
        }
        // A record may be pushed out by others while the call goes on.
        self.up.retain(|id, up| {
            if up.seen != now {
                steps.push(Step::Ended { id: *id, cells: std::mem::take(&mut up.cells), until: up.seen });
            }
            up.seen == now
        });
        self.looked = now;
        steps
    }

    fn goes_on(&mut self, id: u64, call: &Call, since: u64, now: u64, steps: &mut Vec<Step>) {
        if let Some(up) = self.up.get_mut(&id) {
            if up.begun == call.begun {
                up.seen = now;
                steps.push(Step::Up { id, call: *call, since });
                return;
            }
            steps.push(Step::Ended { id, cells: std::mem::take(&mut up.cells), until: up.seen });
        }
        self.up.insert(id, Up { begun: call.begun, seen: now, cells: Vec::new(), rules: 0 });
        steps.push(Step::Up { id, call: *call, since });
    }
}

#[cfg(test)]
mod tests {
    use gateway_common::{
        Reason,
        call::{AFTERWARDS, ANSWERED, State},
    };

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 100_000 * SECOND;

    /// A call of a telephone of the site that rings.
    fn call() -> Call {
        Call {
            who: Who::Lan as u8,
            state: State::Ringing as u8,
            reason: Reason::Allowed as u8,
            begun: START,
            last: START,
            until: START + 180 * SECOND,
            ..Call::default()
        }
    }

    fn answered(at: u64) -> Call {
        Call { state: State::Answered as u8, until: at + ANSWERED, contacts: [1, 2], ..call() }
    }

    fn ended(at: u64) -> Call {
        Call { state: State::Ended as u8, until: at + AFTERWARDS, contacts: [1, 2], ..call() }
    }

    fn after(seconds: u64) -> u64 {
        START + seconds * SECOND
    }

    /// What looks at these times bring: how long each call counted, in nanoseconds.
    fn times(looks: &[(u64, &[(u64, Call)])]) -> Vec<u64> {
        let mut calls = Calls { up: BTreeMap::new(), looked: START };
        let (mut up, mut found) = (BTreeMap::new(), Vec::new());
        for (now, records) in looks {
            for step in calls.look(records, *now) {
                match step {
                    Step::Up { id, since, .. } => {
                        up.entry(id).or_insert(since);
                    }
                    Step::Ended { id, until, .. } => found.push(until - up.remove(&id).unwrap()),
                    Step::Whole { since, until, .. } => found.push(until - since),
                }
            }
        }
        found
    }

    #[test]
    fn a_call_counts_from_its_answer_to_its_end_however_late_it_is_seen() {
        let (answer, end) = (answered(after(20) + 7), ended(after(50) + 9));
        let looks: [(u64, &[(u64, Call)]); 5] = [
            (after(10), &[(1, call())]),
            (after(22), &[(1, answer)]),
            (after(24), &[(1, answer)]),
            (after(52), &[(1, end)]),
            (after(54), &[(1, end)]),
        ];
        assert_eq!(times(&looks), [30 * SECOND + 2]);
        // A re-INVITE that is answered moves neither.
        let refreshed = Call { until: after(40) + ANSWERED, ..answer };
        assert_eq!(times(&[looks[1], (after(42), &[(1, refreshed)]), looks[3]]), [30 * SECOND + 2]);
    }

    #[test]
    fn one_between_two_looks_counts_at_most_that_long_and_once() {
        let short = ended(after(3));
        let looks: [(u64, &[(u64, Call)]); 4] = [
            (after(2), &[(1, call())]),
            (after(4), &[(1, short)]),
            (after(6), &[(1, short)]),
            (after(8), &[(1, short)]),
        ];
        assert_eq!(times(&looks), [SECOND], "answered no earlier than the look before");
        let twice: [(u64, &[(u64, Call)]); 2] = [looks[0], (after(4), &[(1, short), (1, short)])];
        assert_eq!(times(&twice), [SECOND], "though it was read twice");
        let busy = Call { contacts: [1, 0], ..short };
        assert_eq!(times(&[(after(2), &[(1, call())]), (after(4), &[(1, busy)])]), [] as [u64; 0], "nobody took it");
    }

    #[test]
    fn what_ends_while_the_table_is_read_counts_once() {
        let end = ended(after(30) + 1);
        let up: (u64, &[(u64, Call)]) = (after(22), &[(1, answered(after(20)))]);
        assert_eq!(
            times(&[up, (after(30), &[(1, end)]), (after(32), &[(1, end)]), (after(34), &[(1, end)])]),
            [10 * SECOND + 1]
        );
        assert_eq!(times(&[(after(30), &[(1, end)]), (after(32), &[(1, end)]), (after(34), &[(1, end)])]), [1]);
    }

    #[test]
    fn a_record_that_is_gone_or_another_call_ends_it_when_it_was_seen_last() {
        let up = answered(after(20));
        assert_eq!(times(&[(after(22), &[(1, up)]), (after(24), &[(1, up)]), (after(26), &[])]), [4 * SECOND]);
        let other = Call { begun: after(25), ..answered(after(25)) };
        let looks: [(u64, &[(u64, Call)]); 3] = [
            (after(22), &[(1, up)]),
            (after(26), &[(1, other)]),
            (after(32), &[(1, Call { begun: after(25), ..ended(after(31)) })]),
        ];
        assert_eq!(times(&looks), [2 * SECOND, 6 * SECOND]);
    }

    #[test]
    fn one_whose_end_was_lost_counts_until_its_record_ends() {
        let up = answered(after(20));
        let end = up.until + SECOND;
        assert_eq!(times(&[(after(22), &[(1, up)]), (end, &[(1, up)]), (end + SECOND, &[(1, up)])]), [ANSWERED]);
    }

    #[test]
    fn trunks_strangers_and_registrations_count_for_nothing() {
        for it in [
            Call { who: Who::Trunk as u8, ..answered(after(1)) },
            Call { who: Who::Unproved as u8, ..answered(after(1)) },
            Call { reason: Reason::SipOther as u8, ..ended(after(1)) },
        ] {
            assert_eq!(Calls::default().look(&[(1, it)], after(2)), []);
        }
        let mut first = Calls::default();
        assert_eq!(first.look(&[(1, ended(after(1)))], after(2)), [], "nor what was over when the counting began");
    }
}
