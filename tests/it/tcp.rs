//! SIP over TCP through the gateway: calls that complete, resets that both ends believe, connections that are refused.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use gateway_tests::{
    capability::require_program,
    link,
    netns::Namespace,
    network::{Network, SIP_PORT},
    offload::{self, Offload},
    peer::{
        Sipp,
        sipp::{Calls, Scenario, Transport},
    },
    xdp::Pass,
};

use crate::site::{BRITISH, DOMESTIC, FORBIDDEN, PATIENCE, Site, total, until, uri};

const BLOCKS: &str = "[profile.default]\nblock = [\"SL\"]\n";

/// A site whose hosts take what the gateway sends back, and the programs that let them.
fn site(test: &str) -> Option<(Site, [Pass; 3])> {
    let site = Site::new(test)?;
    let hosts = [(&site.network.caller, "caller0"), (&site.network.flooder, "flooder0"), (&site.network.pbx, "pbx0")];
    let passes = hosts.map(|(host, interface)| Pass::attach(host, interface).unwrap());
    Some((site, passes))
}

fn listen(namespace: &Namespace, address: impl Into<SocketAddr>) -> TcpListener {
    let address = address.into();
    namespace.run(|| Ok(TcpListener::bind(address)?)).unwrap()
}

/// A connection, both ends, of which no read waits for longer than [`PATIENCE`].
fn connect(from: &Namespace, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let address = listener.local_addr().unwrap();
    let client = from.run(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?)).unwrap();
    let server = listener.accept().unwrap().0;
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).unwrap();
        end.set_nodelay(true).unwrap();
    }
    (client, server)
}

