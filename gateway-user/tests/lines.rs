//! Orders for a line, about a line, and orders that allow so many calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::collections::HashMap;

use engine::{frame_from, ordered, policy};
use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::{
    config::Window,
    daemon::{ActiveOrder, OrderRule},
    engine::host::HostEngine,
    orders::Scope,
    policy::{Lists, compile, decided},
};

const POLICY: &str = "mode = \"enforce\"\nfloor = false\n[site]\nregion = \"JP\"\n[profile.default]\nblock = [\"LV\"]\n\
                      [profile.lobby]\nsources = [\"192.0.2.0/28\"]\n[trunk.itsp]\nsources = [\"203.0.113.10\"]\n";
const SECOND: u64 = 1_000_000_000;

fn order(number: u64, rule: OrderRule, what: &[&str], scope: Scope) -> ActiveOrder {
    ActiveOrder { number, rule, what: what.iter().map(|what| what.parse().unwrap()).collect(), scope, max: None }
}

fn line(name: &str) -> Scope {
    Scope::Line(name.into())
}

fn request(method: &str, call: usize, from: &str, number: &str, more: &str) -> Vec<u8> {
    let uri = format!("sip:{number}@gw.example.net");
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK1\r\nFrom: <sip:{from}@192.0.2.66>;tag=1\r\n\
         To: <{uri}>\r\nCall-ID: {call}@192.0.2.66\r\nCSeq: 1 {method}\r\n{more}Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

struct Site {
    engine: HostEngine,
    calls: usize,
}

impl Site {
    fn new(orders: &[ActiveOrder]) -> Self {
        Self { engine: ordered(&policy(POLICY), orders), calls: 0 }
    }

    fn at(&mut self, side: Side, from: &str, number: &str, more: &str, second: u64) -> Judged {
        self.calls += 1;
        let message = request("INVITE", self.calls, from, number, more);
        self.engine.judge(&frame_from([192, 0, 2, 66], &message), side, 0, (1 << 50) + second * SECOND)
    }

    #[track_caller]
    fn is(&mut self, side: Side, from: &str, number: &str, verdict: Verdict, reason: Reason) {
        let judged = self.at(side, from, number, "", 0);
        assert_eq!((judged.verdict(), judged.reason()), (verdict, reason), "{from} to {number}");
    }
}

use Side::{Lan, Wan};
use Verdict::{Drop, Pass, WouldDrop};

const LATVIA: &str = "+37161234567";
const SIERRA_LEONE: &str = "+23276123456";

#[test]
fn an_order_for_a_line_holds_for_that_line_alone() {
    let mut site = Site::new(&[
        order(1, OrderRule::Block, &["SL"], line("203")),
        order(2, OrderRule::Allow, &["LV"], line("204")),
    ]);
    site.is(Lan, "203", SIERRA_LEONE, Drop, Reason::Order);
    site.is(Lan, "204", SIERRA_LEONE, Pass, Reason::Allowed);
    site.is(Lan, "204", LATVIA, Pass, Reason::Allowed);
    site.is(Lan, "203", LATVIA, Drop, Reason::BlockedCountry);
    site.is(Lan, "2030", SIERRA_LEONE, Pass, Reason::Allowed);
    site.is(Lan, "203", "119", Pass, Reason::Emergency);
}

#[test]
fn the_line_is_the_username_of_credentials_before_the_from_user() {
    let mut site = Site::new(&[order(1, OrderRule::Block, &["SL"], line("203"))]);
    let credentials = "Proxy-Authorization: Digest username=\"203\", realm=\"pbx\"\r\n";
    let judged = site.at(Lan, "999", SIERRA_LEONE, credentials, 0);
    assert_eq!((judged.verdict(), judged.reason()), (Drop, Reason::Order));
    let other = "Proxy-Authorization: Digest username=\"204\", realm=\"pbx\"\r\n";
    assert_eq!(site.at(Lan, "203", SIERRA_LEONE, other, 0).verdict(), Pass);
}

#[test]
fn what_an_unproved_source_says_of_its_line_gains_it_nothing() {
    let allow = [
        order(1, OrderRule::Allow, &["LV", "SL"], line("204")),
        order(2, OrderRule::Allow, &["line:205"], Scope::Site),
    ];
    let mut site = Site::new(&allow);
    for name in ["204", "205"] {
        let credentials = format!("Authorization: Digest username=\"{name}\", realm=\"pbx\"\r\n");
        assert_eq!(site.at(Wan, "1", LATVIA, &credentials, 0).reason(), Reason::BlockedCountry, "{name}");
        assert_eq!(site.at(Lan, "1", LATVIA, &credentials, 0).verdict(), Pass, "{name}");
    }
    let mut site = Site::new(&[order(1, OrderRule::Block, &["SL"], line("204"))]);
    let credentials = "Authorization: Digest username=\"204\", realm=\"pbx\"\r\n";
    assert_eq!(site.at(Wan, "1", SIERRA_LEONE, credentials, 0).reason(), Reason::Order, "a stolen account");
    site.is(Wan, "204", SIERRA_LEONE, Pass, Reason::Allowed);
}

#[test]
fn international_off_for_a_line_leaves_the_others_alone() {
    let mut site = Site::new(&[
        order(1, OrderRule::InternationalOff, &["GB"], line("203")),
        order(2, OrderRule::Allow, &["SL"], line("203")),
    ]);
    site.is(Lan, "203", SIERRA_LEONE, Drop, Reason::InternationalOff);
    site.is(Lan, "203", "+442079460000", Pass, Reason::Allowed);
    site.is(Lan, "203", "0312345678", Pass, Reason::Allowed);
    site.is(Lan, "204", SIERRA_LEONE, Pass, Reason::Allowed);
    let refer = request("REFER", 9, "203", "312", &format!("Refer-To: <sip:{SIERRA_LEONE}@gw.example.net>\r\n"));
    let judged = site.engine.judge(&frame_from([192, 0, 2, 66], &refer), Lan, 0, 1 << 50);
    assert_eq!((judged.verdict(), judged.reason()), (Drop, Reason::InternationalOff), "a transfer");
}

#[test]
fn a_line_can_be_blocked_or_watched_whole() {
    let mut site = Site::new(&[
        order(1, OrderRule::Block, &["line:203"], Scope::Site),
        order(2, OrderRule::Monitor, &["line:204"], Scope::Site),
        order(3, OrderRule::Block, &["line:205"], Scope::Profile("lobby".into())),
        order(4, OrderRule::Allow, &["192.0.2.66"], Scope::Site),
    ]);
    site.is(Lan, "203", "0312345678", Drop, Reason::Order);
    site.is(Lan, "203", "119", Pass, Reason::Emergency);
    site.is(Lan, "204", "0312345678", WouldDrop, Reason::Order);
    site.is(Lan, "205", "0312345678", Pass, Reason::Allowed);
}

#[test]
fn a_trunk_has_no_line() {
    let mut site = Site::new(&[order(1, OrderRule::Block, &["line:203"], Scope::Site)]);
    let message = request("INVITE", 1, "203", "0312345678", "");
    let judged = site.engine.judge(&frame_from([203, 0, 113, 10], &message), Wan, 0, 1 << 50);
    assert_eq!((judged.verdict(), judged.reason()), (Pass, Reason::Inbound));
}

fn at_most(count: u32, seconds: u64) -> Window {
    Window { count, per: std::time::Duration::from_secs(seconds) }
}

#[test]
fn an_allowance_is_exact_and_names_its_order() {
    let orders = [ActiveOrder { max: Some(at_most(3, 60)), ..order(7, OrderRule::Allow, &["LV"], line("203")) }];
    let mut site = Site::new(&orders);
    let mut passed = Vec::new();
    for second in 0..120 {
        let judged = site.at(Lan, "203", LATVIA, "", second);
        if judged.verdict() == Pass {
            passed.push(second);
        } else {
            assert_eq!((judged.verdict(), judged.reason()), (Drop, Reason::Order));
        }
    }
    assert_eq!(passed, [0, 1, 2, 60, 61, 62]);
    assert_eq!(site.at(Lan, "204", LATVIA, "", 1).reason(), Reason::BlockedCountry);
    let config = policy(POLICY);
    let judged = site.at(Lan, "203", LATVIA, "", 63);
    let told = decided(&config, &orders, &Lists::new(&config), &judged, "192.0.2.66".parse().unwrap());
    assert_eq!(told.order, None, "to undo it would let less pass");
    assert_eq!(told.limit.unwrap(), "order 7: allow LV --max 3/1m (line:203): used up");
}

#[test]
fn an_allowance_survives_another_policy_and_holds_in_monitor_mode() {
    let orders = [ActiveOrder { max: Some(at_most(2, 600)), ..order(7, OrderRule::Allow, &["LV"], Scope::Site) }];
    let config = policy(&POLICY.replace("enforce", "monitor"));
    let mut site = Site { engine: ordered(&config, &orders), calls: 0 };
    site.is(Lan, "203", LATVIA, Pass, Reason::Allowed);
    site.is(Lan, "204", LATVIA, Pass, Reason::Allowed);
    let more = [orders.to_vec(), vec![order(8, OrderRule::Block, &["SL"], Scope::Site)]].concat();
    site.engine.replace(compile(&config, &more, &HashMap::new(), 2).unwrap().0);
    site.is(Lan, "205", LATVIA, Drop, Reason::Order);
}

#[test]
fn orders_that_could_never_act_are_refused() {
    let config = policy(POLICY);
    let refused = |order: ActiveOrder| compile(&config, &[order], &HashMap::new(), 1).unwrap_err().to_string();
    for (given, needle) in [
        (order(1, OrderRule::Block, &["192.0.2.1"], line("203")), "name a destination"),
        (order(1, OrderRule::Block, &["line:204"], line("203")), "name a destination"),
        (
            ActiveOrder { max: Some(at_most(2, 60)), ..order(1, OrderRule::Allow, &["dial:010"], Scope::Site) },
            "--max counts",
        ),
        (
            ActiveOrder { max: Some(at_most(2, 60)), ..order(1, OrderRule::Allow, &["line:203"], Scope::Site) },
            "--max counts",
        ),
    ] {
        let error = refused(given);
        assert!(error.starts_with("order 1: ") && error.contains(needle), "{error}");
    }
}
