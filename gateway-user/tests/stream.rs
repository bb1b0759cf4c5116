//! SIP over TCP, segment by segment: what is judged, what is only counted, and what passes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{host, ordered, policy};
use gateway_common::{Reason, Verdict, judge::Side};
use gateway_user::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
    engine::host::HostEngine,
    orders::Scope,
};

use Verdict::{Drop, Pass, Reject, WouldDrop};

const OUTSIDE: [u8; 4] = [192, 0, 2, 66];
const TRUNK: [u8; 4] = [203, 0, 113, 10];
const FORBIDDEN: &str = "+23276123456";
const GOOD: &str = "+442079460000";

/// A policy under which Sierra Leone is blocked, with further lines in `[sip]` and further tables.
fn site(mode: &str, sip: &str, rest: &str) -> Config {
    policy(&format!(
        "mode = \"{mode}\"\nfloor = false\n[sip]\n{sip}\n[site]\nregion = \"JP\"\n[profile.default]\nblock = [\"SL\"]\n{rest}"
    ))
}

/// A TCP segment to port 5060.
fn segment(source: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, [192, 0, 2, 1], 64)
        .tcp(40_000, 5060, 1, 64_240)
        .ack(1)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn syn(source: [u8; 4], port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, [192, 0, 2, 1], 64)
        .tcp(40_000, port, 1, 64_240)
        .syn()
        .write(&mut frame, &[])
        .unwrap();
    frame
}

/// A whole message; `length` is the Content-Length that it claims.
fn message(method: &str, user: &str, headers: &str, length: &str, body: &str) -> String {
    format!(
        "{method} sip:{user}@gw.example.net SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.66;branch=z9hG4bK1\r\n\
         From: <sip:203@192.0.2.66>;tag=1\r\nTo: <sip:{user}@gw.example.net>\r\nCall-ID: 1@192.0.2.66\r\n\
         CSeq: 1 {method}\r\n{headers}{length}\r\n{body}"
    )
}

const EMPTY: &str = "Content-Length: 0\r\n";

fn plain(method: &str, user: &str) -> String {
    message(method, user, "", EMPTY, "")
}

/// What an unproved source gets for one segment.
fn sent(engine: &mut HostEngine, payload: impl AsRef<[u8]>) -> (Verdict, Reason) {
    let judged = engine.judge(&segment(OUTSIDE, payload.as_ref()), Side::Wan, 0, 1);
    (judged.verdict(), judged.reason())
}

fn enforce() -> HostEngine {
    host(&site("enforce", "", ""))
}

#[test]
fn what_a_telephone_sends_over_tcp_passes() {
    let engine = &mut enforce();
    let register = message("REGISTER", "203", "Contact: <sip:203@192.0.2.66;transport=tcp>\r\n", EMPTY, "");
    assert_eq!(sent(engine, &register), (Pass, Reason::SipOther));
    assert_eq!(sent(engine, plain("INVITE", GOOD)), (Pass, Reason::Allowed));
    for method in ["SUBSCRIBE", "INVITE", "OPTIONS"] {
        let second = plain(method, GOOD);
        assert!(sent(engine, register.clone() + &second).0 == Pass, "REGISTER, then {method}");
    }
    // A head of which the body follows in the next segment, and that body.
    let (head, body) = ("Content-Type: application/sdp\r\n", "v=0\r\no=- 1 1 IN IP4 192.0.2.66\r\n");
    let announced = message("INVITE", GOOD, head, "Content-Length: 800\r\n", body);
    assert_eq!(sent(engine, announced), (Pass, Reason::Allowed));
    assert_eq!(sent(engine, "c=IN IP4 192.0.2.66\r\nm=audio 4000 RTP/AVP 0\r\n"), (Pass, Reason::NotSip));
}

#[test]
fn what_makes_no_call_over_tcp_passes() {
    let engine = &mut enforce();
    for method in ["ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "NOTIFY", "FOO"] {
        assert_eq!(sent(engine, plain(method, FORBIDDEN)), (Pass, Reason::SipOther), "{method}");
    }
    let answer = format!(
        "SIP/2.0 200 OK\r\nTo: <sip:{FORBIDDEN}@gw.example.net>\r\nContact: <sip:{FORBIDDEN}@192.0.2.1>\r\n{EMPTY}\r\n"
    );
    assert_eq!(sent(engine, answer.repeat(2)), (Pass, Reason::SipOther));
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0x5a; 500]].concat();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: gw.example.net\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Protocol: sip\r\n\r\n";
    for other in
        [&hello[..], upgrade.as_bytes(), b"\r\n\r\n", b"\r\n", b" ", b"\0\0", b"", b"x", b"\x81\xfe\x01\x02mask"]
    {
        assert_eq!(sent(engine, other), (Pass, Reason::NotSip), "{:?}", other.escape_ascii().to_string());
    }
}

