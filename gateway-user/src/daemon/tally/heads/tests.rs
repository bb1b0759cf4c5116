//! What is remembered of who tries what, by honest sources, scanners and floods.

use std::{net::Ipv4Addr, path::Path};

use gateway_common::{Method, judged::Who, limit::name_hash};

use super::*;
use crate::config;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 100_000 * SECOND;
const SCANNER: u32 = 0xc633_6409;

fn policy(limit: &str) -> Config {
    let text = format!(
        "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\n\
         [profile.default]\nlimits = [\"plan\"]\n[limit.plan]\nkey = \"source\"\nover = \"ban\"\n{limit}"
    );
    config::parse(&text, None, Path::new(".")).unwrap().0
}

fn event(source: u32, tail: u64, head: u64, clock: u64) -> Event {
    let source = Ipv4Addr::from_bits(source).into();
    let tried = Some(Tried { tail, head });
    Event { source, tried, clock, who: Who::Unproved, method: Some(Method::Invite), ..Event::sample() }
}

/// What these sources tried: source, number, head.
fn tried(heads: &mut Heads, config: &Config, attempts: impl IntoIterator<Item = (u32, u64, u64)>, clock: u64) {
    for (source, tail, head) in attempts {
        heads.note(&event(source, tail, head, clock));
    }
    heads.count(config);
}

fn key(source: u32) -> CellKey {
    let value = gateway_common::addr::Addr::v4(source).source();
    CellKey { limit: name_hash(b"plan"), kind: gateway_common::policy::image::Key::Source as u32, value }
}

/// The most heads that a source tried in front of one number within ten minutes.
fn level(heads: &Heads, source: u32, now: u64) -> u64 {
    heads.suspects.get(&key(source)).map_or(0, |it| it.within(600 * SECOND, now))
}

#[test]
fn different_heads_of_one_number_count_and_nothing_else_does() {
    let config = policy("heads = \"3/10m\"\n");
    let mut heads = Heads::default();
    // A call centre, and whoever redials.
    tried(&mut heads, &config, (0..100).map(|number| (SCANNER, number, 1)), START);
    tried(&mut heads, &config, (0..100).map(|_| (SCANNER, 1000, 1)), START);
    assert!(heads.suspects.is_empty(), "one head of each");
    tried(&mut heads, &config, [(SCANNER, 7, 2), (SCANNER, 7, 1), (SCANNER, 8, 3), (SCANNER, 7, 4)], START);
    assert_eq!(level(&heads, SCANNER, START), 3, "1, 2 and 4, and of another number another");
    let limit = &config.limits[0];
    assert!(!heads.suspects[&key(SCANNER)].is_over(&limit.heads, START), "three are allowed");
    tried(&mut heads, &config, [(SCANNER, 7, 5)], START + SECOND);
    assert!(heads.suspects[&key(SCANNER)].is_over(&limit.heads, START + SECOND));
    assert_eq!(level(&heads, SCANNER + 1, START), 0);
    for who in [Who::Lan, Who::Known, Who::Trunk] {
        for head in 0..10 {
            heads.note(&Event { who, ..event(SCANNER + 1, 7, head, START) });
        }
    }
    heads.count(&config);
    assert_eq!(level(&heads, SCANNER + 1, START), 0, "whom the site vouches for");
    // Ten minutes later the first three are out of it.
    assert_eq!(level(&heads, SCANNER, START + 600 * SECOND), 1);
    heads.forget_old(|_| Some(limit), START + 601 * SECOND);
    assert!(heads.suspects.is_empty(), "nothing is left to count");
}

#[test]
fn a_method_or_another_profile_keeps_it_from_counting() {
    let config = policy(
        "heads = \"3/10m\"\nmethod = \"REFER\"\n[profile.branch]\nsources = [\"198.51.100.0/24\"]\nlimits = []\n",
    );
    let mut heads = Heads::default();
    tried(&mut heads, &config, (0..10).map(|head| (1, 7, head)), START);
    assert!(heads.suspects.is_empty(), "an INVITE");
    for (source, counts) in [(1, 1), (SCANNER, 0)] {
        (0..10).for_each(|head| {
            heads.note(&Event { method: Some(Method::Refer), ..event(source, 7, head, START) });
        });
        heads.count(&config);
        assert_eq!(heads.suspects.len(), counts, "{source}");
        heads.clear();
    }
}

