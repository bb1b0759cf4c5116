//! `[site] outside_registration`: who may register from outside, who may not, and how one who may not comes back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{frame_from, invite, ordered, policy};
use etherparse::PacketBuilder;
use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
    engine::host::HostEngine,
    orders::Scope,
    policy::{Lists, decided},
};

const POLICY: &str = "mode = \"enforce\"\nfloor = false\n[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n\
                      [site]\nregion = \"JP\"\noutside_registration = \"known\"\n[profile.home]\nsources = [\"192.0.2.64/28\"]\n\
                      [trunk.itsp]\nsources = [\"203.0.113.10\"]\n";
const PBX: [u8; 4] = [192, 0, 2, 1];
const PHONE: [u8; 4] = [198, 51, 100, 7];
const HOME: [u8; 4] = [192, 0, 2, 66];
const TRUNK: [u8; 4] = [203, 0, 113, 10];
const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3600 * SECOND;

const SHUT: (Verdict, Reason) = (Verdict::Drop, Reason::OutsideRegistration);
const OPEN: (Verdict, Reason) = (Verdict::Pass, Reason::SipOther);

struct Site {
    engine: HostEngine,
    now: u64,
    calls: u64,
}

impl Site {
    fn new(config: &Config, orders: &[ActiveOrder]) -> Self {
        Self { engine: ordered(config, orders), now: 1 << 50, calls: 0 }
    }

    fn says(&mut self, from: [u8; 4], to: [u8; 4], side: Side, tcp: bool, message: &str) -> Judged {
        let ip = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from, to, 64);
        let mut frame = Vec::new();
        if tcp {
            ip.tcp(5060, 5060, 1, 9).ack(1).write(&mut frame, message.as_bytes()).unwrap();
        } else {
            ip.udp(5060, 5060).write(&mut frame, message.as_bytes()).unwrap();
        }
        self.now += SECOND / 100;
        self.engine.judge(&frame, side, 0, self.now)
    }

    fn request(&mut self, from: [u8; 4], side: Side, method: &str, tcp: bool) -> (Verdict, Reason) {
        self.calls += 1;
        let call = self.calls;
        let message = format!(
            "{method} sip:pbx.example SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{call}\r\nFrom: <sip:203@x>;tag=f{call}\r\n\
             To: <sip:203@x>\r\nCall-ID: c{call}\r\nCSeq: 1 {method}\r\n\
             Authorization: Digest username=\"203\", realm=\"pbx\", nonce=\"n\", response=\"0\"\r\nContent-Length: 0\r\n\r\n"
        );
        let judged = self.says(from, PBX, side, tcp, &message);
        (judged.verdict(), judged.reason())
    }

    fn registers(&mut self, from: [u8; 4]) -> (Verdict, Reason) {
        self.request(from, Side::Wan, "REGISTER", false)
    }

    /// The PBX takes the credentials of the last request.
    fn accepted(&mut self, to: [u8; 4]) {
        let call = self.calls;
        let message = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{call}\r\nFrom: <sip:203@x>;tag=f{call}\r\n\
             To: <sip:203@x>;tag=pbx{call}\r\nCall-ID: c{call}\r\nCSeq: 1 REGISTER\r\nContent-Length: 0\r\n\r\n"
        );
        self.says(PBX, to, Side::Lan, false, &message);
    }
}

fn with(word: &str, mode: &str) -> Config {
    policy(&POLICY.replace("\"known\"", &format!("{word:?}")).replace("\"enforce\"", &format!("{mode:?}")))
}

fn allowed(what: &str) -> [ActiveOrder; 1] {
    [ActiveOrder {
        number: 1,
        rule: OrderRule::Allow,
        what: vec![what.parse().unwrap()],
        scope: Scope::Site,
        max: None,
    }]
}

#[test]
fn deny_stops_every_registration_from_outside_and_nothing_else() {
    let mut site = Site::new(&with("deny", "enforce"), &[]);
    for from in [PHONE, HOME] {
        assert_eq!(site.registers(from), SHUT, "{from:?}");
    }
    assert_eq!(site.request(PHONE, Side::Wan, "REGISTER", true), (Verdict::Reject, Reason::OutsideRegistration));
    assert_eq!(site.registers(TRUNK), OPEN);
    assert_eq!(site.request(PHONE, Side::Lan, "REGISTER", false), OPEN);
    for method in ["OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "ACK", "BYE"] {
        assert_eq!(site.request(PHONE, Side::Wan, method, false), OPEN, "{method}");
    }
    let call = site.engine.judge(&frame_from(PHONE, &invite("sip:0312345678@pbx.example")), Side::Wan, 0, site.now);
    assert_eq!((call.verdict(), call.reason()), (Verdict::Pass, Reason::Allowed));
    // Whom the PBX knew before is outside all the same.
    let mut site = Site::new(&with("deny", "monitor"), &[]);
    assert_eq!(site.registers(PHONE), (Verdict::WouldDrop, Reason::OutsideRegistration));
    site.accepted(PHONE);
    assert_eq!(site.registers(PHONE), (Verdict::WouldDrop, Reason::OutsideRegistration));
    assert_eq!(Site::new(&with("allow", "enforce"), &[]).registers(PHONE), OPEN);
}

#[test]
fn known_lets_in_whom_the_pbx_knows_and_whom_the_file_names() {
    let mut site = Site::new(&with("known", "enforce"), &[]);
    assert_eq!(site.registers(PHONE), SHUT);
    site.accepted(PHONE);
    assert_eq!(site.registers(PHONE), SHUT, "an answer to what was dropped makes nobody known");
    assert_eq!(site.registers(HOME), OPEN, "a profile names it");
    // An order opens the door for as long as it takes to register once.
    let mut site = Site::new(&with("known", "enforce"), &allowed("198.51.100.7"));
    assert_eq!(site.registers(PHONE), OPEN);
    site.accepted(PHONE);
    site.engine.replace(gateway_user::policy::compile(&with("known", "enforce"), &[], &[].into(), 2).unwrap().0);
    assert_eq!(site.registers(PHONE), OPEN, "the order is gone, and the PBX knows it");
    site.accepted(PHONE);
    site.now += DAY - SECOND;
    assert_eq!(site.registers(PHONE), OPEN, "each registration is good for a day");
    site.now += 2 * SECOND;
    assert_eq!(site.registers(PHONE), SHUT, "away for a day");
}

#[test]
fn monitor_mode_learns_whom_the_pbx_knows() {
    let mut site = Site::new(&with("known", "monitor"), &[]);
    assert_eq!(site.registers(PHONE), (Verdict::WouldDrop, Reason::OutsideRegistration));
    site.accepted(PHONE);
    assert_eq!(site.registers(PHONE), OPEN, "or the first day of enforce mode would shut everybody out");
}

#[test]
fn what_is_kept_names_the_line_of_the_file() {
    let text = POLICY.replace("[site]", "\n[site]");
    let path = std::path::Path::new("tollgate.toml");
    let (config, _) = gateway_user::config::parse(&text, Some(path), std::path::Path::new(".")).unwrap();
    let mut site = Site::new(&config, &[]);
    site.calls += 1;
    let judged = site.says(PHONE, PBX, Side::Wan, false, "REGISTER sip:pbx SIP/2.0\r\nCall-ID: 1\r\n\r\n");
    let found = decided(&config, &[], &Lists::new(&config), &judged, PHONE.into());
    assert_eq!(found.rule.as_deref(), Some("site.outside_registration = \"known\" at tollgate.toml:10"));
}
