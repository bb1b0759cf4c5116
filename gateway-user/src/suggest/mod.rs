//! Limits on calls abroad from what the site was seen to call: windows, and what they change of a policy file.

mod edit;

pub use edit::{Limit, edited, unified};

use crate::{
    config::{Breaker, Window},
    journal::LENGTHS,
};

/// Windows are so many times the most that was seen: the busiest day of a fortnight is not the busiest of a year.
pub const MARGIN: u64 = 2;
/// No fewer seconds have to be observed: a week has every day of it, and a weekend.
pub const ENOUGH: u64 = 7 * 86_400;
/// The most calls that a cell remembers.
pub const MOST: u64 = gateway_common::limit::window::CALLS as u64;
/// What no window is below, by the lengths of [`LENGTHS`]; 0 where there is no window of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Least {
    line: [u64; 4],
    site: [u64; 4],
    /// What it is, in words.
    is: &'static str,
}

/// For a site whose calls are known for a week: by Avaya's model of an office (0.5 calls an hour each), thirty telephones with a tenth
/// of their calls abroad meet none of these once in a hundred years.
pub const LEAST: Least = Least { line: [5, 6, 10, 30], site: [0, 0, 20, 60], is: "the least that is suggested" };
/// For one of which there is only a capture: the windows of the shipped policies.
pub const SHIPPED: Least = Least { line: [8, 10, 24, 48], site: [0, 30, 64, 0], is: "what Tollgate ships" };
/// The lengths as a policy file writes them.
const NAMES: [&str; 4] = ["60s", "300s", "1h", "24h"];

/// One window that is suggested, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// So many calls,
    pub count: u64,
    /// in so long.
    pub length: &'static str,
    /// The most that was seen.
    pub peak: u64,
    /// It is no fewer than these,
    least: u64,
    /// which are that.
    is: &'static str,
}

impl Proposed {
    /// As the policy file writes it.
    pub fn text(&self) -> String {
        format!("{}/{}", self.count, self.length)
    }

    /// Where the figure comes from.
    pub fn evidence(&self) -> String {
        let Self { count, length, peak, least, is } = *self;
        let wanted = peak.saturating_mul(MARGIN);
        let why = if wanted <= least {
            format!("{least} is {is}")
        } else if wanted > MOST {
            format!("{MARGIN} times that is {wanted}, but a window remembers {MOST} calls")
        } else {
            format!("{count} is {MARGIN} times that")
        };
        format!("{}: at most {peak} in {length} were seen; {why}", self.text())
    }
}

/// The windows for a line that reached `peaks` calls in [`LENGTHS`].
pub fn of_line(peaks: [u64; 4], least: &Least) -> Vec<Proposed> {
    proposed(peaks, least.line, least.is)
}

/// The windows for a site that reached `peaks`.
pub fn of_site(peaks: [u64; 4], least: &Least) -> Vec<Proposed> {
    proposed(peaks, least.site, least.is)
}

/// The windows for the floor where a country was called so often at most, and these are in force: none where they leave room.
///
/// Without a margin a window would stop all calls abroad of a site that calls a little more than it did; so there is none then.
pub fn of_floor(peaks: [u64; 4], in_force: &[Window]) -> Vec<Proposed> {
    let peak = |window: &Window| if window.per.as_secs() > LENGTHS[2] { peaks[3] } else { peaks[2] };
    if in_force.iter().all(|window| peak(window).saturating_mul(MARGIN) <= u64::from(window.count)) {
        return Vec::new();
    }
    let least = Breaker::default().windows.iter().fold([0; 4], |mut least, window| {
        least[if window.per.as_secs() > LENGTHS[2] { 3 } else { 2 }] = u64::from(window.count);
        least
    });
    let windows = proposed(peaks, least, "what the floor counts by itself").into_iter().enumerate();
    windows.filter(|(at, it)| *at == 0 || it.peak.saturating_mul(MARGIN) <= MOST).map(|(_, it)| it).collect()
}

fn proposed(peaks: [u64; 4], least: [u64; 4], is: &'static str) -> Vec<Proposed> {
    let all = NAMES.into_iter().zip(peaks).zip(least).filter(|(_, least)| *least != 0);
    let all = all.map(|((length, peak), least)| {
        let count = peak.saturating_mul(MARGIN).min(MOST).max(least);
        Proposed { count, length, peak, least, is }
    });
    // A window that no more than was seen fits into would cut it. The shortest stays, since a limit has one.
    let all: Vec<Proposed> = all.enumerate().filter(|(at, it)| *at == 0 || it.peak < MOST).map(|(_, it)| it).collect();
    // A window never decides where a longer one holds no more; `check` would warn of it.
    let decides = |at: usize, it: &Proposed| all.iter().skip(at + 1).all(|longer| longer.count > it.count);
    all.iter().enumerate().filter(|(at, it)| decides(*at, it)).map(|(_, it)| *it).collect()
}

