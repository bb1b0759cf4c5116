//! What a machine that boots another kernel runs: the filter loads, decides as the host does, attaches, and is replaced.
//!
//! It needs nothing but the kernel and veth. What the kernel's verifier counted is printed as `VERIFIED: PROGRAM COUNT`.
//! With the argument `count` it prints instructions a packet instead, as `EXECUTED: COUNT ROW`; the machine's clock must
//! count them.

use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Result, ensure};
use gateway_common::{Verdict, judge::Side};
use gateway_tests::{
    bench,
    differential::{Pair, busy_policy, monitor_policy, run},
    link::{self, End},
    netns::Namespace,
    packet::Frame,
};
use gateway_user::{
    config::{self, Interface, Role},
    daemon::Gateway,
    kernel::Kernel,
};

/// Frames of each policy; the machine is emulated, and every frame is judged twice.
const FRAMES: usize = 3_000;
const SIP: u16 = 5060;

fn main() -> ExitCode {
    let counts = std::env::args().nth(1).is_some_and(|argument| argument == "count");
    match if counts { count() } else { test() } {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn count() -> Result<()> {
    for (row, instructions) in bench::count::count()? {
        println!("EXECUTED: {instructions} {row}");
    }
    Ok(())
}

fn test() -> Result<()> {
    let mut example = Pair::new(&config::built_in()?)?;
    for (program, instructions) in example.verified() {
        println!("VERIFIED: {program} {instructions}");
    }
    known(&mut example)?;
    for (seed, config) in [busy_policy()?, monitor_policy()?].iter().enumerate() {
        let mut pair = Pair::new(config)?;
        run(&mut pair, 100 + seed as u64, FRAMES, &[])?;
        println!("policy {seed}: {FRAMES} frames judged alike, {} different decisions", pair.seen.len());
    }
    attached()
}

/// Calls over a real interface: a blocked one never arrives, through a reload and the daemon's absence and return.
fn attached() -> Result<()> {
    let (inside, outside) = (Namespace::new()?, Namespace::new()?);
    let address = |host| [(IpAddr::from([192, 0, 2, host]), 24)];
    let (near, far) = (address(1), address(66));
    let mac = |end| [2, 0, 0, 0, 0, end];
    link::veth(
        End { namespace: &inside, name: "wan0", mac: mac(1), addresses: &near },
        End { namespace: &outside, name: "far0", mac: mac(2), addresses: &far },
    )?;
    let mut config = config::built_in()?;
    config.interfaces = vec![Interface { name: "wan0".into(), role: Role::Wan }];
    let pins = Path::new("/sys/fs/bpf/tollgate");
    let arrived = inside.run(|| {
        let pbx = UdpSocket::bind((Ipv4Addr::new(192, 0, 2, 1), SIP))?;
        pbx.set_read_timeout(Some(Duration::from_millis(500)))?;
        let (mut kernel, _) = Kernel::start(pins, &config, &[])?;
        call(&outside)?;
        kernel.apply(&config, &[])?;
        call(&outside)?;
        drop(kernel);
        call(&outside)?;
        let (mut kernel, _) = Kernel::start(pins, &config, &[])?;
        call(&outside)?;
        let dropped: u64 =
            kernel.counters()?.cells.iter().filter(|cell| cell.1 == Verdict::Drop).map(|cell| cell.2).sum();
        ensure!(dropped == 4, "{dropped} calls were dropped, not 4");
        kernel.detach()?;
        let mut octets = [0; 1500];
        let mut arrived = Vec::new();
        while let Ok(len) = pbx.recv(&mut octets) {
            arrived.push(String::from_utf8_lossy(octets.get(..len).unwrap_or(&[])).into_owned());
        }
        Ok(arrived)
    })?;
    let blocked = arrived.iter().filter(|message| message.contains("23276123456")).count();
    ensure!(blocked == 0 && arrived.len() == 4, "{} calls arrived, {blocked} of them blocked ones", arrived.len());
    println!("attached: 4 blocked calls dropped and 4 good ones passed, over a reload and a restart");
    Ok(())
}

/// A blocked call, and a good one behind it.
fn call(outside: &Namespace) -> Result<()> {
    outside.run(|| {
        let socket = UdpSocket::bind((Ipv4Addr::new(192, 0, 2, 66), SIP))?;
        for user in ["+23276123456", "0312345678"] {
            let message = format!("INVITE sip:{user}@192.0.2.1 SIP/2.0\r\nTo: <sip:{user}@192.0.2.1>\r\n\r\n");
            socket.send_to(message.as_bytes(), (Ipv4Addr::new(192, 0, 2, 1), SIP))?;
        }
        Ok(())
    })
}

/// Verdicts that do not rest on the host's: a call to a blocked country ends, a national one goes on.
fn known(pair: &mut Pair) -> Result<()> {
    for (user, wanted) in [("010232761234567", Verdict::Drop), ("0312345678", Verdict::Pass), ("110", Verdict::Pass)] {
        let message =
            format!("INVITE sip:{user}@192.0.2.1 SIP/2.0\r\nTo: <sip:{user}@192.0.2.1>\r\nCall-ID: 1\r\n\r\n");
        let source = (Ipv4Addr::new(192, 0, 2, 66), SIP);
        let frame = Frame::udp(source, (Ipv4Addr::new(192, 0, 2, 1), SIP), message).build()?;
        let judged = pair.check(&user, &frame, Side::Wan, 0, 1)?;
        ensure!(judged.verdict() == wanted, "{user}: {}, not {}", judged.verdict().as_str(), wanted.as_str());
    }
    println!("a call to Sierra Leone ends, a national and an emergency call go on");
    Ok(())
}
