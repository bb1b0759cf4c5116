//! The text of a first policy.

use std::fmt::Write as _;

use super::{Findings, Found, Peer, Survey};
use crate::{config::Role, numbering};

/// Ports that the policy has anyway.
const USUAL_PORTS: [u16; 5] = [5060, 5061, 5062, 5080, 5160];
/// What is told of each kind; the rest is counted.
const TOLD: usize = 20;
/// What a first policy blocks: what carriers in Japan and abroad warn of, then satellites and international premium rate.
const BLOCKED: [&str; 11] = ["CM", "CU", "GN", "GW", "LI", "LT", "LV", "SL", "SO", "ST", "TL"];

/// A policy in monitor mode, with comments, for what was found.
pub fn policy(found: &Findings) -> String {
    let mut text = String::from(
        "# A first policy by `tollgate init`. It stops nothing yet: look at `tollgate counters` for some days, then write\n\
         # mode = \"enforce\". `tollgate check` says what is wrong with it, docs/policy.md what else there is.\n\
         mode = \"monitor\"\n\
         # +979, +882, +883 and unassigned calling codes are stopped in either mode.\n\
         floor = true\n\n",
    );
    interfaces(&mut text, &found.interfaces);
    let survey = found.survey.as_ref();
    if let Some((name, survey)) = survey {
        capture(&mut text, name, survey);
    }
    ports(&mut text, survey.map(|(_, survey)| survey));
    site(&mut text, found);
    profile(&mut text, found);
    trunks(&mut text, found);
    text.push_str(
        "# No telephone dials faster than this; every scanner does.\n\
         [limit.caller]\nkey = \"source\"\nmethod = \"INVITE\"\nrate = \"10/s\"\nburst = 20\n\n\
         # Passwords are guessed at hundreds a second; a telephone registers once and then every few minutes.\n\
         [limit.register]\nkey = \"source\"\nmethod = \"REGISTER\"\nrate = \"5/s\"\nburst = 50\n",
    );
    text
}

/// One line of text, as a comment can hold it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn interfaces(text: &mut String, interfaces: &[Found]) {
    text.push_str("# Where to attach: wan looks outside, lan inside. `tollgate doctor` says how each takes it.\n");
    if interfaces.is_empty() {
        text.push_str("# No interface of this machine has an address. Name the one that SIP arrives on:\n# [interface.eth0]\n# role = \"wan\"\n");
    }
    for it in interfaces {
        let _ = writeln!(
            text,
            "# {}{}",
            it.addresses.join(" "),
            it.note.as_ref().map_or_else(String::new, |note| format!("; {}", plain(note)))
        );
        let _ = writeln!(text, "[interface.{:?}]\nrole = \"{}\"", it.name, it.role.as_str());
    }
    text.push('\n');
}

fn capture(text: &mut String, name: &str, survey: &Survey) {
    let _ = writeln!(
        text,
        "# {}: {} packets, SIP in {} over UDP and {} over TCP.",
        plain(name),
        survey.packets,
        survey.udp,
        survey.tcp
    );
    if survey.tcp > 0 {
        text.push_str("# SIP over TCP is not judged by every version: see docs/limits-of-sight.md.\n");
    }
    if let Some(hub) = survey.hub {
        let _ = writeln!(text, "# Most of it concerns {hub}, which seems to be the PBX. With it spoke:");
    }
    let mut peers: Vec<_> = survey.peers.iter().collect();
    peers.sort_by_key(|(address, peer)| (u64::MAX - peer.calls_in - peer.calls_out, **address));
    for (address, peer) in peers.iter().take(TOLD) {
        let _ = writeln!(text, "#   {address}: {}", described(peer));
    }
    let rest = peers.len().saturating_sub(TOLD) as u64 + survey.more_peers;
    if rest > 0 {
        let _ = writeln!(text, "#   and {rest} more");
    }
    text.push('\n');
}

fn described(peer: &Peer) -> String {
    let Peer { calls_in, calls_out, registrar, registered, .. } = *peer;
    let kind = if peer.is_trunk() {
        "looks like a provider"
    } else if registered > 0 {
        "a telephone, or another PBX, that registers"
    } else if calls_in > 0 {
        "places calls and never registers: a provider, a PBX, or a scanner"
    } else {
        "neither registers nor calls"
    };
    format!("{calls_in} calls in, {calls_out} out, {registrar} registrations there, {registered} here: {kind}")
}