const _: () = assert!(LENGTHS[0] == 60 && LENGTHS[1] == 300 && LENGTHS[2] == 3_600 && LENGTHS[3] == 86_400);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn texts(windows: &[Proposed]) -> Vec<String> {
        windows.iter().map(Proposed::text).collect()
    }

    #[test]
    fn windows_are_a_margin_above_what_was_seen_within_the_least_and_what_can_be_remembered() {
        assert_eq!(texts(&of_line([0; 4], &LEAST)), ["5/60s", "6/300s", "10/1h", "30/24h"]);
        assert_eq!(texts(&of_line([3, 5, 12, 40], &LEAST)), ["6/60s", "10/300s", "24/1h", "64/24h"]);
        assert_eq!(texts(&of_site([9, 9, 15, 63], &LEAST)), ["30/1h", "64/24h"]);
        assert_eq!(texts(&of_line([3, 5, 13, 40], &SHIPPED)), ["8/60s", "10/300s", "26/1h", "64/24h"]);
        assert_eq!(
            texts(&of_line([4, 20, 20, 20], &LEAST)),
            ["8/60s", "40/24h"],
            "a window of as many in less time never decides"
        );
        let evidence: Vec<String> = of_line([3, 5, 12, 40], &LEAST).iter().map(Proposed::evidence).collect();
        assert_eq!(evidence[0], "6/60s: at most 3 in 60s were seen; 6 is 2 times that");
        for (least, told) in [(LEAST, "6 is the least that is suggested"), (SHIPPED, "10 is what Tollgate ships")] {
            let evidence = of_line([2, 3, 4, 5], &least)[1].evidence();
            assert!(evidence.ends_with(&format!("at most 3 in 300s were seen; {told}")), "{evidence}");
        }
        assert_eq!(
            evidence[3],
            "64/24h: at most 40 in 24h were seen; 2 times that is 80, but a window remembers 64 calls"
        );
    }

    #[test]
    fn no_window_is_suggested_that_what_was_seen_would_fill() {
        assert_eq!(texts(&of_site([9, 9, 40, 64], &LEAST)), ["64/1h"]);
        assert_eq!(texts(&of_line([9, 20, 70, u64::MAX], &LEAST)), ["18/60s", "40/300s"]);
        assert_eq!(texts(&of_site([90; 4], &LEAST)), ["64/1h"], "a limit has a window");
    }

    #[test]
    fn the_floor_is_raised_where_it_leaves_no_room() {
        let own = Breaker::default().windows;
        assert_eq!(of_floor([9, 9, 10, 30], &own), []);
        assert_eq!(texts(&of_floor([9, 9, 11, 30], &own)), ["22/1h", "60/24h"]);
        assert_eq!(texts(&of_floor([9, 9, 20, 32], &own)), ["40/1h", "64/24h"]);
        assert_eq!(texts(&of_floor([9, 9, 20, 60], &own)), ["40/1h"], "64 in a day leave no room for twice 60");
        let (raised, _) = config::parse("floor_windows = [\"40/1h\"]", None, Path::new(".")).unwrap();
        assert_eq!(of_floor([9, 9, 20, 60], &raised.breaker.windows), []);
        assert_eq!(of_floor([64; 4], &[]), [], "where it is off");
    }

    #[test]
    fn what_a_capture_is_never_gone_below_for_is_what_the_first_policies_say() {
        for policy in [
            include_str!("../../policies/jp.toml"),
            include_str!("../../policies/de.toml"),
            include_str!("../../policies/us.toml"),
        ] {
            let (config, _) = config::parse(policy, None, Path::new(".")).unwrap();
            let abroad = config.limits.iter().find(|limit| limit.name == "abroad").unwrap();
            let shipped = |windows: &[config::Window]| {
                windows.iter().map(|it| (u64::from(it.count), it.per.as_secs())).collect::<Vec<_>>()
            };
            for (windows, least) in [(&abroad.windows, SHIPPED.line), (&abroad.site_windows, SHIPPED.site)] {
                let least: Vec<_> = least.into_iter().zip(LENGTHS).filter(|(count, _)| *count != 0).collect();
                assert_eq!(shipped(windows), least);
            }
        }
    }
}
