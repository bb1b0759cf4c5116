//! Foreign numbers in every spelling.

use super::callers::Caller;
use crate::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
    numbering::{self, Kind, Range},
    orders::Scope,
    what::What,
};

/// Every so many ranges are tried in all spellings.
const STEP: usize = 16;

/// Calls of this caller to numbers that are switched off for it: none where nothing is.
///
/// Of all countries where `every`, else of some.
pub(super) fn uris(config: &Config, orders: &[ActiveOrder], caller: &Caller<'_>, every: bool) -> Vec<String> {
    let off: Vec<&ActiveOrder> = orders
        .iter()
        .filter(|order| order.rule == OrderRule::InternationalOff && is_in(&order.scope, caller))
        .collect();
    if off.is_empty() {
        return Vec::new();
    }
    let numbers: Vec<String> = numbering::ranges()
        .iter()
        // No calling code begins with a zero.
        .filter(|range| !range.prefix.starts_with('0'))
        .filter(|range| range.country.is_none_or(|country| country != caller.profile.region))
        .map(|range| (range, number(range)))
        .filter(|(range, number)| numbering::lookup(number).is_some_and(|found| found.prefix == range.prefix))
        .filter(|(_, number)| !config.site.own_numbers.iter().any(|own| number.starts_with(own.as_str())))
        .filter(|(range, number)| off.iter().any(|order| !excepts(order, range, number)))
        .map(|(_, number)| number)
        .collect();
    let heads = heads(caller);
    let mut uris = Vec::new();
    for (place, number) in numbers.iter().enumerate() {
        let in_all = place % STEP == 0;
        if every || in_all {
            uris.push(format!("sip:+{number}@gateway.invalid"));
        }
        if in_all {
            uris.extend(heads.iter().map(|head| format!("sip:{}{number}@gateway.invalid", head.replace('#', "%23"))));
            uris.extend(spellings(number));
        }
    }
    uris
}

fn is_in(scope: &Scope, caller: &Caller<'_>) -> bool {
    match scope {
        Scope::Site => true,
        Scope::Profile(name) => caller.profile.name == *name,
        Scope::Source(network) => network.contains(caller.address),
        Scope::Line(name) => caller.line == Some(name.as_str()),
    }
}

/// Whether an order excepts a number, or a part of what begins like it.
fn excepts(order: &ActiveOrder, range: &Range, number: &str) -> bool {
    order.what.iter().any(|what| match what {
        What::Prefix(prefix) => number.starts_with(prefix.as_str()) || prefix.starts_with(range.prefix),
        What::Country(code) => range.country == Some(code.as_str()),
        What::Dial(_) | What::Source(_) | What::Class(_) | What::Line(_) => false,
    })
}

/// A number of the range, long enough to be one.
fn number(range: &Range) -> String {
    let digits = match range.kind {
        Kind::Unassigned => 11,
        Kind::Geographic | Kind::Premium | Kind::NonGeographic | Kind::UnassignedArea => usize::from(range.min),
    };
    let mut number = range.prefix.to_owned();
    for digit in "2345678923456789".chars() {
        if number.len() >= digits {
            break;
        }
        number.push(digit);
    }
    number
}

/// What is dialled in front of a foreign number: access codes, behind an outside line, a service code or a carrier code.
fn heads(caller: &Caller<'_>) -> Vec<String> {
    let profile = caller.profile;
    let Some(region) = numbering::region(&profile.region) else { return Vec::new() };
    let access: Vec<&str> = region
        .access_codes
        .iter()
        .copied()
        .chain(profile.access_codes.iter().map(String::as_str))
        .filter(|code| *code != "+")
        .collect();
    let mut heads: Vec<String> = Vec::new();
    for code in &access {
        heads.push((*code).to_owned());
        heads.extend(profile.outside_line.iter().map(|line| format!("{line}{code}")));
        heads.extend(region.service_codes.first().map(|service| format!("{service}{code}")));
        heads.extend(region.carrier_codes.first().map(|carrier| format!("{carrier}{code}")));
        heads.extend(profile.carrier_codes.first().map(|carrier| format!("{carrier}{code}")));
    }
    heads
}

/// The number behind its plus, as it may be written.
fn spellings(number: &str) -> Vec<String> {
    // What begins with a zero is no local number, whatever its context.
    let (head, rest) =
        number.split_at(number.bytes().skip(1).position(|digit| digit != b'0').map_or(1, |zeros| zeros + 1));
    let apart: Vec<String> = number.chars().map(String::from).collect();
    vec![
        format!("tel:+{number}"),
        format!("tel:{rest};phone-context=+{head}"),
        format!("SIP:+{number}@gateway.invalid;user=phone"),
        format!("sips:+{number}@gateway.invalid"),
        format!("sip:%2B{number}@gateway.invalid"),
        format!("sip:+{}@gateway.invalid", apart.join("-")),
        format!("sip:203;rn=+{number}@gateway.invalid"),
    ]
}