#[test]
fn a_flood_of_sources_that_come_once_pushes_out_nobody_who_scans() {
    let config = policy("heads = \"6/10m\"\n");
    let (mut heads, mut clock) = (Heads::default(), START);
    for head in 0..7u32 {
        tried(&mut heads, &config, [(SCANNER, 7, head.into())], clock);
        // More than are remembered of those that come once, between any two heads but the first.
        let flood = if head == 0 { FIRST as u32 / 2 } else { 2 * FIRST as u32 };
        for from in (0..flood).step_by(MOST) {
            let forged = |n: u32| (n.wrapping_mul(0x9e37_79b1) ^ head, 7, u64::from(head));
            clock += SECOND;
            tried(&mut heads, &config, (from..from + MOST as u32).map(forged), clock);
            heads.make_room(|_| false);
        }
        assert!(heads.first.seen.len() <= FIRST && heads.first.order.len() <= FIRST);
    }
    assert_eq!(level(&heads, SCANNER, clock), 7);
}

#[test]
fn of_sources_that_come_often_those_go_first_that_are_not_there() {
    let config = policy("heads = \"6/10m\"\n");
    let mut heads = Heads::default();
    tried(&mut heads, &config, [(SCANNER, 7, 1), (SCANNER, 7, 2)], START);
    // Each forged source tries as many heads as ban.
    for from in (0..2 * SOURCES as u32).step_by(1024) {
        let forged = (from..from + 1024).flat_map(|source| (0..7).map(move |head| (source, 7, head)));
        tried(&mut heads, &config, forged, START + SECOND);
        heads.make_room(|source| source == key(SCANNER).value);
        assert!(heads.suspects.len() <= SOURCES);
    }
    assert!(heads.left_out >= SOURCES as u64 && heads.suspects.len() > SOURCES / 2);
    assert_eq!(level(&heads, SCANNER, START + SECOND), 2, "it is present");
    heads.make_room(|_| false);
    let forged = (0..SOURCES as u32).flat_map(|source| (0..7).map(move |head| (1 << 24 | source, 7, head)));
    let forged: Vec<_> = forged.collect();
    for part in forged.chunks(MOST) {
        tried(&mut heads, &config, part.iter().copied(), START + SECOND);
    }
    heads.make_room(|_| false);
    assert_eq!(level(&heads, SCANNER, START + SECOND), 0, "who tried least goes first, where nobody is present");
}

#[test]
fn interleaved_numbers_are_followed_and_no_chosen_ones_hide_another() {
    let config = policy("heads = \"6/10m\"\n");
    let mut heads = Heads::default();
    // All numbers behind one head, then all behind the next, four times as many as are followed.
    for head in 0..7 {
        let scan = (0..4 * TAILS as u64).map(|number| (SCANNER, number.wrapping_mul(0x9e37_79b9_7f4a_7c15), head));
        tried(&mut heads, &config, scan, START);
    }
    assert_eq!(level(&heads, SCANNER, START), 7);
    assert_eq!(heads.suspects[&key(SCANNER)].tails.len(), TAILS);
    assert!(heads.suspects[&key(SCANNER)].len() <= TAILS * 7, "no more heads than a limit needs");
}

#[test]
fn memory_is_bounded_by_heads_too() {
    let config = policy("heads = \"500/10m\"\n");
    let mut heads = Heads::default();
    for source in 0..20 {
        for head in 0..70 {
            tried(&mut heads, &config, (0..TAILS as u64).map(|number| (source, number, head)), START);
        }
        heads.make_room(|_| true);
        let remembered: usize = heads.suspects.values().map(Suspect::len).sum();
        assert!(remembered <= REMEMBERED, "{remembered}");
    }
    assert!(heads.left_out > 0);
    let all = (0..2 * MOST as u64).map(|number| (1, number, 1));
    all.for_each(|(source, tail, head)| heads.note(&event(source, tail, head, START)));
    assert_eq!(heads.waiting.len(), MOST);
}

#[test]
fn what_a_limit_is_gone_for_is_forgotten() {
    let config = policy("heads = \"6/10m\"\n");
    let mut heads = Heads::default();
    tried(&mut heads, &config, (0..9).map(|head| (SCANNER, 7, head)), START);
    heads.forget_old(|_| None, START);
    assert!(heads.suspects.is_empty());
    tried(&mut heads, &config, (0..9).map(|head| (SCANNER, 7, head)), START);
    heads.forget(&key(SCANNER));
    assert_eq!(level(&heads, SCANNER, START), 0);
}

#[test]
fn addresses_of_one_ipv6_network_are_one_source() {
    let config = policy("heads = \"6/10m\"\n");
    let mut heads = Heads::default();
    for head in 0..7u64 {
        let source = format!("2001:db8:0:7::{head:x}").parse().unwrap();
        heads.note(&Event { source, ..event(0, 7, head, START) });
    }
    heads.count(&config);
    let found: Vec<(u64, u64)> = heads.suspects.iter().map(|(key, it)| (key.value, it.within(SECOND, START))).collect();
    assert_eq!(found, [(0x2001_0db8_0000_0007, 7)]);
}
