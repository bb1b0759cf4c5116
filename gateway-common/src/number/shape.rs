//! The dialled string: what a server would dial of a user part, and whether it is a number at all.
//!
//! One automaton decodes `%XX` once, drops visual separators (RFC 3966 section 5.1.1) and keeps what is dialled. The
//! state is one word; the string itself goes to [`Text::set_dialled`].

use crate::{
    sip::scan::DIAL,
    text::{DIALLED, STOP, Text},
};

/// Octets of a user part that are read; a longer one is malformed.
pub const USER: u32 = 512;

/// Octets of a dialled string that is a number: codes, fifteen digits of E.164, and marks between them. A longer one is
/// malformed.
pub const LONGEST: u32 = 32;

/// From so many digits on, what follows a foreign octet is no longer a new number, and letters no longer make a word.
const NUMBER: u64 = 7;

const DIGITS: u32 = 6;
const START: u32 = 11;
const PLUS: u64 = 1 << 17;
const WORD: u64 = 1 << 18;
const COMPOUND: u64 = 1 << 19;
const OVERLONG: u64 = 1 << 20;
const NON_ASCII: u64 = 1 << 21;
const BAD_ESCAPE: u64 = 1 << 22;
/// A NUL, or another octet that no user part may have.
const IMPOSSIBLE: u64 = 1 << 23;
const PERCENT: u64 = 1 << 24;
const DOT: u64 = 1 << 25;
const ESCAPE: u64 = 1 << 26;
const ESCAPE_LOW: u64 = 1 << 27;
const NIBBLE: u32 = 28;
const EMIT: u64 = 1 << 32;
const OCTET: u32 = 33;
/// The last octet kept is a `#`.
const HASH: u64 = 1 << 41;
/// The first octet kept is `*` or `#`: a service, of which a `#` at the end is a part.
const SERVICE: u64 = 1 << 42;
/// A mark that no number has stands behind its first digits.
const ODD: u64 = 1 << 43;
const ESCAPING: u64 = ESCAPE | ESCAPE_LOW | 15 << NIBBLE;

/// What was read; the state of the automaton.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape(pub u64);

/// What a dialled string is, before any dial plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Digits, with or without a plus, `*` and `#`.
    Number,
    /// A word, a UUID, nothing.
    Word,
    /// What no telephone writes: bad or double escapes, NUL, too long, several numbers, non-ASCII digits.
    Malformed,
}

impl Shape {
    /// The shape of so many digits, at most 31, with or without a plus in front.
    #[inline(always)]
    pub const fn of_digits(count: u32, plus: bool) -> Self {
        let plus = if plus { PLUS + 1 } else { 0 };
        Self(plus + count as u64 | (count as u64) << DIGITS)
    }

    /// Octets of the dialled string.
    #[inline(always)]
    pub const fn len(self) -> u32 {
        (self.0 & 63) as u32
    }

    /// Whether nothing was dialled.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Where the number begins: at the last plus in front of its digits, else at 0.
    #[inline(always)]
    pub const fn start(self) -> u32 {
        (self.0 >> START & 63) as u32
    }

    /// The same, read from so many octets later.
    #[inline(always)]
    pub const fn behind(self, octets: u32) -> Self {
        Self(self.0 + ((octets as u64) << START))
    }

    /// Digits since [`Self::start`], at most 31.
    #[inline(always)]
    pub const fn digits(self) -> u32 {
        (self.0 >> DIGITS & 31) as u32
    }

    /// Whether the whole dialled string begins with a plus.
    #[inline(always)]
    pub const fn plus(self) -> bool {
        self.0 & PLUS != 0
    }

    /// Whether a dot was dropped: in a host, that makes it a name or an address.
    #[inline(always)]
    pub const fn dotted(self) -> bool {
        self.0 & DOT != 0
    }

    /// What it is.
    #[inline(always)]
    pub const fn form(self) -> Form {
        let s = self.0;
        if s & IMPOSSIBLE != 0 {
            return Form::Malformed;
        }
        if s & WORD != 0 {
            return if s & PLUS != 0 && self.is_long() { Form::Malformed } else { Form::Word };
        }
        if s & PERCENT != 0 {
            return if self.digits() > 2 { Form::Malformed } else { Form::Word };
        }
        if s & NON_ASCII != 0 {
            return if s & PLUS != 0 || self.is_long() { Form::Malformed } else { Form::Word };
        }
        if s & ODD != 0 {
            return if self.is_long() { Form::Malformed } else { Form::Word };
        }
        if s & (BAD_ESCAPE | ESCAPE | ESCAPE_LOW | OVERLONG) != 0 {
            return Form::Malformed;
        }
        if self.digits() == 0 {
            return Form::Word;
        }
        if self.len() > LONGEST {
            return Form::Malformed;
        }
        if s & COMPOUND == 0 {
            Form::Number
        } else if self.is_long() {
            Form::Malformed
        } else {
            Form::Word
        }
    }

