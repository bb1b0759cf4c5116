//! Honest years: what an office of a certain size dials, registers and takes.

use std::collections::BTreeMap;

use anyhow::Result;
use gateway_common::Reason;
use gateway_user::{
    config::{Config, Mode},
    schedule::holidays,
};
use jiff::{ToSpan as _, civil::Date};

use super::{
    attack::{PBX, PROVIDER},
    call::{Answer, Call, Leg, Method},
    gate::{Gate, Party, installed},
    run::{End, Ended, Run, SECOND},
    world::{FRAUD, HOME, TRADE, number},
};
use crate::differential::Chance;

/// Outbound calls of a station in its busy hour: the middle one of Avaya's traffic model (0.25, 0.5, 0.75).
const CALLS_A_STATION: f64 = 0.5;
/// Mean time of a call in seconds, of the same model.
const HOLD: f64 = 200.0;
/// How busy the hours from 8 to 22 are. From 19 on somebody stays late; assumed is a twentieth of a busy hour.
const DAY: [f64; 14] = [0.3, 0.9, 1.0, 1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 0.8, 0.4, LATE, LATE, LATE];
/// The same of a Saturday, from 10 to 16.
const SATURDAY: [f64; 6] = [LATE; 6];
const LATE: f64 = 0.05;
/// The first day, a Monday.
const FIRST: Date = jiff::civil::date(2026, 11, 9);
/// Calls that find the other end busy; redialled up to three times.
const BUSY: f64 = 0.15;
/// Calls abroad that go elsewhere than where the office trades: to the countries that fraud goes to as well.
const ELSEWHERE: f64 = 0.01;
/// Every tenth station is a telephone outside.
const OUTSIDE: u32 = 10;

/// An office.
#[derive(Clone, Copy, Debug)]
pub struct Office {
    /// Telephones.
    pub stations: u32,
    /// The share of its calls that goes abroad.
    pub abroad: f64,
    /// Whether half of those goes to one country.
    pub partner: bool,
}

/// What a time came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls in and out, each redial one of its own.
    pub calls: u64,
    /// Of them abroad.
    pub abroad: u64,
    /// Registrations and questions.
    pub others: u64,
    /// What was cut, by reason.
    pub cut: BTreeMap<&'static str, u64>,
    /// What went on only when it was sent again.
    pub delayed: u64,
    /// What enforce mode would have stopped a request of.
    pub would: u64,
}

impl Tally {
    /// How much was cut.
    pub fn cuts(&self) -> u64 {
        self.cut.values().sum()
    }

    /// How much was cut for other reasons than the list of countries of the policy.
    pub fn cuts_but_listed(&self) -> u64 {
        self.cuts() - self.cut.get(Reason::BlockedCountry.as_str()).copied().unwrap_or(0)
    }

    pub(super) fn count(&mut self, ended: &Ended<'_>) {
        if ended.call.method == Method::Invite {
            self.calls += 1;
            self.abroad += u64::from(ended.call.country.is_some());
        } else {
            self.others += 1;
        }
        self.would += u64::from(ended.would.is_some());
        match ended.end {
            End::Cut(reason) => *self.cut.entry(reason.as_str()).or_default() += 1,
            End::Taken | End::Busy => self.delayed += u64::from(ended.delayed),
        }
    }
}

impl Office {
    /// Plays so many days under the shipped policy in this mode. On Sundays and holidays nobody calls.
    pub fn play(&self, mode: Mode, days: u64) -> Result<Tally> {
        self.play_under(installed(mode)?, days)
    }

    /// The same under another policy.
    pub fn play_under(&self, config: Config, days: u64) -> Result<Tally> {
        let mut run = Run::new(Gate::new(config, "2026-11-09T00:00")?, usize::MAX);
        let mut chance = Chance(0x0ff1_ce00 + u64::from(self.stations));
        let mut luck = Chance(0xbad_1dea);
        let mut tally = Tally::default();
        let closed = holidays("JP").unwrap_or_default();
        let open = |day: &u64| {
            let date = i64::try_from(*day).ok().and_then(|day| FIRST.checked_add(day.days()).ok());
            day % 7 < 6 && date.is_none_or(|date| !closed.contains(&date))
        };
        let calls = (0..days).filter(open).flat_map(|day| self.day(day, &mut chance));
        run.play(calls, |ended| {
            tally.count(ended);
            let again = ended.end == End::Busy && ended.call.redials < 3;
            again.then(|| {
                let mut call = ended.call.clone();
                call.redials += 1;
                call.answer = answer(&mut luck);
                (20 + luck.below(70) as u64, call)
            })
        })?;
        Ok(tally)
    }

