//! What holds for every way to write a call: properties of the engine in this process over generated messages.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::fmt::Write as _;

use engine::{chance::Chance, frame_of, host, invite, policy};
use gateway_common::{Class, judge::Side, judged::Judged};
use gateway_user::{config, engine::host::HostEngine};

/// An engine whose clock runs so fast that no limit is ever used up.
struct Site {
    engine: HostEngine,
    now: u64,
}

impl Site {
    fn new(text: &str) -> Self {
        Self { engine: host(&policy(text)), now: 1 }
    }

    fn example() -> Self {
        Self::new(config::example())
    }

    fn judge(&mut self, message: &[u8]) -> Judged {
        self.now += 10_000_000_000;
        self.engine.judge(&frame_of(message), Side::Wan, 0, self.now)
    }
}

/// What a call is, whatever it looks like.
fn meaning(judged: &Judged) -> (Class, u16, String) {
    (judged.class(), judged.country, String::from_utf8(judged.e164().collect()).unwrap())
}

fn verdict(judged: &Judged) -> (&'static str, &'static str) {
    (judged.verdict().as_str(), judged.reason().as_str())
}

/// Numbers of several countries, in E.164.
const NUMBERS: [&str; 16] = [
    "23276123456",
    "442071838750",
    "447700900123",
    "12025550123",
    "18764567890",
    "33142685300",
    "390669812345",
    "8613812345678",
    "61291234567",
    "77012345678",
    "4930123456",
    "5353123456",
    "881612345678",
    "882161234567",
    "979123456789",
    "819012345678",
];

/// The digit for an outside line of the example.
const OUTSIDE: &str = "0";

/// What stands in front of a number abroad that is dialled in Japan.
///
/// Where there is a digit for an outside line, a carrier's code is dialled behind it: without it, 001 010 44 is 0 010 1044
/// as well.
fn front(chance: &mut Chance, outside: &str) -> String {
    let service = chance.pick(&["", "", "184", "186", "122"]);
    let carrier = chance.pick(&["", "0033", "001", "0061", "0041", "005345", "009130"]);
    match chance.below(5) {
        0 => "+".into(),
        1 => format!("{service}010"),
        2 => format!("{service}{outside}010"),
        3 => format!("{outside}{service}010"),
        _ => format!("{outside}{service}{carrier}010"),
    }
}

/// The same octets to be dialled: some escaped, some with separators in front of them.
fn disguised(chance: &mut Chance, dialled: &str) -> String {
    let style = chance.below(4);
    let mut written = String::new();
    for c in dialled.chars() {
        if style & 1 != 0 && chance.one_in(3) {
            written.push_str(chance.pick(&["-", ".", "(", ")", "%20", "%2d", "%2E"]));
        }
        let octet = u32::from(c);
        let must = !(c.is_ascii_alphanumeric() || "+*,~_!'".contains(c));
        if must || style & 2 != 0 && chance.one_in(3) {
            let _ = if chance.one_in(2) { write!(written, "%{octet:02X}") } else { write!(written, "%{octet:02x}") };
        } else {
            written.push(c);
        }
    }
    written
}

/// Parameters that carry no number, of a telephone-subscriber or a URI.
fn parameters(chance: &mut Chance) -> String {
    const SOME: [&str; 20] = [
        "isub=12",
        "ext=0023276123456",
        "npdi",
        "cic=+1-6789",
        "tgrp=TG-1",
        "trunk-context=example.com",
        "xrn=+23276123456",
        "rnx=+23276123456",
        "r-n=+23276123456",
        "rn-contexts=+232",
        "x-rn-context=+232",
        "phone-contex=+232",
        "phone-contexts=+232",
        "phonecontext=+232",
        "context=+232",
        "rn",
        "phone-context",
        "oli=62",
        "verstat=TN-Validation-Passed",
        "",
    ];
    let count = chance.below(5);
    (0..count).flat_map(|_| [";", chance.pick(&SOME)]).collect()
}

/// A Request-URI around a user part that is written already.
fn uri(chance: &mut Chance, user: &str) -> String {
    let parameters = parameters(chance);
    if chance.one_in(4) {
        return format!("{}{user}{parameters}", chance.pick(&["tel:", "TEL:", "Tel:"]));
    }
    let scheme = chance.pick(&["sip:", "SIP:", "sips:", "SiP:"]);
    let password = chance.pick(&["", "", ":secret", ":23276123456"]);
    let host = chance.pick(&["gw.example.net", "192.0.2.1:5060", "[2001:db8::1]", "23276123456.example.com"]);
    let rest = chance.pick(&["", ";user=phone", ";transport=udp;lr", ";USER=PHONE", "?Subject=x", ";rn=+23276123456"]);
    if password.is_empty() {
        format!("{scheme}{user}{parameters}@{host}{rest}")
    } else {
        format!("{scheme}{user}{password}@{host}{rest}")
    }
}

