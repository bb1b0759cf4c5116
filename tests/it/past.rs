//! The journal under real traffic: what the kernel stopped is kept with its rule, over the end of the daemon.

use std::{fs, io::Write, time::Instant};

use gateway_tests::{
    network::{self, Network, SIP_PORT},
    sip::flood::Flood,
};
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

use crate::site::{BRITISH, FORBIDDEN, PATIENCE, Site, caller, send, until, uri};

/// The caller is a trunk, so its events are not sampled.
const RULES: &str = "[trunk.itsp]\nsources = [\"192.0.2.0/24\"]\n";

/// How many packets the journal says an order has stopped.
fn kept(site: &Site, order: u64) -> u64 {
    let found = site.lines(&["why", "--json"]);
    found.iter().filter(|line| line["order"] == order).map(|line| line["count"].as_u64().unwrap()).sum()
}

#[test]
fn what_the_kernel_stopped_is_kept_whole_over_a_crash() {
    let Some(site) = Site::new("past::what_the_kernel_stopped_is_kept_whole_over_a_crash") else { return };
    let rules = RULES.replace("192.0.2.0/24", &format!("{}/32", Network::CALLER));
    site.policy("enforce", &rules);
    let daemon = site.start();
    let order = site.json(&["block", "SL", "--json"])["order"].as_u64().unwrap();
    let socket = caller(&site, SIP_PORT);
    send(&socket, Network::pbx_sip(), &uri(FORBIDDEN), 500);
    send(&socket, Network::pbx_sip(), &uri(BRITISH), 3);
    until("all are kept", || kept(&site, order) == 500);

    let last = &site.lines(&["why", "--number", FORBIDDEN, "--last", "--json"])[0];
    let text = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (text("verdict"), text("who"), text("number")),
        ("drop".into(), "trunk".into(), "+232 76•••••••".into())
    );
    assert_eq!(text("rule"), format!("order {order}: block SL (site)"));
    assert_eq!(text("undo"), format!("tollgate undo {order}"));
    let hash = site.json(&["status", "--json"])["policy"]["hash"].as_str().unwrap().to_owned();
    assert!(!text("policy").is_empty() && hash.starts_with(&text("policy")), "{last}");

    // The order changes in the middle: each packet is told with the rule that decided it.
    site.json(&["undo", &order.to_string(), "--json"]);
    let second = site.json(&["block", "+232", "--json"])["order"].as_u64().unwrap();
    send(&socket, Network::pbx_sip(), &uri(FORBIDDEN), 20);
    until("the new order is named", || kept(&site, second) == 20);
    assert_eq!(kept(&site, order), 500);

    kill_process(Pid::from_raw(daemon.pid() as i32).unwrap(), Signal::KILL).unwrap();
    drop(daemon);
    let _daemon = site.start();
    assert_eq!((kept(&site, order), kept(&site, second)), (500, 20));
    let changes = site.json(&["report", "--json"])["changes"].as_array().unwrap().clone();
    let starts: Vec<&Value> = changes.iter().filter(|change| change["change"] == "start").collect();
    assert_eq!(starts.len(), 2);
    assert!(starts[1]["done"].as_str().unwrap().contains("without a word"), "{starts:?}");
}

