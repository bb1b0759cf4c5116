//! Calls at once: as many as the limit allows, whoever says that others are over; and what the floor makes of many to one
//! country.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{ordered, policy};
use etherparse::PacketBuilder;
use gateway_common::{Reason, Verdict, judge::Side};
use gateway_user::engine::host::HostEngine;

const SITE: &str = "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\n\
                    [trunk.itsp]\nsources = [\"203.0.113.10\"]\n";
const LIMITED: &str = "[profile.default]\nlimits = [\"abroad\"]\n\
                       [limit.abroad]\nkey = \"line\"\nclass = \"international\"\nwindows = [\"50/1h\"]\nsite_windows = [\"60/1h\"]\n\
                       concurrent = 3\nsite_concurrent = 5\nover = \"suspend\"\n";
const PHONE: [u8; 4] = [192, 0, 2, 20];
const TRUNK: [u8; 4] = [203, 0, 113, 10];
const ACCOMPLICE: [u8; 4] = [198, 51, 100, 9];
const SECOND: u64 = 1_000_000_000;
const ABROAD: &str = "+442079460000";

struct Site {
    engine: HostEngine,
    now: u64,
}

type Decision = (Verdict, Reason);
const PASSES: Decision = (Verdict::Pass, Reason::Allowed);

impl Site {
    fn new(mode: &str, floor: bool, limits: &str) -> Self {
        let text = format!("mode = \"{mode}\"\nfloor = {floor}\n{SITE}{limits}");
        Self { engine: ordered(&policy(&text), &[]), now: 1 << 50 }
    }

    fn limited() -> Self {
        Self::new("enforce", false, LIMITED)
    }

    fn says(&mut self, from: [u8; 4], to: [u8; 4], message: &str) -> Decision {
        let builder =
            PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(from, to, 64).udp(5060, 5060);
        let mut frame = Vec::new();
        builder.write(&mut frame, message.as_bytes()).unwrap();
        self.now += SECOND / 100;
        let side = if from == PHONE { Side::Lan } else { Side::Wan };
        let judged = self.engine.judge(&frame, side, 0, self.now);
        (judged.verdict(), judged.reason())
    }

    /// An INVITE of a line to a number.
    fn dials(&mut self, call: u32, line: &str, number: &str) -> Decision {
        self.says(
            PHONE,
            TRUNK,
            &text(call, line, &format!("INVITE sip:{number}@x SIP/2.0"), number, "INVITE", ["f", ""]),
        )
    }

    /// Line 203 calls abroad.
    fn calls(&mut self, call: u32) -> Decision {
        self.dials(call, "203", ABROAD)
    }

    /// An answer to line 203, of whom it calls.
    fn hears(&mut self, call: u32, from: [u8; 4], status: &str, method: &str) {
        let start = format!("SIP/2.0 {status} X");
        self.says(from, PHONE, &text(call, "203", &start, ABROAD, method, ["f", "b"]));
    }

    /// Whom line 203 called hangs up.
    fn is_hung_up_on(&mut self, call: u32, from: [u8; 4]) {
        let bye = text(call, "203", "BYE sip:203@x SIP/2.0", ABROAD, "BYE", ["b", "f"]);
        self.says(from, PHONE, &bye);
    }

    /// The same, of so many calls that are answered.
    fn talks(&mut self, calls: std::ops::RangeInclusive<u32>) {
        for call in calls {
            assert_eq!(self.calls(call), PASSES, "{call}");
            self.hears(call, TRUNK, "200", "INVITE");
        }
    }
}

