//! Finding places in a message, by its usual form.

/// What ends a start line of the usual form.
const VERSION: &[u8] = b" SIP/2.0\r\n";
/// What ends the headers.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Where `wanted` first stands, from `from` on.
pub(crate) fn position(octets: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    octets.get(from..)?.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

/// Where the headers begin: behind a start line of the usual form.
pub(crate) fn headers(message: &[u8]) -> Option<usize> {
    position(message, VERSION, 0).map(|at| at + VERSION.len())
}

/// Where the body begins: behind the first blank line that follows such a start line.
pub(crate) fn body(message: &[u8]) -> Option<usize> {
    Some(position(message, BLANK_LINE, headers(message)? - 2)? + BLANK_LINE.len())
}
