//! The table of E.164 prefixes.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use anyhow::{Context as _, Result, bail};

use super::{
    metadata::{Metadata, Territory},
    own::Own,
    pattern::{Owner, Patterns, States},
};

/// Digits behind the calling code that are looked at; what is still shared there belongs to the code's main region.
const DEPTH: usize = 8;

/// A prefix under which only charged services exist is one of them as a whole from this many digits behind the calling code;
/// a shorter one only where every continuation is a charged number. In +1 the area code comes first.
const PREMIUM_DEPTH: usize = 3;
const PREMIUM_DEPTH_NANP: usize = 6;

/// Numbers that are shorter or longer than a region's telephones have rows of their own, of at most so many digits behind the
/// calling code.
const LENGTHS_DEPTH: usize = 4;

/// The most digits of an E.164 number.
const E164_MAX: usize = 15;

/// What a range is; the words of the table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Kind {
    /// Belongs to a country.
    Geographic,
    /// Charged services of a country.
    Premium,
    /// A calling code of no country.
    NonGeographic,
    /// No such calling code.
    Unassigned,
    /// An area code of +1 that nobody has.
    UnassignedArea,
}

impl Kind {
    /// Its word in the table.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Geographic => "geo",
            Self::Premium => "premium",
            Self::NonGeographic => "non-geographic",
            Self::Unassigned => "unassigned",
            Self::UnassignedArea => "unassigned-area",
        }
    }
}

/// One row.
#[derive(Clone)]
pub(super) struct Row {
    /// Region; `None` where there is none.
    pub(super) country: Option<String>,
    /// What it is.
    pub(super) kind: Kind,
    /// Fewest digits of a whole number, calling code included.
    pub(super) min: usize,
    /// Most digits of a whole number, calling code included.
    pub(super) max: usize,
}

/// A region (its place among the territories of one calling code) and whether the number is a charged service.
type Label = (usize, Kind);

/// The rows below a prefix, as tails of digits.
type Tails = Rc<Vec<(String, Label)>>;

/// The whole table, by prefix.
pub(super) fn table(metadata: &Metadata, own: &Own) -> Result<BTreeMap<String, Row>> {
    let mut rows = BTreeMap::new();
    let codes: BTreeSet<&str> = metadata.territories.iter().map(|territory| territory.calling_code.as_str()).collect();
    for code in &codes {
        CallingCode::new(metadata, code)?.rows(own, &mut rows).with_context(|| format!("calling code {code}"))?;
    }
    unassigned("", &codes, &mut rows);
    Ok(rows)
}

fn unassigned(head: &str, codes: &BTreeSet<&str>, rows: &mut BTreeMap<String, Row>) {
    for digit in '0'..='9' {
        let prefix = format!("{head}{digit}");
        if codes.contains(prefix.as_str()) {
        } else if codes.iter().any(|code| code.starts_with(&prefix)) {
            unassigned(&prefix, codes, rows);
        } else {
            rows.insert(prefix, Row { country: None, kind: Kind::Unassigned, min: 0, max: 0 });
        }
    }
}

struct CallingCode<'a> {
    code: &'a str,
    /// The main territory first.
    territories: Vec<&'a Territory>,
    patterns: Patterns,
    memo: HashMap<(States, usize, Label), Tails>,
}

/// An owner in [`Patterns`] is a territory, and the last bit says whether the pattern is that of its charged services.
fn owner(territory: usize, premium: bool) -> Owner {
    territory * 2 + usize::from(premium)
}

impl<'a> CallingCode<'a> {
    fn new(metadata: &'a Metadata, code: &'a str) -> Result<Self> {
        let main = metadata.main(code).with_context(|| format!("no territory has the calling code {code}"))?;
        let mut territories = vec![main];
        territories
            .extend(metadata.territories.iter().filter(|other| other.calling_code == code && other.id != main.id));
        let mut patterns = Patterns::default();
        for (index, territory) in territories.iter().enumerate() {
            for kind in &territory.types {
                patterns
                    .add(&kind.pattern, owner(index, kind.name == "premiumRate"))
                    .with_context(|| territory.id.clone())?;
            }
        }
        Ok(Self { code, territories, patterns, memo: HashMap::new() })
    }

