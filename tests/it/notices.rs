//! What is new at the site reaches a real receiver: the first call to a country, a call of a trunk that would leave the country,
//! an account in a network where it never was.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use gateway_tests::network::{self, Network, SIP_PORT};
use serde_json::Value;

use crate::site::{BRITISH, FORBIDDEN, PATIENCE, Site, send, until, uri};

/// What the program that gets the notices was given.
fn told(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out).unwrap_or_default();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.flat_map(|message| message["notices"].as_array().unwrap().clone()).collect()
}

/// The texts of one kind.
fn of(out: &Path, kind: &str) -> Vec<String> {
    let all = told(out);
    all.iter().filter(|it| it["kind"] == kind).map(|it| it["text"].as_str().unwrap().to_owned()).collect()
}

/// REGISTER with credentials from outside, and the answer of the PBX.
fn registers(site: &Site, call: u32, status: &str) {
    let phone = network::udp(&site.network.flooder, (Network::FLOODER, SIP_PORT)).unwrap();
    let pbx = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    pbx.set_read_timeout(Some(PATIENCE)).unwrap();
    let from = Network::FLOODER;
    let head = format!(
        "Via: SIP/2.0/UDP {from}:{SIP_PORT};branch=z9hG4bK-{call}\r\nFrom: <sip:203@{from}>;tag={call}\r\n\
         To: <sip:203@{from}>TAG\r\nCall-ID: register-{call}\r\nCSeq: 1 REGISTER\r\n"
    );
    let request = format!(
        "REGISTER sip:{} SIP/2.0\r\n{}Authorization: Digest username=\"203\", realm=\"pbx\", nonce=\"n\", response=\"0\"\r\n\
         Content-Length: 0\r\n\r\n",
        Network::PBX,
        head.replace("TAG", "")
    );
    phone.send_to(request.as_bytes(), Network::pbx_sip()).unwrap();
    let mut buffer = [0; 2048];
    let (_, sender): (usize, SocketAddr) = pbx.recv_from(&mut buffer).unwrap();
    let tag = if status.starts_with('2') { "" } else { ";tag=pbx" };
    let answer = format!("SIP/2.0 {status}\r\n{}Content-Length: 0\r\n\r\n", head.replace("TAG", tag));
    pbx.send_to(answer.as_bytes(), sender).unwrap();
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    phone.recv_from(&mut buffer).unwrap();
}

#[test]
fn what_is_new_at_the_site_is_told_once_and_not_again_after_a_restart() {
    let Some(site) = Site::new("notices::what_is_new_at_the_site_is_told_once_and_not_again_after_a_restart") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("notices");
    let script = format!("cat >> {0}; echo >> {0}", out.display());
    let rules = format!(
        "[trunk.itsp]\nsources = [\"{}/32\"]\n[notify]\ncommand = {}\n",
        Network::CALLER,
        serde_json::to_string(&["/bin/sh", "-c", &script]).unwrap()
    );
    site.policy("enforce", &rules);
    // What was there at the installation has been learned.
    let state = site.tollgate.state_dir();
    fs::create_dir_all(&state).unwrap();
    let kept = r#"{"version":1,"since":"2026-01-01T00:00:00Z","learned":true,"countries":{},"accounts":{},"regular":{},"inbound":{}}"#;
    fs::write(state.join("told-news.json"), kept).unwrap();
    let daemon = site.start();

    let telephone = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    send(&telephone, (Network::CALLER, SIP_PORT).into(), &uri(BRITISH), 3);
    drop(telephone);
    let trunk = network::udp(&site.network.caller, (Network::CALLER, SIP_PORT)).unwrap();
    send(&trunk, Network::pbx_sip(), &uri(FORBIDDEN), 2);
    drop(trunk);
    until("the country and the trunk are told", || {
        of(&out, "new-country").len() == 1 && of(&out, "trunk-abroad").len() == 1
    });
    let country = &of(&out, "new-country")[0];
    assert!(country.contains("the first call ever of this site to United Kingdom (GB)"), "{country}");
    assert!(country.contains(&format!("by {}", Network::PBX)) && country.contains("`tollgate block GB`"), "{country}");
    let inbound = &of(&out, "trunk-abroad")[0];
    assert!(inbound.contains(&format!("{} to Sierra Leone (SL)", Network::CALLER)), "{inbound}");

    registers(&site, 1, "403 Forbidden");
    registers(&site, 2, "200 OK");
    until("the account is told", || of(&out, "new-network").len() == 1);
    let network = &of(&out, "new-network")[0];
    assert!(network.contains("it never registered from outside before") && network.contains("/24"), "{network}");
    let account = network.split_whitespace().find(|word| word.starts_with('#')).unwrap();
    let listed = site.json(&["report", "--exposure", "--json"]);
    assert_eq!(listed["registered"][0]["account"], account, "{listed}");
    assert!(!fs::read_to_string(&out).unwrap().contains("447183"), "no number is told");

    drop(daemon);
    let _daemon = site.start();
    let telephone = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    send(&telephone, (Network::CALLER, SIP_PORT).into(), &uri(BRITISH), 1);
    drop(telephone);
    registers(&site, 3, "200 OK");
    site.json(&["block", "LV", "--json"]);
    until("what comes after it is told", || of(&out, "order").len() == 1);
    site.json(&["detach", "--json"]);
    until("the end is told", || of(&out, "detach").len() == 1);
    for kind in ["new-country", "trunk-abroad", "new-network"] {
        assert_eq!(of(&out, kind).len(), 1, "{kind} is told once");
    }
}

