//! The automata that read a SIP message octet by octet.
//!
//! A state is one word: a phase in the low four bits, positions of twelve bits above, [`STOP`] on top. Positions are
//! octets from the start of the message; zero means "not seen", since nothing that is looked for can stand there.

use crate::{
    number::shape,
    sip::{
        parameter::{self, NONCE, TAG, USERNAME},
        words,
    },
    text::{STOP, Text, WINDOW},
};

/// Finds method and Request-URI; see [`StartLine`].
pub const START_LINE: u32 = 0;
/// Finds what bounds the user part of a URI; see [`Uri`].
pub const URI: u32 = 1;
/// Finds the telephone-subscriber parameters that carry a number; see [`Parameters`].
pub const PARAMETERS: u32 = 2;
/// Finds the URI in a header value; see [`address`].
pub const ADDRESS: u32 = 3;
/// Skips blanks; the first other octet is at [`first_octet`].
pub const BLANKS: u32 = 4;
/// Skips blanks, and folded lines, up to the colon of a header; the octet behind it is at [`first_octet`].
pub const COLON: u32 = 6;
/// Reads hexadecimal digits and hyphens; see [`has_letters`].
pub const HEX: u32 = 7;
/// Reads a dialled string; see [`crate::number::shape`].
pub const DIAL: u32 = 5;
/// Finds the first digit of a number behind visual separators, escaped or not; it is at [`first_octet`] if it is 1 to 9.
pub const LOCAL: u32 = 11;

const FIELD: u64 = 0xfff;

#[inline(always)]
const fn field(state: u64, shift: u32) -> u32 {
    (state >> shift & FIELD) as u32
}

#[inline(always)]
const fn set(state: u64, shift: u32, at: u32) -> u64 {
    state & !(FIELD << shift) | (at as u64 & FIELD) << shift
}

#[inline(always)]
const fn phase(state: u64, to: u64) -> u64 {
    state & !15 | to
}

/// Runs an automaton over the window. The kernel has this loop in one function of its own.
#[inline(always)]
pub fn run<T: Text + ?Sized>(text: &T, machine: u32, at: u32, end: u32, mut state: u64) -> u64 {
    let mut i = 0u32;
    while i < WINDOW {
        let here = at.wrapping_add(i);
        if here >= end {
            break;
        }
        let Some(octet) = text.octet(here) else { break };
        state = text.step(machine, state, octet as u32, here);
        if state & STOP != 0 {
            break;
        }
        i += 1;
    }
    state
}

/// One step: the state after `octet`, which stands at `at`.
#[inline(always)]
pub fn step(machine: u32, state: u64, octet: u32, at: u32) -> u64 {
    let c = octet as u8;
    match machine {
        START_LINE => start_line(state, c, at),
        URI => uri(state, c, at),
        PARAMETERS => parameters(state, c, at),
        ADDRESS => address_step(state, c, at),
        DIAL => shape::step(state, c),
        HEX => hex_step(state, c),
        TAG | USERNAME | NONCE => parameter::step(machine, state, c, at),
        COLON => colon(state, c, at),
        LOCAL => local(state, c, at),
        _ => {
            if is_blank(c) || is_line_end(c) {
                state
            } else {
                set(state, 4, at) | STOP
            }
        }
    }
}

#[inline(always)]
const fn colon(state: u64, c: u8, at: u32) -> u64 {
    match state & 15 {
        RETURN if c == b'\n' => phase(state, NEWLINE),
        NEWLINE | RETURN if !is_blank(c) => state | STOP,
        _ => match c {
            b' ' | b'\t' => phase(state, PLAIN),
            b'\r' => phase(state, RETURN),
            b'\n' => phase(state, NEWLINE),
            b':' => set(state, 4, at + 1) | STOP,
            _ => state | STOP,
        },
    }
}

/// Behind `%`, `%2` and `%3`.
const PERCENT: u64 = 1;
const PERCENT_2: u64 = 2;
const PERCENT_3: u64 = 3;

