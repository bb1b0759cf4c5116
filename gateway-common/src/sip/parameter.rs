//! Words of a header value, by digest: a whole value, a tag, the username of credentials, the user of a URI.

use crate::{
    sip::{
        Method,
        scan::{self, FIRST, Uri},
        words,
    },
    text::{STOP, Steps, Text},
};

/// Finds the `tag` of a From or To (RFC 3261 section 19.3); see [`digest`].
pub const TAG: u32 = 8;
/// Finds the `username` of Digest credentials (RFC 7616 section 3.4); see [`digest`].
pub const USERNAME: u32 = 9;
/// Finds the `nonce` of a Digest challenge, or of credentials (RFC 7616 section 3.3); see [`digest`].
pub const NONCE: u32 = 10;

const PLAIN: u64 = 0;
const QUOTED: u64 = 1;
const ESCAPED: u64 = 2;
const BRACKETS: u64 = 3;
const NEWLINE: u64 = 4;
const RETURN: u64 = 5;
const BEFORE: u64 = 6;
const VALUE: u64 = 7;
const QUOTED_VALUE: u64 = 8;
const ESCAPED_VALUE: u64 = 9;

/// A start state: no name is looked for, the first word is the value.
pub const WORD: u64 = BEFORE;

const START: u32 = 4;
const END: u32 = 16;
/// One more than the letters of the name that were seen; 0 where no name can begin.
const LETTERS: u32 = 28;

/// A name, its first letter lowest, and its length.
const fn name(text: &[u8]) -> (u64, u64) {
    let mut word = 0;
    let mut rest = text;
    while let [head @ .., last] = rest {
        word = word << 8 | *last as u64;
        rest = head;
    }
    (word, text.len() as u64)
}

const TAG_NAME: (u64, u64) = name(b"tag");
const USERNAME_NAME: (u64, u64) = name(b"username");
const NONCE_NAME: (u64, u64) = name(b"nonce");

#[inline(always)]
const fn to(state: u64, phase: u64) -> u64 {
    state & !15 | phase
}

#[inline(always)]
const fn with(state: u64, shift: u32, at: u32) -> u64 {
    state | (at as u64 & 0xfff) << shift
}

#[inline(always)]
const fn letters(state: u64, count: u64) -> u64 {
    state & !(0xf << LETTERS) | count << LETTERS
}

/// The state behind a value from `start` to `end`.
#[inline(always)]
pub(super) const fn found(start: u32, end: u32) -> u64 {
    with(with(STOP, START, start), END, end)
}

/// One step of [`TAG`], [`USERNAME`] and [`NONCE`].
#[inline(always)]
pub(super) fn step(machine: u32, state: u64, c: u8, at: u32) -> u64 {
    let blank = c == b' ' || c == b'\t';
    let line_end = c == b'\r' || c == b'\n';
    match state & 15 {
        QUOTED if c == b'\\' => to(state, ESCAPED),
        QUOTED if c == b'"' => to(state, PLAIN),
        QUOTED => state,
        ESCAPED => to(state, QUOTED),
        BRACKETS if c == b'>' => to(state, PLAIN),
        BRACKETS => state,
        RETURN if c == b'\n' => to(state, NEWLINE),
        NEWLINE | RETURN if !blank => state | STOP,
        BEFORE if blank || line_end => state,
        BEFORE if c == b'"' => to(with(state, START, at + 1), QUOTED_VALUE),
        BEFORE => to(with(state, START, at), VALUE),
        VALUE if blank || line_end || matches!(c, b';' | b',' | b'>') => with(state, END, at) | STOP,
        VALUE => state,
        QUOTED_VALUE if c == b'"' => with(state, END, at) | STOP,
        QUOTED_VALUE if c == b'\\' => to(state, ESCAPED_VALUE),
        QUOTED_VALUE => state,
        ESCAPED_VALUE => to(state, QUOTED_VALUE),
        _ => outside(machine, state, c),
    }
}

/// Outside quotes, brackets and values.
#[inline(always)]
fn outside(machine: u32, state: u64, c: u8) -> u64 {
    let tag = machine == TAG;
    let (name, length) = match machine {
        TAG => TAG_NAME,
        NONCE => NONCE_NAME,
        _ => USERNAME_NAME,
    };
    let seen = state >> LETTERS & 0xf;
    let state = to(state, PLAIN);
    match c {
        b'\r' => to(state, RETURN),
        b'\n' => to(state, NEWLINE),
        b'"' => to(letters(state, 0), QUOTED),
        b'<' if tag => to(letters(state, 0), BRACKETS),
        b';' if tag => letters(state, 1),
        b',' if !tag => letters(state, 1),
        b'=' if seen == length + 1 => to(state, BEFORE),
        b' ' | b'\t' if seen == length + 1 => state,
        b' ' | b'\t' if !tag || seen == 1 => letters(state, 1),
        _ => {
            let next = if seen == 0 { 0 } else { name >> (8 * (seen - 1) & 63) & 0xff };
            let fits = seen != 0 && seen <= length && next == (c | 0x20) as u64;
            letters(state, if fits { seen + 1 } else { 0 })
        }
    }
}

