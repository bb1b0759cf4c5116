//! Limits by windows: `windows`, `site_windows`, `suspend`, and what goes with them.

use std::time::Duration;

use gateway_common::{
    Class, Method,
    limit::window::{CALLS, WINDOWS},
};

use super::{
    LimitKey, Over, Window,
    keys::Kind,
    model::in_units,
    problem::{Complaint, Report},
    section::{Section, Span},
    tallies, values,
};

/// The keys of a limit that counts calls.
pub(super) const KEYS: [&str; 10] = [
    "windows",
    "site_windows",
    "concurrent",
    "site_concurrent",
    "minutes",
    "site_minutes",
    "distinct",
    "site_distinct",
    "same",
    "site_same",
];

/// The longest window, and the longest suspension: the filter remembers no more of a month.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// How long a suspension lasts that nobody resumes.
const SUSPENDED: Duration = Duration::from_secs(86_400);

/// The windows under `key`; none where it is not written.
pub(super) fn list(report: &mut Report<'_>, section: &Section<'_>, key: &str) -> Vec<Window> {
    let mut items = 0;
    let counted = |text: &str| {
        items += 1;
        window(text)
    };
    let written = section.parsed_list(report, key, counted);
    let (span, is_list) = (section.span(key).unwrap_or_default(), written.is_some());
    let written = written.unwrap_or_default();
    if is_list && items == 0 {
        report.problem(
            &span,
            Complaint::new(format!("{key} has no window"), format!("write {}", Kind::Limit.example(key))),
        );
    }
    together(report, key, written)
}

/// Windows that hold at once: as many as there is room for, and each decides something.
pub(super) fn together(report: &mut Report<'_>, key: &str, written: Vec<(Span, Window)>) -> Vec<Window> {
    if let (true, Some((span, _))) = (written.len() > WINDOWS, written.first()) {
        let message = format!("{key} has {} windows, and {WINDOWS} can hold at once", written.len());
        report.problem(span, Complaint::new(message, "remove those that matter least"));
    }
    for (place, (span, it)) in written.iter().enumerate() {
        let covers = |(at, (_, other)): &(usize, &(_, Window))| {
            *at != place && other.count <= it.count && other.per >= it.per && (*other != *it || *at < place)
        };
        if let Some((_, (_, other))) = written.iter().enumerate().find(covers) {
            report.warn(span, Complaint::new(format!("{it} never decides: {other} is stricter"), "remove it"));
        }
    }
    written.into_iter().map(|(_, window)| window).take(WINDOWS).collect()
}

/// Reads how many calls an order allows: one window, such as `20/1d`.
///
/// # Errors
///
/// What is wrong, and what to write instead.
pub fn allowance(text: &str) -> Result<Window, Complaint> {
    window(text)
}

fn window(text: &str) -> Result<Window, Complaint> {
    let values::PerTime { count, per } = values::rate(text)?;
    if count as usize > CALLS {
        let message = format!("{text:?} counts more than {CALLS} calls, which is what the filter remembers");
        return Err(Complaint::new(message, format!("write at most {CALLS} in a shorter time, or a rate")));
    }
    if per > LONGEST {
        let (number, unit) = in_units(LONGEST);
        return Err(Complaint::new(format!("{text:?} is longer than {number}{unit}"), "write a shorter time"));
    }
    Ok(Window { count, per })
}

