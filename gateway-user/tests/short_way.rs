//! The short way of a flood: whatever it refuses, the long way refuses for the same reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::collections::HashMap;

use engine::{chance::Chance, frame_of, host, invite};
use gateway_common::{
    judge::{self, Arrival, Canonical, Packed, Said, Side},
    policy::{Policy, image::CELLS},
    text::Steps,
    wire::{self, Datagram, Slice, Walk},
};
use gateway_user::{
    config::{self, Config},
    policy::{self, PolicyImage},
};

struct Cells(PolicyImage);

impl Steps for Cells {}

impl Policy for Cells {
    fn cell(&self, index: u32) -> u64 {
        self.0.cells.get((index & (CELLS - 1)) as usize).copied().unwrap_or(0)
    }

    fn dialled(&self, _: u32) -> u8 {
        0
    }
}

fn cells(config: &Config) -> Cells {
    Cells(policy::compile(config, &[], &HashMap::new(), 1).unwrap().0)
}

/// What the short way says of a frame: verdict, reason and country, if it refuses it.
fn short(cells: &Cells, frame: &[u8]) -> Option<(gateway_common::Verdict, gateway_common::Reason, u16)> {
    let mut datagram = Datagram::default();
    let mut slice = Slice::new(frame);
    assert_eq!(wire::walk_shallow(&mut slice, &mut datagram), Walk::Datagram);
    let canonical = Canonical::read(&mut slice, &datagram)?;
    let arrival = Arrival { side: Side::Wan, ifindex: 0 };
    let said = judge::refused(&Packed::new(cells, canonical), datagram.src, arrival, (false, false), canonical);
    let (Said::Refused((verdict, reason)), country) = said else { return None };
    Some((verdict, reason, country))
}

fn policy(text: &str) -> Config {
    config::parse(text, None, std::path::Path::new(".")).unwrap().0
}

fn region(region: &str, rest: &str) -> Config {
    policy(&format!(
        "mode = \"enforce\"\n[interface.eth0]\nrole = \"wan\"\n[site]\nregion = \"{region}\"\nextensions = \"3-4\"\n\
         [profile.default]\noutside_line = [\"0\"]\n{rest}"
    ))
}

fn policies() -> Vec<(Config, Cells)> {
    [
        region("JP", "block = [\"SL\", \"+881\", \"+4420\", \"+7\"]\nallow = [\"+44207\"]"),
        region("JP", "class.international = \"block\"\nallow = [\"US\", \"+23276\"]\nbare_e164 = true"),
        region("US", "block = [\"SL\", \"+1876\", \"+35\"]\nemergency = [\"232112\"]"),
        region("DE", "block = [\"SL\", \"dial:+37\", \"dial:0900\"]"),
        region("GB", "class.international = \"monitor\"\nblock = [\"+2\"]\nallow = [\"+232\"]"),
        region("ZZ", "block = [\"+232\", \"+8\"]\nclass.unknown = \"block\""),
    ]
    .into_iter()
    .map(|config| {
        let cells = cells(&config);
        (config, cells)
    })
    .collect()
}

#[test]
fn a_blocked_country_is_refused_the_short_way() {
    let config = region("JP", "block = [\"SL\"]");
    let cells = cells(&config);
    let frame = frame_of(&invite("sip:+23276123456@gw.example.net"));
    let (verdict, reason, country) = short(&cells, &frame).unwrap();
    let long = host(&config).judge(&frame, Side::Wan, 0, 1);
    assert_eq!((verdict, reason, country), (long.verdict(), long.reason(), long.country));
    for uri in ["sip:+819012345678@gw.example.net", "sip:119@gw.example.net", "sip:23276123456;x=1@gw.example.net"] {
        assert_eq!(short(&cells, &frame_of(&invite(uri))), None, "{uri}");
    }
}

/// Numbers as callers dial them, heads of every kind, and what only looks like one.
fn dialled(chance: &mut Chance) -> String {
    const HEADS: [&str; 24] = [
        "+232", "+23276", "+1", "+1876", "+44", "+4420", "+44207", "+7", "+881", "+979", "+37", "+35", "+0", "+",
        "010232", "011232", "00232", "0", "119", "+81119", "0570", "+210", "+888", "232",
    ];
    let mut text = HEADS[chance.below(HEADS.len())].to_owned();
    for _ in 0..chance.below(15) {
        text.push(char::from(b'0' + chance.below(10) as u8));
    }
    if chance.one_in(20) {
        let at = chance.below(text.len() + 1);
        text.insert(at, char::from(b" -.;%@:+*#aZ/"[chance.below(13)]));
    }
    text
}

#[test]
fn what_the_short_way_refuses_the_long_way_refuses_too() {
    let mut chance = Chance(0x5eed);
    for (config, cells) in policies() {
        let mut long = host(&config);
        let mut refused = 0;
        for now in 1..=20_000u64 {
            let user = dialled(&mut chance);
            let frame = frame_of(&invite(&format!("sip:{user}@gw.example.net")));
            let judged = long.judge(&frame, Side::Wan, 0, now * 1_000_000_000);
            if let Some(short) = short(&cells, &frame) {
                refused += 1;
                assert_eq!(short, (judged.verdict(), judged.reason(), judged.country), "{user}");
            }
        }
        assert!(refused > 1000, "{refused} of 20,000");
    }
}

#[test]
fn a_blocked_country_has_one_answer_for_all_its_numbers() {
    use gateway_common::policy::image::{PROFILES, SHORT, Short};
    let cells = cells(&region("JP", "block = [\"SL\", \"+4420\"]"));
    let table = cells.cell(cells.cell(PROFILES) as u32 + SHORT) as u32;
    let answer = |head: u32| Short(cells.cell(table + 2 * head));
    let below = |head: u32| cells.cell(table + 2 * head + 1);
    assert!(answer(232).holds(11) && below(232) == 0, "a country");
    assert!(!answer(232).holds(4), "too few digits for a number");
    assert!(!answer(442).holds(12) && below(442) != 0, "what is blocked is only a part of it");
    assert!(!answer(819).holds(12), "the own country");
}