/// Octets of a word that its digest covers at most.
const COVERED: u32 = 256;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 32).wrapping_mul(MULTIPLIER);
    hash ^ hash >> 29
}

/// A digest of the octets from `at` to `end`, by which `seed` keeps others from choosing collisions; never 0.
#[inline(always)]
pub fn span<T: Text + ?Sized>(text: &T, at: u32, end: u32, seed: u64) -> u64 {
    let mut hash = mixed(seed ^ end.wrapping_sub(at) as u64);
    let mut at = at;
    let mut i = 0u32;
    while i < COVERED / 8 {
        if at >= end {
            break;
        }
        let left = end - at;
        let word = text.word(at);
        let word = if left < 8 { word & ((1 << (8 * left & 63)) - 1) } else { word };
        hash = text.opaque(mixed(hash ^ word).wrapping_mul(MULTIPLIER));
        at = text.opaque(at as u64 + 8) as u32;
        i = text.rolled(i + 1);
    }
    let hash = mixed(hash);
    if hash == 0 { 1 } else { hash }
}

/// A word on its own.
pub(super) struct Word<'a>(pub(super) &'a [u8], pub(super) u32);

impl Steps for Word<'_> {}

impl Text for Word<'_> {
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
        let rest = self.0.get(at as usize..).unwrap_or(&[]);
        rest.iter().take(8).rev().fold(0, |word, octet| word << 8 | *octet as u64)
    }

    fn set_dialled(&mut self, _: u32, _: u8) {}

    fn found(&mut self, _: u32) -> &mut u32 {
        &mut self.1
    }
}

/// The digest, without a key, of a word as user space knows it; 0 where it is empty.
pub fn of_word(word: &[u8]) -> u64 {
    if word.is_empty() { 0 } else { span(&Word(word, 0), 0, word.len() as u32, 0) }
}

/// The digest of what `machine` finds from `at` on, or of the first word there where `start` is [`WORD`]; 0 where there is
/// nothing.
#[inline(always)]
pub fn digest<T: Text + ?Sized>(text: &mut T, machine: u32, at: u32, start: u64, seed: u64) -> u64 {
    if at == 0 {
        return 0;
    }
    let len = text.len();
    let usual = if machine == USERNAME {
        0
    } else if start == WORD {
        words::word(text, at)
    } else {
        words::tag(text, at)
    };
    let usual = text.opaque(usual);
    let found = if usual != 0 { usual } else { text.scan(machine, at, len, start) };
    let (start, end) = ((found >> START & 0xfff) as u32, (found >> END & 0xfff) as u32);
    if start == 0 {
        return 0;
    }
    text.span(start, if end == 0 { len } else { end }, seed)
}

/// The digest of the user part of the URI that begins at `at`; 0 where it has none.
#[inline(always)]
pub fn user<T: Text + ?Sized>(text: &mut T, at: u32, seed: u64) -> u64 {
    if at == 0 {
        return 0;
    }
    let len = text.len();
    let uri = Uri(text.uri(at, len));
    let end = if uri.at_sign() != 0 { uri.at_sign() } else { uri.end() };
    if uri.colon() == 0 || end <= uri.colon() {
        return 0;
    }
    text.span(uri.colon() + 1, end, seed)
}

/// The digest of the user part of the first address in the header value at `value`.
#[inline(always)]
pub fn address_user<T: Text + ?Sized>(text: &mut T, value: u32, seed: u64) -> u64 {
    if value == 0 {
        return 0;
    }
    let at = scan::address(scan::find_address(text, value, FIRST));
    text.user(at, seed)
}

