//! Namespaces carry packets, and leave nothing behind.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use gateway_tests::{
    bpffs::PrivateBpffs,
    capability::require_namespaces,
    link,
    netns::Namespace,
    network::{Network, udp},
    offload::{self, Offload},
};

/// Set in the child that a test kills.
const CHILD: &str = "TOLLGATE_TEST_NETNS_CHILD";

/// Sends one datagram from `a` to `b` and one back.
fn ping(a: (&Namespace, IpAddr), b: (&Namespace, IpAddr)) {
    let near = udp(a.0, (a.1, 0)).unwrap();
    let far = udp(b.0, (b.1, 0)).unwrap();
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    }
    let mut buffer = [0; 16];
    near.send_to(b"there", far.local_addr().unwrap()).unwrap();
    let (length, source) = far.recv_from(&mut buffer).expect("nothing arrived");
    assert_eq!((&buffer[..length], source), (&b"there"[..], near.local_addr().unwrap()));
    far.send_to(b"back", source).unwrap();
    assert_eq!(near.recv(&mut buffer).expect("nothing came back"), 4);
}

/// Whether any process holds the namespace with this number, as far as /proc shows.
fn held(inode: u64) -> bool {
    let needle = format!("net:[{inode}]");
    std::fs::read_dir("/proc").unwrap().flatten().any(|process| {
        let links = |folder: &str| std::fs::read_dir(process.path().join(folder)).into_iter().flatten().flatten();
        links("ns")
            .chain(links("fd"))
            .any(|link| std::fs::read_link(link.path()).is_ok_and(|to| to == Path::new(&needle)))
    })
}

/// Waits for what must come, however slow the machine.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not within 30 s");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Datagrams for other hosts that came in while forwarding was off: InAddrErrors of RFC 1213.
fn unforwarded(gateway: &Namespace) -> u64 {
    let table = gateway.run(|| Ok(std::fs::read_to_string("/proc/thread-self/net/snmp")?)).unwrap();
    let mut ip = table.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = (ip.next().unwrap(), ip.next().unwrap());
    names.split(' ').zip(values.split(' ')).find(|&(name, _)| name == "InAddrErrors").unwrap().1.parse().unwrap()
}

#[test]
fn packets_cross_the_network_in_both_families() {
    if !require_namespaces("netns::packets_cross_the_network_in_both_families") {
        return;
    }
    let network = Network::new().unwrap();
    ping((&network.caller, Network::CALLER.into()), (&network.pbx, Network::PBX.into()));
    ping((&network.flooder, Network::FLOODER.into()), (&network.pbx, Network::PBX.into()));
    ping((&network.caller, Network::CALLER.into()), (&network.flooder, Network::FLOODER.into()));
    if network.ipv6 {
        ping((&network.caller, Network::CALLER_V6.into()), (&network.pbx, Network::PBX_V6.into()));
        ping((&network.flooder, Network::FLOODER_V6.into()), (&network.pbx, Network::PBX_V6.into()));
    }
}

#[test]
fn nothing_crosses_a_gateway_that_does_not_forward() {
    if !require_namespaces("netns::nothing_crosses_a_gateway_that_does_not_forward") {
        return;
    }
    let network = Network::new().unwrap();
    network.gateway.sysctl("net/ipv4/ip_forward", "0").unwrap();
    let near = udp(&network.caller, (Network::CALLER, 0)).unwrap();
    let far = udp(&network.pbx, (Network::PBX, 0)).unwrap();
    near.send_to(b"lost", far.local_addr().unwrap()).unwrap();
    eventually("the gateway counts a datagram that it does not forward", || unforwarded(&network.gateway) == 1);
    network.gateway.sysctl("net/ipv4/ip_forward", "1").unwrap();
    near.send_to(b"second", far.local_addr().unwrap()).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut buffer = [0; 16];
    let length = far.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"second");
}

#[test]
fn a_command_runs_inside_the_namespace_and_dies_with_its_parent() {
    if !require_namespaces("netns::a_command_runs_inside_the_namespace_and_dies_with_its_parent") {
        return;
    }
    let namespace = Namespace::new().unwrap();
    let output = namespace.command("readlink").arg("/proc/self/ns/net").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("net:[{}]", namespace.inode().unwrap()));
    // The parent, for the kernel, is the thread that started the child.
    let mut child =
        thread::scope(|scope| scope.spawn(|| namespace.command("sleep").arg("600").spawn().unwrap()).join().unwrap());
    eventually("the child is killed when its thread ends", || child.try_wait().unwrap().is_some());
}

