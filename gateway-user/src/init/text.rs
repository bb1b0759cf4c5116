//! The text of a first policy.

use std::fmt::Write as _;

use anyhow::Result;

use super::{Findings, Found, Peer, Survey, shipped};
use crate::{
    config::Role,
    numbering,
    suggest::{self, MARGIN, MOST, SHIPPED},
};

/// Ports that the policy has anyway.
const USUAL_PORTS: [u16; 5] = [5060, 5061, 5062, 5080, 5160];
/// What is told of each kind; the rest is counted.
const TOLD: usize = 20;
/// The limit on calls abroad of the shipped policies.
const ABROAD: &str = "abroad";
/// Begins the line of the calls abroad that one telephone has at once.
const AT_ONCE: &str = "concurrent = ";
/// How many it has there.
const SHIPPED_AT_ONCE: u64 = 6;

/// A policy in monitor mode, with comments, for what was found. It has the protections of the policy that is shipped for the
/// region, with room for what the capture shows.
///
/// # Errors
///
/// Where the shipped policy has no limit on calls abroad.
pub fn policy(found: &Findings) -> Result<String> {
    let mut text = String::from(
        "# A first policy by `tollgate init`. It stops nothing yet: look at `tollgate counters` for some days, then write\n\
         # mode = \"enforce\". `tollgate check` says what is wrong with it, docs/policy.md what else there is.\n\
         mode = \"monitor\"\n\
         # The protections that act in either mode; `tollgate status` names each.\n\
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
    let shipped = shipped::of(&found.region);
    text.push_str(&shipped::times(shipped, found.region.as_str()));
    let limits = shipped::limits(shipped);
    match at_once(found) {
        Ok(None) => text.push_str(limits),
        Ok(Some((many, evidence))) => {
            replace(&mut text, limits, |limit, _| (limit == ABROAD).then(|| format!("{evidence}\n{AT_ONCE}{many}")));
        }
        Err(why) => replace(&mut text, limits, |_, line| Some(format!("{why}\n# {line}"))),
    }
    let Some((name, survey)) = survey.filter(|(_, survey)| survey.abroad.calls > 0) else { return Ok(text) };
    let windows = suggest::of_line(survey.abroad.line, &SHIPPED);
    let site_windows = suggest::of_site(survey.abroad.site, &SHIPPED);
    let observed = format!("{} calls abroad of the site in {}", survey.abroad.calls, plain(name));
    let limit =
        suggest::Limit { name: Some(ABROAD), windows: &windows, site_windows: &site_windows, observed: &observed };
    suggest::edited(&text, &limit)
}

/// How many calls abroad a telephone may have at once, and why, where the shipped figure will not do; else why none can be set.
fn at_once(found: &Findings) -> Result<Option<(u64, String)>, &'static str> {
    let sees = |role| found.interfaces.iter().any(|it| it.role == role);
    let both = found.interfaces.is_empty() || sees(Role::Wan) && sees(Role::Lan);
    if !both {
        return Err(
            "# This takes an interface of each role, since the end of a call must be seen: take the hash away once\n                    # there is one.",
        );
    }
    let seen = found.survey.as_ref().map_or(0, |(_, survey)| survey.abroad.at_once);
    let many = (seen * MARGIN).min(MOST);
    let why = format!("# Suggested: at most {seen} at once were seen; {many} is {MARGIN} times that, at most {MOST}.");
    Ok((many > SHIPPED_AT_ONCE).then_some((many, why)))
}

/// Adds the limits, with other lines in the place of those of the calls at once: for the limit with this name, of the line that
/// stands there.
fn replace(text: &mut String, limits: &str, line: impl Fn(&str, &str) -> Option<String>) {
    let mut limit = "";
    for old in limits.lines() {
        if let Some(name) = old.strip_prefix("[limit.") {
            limit = name.trim_end_matches(']');
        }
        let new = old.starts_with(AT_ONCE).then(|| line(limit, old)).flatten();
        text.push_str(new.as_deref().unwrap_or(old));
        text.push('\n');
    }
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
        text.push_str("# SIP over TCP is judged by the segment: docs/limits-of-sight.md says what that cannot see.\n");
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
         # own_numbers = [\"+81312345678\"]   # your numbers: never international\n\
         {}\n",
        plain(found.region_by),
        found.region,
        shipped::calendar(shipped::of(&found.region), &found.region)
    );
}

fn profile(text: &mut String, found: &Findings) {
    let region = found.region.as_str();
    let countries = found.survey.as_ref().map(|(_, survey)| &survey.countries).filter(|it| !it.is_empty());
    let called = |code: &str| countries.is_some_and(|countries| countries.contains_key(code));
    let shipped = shipped::of(region);
    let (entries, told) = shipped::blocked(shipped);
    let blocked: Vec<String> =
        entries.iter().filter(|entry| *entry != region && !called(entry)).map(|entry| format!("{entry:?}")).collect();
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
    for line in told {
        let _ = writeln!(text, "{line}");
    }
    if blocked.len() < entries.len() {
        text.push_str("# Left out: your own country, and what was called in the capture.\n");
    }
    let _ = writeln!(text, "block = [{}]\n{}\n", blocked.join(", "), shipped::names(shipped));
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
