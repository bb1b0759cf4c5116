//! The table of regions, and the world's access codes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};

use super::{
    metadata::{Metadata, Territory},
    own::Own,
    pattern::{Patterns, alternatives},
};

/// A pattern of access codes that stands for more codes than this is left to `own.tsv`: China's carriers have 2,100.
const MOST_ACCESS_CODES: usize = 128;

/// No region has more emergency numbers than this.
const MOST_EMERGENCY: usize = 200;

/// A pattern of heads that stands for more than this describes local numbers, dialled without area code, not a service.
const MOST_HEADS: usize = 500;

/// The most digits of an E.164 number.
const E164_MAX: usize = 15;

/// Digits dialled for an outside line that scanners put in front of an access code.
const OUTSIDE: [&str; 3] = ["9", "0", "8"];

/// The access codes that scanners put them in front of.
const COMMON: [&str; 5] = ["00", "011", "010", "0011", "810"];

/// One row of `regions.tsv`.
pub(super) struct Region {
    pub(super) code: String,
    pub(super) calling_code: String,
    pub(super) national_prefix: Option<String>,
    pub(super) access_codes: BTreeSet<String>,
    pub(super) carrier_codes: BTreeSet<String>,
    pub(super) service_codes: BTreeSet<String>,
    pub(super) emergency: BTreeSet<String>,
    pub(super) harmless: BTreeSet<String>,
    pub(super) trunk_optional: BTreeSet<String>,
    pub(super) national_min: usize,
    pub(super) national_max: usize,
}

impl Region {
    /// Its row; `-` stands for nothing.
    pub(super) fn row(&self) -> String {
        let list = |list: &BTreeSet<String>| {
            let list: Vec<&str> = list.iter().map(String::as_str).collect();
            if list.is_empty() { "-".to_owned() } else { list.join(",") }
        };
        [
            self.code.clone(),
            self.calling_code.clone(),
            self.national_prefix.clone().unwrap_or_else(|| "-".to_owned()),
            list(&self.access_codes),
            list(&self.carrier_codes),
            list(&self.service_codes),
            list(&self.emergency),
            list(&self.harmless),
            list(&self.trunk_optional),
            self.national_min.to_string(),
            self.national_max.to_string(),
        ]
        .join("\t")
    }
}

/// Every region, by code, and `ZZ`, which has no plan.
pub(super) fn table(metadata: &Metadata, own: &Own) -> Result<BTreeMap<String, Region>> {
    let mut regions = BTreeMap::new();
    for territory in metadata.territories.iter().filter(|territory| !territory.is_non_geographic()) {
        let emergency = metadata.emergency.get(&territory.id).map(String::as_str);
        let region = region(territory, emergency, own).with_context(|| territory.id.clone())?;
        regions.insert(region.code.clone(), region);
    }
    let nowhere = Region {
        code: "ZZ".to_owned(),
        calling_code: "-".to_owned(),
        national_prefix: None,
        access_codes: BTreeSet::new(),
        carrier_codes: BTreeSet::new(),
        service_codes: BTreeSet::new(),
        emergency: BTreeSet::from(["112".to_owned()]),
        harmless: BTreeSet::new(),
        trunk_optional: BTreeSet::new(),
        national_min: 0,
        national_max: 0,
    };
    regions.insert(nowhere.code.clone(), nowhere);
    Ok(regions)
}

fn region(territory: &Territory, emergency: Option<&str>, own: &Own) -> Result<Region> {
    let own = |field| own.values(&territory.id, &territory.calling_code, field);
    let mut access_codes = match &territory.access {
        Some(pattern) => access(pattern)?,
        None => BTreeSet::new(),
    };
    access_codes.extend(own("access_codes"));
    let mut emergencies = own("emergency");
    if let Some(pattern) = emergency {
        let listed = Patterns::one(pattern)?.literals(MOST_EMERGENCY);
        emergencies.extend(listed.with_context(|| format!("too many emergency numbers: {pattern}"))?);
    }
    if access_codes.is_empty() || emergencies.is_empty() {
        bail!("no access code or no emergency number: add a line to own.tsv");
    }

    let mut plan = Patterns::default();
    for kind in &territory.types {
        plan.add(&kind.pattern, 0)?;
    }
    // With a trunk prefix 0, what begins with 0 behind it is a carrier's own service and not a national number.
    let trunk = territory.national_prefix.as_ref().and_then(|prefix| prefix.bytes().next());
    let lengths = plan.lengths("", trunk.filter(|digit| *digit == b'0'));
    let (Some(min), Some(max)) = (lengths.first(), lengths.last()) else { bail!("no numbers") };
    let max = (*max).min(E164_MAX - territory.calling_code.len());
    let national_max = match own("national_max").first() {
        Some(own) => own.parse()?,
        None => max,
    };

    let mut trunk_optional = own("trunk_optional");
    if territory.national_prefix.is_none() {
        trunk_optional = BTreeSet::from(["*".to_owned()]);
    } else {
        trunk_optional.extend(without_trunk(territory, &plan)?);
    }
    Ok(Region {
        code: territory.id.clone(),
        calling_code: territory.calling_code.clone(),
        national_prefix: territory.national_prefix.clone(),
        access_codes,
        carrier_codes: own("carrier_codes"),
        service_codes: own("service_codes"),
        emergency: emergencies,
        harmless: own("harmless"),
        trunk_optional: shortest(trunk_optional),
        national_min: *min,
        national_max,
    })
}

