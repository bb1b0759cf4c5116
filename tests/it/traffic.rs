//! Real traffic through the gateway, counted at both ends and in the middle.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use gateway_tests::{
    capability::require_program,
    link::{self, End},
    netns::Namespace,
    network::{self, Network, SIP_PORT},
    peer::{Sipp, sipp},
    sip::flood::Flood,
};

use crate::site::{
    BRITISH, DOMESTIC, FORBIDDEN, PATIENCE, Site, caller, from, from_port, send, to, total, until, uri, watch,
};

const BLOCKS: &str = "[profile.default]\nblock = [\"SL\"]\n";

#[test]
fn sipp_finds_good_calls_complete_blocked_ones_silent_and_a_flood_limited() {
    const RATE: u32 = 10;
    const BURST: u32 = 20;
    let test = "traffic::sipp_finds_good_calls_complete_blocked_ones_silent_and_a_flood_limited";
    let Some(site) = Site::new(test) else { return };
    let Some(program) = require_program(test, Sipp::find(), "apt-get install sip-tester") else { return };
    let limit = format!(
        "[profile.default]\nblock = [\"SL\"]\nlimits = [\"caller\"]\n[limit.caller]\nkey = \"source\"\nmethod = \"INVITE\"\n\
         rate = \"{RATE}/s\"\nburst = {BURST}\nover = \"drop\"\n"
    );
    site.policy("enforce", &limit);
    let _daemon = site.start();
    let pbx = Network::pbx_sip();
    let mut answering = program.answer(&site.network.pbx, pbx).unwrap();
    answering.wait_ready().unwrap();
    let (outside, flooding, inside) =
        (watch(&site.network.caller), watch(&site.network.flooder), watch(&site.network.pbx));

    // The caller stays below the limit with all it sends, retransmissions included.
    let calls = |scenario, port, numbers: &[&str], count| sipp::Calls {
        scenario,
        from: (Network::CALLER, port).into(),
        target: pbx,
        uris: numbers.iter().map(|number| uri(number)).collect(),
        count,
        every: Duration::from_millis(500),
    };
    let deadline = Instant::now() + PATIENCE;
    let good = program
        .call(&site.network.caller, &calls(sipp::Scenario::GoodCall, 5060, &[DOMESTIC, "09012345678", "301"], 8))
        .unwrap();
    let forbidden = ["010232761234567", "+232761234567", "0033010232761234567", "184010232761234567"];
    let silent = program.call(&site.network.caller, &calls(sipp::Scenario::SilentCall, 5070, &forbidden, 8)).unwrap();
    let socket = network::udp(&site.network.flooder, (Network::FLOODER, SIP_PORT)).unwrap();
    let flood = Flood { target: pbx, uri: uri(DOMESTIC), rate: 200, count: 800 };
    let flood = flood
        .send(&socket, |pause| {
            thread::sleep(pause);
            false
        })
        .unwrap();
    let good = good.wait(|| Instant::now() >= deadline).unwrap();
    let silent = silent.wait(|| Instant::now() >= deadline).unwrap();

    assert_eq!((good.begun, good.successful, good.failed), (8, 8, 0), "good calls");
    assert_eq!((silent.begun, silent.successful, silent.failed), (8, 8, 0), "calls to the blocked country");
    assert_eq!(from(&flooding, Network::FLOODER), flood.count);
    let blocked = from_port(&outside, (Network::CALLER, 5070));
    assert!(blocked >= 8, "{blocked}");
    until("every INVITE of the flood has come to its end", || {
        from(&inside, Network::FLOODER) + site.reason("source-limit") == flood.count
    });
    let counters = site.counters();
    assert_eq!(counters["reasons"]["blocked-country"], blocked, "{counters}");
    let passed = from(&inside, Network::FLOODER);
    assert_eq!(total(&counters, "dropped"), blocked + flood.count - passed, "{counters}");
    assert_eq!((total(&counters, "rejected"), total(&counters, "would_drop")), (0, 0), "{counters}");
    assert_eq!(from_port(&inside, (Network::CALLER, 5070)), 0, "a blocked INVITE reached the PBX");
    assert_eq!(
        from_port(&inside, (Network::CALLER, 5060)),
        from_port(&outside, (Network::CALLER, 5060)),
        "a good INVITE was lost"
    );
    until("the PBX has counted every call that passed", || {
        answering.counts().is_ok_and(|counts| counts.begun == 8 + passed)
    });

    let allowed = |time: Duration| (f64::from(BURST) + f64::from(RATE) * time.as_secs_f64()).floor() as u64;
    assert!(passed <= allowed(flood.at_most) + 1, "{passed} of {flood:?}");
    // A flooder that was kept from sending until its bucket was full again has wasted what overflowed.
    if flood.longest_pause.as_secs_f64() * f64::from(RATE) < f64::from(BURST) {
        assert!(passed + 1 >= allowed(flood.at_least), "{passed} of {flood:?}");
    }
}

