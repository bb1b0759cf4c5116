//! `[schedule.NAME]`, and what of `[site]` they rest on: time zone and holidays.

use std::collections::HashSet;

use jiff::{
    ToSpan as _,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{
    Limit, Profile,
    keys::{Kind, nearest, shown},
    problem::{Complaint, Report},
    section::{Section, Span},
    values,
};
use crate::schedule::{DAY, NAMES, OnHolidays, Schedule, Scheduled, WEEK, holidays, last_holiday};

/// A warning comes so long before the days of the holidays that are built in are over.
const MONTHS_AHEAD: i64 = 3;
/// Days that a site may name; more than these are a schedule of their own.
const MOST_DATES: usize = 1000;

/// An entry `{ what = …, schedule = … }`, with the place of its schedule's name.
pub(super) type Written = (Span, Scheduled);

/// What the schedules of a site share.
#[derive(Default)]
pub(super) struct Calendar {
    pub(super) zone: Option<String>,
    dates: Option<Vec<Date>>,
}

/// `time_zone` and `holidays` of `[site]`.
pub(super) fn calendar(report: &mut Report<'_>, top: &Section<'_>, today: Date) -> Calendar {
    let section = top.quiet_section("site", Kind::Site);
    let zone = section.parsed(report, "time_zone", zone);
    let written = section.parsed_list(report, "holidays", |text| {
        if let Ok(date) = text.parse::<Date>() {
            return Ok(vec![date]);
        }
        holidays(text).ok_or_else(|| {
            let message = format!("{:?} is no day, and no country whose holidays are built in", shown(text));
            Complaint::new(message, r#"write "JP", or days such as "2026-12-29""#)
        })
    });
    let Some(written) = written else { return Calendar { zone, dates: None } };
    let ends = section.texts("holidays").filter_map(|country| Some((country, last_holiday(country)?)));
    for (country, end) in ends {
        let soon = today.checked_add(MONTHS_AHEAD.months()).unwrap_or(today);
        if soon > end {
            let message = format!("the holidays of {country} are built in up to {end}");
            let span = section.span("holidays").unwrap_or_default();
            report.warn(&span, Complaint::new(message, "upgrade tollgate, or name the days of the next year as well"));
        }
    }
    let mut dates: Vec<Date> = written.into_iter().flat_map(|(_, dates)| dates).collect();
    dates.sort_unstable();
    dates.dedup();
    if let (Some(span), true) = (section.span("holidays"), dates.len() > MOST_DATES) {
        let message = format!("holidays has {} days", dates.len());
        report.problem(&span, Complaint::new(message, format!("name at most {MOST_DATES}")));
    }
    Calendar { zone, dates: Some(dates) }
}

/// The schedules, each with the place of its name.
pub(super) fn schedules(report: &mut Report<'_>, top: &Section<'_>, calendar: &Calendar) -> Vec<(Span, Schedule)> {
    let mut out = Vec::new();
    for named in top.named(report, "schedule", Kind::Schedule) {
        let section = &named.section;
        if let Err(complaint) = values::name(named.name) {
            report.problem(&named.span, complaint);
        }
        let written = section.parsed(report, "hours", hours);
        let (hours, spans) =
            written.map_or((None, Vec::new()), |(hours, spans)| (Some(hours).filter(|hours| !hours.is_empty()), spans));
        let days = section.parsed(report, "days", days);
        let words = [("include", OnHolidays::Include), ("exclude", OnHolidays::Exclude)];
        let on_holidays = section.choice(report, "holidays", &words);
        if let (Some(span), Some(_), None) = (section.span("holidays"), on_holidays, &calendar.dates) {
            let message = format!("schedule.{} asks for holidays, and [site] has none", shown(named.name));
            report.missing(&span, Complaint::new(message, r#"write holidays = ["JP"], or days, in [site]"#));
        }
        if !spans.is_empty() {
            across_days(report, section, on_holidays);
        }
        if section.span("hours").is_none() && section.span("days").is_none() && on_holidays != Some(OnHolidays::Include)
        {
            let message = format!("schedule.{} names no time", shown(named.name));
            report.missing(&named.span, Complaint::new(message, format!("write {}", Kind::Schedule.example("hours"))));
        }
        // Hours alone hold on every day; holidays alone on no other.
        let every = section.span("hours").is_some() || on_holidays.is_none();
        let schedule = Schedule {
            name: named.name.to_owned(),
            hours: hours.unwrap_or_else(|| vec![(0, DAY)]),
            days: days.unwrap_or([every && spans.is_empty() && on_holidays != Some(OnHolidays::Include); 7]),
            spans,
            holidays: on_holidays.unwrap_or(OnHolidays::Ordinary),
            dates: calendar.dates.clone().filter(|_| on_holidays.is_some()).unwrap_or_default(),
            zone: section.parsed(report, "time_zone", zone).or_else(|| calendar.zone.clone()),
        };
        out.push((named.span, schedule));
    }
    out
}

/// What does not go with hours that name their days.
fn across_days(report: &mut Report<'_>, section: &Section<'_>, on_holidays: Option<OnHolidays>) {
    if let Some(span) = section.span("days") {
        let message = "days beside hours that name their days";
        report.problem(&span, Complaint::new(message, r#"remove it, or write hours = "18:00-08:00""#));
    }
    if let (Some(span), Some(OnHolidays::Exclude)) = (section.span("holidays"), on_holidays) {
        let message = "hours across days cannot leave holidays out";
        report.problem(&span, Complaint::new(message, r#"write holidays = "include", or hours and days apart"#));
    }
}

/// Every schedule that is named exists, and every one is named.
pub(super) fn check(
    report: &mut Report<'_>,
    schedules: &[(Span, Schedule)],
    entries: &[&Written],
    limits: &[(Span, Limit)],
) {
    let entries = entries.iter().map(|(span, entry)| (span, &entry.schedule));
    let limits = limits
        .iter()
        .flat_map(|(span, limit)| limit.schedule.iter().chain(&limit.ask_schedule).map(move |name| (span, name)));
    let mut used = HashSet::new();
    for (span, name) in entries.chain(limits) {
        used.insert(name.as_str());
        if schedules.iter().any(|(_, schedule)| schedule.name == *name) {
            continue;
        }
        let remedy = match nearest(name, schedules.iter().map(|(_, schedule)| schedule.name.as_str())) {
            Some(near) => format!("write {near:?}"),
            None => format!("write [schedule.{}] with hours or days, or remove the name", shown(name)),
        };
        report.missing(span, Complaint::new(format!("there is no schedule {:?}", shown(name)), remedy));
    }
    for (span, schedule) in schedules.iter().filter(|(_, schedule)| !used.contains(schedule.name.as_str())) {
        let message = format!("nothing uses schedule.{}", shown(&schedule.name));
        let remedy =
            format!("write schedule = {:?} in the limit or entry it is meant for, or remove it", schedule.name);
        report.warn(span, Complaint::new(message, remedy));
    }
}

/// An allow by schedule beside the same entry in block is never heard: on a tie block holds.
pub(super) fn contradictions(report: &mut Report<'_>, profile: &Profile) {
    for it in profile.scheduled.iter().filter(|it| it.allow) {
        if let Some(block) = profile.blocks(&it.entry.what) {
            let message = format!(
                "{} is in allow by schedule {} and, at {}, always in block: on a tie block holds",
                it.entry.what, it.schedule, block.place
            );
            let remedy = format!("give the one in block a schedule, such as the hours outside {}", it.schedule);
            report.warn_at_place(&it.entry.place, Complaint::new(message, remedy));
        }
    }
}

fn zone(text: &str) -> Result<String, Complaint> {
    match TimeZone::get(text) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(text).to_owned()),
        Err(_unknown) => Err(Complaint::new(
            format!("{:?} is no time zone that this machine knows", shown(text)),
            r#"write its IANA name, such as "Asia/Tokyo", and install tzdata if it is right"#,
        )),
    }
}

const HOURS: &str = r#"write from and to, such as "18:00-08:00", "08:00-12:00, 13:00-17:00" or "fri 18:00-mon 08:00""#;

/// Windows of a day, and those across days.
type Hours = (Vec<(u16, u16)>, Vec<(u16, u16)>);

/// `18:00-08:00`, or several of them; or `fri 18:00-mon 08:00`, or several of those.
fn hours(text: &str) -> Result<Hours, Complaint> {
    let wrong = || Complaint::new(format!("{:?} are no hours", shown(text)), HOURS);
    let minute = |text: &str| -> Option<u16> {
        if text == "24:00" {
            return Some(DAY);
        }
        let time: Time = (text.len() == 5).then(|| text.parse().ok()).flatten()?;
        Some(u16::from(time.hour().unsigned_abs()) * 60 + u16::from(time.minute().unsigned_abs()))
    };
    let window = |part: &str| {
        let (from, to) = part.trim().split_once('-')?;
        let (from, to) = (minute(from.trim())?, minute(to.trim())?);
        (from < DAY).then_some((from, to))
    };
    let of_week = |text: &str| {
        let (name, time) = text.trim().split_once(' ')?;
        Some((u16::try_from(day(name)?).ok()? * DAY + minute(time.trim())?) % WEEK)
    };
    let span = |part: &str| {
        let (from, to) = part.split_once('-')?;
        Some((of_week(from)?, of_week(to)?))
    };
    let parts = text.split(',');
    if text.contains(|letter: char| letter.is_ascii_alphabetic()) {
        return Ok((Vec::new(), parts.map(|part| span(part).ok_or_else(wrong)).collect::<Result<_, _>>()?));
    }
    Ok((parts.map(|part| window(part).ok_or_else(wrong)).collect::<Result<_, _>>()?, Vec::new()))
}

/// The place of a day in the week, from Monday on.
fn day(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    NAMES.iter().position(|name| text == *name)
}

/// `mon-fri`, `sat`, or several of them.
fn days(text: &str) -> Result<[bool; 7], Complaint> {
    let wrong = || {
        let message = format!("{:?} are no days", shown(text));
        Complaint::new(message, r#"write such as "mon-fri" or "sat, sun""#)
    };
    let mut out = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (mut at, to) = (day(from).ok_or_else(wrong)?, day(to).ok_or_else(wrong)?);
        loop {
            if let Some(slot) = out.get_mut(at) {
                *slot = true;
            }
            if at == to {
                break;
            }
            at = (at + 1) % out.len();
        }
    }
    Ok(out)
}
