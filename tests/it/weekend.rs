//! What the shipped policy does today against a weekend of fraud, and to honest offices and storms; `tollgate-weekend` prints
//! the whole tables.

use std::collections::BTreeMap;

use gateway_common::Reason;
use gateway_tests::weekend::{Aim, Attack, Loss, Office, Place, STORMS, Tariff};
use gateway_user::config::Mode;

/// Friday 18:00 to midnight.
const EVENING: u64 = 6 * 3600;

const PLACES: [Place; 3] = [Place::Account, Place::Pc, Place::Pbx];

fn evening(place: Place, aim: Aim, mode: Mode) -> Loss {
    let attack = Attack { place, pace: 28, talk: 30, users: 1, aim, sources: 1 };
    attack.play(mode, EVENING, &Tariff::load().unwrap()).unwrap()
}

#[test]
fn a_listed_country_costs_nothing_in_enforce_mode() {
    for place in PLACES {
        let loss = evening(place, Aim::Listed, Mode::Enforce);
        assert_eq!((loss.through, loss.yen, loss.before_cut), (0, 0, Some(0)), "{place:?}");
        assert_eq!(loss.reason, Some(Reason::BlockedCountry));
        let twenty = evening(place, Aim::Twenty, Mode::Enforce);
        assert!(twenty.through <= 10, "{place:?}: {twenty:?}");
    }
}

/// The breaker of the floor, which acts in monitor mode too, lets twenty calls an hour to one country through, and then none.
#[test]
fn calls_to_one_other_country_are_stopped_in_either_mode() {
    for place in PLACES {
        for (aim, mode) in
            [(Aim::Unlisted, Mode::Enforce), (Aim::Unlisted, Mode::Monitor), (Aim::Listed, Mode::Monitor)]
        {
            let loss = evening(place, aim, mode);
            println!("{place:?} {aim:?} {mode:?}: {loss:?}");
            assert!(loss.through <= 20 && loss.yen <= 20 * 187, "{place:?} {aim:?} {mode:?}: {loss:?}");
        }
    }
}

#[test]
fn long_calls_are_stopped_before_a_provider_s_channels_are_full() {
    let attack = Attack { place: Place::Pbx, pace: 220, talk: 7200, users: 30, aim: Aim::Unlisted, sources: 1 };
    let loss = attack.play(Mode::Enforce, 3600, &Tariff::load().unwrap()).unwrap();
    assert_eq!((loss.dialled, loss.through, loss.busy), (1320, 6, 0));
}

/// An office with a tenth of its calls abroad loses none. One that trades, with three tenths, meets the shipped limits on
/// calls abroad: it has to raise them, and monitor mode shows it that.
#[test]
fn no_good_call_of_an_ordinary_office_is_cut_but_to_listed_countries() {
    for stations in [10, 30, 100] {
        for abroad in [0.1, 0.3] {
            let office = Office { stations, abroad };
            let enforced = office.play(Mode::Enforce, 14).unwrap();
            let monitored = office.play(Mode::Monitor, 14).unwrap();
            println!("{office:?}: {enforced:?} monitored {monitored:?}");
            assert!(enforced.calls > u64::from(stations) * 100 && enforced.abroad * 20 > enforced.calls, "{office:?}");
            if stations <= 30 && abroad < 0.2 {
                assert_eq!((enforced.cuts_but_listed(), enforced.delayed), (0, 0), "{office:?}: {enforced:?}");
                assert_eq!(monitored.cuts(), 0, "the floor: {office:?}: {monitored:?}");
            }
        }
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