/// A telephone behind `lan0` calls abroad until its limit suspends it.
#[test]
fn a_line_that_is_suspended_is_found_by_its_name_with_what_its_limit_held() {
    const LIMITED: &str = "[profile.default]\nlimits = [\"abroad\"]\n[limit.abroad]\nkey = \"line\"\nclass = \"international\"\n\
                           windows = [\"3/60s\"]\nsite_windows = [\"20/1h\"]\nover = \"suspend\"\nsuspend = \"1h\"\n";
    let Some(site) = Site::new("past::a_line_that_is_suspended_is_found_by_its_name_with_what_its_limit_held") else {
        return;
    };
    site.policy("enforce", LIMITED);
    let _daemon = site.start();
    let telephone = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    let call = |number: u32| {
        let invite = format!(
            "INVITE sip:{BRITISH}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from}:{SIP_PORT};branch=z9hG4bK-{number}\r\n\
             From: <sip:203@{from}>;tag={number}\r\nTo: <sip:{BRITISH}@{to}>\r\nCall-ID: {number}@{from}\r\n\
             CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
            to = Network::CALLER,
            from = Network::PBX,
        );
        telephone.send_to(invite.as_bytes(), (Network::CALLER, SIP_PORT)).unwrap();
    };
    (0..5).for_each(call);
    let why = |verdict: &str| -> Vec<Value> {
        let found = site.lines(&["why", "--line", "203", "--json"]);
        found
            .into_iter()
            .filter(|line| line["verdict"] != "pass" && verdict != "pass" || line["verdict"] == verdict)
            .collect()
    };
    until("the calls that passed and those that did not are kept", || {
        let count = |verdict| why(verdict).iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>();
        (count("pass"), count("stopped")) == (3, 2)
    });
    let refused = &why("stopped")[0];
    let held = &refused["held"][0];
    assert_eq!(
        (&held["limit"], &held["windows"]),
        (&"[limit.abroad]".into(), &serde_json::json!(["3 of 3/1m"])),
        "{refused}"
    );
    assert!(held["until"].is_string(), "{refused}");
    assert_eq!(site.lines(&["why", "--line", "204", "--json"]), [] as [Value; 0]);

    let explained = |line: &str| site.json(&["explain", BRITISH, "--line", line, "--json"]);
    let told = explained("203");
    assert_eq!((&told["verdict"], &told["reason"]), (&"drop".into(), &"suspended".into()), "{told}");
    assert_eq!(explained("204")["reason"], "allowed");

    // The command that it names lets the next call through.
    let undo = refused["undo"].as_str().unwrap().strip_prefix("tollgate resume ").unwrap().to_owned();
    assert_eq!(explained("203")["charged"][0]["resume"], Value::from(undo.as_str()));
    site.json(&["resume", &undo, "--json"]);
    assert_eq!(explained("203")["reason"], "allowed");
    call(9);
    until("it passes", || why("pass").iter().map(|line| line["count"].as_u64().unwrap()).sum::<u64>() == 4);
    assert_eq!(why("stopped")[0]["undo"], Value::Null, "nothing is left to undo");
}

/// A telephone outside registers; the machine is as after a reboot when the filter is taken off and put on again.
#[test]
fn who_registers_from_outside_is_told_and_known_again_behind_a_new_filter() {
    let Some(site) = Site::new("past::who_registers_from_outside_is_told_and_known_again_behind_a_new_filter") else {
        return;
    };
    site.policy("enforce", "");
    let daemon = site.start();
    let outside = caller(&site, SIP_PORT);
    let pbx = network::udp(&site.network.pbx, (Network::PBX, SIP_PORT)).unwrap();
    let exposure = || site.json(&["report", "--exposure", "--json"]);
    assert_eq!((&exposure()["hosts"], &exposure()["registered"]), (&serde_json::json!([]), &serde_json::json!([])));

    let headers = format!(
        "Via: SIP/2.0/UDP {from};branch=z9hG4bK-1\r\nFrom: <sip:203@{to}>;tag=1\r\nCall-ID: 1@{from}\r\nCSeq: 2 REGISTER\r\n",
        from = Network::CALLER,
        to = Network::PBX,
    );
    let to = Network::PBX;
    let register = format!(
        "REGISTER sip:{to} SIP/2.0\r\n{headers}To: <sip:203@{to}>\r\nAuthorization: Digest username=\"203\", \
         realm=\"pbx\", nonce=\"n\", uri=\"sip:{to}\", response=\"00\"\r\nContent-Length: 0\r\n\r\n"
    );
    let taken = format!("SIP/2.0 200 OK\r\n{headers}To: <sip:203@{to}>;tag=2\r\nContent-Length: 0\r\n\r\n");
    outside.send_to(register.as_bytes(), Network::pbx_sip()).unwrap();
    let mut buffer = [0; 2048];
    pbx.recv(&mut buffer).unwrap();
    assert_eq!(exposure()["registered"][0]["known_until"], Value::Null, "nobody has answered");
    assert_eq!(exposure()["hosts"], serde_json::json!([]));
    pbx.send_to(taken.as_bytes(), (Network::CALLER, SIP_PORT)).unwrap();
    outside.recv(&mut buffer).unwrap();

    let found = exposure();
    let (host, row) = (&found["hosts"][0], &found["registered"][0]);
    assert_eq!((&host["host"], &host["registrations"]), (&Network::PBX.to_string().into(), &1.into()), "{found}");
    assert_eq!(host["ports"], serde_json::json!([{"transport": "udp", "port": SIP_PORT}]), "{found}");
    assert_eq!(row["source"], Network::CALLER.to_string());
    assert!(row["known_until"].is_string() && row["account"].as_str().unwrap().starts_with('#'), "{found}");

    // Nothing of the kernel's state is left, and the telephone is known all the same.
    site.json(&["detach", "--json"]);
    drop(daemon);
    assert!(!site.pinned());
    let _daemon = site.start();
    assert_eq!(site.json(&["status", "--json"])["site"]["known"], 1);
    assert_eq!(exposure()["registered"][0]["source"], Network::CALLER.to_string());
}

