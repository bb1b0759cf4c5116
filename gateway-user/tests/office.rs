//! No good call is cut: a generated office under the shipped policies, and every message that only looks like a call to a
//! blocked number.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::path::Path;

use engine::{chance::Chance, frame_from, frame_of, host, invite, policy};
use gateway_common::{Reason, judge::Side};
use gateway_user::engine::host::HostEngine;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;

const TRUNK: [u8; 4] = [203, 0, 113, 10];

/// One shipped policy, and what people dial under it: letters stand for digits (`d` any, `n` 2 to 9).
struct Office {
    region: &'static str,
    policy: &'static str,
    own: &'static str,
    emergency: &'static [&'static str],
    dialled: &'static [&'static str],
}

const OFFICES: [Office; 3] = [
    Office {
        region: "JP",
        policy: include_str!("../policies/jp.toml"),
        own: "+81312345678",
        emergency: &["110", "118", "119", "184110", "186119", "184118", "184119", "186110", "1-1-9", "%31%31%30"],
        dialled: &[
            "nd",
            "ndd",
            "nddd",
            "ndddd",
            "03ndddnddd",
            "06ndddnddd",
            "011ndddddd",
            "052nddnddd",
            "092nddnddd",
            "0422nddddd",
            "0980nddddd",
            "04992ndddd",
            "07012345ddd",
            "080ndddnddd",
            "090ndddnddd",
            "050ndddnddd",
            "0120dddddd",
            "0800ddddddd",
            "0570dddddd",
            "0990dddddd",
            "0180dddddd",
            "184090ndddnddd",
            "18603ndddnddd",
            "122003306ndddnddd",
            "003303ndddnddd",
            "007706ndddnddd",
            "103",
            "104",
            "113",
            "115",
            "116",
            "117",
            "136",
            "171",
            "177",
            "188",
            "189",
            "#7119",
            "#8000",
            "#9110",
            "*31#090ndddnddd",
            "+813ndddnddd",
            "+8190ndddnddd",
            "+81 (0)3-nddd-nddd",
            "03-nddd-nddd",
            "(03) nddd nddd",
            "0312345678",
            "+81312345678",
            "010442071838750",
            "+12025550123",
            "0033010493012345",
            "184010493012345",
            "ndddnddd",
            "nddddddd",
        ],
    },
    Office {
        region: "US",
        policy: include_str!("../policies/us.toml"),
        own: "+12025550123",
        emergency: &["911", "112", "9-1-1", "*67911", "*82911", "%39%31%31"],
        dialled: &[
            "nd",
            "ndd",
            "nddd",
            "ndddd",
            "nddnddd",
            "212nddnddd",
            "310nddnddd",
            "415nddnddd",
            "617nddnddd",
            "702nddnddd",
            "305nddnddd",
            "810nddnddd",
            "1212nddnddd",
            "1312nddnddd",
            "1907nddnddd",
            "1808nddnddd",
            "+1206nddnddd",
            "+1404nddnddd",
            "1800nddnddd",
            "888nddnddd",
            "1877nddnddd",
            "18665550123",
            "1833nddnddd",
            "1900nddnddd",
            "900nddnddd",
            "1500nddnddd",
            "211",
            "311",
            "411",
            "511",
            "611",
            "711",
            "811",
            "988",
            "*67212nddnddd",
            "*821415nddnddd",
            "*69",
            "*72nddnddd",
            "10102881212nddnddd",
            "(212) nddnddd",
            "1-212-ndd-nddd",
            "212.ndd.nddd",
            "+1 (617) ndd-nddd",
            "2025550123",
            "12025550123",
            "+12025550123",
            "011442071838750",
            "+81312345678",
            "*67011442071838750",
            "0",
            "00",
            "18765550123",
            "12425550123",
        ],
    },
    Office {
        region: "DE",
        policy: include_str!("../policies/de.toml"),
        own: "+493012345678",
        emergency: &["110", "112", "1-1-2", "*31#112", "#31#110", "%31%31%32"],
        dialled: &[
            "nd",
            "ndd",
            "nddd",
            "ndddd",
            "nddddd",
            "ndddddd",
            "nddddddd",
            "030nddddddd",
            "089nddddd",
            "089ndddddd",
            "0232nnddd",
            "02325ndddd",
            "08105ndddd",
            "0810nnddd",
            "0221nddddddd",
            "040ndddddd",
            "0203ndddddd",
            "015112345ddd",
            "0160ddddddd",
            "0171ddddddd",
            "0172dddddddd",
            "0179ddddddd",
            "0800ddddddd",
            "0180nddddd",
            "0137nddddddd",
            "0900ndddddd",
            "032ddddddddd",
            "0700dddddddd",
            "115",
            "116000",
            "116111",
            "116116",
            "116117",
            "116123",
            "11833",
            "01033030nddddddd",
            "010130171ddddddd",
            "*31#030nddddddd",
            "#31#0171ddddddd",
            "+4930nddddddd",
            "+49171ddddddd",
            "+49 (0)30 nddddddd",
            "030 nddddddd",
            "03012345678",
            "+493012345678",
            "0043123456789",
            "+442071838750",
            "01033004312345678",
            "00",
        ],
    },
];

