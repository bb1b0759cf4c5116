//! Which hosts of a site answer SIP from outside, and on which ports, as a capture shows it.
//!
//! The tables of the kernel have no ports, and of requests that make no call only registrations with credentials; a capture has
//! both. An answer counts where its request is in the capture too: whoever forges answers exposes nobody.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    capture::{self, CaptureError, Message},
    config::{Config, Network, Role},
    doctor::rtnetlink,
};

/// Requests that wait for their answer, rows, and sources of a row that are kept: forged ones would fill any memory.
const MOST: usize = 100_000;
/// Networks that no route of the internet leads to, so that who has an address there is no stranger (RFC 1918, 6598, 3927, 4193, 4291).
const PRIVATE: [&str; 7] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7", "fe80::/10"];

/// Who is of the site, and whom it trusts.
#[derive(Clone, Debug, Default)]
pub struct Sides {
    /// The networks of the site.
    pub inside: Vec<Network>,
    /// Its providers, by name.
    pub trunks: Vec<(String, Vec<Network>)>,
}

impl Sides {
    /// Those of a policy on this machine: private networks, those of its LAN interfaces, and its own addresses. Where `named` has
    /// networks, these in their place.
    pub fn of(config: Option<&Config>, named: &[Network]) -> Self {
        let trunks = config.into_iter().flat_map(|config| &config.trunks);
        let trunks = trunks.map(|trunk| (trunk.name.clone(), trunk.sources.clone())).collect();
        if !named.is_empty() {
            return Self { inside: named.to_vec(), trunks };
        }
        let mut inside: Vec<Network> = PRIVATE.iter().filter_map(|text| text.parse().ok()).collect();
        let links = rtnetlink::links().unwrap_or_default();
        let lan = |index| {
            let name = links.iter().find(|link| link.index == index).map(|link| &link.name);
            let interfaces = config.into_iter().flat_map(|config| &config.interfaces);
            name.is_some_and(|name| interfaces.into_iter().any(|it| it.name == *name && it.role == Role::Lan))
        };
        for own in rtnetlink::addresses().unwrap_or_default() {
            let around = Network::around(own.ip, own.prefix_len).filter(|_| lan(own.index));
            if !own.ip.is_loopback() && !inside.iter().any(|it: &Network| it.contains(own.ip)) {
                inside.push(around.unwrap_or_else(|| Network::host(own.ip)));
            }
        }
        Self { inside, trunks }
    }

    fn is_inside(&self, address: IpAddr) -> bool {
        self.inside.iter().any(|network| network.contains(address))
    }

    fn trunk(&self, address: IpAddr) -> Option<&str> {
        let trunk = self.trunks.iter().find(|(_, sources)| sources.iter().any(|it| it.contains(address)));
        trunk.map(|(name, _)| name.as_str())
    }
}

/// What a capture shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// Packets read.
    pub packets: u64,
    /// SIP messages among them.
    pub sip: u64,
    /// The networks that were taken for those of the site.
    pub inside: Vec<String>,
    /// Where hosts of the site answered outside.
    pub answers: Vec<Answers>,
    /// Who registered from outside, successfully.
    pub registered: Vec<Registered>,
    /// Rows that are left out.
    pub left_out: u64,
}

/// One port of one host that answered outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// The host.
    pub host: IpAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// The port that it was asked on.
    pub port: u16,
    /// Which requests it answered, and how often.
    pub methods: BTreeMap<String, u64>,
    /// With what.
    pub statuses: BTreeSet<u16>,
    /// How many sources, trunks apart.
    pub sources: usize,
    /// The trunks among those that asked.
    pub trunks: BTreeSet<String>,
    /// When last.
    pub last: Timestamp,
}

/// Who registered from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Registered {
    /// From where.
    pub source: IpAddr,
    /// With which host,
    pub host: IpAddr,
    /// over which transport,
    pub transport: &'static str,
    /// on which port.
    pub port: u16,
    /// How often.
    pub count: u64,
    /// When last.
    pub last: Timestamp,
}