/// What a limit that counts calls cannot have beside that, and what it must have.
pub(super) fn alone(report: &mut Report<'_>, section: &Section<'_>, key: LimitKey, method: Option<Method>, over: Over) {
    let has = |key: &str| section.span(key).is_some();
    let written = KEYS.into_iter().find(|key| has(key)).unwrap_or("windows");
    for other in ["rate", "burst"] {
        if let Some(span) = section.span(other) {
            let message = format!("{other} beside {written}: a limit counts one way or the other");
            report.problem(&span, Complaint::new(message, "remove it, or write a limit of its own for it"));
        }
    }
    if let (Some(method), Some(span)) = (method.filter(|method| !method.makes_call()), section.span("method")) {
        let message = format!("{written} counts calls, and {} makes none", method.as_str());
        let remedy = format!(r#"write rate = "5/s" in place of {written}, or remove method"#);
        report.problem(&span, Complaint::new(message, remedy));
    }
    let at_once = ["concurrent", "site_concurrent"].into_iter().find_map(|key| Some((key, section.span(key)?)));
    if let (Some(Method::Refer), Some((key, _)), Some(span)) = (method, &at_once, section.span("method")) {
        let message = format!("{key} counts calls that are up, and a REFER makes another host place one");
        report.problem(&span, Complaint::new(message, "remove method, or write method = \"INVITE\""));
    }
    let span = section.span("key").unwrap_or_default();
    if key == LimitKey::Unproved {
        let message =
            format!("key = \"unproved\" is not for {written}: whoever forges addresses would have everybody's calls");
        report.problem(&span, Complaint::new(message, r#"write key = "source", or rate = "5/m" in its place"#));
    }
    let of_site = ["site_windows", "site_concurrent"];
    let in_kernel = ["windows", "concurrent"].into_iter().any(has);
    if key == LimitKey::Line && !of_site.into_iter().any(has) && (in_kernel || !tallies::any(section)) {
        let beside = if has("windows") { "site_windows" } else { "site_concurrent" };
        let message =
            format!("key = \"line\" without {beside}: a caller who names another line each time would be in none");
        report.missing(&span, Complaint::new(message, format!("write {} as well", Kind::Limit.example(beside))));
    }
    for (of_key, of_site) in [("windows", "site_windows"), ("concurrent", "site_concurrent")] {
        if let (false, Some(span)) = (has(of_key), section.span(of_site)) {
            let example = Kind::Limit.example(of_key);
            let message = format!("{of_site} without {of_key}");
            let remedy = format!(r#"write {example} as well, or key = "site" and {of_key} in its place"#);
            report.missing(&span, Complaint::new(message, remedy));
        }
    }
    let suspends = has("windows") || tallies::any(section);
    if let (Over::Suspend, false, Some((key, _)), Some(span)) = (over, suspends, &at_once, section.span("over")) {
        let message =
            format!("over = \"suspend\" has nothing to suspend for: {key} refuses while so many calls are up");
        report.problem(&span, Complaint::new(message, r#"write over = "drop", or windows = ["10/1h"] as well"#));
    }
}

/// The keys that only windows have.
pub(super) fn key_of_rate(report: &mut Report<'_>, section: &Section<'_>, key: LimitKey) {
    if matches!(key, LimitKey::Line | LimitKey::Country | LimitKey::SourceCountry) {
        let message = format!("key = {:?} is for calls, which windows count", key.as_str());
        let remedy = format!("write {} in place of rate", Kind::Limit.example("windows"));
        report.problem(&section.span("key").unwrap_or_default(), Complaint::new(message, remedy));
    }
}

/// How long a suspension lasts. One that could cut off the calls of the own country is refused.
pub(super) fn suspension(
    report: &mut Report<'_>,
    section: &Section<'_>,
    over: Over,
    class: Option<Class>,
) -> Option<Duration> {
    let written = section.parsed(report, "suspend", values::duration);
    let span = section.span("suspend").unwrap_or_default();
    if over != Over::Suspend {
        if section.span("suspend").is_some() {
            report.warn(&span, Complaint::new("suspend has no effect: this limit does not suspend", "remove it"));
        }
        return None;
    }
    let abroad =
        matches!(class, Some(Class::International | Class::NonGeographic | Class::Unassigned | Class::Suspicious));
    if !abroad && !matches!(class, Some(Class::Premium)) {
        let message = "a suspension without class would cut off calls within the country for hours";
        let remedy = r#"write class = "international" (or premium, non-geographic), or over = "drop""#;
        let place = section.span("class").or_else(|| section.span("over")).unwrap_or_default();
        report.problem(&place, Complaint::new(message, remedy));
    }
    if written.is_some_and(|time| time > LONGEST) {
        report.problem(&span, Complaint::new("a suspension of more than 31 days", r#"write suspend = "24h""#));
    }
    Some(written.unwrap_or(SUSPENDED))
}
