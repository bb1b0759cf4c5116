//! The sockets of this machine on the SIP ports: what a PBX on the gateway itself listens on.

use procfs::net::{TcpState, UdpState};

use crate::control::exposure::ListensView;

/// Sockets of this machine, in the network namespace of the daemon, that take SIP from anybody on one of `ports`. Where the kernel
/// lists none, none.
pub(super) fn listening(ports: &[u16]) -> Vec<ListensView> {
    let udp = [procfs::net::udp(), procfs::net::udp6()].into_iter().flatten().flatten();
    // An unconnected socket has the state of a closed connection.
    let udp = udp.filter(|it| it.state == UdpState::Close).map(|it| ("udp", it.local_address));
    let tcp = [procfs::net::tcp(), procfs::net::tcp6()].into_iter().flatten().flatten();
    let tcp = tcp.filter(|it| it.state == TcpState::Listen).map(|it| ("tcp", it.local_address));
    let mut found: Vec<ListensView> = udp
        .chain(tcp)
        .filter(|(_, at)| ports.contains(&at.port()) && !at.ip().to_canonical().is_loopback())
        .map(|(transport, at)| ListensView { transport: transport.to_owned(), address: at.ip(), port: at.port() })
        .collect();
    found.sort_by(|a, b| (a.port, &a.transport, a.address).cmp(&(b.port, &b.transport, b.address)));
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn sockets_that_take_from_anybody_are_listed_and_others_not() {
        let any = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let own = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let talks = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        talks.connect(own.local_addr().unwrap()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let tcp = listener.local_addr().unwrap().port();
        let found = listening(&[port(&any), port(&own), port(&talks), tcp]);
        let has = |transport: &str, port: u16| found.iter().any(|it| it.transport == transport && it.port == port);
        assert!(has("udp", port(&any)) && has("tcp", tcp), "{found:?}");
        assert!(!has("udp", port(&own)) && !has("udp", port(&talks)), "{found:?}");
        assert_eq!(listening(&[]), []);
    }
}
