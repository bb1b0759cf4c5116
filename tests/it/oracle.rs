//! A real server as the judge of what is a call: what Kamailio takes as an INVITE to a blocked number must not pass.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use gateway_common::judge::Side;
use gateway_tests::{
    capability::{require_namespaces, require_program},
    differential::Chance,
    netns::Namespace,
    network,
    packet::Frame,
    peer::{Kamailio, kamailio::Running},
};
use gateway_user::{config, engine::host::HostEngine, policy};

/// Messages that are sent.
const MESSAGES: usize = 3000;

/// The number in every one of them.
const NUMBER: &str = "23276123456";

/// A disguise of an INVITE to +232 76 123456 from `from`.
fn message(chance: &mut Chance, from: SocketAddr, serial: usize) -> Vec<u8> {
    let lead =
        chance.pick(&["", "", "", "\r\n\r\n", "\n", "\r", " ", "\t", "\0\0\0", "\r\n \t\0", "\u{feff}", "x\r\n"]);
    let lead = if chance.one_in(30) { "\r\n".repeat(600) } else { lead.to_owned() };
    let method = chance.pick(&["INVITE", "INVITE", "INVITE", "invite", "InVite", "iNVITE", "INVITES"]);
    let gap = chance.pick(&[" ", " ", " ", " ", "  ", "\t", "\0", "\r\n "]);
    let scheme = chance.pick(&["sip:", "sip:", "SIP:", "sips:", "SiPs:", "tel:", "TEL:", "sip: "]);
    let user = user(chance);
    let parameters =
        chance.pick(&["", "", "", ";npdi", ";isub=1", ";rn=+12025550100", ";phone-context=+1", ";phone-context=x"]);
    let password = chance.pick(&["", "", "", "", ":secret", ":", ":1@2"]);
    let host = chance.pick(&["gw.example.net", "192.0.2.1:5060", "[2001:db8::1]", "127.0.0.1", "232.example.net"]);
    let rest = chance.pick(&["", "", ";user=phone", ";transport=udp", ";lr;maddr=192.0.2.9", "?Subject=x", ">"]);
    let before_version = chance.pick(&[" ", " ", " ", "  ", "\t", " \t "]);
    let version =
        chance.pick(&["SIP/2.0", "SIP/2.0", "SIP/2.0", "sip/2.0", "SIP/2.00", "SIP/2.0 ", "SIP/2.0\t", "SIP/3.0", ""]);
    let end = chance.pick(&["\r\n", "\r\n", "\r\n", "\n", "\r"]);
    let uri = if scheme.eq_ignore_ascii_case("tel:") {
        format!("{scheme}{user}{parameters}")
    } else {
        format!("{scheme}{user}{parameters}{password}@{host}{rest}")
    };
    let mut text = format!("{lead}{method}{gap}{uri}{before_version}{version}{end}").into_bytes();
    text.extend(headers(chance, from, serial, end).bytes());
    if chance.one_in(6) {
        let at = lead.len() + chance.below(method.len() + uri.len() + 2);
        text.insert(
            at,
            *chance.pick(&[
                &0, &b' ', &b'\t', &b'\r', &b'\n', &b';', &b'@', &b'<', &b'"', &b'%', &b'-', &0xff, &b'>', &b'{',
                &b'\\',
            ]),
        );
    }
    text
}

fn user(chance: &mut Chance) -> String {
    let mut user = String::from("+");
    for digit in NUMBER.chars() {
        if chance.one_in(12) {
            user.push_str(chance.pick(&["-", ".", "(", ")", "--", "-.-.-.-.-."]));
        }
        user.push(digit);
    }
    user
}

fn headers(chance: &mut Chance, from: SocketAddr, serial: usize, end: &str) -> String {
    let [via, to, colon] = [
        *chance.pick(&[&"Via", &"v", &"VIA"]),
        *chance.pick(&[&"To", &"t", &"TO"]),
        *chance.pick(&[&": ", &":", &" : ", &":\t"]),
    ];
    let tag = chance.pick(&["", "", ";tag=made-up"]);
    let route = chance.pick(&["", "", "Route: <sip:192.0.2.1;lr>"]);
    let route = if route.is_empty() { String::new() } else { format!("{route}{end}") };
    let method = chance.pick(&["INVITE", "INVITE", "invite"]);
    format!(
        "{via}{colon}SIP/2.0/UDP {from};branch=z9hG4bK{serial}{end}{route}From{colon}<sip:203@{from}>;tag=1{end}\
         {to}{colon}<sip:gw.example.net>{tag}{end}Call-ID{colon}{serial}@oracle{end}CSeq{colon}1 {method}{end}\
         Max-Forwards: 9{end}Content-Length: 0{end}{end}"
    )
}

