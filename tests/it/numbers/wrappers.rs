//! The ways in which one number is dialled.

use std::fmt::Write as _;

use gateway_tests::differential::Chance;
use gateway_user::numbering::Region;

/// A Request-URI around a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// `sip:NUMBER@host`
    Sip,
    /// `sip:NUMBER@host;user=phone`
    UserPhone,
    /// `sips:`, a parameter in the user part, and a password
    Parameter,
    /// `tel:NUMBER`
    Tel,
    /// `tel:` with a context that is a domain: the number is what is dialled there
    Domain,
    /// Every digit as `%3X`, and `+` as `%2B`
    Escaped,
    /// RFC 3966 section 5.1.1: visual separators
    Separated,
    /// Some digits escaped, some separators, in `tel:`
    Mixed,
}

/// All of them.
pub(super) const STYLES: [Style; 8] = [
    Style::Sip,
    Style::UserPhone,
    Style::Parameter,
    Style::Tel,
    Style::Domain,
    Style::Escaped,
    Style::Separated,
    Style::Mixed,
];

impl Style {
    /// The URI.
    pub(super) fn uri(self, dialled: &str, chance: &mut Chance) -> String {
        match self {
            Self::Sip => format!("sip:{}@gw.example.net", hashes(dialled)),
            Self::UserPhone => format!("sip:{}@gw.example.net:5060;user=phone", hashes(dialled)),
            Self::Parameter => format!("sips:{};isub=7:secret@gw.example.net;transport=udp", hashes(dialled)),
            Self::Tel => format!("tel:{}", hashes(dialled)),
            Self::Domain => format!("tel:{};phone-context=example.net", hashes(dialled)),
            Self::Escaped => {
                let mut uri = String::from("sip:");
                for octet in dialled.bytes() {
                    write!(uri, "%{octet:02x}").expect("a string takes everything");
                }
                uri + "@gw.example.net"
            }
            Self::Separated => format!("sip:{}@gw.example.net", hashes(&separated(dialled, chance))),
            Self::Mixed => {
                let mut user = String::new();
                for letter in separated(dialled, chance).chars() {
                    if chance.one_in(3) {
                        write!(user, "%{:02X}", letter as u32).expect("a string takes everything");
                    } else {
                        user.push_str(&hashes(&letter.to_string()));
                    }
                }
                format!("tel:{user};npdi")
            }
        }
    }
}

/// A hash may not stand in a URI (RFC 3261 section 25.1).
fn hashes(dialled: &str) -> String {
    dialled.replace('#', "%23")
}

fn separated(dialled: &str, chance: &mut Chance) -> String {
    let mut text = String::new();
    for letter in dialled.chars() {
        text.push(letter);
        if chance.one_in(3) {
            text.push_str(chance.pick(&["-", ".", "(", ")", "-.", ")("]));
        }
    }
    text
}

/// What a caller dials in front of a number of another country.
pub(super) fn fronts(caller: &Region, outside: Option<&str>) -> Vec<String> {
    let mut codes: Vec<String> = caller.access_codes.iter().map(|code| (*code).to_owned()).collect();
    for carrier in &caller.carrier_codes {
        codes.extend(caller.access_codes.iter().map(|code| format!("{carrier}{code}")));
    }
    let outside = outside.unwrap_or_default();
    let mut fronts = vec!["+".to_owned()];
    for code in codes {
        fronts.push(format!("{outside}{code}"));
        for service in &caller.service_codes {
            fronts.push(format!("{outside}{service}{code}"));
            if !outside.is_empty() {
                fronts.push(format!("{service}{outside}{code}"));
            }
        }
    }
    fronts
}
