use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use gateway_common::{
    Class, Method, Reason, Verdict,
    addr::Addr,
    judged::{Judged, Who},
};

use super::*;

mod mutations;

const PHONE: [u8; 6] = [2, 0, 0, 0, 0, 0x20];
const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const LINK: usize = 14;

fn judged() -> Judged {
    Judged {
        verdict: Verdict::Drop as u8,
        reason: Reason::BlockedCountry as u8,
        method: Method::Invite as u8,
        class: Class::International as u8,
        who: Who::Lan as u8,
        source: Addr::v4(0xc000_0214),
        ..Judged::NOTHING
    }
}

/// A request from 192.0.2.20 port 5070 to 198.51.100.10 port 5060, with these octets between Ethernet's addresses and IP.
fn frame(between: &[u8], message: &[u8]) -> (Refused, Vec<u8>) {
    let mut frame = [&ROUTER[..], &PHONE, between].concat();
    let ip_at = frame.len() as u16;
    let builder = PacketBuilder::ipv4([192, 0, 2, 20], [198, 51, 100, 10], 64).udp(5070, 5060);
    builder.write(&mut frame, message).unwrap();
    let refused =
        Refused { judged: judged(), ip_at, transport_at: ip_at + 20, at: ip_at + 28, payload: message.len() as u16 };
    (refused, frame)
}

/// Where an answer comes from, where it goes, and what it says.
fn read(answer: &[u8], link: usize) -> (SocketAddr, SocketAddr, String) {
    let sliced = SlicedPacket::from_ip(&answer[link..]).unwrap();
    let (from, to): (IpAddr, IpAddr) = match sliced.net.unwrap() {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => panic!("no IP"),
    };
    let Some(TransportSlice::Udp(udp)) = sliced.transport else { panic!("no UDP") };
    let text = String::from_utf8_lossy(udp.payload()).into_owned();
    ((from, udp.source_port()).into(), (to, udp.destination_port()).into(), text)
}

fn answered_with(message: &[u8], status: u16) -> Option<(SocketAddr, String)> {
    let (refused, frame) = frame(&[8, 0], message);
    let answer = Answerer::default().answer(&refused, &frame, status, None)?;
    let (from, to, text) = read(&answer, LINK);
    assert_eq!(from, ([198, 51, 100, 10], 5060).into(), "the answer is in the name of whom he called");
    assert!(text.len() <= message.len(), "{} octets for {}:\n{text}", text.len(), message.len());
    Some((to, text))
}

fn answered(message: &str) -> Option<(SocketAddr, String)> {
    answered_with(message.as_bytes(), 603)
}

fn lines(text: &str, name: &str) -> Vec<String> {
    text.split("\r\n").filter_map(|line| line.strip_prefix(name)).map(str::to_owned).collect()
}

const VIA: &str = "Via: SIP/2.0/UDP 192.0.2.20:5070;branch=z9hG4bK77;rport";
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 9 18 101\r\n";

