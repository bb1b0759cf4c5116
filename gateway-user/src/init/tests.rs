use std::{collections::HashMap, fs, net::IpAddr, path::PathBuf};

use etherparse::PacketBuilder;
use gateway_common::{Reason, Verdict, judge::Side};
use tempfile::TempDir;

use super::*;
use crate::{
    capture::{self as captures, to_ethernet},
    config::{Config, Mode, Network, parse},
    engine::host::HostEngine,
    policy::compile,
    what::What,
};

const PBX: [u8; 4] = [192, 0, 2, 1];
const PROVIDER: [u8; 4] = [203, 0, 113, 10];
const TELEPHONE: [u8; 4] = [192, 0, 2, 50];
const SCANNER: [u8; 4] = [198, 51, 100, 66];

fn request(method: &str, number: &str) -> String {
    format!("{method} sip:{number}@pbx.example.net SIP/2.0\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n")
}

fn answer(status: u16, method: &str) -> String {
    format!("SIP/2.0 {status} whatever\r\nVia: SIP/2.0/UDP x\r\ncseq: 7 {method}\r\n\r\n")
}

/// A capture of these messages, each from, to, destination port and text.
fn capture(dir: &TempDir, messages: &[([u8; 4], [u8; 4], u16, String)]) -> PathBuf {
    capture_at(dir, messages, |_| 0)
}

/// The same, the message of each number so many seconds after the first.
fn capture_at(dir: &TempDir, messages: &[([u8; 4], [u8; 4], u16, String)], second: impl Fn(usize) -> u32) -> PathBuf {
    let mut octets = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        octets.extend(word.to_le_bytes());
    }
    for (number, (from, to, port, text)) in messages.iter().enumerate() {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(*from, *to, 64).udp(5060, *port);
        let mut frame = Vec::new();
        builder.write(&mut frame, text.as_bytes()).unwrap();
        for word in [1_800_000_000 + second(number), 0, frame.len() as u32, frame.len() as u32] {
            octets.extend(word.to_le_bytes());
        }
        octets.extend(frame);
    }
    let path = dir.path().join("calls.pcap");
    fs::write(&path, octets).unwrap();
    path
}

/// An office: a provider, a telephone, a scanner that also forges the answer of a provider, and noise.
fn office(dir: &TempDir) -> PathBuf {
    let mut messages = vec![
        (PBX, PROVIDER, 5060, request("REGISTER", "office")),
        (PROVIDER, PBX, 5060, answer(401, "REGISTER")),
        (PBX, PROVIDER, 5060, request("REGISTER", "office")),
        (PROVIDER, PBX, 5060, answer(200, "REGISTER")),
        (TELEPHONE, PBX, 15060, request("REGISTER", "203")),
        (PBX, TELEPHONE, 5060, answer(200, "REGISTER")),
        (TELEPHONE, PBX, 15060, request("INVITE", "010442079460000")),
        (PBX, PROVIDER, 5060, request("INVITE", "010442079460000")),
        (PBX, PROVIDER, 5060, request("INVITE", "0312345678")),
        (PROVIDER, PBX, 5060, request("INVITE", "0312345678")),
        (PBX, TELEPHONE, 5060, request("INVITE", "203")),
        (SCANNER, PBX, 5060, answer(200, "REGISTER")),
        (PBX, PROVIDER, 5060, "\0\u{1}not SIP".to_owned()),
        (SCANNER, PBX, 5060, String::new()),
        (SCANNER, PBX, 5060, "SIP/2.0 abc\r\n\r\n".to_owned()),
    ];
    for n in 0..20 {
        messages.push((SCANNER, PBX, 5060, request("INVITE", &format!("9011232761{n:05}"))));
    }
    capture(dir, &messages)
}

fn address(octets: [u8; 4]) -> IpAddr {
    octets.into()
}

fn loads(text: &str) -> Config {
    let (config, warnings) = parse(text, None, std::path::Path::new(".")).unwrap_or_else(|it| panic!("{it}\n{text}"));
    assert_eq!(warnings, [], "{text}");
    if let Err(problems) = compile(&config, &[], &HashMap::new(), 1) {
        panic!("{problems}\n{text}");
    }
    config
}

#[test]
fn a_capture_shows_who_is_who() {
    let dir = tempfile::tempdir().unwrap();
    let survey = survey(&office(&dir), "JP").unwrap();
    assert_eq!((survey.packets, survey.udp, survey.tcp), (35, 32, 0));
    assert_eq!(survey.hub, Some(address(PBX)));
    assert_eq!(survey.ports.keys().copied().collect::<Vec<_>>(), [5060, 15060]);
    let trunks: Vec<_> = survey.peers.iter().filter(|(_, peer)| peer.is_trunk()).map(|(it, _)| *it).collect();
    assert_eq!(trunks, [address(PROVIDER)], "{survey:?}");
    assert_eq!(survey.peers[&address(TELEPHONE)].registered, 1);
    assert_eq!(survey.peers[&address(SCANNER)].registrar, 0, "nobody asked for that answer");
    assert_eq!(survey.countries.get("GB"), Some(&2), "{survey:?}");
}