    /// The calls of the so-manieth day, in order.
    fn day(&self, day: u64, chance: &mut Chance) -> Vec<(u64, Call)> {
        let mut calls = Vec::new();
        let (midnight, stations) = (day * 24 * 3600, f64::from(self.stations));
        let saturday = day % 7 == 5;
        let (first, hours): (u64, &[f64]) = if saturday { (10, &SATURDAY) } else { (8, &DAY) };
        for (hour, busy) in (first..).zip(hours) {
            let from = midnight + hour * 3600;
            let rate = stations * CALLS_A_STATION * busy;
            for at in arrivals(rate, from, chance) {
                let station = self.station(chance);
                calls.push((at, self.outbound(station, chance)));
            }
            for at in arrivals(rate, from, chance) {
                calls.push((at, inbound(chance)));
            }
            for station in (0..self.stations).filter(|station| station.is_multiple_of(OUTSIDE)) {
                let leg = Leg { from: outside(station), to: PBX, challenged: true };
                let at = (from * 1000 + chance.below(3_600_000) as u64) * (SECOND / 1000);
                calls.push((at, Call::request(Method::Register, leg, 201 + station)));
            }
        }
        if !saturday {
            self.bursts(midnight, chance, &mut calls);
        }
        calls.sort_by_key(|(at, _)| *at);
        calls
    }

    /// Somebody works through a list of twelve customers, and somebody dials a conference of six within half a minute: one of
    /// each a day for ten stations.
    fn bursts(&self, midnight: u64, chance: &mut Chance, calls: &mut Vec<(u64, Call)>) {
        for _ in 0..self.stations.div_ceil(10) {
            let mut list = midnight + 10 * 3600 + chance.below(5 * 3600) as u64;
            let station = self.station(chance);
            for _ in 0..12 {
                calls.push((list * SECOND, self.outbound(station, chance)));
                list += 30 + chance.below(120) as u64;
            }
            let mut conference = midnight + 9 * 3600 + chance.below(8 * 3600) as u64;
            let station = self.station(chance);
            for _ in 0..6 {
                calls.push((conference * SECOND, self.outbound(station, chance)));
                conference += 1 + chance.below(8) as u64;
            }
        }
    }

    fn station(&self, chance: &mut Chance) -> u32 {
        chance.below(self.stations as usize) as u32
    }

    fn outbound(&self, station: u32, chance: &mut Chance) -> Call {
        let out = Leg { from: PBX, to: PROVIDER, challenged: false };
        let legs = if station.is_multiple_of(OUTSIDE) {
            vec![Leg { from: outside(station), to: PBX, challenged: true }, out]
        } else {
            vec![out]
        };
        let mut country = None;
        let dialled = if part(chance) < self.abroad {
            let (code, pattern) = if part(chance) < ELSEWHERE {
                FRAUD[chance.below(FRAUD.len())]
            } else if self.partner && chance.below(2) == 0 {
                TRADE[0]
            } else {
                TRADE[chance.below(TRADE.len())]
            };
            country = Some(code);
            format!("010{}", number(pattern, chance))
        } else {
            number(HOME[chance.below(HOME.len())], chance)
        };
        let mut call = Call::new(legs, dialled, 201 + station, hold(chance));
        call.country = country;
        call.answer = answer(chance);
        call
    }
}

/// A call of the provider to the number of the site.
pub(super) fn inbound(chance: &mut Chance) -> Call {
    let leg = Leg { from: PROVIDER, to: PBX, challenged: false };
    Call::new(vec![leg], "0312345678".to_owned(), 312_345_678, hold(chance))
}

fn outside(station: u32) -> Party {
    Party::outside(198, 51, 100, station as u8)
}

fn answer(chance: &mut Chance) -> Answer {
    if part(chance) < BUSY { Answer::Busy } else { Answer::Taken }
}

fn hold(chance: &mut Chance) -> u64 {
    exponential(HOLD, chance) as u64 + 1
}

/// A number from 0 to 1, never 0.
fn part(chance: &mut Chance) -> f64 {
    ((chance.draw() >> 11) + 1) as f64 / (1u64 << 53) as f64
}

fn exponential(mean: f64, chance: &mut Chance) -> f64 {
    -part(chance).ln() * mean
}

/// Poisson arrivals of so many an hour within the hour that begins at this second, in nanoseconds.
fn arrivals(rate: f64, from: u64, chance: &mut Chance) -> Vec<u64> {
    let mut at = 0.0;
    let mut found = Vec::new();
    loop {
        at += exponential(3600.0 / rate, chance);
        if at >= 3600.0 {
            return found;
        }
        found.push(from * SECOND + (at * SECOND as f64) as u64);
    }
}
