//! Orders on the compiled trie: whatever was compiled before, they decide as walking them one by one does, and leave
//! nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use std::{collections::HashMap, sync::Arc};

use engine::{chance::Chance, frame_from, invite, policy};
use gateway_common::{Reason, judge::Side};
use gateway_user::{
    config::{Config, ListWriter},
    daemon::{ActiveOrder, OrderRule},
    digits::Digits,
    engine::host::HostEngine,
    numbering,
    orders::Scope,
    policy::{Compiler, PolicyImage, compile},
    what::What,
};

const POLICY: &str = r#"mode = "enforce"
floor = false
[site]
region = "JP"
own_numbers = ["+81312345678", "+4420700"]
[profile.default]
block = ["SL", "+4420", "+1876"]
allow = ["+44207", "+1"]
[profile.lobby]
sources = ["192.0.2.0/28"]
allow = ["GB"]
class.international = "block"
"#;

const SOURCES: [[u8; 4]; 3] = [[203, 0, 113, 9], [192, 0, 2, 3], [198, 51, 100, 7]];

/// Heads under which lists, orders and numbers meet.
const HEADS: [&str; 12] = ["4", "44", "442", "4420", "44207", "232", "23276", "1", "1876", "187", "77", "998"];

fn number(chance: &mut Chance, longest: usize) -> String {
    let mut digits = chance.pick(&HEADS).to_owned();
    for _ in 0..chance.below(longest) {
        digits.push_str(chance.pick(&["0", "1", "2", "6", "7", "9"]));
    }
    digits.truncate(15);
    digits
}

fn config(chance: &mut Chance) -> Config {
    let mut config = policy(POLICY);
    let mut list = ListWriter::new("irsf.txt");
    for line in 1..=400 {
        list.prefix(Digits::new(&number(chance, 8)), line, None);
    }
    let list = Arc::new(list.finish());
    for profile in &mut config.profiles {
        profile.block_files = vec![Arc::clone(&list)];
    }
    config
}

fn orders(chance: &mut Chance) -> Vec<ActiveOrder> {
    let what = |chance: &mut Chance| -> What {
        let text = match chance.below(8) {
            0 => chance.pick(&["GB", "SL", "US", "JM", "KZ"]).to_owned(),
            1 => "international".to_owned(),
            _ => format!("+{}", number(chance, 7)),
        };
        text.parse().unwrap()
    };
    let count = 1 + chance.below(12);
    let order = |chance: &mut Chance, place: usize| ActiveOrder {
        number: place as u64 + 1,
        rule: if chance.one_in(2) { OrderRule::Block } else { OrderRule::Allow },
        what: (0..=chance.below(3)).map(|_| what(chance)).collect(),
        scope: match chance.below(4) {
            0 => Scope::Profile("lobby".into()),
            1 => Scope::Source("198.51.100.0/24".parse().unwrap()),
            _ => Scope::Site,
        },
        max: None,
    };
    (0..count).map(|place| order(chance, place)).collect()
}

/// What the orders say of a number, by walking them: the longest, then the narrower scope, on a tie block.
fn walked(orders: &[ActiveOrder], class: &str, digits: &str, source: [u8; 4]) -> Option<OrderRule> {
    let range = numbering::lookup(digits).unwrap();
    let in_scope = |scope: &Scope| match scope {
        Scope::Profile(_) => source == SOURCES[1],
        Scope::Source(network) => network.contains(source.into()),
        Scope::Site => true,
        Scope::Line(_) => false,
    };
    let length = |what: &What| match what {
        What::Prefix(prefix) => digits.starts_with(prefix.as_str()).then_some(prefix.len()),
        What::Country(code) => (range.country == Some(code)).then_some(range.prefix.len()),
        What::Class(named) => (named.as_str() == class).then_some(0),
        _ => None,
    };
    let narrow = |scope: &Scope| match scope {
        Scope::Site => 0,
        Scope::Profile(_) => 1,
        _ => 2,
    };
    let given = orders.iter().filter(|order| in_scope(&order.scope));
    let matches = given.flat_map(|order| order.what.iter().filter_map(move |what| Some((length(what)?, order))));
    let best = matches.max_by_key(|(length, order)| (*length, narrow(&order.scope), order.rule == OrderRule::Block));
    best.map(|(_, order)| order.rule)
}

fn same(a: &PolicyImage, b: &PolicyImage) -> bool {
    a.cells == b.cells && a.hash == b.hash && a.prefixes == b.prefixes
}