/// `cargo xtask test past` prints how many a second were kept.
#[test]
fn ten_thousand_drops_a_second_are_kept_or_counted() {
    const DROPS: u64 = 20_000;
    let Some(site) = Site::new("past::ten_thousand_drops_a_second_are_kept_or_counted") else { return };
    site.policy("enforce", &RULES.replace("192.0.2.0/24", &format!("{}/32", Network::CALLER)));
    let _daemon = site.start();
    let order = site.json(&["block", "SL", "--json"])["order"].as_u64().unwrap();
    let flood = Flood { target: Network::pbx_sip(), uri: uri(FORBIDDEN), rate: 10_000, count: DROPS };
    let start = Instant::now();
    let wait = |pause| {
        std::thread::sleep(pause);
        start.elapsed() > PATIENCE
    };
    let sent = flood.send(&caller(&site, SIP_PORT), wait).unwrap().count;
    let taken = start.elapsed();
    let lost = || site.counters()["events_lost"].as_u64().unwrap();
    until("each is kept or counted as lost", || kept(&site, order) + lost() >= sent);
    println!("{sent} drops in {taken:?}: {} kept, {} lost on the way out of the kernel", kept(&site, order), lost());
    assert_eq!(kept(&site, order) + lost(), sent);
    assert_eq!(site.json(&["status", "--json"])["journal"]["lost"], 0);
}

#[test]
fn a_full_disk_is_told_and_calls_are_judged_all_the_same() {
    let Some(site) = Site::new("past::a_full_disk_is_told_and_calls_are_judged_all_the_same") else { return };
    site.policy("enforce", &RULES.replace("192.0.2.0/24", &format!("{}/32", Network::CALLER)));
    let journal = site.tollgate.state_dir().join("journal");
    // A disk of its own, full to the last octet; it goes with the daemon's mount namespace.
    let filler = journal.join("filler");
    let fill = || {
        fs::create_dir_all(&journal)?;
        mount("journal", &journal, "tmpfs", MountFlags::empty(), Some(c"size=256k"))?;
        let mut file = fs::File::create(&filler)?;
        while file.write(&[0; 4096]).is_ok_and(|count| count > 0) {}
        Ok(())
    };
    site.tollgate.bpffs().run(fill).unwrap();

    let _daemon = site.start();
    let order = site.json(&["block", "SL", "--json"])["order"].as_u64().unwrap();
    send(&caller(&site, SIP_PORT), Network::pbx_sip(), &uri(FORBIDDEN), 50);
    until("they are stopped", || site.reason("order") == 50);
    let told = || site.json(&["status", "--json"])["journal"]["error"].as_str().unwrap_or_default().contains("space");
    until("the full disk is told", told);
    assert_eq!(kept(&site, order), 0);

    site.tollgate.bpffs().run(|| Ok(fs::remove_file(&filler)?)).unwrap();
    until("what waited is written once there is room", || kept(&site, order) == 50);
    let status = &site.json(&["status", "--json"])["journal"];
    assert_eq!((&status["error"], &status["lost"]), (&Value::Null, &Value::from(0)));
}
