//! SIP programs of others through the network, without a filter.

use std::{net::SocketAddr, time::Duration};

use gateway_tests::{
    capability::{require_namespaces, require_program},
    network::{Network, udp},
    peer::{
        Kamailio, Sipp,
        sipp::{Calls, Counts, Scenario},
    },
    sip::{Caller, Outcome, Pbx, StartLine, Timers},
    witness::Witness,
};

fn calls(scenario: Scenario, port: u16) -> Calls {
    Calls {
        scenario,
        from: (Network::CALLER, port).into(),
        target: Network::pbx_sip(),
        uris: ["0312345678", "201", "%2B81312345678"].map(|user| format!("sip:{user}@{}", Network::PBX)).to_vec(),
        count: 6,
        every: Duration::from_millis(20),
    }
}

#[test]
fn sipp_on_both_sides_counts_what_the_witnesses_count() {
    const NAME: &str = "peers::sipp_on_both_sides_counts_what_the_witnesses_count";
    if !require_namespaces(NAME) {
        return;
    }
    let Some(sipp) = require_program(NAME, Sipp::find(), "apt-get install sip-tester") else {
        return;
    };
    let network = Network::new().unwrap();
    let mut pbx = sipp.answer(&network.pbx, Network::pbx_sip()).unwrap();
    pbx.wait_ready().unwrap();
    let (near, far) = (Witness::start(&network.caller).unwrap(), Witness::start(&network.pbx).unwrap());
    let counts = sipp.call(&network.caller, &calls(Scenario::GoodCall, 5060)).unwrap().wait(|| false).unwrap();
    assert_eq!((counts.begun, counts.successful, counts.failed), (6, 6, 0));
    assert_eq!(near.tally(), far.tally());
    let sender = &near.tally()[&SocketAddr::from((Network::CALLER, 5060))];
    assert_eq!((sender.calls.len(), sender.uris.len()), (6, 3));
    assert!(sender.invites >= 6);
}

#[test]
fn sipp_in_silence_succeeds_and_sipp_answered_fails() {
    const NAME: &str = "peers::sipp_in_silence_succeeds_and_sipp_answered_fails";
    if !require_namespaces(NAME) {
        return;
    }
    let Some(sipp) = require_program(NAME, Sipp::find(), "apt-get install sip-tester") else {
        return;
    };
    let network = Network::new().unwrap();
    let deaf = udp(&network.pbx, Network::pbx_sip()).unwrap();
    let silent = |port| -> Counts {
        sipp.call(&network.caller, &calls(Scenario::SilentCall, port)).unwrap().wait(|| false).unwrap()
    };
    let counts = silent(5070);
    assert_eq!((counts.begun, counts.successful, counts.failed), (6, 6, 0));
    drop(deaf);
    let _pbx = Pbx::start(&network.pbx, Network::pbx_sip()).unwrap();
    let counts = silent(5071);
    assert_eq!((counts.begun, counts.successful, counts.failed), (6, 0, 6));
}

#[test]
fn sipp_is_not_given_what_it_cannot_send() {
    const NAME: &str = "peers::sipp_is_not_given_what_it_cannot_send";
    if !require_namespaces(NAME) {
        return;
    }
    let Some(sipp) = require_program(NAME, Sipp::find(), "apt-get install sip-tester") else {
        return;
    };
    let network = Network::new().unwrap();
    let calls = Calls { uris: vec!["sip:1;user=phone@h".to_owned()], ..calls(Scenario::GoodCall, 5060) };
    assert!(sipp.call(&network.caller, &calls).unwrap_err().to_string().contains("built-in"));
}

#[test]
fn a_call_through_kamailio_completes_and_its_route_is_kept() {
    const NAME: &str = "peers::a_call_through_kamailio_completes_and_its_route_is_kept";
    if !require_namespaces(NAME) {
        return;
    }
    let Some(kamailio) = require_program(NAME, Kamailio::find(), "apt-get install kamailio") else {
        return;
    };
    let network = Network::new().unwrap();
    let behind = SocketAddr::from((Network::PBX, 5080));
    let pbx = Pbx::start(&network.pbx, behind).unwrap();
    let _proxy = kamailio.start(&network.pbx, Network::pbx_sip(), behind).unwrap();
    let caller =
        Caller::new(udp(&network.caller, (Network::CALLER, 5060)).unwrap(), Network::pbx_sip(), Timers::STANDARD)
            .unwrap();
    for number in ["201", "0312345678"] {
        let call = caller.call(StartLine::plain(format!("sip:{number}@{}", Network::PBX))).unwrap();
        assert_eq!(call.outcome, Outcome::Completed, "{number}");
    }
    let seen = pbx.seen();
    assert_eq!((seen.acknowledged.len(), seen.ended.len()), (2, 2), "ACK and BYE came through the proxy");
    assert!(seen.invites.iter().all(|invite| invite.source == Network::pbx_sip()), "{:?}", seen.invites);
}
