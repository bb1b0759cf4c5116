//! Whole frames through the engine. The first octet chooses the policy, the second the side.

use gateway_common::{
    judge::Side,
    wire::{Datagram, Slice, Walk, walk},
};

use crate::site;

pub(crate) fn run(input: &[u8]) {
    let [policy, side, frame @ ..] = input else { return };
    let side = if side & 1 == 0 { Side::Wan } else { Side::Lan };
    site::with(*policy, |site| {
        let judged = site.judge(frame, side);
        assert_eq!(site.judge(frame, side), judged, "the same frame again, from fresh state");
        let mut datagram = Datagram::default();
        let walk = walk(&mut Slice::new(frame), &mut datagram);
        if matches!(walk, Walk::Datagram) && datagram.at as usize + datagram.len as usize <= frame.len() {
            let mut longer = frame.to_vec();
            longer.extend_from_slice(b"\r\nRoute: <sip:119@behind>\r\n");
            assert_eq!(site.judge(&longer, side), judged, "octets behind the datagram are read");
        }
    });
}