#[inline(always)]
const fn local(state: u64, c: u8, at: u32) -> u64 {
    match (state & 15, c) {
        (PERCENT, b'2') => phase(state, PERCENT_2),
        (PERCENT, b'3') => phase(state, PERCENT_3),
        // `%20`, `%28`, `%29`, `%2D` and `%2E`.
        (PERCENT_2, b'0' | b'8' | b'9' | b'd' | b'D' | b'e' | b'E') => phase(state, PLAIN),
        (PLAIN, b'-' | b'.' | b'(' | b')' | b' ' | b'\t') => state,
        (PLAIN, b'%') => phase(state, PERCENT),
        (PLAIN | PERCENT_3, b'1'..=b'9') => set(state, 4, at) | STOP,
        _ => state | STOP,
    }
}

/// A letter among them.
const LETTER: u64 = 1;

#[inline(always)]
const fn hex_step(state: u64, c: u8) -> u64 {
    match c {
        b'0'..=b'9' | b'-' => state,
        b'a'..=b'f' | b'A'..=b'F' => state | LETTER,
        _ => state | STOP,
    }
}

/// Whether [`HEX`] found nothing else, and a letter among it, from its state.
#[inline(always)]
pub const fn has_letters(state: u64) -> bool {
    state & (STOP | LETTER) == LETTER
}

#[inline(always)]
const fn is_blank(c: u8) -> bool {
    c == b' ' || c == b'\t'
}

#[inline(always)]
const fn is_line_end(c: u8) -> bool {
    c == b'\r' || c == b'\n'
}

