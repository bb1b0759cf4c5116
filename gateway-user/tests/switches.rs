//! `international off`, `shield on`, `block --monitor`: what each stops, what it leaves open, and what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;
mod support;

use std::collections::HashMap;

use engine::{frame_from, invite, ordered, policy};
use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
    engine::host::HostEngine,
    orders::Scope,
    policy::{Caller, Holding, compile, explain},
};
use serde_json::{Value, json};
use support::{Daemon, stderr, stdout};

const MONITOR: &str = "mode = \"monitor\"\n[interface.eth0]\nrole = \"wan\"\n[site]\nregion = \"JP\"\nextensions = \"3\"\n\
                       own_numbers = [\"+81312345678\", \"+12025550123\"]\n[profile.default]\noutside_line = [\"9\"]\n\
                       block = [\"+8190\"]\nallow = [\"dial:010\", \"SL\"]\n\
                       [profile.us]\nregion = \"US\"\nsources = [\"198.51.100.0/28\"]\nblock = [\"+1901\"]\n\
                       [trunk.itsp]\nsources = [\"203.0.113.10\"]\n";

fn order(number: u64, rule: OrderRule, what: &[&str], scope: Scope) -> ActiveOrder {
    ActiveOrder { number, rule, what: what.iter().map(|what| what.parse().unwrap()).collect(), scope, max: None }
}

fn off(except: &[&str]) -> ActiveOrder {
    order(1, OrderRule::InternationalOff, except, Scope::Site)
}

fn call(engine: &mut HostEngine, source: [u8; 4], side: Side, uri: &str) -> Judged {
    engine.judge(&frame_from(source, &invite(uri)), side, 0, 1 << 50)
}

const PHONE: [u8; 4] = [192, 0, 2, 66];
const US: [u8; 4] = [198, 51, 100, 3];
const TRUNK: [u8; 4] = [203, 0, 113, 10];

#[track_caller]
fn is(engine: &mut HostEngine, source: [u8; 4], user: &str, verdict: Verdict, reason: Reason) {
    let judged = call(engine, source, Side::Wan, &format!("sip:{user}@gw.example.net"));
    assert_eq!((judged.verdict(), judged.reason()), (verdict, reason), "{user}");
}

use Verdict::{Drop, Pass, WouldDrop};

#[test]
fn what_leaves_the_country_stops_in_either_mode_and_nothing_else_does() {
    let mut engine = ordered(&policy(MONITOR), &[off(&[])]);
    for user in
        ["+23276123456", "010232761234567", "9010442071838750", "+881612345678", "+2101234567", "810442071838750"]
    {
        is(&mut engine, PHONE, user, Drop, Reason::InternationalOff);
    }
    is(&mut engine, PHONE, "0312345678", Pass, Reason::Allowed);
    is(&mut engine, PHONE, "+12025550123", Pass, Reason::Allowed);
    is(&mut engine, PHONE, "119", Pass, Reason::Emergency);
    is(&mut engine, PHONE, "9119", Pass, Reason::Emergency);
    is(&mut engine, PHONE, "203", Pass, Reason::NoNumber);
    is(&mut engine, PHONE, "09012345678", WouldDrop, Reason::BlockedPrefix);
    is(&mut engine, US, "+12125551234", Pass, Reason::Allowed);
    is(&mut engine, US, "+81312345679", Drop, Reason::InternationalOff);
}

#[test]
fn an_inbound_call_to_a_foreign_number_stops_and_one_to_the_site_does_not() {
    let mut engine = ordered(&policy(MONITOR), &[]);
    is(&mut engine, TRUNK, "+23276123456", Pass, Reason::Inbound);
    let mut engine = ordered(&policy(MONITOR), &[off(&[])]);
    is(&mut engine, TRUNK, "+23276123456", Drop, Reason::InternationalOff);
    is(&mut engine, TRUNK, "+81312345678", Pass, Reason::Inbound);
    is(&mut engine, TRUNK, "+12025550123", Pass, Reason::Inbound);
    is(&mut engine, TRUNK, "312", Pass, Reason::Inbound);
}

