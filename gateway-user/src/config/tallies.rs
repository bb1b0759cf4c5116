//! What of calls only the daemon can add up: `minutes`, `distinct`, `same`, and the same of the site.

use std::time::Duration;

use gateway_common::Method;
use serde::{Deserialize, Serialize};

use super::{
    LimitKey, Over, Window,
    keys::Kind,
    model::in_units,
    problem::{Complaint, Report},
    section::Section,
    values, windows,
};

/// The keys of what the daemon adds up, each beside that of the site.
const KEYS: [(&str, &str); 3] = [("minutes", "site_minutes"), ("distinct", "site_distinct"), ("same", "site_same")];

/// The shortest window: the daemon looks every few seconds, and for less the kernel has `windows`.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest one, as of `windows`.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// The most minutes: 69 days.
const MOST_MINUTES: u32 = 100_000;
/// The most numbers, and calls to one: so many are remembered, and one more.
pub(crate) const MOST_NUMBERS: u32 = 500;

/// What calls may bring together, beside how many they are: so much in any stretch of so long; all hold at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// Minutes of calls that were answered.
    pub minutes: Vec<Window>,
    /// Different numbers.
    pub distinct: Vec<Window>,
    /// Calls to one and the same number.
    pub same: Vec<Window>,
}

impl Tallies {
    /// Whether nothing is to be added up.
    pub const fn is_empty(&self) -> bool {
        self.minutes.is_empty() && self.distinct.is_empty() && self.same.is_empty()
    }

    /// The longest stretch of time that is looked back.
    pub fn longest(&self) -> Duration {
        let all = self.minutes.iter().chain(&self.distinct).chain(&self.same);
        all.map(|window| window.per).max().unwrap_or_default()
    }
}

/// The windows of a tally, each of at most `most` in at most `longest`.
pub(super) fn list(
    report: &mut Report<'_>,
    section: &Section<'_>,
    key: &str,
    most: u32,
    longest: Duration,
) -> Vec<Window> {
    let mut items = 0;
    let counted = |text: &str| {
        items += 1;
        window(text, key, most, longest)
    };
    let written = section.parsed_either(report, key, counted);
    if let (Some(_), 0, Some(span)) = (&written, items, section.span(key)) {
        let remedy = format!("write {}", Kind::Limit.example(key));
        report.problem(&span, Complaint::new(format!("{key} has no window"), remedy));
    }
    windows::together(report, key, written.unwrap_or_default())
}

/// The tallies of a limit, and those of the site beside its key.
pub(super) fn both(report: &mut Report<'_>, section: &Section<'_>) -> [Tallies; 2] {
    let mut list = |key: &str, most: u32| list(report, section, key, most, LONGEST);
    let [minutes, distinct, same] = KEYS;
    let own = Tallies {
        minutes: list(minutes.0, MOST_MINUTES),
        distinct: list(distinct.0, MOST_NUMBERS),
        same: list(same.0, MOST_NUMBERS),
    };
    let site = Tallies {
        minutes: list(minutes.1, MOST_MINUTES),
        distinct: list(distinct.1, MOST_NUMBERS),
        same: list(same.1, MOST_NUMBERS),
    };
    [own, site]
}

fn window(text: &str, key: &str, most: u32, longest: Duration) -> Result<Window, Complaint> {
    let remedy = || format!("write {}", Kind::Limit.example(key));
    let read = values::rate(text).map_err(|complaint| Complaint { remedy: remedy(), ..complaint })?;
    let window = Window { count: read.count, per: read.per };
    if read.count > most {
        let message = format!("{text:?} is more than {most}, which is the most that is counted");
        return Err(Complaint::new(message, remedy()));
    }
    if read.per < SHORTEST {
        let message = format!("{text:?} is shorter than a minute, and the daemon adds up every few seconds");
        return Err(Complaint::new(message, format!("{}, or {} for calls", remedy(), Kind::Limit.example("windows"))));
    }
    if read.per > longest {
        let (number, unit) = in_units(longest);
        return Err(Complaint::new(format!("{text:?} is longer than {number}{unit}"), "write a shorter time"));
    }
    Ok(window)
}

/// Whether a limit adds up anything, by what is written.
pub(super) fn any(section: &Section<'_>) -> bool {
    KEYS.iter().any(|(own, site)| section.span(own).is_some() || section.span(site).is_some())
}

/// What such a limit must have, and what it cannot have beside.
pub(super) fn check(report: &mut Report<'_>, section: &Section<'_>, key: LimitKey, method: Option<Method>, over: Over) {
    for (own, of_site) in KEYS {
        let written = section.span(own).map(|span| (own, span));
        let Some((name, span)) = written.or_else(|| Some((of_site, section.span(of_site)?))) else { continue };
        if over == Over::Drop {
            let message = format!(
                "{name} with over = \"drop\": what calls bring is known once their packets have passed, and nothing is \
                 left to drop"
            );
            let remedy = r#"write over = "suspend" with class = "international", or over = "warn""#;
            match section.span("over") {
                Some(over) => report.problem(&over, Complaint::new(message, remedy)),
                None => report.missing(&span, Complaint::new(message, remedy)),
            }
        }
        if let (LimitKey::Line, Some(_), None) = (key, section.span(own), section.span(of_site)) {
            let message = format!(
                "{own} of a line without {of_site}: a caller who names another line each time would be in none"
            );
            report.missing(&span, Complaint::new(message, format!("write {} as well", Kind::Limit.example(of_site))));
        }
        if section.span(own).is_none() {
            let message = format!("{of_site} without {own}");
            let example = Kind::Limit.example(own);
            let remedy = format!(r#"write {example} as well, or key = "site" and {own} in its place"#);
            report.missing(&span, Complaint::new(message, remedy));
        }
        if let ("minutes", Some(Method::Refer), Some(span)) = (own, method, section.span("method")) {
            let message = format!("{name} counts calls that are up, and a REFER makes another host place one");
            report.problem(&span, Complaint::new(message, "remove method, or write method = \"INVITE\""));
        }
    }
}
