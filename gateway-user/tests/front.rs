//! Limits that are asked before a request is read: what they refuse, and whom they never refuse.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{frame_from, host, policy};
use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::engine::host::HostEngine;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
const PBX: [u8; 4] = [192, 0, 2, 1];

fn gateway(mode: &str) -> HostEngine {
    host(&policy(&format!(
        r#"
        mode = "{mode}"
        [interface.eth0]
        role = "wan"
        [interface.eth1]
        role = "lan"
        [site]
        region = "JP"
        [profile.default]
        block = ["SL"]
        limits = ["caller", "outside", "register"]
        [ceiling]
        unproved = "50/s"
        burst = 200
        [limit.caller]
        key = "source"
        method = "INVITE"
        rate = "1/s"
        burst = 3
        over = "drop"
        [limit.outside]
        key = "unproved"
        method = "INVITE"
        rate = "10/s"
        burst = 40
        over = "drop"
        [limit.register]
        key = "unproved"
        method = "REGISTER"
        rate = "10/s"
        burst = 40
        over = "drop"
    "#
    )))
}

fn request(method: &str, uri: &str, call: &str, rest: &str) -> Vec<u8> {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{call}\r\nFrom: <sip:a@x>;tag=f{call}\r\nTo: <{uri}>{rest}\r\n\
         Call-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:a@x>\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn answer(status: &str, method: &str, call: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK{call}\r\nFrom: <sip:a@x>;tag=f{call}\r\n\
         To: <sip:b@x>;tag=pbx{call}\r\nCall-ID: {call}\r\nCSeq: 1 {method}\r\nContact: <sip:100@192.0.2.1>\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

fn outside(host: &mut HostEngine, source: [u8; 4], message: &[u8], now: u64) -> Judged {
    host.judge(&frame_from(source, message), Side::Wan, 0, now)
}

/// The PBX answers a source outside.
fn answers(host: &mut HostEngine, to: [u8; 4], message: &[u8], now: u64) {
    let builder =
        etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(PBX, to, 64).udp(5060, 5060);
    let mut frame = Vec::new();
    builder.write(&mut frame, message).unwrap();
    assert!(host.judge(&frame, Side::Lan, 0, now).verdict().passes());
}

/// So many INVITEs at once, each of a source that appears once; returns how many passed.
fn flood(host: &mut HostEngine, user: &str, count: u32, now: u64) -> u32 {
    let passes = |number: u32| {
        let [_, b, c, d] = number.to_be_bytes();
        let message = request("INVITE", &format!("sip:{user}@x"), &format!("flood{now}-{number}"), "");
        u32::from(outside(host, [10, b, c, d], &message, now).verdict().passes())
    };
    (0..count).map(passes).sum()
}

const TELEPHONE: [u8; 4] = [198, 51, 100, 7];

fn calls(host: &mut HostEngine, call: &str, now: u64) -> (Verdict, Reason) {
    let judged = outside(host, TELEPHONE, &request("INVITE", "sip:0312345678@x", call, ""), now);
    (judged.verdict(), judged.reason())
}

#[test]
fn strangers_get_three_quarters_of_the_burst_and_who_comes_back_the_rest() {
    for user in ["0312345678", "100", "alice", "%30312345678"] {
        let mut host = gateway("enforce");
        let now = 100 * SECOND;
        assert_eq!(flood(&mut host, user, 1000, now), 30, "{user}");
        assert_eq!(calls(&mut host, "new", now), (Verdict::Drop, Reason::UnprovedLimit), "{user}");
        // The flood goes on.
        flood(&mut host, user, 1000, now + 400 * MS);
        assert_eq!(calls(&mut host, "new", now + 100 * MS).1, Reason::UnprovedLimit, "that is no timer of SIP: {user}");
        assert_eq!(calls(&mut host, "new", now + 500 * MS), (Verdict::Pass, Reason::Allowed), "{user}");
    }
}

#[test]
fn together_they_get_the_limit_and_no_more() {
    let mut host = gateway("enforce");
    let mut passed = 0;
    // Each source comes back again and again.
    for round in 0..40 {
        passed += flood(&mut host, "0312345678", 500, 100 * SECOND + round * 500 * MS);
    }
    // 19.5 seconds from the first to the last.
    assert!((230..=40 + 195).contains(&passed), "{passed}");
}

#[test]
fn whom_the_pbx_challenged_comes_through_with_credentials() {
    let mut host = gateway("enforce");
    let now = 100 * SECOND;
    assert_eq!(calls(&mut host, "a", now), (Verdict::Pass, Reason::Allowed));
    flood(&mut host, "0312345678", 1000, now);
    answers(&mut host, TELEPHONE, &answer("407 Proxy Authentication Required", "INVITE", "a"), now + 20 * MS);
    let credentials =
        "\r\nProxy-Authorization: Digest username=\"a\", realm=\"x\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    let again = request("INVITE", "sip:0312345678@x", "a", credentials);
    let judged = outside(&mut host, TELEPHONE, &again, now + 40 * MS);
    assert_eq!((judged.verdict(), judged.reason()), (Verdict::Pass, Reason::Repeat), "it counts once");
    assert_eq!(calls(&mut host, "b", now + 5 * SECOND).1, Reason::Allowed);
    flood(&mut host, "0312345678", 1000, now + 5 * SECOND);
    assert_eq!(calls(&mut host, "c", now + 5 * SECOND).1, Reason::UnprovedLimit, "a challenge is not for ever");
}

#[test]
fn a_call_that_is_up_stays_up_under_a_flood() {
    let mut host = gateway("enforce");
    let now = 100 * SECOND;
    assert_eq!(calls(&mut host, "a", now), (Verdict::Pass, Reason::Allowed));
    answers(&mut host, TELEPHONE, &answer("200 OK", "INVITE", "a"), now + SECOND);
    let later = now + 3 * 3600 * SECOND;
    flood(&mut host, "0312345678", 1000, later);
    let again = request("INVITE", "sip:100@192.0.2.1", "a", ";tag=pbxa");
    let judged = outside(&mut host, TELEPHONE, &again, later);
    assert_eq!((judged.verdict(), judged.reason()), (Verdict::Pass, Reason::InDialog));
}

#[test]
fn an_emergency_call_passes_and_a_blocked_number_is_called_blocked() {
    let mut host = gateway("enforce");
    let now = 100 * SECOND;
    flood(&mut host, "100", 1000, now);
    for (uri, reason) in [
        ("sip:119@x", Reason::Emergency),
        ("sip:%31%31%39@x", Reason::Emergency),
        ("urn:service:sos", Reason::Emergency),
        ("tel:110", Reason::Emergency),
        ("sip:+23276123456@x", Reason::BlockedCountry),
        ("sip:01023276123456@x", Reason::BlockedCountry),
        ("sip:0312345678@x", Reason::UnprovedLimit),
    ] {
        let source = [198, 51, 100, uri.len() as u8];
        assert_eq!(outside(&mut host, source, &request("INVITE", uri, uri, ""), now).reason(), reason, "{uri}");
    }
    // Whom a request without a user is for stands in To.
    let to = |to: &str| {
        format!(
            "INVITE sip:pbx.example.net SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n\
             To: <{to}>\r\nCall-ID: {to}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for (uri, reason) in [("sip:119@x", Reason::Emergency), ("sip:x", Reason::UnprovedLimit)] {
        assert_eq!(outside(&mut host, [198, 51, 100, 99], to(uri).as_bytes(), now).reason(), reason, "{uri}");
    }
}

#[test]
fn one_source_meets_its_own_limit_and_the_ceiling() {
    let mut host = gateway("enforce");
    let now = 100 * SECOND;
    let reasons: Vec<_> = (0..5).map(|call| calls(&mut host, &format!("own{call}"), now).1).collect();
    assert_eq!(reasons, [Reason::Allowed, Reason::Allowed, Reason::Allowed, Reason::SourceLimit, Reason::SourceLimit]);
    let options = request("OPTIONS", "sip:100@x", "o", "");
    let last = (0..200).map(|_| outside(&mut host, [198, 51, 100, 8], &options, now).reason()).last();
    assert_eq!(last, Some(Reason::SipOther));
    assert_eq!(outside(&mut host, [198, 51, 100, 8], &options, now).reason(), Reason::PacketLimit);
}

#[test]
fn registrations_are_told_apart_from_calls() {
    let mut host = gateway("enforce");
    let now = 100 * SECOND;
    flood(&mut host, "100", 1000, now);
    let register = |call: &str| request("REGISTER", "sip:x", call, "");
    let mut passed = 0;
    for number in 0..100u8 {
        let judged = outside(&mut host, [10, 200, 0, number], &register(&format!("r{number}")), now);
        passed += u32::from(judged.verdict().passes());
    }
    assert_eq!(passed, 30);
    assert_eq!(outside(&mut host, TELEPHONE, &register("t"), now).reason(), Reason::UnprovedLimit);
    assert_eq!(outside(&mut host, TELEPHONE, &register("t"), now + 500 * MS).reason(), Reason::SipOther);
    // Challenged, it registers with credentials.
    answers(&mut host, TELEPHONE, &answer("401 Unauthorized", "REGISTER", "t"), now + 510 * MS);
    for number in 100..200u8 {
        outside(&mut host, [10, 200, 0, number], &register(&format!("r{number}")), now + 520 * MS);
    }
    assert_eq!(outside(&mut host, TELEPHONE, &register("t"), now + 530 * MS).reason(), Reason::SipOther);
}

#[test]
fn monitor_mode_cuts_nothing() {
    let mut host = gateway("monitor");
    let now = 100 * SECOND;
    assert_eq!(flood(&mut host, "0312345678", 1000, now), 1000);
    assert_eq!(calls(&mut host, "a", now), (Verdict::WouldDrop, Reason::UnprovedLimit));
}

#[test]
fn who_is_known_meets_none_of_them() {
    let mut host = gateway("enforce");
    let now = 100 * SECOND;
    let credentials =
        "\r\nAuthorization: Digest username=\"a\", realm=\"x\", nonce=\"n\", uri=\"sip:x\", response=\"0\"";
    let register = request("REGISTER", "sip:x", "reg", credentials);
    assert_eq!(outside(&mut host, TELEPHONE, &register, now).reason(), Reason::SipOther);
    answers(&mut host, TELEPHONE, &answer("200 OK", "REGISTER", "reg"), now + MS);
    flood(&mut host, "0312345678", 1000, now + 2 * MS);
    assert_eq!(calls(&mut host, "a", now + 3 * MS), (Verdict::Pass, Reason::Allowed));
}

#[test]
fn a_limit_for_which_there_is_no_room_in_front_is_read_before_any_is_taken() {
    let names: Vec<String> = (1..=8).map(|number| format!("l{number}")).collect();
    let limits = names.iter().map(|name| {
        // The ceiling takes the place of the eighth.
        let rate = if name == "l8" { "rate = \"1/s\"\nburst = 1" } else { "rate = \"1/h\"\nburst = 3" };
        format!("[limit.{name}]\nkey = \"source\"\nmethod = \"INVITE\"\n{rate}\nover = \"drop\"\n")
    });
    let mut host = host(&policy(&format!(
        "mode = \"enforce\"\n[interface.eth0]\nrole = \"wan\"\n[site]\nregion = \"JP\"\n[profile.default]\nlimits = {names:?}\n{}",
        limits.collect::<String>()
    )));
    let mut passed = Vec::new();
    for call in 0..40u64 {
        let now = 100 * SECOND + call * 100 * MS;
        if calls(&mut host, &format!("eight{call}"), now).0 == Verdict::Pass {
            passed.push(call);
        }
    }
    assert_eq!(passed, [0, 10, 20], "three of an hour, one a second");
}
