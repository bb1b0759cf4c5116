//! The header walk: where the few headers that a decision needs have their values.

use crate::{
    sip::scan::{self, COLON},
    text::{Text, WINDOW},
};

/// Header lines that are walked, continuation lines included; a message with more is unreadable where a decision needs
/// its headers. Real INVITEs have 10 to 40.
pub const LINES: u32 = 96;

/// Where values begin: behind the colon, in octets from the start of the message; 0 where a header is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers(pub u64);

const TO: u32 = 0;
const FROM: u32 = 12;
const ROUTE: u32 = 24;
const REFER_TO: u32 = 36;
const NONE: u32 = 63;
const END: u64 = 1 << 60;
const FIELD: u64 = 0xfff;

impl Headers {
    const fn at(self, shift: u32) -> u32 {
        (self.0 >> shift & FIELD) as u32
    }

    /// The first To.
    #[inline(always)]
    pub const fn to(self) -> u32 {
        self.at(TO)
    }

    /// The first From.
    #[inline(always)]
    pub const fn from(self) -> u32 {
        self.at(FROM)
    }

    /// The last Route.
    #[inline(always)]
    pub const fn route(self) -> u32 {
        self.at(ROUTE)
    }

    /// The first Refer-To.
    #[inline(always)]
    pub const fn refer_to(self) -> u32 {
        self.at(REFER_TO)
    }

    /// Whether the walk came to the blank line or the end of a whole message.
    #[inline(always)]
    pub const fn complete(self) -> bool {
        self.0 & END != 0
    }
}

/// Walks the headers from the line behind `at`, an octet of the start line.
#[inline(always)]
pub fn walk<T: Text + ?Sized>(text: &mut T, at: u32) -> Headers {
    let mut found = 0u64;
    let mut line = text.next_line(at);
    let mut i = 0u32;
    while i < LINES {
        let Some(first) = text.octet(line) else {
            return Headers(if text.is_whole() { found | END } else { found });
        };
        if first == b'\r' || first == b'\n' {
            return Headers(found | END);
        }
        found = text.header(line, found);
        let next = text.next_line(line);
        line = text.opaque(next as u64) as u32;
        i += 1;
    }
    Headers(found)
}

/// Notes where the value of the header in the line at `line` begins, if it is one that a decision needs.
#[inline(always)]
pub fn header<T: Text + ?Sized>(text: &mut T, line: u32, found: u64) -> u64 {
    let (field, length) = name(text.word(line));
    if field == NONE {
        return found;
    }
    let length = text.opaque(length as u64) as u32;
    let value = scan::first_octet(text.scan(COLON, line + length, text.len(), 0));
    // Of Route the last counts, of the others the first.
    if value == 0 || found >> field & FIELD != 0 && field != ROUTE {
        return found;
    }
    found & !(FIELD << field) | (value as u64) << field
}

const fn lower(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut i = text.len();
    let mut rest = text;
    while let [head @ .., last] = rest {
        i -= 1;
        word |= (*last as u64) << (8 * i);
        rest = head;
    }
    word
}

const fn mask(octets: u32) -> u64 {
    if octets >= 8 { u64::MAX } else { (1 << (8 * octets)) - 1 }
}

/// Which header a line begins with, and the length of its name; RFC 3261 section 7.3.3 has the compact forms.
#[inline(always)]
fn name(word: u64) -> (u32, u32) {
    let w = word | 0x2020_2020_2020_2020;
    if w == lower(b"refer-to") {
        return (REFER_TO, 8);
    }
    if w & mask(5) == lower(b"route") {
        return (ROUTE, 5);
    }
    if w & mask(4) == lower(b"from") {
        return (FROM, 4);
    }
    if w & mask(2) == lower(b"to") {
        return (TO, 2);
    }
    // A compact name is followed by the colon or a blank; `step` of the colon automaton checks it.
    match w as u8 {
        b't' => (TO, 1),
        b'f' => (FROM, 1),
        b'r' => (REFER_TO, 1),
        _ => (NONE, 0),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the zero octets of a word, exactly in the lowest one that is marked.
#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// The start of the line behind the one that `at` is in, or the length of the text. Lines end with CRLF, LF or CR.
#[inline(always)]
pub fn next_line<T: Text + ?Sized>(text: &T, at: u32) -> u32 {
    let len = text.len();
    let mut at = at;
    let mut i = 0u32;
    while i <= WINDOW / 8 {
        if at >= len {
            break;
        }
        let word = text.word(at);
        let ends = zeros(word ^ ONES * b'\n' as u64) | zeros(word ^ ONES * b'\r' as u64);
        if ends != 0 {
            let before = ends.trailing_zeros() & !7;
            at = text.opaque((at + before / 8 + 1) as u64) as u32;
            if (word >> before) as u8 == b'\r' && at < len && text.word(at) as u8 == b'\n' {
                at += 1;
            }
            break;
        }
        at = text.opaque(at as u64 + 8) as u32;
        i += 1;
    }
    if at < len { at } else { len }
}