#[test]
fn a_body_is_not_judged_whatever_stands_in_it() {
    let engine = &mut enforce();
    let inner = plain("INVITE", FORBIDDEN);
    let length = format!("Content-Length: {}\r\n", inner.len());
    let outer = message("MESSAGE", "203", "Content-Type: message/sip\r\n", &length, &inner);
    assert_eq!(sent(engine, &outer), (Pass, Reason::SipOther));
    // And what follows it is.
    assert_eq!(sent(engine, outer.clone() + &inner), (Reject, Reason::BlockedCountry));
    for written in
        ["l: {}\r\n", "CONTENT-LENGTH : {}\r\n", "Content-Length:\t {} \r\n", "Content-Length:\r\n {}\r\n", "L:{}\n"]
    {
        let length = written.replace("{}", &inner.len().to_string());
        let outer = message("MESSAGE", "203", "", &length, &inner);
        assert_eq!(sent(engine, &outer), (Pass, Reason::SipOther), "{length:?}");
        assert_eq!(sent(engine, outer + &inner), (Reject, Reason::BlockedCountry), "{length:?}");
    }
}

#[test]
fn every_message_that_begins_in_a_segment_is_judged() {
    let engine = &mut enforce();
    let (good, forbidden) = (plain("OPTIONS", "203"), plain("INVITE", FORBIDDEN));
    let blocked = (Reject, Reason::BlockedCountry);
    for before in 0..4 {
        assert_eq!(sent(engine, good.repeat(before) + &forbidden), blocked, "{before} before it");
        assert_eq!(sent(engine, good.repeat(before) + &forbidden + &good), blocked, "{before} before it, one behind");
    }
    assert_eq!(sent(engine, good.repeat(4)), (Pass, Reason::SipOther));
    // More than are judged: whatever the fifth is.
    assert_eq!(sent(engine, plain("ACK", "203").repeat(5)), (Reject, Reason::Unreadable));
    // Keep-alives and blanks between and before messages are none.
    for blanks in ["\r\n", "\r\n\r\n", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n", "\n", " \r\n\t", "\0\0"] {
        assert_eq!(sent(engine, format!("{blanks}{good}{blanks}{good}")), (Pass, Reason::SipOther), "{blanks:?}");
        assert_eq!(sent(engine, format!("{blanks}{forbidden}")), blocked, "{blanks:?}");
        assert_eq!(sent(engine, format!("{good}{blanks}{forbidden}")), blocked, "{blanks:?}");
    }
    // A server goes on behind a method and a URI that it does not know, and behind HTTP with a length.
    for unknown in ["FOO im:bob SIP/2.0", "FOO x SIP/2.0", "POST /x HTTP/1.1", "OPTIONS urn:x SIP/2.0"] {
        assert_eq!(sent(engine, format!("{unknown}\r\n{EMPTY}\r\n{forbidden}")), blocked, "{unknown}");
        assert_eq!(sent(engine, format!("{unknown}\r\n{EMPTY}\r\n{good}")), (Pass, Reason::SipOther), "{unknown}");
    }
    // Servers that go on where there is no Content-Length take it for zero.
    assert_eq!(sent(engine, message("OPTIONS", "203", "", "", &forbidden)), blocked);
}

#[test]
fn each_message_of_a_segment_is_charged_once() {
    let limit = "limits = [\"calls\"]\n[limit.calls]\nkey = \"source\"\nrate = \"1/h\"\nburst = 2\n";
    let engine = &mut host(&site("enforce", "", limit));
    let call = plain("INVITE", GOOD);
    assert_eq!(sent(engine, format!("\r\n\r\n\r\n\r\n{call}")), (Pass, Reason::Allowed));
    assert_eq!(sent(engine, format!("\r\n\r\n{}{call}", plain("ACK", "203"))).0, Pass);
    assert_eq!(sent(engine, &call), (Reject, Reason::SourceLimit));
}

