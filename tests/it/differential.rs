//! The differential test over every known message, every capture and generated frames.
//!
//! `TOLLGATE_DIFFERENTIAL` sets how many frames are generated (1,000,000 by default).

use std::{
    collections::HashMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    thread,
};

use gateway_common::{Reason, Verdict, judge::Side};
use gateway_tests::{
    capability::require_kernel,
    differential::{
        Pair, busy_policy, denying_policy, line_orders, monitor_policy, monitored_windows_policy, orders,
        registering_policy, run, windows_policy,
    },
    packet::Frame,
};
use gateway_user::{
    capture,
    config::{self, Config},
    daemon::{ActiveOrder, OrderRule},
    orders::Scope,
};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user/tests/data/evasion")
}

fn evasion_policy() -> Config {
    config::load(&data().join("policy.toml")).unwrap().0
}

fn policies() -> [(Config, Vec<ActiveOrder>); 10] {
    let shield = ActiveOrder { number: 1, rule: OrderRule::Shield, what: Vec::new(), scope: Scope::Site, max: None };
    let without = |config| (config, Vec::new());
    [
        without(evasion_policy()),
        without(busy_policy().unwrap()),
        without(denying_policy().unwrap()),
        without(monitor_policy().unwrap()),
        without(registering_policy().unwrap()),
        (busy_policy().unwrap(), orders().unwrap()),
        (busy_policy().unwrap(), vec![shield]),
        without(windows_policy().unwrap()),
        without(monitored_windows_policy().unwrap()),
        (windows_policy().unwrap(), line_orders().unwrap()),
    ]
}

fn messages() -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(data())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sip"))
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    found.sort();
    assert_eq!(found.len(), 251);
    found
}

fn datagram(message: &[u8]) -> Vec<u8> {
    Frame::udp((Ipv4Addr::new(192, 0, 2, 66), 5060), (Ipv4Addr::new(192, 0, 2, 1), 5060), message).build().unwrap()
}

#[test]
fn every_message_and_capture_is_judged_alike() {
    if !require_kernel("every_message_and_capture_is_judged_alike") {
        return;
    }
    for (config, orders) in policies() {
        let mut pair = Pair::ordered(&config, &orders).unwrap();
        for (name, message) in messages() {
            for side in [Side::Wan, Side::Lan] {
                pair.check(&name, &datagram(&message), side, 0, 1).unwrap();
            }
        }
        for path in fs::read_dir(data().join("pcap")).unwrap().map(|entry| entry.unwrap().path()) {
            if path.extension().is_none_or(|e| e != "pcap") {
                continue;
            }
            for packet in capture::open(&path).unwrap() {
                let packet = packet.unwrap();
                let frame = capture::to_ethernet(&packet).unwrap();
                pair.check(&path.display(), &frame, Side::Wan, 0, packet.time_ns).unwrap();
            }
        }
    }
}

#[test]
fn generated_frames_are_judged_alike() {
    if !require_kernel("generated_frames_are_judged_alike") {
        return;
    }
    let wanted: usize = std::env::var("TOLLGATE_DIFFERENTIAL").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let corpus: Vec<_> = messages().into_iter().map(|(_, message)| message).collect();
    let policies = policies();
    let share = wanted.div_ceil(policies.len());
    let judge = |seed: usize, (config, orders): &(Config, Vec<ActiveOrder>)| {
        let mut pair = Pair::ordered(config, orders).unwrap();
        run(&mut pair, seed as u64, share, &corpus).unwrap();
        pair
    };
    // A thread for each policy: state is never shared, so that a seed gives the same frames and verdicts every time.
    let judge = &judge;
    let pairs: Vec<Pair> = thread::scope(|scope| {
        let started: Vec<_> =
            policies.iter().enumerate().map(|(seed, policy)| scope.spawn(move || judge(seed, policy))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (program, instructions) in pairs[0].verified() {
        println!("VERIFIED: {program} {instructions}");
    }
    assert!(pairs.iter().any(|pair| pair.limited_fragments > 0), "no generated fragment met its limit");
    let mut seen: HashMap<(Verdict, Reason), u64> = HashMap::new();
    for (key, count) in pairs.into_iter().flat_map(|pair| pair.seen) {
        *seen.entry(key).or_default() += count;
    }
    let mut seen: Vec<_> = seen.into_iter().collect();
    seen.sort_by_key(|((verdict, reason), _)| (*reason, *verdict));
    for ((verdict, reason), count) in &seen {
        println!("{:11} {:24} {count}", verdict.as_str(), reason.as_str());
    }
    // A generator that reaches few decisions would prove little.
    for reason in [
        Reason::NotSip,
        Reason::SipOther,
        Reason::Allowed,
        Reason::Emergency,
        Reason::NoNumber,
        Reason::Inbound,
        Reason::Fragment,
        Reason::UnparsedEncapsulation,
        Reason::BlockedPrefix,
        Reason::BlockedCountry,
        Reason::ClassInternational,
        Reason::Malformed,
        Reason::Unreadable,
        Reason::AmbiguousTarget,
        Reason::SourceLimit,
        Reason::PacketLimit,
        Reason::Floor,
        Reason::FragmentShort,
        Reason::SynLimit,
        Reason::TcpDenied,
        Reason::NetworkLimit,
        Reason::UnprovedLimit,
        Reason::SiteLimit,
        Reason::EmergencyFlood,
        Reason::Suspicious,
        Reason::InDialog,
        Reason::Repeat,
        Reason::InternationalOff,
        Reason::Order,
        Reason::Shield,
        Reason::Suspended,
        Reason::Banned,
        Reason::DestinationLimit,
        Reason::OutsideRegistration,
    ] {
        assert!(seen.iter().any(|((_, r), _)| *r == reason), "no generated frame got {}", reason.as_str());
    }
    for verdict in [Verdict::Pass, Verdict::Drop, Verdict::Reject, Verdict::WouldDrop] {
        assert!(seen.iter().any(|((v, _), _)| *v == verdict), "no generated frame got {}", verdict.as_str());
    }
}
