//! From the Ethernet frame to the datagram.

use gateway_common::wire::{HEADERS, Slice, Walk, walk, walk_shallow};

/// The longest header behind the last octet that must be readable: TCP with options.
const LAST_HEADER: usize = 60;

pub(crate) fn run(frame: &[u8]) {
    let found = walk(&mut Slice::new(frame));
    assert_ne!(found, Walk::Deep, "the deep walk hands on");
    let shallow = walk_shallow(&mut Slice::new(frame));
    assert!(shallow == Walk::Deep || shallow == found, "shallow {shallow:?}, deep {found:?}");
    let Walk::Datagram(datagram) = found else { return };
    let at = datagram.at as usize;
    assert!(at <= HEADERS + LAST_HEADER && u16::try_from(datagram.len).is_ok(), "{datagram:?}");
    if let Some(headers) = frame.get(..at) {
        assert_eq!(walk(&mut Slice::new(headers)), found, "the walk reads the payload");
    }
    let mut longer = frame.to_vec();
    longer.extend_from_slice(b"behind");
    assert_eq!(walk(&mut Slice::new(&longer)), found, "octets behind the frame change where the datagram is");
}