fn ports(text: &mut String, survey: Option<&Survey>) {
    let seen: Vec<u16> =
        survey.into_iter().flat_map(|survey| survey.ports.keys()).copied().filter(|port| *port != 0).collect();
    let beyond = seen.iter().any(|port| !USUAL_PORTS.contains(port));
    if !beyond {
        return;
    }
    let mut ports: Vec<u16> = USUAL_PORTS.into_iter().chain(seen).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(256);
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let _ = writeln!(
        text,
        "[sip]\n# The usual ones, and those that requests went to in the capture.\nports = [{}]\n",
        ports.join(", ")
    );
}

fn site(text: &mut String, found: &Findings) {
    let _ = writeln!(
        text,
        "[site]\n# {}: access, carrier and service codes, the national plan, emergency numbers.\nregion = {:?}\n\
         # extensions = \"2-5\"              # so many digits are your own extensions\n\
         # own_numbers = [\"+81312345678\"]   # your numbers: never international\n",
        plain(found.region_by),
        found.region
    );
}

fn profile(text: &mut String, found: &Findings) {
    let region = found.region.as_str();
    let countries = found.survey.as_ref().map(|(_, survey)| &survey.countries).filter(|it| !it.is_empty());
    let called = |code: &str| countries.is_some_and(|countries| countries.contains_key(code));
    let blocked: Vec<String> = BLOCKED
        .into_iter()
        .filter(|code| *code != region && !called(code))
        .chain(["+870", "+881"])
        .map(|entry| format!("{entry:?}"))
        .collect();
    text.push_str("[profile.default]\n# outside_line = [\"0\"]             # the digit for an outside line, if your extensions dial one\n");
    if let Some(countries) = countries {
        let mut by_use: Vec<(&String, &u64)> = countries.iter().collect();
        by_use.sort_by_key(|(code, count)| (u64::MAX - **count, (*code).clone()));
        let name = |code: &str| numbering::country_name(code).unwrap_or("unnamed").to_owned();
        let told: Vec<String> =
            by_use.iter().take(TOLD).map(|(code, count)| format!("{} {code} {count}", name(code))).collect();
        let codes: Vec<String> = by_use.iter().map(|(code, _)| format!("{code:?}")).collect();
        let _ = writeln!(
            text,
            "# Called abroad in the capture: {}.\n# If that is all that you call, this is the safest policy there is:\n\
             # class.international = \"block\"\n# allow = [{}]",
            told.join(", "),
            codes.join(", ")
        );
    }
    let _ = writeln!(
        text,
        "# Countries that carriers warn of{}, then satellites.\nblock = [{}]\nlimits = [\"caller\", \"register\"]\n",
        if countries.is_some() { ", without those that were called" } else { "" },
        blocked.join(", ")
    );
}

fn trunks(text: &mut String, found: &Findings) {
    text.push_str(
        "# Your provider: the addresses that its calls come from. Without it they are calls of an unknown source.\n",
    );
    let survey = found.survey.as_ref().map(|(_, survey)| survey);
    let trunks: Vec<String> = survey
        .into_iter()
        .flat_map(|survey| survey.peers.iter())
        .filter(|(_, peer)| peer.is_trunk())
        .map(|(address, _)| format!("\"{address}\""))
        .collect();
    if trunks.is_empty() {
        text.push_str("# [trunk.provider]\n# sources = [\"203.0.113.10\"]\n# interface = \"eth0\"\n\n");
        return;
    }
    let _ = writeln!(
        text,
        "# No rule of this file holds for a trunk: make sure that each of these is your provider.\n[trunk.provider]\nsources = [{}]",
        trunks.join(", ")
    );
    let mut wan = found.interfaces.iter().filter(|it| it.role == Role::Wan);
    if let (Some(wan), None) = (wan.next(), wan.next()) {
        let _ = writeln!(
            text,
            "# Addresses can be forged: name the interface that they arrive on.\n# interface = {:?}",
            wan.name
        );
    }
    text.push('\n');
}
