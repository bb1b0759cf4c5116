//! Limits on minutes and numbers, with the filter in the kernel and calls that are answered: who goes over is suspended, and
//! resumed by hand.

use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

use gateway_tests::network::{self, Network, SIP_PORT};
use serde_json::Value;

use crate::site::{BRITISH, DOMESTIC, FORBIDDEN, PATIENCE, Site, until};

/// A telephone behind `lan0` and whom it calls, behind `wan0`.
struct Phones<'s> {
    site: &'s Site,
    telephone: UdpSocket,
    called: UdpSocket,
}

impl<'s> Phones<'s> {
    fn new(site: &'s Site) -> Self {
        let telephone = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
        let called = network::udp(&site.network.caller, (Network::CALLER, SIP_PORT)).unwrap();
        telephone.set_read_timeout(Some(PATIENCE)).unwrap();
        called.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        Self { site, telephone, called }
    }

    fn message(start: &str, method: &str, call: u32, line: u32, number: &str, tags: [&str; 2]) -> String {
        let (from, to) = (Network::PBX, Network::CALLER);
        format!(
            "{start}\r\nVia: SIP/2.0/UDP {from}:{SIP_PORT};branch=z9hG4bK-{method}{call}\r\nFrom: <sip:{line}@{from}>{}\r\n\
             To: <sip:{number}@{to}>{}\r\nCall-ID: {call}@{from}\r\nCSeq: 1 {method}\r\nContact: <sip:{line}@{from}>\r\n\
             Content-Length: 0\r\n\r\n",
            tags[0], tags[1]
        )
    }

    /// Whether a call of a line to a number reaches whom it is for.
    fn calls(&self, call: u32, line: u32, number: &str) -> bool {
        let start = format!("INVITE sip:{number}@{} SIP/2.0", Network::CALLER);
        let invite = Self::message(&start, "INVITE", call, line, number, [";tag=a", ""]);
        self.telephone.send_to(invite.as_bytes(), (Network::CALLER, SIP_PORT)).unwrap();
        self.called.recv(&mut [0; 2048]).is_ok()
    }

    fn answers(&self, call: u32, line: u32, number: &str, status: &str) {
        let start = format!("SIP/2.0 {status}");
        let answer = Self::message(&start, "INVITE", call, line, number, [";tag=a", ";tag=b"]);
        let answer = if status.starts_with('2') { answer } else { without_contact(&answer) };
        self.called.send_to(answer.as_bytes(), Network::pbx_sip()).unwrap();
        self.telephone.recv(&mut [0; 2048]).unwrap();
    }

    fn hangs_up(&self, call: u32, line: u32, number: &str) {
        let start = format!("BYE sip:{line}@{} SIP/2.0", Network::PBX);
        let bye = Self::message(&start, "BYE", call, line, number, [";tag=a", ";tag=b"]);
        // Whom it was made to hangs up: From and To change places.
        let bye = bye.replace("From: ", "X: ").replace("To: ", "From: ").replace("X: ", "To: ");
        self.called.send_to(bye.as_bytes(), Network::pbx_sip()).unwrap();
        self.telephone.recv(&mut [0; 2048]).unwrap();
    }

    /// What `list lines` shows of the cell whose level says this.
    fn row(&self, level: &str) -> Option<Value> {
        let rows = self.site.lines(&["list", "lines", "--json"]);
        rows.into_iter().find(|row| row["level"].as_str().is_some_and(|it| it.contains(level)))
    }

    fn suspended(&self) -> Option<Value> {
        self.site.lines(&["list", "lines", "--json"]).into_iter().find(|row| row["action"] == "suspended")
    }
}

fn without_contact(message: &str) -> String {
    message.split_inclusive("\r\n").filter(|line| !line.starts_with("Contact")).collect()
}

