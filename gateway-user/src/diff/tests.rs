use std::path::Path;

use super::*;
use crate::config::{Mode, Overridden, parse};

const HEAD: &str = "mode = \"enforce\"\n[site]\nregion = \"JP\"\nown_numbers = [\"+81312345678\"]\n";

fn policy(text: &str) -> Config {
    parse(&format!("{HEAD}{text}"), Some(Path::new("tollgate.toml")), Path::new(".")).unwrap().0
}

fn told(before: &str, after: &str) -> Vec<String> {
    changes(&policy(before), &policy(after)).iter().map(ToString::to_string).collect()
}

#[test]
fn a_policy_does_not_differ_from_itself_nor_from_its_lines_in_another_order() {
    for text in [
        include_str!("../../policies/jp.toml"),
        include_str!("../../policies/de.toml"),
        include_str!("../../policies/us.toml"),
        crate::config::example(),
    ] {
        let config = parse(text, None, Path::new(".")).unwrap().0;
        assert_eq!(changes(&config, &config), []);
    }
    let one = "[profile.default]\nblock = [\"SL\", \"+881\"]\n[profile.a]\nsources = [\"192.0.2.1\", \"192.0.2.2\"]\n";
    let other =
        "[profile.a]\nsources = [\"192.0.2.2\", \"192.0.2.1\"]\n[profile.default]\nblock = [\"+881\", \"SL\"]\n";
    assert_eq!(told(one, other), [""; 0]);
}

#[test]
fn lists_are_told_by_what_they_answer() {
    for (before, after, expected) in [
        ("", "block = [\"SL\"]", "SL: allow -> block, Sierra Leone, +232 (profile default, tollgate.toml:6)"),
        ("block = [\"SL\"]", "", "SL: block -> allow, Sierra Leone, +232 (profile default, tollgate.toml:6)"),
        ("", "block = [\"+232\"]", "+232 SL: allow -> block (profile default, tollgate.toml:6)"),
        (
            "",
            "block = [\"+881\"]",
            "+881: block, as before, the entry in block is new and changes nothing (profile default, tollgate.toml:6)",
        ),
        ("block = [\"+232\"]", "allow = [\"+232\"]", "+232 SL: block -> allow (profile default, tollgate.toml:6)"),
        ("", "allow = [\"+881\"]", "+881: block -> allow (profile default, tollgate.toml:6)"),
        ("", "block = [\"dial:0570\"]", "dial:0570: none -> block (profile default, tollgate.toml:6)"),
        (
            "block = [\"SL\"]",
            "block = [\"SL\", \"+23276\"]",
            "+23276 SL: block, as before, the entry in block is new and changes nothing (profile default, tollgate.toml:6)",
        ),
        ("", "class.international = \"block\"", "profile.default class.international: allow -> block"),
    ] {
        let text = |list: &str| format!("[profile.default]\n{list}\n");
        assert_eq!(told(&text(before), &text(after)), [expected], "{before} to {after}");
    }
}

#[test]
fn a_country_that_a_longer_entry_holds_back_is_told_in_part() {
    let before = "[profile.default]\nallow = [\"+7701\", \"+77\"]\n";
    let found = changes(&policy(before), &policy(&format!("{before}block = [\"KZ\"]\n")));
    let [change] = &*found else { panic!("{found:?}") };
    assert_eq!((change.what.as_deref(), change.before.as_deref()), (Some("KZ"), Some("allow")));
    let found =
        told("[profile.default]\nallow = [\"+1212\"]\n", "[profile.default]\nallow = [\"+1212\"]\nblock = [\"US\"]\n");
    assert!(
        found.len() == 1 && found[0].contains("US: allow -> block, United States") && found[0].contains("prefixes"),
        "{found:?}"
    );
}

#[test]
fn a_new_profile_is_compared_with_the_default_that_its_sources_had() {
    let before = "[profile.default]\nblock = [\"SL\"]\n";
    let after =
        format!("{before}[profile.lobby]\nsources = [\"192.0.2.0/28\"]\nblock = []\nclass.international = \"block\"\n");
    assert_eq!(
        told(before, &after),
        [
            "profile.lobby: none -> sources 192.0.2.0/28; region JP",
            "profile.lobby class.international: allow -> block",
            "SL: block, as before, Sierra Leone, +232; the entry in block goes and changes nothing (profile lobby, tollgate.toml:6)",
        ]
    );
    assert_eq!(told(&after, before).len(), 3);
}

