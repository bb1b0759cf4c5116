//! The built-in SIP peers through the network, without a filter.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use gateway_tests::{
    capability::require_namespaces,
    network::{Network, udp},
    sip::{Caller, Disguise, Outcome, Pbx, StartLine, Timers, flood::Flood},
};

/// Patient enough for a busy machine.
const PATIENT: Timers = Timers { talk: Duration::ZERO, ..Timers::STANDARD };

fn caller(network: &Network, timers: Timers) -> Caller {
    Caller::new(udp(&network.caller, (Network::CALLER, 5060)).unwrap(), Network::pbx_sip(), timers).unwrap()
}

#[test]
fn calls_complete_and_both_ends_agree() {
    if !require_namespaces("sip::calls_complete_and_both_ends_agree") {
        return;
    }
    let network = Network::new().unwrap();
    let pbx = Pbx::start(&network.pbx, Network::pbx_sip()).unwrap();
    let caller = caller(&network, PATIENT);
    let mut sent = 0;
    for number in ["0312345678", "201", "09012345678", "110", "201"] {
        let call = caller.call(StartLine::plain(format!("sip:{number}@{}", Network::PBX))).unwrap();
        assert_eq!(call.outcome, Outcome::Completed, "{number}");
        sent += call.invites;
    }
    let seen = pbx.seen();
    assert_eq!(seen.method("INVITE"), sent);
    assert_eq!(seen.calls_from(IpAddr::V4(Network::CALLER)), 5);
    assert_eq!((seen.acknowledged.len(), seen.ended.len(), seen.odd), (5, 5, 0));
    assert_eq!(seen.users.len(), 4, "{:?}", seen.users);
    assert!(seen.users["201"] >= 2);
}

#[test]
fn every_disguise_is_a_call_that_a_server_takes() {
    if !require_namespaces("sip::every_disguise_is_a_call_that_a_server_takes") {
        return;
    }
    let network = Network::new().unwrap();
    let pbx = Pbx::start(&network.pbx, Network::pbx_sip()).unwrap();
    let caller = caller(&network, PATIENT);
    for disguise in Disguise::ALL {
        let call = caller.call(disguise.start_line("23276123456", "198.51.100.10")).unwrap();
        assert_eq!(call.outcome, Outcome::Completed, "{disguise:?}");
    }
    assert_eq!(pbx.seen().ended.len(), Disguise::ALL.len());
}

#[test]
fn silence_is_tried_again_and_given_up() {
    if !require_namespaces("sip::silence_is_tried_again_and_given_up") {
        return;
    }
    let network = Network::new().unwrap();
    // A socket that nobody reads: no answer, and no ICMP error either.
    let deaf = udp(&network.pbx, Network::pbx_sip()).unwrap();
    let call = caller(&network, Timers::IMPATIENT).call(StartLine::plain("sip:201@198.51.100.10")).unwrap();
    assert_eq!(call.outcome, Outcome::Silence);
    assert!(call.invites >= 1);
    let mut buffer = [0; 2048];
    let mut copies = Vec::new();
    deaf.set_nonblocking(true).unwrap();
    while let Ok(length) = deaf.recv(&mut buffer) {
        copies.push(buffer[..length].to_vec());
    }
    assert_eq!(copies.len() as u64, call.invites, "each transmission arrived");
    assert!(copies.iter().all(|copy| copy == &copies[0]), "a retransmission is the same octets");
}

#[test]
fn the_flood_sends_what_it_says_and_the_pbx_survives_odd_datagrams() {
    if !require_namespaces("sip::the_flood_sends_what_it_says_and_the_pbx_survives_odd_datagrams") {
        return;
    }
    let network = Network::new().unwrap();
    let pbx = Pbx::start(&network.pbx, Network::pbx_sip()).unwrap();
    let socket = udp(&network.flooder, (Network::FLOODER, 5060)).unwrap();
    let odd: [&[u8]; 5] = [b"", b"\r\n\r\n", b"\0\0\0\0", b"INVITE", &[0xff; 1400]];
    for datagram in odd {
        socket.send_to(datagram, Network::pbx_sip()).unwrap();
    }
    let flood =
        Flood { target: Network::pbx_sip(), uri: "sip:0312345678@198.51.100.10".to_owned(), rate: 500, count: 100 };
    let sent = flood.send(&socket, |pause| {
        std::thread::sleep(pause);
        false
    });
    let sent = sent.unwrap();
    assert_eq!(sent.count, 100);
    assert!(sent.at_least <= sent.at_most);
    // A call at the end: whatever was sent before it has been handled once it is answered.
    let call =
        Caller::new(udp(&network.flooder, (Network::FLOODER, 5070)).unwrap(), Network::pbx_sip(), PATIENT).unwrap();
    assert_eq!(call.call(StartLine::plain("sip:201@198.51.100.10")).unwrap().outcome, Outcome::Completed);
    let seen = pbx.seen();
    assert_eq!(seen.odd, odd.len() as u64);
    let flooded = seen.invites.iter().filter(|i| i.source == SocketAddr::from((Network::FLOODER, 5060))).count();
    assert_eq!(flooded, 100);
}

#[test]
fn a_flood_stops_when_told() {
    if !require_namespaces("sip::a_flood_stops_when_told") {
        return;
    }
    let network = Network::new().unwrap();
    let socket = udp(&network.flooder, (Network::FLOODER, 5060)).unwrap();
    let flood =
        Flood { target: Network::pbx_sip(), uri: "sip:1@198.51.100.10".to_owned(), rate: 1000, count: u64::MAX };
    let mut left = 7;
    let sent = flood.send(&socket, |_| {
        left -= 1;
        left < 0
    });
    assert_eq!(sent.unwrap().count, 7);
    assert!(Flood { rate: 0, ..flood }.send(&socket, |_| false).is_err());
}
