//! How much the site of a capture calls abroad: a first policy must leave room for that.

use std::collections::HashMap;

use gateway_common::{Class, call::Call, judged::Who};

use crate::{
    journal::{LENGTHS, highest, most},
    policy::charged::address,
};

/// The most that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abroad {
    /// Calls abroad of telephones of the site.
    pub calls: u64,
    /// By one line, or one source where the line is not known, in [`LENGTHS`].
    pub line: [u64; 4],
    /// By all of them.
    pub site: [u64; 4],
    /// Of one line, at once.
    pub at_once: u64,
}

impl Abroad {
    /// What the calls come to.
    pub(super) fn of<'a>(calls: impl Iterator<Item = &'a Call>) -> Self {
        let counts =
            |call: &&Call| call.who == Who::Lan as u8 && call.class == Class::International as u8 && !call.registers();
        let mut lines: HashMap<String, Vec<&Call>> = HashMap::new();
        let mut site = Vec::new();
        for call in calls.filter(counts) {
            let line = if call.line == 0 { address(call.caller).to_string() } else { format!("#{:x}", call.line) };
            lines.entry(line).or_default().push(call);
            site.push((i128::from(call.begun), 1));
        }
        let at_once = lines.values().map(|calls| at_once(calls)).max().unwrap_or(0);
        let times = |(line, calls): (String, Vec<&Call>)| {
            (line, calls.iter().map(|call| (i128::from(call.begun), 1)).collect())
        };
        // The busiest of each length may be another line each time.
        let peaks = highest(lines.into_iter().map(times).collect(), LENGTHS);
        let line = peaks.iter().fold([0; 4], |most, (_, peaks)| std::array::from_fn(|at| most[at].max(peaks[at])));
        Self { calls: site.len() as u64, line, site: most(&mut site, LENGTHS), at_once }
    }
}

/// How many of these were up at the same time.
fn at_once(calls: &[&Call]) -> u64 {
    let mut ends: Vec<(u64, i64)> = Vec::with_capacity(calls.len() * 2);
    for call in calls {
        let end = call.ended_at().unwrap_or(call.until);
        ends.extend([(call.begun, 1), (end.max(call.begun), -1)]);
    }
    ends.sort_unstable();
    let mut up = 0;
    let most = ends.iter().map(|(_, change)| {
        up += change;
        up
    });
    most.max().unwrap_or(0).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use gateway_common::{
        addr::Addr,
        call::{AFTERWARDS, State},
    };

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn call(line: u64, begun: u64, end: u64) -> Call {
        Call {
            caller: Addr::v4(0xc000_0214),
            line,
            who: Who::Lan as u8,
            class: Class::International as u8,
            state: State::Ended as u8,
            begun: begun * SECOND,
            until: end * SECOND + AFTERWARDS,
            ..Call::default()
        }
    }

    #[test]
    fn the_busiest_line_counts_and_the_site_is_all_of_them() {
        let mut calls: Vec<Call> = (0..4).map(|n| call(1, n * 10, 100)).collect();
        // Another line has more of them in the hour, none at once; without a line the source is one.
        calls.extend((0..6).map(|n| call(2, n * 400, n * 400 + 300)));
        calls.push(call(0, 5, 6));
        let found = Abroad::of(calls.iter());
        assert_eq!(found, Abroad { calls: 11, line: [4, 4, 6, 6], site: [6, 6, 11, 11], at_once: 4 });
        for other in [
            Call { who: Who::Unproved as u8, ..calls[0] },
            Call { who: Who::Trunk as u8, ..calls[0] },
            Call { class: Class::National as u8, ..calls[0] },
        ] {
            assert_eq!(Abroad::of([other].iter()), Abroad::default());
        }
    }
}
