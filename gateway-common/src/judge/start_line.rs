//! What the start line says: the method, or that this is a response.

use crate::{
    Method,
    env::Env,
    sip::scan::{self, BLANKS},
};

/// Letters of a method, five bits each; 0 where a character is no letter.
pub(super) const fn letters(name: &[u8]) -> u64 {
    let mut packed = 0;
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        packed = packed << 5 | (*first & 31) as u64;
        rest = tail;
    }
    packed
}

/// The method whose name stands at `from..end`, compared without regard to case.
#[inline(always)]
pub(super) fn method<E: Env>(env: &E, from: u32, end: u32) -> Option<Method> {
    // One opaque number, so that what follows is not verified once for each method.
    Method::from_u8(env.opaque(method_number(env, from, end)) as u8)
}

#[inline(always)]
pub(super) fn method_number<E: Env>(env: &E, from: u32, end: u32) -> u64 {
    const LONGEST: u32 = 9;
    if end - from > LONGEST {
        return 0;
    }
    let mut packed = 0u64;
    let mut i = 0u32;
    while i < LONGEST {
        if from + i >= end {
            break;
        }
        let c = env.octet(from + i).unwrap_or(0);
        if !c.is_ascii_alphabetic() {
            return 0;
        }
        packed = env.opaque(packed << 5 | (c & 31) as u64);
        i = env.rolled(i + 1);
    }
    macro_rules! compare {
        ($($name:literal => $method:ident),+) => {
            $( if packed == const { letters($name) } { return Method::$method as u64; } )+
        };
    }
    compare!(
        b"INVITE" => Invite, b"ACK" => Ack, b"BYE" => Bye, b"CANCEL" => Cancel, b"OPTIONS" => Options,
        b"REGISTER" => Register, b"PRACK" => Prack, b"SUBSCRIBE" => Subscribe, b"NOTIFY" => Notify,
        b"PUBLISH" => Publish, b"INFO" => Info, b"REFER" => Refer, b"MESSAGE" => Message, b"UPDATE" => Update
    );
    0
}

/// `SIP/2.0 200 OK`: the token is `SIP`, and a slash ends it.
#[inline(always)]
pub(super) fn is_response<E: Env>(env: &E, from: u32, end: u32) -> bool {
    end.wrapping_sub(from) == 3 && (env.word(from) | 0x2020_2020) & 0xffff_ffff == u32::from_le_bytes(*b"sip/") as u64
}

/// Whether the status code behind `SIP/2.0 ` is 3xx.
#[inline(always)]
pub(super) fn is_redirection<E: Env>(env: &mut E, slash: u32) -> bool {
    const VERSION: u32 = 4;
    let code = scan::first_octet(env.scan(BLANKS, slash + VERSION, env.len(), 0));
    code != 0 && env.octet(code) == Some(b'3')
}

/// Whether the message ends within the name of a method that makes calls.
#[inline(always)]
pub(super) fn begins_call<E: Env>(env: &E, token: u32) -> bool {
    let octets = env.len() - token;
    if octets > 6 {
        return false;
    }
    let mask = (1u64 << (8 * octets)) - 1;
    let word = (env.word(token) | 0x2020_2020_2020_2020) & mask;
    word == u64::from_le_bytes(*b"invite\0\0") & mask || word == u64::from_le_bytes(*b"refer\0\0\0") & mask
}