#[test]
fn a_length_that_servers_read_in_different_ways_hides_nothing() {
    let engine = &mut enforce();
    let forbidden = plain("INVITE", FORBIDDEN);
    let length = forbidden.len();
    for written in [
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nl: {length}\r\n"),
        format!("l: {length}\r\nl: {length}\r\n"),
        format!("Content-Length: -{length}\r\n"),
        format!("Content-Length: +{length}\r\n"),
        format!("Content-Length: 0x{length:x}\r\n"),
        format!("Content-Length: 0000000{length}\r\n"),
        format!("Content-Length: 4294967{length:03}000\r\n"),
        format!("Content-Length: {length};x\r\n"),
        format!("Content-Length: \"{length}\"\r\n"),
        "Content-Length: 4294967296\r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        "Content-Length: many\r\n".to_owned(),
        "Content-Length:\r\n".to_owned(),
    ] {
        let hidden = message("OPTIONS", "203", "", &written, &forbidden);
        assert_eq!(sent(engine, hidden), (Reject, Reason::Unreadable), "{written}");
        // With nothing behind the head it cuts nobody's connection.
        assert_eq!(sent(engine, message("OPTIONS", "203", "", &written, "")), (Pass, Reason::SipOther), "{written}");
    }
    // One that is too small, and no body there.
    let hidden = message("OPTIONS", "203", "", EMPTY, &forbidden);
    assert_eq!(sent(engine, hidden), (Reject, Reason::BlockedCountry));
}

#[test]
fn a_start_line_that_is_cut_is_unreadable_from_outside() {
    let engine = &mut enforce();
    let call = plain("INVITE", FORBIDDEN);
    // Behind the user part all is known that decides.
    let end = call.find('@').unwrap();
    for at in 1..=end {
        let (verdict, reason) = sent(engine, &call[..at]);
        assert_eq!((verdict, reason), (Reject, Reason::Unreadable), "{:?}", &call[..at]);
        let piped = plain("OPTIONS", "203") + &call[..at];
        assert_eq!(sent(engine, piped), (Reject, Reason::Unreadable), "{:?} behind OPTIONS", &call[..at]);
        assert_eq!(sent(engine, format!("\r\n\r\n{}", &call[..at])).0, Reject, "{:?} behind blanks", &call[..at]);
    }
    for whole in [&call[..=end], &call[..end + 8], &call[..end + 40]] {
        assert_eq!(sent(engine, whole), (Reject, Reason::BlockedCountry), "{whole:?}");
    }
    let refer = plain("REFER", "203");
    for at in 1..refer.find("\r\n\r\n").unwrap() {
        assert_eq!(sent(engine, &refer[..at]), (Reject, Reason::Unreadable), "{:?}", &refer[..at]);
    }
    // What no call begins with is not taken for one.
    for other in ["B", "BY", "BYE", "AC", "OPTIONS", "OPTIONS sip:2", "REG", "REFERENCE", "INVITED", "v=0"] {
        assert_eq!(sent(engine, other).0, Pass, "{other}");
    }
}

#[test]
fn what_began_in_an_earlier_segment_is_not_read() {
    let engine = &mut enforce();
    let forbidden = plain("INVITE", FORBIDDEN);
    // docs/limits-of-sight.md: the price of judging segments, and why there is `tcp = "deny"`.
    assert_eq!(sent(engine, format!("abcd{forbidden}")).0, Pass);
    assert_eq!(sent(engine, format!("a=sendrecv\r\n{forbidden}")).0, Pass);
    // And what looks like a beginning is taken for one.
    assert_eq!(sent(engine, &forbidden), (Reject, Reason::BlockedCountry));
}

#[test]
fn one_octet_a_segment_is_reset_at_its_first() {
    let engine = &mut enforce();
    let call = plain("invite", FORBIDDEN);
    assert_eq!(sent(engine, &call[..1]), (Reject, Reason::Unreadable));
}

fn order(what: &str) -> ActiveOrder {
    ActiveOrder { number: 1, rule: OrderRule::Block, what: vec![what.parse().unwrap()], scope: Scope::Site, max: None }
}

