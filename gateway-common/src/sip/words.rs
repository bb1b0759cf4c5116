//! What nearly every message looks like, read eight octets at a time.
//!
//! Whatever is answered here, an automaton of [`scan`] answers in the same way; what is not, is left to it.

use crate::{
    sip::{
        parameter,
        scan::{self, FIRST, URI},
    },
    text::{STOP, Text},
};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Words in which the end of something is looked for; what is longer is left to the automaton.
const WORDS: u32 = 16;
/// Marks at which the octets of a URI are looked at closer.
const MARKS: u32 = 24;

/// Marks the octets that are this one, exactly in the lowest one that is marked.
#[inline(always)]
pub(super) const fn equal(word: u64, octet: u8) -> u64 {
    below(word ^ ONES * octet as u64, 1)
}

/// Marks the octets below this one, which is at most 128, exactly in the lowest one that is marked.
#[inline(always)]
const fn below(word: u64, octet: u8) -> u64 {
    word.wrapping_sub(ONES * octet as u64) & !word & HIGH
}

/// Marks `:`, `;`, `<`, `=`, `>`, `?` and `@`, and nothing else.
#[inline(always)]
const fn delimiters(word: u64) -> u64 {
    let low = word & !HIGH;
    (ONES * (0x80 + b'@') as u64).wrapping_sub(low) & (low + ONES * (0x80 - b':') as u64) & !word & HIGH
}

/// Which octet is the lowest that is marked; one is.
#[inline(always)]
pub(super) const fn first(marks: u64) -> u32 {
    // All bits below the mark; of the octets they touch, the mark's is the highest.
    let touched = ((marks & marks.wrapping_neg()) - 1) & ONES;
    (touched.wrapping_mul(ONES) >> 56) as u32 - 1
}

/// The first octet from `at` on that is marked; 0 where there is none near.
#[inline(always)]
fn find<T: Text + ?Sized>(text: &T, at: u32, marks: impl Fn(u64) -> u64) -> u32 {
    let mut at = at;
    let mut i = 0u32;
    while i < WORDS {
        let marked = marks(text.word(at));
        if marked != 0 {
            at += first(marked);
            break;
        }
        at = text.opaque(at as u64 + 8) as u32;
        i = text.rolled(i + 1);
    }
    let found = if i < WORDS && at < text.len() { at } else { 0 };
    text.opaque(found as u64) as u32
}

/// `at`, or the octet behind it where a space stands there.
#[inline(always)]
fn behind_space<T: Text + ?Sized>(text: &T, at: u32) -> u32 {
    let space = text.octet(at) == Some(b' ');
    text.opaque(at as u64 + space as u64) as u32
}

/// The start line of an INVITE, in the state of [`scan::START_LINE`]; 0 where it is not as usual.
#[inline(always)]
pub(super) fn invite<T: Text + ?Sized>(text: &T, at: u32) -> u64 {
    const METHOD: u64 = u64::from_le_bytes(*b"INVITE \0");
    let word = text.word(at);
    let next = (word >> 56) as u8;
    if word & !(0xff << 56) != METHOD || next <= b' ' || next == b'<' || at + 8 > text.len() {
        return 0;
    }
    scan::request(at, at + 6, at + 7)
}

/// The address of a header value, as from [`scan::ADDRESS`], if it begins with a bracket and the first is meant.
#[inline(always)]
pub(super) fn bracket<T: Text + ?Sized>(text: &T, value: u32, start: u64) -> u64 {
    let at = behind_space(text, value);
    if start & FIRST != 0 && text.octet(at) == Some(b'<') { scan::bracketed(at + 1) } else { 0 }
}