    /// Whether there are so many digits that they are hardly part of a name.
    #[inline(always)]
    const fn is_long(self) -> bool {
        self.digits() as u64 >= NUMBER
    }
}

/// Reads a dialled string from `at` to `end`, going on from `state`. A `#` at the end of a number says that it is whole,
/// and is not dialled.
#[inline(always)]
pub fn run<T: Text + ?Sized>(text: &mut T, at: u32, end: u32, state: u64) -> u64 {
    if state == 0 {
        let usual = digits(text, at, end);
        let usual = text.opaque(usual);
        if usual != 0 {
            return usual;
        }
    }
    let (at, end) = (text.opaque(at as u64) as u32, text.opaque(end as u64) as u32);
    let state = text.opaque(state);
    let state = read(text, at, end, state);
    if state & (HASH | SERVICE) == HASH && Shape(state).digits() > 0 { (state & !HASH) - 1 } else { state }
}

/// Octets that are read by words.
const BY_WORDS: u32 = 24;

/// Reads digits, with or without a plus in front, as the automaton does; 0 where something else is among them.
#[inline(always)]
fn digits<T: Text + ?Sized>(text: &mut T, at: u32, end: u32) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let octets = end.wrapping_sub(at);
    let plus = text.octet(at) == Some(b'+');
    if octets > BY_WORDS || octets <= plus as u32 || end > text.len() {
        return 0;
    }
    let mut sign = if plus { (b'+' ^ b'0') as u64 } else { 0 };
    let mut i = 0u32;
    while i < BY_WORDS {
        if i >= octets {
            break;
        }
        let left = octets - i;
        let mask = if left < 8 { (1 << (8 * left & 63)) - 1 } else { u64::MAX };
        let word = text.word(at + i) & mask;
        let value = (word ^ ONES * b'0' as u64 ^ sign) & mask;
        // Adding carries into the highest bit where a value is more than 9, and no further.
        if ((value & !HIGH) + ONES * (0x80 - 10) | value) & HIGH != 0 {
            return 0;
        }
        text.set_dialled_word(i, word);
        sign = text.opaque(0);
        i = text.rolled(i + 8);
    }
    let last = text.octet(end - 1).unwrap_or(0);
    Shape::of_digits(octets - plus as u32, plus).0 | EMIT | (last as u64) << OCTET
}

#[inline(always)]
fn read<T: Text + ?Sized>(text: &mut T, at: u32, end: u32, mut state: u64) -> u64 {
    let mut i = 0u32;
    loop {
        let here = at.wrapping_add(i);
        if here >= end {
            return state;
        }
        if i >= USER {
            return state | OVERLONG;
        }
        let Some(octet) = text.octet(here) else {
            return state;
        };
        state = text.step(DIAL, state, octet as u32, here);
        if state & EMIT != 0 {
            text.set_dialled(Shape(state).len().wrapping_sub(1), (state >> OCTET) as u8);
        }
        if state & STOP != 0 {
            return state;
        }
        i += 1;
    }
}

#[inline(always)]
const fn hex(c: u8) -> u8 {
    match c {
        b'0'..=b'9' => c - b'0',
        b'a'..=b'f' => c - b'a' + 10,
        b'A'..=b'F' => c - b'A' + 10,
        _ => 0xff,
    }
}

/// One step: the state after `c`.
#[inline(always)]
pub fn step(state: u64, c: u8) -> u64 {
    let state = state & !(EMIT | 0xff << OCTET);
    if state & ESCAPE != 0 {
        let value = hex(c);
        if value > 15 {
            return take(state & !ESCAPING | BAD_ESCAPE, c);
        }
        return state & !ESCAPING | ESCAPE_LOW | (value as u64) << NIBBLE;
    }
    if state & ESCAPE_LOW != 0 {
        let value = hex(c);
        if value > 15 {
            return take(state & !ESCAPING | BAD_ESCAPE, c);
        }
        let high = (state >> NIBBLE & 15) as u8;
        return take_decoded(state & !ESCAPING, high << 4 | value);
    }
    if c == b'%' { state | ESCAPE } else { take(state, c) }
}

/// A decoded octet is data: what would end a user part ends the number only, and a second `%` is no escape.
#[inline(always)]
fn take_decoded(state: u64, c: u8) -> u64 {
    match c {
        0 => state | IMPOSSIBLE | STOP,
        b'%' => keep(state | PERCENT, c),
        _ => take(state, c),
    }
}

