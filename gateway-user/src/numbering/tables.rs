//! The tables in `gateway-user/data`, parsed.

use std::str::FromStr;

use thiserror::Error;

use super::{Kind, Range, Region};

const E164: &str = include_str!("../../data/e164.tsv");
const REGIONS: &str = include_str!("../../data/regions.tsv");
const WORLD_ACCESS: &str = include_str!("../../data/world_access.tsv");
const COUNTRIES: &str = include_str!("../../data/countries.tsv");

/// Every table.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) ranges: Vec<Range>,
    pub(super) longest_prefix: usize,
    pub(super) regions: Vec<Region>,
    pub(super) countries: Vec<&'static str>,
    /// In the order of `countries`.
    pub(super) names: Vec<&'static str>,
    pub(super) world_access_codes: Vec<&'static str>,
}

/// A line that does not parse.
#[derive(Debug, Error)]
#[error("{file}: line '{line}': {problem}")]
pub(super) struct Malformed {
    file: &'static str,
    line: String,
    problem: &'static str,
}

impl Tables {
    pub(super) fn load() -> Result<Self, Malformed> {
        let ranges = parse("e164.tsv", E164, range)?;
        let countries = parse("countries.tsv", COUNTRIES, |[code, name]: [&'static str; 2]| Ok((code, name)))?;
        Ok(Self {
            longest_prefix: ranges.iter().map(|range| range.prefix.len()).max().unwrap_or(0),
            ranges,
            regions: parse("regions.tsv", REGIONS, region)?,
            names: countries.iter().map(|(_, name)| *name).collect(),
            countries: countries.into_iter().map(|(code, _)| code).collect(),
            world_access_codes: parse("world_access.tsv", WORLD_ACCESS, |[code, _used_by]: [&'static str; 2]| {
                Ok(code)
            })?,
        })
    }
}

/// The lines of a table that are no comment, each of `N` columns.
pub(super) fn parse<T, const N: usize>(
    file: &'static str,
    text: &'static str,
    row: impl Fn([&'static str; N]) -> Result<T, &'static str>,
) -> Result<Vec<T>, Malformed> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let columns = <[&str; N]>::try_from(columns).map_err(|_columns| "wrong number of columns");
        columns.and_then(&row).map_err(|problem| Malformed { file, line: line.to_owned(), problem })
    });
    parsed.collect()
}

pub(super) fn range([prefix, country, kind, min, max]: [&'static str; 5]) -> Result<Range, &'static str> {
    let kind = match kind {
        "geo" => Kind::Geographic,
        "premium" => Kind::Premium,
        "non-geographic" => Kind::NonGeographic,
        "unassigned" => Kind::Unassigned,
        "unassigned-area" => Kind::UnassignedArea,
        _ => return Err("unknown kind"),
    };
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("the prefix is not digits");
    }
    Ok(Range { prefix, country: some(country), kind, min: number(min)?, max: number(max)? })
}

fn region(columns: [&'static str; 11]) -> Result<Region, &'static str> {
    let [code, calling_code, national_prefix, access, carrier, service, emergency, harmless, trunk_optional, min, max] =
        columns;
    Ok(Region {
        code,
        calling_code: some(calling_code),
        national_prefix: some(national_prefix),
        access_codes: list(access),
        carrier_codes: list(carrier),
        service_codes: list(service),
        emergency: list(emergency),
        harmless: list(harmless),
        trunk_optional: list(trunk_optional),
        national_min: number(min)?,
        national_max: number(max)?,
    })
}

/// A column in which `-` stands for nothing.
fn some(column: &'static str) -> Option<&'static str> {
    (column != "-").then_some(column)
}

fn list(column: &'static str) -> Vec<&'static str> {
    some(column).map(|list| list.split(',').collect()).unwrap_or_default()
}

fn number(column: &str) -> Result<u8, &'static str> {
    u8::from_str(column).map_err(|_error| "not a number from 0 to 255")
}
