//! Ways past the filter that searches found, each with the call that it hid.

#![allow(clippy::expect_used, reason = "a test that cannot go on ends there")]

use std::{collections::HashMap, path::Path};

use gateway_common::judge::Side;
use gateway_user::{config, engine::host::HostEngine, policy};

/// A UDP datagram from 192.0.2.66 port 5060 to 192.0.2.1 port 5060.
fn frame(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let builder = builder.ipv4([192, 0, 2, 66], [192, 0, 2, 1], 64).udp(5060, 5060);
    builder.write(&mut frame, message).expect("a frame is built");
    frame
}

/// Whether the built-in example, which blocks +232, lets it pass.
fn passes(message: &str) -> bool {
    let (config, _) = config::parse(config::example(), None, Path::new(".")).expect("the example is read");
    let (image, _) = policy::compile(&config, &[], &HashMap::new(), 1).expect("the example compiles");
    HostEngine::new(image).judge(&frame(message.as_bytes()), Side::Wan, 0, 1_000_000_000_000).verdict().passes()
}

fn invite(user: &str) -> String {
    format!("INVITE sip:{user}@gw.example.net SIP/2.0\r\nFrom: <sip:gw>;tag=1\r\nTo: <sip:gw>\r\n\r\n")
}

#[test]
fn separators_in_the_places_of_a_uuid_hide_no_number() {
    for user in [
        "01023276-1234-56..-....-............",
        "+2327612-3456-....-....-............",
        "01023276-1234-5600-0000-000000000000",
    ] {
        assert!(!passes(&invite(user)), "{user}");
    }
    assert!(passes(&invite("f81d4fae-7dec-11d0-a765-00a0c91e6bf6")), "a UUID is no number");
}

#[test]
fn marks_and_pauses_hide_no_number() {
    for mark in ["w", "W", "p", "P", ",", "~", "_", "!", "'", "w,w", "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"] {
        for at in 1.."01023276123456".len() {
            let (head, tail) = "01023276123456".split_at(at);
            assert!(!passes(&invite(&format!("{head}{mark}{tail}"))), "{head}{mark}{tail}");
        }
    }
}

#[test]
fn a_body_continues_no_header() {
    let call = "INVITE sip:alice@gw.example.net SIP/2.0\r\nFrom: <sip:gw>\r\nTo: <sip:a@b>\r\n";
    for body in ["", "x", " <sip:bob@x>", "\t<sip:bob@x>", "\r\n <sip:bob@x>", "\n <sip:bob@x>"] {
        let message = format!("{call}Route: <sip:+23276123456@x>\r\n\r\n{body}");
        assert!(!passes(&message), "{}", message.escape_debug());
    }
    let empty = "INVITE sip:gw.example.net SIP/2.0\r\nFrom: <sip:gw>\r\nTo:\r\n\r\n";
    assert!(passes(&format!("{empty} <sip:+23276123456@x>")), "a body is dialled");
}