#[test]
fn connections_of_trunk_and_site_are_cut_by_orders_only() {
    let trunk = "[trunk.itsp]\nsources = [\"203.0.113.10\"]\nrate = \"1/h\"\nburst = 1\nover = \"drop\"\n";
    let limit = "limits = [\"calls\"]\n[limit.calls]\nkey = \"source\"\nrate = \"1/h\"\nburst = 1\n";
    let config = site("enforce", "", &format!("{limit}{trunk}"));
    let ask = |engine: &mut HostEngine, source, side, payload: &str| {
        let judged = engine.judge(&segment(source, payload.as_bytes()), side, 0, 1);
        (judged.verdict(), judged.reason())
    };
    let (good, forbidden) = (plain("INVITE", GOOD), plain("INVITE", FORBIDDEN));
    let cut = &forbidden[..20];

    let engine = &mut host(&config);
    assert_eq!(ask(engine, OUTSIDE, Side::Lan, &forbidden), (WouldDrop, Reason::BlockedCountry));
    assert_eq!(ask(engine, OUTSIDE, Side::Lan, &good), (Pass, Reason::Allowed));
    assert_eq!(ask(engine, OUTSIDE, Side::Lan, &good), (WouldDrop, Reason::SourceLimit));
    assert_eq!(ask(engine, TRUNK, Side::Wan, &forbidden), (Pass, Reason::Inbound));
    assert_eq!(ask(engine, TRUNK, Side::Wan, &forbidden), (WouldDrop, Reason::SourceLimit));

    for (source, side) in [(OUTSIDE, Side::Lan), (TRUNK, Side::Wan)] {
        assert_eq!(ask(&mut host(&config), source, side, cut), (WouldDrop, Reason::Unreadable), "{side:?}");
    }

    let engine = &mut ordered(&config, &[order("SL")]);
    for (source, side) in [(OUTSIDE, Side::Lan), (TRUNK, Side::Wan), (OUTSIDE, Side::Wan)] {
        assert_eq!(ask(engine, source, side, &forbidden), (Reject, Reason::Order), "{side:?}");
        let piped = plain("OPTIONS", "203") + &forbidden;
        assert_eq!(ask(engine, source, side, &piped), (Reject, Reason::Order), "{side:?}");
    }
    // The floor acts on a telephone of the site too.
    let floor = policy("mode = \"monitor\"\n[site]\nregion = \"JP\"\n");
    let satellite = plain("INVITE", "+979123456789");
    assert_eq!(ask(&mut host(&floor), OUTSIDE, Side::Lan, &satellite), (Reject, Reason::Floor));
    // Over UDP a telephone is refused as ever.
    let judged = host(&config).judge(&engine::frame_of(forbidden.as_bytes()), Side::Lan, 0, 1);
    assert_eq!((judged.verdict(), judged.reason()), (Drop, Reason::BlockedCountry));
}

#[test]
fn monitor_mode_resets_nothing_but_by_order() {
    let forbidden = plain("INVITE", FORBIDDEN);
    let config = site("monitor", "tcp = \"deny\"", "[ceiling]\nconnections = \"1/h\"\n");
    let engine = &mut host(&config);
    assert_eq!(sent(engine, &forbidden), (WouldDrop, Reason::BlockedCountry));
    assert_eq!(sent(engine, &forbidden[..9]), (WouldDrop, Reason::Unreadable));
    let judged = engine.judge(&syn(OUTSIDE, 5060), Side::Wan, 0, 1);
    assert_eq!((judged.verdict(), judged.reason()), (WouldDrop, Reason::TcpDenied));
    let engine = &mut ordered(&config, &[order("SL")]);
    assert_eq!(sent(engine, &forbidden), (Reject, Reason::Order));
}

#[test]
fn what_cannot_be_read_is_only_counted_where_tcp_passes() {
    let forbidden = plain("INVITE", FORBIDDEN);
    let engine = &mut host(&site("enforce", "tcp = \"pass\"", ""));
    assert_eq!(sent(engine, &forbidden[..20]), (WouldDrop, Reason::Unreadable));
    assert_eq!(sent(engine, plain("ACK", "203").repeat(5)), (WouldDrop, Reason::Unreadable));
    assert_eq!(sent(engine, &forbidden), (Reject, Reason::BlockedCountry));
    // Over UDP the word says nothing.
    let cut = engine::frame_of(b"\r\n".repeat(1500).as_slice());
    assert_eq!(engine.judge(&cut, Side::Wan, 0, 1).verdict(), Drop);
}

#[test]
fn who_asks_for_a_connection_is_answered_by_the_policy() {
    let ask = |engine: &mut HostEngine, source, port, side| {
        let judged = engine.judge(&syn(source, port), side, 0, 1);
        (judged.verdict(), judged.reason())
    };
    let trunk = "[trunk.itsp]\nsources = [\"203.0.113.10\"]\n";
    for (word, expected) in [("inspect", (Pass, Reason::NotSip)), ("pass", (Pass, Reason::NotSip))] {
        let engine = &mut host(&site("enforce", &format!("tcp = \"{word}\""), trunk));
        assert_eq!(ask(engine, OUTSIDE, 5060, Side::Wan), expected, "{word}");
    }
    let config = site("enforce", "tcp = \"deny\"", trunk);
    let engine = &mut host(&config);
    assert_eq!(ask(engine, OUTSIDE, 5060, Side::Wan), (Reject, Reason::TcpDenied));
    assert_eq!(ask(engine, OUTSIDE, 5062, Side::Wan), (Reject, Reason::TcpDenied));
    for (source, port, side) in [(OUTSIDE, 22, Side::Wan), (OUTSIDE, 5060, Side::Lan), (TRUNK, 5060, Side::Wan)] {
        assert_eq!(ask(engine, source, port, side), (Pass, Reason::NotSip), "{source:?} {port} {side:?}");
    }
    // A segment of a connection that was there before, and an answer to one that the site asked for, are none.
    assert_eq!(sent(engine, plain("OPTIONS", "203")), (Pass, Reason::SipOther));
    // An order against the source acts in monitor mode too.
    let mut blocked = ordered(&site("monitor", "", ""), &[order("192.0.2.0/24")]);
    assert_eq!(ask(&mut blocked, OUTSIDE, 5060, Side::Wan), (Reject, Reason::Order));
}