/// The method that a CSeq whose value is at `value` names, if an answer to it is of interest: INVITE, UPDATE, REGISTER or BYE,
/// as its number; 0 for any other.
#[inline(always)]
pub fn answered<T: Text + ?Sized>(text: &mut T, value: u32) -> u32 {
    if value == 0 {
        return 0;
    }
    let len = text.len();
    let number = text.scan(TAG, value, len, WORD);
    let end = (number >> END & 0xfff) as u32;
    if end == 0 {
        return 0;
    }
    let method = text.scan(TAG, end, len, WORD);
    let (start, end) = ((method >> START & 0xfff) as u32, (method >> END & 0xfff) as u32);
    let word = text.word(start);
    match end.wrapping_sub(start) {
        6 if word << 16 == u64::from_le_bytes(*b"\0\0INVITE") => Method::Invite as u32,
        6 if word << 16 == u64::from_le_bytes(*b"\0\0UPDATE") => Method::Update as u32,
        8 if word == u64::from_le_bytes(*b"REGISTER") => Method::Register as u32,
        3 if word << 40 == u64::from_le_bytes(*b"\0\0\0\0\0BYE") => Method::Bye as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::{Word as Value, *};

    /// The digest of a word on its own.
    fn of(word: &str) -> u64 {
        digest(&mut Value(format!(" {word}\r\n").as_bytes(), 0), TAG, 1, WORD, 7)
    }

    fn found(machine: u32, value: &str) -> u64 {
        digest(&mut Value(format!(":{value}\r\n").as_bytes(), 0), machine, 1, 0, 7)
    }

    #[test]
    fn a_tag_is_a_parameter_of_the_header_and_of_nothing_else() {
        for value in [
            "<sip:203@a>;tag=x1",
            " \"tag=no;tag=no\" <sip:203@a;tag=no>;tag=x1;other=1",
            "sip:203@a;tag=x1",
            " <sip:203@a> ; TAG = x1 ",
            " <sip:203@a>\r\n ;tag=x1",
            "<sip:a>;stag=no;tags=no;tag=x1;tag=x2",
            "<sip:a>;q=\"a;tag=no\";tag=x1",
        ] {
            assert_eq!(found(TAG, value), of("x1"), "{value}");
        }
        for value in
            ["<sip:203@a>", "<sip:203@a;tag=x1>", "\"a;tag=x1\" <sip:a>", "<sip:a>\r\nX: ;tag=x1", "<sip:a>;tag"]
        {
            assert_eq!(found(TAG, value), 0, "{value}");
        }
    }

    #[test]
    fn a_username_is_found_wherever_it_stands() {
        for value in [
            " Digest username=\"203\", realm=\"pbx\"",
            "Digest realm=\"username=x\",username=\"203\"",
            "Digest realm=\"a\" , \r\n\tUSERNAME = \"203\"",
            "Digest username=203,realm=a",
        ] {
            assert_eq!(found(USERNAME, value), of("203"), "{value}");
        }
        for value in ["Digest realm=\"pbx\"", "Digest xusername=\"203\"", "Digest username*=UTF-8''203"] {
            assert_eq!(found(USERNAME, value), 0, "{value}");
        }
    }

    #[test]
    fn the_method_of_a_cseq() {
        let method = |cseq: &str| answered(&mut Value(format!(":{cseq}\r\n").as_bytes(), 0), 1);
        assert_eq!(method(" 1 INVITE"), Method::Invite as u32);
        assert_eq!(method("  99999\tREGISTER "), Method::Register as u32);
        assert_eq!(method("1 BYE"), Method::Bye as u32);
        assert_eq!(method("2 UPDATE"), Method::Update as u32);
        for other in ["1 OPTIONS", "1 INVITES", "1", "", "1 invite", "INVITE"] {
            assert_eq!(method(other), 0, "{other}");
        }
    }

    #[test]
    fn digests_tell_words_apart() {
        let words = ["a", "b", "ab", "12345678", "123456789", "12345678\u{0}", "1234567812345678"];
        for (i, one) in words.iter().enumerate() {
            for other in &words[..i] {
                assert_ne!(of(one), of(other), "{one:?} {other:?}");
            }
        }
        let mut text = Value(b"  abc\r\n", 0);
        assert_ne!(digest(&mut text, TAG, 1, WORD, 1), digest(&mut text, TAG, 1, WORD, 2));
    }

    #[test]
    fn a_line_has_one_digest_wherever_it_is_read() {
        let line = of_word(b"203");
        let value = b": Digest realm=\"x\", username=\"203\"\r\n";
        assert_eq!(digest(&mut Value(value, 0), USERNAME, 1, 0, 0), line);
        assert_eq!(address_user(&mut Value(b": <sip:203@pbx.example>;tag=1\r\n", 0), 1, 0), line);
        assert_eq!(of_word(b""), 0);
    }

    #[test]
    fn the_user_of_a_uri() {
        let user = |uri: &str| address_user(&mut Value(format!(":{uri}\r\n").as_bytes(), 0), 1, 7);
        assert_eq!(user("\"A\" <sip:203@a.example>;tag=1"), of("203"));
        assert_eq!(user("sip:203@a.example"), of("203"));
        assert_eq!(user("<tel:+8131234>"), of("+8131234"));
        assert_eq!(user("<sip:a.example>"), user("<sip:a.example>"));
    }
}