#[test]
fn monitor_mode_counts_and_drops_nothing_but_by_order() {
    let Some(site) = Site::new("traffic::monitor_mode_counts_and_drops_nothing_but_by_order") else { return };
    site.policy("monitor", BLOCKS);
    let _daemon = site.start();
    let inside = watch(&site.network.pbx);
    let (socket, pbx) = (caller(&site, SIP_PORT), Network::pbx_sip());

    send(&socket, pbx, &uri(FORBIDDEN), 25);
    send(&socket, pbx, &uri(DOMESTIC), 5);
    until("all INVITEs arrive", || from(&inside, Network::CALLER) == 30);
    let counters = site.counters();
    assert_eq!((total(&counters, "would_drop"), total(&counters, "dropped")), (25, 0), "{counters}");
    assert_eq!(counters["reasons"]["blocked-country"], 25, "{counters}");

    let ordered = site.json(&["block", "+44", "--json"]);
    assert_eq!(ordered["ok"], true, "{ordered}");
    send(&socket, pbx, &uri(BRITISH), 7);
    until("the order drops", || site.reason("order") == 7);
    assert_eq!(total(&site.counters(), "dropped"), 7);
    assert_eq!(to(&inside, &uri(BRITISH)), 0, "an INVITE passed an order");

    assert_eq!(site.json(&["undo", &ordered["order"].to_string(), "--json"])["ok"], true);
    send(&socket, pbx, &uri(BRITISH), 7);
    until("what the order stopped passes again", || to(&inside, &uri(BRITISH)) == 7);
    let counters = site.counters();
    assert_eq!((total(&counters, "would_drop"), total(&counters, "dropped")), (25, 7), "{counters}");
}

#[test]
fn calls_from_inside_are_judged_too() {
    let Some(site) = Site::new("traffic::calls_from_inside_are_judged_too") else { return };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let outside = watch(&site.network.caller);
    let socket = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    let target = SocketAddr::from((Network::CALLER, SIP_PORT));

    send(&socket, target, &uri(FORBIDDEN), 9);
    send(&socket, target, &uri(DOMESTIC), 4);
    until("domestic calls pass", || to(&outside, &uri(DOMESTIC)) == 4);
    let counters = site.counters();
    assert_eq!(counters["reasons"]["blocked-country"], 9, "{counters}");
    assert_eq!(total(&counters, "dropped") + total(&counters, "rejected"), 9, "{counters}");
    assert_eq!(to(&outside, &uri(FORBIDDEN)), 0, "a call to a blocked country left the site");
}

#[test]
fn a_trunk_is_its_address_and_its_interface() {
    let Some(site) = Site::new("traffic::a_trunk_is_its_address_and_its_interface") else { return };
    let trunk = format!("[trunk.itsp]\nsources = [\"{}\"]\ninterface = \"wan0\"\n", Network::CALLER);
    site.policy("enforce", &format!("{BLOCKS}{trunk}"));
    let _daemon = site.start();
    let inside = watch(&site.network.pbx);
    let (socket, pbx) = (caller(&site, SIP_PORT), Network::pbx_sip());

    let uris = [uri(DOMESTIC), uri(FORBIDDEN), uri("+232761234567"), uri("301"), "tel:+232761234567".to_owned()];
    for uri in &uris {
        send(&socket, pbx, uri, 3);
    }
    until("whatever the trunk calls arrives", || uris.iter().all(|uri| to(&inside, uri) == 3));
    let counters = site.counters();
    assert_eq!((total(&counters, "dropped"), total(&counters, "would_drop")), (0, 0), "{counters}");
    assert_eq!(counters["reasons"]["inbound"], 15, "{counters}");

    // Somebody behind the other interface writes the trunk's address into his packets.
    let nowhere = Namespace::new().unwrap();
    let address = [(Network::CALLER.into(), 32)];
    link::veth(
        End { namespace: &site.network.flooder, name: "forged0", mac: [2, 0, 0, 0, 9, 1], addresses: &address },
        End { namespace: &nowhere, name: "forged1", mac: [2, 0, 0, 0, 9, 2], addresses: &[] },
    )
    .unwrap();
    let forged = network::udp(&site.network.flooder, (Network::CALLER, 5090)).unwrap();
    send(&forged, pbx, &uri(FORBIDDEN), 6);
    until("the forger is judged as anybody", || site.reason("blocked-country") == 6);
    assert_eq!(total(&site.counters(), "dropped"), 6);
    assert_eq!(from_port(&inside, (Network::CALLER, 5090)), 0, "a forged trunk call reached the PBX");
    send(&forged, pbx, &uri(DOMESTIC), 2);
    until("his domestic calls are none of a trunk", || site.reason("allowed") == 2);
    assert_eq!(site.reason("inbound"), 15);
}

#[test]
fn calls_over_ipv6_are_judged_too() {
    let Some(site) = Site::new("traffic::calls_over_ipv6_are_judged_too") else { return };
    if !site.network.ipv6 {
        return;
    }
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    let inside = watch(&site.network.pbx);
    let socket = network::udp(&site.network.caller, (Network::CALLER_V6, SIP_PORT)).unwrap();
    let target = SocketAddr::from((Network::PBX_V6, SIP_PORT));
    let uri = |number| format!("sip:{number}@[{}]", Network::PBX_V6);

    send(&socket, target, &uri(FORBIDDEN), 6);
    send(&socket, target, &uri(DOMESTIC), 3);
    until("domestic calls arrive", || to(&inside, &uri(DOMESTIC)) == 3);
    let counters = site.counters();
    assert_eq!(counters["reasons"]["blocked-country"], 6, "{counters}");
    assert_eq!(total(&counters, "dropped"), 6, "{counters}");
    assert_eq!(from(&inside, Network::CALLER_V6), 3, "a blocked INVITE reached the PBX");
}
