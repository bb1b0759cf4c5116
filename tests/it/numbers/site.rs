//! One gateway, and a caller in every region of the world.

use std::{collections::HashMap, fmt::Write as _, path::Path};

use gateway_common::{Class, judge::Side, judged::Judged};
use gateway_tests::packet::Frame;
use gateway_user::{
    config,
    engine::host::HostEngine,
    numbering::{self, Region},
    policy,
};

/// A policy with a profile for each region, and the engine that decides by it.
pub(super) struct Site {
    engine: HostEngine,
    /// Who calls, by place.
    pub(super) callers: Vec<&'static Region>,
    frame: Vec<u8>,
}

/// What Tollgate takes a dialled string for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Taken {
    pub(super) class: Class,
    /// Its country.
    pub(super) country: Option<&'static str>,
    /// The number, with its calling code.
    pub(super) e164: String,
}

/// Where in a frame the source address, the length of the IP packet, and that of the UDP datagram stand.
const SOURCE: usize = 14 + 12;
const IP_LENGTH: usize = 14 + 2;
const UDP_LENGTH: usize = 14 + 20 + 4;

impl Site {
    /// Callers behind a digit for an outside line, or none.
    pub(super) fn new(outside: Option<&str>) -> Self {
        Self::blocking(outside, &[])
    }

    /// The same, to whom these countries are blocked.
    pub(super) fn blocking(outside: Option<&str>, countries: &[&str]) -> Self {
        let callers: Vec<&Region> = numbering::regions().iter().filter(|region| region.code != "ZZ").collect();
        assert!(callers.len() < 256, "a region is an octet of the address");
        let outside = outside.map(|digit| format!("outside_line = [\"{digit}\"]\n")).unwrap_or_default();
        let mut text = String::from("mode = \"enforce\"\nfloor = false\n[site]\nregion = \"ZZ\"\n[profile.default]\n");
        writeln!(text, "block = {countries:?}").unwrap();
        for (place, caller) in callers.iter().enumerate() {
            let code = caller.code;
            writeln!(text, "[profile.{code}]\nsources = [\"10.0.{place}.0/24\"]\nregion = \"{code}\"\n{outside}")
                .unwrap();
        }
        let (policy, _) = config::parse(&text, None, Path::new(".")).unwrap();
        let (image, _) = policy::compile(&policy, &[], &HashMap::new(), 1).unwrap();
        let frame = Frame::udp(([10, 0, 0, 1], 5060), ([192, 0, 2, 1], 5060), Vec::new()).build().unwrap();
        Self { engine: HostEngine::new(image), callers, frame }
    }

    /// What an INVITE to this URI is to a caller.
    pub(super) fn judge(&mut self, caller: usize, uri: &str) -> Taken {
        let judged = self.decide(caller, uri);
        assert!(judged.method().is_some(), "the frame is an INVITE");
        Taken {
            class: judged.class(),
            country: numbering::country_codes().get(usize::from(judged.country).wrapping_sub(1)).copied(),
            e164: judged.e164().map(char::from).collect(),
        }
    }

    /// Whether an INVITE of a caller to this URI passes.
    pub(super) fn passes(&mut self, caller: usize, uri: &str) -> bool {
        self.decide(caller, uri).verdict().passes()
    }

    fn decide(&mut self, caller: usize, uri: &str) -> Judged {
        const HEADERS: usize = 14 + 20 + 8;
        self.frame.truncate(HEADERS);
        for part in ["INVITE ", uri, " SIP/2.0\r\nTo: <sip:gw.example.net>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"] {
            self.frame.extend_from_slice(part.as_bytes());
        }
        let length = (self.frame.len() - 14) as u16;
        self.frame[SOURCE + 2] = caller as u8;
        self.frame[IP_LENGTH..][..2].copy_from_slice(&length.to_be_bytes());
        self.frame[UDP_LENGTH..][..2].copy_from_slice(&(length - 20).to_be_bytes());
        self.engine.judge(&self.frame, Side::Lan, 0, 1)
    }
}
