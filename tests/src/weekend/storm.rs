//! Honest storms: much at once, and all of it wanted.

use anyhow::Result;
use gateway_user::config::Mode;

use super::{
    attack::{PBX, PROVIDER},
    call::{Answer, Call, Leg, Method},
    gate::{Gate, Party, installed},
    honest::{Tally, inbound},
    run::{Run, SECOND},
    world::{HOME, number},
};
use crate::differential::Chance;

/// When they come: the morning of a working day.
const MORNING: &str = "2026-11-10T10:00";

/// A storm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storm {
    /// 300 telephones behind one address register anew within a minute.
    Registrations,
    /// 2,000 OPTIONS of one address in 30 s: a provider or a home that keeps its mapping open.
    Questions,
    /// Ten calls in a minute, each ringing 30 telephones outside at once.
    RingGroup,
    /// Another trunk fails: 100 inbound calls a second for 20 s.
    Failover,
    /// A school calls 500 homes within a minute.
    Alarm,
    /// A call centre dials one number a second for an hour, and 40 % are busy.
    CallCentre,
}

/// All of them.
pub const STORMS: [Storm; 6] =
    [Storm::Registrations, Storm::Questions, Storm::RingGroup, Storm::Failover, Storm::Alarm, Storm::CallCentre];

impl Storm {
    /// What it is, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registrations => "300 phones of one address register in a minute",
            Self::Questions => "2,000 OPTIONS of one address in 30 s",
            Self::RingGroup => "ten calls ring 30 phones outside at once",
            Self::Failover => "100 inbound calls a second for 20 s",
            Self::Alarm => "500 calls of a school within a minute",
            Self::CallCentre => "a call a second for an hour, 40 % busy",
        }
    }

    /// Plays it under the shipped policy in this mode.
    pub fn play(self, mode: Mode) -> Result<Tally> {
        let mut run = Run::new(Gate::new(installed(mode)?, MORNING)?, usize::MAX);
        let mut tally = Tally::default();
        run.play(self.calls(&mut Chance(0x5704_3570)), |ended| {
            tally.count(ended);
            None
        })?;
        Ok(tally)
    }

    fn calls(self, chance: &mut Chance) -> Vec<(u64, Call)> {
        let start = 1000 * SECOND;
        let home = Party::outside(198, 51, 100, 7);
        let spread = |count: u64, seconds: u64| (0..count).map(move |turn| start + turn * seconds * SECOND / count);
        let out = Leg { from: PBX, to: PROVIDER, challenged: false };
        match self {
            Self::Registrations => {
                let leg = Leg { from: home, to: PBX, challenged: true };
                spread(300, 60).zip(201..).map(|(at, user)| (at, Call::request(Method::Register, leg, user))).collect()
            }
            Self::Questions => {
                let leg = Leg { from: home, to: PBX, challenged: false };
                spread(2000, 30).map(|at| (at, Call::request(Method::Options, leg, 201))).collect()
            }
            Self::RingGroup => spread(10, 60)
                .flat_map(|at| {
                    (0..30).map(move |phone| {
                        let leg = Leg { from: PBX, to: Party::outside(198, 51, 100, 20 + phone), challenged: false };
                        (at, Call::new(vec![leg], (220 + u32::from(phone)).to_string(), 201, 60))
                    })
                })
                .collect(),
            Self::Failover => spread(2000, 20).map(|at| (at, inbound(chance))).collect(),
            Self::Alarm => {
                spread(500, 60).map(|at| (at, Call::new(vec![out], number(HOME[4], chance), 201, 20))).collect()
            }
            Self::CallCentre => spread(3600, 3600)
                .map(|at| {
                    let mut call = Call::new(vec![out], number(HOME[0], chance), 201 + chance.below(100) as u32, 90);
                    if chance.below(10) < 4 {
                        call.answer = Answer::Busy;
                    }
                    (at, call)
                })
                .collect(),
        }
    }
}