#[test]
fn every_setting_is_told() {
    let before = "[interface.eth0]\n[trunk.itsp]\nsources = [\"203.0.113.10\"]\n[profile.default]\nlimits = [\"caller\"]\n\
                  [limit.caller]\nkey = \"source\"\nrate = \"10/s\"\nburst = 20\n";
    for (from, to, expected) in [
        ("[interface.eth0]", "[interface.eth0]\n[interface.eth1]\nrole = \"lan\"", "interface.eth1: none -> role lan"),
        ("[interface.eth0]", "[interface.eth0]\nrole = \"lan\"", "interface.eth0 role: wan -> lan"),
        ("203.0.113.10", "203.0.113.11", "trunk.itsp sources: 203.0.113.10 -> 203.0.113.11"),
        ("\"203.0.113.10\"]", "\"203.0.113.10\"]\nrate = \"90/m\"", "trunk.itsp rate: none -> 90/m, burst 90"),
        ("burst = 20", "burst = 5", "limit.caller rate: 10/s, burst 20 -> 10/s, burst 5"),
        ("burst = 20", "burst = 20\nmethod = \"REGISTER\"", "limit.caller method: none -> REGISTER"),
        ("burst = 20", "burst = 20\nover = \"warn\"", "limit.caller over: drop -> warn"),
        (
            "[profile.default]",
            "[sip]\nports = [5060]\n[profile.default]",
            "sip ports: 5060 5061 5062 5080 5160 -> 5060",
        ),
        ("[profile.default]", "[profile.default]\noutside_line = [\"0\"]", "profile.default outside_line: none -> 0"),
        (
            "[profile.default]",
            "[ceiling]\nunproved = \"9/10s\"\n[profile.default]",
            "ceiling unproved: 50/s, burst 200 -> 9/10s, burst 36",
        ),
        (
            "[profile.default]",
            "[emergency]\nunproved = \"9/d\"\n[profile.default]",
            "emergency unproved: 3/10s, burst 3 -> 9/d, burst 9",
        ),
    ] {
        let found = told(before, &before.replacen(from, to, 1));
        let first = found.first().map(String::as_str);
        assert_eq!(first, Some(expected), "{to}: {found:?}");
    }
    let config = |text: &str| parse(text, None, Path::new(".")).unwrap().0;
    let found = changes(
        &config(HEAD),
        &config(&format!("floor = false\n{}", HEAD.replace("enforce", "monitor").replace("JP", "DE"))),
    );
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found[..3], ["mode: enforce -> monitor", "floor: on -> off", "site region: JP -> DE"]);
}

#[test]
fn schedules_are_told_as_they_are_written() {
    let before = "[profile.default]\nblock = [{ what = \"SL\", schedule = \"night\" }]\n[schedule.night]\nhours = \"18:00-08:00\"\n";
    for (from, to, expected) in [
        ("18:00", "19:00", "schedule.night hours: 18:00-08:00 -> 19:00-08:00"),
        (
            "hours",
            "days = \"mon-wed\"\nhours",
            "schedule.night days: mon, tue, wed, thu, fri, sat, sun -> mon, tue, wed",
        ),
        ("\"SL\"", "\"LV\"", "SL: block by schedule night -> none (profile default, tollgate.toml:6)"),
        ("block =", "allow =", "SL: block by schedule night -> none (profile default, tollgate.toml:6)"),
    ] {
        let found = told(before, &before.replacen(from, to, 1));
        assert_eq!(found.first().map(String::as_str), Some(expected), "{to}: {found:?}");
    }
}

#[test]
fn what_the_command_line_says_stays() {
    let mut before = policy("[interface.eth0]\n");
    before.mode = Mode::Monitor;
    before.overridden = Overridden { mode: true, interfaces: true };
    assert_eq!(changes(&before, &policy("[interface.eth9]\n")), []);
}
