//! Messages are read as leniently as servers read them, and what is built is read back.

use super::*;

fn invite() -> Invite {
    Invite::new(StartLine::plain("sip:0312345678@198.51.100.10"), SocketAddr::from(([192, 0, 2, 10], 5060)))
}

#[test]
fn what_is_built_is_read_back() {
    let invite = invite();
    let read = Message::parse(&invite.to_bytes()).unwrap();
    assert_eq!(read.request(), Some(("INVITE", "sip:0312345678@198.51.100.10")));
    assert_eq!(read.call_id(), invite.call_id);
    assert_eq!(read.cseq(), Some((1, "INVITE")));
    assert_eq!(read.contact(), Some("sip:alice@192.0.2.10:5060"));
}

#[test]
fn an_answer_keeps_every_via_and_tags_to_once() {
    let request = b"INVITE sip:1@h SIP/2.0\r\nv: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b\r\nt: <sip:1@h>\r\ni: x\r\nCSeq: 7 INVITE\r\n\r\n";
    let answer = Message::parse(&Message::parse(request).unwrap().answer(200, "OK", "T", None)).unwrap();
    assert_eq!(answer.all("Via").collect::<Vec<_>>(), ["SIP/2.0/UDP a", "SIP/2.0/UDP b"]);
    assert_eq!(answer.header("To"), Some("<sip:1@h>;tag=T"));
    assert_eq!((answer.code(), answer.cseq()), (Some(200), Some((7, "INVITE"))));
}

#[test]
fn a_dialog_is_continued_at_the_contact_by_the_recorded_route() {
    let answer = b"SIP/2.0 200 OK\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nTo: <sip:1@h>;tag=T\r\nFrom: <sip:a@h>;tag=F\r\n\
        Contact: <sip:pbx@198.51.100.10:5070>;expires=60\r\nCSeq: 1 INVITE\r\n\r\n";
    let bye = Message::parse(&Message::parse(answer).unwrap().in_dialog("BYE", 2, &invite())).unwrap();
    assert_eq!(bye.request(), Some(("BYE", "sip:pbx@198.51.100.10:5070")));
    assert_eq!(bye.all("Route").collect::<Vec<_>>(), ["<sip:p2;lr>", "<sip:p1;lr>"]);
    assert_eq!(bye.cseq(), Some((2, "BYE")));
}

#[test]
fn odd_datagrams_are_no_message_and_no_panic() {
    for odd in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"INVITE",
        b"INVITE sip:1",
        b"SIP/2.0",
        b"SIP/2.0 abc",
        b"SIP/2.0 99999 x",
        b"\xff\xfe\xfd x y",
    ] {
        assert_eq!(Message::parse(odd), None, "{odd:?}");
    }
    // Headers without a colon, a fold before any header, no blank line: read as far as it goes.
    let odd = Message::parse(b"\r\n \0 invite\t sip:1@h  sip/2.0\n folded\nnonsense\nTo: a\n b").unwrap();
    assert!(odd.is_invite());
    assert_eq!(odd.headers, [("To".to_owned(), "a b".to_owned())]);
}

#[test]
fn the_user_is_cut_at_host_and_parameters() {
    for (uri, user) in
        [("sip:+232;isub=1@h", "+232"), ("tel:+232-7;x=y", "+232-7"), ("SIP:201@h:5060", "201"), ("x", "x"), ("", "")]
    {
        assert_eq!(user_of(uri), user);
    }
}