fn access(pattern: &str) -> Result<BTreeSet<String>> {
    if let Some(codes) = Patterns::one(pattern)?.literals(MOST_ACCESS_CODES) {
        return Ok(codes.into_iter().collect());
    }
    let mut codes = BTreeSet::new();
    for part in alternatives(pattern) {
        codes.extend(Patterns::one(&part)?.literals(MOST_ACCESS_CODES).unwrap_or_default());
    }
    Ok(codes)
}

/// Heads of the national numbers that are written, and so dialled, without the trunk prefix.
fn without_trunk(territory: &Territory, plan: &Patterns) -> Result<BTreeSet<String>> {
    let mut heads = BTreeSet::new();
    for format in territory.formats.iter().filter(|format| format.without_trunk) {
        let Some(leading) = &format.leading else {
            continue;
        };
        let listed = Patterns::one(leading)?.literals(MOST_HEADS).unwrap_or_default();
        let written = Patterns::one(&format.pattern)?.lengths("", None);
        let listed = listed.into_iter().filter(|head| !head.starts_with('0'));
        heads.extend(listed.filter(|head| !plan.lengths(head, None).is_disjoint(&written)));
    }
    Ok(heads)
}

/// Leaves out heads that begin with another one, and puts one head for its ten continuations.
fn shortest(mut heads: BTreeSet<String>) -> BTreeSet<String> {
    loop {
        let all = heads.clone();
        heads.retain(|head| (1..head.len()).all(|length| !all.contains(&head[..length])));
        let tens = heads.iter().filter_map(|head| {
            let stem = &head[..head.len() - 1];
            let whole = !stem.is_empty() && ('0'..='9').all(|digit| heads.contains(&format!("{stem}{digit}")));
            whole.then(|| stem.to_owned())
        });
        let tens: BTreeSet<String> = tens.collect();
        if tens.is_empty() {
            return heads;
        }
        heads.extend(tens);
    }
}

/// Access codes of the whole world, with where each is used.
pub(super) fn world(regions: &BTreeMap<String, Region>) -> BTreeMap<String, String> {
    let mut users: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for region in regions.values() {
        for code in &region.access_codes {
            // One digit, and the Solomon Islands' 01, would make a foreign number of any local one.
            if code.len() > 1 && code != "01" {
                users.entry(code.clone()).or_default().push(&region.code);
            }
        }
    }
    let mut world: BTreeMap<String, String> = users
        .into_iter()
        .map(|(code, regions)| {
            let shown = regions[..regions.len().min(4)].join(" ");
            let more = regions.len().saturating_sub(4);
            (code, if more > 0 { format!("{shown} and {more} more") } else { shown })
        })
        .collect();
    for outside in OUTSIDE {
        for common in COMMON {
            world
                .entry(format!("{outside}{common}"))
                .or_insert_with(|| format!("outside line {outside}, then {common}"));
        }
    }
    world
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_shortened() {
        let mut heads: BTreeSet<String> = (0..10).map(|digit| format!("18{digit}")).collect();
        heads.extend(["181".to_owned(), "1815".to_owned(), "13".to_owned()]);
        assert_eq!(shortest(heads), BTreeSet::from(["13".to_owned(), "18".to_owned()]));
    }

    #[test]
    fn a_pattern_of_too_many_codes_gives_its_literal_part() -> Result<()> {
        assert_eq!(access("00|1(?:[12]\\d|79)\\d\\d00")?, BTreeSet::from(["00".to_owned()]));
        assert_eq!(access("0[0-3]\\d")?.len(), 40);
        Ok(())
    }
}
