//! The spine: whatever the host decides about a frame, the program in the kernel decides the same, field by field.
//!
//! Every frame goes through the engine in this process and through `BPF_PROG_TEST_RUN`, with the same policy, clock and
//! state. Frames are generated from a seed, so that a difference can be met again.

mod chance;
mod conversation;
mod stream;

use std::{
    collections::HashMap,
    fmt::{Display, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    time::Duration,
};

use anyhow::{Result, ensure};
use gateway_common::{Method, Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::{
    config::{self, Config, Window},
    daemon::{ActiveOrder, OrderRule},
    engine::host::HostEngine,
    kernel::Probe,
    orders::Scope,
    policy,
};

pub use self::chance::Chance;
use self::conversation::Conversations;
use crate::packet::{Extension, Frame, TPID_8021AD, TPID_8021Q};

/// The two engines under one policy.
pub struct Pair {
    host: HostEngine,
    kernel: Probe,
    /// How often each decision was met.
    pub seen: HashMap<(Verdict, Reason), u64>,
    /// Later fragments above their limit, which share a reason with the ceiling.
    pub limited_fragments: u64,
}

impl Pair {
    /// Both engines, fresh.
    pub fn new(config: &Config) -> Result<Self> {
        Self::ordered(config, &[])
    }

    /// Both engines, fresh, under a policy with orders.
    pub fn ordered(config: &Config, orders: &[ActiveOrder]) -> Result<Self> {
        let (image, _) = policy::compile(config, orders, &HashMap::from([("eth0".into(), 7)]), 3)?;
        let kernel = Probe::new(&image.cells)?;
        Ok(Self { host: HostEngine::new(image), kernel, seen: HashMap::new(), limited_fragments: 0 })
    }

    /// Judges one frame by both.
    ///
    /// # Errors
    /// Where they differ: both records, and the octets of the frame.
    pub fn check(&mut self, what: &dyn Display, frame: &[u8], side: Side, ifindex: u32, now: u64) -> Result<Judged> {
        let host = self.host.judge(frame, side, ifindex, now);
        let kernel = self.kernel.judge(frame, side, ifindex, now)?;
        let (left, right) = (told(&host), told(&kernel));
        ensure!(left == right, "{what}: host and kernel differ\n{left}\n{right}\n{}", frame.escape_ascii());
        *self.seen.entry((host.verdict(), host.reason())).or_default() += 1;
        self.limited_fragments += u64::from(host.reason() == Reason::PacketLimit && host.method().is_none());
        Ok(host)
    }

    /// What the kernel's verifier counted, by program.
    pub fn verified(&self) -> Vec<(String, u32)> {
        self.kernel.verified()
    }
}

/// Every field of a record but the dialled octets behind its length, which nobody reads.
fn told(judged: &Judged) -> String {
    let numbers = (judged.who, judged.generation, judged.ifindex, judged.country, judged.own_code, judged.e164_at);
    let e164: Vec<u8> = judged.e164().collect();
    format!(
        "{} {} {:?} {} dialled {:?} e164 {:?} source {:?} {numbers:?}",
        judged.verdict().as_str(),
        judged.reason().as_str(),
        judged.method().map(Method::as_str),
        judged.class().as_str(),
        judged.dialled().escape_ascii().to_string(),
        e164.escape_ascii().to_string(),
        (judged.source, judged.line),
    )
}

/// Trunks, profiles, limits of every key, sources, dialled heads: what a real site would have, and more.
pub fn busy_policy() -> Result<Config> {
    Ok(config::parse(BUSY, None, Path::new("."))?.0)
}

/// The same without SIP over TCP and without registrations from outside.
pub fn denying_policy() -> Result<Config> {
    let text = BUSY
        .replace("redirects = true", "redirects = true\ntcp = \"deny\"")
        .replace("extensions = \"2-4\"", "extensions = \"2-4\"\noutside_registration = \"deny\"");
    Ok(config::parse(&text, None, Path::new("."))?.0)
}

/// The same where nobody but who is known registers from outside.
pub fn registering_policy() -> Result<Config> {
    let text = BUSY.replace("extensions = \"2-4\"", "extensions = \"2-4\"\noutside_registration = \"known\"");
    Ok(config::parse(&text, None, Path::new("."))?.0)
}

/// Limits by windows of every key, that drop, suspend and warn.
pub fn windows_policy() -> Result<Config> {
    Ok(config::parse(WINDOWS, None, Path::new("."))?.0)
}

/// The same in monitor mode, without the floor, whose breaker would leave them little.
pub fn monitored_windows_policy() -> Result<Config> {
    let text = WINDOWS.replace("mode = \"enforce\"", "mode = \"monitor\"").replace("floor = true", "floor = false");
    Ok(config::parse(&text, None, Path::new("."))?.0)
}

const WINDOWS: &str = r#"
        mode = "enforce"
        floor = true
        [interface.eth0]
        role = "wan"
        [interface.eth1]
        role = "lan"
        [site]
        region = "JP"
        extensions = "2-4"
        [profile.default]
        outside_line = ["0"]
        block = ["dial:0570"]
        limits = ["line", "network", "country", "pair", "site", "source", "guessing", "flood"]
        class.unknown = "monitor"
        [profile.lobby]
        sources = ["192.0.2.0/28", "2001:db8:1::/48"]
        limits = ["line", "warned"]
        [limit.line]
        key = "line"
        class = "international"
        windows = ["3/10s", "5/60s", "8/10m", "12/1h"]
        site_windows = ["30/1m", "60/1h"]
        concurrent = 2
        site_concurrent = 5
        over = "suspend"
        suspend = "5m"
        [limit.network]
        key = "network"
        windows = ["20/10s"]
        [limit.country]
        key = "country"
        class = "international"
        windows = ["5/30s"]
        concurrent = 3
        [limit.pair]
        key = "source-country"
        windows = ["4/30s", "6/2m"]
        [limit.site]
        key = "site"
        windows = ["40/20s"]
        [limit.source]
        key = "source"
        method = "INVITE"
        rate = "20/s"
        [limit.guessing]
        key = "source"
        count = "failures"
        rate = "1/10s"
        burst = 2
        over = "ban"
        ban = "20s"
        [limit.flood]
        key = "source"
        method = "REGISTER"
        rate = "2/s"
        over = "ban"
        ban = "5s"
        [limit.warned]
        key = "source"
        windows = ["2/1m"]
        concurrent = 1
        over = "warn"
    "#;

const BUSY: &str = r#"
        mode = "enforce"
        floor = true
        [interface.eth0]
        role = "wan"
        [sip]
        ports = [5060, 5062, 65535]
        redirects = true
        called_party = true
        [site]
        region = "JP"
        extensions = "2-4"
        own_numbers = ["+81312345678", "+12025550123"]
        [profile.default]
        outside_line = ["0"]
        block = ["SL", "+4420", "dial:0570", "+8190"]
        allow = ["US", "+442071"]
        limits = ["source", "network", "register", "all", "outside"]
        class.unknown = "monitor"
        [profile.lobby]
        sources = ["192.0.2.0/28", "2001:db8:1::/48"]
        class.international = "block"
        limits = ["source"]
        [trunk.itsp]
        sources = ["203.0.113.10", "2001:db8:ffff::1"]
        interface = "eth0"
        rate = "5/s"
        over = "drop"
        [emergency]
        unproved = "1/10s"
        [ceiling]
        unproved = "5/s"
        burst = 8
        connections = "1/m"
        fragments = "2/s"
        [limit.source]
        key = "source"
        rate = "2/s"
        burst = 3
        over = "drop"
        [limit.network]
        key = "network"
        method = "INVITE"
        rate = "1/s"
        burst = 2
        over = "warn"
        [limit.register]
        key = "unproved"
        method = "REGISTER"
        rate = "3/s"
        over = "drop"
        [limit.outside]
        key = "unproved"
        method = "INVITE"
        rate = "1/s"
        burst = 5
        over = "drop"
        [limit.all]
        key = "all"
        class = "international"
        rate = "1/m"
        burst = 2
        over = "drop"
    "#;

/// Orders of every kind, the kill switch among them.
pub fn orders() -> Result<Vec<ActiveOrder>> {
    [
        (1, OrderRule::InternationalOff, "GB +23276", Scope::Site),
        (2, OrderRule::Block, "+44207 dial:0033 198.51.100.2", Scope::Site),
        (3, OrderRule::Allow, "dial:010 +8190 SL", Scope::Profile("lobby".into())),
        (4, OrderRule::Monitor, "+441 premium dial:186 198.51.100.3 unknown", Scope::Site),
    ]
    .into_iter()
    .map(|(number, rule, what, scope)| {
        let what = what.split(' ').map(str::parse).collect::<Result<_, _>>().map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(ActiveOrder { number, rule, what, scope, max: None })
    })
    .collect()
}

/// Orders for lines and about them, and one that allows so many calls.
pub fn line_orders() -> Result<Vec<ActiveOrder>> {
    let line = |name: &str| Scope::Line(name.into());
    let max = Some(Window { count: 3, per: Duration::from_secs(600) });
    [
        (1, OrderRule::InternationalOff, "GB", line("203"), None),
        (2, OrderRule::Block, "SL +1202", line("201"), None),
        (3, OrderRule::Allow, "US LV +232", line("202"), max),
        (4, OrderRule::Allow, "GB", Scope::Site, max),
        (5, OrderRule::Block, "line:204 line:alice", Scope::Site, None),
        (6, OrderRule::Monitor, "line:200 +81", Scope::Profile("lobby".into()), None),
        (7, OrderRule::Allow, "line:200 SL", Scope::Source("192.0.2.0/24".parse()?), None),
    ]
    .into_iter()
    .map(|(number, rule, what, scope, max)| {
        let what = what.split(' ').map(str::parse).collect::<Result<_, _>>().map_err(|e| anyhow::anyhow!("{e}"))?;
        Ok(ActiveOrder { number, rule, what, scope, max })
    })
    .collect()
}

/// The built-in example in monitor mode.
pub fn monitor_policy() -> Result<Config> {
    let text = config::example().replace("mode = \"enforce\"", "mode = \"monitor\"");
    Ok(config::parse(&text, None, Path::new("."))?.0)
}

/// A number as somebody would write it to get it dialled, or to get it past a filter.
fn number(chance: &mut Chance) -> String {
    let service = chance.pick(&["", "", "", "184", "186", "*67", "*31*", "#31#", "122"]);
    let outside = chance.pick(&["", "", "0", "9", "0,", "9w"]);
    let carrier = chance.pick(&["", "", "", "0033", "001", "0061", "005345"]);
    let access = chance.pick(&["+", "010", "00", "011", "0011", "810", "9011", "", "++", "+00", "0+", "0"]);
    let rest = chance.pick(&[
        "232761234567",
        "23276123456",
        "442071838750",
        "447700900123",
        "12025550123",
        "18764567890",
        "81312345678",
        "8190123456",
        "881612345678",
        "979123456789",
        "281234567",
        "77012345678",
        "5550100",
        "110",
        "119",
        "118",
        "112",
        "312345678",
        "570012345",
        "232",
        "201",
        "4180",
        "232761234560000000000",
        "alice",
        "",
        "9012345678",
    ]);
    let plain = format!("{service}{outside}{carrier}{access}{rest}");
    let mut written = String::new();
    for c in plain.chars() {
        match chance.below(30) {
            0 => {
                let _ = write!(written, "%{:02X}", c as u32);
            }
            1 => {
                let _ = write!(written, "%{:02x}", c as u32);
            }
            2 => {
                written.push(*chance.pick(&[&'-', &'.', &'(', &')', &' ', &'/', &',', &'~', &'&', &'%', &'\0', &'é']));
                written.push(c);
            }
            _ => written.push(c),
        }
    }
    written
}

fn uri(chance: &mut Chance) -> String {
    let scheme =
        chance.pick(&["sip:", "sip:", "sip:", "SIP:", "sips:", "tel:", "TeL:", "urn:service:", "im:", "sip://"]);
    if scheme == "urn:service:" {
        return format!("{scheme}{}", chance.pick(&["sos", "sos.fire", "sosx", "counseling"]));
    }
    let user = if chance.one_in(12) { String::new() } else { number(chance) };
    let parameters = match chance.below(10) {
        0 => format!(";phone-context=+{}", chance.pick(&["232", "81", "2-3-2", "%2B"])),
        1 => format!(";rn={}", number(chance)),
        2 => format!(";npdi;RN=+{};rn-context=+81", chance.pick(&["23276123456", "12025550100"])),
        3 => ";isub=12;ext=1".into(),
        _ => String::new(),
    };
    let host = chance.pick(&["gw.example.net", "192.0.2.1:5060;lr", "[2001:db8::1]", "+23276123456", "h?x=y", ""]);
    if scheme.eq_ignore_ascii_case("tel:") || chance.one_in(15) {
        format!("{scheme}{user}{parameters}")
    } else {
        format!("{scheme}{user}{parameters}@{host}")
    }
}

/// A SIP message, or what could be taken for one.
pub fn request(chance: &mut Chance) -> Vec<u8> {
    let lead = chance.pick(&["", "", "", "\r\n\r\n", " ", "\0\t", "\u{feff}", "x\r\n"]);
    let method = chance.pick(&[
        "INVITE",
        "INVITE",
        "INVITE",
        "invite",
        "InViTe",
        "REFER",
        "REGISTER",
        "OPTIONS",
        "BYE",
        "ACK",
        "CANCEL",
        "MESSAGE",
        "SIP/2.0",
        "FOO",
        "SUBSCRIBE",
        "UPDATE",
    ]);
    let gap = chance.pick(&[" ", " ", " ", "  ", "\t", "\r\n ", "\0", " <", ""]);
    let end = chance.pick(&["\r\n", "\r\n", "\r\n", "\n", "\r"]);
    let mut text = format!("{lead}{method}{gap}{}{}SIP/2.0{end}", uri(chance), chance.pick(&[" ", " ", ">  "]));
    for _ in 0..chance.below(12) {
        let name = chance.pick(&[
            "To",
            "t",
            "TO ",
            "From",
            "f",
            "Route",
            "ROUTE",
            "Refer-To",
            "r",
            "Via",
            "Contact",
            "Call-ID",
            "Record-Route",
            "Diversion",
            "Topic",
        ]);
        let fold = chance.pick(&["", "", "", "\r\n ", "\n\t"]);
        let display = chance.pick(&["", "\"A <sip:1@x>\" ", "Bob ", "\"\\\"<\" "]);
        let target = uri(chance);
        let value = match chance.below(4) {
            0 => target,
            1 => format!("{display}<{target}>, <{}>;lr", uri(chance)),
            _ => format!("{display}<{target}>;tag=x"),
        };
        let _ = write!(text, "{name}:{fold} {value}{end}");
    }
    if !chance.one_in(8) {
        text.push_str(end);
    }
    if chance.one_in(4) {
        text.push_str("v=0\r\nINVITE sip:+23276123456@x SIP/2.0\r\n");
    }
    text.into_bytes()
}

/// The message with up to three faults.
pub fn mutated(chance: &mut Chance, mut message: Vec<u8>) -> Vec<u8> {
    for _ in 0..chance.below(4) {
        let len = message.len().max(1);
        match chance.below(6) {
            0 if !message.is_empty() => {
                let at = chance.below(len);
                message[at] = chance.draw() as u8;
            }
            1 => message
                .insert(chance.below(len), *chance.pick(&[&b' ', &b'\r', &b'\n', &b'@', &b';', &b'<', &b'%', &0])),
            2 if !message.is_empty() => {
                message.remove(chance.below(len));
            }
            3 => message.truncate(chance.below(len + 1)),
            4 => {
                let (at, times) = (chance.below(len), chance.below(700));
                let octet = *chance.pick(&[&b'-', &b' ', &b'0', &b'\n', &b'a']);
                message.splice(at.min(message.len())..at.min(message.len()), std::iter::repeat_n(octet, times));
            }
            _ => {}
        }
    }
    message
}

fn address(chance: &mut Chance, v6: bool) -> IpAddr {
    if v6 {
        let [a, b] = [chance.below(3) as u16, chance.below(4) as u16];
        return match chance.below(5) {
            0 => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
            1 => Ipv4Addr::new(192, 0, 2, b as u8).to_ipv6_mapped().into(),
            _ => Ipv6Addr::new(0x2001, 0xdb8, a, b, 0, 0, 0, 1 + b).into(),
        };
    }
    match chance.below(4) {
        0 => Ipv4Addr::new(203, 0, 113, 10),
        1 => Ipv4Addr::new(192, 0, 2, chance.below(32) as u8),
        _ => Ipv4Addr::new(198, 51, 100, chance.below(4) as u8),
    }
    .into()
}

/// One or several frames around a message.
fn frames(chance: &mut Chance, message: Vec<u8>) -> Vec<Vec<u8>> {
    if chance.one_in(25) {
        return stream::later_fragments(chance, message);
    }
    let packets = if chance.one_in(4) {
        stream::segments(chance, message)
    } else {
        let v6 = chance.one_in(4);
        let (source, destination) = (address(chance, v6), address(chance, v6));
        let port = *chance.pick(&[&5060, &5060, &5060, &5062, &65535, &9, &5061]);
        let from = *chance.pick(&[&5060, &40000]);
        vec![Frame::udp((source, from), (destination, port), message)]
    };
    packets.into_iter().flat_map(|packet| disguised(chance, packet)).collect()
}

/// The packet as it could come over all kinds of links, with faults.
fn disguised(chance: &mut Chance, mut frame: Frame) -> Vec<Vec<u8>> {
    let v6 = frame.is_v6();
    for _ in 0..*chance.pick(&[&0, &0, &0, &0, &1, &2, &3]) {
        frame = frame.vlan(*chance.pick(&[&TPID_8021Q, &TPID_8021AD]), chance.below(4000) as u16);
    }
    if chance.one_in(10) {
        frame = frame.pppoe();
    }
    if chance.one_in(10) && !v6 {
        frame = frame.tunnel(Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED);
    }
    if v6 && chance.one_in(3) {
        for _ in 0..chance.below(9) {
            frame = frame.extension(Extension::DestinationOptions(6 + 8 * chance.below(3)));
        }
    }
    if !v6 && chance.one_in(8) {
        frame = frame.ipv4_options(vec![1; 4 * (1 + chance.below(10))]);
    }
    if chance.one_in(20) {
        let size = *chance.pick(&[&8, &16, &64, &256, &1024]);
        let mut fragments = frame.fragments(size).unwrap_or_default();
        fragments.truncate(3);
        return fragments;
    }
    // What does not fit a packet is not sent.
    let Ok(mut built) = frame.build() else { return Vec::new() };
    if chance.one_in(10) {
        let at = chance.below(built.len().min(80));
        built[at] = chance.draw() as u8;
    }
    if chance.one_in(20) {
        built.truncate(14 + chance.below(built.len() - 13));
    }
    if chance.one_in(20) {
        built.extend(std::iter::repeat_n(0, chance.below(40)));
    }
    vec![built]
}

/// Frames of one kind in a row.
const STRETCH: usize = 3_000;

/// Judges `wanted` generated frames by both engines under one policy; a third of the messages come from `corpus`, if it
/// has any.
///
/// # Errors
/// The first difference.
pub fn run(pair: &mut Pair, seed: u64, wanted: usize, corpus: &[Vec<u8>]) -> Result<()> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ seed);
    let mut now = 1;
    let mut done = 0;
    let mut conversations = Conversations::new(&mut chance);
    while done < wanted {
        // In stretches: time passes between the turns of a conversation, and would fill every limit again.
        if done / STRETCH % 3 == 2 {
            let turn = conversations.turn(&mut chance);
            now += turn.after;
            pair.check(&format_args!("seed {seed}, frame {done}"), &turn.frame, turn.side, 0, now)?;
            done += 1;
            continue;
        }
        let fresh = if !corpus.is_empty() && chance.one_in(3) {
            corpus[chance.below(corpus.len())].clone()
        } else if chance.one_in(3) {
            stream::message(&mut chance)
        } else {
            request(&mut chance)
        };
        let message = mutated(&mut chance, fresh);
        for frame in frames(&mut chance, message) {
            if !(14..=9000).contains(&frame.len()) {
                continue;
            }
            now += chance.draw() % if chance.one_in(50) { 900_000_000 } else { 4_000_000 };
            let side = if chance.one_in(4) { Side::Lan } else { Side::Wan };
            let ifindex = *chance.pick(&[&0, &7, &8]);
            pair.check(&format_args!("seed {seed}, frame {done}"), &frame, side, ifindex, now)?;
            done += 1;
        }
    }
    Ok(())
}
