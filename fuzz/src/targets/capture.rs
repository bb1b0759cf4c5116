//! Captures: pcap and pcapng.

use std::io::Cursor;

use gateway_user::capture::{Capture, LONGEST_FRAME, to_ethernet};

/// Octets of the shortest record that holds a packet.
const RECORD: usize = 16;

pub(crate) fn run(input: &[u8]) {
    let mut capture = match Capture::new("capture".to_owned(), Cursor::new(input.to_vec())) {
        Ok(capture) => capture,
        Err(error) => return assert!(error.to_string().contains("capture"), "{error}"),
    };
    let (mut packets, mut octets) = (0, 0);
    for packet in capture.by_ref() {
        let packet = match packet {
            Ok(packet) => packet,
            Err(error) => {
                assert!(error.to_string().contains("capture"), "{error}");
                break;
            }
        };
        packets += 1;
        octets += packet.data.len();
        assert!(packet.data.len() <= LONGEST_FRAME, "a frame of {} octets", packet.data.len());
        assert!(octets + packets * RECORD <= input.len(), "more came out than there is");
        if let Some(frame) = to_ethernet(&packet) {
            assert!(frame.len() <= packet.data.len() + 14, "a frame grew by more than a header");
        }
    }
    assert!(capture.next().is_none(), "a capture that has ended goes on");
}