/// A message of a call, with the tags of From and To; none where they are empty.
fn text(call: u32, line: &str, start: &str, number: &str, method: &str, tags: [&str; 2]) -> String {
    let [from, to] = tags.map(|tag| if tag.is_empty() { String::new() } else { format!(";tag={tag}{call}") });
    format!(
        "{start}\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK{call}\r\nFrom: <sip:{line}@x>{from}\r\nTo: <sip:{number}@x>{to}\r\n\
         Call-ID: c{call}\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

const REFUSED: Decision = (Verdict::Drop, Reason::LineLimit);

#[test]
fn so_many_are_up_at_once_and_each_end_makes_room_for_one() {
    let mut site = Site::limited();
    site.talks(1..=3);
    assert_eq!(site.calls(4), REFUSED);
    assert_eq!(site.dials(5, "203", "0312345678"), PASSES, "within the country");
    assert_eq!(site.dials(6, "203", "110"), (Verdict::Pass, Reason::Emergency));
    site.hears(1, TRUNK, "200", "BYE");
    assert_eq!(site.calls(7), PASSES, "the caller hung up");
    site.hears(7, TRUNK, "200", "INVITE");
    site.is_hung_up_on(2, TRUNK);
    assert_eq!(site.calls(8), PASSES, "the other side hung up");
    assert_eq!(site.calls(9), REFUSED);
    site.hears(8, TRUNK, "486", "INVITE");
    assert_eq!(site.calls(10), PASSES, "busy");
    assert_eq!(site.calls(11), REFUSED, "refused, not suspended: three are up");
}

#[test]
fn nobody_but_whom_was_called_says_that_a_call_is_over() {
    let mut site = Site::limited();
    site.talks(1..=3);
    site.says(PHONE, TRUNK, &text(1, "203", "SIP/2.0 200 OK", ABROAD, "BYE", ["f", "b"]));
    site.hears(1, ACCOMPLICE, "200", "BYE");
    site.is_hung_up_on(2, ACCOMPLICE);
    let own = text(3, "203", "BYE sip:x@x SIP/2.0", ABROAD, "BYE", ["f", "b"]);
    site.says(PHONE, TRUNK, &own);
    assert_eq!(site.calls(4), REFUSED);
}

#[test]
fn what_is_sent_again_holds_one_channel() {
    let mut site = Site::limited();
    assert_eq!(site.calls(1), PASSES);
    site.now += SECOND / 2;
    assert_eq!(site.calls(1), (Verdict::Pass, Reason::Repeat));
    site.hears(1, TRUNK, "407", "INVITE");
    let invite = text(1, "203", &format!("INVITE sip:{ABROAD}@x SIP/2.0"), ABROAD, "INVITE", ["f", ""]);
    let proves = invite.replace("CSeq: 1", "Proxy-Authorization: Digest username=\"203\"\r\nCSeq: 2");
    assert_eq!(site.says(PHONE, TRUNK, &proves), (Verdict::Pass, Reason::Repeat));
    assert_eq!((site.calls(2), site.calls(3), site.calls(4)), (PASSES, PASSES, REFUSED));
}

#[test]
fn a_call_that_nobody_answers_gives_its_channel_back() {
    let mut site = Site::limited();
    for call in 1..=3 {
        assert_eq!(site.calls(call), PASSES);
    }
    site.hears(1, TRUNK, "180", "INVITE");
    site.now += 33 * SECOND;
    assert_eq!((site.calls(4), site.calls(5), site.calls(6)), (PASSES, PASSES, REFUSED), "one still rings");
    site.now += 181 * SECOND;
    for call in 7..=9 {
        assert_eq!(site.calls(call), PASSES);
    }
}

#[test]
fn a_call_whose_bye_was_lost_gives_its_channel_back_with_its_session() {
    let mut site = Site::limited();
    let session = "Session-Expires: 1800;refresher=uac\r\nContent-Length";
    let answer = |call, tags| text(call, "203", "SIP/2.0 200 OK", ABROAD, "INVITE", tags);
    for call in 1..=3 {
        assert_eq!(site.calls(call), PASSES);
        site.says(TRUNK, PHONE, &answer(call, ["f", "b"]).replace("Content-Length", session));
    }
    site.now += 900 * SECOND;
    let refresh = answer(1, ["f", "b"]).replace("INVITE", "UPDATE").replace("Content-Length", session);
    site.says(TRUNK, PHONE, &refresh);
    // Who called would have his own sessions end, and go on.
    let short = session.replace("1800", "90");
    site.says(PHONE, TRUNK, &answer(1, ["b", "f"]).replace("Content-Length", &short));
    site.now += 800 * SECOND;
    assert_eq!(site.calls(4), REFUSED, "all three are up");
    site.now += 200 * SECOND;
    assert_eq!((site.calls(5), site.calls(6), site.calls(7)), (PASSES, PASSES, REFUSED), "one was refreshed");
}

#[test]
fn whoever_names_another_line_each_time_meets_the_bound_of_the_site() {
    let mut site = Site::limited();
    for (call, line) in (1..).zip(["201", "202", "203", "204", "205"]) {
        assert_eq!(site.dials(call, line, ABROAD), PASSES);
    }
    assert_eq!(site.dials(6, "206", ABROAD), (Verdict::Drop, Reason::SiteLimit));
}

#[test]
fn a_call_that_is_refused_counts_for_no_window() {
    let mut site = Site::new(
        "enforce",
        false,
        "[profile.default]\nlimits = [\"all\"]\n[limit.all]\nkey = \"source\"\nwindows = [\"3/1h\"]\nconcurrent = 1\n",
    );
    site.talks(1..=1);
    let refused = (Verdict::Drop, Reason::SourceLimit);
    for call in 2..=6 {
        assert_eq!(site.calls(call), refused);
    }
    for call in 7..=8 {
        site.hears(if call == 7 { 1 } else { 7 }, TRUNK, "200", "BYE");
        site.talks(call..=call);
    }
    site.hears(8, TRUNK, "200", "BYE");
    assert_eq!(site.calls(9), refused, "the fourth within the hour");
}

#[test]
fn where_a_limit_suspends_who_keeps_on_dialling_is_suspended() {
    let limits = LIMITED.replace("\"50/1h\"", "\"6/300s\"");
    let mut site = Site::new("enforce", false, &limits);
    site.talks(1..=3);
    for call in 4..=6 {
        assert_eq!(site.calls(call), REFUSED, "{call}");
    }
    assert_eq!(site.calls(7), (Verdict::Drop, Reason::LineLimit), "the seventh in five minutes");
    site.hears(1, TRUNK, "200", "BYE");
    assert_eq!(site.calls(8), (Verdict::Drop, Reason::Suspended));
    let mut patient = Site::new("enforce", false, &limits);
    patient.talks(1..=3);
    assert_eq!(patient.calls(4), REFUSED);
    patient.hears(1, TRUNK, "200", "BYE");
    assert_eq!(patient.calls(5), PASSES, "who tried once too often is not");
}

#[test]
fn monitor_mode_counts_only_what_enforce_mode_would_let_through() {
    let mut site = Site::new("monitor", false, LIMITED);
    site.talks(1..=3);
    for call in 4..=6 {
        assert_eq!(site.calls(call), (Verdict::WouldDrop, Reason::LineLimit), "{call}");
        site.hears(call, TRUNK, "200", "INVITE");
    }
    site.hears(1, TRUNK, "200", "BYE");
    assert_eq!(site.calls(7), PASSES);
}

#[test]
fn what_comes_in_holds_no_channel() {
    let mut site = Site::new(
        "enforce",
        false,
        "[profile.default]\nlimits = [\"all\"]\n[limit.all]\nkey = \"site\"\nconcurrent = 1\n",
    );
    for call in 1..=3 {
        let invite = text(call, "x", "INVITE sip:203@192.0.2.20 SIP/2.0", "203", "INVITE", ["f", ""]);
        assert_eq!(site.says(TRUNK, PHONE, &invite), (Verdict::Pass, Reason::Inbound));
        assert!(site.says(ACCOMPLICE, PHONE, &invite.replace("Call-ID: ", "Call-ID: o")).0.passes());
    }
    assert_eq!(site.dials(9, "203", "0312345678"), PASSES);
    assert_eq!(site.dials(10, "203", "0312345678"), (Verdict::Drop, Reason::SiteLimit));
}

#[test]
fn the_floor_lets_six_be_up_to_one_country_in_either_mode() {
    for mode in ["monitor", "enforce"] {
        let mut site = Site::new(mode, true, "");
        site.talks(1..=6);
        assert_eq!(site.dials(7, "204", "+33142000000"), PASSES, "another country");
        site.hears(2, TRUNK, "200", "BYE");
        site.talks(8..=8);
        assert_eq!(site.dials(9, "205", ABROAD), (Verdict::Drop, Reason::Floor), "{mode}");
        assert_eq!(site.dials(10, "204", "+33142000000"), (Verdict::Drop, Reason::Suspended), "{mode}");
        assert_eq!(site.dials(11, "204", "0312345678"), PASSES, "{mode}");
        assert_eq!(site.dials(12, "204", "119"), (Verdict::Pass, Reason::Emergency), "{mode}");
    }
}

#[test]
fn a_site_that_calls_one_country_often_but_not_at_once_is_let_be() {
    let mut site = Site::new("monitor", true, "");
    for call in 1..=18 {
        site.talks(call..=call);
        site.hears(call, TRUNK, "200", "BYE");
        site.now += 60 * SECOND;
    }
}
