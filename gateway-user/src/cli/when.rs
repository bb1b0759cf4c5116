//! Times and durations of the command line: how they are typed, how they are shown.

use std::time::Duration;

use jiff::{
    Timestamp, ToSpan as _, Zoned,
    civil::{Date, Time, Weekday},
    tz::TimeZone,
};

use super::{Failure, args::Places, ask};
use crate::{control::protocol::Command, zone};

/// A time as it was typed. Where it names no zone it is one of the site, which the daemon knows or a policy names.
#[derive(Clone, Debug)]
pub struct Typed {
    text: String,
    read: fn(&str, &Zoned) -> Result<Timestamp, String>,
}

impl Typed {
    /// Takes what can be read by `read`, if not in this zone, then in that of the site.
    fn new(text: &str, read: fn(&str, &Zoned) -> Result<Timestamp, String>, way: Way) -> Result<Self, String> {
        match text.parse::<Timestamp>() {
            Ok(_) => read(text, &Zoned::now())?,
            Err(_) => local(text, &Zoned::now(), way)?,
        };
        Ok(Self { text: text.to_owned(), read })
    }

    /// When that is, by the daemon's site; without a daemon in the zone of this machine.
    pub fn of_site(&self, places: &Places) -> Result<Timestamp, Failure> {
        if self.text.parse::<Timestamp>().is_err() {
            // What it is asked next fails with its own words where nobody answers.
            let _ = ask::<()>(places, &Command::Zone {});
        }
        self.here()
    }

    /// When that is, in the zone in which times are shown.
    pub fn here(&self) -> Result<Timestamp, Failure> {
        (self.read)(&self.text, &Zoned::now().with_time_zone(zone::current())).map_err(Failure::Usage)
    }
}

/// Reads a time of `--until`.
pub fn until_typed(text: &str) -> Result<Typed, String> {
    Typed::new(text, until, Way::Future)
}

/// Reads a time that may have passed, in the same forms.
pub fn at_typed(text: &str) -> Result<Typed, String> {
    Typed::new(text, at, Way::Future)
}

/// Reads a time of `--at` that has passed.
pub fn past_typed(text: &str) -> Result<Typed, String> {
    Typed::new(text, past, Way::Past)
}

fn at(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(time),
        Err(_) => local(text, now, Way::Future),
    }
}

/// Reads RFC 3339, or `18:00`, `fri 18:00`, `tomorrow 18:00`, `2026-12-24 18:00` in the time zone of `now`.
pub fn until(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let end = match text.parse::<Timestamp>() {
        Ok(end) => end,
        Err(_) => local(text, now, Way::Future)?,
    };
    if end <= now.timestamp() {
        return Err(format!("{} has passed; it is {}", in_zone(end, now.time_zone()), now.strftime("%F %T %Z")));
    }
    Ok(end)
}

/// Reads RFC 3339, or the last `18:00`, `fri 18:00`, `yesterday 18:00`, `2026-12-24 18:00` in the time zone of `now`.
pub fn past(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let time = match text.parse::<Timestamp>() {
        Ok(time) => time,
        Err(_) => local(text, now, Way::Past)?,
    };
    if time > now.timestamp() {
        return Err(format!("{} is to come; it is {}", in_zone(time, now.time_zone()), now.strftime("%F %T %Z")));
    }
    Ok(time)
}

/// Where a time without a date lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Future,
    Past,
}