/// User parts that are no numbers.
const WORDS: [&str; 12] = [
    "alice",
    "anonymous",
    "sales.office",
    "232abc",
    "232.sales",
    "bob-2",
    "conference_12",
    "voicemail",
    "*97",
    "232e4567-e89b-12d3-a456-426614174000",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "00000000-0000-4000-8000-000000000232",
];

impl Office {
    fn engine(&self) -> HostEngine {
        let text = self
            .policy
            .replace("mode = \"monitor\"", "mode = \"enforce\"")
            .replace("[profile.default]\n", &format!("own_numbers = [\"{}\"]\n[profile.default]\n", self.own));
        assert_ne!(text, self.policy, "{}: the policy has changed", self.region);
        let policy = policy(&format!("{text}\n[trunk.itsp]\nsources = [\"203.0.113.10\"]\n"));
        // A Tuesday, in the hours in which the limits of night and weekend do not hold.
        let tuesday: Timestamp = "2026-11-17T00:00:00Z".parse().unwrap();
        let working = (0..24).map(|hour| tuesday + hour.hours()).find(|now| policy.active_schedules(*now).is_empty());
        host(&policy.at(working.unwrap()))
    }

    /// A user part that somebody in this office may dial.
    fn dialled(&self, chance: &mut Chance) -> String {
        match chance.below(12) {
            0 => chance.pick(&WORDS).into(),
            1 => uuid(chance),
            2 => chance.pick(self.emergency).into(),
            _ => {
                let form = chance.pick(self.dialled);
                filled(chance, form)
            }
        }
    }
}

fn filled(chance: &mut Chance, form: &str) -> String {
    form.chars()
        .map(|c| match c {
            'd' => chance.pick(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]).to_owned(),
            'n' => chance.digits(1),
            '#' => "%23".into(),
            ' ' => "%20".into(),
            c => c.into(),
        })
        .collect()
}

fn uuid(chance: &mut Chance) -> String {
    let hex = |chance: &mut Chance, count| -> String {
        (0..count)
            .map(|_| chance.pick(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c", "d", "e", "f"]))
            .collect()
    };
    [8, 4, 4, 4, 12].map(|count| hex(chance, count)).join("-")
}

/// What a provider sends: any Request-URI at all.
fn inbound(chance: &mut Chance) -> String {
    let count = 1 + chance.below(25);
    let head = chance.pick(&["", "+", "00", "010", "011", "+232", "+881", "++", "%2B232", "%zz", "0", "184"]);
    format!(
        "{head}{}{}",
        chance.digits(count),
        chance.pick(&["", "", ";rn=+23276123456", ";npdi", ";phone-context=+232"])
    )
}

#[test]
fn no_call_of_an_office_is_dropped() {
    const ALL: usize = 10_000;
    for office in &OFFICES {
        let mut chance = Chance(0x5eed_0ff1_ce00_0001);
        let mut engine = office.engine();
        let mut now = 1;
        let mut wrong = Vec::new();
        for _ in 0..ALL {
            let user = office.dialled(&mut chance);
            let from_trunk = inbound(&mut chance);
            // Two hundred telephones that place 360 calls a day, as limits by windows expect of an office.
            let telephone = [198, 51, 100, 1 + u8::try_from(chance.below(200)).unwrap()];
            let calls = [
                ("LAN", Side::Lan, telephone, &user),
                ("WAN", Side::Wan, telephone, &user),
                ("trunk", Side::Wan, TRUNK, &user),
                ("trunk", Side::Wan, TRUNK, &from_trunk),
            ];
            for (from, side, source, user) in calls {
                now += 60_000_000_000;
                let message = String::from_utf8(invite(&format!("sip:{user}@pbx.example.net"))).unwrap();
                let message = message.replace("sip:203@", &format!("sip:{}@", 200 + u16::from(telephone[3])));
                let judged = engine.judge(&frame_from(source, message.as_bytes()), side, 0, now);
                let emergency = office.emergency.contains(&user.as_str()) && source != TRUNK;
                let right = judged.verdict().passes() && (!emergency || judged.reason() == Reason::Emergency);
                if !right {
                    let (verdict, reason) = (judged.verdict().as_str(), judged.reason().as_str());
                    wrong.push(format!("{user} from {from}: {verdict} {reason} {}", judged.class().as_str()));
                }
            }
        }
        println!("{}: {} calls", office.region, 4 * ALL);
        wrong.sort();
        wrong.dedup();
        let some = &wrong[..wrong.len().min(30)];
        assert!(wrong.is_empty(), "{}: {}:\n{}", office.region, wrong.len(), some.join("\n"));
    }
}

#[test]
fn what_only_looks_like_a_blocked_call_passes_everywhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evasion");
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(folder.join("cases.json")).unwrap()).unwrap();
    for office in &OFFICES {
        let region = office.region;
        let mut engine = office.engine();
        let mut now = 1;
        let mut passes = 0;
        for case in cases.iter().filter(|case| case["expect"] == "pass") {
            let message = std::fs::read(folder.join(case["file"].as_str().unwrap())).unwrap();
            for side in [Side::Lan, Side::Wan] {
                now += 10_000_000_000;
                let judged = engine.judge(&frame_of(&message), side, 0, now);
                passes += 1;
                assert!(judged.verdict().passes(), "{region}: {case} {}", judged.reason().as_str());
            }
        }
        assert!(passes > 0);
        println!("{region}: {passes} messages");
    }
}