    fn rows(mut self, own: &Own, rows: &mut BTreeMap<String, Row>) -> Result<()> {
        let kind = if self.territories[0].is_non_geographic() { Kind::NonGeographic } else { Kind::Geographic };
        let main = (0, kind);
        if self.code == "1" {
            // Area codes that nobody has fall back on this row.
            let row = Row { country: None, kind: Kind::UnassignedArea, ..self.row(main)? };
            rows.insert(self.code.to_owned(), row);
            for area in 200..1000 {
                let area = area.to_string();
                let states = self.patterns.walk(&area);
                let Some(label) = self.whole(&states, area.len()).or_else(|| self.fallback(&states)) else {
                    continue;
                };
                rows.insert(format!("1{area}"), self.row(label)?);
                let tails = self.tails(&states, area.len(), label);
                self.insert(&area, &tails, rows)?;
            }
        } else {
            rows.insert(self.code.to_owned(), self.row(main)?);
            if kind == Kind::Geographic {
                let tails = self.tails(&self.patterns.start(), 0, main);
                self.insert("", &tails, rows)?;
            }
        }
        // In +1 only Canada's 310 with four digits is shorter, which is not called from abroad.
        if self.code != "1" {
            self.stretch("", rows);
        }
        for (index, territory) in self.territories.iter().enumerate() {
            for prefix in own.values(&territory.id, self.code, "prefixes") {
                if !prefix.starts_with(self.code) {
                    bail!("own.tsv: the prefix {prefix} of {} has another calling code", territory.id);
                }
                rows.insert(prefix, self.row((index, Kind::Geographic))?);
            }
        }
        Ok(())
    }

    /// Gives the prefixes under which there are numbers with fewer or more digits than their row says rows that say so.
    fn stretch(&self, head: &str, rows: &mut BTreeMap<String, Row>) {
        let prefix = format!("{}{head}", self.code);
        let Some(row) = self.row_of(&prefix, rows).filter(|row| self.is_unusual(head, row)) else {
            return;
        };
        let tails: Vec<String> = ('0'..='9').map(|digit| format!("{head}{digit}")).collect();
        let tails: Vec<&String> = tails.iter().filter(|tail| self.lengths_of(tail).is_some()).collect();
        let deeper = rows.range(prefix.clone()..).nth(1).is_some_and(|(next, _)| next.starts_with(&prefix));
        let all = !head.is_empty() && tails.iter().all(|tail| self.is_unusual(tail, &row));
        if deeper || !all && head.len() < LENGTHS_DEPTH {
            for tail in tails {
                self.stretch(tail, rows);
            }
        } else if let Some((least, most)) = self.lengths_of(head) {
            rows.insert(prefix, Row { min: least.min(row.min), max: most.max(row.max), ..row });
        }
    }

    /// Whether there are numbers that begin so of which the row does not tell the length.
    fn is_unusual(&self, head: &str, row: &Row) -> bool {
        self.lengths_of(head).is_some_and(|(least, most)| least < row.min || most > row.max)
    }

    /// The fewest and the most digits of the numbers that begin so behind the calling code, that code included. What begins
    /// with 0 where 0 is the trunk prefix is a carrier's own service, and is not called from abroad.
    fn lengths_of(&self, head: &str) -> Option<(usize, usize)> {
        let trunk = self.territories[0].national_prefix.as_deref() == Some("0");
        if trunk && head.starts_with('0') {
            return None;
        }
        let lengths = self.patterns.lengths(head, trunk.then_some(b'0'));
        let total = |length: usize| (self.code.len() + length).min(E164_MAX);
        Some((total(*lengths.first()?), total(*lengths.last()?)))
    }

    /// The row that a prefix falls under.
    fn row_of(&self, prefix: &str, rows: &BTreeMap<String, Row>) -> Option<Row> {
        (self.code.len()..=prefix.len()).rev().find_map(|length| rows.get(&prefix[..length]).cloned())
    }

    /// Adds the rows of `tails`, except where every number is too short to be called from abroad: Canada's 310 with four digits.
    fn insert(&self, head: &str, tails: &Tails, rows: &mut BTreeMap<String, Row>) -> Result<()> {
        for (tail, label) in tails.iter() {
            let (national, row) = (format!("{head}{tail}"), self.row(*label)?);
            let longest = self.patterns.lengths(&national, None).last().copied().unwrap_or(0);
            if self.code.len() + longest >= row.min {
                rows.insert(format!("{}{national}", self.code), row);
            }
        }
        Ok(())
    }