/// A limit that asks at every hour.
const ASKS: &str = "[profile.default]\nlimits = [\"abroad\"]\n[limit.abroad]\nkey = \"line\"\nclass = \"international\"\n\
                    windows = [\"2/1h\"]\nsite_windows = [\"20/1h\"]\nover = \"suspend\"\nsuspend = \"1h\"\nask = \"15m\"\n\
                    ask_schedule = \"always\"\n[schedule.always]\nhours = \"00:00-24:00\"\n";

#[test]
fn a_limit_asks_before_it_suspends_and_an_answer_stops_the_line() {
    let Some(site) = Site::new("notices::a_limit_asks_before_it_suspends_and_an_answer_stops_the_line") else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("notices");
    let script = format!("cat >> {0}; echo >> {0}", out.display());
    let command = serde_json::to_string(&["/bin/sh", "-c", &script]).unwrap();
    site.policy("enforce", &format!("{ASKS}[notify]\ncommand = {command}\n"));
    let daemon = site.start();
    let telephone = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    let call = |line: u32, number: u32| {
        let invite = format!(
            "INVITE sip:{BRITISH}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:{SIP_PORT};branch=z9hG4bK-{number}\r\n\
             From: <sip:{line}@{from}>;tag={number}\r\nTo: <sip:{BRITISH}@{to}>\r\nCall-ID: {number}@{from}\r\n\
             CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
            to = Network::CALLER,
            from = Network::PBX,
        );
        telephone.send_to(invite.as_bytes(), (Network::CALLER, SIP_PORT)).unwrap();
    };
    (0..4).for_each(|number| call(203, number));
    until("the owner is asked", || of(&out, "asked").len() == 1);
    let question = &of(&out, "asked")[0];
    assert!(question.contains("question 1: international calls of the line line:#"), "{question}");
    assert!(question.contains("2 calls, the last to United Kingdom (GB), are too many"), "{question}");
    assert_eq!(site.counters()["dropped"], 0, "nothing is stopped yet");
    let status = site.json(&["status", "--json"]);
    assert_eq!((&status["questions"][0]["question"], &status["questions"][0]["country"]), (&1.into(), &"GB".into()));

    // The question survives a crash of the daemon.
    drop(daemon);
    let _daemon = site.start();
    assert_eq!(site.json(&["status", "--json"])["questions"][0]["question"], 1);
    let (code, refused) = site.refusal(&["answer", "7", "keep"]);
    assert!(code == Some(1) && refused.contains("question 7 does not wait"), "{code:?} {refused}");
    let done = site.json(&["answer", "1", "stop", "--json"]);
    assert!(done["done"].as_str().unwrap().contains("`tollgate resume line:#"), "{done}");
    call(203, 10);
    until("the line is stopped", || site.reason("suspended") == 1);
    assert_eq!(site.counters()["dropped"], 1);
    call(204, 11);
    until("the answer is told", || of(&out, "answered").len() == 1);
    assert_eq!(site.counters()["dropped"], 1, "another line is not");
}

