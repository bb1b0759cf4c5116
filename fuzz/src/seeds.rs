//! What a search begins with: the messages, captures, numbers and policies of the product's own tests.

#![expect(clippy::unnecessary_wraps, reason = "the table of targets has one type for all of them")]

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use gateway_user::{
    capture,
    config::Network,
    control::protocol::{Command, ListKind, NewOrder, ScopeView, encode_request},
    daemon::OrderRule,
    orders::{Action, Order, Origin, Scope, record},
};
use jiff::Timestamp;

use crate::{envelope::Envelope, site};

type Seeds = anyhow::Result<Vec<Vec<u8>>>;

fn of_user(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user").join(path)
}

/// Every file of a folder that ends so, in name order.
fn files(folder: &str, end: &str) -> Seeds {
    let folder = of_user(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == end) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))).collect()
}

fn messages() -> Seeds {
    files("tests/data/evasion", "sip")
}

fn captures() -> Seeds {
    files("tests/data/evasion/pcap", "pcap")
}

/// The dialled strings of the test of dial plans.
fn dialled() -> anyhow::Result<Vec<String>> {
    let path = of_user("tests/data/dial-vectors.tsv");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    Ok(rows.filter_map(|line| line.split('\t').nth(1)).map(str::to_owned).collect())
}

/// The circumstances in front of an input, another one for each.
fn under(circumstances: impl Iterator<Item = Vec<u8>>, inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    circumstances.zip(inputs).map(|(head, input)| [head, input].concat()).collect()
}