#[test]
fn a_line_over_its_minutes_is_suspended_while_it_talks() {
    const MINUTES: &str = "[profile.default]\nlimits = [\"talk\"]\n[limit.talk]\nkey = \"line\"\nclass = \"international\"\n\
                           minutes = \"1/1h\"\nsite_minutes = \"100/1h\"\nover = \"suspend\"\nsuspend = \"1h\"\n";
    const AT_ONCE: u32 = 10;
    let Some(site) = Site::new("tallies::a_line_over_its_minutes_is_suspended_while_it_talks") else { return };
    site.policy("enforce", MINUTES);
    let daemon = site.start();
    let phones = Phones::new(&site);
    let mut answered = Vec::new();
    for call in 0..AT_ONCE {
        assert!(phones.calls(call, 203, BRITISH), "{call}");
        phones.answers(call, 203, BRITISH, "200 OK");
        answered.push(Instant::now());
    }
    until("a minute has begun", || phones.row("1 of 1 min/1h").is_some());
    let told = site.json(&["explain", BRITISH, "--line", "203", "--json"]);
    assert_eq!(
        (&told["reason"], &told["charged"][0]["windows"]),
        (&"allowed".into(), &serde_json::json!(["1 of 1 min/1h"])),
        "{told}"
    );
    // A crash forgets no call that is up.
    drop(daemon);
    let _daemon = site.start();
    until("the line is suspended", || phones.suspended().is_some());
    // So many calls bring a minute together as soon as each has brought its part.
    let talked: Duration = answered.iter().map(Instant::elapsed).sum();
    let late = talked.saturating_sub(Duration::from_secs(60)) / AT_ONCE;
    println!("suspended and seen to be {late:?} after the minute was full");
    let row = phones.suspended().unwrap();
    assert!(row["value"].as_str().unwrap().starts_with("international calls of the line line:#"), "{row}");
    assert_eq!(row["level"], "2 of 1 min/1h", "{row}");
    assert!(!phones.calls(20, 203, BRITISH), "abroad");
    until("it is counted", || site.reason("suspended") == 1);
    assert!(phones.calls(21, 203, DOMESTIC), "within the country");
    assert!(phones.calls(22, 203, "110"), "an emergency call");
    assert!(phones.calls(23, 204, BRITISH), "another line");
    let status = site.json(&["status", "--json"]);
    let over = &status["over_limits"][0];
    assert_eq!((&over["limit"], &over["action"]), (&"talk".into(), &"suspend".into()), "{status}");
    assert!(
        over["over"].as_str().unwrap().contains("of 1 min/1h in 10 calls, the last to United Kingdom (GB)"),
        "{over}"
    );
    until("the journal knows what the limit held", || {
        let why = site.lines(&["why", "--line", "203", "--json"]);
        why.iter().any(|it| it["held"][0]["windows"][0].as_str().is_some_and(|it| it.contains("of 1 min/1h")))
    });

    for call in 0..AT_ONCE {
        phones.hangs_up(call, 203, BRITISH);
    }
    let undo = row["undo"].as_str().unwrap().strip_prefix("tollgate resume ").unwrap().to_owned();
    site.json(&["resume", &undo, "--json"]);
    assert!(phones.calls(30, 203, BRITISH), "resumed");
    phones.answers(30, 203, BRITISH, "200 OK");
    until("it counts anew", || phones.row("1 of 1 min/1h").is_some());
    assert_eq!(phones.suspended(), None);
}

#[test]
fn too_many_numbers_or_one_too_often_suspend_the_source() {
    const LIMITS: &str = "[profile.default]\nlimits = [\"numbers\"]\n[limit.numbers]\nkey = \"source\"\nclass = \"international\"\n\
                          distinct = \"2/1h\"\nsame = \"3/1h\"\nover = \"suspend\"\nsuspend = \"1h\"\n";
    let Some(site) = Site::new("tallies::too_many_numbers_or_one_too_often_suspend_the_source") else { return };
    site.policy("enforce", LIMITS);
    let _daemon = site.start();
    let phones = Phones::new(&site);
    // Redials of a busy number are one call, however the number is written.
    for (call, number) in (0..).zip([BRITISH, BRITISH, BRITISH, BRITISH]) {
        assert!(phones.calls(call, 203, number), "{call}");
        phones.answers(call, 203, number, "486 Busy Here");
        // What one line dials within a tick of the kernel's clock is no redial.
        std::thread::sleep(Duration::from_millis(50));
    }
    until("it counts once", || phones.row("1 of 2 numbers/1h, 1 of 3 calls to one number/1h").is_some());
    // The last failure is good for one more redial.
    for (call, number) in (10..).zip([BRITISH, "+442071838750", BRITISH]) {
        assert!(phones.calls(call, 203, number), "{call}");
        std::thread::sleep(Duration::from_millis(50));
    }
    until("a number counts however it is written", || {
        phones.row("1 of 2 numbers/1h, 3 of 3 calls to one number/1h").is_some()
    });
    assert_eq!(phones.suspended(), None);
    assert!(phones.calls(20, 203, BRITISH));
    until("the source is suspended for the number", || phones.suspended().is_some());
    assert!(!phones.calls(21, 203, FORBIDDEN), "abroad");
    assert!(phones.calls(22, 203, DOMESTIC), "within the country");
    let undo =
        phones.suspended().unwrap()["undo"].as_str().unwrap().strip_prefix("tollgate resume ").unwrap().to_owned();
    site.json(&["resume", &undo, "--json"]);
    for (call, number) in (30..).zip([BRITISH, FORBIDDEN, "010442071838751"]) {
        assert!(phones.calls(call, 203, number), "{call}");
    }
    until("the source is suspended for the numbers", || {
        phones.suspended().is_some_and(|row| row["level"].as_str().unwrap().starts_with("3 of 2 numbers/1h"))
    });
    assert!(!phones.calls(40, 203, BRITISH), "abroad");
}
