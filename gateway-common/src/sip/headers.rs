//! The header walk: where the few headers that decisions need have their values.
//!
//! A message is walked once: whatever asks later for its headers finds what was noted ([`Text::found`]).

use crate::{
    sip::{
        scan::{self, BLANKS, COLON},
        words::{equal, first},
    },
    text::{Text, WINDOW},
};

/// Header lines that are walked, continuation lines included; a message with more is unreadable where a decision needs
/// its headers. Real INVITEs have 10 to 40.
pub const LINES: u32 = 96;

/// Places of [`Headers`], a power of two.
pub const PLACES: usize = 32;

/// Where values begin: behind the colon, in octets from the start of the message; 0 where a header is missing. The index is
/// one of the constants of this module.
pub type Headers = [u32; PLACES];

/// The first To.
pub const TO: u32 = 0;
/// The first From.
pub const FROM: u32 = 1;
/// The last Route.
pub const ROUTE: u32 = 2;
/// The first Refer-To.
pub const REFER_TO: u32 = 3;
/// The first P-Called-Party-ID (RFC 7315 section 4.2).
pub const CALLED_PARTY: u32 = 4;
/// The first Call-ID.
pub const CALL_ID: u32 = 5;
/// The first Authorization or Proxy-Authorization.
pub const CREDENTIALS: u32 = 6;
/// The first CSeq.
pub const CSEQ: u32 = 7;
/// The first Contact; the next one behind [`next_contact`].
pub const CONTACT: u32 = 8;
/// The first Content-Length.
pub const CONTENT_LENGTH: u32 = 9;
/// Not 0 where Content-Length came twice, so that servers may differ in which they take.
pub const TWICE: u32 = 10;
/// The first octet behind the blank line; 0 where the walk did not come to it.
pub const BODY: u32 = 11;
/// Not 0 where the walk came to the blank line or the end of a whole message.
pub const COMPLETE: u32 = 12;
/// One more than where the walk began; 0 where all headers were not walked.
const WALKED: u32 = 13;
/// The first WWW-Authenticate or Proxy-Authenticate.
pub const CHALLENGE: u32 = 14;
/// The first Session-Expires (RFC 4028 section 4).
pub const SESSION_EXPIRES: u32 = 15;
/// The first Route.
pub const FIRST_ROUTE: u32 = 16;
/// Not 0 where Refer-To came twice, so that servers may differ in which they dial.
pub const REFERRED_TWICE: u32 = 17;
/// Not 0 where there are more lines than are walked.
pub const UNENDED: u32 = 18;
/// No header that is looked for, and no place.
const NONE: u32 = PLACES as u32;

/// What a walk looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Wanted {
    /// All headers.
    All = 0,
    /// The next Contact, and nothing behind it.
    Contact = 1,
}

/// Walks the headers from the line behind `at`, an octet of the start line, unless that was done.
#[inline(always)]
pub fn walk<T: Text + ?Sized>(text: &mut T, at: u32) {
    if *text.found(WALKED) != at + 1 {
        text.walk(at, Wanted::All);
        *text.found(WALKED) = at + 1;
    }
}

/// Forgets what was walked: for a text that is new.
#[inline(always)]
pub fn forget<T: Text + ?Sized>(text: &mut T) {
    *text.found(COMPLETE) = 0;
    *text.found(WALKED) = 0;
}

/// Looks for the next Contact behind the line of `at`, an octet of the start line or of a header.
#[inline(always)]
pub fn next_contact<T: Text + ?Sized>(text: &mut T, at: u32) -> u32 {
    text.walk(at, Wanted::Contact);
    *text.found(CONTACT)
}

/// Whether the walk came to the blank line or the end of a whole message.
#[inline(always)]
pub fn is_complete<T: Text + ?Sized>(text: &mut T) -> bool {
    *text.found(COMPLETE) != 0
}

