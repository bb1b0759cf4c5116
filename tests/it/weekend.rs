//! What the shipped policy does today against a weekend of fraud, and to honest offices and storms; `tollgate-weekend` prints
//! the whole tables.

use std::collections::BTreeMap;

use gateway_common::Reason;
use gateway_tests::weekend::{Aim, Attack, Loss, Office, Place, STORMS, Storm, Tariff};
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
        // Eleven of the twenty countries are listed.
        assert!(twenty.through.abs_diff(twenty.dialled * 9 / 20) <= 20, "{place:?}: {twenty:?}");
    }
}

/// The shipped limits count packets: ten in a second, which no fraud needs. Nothing counts calls abroad yet.
#[test]
fn nothing_stops_calls_to_other_countries_and_monitor_mode_stops_none() {
    for place in PLACES {
        for (aim, mode) in
            [(Aim::Unlisted, Mode::Enforce), (Aim::Unlisted, Mode::Monitor), (Aim::Listed, Mode::Monitor)]
        {
            let loss = evening(place, aim, mode);
            assert_eq!((loss.dialled, loss.through, loss.before_cut), (1008, 1008, None), "{place:?} {aim:?} {mode:?}");
            assert_eq!(loss.yen, 1008 * 187);
        }
    }
}

#[test]
fn a_provider_s_channels_bound_what_long_calls_cost() {
    let attack = Attack { place: Place::Pbx, pace: 220, talk: 7200, users: 30, aim: Aim::Unlisted, sources: 1 };
    let loss = attack.play(Mode::Enforce, 3600, &Tariff::load().unwrap()).unwrap();
    assert_eq!((loss.dialled, loss.through, loss.busy), (1320, 568, 752));
}

#[test]
fn no_good_call_is_cut_but_to_listed_countries() {
    for stations in [10, 30, 100] {
        for abroad in [0.1, 0.3] {
            let office = Office { stations, abroad };
            let enforced = office.play(Mode::Enforce, 14).unwrap();
            assert!(enforced.calls > u64::from(stations) * 100 && enforced.abroad * 20 > enforced.calls, "{office:?}");
            assert_eq!((enforced.cuts_but_listed(), enforced.delayed), (0, 0), "{office:?}: {enforced:?}");
            let monitored = office.play(Mode::Monitor, 14).unwrap();
            assert_eq!(monitored.cuts(), 0, "the floor: {office:?}: {monitored:?}");
            assert_eq!(monitored.would, enforced.cuts(), "{office:?}");
            assert_eq!(office.play(Mode::Enforce, 14).unwrap(), enforced, "every run is the same");
        }
    }
}

/// 300 telephones that register anew behind one address ask twice each, and the shipped limit lets five a second through.
#[test]
fn of_the_honest_storms_only_registrations_behind_one_address_lose() {
    for storm in STORMS {
        let enforced = storm.play(Mode::Enforce).unwrap();
        let expected =
            if storm == Storm::Registrations { BTreeMap::from([("source-limit", 94)]) } else { BTreeMap::new() };
        assert_eq!(enforced.cut, expected, "{}", storm.name());
        let monitored = storm.play(Mode::Monitor).unwrap();
        assert_eq!(monitored.cuts(), 0, "the floor: {}", storm.name());
    }
}
