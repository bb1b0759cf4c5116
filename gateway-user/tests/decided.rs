//! What is kept of a decision names the rule that made it: the entry with its line, the class, the order, the limit.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::{sync::Arc, time::Instant};

use engine::{frame_from, invite, ordered, policy};
use gateway_common::judge::Side;
use gateway_user::{
    config::{Config, ListWriter},
    daemon::{ActiveOrder, Decided, OrderRule},
    digits::Digits,
    orders::Scope,
    policy::{Caller, Holding, Lists, decided, explain},
};

const POLICY: &str = r#"mode = "enforce"
[site]
region = "JP"
[profile.default]
block = [
  "SL",
  "+4420",
  "dial:0570",
]
allow = ["GB"]
limits = ["caller"]
[profile.lobby]
sources = ["192.0.2.0/28"]
class.international = "block"
[trunk.itsp]
sources = ["203.0.113.10"]
rate = "1/h"
over = "drop"
[limit.caller]
key = "source"
rate = "1/h"
"#;

const PHONE: [u8; 4] = [198, 51, 100, 7];
const LOBBY: [u8; 4] = [192, 0, 2, 3];
const TRUNK: [u8; 4] = [203, 0, 113, 10];

/// What decided about the second of two calls, so that a limit of one an hour is used up where nothing forbids it.
fn told(config: &Config, orders: &[ActiveOrder], source: [u8; 4], calls: &[&str]) -> Decided {
    let mut engine = ordered(config, orders);
    let lists = Lists::new(config);
    let mut last = Decided::default();
    for dialled in calls {
        let frame = frame_from(source, &invite(&format!("sip:{dialled}@gw.example.net")));
        let judged = engine.judge(&frame, Side::Wan, 0, 1);
        last = decided(config, orders, &lists, &judged, source.into());
    }
    last
}

/// Orders in force, who calls whom, and the rule and order that are to be named.
type Case<'a> = (&'a [ActiveOrder], [u8; 4], &'a [&'a str], &'a str, Option<u64>);

#[test]
fn each_decision_names_its_rule() {
    let config = policy(POLICY);
    let order = ActiveOrder {
        number: 7,
        rule: OrderRule::Allow,
        what: vec!["+2327".parse().unwrap(), "FR".parse().unwrap()],
        scope: Scope::Site,
        max: None,
    };
    let off = ActiveOrder {
        number: 9,
        rule: OrderRule::Block,
        what: vec!["198.51.100.0/24".parse().unwrap()],
        ..order.clone()
    };
    let one = std::slice::from_ref(&order);
    let cases: [Case<'_>; 11] = [
        (
            &[],
            PHONE,
            &["01023299123456"],
            "block SL (Sierra Leone) at built-in example (JP, enforce):6 (profile default)",
            None,
        ),
        (&[], PHONE, &["+442079460000"], "block +4420 at built-in example (JP, enforce):7 (profile default)", None),
        (&[], PHONE, &["0570012345"], "block dial:0570 at built-in example (JP, enforce):8 (profile default)", None),
        (
            &[],
            PHONE,
            &["+441614960000"],
            "allow GB (United Kingdom) at built-in example (JP, enforce):10 (profile default)",
            None,
        ),
        (&[], LOBBY, &["+33123456789"], "class.international = \"block\" of [profile.lobby]; no entry names it", None),
        (&[], PHONE, &["+979123456789"], "the floor refuses +979 in either mode", None),
        (&[], PHONE, &["119"], "An emergency call, and no other place of the request names another number.", None),
        (&[], TRUNK, &["0312345678"], "trunk.itsp: an inbound call", None),
        (one, PHONE, &["+23276123456"], "order 7: allow +2327 (site)", Some(7)),
        (one, LOBBY, &["+33123456789"], "order 7: allow FR (site)", Some(7)),
        (&[off], PHONE, &["0312345678"], "order 9: block 198.51.100.0/24 (site)", Some(9)),
    ];
    for (orders, source, calls, rule, number) in cases {
        let found = told(&config, orders, source, calls);
        assert_eq!((found.rule.as_deref(), found.order), (Some(rule), number), "{calls:?} from {source:?}");
        assert_eq!(found.limit, None);
    }
    for (source, limit) in [
        (PHONE, "limit.caller, 1 in 3600s, burst 1: used up"),
        (TRUNK, "the rate of trunk.itsp, 1 in 3600s, burst 1: used up"),
    ] {
        let found = told(&config, &[], source, &["0312345678"; 2]);
        assert_eq!((found.limit.as_deref(), found.rule), (Some(limit), None));
    }
}

#[test]
fn the_entry_is_the_one_that_explain_names() {
    let config = policy(POLICY);
    let image = gateway_user::policy::compile(&config, &[], &std::collections::HashMap::new(), 1).unwrap().0;
    for dialled in ["01023276123456", "+442079460000", "0570012345", "+441614960000"] {
        let caller = Caller { from: Some(PHONE.into()), ..Caller::default() };
        let explained = explain(&config, &image, &[], dialled, &caller, &Holding::nothing(jiff::Timestamp::UNIX_EPOCH))
            .unwrap()
            .rule
            .unwrap();
        let found = told(&config, &[], PHONE, &[dialled]).rule.unwrap();
        let entry = found.split(" (profile").next().unwrap();
        assert!(explained.starts_with(entry), "{dialled}: {explained} / {found}");
    }
}

/// A list of a million entries is not walked for each event.
/// `cargo test -p gateway-user --test decided -- --nocapture a_million` prints how long one takes.
#[test]
fn a_million_entries_are_found_by_their_order() {
    let mut config = policy("mode = \"enforce\"\n[site]\nregion = \"JP\"\n");
    // Who decides is asked without the list: it is finding its entry again that is tried here.
    let mut engine = ordered(&config, &[]);
    let mut list = ListWriter::new("list");
    for i in (0..1_000_000).rev() {
        list.prefix(Digits::new(&format!("232{i:06}")), i, None);
    }
    config.profiles[0].block_files = vec![Arc::new(list.finish())];
    let lists = Lists::new(&config);
    let mut judge = |i: u32| {
        let frame = frame_from(PHONE, &invite(&format!("sip:+232{i:06}12@gw.example.net")));
        engine.judge(&frame, Side::Wan, 0, u64::from(i + 1) * 1_000_000_000)
    };
    let first = judge(0);
    let start = Instant::now();
    decided(&config, &[], &lists, &first, PHONE.into());
    println!("sorted in {:?}", start.elapsed());
    let calls: Vec<(u32, _)> = (0..1000).map(|i| i * 997).map(|i| (i, judge(i))).collect();
    let start = Instant::now();
    for (i, judged) in &calls {
        let rule = decided(&config, &[], &lists, judged, PHONE.into()).rule.unwrap();
        assert!(rule.starts_with(&format!("block +232{i:06} at list:{i} ")), "{rule}");
    }
    println!("one of {} found in {:?}", calls.len(), start.elapsed() / 1000);
}
