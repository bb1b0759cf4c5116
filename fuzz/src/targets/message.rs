//! SIP messages in a datagram. The first octet chooses the policy, the second the envelope.

use gateway_common::{Method, Reason, Verdict, judged::Judged, text::WINDOW};

use crate::{
    envelope::Envelope,
    site::{self, Site},
    text::body,
};

/// The longest datagram that fits the length fields of every envelope.
const LONGEST: usize = 65_000;

pub(crate) fn run(input: &[u8]) {
    let [policy, envelope, message @ ..] = input else { return };
    if message.len() > LONGEST {
        return;
    }
    let envelope = Envelope(*envelope);
    site::with(*policy, |site| {
        let judged = site.judge(&envelope.plain(message), envelope.side());
        let wrapped = site.judge(&envelope.wrapped(message), envelope.side());
        assert_eq!(wrapped, judged, "the envelope, or what stands behind the datagram, changes the record");
        if matches!(judged.method(), Some(Method::Ack | Method::Bye | Method::Cancel | Method::Prack)) {
            assert_eq!(judged.verdict(), Verdict::Pass, "what ends or acknowledges a call is stopped");
        }
        if is_response(message) {
            assert_eq!((judged.verdict(), judged.reason()), (Verdict::Pass, Reason::SipOther), "a response");
        }
        unread(site, envelope, message, &judged);
    });
}

/// A status line, behind what servers skip in front of a start line.
fn is_response(message: &[u8]) -> bool {
    let skipped = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xbb | 0xbf);
    let lead = message.iter().take_while(|octet| skipped(octet)).count();
    lead + 4 <= WINDOW as usize && message[lead..].get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"))
}

/// Nothing behind the window is read, and nothing of the body.
fn unread(site: &mut Site, envelope: Envelope, message: &[u8], judged: &Judged) {
    let mut from = WINDOW as usize;
    if let Some(body) = body(message) {
        from = from.min(body);
    }
    if from >= message.len() {
        return;
    }
    let mut other = message.to_vec();
    other[from..].fill(b'5');
    assert_eq!(site.judge(&envelope.plain(&other), envelope.side()), *judged, "octet {from} or a later one is read");
}