#[test]
fn only_its_own_exception_pierces_it() {
    let others = [
        order(2, OrderRule::Allow, &["+23276", "dial:010", "international", "192.0.2.66"], Scope::Site),
        order(3, OrderRule::Allow, &["SL"], Scope::Source("192.0.2.66".parse().unwrap())),
    ];
    let with = |except: &[&str]| [vec![off(except)], others.to_vec()].concat();
    let mut engine = ordered(&policy(MONITOR), &with(&[]));
    for user in ["+23276123456", "010232761234567", "+442079460000"] {
        is(&mut engine, PHONE, user, Drop, Reason::InternationalOff);
    }
    let mut engine = ordered(&policy(MONITOR), &with(&["GB", "+23276"]));
    is(&mut engine, PHONE, "010232761234567", Pass, Reason::Allowed);
    is(&mut engine, PHONE, "+442079460000", Pass, Reason::Allowed);
    is(&mut engine, PHONE, "+23225123456", Drop, Reason::InternationalOff);
    // What is excepted is judged as if nothing were off.
    let orders = [off(&["GB"]), order(2, OrderRule::Block, &["+4420"], Scope::Site)];
    let mut engine = ordered(&policy(MONITOR), &orders);
    is(&mut engine, PHONE, "+442079460000", Drop, Reason::Order);
    is(&mut engine, PHONE, "+441614960000", Pass, Reason::Allowed);
    // Of two that hold, each is pierced by its own exceptions.
    let orders = [off(&["GB"]), order(2, OrderRule::InternationalOff, &["SL"], Scope::Site)];
    let mut engine = ordered(&policy(MONITOR), &orders);
    is(&mut engine, PHONE, "+442079460000", Drop, Reason::InternationalOff);
}

#[test]
fn a_reading_that_the_file_blocks_hides_none_that_is_off() {
    // 9 and 011 for +232, or the area 901.
    let text =
        MONITOR.replace("sources = [\"198.51.100.0/28\"]", "sources = [\"198.51.100.0/28\"]\noutside_line = [\"9\"]");
    let config = policy(&text);
    let mut engine = ordered(&config, &[]);
    is(&mut engine, US, "9011232761", WouldDrop, Reason::BlockedPrefix);
    let mut engine = ordered(&config, &[order(1, OrderRule::InternationalOff, &[], Scope::Profile("us".into()))]);
    is(&mut engine, US, "901123276123456", Drop, Reason::InternationalOff);
    is(&mut engine, US, "9012345678", WouldDrop, Reason::BlockedPrefix);
    is(&mut engine, PHONE, "+442079460000", Pass, Reason::Allowed);
}

fn request(engine: &mut HostEngine, source: [u8; 4], side: Side, method: &str) -> (Verdict, Reason) {
    let message = String::from_utf8(invite("sip:0312345678@gw.example.net")).unwrap().replace("INVITE", method);
    let judged = engine.judge(&frame_from(source, message.as_bytes()), side, 0, 1 << 50);
    (judged.verdict(), judged.reason())
}

#[test]
fn the_shield_stops_what_sources_that_nobody_knows_start() {
    let orders = [order(1, OrderRule::Shield, &[], Scope::Site), order(2, OrderRule::Allow, &["SL"], Scope::Site)];
    let mut engine = ordered(&policy(MONITOR), &orders);
    for method in ["INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH"] {
        assert_eq!(request(&mut engine, PHONE, Side::Wan, method), (Drop, Reason::Shield), "{method}");
        let (verdict, _) = request(&mut engine, PHONE, Side::Lan, method);
        assert_eq!(verdict, Pass, "{method} from inside");
        let (verdict, _) = request(&mut engine, TRUNK, Side::Wan, method);
        assert_eq!(verdict, Pass, "{method} of a trunk");
    }
    for method in ["ACK", "BYE", "CANCEL", "PRACK", "INFO", "UPDATE", "NOTIFY"] {
        assert_eq!(request(&mut engine, PHONE, Side::Wan, method), (Pass, Reason::SipOther), "{method}");
    }
    is(&mut engine, PHONE, "119", Pass, Reason::Emergency);
    is(&mut engine, PHONE, "+23276123456", Drop, Reason::Shield);
    is(&mut engine, PHONE, "203", Drop, Reason::Shield);
}

