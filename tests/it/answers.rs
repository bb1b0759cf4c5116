//! Refused callers are told: telephones of the site at once, sources that nobody vouches for never.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use gateway_tests::{
    capability::require_program,
    link::{self, End},
    netns::Namespace,
    network::{self, Network, SIP_PORT},
    peer::{
        Baresip, Sipp,
        sipp::{Calls, Scenario},
    },
    sip::{Caller, Invite, Message, Outcome, StartLine, Timers},
};
use serde_json::Value;

use crate::site::{BRITISH, DOMESTIC, FORBIDDEN, PATIENCE, Site, from, from_port, send, until, watch};

const BLOCKS: &str = "[profile.default]\nblock = [\"SL\"]\n";
/// Long before a telephone gives up by itself (RFC 3261 section 17.1.1.2: 32 s).
const AT_ONCE: Duration = Duration::from_secs(20);
/// At once, and a second.
const BURST: u64 = 20;
const RATE: u64 = 5;

/// Where the provider would take SIP: outside, seen from the telephones behind `lan0`.
fn provider() -> SocketAddr {
    (Network::CALLER, SIP_PORT).into()
}

fn uri(number: &str) -> String {
    format!("sip:{number}@{}", Network::CALLER)
}

/// A socket of a telephone behind `lan0`.
fn telephone(site: &Site, port: u16) -> UdpSocket {
    network::udp(&site.network.pbx, (Network::PBX, port)).unwrap()
}

fn answers(site: &Site, key: &str) -> u64 {
    site.counters()["answers"][key].as_u64().unwrap()
}

/// Every message that waits at a socket, each with its sender.
fn waiting(socket: &UdpSocket) -> Vec<(SocketAddr, Message)> {
    let mut found = Vec::new();
    let mut buffer = [0; 4096];
    socket.set_nonblocking(true).unwrap();
    while let Ok((length, sender)) = socket.recv_from(&mut buffer) {
        found.push((sender, Message::parse(&buffer[..length]).expect("no SIP message")));
    }
    found
}

#[test]
fn a_blocked_call_of_a_telephone_is_declined_at_once() {
    let test = "answers::a_blocked_call_of_a_telephone_is_declined_at_once";
    let Some(site) = Site::new(test) else { return };
    let Some(sipp) = require_program(test, Sipp::find(), "apt-get install sip-tester") else { return };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let outside = watch(&site.network.caller);
    let calls = Calls {
        scenario: Scenario::RefusedCall,
        from: (Network::PBX, 5070).into(),
        target: provider(),
        uris: vec![uri(FORBIDDEN)],
        count: 10,
        every: Duration::from_millis(20),
    };
    let counts = sipp.call(&site.network.pbx, &calls).unwrap().wait(|| false).unwrap();
    assert_eq!((counts.begun, counts.successful, counts.failed), (10, 10, 0), "{}", site.tollgate.log_tail());
    assert_eq!(from(&outside, Network::PBX), 0, "the callee heard of it");
    assert_eq!(
        site.counters()["answers"],
        serde_json::json!({"given": 10, "capped": 0, "lost": 0, "unfit": 0, "error": null})
    );
    assert_eq!(site.json(&["status", "--json"])["answers"]["given"], 10);
}

#[test]
fn a_telephone_on_a_desk_shows_why() {
    let test = "answers::a_telephone_on_a_desk_shows_why";
    let Some(site) = Site::new(test) else { return };
    let Some(baresip) = require_program(test, Baresip::find(), "apt-get install baresip") else { return };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let outside = watch(&site.network.caller);
    let dial = |number: &str| {
        let from = ("pbx0", (Network::PBX, 5071).into());
        baresip.dial(&site.network.pbx, from, &uri(number), AT_ONCE).unwrap()
    };
    assert_eq!(dial(FORBIDDEN), "603 Decline", "{}", site.tollgate.log_tail());
    site.policy("enforce", &format!("[sip]\nreject = 403\n{BLOCKS}"));
    site.json(&["reload", "--json"]);
    assert_eq!(dial(FORBIDDEN), "403 Forbidden", "{}", site.tollgate.log_tail());
    assert_eq!(from(&outside, Network::PBX), 0, "the callee heard of it");
}

