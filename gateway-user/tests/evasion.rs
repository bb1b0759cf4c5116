//! Every known disguise of a call, and what looks like one and is none, through the engine in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::path::{Path, PathBuf};

use engine::{frame_of, host};
use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::{
    capture,
    config::{self, Config},
};
use serde_json::Value;

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
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The policy of the set, with one line more in `[sip]`.
fn with(line: &str) -> Config {
    let text = std::fs::read_to_string(folder().join("policy.toml")).unwrap();
    engine::policy(&text.replacen("[sip]\n", &format!("[sip]\n{line}\n"), 1))
}

/// What the first message of the set's case gets.
fn judged(policy: &Config, id: &str) -> (Verdict, Reason, String) {
    let message = std::fs::read(folder().join(format!("{id}.sip"))).unwrap();
    let judged = host(policy).judge(&frame_of(&message), Side::Wan, 0, 1);
    (judged.verdict(), judged.reason(), String::from_utf8_lossy(judged.dialled()).into_owned())
}

#[test]
fn the_keys_of_the_policy_decide_about_redirections_and_the_called_party() {
    let (plain, _) = config::load(&folder().join("policy.toml")).unwrap();
    let (redirects, called_party) = (with("redirects = true"), with("called_party = true"));
    let blocked = (Verdict::Drop, Reason::BlockedPrefix, "+23276123456".to_owned());
    // The number in a Contact: 302, and REGISTER with tel: and sip:.
    for id in ["H18", "H19", "H20"] {
        assert_eq!(judged(&plain, id).0, Verdict::Pass, "{id} without redirects");
        assert_eq!(judged(&redirects, id), blocked, "{id} with redirects");
        assert_eq!(judged(&called_party, id).0, Verdict::Pass, "{id} with called_party");
    }
    assert_eq!(judged(&plain, "H03").0, Verdict::Pass);
    assert_eq!(judged(&redirects, "H03").0, Verdict::Pass);
    assert_eq!(judged(&called_party, "H03"), blocked);
    // REFER needs no key.
    for id in ["H14", "H15", "H16", "H17"] {
        for policy in [&plain, &redirects, &called_party] {
            assert_eq!(judged(policy, id), blocked, "{id}");
        }
    }
}

#[test]
fn with_both_keys_nothing_that_must_pass_is_stopped() {
    let policy = with("redirects = true\ncalled_party = true");
    for case in cases("cases.json") {
        let [id, expect] = ["id", "expect"].map(|key| case[key].as_str().unwrap());
        let (verdict, reason, dialled) = judged(&policy, id);
        assert!(expect != "pass" || verdict.passes(), "{id}: {reason:?} {dialled:?}");
        assert!(expect != "block" || !verdict.passes(), "{id}: {reason:?} {dialled:?}");
    }
}

/// The verdicts over the packets of a capture that are not `not-sip`, in a row.
fn capture_of(policy: &Config, id: &str) -> Vec<(Verdict, Reason)> {
    let mut engine = host(policy);
    let packets = capture::open(&folder().join(format!("pcap/{id}.pcap"))).unwrap();
    let judged = packets.map(|packet| {
        let packet = packet.unwrap();
        engine.judge(&capture::to_ethernet(&packet).unwrap(), Side::Wan, 0, packet.time_ns)
    });
    judged.map(|judged| (judged.verdict(), judged.reason())).filter(|(_, reason)| *reason != Reason::NotSip).collect()
}

#[test]
fn disguises_by_segments_get_what_the_policy_says_of_tcp() {
    const READ: Reason = Reason::BlockedPrefix;
    const CUT: Reason = Reason::Unreadable;
    let [inspect, deny, pass] = ["inspect", "deny", "pass"].map(|word| with(&format!("tcp = \"{word}\"")));
    let first = |policy, id| capture_of(policy, id).into_iter().find(|(verdict, _)| *verdict != Verdict::Pass);
    for (id, reason) in [
        ("T40", Some(READ)),
        ("T41", Some(CUT)),
        ("T42", Some(CUT)),
        ("T43", Some(CUT)),
        ("T44", Some(CUT)),
        ("T45", Some(READ)),
        ("T46", Some(CUT)),
        ("T47", Some(READ)),
        ("T48", Some(READ)),
        ("T49", None),
        ("T50", Some(READ)),
    ] {
        assert_eq!(first(&inspect, id), reason.map(|reason| (Verdict::Reject, reason)), "{id} under inspect");
        // What can be read is judged under any word; what cannot is only counted.
        let passed = reason.map(|reason| (if reason == CUT { Verdict::WouldDrop } else { Verdict::Reject }, reason));
        assert_eq!(first(&pass, id), passed, "{id} under pass");
        // Every capture begins with the handshake.
        assert_eq!(capture_of(&deny, id)[0], (Verdict::Reject, Reason::TcpDenied), "{id} under deny");
    }
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
        let ok = match expect {
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
