//! Redials: an attempt that failed and is dialled again counts once, and every answered call has counted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{ordered, policy};
use etherparse::PacketBuilder;
use gateway_common::{Verdict, judge::Side};
use gateway_user::engine::host::HostEngine;

const POLICY: &str = "mode = \"enforce\"\nfloor = false\n[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n\
                      [site]\nregion = \"JP\"\n[profile.default]\nlimits = [\"abroad\", \"caller\"]\n\
                      [limit.abroad]\nkey = \"line\"\nclass = \"international\"\nwindows = [\"2/1h\"]\nsite_windows = [\"20/1h\"]\n\
                      [limit.caller]\nkey = \"source\"\nmethod = \"INVITE\"\nrate = \"1/s\"\nburst = 30\n";
const PHONE: [u8; 4] = [192, 0, 2, 20];
const PROXY: [u8; 4] = [203, 0, 113, 10];
const SECOND: u64 = 1_000_000_000;

struct Line {
    engine: HostEngine,
    now: u64,
    calls: u64,
}

impl Line {
    fn new() -> Self {
        Self { engine: ordered(&policy(POLICY), &[]), now: 1 << 50, calls: 0 }
    }

    fn says(&mut self, from: [u8; 4], to: [u8; 4], side: Side, message: &str) -> Verdict {
        let builder =
            PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from, to, 64).udp(5060, 5060);
        let mut frame = Vec::new();
        builder.write(&mut frame, message.as_bytes()).unwrap();
        self.now += SECOND;
        self.engine.judge(&frame, side, 0, self.now).verdict()
    }

    fn text(call: u64, start: &str, number: &str, tag: &str) -> String {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{call}\r\nFrom: <sip:203@x>;tag=f{call}\r\nTo: <sip:{number}@x>{tag}\r\n\
             Call-ID: c{call}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// Dials, and gets this final answer; says whether the call went out.
    fn dials(&mut self, number: &str, status: &str) -> bool {
        self.calls += 1;
        let call = self.calls;
        let invite = Self::text(call, &format!("INVITE sip:{number}@x SIP/2.0"), number, "");
        if self.says(PHONE, PROXY, Side::Lan, &invite) != Verdict::Pass {
            return false;
        }
        let answer = Self::text(call, &format!("SIP/2.0 {status} X"), number, ";tag=b");
        self.says(PROXY, PHONE, Side::Wan, &answer);
        true
    }
}

const NUMBER: &str = "+442079460000";

#[test]
fn a_busy_number_dialled_again_counts_once() {
    let mut line = Line::new();
    for _ in 0..10 {
        assert!(line.dials(NUMBER, "486"));
    }
    assert!(line.dials(NUMBER, "200"), "answered at last");
    assert!(line.dials("+442079460001", "200"), "the second of two");
    assert!(!line.dials("+442079460002", "200"), "the third");
}

#[test]
fn every_answered_call_has_counted() {
    let mut line = Line::new();
    // Whoever cancels first, and is answered then, has paid for the one that was cancelled.
    let mut answered = 0;
    for _ in 0..10 {
        line.dials(NUMBER, "487");
        answered += u32::from(line.dials(NUMBER, "200"));
    }
    assert_eq!(answered, 2);
}

#[test]
fn after_two_minutes_or_to_another_number_it_is_another_attempt() {
    let mut line = Line::new();
    assert!(line.dials(NUMBER, "486"));
    line.now += 121 * SECOND;
    assert!(line.dials(NUMBER, "486"));
    line.now += 121 * SECOND;
    assert!(!line.dials(NUMBER, "486"));
    let mut line = Line::new();
    for (number, goes) in [("+442079460000", true), ("+442079460001", true), ("+442079460002", false)] {
        assert_eq!(line.dials(number, "486"), goes, "{number}");
    }
}

#[test]
fn redials_keep_to_the_rate() {
    let mut line = Line::new();
    let gone = (0..200).filter(|_| line.dials(NUMBER, "486")).count();
    // Two seconds a try: the bucket of 30 never empties; at a tenth of that it does.
    assert_eq!(gone, 200);
    let mut line = Line::new();
    let mut gone = 0;
    for _ in 0..200 {
        gone += u32::from(line.dials(NUMBER, "486"));
        line.now -= 2 * SECOND - SECOND / 10;
    }
    assert!((30..=60).contains(&gone), "{gone}");
}