    /// The rows below `states` that differ from `inherited`.
    fn tails(&mut self, states: &States, depth: usize, inherited: Label) -> Tails {
        let key = (states.clone(), depth, inherited);
        if let Some(tails) = self.memo.get(&key) {
            return Rc::clone(tails);
        }
        let mut tails = Vec::new();
        let whole = if depth == 0 { None } else { self.whole(states, depth) };
        let whole = whole.or_else(|| if depth >= DEPTH || self.ends(states) { self.fallback(states) } else { None });
        if let Some(label) = whole {
            if label != inherited {
                tails.push((String::new(), label));
            }
        } else if !states.is_empty() {
            let mut inherited = inherited;
            if let Some(label) = self.only_region(states).filter(|label| depth > 0 && *label != inherited) {
                tails.push((String::new(), label));
                inherited = label;
            }
            let mut alike = depth > 0;
            for digit in b'0'..=b'9' {
                let next = self.patterns.step(states, digit);
                let below = self.tails(&next, depth + 1, inherited);
                let one = below.first().filter(|(tail, _)| tail.is_empty()).map(|(_, label)| *label);
                let first = tails.first().map(|(_, label)| *label);
                alike &= next.is_empty() || one.is_some_and(|(_, kind)| kind == Kind::Geographic) && below.len() == 1;
                alike &= next.is_empty() || first.is_none() || first == one;
                tails.extend(below.iter().map(|(tail, label)| (format!("{}{tail}", char::from(digit)), *label)));
            }
            if let (true, Some((_, label))) = (alike, tails.first()) {
                tails = vec![(String::new(), *label)];
            }
        }
        let tails = Rc::new(tails);
        self.memo.insert(key, Rc::clone(&tails));
        tails
    }

    /// The regions at `states`, with whether each has ordinary numbers there.
    fn regions(&self, states: &States) -> BTreeMap<usize, bool> {
        let mut regions = BTreeMap::new();
        for owner in self.patterns.owners(states) {
            *regions.entry(owner / 2).or_insert(false) |= owner % 2 == 0;
        }
        regions
    }

    /// Whether the digits so far are a whole ordinary number: only its length tells it from a longer one, which no prefix can.
    fn ends(&self, states: &States) -> bool {
        self.patterns.accepting(states).iter().any(|owner| owner % 2 == 0)
    }

    /// The label, where everything below has the same.
    fn whole(&self, states: &States, depth: usize) -> Option<Label> {
        let regions = self.regions(states);
        let owners = self.patterns.owners(states);
        let (&first, _) = regions.first_key_value()?;
        let premium_depth = if self.code == "1" { PREMIUM_DEPTH_NANP } else { PREMIUM_DEPTH };
        if regions.values().all(|ordinary| !ordinary) {
            return (depth >= premium_depth || self.patterns.full(states)).then_some((first, Kind::Premium));
        }
        (owners.len() == 1).then_some((first, Kind::Geographic))
    }

    /// The one region at `states`, which has ordinary numbers there among others.
    fn only_region(&self, states: &States) -> Option<Label> {
        let regions = self.regions(states);
        let (&first, &ordinary) = regions.first_key_value()?;
        (regions.len() == 1 && ordinary).then_some((first, Kind::Geographic))
    }

    /// The label where regions or kinds are mixed and no further digit is looked at: ordinary before charged, and the main
    /// region, which is the first, for what it shares.
    fn fallback(&self, states: &States) -> Option<Label> {
        let regions = self.regions(states);
        let ordinary = regions.iter().find(|(_, ordinary)| **ordinary).map(|(&region, _)| (region, Kind::Geographic));
        ordinary.or_else(|| Some((*regions.first_key_value()?.0, Kind::Premium)))
    }

    fn row(&self, (region, kind): Label) -> Result<Row> {
        let territory = self.territories[region];
        let wanted: &[&str] = match kind {
            Kind::Premium => &["premiumRate"],
            _ => &["fixedLine", "mobile"],
        };
        let mut lengths: BTreeSet<usize> = wanted
            .iter()
            .filter_map(|name| territory.of_type(name))
            .flat_map(|kind| kind.lengths.iter().copied())
            .collect();
        if lengths.is_empty() {
            lengths.extend(territory.types.iter().flat_map(|kind| kind.lengths.iter().copied()));
        }
        let (Some(min), Some(max)) = (lengths.first(), lengths.last()) else {
            bail!("{} has no possible length", territory.id)
        };
        let total = |length: usize| (self.code.len() + length).min(E164_MAX);
        let country = (kind != Kind::NonGeographic).then(|| territory.id.clone());
        Ok(Row { country, kind, min: total(*min), max: total(*max) })
    }
}
