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
const CALLED: u32 = 48;
/// Of a walk for [`DIALOG`] or [`ANSWER`], beside From; To stands where Route does otherwise.
const CALL_ID: u32 = 0;
const DIALOG_TO: u32 = 24;
const CREDENTIALS: u32 = 36;
const CSEQ: u32 = 36;
const DIALOG_CONTACT: u32 = 48;
const LENGTH: u32 = 0;
const BODY: u32 = 12;
const CONTACT: u32 = 0;
const NONE: u32 = 63;
const END: u64 = 1 << 60;
/// Content-Length stands there twice.
const TWICE: u64 = 1 << 59;
const FIELD: u64 = 0xfff;

/// The headers that name whom a request calls.
pub const CALL: u64 = 0;
/// What says where the message ends in a stream: Content-Length, and the blank line.
pub const FRAMING: u64 = 1 << 61;
/// The next Contact, and nothing behind it.
pub const CONTACTS: u64 = 1 << 62;

/// What names the call of a request, its credentials, and its Contact.
pub const DIALOG: u64 = 1 << 63;
/// What names the call of an answer, its CSeq, and its Contact.
pub const ANSWER: u64 = DIALOG | FRAMING;

impl Headers {
    const fn at(self, shift: u32) -> u32 {
        (self.0 >> shift & FIELD) as u32
    }

    /// The first To.
    #[inline(always)]
    pub const fn to(self) -> u32 {
        if self.0 & DIALOG != 0 { self.at(DIALOG_TO) } else { self.at(TO) }
    }

    /// The Call-ID; of a walk for [`DIALOG`] or [`ANSWER`].
    #[inline(always)]
    pub const fn call_id(self) -> u32 {
        self.at(CALL_ID)
    }

    /// The first Authorization or Proxy-Authorization; of a walk for [`DIALOG`].
    #[inline(always)]
    pub const fn credentials(self) -> u32 {
        self.at(CREDENTIALS)
    }

    /// The CSeq; of a walk for [`ANSWER`].
    #[inline(always)]
    pub const fn cseq(self) -> u32 {
        self.at(CSEQ)
    }