/// One call of a telephone inside: to `number`, answered at once, hung up after `talk`; every message passes the gateway.
fn answered_call(telephone: &UdpSocket, outside: &UdpSocket, id: u32, number: &str, talk: Duration) {
    let (from, to) = (Network::PBX, Network::CALLER);
    let message = |start: &str, method: &str, tag: &str, contact: &str| {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP {from}:{SIP_PORT};branch=z9hG4bK{id}{method}\r\nFrom: <sip:203@{from}>;tag=a{id}\r\n\
             To: <sip:{number}@{to}>{tag}\r\nCall-ID: machine-{id}@{from}\r\nCSeq: 1 {method}\r\nContact: <sip:{contact}>\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    let mut buffer = [0; 2048];
    for (method, tag) in [("INVITE", ""), ("BYE", ";tag=b")] {
        let request = format!("{method} sip:{number}@{to} SIP/2.0");
        telephone.send_to(message(&request, method, tag, &format!("203@{from}")).as_bytes(), (to, SIP_PORT)).unwrap();
        outside.recv_from(&mut buffer).unwrap();
        let answer = message("SIP/2.0 200 OK", method, ";tag=b", &format!("them@{to}"));
        outside.send_to(answer.as_bytes(), (from, SIP_PORT)).unwrap();
        telephone.recv_from(&mut buffer).unwrap();
        if method == "INVITE" {
            sleep(talk);
        }
    }
}

#[test]
fn calls_that_a_machine_places_are_told_once_with_what_to_do() {
    let Some(site) = Site::new("notices::calls_that_a_machine_places_are_told_once_with_what_to_do") else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("notices");
    let script = format!("cat >> {0}; echo >> {0}", out.display());
    let command = serde_json::to_string(&["/bin/sh", "-c", &script]).unwrap();
    site.policy("enforce", &format!("[notify]\ncommand = {command}\n"));
    let daemon = site.start();
    let telephone = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    let outside = network::udp(&site.network.caller, (Network::CALLER, SIP_PORT)).unwrap();
    for socket in [&telephone, &outside] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    // What counts is the kernel's clock, which no test can set: eight calls in a little more than a minute are the fewest and
    // fastest that are told.
    let (begun, apart) = (Instant::now(), Duration::from_secs(9));
    for id in 0..8 {
        sleep((begun + apart * id).saturating_duration_since(Instant::now()));
        answered_call(&telephone, &outside, id, &format!("01044207183875{}", id % 3), Duration::from_millis(300));
    }
    // The daemon looks once a minute, and when it starts.
    drop(daemon);
    let daemon = site.start();
    until("the machine is told", || of(&out, "regular-calls").len() == 1);
    let told = &of(&out, "regular-calls")[0];
    for needle in [
        format!("the line #{:016x} at {}", gateway_common::limit::line_digest(b"203"), Network::PBX),
        "calls abroad like a machine: 8 calls in the last hour take 0.".to_owned(),
        "to 3 numbers, most in United Kingdom (GB)".to_owned(),
        format!("`tollgate block international --source {}`", Network::PBX),
    ] {
        assert!(told.contains(&needle), "{needle}: {told}");
    }
    assert_eq!(site.counters()["dropped"], 0, "what may be honest is stopped by nothing");
    assert!(!fs::read_to_string(&out).unwrap().contains("4420718"), "no number is told");

    drop(daemon);
    let _daemon = site.start();
    site.json(&["block", "LV", "--json"]);
    until("what comes after it is told", || of(&out, "order").len() == 1);
    site.json(&["detach", "--json"]);
    until("the end is told", || of(&out, "detach").len() == 1);
    assert_eq!(of(&out, "regular-calls").len(), 1, "and not again after a restart");
}