/// Headers from which nobody dials.
fn headers(chance: &mut Chance, end: &str) -> String {
    const NAMES: [&str; 18] = [
        "Contact",
        "m",
        "Via",
        "Record-Route",
        "Diversion",
        "History-Info",
        "P-Asserted-Identity",
        "Referred-By",
        "Topic",
        "Fromage",
        "Routes",
        "X-Route",
        "X-To",
        "Refer-Tos",
        "Reply-To",
        "Require",
        "Subject",
        "Too",
    ];
    let mut text = String::new();
    for _ in 0..chance.below(8) {
        let name = chance.pick(&NAMES);
        let folded = chance.pick(&["", "", &format!("{end} ")]).to_owned();
        let value = chance.pick(&[
            "<sip:+23276123456@x>",
            "\"A\" <tel:+81312345678>;tag=1",
            "Route: <sip:+23276123456@x>",
            "To: sip:+23276123456@x",
            "SIP/2.0/UDP 192.0.2.9",
            "",
        ]);
        let _ = write!(text, "{name}:{folded} {value}{end}");
    }
    text
}

/// An INVITE to this Request-URI, as somebody would write it who wants it read by a server and by no filter.
fn message(chance: &mut Chance, uri: &str) -> Vec<u8> {
    let lead = chance.pick(&["", "", "\r\n", "\r\n\r\n", " ", "\t\r\n", "\0\0"]);
    let method = chance.pick(&["INVITE", "INVITE", "invite", "InVite"]);
    let gap = chance.pick(&[" ", " ", "  ", "\t", " \t "]);
    let before_version = chance.pick(&[" ", " ", "  ", "\t"]);
    let version = chance.pick(&["SIP/2.0", "SIP/2.0", "sip/2.0", "SIP/2.0 "]);
    let end = chance.pick(&["\r\n", "\r\n", "\n"]);
    let more = headers(chance, end);
    let body = body(chance, end);
    // A call of its own, or it would be the retransmission of another.
    let call = chance.below(usize::MAX);
    format!(
        "{lead}{method}{gap}{uri}{before_version}{version}{end}Via: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK1{end}{more}\
         From: <sip:203@192.0.2.66>;tag=1{end}To: <{uri}>{end}Call-ID: {call}@192.0.2.66{end}CSeq: 1 INVITE{end}{body}"
    )
    .into_bytes()
}

fn body(chance: &mut Chance, end: &str) -> String {
    let text = chance.pick(&[
        "",
        "v=0\r\no=- 1 1 IN IP4 192.0.2.66\r\n",
        "INVITE sip:+23276123456@x SIP/2.0\r\nRoute: <sip:+23276123456@x>\r\n\r\n",
        "Route: <sip:+23276123456@x>\r\nTo: <sip:119@x>\r\n",
        "\0\0\0",
    ]);
    if text.is_empty() {
        format!("Content-Length: 0{end}{end}")
    } else {
        format!("Content-Type: text/plain{end}{end}{text}")
    }
}

