//! Bans: of a source that guesses and is present, never of one that may be forged, and never of who ends or needs help.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{ordered, policy};
use etherparse::PacketBuilder;
use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::engine::host::HostEngine;

const POLICY: &str = "mode = \"enforce\"\nfloor = false\n[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n\
                      [site]\nregion = \"JP\"\n[profile.default]\nblock = [\"SL\"]\nlimits = [\"guessing\", \"flood\"]\n\
                      [trunk.itsp]\nsources = [\"203.0.113.10\"]\n\
                      [limit.guessing]\nkey = \"source\"\ncount = \"failures\"\nrate = \"6/m\"\nburst = 10\nover = \"ban\"\n\
                      [limit.flood]\nkey = \"source\"\nmethod = \"OPTIONS\"\nrate = \"1/s\"\nburst = 5\nover = \"ban\"\nban = \"1h\"\n\
                      [ceiling]\nunproved = \"1000/s\"\n";
const PBX: [u8; 4] = [192, 0, 2, 1];
const GUESSER: [u8; 4] = [198, 51, 100, 9];
const VICTIM: [u8; 4] = [198, 51, 100, 77];
const TRUNK: [u8; 4] = [203, 0, 113, 10];
const SECOND: u64 = 1_000_000_000;

fn frame(from: [u8; 4], to: [u8; 4], message: &str) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from, to, 64).udp(5060, 5060);
    let mut frame = Vec::new();
    builder.write(&mut frame, message.as_bytes()).unwrap();
    frame
}

struct Site {
    engine: HostEngine,
    now: u64,
    calls: u64,
}

impl Site {
    fn new(text: &str) -> Self {
        Self { engine: ordered(&policy(text), &[]), now: 1 << 50, calls: 0 }
    }

