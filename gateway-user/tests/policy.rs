//! The compiled policy: which entry wins, what passes whatever the policy says, how exactly limits count.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::{collections::HashMap, fmt::Write as _};

use engine::{frame_from, frame_of, host, invite, ordered, policy};
use gateway_common::{
    Reason, Verdict,
    judge::Side,
    judged::{Judged, Who},
};
use gateway_user::{
    config::{Config, Imported},
    daemon::{ActiveOrder, OrderRule},
    engine::{Engine as _, host::HostEngine},
    numbering,
    orders::Scope,
    policy::{Caller, Holding, compile, explain},
};

const HEAD: &str = "mode = \"enforce\"\nfloor = false\n[site]\nregion = \"JP\"\n";

fn site(profile: &str) -> Config {
    policy(&format!("{HEAD}[profile.default]\n{profile}"))
}

fn call(engine: &mut HostEngine, dialled: &str) -> Judged {
    engine.judge(&frame_of(&invite(&format!("sip:{dialled}@gw.example.net"))), Side::Wan, 0, 1)
}

fn call_from(engine: &mut HostEngine, source: [u8; 4], dialled: &str) -> Judged {
    engine.judge(&frame_from(source, &invite(&format!("sip:{dialled}@gw.example.net"))), Side::Wan, 0, 1)
}

#[track_caller]
fn is(engine: &mut HostEngine, dialled: &str, verdict: Verdict, reason: Reason) {
    let judged = call(engine, dialled);
    assert_eq!((judged.verdict(), judged.reason()), (verdict, reason), "{dialled}");
}

fn order(number: u64, rule: OrderRule, what: &[&str], scope: Scope) -> ActiveOrder {
    ActiveOrder { number, rule, what: what.iter().map(|what| what.parse().unwrap()).collect(), scope, max: None }
}

use Verdict::{Drop, Pass, WouldDrop};

#[test]
fn the_longest_prefix_wins_and_on_a_tie_block() {
    let mut engine = host(&site(
        "block = [\"+4420\", \"+33\", \"+331\", \"SL\", \"KZ\"]\nallow = [\"+44\", \"GB\", \"+44207\", \"+33\", \"+23276\", \"+7\"]\n",
    ));
    is(&mut engine, "+441614960000", Pass, Reason::Allowed);
    is(&mut engine, "+442083660000", Drop, Reason::BlockedPrefix);
    is(&mut engine, "+442079460000", Pass, Reason::Allowed);
    is(&mut engine, "+33123456789", Drop, Reason::BlockedPrefix);
    is(&mut engine, "+33223456789", Drop, Reason::BlockedPrefix);
    is(&mut engine, "+23276123456", Pass, Reason::Allowed);
    is(&mut engine, "+23225123456", Drop, Reason::BlockedCountry);
    // Kazakhstan lies within +7: the country counts as the longer prefix that it has the number by.
    is(&mut engine, "+77012345678", Drop, Reason::BlockedCountry);
    is(&mut engine, "+74951234567", Pass, Reason::Allowed);
}

#[test]
fn a_country_does_not_reach_into_its_neighbours() {
    let mut engine = host(&site("block = [\"RU\", \"US\"]\n"));
    is(&mut engine, "+74951234567", Drop, Reason::BlockedCountry);
    is(&mut engine, "+77012345678", Pass, Reason::Allowed);
    is(&mut engine, "+12125551234", Drop, Reason::BlockedCountry);
    is(&mut engine, "+18764567890", Pass, Reason::Allowed);
    is(&mut engine, "+16042345678", Pass, Reason::Allowed);
}

#[test]
fn a_string_that_is_exactly_a_blocked_prefix_is_blocked_and_a_shorter_one_is_not() {
    let mut engine = host(&site("block = [\"+232761\", \"+881\"]\n"));
    is(&mut engine, "+232761", Drop, Reason::BlockedPrefix);
    is(&mut engine, "+23276", Pass, Reason::Allowed);
    is(&mut engine, "+2327612", Pass, Reason::Allowed);
    is(&mut engine, "+23276123456", Drop, Reason::BlockedPrefix);
    is(&mut engine, "010881", Drop, Reason::BlockedPrefix);
}