    /// The first Contact; of a walk for [`DIALOG`] or [`ANSWER`].
    #[inline(always)]
    pub const fn dialog_contact(self) -> u32 {
        self.at(DIALOG_CONTACT)
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

    /// The first P-Called-Party-ID (RFC 7315 section 4.2).
    #[inline(always)]
    pub const fn called_party(self) -> u32 {
        self.at(CALLED)
    }

    /// The first Content-Length; of a walk for [`FRAMING`].
    #[inline(always)]
    pub const fn content_length(self) -> u32 {
        self.at(LENGTH)
    }

    /// The first octet behind the blank line; of a walk for [`FRAMING`].
    #[inline(always)]
    pub const fn body(self) -> u32 {
        self.at(BODY)
    }

    /// Whether Content-Length came twice, so that servers may differ in which they take; of a walk for [`FRAMING`].
    #[inline(always)]
    pub const fn ambiguous_length(self) -> bool {
        self.0 & TWICE != 0
    }

    /// The next Contact; of a walk for [`CONTACTS`].
    #[inline(always)]
    pub const fn contact(self) -> u32 {
        self.at(CONTACT)
    }

    /// Whether the walk came to the blank line or the end of a whole message.
    #[inline(always)]
    pub const fn complete(self) -> bool {
        self.0 & END != 0
    }
}

/// Walks the headers from the line behind `at`, an octet of the start line or of a header, for one of [`CALL`],
/// [`FRAMING`], [`CONTACTS`], [`DIALOG`] and [`ANSWER`].
#[inline(always)]
pub fn walk<T: Text + ?Sized>(text: &mut T, at: u32, wanted: u64) -> Headers {
    let mut found = wanted;
    let mut line = text.next_line(at);
    let mut i = 0u32;
    while i < LINES {
        let Some(first) = text.octet(line) else {
            return Headers(if text.is_whole() { found | END } else { found });
        };
        if first == b'\r' || first == b'\n' {
            if wanted == FRAMING {
                let body = text.next_line(line);
                found = found & !(FIELD << BODY) | (body as u64 & FIELD) << BODY;
            }
            return Headers(found | END);
        }
        found = text.header(line, found);
        if found & CONTACTS != 0 && found & FIELD != 0 {
            break;
        }
        let next = text.next_line(line);
        line = text.opaque(next as u64) as u32;
        i += 1;
    }
    Headers(found)
}

/// Notes where the value of the header in the line at `line` begins, if it is one that is looked for.
#[inline(always)]
pub fn header<T: Text + ?Sized>(text: &mut T, line: u32, found: u64) -> u64 {
    let dialog = found & DIALOG != 0;
    let (field, length) = if dialog {
        dialog_name(text, line, found & FRAMING != 0)
    } else if found & FRAMING != 0 {
        content_length(text, line)
    } else if found & CONTACTS != 0 {
        contact(text.word(line))
    } else {
        name(text, line)
    };
    let field = text.opaque(field as u64) as u32;
    if field == NONE {
        return found;
    }
    let length = text.opaque(length as u64) as u32;
    let value = scan::first_octet(text.scan(COLON, line + length, text.len(), 0));
    if value == 0 {
        return found;
    }
    // Of Route the last counts, of the others the first.
    if found >> field & FIELD != 0 && (dialog || field != ROUTE) {
        return if !dialog && found & FRAMING != 0 { found | TWICE } else { found };
    }
    found & !(FIELD << field) | (value as u64) << field
}

/// Whether the line is Content-Length, and the length of that name.
#[inline(always)]
fn content_length<T: Text + ?Sized>(text: &T, line: u32) -> (u32, u32) {
    let word = text.word(line);
    if word | LOW == lower(b"content-") && (text.word(line + 8) | LOW) & mask(6) == lower(b"length") {
        (LENGTH, 14)
    } else if (word | LOW) as u8 == b'l' {
        (LENGTH, 1)
    } else {
        (NONE, 0)
    }
}

/// Whether the line is Contact, and the length of that name.
#[inline(always)]
const fn contact(word: u64) -> (u32, u32) {
    if (word | LOW) & mask(7) == lower(b"contact") {
        (CONTACT, 7)
    } else if (word | LOW) as u8 == b'm' {
        (CONTACT, 1)
    } else {
        (NONE, 0)
    }
}

/// Which header of a dialog a line begins with, and the length of its name.
#[inline(always)]
fn dialog_name<T: Text + ?Sized>(text: &T, line: u32, answer: bool) -> (u32, u32) {
    let w = text.word(line) | LOW;
    if w & mask(7) == lower(b"call-id") {
        return (CALL_ID, 7);
    }
    if w & mask(7) == lower(b"contact") {
        return (DIALOG_CONTACT, 7);
    }
    if w & mask(4) == lower(b"from") {
        return (FROM, 4);
    }
    if answer {
        if w & mask(4) == lower(b"cseq") {
            return (CSEQ, 4);
        }
    } else if w == lower(b"authoriz") {
        return if (text.word(line + 8) | LOW) & mask(5) == lower(b"ation") { (CREDENTIALS, 13) } else { (NONE, 0) };
    } else if w == lower(b"proxy-au") && text.word(line + 8) | LOW == lower(b"thorizat") {
        return if (text.word(line + 16) | LOW) & mask(3) == lower(b"ion") { (CREDENTIALS, 19) } else { (NONE, 0) };
    }
    if w & mask(2) == lower(b"to") {
        return (DIALOG_TO, 2);
    }
    match w as u8 {
        b'i' => (CALL_ID, 1),
        b'm' => (DIALOG_CONTACT, 1),
        b'f' => (FROM, 1),
        b't' => (DIALOG_TO, 1),
        _ => (NONE, 0),
    }
}

/// Letters without case; other octets of header names do not change.
const LOW: u64 = 0x2020_2020_2020_2020;

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
fn name<T: Text + ?Sized>(text: &T, line: u32) -> (u32, u32) {
    let w = text.word(line) | LOW;
    if w == lower(b"p-called") && text.word(line + 8) | LOW == lower(b"-party-i") {
        return (CALLED, 17);
    }
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
