//! Frames and engines for tests.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod chance;

use std::sync::atomic::{AtomicU64, Ordering};

use std::{collections::HashMap, path::Path};

use gateway_user::{
    config::{self, Config},
    daemon::ActiveOrder,
    engine::host::HostEngine,
    policy,
};

/// The engine of a policy without orders.
pub(crate) fn host(config: &Config) -> HostEngine {
    ordered(config, &[])
}

/// The engine of a policy with orders.
pub(crate) fn ordered(config: &Config, orders: &[ActiveOrder]) -> HostEngine {
    HostEngine::new(policy::compile(config, orders, &HashMap::new(), 1).expect("it compiles").0)
}

/// A policy from its text.
pub(crate) fn policy(text: &str) -> Config {
    config::parse(text, None, Path::new(".")).unwrap_or_else(|problems| panic!("{text}:\n{problems:?}")).0
}

/// A UDP datagram from 192.0.2.66 port 5060 to 192.0.2.1 port 5060.
pub(crate) fn frame_of(payload: &[u8]) -> Vec<u8> {
    frame_from([192, 0, 2, 66], payload)
}

/// The same from another source.
pub(crate) fn frame_from(source: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let builder = etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4(source, [192, 0, 2, 1], 64)
        .udp(5060, 5060);
    let mut frame = Vec::new();
    builder.write(&mut frame, payload).expect("a frame is built");
    frame
}

/// An INVITE to this Request-URI, which begins a call of its own.
pub(crate) fn invite(uri: &str) -> Vec<u8> {
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.66;branch=z9hG4bK1\r\nFrom: <sip:203@192.0.2.66>;tag=1\r\n\
         To: <{uri}>\r\nCall-ID: {call}@192.0.2.66\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}
