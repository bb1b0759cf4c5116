use std::{fs, net::IpAddr, path::PathBuf};

use etherparse::PacketBuilder;
use tempfile::TempDir;

use super::*;
use crate::{
    config::{Config, Mode, Network, parse},
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
    let mut octets = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        octets.extend(word.to_le_bytes());
    }
    for (from, to, port, text) in messages {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(*from, *to, 64).udp(5060, *port);
        let mut frame = Vec::new();
        builder.write(&mut frame, text.as_bytes()).unwrap();
        for word in [1_800_000_000, 0, frame.len() as u32, frame.len() as u32] {
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
    let text = policy(&found);
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
            let config = loads(&policy(&found));
            assert!(config.trunks.is_empty());
            assert!(!config.profiles[0].block.iter().any(|it| it.what == What::Country(region.into())), "{region}");
        }
    }
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
    let text = policy(&found);
    loads(&text);
    assert!(text.lines().count() < 100 && text.contains("and 11981 more"), "{text}");
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
