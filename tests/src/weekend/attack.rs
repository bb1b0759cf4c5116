//! The weekend: from Friday 18:00 to Monday 08:00 somebody dials abroad; or a day of it, in business hours.

use anyhow::Result;
use gateway_common::Reason;
use gateway_user::config::Mode;

use super::{
    call::{Call, Leg},
    gate::{Gate, Party, installed},
    run::{End, Run, SECOND},
    world::{FRAUD, Tariff, number},
};
use crate::differential::Chance;

/// Friday 18:00 to Monday 08:00.
pub const WEEKEND: u64 = 62 * 3600;
/// Tuesday 10:00 to Wednesday 10:00.
pub(super) const DAY: u64 = 24 * 3600;
/// When it begins, on the engine's clock.
const BEGIN: u64 = 1000 * SECOND;
/// As many calls as were up at once in the case that the New York Times tells of.
const CHANNELS: usize = 568;

/// The PBX of the site.
pub(super) const PBX: Party = Party::inside(192, 0, 2, 1);
/// Its provider.
pub(super) const PROVIDER: Party = Party::outside(203, 0, 113, 10);

/// Where the calls come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A stolen account, used from outside.
    Account,
    /// A PC of the site that calls the provider by itself.
    Pc,
    /// The PBX itself.
    Pbx,
}

/// When it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Friday 18:00.
    Friday,
    /// Tuesday 10:00.
    Tuesday,
}

impl When {
    /// 1000 seconds before.
    const fn epoch(self) -> &'static str {
        match self {
            Self::Friday => "2026-11-13T17:43:20",
            Self::Tuesday => "2026-11-17T09:43:20",
        }
    }
}

/// Where the calls go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Sierra Leone, which the shipped policy blocks.
    Listed,
    /// The Dominican Republic, which it does not.
    Unlisted,
    /// Twenty countries in turn, eleven of them blocked.
    Twenty,
}

/// One way of spending the weekend.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// When.
    pub when: When,
    /// Where from.
    pub place: Place,
    /// Calls a day.
    pub pace: u64,
    /// How long each call lasts, in seconds.
    pub talk: u64,
    /// How many From values, in turn.
    pub users: u32,
    /// Where to.
    pub aim: Aim,
    /// How many addresses, in turn.
    pub sources: u32,
}

/// What it came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Calls dialled.
    pub dialled: u64,
    /// Calls that were put through.
    pub through: u64,
    /// Calls for which the provider had no channel left.
    pub busy: u64,
    /// Calls put through before the first was cut, where one was.
    pub before_cut: Option<u64>,
    /// When the last one was put through, in seconds since it began.
    pub last: Option<u64>,
    /// What they cost by its end.
    pub yen: u64,
    /// What the cut ones were cut for.
    pub reason: Option<Reason>,
}

/// Calls a day at so many in ten minutes.
const fn in_ten_minutes(calls: u64) -> u64 {
    calls * 144
}

/// 2.8 calls a minute, 4 and 22.
const PACES: [u64; 3] = [in_ten_minutes(28), in_ten_minutes(40), in_ten_minutes(220)];
/// Who takes his time: a call in ten minutes, in an hour, in three.
const SLOW: [u64; 3] = [144, 24, 8];

/// The base, and what differs from it in one thing.
pub(super) fn shown() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for place in [Place::Account, Place::Pc, Place::Pbx] {
        let base = Attack::at_machine_pace(place, Aim::Unlisted);
        attacks.extend([
            base,
            Attack { pace: PACES[1], ..base },
            Attack { pace: PACES[2], ..base },
            Attack { talk: 7200, ..base },
            Attack { pace: PACES[2], talk: 7200, ..base },
            Attack { users: 10, ..base },
            Attack { users: 30, ..base },
            Attack { aim: Aim::Listed, ..base },
            Attack { aim: Aim::Twenty, ..base },
            Attack { aim: Aim::Twenty, users: 30, ..base },
        ]);
        attacks.extend(SLOW.map(|pace| Attack { pace, aim: Aim::Twenty, users: 30, ..base }));
        if place == Place::Account {
            attacks.push(Attack { sources: 1000, ..base });
        }
        attacks.extend(
            [base, Attack { aim: Aim::Twenty, users: 30, ..base }]
                .map(|attack| Attack { when: When::Tuesday, ..attack }),
        );
    }
    attacks
}