#[test]
fn classes_answer_where_no_entry_does() {
    let mut engine = host(&site(
        "allow = [\"GB\"]\nclass.international = \"block\"\nclass.premium = \"block\"\nclass.unknown = \"block\"\n",
    ));
    is(&mut engine, "+442079460000", Pass, Reason::Allowed);
    is(&mut engine, "+12125551234", Drop, Reason::ClassInternational);
    is(&mut engine, "0990123456", Drop, Reason::ClassPremium);
    is(&mut engine, "34561234", Drop, Reason::ClassOther);
    is(&mut engine, "010881612345678", Drop, Reason::ClassNonGeographic);
    is(&mut engine, "010281234567", Drop, Reason::ClassUnassigned);
    is(&mut engine, "01012005551234", WouldDrop, Reason::ClassUnassigned);
    is(&mut engine, "9010232761234567", Drop, Reason::Suspicious);
    is(&mut engine, "0312345678", Pass, Reason::Allowed);
}

#[test]
fn monitor_mode_counts_and_the_floor_and_orders_act() {
    let text = "mode = \"monitor\"\nfloor = true\n[site]\nregion = \"JP\"\n[profile.default]\nblock = [\"SL\"]\n";
    let orders = [order(1, OrderRule::Block, &["LV"], Scope::Site), order(2, OrderRule::Allow, &["+882"], Scope::Site)];
    let mut engine = ordered(&policy(text), &orders);
    is(&mut engine, "+23276123456", WouldDrop, Reason::BlockedCountry);
    is(&mut engine, "+979123456789", Drop, Reason::Floor);
    is(&mut engine, "+2101234567", Drop, Reason::Floor);
    is(&mut engine, "+88212345678", Pass, Reason::Allowed);
    is(&mut engine, "+88351001234567", Drop, Reason::Floor);
    is(&mut engine, "+37167123456", Drop, Reason::Order);
}

#[test]
fn orders_outweigh_the_file_and_the_narrower_outweighs_the_wider() {
    let text = format!("{HEAD}[profile.default]\nblock = [\"SL\"]\n[profile.lobby]\nsources = [\"192.0.2.0/24\"]\n");
    let source = "192.0.2.7".parse().unwrap();
    let orders = [
        order(1, OrderRule::Allow, &["SL"], Scope::Site),
        order(2, OrderRule::Block, &["+23276"], Scope::Site),
        order(3, OrderRule::Block, &["+371"], Scope::Site),
        order(4, OrderRule::Allow, &["+371"], Scope::Profile("lobby".into())),
        order(5, OrderRule::Block, &["+371"], Scope::Source(source)),
        order(6, OrderRule::Block, &["international"], Scope::Source(source)),
        order(7, OrderRule::Block, &["198.51.100.0/24"], Scope::Site),
        order(8, OrderRule::Allow, &["198.51.100.9"], Scope::Site),
        order(9, OrderRule::Block, &["dial:0570"], Scope::Site),
        order(10, OrderRule::Allow, &["dial:05701"], Scope::Site),
    ];
    let mut engine = ordered(&policy(&text), &orders);
    for (source, dialled, verdict) in [
        ([203, 0, 113, 1], "+23225123456", Pass),
        ([203, 0, 113, 1], "+23276123456", Drop),
        ([203, 0, 113, 1], "+37167123456", Drop),
        ([192, 0, 2, 6], "+37167123456", Pass),
        ([192, 0, 2, 7], "+37167123456", Drop),
        ([192, 0, 2, 7], "+442079460000", Drop),
        ([192, 0, 2, 6], "+442079460000", Pass),
        ([198, 51, 100, 8], "0312345678", Drop),
        ([198, 51, 100, 8], "119", Pass),
        ([198, 51, 100, 9], "0312345678", Pass),
        ([203, 0, 113, 1], "0570012345", Drop),
        ([203, 0, 113, 1], "0570112345", Pass),
    ] {
        let judged = call_from(&mut engine, source, dialled);
        assert_eq!(judged.verdict(), verdict, "{source:?} {dialled}: {judged:?}");
    }
}

