//! Dialled strings, written in several ways. The first octet chooses the policy.

use std::fmt::Write as _;

use gateway_common::{Verdict, judged::Judged, number::shape::USER, text::DIALLED};

use crate::{
    envelope::Envelope,
    site::{self, Site, call},
};

/// Octets of a string: written as escapes it still fits what is read of a user part.
const LONGEST: usize = 160;
/// Digits of a number that may be whole in every country of the policies.
const WHOLE: usize = 10;
/// From the outside, from an address that no policy names.
const STRANGER: Envelope = Envelope(0);

pub(crate) fn run(input: &[u8]) {
    let [policy, dialled @ ..] = input else { return };
    if dialled.is_empty() || dialled.len() > LONGEST {
        return;
    }
    site::with(*policy, |site| {
        let escaped = invite(site, &escaped(dialled));
        again(site, &escaped);
        longer(site, &escaped, dialled);
        if is_key_string(dialled) {
            let plain: String = dialled.iter().map(|octet| written(*octet)).collect();
            assert_eq!(call(&invite(site, &plain)), call(&escaped), "escapes change what {plain} means");
            let separated: String =
                dialled.iter().flat_map(|octet| ["-".to_owned(), written(*octet), ".".to_owned()]).collect();
            if separated.len() <= USER as usize {
                let separated = invite(site, &separated);
                assert_eq!(call(&separated), call(&escaped), "separators change what {plain} means");
            }
            // Behind a plus in the middle, a letter makes a word.
            if dialled.iter().skip(1).all(u8::is_ascii_digit) && !matches!(dialled, [b'*' | b'#', ..]) {
                marks(site, &escaped, &plain);
            }
        }
    });
}

/// What was dialled, dialled again, means the same. Of a call that is stopped, what was dialled in vain behind the whole
/// number is left out of the record, and the string may then be read in other ways.
fn again(site: &mut Site, first: &Judged) {
    let dialled = first.dialled();
    if dialled.is_empty() || first.verdict() != Verdict::Pass {
        return;
    }
    // One `#` at the end of a number says that it is whole, and is not dialled; that of a service code is.
    let service = dialled.starts_with(b"*") || dialled.starts_with(b"#");
    let end = if dialled.ends_with(b"#") && !service { "%23" } else { "" };
    let second = invite(site, &format!("{}{end}", escaped(dialled)));
    assert_eq!(call(&second), call(first), "{} dialled again", dialled.escape_ascii());
}

/// A call that is stopped for its number is stopped with one more digit behind it: exchanges take no notice of that.
fn longer(site: &mut Site, first: &Judged, dialled: &[u8]) {
    let digits = dialled.iter().all(|octet| octet.is_ascii_digit() || *octet == b'+');
    // A shorter number may be stopped for being just a prefix that is blocked.
    if digits && first.verdict() == Verdict::Drop && first.e164().count() >= WHOLE {
        let second = invite(site, &format!("{}7", escaped(dialled)));
        assert_ne!(second.verdict(), Verdict::Pass, "{} and one more digit", dialled.escape_ascii());
    }
}

/// Marks and pauses behind every digit hide nothing that is stopped, as long as all of it is kept.
fn marks(site: &mut Site, first: &Judged, plain: &str) {
    if first.verdict() != Verdict::Drop || first.e164().count() < WHOLE || 2 * plain.len() >= DIALLED {
        return;
    }
    for mark in ['~', ',', 'w'] {
        let marked: String = plain.chars().flat_map(|key| [key, mark]).collect();
        assert_ne!(invite(site, &marked).verdict(), Verdict::Pass, "{marked}");
    }
}

/// What the keys of a telephone can write.
fn is_key_string(dialled: &[u8]) -> bool {
    dialled.iter().all(|octet| octet.is_ascii_digit() || b"+*#".contains(octet))
}

/// An octet as it stands in a user part (RFC 3261 section 25.1).
fn written(octet: u8) -> String {
    if octet == b'#' { "%23".to_owned() } else { char::from(octet).to_string() }
}

fn escaped(dialled: &[u8]) -> String {
    dialled.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "%{octet:02x}");
        text
    })
}

/// Judges a call to this user part; no other place of the request names a number.
fn invite(site: &mut Site, user: &str) -> Judged {
    let message = format!(
        "INVITE sip:{user}@gw.example.net SIP/2.0\r\nFrom: <sip:gw.example.net>;tag=1\r\nTo: <sip:gw.example.net>\r\n\r\n"
    );
    site.judge(&STRANGER.plain(message.as_bytes()), STRANGER.side())
}
