//! Disguises that the set of `evasion.rs` does not have, and honest messages that look like them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{frame_of, host, policy};
use etherparse::{IpNumber, PacketBuilder};
use gateway_common::{Class, Reason, Verdict, judge::Side, judged::Judged};

const SITE: &str = "[interface.eth0]\nrole = \"wan\"\n[site]\nregion = \"JP\"\nextensions = \"2-5\"\n";
const BLOCKED: &str = "+232761234567";

fn judged(region: &str, message: &str) -> Judged {
    let text = format!("mode = \"enforce\"\n{SITE}[profile.default]\nblock = [\"SL\"]\n").replace("JP", region);
    host(&policy(&text)).judge(&frame_of(message.as_bytes()), Side::Wan, 0, 1)
}

fn request(start: &str, headers: &str) -> String {
    let method = start.split(' ').next().unwrap();
    format!(
        "{start} SIP/2.0\r\n{headers}Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\r\n"
    )
}

fn stopped(message: &str) {
    let judged = judged("JP", message);
    assert!(!judged.verdict().passes(), "{} {}: {message}", judged.verdict().as_str(), judged.reason().as_str());
}

fn passes(message: &str) {
    let judged = judged("JP", message);
    assert!(judged.verdict().passes(), "{} {}: {message}", judged.verdict().as_str(), judged.reason().as_str());
}

/// What an INVITE to this user is, at a site of the region.
fn class(region: &str, user: &str) -> Class {
    let judged = judged(region, &request(&format!("INVITE sip:{user}@gw"), "To: <sip:b@h>\r\n"));
    Class::from_u8(judged.class).unwrap()
}

#[test]
fn a_refer_to_is_found_however_it_is_written() {
    let refer = |headers: &str| request("REFER sip:gw", headers);
    for headers in [
        format!("r: <sip:101@gw>\r\nRefer-To: <sip:{BLOCKED}@x>\r\n"),
        format!("Refer-To: <sip:101@gw>\r\nRefer-To: <sip:{BLOCKED}@x>\r\n"),
        format!("Subject: a\rRefer-To: <sip:101@gw>\r\nRefer-To: <sip:{BLOCKED}@x>\r\n"),
        format!("Refer-To: < sip:{BLOCKED}@x>\r\n"),
        format!("Refer-To: \"x\" <\tsip:{BLOCKED}@x>\r\n"),
        format!("Refer-To\r\n : <sip:{BLOCKED}@x>\r\n"),
        format!(" Refer-To: <sip:{BLOCKED}@x>\r\n"),
    ] {
        stopped(&refer(&headers));
    }
    passes(&refer("Refer-To: <sip:101@gw>\r\n"));
    passes(&refer("Refer-To: < sip:101@gw>\r\n"));
}

#[test]
fn every_route_that_a_server_may_dial_is_judged() {
    let invite = |route: &str| request("INVITE sip:101@gw", &format!("To: <sip:101@gw>;tag=9\r\n{route}"));
    for route in [
        format!("Route: <sip:{BLOCKED}@carrier>, <sip:z@y;lr>\r\n"),
        format!("Route: <sip:{BLOCKED}@carrier>\r\nRoute: <sip:z@y;lr>\r\n"),
        format!("Route: <sip:z@y;lr>, <sip:{BLOCKED}@carrier>\r\n"),
        format!("Route: <sip:{BLOCKED}@carrier>\r\nSubject: a\rRoute: <sip:z@y;lr>\r\n"),
        format!("Route:\r\nRoute: <sip:{BLOCKED}@carrier>\r\n"),
    ] {
        stopped(&invite(&route));
    }
    passes(&invite("Route: <sip:proxy;lr>\r\n"));
    passes(&invite("Route: <sip:a@proxy;lr>, <sip:b@proxy;lr>\r\n"));
    let empty = request("INVITE sip:gw", &format!("To:\r\nRoute: <sip:{BLOCKED}@x>\r\n"));
    stopped(&empty);
}

#[test]
fn a_local_number_is_read_under_its_context_however_it_begins() {
    for user in ["(76)1234567", "-761234567", ".761234567", "%37%36%31234567", "%2876%291234567"] {
        stopped(&request(&format!("INVITE tel:{user};phone-context=+232"), "To: <sip:b@h>\r\n"));
        stopped(&request(&format!("INVITE sip:{user};phone-context=+232@gw"), "To: <sip:b@h>\r\n"));
    }
    stopped(&request("INVITE sip:203;rn=(76)1234567;rn-context=+232@gw", "To: <sip:b@h>\r\n"));
    stopped(&request(&format!("INVITE sip:;rn={BLOCKED}@gw"), "To: <sip:b@h>\r\n"));
    passes(&request("INVITE tel:(3)12345678;phone-context=+81", "To: <sip:b@h>\r\n"));
}

#[test]
fn what_no_telephone_writes_is_malformed() {
    for user in [
        "0;10232761234567",
        "010;232761234567",
        "010$232761234567",
        "00$232761234567",
        "0=0=232761234567",
        "0[10]232761234567",
        "010{}232761234567",
        "+２３２76123456",
        "+２３２",
    ] {
        assert_eq!(class("JP", user), Class::Malformed, "{user}");
    }
    for word in ["会議室301", "alice", "a=b", "room$12", "203;x=1"] {
        assert_eq!(class("JP", word), Class::None, "{word}");
    }
}

#[test]
fn junk_in_front_of_a_foreign_number_is_suspicious() {
    for (region, user) in [
        ("JP", "8784946812410967"),
        ("JP", "87849232761234567"),
        ("DE", "87849232761234567"),
        ("JP", "232761234567"),
        ("JP", "972592277524"),
        ("JP", "184184184010232761234567"),
        ("US", "101023201123276123456"),
        ("GB", "1411411410023276123456"),
    ] {
        assert_eq!(class(region, user), Class::Suspicious, "{region} {user}");
    }
    stopped(&request("INVITE sip:87849232761234567@gw", "To: <sip:b@h>\r\n"));
    stopped(&request("INVITE sip:232761234567@gw", "To: <sip:b@h>\r\n"));
    // Not even where another country's numbers look so that is blocked.
    let mobile = request("INVITE sip:909012345678@gw", "To: <sip:b@h>\r\n");
    let text = format!("mode = \"enforce\"\n{SITE}[profile.default]\nblock = [\"TR\"]\n");
    assert!(host(&policy(&text)).judge(&frame_of(mobile.as_bytes()), Side::Wan, 0, 1).verdict().passes());
    // A number of the country without its plus, and behind the digit of an outside line that the policy does not name.
    for (region, user) in
        [("JP", "819012345678"), ("JP", "009012345678"), ("JP", "909012345678"), ("GB", "442071838750")]
    {
        assert_ne!(class(region, user), Class::Suspicious, "{region} {user}");
    }
}

#[test]
fn ethernet_within_ip_is_told_as_an_encapsulation() {
    let inner = frame_of(request(&format!("INVITE sip:{BLOCKED}@gw"), "To: <sip:b@h>\r\n").as_bytes());
    for (protocol, head) in [(47, &[0, 0, 0x65, 0x58][..]), (97, &[0x30, 0])] {
        let mut frame = Vec::new();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4([198, 51, 100, 7], [192, 0, 2, 1], 64);
        builder.write(&mut frame, IpNumber(protocol), &[head, &inner].concat()).unwrap();
        let judged = host(&policy(SITE)).judge(&frame, Side::Wan, 0, 1);
        assert_eq!((judged.verdict(), judged.reason()), (Verdict::Pass, Reason::UnparsedEncapsulation), "{protocol}");
    }
}