fn strings(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// An octet, counted up, in front of each.
fn counted(inputs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    under((0u8..=u8::MAX).cycle().map(|n| vec![n]), inputs)
}

pub(crate) fn wire() -> Seeds {
    let mut frames = Vec::new();
    for pcap in captures()? {
        for packet in capture::Capture::new("seed".to_owned(), std::io::Cursor::new(pcap))? {
            let packet = packet?;
            frames.extend(capture::to_ethernet(&packet).map(std::borrow::Cow::into_owned));
        }
    }
    frames.extend((0..=u8::MAX).step_by(15).map(|n| Envelope(n).wrapped(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n")));
    Ok(frames)
}

pub(crate) fn frame() -> Seeds {
    Ok(counted(counted(wire()?)))
}

pub(crate) fn message() -> Seeds {
    let messages = messages()?;
    let plain = under(std::iter::repeat(vec![1, 0]), messages.clone());
    Ok([plain, counted(counted(messages))].concat())
}

/// Heads that can be answered, in each form and with more or less room; and the messages of the evasion tests, most of which
/// cannot.
pub(crate) fn answer() -> Seeds {
    let from_to = "From: \"A; b\" <sip:203@h>;tag=1\r\nTo: <sip:1@h>\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\n";
    let more =
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, REFER, NOTIFY, MESSAGE\r\nUser-Agent: A telephone\r\n\r\n";
    let vias = [
        "Via: SIP/2.0/UDP 192.0.2.20:5070;branch=z9hG4bK7;rport\r\n",
        "v: SIP / 2.0 / UDP phone.example.com : 5090 ;received=192.0.2.1;x=\"a,b\", SIP/2.0/TLS b\r\nVia: SIP/2.0/TCP c\r\n",
        "Via: SIP/2.0/UDP\r\n [2020:2020::1]:5080\r\n ;branch=z9hG4bK7\r\n",
    ];
    let heads = vias.iter().map(|via| format!("INVITE sip:1@h SIP/2.0\r\n{via}{from_to}{more}").into_bytes());
    let forms = (0..16).flat_map(|form| [[form, 8, 0], [form, 1, 60]]);
    let answered =
        forms.zip(heads.collect::<Vec<_>>().into_iter().cycle()).map(|(form, head)| [&form[..], &head].concat());
    Ok(answered.chain(under(std::iter::repeat(vec![0, 8, 0]), messages()?)).collect())
}

pub(crate) fn rewrite() -> Seeds {
    let messages = messages()?;
    Ok((0..9).flat_map(|rewrite| under(std::iter::repeat(vec![0, rewrite]), messages.clone())).collect())
}

pub(crate) fn number() -> Seeds {
    let inputs: Vec<Vec<u8>> = dialled()?.into_iter().map(String::into_bytes).collect();
    Ok((0..=5).flat_map(|policy| under(std::iter::repeat(vec![policy]), inputs.clone())).collect())
}

pub(crate) fn policy() -> Seeds {
    let shipped = site::policies().iter().map(|text| text.as_bytes().to_vec());
    Ok(shipped.chain(strings(&["[sip]\ntcp = \"deny\"\nredirects = true\n[limit.a]\nban = \"5m\"\n"])).collect())
}

pub(crate) fn compile() -> Seeds {
    let orders = ["", "international premium", "dial:119 dial:1 dial:911", "+232 SL 192.0.2.0/24", "national unknown"];
    let seeds = policy()?.into_iter().zip(orders.iter().cycle());
    Ok(seeds.map(|(policy, order)| [order.as_bytes(), b"\n", &policy].concat()).collect())
}

pub(crate) fn list() -> Seeds {
    Ok(strings(&[
        "SL\n+881 # satellite\n\ndial:0570\n",
        "# a list\nprefix,expiry,reason\n",
        "+232,2099-12-31,\"seen in May\"\n+53,2001-01-01,gone\nCU,,\n",
        "dial:#31# # hash\n\"+44\",,\"quoted, twice\"\r\n232\nsl\n",
    ]))
}

pub(crate) fn capture() -> Seeds {
    let mut seeds = captures()?;
    // A pcapng of each byte order: section, interface, one packet of each kind.
    for big_endian in [false, true] {
        seeds.push(pcapng(big_endian));
    }
    Ok(seeds)
}

fn pcapng(big_endian: bool) -> Vec<u8> {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let block = |kind: u32, body: &[u8]| {
        let length = word((body.len() + 12) as u32);
        [&word(kind)[..], &length, body, &length].concat()
    };
    let data = b"OPTIONS sip:a@b SIP/2.0\r\n\r\n ";
    let length = word(data.len() as u32);
    let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
    let interface = [&half(1)[..], &half(0), &word(0), &half(9), &half(1), &[9, 0, 0, 0], &half(0), &half(0)].concat();
    let enhanced = [&word(0)[..], &word(1), &word(2), &length, &length, data].concat();
    let obsolete = [&half(0)[..], &half(0), &word(1), &word(2), &length, &length, data].concat();
    [
        block(0x0a0d_0d0a, &section),
        block(1, &interface),
        block(6, &enhanced),
        block(3, &[&length[..], data].concat()),
        block(2, &obsolete),
    ]
    .concat()
}

pub(crate) fn what() -> Seeds {
    Ok(strings(&[
        "+232",
        "SL",
        "dial:0570",
        "dial:*31#",
        "198.51.100.0/24",
        "2001:db8::/32",
        "::ffff:198.51.100.0/120",
        "international",
        "internatinal",
        "line:alice@example.net",
        "232",
        "010232",
        "48h",
        "99999999999999999999d",
    ]))
}

pub(crate) fn when() -> Seeds {
    Ok(counted(strings(&[
        "18:00",
        "fri 18:00",
        "tomorrow 02:30",
        "today 23:59:59.5",
        "2026-12-24 18:00",
        "2026-03-29 02:30",
        "2026-12-24T18:00:00+09:00",
        "9999-12-31T23:59:59Z",
        "-009999-01-01 00:00",
    ])))
}

pub(crate) fn control() -> Seeds {
    let order = NewOrder {
        what: vec!["+232".into(), "SL".into()],
        scope: ScopeView::Source("192.0.2.0/24".into()),
        reason: Some("fraud\n".into()),
        expires: Some(Timestamp::UNIX_EPOCH),
        force: true,
        dry_run: false,
        monitor: false,
        max: Some("20/1d".into()),
    };
    let commands = [
        Command::Status {},
        Command::Counters {},
        Command::Orders {},
        Command::List { kind: Some(ListKind::Prefixes), abroad: false },
        Command::Block(order.clone()),
        Command::Allow(NewOrder { scope: ScopeView::Line("203".into()), ..order }),
        Command::Undo { order: 7, reason: Some("a mistake".into()) },
        Command::Reload { confirm: Some(60) },
        Command::Confirm {},
        Command::Explain {
            input: "sip:+23276123456@gw".into(),
            from: Some([192, 0, 2, 66].into()),
            line: Some("203".into()),
            at: None,
            side: None,
        },
        Command::Trace { on: true },
        Command::Events { follow: false },
        Command::Detach {},
    ];
    let mut seeds = strings(&[
        r#"{"v":2,"cmd":"status"}"#,
        r#"{"v":1,"ok":true,"result":[1,2]}"#,
        r#"{"v":1,"ok":false,"error":{"kind":"refused","message":"no"}}"#,
    ]);
    for command in commands {
        seeds.push(encode_request(&command)?.trim_end().as_bytes().to_vec());
    }
    Ok(seeds)
}

pub(crate) fn order() -> Seeds {
    let rule = |rule, what: &str| Action::Rule(rule, what.split(' ').filter_map(|what| what.parse().ok()).collect());
    let order = Order {
        number: 1,
        action: rule(OrderRule::Block, "+232 SL dial:0570 192.0.2.0/24 premium line:203"),
        scope: Scope::Site,
        reason: Some("fraud".into()),
        who: "root".into(),
        origin: Origin::Cli,
        since: Timestamp::UNIX_EPOCH,
        expires: Some(Timestamp::MAX),
        expired: false,
        undone: Some(2),
    };
    let network = Network::host([192, 0, 2, 66].into());
    let orders = [
        Order { scope: Scope::Profile("lobby".into()), action: Action::Undo(1), ..order.clone() },
        Order { scope: Scope::Source(network), action: rule(OrderRule::Allow, "US"), ..order.clone() },
        Order { scope: Scope::Line("203".into()), reason: None, expires: None, ..order.clone() },
        order,
    ];
    orders.iter().map(|order| record::encode(order).context("a seed cannot be written")).collect()
}

pub(crate) fn explain() -> Seeds {
    let inputs: Vec<Vec<u8>> = dialled()?.into_iter().map(String::into_bytes).collect();
    Ok(counted(counted(inputs)))
}
