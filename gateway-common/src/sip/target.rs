//! A URI as a place from which a server would dial: its user part, and the parameters that carry a number.

use crate::{
    number::shape::{Form, Shape},
    sip::scan::{self, BLANKS, HEX, LOCAL, PARAMETERS, Parameters, Uri},
    text::{STOP, Text},
};

/// What a URI names: its kind, where its routing number stands, and the shape of its dialled string, in two words, which
/// is what the kernel's functions hand around.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// Kind in the lowest byte, position of the value of `rn` in the next twelve bits, of `rn-context` in the next.
    pub head: u64,
    /// The dialled string, where it is a [`Kind::User`] or [`Kind::Host`]; else empty.
    pub shape: u64,
}

impl Target {
    const fn new(kind: Kind) -> Self {
        Self { head: kind as u64, shape: 0 }
    }

    /// What it is instead, without a dialled string.
    const fn instead(self, kind: Kind) -> Self {
        Self { head: self.head & !0xff | kind as u64, shape: 0 }
    }

    /// What it is.
    #[inline(always)]
    pub const fn kind(self) -> Kind {
        match self.head & 0xff {
            0 => Kind::User,
            1 => Kind::Host,
            2 => Kind::NoUser,
            3 => Kind::Emergency,
            4 => Kind::Other,
            5 => Kind::Ambiguous,
            _ => Kind::Cut,
        }
    }

    /// What it is, as its number.
    #[inline(always)]
    pub const fn kind_number(self) -> u64 {
        self.head & 0xff
    }

    /// Whether it has a user part of its own, or something that takes its place.
    #[inline(always)]
    pub const fn names(self) -> bool {
        const UNNAMED: u64 = 1 << Kind::Host as u64 | 1 << Kind::NoUser as u64 | 1 << Kind::Cut as u64;
        UNNAMED >> (self.head & 7) & 1 == 0
    }

    /// The dialled string.
    #[inline(always)]
    pub const fn shape(self) -> Shape {
        Shape(self.shape)
    }

    /// Where the values of `rn` (twelve bits) and `rn-context` (twelve bits above) begin; 0 without `rn`.
    #[inline(always)]
    pub const fn routing(self) -> u64 {
        if self.head >> 8 & 0xfff == 0 { 0 } else { self.head >> 8 & 0xff_ffff }
    }
}

/// What a URI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A user part, or a `tel:` number.
    User = 0,
    /// No user part, and a host that may be a number.
    Host = 1,
    /// No user part.
    NoUser = 2,
    /// `urn:service:sos` and what stands below it (RFC 5031).
    Emergency = 3,
    /// Another scheme, or none.
    Other = 4,
    /// A number that carries parameters twice, of which servers may take either.
    Ambiguous = 5,
    /// The message or the window ended inside it.
    Cut = 6,
}

/// Octets by which a URI is known for what it is, the longest of them `urn:service:sos`.
const SCHEME: u32 = 16;

const fn le(text: [u8; 4]) -> u64 {
    u32::from_le_bytes(text) as u64
}

/// Whether a URI that SIP servers dial begins at `at`.
#[inline(always)]
pub fn is_sip_uri<T: Text + ?Sized>(text: &T, at: u32) -> bool {
    let scheme = text.word(at) | 0x2020_2020_2020_2020;
    scheme & 0xffff_ffff == le(*b"sip:")
        || scheme & 0xff_ffff_ffff == le(*b"sips") | (b':' as u64) << 32
        || scheme & 0xffff_ffff == le(*b"tel:")
}

/// Reads the URI that begins at `at`, and its dialled string into the text's buffer.
#[inline(always)]
pub fn read<T: Text + ?Sized>(text: &mut T, at: u32) -> Target {
    let len = text.len();
    let at = behind_blanks(text, at);
    let scheme = text.word(at) | 0x2020_2020_2020_2020;
    let (tel, octets) = if scheme & 0xffff_ffff == le(*b"sip:") {
        (0, 4)
    } else if scheme & 0xff_ffff_ffff == le(*b"sips") | (b':' as u64) << 32 {
        (0, 5)
    } else if scheme & 0xffff_ffff == le(*b"tel:") {
        (1, 4)
    } else if scheme & 0xffff_ffff == le(*b"urn:") && is_sos(text, at + 4) {
        return Target::new(Kind::Emergency);
    } else {
        let cut = !text.is_whole() && at + SCHEME > len;
        return Target::new(if cut { Kind::Cut } else { Kind::Other });
    };
    let from = text.opaque((at + octets) as u64) as u32;
    let tel = text.opaque(tel) != 0;
    if from >= len {
        return Target::new(if text.is_whole() { Kind::NoUser } else { Kind::Cut });
    }
    let from = behind_blanks(text, from);
    let state = text.uri(from, len);
    let uri = Uri(state);
    if state & STOP == 0 && !text.is_whole() {
        return Target::new(Kind::Cut);
    }
    let bound = bound(uri, len);
    let user = uri.at_sign() != 0 || tel;
    let end = end(text, uri, bound);
    if end <= from && uri.semicolon() != from {
        return Target::new(Kind::NoUser);
    }
    let mut target = Target::new(Kind::User);
    let mut shape = 0;
    if user && uri.semicolon() != 0 {
        let parameters = Parameters(text.scan(PARAMETERS, uri.semicolon(), bound, 0));
        if parameters.ambiguous() {
            target = Target::new(Kind::Ambiguous);
        }
        target.head |= (parameters.routing_number() as u64) << 8 | (parameters.routing_context() as u64) << 20;
        shape = context(text, parameters.phone_context(), bound, from);
    }
    target.shape = text.dial(from, end, shape);
    let form = target.shape().form();
    if !user {
        // Who writes an IPv6 address calls a machine (RFC 5118).
        if text.octet(from) == Some(b'[') {
            return target.instead(Kind::Other);
        }
        // A host is a number only if it is written as one, well or badly.
        return if target.shape().dotted() || matches!(form, Form::Word) {
            target.instead(Kind::NoUser)
        } else {
            Target { head: Kind::Host as u64, ..target }
        };
    }
    if matches!(form, Form::Word) && is_gateway(text, from) {
        return target.instead(Kind::NoUser);
    }
    if matches!(form, Form::Word) || is_uuid(text, from, end) { target.instead(Kind::Other) } else { target }
}

