//! The keys `redirects` and `called_party` of `[sip]`: further places of a message from which a server dials.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{frame_of, host, policy};
use gateway_common::{Reason, Verdict, judge::Side};
use gateway_user::engine::host::HostEngine;

const FORBIDDEN: &str = "sip:+23276123456@gw.example.net";

fn site(sip: &str) -> HostEngine {
    host(&policy(&format!(
        "mode = \"enforce\"\nfloor = false\n[sip]\n{sip}\n[site]\nregion = \"JP\"\nextensions = \"3\"\n[profile.default]\nblock = [\"SL\"]\n"
    )))
}

fn judged(engine: &mut HostEngine, side: Side, message: &str) -> (Verdict, Reason) {
    let judged = engine.judge(&frame_of(message.as_bytes()), side, 0, 1);
    (judged.verdict(), judged.reason())
}

/// A 302 and a REGISTER with these Contact lines.
fn both(contacts: &str) -> [String; 2] {
    let rest = format!(
        "Via: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK1\r\nFrom: <sip:1@x>;tag=1\r\nTo: <sip:1@x>\r\nCall-ID: 1\r\n\
         CSeq: 1 REGISTER\r\n{contacts}Content-Length: 0\r\n\r\n"
    );
    [format!("SIP/2.0 302 Moved Temporarily\r\n{rest}"), format!("REGISTER sip:x SIP/2.0\r\n{rest}")]
}

const PASSED: (Verdict, Reason) = (Verdict::Pass, Reason::SipOther);
const BLOCKED: (Verdict, Reason) = (Verdict::Drop, Reason::BlockedCountry);

#[test]
fn a_number_in_any_contact_is_judged() {
    let (engine, off) = (&mut site("redirects = true"), &mut site("redirects = false"));
    for contacts in [
        format!("Contact: <{FORBIDDEN}>\r\n"),
        format!("Contact: {FORBIDDEN}\r\n"),
        format!("m: \"Doe, John\" <{FORBIDDEN}>;expires=60\r\n"),
        format!("Contact: Doe, John <{FORBIDDEN}>\r\n"),
        format!("CONTACT :\r\n <{FORBIDDEN}>\r\n"),
        format!("Contact: <sip:201@x>, <{FORBIDDEN}>\r\n"),
        format!("Contact: <sip:201@x>,<{FORBIDDEN}>\r\n"),
        format!("Contact: <sip:201@x>,\r\n <{FORBIDDEN}>\r\n"),
        format!("Contact: <sip:201@x>;q=0.5;methods=\"INVITE, ACK\", <{FORBIDDEN}>;q=0.4\r\n"),
        format!("Contact: sip:201@x, {FORBIDDEN}\r\n"),
        format!("Contact: {FORBIDDEN}, sip:201@x\r\n"),
        format!("Contact: {FORBIDDEN}, <sip:201@x>\r\n"),
        format!("Contact: <sip:201@x>, {FORBIDDEN}\r\n"),
        format!("Contact: <sip:201@x>, {FORBIDDEN}, <sip:202@x>\r\n"),
        format!("Contact: <sip:201@x>,, <{FORBIDDEN}>\r\n"),
        format!("Contact: <sip:201@x>\r\nContact: <{FORBIDDEN}>\r\n"),
        format!("Contact: <sip:201@x>,\r\nSubject: x\r\nm: {FORBIDDEN}\r\n"),
        "Contact: <tel:+232-76-123456>\r\n".to_owned(),
        "Contact: <sip:201;rn=+23276123456@x>\r\n".to_owned(),
    ] {
        for message in both(&contacts) {
            assert_eq!(judged(engine, Side::Wan, &message), BLOCKED, "{message}");
            assert_eq!(judged(engine, Side::Lan, &message), BLOCKED, "{message}");
            assert_eq!(judged(off, Side::Wan, &message), PASSED, "{message}");
        }
    }
}

#[test]
fn a_trunk_may_redirect_and_monitor_mode_counts() {
    let trunk = "mode = \"enforce\"\nfloor = false\n[sip]\nredirects = true\n[site]\nregion = \"JP\"\n\
                 [profile.default]\nblock = [\"SL\"]\n[trunk.itsp]\nsources = [\"192.0.2.66\"]\n";
    let (engine, monitor) = (&mut host(&policy(trunk)), &mut host(&policy(&trunk.replace("enforce", "monitor"))));
    for message in both(&format!("Contact: <{FORBIDDEN}>\r\n")) {
        assert_eq!(judged(engine, Side::Wan, &message), PASSED, "{message}");
        assert_eq!(judged(monitor, Side::Lan, &message), (Verdict::WouldDrop, Reason::BlockedCountry), "{message}");
    }
}