/// Where somebody is asked.
type Place = (IpAddr, &'static str, u16);

/// What is collected on the way.
#[derive(Default)]
struct Seen {
    asked: HashSet<(SocketAddr, SocketAddr, bool, Vec<u8>)>,
    answers: BTreeMap<Place, (Answers, HashSet<IpAddr>)>,
    registered: BTreeMap<(IpAddr, Place), Registered>,
    left_out: u64,
}

/// Reads a capture; beside what it shows, why it could not be read to its end, as of one that is still being written.
///
/// # Errors
///
/// Where nothing of it can be read.
pub fn exposed(path: &Path, sides: &Sides) -> Result<(Exposed, Option<CaptureError>), CaptureError> {
    let mut found = Exposed { inside: sides.inside.iter().map(ToString::to_string).collect(), ..Exposed::default() };
    let mut seen = Seen::default();
    let mut cut = None;
    for packet in capture::open(path)? {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) if found.packets == 0 => return Err(error),
            Err(error) => {
                cut = Some(error);
                break;
            }
        };
        found.packets += 1;
        let Some(frame) = capture::to_ethernet(&packet) else { continue };
        let Some(message) = capture::message(&frame) else { continue };
        found.sip += 1;
        seen.take(&message, packet.time_ns, sides);
    }
    found.left_out = seen.left_out;
    found.answers =
        seen.answers.into_values().map(|(row, sources)| Answers { sources: sources.len(), ..row }).collect();
    found.registered = seen.registered.into_values().collect();
    found.registered.sort_by_key(|row| std::cmp::Reverse(row.last));
    Ok((found, cut))
}