#[test]
fn trunks_are_inbound_and_the_nearest_network_decides() {
    let text = format!(
        "{HEAD}[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"wan\"\n[profile.default]\nblock = [\"SL\"]\n\
         [profile.lobby]\nsources = [\"198.51.100.0/25\", \"2001:db8:1::/48\"]\nclass.international = \"block\"\n\
         [profile.desk]\nsources = [\"198.51.100.16/28\"]\n\
         [trunk.itsp]\nsources = [\"203.0.113.10\"]\ninterface = \"eth0\"\n"
    );
    let config = policy(&text);
    let interfaces = HashMap::from([("eth0".to_owned(), 4)]);
    let mut engine = HostEngine::new(compile(&config, &[], &interfaces, 7).unwrap().0);
    let sl = invite("sip:+23276123456@gw.example.net");
    for (ifindex, who, verdict) in [(4, Who::Trunk, Pass), (5, Who::Unproved, Drop), (0, Who::Trunk, Pass)] {
        let judged = engine.judge(&frame_from([203, 0, 113, 10], &sl), Side::Wan, ifindex, 1);
        assert_eq!((judged.who(), judged.verdict(), judged.generation), (who, verdict, 7), "{ifindex}");
    }
    assert_eq!(call_from(&mut engine, [198, 51, 100, 127], "+442079460000").verdict(), Drop);
    assert_eq!(call_from(&mut engine, [198, 51, 100, 128], "+442079460000").verdict(), Pass);
    assert_eq!(call_from(&mut engine, [198, 51, 100, 31], "+442079460000").verdict(), Pass);
    assert_eq!(call_from(&mut engine, [198, 51, 100, 32], "+442079460000").verdict(), Drop);
    for (address, verdict) in [("2001:db8:1:ffff::1", Drop), ("2001:db8:2::1", Pass)] {
        let source: std::net::Ipv6Addr = address.parse().unwrap();
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]).ipv6(source.octets(), [1; 16], 9);
        let mut frame = Vec::new();
        builder.udp(5060, 5060).write(&mut frame, &invite("sip:+442079460000@gw.example.net")).unwrap();
        assert_eq!(engine.judge(&frame, Side::Wan, 0, 1).verdict(), verdict, "{address}");
    }
}

/// Everything is blocked: every class, every first digit, every source.
fn hostile(region: &str) -> Config {
    let prefixes: Vec<String> = (1..10).map(|digit| format!("\"+{digit}\"")).collect();
    let mut text = format!(
        "mode = \"enforce\"\nfloor = true\n[site]\nregion = \"{region}\"\n[profile.default]\nbare_e164 = true\n\
         outside_line = [\"0\", \"9\"]\nservice_codes = [\"184\", \"186\", \"*67\"]\nblock = [{}]\n",
        prefixes.join(", ")
    );
    for class in [
        "national",
        "premium",
        "international",
        "non-geographic",
        "unassigned",
        "carrier-service",
        "suspicious",
        "unknown",
        "malformed",
    ] {
        let _ = writeln!(text, "class.{class} = \"block\"");
    }
    policy(&text)
}

/// Every digit as `%XX`.
fn escaped(number: &str) -> String {
    number.bytes().fold(String::new(), |text, octet| format!("{text}%{octet:02x}"))
}

#[test]
fn every_emergency_number_passes_in_every_wrapper_whatever_the_policy() {
    for code in ["JP", "US", "DE", "AU", "GB", "FR", "IN", "CU", "ZZ"] {
        let orders = [order(1, OrderRule::Block, &["0.0.0.0/0", "+1", "unknown", "suspicious"], Scope::Site)];
        let mut engine = ordered(&hostile(code), &orders);
        for number in &numbering::region(code).unwrap().emergency {
            for uri in [
                format!("sip:{number}@gw.example.net"),
                format!("sip:{number}@gw.example.net;user=phone"),
                format!("sips:{number}@gw.example.net"),
                format!("tel:{number}"),
                format!("sip:{number}"),
                format!("sip:0{number}@gw"),
                format!("sip:9{number}@gw"),
                format!("sip:184{number}@gw"),
                format!("sip:186{number}@gw"),
                format!("sip:0184{number}@gw"),
                format!("sip:1840{number}@gw"),
                format!("sip:*67{number}@gw"),
                format!("sip:{}@gw", escaped(number)),
                "urn:service:sos".to_owned(),
                "urn:service:sos.fire".to_owned(),
            ] {
                engine.reset().unwrap();
                let judged = engine.judge(&frame_of(&invite(&uri)), Side::Wan, 0, 1);
                assert_eq!((judged.verdict(), judged.reason()), (Pass, Reason::Emergency), "{code} {uri}");
            }
        }
        assert!(!call(&mut engine, "+12125551234").verdict().passes(), "{code}: the policy is hostile");
    }
}

#[test]
fn emergency_calls_of_unproved_sources_have_a_bucket_of_their_own() {
    let mut engine = host(&site(""));
    let passed = (0..10).filter(|_| call(&mut engine, "119").verdict() == Pass).count();
    assert_eq!(passed, 3);
    assert_eq!(call(&mut engine, "119").reason(), Reason::EmergencyFlood);
    let lan = engine.judge(&frame_of(&invite("sip:119@gw.example.net")), Side::Lan, 0, 1);
    assert_eq!(lan.reason(), Reason::Emergency);
}

