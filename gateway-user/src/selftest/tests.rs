use std::{collections::HashMap, path::Path};

use super::*;
use crate::{config, engine::host::HostEngine, numbering, orders::Scope, policy::PolicyImage};

fn policy(text: &str) -> Config {
    config::parse(text, None, Path::new(".")).unwrap().0
}

fn image(config: &Config, orders: &[ActiveOrder]) -> PolicyImage {
    policy::compile(config, orders, &HashMap::new(), 1).unwrap().0
}

fn off(except: &[&str], scope: Scope) -> ActiveOrder {
    let what = except.iter().map(|what| what.parse().unwrap()).collect();
    ActiveOrder { number: 1, rule: OrderRule::InternationalOff, what, scope, max: None }
}

fn tested(config: &Config, orders: &[ActiveOrder]) -> SelfTest {
    whole(&mut HostEngine::new(image(config, orders)), config, orders).unwrap()
}

const SITE: &str = "mode = \"monitor\"\nfloor = false\n[site]\nregion = \"JP\"\nextensions = \"2-4\"\n\
                    own_numbers = [\"+12025550123\"]\n[profile.default]\noutside_line = [\"0\"]\nallow = [\"GB\", \"dial:010\"]\n\
                    [profile.lobby]\nsources = [\"198.51.100.0/28\", \"2001:db8:1::/48\"]\nregion = \"US\"\n\
                    outside_line = [\"9\"]\nemergency = [\"888\"]\n\
                    [trunk.itsp]\nsources = [\"203.0.113.10\"]\n";

#[test]
fn every_region_lets_its_emergency_calls_pass_and_stops_the_rest_when_off() {
    let orders = [off(&[], Scope::Site)];
    for region in numbering::regions() {
        let text = SITE.replace("\"JP\"", &format!("{:?}", region.code)).replace("\"US\"", "\"DE\"");
        let found = tested(&policy(&text), &orders);
        assert!(found.is_good(), "{}: {} wrong, {:#?}", region.code, found.wrong, found.failures);
        assert!(found.emergency > 30 && found.foreign > 1000, "{}: {found:?}", region.code);
    }
}

#[test]
fn an_image_that_lets_one_spelling_out_is_found() {
    let config = policy(SITE);
    let orders = [off(&["GB", "+3365"], Scope::Site)];
    assert!(tested(&config, &orders).is_good());
    // The image without the order: everything that the file allows goes out.
    let found = whole(&mut HostEngine::new(image(&config, &[])), &config, &orders).unwrap();
    assert!(found.wrong > 100 && found.failures.len() == MOST_TOLD, "{found:?}");
    assert!(found.failures[0].contains("passes"), "{:?}", found.failures);
}

#[test]
fn only_the_profile_that_is_named_is_off() {
    let config = policy(SITE);
    let site = tested(&config, &[off(&[], Scope::Site)]);
    let lobby = tested(&config, &[off(&[], Scope::Profile("lobby".into()))]);
    assert!(lobby.is_good(), "{:?}", lobby.failures);
    assert!(lobby.foreign > 500 && lobby.foreign < site.foreign, "{lobby:?} {site:?}");
    assert_eq!(tested(&config, &[]).foreign, 0);
}

#[test]
fn an_image_that_drops_an_emergency_call_is_told_with_its_rule() {
    use gateway_common::{
        Class,
        policy::image::{Action, CLASS_ACTIONS, PROFILE_CELLS, PROFILES, Ruling},
    };
    let text = format!("{SITE}[profile.strict]\nsources = [\"192.168.7.0/24\"]\nclass.unknown = \"block\"\n")
        .replace("monitor", "enforce");
    let config = policy(&text);
    let good = image(&config, &[]);
    assert!(emergency(&mut HostEngine::new(good.clone()), &config, &[]).unwrap().is_good());
    // A compiler that took one class for another.
    let mut bad = good;
    let first = bad.cells[PROFILES as usize] as u32;
    let unknown = |base: u32| Action(bad.cells[(base + CLASS_ACTIONS + Class::Unknown as u32) as usize]);
    let strict = (0..8).map(|place| first + place * PROFILE_CELLS).find(|base| unknown(*base).file() == Ruling::Block);
    let classes = (strict.unwrap() + CLASS_ACTIONS) as usize;
    bad.cells[classes + Class::Emergency as usize] = bad.cells[classes + Class::Unknown as usize];
    let found = emergency(&mut HostEngine::new(bad), &config, &[]).unwrap();
    assert!(!found.is_good(), "{found:?}");
    let told = &found.failures[0];
    for needle in ["192.168.7.0 (lan, profile strict)", "drop", "class.unknown = \"block\" of [profile.strict]"] {
        assert!(told.contains(needle), "{told}");
    }
}