/// Every combination.
pub(super) fn all() -> Vec<Attack> {
    let mut attacks = Vec::new();
    for place in [Place::Account, Place::Pc, Place::Pbx] {
        let base = Attack::at_machine_pace(place, Aim::Unlisted);
        let sources: &[u32] = if place == Place::Account { &[1, 1000] } else { &[1] };
        for pace in PACES.into_iter().chain(SLOW) {
            for talk in [30, 7200] {
                for users in [1, 10, 30] {
                    for aim in [Aim::Listed, Aim::Unlisted, Aim::Twenty] {
                        for when in [When::Friday, When::Tuesday] {
                            let attack = Attack { when, pace, talk, users, aim, ..base };
                            attacks.extend(sources.iter().map(|&sources| Attack { sources, ..attack }));
                        }
                    }
                }
            }
        }
    }
    attacks
}

impl Attack {
    /// 2.8 calls a minute of half a minute each, of one user and one address, from Friday 18:00 on.
    pub const fn at_machine_pace(place: Place, aim: Aim) -> Self {
        Self { when: When::Friday, place, pace: PACES[0], talk: 30, users: 1, aim, sources: 1 }
    }

    /// How long it goes on, in seconds.
    pub const fn seconds(&self) -> u64 {
        match self.when {
            When::Friday => WEEKEND,
            When::Tuesday => DAY,
        }
    }

    /// Plays so many seconds of it under the shipped policy in this mode.
    pub fn play(&self, mode: Mode, seconds: u64, tariff: &Tariff) -> Result<Loss> {
        let mut run = Run::new(Gate::new(installed(mode)?, self.when.epoch())?, CHANNELS);
        let mut chance = Chance(0x5afe_5afe_5afe_5afe);
        let mut loss = Loss { dialled: seconds * self.pace / DAY, ..Loss::default() };
        let calls: Vec<(u64, Call)> = (0..loss.dialled)
            .map(|turn| (BEGIN + turn * DAY * SECOND / self.pace, self.call(turn, &mut chance)))
            .collect();
        let end = BEGIN + seconds * SECOND;
        run.play(calls, |ended| {
            match ended.end {
                // What is put through behind the end was dialled before it, and costs nothing by then.
                End::Taken if ended.at >= end => {}
                End::Taken => {
                    loss.through += 1;
                    loss.last = Some((ended.began - BEGIN) / SECOND);
                    let talk = ended.call.talk.min((end - ended.began) / SECOND);
                    loss.yen += tariff.cost(ended.call.country.unwrap_or("*"), talk);
                }
                End::Busy => loss.busy += 1,
                End::Cut(reason) => {
                    loss.before_cut.get_or_insert(loss.through);
                    loss.reason = Some(reason);
                }
            }
            None
        })?;
        Ok(loss)
    }

    fn call(&self, turn: u64, chance: &mut Chance) -> Call {
        let (country, pattern) = match self.aim {
            Aim::Listed => FRAUD[0],
            Aim::Unlisted => FRAUD[16],
            Aim::Twenty => FRAUD[turn as usize % FRAUD.len()],
        };
        let out = |from| Leg { from, to: PROVIDER, challenged: false };
        let source = (turn % u64::from(self.sources)) as u32;
        let legs = match self.place {
            Place::Account => {
                let from = Party::outside(45, 1, (source >> 8) as u8, source as u8);
                vec![Leg { from, to: PBX, challenged: true }, out(PBX)]
            }
            Place::Pc => vec![out(Party::inside(192, 0, 2, 66))],
            Place::Pbx => vec![out(PBX)],
        };
        let user = 201 + (turn % u64::from(self.users)) as u32;
        let mut call = Call::new(legs, format!("010{}", number(pattern, chance)), user, self.talk);
        call.country = Some(country);
        call
    }
}
