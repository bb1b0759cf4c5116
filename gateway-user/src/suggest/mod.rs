//! Limits on calls abroad from what the site was seen to call: windows, and what they change of a policy file.

mod edit;

pub use edit::{Limit, edited, unified};

use crate::journal::LENGTHS;

/// Windows are so many times the most that was seen: the busiest day of a fortnight is not the busiest of a year.
pub const MARGIN: u64 = 2;
/// No fewer seconds have to be observed: a week has every day of it, and a weekend.
pub const ENOUGH: u64 = 7 * 86_400;
/// The most calls that a cell remembers.
pub const MOST: u64 = gateway_common::limit::window::CALLS as u64;
/// What Tollgate ships for one line, by the lengths of [`LENGTHS`]: no suggestion is below.
const LINE: [u64; 4] = [5, 6, 10, 30];
/// The same for the site; 0 where it has no window of that length.
const SITE: [u64; 4] = [0, 0, 20, 60];
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
    /// What Tollgate ships.
    shipped: u64,
}

impl Proposed {
    /// As the policy file writes it.
    pub fn text(&self) -> String {
        format!("{}/{}", self.count, self.length)
    }

    /// Where the figure comes from.
    pub fn evidence(&self) -> String {
        let Self { count, length, peak, shipped } = *self;
        let wanted = peak.saturating_mul(MARGIN);
        let why = if wanted <= shipped {
            format!("{shipped} is what Tollgate ships")
        } else if wanted > MOST {
            format!("{MARGIN} times that is {wanted}, but a window remembers {MOST} calls")
        } else {
            format!("{count} is {MARGIN} times that")
        };
        format!("{}: at most {peak} in {length} were seen; {why}", self.text())
    }
}

/// The windows for a line that reached `peaks` calls in [`LENGTHS`].
pub fn of_line(peaks: [u64; 4]) -> Vec<Proposed> {
    proposed(peaks, LINE)
}

/// The windows for a site that reached `peaks`.
pub fn of_site(peaks: [u64; 4]) -> Vec<Proposed> {
    proposed(peaks, SITE)
}

fn proposed(peaks: [u64; 4], shipped: [u64; 4]) -> Vec<Proposed> {
    let all = NAMES.into_iter().zip(peaks).zip(shipped).filter(|(_, shipped)| *shipped != 0);
    let all: Vec<Proposed> = all
        .map(|((length, peak), shipped)| {
            let count = peak.saturating_mul(MARGIN).min(MOST).max(shipped);
            Proposed { count, length, peak, shipped }
        })
        .collect();
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
    fn windows_are_a_margin_above_what_was_seen_within_what_is_shipped_and_what_can_be_remembered() {
        assert_eq!(texts(&of_line([0; 4])), ["5/60s", "6/300s", "10/1h", "30/24h"]);
        assert_eq!(texts(&of_line([3, 5, 12, 40])), ["6/60s", "10/300s", "24/1h", "64/24h"]);
        assert_eq!(texts(&of_site([9, 9, 15, u64::MAX])), ["30/1h", "64/24h"]);
        assert_eq!(
            texts(&of_line([4, 20, 20, 20])),
            ["8/60s", "40/24h"],
            "a window of as many in less time never decides"
        );
        let evidence: Vec<String> = of_line([3, 5, 12, 40]).iter().map(Proposed::evidence).collect();
        assert_eq!(evidence[0], "6/60s: at most 3 in 60s were seen; 6 is 2 times that");
        assert_eq!(
            of_line([2, 3, 4, 5])[1].evidence(),
            "6/300s: at most 3 in 300s were seen; 6 is what Tollgate ships"
        );
        assert_eq!(
            evidence[3],
            "64/24h: at most 40 in 24h were seen; 2 times that is 80, but a window remembers 64 calls"
        );
    }

    #[test]
    fn what_is_never_gone_below_is_what_the_first_policies_say() {
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
            assert_eq!(shipped(&abroad.windows), LINE.into_iter().zip(LENGTHS).collect::<Vec<_>>());
            let site: Vec<_> = SITE.into_iter().zip(LENGTHS).filter(|(count, _)| *count != 0).collect();
            assert_eq!(shipped(&abroad.site_windows), site);
        }
    }
}