    fn request(&mut self, from: [u8; 4], side: Side, method: &str, user: &str, call: u64, more: &str) -> Judged {
        let to = if method == "ACK" { more } else { "" };
        let more = if method == "ACK" { "" } else { more };
        let message = format!(
            "{method} sip:{user}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{call}\r\nFrom: <sip:{user}@x>;tag=f{call}\r\n\
             To: <sip:{user}@x>{to}\r\nCall-ID: c{call}\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        self.now += SECOND / 100;
        self.engine.judge(&frame(from, PBX, &message), side, 0, self.now)
    }

    fn answer(&mut self, to: [u8; 4], method: &str, user: &str, call: u64, status: &str, more: &str) -> Judged {
        let message = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{call}\r\nFrom: <sip:{user}@x>;tag=f{call}\r\n\
             To: <sip:{user}@x>;tag=pbx{call}\r\nCall-ID: c{call}\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        self.now += SECOND / 100;
        self.engine.judge(&frame(PBX, to, &message), Side::Lan, 0, self.now)
    }

    /// Tries a password, as who receives the challenge if `nonce` is that of it.
    fn guesses(&mut self, from: [u8; 4], given: &str, shown: &str) {
        self.calls += 2;
        let call = self.calls;
        self.request(from, Side::Wan, "REGISTER", "203", call, "");
        self.answer(from, "REGISTER", "203", call, "401", &challenge(given));
        self.request(from, Side::Wan, "REGISTER", "203", call, &credentials(shown));
        self.answer(from, "REGISTER", "203", call, "401", &challenge(given));
    }

    fn says(&mut self, from: [u8; 4], method: &str, user: &str) -> (Verdict, Reason) {
        self.calls += 1;
        let judged = self.request(from, Side::Wan, method, user, self.calls, "");
        (judged.verdict(), judged.reason())
    }
}

fn challenge(nonce: &str) -> String {
    format!("WWW-Authenticate: Digest realm=\"pbx\", nonce=\"{nonce}\", algorithm=MD5\r\n")
}

fn credentials(nonce: &str) -> String {
    format!("Authorization: Digest username=\"203\", realm=\"pbx\", nonce=\"{nonce}\", response=\"0\"\r\n")
}

const BANNED: (Verdict, Reason) = (Verdict::Drop, Reason::Banned);

#[test]
fn who_guesses_passwords_is_banned_and_can_still_call_for_help() {
    let mut site = Site::new(POLICY);
    let mut tries = 0;
    while site.says(GUESSER, "REGISTER", "203").1 != Reason::Banned {
        site.guesses(GUESSER, &format!("n{tries}"), &format!("n{tries}"));
        tries += 1;
        assert!(tries < 30, "never banned");
    }
    assert_eq!(tries, 11, "a burst of ten, and the one over it");
    assert_eq!(site.says(GUESSER, "INVITE", "0312345678"), BANNED);
    assert_eq!(site.says(GUESSER, "OPTIONS", "203"), BANNED);
    assert_eq!(site.says(GUESSER, "INVITE", "119"), (Verdict::Pass, Reason::Emergency));
    for method in ["ACK", "BYE", "CANCEL", "PRACK"] {
        assert_eq!(site.says(GUESSER, method, "203"), (Verdict::Pass, Reason::SipOther), "{method}");
    }
    assert_eq!(site.says(VICTIM, "REGISTER", "203").0, Verdict::Pass, "a neighbour");
    site.now += 301 * SECOND;
    assert_eq!(site.says(GUESSER, "REGISTER", "203").0, Verdict::Pass, "after five minutes");
}

#[test]
fn each_ban_is_twice_as_long_as_the_one_before() {
    let mut site = Site::new(POLICY);
    for minutes in [5, 10, 20] {
        // The bucket has filled again meanwhile.
        for attempt in 0..11 + minutes * 6 {
            let nonce = format!("{minutes}-{attempt}");
            site.guesses(GUESSER, &nonce, &nonce);
        }
        assert_eq!(site.says(GUESSER, "REGISTER", "203"), BANNED, "{minutes}");
        site.now += (minutes * 60 - 30) * SECOND;
        assert_eq!(site.says(GUESSER, "REGISTER", "203"), BANNED, "{minutes}");
        site.now += 31 * SECOND;
        assert_eq!(site.says(GUESSER, "REGISTER", "203").0, Verdict::Pass, "{minutes}");
    }
}

#[test]
fn a_forged_source_is_never_banned() {
    for shown in ["guess", ""] {
        let mut site = Site::new(POLICY);
        for attempt in 0..100 {
            site.guesses(VICTIM, &format!("n{attempt}"), shown);
        }
        assert_eq!(site.says(VICTIM, "REGISTER", "203").0, Verdict::Pass, "{shown:?}");
    }
}

#[test]
fn a_nonce_that_two_sources_were_given_proves_nothing() {
    let mut site = Site::new(POLICY);
    for attempt in 0..40 {
        let nonce = format!("second{attempt}");
        // The attacker asks for itself in the same second, and knows what the victim was given.
        site.calls += 1;
        let call = site.calls + 1_000_000;
        site.request(GUESSER, Side::Wan, "REGISTER", "203", call, "");
        site.answer(GUESSER, "REGISTER", "203", call, "401", &challenge(&nonce));
        site.guesses(VICTIM, &nonce, &nonce);
    }
    assert_eq!(site.says(VICTIM, "REGISTER", "203").0, Verdict::Pass);
}

#[test]
fn a_tag_that_the_request_named_itself_proves_nothing_and_one_of_the_pbx_does() {
    for (named, banned) in [(true, false), (false, true)] {
        let mut site = Site::new(POLICY);
        for attempt in 0..30 {
            let user = format!("{}", 100 + attempt);
            let message = |method: &str, tag: &str| {
                format!(
                    "{method} sip:{user}@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{attempt}\r\nFrom: <sip:9@x>;tag=f{attempt}\r\n\
                     To: <sip:{user}@x>{tag}\r\nCall-ID: c{attempt}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
                )
            };
            let tag = format!(";tag=pbx{attempt}");
            site.now += SECOND / 10;
            let first = message("INVITE", if named { &tag } else { "" });
            site.engine.judge(&frame(VICTIM, PBX, &first), Side::Wan, 0, site.now);
            let refused = format!(
                "SIP/2.0 404 X\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{attempt}\r\nFrom: <sip:9@x>;tag=f{attempt}\r\n\
                 To: <sip:{user}@x>{tag}\r\nCall-ID: c{attempt}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            );
            site.engine.judge(&frame(PBX, VICTIM, &refused), Side::Lan, 0, site.now);
            site.engine.judge(&frame(VICTIM, PBX, &message("ACK", &tag)), Side::Wan, 0, site.now);
        }
        assert_eq!(site.says(VICTIM, "REGISTER", "203") == BANNED, banned, "the request named it: {named}");
    }
}

#[test]
fn busy_declined_and_challenged_are_no_guesses() {
    for status in ["180", "401", "407", "480", "486", "487", "600", "603", "200"] {
        let mut site = Site::new(POLICY);
        for attempt in 0..60 {
            site.calls += 1;
            let call = site.calls;
            site.request(GUESSER, Side::Wan, "INVITE", "203", call, "");
            site.answer(GUESSER, "INVITE", "203", call, status, &challenge(&format!("{attempt}")));
            site.request(GUESSER, Side::Wan, "ACK", "203", call, &format!(";tag=pbx{call}"));
        }
        assert_eq!(site.says(GUESSER, "REGISTER", "203").0, Verdict::Pass, "{status}");
    }
}

#[test]
fn a_known_telephone_that_mistypes_is_not_banned_and_a_flood_of_it_is() {
    let mut site = Site::new(POLICY);
    site.calls += 1;
    let call = site.calls;
    site.request(GUESSER, Side::Wan, "REGISTER", "203", call, &credentials("x"));
    site.answer(GUESSER, "REGISTER", "203", call, "200", "");
    for attempt in 0..40 {
        let nonce = format!("n{attempt}");
        site.guesses(GUESSER, &nonce, &nonce);
    }
    assert_eq!(site.says(GUESSER, "REGISTER", "203").0, Verdict::Pass);
    for _ in 0..20 {
        site.says(GUESSER, "OPTIONS", "203");
    }
    assert_eq!(site.says(GUESSER, "REGISTER", "203"), BANNED);
}

#[test]
fn trunks_and_the_site_itself_are_refused_and_never_banned() {
    let mut site = Site::new(POLICY);
    for _ in 0..40 {
        site.says(TRUNK, "OPTIONS", "203");
        site.request([192, 0, 2, 20], Side::Lan, "OPTIONS", "203", 7, "");
    }
    assert_eq!(site.says(TRUNK, "INVITE", "0312345678"), (Verdict::Pass, Reason::Inbound));
    let judged = site.request([192, 0, 2, 20], Side::Lan, "REGISTER", "203", 8, "");
    assert_eq!(judged.verdict(), Verdict::Pass);
}

#[test]
fn monitor_mode_bans_nobody_and_says_whom_it_would_have() {
    let mut site = Site::new(&POLICY.replace("\"enforce\"", "\"monitor\""));
    for attempt in 0..12 {
        let nonce = format!("n{attempt}");
        site.guesses(GUESSER, &nonce, &nonce);
    }
    assert_eq!(site.says(GUESSER, "REGISTER", "203"), (Verdict::WouldDrop, Reason::Banned));
    assert_eq!(site.says(GUESSER, "INVITE", "0312345678"), (Verdict::WouldDrop, Reason::Banned));
}