#[test]
fn an_order_that_only_counts_takes_nothing_from_one_that_acts() {
    let count = |number, what: &[&str]| order(number, OrderRule::Monitor, what, Scope::Site);
    let mut engine = ordered(&policy(MONITOR), &[count(1, &["SL", "+44", "dial:0120", "198.51.100.9"])]);
    is(&mut engine, PHONE, "+23276123456", WouldDrop, Reason::Order);
    is(&mut engine, PHONE, "010442079460000", Pass, Reason::Allowed);
    is(&mut engine, PHONE, "+442079460000", WouldDrop, Reason::Order);
    is(&mut engine, PHONE, "0120123456", WouldDrop, Reason::Order);
    is(&mut engine, [198, 51, 100, 9], "2125551234", WouldDrop, Reason::Order);
    is(&mut engine, TRUNK, "+23276123456", WouldDrop, Reason::Order);
    is(&mut engine, PHONE, "119", Pass, Reason::Emergency);
    assert_eq!(request(&mut engine, [198, 51, 100, 9], Side::Wan, "REGISTER"), (WouldDrop, Reason::Order));
    // A wider block still stops, a narrower allow still lets pass, and the file's own stop is counted as such.
    let orders = [
        count(1, &["+23276", "+4420", "+8190"]),
        order(2, OrderRule::Block, &["SL"], Scope::Site),
        order(3, OrderRule::Allow, &["+442071"], Scope::Site),
    ];
    let mut engine = ordered(&policy(MONITOR), &orders);
    is(&mut engine, PHONE, "+23276123456", Drop, Reason::Order);
    is(&mut engine, PHONE, "+442071234567", Pass, Reason::Allowed);
    is(&mut engine, PHONE, "+442081234567", WouldDrop, Reason::Order);
    is(&mut engine, PHONE, "09012345678", WouldDrop, Reason::BlockedPrefix);
    // What a `dial:` order counts is judged by its number all the same.
    let text = MONITOR.replace("\"monitor\"", "\"enforce\"").replace("allow = [\"dial:010\", \"SL\"]", "");
    let mut engine = ordered(&policy(&text), &[count(1, &["dial:090"])]);
    is(&mut engine, PHONE, "09012345678", Drop, Reason::BlockedPrefix);
}

