//! What `explain` says of a line: the cells that it is charged to, how full they are, and what that comes to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

use std::{collections::HashMap, path::Path};

use gateway_common::{
    Reason, Verdict,
    addr::Addr,
    limit::{CellKey, FLOOR_CELL, line_digest, name_hash, window::Ring},
    policy::image::Key,
};
use gateway_user::{
    config::{self, Config, Role},
    daemon::Explanation,
    policy::{Caller, Holding, compile, explain},
    zone,
};
use jiff::{SignedDuration, Timestamp};

const POLICY: &str = r#"
mode = "enforce"
floor = true
[interface.eth0]
role = "wan"
[interface.eth1]
role = "lan"
[site]
region = "JP"
[profile.default]
limits = ["abroad", "caller"]
[limit.abroad]
key = "line"
class = "international"
windows = ["3/60s"]
site_windows = ["20/1h"]
over = "suspend"
suspend = "1h"
[limit.caller]
key = "source"
rate = "10/s"
"#;
const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 100_000 * SECOND;

fn config() -> Config {
    config::parse(POLICY, None, Path::new(".")).unwrap().0
}

fn told(line: &str, number: &str, cells: &[(CellKey, Ring)]) -> anyhow::Result<Explanation> {
    let config = config();
    let (image, _) = compile(&config, &[], &HashMap::new(), 1).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let holding = Holding { line: Some(line), known: Some(false), cells, channels: &[], summed: None, clock: NOW, now };
    let caller = Caller { from: Some([192, 0, 2, 20].into()), ..Caller::default() };
    explain(&config, &image, &[], number, &caller, &holding)
}

fn of_line(name: &str) -> CellKey {
    let profile = u64::from(name_hash(b"default"));
    let value = line_digest(name.as_bytes()) ^ (profile << 32 | profile);
    CellKey { limit: name_hash(b"abroad"), kind: Key::Line as u32, value }
}

fn ring(ages: &[u64]) -> Ring {
    let mut ring = Ring { used: 1, first: 1, ..Ring::FRESH };
    for age in ages {
        ring.calls[ring.admitted as usize] = NOW - age * SECOND;
        ring.admitted += 1;
    }
    ring
}

fn step<'e>(explanation: &'e Explanation, name: &str) -> (&'e str, bool) {
    let step = explanation.steps.iter().find(|step| step.name == name).unwrap();
    (&step.finding, step.decides)
}

#[test]
fn a_line_is_told_how_full_each_of_its_cells_is() {
    let found = told("203", "010442071838750", &[(of_line("203"), ring(&[90, 50, 40]))]).unwrap();
    assert_eq!((found.verdict, found.reason), (Verdict::Pass, Reason::Allowed));
    let (limits, _) = step(&found, "limits");
    for needle in
        ["limit.abroad, limit.caller would count it", "2 of 3/1m", "all international calls of the site: 0 of 20/1h"]
    {
        assert!(limits.contains(needle), "{needle}: {limits}");
    }
    assert!(step(&found, "source").0.contains("192.0.2.20 is lan"), "{found:?}");
    assert!(step(&found, "floor").0.contains("0 of 20/1h, 0 of 60/1d"), "{found:?}");
    assert_eq!(found.charged.len(), 4, "{:?}", found.charged);
    // Another line has cells of its own.
    let other = told("204", "010442071838750", &[(of_line("203"), ring(&[50, 40, 30]))]).unwrap();
    assert!(step(&other, "limits").0.contains("0 of 3/1m"), "{other:?}");
    // What no limit counts is charged to nothing.
    assert!(told("203", "0312345678", &[]).unwrap().charged.is_empty());
}

#[test]
fn a_full_window_and_a_suspension_are_what_decides() {
    let full = told("203", "010442071838750", &[(of_line("203"), ring(&[50, 40, 30]))]).unwrap();
    assert_eq!((full.verdict, full.reason), (Verdict::Drop, Reason::LineLimit));
    let (limits, decides) = step(&full, "limits");
    assert!(decides && limits.contains("3 of 3/1m"), "{limits}");

    let suspended = Ring { since: NOW - SECOND, until: NOW + 60 * SECOND, ..ring(&[1]) };
    let found = told("203", "010442071838750", &[(of_line("203"), suspended)]).unwrap();
    assert_eq!((found.verdict, found.reason), (Verdict::Drop, Reason::Suspended));
    let (limits, decides) = step(&found, "limits");
    let until = zone::shown(Timestamp::UNIX_EPOCH + SignedDuration::from_secs(60));
    assert!(decides && limits.contains(&format!("suspended until {until}")), "{limits}");
    assert!(limits.contains(&format!("tollgate resume line:#{:016x}", of_line("203").value)), "{limits}");

    // The breaker of the floor stops every line, and is told where it stands in the order of decisions.
    let breaker = CellKey { limit: FLOOR_CELL, kind: Key::All as u32, value: 0 };
    let open = Ring { since: NOW - SECOND, until: NOW + 60 * SECOND, cause: 1, ..Ring::FRESH };
    let found = told("203", "010442071838750", &[(breaker, open)]).unwrap();
    assert_eq!(found.reason, Reason::Suspended);
    let (floor, decides) = step(&found, "floor");
    assert!(decides && floor.contains("suspended until"), "{floor}");
}