/// `at`, or the first octet behind the blanks that stand there.
#[inline(always)]
fn behind_blanks<T: Text + ?Sized>(text: &mut T, at: u32) -> u32 {
    let octet = text.octet(at);
    if octet != Some(b' ') && octet != Some(b'\t') {
        return at;
    }
    let first = scan::first_octet(text.scan(BLANKS, at, text.len(), 0));
    if first != 0 { first } else { at }
}

/// Where a URI ends, as far as its user part goes.
#[inline(always)]
const fn bound(uri: Uri, len: u32) -> u32 {
    if uri.at_sign() != 0 {
        uri.at_sign()
    } else if uri.end() != 0 {
        uri.end()
    } else {
        len
    }
}

/// Where the number ends: at parameters, or at a password.
#[inline(always)]
fn end<T: Text + ?Sized>(text: &T, uri: Uri, bound: u32) -> u32 {
    let mut end = bound;
    if uri.semicolon() != 0 && uri.semicolon() < end {
        end = uri.semicolon();
    }
    if uri.colon() != 0 && uri.colon() < end {
        end = uri.colon();
    }
    text.opaque(end as u64) as u32
}

/// Reads a routing number: the value at `at`, with the context at `context_at` in front where it is a local number.
#[inline(always)]
pub fn read_value<T: Text + ?Sized>(text: &mut T, at: u32, context_at: u32) -> Target {
    let len = text.len();
    let end = value_end(text, at, len);
    let shape = context(text, context_at, len, at);
    Target { shape: text.dial(at, end, shape), ..Target::new(Kind::User) }
}

/// RFC 3966 section 5.1.5: a global context stands in front of a local number. One that begins with a zero, a plus or a
/// service code is dialled as it is.
#[inline(always)]
fn context<T: Text + ?Sized>(text: &mut T, context_at: u32, bound: u32, number_at: u32) -> u64 {
    if context_at == 0 {
        return 0;
    }
    let global = matches!(text.octet(context_at), Some(b'+' | b'%'));
    if !global || scan::first_octet(text.scan(LOCAL, number_at, bound, 0)) == 0 {
        return 0;
    }
    let end = value_end(text, context_at, bound);
    text.dial(context_at, end, 0)
}

#[inline(always)]
fn value_end<T: Text + ?Sized>(text: &mut T, at: u32, len: u32) -> u32 {
    let uri = Uri(text.uri(at, len));
    end(text, uri, bound(uri, len))
}

/// `service:sos`, alone or with a sub-service behind a dot (RFC 5031 section 4.2).
#[inline(always)]
fn is_sos<T: Text + ?Sized>(text: &T, at: u32) -> bool {
    let low = 0x2020_2020_2020_2020;
    if at + 11 > text.len()
        || text.word(at) | low != u64::from_le_bytes(*b"service:")
        || (text.word(at + 8) | low) & 0xff_ffff != le(*b"sos\0")
    {
        return false;
    }
    matches!(text.octet(at + 11), None | Some(b'.' | b' ' | b'\t' | b'\r' | b'\n' | b'>' | b';'))
}

/// `gw+NAME`: FreeSWITCH dials To instead.
#[inline(always)]
fn is_gateway<T: Text + ?Sized>(text: &T, from: u32) -> bool {
    (text.word(from) | 0x2020_2020) & 0xff_ffff == le(*b"gw+\0")
}

/// 8-4-4-4-12 (RFC 9562 section 4): hexadecimal digits and hyphens look like a number with separators. Without a letter
/// they are one.
#[inline(always)]
fn is_uuid<T: Text + ?Sized>(text: &mut T, from: u32, end: u32) -> bool {
    end - from == 36
        && scan::has_letters(text.scan(HEX, from, end, 0))
        && text.octet(from + 8) == Some(b'-')
        && text.octet(from + 13) == Some(b'-')
        && text.octet(from + 18) == Some(b'-')
        && text.octet(from + 23) == Some(b'-')
}
