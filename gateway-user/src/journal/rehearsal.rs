//! What an order would have done to the calls of the journal.

use std::{collections::BTreeMap, io, ops::RangeInclusive};

use gateway_common::{Class, Reason};
use jiff::Timestamp;

use super::{Decision, Entry, Lane, Latest, Reader};
use crate::{
    config::Config,
    daemon::{ActiveOrder, OrderRule, Readable},
    policy::{Grip, Remembered, rehearse},
};

/// Calls that are shown one by one.
const SHOWN: usize = 10;

/// What an order would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// Requests that it would have cut or let through, by country; `-` where the number has none.
    pub countries: BTreeMap<String, u64>,
    /// Requests of which the masked digits would tell.
    pub perhaps: u64,
    /// Requests of unproved sources among both: they are sampled, so it may be more.
    pub sampled: u64,
    /// The last of them, oldest first.
    pub last: Vec<(Lane, Decision)>,
    /// The oldest record that was looked at.
    pub since: Option<Timestamp>,
    /// Records that are damaged and were left out.
    pub damaged: u64,
}

/// Tries `order` among the `others` in force on every call of `span`.
///
/// # Errors
///
/// Where the files cannot be read.
pub fn rehearsal(
    reader: &Reader,
    span: &RangeInclusive<Timestamp>,
    config: &Config,
    others: &[ActiveOrder],
    order: &ActiveOrder,
) -> io::Result<Rehearsal> {
    let mut found = Rehearsal::default();
    let mut last = Latest::new(SHOWN);
    let damaged = reader.read(&[Lane::Own, Lane::Passed, Lane::Unproved], span, &mut |entry| {
        let lane = entry.lane();
        let Entry::Decision(decision) = entry else { return };
        found.since = Some(found.since.map_or(decision.time, |since| since.min(decision.time)));
        if !changes(order.rule, &decision) {
            return;
        }
        let number = Readable::of(decision.number.as_deref().unwrap_or_default());
        let call = Remembered {
            number: &number,
            class: &decision.class,
            country: decision.country.as_deref(),
            from: decision.source,
            line: decision.line().unwrap_or(0),
            vouched: lane != Lane::Unproved,
        };
        match rehearse(config, others, order, call) {
            Grip::No => return,
            Grip::Perhaps => found.perhaps += decision.count,
            Grip::Decides => {
                let country = decision.country.as_deref().unwrap_or("-").to_owned();
                *found.countries.entry(country).or_default() += decision.count;
                last.take(lane, decision.clone());
            }
        }
        if lane == Lane::Unproved {
            found.sampled += decision.count;
        }
    })?;
    (found.last, _) = last.finish();
    Ok(Rehearsal { damaged, ..found })
}

/// Whether the verdict of a call would have been another, if the order had decided.
fn changes(rule: OrderRule, decision: &Decision) -> bool {
    match rule {
        OrderRule::Block | OrderRule::Monitor => !decision.stopped() && decision.class != Class::Emergency.as_str(),
        OrderRule::Allow => !decision.passed() && lifted(decision),
        // They are not rehearsed.
        OrderRule::InternationalOff | OrderRule::Shield => false,
    }
}

/// Whether an allow lifts what decided: a rule on the destination, and no limit.
fn lifted(decision: &Decision) -> bool {
    Reason::ALL.iter().filter(|reason| reason.as_str() == decision.reason).any(|reason| {
        matches!(
            reason,
            Reason::Order
                | Reason::Floor
                | Reason::BlockedPrefix
                | Reason::BlockedCountry
                | Reason::ClassInternational
                | Reason::ClassPremium
                | Reason::ClassNonGeographic
                | Reason::ClassUnassigned
                | Reason::ClassOther
                | Reason::Suspicious
                | Reason::Malformed
        )
    })
}