/// What bounds the user part of the URI from `at` to `end`, as [`scan::URI`] finds it.
#[inline(always)]
pub fn uri<T: Text + ?Sized>(text: &mut T, at: u32, end: u32) -> u64 {
    let mut state = text.opaque(0);
    let mut at = at;
    let mut i = 0u32;
    while i < MARKS {
        if at >= end {
            return state;
        }
        let word = text.word(at);
        let marks = below(word, b' ' + 1) | delimiters(word);
        if marks == 0 {
            at = text.opaque(at as u64 + 8) as u32;
        } else {
            at = text.opaque((at + first(marks)) as u64) as u32;
            if at >= end {
                return state;
            }
            let octet = text.octet(at).unwrap_or(0);
            let bracket = octet == b'>';
            if bracket && at + 1 >= end {
                break;
            }
            if !bracket {
                state = text.opaque(scan::uri_octet(state, octet, at));
            } else if text.octet(at + 1).is_some_and(scan::closes) {
                return scan::uri_octet(state, octet, at) | STOP;
            }
            if state & STOP != 0 {
                return state;
            }
            at = text.opaque(at as u64 + 1) as u32;
        }
        i = text.rolled(i + 1);
    }
    text.scan(URI, at, end, state)
}

/// A word that begins at `at` or behind one space, as [`WORD`](parameter::WORD) finds it; 0 where it is not as usual.
#[inline(always)]
pub(super) fn word<T: Text + ?Sized>(text: &T, at: u32) -> u64 {
    value(text, behind_space(text, at))
}

/// The value that begins at `at`.
#[inline(always)]
fn value<T: Text + ?Sized>(text: &T, at: u32) -> u64 {
    if matches!(text.octet(at), None | Some(0..=b' ' | b'"')) {
        return 0;
    }
    let marks = |word| below(word, b' ' + 1) | equal(word, b';') | equal(word, b',') | equal(word, b'>');
    let end = find(text, at + 1, marks);
    let ends = matches!(text.octet(end), Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b',' | b'>'));
    if end != 0 && ends { parameter::found(at, end) } else { 0 }
}

/// The tag of a From or To of one address in brackets, as [`TAG`](parameter::TAG) finds it; 0 where it is not as usual.
#[inline(always)]
pub(super) fn tag<T: Text + ?Sized>(text: &T, value_at: u32) -> u64 {
    let mut at = behind_space(text, value_at);
    if text.octet(at) == Some(b'"') {
        let close = find(text, at + 1, |word| equal(word, b'"') | equal(word, b'\\'));
        if text.octet(close) != Some(b'"') {
            return 0;
        }
        at = text.opaque(close as u64 + 1) as u32;
    }
    let open =
        find(text, at, |word| below(word, b'\r' + 1) | equal(word, b'"') | equal(word, b';') | equal(word, b'<'));
    if open == 0 || text.octet(open) != Some(b'<') {
        return 0;
    }
    let close = find(text, open + 1, |word| equal(word, b'>'));
    if close == 0 {
        return 0;
    }
    let behind = text.word(close + 1);
    if (behind | 0x2020_2000) & 0xff_ffff_ffff == TAG {
        return value(text, close + 6);
    }
    // A line that begins with a blank goes on with the header.
    let line_end = behind as u16 == u16::from_le_bytes(*b"\r\n") && close + 3 < text.len();
    if line_end && !matches!((behind >> 16) as u8, b' ' | b'\t') { STOP } else { 0 }
}