#[test]
fn an_unproved_source_opens_so_many_connections_and_no_more() {
    let trunk = "[trunk.itsp]\nsources = [\"203.0.113.10\"]\n[ceiling]\nconnections = \"10/s\"\n";
    let engine = &mut host(&site("enforce", "", trunk));
    let mut opened = |source, side, now| {
        let judged = (0..100).map(|_| engine.judge(&syn(source, 5060), side, 0, now)).collect::<Vec<_>>();
        assert!(judged.iter().all(|judged| judged.verdict().passes() || judged.reason() == Reason::SynLimit));
        // In silence: an answer to a forged address would go to somebody else.
        assert!(judged.iter().all(|judged| judged.verdict() != Reject));
        judged.iter().filter(|judged| judged.verdict().passes()).count()
    };
    assert_eq!(opened(OUTSIDE, Side::Wan, 1), 40);
    assert_eq!(opened(OUTSIDE, Side::Wan, 1_000_000_001), 10);
    assert_eq!(opened([192, 0, 2, 67], Side::Wan, 1_000_000_001), 40, "another source");
    assert_eq!(opened(TRUNK, Side::Wan, 1), 100);
    assert_eq!(opened(OUTSIDE, Side::Lan, 1), 100);
}

#[test]
fn later_fragments_to_one_destination_are_limited() {
    let config = |mode| site(mode, "", "[ceiling]\nfragments = \"10/s\"\n");
    let v4 = |last: u8| {
        let mut ip = etherparse::Ipv4Header::new(8, 64, etherparse::IpNumber::UDP, OUTSIDE, [192, 0, 2, last]).unwrap();
        ip.fragment_offset = etherparse::IpFragOffset::try_new(100).unwrap();
        let mut frame = [&[2; 12][..], &[8, 0]].concat();
        ip.write(&mut frame).unwrap();
        [frame, vec![0x5a; 8]].concat()
    };
    let v6 = |network: u8, last: u8| {
        let mut destination = [0x20, 1, 0xd, 0xb8, 0, 0, 0, network, 0, 0, 0, 0, 0, 0, 0, 0];
        destination[15] = last;
        let ip = etherparse::Ipv6Header {
            payload_length: 16,
            next_header: etherparse::IpNumber::IPV6_FRAGMENTATION_HEADER,
            hop_limit: 64,
            destination,
            ..etherparse::Ipv6Header::default()
        };
        let mut frame = [&[2; 12][..], &[0x86, 0xdd]].concat();
        ip.write(&mut frame).unwrap();
        [frame, vec![17, 0, 3, 0x20, 0, 0, 0, 1], vec![0x5a; 8]].concat()
    };
    let passed = |engine: &mut HostEngine, frame: &[u8], side| {
        let judged = (0..100).map(|_| engine.judge(frame, side, 0, 1)).collect::<Vec<_>>();
        let over = judged.iter().filter(|judged| judged.reason() == Reason::PacketLimit).count();
        let through = judged.iter().filter(|judged| judged.verdict().passes()).count();
        assert!(judged.iter().all(|judged| matches!(judged.reason(), Reason::PacketLimit | Reason::Fragment)));
        (through, over)
    };
    let engine = &mut host(&config("enforce"));
    assert_eq!(passed(engine, &v4(1), Side::Wan), (40, 60));
    assert_eq!(passed(engine, &v4(2), Side::Wan), (40, 60), "another destination");
    assert_eq!(passed(engine, &v4(1), Side::Lan), (100, 0));
    assert_eq!(passed(engine, &v6(1, 1), Side::Wan), (40, 60));
    assert_eq!(passed(engine, &v6(1, 2), Side::Wan), (0, 100), "another of the same /64");
    assert_eq!(passed(engine, &v6(2, 1), Side::Wan), (40, 60), "another /64");
    assert_eq!(passed(&mut host(&config("monitor")), &v4(1), Side::Wan), (100, 60));
}
