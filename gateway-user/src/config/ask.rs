//! `ask` and `ask_schedule` of a limit: whether the owner is asked before it suspends, and in which hours.

use std::time::Duration;

use super::{
    Limit, Notify, Over,
    keys::{Kind, shown},
    problem::{Complaint, Report},
    section::{Section, Span},
    values,
};

/// In less nobody has read it.
const LEAST: Duration = Duration::from_secs(60);
/// More is no question any more: the floor stops at 60 calls to one country in a day.
const MOST: Duration = Duration::from_secs(12 * 3600);

/// How long an answer is waited for, and the schedule in which that is done.
pub(super) fn ask(report: &mut Report<'_>, section: &Section<'_>, over: Over) -> (Option<Duration>, Option<String>) {
    let time = section.parsed(report, "ask", values::duration);
    let schedule = section.text(report, "ask_schedule").map(|(_, name)| name.to_owned());
    let Some(span) = section.span("ask") else {
        if let Some(span) = section.span("ask_schedule") {
            let remedy = format!("write {} as well, or remove it", Kind::Limit.example("ask"));
            report.missing(&span, Complaint::new("ask_schedule without ask", remedy));
        }
        return (None, schedule);
    };
    if over != Over::Suspend {
        let message = format!("ask beside over = {:?}: only what suspends can wait for an answer", over.as_str());
        report.problem(&span, Complaint::new(message, r#"write over = "suspend", or remove ask"#));
    }
    for key in ["concurrent", "site_concurrent"] {
        if let Some(beside) = section.span(key) {
            let message =
                format!("{key} beside ask: a call that finds no channel is refused, and nobody is asked about it");
            report.problem(&beside, Complaint::new(message, format!("write {key} in a limit of its own")));
        }
    }
    if time.is_some_and(|time| !(LEAST..=MOST).contains(&time)) {
        let message = "ask waits for an answer for less than a minute or more than 12h";
        report.problem(&span, Complaint::new(message, format!("write {}", Kind::Limit.example("ask"))));
    }
    if schedule.is_none() {
        let message = "ask without ask_schedule: at night nobody answers, and the calls would go on meanwhile";
        let remedy = r#"write ask_schedule = "business" as well, and [schedule.business] with hours and days"#;
        report.missing(&span, Complaint::new(message, remedy));
    }
    (time, schedule)
}

/// Whoever is to be asked must hear it.
pub(super) fn check(report: &mut Report<'_>, limits: &[(Span, Limit)], notify: &Notify) {
    if notify.command.is_some() || notify.webhook.is_some() {
        return;
    }
    for (span, limit) in limits.iter().filter(|(_, limit)| limit.ask.is_some()) {
        let message = format!("limit.{} asks, and nobody would hear it: there is no [notify]", shown(&limit.name));
        let remedy = format!("write [notify] with {}, or remove ask", Kind::Notify.example("command"));
        report.missing(span, Complaint::new(message, remedy));
    }
}