fn message(method: &str, user: &str, body: &str) -> Vec<u8> {
    let uri = uri(user);
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/TCP gateway.example;branch=z9hG4bK1\r\nFrom: <sip:alice@gateway.example>;tag=1\r\n\
         To: <{uri}>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends octets and waits until the other end has them all.
fn crosses(from: &mut TcpStream, to: &mut TcpStream, octets: &[u8]) {
    let mut read = vec![0; octets.len()];
    let mut sender = from.try_clone().unwrap();
    std::thread::scope(|scope| {
        let sent = scope.spawn(move || sender.write_all(octets));
        to.read_exact(&mut read).unwrap();
        sent.join().unwrap().unwrap();
    });
    assert!(read == octets, "the octets have changed on their way");
}

/// Sends octets that must not arrive: both ends see a reset instead.
fn resets(client: &mut TcpStream, server: &mut TcpStream, octets: &[u8]) {
    client.write_all(octets).unwrap();
    for end in [server, client] {
        let read = end.read(&mut [0; 64]).map_err(|error| error.kind());
        assert_eq!(read, Err(ErrorKind::ConnectionReset), "at {:?}", end.local_addr());
    }
}

/// Good calls and a blocked one from outside, over one address family.
fn from_outside(site: &Site, pbx: IpAddr) {
    let listener = listen(&site.network.pbx, (pbx, SIP_PORT));
    let (mut client, mut server) = connect(&site.network.caller, &listener);
    let (mut other, mut others) = connect(&site.network.caller, &listener);
    let before = site.counters();

    crosses(&mut client, &mut server, &message("OPTIONS", DOMESTIC, ""));
    crosses(&mut client, &mut server, &message("INVITE", DOMESTIC, "v=0\r\n"));
    crosses(&mut server, &mut client, b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    crosses(&mut other, &mut others, &message("INVITE", DOMESTIC, ""));
    assert_eq!(total(&site.counters(), "rejected"), total(&before, "rejected"));
    resets(&mut client, &mut server, &message("INVITE", FORBIDDEN, "v=0\r\n"));

    // What was there before goes on, and a new connection is as good as ever.
    crosses(&mut others, &mut other, b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    crosses(&mut other, &mut others, &message("BYE", DOMESTIC, ""));
    let (mut next, mut nexts) = connect(&site.network.caller, &listener);
    crosses(&mut next, &mut nexts, &message("INVITE", DOMESTIC, ""));
    resets(&mut next, &mut nexts, &[message("OPTIONS", "301", ""), message("INVITE", FORBIDDEN, "")].concat());

    let counters = site.counters();
    // The server is told by the first, the client when it sends again.
    let rejected = total(&counters, "rejected") - total(&before, "rejected");
    assert!(rejected >= 4, "{counters}");
    assert_eq!(counters["reasons"]["blocked-country"], total(&counters, "rejected"), "{counters}");
    assert_eq!((total(&counters, "dropped"), total(&counters, "would_drop")), (0, 0), "{counters}");
}

#[test]
fn a_blocked_call_resets_its_connection_at_both_ends_and_no_other() {
    let Some((site, _passes)) = site("tcp::a_blocked_call_resets_its_connection_at_both_ends_and_no_other") else {
        return;
    };
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    from_outside(&site, Network::PBX.into());
    if site.network.ipv6 {
        from_outside(&site, Network::PBX_V6.into());
    }
}

#[test]
fn sipp_completes_calls_over_tcp_and_none_to_a_blocked_country() {
    let test = "tcp::sipp_completes_calls_over_tcp_and_none_to_a_blocked_country";
    let Some((site, _passes)) = site(test) else { return };
    let Some(sipp) = require_program(test, Sipp::find(), "apt-get install sip-tester") else { return };
    // COMMON ends in the ceiling.
    site.policy("enforce", &format!("connections = \"1000/s\"\n{BLOCKS}"));
    let _daemon = site.start();
    let mut pbx = sipp.over(Transport::Tcp).answer(&site.network.pbx, Network::pbx_sip()).unwrap();
    pbx.wait_ready().unwrap();
    let calls = |port, numbers: &[&str]| Calls {
        scenario: Scenario::GoodCall,
        from: (Network::CALLER, port).into(),
        target: Network::pbx_sip(),
        uris: numbers.iter().map(|number| uri(number)).collect(),
        count: 8,
        every: Duration::from_millis(100),
    };
    for (port, transport) in [(5070, Transport::Tcp), (5071, Transport::TcpEach)] {
        let deadline = Instant::now() + PATIENCE;
        let running = sipp.over(transport).call(&site.network.caller, &calls(port, &[DOMESTIC, "301"])).unwrap();
        let counts = running.wait(|| Instant::now() >= deadline).unwrap();
        assert_eq!((counts.begun, counts.successful, counts.failed), (8, 8, 0), "{transport:?}");
    }
    let counters = site.counters();
    assert_eq!((total(&counters, "rejected"), total(&counters, "dropped")), (0, 0), "{counters}");
    assert_eq!(counters["reasons"]["allowed"], 8, "{counters}");
    assert_eq!(counters["reasons"]["no-number"], 8, "{counters}");

    let deadline = Instant::now() + PATIENCE;
    let running = sipp.over(Transport::TcpEach).call(&site.network.caller, &calls(5072, &[FORBIDDEN])).unwrap();
    until("a call to the blocked country is reset", || site.reason("blocked-country") > 0);
    let counts = running.wait(|| Instant::now() >= deadline || site.reason("blocked-country") >= 8).ok();
    assert!(counts.is_none_or(|counts| counts.successful == 0), "{counts:?}");
    until("the PBX has counted the calls", || pbx.counts().is_ok_and(|counts| counts.begun == 16));
}

#[test]
fn a_connection_from_inside_is_cut_by_an_order_only() {
    let Some((site, _passes)) = site("tcp::a_connection_from_inside_is_cut_by_an_order_only") else { return };
    site.policy("enforce", &format!("{BLOCKS}[sip]\ntcp = \"deny\"\n"));
    let _daemon = site.start();
    let listener = listen(&site.network.caller, (Network::CALLER, SIP_PORT));
    let (mut client, mut server) = connect(&site.network.pbx, &listener);

    crosses(&mut client, &mut server, &message("INVITE", FORBIDDEN, ""));
    crosses(&mut server, &mut client, b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    let counters = site.counters();
    assert_eq!((total(&counters, "would_drop"), total(&counters, "rejected")), (1, 0), "{counters}");
    assert_eq!(counters["reasons"]["blocked-country"], 1, "{counters}");

    assert_eq!(site.json(&["block", "GB", "--json"])["ok"], true);
    let (mut other, mut others) = connect(&site.network.pbx, &listener);
    resets(&mut client, &mut server, &message("INVITE", BRITISH, ""));
    assert!(site.reason("order") >= 2);
    crosses(&mut other, &mut others, &message("INVITE", DOMESTIC, ""));
}

#[test]
fn connections_are_refused_where_the_policy_denies_tcp() {
    let Some((site, _passes)) = site("tcp::connections_are_refused_where_the_policy_denies_tcp") else { return };
    site.policy("enforce", "[sip]\ntcp = \"deny\"\n");
    let _daemon = site.start();
    let mut addresses = vec![IpAddr::from(Network::PBX)];
    addresses.extend(site.network.ipv6.then_some(IpAddr::from(Network::PBX_V6)));
    for address in addresses {
        let listener = listen(&site.network.pbx, (address, SIP_PORT));
        let target = listener.local_addr().unwrap();
        let refused = site
            .network
            .caller
            .run(|| Ok(TcpStream::connect_timeout(&target, PATIENCE).map_err(|error| error.kind())))
            .unwrap();
        assert_eq!(refused.err(), Some(ErrorKind::ConnectionRefused), "{target}");
        // Other ports are nobody's business.
        let web = listen(&site.network.pbx, (address, 8080));
        let (mut client, mut server) = connect(&site.network.caller, &web);
        crosses(&mut client, &mut server, &message("INVITE", FORBIDDEN, ""));
    }
    assert!(site.reason("tcp-denied") >= 1);
    assert_eq!(total(&site.counters(), "rejected"), site.reason("tcp-denied"));
}

#[test]
fn one_source_opens_so_many_connections_and_no_more() {
    let Some((site, _passes)) = site("tcp::one_source_opens_so_many_connections_and_no_more") else { return };
    site.tollgate
        .write_policy(
            "mode = \"enforce\"\n[interface.wan0]\n[interface.wan1]\n[site]\nregion = \"JP\"\n\
             [ceiling]\nconnections = \"2/h\"\n",
        )
        .unwrap();
    let _daemon = site.start();
    let listener = listen(&site.network.pbx, Network::pbx_sip());
    let open: Vec<_> = (0..8).map(|_| connect(&site.network.caller, &listener)).collect();
    let ninth = site
        .network
        .caller
        .run(|| {
            let (target, time) = (Network::pbx_sip(), Duration::from_millis(300));
            Ok(TcpStream::connect_timeout(&target, time).map(drop).map_err(|error| error.kind()))
        })
        .unwrap();
    // In silence: whoever forges an address shall not make the gateway answer its owner.
    assert_eq!(ninth, Err(ErrorKind::TimedOut));
    assert!(site.reason("syn-limit") >= 1);
    assert_eq!(total(&site.counters(), "rejected"), 0);
    for (mut client, mut server) in open {
        crosses(&mut client, &mut server, &message("OPTIONS", "301", ""));
    }
    connect(&site.network.flooder, &listener);
}

#[test]
fn what_cannot_be_read_passes_and_so_do_large_segments() {
    let Some((site, _passes)) = site("tcp::what_cannot_be_read_passes_and_so_do_large_segments") else { return };
    // The program for one buffer makes a veth pair part segments in front of it; the one for large packets does not.
    for (host, interface) in [(&site.network.caller, "caller0"), (&site.network.gateway, "wan0")] {
        link::mtu(host, interface, 9000).unwrap();
        offload::set(host, interface, Offload::Segmentation, true).unwrap();
    }
    site.policy("enforce", BLOCKS);
    let _daemon = site.start();
    assert!(site.tollgate.log().contains("wan_frags"), "{}", site.tollgate.log());
    // TLS records: what is encrypted looks like anything.
    let tls = listen(&site.network.pbx, (Network::PBX, 5061));
    let (mut client, mut server) = connect(&site.network.caller, &tls);
    let mut octet = 7u8;
    let records: Vec<u8> = (0..400)
        .flat_map(|_| {
            let noise = (0..1000).map(|_| {
                octet = octet.wrapping_mul(181).wrapping_add(97);
                octet
            });
            [0x17, 3, 3, 3, 0xe8].into_iter().chain(noise).collect::<Vec<_>>()
        })
        .collect();
    crosses(&mut client, &mut server, &records);
    crosses(&mut server, &mut client, &records);

    let listener = listen(&site.network.pbx, Network::pbx_sip());
    let (mut client, mut server) = connect(&site.network.caller, &listener);
    let body = "a long line of text that nobody reads\r\n".repeat(1500);
    for method in ["MESSAGE", "INVITE"] {
        crosses(&mut client, &mut server, &message(method, DOMESTIC, &body));
        crosses(&mut server, &mut client, body.as_bytes());
    }
    assert_eq!(total(&site.counters(), "rejected"), 0, "{}", site.counters());
    // The head of a large segment becomes the reset; its rest goes nowhere.
    resets(&mut client, &mut server, &message("INVITE", FORBIDDEN, &body));
}
