//! Who calls whom in a capture.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use gateway_common::{Class, Method, judge::Side};

use super::{Peer, Survey, abroad::Abroad};
use crate::{
    capture::{self, CaptureError, Message, message},
    config,
    engine::host::HostEngine,
    policy, replay,
};

/// Peers that are kept; forged sources would fill any memory.
const MOST_PEERS: usize = 10_000;
/// Ports that a policy names.
const MOST_PORTS: usize = 256;

/// Why a capture says nothing.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// It cannot be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// No SIP is in it.
    #[error(
        "{file}: holds no SIP in {packets} packets; capture where the PBX speaks to the provider, with \
         tcpdump -i any -s 0 -w calls.pcap udp port 5060"
    )]
    NoSip {
        /// The file.
        file: String,
        /// How many packets it holds.
        packets: u64,
    },
    /// The plan of the region cannot be compiled.
    #[error("the plan of {region} cannot be compiled: {cause}; name another --region")]
    Region {
        /// The region.
        region: String,
        /// Why.
        cause: String,
    },
}

/// What a capture shows; numbers are read under the plan of `region`.
pub fn survey(path: &Path, region: &str) -> Result<Survey, SurveyError> {
    let mut survey = Survey::default();
    let mut traffic: BTreeMap<IpAddr, u64> = BTreeMap::new();
    each(
        path,
        |frame, _, survey: &mut Survey| {
            let Some(sip) = message(frame) else { return };
            if sip.tcp {
                survey.tcp += 1;
            } else {
                survey.udp += 1;
                if sip.status.is_none() {
                    *survey.ports.entry(sip.to.port()).or_default() += 1;
                }
            }
            for address in [sip.from.ip(), sip.to.ip()] {
                if traffic.len() < MOST_PEERS || traffic.contains_key(&address) {
                    *traffic.entry(address).or_default() += 1;
                }
            }
        },
        &mut survey,
    )?;
    if survey.udp + survey.tcp == 0 {
        return Err(SurveyError::NoSip { file: path.display().to_string(), packets: survey.packets });
    }
    keep_busiest(&mut survey.ports);
    survey.hub = traffic.iter().max_by_key(|(_, count)| **count).map(|(address, _)| *address);
    let mut engine = engine(region, &survey)?;
    survey.packets = 0;
    let Some(hub) = survey.hub else { return Ok(survey) };
    each(path, |frame, _, survey: &mut Survey| second_look(frame, hub, &mut engine, survey), &mut survey)?;
    survey.packets = 0;
    let mut calls = self::engine(region, &survey)?;
    each(path, |frame, time, survey: &mut Survey| follow(frame, time, hub, &mut calls, survey), &mut survey)?;
    survey.abroad = Abroad::of(calls.calls());
    Ok(survey)
}

/// Shows each frame with its time, nanoseconds.
fn each(path: &Path, mut look: impl FnMut(&[u8], u64, &mut Survey), survey: &mut Survey) -> Result<(), SurveyError> {
    for packet in capture::open(path)? {
        let packet = packet?;
        survey.packets += 1;
        if let Some(frame) = capture::to_ethernet(&packet) {
            look(&frame, packet.time_ns, survey);
        }
    }
    Ok(())
}

/// Follows the calls that the site places: those of the PBX, and of who registers there. Whoever else calls it may be a scanner,
/// and leaves no room for more of the same.
fn follow(frame: &[u8], time: u64, hub: IpAddr, calls: &mut HostEngine, survey: &Survey) {
    let Some(sip) = message(frame) else { return };
    let own = |peer: &Peer| peer.registered > 0 && !peer.is_trunk();
    let from = sip.from.ip();
    let inside = from == hub || survey.peers.get(&from).is_some_and(own);
    calls.judge(frame, if inside { Side::Lan } else { Side::Wan }, 0, time);
}

fn keep_busiest(ports: &mut BTreeMap<u16, u64>) {
    let mut by_use: Vec<(u64, u16)> = ports.iter().map(|(port, count)| (*count, *port)).collect();
    by_use.sort_unstable_by(|a, b| b.cmp(a));
    by_use.truncate(MOST_PORTS);
    ports.retain(|port, _| by_use.iter().any(|(_, kept)| kept == port));
}

/// An engine that reads every number on the ports that were seen, and stops nothing.
fn engine(region: &str, survey: &Survey) -> Result<HostEngine, SurveyError> {
    let refused = |cause: String| SurveyError::Region { region: region.to_owned(), cause };
    let ports: Vec<String> = survey.ports.keys().filter(|port| **port != 0).map(ToString::to_string).collect();
    let ports = if ports.is_empty() { "5060".to_owned() } else { ports.join(", ") };
    let text = format!("floor = false\n[site]\nregion = {region:?}\n[sip]\nports = [{ports}]\n");
    let (config, _) = config::parse(&text, None, Path::new(".")).map_err(|problems| refused(problems.to_string()))?;
    let (image, _) = policy::compile(&config, &[], &std::collections::HashMap::new(), 1)
        .map_err(|errors| refused(errors.to_string()))?;
    Ok(HostEngine::new(image))
}

fn second_look(frame: &[u8], hub: IpAddr, engine: &mut HostEngine, survey: &mut Survey) {
    let Some(sip) = message(frame) else { return };
    let (from, to) = (sip.from.ip(), sip.to.ip());
    let inwards = to == hub;
    let other = if inwards { from } else { to };
    if !inwards && from != hub {
        return;
    }
    if survey.peers.len() >= MOST_PEERS && !survey.peers.contains_key(&other) {
        survey.more_peers += 1;
        return;
    }
    let peer = survey.peers.entry(other).or_default();
    count(peer, &sip, inwards);
    if sip.tcp || sip.status.is_some() || sip.method != b"INVITE" {
        return;
    }
    let judged = engine.judge(frame, Side::Lan, 0, 1);
    let foreign = matches!(judged.class(), Class::International | Class::NonGeographic);
    if let (Some(Method::Invite), true, Some(country)) = (judged.method(), foreign, replay::country(judged.country)) {
        *survey.countries.entry(country.to_owned()).or_default() += 1;
    }
}

fn count(peer: &mut Peer, sip: &Message<'_>, inwards: bool) {
    match (sip.method, sip.status, inwards) {
        (b"INVITE", None, true) => peer.calls_in += 1,
        (b"INVITE", None, false) => peer.calls_out += 1,
        (b"REGISTER", None, false) => peer.asked += 1,
        // An answer that nobody asked for makes no provider.
        (b"REGISTER", Some(200..=299), true) if peer.registrar < peer.asked => peer.registrar += 1,
        (b"REGISTER", Some(200..=299), false) => peer.registered += 1,
        _ => {}
    }
}
