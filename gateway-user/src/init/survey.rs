//! Who calls whom in a capture.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use gateway_common::{Class, Method, judge::Side};

use super::{Peer, Survey};
use crate::{
    capture::{self, CaptureError},
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

/// One SIP message.
struct Sip<'a> {
    from: IpAddr,
    to: IpAddr,
    port: u16,
    tcp: bool,
    method: &'a [u8],
    /// The status of an answer.
    status: Option<u16>,
}

/// What a capture shows; numbers are read under the plan of `region`.
pub fn survey(path: &Path, region: &str) -> Result<Survey, SurveyError> {
    let mut survey = Survey::default();
    let mut traffic: BTreeMap<IpAddr, u64> = BTreeMap::new();
    each(
        path,
        |frame, survey: &mut Survey| {
            let Some(sip) = message(frame) else { return };
            if sip.tcp {
                survey.tcp += 1;
            } else {
                survey.udp += 1;
                if sip.status.is_none() {
                    *survey.ports.entry(sip.port).or_default() += 1;
                }
            }
            for address in [sip.from, sip.to] {
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
    each(path, |frame, survey: &mut Survey| second_look(frame, hub, &mut engine, survey), &mut survey)?;
    Ok(survey)
}

fn each(path: &Path, mut look: impl FnMut(&[u8], &mut Survey), survey: &mut Survey) -> Result<(), SurveyError> {
    for packet in capture::open(path)? {
        let packet = packet?;
        survey.packets += 1;
        if let Some(frame) = capture::to_ethernet(&packet) {
            look(&frame, survey);
        }
    }
    Ok(())
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
    let inwards = sip.to == hub;
    let other = if inwards { sip.from } else { sip.to };
    if !inwards && sip.from != hub {
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

fn count(peer: &mut Peer, sip: &Sip<'_>, inwards: bool) {
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

/// The SIP message of a frame, if one begins in it.
fn message(frame: &[u8]) -> Option<Sip<'_>> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let (from, to): (IpAddr, IpAddr) = match packet.net? {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return None,
    };
    let (payload, port, tcp) = match packet.transport? {
        TransportSlice::Udp(udp) => (udp.payload(), udp.destination_port(), false),
        TransportSlice::Tcp(tcp) => (tcp.payload(), tcp.destination_port(), true),
        _ => return None,
    };
    let mut lines = payload.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.next()?;
    let mut words = first.split(|octet| *octet == b' ');
    let (head, second) = (words.next()?, words.next()?);
    if head != b"SIP/2.0" {
        let request = first.ends_with(b" SIP/2.0") && head.iter().all(u8::is_ascii_uppercase) && !head.is_empty();
        return request.then_some(Sip { from, to, port, tcp, method: head, status: None });
    }
    let status = std::str::from_utf8(second).ok()?.parse().ok()?;
    let cseq = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_at_checked(5)?;
        name.eq_ignore_ascii_case(b"CSeq:").then_some(value)
    })?;
    let method = cseq.split(|octet| *octet == b' ').next_back()?;
    Some(Sip { from, to, port, tcp, method, status: Some(status) })
}