#[inline(always)]
fn take(state: u64, c: u8) -> u64 {
    let digits = state >> DIGITS & 31;
    match c {
        b'0'..=b'9' => {
            let more = if digits < 31 { 1 << DIGITS } else { 0 };
            keep(state + more, c)
        }
        b'+' if state & 63 == 0 => keep(state | PLUS, c),
        // A plus starts the number anew, unless a number stands before it.
        b'+' if digits < NUMBER => {
            let here = state & 63;
            keep(state & !(31 << DIGITS | 63 << START) | here << START, c)
        }
        b'+' => state | COMPOUND | STOP,
        b'*' | b'#' | b',' | b'~' | b'_' | b'!' | b'\'' => keep(state, c),
        b'.' => state | DOT,
        b'-' | b'(' | b')' | b' ' | b'\t' => state,
        // A pause between digits (RFC 2806 section 2.2).
        b'w' | b'W' | b'p' | b'P' if digits > 0 && state & WORD == 0 => keep(state, c),
        b'/' | b'&' if state & (63 | WORD) == 0 => state,
        b'/' | b'&' if digits < NUMBER => {
            state & !(63 | 31 << DIGITS | 63 << START | WORD | PLUS | HASH | SERVICE) | COMPOUND
        }
        b'/' | b'&' => state | COMPOUND | STOP,
        0x80..=0xff => state | NON_ASCII,
        // Not the end of the number: some servers take no notice of it, and dial what follows.
        _ if is_impossible(c) && state & WORD == 0 && (digits > 2 || c == 0) => state | IMPOSSIBLE | STOP,
        _ if state & PERCENT != 0 && c.is_ascii_alphanumeric() => keep(state, c),
        // Of a dial plan that keeps digits only, the number goes on behind it.
        b'$' | b'=' | b'?' | b'[' | b']' | b'{' | b'|' | b'}' | b'^' | b'`' if digits > 0 && state & WORD == 0 => {
            state | ODD
        }
        _ if digits >= NUMBER && state & WORD == 0 => state | STOP,
        _ => state | WORD,
    }
}

/// Control characters, and what RFC 3261 section 25.1 keeps out of a URI unless escaped, which no telephone does.
#[inline(always)]
const fn is_impossible(c: u8) -> bool {
    c < b' ' || matches!(c, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x7f)
}

#[inline(always)]
fn keep(state: u64, c: u8) -> u64 {
    let service = if state & 63 == 0 && (c == b'*' || c == b'#') { SERVICE } else { 0 };
    let hash = if c == b'#' { HASH } else { 0 };
    let state = state & !(0xff << OCTET | HASH) | service | hash;
    if state & 63 >= DIALLED as u64 - 1 {
        return state | OVERLONG;
    }
    (state + 1) | EMIT | (c as u64) << OCTET
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Steps;
    use std::{format, string::String};

    struct User<'a>(&'a [u8], [u8; DIALLED], u32);

    impl Steps for User<'_> {}

    impl Text for User<'_> {
        fn len(&self) -> u32 {
            self.0.len() as u32
        }

        fn is_whole(&self) -> bool {
            true
        }

        fn octet(&self, at: u32) -> Option<u8> {
            self.0.get(at as usize).copied()
        }

        fn word(&self, at: u32) -> u64 {
            (0..8).fold(0, |word, i| word | (self.octet(at + i).unwrap_or(0) as u64) << (8 * i))
        }

        fn set_dialled(&mut self, at: u32, octet: u8) {
            self.1[at as usize & (DIALLED - 1)] = octet;
        }

        fn found(&mut self, _: u32) -> &mut u32 {
            &mut self.2
        }
    }

    #[test]
    fn digits_read_by_words_are_those_of_the_automaton() {
        let all = "012345678901234567890123456789";
        let mut usual = 0;
        for plus in ["", "+", "++"] {
            for count in 0..all.len() {
                for at in 0..=count {
                    for other in ["", "+", "/", ":", "%30", "-", "a", "\0", "\u{a0}", "#"] {
                        let user = format!("{plus}{}{other}{}", &all[..at], &all[at..count]);
                        let whole = format!("{user}@pbx.example");
                        let end = user.len() as u32;
                        let (mut words, mut octets) =
                            (User(whole.as_bytes(), [0; DIALLED], 0), User(whole.as_bytes(), [0; DIALLED], 0));
                        let found = digits(&mut words, 0, end);
                        if found == 0 {
                            continue;
                        }
                        usual += 1;
                        assert_eq!(found, read(&mut octets, 0, end, 0), "{user}");
                        let dialled = Shape(found).len() as usize;
                        assert_eq!(words.1[..dialled], octets.1[..dialled], "{user}");
                        assert_eq!(String::from_utf8_lossy(&words.1[..dialled]), user);
                    }
                }
            }
        }
        assert!(usual > 400, "{usual}");
    }
}
