//! From the Ethernet frame to the datagram.

use gateway_common::wire::{Datagram, HEADERS, Slice, Walk, plain_datagram, plain_ports, walk, walk_shallow};

/// The longest header behind the last octet that must be readable: TCP with options.
const LAST_HEADER: usize = 60;

/// What the deep walk finds, and the datagram where it is one.
fn deep(frame: &[u8]) -> (Walk, Datagram) {
    let mut datagram = Datagram::default();
    let walk = walk(&mut Slice::new(frame), &mut datagram);
    (walk, if walk == Walk::Datagram { datagram } else { Datagram::default() })
}

pub(crate) fn run(frame: &[u8]) {
    let (found, datagram) = deep(frame);
    assert_ne!(found, Walk::Deep, "the deep walk hands on");
    let mut other = Datagram::default();
    let shallow = walk_shallow(&mut Slice::new(frame), &mut other);
    assert!(shallow == Walk::Deep || shallow == found, "shallow {shallow:?}, deep {found:?}");
    let ports = plain_ports(&Slice::new(frame));
    if found != Walk::Datagram {
        return;
    }
    assert!(shallow == Walk::Deep || other == datagram, "shallow {other:?}, deep {datagram:?}");
    if ports.is_some() {
        assert_eq!(ports, Some((datagram.sport, datagram.dport)), "an ordinary frame has other ports");
    }
    let (mut slice, mut plain) = (Slice::new(frame), Datagram::default());
    if ports.is_some() && plain_datagram(&mut slice, &mut plain).is_some() {
        assert_eq!(plain, datagram, "an ordinary frame holds another datagram");
    }
    let at = datagram.at as usize;
    assert!(at <= HEADERS + LAST_HEADER && u16::try_from(datagram.len).is_ok(), "{datagram:?}");
    if let Some(headers) = frame.get(..at) {
        assert_eq!(deep(headers), (found, datagram), "the walk reads the payload");
    }
    let mut longer = frame.to_vec();
    longer.extend_from_slice(b"behind");
    assert_eq!(deep(&longer), (found, datagram), "octets behind the frame change where the datagram is");
}
