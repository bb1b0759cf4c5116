//! What the shipped policy does against a weekend of fraud, and to honest offices and storms; `tollgate-weekend` prints
//! the whole tables.

use std::collections::BTreeMap;

use gateway_common::Reason;
use gateway_tests::weekend::{Aim, Attack, Loss, Office, Place, STORMS, Tariff, When, installed};
use gateway_user::config::{Breaker, Mode, Window};

const HOUR: u64 = 3600;
/// Friday 18:00 to midnight.
const EVENING: u64 = 6 * HOUR;

const PLACES: [Place; 3] = [Place::Account, Place::Pc, Place::Pbx];

fn played(attack: Attack, mode: Mode, seconds: u64) -> Loss {
    let loss = attack.play(mode, seconds, &Tariff::load().unwrap()).unwrap();
    println!("{attack:?} {mode:?}: {loss:?}");
    loss
}

fn evening(place: Place, aim: Aim, mode: Mode) -> Loss {
    played(Attack::at_machine_pace(place, aim), mode, EVENING)
}

#[test]
fn a_listed_country_costs_nothing_in_enforce_mode() {
    for place in PLACES {
        let loss = evening(place, Aim::Listed, Mode::Enforce);
        assert_eq!((loss.through, loss.yen, loss.before_cut), (0, 0, Some(0)), "{place:?}");
        assert_eq!(loss.reason, Some(Reason::BlockedCountry));
    }
}

/// At machine pace the weekend costs less than 2,000 yen: one evening, since what is suspended then stays so until Monday.
#[test]
fn a_machine_spends_less_than_two_thousand_yen_on_a_weekend() {
    for place in PLACES {
        for aim in [Aim::Unlisted, Aim::Twenty] {
            for users in [1, 30] {
                let attack = Attack { users, ..Attack::at_machine_pace(place, aim) };
                let loss = played(attack, Mode::Enforce, EVENING);
                assert!(loss.through <= 9 && loss.yen <= 9 * 187, "{attack:?}: {loss:?}");
                let last = loss.last.unwrap();
                assert!(last < HOUR, "{attack:?}: {loss:?}");
            }
        }
    }
    // All of the weekend.
    let loss =
        played(Attack { users: 30, ..Attack::at_machine_pace(Place::Pbx, Aim::Unlisted) }, Mode::Enforce, 62 * HOUR);
    assert!(loss.yen < 2000 && loss.dialled == 10_416, "{loss:?}");
}

#[test]
fn who_takes_his_time_spends_less_than_five_thousand() {
    for pace in [144, 24] {
        let slow = Attack { pace, users: 30, ..Attack::at_machine_pace(Place::Pbx, Aim::Unlisted) };
        let loss = played(slow, Mode::Enforce, 62 * HOUR);
        assert!(loss.through <= 26 && loss.yen < 5000, "{pace}: {loss:?}");
    }
}

/// In business hours the limits are as wide as an office needs them: a stolen account meets those of its line, and who is another
/// line with each call, the floor.
#[test]
fn on_a_tuesday_morning_it_costs_more() {
    for place in PLACES {
        let account = Attack { when: When::Tuesday, ..Attack::at_machine_pace(place, Aim::Unlisted) };
        let loss = played(account, Mode::Enforce, 8 * HOUR);
        assert!(loss.through <= 10 && loss.yen < 2000, "{place:?}: {loss:?}");
        let loss = played(Attack { users: 30, ..account }, Mode::Enforce, 8 * HOUR);
        assert!(loss.through <= 20 && loss.yen <= 20 * 187, "{place:?}: {loss:?}");
    }
}

/// The breaker of the floor, which acts in monitor mode too, lets twenty calls an hour to one country through, and then none.
#[test]
fn calls_to_one_other_country_are_stopped_in_monitor_mode_too() {
    for place in PLACES {
        for aim in [Aim::Unlisted, Aim::Listed] {
            let loss = evening(place, aim, Mode::Monitor);
            assert!(loss.through <= 20 && loss.yen <= 20 * 187, "{place:?} {aim:?}: {loss:?}");
        }
    }
}

/// It stays open over the weekend.
#[test]
fn in_monitor_mode_a_weekend_costs_one_breaker() {
    let loss = played(Attack::at_machine_pace(Place::Pc, Aim::Unlisted), Mode::Monitor, 62 * HOUR);
    assert_eq!((loss.through, loss.yen), (20, 20 * 187), "{loss:?}");
}

#[test]
fn long_calls_are_stopped_before_a_provider_s_channels_are_full() {
    let long = Attack { pace: 31_680, talk: 7200, users: 30, ..Attack::at_machine_pace(Place::Pbx, Aim::Unlisted) };
    let loss = played(long, Mode::Enforce, HOUR);
    assert_eq!((loss.dialled, loss.through, loss.busy), (1320, 6, 0));
}

/// No office loses a call but to listed countries, nor do those that trade; nor to the floor, but for the second call within twelve
/// hours to a country in which fraud ends up, and one of a hundred telephones that places a hundred calls a day to one country.
#[test]
fn no_good_call_of_an_office_is_cut_but_to_listed_countries() {
    for stations in [10, 30, 100] {
        for (abroad, partner) in [(0.1, false), (0.3, false), (0.3, true)] {
            let office = Office { stations, abroad, partner };
            let enforced = office.play(Mode::Enforce, 14).unwrap();
            let monitored = office.play(Mode::Monitor, 14).unwrap();
            println!("{office:?}: {enforced:?} monitored {monitored:?}");
            assert!(enforced.calls > u64::from(stations) * 100 && enforced.abroad * 20 > enforced.calls, "{office:?}");
            if stations == 100 && partner {
                let by_floor = [Reason::Floor, Reason::Suspended].map(Reason::as_str);
                assert!(enforced.cut.keys().all(|it| by_floor.contains(it) || *it == Reason::BlockedCountry.as_str()));
                assert!(monitored.cuts() > 100, "{office:?}: {monitored:?}");
                continue;
            }
            assert_eq!((enforced.cuts_but_listed(), enforced.delayed), (0, 0), "{office:?}: {enforced:?}");
            assert!(monitored.cut.keys().all(|reason| *reason == Reason::Floor.as_str()), "{office:?}: {monitored:?}");
            assert!(monitored.cuts() <= 1, "{office:?}: {monitored:?}");
        }
    }
}

/// The figures that `floor_windows` and `floor_concurrent` raise.
#[test]
fn a_raised_floor_cuts_nobody_who_calls_one_country_all_day() {
    let office = Office { stations: 100, abroad: 0.3, partner: true };
    for mode in [Mode::Monitor, Mode::Enforce] {
        let mut config = installed(mode).unwrap();
        let hour = Window { count: 64, per: std::time::Duration::from_secs(HOUR) };
        config.breaker = Breaker { windows: vec![hour], at_once: 12 };
        let tally = office.play_under(config, 14).unwrap();
        println!("{mode:?}: {tally:?}");
        let listed = tally.cut.get(Reason::BlockedCountry.as_str()).copied().unwrap_or(0);
        assert!(tally.cuts() - listed <= 1, "{mode:?}: {tally:?}");
    }
}

#[test]
fn none_of_the_honest_storms_loses_a_call() {
    for storm in STORMS {
        for mode in [Mode::Enforce, Mode::Monitor] {
            let tally = storm.play(mode).unwrap();
            assert_eq!(tally.cut, BTreeMap::new(), "{} {mode:?}", storm.name());
        }
    }
}