#[test]
fn a_limit_admits_exactly_its_burst_and_then_its_rate() {
    let text = format!(
        "{HEAD}[profile.default]\nlimits = [\"caller\"]\n[ceiling]\nunproved = \"1000/s\"\n\
         [limit.caller]\nkey = \"source\"\nmethod = \"INVITE\"\nrate = \"10/s\"\nburst = 20\nover = \"drop\"\n"
    );
    let mut engine = host(&policy(&text));
    let second = 1_000_000_000u64;
    let at = |engine: &mut HostEngine, source: u8, now: u64| {
        let frame = frame_from([192, 0, 2, source], &invite("sip:0312345678@gw.example.net"));
        engine.judge(&frame, Side::Wan, 0, now)
    };
    let admitted = (0..100).filter(|_| at(&mut engine, 1, second).verdict() == Pass).count();
    assert_eq!(admitted, 20);
    assert_eq!(at(&mut engine, 1, second).reason(), Reason::SourceLimit);
    assert_eq!(at(&mut engine, 2, second).verdict(), Pass, "another source has its own");
    let admitted = (0..1000).filter(|ms| at(&mut engine, 1, second + (ms + 1) * 1_000_000).verdict() == Pass).count();
    assert_eq!(admitted, 10);
    engine.reset().unwrap();
    assert_eq!(at(&mut engine, 1, second).verdict(), Pass, "fresh state");
}

#[test]
fn what_is_sip_and_makes_no_call_is_dropped_by_no_destination_rule() {
    let mut engine = host(&hostile("JP"));
    for method in ["ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "NOTIFY", "OPTIONS", "REGISTER", "MESSAGE"] {
        let message = String::from_utf8(invite("sip:+23276123456@gw.example.net")).unwrap().replace("INVITE", method);
        let judged = engine.judge(&frame_of(message.as_bytes()), Side::Wan, 0, 1);
        assert_eq!((judged.verdict(), judged.reason()), (Pass, Reason::SipOther), "{method}");
    }
    for other in [&b"SIP/2.0 200 OK\r\n\r\n"[..], b"\0\x01\0\0", b"\r\n\r\n", b""] {
        assert_eq!(engine.judge(&frame_of(other), Side::Wan, 0, 1).verdict(), Pass, "{other:?}");
    }
}

#[test]
fn what_an_import_names_places_no_call_and_an_order_lets_it() {
    let mut config = site("block = [\"SL\"]\n");
    let network = "198.51.100.0/24".parse().unwrap();
    config.imported = std::sync::Arc::new(vec![Imported { import: "x".into(), network }]);
    let orders = [order(1, OrderRule::Allow, &["198.51.100.9"], Scope::Site)];
    let mut engine = ordered(&config, &orders);
    for (source, dialled, verdict) in [
        ([198, 51, 100, 7], "0312345678", Drop),
        ([198, 51, 100, 7], "119", Pass),
        ([198, 51, 100, 9], "0312345678", Pass),
        ([203, 0, 113, 1], "0312345678", Pass),
    ] {
        assert_eq!(call_from(&mut engine, source, dialled).verdict(), verdict, "{source:?} {dialled}");
    }
    let (image, _) = compile(&config, &[], &HashMap::new(), 1).unwrap();
    let caller = Caller { from: Some([198, 51, 100, 7].into()), ..Caller::default() };
    let holding = Holding::nothing(jiff::Timestamp::UNIX_EPOCH);
    let found = explain(&config, &image, &[], "0312345678", &caller, &holding).unwrap();
    assert_eq!((found.verdict, found.rule.as_deref()), (Drop, Some("import.x names 198.51.100.0/24")));
    config.mode = gateway_user::config::Mode::Monitor;
    assert_eq!(call_from(&mut host(&config), [198, 51, 100, 7], "0312345678").verdict(), WouldDrop);
}

#[test]
fn many_prefixes_share_few_vectors() {
    let mut text = String::from("block = [");
    for number in 0..30_000 {
        let _ = write!(text, "\"+2327{number:05}\",");
    }
    text += "]\n";
    let (image, _) = compile(&site(&text), &[], &HashMap::new(), 1).unwrap();
    assert!(image.prefixes > 30_000);
    assert!(image.cells.len() < 300_000, "{} cells", image.cells.len());
    let mut engine = HostEngine::new(image);
    is(&mut engine, "+23270000000", Drop, Reason::BlockedPrefix);
    is(&mut engine, "+23272999999", Drop, Reason::BlockedPrefix);
    is(&mut engine, "+23273000000", Pass, Reason::Allowed);
}