/// What Kamailio made of messages, one after the other.
struct Oracle {
    kamailio: Running,
    socket: UdpSocket,
    at: SocketAddr,
    read: usize,
}

impl Oracle {
    fn start(namespace: &Namespace, kamailio: &Kamailio) -> Self {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
        let kamailio = kamailio.start_witness(namespace, at).unwrap();
        let socket = network::udp(namespace, (Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { kamailio, socket, at, read: 0 }
    }

    /// The user part of the INVITE that it takes the message for, if it does.
    fn taken(&mut self, message: &[u8], serial: usize) -> Option<Vec<u8>> {
        self.socket.send_to(message, self.at).unwrap();
        self.wait(serial);
        let log = self.kamailio.log().unwrap();
        let new = String::from_utf8_lossy(&log[self.read..]).into_owned();
        self.read = log.len();
        let line = new.lines().find_map(|line| line.split_once("TAKEN "))?;
        let hex = line.1.trim().as_bytes();
        hex.chunks(2).map(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok()).collect()
    }

    /// Sends an OPTIONS and waits for its answer: the one process of the server has then done with all before it.
    fn wait(&self, serial: usize) {
        let (from, at) = (self.socket.local_addr().unwrap(), self.at);
        let options = format!(
            "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKo{serial}\r\nFrom: <sip:o@{from}>;tag=1\r\n\
             To: <sip:{at}>\r\nCall-ID: after-{serial}@oracle\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send_to(options.as_bytes(), at).unwrap();
        let mine = format!("Call-ID: after-{serial}@oracle");
        let mut buffer = [0; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).expect("Kamailio answers an OPTIONS");
            if String::from_utf8_lossy(&buffer[..length]).contains(&mine) {
                return;
            }
        }
    }
}

/// Whether a server that takes this user may call the blocked country: before its parameters there is the whole number,
/// with whatever between the digits.
fn is_blocked(user: &[u8]) -> bool {
    let number = user.split(|c| *c == b';').next().unwrap_or_default();
    let decoded = decoded(number);
    let digits: Vec<u8> = decoded.iter().copied().filter(u8::is_ascii_digit).collect();
    decoded.starts_with(b"+") && digits == NUMBER.as_bytes()
}

/// The octets with `%XX` decoded once.
fn decoded(escaped: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = escaped;
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok());
        match hex {
            Some(octet) if *first == b'%' => {
                octets.push(octet);
                rest = &tail[2..];
            }
            _ => {
                octets.push(*first);
                rest = tail;
            }
        }
    }
    octets
}

#[test]
fn what_kamailio_takes_for_a_blocked_call_does_not_pass() {
    const NAME: &str = "what_kamailio_takes_for_a_blocked_call_does_not_pass";
    let Some(kamailio) = require_program(NAME, Kamailio::find(), "apt-get install kamailio") else { return };
    if !require_namespaces(NAME) {
        return;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user/tests/data/evasion/policy.toml");
    let (policy, _) = config::load(&file).unwrap();
    let (image, _) = policy::compile(&policy, &[], &HashMap::new(), 1).unwrap();
    let mut tollgate = HostEngine::new(image);
    let namespace = Namespace::new().unwrap();
    let mut oracle = Oracle::start(&namespace, &kamailio);
    let from = oracle.socket.local_addr().unwrap();
    let mut chance = Chance(0x0bad_ca11_0bad_ca11);
    let (mut taken, mut missed) = (0, Vec::new());
    for serial in 0..MESSAGES {
        let message = message(&mut chance, from, serial);
        let Some(user) = oracle.taken(&message, serial).filter(|user| is_blocked(user)) else { continue };
        taken += 1;
        let frame =
            Frame::udp((Ipv4Addr::new(192, 0, 2, 66), 5060), (Ipv4Addr::new(192, 0, 2, 1), 5060), message.clone());
        let judged = tollgate.judge(&frame.build().unwrap(), Side::Wan, 0, 1 + serial as u64 * 10_000_000_000);
        if judged.verdict().passes() {
            missed.push(format!("{}: {} {}", user.escape_ascii(), judged.reason().as_str(), message.escape_ascii()));
        }
    }
    println!("Kamailio took {taken} of {MESSAGES} messages for a call to +232, of which {} passed", missed.len());
    assert!(missed.is_empty(), "{} of {taken}:\n{}", missed.len(), missed.join("\n"));
    assert!(taken > MESSAGES / 8, "Kamailio took only {taken} of {MESSAGES}");
}