#[test]
fn the_policy_of_a_capture_loads_and_says_what_was_seen() {
    let dir = tempfile::tempdir().unwrap();
    let found = Findings {
        region: "JP".into(),
        region_by: "named by --region",
        interfaces: vec![
            Found { name: "eth0.100".into(), role: Role::Wan, addresses: vec!["192.0.2.1/24".into()], note: None },
            Found { name: "eth1".into(), role: Role::Lan, addresses: vec![], note: Some("odd\nnote".into()) },
        ],
        survey: Some(("calls\n.pcap".into(), survey(&office(&dir), "JP").unwrap())),
    };
    let text = policy(&found).unwrap();
    let config = loads(&text);
    assert_eq!((config.mode, config.floor, config.site.region.as_str()), (Mode::Monitor, true, "JP"));
    assert_eq!(config.interfaces.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["eth0.100", "eth1"]);
    assert!(config.sip.ports.contains(&15060) && config.sip.ports.contains(&5080));
    assert_eq!(config.trunks[0].sources, [Network::host(address(PROVIDER))]);
    for line in [
        "# Called abroad in the capture:",
        "United Kingdom GB 2",
        "203.0.113.10: 1 calls in, 2 out, 1 registrations there, 0 here: looks like a provider",
        "198.51.100.66: 20 calls in, 0 out",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_policy_without_a_capture_loads_in_every_region() {
    for region in ["JP", "US", "DE", "LV", "ZZ"] {
        for interfaces in [vec![], vec![Found { name: "a\"b".into(), role: Role::Wan, addresses: vec![], note: None }]]
        {
            let found = Findings { region: region.into(), region_by: "x", interfaces, survey: None };
            let config = loads(&policy(&found).unwrap());
            assert!(config.trunks.is_empty());
            assert!(!config.profiles[0].block.iter().any(|it| it.what == What::Country(region.into())), "{region}");
        }
    }
}

#[test]
fn a_first_policy_protects_as_the_one_that_is_shipped() {
    let sides = |roles: &[Role]| -> Vec<Found> {
        let each = roles.iter().enumerate();
        each.map(|(n, role)| Found { name: format!("eth{n}"), role: *role, addresses: vec![], note: None }).collect()
    };
    for (region, shipped) in [("JP", "JP"), ("DE", "DE"), ("US", "US"), ("FR", "JP")] {
        let shipped = loads(shipped::of(shipped));
        let found =
            |roles: &[Role]| Findings { region: region.into(), region_by: "x", interfaces: sides(roles), survey: None };
        let text = policy(&found(&[Role::Wan, Role::Lan])).unwrap();
        let config = loads(&text);
        let profile = &config.profiles[0];
        assert_eq!(config.floor, shipped.floor);
        assert_eq!(profile.limits, shipped.profiles[0].limits, "{region}");
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", shipped.limits), "{region}");
        let entries = |config: &Config| config.profiles[0].block.iter().map(|it| it.what.clone()).collect::<Vec<_>>();
        assert_eq!(entries(&config), entries(&shipped), "{region}");
        for reason in ["fraud places 2.8 calls a minute", "Who guesses: passwords", "a flood from forged addresses"] {
            assert!(text.contains(reason), "{reason}: {text}");
        }
        // Where the end of a call is not seen, calls at once cannot be counted; all else holds.
        let text = policy(&found(&[Role::Wan])).unwrap();
        let config = loads(&text);
        let abroad = config.limits.iter().find(|limit| limit.name == "abroad").unwrap();
        assert!(abroad.concurrent.is_none() && text.contains("\n# concurrent = 6\n"), "{text}");
        assert!(config.limits.iter().all(|limit| limit.concurrent.is_none()), "{text}");
        assert_eq!(config.schedules.len(), 2);
        assert_eq!(config.limits.len(), shipped.limits.len());
    }
}

/// An office that calls Britain far more than a telephone does where the shipped limits are from: every 20 seconds a call of a
/// minute and a half, all under the one name that its PBX tells the provider; and a scanner that calls abroad as well.
fn busy(dir: &TempDir) -> PathBuf {
    let mut timed = Vec::new();
    for n in 0..14u32 {
        let head = |method: &str, tag: &str| {
            format!(
                "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{n}{method}\r\nFrom: <sip:0355550100@192.0.2.1>;tag=a{n}\r\n\
                 To: <sip:010442079460000@x>{tag}\r\nCall-ID: {n}@192.0.2.1\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
            )
        };
        let request = |method: &str, tag: &str| {
            format!("{method} sip:01044207946{n:04}@203.0.113.10 SIP/2.0\r\n{}", head(method, tag))
        };
        let answer = |method: &str| format!("SIP/2.0 200 OK\r\n{}", head(method, ";tag=b"));
        let begins = n * 20;
        timed.push((begins, (PBX, PROVIDER, 5060, request("INVITE", ""))));
        timed.push((begins + 2, (PROVIDER, PBX, 5060, answer("INVITE"))));
        timed.push((begins + 90, (PBX, PROVIDER, 5060, request("BYE", ";tag=b"))));
        timed.push((begins + 90, (PROVIDER, PBX, 5060, answer("BYE"))));
        for m in 0..20 {
            let scan = request("INVITE", "").replace(&format!("Call-ID: {n}"), &format!("Call-ID: scan{n}-{m}"));
            timed.push((begins + m, (SCANNER, PBX, 5060, scan)));
        }
    }
    timed.push((0, (PROVIDER, PBX, 5060, request("INVITE", "0312345678"))));
    timed.sort_by_key(|(second, _)| *second);
    let (seconds, messages): (Vec<u32>, Vec<_>) = timed.into_iter().unzip();
    capture_at(dir, &messages, |n| seconds[n])
}

#[test]
fn the_traffic_that_a_policy_was_made_from_is_not_cut_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = busy(&dir);
    let survey = survey(&path, "JP").unwrap();
    let expected = Abroad { calls: 14, line: [3, 14, 14, 14], site: [3, 14, 14, 14], at_once: 5 };
    assert_eq!(survey.abroad, expected, "the calls of the scanner are not the site's");
    let interfaces = [("eth0", Role::Wan), ("eth1", Role::Lan)];
    let found = Findings {
        region: "JP".into(),
        region_by: "x",
        interfaces: interfaces
            .map(|(name, role)| Found { name: name.into(), role, addresses: vec![], note: None })
            .to_vec(),
        survey: Some(("calls.pcap".into(), survey)),
    };
    let text = policy(&found).unwrap();
    assert!(text.contains("# Suggested: 28/1h: at most 14 in 1h were seen; 28 is 2 times that."), "{text}");
    assert!(text.contains("\nconcurrent = 10\n"), "{text}");
    let refused = |text: &str| {
        let config = loads(&text.replace("mode = \"monitor\"", "mode = \"enforce\""));
        let config = config.at("2027-01-15T17:00:00+09:00".parse().unwrap());
        let mut engine = HostEngine::new(compile(&config, &[], &HashMap::new(), 1).unwrap().0);
        let mut reasons = Vec::new();
        for packet in captures::open(&path).unwrap() {
            let packet = packet.unwrap();
            let frame = to_ethernet(&packet).unwrap();
            let from = |address: [u8; 4]| frame[26..30] == address;
            let side = if from(PBX) { Side::Lan } else { Side::Wan };
            let judged = engine.judge(&frame, side, 0, packet.time_ns);
            if !from(SCANNER) && judged.verdict() != Verdict::Pass {
                reasons.push(judged.reason());
            }
        }
        reasons
    };
    assert_eq!(refused(&text), []);
    let shipped = shipped::of("JP").replace("# [trunk.itsp]\n# sources", "[trunk.itsp]\nsources");
    assert!(refused(&shipped).contains(&Reason::LineLimit), "what is shipped would have cut it");
}

#[test]
fn a_flood_of_forged_sources_is_counted_and_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut messages: Vec<_> = (0..12_000u32)
        .map(|n| ([100, 64 + (n >> 16) as u8, (n >> 8) as u8, n as u8], PBX, 5060, request("OPTIONS", "1")))
        .collect();
    messages.push((PROVIDER, PBX, 5060, request("INVITE", "0312345678")));
    let survey = survey(&capture(&dir, &messages), "JP").unwrap();
    assert_eq!((survey.hub, survey.peers.len()), (Some(address(PBX)), 10_000));
    assert_eq!(survey.more_peers, 2_001);
    let found = Findings { region: "JP".into(), survey: Some(("x".into(), survey)), ..Findings::default() };
    let text = policy(&found).unwrap();
    loads(&text);
    assert!(text.lines().count() < 200 && text.contains("and 11981 more"), "{text}");
}

#[test]
fn what_is_no_capture_of_sip_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let silent = capture(&dir, &[(PBX, PROVIDER, 53, "a question".to_owned())]);
    let error = survey(&silent, "JP").unwrap_err().to_string();
    assert!(error.contains("holds no SIP in 1 packets") && error.contains("tcpdump"), "{error}");
    fs::write(&silent, "mode = \"monitor\"").unwrap();
    assert!(matches!(survey(&silent, "JP"), Err(SurveyError::Capture(_))));
    assert!(survey(&dir.path().join("none.pcap"), "JP").is_err());
    assert!(matches!(survey(&office(&dir), "Q\"Q"), Err(SurveyError::Region { .. })));
}
