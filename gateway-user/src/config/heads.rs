//! `heads`: how many heads in front of one number a source outside may try, and what such a limit cannot have beside it.

use std::time::Duration;

use gateway_common::Method;

use super::{
    LimitKey, MOST_NUMBERS, Over, Window,
    problem::{Complaint, Report},
    section::Section,
    tallies, windows,
};

/// The key of the policy file.
pub(super) const KEY: &str = "heads";

/// The longest window: tomorrow an address has another owner.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The windows of a limit on heads; none where it is none.
pub(super) fn list(report: &mut Report<'_>, section: &Section<'_>) -> Vec<Window> {
    tallies::list(report, section, KEY, MOST_NUMBERS, LONGEST)
}

/// Whether a limit counts heads, by what is written.
pub(super) fn any(section: &Section<'_>) -> bool {
    section.span(KEY).is_some()
}

/// What such a limit must have, and what it cannot have beside.
pub(super) fn check(report: &mut Report<'_>, section: &Section<'_>, key: LimitKey, method: Option<Method>, over: Over) {
    let Some(span) = section.span(KEY) else { return };
    let others = ["rate", "burst", "count"].iter().chain(&windows::KEYS);
    for (other, span) in others.filter_map(|other| Some((other, section.span(other)?))) {
        let message = format!("{other} beside {KEY}: a limit counts one way or the other");
        report.problem(&span, Complaint::new(message, "remove it, or write a limit of its own for it"));
    }
    if let Some(span) = section.span("class") {
        let message = format!("class beside {KEY}: behind another head the same number is of another class");
        report.problem(&span, Complaint::new(message, "remove class"));
    }
    if let (Some(method), Some(span)) = (method.filter(|method| !method.makes_call()), section.span("method")) {
        let message = format!("{KEY} counts what is dialled, and {} dials nothing", method.as_str());
        let remedy = format!(r#"remove method, or write rate = "5/s" in place of {KEY}"#);
        report.problem(&span, Complaint::new(message, remedy));
    }
    // What bans must have the key already.
    if key != LimitKey::Source && over != Over::Ban {
        let message = format!("{KEY} are those that one source tries, and key = {:?} is none", key.as_str());
        report.problem(&section.span("key").unwrap_or_default(), Complaint::new(message, r#"write key = "source""#));
    }
    if over == Over::Drop {
        let message =
            format!("{KEY} with over = \"drop\": they are added up behind the request, and nothing is left to drop");
        let remedy = r#"write over = "ban", or over = "warn""#;
        match section.span("over") {
            Some(over) => report.problem(&over, Complaint::new(message, remedy)),
            None => report.missing(&span, Complaint::new(message, remedy)),
        }
    }
}