#[test]
fn orders_decide_as_walking_them_does() {
    let mut chance = Chance(4);
    let (mut blocked, mut allowed, mut neither) = (0, 0, 0);
    for _ in 0..20 {
        let config = config(&mut chance);
        let mut compiler = Compiler::default();
        let none = compiler.compile(&config, &[], &HashMap::new(), 1).unwrap().0;
        for _ in 0..4 {
            let orders = orders(&mut chance);
            let image = compiler.compile(&config, &orders, &HashMap::new(), 1).unwrap().0;
            // What was compiled before leaves nothing behind.
            assert!(same(&image, &compile(&config, &orders, &HashMap::new(), 1).unwrap().0));
            let (mut with, mut without) = (HostEngine::new(image), HostEngine::new(none.clone()));
            for round in 0..150 {
                let source = SOURCES[chance.below(SOURCES.len())];
                let digits = format!("{:0<11}", number(&mut chance, 10));
                let frame = frame_from(source, &invite(&format!("sip:+{digits}@gw.example.net")));
                let now = (round + 1) * 100_000_000_000;
                let judged = with.judge(&frame, Side::Wan, 0, now);
                let plain = without.judge(&frame, Side::Wan, 0, now);
                let e164: String = judged.e164().map(char::from).collect();
                if e164 != digits {
                    continue;
                }
                let expected = match walked(&orders, judged.class().as_str(), &digits, source) {
                    Some(OrderRule::Block) => {
                        blocked += 1;
                        Reason::Order
                    }
                    Some(OrderRule::Allow) => {
                        allowed += 1;
                        Reason::Allowed
                    }
                    Some(rule) => panic!("{rule:?} is not drawn"),
                    None => {
                        neither += 1;
                        plain.reason()
                    }
                };
                assert_eq!(judged.reason(), expected, "+{digits} from {source:?} under {orders:#?}");
                assert_eq!((judged.class(), judged.country), (plain.class(), plain.country), "+{digits}");
            }
        }
    }
    assert!(blocked > 500 && allowed > 500 && neither > 500, "{blocked} {allowed} {neither}");
}

#[test]
fn an_order_that_is_undone_leaves_the_image_as_it_was() {
    let mut chance = Chance(9);
    let config = config(&mut chance);
    let mut compiler = Compiler::default();
    let before = compiler.compile(&config, &[], &HashMap::new(), 7).unwrap().0;
    for _ in 0..20 {
        let ordered = compiler.compile(&config, &orders(&mut chance), &HashMap::new(), 7).unwrap().0;
        assert_ne!(ordered.hash, before.hash);
        assert!(same(&compiler.compile(&config, &[], &HashMap::new(), 7).unwrap().0, &before));
    }
}

#[test]
fn what_the_digest_is_of() {
    let mut chance = Chance(5);
    let config = config(&mut chance);
    let hash = |orders: &[ActiveOrder]| compile(&config, orders, &HashMap::new(), 1).unwrap().0.hash;
    let order = |rule, what: &str| ActiveOrder {
        number: 1,
        rule,
        what: vec![what.parse().unwrap()],
        scope: Scope::Site,
        max: None,
    };
    let all = ["+44", "+442", "+4420799", "+5", "SL", "international", "dial:0570", "198.51.100.0/24"];
    let mut hashes = vec![hash(&[])];
    for what in all {
        hashes.extend([OrderRule::Block, OrderRule::Allow].map(|rule| hash(&[order(rule, what)])));
    }
    // The same digits blocked here and allowed there, and the other way round.
    for (one, other) in [(OrderRule::Block, OrderRule::Allow), (OrderRule::Allow, OrderRule::Block)] {
        hashes.push(hash(&[order(one, "+44"), order(other, "+232")]));
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

#[test]
fn what_was_checked_is_what_is_compiled_and_nothing_else() {
    let mut chance = Chance(6);
    let policies = [config(&mut chance), config(&mut chance), config(&mut chance)];
    let mut compiler = Compiler::default();
    for round in 0..20 {
        let (checked, compiled) = (&policies[chance.below(3)], &policies[chance.below(3)]);
        let some = orders(&mut chance);
        let others = if chance.one_in(2) { some.clone() } else { Vec::new() };
        compiler.check(checked, &some, &HashMap::new()).unwrap();
        let image = compiler.compile(compiled, &others, &HashMap::new(), round).unwrap().0;
        assert_eq!(image, compile(compiled, &others, &HashMap::new(), round).unwrap().0);
        if chance.one_in(3) {
            compiler.settle();
        }
    }
}
