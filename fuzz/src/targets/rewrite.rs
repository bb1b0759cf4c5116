//! SIP messages, written otherwise. The first octet chooses the policy, the second the other way to write.

use gateway_common::text::WINDOW;

use crate::{
    envelope::Envelope,
    site::{self, call},
    text::{self, body, position},
};

/// From the outside, from an address that no policy names.
const STRANGER: Envelope = Envelope(0);
/// More lines than this, and a line more may be one too many; `gateway_common::sip::headers::LINES` is the bound.
const LINES: usize = 90;
/// The message, written otherwise; `None` where that way is not for it.
type Rewrite = fn(&[u8]) -> Option<Vec<u8>>;

const REWRITES: [Rewrite; 9] = [
    line_feeds,
    blank_lead,
    other_case,
    one_more_header,
    one_more_at_the_end,
    other_names,
    compact_names,
    folded,
    other_body,
];

pub(crate) fn run(input: &[u8]) {
    let [policy, rewrite, message @ ..] = input else { return };
    let Some(other) = REWRITES[usize::from(*rewrite) % REWRITES.len()](message) else { return };
    // Behind the window, and behind so many lines, nothing is seen.
    if message.len().max(other.len()) > WINDOW as usize || lines(message) > LINES {
        return;
    }
    site::with(*policy, |site| {
        let was = site.judge(&STRANGER.plain(message), STRANGER.side());
        let is = site.judge(&STRANGER.plain(&other), STRANGER.side());
        assert_eq!(call(&is), call(&was), "{} as {}", message.escape_ascii(), other.escape_ascii());
    });
}

fn lines(message: &[u8]) -> usize {
    message.iter().filter(|octet| matches!(octet, b'\r' | b'\n')).count() / 2
}

/// Lines end with LF alone.
fn line_feeds(message: &[u8]) -> Option<Vec<u8>> {
    let alone = |pair: &[u8]| (pair[0] == b'\r') != (pair[1] == b'\n');
    if message.windows(2).any(alone) || message.starts_with(b"\n") || message.ends_with(b"\r") {
        return None;
    }
    Some(message.iter().copied().filter(|octet| *octet != b'\r').collect())
}

/// A blank line stands in front of the start line.
fn blank_lead(message: &[u8]) -> Option<Vec<u8>> {
    (!message.is_empty()).then(|| [b"\r\n", message].concat())
}

/// Method and scheme are in the other case.
fn other_case(message: &[u8]) -> Option<Vec<u8>> {
    let scheme = position(message, b":", 0)?;
    let (head, tail) = message.split_at(scheme);
    // No more than a method, a blank and a scheme.
    let words = head.split(|octet| *octet == b' ').count();
    let plain = words == 2 && head.iter().all(|octet| octet.is_ascii_alphabetic() || *octet == b' ');
    plain.then(|| [head.iter().map(|octet| flipped(*octet)).collect(), tail.to_vec()].concat())
}

/// A header that nobody dials from stands first.
fn one_more_header(message: &[u8]) -> Option<Vec<u8>> {
    let at = headers(message)?;
    Some([&message[..at], b"Subject: <sip:119@x>;rn=+1\r\n", &message[at..]].concat())
}

/// It stands last.
fn one_more_at_the_end(message: &[u8]) -> Option<Vec<u8>> {
    headers(message)?;
    let end = body(message)? - 2;
    Some([&message[..end], b"Subject: <sip:119@x>;rn=+1\r\n", &message[end..]].concat())
}

/// Names of headers are short (RFC 3261 section 7.3.3).
fn compact_names(message: &[u8]) -> Option<Vec<u8>> {
    const NAMES: [(&[u8], &[u8]); 3] = [(b"\nto:", b"\nt:"), (b"\nfrom:", b"\nf:"), (b"\nrefer-to:", b"\nr:")];
    let at = headers(message)? - 1;
    let end = position(message, b"\r\n\r\n", at - 1)?;
    let mut other = message.get(..at)?.to_vec();
    let mut rest = message.get(at..end)?;
    while let Some((first, tail)) = rest.split_first() {
        let name = NAMES.iter().find(|(long, _)| rest.get(..long.len()).is_some_and(|n| n.eq_ignore_ascii_case(long)));
        if let Some((long, short)) = name {
            other.extend_from_slice(short);
            rest = &rest[long.len()..];
        } else {
            other.push(*first);
            rest = tail;
        }
    }
    other.extend_from_slice(&message[end..]);
    Some(other)
}

/// Names of headers are in the other case.
fn other_names(message: &[u8]) -> Option<Vec<u8>> {
    let at = headers(message)?;
    let end = position(message, b"\r\n\r\n", at - 2)?;
    let mut other = message.to_vec();
    let mut name = true;
    for octet in other.get_mut(at..end)? {
        match *octet {
            b'\n' | b'\r' => name = true,
            b':' => name = false,
            letter if name && (letter.is_ascii_alphabetic() || letter == b'-') => *octet = flipped(letter),
            _ => name = false,
        }
    }
    Some(other)
}

/// The value of the first header begins on a line of its own.
fn folded(message: &[u8]) -> Option<Vec<u8>> {
    let at = headers(message)?;
    let colon = position(message, b":", at)?;
    let plain = message[at..colon].iter().all(|octet| octet.is_ascii_alphabetic() || *octet == b'-');
    let value = message.get(colon + 1).is_some_and(|octet| !octet.is_ascii_whitespace());
    (plain && value).then(|| [&message[..=colon], b"\r\n ", &message[colon + 1..]].concat())
}

/// Something else is in the body.
fn other_body(message: &[u8]) -> Option<Vec<u8>> {
    let end = body(message)?;
    Some([&message[..end], b"Route: <sip:119@x>\r\n\r\n"].concat())
}

/// Where the headers begin: behind a start line that is the first line, and that no line continues.
fn headers(message: &[u8]) -> Option<usize> {
    let at = text::headers(message)?;
    let continued = message.get(at).is_none_or(|octet| matches!(octet, b' ' | b'\t'));
    (position(message, b"\n", 0)? + 1 == at && !continued).then_some(at)
}

const fn flipped(octet: u8) -> u8 {
    if octet.is_ascii_alphabetic() { octet ^ 0x20 } else { octet }
}
