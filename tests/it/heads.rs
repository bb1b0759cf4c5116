//! Who looks for the dial plan, with the filter in the kernel: one number behind one code after the other, and a PBX that knows
//! none of them. Who acknowledges what it is told is banned; who may be forged is told of.

use std::{net::UdpSocket, time::Duration};

use gateway_tests::{
    network::{self, Network, SIP_PORT},
    sip::Message,
};
use serde_json::Value;

use crate::site::{PATIENCE, Site, until};

/// Codes that scanners try, one more than the limit lets go.
const CODES: [&str; 7] = ["00", "900", "9011", "000", "+", "0900", "810"];
const NUMBER: &str = "972592277524";
const POLICY: &str = "[profile.default]\nlimits = [\"plan\"]\n[limit.plan]\nkey = \"source\"\nheads = \"6/10m\"\nover = \"ban\"\nban = \"1h\"\n";

/// A source outside, and the PBX that answers it.
struct Scan<'s> {
    site: &'s Site,
    outside: UdpSocket,
    pbx: UdpSocket,
}

impl<'s> Scan<'s> {
    fn new(site: &'s Site) -> Self {
        let outside = network::udp(&site.network.caller, (Network::CALLER, SIP_PORT)).unwrap();
        let pbx = network::udp(&site.network.pbx, Network::pbx_sip()).unwrap();
        outside.set_read_timeout(Some(PATIENCE)).unwrap();
        pbx.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Self { site, outside, pbx }
    }

    fn request(method: &str, call: &str, number: &str, to_tag: &str) -> String {
        let from = Network::CALLER;
        format!(
            "{method} sip:{number}@{} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:{SIP_PORT};branch=z9hG4bK-{call}\r\n\
             From: <sip:100@{from}>;tag=f{call}\r\nTo: <sip:{number}@{from}>{to_tag}\r\nCall-ID: {call}@{from}\r\nCSeq: 1 {method}\r\n\
             Content-Length: 0\r\n\r\n",
            Network::PBX
        )
    }

    /// Tries a number; what the PBX got, if it got it.
    fn tries(&self, call: &str, number: &str) -> Option<Message> {
        self.outside.send_to(Self::request("INVITE", call, number, "").as_bytes(), Network::pbx_sip()).unwrap();
        let mut octets = [0; 2048];
        let length = self.pbx.recv(&mut octets).ok()?;
        Message::parse(&octets[..length])
    }

    /// The same, and the PBX answers that there is nobody, which is acknowledged or not.
    fn is_told(&self, call: &str, number: &str, acknowledges: bool) -> bool {
        let Some(invite) = self.tries(call, number) else { return false };
        let tag = format!("pbx{call}");
        let answer = invite.answer(480, "Temporarily Unavailable", &tag, None);
        self.pbx.send_to(&answer, (Network::CALLER, SIP_PORT)).unwrap();
        self.outside.recv(&mut [0; 2048]).unwrap();
        if acknowledges {
            let ack = Self::request("ACK", call, number, &format!(";tag={tag}"));
            self.outside.send_to(ack.as_bytes(), Network::pbx_sip()).unwrap();
            self.pbx.recv(&mut [0; 2048]).unwrap();
        }
        true
    }

    fn ban(&self) -> Option<Value> {
        self.site.lines(&["list", "lines", "--json"]).into_iter().find(|row| row["kind"] == "ban")
    }

    fn over(&self) -> Value {
        self.site.json(&["status", "--json"])["over_limits"].clone()
    }
}

#[test]
fn who_tries_one_number_behind_many_codes_is_banned_once_it_shows_to_be_there() {
    let test = "heads::who_tries_one_number_behind_many_codes_is_banned_once_it_shows_to_be_there";
    let Some(site) = Site::new(test) else { return };
    site.policy("enforce", POLICY);
    let _daemon = site.start();
    let scan = Scan::new(&site);
    // Another number behind them, and the same again, count for nothing. Some of it the file refuses.
    for (place, code) in CODES.iter().take(7).enumerate() {
        scan.is_told(&format!("a{place}"), &format!("{code}{NUMBER}"), false);
        scan.is_told(&format!("b{place}"), &format!("{}442071838750", CODES[place / 2]), false);
        scan.is_told(&format!("c{place}"), &format!("{code}{NUMBER}"), false);
    }
    until("it is over its limit", || scan.over()[0]["over"] == "7 of 6 heads of one number/10m");
    let over = scan.over();
    assert_eq!((&over[0]["limit"], &over[0]["action"]), (&"plan".into(), &"ban".into()), "{over}");
    assert_eq!(over[0]["what"], format!("calls of {}", Network::CALLER), "{over}");
    assert_eq!(scan.ban(), None, "it may be forged");
    assert!(scan.tries("e", "0312345678").is_some());

    // It acknowledges an answer, and so has received it.
    assert!(scan.is_told("f", "0312345679", true));
    until("it is banned", || scan.ban().is_some());
    let ban = scan.ban().unwrap();
    assert_eq!((&ban["action"], &ban["origin"]), (&"banned".into(), &"[limit.plan]".into()), "{ban}");
    assert!(scan.tries("g", "0312345678").is_none(), "banned");
    until("it is counted", || site.reason("banned") >= 1);
    let help = scan.tries("h", "110");
    assert!(help.is_some_and(|it| it.is_invite()), "an emergency call");
    until("an event says so", || {
        let events = site.lines(&["events", "--json"]);
        events.iter().any(|it| it["reason"] == "banned")
    });

    site.json(&["resume", &Network::CALLER.to_string(), "--json"]);
    assert!(scan.tries("i", "0312345678").is_some(), "lifted");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!((scan.over(), scan.ban()), (serde_json::json!([]), None), "the count begins anew");
}