#[test]
fn other_contacts_and_other_messages_pass() {
    let engine = &mut site("redirects = true");
    for contacts in [
        "",
        "Contact: *\r\n",
        "Contact: <sip:201@192.0.2.66:5060;transport=tcp;ob>;expires=300\r\n",
        "Contact: <sip:8f3c2a@192.0.2.66>;+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\"\r\n",
        "Contact: <sip:201@x>;methods=\"INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, REFER, NOTIFY, MESSAGE\"\r\n",
        "Contact: <sip:+442079460000@x>, <sip:0312345678@x>\r\n",
        "Contacts: <sip:+23276123456@x>\r\n",
        "X-Contact: <sip:+23276123456@x>\r\n",
    ] {
        for message in both(contacts) {
            assert_eq!(judged(engine, Side::Wan, &message), PASSED, "{message}");
        }
    }
    let [moved, register] = both(&format!("Contact: <{FORBIDDEN}>\r\n"));
    for other in [
        moved.replace("302 Moved Temporarily", "200 OK"),
        moved.replace("302 Moved Temporarily", "486 Busy Here"),
        register.replace("REGISTER", "SUBSCRIBE"),
        register.replace("REGISTER", "OPTIONS"),
    ] {
        assert_eq!(judged(engine, Side::Wan, &other), PASSED, "{other}");
    }
    assert_eq!(judged(engine, Side::Wan, &moved.replace("302 Moved", "380 Alternative")), BLOCKED);
}

#[test]
fn more_contacts_than_are_judged_are_unreadable() {
    let engine = &mut site("redirects = true");
    let unreadable = (Verdict::Drop, Reason::Unreadable);
    for count in 1..=12 {
        let want = if count <= 8 { PASSED } else { unreadable };
        let list = format!("Contact: {}\r\n", vec!["<sip:201@x>"; count].join(", "));
        for contacts in [list, "Contact: <sip:201@x>\r\n".repeat(count), "m: sip:201@x\r\n".repeat(count)] {
            for message in both(&contacts) {
                assert_eq!(judged(engine, Side::Wan, &message), want, "{count}: {message}");
            }
        }
    }
    // Contacts that lie behind the window.
    let far =
        format!("{}Contact: <{FORBIDDEN}>\r\n", "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(45));
    // And one without an address in front of another.
    let empty = format!("Contact:\r\nContact: <{FORBIDDEN}>\r\n");
    for message in both(&far).iter().chain(&both(&empty)) {
        assert_eq!(judged(engine, Side::Wan, message), unreadable, "{message}");
    }
}

#[test]
fn the_called_party_is_judged_where_the_policy_says_so() {
    let (engine, off) = (&mut site("called_party = true"), &mut site(""));
    let invite = |header: &str| {
        format!(
            "INVITE sip:201@x SIP/2.0\r\nFrom: <sip:1@x>;tag=1\r\nTo: <sip:201@x>\r\n{header}Content-Length: 0\r\n\r\n"
        )
    };
    for header in [
        format!("P-Called-Party-ID: <{FORBIDDEN}>\r\n"),
        format!("p-called-party-id : \"x\" <{FORBIDDEN}>;npi=1\r\n"),
        format!("P-Called-Party-ID:\r\n {FORBIDDEN}\r\n"),
        format!("P-Called-Party-ID: <{FORBIDDEN}>\r\nP-Called-Party-ID: <sip:201@x>\r\n"),
    ] {
        assert_eq!(judged(engine, Side::Wan, &invite(&header)), BLOCKED, "{header}");
        assert_eq!(judged(off, Side::Wan, &invite(&header)), (Verdict::Pass, Reason::NoNumber), "{header}");
    }
    for header in ["", "P-Called-Party-ID: <sip:202@x>\r\n", "P-Called-Party: <sip:+23276123456@x>\r\n"] {
        assert_eq!(judged(engine, Side::Wan, &invite(header)), (Verdict::Pass, Reason::NoNumber), "{header}");
    }
    // An emergency call that names another number somewhere is none.
    let split =
        invite(&format!("P-Called-Party-ID: <{}>\r\n", "sip:0312345678@x")).replacen("sip:201@x", "sip:110@x", 1);
    assert_eq!(judged(engine, Side::Wan, &split), (Verdict::Drop, Reason::AmbiguousTarget));
}