#[test]
fn interfaces_end_with_the_namespace() {
    if !require_namespaces("netns::interfaces_end_with_the_namespace") {
        return;
    }
    let network = Network::new().unwrap();
    assert!(link::index(&network.gateway, Network::WAN_CALLER).is_ok());
    assert!(link::index(&network.gateway, "wan9").is_err());
    let inode = network.caller.inode().unwrap();
    assert!(held(inode));
    let Network { caller, gateway, .. } = network;
    drop(caller);
    // Not at once: a child that another test starts holds a copy of every descriptor until it runs its program.
    eventually("nobody holds the namespace", || !held(inode));
    // The kernel takes namespaces apart in the background; the end of the pair that lies in the gateway goes with the caller.
    eventually("the gateway's end of the pair goes", || link::index(&gateway, Network::WAN_CALLER).is_err());
}

#[test]
fn pins_are_seen_only_inside() {
    if !require_namespaces("netns::pins_are_seen_only_inside") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let bpffs = PrivateBpffs::new(&dir.path().join("bpf")).unwrap();
    bpffs.run(|| Ok(std::fs::create_dir(bpffs.path().join("pins"))?)).unwrap();
    assert!(bpffs.run(|| Ok(bpffs.path().join("pins").exists())).unwrap());
    assert!(!bpffs.path().join("pins").exists());
    let mut command = Command::new("stat");
    command.args(["--file-system", "--format=%T"]).arg(bpffs.path());
    bpffs.enter_on_exec(&mut command);
    assert_eq!(String::from_utf8_lossy(&command.output().unwrap().stdout).trim(), "bpf_fs");
    // The directory can be removed while the bpffs is mounted on it elsewhere.
    dir.close().unwrap();
}

#[test]
fn nothing_is_left_after_sigkill() {
    const NAME: &str = "netns::nothing_is_left_after_sigkill";
    if std::env::var_os(CHILD).is_some() {
        let network = Network::new().unwrap();
        let mut sleeper = network.gateway.command("sleep").arg("600").spawn().unwrap();
        println!("\n{CHILD} {} {}", network.caller.inode().unwrap(), network.gateway.inode().unwrap());
        std::io::stdout().flush().unwrap();
        // Until the test kills this process.
        let _ = std::io::stdin().read(&mut [0]);
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        return;
    }
    if !require_namespaces(NAME) {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let inodes: Vec<u64> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix(CHILD)?.split_whitespace().map(|n| n.parse().unwrap()).collect()))
        .expect("the child said nothing");
    assert_eq!(inodes.len(), 2);
    assert!(inodes.iter().all(|&inode| held(inode)));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("namespaces and children end with the process", || !inodes.iter().any(|&inode| held(inode)));
}

#[test]
fn a_socket_belongs_to_the_namespace_that_opened_it() {
    if !require_namespaces("netns::a_socket_belongs_to_the_namespace_that_opened_it") {
        return;
    }
    let network = Network::new().unwrap();
    let address = SocketAddr::from((Network::PBX, 5060));
    assert!(udp(&network.caller, address).is_err(), "the caller has not the PBX's address");
    let socket = udp(&network.pbx, address).unwrap();
    assert!(udp(&network.pbx, address).is_err(), "the address is taken");
    drop(socket);
    assert!(udp(&network.pbx, address).is_ok());
}

#[test]
fn offloads_are_switched_and_read() {
    if !require_namespaces("netns::offloads_are_switched_and_read") {
        return;
    }
    let network = Network::new().unwrap();
    let interface = Network::LAN;
    for offload in [Offload::TransmitChecksum, Offload::Segmentation, Offload::Gro] {
        for on in [false, true, false] {
            offload::set(&network.gateway, interface, offload, on).unwrap();
            assert_eq!(offload::is_on(&network.gateway, interface, offload).unwrap(), on, "{offload:?}");
        }
    }
    assert!(offload::set(&network.gateway, "wan9", Offload::Gro, true).is_err());
    assert!(offload::set(&network.gateway, "a name that is far too long", Offload::Gro, true).is_err());
}