/// `token` of RFC 3261 section 25.1.
#[inline(always)]
const fn is_token(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

/// What [`START_LINE`] found.
#[derive(Clone, Copy, Debug)]
pub struct StartLine(pub u64);

const LEAD: u64 = 0;
const METHOD: u64 = 1;
const GAP: u64 = 2;
const FOLD: u64 = 3;

impl StartLine {
    /// Whether only blanks and line ends were seen.
    #[inline(always)]
    pub const fn is_blank(self) -> bool {
        self.0 & STOP == 0 && self.0 & 15 == LEAD
    }

    /// Whether the message ended before its start line did.
    #[inline(always)]
    pub const fn is_cut(self) -> bool {
        self.0 & STOP == 0
    }

    /// Where the first token begins, and where it ends.
    #[inline(always)]
    pub const fn token(self) -> (u32, u32) {
        (field(self.0, 4), field(self.0, 16))
    }

    /// Where the Request-URI begins; 0 where this is no request.
    #[inline(always)]
    pub const fn uri(self) -> u32 {
        field(self.0, 28)
    }
}

/// Servers skip CR, LF, blanks and NUL in front of the start line, several blanks behind the method, and some a line
/// end before a blank there; no server needs the version. Angle brackets around the URI (RFC 4475 section 3.1.2.7) are
/// taken off by several.
#[inline(always)]
fn start_line(state: u64, c: u8, at: u32) -> u64 {
    match state & 15 {
        LEAD => {
            // A byte order mark stands in front of text that Windows tools save.
            if is_blank(c) || is_line_end(c) || matches!(c, 0 | 0xef | 0xbb | 0xbf) {
                state
            } else if is_token(c) {
                phase(set(state, 4, at), METHOD)
            } else {
                state | STOP
            }
        }
        METHOD => {
            if is_token(c) {
                state
            } else if is_blank(c) || c == 0 {
                phase(set(state, 16, at), GAP)
            } else if is_line_end(c) {
                phase(set(state, 16, at), FOLD)
            } else {
                set(state, 16, at) | STOP
            }
        }
        GAP => {
            if is_blank(c) || c == 0 || c == b'<' {
                state
            } else if is_line_end(c) {
                phase(state, FOLD)
            } else {
                set(state, 28, at) | STOP
            }
        }
        _ => {
            if is_line_end(c) {
                state
            } else if is_blank(c) {
                phase(state, GAP)
            } else {
                state | STOP
            }
        }
    }
}

/// Finds method and Request-URI of the message at `at`.
#[inline(always)]
pub fn first_line<T: Text + ?Sized>(text: &mut T, at: u32) -> StartLine {
    let usual = words::invite(text, at);
    if usual != 0 {
        return StartLine(usual);
    }
    let len = text.len();
    StartLine(text.scan(START_LINE, at, len, 0))
}

/// The state of [`START_LINE`] behind a method from `token` to `end`, and in front of a URI at `uri`.
#[inline(always)]
pub(super) const fn request(token: u32, end: u32, uri: u32) -> u64 {
    phase(set(set(set(STOP, 4, token), 16, end), 28, uri), GAP)
}

/// What [`URI`] found behind the scheme.
#[derive(Clone, Copy, Debug)]
pub struct Uri(pub u64);

impl Uri {
    /// Where the first semicolon stands, if there is one.
    #[inline(always)]
    pub const fn semicolon(self) -> u32 {
        field(self.0, 4)
    }

    /// Where the first colon stands, if there is one.
    #[inline(always)]
    pub const fn colon(self) -> u32 {
        field(self.0, 16)
    }

    /// Where the first `@` stands, if there is one.
    #[inline(always)]
    pub const fn at_sign(self) -> u32 {
        field(self.0, 28)
    }

    /// Where the URI ends, if it ended before an `@`.
    #[inline(always)]
    pub const fn end(self) -> u32 {
        field(self.0, 40)
    }
}

/// The last octet was a bracket that may close the URI.
const CLOSED: u64 = 1;

/// A bracket closes the URI where its end or another part of the header follows; Kamailio takes others, and NUL, for part
/// of a user.
#[inline(always)]
fn uri(state: u64, c: u8, at: u32) -> u64 {
    if state & 15 == CLOSED {
        if closes(c) {
            return state | STOP;
        }
        return uri_octet(set(phase(state, PLAIN), 40, 0), c, at);
    }
    uri_octet(state, c, at)
}

/// Whether a bracket in front of this octet closes the URI.
#[inline(always)]
pub(super) const fn closes(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n' | b';' | b',' | b'?' | b'>')
}

/// The same behind any other octet.
#[inline(always)]
pub(super) const fn uri_octet(state: u64, c: u8, at: u32) -> u64 {
    match c {
        b'@' => set(state, 28, at) | STOP,
        b' ' | b'\t' | b'\r' | b'\n' => set(state, 40, at) | STOP,
        b'>' => phase(set(state, 40, at), CLOSED),
        b';' if field(state, 4) == 0 => set(state, 4, at),
        b':' if field(state, 16) == 0 => set(state, 16, at),
        _ => state,
    }
}

/// What [`PARAMETERS`] found: where the values begin.
#[derive(Clone, Copy, Debug)]
pub struct Parameters(pub u64);

/// A parameter that carries a number came twice, or the name of one begins like a number.
const TWICE: u64 = 1 << 62;

impl Parameters {
    /// Where the value of `rn` begins (RFC 4694 section 5), if there is one.
    #[inline(always)]
    pub const fn routing_number(self) -> u32 {
        field(self.0, 8)
    }

    /// Where the value of `phone-context` begins (RFC 3966 section 5.1.5), if there is one.
    #[inline(always)]
    pub const fn phone_context(self) -> u32 {
        field(self.0, 20)
    }

    /// Where the value of `rn-context` begins (RFC 4694 section 5), if there is one.
    #[inline(always)]
    pub const fn routing_context(self) -> u32 {
        field(self.0, 32)
    }

    /// Whether one of them came twice, or one is named like a number, so that servers may differ in what they take.
    #[inline(always)]
    pub const fn ambiguous(self) -> bool {
        self.0 & TWICE != 0
    }
}

/// The phase is five bits here: 0 between parameters, 1 at the start of a name, 2..=14 inside `phone-context`,
/// 15..=25 inside `rn-context`.
const NAME: u64 = 1;

#[inline(always)]
fn parameters(state: u64, c: u8, at: u32) -> u64 {
    let phase = state & 31;
    let rest = state & !31;
    if c == b';' {
        return rest | NAME;
    }
    let low = c | 0x20;
    if c == b'=' {
        let shift = match phase {
            16 => 8,
            14 => 20,
            24 => 32,
            _ => return rest,
        };
        return if field(state, shift) == 0 { set(rest, shift, at + 1) } else { rest | TWICE };
    }
    // No parameter is named so; some servers dial the whole user.
    if phase == NAME && c.is_ascii_digit() {
        return rest | TWICE;
    }
    let next = match (phase, low) {
        (1, b'p') => 2,
        (2, b'h') => 3,
        (3, b'o') => 4,
        (4, b'n') => 5,
        (5, b'e') => 6,
        (6, b'-') => 7,
        (7, b'c') => 8,
        (8, b'o') => 9,
        (9, b'n') => 10,
        (10, b't') => 11,
        (11, b'e') => 12,
        (12, b'x') => 13,
        (13, b't') => 14,
        (1, b'r') => 15,
        (15, b'n') => 16,
        (16, b'-') => 17,
        (17, b'c') => 18,
        (18, b'o') => 19,
        (19, b'n') => 20,
        (20, b't') => 21,
        (21, b'e') => 22,
        (22, b'x') => 23,
        (23, b't') => 24,
        _ => 0,
    };
    rest | next
}

const PLAIN: u64 = 0;
const QUOTED: u64 = 1;
const ESCAPED: u64 = 2;
const NEWLINE: u64 = 3;
/// Behind a CR, of which an LF is a part.
const RETURN: u64 = 4;

/// A start state of [`ADDRESS`]: the first address of a list is meant. Without it, the last.
pub const FIRST: u64 = 1 << 61;

/// A start state of [`ADDRESS`]: a comma ends an address that has no brackets (RFC 3261 section 7.3.1).
pub const LIST: u64 = 1 << 60;

/// A start state of [`ADDRESS`]: the address behind the next comma is meant.
pub const BEHIND: u64 = 1 << 59;

/// Where [`BLANKS`] found something else; 0 where it did not.
#[inline(always)]
pub const fn first_octet(state: u64) -> u32 {
    field(state, 4)
}

/// Where the URI of a header value begins, from the state of [`ADDRESS`]: behind the `<` outside quotes, else at the
/// first octet that is not blank; 0 where the value is empty.
#[inline(always)]
pub const fn address(state: u64) -> u32 {
    let bracket = field(state, 16);
    if bracket != 0 { bracket } else { field(state, 4) }
}

/// Finds the URI in the header value at `value`: the state of [`ADDRESS`], which begins in `start`.
#[inline(always)]
pub fn find_address<T: Text + ?Sized>(text: &mut T, value: u32, start: u64) -> u64 {
    let usual = if start & BEHIND == 0 { words::bracket(text, value, start) } else { 0 };
    if usual != 0 {
        return usual;
    }
    let len = text.len();
    text.scan(ADDRESS, value, len, start)
}

/// The state of [`ADDRESS`] behind a bracket, where the first address is meant; `at` is behind the bracket.
#[inline(always)]
pub(super) const fn bracketed(at: u32) -> u64 {
    set(STOP, 16, at)
}

/// `name-addr / addr-spec` of RFC 3261 section 25.1, over folded lines.
#[inline(always)]
fn address_step(state: u64, c: u8, at: u32) -> u64 {
    match state & 15 {
        QUOTED => match c {
            b'\\' => phase(state, ESCAPED),
            b'"' => phase(state, PLAIN),
            b'\r' => phase(state, RETURN),
            b'\n' => phase(state, NEWLINE),
            _ => state,
        },
        ESCAPED => phase(state, QUOTED),
        RETURN if c == b'\n' => phase(state, NEWLINE),
        NEWLINE | RETURN if !is_blank(c) => state | STOP,
        _ => match c {
            b'\r' => phase(state, RETURN),
            b'\n' => phase(state, NEWLINE),
            b' ' | b'\t' => phase(state, PLAIN),
            b'"' => phase(state, QUOTED),
            b',' if state & BEHIND != 0 => phase(state & !BEHIND, PLAIN),
            _ if state & BEHIND != 0 => phase(state, PLAIN),
            b',' if state & LIST != 0 && field(state, 4) != 0 => state | STOP,
            b'<' if state & FIRST != 0 => set(state, 16, at + 1) | STOP,
            b'<' => phase(set(state, 16, at + 1), PLAIN),
            _ if field(state, 4) == 0 => phase(set(state, 4, at), PLAIN),
            _ => phase(state, PLAIN),
        },
    }
}
