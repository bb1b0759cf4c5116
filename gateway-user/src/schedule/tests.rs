use std::path::Path;

use super::*;
use crate::config::parse;

fn policy(text: &str) -> Config {
    parse(text, Some(Path::new("tollgate.toml")), Path::new(".")).unwrap_or_else(|problems| panic!("{problems}")).0
}

/// One schedule in a time zone, used by an entry.
fn schedule(zone: &str, keys: &str) -> Schedule {
    let text = format!(
        "[site]\nregion = \"JP\"\ntime_zone = \"{zone}\"\nholidays = [\"JP\", \"2026-12-29\"]\n[profile.default]\n\
         block = [{{ what = \"international\", schedule = \"s\" }}]\n[schedule.s]\n{keys}\n"
    );
    policy(&text).schedules.remove(0)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[track_caller]
fn holds(schedule: &Schedule, moments: &[(&str, bool)]) {
    for (moment, active) in moments {
        assert_eq!(schedule.is_active(at(moment)), *active, "{moment}");
    }
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_begins() {
    let night = schedule("Asia/Tokyo", "hours = \"18:00-08:00\"\ndays = \"mon-fri\"");
    holds(
        &night,
        &[
            ("2026-11-20T17:59:59+09:00", false), // Friday
            ("2026-11-20T18:00:00+09:00", true),
            ("2026-11-21T07:59:59+09:00", true),
            ("2026-11-21T08:00:00+09:00", false),
            ("2026-11-22T20:00:00+09:00", false), // Sunday
            ("2026-11-23T07:00:00+09:00", false), // Monday before its own night
            ("2026-11-23T18:00:00+09:00", true),
        ],
    );
    assert_eq!(night.next_change(at("2026-11-20T17:00:00+09:00")), Some(at("2026-11-20T18:00:00+09:00")));
    assert_eq!(night.next_change(at("2026-11-20T18:00:00+09:00")), Some(at("2026-11-21T08:00:00+09:00")));
    assert_eq!(night.next_change(at("2026-11-21T08:00:00+09:00")), Some(at("2026-11-23T18:00:00+09:00")));
}

#[test]
fn whole_days_that_touch_are_one_window() {
    let weekend = schedule("Asia/Tokyo", "days = \"sat-sun\"\nholidays = \"include\"");
    // The Monday behind is Labour Thanksgiving Day.
    assert_eq!(weekend.next_change(at("2026-11-21T10:00:00+09:00")), Some(at("2026-11-24T00:00:00+09:00")));
    holds(&weekend, &[("2026-12-29T12:00:00+09:00", true), ("2026-12-30T12:00:00+09:00", false)]);
    let always = schedule("Asia/Tokyo", "days = \"mon-sun\"");
    assert_eq!(always.next_change(at("2026-11-21T10:00:00+09:00")), None);
}

#[test]
fn holidays_are_taken_out_or_in() {
    for (keys, active) in [
        ("hours = \"09:00-17:00\"\ndays = \"mon-fri\"", true),
        ("hours = \"09:00-17:00\"\ndays = \"mon-fri\"\nholidays = \"exclude\"", false),
        ("hours = \"09:00-17:00\"\ndays = \"tue\"\nholidays = \"include\"", true),
        ("hours = \"09:00-17:00\"\ndays = \"tue\"", false),
    ] {
        assert_eq!(schedule("Asia/Tokyo", keys).is_active(at("2026-11-23T12:00:00+09:00")), active, "{keys}");
    }
}

#[test]
fn the_clock_of_berlin_is_set_forward_and_back() {
    // 2026-03-29: 02:00 becomes 03:00, so 02:30 is not there; the window begins when the clock is past it.
    let forward = schedule("Europe/Berlin", "hours = \"02:30-04:00\"");
    holds(
        &forward,
        &[
            ("2026-03-29T00:59:59Z", false),
            ("2026-03-29T01:29:59Z", false),
            ("2026-03-29T01:30:00Z", true), // 03:30, as far behind 03:00 as 02:30 would be behind 02:00
            ("2026-03-29T02:00:00Z", false),
        ],
    );
    // 2026-10-25: 03:00 becomes 02:00, so 02:30 comes twice; the first counts.
    let back = schedule("Europe/Berlin", "hours = \"02:30-04:00\"");
    holds(
        &back,
        &[
            ("2026-10-25T00:29:59Z", false),
            ("2026-10-25T00:30:00Z", true),
            ("2026-10-25T01:30:00Z", true), // the second 02:30
            ("2026-10-25T02:59:59Z", true),
            ("2026-10-25T03:00:00Z", false),
        ],
    );
    assert_eq!(back.next_change(at("2026-10-25T00:30:00Z")), Some(at("2026-10-25T03:00:00Z")));
    // A night over either change begins and ends by the wall clock.
    let night = schedule("Europe/Berlin", "hours = \"22:00-06:00\"");
    assert_eq!(night.next_change(at("2026-03-28T21:00:00Z")), Some(at("2026-03-29T04:00:00Z")));
    assert_eq!(night.next_change(at("2026-10-24T20:00:00Z")), Some(at("2026-10-25T05:00:00Z")));
}

#[test]
fn several_windows_and_windows_of_a_whole_day() {
    let lunch = schedule("Asia/Tokyo", "hours = \"08:00-12:00, 13:00-24:00\"\ndays = \"mon,wed,fri\"");
    holds(
        &lunch,
        &[
            ("2026-11-25T11:59:00+09:00", true),
            ("2026-11-25T12:30:00+09:00", false),
            ("2026-11-25T23:59:59+09:00", true),
            ("2026-11-26T00:00:00+09:00", false),
        ],
    );
    let round = schedule("Asia/Tokyo", "hours = \"18:00-18:00\"\ndays = \"fri\"");
    holds(&round, &[("2026-11-28T17:59:00+09:00", true), ("2026-11-28T18:00:00+09:00", false)]);
}

#[test]
fn a_weekend_goes_from_friday_evening_to_monday_morning() {
    let weekend = schedule("Asia/Tokyo", "hours = \"fri 18:00-mon 08:00\"\nholidays = \"include\"");
    assert_eq!((weekend.shown_hours().as_str(), weekend.shown_days().as_str()), ("fri 18:00-mon 08:00", ""));
    holds(
        &weekend,
        &[
            ("2026-11-13T17:59:59+09:00", false), // Friday
            ("2026-11-13T18:00:00+09:00", true),
            ("2026-11-15T12:00:00+09:00", true),
            ("2026-11-16T07:59:59+09:00", true),
            ("2026-11-16T08:00:00+09:00", false),
            ("2026-11-03T00:00:00+09:00", true), // Culture Day, a Tuesday
            ("2026-11-03T23:59:59+09:00", true),
            ("2026-11-04T00:00:00+09:00", false),
        ],
    );
    let next = |moment: &str| weekend.next_change(at(moment));
    assert_eq!(next("2026-11-11T10:00:00+09:00"), Some(at("2026-11-13T18:00:00+09:00")));
    assert_eq!(next("2026-11-15T10:00:00+09:00"), Some(at("2026-11-16T08:00:00+09:00")));
    // The Monday behind is Labour Thanksgiving Day.
    assert_eq!(next("2026-11-20T20:00:00+09:00"), Some(at("2026-11-24T00:00:00+09:00")));
    // From Sunday to Wednesday, and from Monday to the Monday behind.
    let over = schedule("Asia/Tokyo", "hours = \"sun 22:00-wed 06:00\"");
    holds(&over, &[("2026-11-17T12:00:00+09:00", true), ("2026-11-18T06:00:00+09:00", false)]);
    assert_eq!(over.next_change(at("2026-11-17T12:00:00+09:00")), Some(at("2026-11-18T06:00:00+09:00")));
    let always = schedule("Asia/Tokyo", "hours = \"mon 08:00-mon 08:00\"");
    assert_eq!(always.next_change(at("2026-11-17T12:00:00+09:00")), None);
    assert!(always.is_active(at("2026-11-16T07:00:00+09:00")));
    // To the end of Sunday.
    let days = schedule("Asia/Tokyo", "hours = \"sat 00:00-sun 24:00\"");
    assert_eq!(days.next_change(at("2026-11-14T12:00:00+09:00")), Some(at("2026-11-16T00:00:00+09:00")));
    // In Berlin a weekend in which the clock is set back is an hour longer.
    let berlin = schedule("Europe/Berlin", "hours = \"fri 18:00-mon 08:00\"");
    assert_eq!(berlin.next_change(at("2026-10-23T16:00:00Z")), Some(at("2026-10-26T07:00:00Z")));
}

#[test]
fn the_policy_at_a_moment_has_what_holds_then() {
    let config = policy(
        "[site]\nregion = \"JP\"\ntime_zone = \"Asia/Tokyo\"\n[profile.default]\nclass.premium = \"block\"\n\
         block = [\"LV\", { what = \"international\", schedule = \"night\" }, { what = \"SL\", schedule = \"night\" }]\n\
         allow = [{ what = \"premium\", schedule = \"day\" }, { what = \"international\", schedule = \"night\" }]\n\
         limits = [\"slow\", \"always\"]\n[profile.lobby]\nsources = [\"192.0.2.1\"]\nallow = []\n\
         [schedule.night]\nhours = \"18:00-08:00\"\n[schedule.day]\nhours = \"08:00-18:00\"\n\
         [limit.slow]\nkey = \"source\"\nrate = \"1/m\"\nschedule = \"night\"\n[limit.always]\nkey = \"source\"\nrate = \"9/m\"\n",
    );
    let summary = |moment: &str| {
        let config = config.at(at(moment));
        let profile = &config.profiles[0];
        let names = |entries: &[Entry]| entries.iter().map(|it| it.what.to_string()).collect::<Vec<_>>().join(" ");
        let class = |class: gateway_common::Class| profile.class[class as usize].as_str();
        (
            names(&profile.block),
            class(gateway_common::Class::International),
            class(gateway_common::Class::Premium),
            profile.limits.join(" "),
            config.profiles[1].class[gateway_common::Class::Premium as usize].as_str(),
        )
    };
    let (night, day) = ("2026-11-25T22:00:00+09:00", "2026-11-25T12:00:00+09:00");
    assert_eq!(summary(night), ("LV SL".into(), "block", "block", "slow always".into(), "block"));
    assert_eq!(summary(day), ("LV".into(), "allow", "allow", "always".into(), "block"));
    assert_eq!(config.next_change(at(day)), Some(at("2026-11-25T18:00:00+09:00")));
}