#[test]
fn the_digest_names_the_policy_and_not_its_generation() {
    let config = site("block = [\"SL\"]\n");
    let compiled = |config: &Config, generation| compile(config, &[], &HashMap::new(), generation).unwrap().0;
    let first = compiled(&config, 1);
    assert_eq!(first.hash.len(), 64);
    assert_eq!(first.hash, compiled(&config, 2).hash);
    assert_ne!(first.hash, compiled(&site("block = [\"SN\"]\n"), 1).hash);
}

#[test]
fn what_cannot_be_enforced_is_refused_by_name() {
    let refused = |config: &Config, orders: &[ActiveOrder]| {
        compile(config, orders, &HashMap::new(), 1).expect_err("it cannot be enforced").to_string()
    };
    let emergency = refused(&site(""), &[order(5, OrderRule::Block, &["emergency"], Scope::Site)]);
    assert!(emergency.contains("order 5"), "{emergency}");
    let both = format!(
        "{HEAD}[interface.a]\nrole = \"wan\"\n[interface.b]\nrole = \"wan\"\n[trunk.one]\nsources = [\"203.0.113.1\"]\ninterface = \"a\"\n\
         [trunk.two]\nsources = [\"203.0.113.1\"]\ninterface = \"b\"\n"
    );
    let shared = refused(&policy(&both), &[]);
    assert!(shared.contains("trunk.two") && shared.contains("203.0.113.1"), "{shared}");
}

#[test]
fn a_limit_on_heads_takes_no_place_of_a_profile_and_no_packet_is_held_against_it() {
    let names = |count: usize| (0..count).map(|n| format!("l{n}")).collect::<Vec<_>>();
    let text = |count: usize| {
        let mut text = format!("{HEAD}[profile.default]\nlimits = {:?}\n[ceiling]\nunproved = \"1000/s\"\n", {
            let mut all = vec!["plan".to_owned()];
            all.extend(names(count));
            all
        });
        text.push_str("[limit.plan]\nkey = \"source\"\nheads = \"1/10m\"\nover = \"ban\"\n");
        for name in names(count) {
            writeln!(text, "[limit.{name}]\nkey = \"source\"\nrate = \"100/s\"\nmethod = \"INVITE\"\nburst = 5")
                .unwrap();
        }
        text
    };
    let nine = compile(&policy(&text(9)), &[], &HashMap::new(), 1).expect_err("nine that the kernel asks").to_string();
    assert!(nine.contains("profile.default has 9 limits that count calls"), "{nine}");
    let mut engine = host(&policy(&text(8)));
    for _ in 0..5 {
        is(&mut engine, "0312345678", Pass, Reason::Allowed);
    }
    is(&mut engine, "0312345678", Drop, Reason::SourceLimit);
    let mut engine = host(&policy(&text(0)));
    for head in ["", "0", "00", "000", "9", "90"] {
        assert_eq!(call(&mut engine, &format!("{head}12345678")).verdict(), Pass, "{head}");
    }
}

/// Eight limits of a profile count calls, and eight REGISTER; the ninth call limit would be asked of nobody.
#[test]
fn a_profile_has_eight_limits_for_calls_and_as_many_for_registrations() {
    let with = |calls: u32, registrations: u32| {
        let names = (0..calls).map(|n| format!("\"c{n}\"")).chain((0..registrations).map(|n| format!("\"r{n}\"")));
        let mut text = format!("{HEAD}[profile.default]\nlimits = [{}]\n", names.collect::<Vec<_>>().join(", "));
        for (letter, method, count) in [("c", "INVITE", calls), ("r", "REGISTER", registrations)] {
            for n in 0..count {
                // Each admits one more than the one before: the last is the closest of all.
                let burst = 20 - n;
                let _ = write!(
                    text,
                    "[limit.{letter}{n}]\nkey = \"source\"\nmethod = \"{method}\"\nrate = \"1/h\"\nburst = {burst}\n"
                );
            }
        }
        policy(&text)
    };
    let mut engine = host(&with(8, 8));
    for _ in 0..13 {
        is(&mut engine, "0312345678", Pass, Reason::Allowed);
    }
    is(&mut engine, "0312345678", Drop, Reason::SourceLimit);
    for (calls, registrations, what) in [(9, 1, "9 limits that count calls"), (1, 9, "9 limits that count REGISTER")] {
        let refused = compile(&with(calls, registrations), &[], &HashMap::new(), 1).unwrap_err().to_string();
        assert!(refused.contains(what) && refused.contains("profile.default"), "{refused}");
    }
}
