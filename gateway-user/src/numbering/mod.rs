//! Numbering: which country an E.164 number belongs to, and what each region dials.
//!
//! The tables are files in `gateway-user/data`, compiled in; their first lines name source, version and licence.
//! `cargo xtask numbers` writes them anew.

use std::sync::OnceLock;

mod tables;
#[cfg(test)]
mod tests;

use tables::Tables;

/// What a range of numbers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Numbers of a country, toll-free ones and mobiles included.
    Geographic,
    /// Charged services of a country.
    Premium,
    /// A calling code of no country: satellites, international networks, international premium rate.
    NonGeographic,
    /// A calling code that nobody has.
    Unassigned,
    /// An area code of +1 that nobody has.
    UnassignedArea,
}

/// A range of E.164 numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// First digits, calling code included, without the plus.
    pub prefix: &'static str,
    /// ISO 3166-1 alpha-2 code; `None` where the range belongs to no country.
    pub country: Option<&'static str>,
    /// What it is.
    pub kind: Kind,
    /// Fewest digits of a whole number, calling code included; 0 for [`Kind::Unassigned`].
    pub min: u8,
    /// Most digits of a whole number, calling code included; 0 for [`Kind::Unassigned`].
    pub max: u8,
}

/// What a region dials. Every list is sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// ISO 3166-1 alpha-2 code, or `ZZ` for a site without a numbering plan.
    pub code: &'static str,
    /// Calling code; `None` for `ZZ`.
    pub calling_code: Option<&'static str>,
    /// Trunk prefix, dialled before a national number.
    pub national_prefix: Option<&'static str>,
    /// International access codes; `+` is one everywhere and is not listed.
    pub access_codes: Vec<&'static str>,
    /// Carrier codes, to be stripped only where an access code follows.
    pub carrier_codes: Vec<&'static str>,
    /// Service codes dialled before a number, such as `184` or `*67`.
    pub service_codes: Vec<&'static str>,
    /// Emergency numbers; never empty.
    pub emergency: Vec<&'static str>,
    /// Short numbers that are never worth stopping, such as a disaster message board.
    pub harmless: Vec<&'static str>,
    /// Heads of national numbers that are dialled without the trunk prefix; `*` alone stands for all.
    pub trunk_optional: Vec<&'static str>,
    /// Fewest digits of a national number, without trunk prefix; 0 for `ZZ`.
    pub national_min: u8,
    /// Most digits of a national number, without trunk prefix; 0 for `ZZ`.
    pub national_max: u8,
}

/// Every range, sorted by prefix.
pub fn ranges() -> &'static [Range] {
    &tables().ranges
}

/// The range with the longest prefix of `e164_digits` (no plus). Any three digits or more have one.
pub fn lookup(e164_digits: &str) -> Option<&'static Range> {
    let tables = tables();
    let longest = tables.longest_prefix.min(e164_digits.len());
    let heads = (1..=longest).rev().filter_map(|length| e164_digits.get(..length));
    heads.into_iter().find_map(|head| {
        let place = tables.ranges.binary_search_by(|range| range.prefix.cmp(head)).ok()?;
        tables.ranges.get(place)
    })
}

/// Every region, sorted by code.
pub fn regions() -> &'static [Region] {
    &tables().regions
}

/// The region of an ISO code in capitals, or `ZZ`.
pub fn region(code: &str) -> Option<&'static Region> {
    let regions = regions();
    regions.binary_search_by(|region| region.code.cmp(code)).ok().and_then(|place| regions.get(place))
}

/// All ISO codes, sorted; the place of a code is the country's number in the policy image.
pub fn country_codes() -> &'static [&'static str] {
    &tables().countries
}

/// The English name of a country, by its ISO code in capitals.
pub fn country_name(iso: &str) -> Option<&'static str> {
    let tables = tables();
    tables.countries.binary_search(&iso).ok().and_then(|place| tables.names.get(place).copied())
}

/// The prefixes of all ranges of a country. A longer prefix of another country may lie within one of them.
pub fn prefixes_of_country(iso: &str) -> Vec<&'static str> {
    ranges().iter().filter(|range| range.country == Some(iso)).map(|range| range.prefix).collect()
}

/// International access codes of the whole world, and the commonest behind a digit for an outside line; sorted.
pub fn world_access_codes() -> &'static [&'static str] {
    &tables().world_access_codes
}

#[expect(clippy::expect_used, reason = "the tables are compiled in and a test loads them: they parse always or never")]
fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables::load().expect("the built-in numbering tables parse"))
}