impl Seen {
    fn take(&mut self, message: &Message<'_>, time_ns: u64, sides: &Sides) {
        let Message { from, to, tcp, method, status } = *message;
        let Some(status) = status else {
            if !sides.is_inside(from.ip()) && sides.is_inside(to.ip()) {
                if self.asked.len() < MOST {
                    self.asked.insert((from, to, tcp, method.to_vec()));
                } else {
                    self.left_out += 1;
                }
            }
            return;
        };
        if !self.asked.contains(&(to, from, tcp, method.to_vec())) {
            return;
        }
        let last = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
        let (source, transport) = (to.ip(), if tcp { "tcp" } else { "udp" });
        let place: Place = (from.ip(), transport, from.port());
        let (host, _, port) = place;
        if self.answers.len() >= MOST && !self.answers.contains_key(&place) {
            self.left_out += 1;
            return;
        }
        let (row, sources) = self.answers.entry(place).or_insert_with(|| {
            let row = Answers {
                host,
                transport,
                port,
                methods: BTreeMap::new(),
                statuses: BTreeSet::new(),
                sources: 0,
                trunks: BTreeSet::new(),
                last,
            };
            (row, HashSet::new())
        });
        row.last = row.last.max(last);
        // What only says that something will follow is no answer of its own.
        if status >= 200 {
            *row.methods.entry(String::from_utf8_lossy(method).into_owned()).or_default() += 1;
            row.statuses.insert(status);
        }
        if let Some(trunk) = sides.trunk(source) {
            row.trunks.insert(trunk.to_owned());
        } else if sources.len() < MOST {
            sources.insert(source);
        }
        if method != b"REGISTER" || !(200..300).contains(&status) || self.registered.len() >= MOST {
            return;
        }
        let row = self.registered.entry((source, place)).or_insert(Registered {
            source,
            host,
            transport,
            port,
            count: 0,
            last,
        });
        row.count += 1;
        row.last = row.last.max(last);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use etherparse::PacketBuilder;

    use super::*;

    /// An IPv4 address and a port.
    type At = ([u8; 4], u16);

    const PBX: At = ([10, 0, 0, 5], 5080);
    const SCANNER: At = ([198, 51, 100, 66], 40_000);
    const HOME: At = ([203, 0, 113, 77], 5060);
    const PROVIDER: At = ([203, 0, 113, 10], 5060);

    fn request(method: &str) -> String {
        format!("{method} sip:1@x SIP/2.0\r\nCSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n")
    }

    fn answer(status: u16, method: &str) -> String {
        format!("SIP/2.0 {status} whatever\r\nCSeq: 1 {method}\r\n\r\n")
    }

    /// A capture of these messages, a second apart: from, to, whether over TCP, text.
    fn capture(messages: &[(At, At, bool, String)]) -> tempfile::NamedTempFile {
        let mut octets = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            octets.extend(word.to_le_bytes());
        }
        for ((from, to, tcp, text), second) in messages.iter().zip(1_800_000_000u32..) {
            let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64);
            let mut frame = Vec::new();
            if *tcp {
                builder.tcp(from.1, to.1, 1, 1000).write(&mut frame, text.as_bytes()).unwrap();
            } else {
                builder.udp(from.1, to.1).write(&mut frame, text.as_bytes()).unwrap();
            }
            for word in [second, 0, frame.len() as u32, frame.len() as u32] {
                octets.extend(word.to_le_bytes());
            }
            octets.extend(frame);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), octets).unwrap();
        file
    }

    fn sides() -> Sides {
        Sides {
            inside: vec!["10.0.0.0/8".parse().unwrap()],
            trunks: vec![("itsp".into(), vec![Network::host(PROVIDER.0.into())])],
        }
    }

    #[test]
    fn a_host_that_answers_only_options_is_told_with_its_port() {
        let ua = ([10, 0, 0, 9], 5060);
        let file = capture(&[
            (SCANNER, PBX, false, request("OPTIONS")),
            (PBX, SCANNER, false, answer(200, "OPTIONS")),
            (SCANNER, PBX, true, request("OPTIONS")),
            (PBX, SCANNER, true, answer(404, "OPTIONS")),
            (HOME, PBX, false, request("REGISTER")),
            (PBX, HOME, false, answer(100, "REGISTER")),
            (PBX, HOME, false, answer(401, "REGISTER")),
            (HOME, PBX, false, request("REGISTER")),
            (PBX, HOME, false, answer(200, "REGISTER")),
            (PROVIDER, PBX, false, request("INVITE")),
            (PBX, PROVIDER, false, answer(200, "INVITE")),
            // Nobody asked it, a telephone asked it, and what it asked itself.
            (ua, SCANNER, false, answer(200, "OPTIONS")),
            (ua, PBX, false, request("REGISTER")),
            (PBX, ua, false, answer(200, "REGISTER")),
            (ua, PROVIDER, false, request("OPTIONS")),
            (PROVIDER, ua, false, answer(200, "OPTIONS")),
        ]);
        let (found, cut) = exposed(file.path(), &sides()).unwrap();
        assert!(cut.is_none());
        assert_eq!((found.packets, found.sip, found.left_out), (16, 16, 0));
        let rows: Vec<_> = found
            .answers
            .iter()
            .map(|row| {
                let methods: Vec<String> = row.methods.iter().map(|(name, count)| format!("{name} {count}")).collect();
                (row.transport, row.port, methods.join(", "), row.sources, row.trunks.len())
            })
            .collect();
        assert_eq!(
            rows,
            [
                ("tcp", 5080, "OPTIONS 1".to_owned(), 1, 0),
                ("udp", 5080, "INVITE 1, OPTIONS 1, REGISTER 2".to_owned(), 2, 1)
            ],
            "{found:?}"
        );
        assert_eq!(found.answers[1].statuses.iter().copied().collect::<Vec<_>>(), [200, 401]);
        let [row] = found.registered.as_slice() else { panic!("{found:?}") };
        assert_eq!((row.source, row.port, row.count), (IpAddr::from(HOME.0), 5080, 1));
        assert_eq!(row.last.as_second(), 1_800_000_008);
    }

    #[test]
    fn who_is_inside_is_named_or_private() {
        let named: Network = "203.0.113.64/26".parse().unwrap();
        let sides = Sides::of(None, &[named]);
        assert!(sides.is_inside(HOME.0.into()) && !sides.is_inside(PBX.0.into()));
        let private = Sides::of(None, &[]);
        assert!(private.is_inside(PBX.0.into()) && !private.is_inside(SCANNER.0.into()));
        assert!(!private.inside.iter().any(|network| network.prefix_len == 0));
    }

    #[test]
    fn of_a_capture_that_is_cut_off_what_is_whole_is_shown() {
        let both = [(SCANNER, PBX, false, request("OPTIONS")), (PBX, SCANNER, false, answer(200, "OPTIONS"))];
        let file = capture(&[both[0].clone(), both[1].clone(), both[0].clone()]);
        let octets = fs::read(file.path()).unwrap();
        fs::write(file.path(), &octets[..octets.len() - 1]).unwrap();
        let (found, cut) = exposed(file.path(), &sides()).unwrap();
        assert_eq!((found.packets, found.answers.len()), (2, 1));
        assert!(cut.unwrap().to_string().contains("was cut off"));
    }

    #[test]
    fn what_is_no_capture_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "mode = \"monitor\"\n").unwrap();
        assert!(matches!(exposed(file.path(), &sides()), Err(CaptureError::NotCapture { .. })));
    }
}
