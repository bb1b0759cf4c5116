//! When entries and limits of the policy file hold: hours, days and holidays in a time zone.
//!
//! The policy image knows no clock. The daemon compiles the policy anew at each boundary, and [`Config::at`] is the policy
//! as it holds at one moment.

mod holidays;

use std::borrow::Cow;

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Weekday},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};

pub use holidays::{holidays, last_holiday};

use crate::{
    config::{Answer, Config, Entry, Over},
    what::What,
};

/// Days that are looked ahead for the next boundary: a yearly holiday and some.
const DAYS_AHEAD: usize = 400;
/// Minutes of a day on which no clock is set.
pub const DAY: u16 = 24 * 60;
/// Minutes of such a week.
pub const WEEK: u16 = 7 * DAY;
/// The days of the week, as a policy file names them.
pub const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `[schedule.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// From and to, in minutes of the day on the wall clock. A window that does not end later than it begins ends on the
    /// next day.
    pub hours: Vec<(u16, u16)>,
    /// From and to across days, in minutes of the week from Monday on; one that does not end later than it begins ends in
    /// the next week. Where there are any, `hours` are whole days and `days` none, for the sake of holidays.
    #[serde(default)]
    pub spans: Vec<(u16, u16)>,
    /// The days on which its windows begin, from Monday on.
    pub days: [bool; 7],
    /// What holidays are.
    pub holidays: OnHolidays,
    /// The holidays of the site, in order.
    pub dates: Vec<Date>,
    /// Its time zone (IANA); that of the machine where there is none.
    pub zone: Option<String>,
}

/// What a schedule makes of holidays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnHolidays {
    /// Days like others.
    Ordinary,
    /// Days of the schedule, whatever day of the week they are.
    Include,
    /// No days of the schedule.
    Exclude,
}

/// An entry of `block` or `allow` that holds by a schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Whether it stands in `allow`, else in `block`.
    pub allow: bool,
    /// The entry; it may name a class.
    pub entry: Entry,
    /// Name of the schedule.
    pub schedule: String,
}

impl Scheduled {
    /// The list that it stands in.
    pub const fn list(&self) -> &'static str {
        if self.allow { "allow" } else { "block" }
    }
}

impl OnHolidays {
    /// The word of the policy file; `None` where it says nothing.
    pub const fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Ordinary => None,
            Self::Include => Some("include"),
            Self::Exclude => Some("exclude"),
        }
    }
}

impl Schedule {
    /// `18:00-08:00` or `fri 18:00-mon 08:00`, as the policy file writes it.
    pub fn shown_hours(&self) -> String {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let of_week = |minute: u16| {
            let day = NAMES.get(usize::from(minute / DAY)).copied().unwrap_or_default();
            format!("{day} {}", clock(minute % DAY))
        };
        let spans = self.spans.iter().map(|&(from, to)| format!("{}-{}", of_week(from), of_week(to)));
        let windows = self.hours.iter().map(|&(from, to)| format!("{}-{}", clock(from), clock(to)));
        let shown: Vec<String> = if self.spans.is_empty() { windows.collect() } else { spans.collect() };
        shown.join(", ")
    }

    /// `mon, tue`: the days on which its windows begin, holidays left aside.
    pub fn shown_days(&self) -> String {
        let days = NAMES.into_iter().zip(self.days).filter(|(_, on)| *on).map(|(name, _)| name);
        days.collect::<Vec<_>>().join(", ")
    }

    /// Its time zone.
    pub fn zone(&self) -> TimeZone {
        // The name was found when the policy was read; a time zone database that has gone since leaves UTC.
        self.zone.as_ref().map_or_else(TimeZone::system, |name| TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    /// Whether its windows begin on this day.
    fn begins_on(&self, day: Date) -> bool {
        if self.holidays != OnHolidays::Ordinary && self.dates.contains(&day) {
            return self.holidays == OnHolidays::Include;
        }
        self.days.get(place(day.weekday())).copied().unwrap_or(false)
    }

    /// The windows that begin on a day. Where the clock is set forward over a boundary it is at that moment; where it is
    /// set back over one, at the first of the two.
    fn windows(&self, day: Date, zone: &TimeZone) -> Vec<(Timestamp, Timestamp)> {
        let at = |minute: u16| {
            let (day, minute) = (day.checked_add(i32::from(minute / DAY).days()).ok()?, minute % DAY);
            let time = day.at((minute / 60) as i8, (minute % 60) as i8, 0, 0);
            Some(time.to_zoned(zone.clone()).ok()?.timestamp())
        };
        let window = |(from, to): (u16, u16)| Some((at(from)?, at(to)?));
        let hours = self.hours.iter().filter(|_| self.begins_on(day));
        let hours = hours.map(|&(from, to)| (from, if to > from { to } else { to + DAY }));
        let of_today = |minute: u16| usize::from(minute / DAY) == place(day.weekday());
        let spans = self.spans.iter().filter(|(from, _)| of_today(*from));
        let spans = spans.map(|&(from, to)| (from % DAY, from % DAY + (WEEK + to - from - 1) % WEEK + 1));
        hours.chain(spans).filter_map(window).collect()
    }

    /// The earliest day on which a window may have begun that holds on this one.
    fn first(&self, today: Date) -> Option<Date> {
        today.checked_sub(if self.spans.is_empty() { 1 } else { 7 }.days()).ok()
    }

    /// Whether it holds at `now`.
    pub fn is_active(&self, now: Timestamp) -> bool {
        let zone = self.zone();
        let today = now.to_zoned(zone.clone()).date();
        let Some(first) = self.first(today) else { return false };
        let mut windows =
            first.series(1.day()).take_while(|day| *day <= today).flat_map(|day| self.windows(day, &zone));
        windows.any(|(from, to)| (from..to).contains(&now))
    }

    /// When it next begins or ends after `now`; `None` where it does not within a year.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let (zone, active) = (self.zone(), self.is_active(now));
        let mut day = self.first(now.to_zoned(zone.clone()).date())?;
        for _ in 0..DAYS_AHEAD {
            let mut ends: Vec<Timestamp> = self.windows(day, &zone).into_iter().flat_map(|(a, b)| [a, b]).collect();
            ends.sort_unstable();
            // Windows of one day may reach into those of the next, and windows that touch are one.
            if let Some(change) = ends.into_iter().find(|end| *end > now && self.is_active(*end) != active) {
                return Some(change);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

fn place(day: Weekday) -> usize {
    day.to_monday_zero_offset().unsigned_abs().into()
}

impl Config {
    /// The schedule with this name.
    pub fn schedule(&self, name: &str) -> Option<&Schedule> {
        self.schedules.iter().find(|schedule| schedule.name == name)
    }

    /// The names of the schedules that hold at `now`.
    pub fn active_schedules(&self, now: Timestamp) -> Vec<String> {
        let active = self.schedules.iter().filter(|schedule| schedule.is_active(now));
        active.map(|schedule| schedule.name.clone()).collect()
    }

    /// When the next schedule begins or ends.
    pub fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        self.schedules.iter().filter_map(|schedule| schedule.next_change(now)).min()
    }

    /// The same where nobody is there to ask: every limit suspends at once.
    pub fn without_asking(&self) -> Self {
        let mut config = self.clone();
        config.limits.iter_mut().for_each(|limit| limit.ask = None);
        config
    }

    /// The policy as it holds at `now`: entries and limits of schedules that hold stand beside the others, and those of
    /// schedules that do not are left out.
    pub fn at(&self, now: Timestamp) -> Cow<'_, Self> {
        if self.schedules.is_empty() {
            return Cow::Borrowed(self);
        }
        let mut config = self.clone();
        config.as_of = Some(now);
        let active = self.active_schedules(now);
        let idle: Vec<&str> = self
            .limits
            .iter()
            .filter(|limit| limit.schedule.as_ref().is_some_and(|name| !active.contains(name)))
            .map(|limit| limit.name.as_str())
            .collect();
        for limit in config.limits.iter_mut().filter(|limit| limit.asks_in(&active)) {
            limit.over = Over::Warn;
        }
        for profile in &mut config.profiles {
            profile.limits.retain(|name| !idle.contains(&name.as_str()));
            let mut holding: Vec<&Scheduled> =
                profile.scheduled.iter().filter(|it| active.contains(&it.schedule)).collect();
            // Block comes last: of two that say otherwise of the same class it holds.
            holding.sort_by_key(|it| !it.allow);
            for it in holding {
                let answer = if it.allow { Answer::Allow } else { Answer::Block };
                if let What::Class(class) = it.entry.what {
                    profile.class[class as usize] = answer;
                    continue;
                }
                let entry = Entry { reason: Some(format!("schedule {}", it.schedule)), ..it.entry.clone() };
                let list = if it.allow { &mut profile.allow } else { &mut profile.block };
                list.push(entry);
            }
        }
        Cow::Owned(config)
    }
}

#[cfg(test)]
mod tests;