/// Calls from `from` to `to`, both of one family.
fn is_told(site: &Site, from: SocketAddr, to: SocketAddr) {
    let socket = network::udp(&site.network.pbx, from).unwrap();
    let caller = Caller::new(socket, to, Timers { talk: Duration::ZERO, ..Timers::STANDARD }).unwrap();
    let host = if to.is_ipv6() { format!("[{}]", to.ip()) } else { to.ip().to_string() };
    let call = caller.call(StartLine::plain(format!("sip:{FORBIDDEN}@{host}"))).unwrap();
    assert_eq!(call.outcome, Outcome::Refused(603), "{from} to {to}");
}

#[test]
fn both_families_are_told_and_by_which_order() {
    let Some(site) = Site::new("answers::both_families_are_told_and_by_which_order") else { return };
    site.policy("monitor", "");
    let _daemon = site.start();
    let order = site.json(&["block", "SL", "--json"])["order"].as_u64().unwrap();
    is_told(&site, (Network::PBX, 5072).into(), provider());
    if site.network.ipv6 {
        is_told(&site, (Network::PBX_V6, 5072).into(), (Network::CALLER_V6, SIP_PORT).into());
    }
    let socket = telephone(&site, 5073);
    let invite = Invite::new(StartLine::plain(uri(FORBIDDEN)), socket.local_addr().unwrap()).to_bytes();
    // Each transmission is answered, and by the same octets.
    let mut told = Vec::new();
    for _ in 0..2 {
        socket.send_to(&invite, provider()).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = [0; 4096];
        let (length, sender) = socket.recv_from(&mut buffer).expect("no answer");
        assert_eq!(sender, provider(), "the answer is in the name of whom he called");
        assert!(length <= invite.len(), "{length} octets for {}", invite.len());
        told.push(buffer[..length].to_vec());
    }
    assert_eq!(told[0], told[1]);
    let message = Message::parse(&told[0]).unwrap();
    assert_eq!(
        message.header("Warning"),
        Some(format!("399 tollgate \"International calls are stopped (order {order})\"").as_str())
    );
    // What passes is not answered: the only answer to a call at home would be the provider's.
    let before = answers(&site, "given");
    send(&socket, provider(), &uri(DOMESTIC), 1);
    send(&socket, provider(), &uri(FORBIDDEN), 1);
    until("the second is answered", || answers(&site, "given") == before + 1);
    assert_eq!(waiting(&socket).len(), 1);
}

#[test]
fn a_trunk_is_told_and_who_forges_it_elsewhere_is_not() {
    let Some(site) = Site::new("answers::a_trunk_is_told_and_who_forges_it_elsewhere_is_not") else { return };
    let trunk = format!("[trunk.itsp]\nsources = [\"{}\"]\ninterface = \"wan0\"\n", Network::CALLER);
    site.policy("enforce", &format!("{BLOCKS}{trunk}"));
    let _daemon = site.start();
    site.json(&["block", "SL", "GB", "--json"]);
    let inside = watch(&site.network.pbx);
    let pbx = Network::pbx_sip();
    let provider = network::udp(&site.network.caller, (Network::CALLER, 5090)).unwrap();
    send(&provider, pbx, &crate::site::uri(FORBIDDEN), 2);
    until("the trunk is answered", || answers(&site, "given") == 2);
    assert!(waiting(&provider).iter().all(|(sender, message)| *sender == pbx && message.code() == Some(603)));

    // Somebody behind the other interface writes the trunk's address into his packets.
    let nowhere = Namespace::new().unwrap();
    let address = [(Network::CALLER.into(), 32)];
    link::veth(
        End { namespace: &site.network.flooder, name: "forged0", mac: [2, 0, 0, 0, 9, 1], addresses: &address },
        End { namespace: &nowhere, name: "forged1", mac: [2, 0, 0, 0, 9, 2], addresses: &[] },
    )
    .unwrap();
    let forger = network::udp(&site.network.flooder, (Network::CALLER, 5091)).unwrap();
    let himself = network::udp(&site.network.flooder, (Network::FLOODER, 5092)).unwrap();
    send(&forger, pbx, &crate::site::uri(FORBIDDEN), 30);
    send(&himself, pbx, &crate::site::uri(BRITISH), 30);
    until("both are judged", || site.reason("order") == 62);
    // The trunk is answered once more, behind all of them.
    send(&provider, pbx, &crate::site::uri(FORBIDDEN), 1);
    until("the trunk is answered again", || answers(&site, "given") == 3);
    assert_eq!(site.counters()["answers"]["capped"], 0, "the forger spent what the trunk is told");
    assert!(waiting(&forger).is_empty() && waiting(&himself).is_empty(), "an unproved source was answered");
    assert_eq!(from_port(&inside, (Network::CALLER, 5091)), 0);
}

