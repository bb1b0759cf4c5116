//! What the floor counts by: `floor_windows` and `floor_concurrent`, which raise it and never lower it.

use std::time::Duration;

use gateway_common::limit::window::{CALLS, WINDOWS};
use serde::{Deserialize, Serialize};

use super::{
    Window,
    problem::{Complaint, Report},
    section::Section,
    windows,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Calls of the site to one country in an hour and in a day, after which none goes abroad.
///
/// Japan's fraud of 2015 placed 8,000 calls to one country in two days, 2.8 a minute. Thirty telephones with a tenth of
/// their calls abroad place 20 in an hour less than once in a hundred years by Poisson, were all to one country.
const LEAST: [Window; 2] = [Window { count: 20, per: HOUR }, Window { count: 60, per: DAY }];
/// Calls of the site that are up to one country at once, after the last of which none goes abroad.
///
/// Of the same thirty telephones, three minutes a call, fewer than one call abroad is up in the busy hour (0.1 × 30 × 2 calls
/// of 3 minutes are 0.3 Erlang); more than six at once by Poisson less than once in a million of them.
const LEAST_AT_ONCE: u32 = 6;

/// What the floor counts calls to one country by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Calls in any stretch of time.
    pub windows: Vec<Window>,
    /// Calls that are up at once.
    pub at_once: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { windows: LEAST.to_vec(), at_once: LEAST_AT_ONCE }
    }
}

impl Breaker {
    /// `20/1h, 60/1d or 6 at once`, with the word between the last two.
    pub fn shown(&self, or: &str) -> String {
        let windows: Vec<String> = self.windows.iter().map(ToString::to_string).collect();
        format!("{} {or} {} at once", windows.join(", "), self.at_once)
    }
}

/// `floor_windows` and `floor_concurrent`.
pub(super) fn breaker(report: &mut Report<'_>, top: &Section<'_>) -> Breaker {
    let default = Breaker::default();
    let mut items = 0;
    let written = top.parsed_list(report, "floor_windows", |text| {
        items += 1;
        raised(text)
    });
    if let (Some(span), true, 0) = (top.span("floor_windows"), written.is_some(), items) {
        let message = "floor_windows has no window";
        report.problem(
            &span,
            Complaint::new(message, "remove it, or write floor = false for a floor that counts nothing"),
        );
    }
    let written = written.map(|written| windows::together(report, "floor_windows", written));
    let at_once = top.number(report, "floor_concurrent", LEAST_AT_ONCE, CALLS as u32);
    Breaker { windows: written.unwrap_or(default.windows), at_once: at_once.unwrap_or(default.at_once) }
}

/// A window that admits no less than the floor does by itself.
fn raised(text: &str) -> Result<Window, Complaint> {
    let window = windows::allowance(text)?;
    if window.per > DAY {
        let message = format!("{text:?}: the floor counts no longer than a day");
        return Err(Complaint::new(message, r#"write such as "40/1h" or "64/24h""#));
    }
    let least = if window.per > HOUR { LEAST[1] } else { LEAST[0] };
    if window.count < least.count {
        let message = format!("{text:?} is below the floor's own {least}, which can be raised and not lowered");
        let remedy = format!("write {} or more, or a limit with key = \"country\" for fewer", least.count);
        return Err(Complaint::new(message, remedy));
    }
    Ok(window)
}

const _: () = assert!(LEAST.len() <= WINDOWS);