const TAG: u64 = u64::from_le_bytes(*b";tag=\0\0\0");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{
        parameter::{TAG, WORD, Word},
        scan::{ADDRESS, LIST, START_LINE, StartLine, Uri, address},
    };
    use std::{string::String, vec::Vec};

    /// Marsaglia's xorshift64: chance that can be met again.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, n: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % n as u64) as usize
        }

        /// A text of these parts.
        fn text(&mut self, parts: &[&str]) -> Vec<u8> {
            let parts: Vec<&str> = (0..self.below(24)).map(|_| parts[self.below(parts.len())]).collect();
            parts.concat().into_bytes()
        }
    }

    /// What tells headers and URIs apart, and what does not.
    const PARTS: &[&str] = &[
        " ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "\r\n ",
        "\"",
        "\\",
        "<",
        ">",
        ";",
        ",",
        ":",
        "=",
        "?",
        "@",
        "\0",
        "\x1f",
        "a",
        "203",
        "+81352345678",
        "sip:",
        ">;tag=",
        ";TAG=",
        ";tag",
        "<sip:203@pbx.example>",
        "\u{a0}",
        "x1",
        "\"A\" <",
        "a word of more than eight",
        "INVITE ",
        "INVITE sip:",
        "invite ",
    ];

    fn runs(check: impl Fn(&mut Word<'_>, &str)) {
        for seed in 1..40_000u64 {
            let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut text = chance.text(PARTS);
            if seed % 50 == 0 {
                // Longer than what is read by words.
                text.extend([b'x'; 300]);
                text.extend(chance.text(PARTS));
            }
            check(&mut Word(&text, 0), &String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn marks_are_exact_where_they_must_be() {
        for octet in 0..=255u8 {
            for at in 0..8 {
                for other in [0, b' ', b'9', b'A', 0x7f, 0x80, 0xff] {
                    let mut octets = [other; 8];
                    octets[at] = octet;
                    let word = u64::from_le_bytes(octets);
                    let lowest = |wanted: &dyn Fn(u8) -> bool| octets.iter().position(|octet| wanted(*octet));
                    let found = |marks: u64| (marks != 0).then(|| first(marks) as usize);
                    assert_eq!(found(equal(word, b';')), lowest(&|octet| octet == b';'), "{octets:?}");
                    assert_eq!(found(below(word, 0x21)), lowest(&|octet| octet < 0x21), "{octets:?}");
                    let marked = delimiters(word).to_le_bytes().map(|octet| octet != 0);
                    assert_eq!(marked, octets.map(|octet| (b':'..=b'@').contains(&octet)), "{octets:?}");
                }
            }
        }
    }

    #[test]
    fn a_uri_is_bounded_as_by_the_automaton() {
        runs(|text, shown| {
            let len = text.len();
            for end in [len, len / 2] {
                let (words, octets) = (uri(text, 0, end), text.scan(URI, 0, end, 0));
                let found =
                    |state| (Uri(state).semicolon(), Uri(state).colon(), Uri(state).at_sign(), Uri(state).end());
                assert_eq!(found(words), found(octets), "{shown:?} to {end}");
                assert_eq!(words & STOP, octets & STOP, "{shown:?} to {end}");
            }
        });
    }

    #[test]
    fn words_and_tags_are_those_of_the_automaton() {
        let mut usual = [0; 2];
        for (kind, start) in [WORD, 0].into_iter().enumerate() {
            let count = core::cell::Cell::new(0);
            runs(|text, shown| {
                let words = if start == WORD { word(text, 1) } else { tag(text, 1) };
                if words != 0 {
                    count.set(count.get() + 1);
                    let octets = text.scan(TAG, 1, text.len(), start);
                    let found = |state: u64| state >> 4 & 0xff_ffff;
                    assert_eq!(found(words), found(octets), "{shown:?}");
                }
            });
            usual[kind] = count.get();
        }
        assert!(usual.iter().all(|count| *count > 200), "{usual:?} is too few to say anything");
        assert_ne!(tag(&Word(b": <sip:100@203.0.113.10>;tag=1\r\n", 0), 1), 0);
        assert_ne!(tag(&Word(b": \"A, B\" <sip:100@a;x=1>;TAG=1;y\r\n", 0), 1), 0);
        assert_eq!(tag(&Word(b": <sip:100@203.0.113.10>\r\nA: b", 0), 1), STOP, "none");
        assert_ne!(word(&Word(b": 1-b@203.0.113.10\r\n", 0), 1), 0);
    }

    #[test]
    fn addresses_and_first_lines_are_those_of_the_automata() {
        runs(|text, shown| {
            for start in [0, FIRST, FIRST | LIST] {
                let words = bracket(text, 1, start);
                let octets = text.scan(ADDRESS, 1, text.len(), start);
                assert!(words == 0 || address(words) == address(octets), "{shown:?}");
            }
            let words = StartLine(invite(text, 0));
            let octets = StartLine(text.scan(START_LINE, 0, text.len(), 0));
            let found = |line: StartLine| (line.token(), line.uri(), line.is_cut(), line.is_blank());
            assert!(words.0 == 0 || found(words) == found(octets), "{shown:?}");
        });
        assert_ne!(invite(&Word(b"INVITE sip:a SIP/2.0\r\n", 0), 0), 0);
        assert_ne!(bracket(&Word(b": <sip:a>", 0), 1, FIRST), 0);
    }
}