/// An INVITE with these headers in the place of [`VIA`] and To.
fn invite(via: &str, to: &str) -> String {
    format!(
        "INVITE sip:010232761234567@198.51.100.10 SIP/2.0\r\n{via}\r\nMax-Forwards: 70\r\n\
         From: \"Room; 203\" <sip:203@example.com>;tag=a1\r\n{to}\r\nCall-ID: 9c8e@192.0.2.20\r\nCSeq: 102 INVITE\r\n\
         Contact: <sip:203@192.0.2.20:5070>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, REFER, NOTIFY, MESSAGE\r\n\
         Supported: replaces, timer, gruu, outbound, path, 100rel\r\nUser-Agent: A telephone of some make 1.2.3\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    )
}

const TO: &str = "To: <sip:010232761234567@198.51.100.10>";

#[test]
fn an_ordinary_call_is_declined_by_the_letter() {
    let (to, text) = answered(&invite(VIA, TO)).unwrap();
    assert_eq!(to, ([192, 0, 2, 20], 5070).into());
    let tag = lines(&text, "To: <sip:010232761234567@198.51.100.10>;tag=").remove(0);
    assert_eq!(tag.len(), 16, "{text}");
    let expected = format!(
        "SIP/2.0 603 Decline\r\n\
         Via: SIP/2.0/UDP 192.0.2.20:5070;branch=z9hG4bK77;received=192.0.2.20;rport=5070\r\n\
         From: \"Room; 203\" <sip:203@example.com>;tag=a1\r\n\
         To: <sip:010232761234567@198.51.100.10>;tag={tag}\r\n\
         Call-ID: 9c8e@192.0.2.20\r\n\
         CSeq: 102 INVITE\r\n\
         Reason: Q.850;cause=21;text=\"International calls are not allowed\"\r\n\
         Warning: 399 tollgate \"International calls are not allowed\"\r\n\
         Content-Length: 0\r\n\r\n"
    );
    assert_eq!(text, expected);
    for (code, phrase) in STATUS {
        let (_, text) = answered_with(invite(VIA, TO).as_bytes(), code).unwrap();
        assert!(text.starts_with(&format!("SIP/2.0 {code} {phrase}\r\n")), "{text}");
    }
    assert_eq!(answered_with(invite(VIA, TO).as_bytes(), 200), None);
}

#[test]
fn a_retransmission_gets_the_same_answer_and_another_call_another_tag() {
    let answerer = Answerer::default();
    let answer = |message: &str| {
        let (refused, frame) = frame(&[8, 0], message.as_bytes());
        answerer.answer(&refused, &frame, 603, None).unwrap()
    };
    let first = invite(VIA, TO);
    assert_eq!(answer(&first), answer(&first));
    assert_ne!(answer(&first), answer(&first.replace("9c8e", "9c8f")));
    let (refused, frame) = frame(&[8, 0], first.as_bytes());
    assert_ne!(Answerer::default().answer(&refused, &frame, 603, None).unwrap(), answer(&first), "the key is its own");
}

#[test]
fn the_answer_goes_to_the_address_of_the_packet_and_nowhere_else() {
    let port = |via: &str| answered(&invite(via, TO)).map(|(to, text)| (to, lines(&text, "Via: ")));
    let (to, vias) = port("Via: SIP/2.0/UDP 203.0.113.9:5090;branch=z9hG4bK1").unwrap();
    assert_eq!(to, ([192, 0, 2, 20], 5090).into(), "the port is that of Via, the address is not");
    assert_eq!(vias, ["SIP/2.0/UDP 203.0.113.9:5090;branch=z9hG4bK1;received=192.0.2.20"]);
    let (to, vias) = port("Via: SIP/2.0/UDP phone.example.com;received=203.0.113.9;rport=9;branch=z9hG4bK1").unwrap();
    assert_eq!(to, ([192, 0, 2, 20], 5070).into());
    assert_eq!(vias, ["SIP/2.0/UDP phone.example.com;branch=z9hG4bK1;received=192.0.2.20;rport=5070"]);
    let (to, vias) = port("Via: SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1").unwrap();
    assert_eq!(to, ([192, 0, 2, 20], 5060).into());
    assert_eq!(vias, ["SIP/2.0/UDP 192.0.2.20;branch=z9hG4bK1"], "nothing to tell");
    for none in [
        "Via: SIP/2.0/UDP 203.0.113.9;maddr=203.0.113.9;branch=z9hG4bK1",
        "Via: SIP/2.0/TCP 192.0.2.20;branch=z9hG4bK1",
        "Via: SIP/3.0/UDP 192.0.2.20;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.20:0;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.20:99999;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP [2001:db8::1;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP 192.0.2.20;x=\"open",
        "Via: nonsense",
        "Via:",
    ] {
        assert_eq!(port(none), None, "{none}");
    }
}

#[test]
fn every_via_comes_back_in_its_order() {
    let via = "Via: SIP/2.0/UDP 192.0.2.20:5070;branch=z9hG4bK1;rport, SIP/2.0/UDP a.example.com;branch=z9hG4bK2\r\n\
               Route: <sip:b.example.com;lr>\r\nv: SIP/2.0/TLS c.example.com;branch=z9hG4bK3\r\n\
               VIA :SIP/2.0/UDP d.example.com;x=\"a, b\"\r\n ;branch=z9hG4bK4";
    let (_, text) = answered(&invite(via, TO)).unwrap();
    assert_eq!(
        lines(&text, "Via: "),
        [
            "SIP/2.0/UDP 192.0.2.20:5070;branch=z9hG4bK1;received=192.0.2.20;rport=5070, SIP/2.0/UDP a.example.com;branch=z9hG4bK2",
            "SIP/2.0/TLS c.example.com;branch=z9hG4bK3",
            "SIP/2.0/UDP d.example.com;x=\"a, b\" ;branch=z9hG4bK4",
        ]
    );
}

/// RFC 4475 section 3.1.1.1, "a short tortuous INVITE", over UDP and with one of its Vias in front.
const TORTUOUS: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
    TO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
    from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
    MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\n\
    cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\n\
    NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
    UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n\
    Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
    v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n\
    \x20SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
    m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n";

#[test]
fn a_tortuous_head_is_read() {
    let (to, text) = answered(TORTUOUS).unwrap();
    assert_eq!(to, ([192, 0, 2, 20], 5060).into());
    assert_eq!(
        lines(&text, "Via: "),
        [
            "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw;received=192.0.2.20",
            "SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8  , SIP  /    2.0   / UDP  \
             192.168.255.111   ; branch= z9hG4bK30239",
        ]
    );
    assert_eq!(lines(&text, "To: "), [" sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n".trim_start()]);
    assert_eq!(lines(&text, "From: "), ["\"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com> ; tag = 98asjd8"]);
    assert_eq!(lines(&text, "CSeq: "), ["0009 INVITE"]);
}

#[test]
fn a_to_tag_is_added_once_and_only_where_there_is_none() {
    let to = |to: &str| answered(&invite(VIA, to)).map(|(_, text)| lines(&text, "To: ").remove(0));
    for tagged in
        ["<sip:1@b>;tag=x7", "\"a;tag=no\" <sip:1@b>;x=y;TAG=x7", "sip:1@b;tag=x7", "\"<\" <sip:1@b>; tag = x7"]
    {
        assert_eq!(to(&format!("To: {tagged}")).unwrap(), tagged);
    }
    for untagged in ["<sip:1@b;tag=no>", "\"a;tag=no\" <sip:1@b>", "sip:1@b", "sip:1@b;x=\";tag=no\"", "<tel:1>;x"] {
        let found = to(&format!("t: {untagged}")).unwrap();
        assert!(
            found.strip_prefix(untagged).is_some_and(|rest| rest.starts_with(";tag=") && rest.len() == 21),
            "{found}"
        );
    }
    for none in ["To: <sip:1@b>;tag=", "To: <sip:1@b>;tag", "To: \"open <sip:1@b>", "To: <sip:1@b", "To:", "X: y"] {
        assert_eq!(to(none), None, "{none}");
    }
}

#[test]
fn what_cannot_be_answered_by_the_letter_is_not_answered() {
    let good = invite(VIA, TO);
    assert!(answered(&good).is_some());
    for (was, is) in [
        ("CSeq: 102 INVITE\r\n", ""),
        ("CSeq: 102 INVITE", "CSeq: INVITE"),
        ("CSeq: 102 INVITE", "CSeq: 102"),
        ("CSeq: 102 INVITE", "CSeq: 102 BYE"),
        ("CSeq: 102 INVITE", "CSeq: +2 INVITE"),
        ("CSeq: 102 INVITE", "CSeq: 2147483648 INVITE"),
        ("CSeq: 102 INVITE", "CSeq: 102 INVITE\r\nCSeq: 102 INVITE"),
        ("Call-ID: 9c8e@192.0.2.20\r\n", ""),
        ("Call-ID: 9c8e@192.0.2.20", "Call-ID:"),
        ("Call-ID: 9c8e@192.0.2.20", "Call-ID: 9c\u{7}8e"),
        ("Call-ID: 9c8e@192.0.2.20", "Call-ID: 9c8e\0"),
        ("Call-ID: 9c8e@192.0.2.20", "Call-ID: 1\r\ni: 2"),
        ("From: \"Room; 203\" <sip:203@example.com>;tag=a1\r\n", ""),
        ("From: \"Room", "f: <sip:1@a>;tag=b\r\nFrom: \"Room"),
        (TO, "To: <sip:1@b>\r\nt: <sip:2@b>"),
        (VIA, "X: y"),
    ] {
        let bad = good.replace(was, is);
        assert_ne!(bad, good, "{was}");
        assert_eq!(answered(&bad), None, "{is:?} in the place of {was:?}");
    }
    for none in ["", "\r\n\r\n", "INVITE", "\0\0\0\0", "INVITE sip:a SIP/2.0\r\n\r\n"] {
        assert_eq!(answered(none), None, "{none:?}");
    }
    // What stands behind the blank line is body, and headers there are none.
    let (head, _) = good.split_once("CSeq").unwrap();
    assert_eq!(answered(&format!("{head}\r\nCSeq: 102 INVITE\r\n\r\n")), None);
}

#[test]
fn line_ends_of_any_kind_and_blank_lines_in_front_are_read() {
    let good = invite(VIA, TO);
    let headers = |text: &str| lines(text, "").into_iter().filter(|it| !it.starts_with("To: ")).collect::<Vec<_>>();
    let expected = headers(&answered(&good).unwrap().1);
    for other in [good.replace("\r\n", "\n"), good.replace("\r\n", "\r"), format!("\r\n\r\n {good}")] {
        assert_eq!(headers(&answered(&other).unwrap().1), expected, "{other:?}");
    }
}

#[test]
fn an_answer_shrinks_before_it_outgrows_its_request() {
    let whole = invite(VIA, TO);
    let (mut refused, frame) = frame(&[8, 0], whole.as_bytes());
    let mut forms = Vec::new();
    for payload in 0..=u16::try_from(whole.len()).unwrap() {
        refused.payload = payload;
        let form = Answerer::default().answer(&refused, &frame, 603, None).map(|answer| {
            let (.., text) = read(&answer, LINK);
            assert!(text.len() <= usize::from(payload));
            let octets = |name| lines(&text, name).iter().map(String::len).sum::<usize>();
            (octets("Reason: "), octets("Warning: "))
        });
        forms.push(form);
    }
    forms.dedup();
    let (short, long, warning) = ("Q.850;cause=21".len(), 57, 50);
    let expected = [None, Some((0, 0)), Some((short, 0)), Some((short, warning)), Some((long, warning))];
    assert_eq!(forms, expected);
}

#[test]
fn the_way_back_has_the_tags_and_the_session_of_the_request() {
    let message = invite(VIA, TO);
    let back = |between: &[u8]| {
        let (refused, frame) = frame(between, message.as_bytes());
        let answer = Answerer::default().answer(&refused, &frame, 603, None)?;
        assert_eq!((&answer[..6], &answer[6..12]), (&PHONE[..], &ROUTER[..]));
        let link = usize::from(refused.ip_at);
        let (_, to, text) = read(&answer, link);
        assert_eq!(to, ([192, 0, 2, 20], 5070).into());
        assert!(text.starts_with("SIP/2.0 603 "));
        Some((answer[12..link].to_vec(), answer.len() - link))
    };
    for tags in [&[8, 0][..], &[0x81, 0, 0x20, 10, 8, 0], &[0x88, 0xa8, 0, 7, 0x81, 0, 0, 10, 8, 0]] {
        assert_eq!(back(tags).unwrap().0, tags);
    }
    let (link, packet) = back(&[0x81, 0, 0, 10, 0x88, 0x64, 0x11, 0, 0, 5, 1, 2, 0, 0x21]).unwrap();
    let length = (packet as u16 + 2).to_be_bytes();
    assert_eq!(link, [0x81, 0, 0, 10, 0x88, 0x64, 0x11, 0, 0, 5, length[0], length[1], 0, 0x21]);
    assert_eq!(back(&[0x81, 0, 8, 0]), None, "a tag that is cut");
    assert_eq!(back(&[8, 0, 1, 2, 3]), None, "something else in front of IP");
}

#[test]
fn an_ipv6_caller_is_answered() {
    let (phone, pbx) = ("2001:db8::20".parse::<Ipv6Addr>().unwrap(), "2001:db8:1::10".parse::<Ipv6Addr>().unwrap());
    let mut frame = [&ROUTER[..], &PHONE, &[0x86, 0xdd]].concat();
    let message = invite("Via: SIP/2.0/UDP [2001:db8::20]:5080;branch=z9hG4bK77", TO);
    PacketBuilder::ipv6(phone.octets(), pbx.octets(), 64)
        .udp(5070, 5060)
        .write(&mut frame, message.as_bytes())
        .unwrap();
    let payload = message.len() as u16;
    let mut refused = Refused { judged: judged(), ip_at: 14, transport_at: 54, at: 62, payload };
    let answer = Answerer::default().answer(&refused, &frame, 603, Some(7)).unwrap();
    let (from, to, text) = read(&answer, LINK);
    assert_eq!((from, to), ((pbx, 5060).into(), (phone, 5080).into()));
    assert_eq!(lines(&text, "Via: "), ["SIP/2.0/UDP [2001:db8::20]:5080;branch=z9hG4bK77"]);
    refused.judged.reason = Reason::Order as u8;
    let answer = Answerer::default().answer(&refused, &frame, 603, Some(7)).unwrap();
    let (.., text) = read(&answer, LINK);
    assert_eq!(lines(&text, "Warning: "), ["399 tollgate \"International calls are stopped (order 7)\""]);
}

#[test]
fn nobody_is_answered_who_is_not_one() {
    let message = invite(VIA, TO);
    let (refused, good) = frame(&[8, 0], message.as_bytes());
    let answers = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = good.clone();
        change(&mut frame);
        Answerer::default().answer(&refused, &frame, 603, None).is_some()
    };
    assert!(answers(&|_| ()));
    assert!(!answers(&|frame| frame[0] |= 1), "to a group of machines");
    assert!(!answers(&|frame| frame[6] |= 1), "from a group of machines");
    assert!(!answers(&|frame| frame[6..12].fill(0)), "from no machine");
    for address in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 1], [255, 255, 255, 255]] {
        assert!(!answers(&|frame| frame[26..30].copy_from_slice(&address)), "from {address:?}");
        assert!(!answers(&|frame| frame[30..34].copy_from_slice(&address)), "to {address:?}");
    }
    assert!(!answers(&|frame| frame[34..36].fill(0)), "from port 0");
    assert!(!answers(&|frame| frame[14] = 0x55), "no version of IP");
    for length in 0..good.len() {
        // Nothing of a frame that is cut off may be read behind its end.
        let _ = Answerer::default().answer(&refused, &good[..length], 603, None);
    }
}

#[test]
fn the_words_are_of_the_reason_and_fit_in_quotes() {
    for &reason in Reason::ALL {
        for order in [None, Some(u64::MAX)] {
            let why = words::why(&Judged { reason: reason as u8, ..judged() }, order);
            assert!(!why.is_empty() && why.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' '), "{why}");
            assert!(!why.contains(['"', '\\']), "{why}");
            assert_eq!(why.contains(&u64::MAX.to_string()), reason == Reason::Order && order.is_some(), "{why}");
        }
    }
}