/// Fails with the first few of what is wrong.
fn none(wrong: &[String], of: usize) {
    println!("{of} calls");
    assert!(wrong.is_empty(), "{} of {of}:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

#[test]
fn no_wrapper_changes_the_number() {
    const EACH: usize = 1500;
    let mut chance = Chance(0x0123_4567_89ab_cdef);
    let mut site = Site::example();
    let mut wrong = Vec::new();
    for number in NUMBERS {
        let plain = site.judge(&invite(&format!("sip:+{number}@gw.example.net")));
        assert_eq!(meaning(&plain).2, number);
        for _ in 0..EACH {
            let dialled = format!("{}{number}", front(&mut chance, OUTSIDE));
            let user = disguised(&mut chance, &dialled);
            let uri = uri(&mut chance, &user);
            let message = message(&mut chance, &uri);
            let found = site.judge(&message);
            if (meaning(&found), verdict(&found)) != (meaning(&plain), verdict(&plain)) {
                wrong.push(format!(
                    "{dialled} in {}: {:?} {:?}",
                    message.escape_ascii(),
                    meaning(&found),
                    verdict(&found)
                ));
            }
        }
    }
    none(&wrong, EACH * NUMBERS.len());
}

/// What is dialled at an office, and what is not.
fn target(chance: &mut Chance) -> String {
    let digits = match chance.below(12) {
        0 => "119".into(),
        1 => "184110".into(),
        2 => "alice".into(),
        3 => "203".into(),
        4 => "anonymous".into(),
        5 => "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".into(),
        6 => "0312345678".into(),
        7 => format!("{}+{}", chance.pick(&["0", "+", "9011"]), chance.pick(&NUMBERS)),
        8 => chance.pick(&NUMBERS).into(),
        9 => {
            let count = 1 + chance.below(20);
            chance.digits(count)
        }
        _ => format!("{}{}", front(chance, OUTSIDE), chance.pick(&NUMBERS)),
    };
    let escaped = digits.starts_with(|c: char| c.is_ascii_alphabetic());
    if escaped { digits } else { disguised(chance, &digits) }
}

#[test]
fn what_carries_no_number_changes_no_verdict() {
    const ALL: usize = 20_000;
    let mut chance = Chance(0x2545_f491_4f6c_dd1d);
    let mut site = Site::example();
    let mut wrong = Vec::new();
    for _ in 0..ALL {
        let user = target(&mut chance);
        let plain = site.judge(&invite(&format!("sip:{user}@gw.example.net")));
        let uri = uri(&mut chance, &user);
        let message = message(&mut chance, &uri);
        let found = site.judge(&message);
        if (meaning(&found), verdict(&found)) != (meaning(&plain), verdict(&plain)) {
            let (was, is) = ((meaning(&plain), verdict(&plain)), (meaning(&found), verdict(&found)));
            wrong.push(format!("{user} in {}: {is:?}, not {was:?}", message.escape_ascii()));
        }
    }
    none(&wrong, ALL);
}

#[test]
fn what_was_dialled_dialled_again_means_the_same() {
    const ALL: usize = 20_000;
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut site = Site::example();
    let mut wrong = Vec::new();
    let mut numbers = 0;
    for _ in 0..ALL {
        let user = target(&mut chance);
        let first = site.judge(&invite(&format!("sip:{user}@gw.example.net")));
        let dialled = String::from_utf8(first.dialled().to_vec()).unwrap();
        if dialled.is_empty() || first.class() == Class::Malformed {
            continue;
        }
        numbers += 1;
        let again = site.judge(&invite(&format!("sip:{}@gw.example.net", dialled.replace('#', "%23"))));
        if (meaning(&again), verdict(&again), again.dialled()) != (meaning(&first), verdict(&first), first.dialled()) {
            let (was, is) = ((meaning(&first), verdict(&first)), (meaning(&again), verdict(&again)));
            wrong.push(format!("{user}, then {dialled}: {is:?}, not {was:?}"));
        }
    }
    assert!(numbers > ALL / 2, "{numbers} of {ALL} were numbers");
    none(&wrong, numbers);
}

#[test]
fn a_call_that_is_dropped_stays_dropped_whatever_it_is_wrapped_in() {
    const ALL: usize = 20_000;
    const EXAMPLE: [&str; 4] = ["23276123456", "881612345678", "882161234567", "979123456789"];
    const JAPAN: [&str; 4] = ["23276123456", "5353123456", "881612345678", "979123456789"];
    let jp = include_str!("../policies/jp.toml").replace("mode = \"monitor\"", "mode = \"enforce\"");
    let mut chance = Chance(0xdead_beef_cafe_f00d);
    let mut wrong = Vec::new();
    for (text, outside, blocked) in [(config::example(), OUTSIDE, EXAMPLE), (&jp, "", JAPAN)] {
        let mut site = Site::new(text);
        for number in &blocked {
            assert!(!site.judge(&invite(&format!("sip:+{number}@gw.example.net"))).verdict().passes(), "{number}");
        }
        for _ in 0..ALL / 2 {
            let dialled = format!("{}{}", front(&mut chance, outside), chance.pick(&blocked));
            let user = disguised(&mut chance, &dialled);
            let uri = uri(&mut chance, &user);
            let message = message(&mut chance, &uri);
            let found = site.judge(&message);
            if found.verdict().passes() {
                wrong.push(format!(
                    "{dialled} in {}: {:?} {:?}",
                    message.escape_ascii(),
                    meaning(&found),
                    verdict(&found)
                ));
            }
        }
    }
    none(&wrong, ALL);
}

#[test]
fn an_octet_that_no_uri_may_have_hides_no_number() {
    const NUMBER: &str = "23276123456";
    let mut site = Site::example();
    let mut wrong = Vec::new();
    let octets =
        ["\0", "\x01", "\"", "<", ">", "\\", "^", "`", "{", "|", "}", "\x7f", "%00", "%3C", "%3e", "%22", "%0A"];
    for octet in octets {
        for at in 0..=NUMBER.len() {
            let (head, tail) = NUMBER.split_at(at);
            let found = site.judge(&invite(&format!("sip:+{head}{octet}{tail}@gw.example.net")));
            if found.verdict().passes() {
                wrong.push(format!("+{head}{}{tail}: {:?}", octet.escape_default(), verdict(&found)));
            }
        }
    }
    none(&wrong, octets.len() * (NUMBER.len() + 1));
}