#[test]
fn the_shield_and_an_order_that_counts_are_shown_and_taken_back() {
    let daemon = Daemon::start();
    let text = stdout(&daemon.tollgate(&["shield", "on", "--for", "1h", "--reason", "flood"]));
    for needle in ["order 1 in force: shield on", "above every order", "tollgate undo 1"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    let text = stdout(&daemon.tollgate(&["block", "JP", "SL", "--monitor"]));
    assert!(text.contains("order 2 in force: block JP SL --monitor") && text.contains("only counts"), "{text}");
    let status = daemon.json(&["status", "--json"]);
    assert_eq!(status[0]["shield"][0]["order"], 1);
    assert!(stdout(&daemon.tollgate(&["status"])).contains("the shield is UP until"));
    let listed = daemon.json(&["list", "--json"]);
    assert!(listed.iter().any(|it| it["value"] == "SL" && it["action"] == "monitor" && it["origin"] == "order 2"));
    assert_eq!(daemon.json(&["orders", "--json"])[1]["verb"], "block --monitor");
    let rules: Vec<_> = daemon.board.lock().unwrap().orders.iter().map(|order| order.rule).collect();
    assert_eq!(rules, [OrderRule::Shield, OrderRule::Monitor]);
    let daemon = Daemon::start_in(daemon.stop());
    assert_eq!(daemon.board.lock().unwrap().orders.len(), 2);
    assert!(stdout(&daemon.tollgate(&["shield", "off"])).contains("undo 1 (shield on, site)"));
    assert!(daemon.tollgate(&["undo", "2"]).status.success());
    assert!(daemon.board.lock().unwrap().orders.is_empty());
    assert!(stderr(&daemon.tollgate(&["shield", "off"])).contains("nothing to take back"));
    assert_eq!(daemon.tollgate(&["allow", "SL", "--monitor"]).status.code(), Some(2));
}

#[test]
fn explain_names_the_order() {
    let config: Config = policy(MONITOR);
    let orders = [off(&["GB"])];
    let (image, _) = compile(&config, &orders, &HashMap::new(), 1).unwrap();
    let holding = Holding::nothing(jiff::Timestamp::UNIX_EPOCH);
    let told = explain(&config, &image, &orders, "+23276123456", &Caller::default(), &holding).unwrap();
    assert_eq!(told.reason, Reason::InternationalOff);
    let rule = told.rule.unwrap();
    assert!(
        rule.contains("order 1: international off --except GB (site)") && rule.contains("tollgate undo 1"),
        "{rule}"
    );
    let told = explain(&config, &image, &orders, "+442079460000", &Caller::default(), &holding).unwrap();
    assert_eq!(told.reason, Reason::Allowed);
    let step = told.steps.iter().find(|step| step.name == "kill switch").unwrap();
    assert!(!step.decides && step.finding.contains("does not concern it"), "{step:?}");
}

#[test]
fn the_receipt_says_what_stays_open_and_restore_takes_it_back() {
    let daemon = Daemon::start();
    let output =
        daemon.tollgate(&["international", "off", "--except", "GB", "+37167", "--for", "48h", "--reason", "fraud"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    for needle in [
        "order 1 in force: international off --except GB +37167",
        "after it was given",
        "GB (United Kingdom), as excepted",
        "emergency calls",
        "calls inside JP, own numbers and extensions",
        "1 abroad are up",
        "500 calls abroad and 40 emergency calls",
        "nothing but what it excepts itself",
        "tollgate undo 1",
        "(2d)",
    ] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    let active = daemon.board.lock().unwrap().orders.clone();
    assert_eq!((active[0].rule, active[0].what.len()), (OrderRule::InternationalOff, 2));

    let allowed = daemon.json(&["allow", "SL", "--json"]);
    let overridden = allowed[0]["overridden_by"][0].as_str().unwrap();
    assert!(overridden.contains("international off") && overridden.contains("tollgate undo 1"), "{overridden}");
    let second = daemon.json(&["international", "off", "--profile", "lobby", "--json"]);
    assert_eq!(second[0]["receipt"]["self_test"]["ok"], true);
    assert_eq!(second[0]["receipt"]["calls"], 1);
    assert_eq!(second[0]["expires"], Value::Null);

    let status = daemon.json(&["status", "--json"]);
    assert_eq!(status[0]["international_off"][0]["except"], json!(["GB", "+37167"]));
    assert_eq!(status[0]["international_off"][1]["scope"], "profile:lobby");
    let text = stdout(&daemon.tollgate(&["status"]));
    assert!(text.contains("international calls are OFF except GB +37167 until"), "{text}");
    let listed = daemon.json(&["list", "--json"]);
    assert!(
        listed.iter().any(|it| it["value"] == "international" && it["action"] == "international off"),
        "{listed:?}"
    );
    assert!(listed.iter().any(|it| it["value"] == "+37167" && it["action"] == "except"), "{listed:?}");
    let orders = daemon.json(&["orders", "--json"]);
    assert_eq!((&orders[0]["verb"], &orders[0]["reason"]), (&json!("international off"), &json!("fraud")));

    let restored = stdout(&daemon.tollgate(&["international", "restore"]));
    assert!(restored.contains("undo 1") && restored.contains("undo 3"), "{restored}");
    let left: Vec<u64> = daemon.board.lock().unwrap().orders.iter().map(|order| order.number).collect();
    assert_eq!(left, [2]);
    // Undoing the undo brings it back.
    assert!(daemon.tollgate(&["undo", "4"]).status.success());
    assert_eq!(daemon.json(&["status", "--json"])[0]["international_off"][0]["order"], 1);
}

#[test]
fn it_survives_a_restart_and_a_self_test_that_fails_is_loud() {
    let daemon = Daemon::start();
    daemon.board.lock().unwrap().fail_self_test = true;
    let output = daemon.tollgate(&["international", "off"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stdout(&output).contains("order 1 in force") && stdout(&output).contains("FAILED: 1 of"), "{output:?}");
    assert!(stderr(&output).contains("the order is in force, but the self-test failed"), "{output:?}");
    assert_eq!(daemon.board.lock().unwrap().orders.len(), 1, "it stays in force");
    let report = stdout(&daemon.tollgate(&["report", "--json"]));
    assert!(report.contains("self-test") && report.contains("FAILED"), "{report}");
    let daemon = Daemon::start_in(daemon.stop());
    assert_eq!(daemon.board.lock().unwrap().orders[0].rule, OrderRule::InternationalOff);
}

#[test]
fn bad_input_says_what_to_write() {
    let daemon = Daemon::start();
    for (arguments, code, needle) in [
        (&["international", "off", "--except", "44"][..], 2, "can mean two things"),
        (&["international", "off", "--except", ""], 2, "nothing is named"),
        (&["international", "off", "--except", "JP"], 2, "stay open anyway"),
        (&["international", "off", "--except", "+8190"], 2, "stay open anyway"),
        (&["international", "off", "--except", "dial:010"], 2, "only foreign numbers and countries"),
        (&["international", "off", "--except", "+210"], 2, "no country has numbers"),
        (&["international", "off", "--profile", "loby"], 1, "it has default, lobby"),
        (&["international", "off", "--until", "2020-01-01T00:00:00Z"], 2, "has passed"),
        (&["international", "restore"], 1, "nothing to take back"),
        (&["international", "restore", "--profile", "nobody"], 1, "it has default, lobby"),
        (&["international"], 2, "off"),
    ] {
        let output = daemon.tollgate(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(stderr(&output).contains(needle), "{arguments:?}: {output:?}");
    }
    assert!(daemon.board.lock().unwrap().orders.is_empty());
    assert!(daemon.tollgate(&["international", "off", "--profile", "lobby"]).status.success());
    let output = daemon.tollgate(&["international", "restore", "--profile", "default"]);
    assert!(stderr(&output).contains("in force: order 1 (profile:lobby)"), "{output:?}");
}