/// Walks from the line behind `at`; what was found before is forgotten.
#[inline(always)]
pub fn lines<T: Text + ?Sized>(text: &mut T, at: u32, wanted: Wanted) {
    text.forget_headers();
    let len = text.len();
    let mut line = text.next_line(at);
    // Some servers take blanks in front of the first header for nothing.
    if is_blank(text.word(line) as u8) {
        let first = scan::first_octet(text.scan(BLANKS, line, len, 0));
        if first < text.next_line(line) && begins_name(text.word(first) as u8) {
            text.header(first);
        }
    }
    let mut i = 0u32;
    while i < LINES {
        if line >= len {
            *text.found(COMPLETE) = text.is_whole() as u32;
            return;
        }
        let word = text.word(line);
        if is_line_end(word as u8) {
            let body = line + line_end(word);
            *text.found(BODY) = if body < len { body } else { len };
            *text.found(COMPLETE) = 1;
            return;
        }
        if begins_name(word as u8) {
            text.header(line);
            if text.opaque(wanted as u64) == Wanted::Contact as u64 && *text.found(CONTACT) != 0 {
                return;
            }
        }
        line = text.next_line(line);
        i = text.rolled(i + 1);
    }
    *text.found(UNENDED) = 1;
}

#[inline(always)]
const fn is_blank(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// The start of the line behind the one that `at` is in, or the length of the text. Lines end with CRLF, LF or CR.
#[inline(always)]
pub fn next_line<T: Text + ?Sized>(text: &T, at: u32) -> u32 {
    let len = text.len();
    let mut at = at;
    let mut i = 0u32;
    while i <= WINDOW / 16 {
        if at >= len {
            return len;
        }
        let (low, high) = (line_ends(text.word(at)), line_ends(text.word(at + 8)));
        if low | high != 0 {
            at += if low != 0 { first(low) } else { 8 + first(high) };
            at += line_end(text.word(at));
            break;
        }
        at = text.opaque(at as u64 + 16) as u32;
        i = text.rolled(i + 1);
    }
    if at < len { at } else { len }
}

/// Marks CR and LF, exactly in the lowest octet that is marked.
#[inline(always)]
const fn line_ends(word: u64) -> u64 {
    equal(word, b'\n') | equal(word, b'\r')
}

/// Octets of the line end that a word begins with: CRLF, LF or CR.
#[inline(always)]
const fn line_end(word: u64) -> u32 {
    if word as u16 == u16::from_le_bytes(*b"\r\n") { 2 } else { 1 }
}

#[inline(always)]
const fn is_line_end(octet: u8) -> bool {
    octet == b'\r' || octet == b'\n'
}

/// The letters that names which are looked for begin with.
const LETTERS: u64 = letter(b'a')
    | letter(b'c')
    | letter(b'f')
    | letter(b'i')
    | letter(b'l')
    | letter(b'm')
    | letter(b'p')
    | letter(b'r')
    | letter(b's')
    | letter(b't')
    | letter(b'w')
    | letter(b'x');

const fn letter(letter: u8) -> u64 {
    1 << (letter & 31)
}

#[inline(always)]
const fn begins_name(octet: u8) -> bool {
    octet >> 6 == 1 && LETTERS >> (octet & 31) & 1 != 0
}

/// Notes where the value of the header in the line at `line` begins, if it is one that is looked for.
#[inline(always)]
pub fn header<T: Text + ?Sized>(text: &mut T, line: u32) {
    let (header, length) = name(text, line);
    let header = text.opaque(header as u64) as u32;
    if header == NONE {
        return;
    }
    let end = text.opaque((line + length) as u64) as u32;
    let value = match text.octet(end) {
        Some(b':') => end + 1,
        Some(b' ' | b'\t' | b'\r' | b'\n') => scan::first_octet(text.scan(COLON, end, text.len(), 0)),
        _ => 0,
    };
    if value == 0 {
        return;
    }
    let noted = text.found(header);
    let first = *noted == 0;
    // Of Route the last counts too, of the others the first.
    if first || header == ROUTE {
        *noted = value;
    }
    match header {
        ROUTE if first => *text.found(FIRST_ROUTE) = value,
        CONTENT_LENGTH if !first => *text.found(TWICE) = 1,
        REFER_TO if !first => *text.found(REFERRED_TWICE) = 1,
        _ => {}
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

/// Digits of a number that are read: more than a segment has octets, or a day seconds.
const DIGITS: u32 = 7;

/// No [`decimal`] number.
pub const NO_NUMBER: u64 = u64::MAX;

/// The decimal number that the value at `value` begins with, in the low half, and in the high one the octet behind it;
/// [`NO_NUMBER`] where none stands there, or one of more than seven digits.
#[inline(always)]
pub fn decimal<T: Text + ?Sized>(text: &mut T, value: u32) -> u64 {
    if value == 0 {
        return NO_NUMBER;
    }
    let at = scan::first_octet(text.scan(BLANKS, value, text.len(), 0));
    let mut number = 0u64;
    let mut i = 0u32;
    while i <= DIGITS {
        let octet = text.octet(at + i).unwrap_or(b'\n');
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return if i != 0 { number | (octet as u64) << 32 } else { NO_NUMBER };
        }
        number = text.opaque(number * 10 + digit as u64);
        i = text.rolled(i + 1);
    }
    NO_NUMBER
}

/// Which header a line begins with, and the length of its name; RFC 3261 section 7.3.3 has the compact forms, which are
/// followed by the colon or a blank.
#[inline(always)]
fn name<T: Text + ?Sized>(text: &T, line: u32) -> (u32, u32) {
    let w = text.word(line) | LOW;
    match w as u8 {
        b'c' if w & mask(7) == lower(b"call-id") => (CALL_ID, 7),
        b'c' if w & mask(7) == lower(b"contact") => (CONTACT, 7),
        b'c' if w & mask(4) == lower(b"cseq") => (CSEQ, 4),
        b'c' if w == lower(b"content-") && (text.word(line + 8) | LOW) & mask(6) == lower(b"length") => {
            (CONTENT_LENGTH, 14)
        }
        b'f' if w & mask(4) == lower(b"from") => (FROM, 4),
        b'f' => (FROM, 1),
        b't' if w & mask(2) == lower(b"to") => (TO, 2),
        b't' => (TO, 1),
        b'r' if w & mask(5) == lower(b"route") => (ROUTE, 5),
        b'r' if w == lower(b"refer-to") => (REFER_TO, 8),
        b'r' => (REFER_TO, 1),
        b's' if w == lower(b"session-") && (text.word(line + 8) | LOW) & mask(7) == lower(b"expires") => {
            (SESSION_EXPIRES, 15)
        }
        b'x' => (SESSION_EXPIRES, 1),
        b'i' => (CALL_ID, 1),
        b'm' => (CONTACT, 1),
        b'l' => (CONTENT_LENGTH, 1),
        b'a' if w == lower(b"authoriz") && (text.word(line + 8) | LOW) & mask(5) == lower(b"ation") => {
            (CREDENTIALS, 13)
        }
        b'p' if w == lower(b"p-called") && text.word(line + 8) | LOW == lower(b"-party-i") => (CALLED_PARTY, 17),
        b'p' if w == lower(b"proxy-au")
            && text.word(line + 8) | LOW == lower(b"thorizat")
            && (text.word(line + 16) | LOW) & mask(3) == lower(b"ion") =>
        {
            (CREDENTIALS, 19)
        }
        b'p' if w == lower(b"proxy-au")
            && text.word(line + 8) | LOW == lower(b"thentica")
            && (text.word(line + 16) | LOW) & mask(2) == lower(b"te") =>
        {
            (CHALLENGE, 18)
        }
        b'w' if w == lower(b"www-auth") && text.word(line + 8) | LOW == lower(b"enticate") => (CHALLENGE, 16),
        _ => (NONE, 0),
    }
}