#[test]
fn a_flood_from_inside_is_answered_within_bounds_and_every_request_is_accounted_for() {
    const FLOOD: u64 = 600;
    let test = "answers::a_flood_from_inside_is_answered_within_bounds_and_every_request_is_accounted_for";
    let Some(site) = Site::new(test) else { return };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let socket = telephone(&site, 5074);
    let began = Instant::now();
    send(&socket, provider(), &uri(FORBIDDEN), FLOOD);
    let counted = |counters: &Value| {
        let answers = &counters["answers"];
        ["given", "capped", "lost", "unfit"].iter().map(|key| answers[key].as_u64().unwrap()).sum::<u64>()
    };
    until("each is answered or counted", || counted(&site.counters()) == FLOOD);
    let most = BURST + RATE * (began.elapsed().as_secs() + 1);
    let answers = site.counters()["answers"].clone();
    let given = answers["given"].as_u64().unwrap();
    assert!((BURST..=most).contains(&given), "{given} of {FLOOD}, at most {most}: {answers}");
    assert_eq!((&answers["lost"], &answers["unfit"]), (&0.into(), &0.into()), "{answers}");
    let told = waiting(&socket);
    let calls: BTreeSet<String> = told.iter().map(|(_, message)| message.call_id().to_owned()).collect();
    assert_eq!((told.len() as u64, calls.len() as u64), (given, given), "each answer is to another call");
    // Another telephone is told all the same.
    if site.network.ipv6 {
        is_told(&site, (Network::PBX_V6, 5075).into(), (Network::CALLER_V6, SIP_PORT).into());
    }
}

#[test]
fn what_cannot_be_answered_is_refused_in_silence() {
    let Some(site) = Site::new("answers::what_cannot_be_answered_is_refused_in_silence") else { return };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let socket = telephone(&site, 5076);
    let good =
        String::from_utf8(Invite::new(StartLine::plain(uri(FORBIDDEN)), socket.local_addr().unwrap()).to_bytes());
    let good = good.unwrap();
    let without = |name: &str| {
        let line = good.split_inclusive("\r\n").find(|line| line.starts_with(name)).unwrap();
        good.replacen(line, "", 1)
    };
    let (head, _) = good.split_once("\r\n\r\n").unwrap();
    let long = good.replacen("Max-Forwards", &format!("X: {}\r\nMax-Forwards", "x".repeat(800)), 1);
    for bad in [without("Via"), without("CSeq"), without("Call-ID"), head.to_owned()] {
        socket.send_to(bad.as_bytes(), provider()).unwrap();
    }
    until("they are counted", || answers(&site, "unfit") == 4);
    socket.send_to(long.as_bytes(), provider()).unwrap();
    until("the long one is answered", || answers(&site, "given") == 1);
    assert_eq!(waiting(&socket).len(), 1);
}

#[test]
fn without_a_daemon_there_is_silence_and_nothing_comes_late() {
    let Some(site) = Site::new("answers::without_a_daemon_there_is_silence_and_nothing_comes_late") else { return };
    site.policy("enforce", BLOCKS);
    site.start().kill().unwrap();
    let outside = watch(&site.network.caller);
    let socket = telephone(&site, 5077);
    send(&socket, provider(), &uri(FORBIDDEN), 3);
    // Older than what is still answered.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(waiting(&socket).len(), 0);
    let _daemon = site.start();
    until("they are found too old", || answers(&site, "lost") == 3);
    assert_eq!(answers(&site, "given"), 0);
    send(&socket, provider(), &uri(FORBIDDEN), 1);
    until("the next one is answered", || answers(&site, "given") == 1);
    assert_eq!(waiting(&socket).len(), 1);
    assert_eq!(from(&outside, Network::PBX), 0, "the callee heard of it");
}
