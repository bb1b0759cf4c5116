//! Every known disguise of a call, and what looks like one and is none, through the engine in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::path::{Path, PathBuf};

use engine::{frame_of, host};
use gateway_common::{Reason, judge::Side, judged::Judged};
use gateway_user::{capture, config};
use serde_json::Value;

/// Messages judged otherwise than their author expects, each with its reason.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "U37",
    "the Request-URI has no user, so FreeSWITCH dials To, whose number is blocked; that the host is written as an IPv6 \
     address makes no difference to it (U38, where the host is a name, must be blocked)",
)];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evasion")
}

fn cases(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn right(expect: &str, judged: &Judged) -> bool {
    match expect {
        "block" => !judged.verdict().passes(),
        "pass" => judged.verdict().passes(),
        _ => true,
    }
}

#[test]
fn every_message_is_judged_as_it_must_be() {
    let (policy, _) = config::load(&folder().join("policy.toml")).unwrap();
    let cases = cases("cases.json");
    assert_eq!(cases.len(), 251);
    let mut wrong = Vec::new();
    for case in &cases {
        let [id, expect, title] = ["id", "expect", "title"].map(|key| case[key].as_str().unwrap());
        let message = std::fs::read(folder().join(case["file"].as_str().unwrap())).unwrap();
        let judged = host(&policy).judge(&frame_of(&message), Side::Wan, 0, 1);
        let dialled = String::from_utf8_lossy(judged.dialled()).into_owned();
        let wanted = case["dialled"].as_str().filter(|_| expect != "policy");
        if !right(expect, &judged) || wanted.is_some_and(|wanted| wanted != dialled) {
            let (verdict, reason) = (judged.verdict().as_str(), judged.reason().as_str());
            wrong.push(format!("{id} {title}: {verdict} {reason} {dialled:?}, not {expect} {wanted:?}"));
        }
    }
    let excepted = |line: &String| EXCEPTIONS.iter().any(|(id, _)| line.starts_with(id));
    assert_eq!(wrong.iter().filter(|line| excepted(line)).count(), EXCEPTIONS.len(), "an exception is none any more");
    wrong.retain(|line| !excepted(line));
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_capture_is_judged_as_it_must_be() {
    let (policy, _) = config::load(&folder().join("policy.toml")).unwrap();
    let cases = cases("pcap/cases.json");
    assert_eq!(cases.len(), 67);
    let mut wrong = Vec::new();
    for case in &cases {
        let [id, file, expect, title] = ["id", "file", "expect", "title"].map(|key| case[key].as_str().unwrap());
        let mut engine = host(&policy);
        let mut blocked = 0;
        let mut reasons = Vec::new();
        for packet in capture::open(&folder().join("pcap").join(file)).unwrap() {
            let packet = packet.unwrap();
            let frame = capture::to_ethernet(&packet).unwrap();
            let judged = engine.judge(&frame, Side::Wan, 0, packet.time_ns);
            blocked += usize::from(!judged.verdict().passes());
            reasons.push(judged.reason());
        }
        let tcp = title.starts_with("TCP");
        let ok = match expect {
            // SIP over TCP is not read.
            "block" if tcp => reasons.iter().all(|reason| *reason == Reason::NotSip),
            "block" => blocked > 0,
            "pass" => blocked == 0,
            _ => true,
        };
        if !ok {
            wrong.push(format!("{id} {title}: {blocked} blocked, {reasons:?}, not {expect}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_chain_of_codes_in_front_of_a_blocked_number_is_seen_through() {
    let (policy, _) = config::load(&folder().join("policy.toml")).unwrap();
    let profile = &policy.profiles[0];
    let with_none = |codes: &[String]| [String::new()].into_iter().chain(codes.iter().cloned()).collect::<Vec<_>>();
    let mut engine = host(&policy);
    let mut missed = Vec::new();
    let mut now = 1;
    for outside in with_none(&profile.outside_line) {
        for service in with_none(&profile.service_codes) {
            for carrier in with_none(&profile.carrier_codes) {
                for access in &profile.access_codes {
                    for front in [format!("{outside}{service}"), format!("{service}{outside}")] {
                        let dialled = format!("{front}{carrier}{access}23276123456");
                        // Behind the plus nothing in front of it counts.
                        let uri = format!("sip:{}@gw.example.net", dialled.replace('#', "%23"));
                        now += 10_000_000_000;
                        let judged = engine.judge(&frame_of(&engine::invite(&uri)), Side::Wan, 0, now);
                        if judged.verdict().passes() {
                            missed.push(format!("{dialled}: {:?} {:?}", judged.class(), judged.reason()));
                        }
                    }
                }
            }
        }
    }
    assert!(missed.is_empty(), "{} missed, such as\n{}", missed.len(), missed[..missed.len().min(20)].join("\n"));
}