#[test]
fn emergency_calls_of_a_suspended_line_pass() {
    let suspended = Ring { since: 1, until: u64::MAX, ..Ring::FRESH };
    let found = told("203", "119", &[(of_line("203"), suspended)]).unwrap();
    assert_eq!((found.verdict, found.reason), (Verdict::Pass, Reason::Emergency));
}

#[test]
fn what_no_from_can_say_is_refused() {
    for line in ["", "#71c2f06b12a4905e", "20 3", "203@site", "<203>", "203;x", "\r\n", "2\u{3000}3", &"2".repeat(65)] {
        let error = told(line, "0312345678", &[]).unwrap_err().to_string();
        assert!(error.contains("names no line here"), "{line:?}: {error}");
    }
}

/// What a call from `source` meets, where the filter holds `cells`.
fn from(source: [u8; 4], side: Option<Role>, known: bool, policy: &str, cells: &[(CellKey, Ring)]) -> Explanation {
    let (config, _) = config::parse(policy, None, Path::new(".")).unwrap();
    let interfaces = HashMap::from([("eth0".to_owned(), 2), ("eth1".to_owned(), 3)]);
    let (image, _) = compile(&config, &[], &interfaces, 1).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let holding = Holding { line: None, known: Some(known), cells, channels: &[], summed: None, clock: NOW, now };
    let caller = Caller { from: Some(source.into()), side, by: "as the test says".into() };
    explain(&config, &image, &[], "010442071838750", &caller, &holding).unwrap()
}

#[test]
fn a_ban_on_the_source_decides_and_says_how_to_lift_it() {
    let guessing =
        format!("{POLICY}[limit.guessing]\nkey = \"source\"\ncount = \"failures\"\nrate = \"6/m\"\nover = \"ban\"\n")
            .replace("\"caller\"]", "\"caller\", \"guessing\"]");
    let scanner = [198, 51, 100, 7];
    let key = CellKey::of_ban(Addr::v4(u32::from_be_bytes(scanner)).source());
    let used = u64::from(name_hash(b"guessing"));
    let ban = Ring { admitted: 1, used, since: NOW - 60 * SECOND, until: NOW + 240 * SECOND, ..Ring::FRESH };
    let banned = |side, policy: &str| from(scanner, side, false, policy, &[(key, ban)]);

    let found = banned(Some(Role::Wan), &guessing);
    assert_eq!((found.verdict, found.reason), (Verdict::Drop, Reason::Banned));
    let (text, decides) = step(&found, "bans");
    assert!(decides, "{found:?}");
    for needle in ["SIP of 198.51.100.7: banned until ", "over [limit.guessing]", "tollgate resume 198.51.100.7"] {
        assert!(text.contains(needle), "{needle}: {text}");
    }
    let counted = banned(Some(Role::Wan), &guessing.replace("\"enforce\"", "\"monitor\""));
    assert_eq!(counted.verdict, Verdict::WouldDrop);
    assert!(step(&counted, "bans").0.contains("in monitor mode it is counted only"));
    // On the LAN side the same address is somebody else.
    let inside = banned(Some(Role::Lan), &guessing);
    assert_ne!(inside.reason, Reason::Banned);
    assert!(step(&inside, "bans").0.contains("of this side it is not asked"), "{inside:?}");
    let over = Ring { until: NOW - 1, ..ban };
    let free = from(scanner, None, false, &guessing, &[(key, over)]);
    assert_eq!((step(&free, "bans").0, free.reason == Reason::Banned), ("none", false));
}

#[test]
fn the_side_decides_who_asks_and_is_told() {
    let telephone = [192, 0, 2, 20];
    let of = |side, known| {
        let found = from(telephone, side, known, POLICY, &[]);
        step(&found, "source").0.to_owned()
    };
    assert_eq!(of(Some(Role::Lan), false), "192.0.2.20 is lan (as the test says), profile default");
    assert_eq!(of(Some(Role::Wan), false), "192.0.2.20 is unproved (as the test says), profile default");
    assert_eq!(of(Some(Role::Wan), true), "192.0.2.20 is known (as the test says), profile default");

    // A trunk is one on its own interface, which a call that is asked about arrives on.
    let with = format!("{POLICY}[trunk.itsp]\nsources = [\"203.0.113.10\"]\ninterface = \"eth0\"\n");
    let found = from([203, 0, 113, 10], Some(Role::Wan), false, &with, &[]);
    assert_eq!((found.verdict, found.reason), (Verdict::Pass, Reason::Inbound), "{found:?}");

    let config = config();
    let (image, _) = compile(&config, &[], &HashMap::new(), 1).unwrap();
    let caller = Caller { side: Some(Role::Wan), ..Caller::default() };
    let holding = Holding { line: Some("203"), ..Holding::nothing(Timestamp::UNIX_EPOCH) };
    let error = explain(&config, &image, &[], "119", &caller, &holding).unwrap_err().to_string();
    assert!(error.contains("--side lan") && error.contains("leave out --line"), "{error}");
}
