//! Sums, in the words of the policy file.

use std::collections::HashMap;

use gateway_common::limit::CellKey;

use super::{Sum, nanoseconds, tallies_of};
use crate::config::{Limit, Tallies, Window, in_units};

const MINUTE: u64 = 60_000_000_000;

/// How full the sums of cells are, by window.
pub type Levels = HashMap<CellKey, Vec<String>>;

/// What is over, if anything is, with how many calls brought it where that is not said already: `61 of 60 min/1h in 14 calls`.
pub(super) fn over(sum: &Sum, tallies: &Tallies, now: u64) -> Option<String> {
    let minutes = tallies.minutes.iter().find_map(|window| {
        let (time, calls) = sum.time.within(nanoseconds(window.per), now);
        let plural = if calls == 1 { "" } else { "s" };
        (time > u64::from(window.count) * MINUTE).then(|| format!("{} in {calls} call{plural}", minutes(time, window)))
    });
    let distinct = || {
        tallies.distinct.iter().find_map(|window| {
            let numbers = sum.distinct.within(nanoseconds(window.per), now);
            (numbers > window.count.into()).then(|| said(numbers, window, NUMBERS))
        })
    };
    let same = || {
        tallies.same.iter().find_map(|window| {
            let calls = sum.same.within(nanoseconds(window.per), now);
            (calls > window.count.into()).then(|| said(calls, window, SAME))
        })
    };
    minutes.or_else(distinct).or_else(same)
}

/// How full each window is.
pub(super) fn levels(sum: &Sum, tallies: &Tallies, now: u64) -> Vec<String> {
    let of = nanoseconds;
    let minutes = tallies.minutes.iter().map(|it| minutes(sum.time.within(of(it.per), now).0, it));
    let distinct = tallies.distinct.iter().map(|it| said(sum.distinct.within(of(it.per), now), it, NUMBERS));
    let same = tallies.same.iter().map(|it| said(sum.same.within(of(it.per), now), it, SAME));
    minutes.chain(distinct).chain(same).collect()
}

/// How full a cell is for which nothing was added up.
pub(crate) fn empty(limit: &Limit, key: &CellKey) -> Vec<String> {
    levels(&Sum::default(), tallies_of(limit, key), 0)
}

/// What a cell of a limit allows.
pub(crate) fn allowed(limit: &Limit, key: &CellKey) -> Vec<String> {
    let tallies = tallies_of(limit, key);
    let each = |windows: &[Window], what: &'static str| -> Vec<String> {
        windows.iter().map(|it| format!("{}{}", it.count, per(it, what))).collect()
    };
    [each(&tallies.minutes, MINUTES), each(&tallies.distinct, NUMBERS), each(&tallies.same, SAME)].concat()
}

const MINUTES: &str = "min";
const NUMBERS: &str = "numbers";
const SAME: &str = "calls to one number";
const HEADS: &str = "heads of one number";

/// How full each window of heads is, `level` said of a stretch.
pub(super) fn of_heads(windows: &[Window], level: impl Fn(u64) -> u64) -> Vec<String> {
    windows.iter().map(|it| said(level(nanoseconds(it.per)), it, HEADS)).collect()
}

/// A minute that has begun is one.
fn minutes(time: u64, window: &Window) -> String {
    said(time.div_ceil(MINUTE), window, MINUTES)
}

fn said(level: u64, window: &Window, what: &str) -> String {
    format!("{level} of {}{}", window.count, per(window, what))
}

fn per(window: &Window, what: &str) -> String {
    let (number, unit) = in_units(window.per);
    format!(" {what}/{number}{unit}")
}