fn local(text: &str, now: &Zoned, way: Way) -> Result<Timestamp, String> {
    let wrong = || {
        let other = if way == Way::Future { "tomorrow" } else { "yesterday" };
        format!(
            "a time is '18:00', 'fri 18:00', '{other} 18:00', '2026-12-24 18:00' or RFC 3339, such as \
             2026-12-24T18:00:00+09:00"
        )
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let (day, time) = match words.as_slice() {
        [time] => (None, time),
        [day, time] => (Some(day.to_ascii_lowercase()), time),
        _ => return Err(wrong()),
    };
    if !time.contains(':') {
        return Err(wrong());
    }
    let time: Time = time.parse().map_err(|_parse| wrong())?;
    let today = now.date();
    let at = |date: Date| date.to_datetime(time).to_zoned(now.time_zone().clone()).map_err(|e| e.to_string());
    // A day that has passed at that time means the next one of its kind; looking back, one to come means the last one.
    let or_next = |date: Date, days: i64| match (at(date)?, way) {
        (end, Way::Future) if end > *now => Ok(end),
        (end, Way::Past) if end <= *now => Ok(end),
        (_, Way::Future) => at(date.checked_add(days.days()).map_err(|e| e.to_string())?),
        (_, Way::Past) => at(date.checked_sub(days.days()).map_err(|e| e.to_string())?),
    };
    let end = match day.as_deref() {
        None => or_next(today, 1)?,
        Some("today") => at(today)?,
        Some("yesterday") => at(today.yesterday().map_err(|e| e.to_string())?)?,
        Some("tomorrow") => at(today.tomorrow().map_err(|e| e.to_string())?)?,
        Some(day) => match weekday(day) {
            Some(weekday) => {
                let ahead = i64::from(today.weekday().until(weekday));
                or_next(today.checked_add(ahead.days()).map_err(|e| e.to_string())?, 7)?
            }
            None => at(day.parse().map_err(|_parse| wrong())?)?,
        },
    };
    Ok(end.timestamp())
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "mon" | "monday" => Weekday::Monday,
        "tue" | "tuesday" => Weekday::Tuesday,
        "wed" | "wednesday" => Weekday::Wednesday,
        "thu" | "thursday" => Weekday::Thursday,
        "fri" | "friday" => Weekday::Friday,
        "sat" | "saturday" => Weekday::Saturday,
        "sun" | "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

/// A time as a person reads it, in the zone of the site.
pub fn shown(time: Timestamp) -> String {
    zone::shown(time)
}

fn in_zone(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime("%F %T %Z").to_string()
}

/// A duration as a person reads it: two units at most, rounded to the second.
pub fn length(duration: Duration) -> String {
    let seconds = if duration.as_secs() == 0 { 0 } else { (duration + Duration::from_millis(500)).as_secs() };
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let two = |big: u64, unit: char, small: u64, sub: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit} {small}{sub}") }
    };
    if days > 0 {
        two(days, 'd', hours, 'h')
    } else if hours > 0 {
        two(hours, 'h', minutes, 'm')
    } else if minutes > 0 {
        two(minutes, 'm', seconds % 60, 's')
    } else if seconds > 0 {
        format!("{seconds}s")
    } else {
        format!("{:.1} ms", duration.as_secs_f64() * 1e3)
    }
}

/// The time from `from` to `to`; none where `to` is earlier.
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Friday, one hour ahead of UTC.
    fn now() -> Zoned {
        "2026-11-20T12:00:00+01:00[Europe/Berlin]".parse().unwrap()
    }

    #[test]
    fn times_in_the_local_zone() {
        for (text, utc) in [
            ("18:00", "2026-11-20T17:00:00Z"),
            ("11:00", "2026-11-21T10:00:00Z"),
            ("fri 18:00", "2026-11-20T17:00:00Z"),
            ("Friday 11:00", "2026-11-27T10:00:00Z"),
            ("thu 18:00", "2026-11-26T17:00:00Z"),
            ("today 12:01", "2026-11-20T11:01:00Z"),
            ("tomorrow 00:30", "2026-11-20T23:30:00Z"),
            ("2026-12-24 18:00", "2026-12-24T17:00:00Z"),
            ("2027-07-01 18:00", "2027-07-01T16:00:00Z"),
            ("2026-12-24T18:00:00+09:00", "2026-12-24T09:00:00Z"),
        ] {
            assert_eq!(until(text, &now()), Ok(utc.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn times_that_have_been() {
        for (text, utc) in [
            ("11:00", "2026-11-20T10:00:00Z"),
            ("18:00", "2026-11-19T17:00:00Z"),
            ("fri 11:00", "2026-11-20T10:00:00Z"),
            ("fri 18:00", "2026-11-13T17:00:00Z"),
            ("sat 18:00", "2026-11-14T17:00:00Z"),
            ("yesterday 23:30", "2026-11-19T22:30:00Z"),
            ("2026-10-01 18:00", "2026-10-01T16:00:00Z"),
            ("2026-11-20T11:00:00+09:00", "2026-11-20T02:00:00Z"),
        ] {
            assert_eq!(past(text, &now()), Ok(utc.parse().unwrap()), "{text}");
        }
        for wrong in ["", "tomorrow 10:00", "2026-11-20 12:01", "2027-01-01T00:00:00Z", "14", "14:10 fri"] {
            assert!(past(wrong, &now()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_that_are_none_or_have_passed() {
        for wrong in ["", "fri", "18", "fri 25:00", "someday 18:00", "today 11:00", "2026-11-19 18:00", "1 2 3"] {
            assert!(until(wrong, &now()).is_err(), "{wrong}");
        }
        let passed = until("2020-01-01T00:00:00Z", &now()).unwrap_err();
        assert!(passed.contains("CET"), "{passed}");
    }

    #[test]
    fn lengths() {
        assert_eq!(length(Duration::from_micros(3100)), "3.1 ms");
        assert_eq!(length(Duration::from_secs(59)), "59s");
        assert_eq!(length(Duration::from_secs(3600)), "1h");
        assert_eq!(length(Duration::from_millis(3_599_900)), "1h");
        assert_eq!(length(Duration::from_millis(900)), "900.0 ms");
        assert_eq!(length(Duration::from_secs(172_800 + 7_260)), "2d 2h");
    }
}
