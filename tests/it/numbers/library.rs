//! libphonenumber's answers: the data is that of the package `phonenumber`, the rules are libphonenumber's own.
//!
//! The rules of the package itself are not used: they take a number for one of a pattern that only its head matches, they
//! lose a leading zero (the Vatican's `06698`), and compile their expressions again and again, 3 ms for a number of +1.

use std::collections::BTreeMap;

use phonenumber::metadata::{DATABASE, Descriptor as Described};
use regex::Regex;
use regex_syntax::hir::Hir;

/// Every calling code.
pub(super) struct Library {
    codes: BTreeMap<u16, Vec<Territory>>,
}

/// The numbers of one region under one calling code.
pub(super) struct Territory {
    /// ISO 3166-1 alpha-2, or `001`.
    pub(super) id: String,
    /// Its calling code.
    pub(super) code: u16,
    /// Trunk prefix.
    pub(super) national_prefix: Option<String>,
    /// International access codes.
    pub(super) access: Option<Descriptor>,
    leading: Option<Regex>,
    general: Descriptor,
    /// The charged services first, as libphonenumber asks.
    kinds: Vec<(Kind, Descriptor)>,
}

/// What a number is, as far as Tollgate tells it apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Charged services.
    Premium,
    /// Everything else.
    Ordinary,
}

/// Numbers of one kind, or codes.
pub(super) struct Descriptor {
    whole: Regex,
    /// What a number is made from.
    pub(super) pattern: Hir,
    lengths: Vec<u16>,
}

/// What libphonenumber says of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer<'a> {
    /// Nobody has the calling code.
    Nobody,
    /// Several regions have the calling code, and none of them this number.
    Shared(u16),
    /// The region, `001` for none, and the kind of number where it is a valid one.
    Region(&'a str, Option<Kind>),
}

impl Library {
    /// Reads the package's data.
    pub(super) fn load() -> Self {
        let codes = (1..1000).filter_map(|code| {
            let territories = DATABASE.by_code(&code)?.into_iter().map(Territory::new);
            Some((code, territories.collect()))
        });
        Self { codes: codes.collect() }
    }

    /// Whatever has numbers.
    pub(super) fn territories(&self) -> impl Iterator<Item = &Territory> {
        self.codes.values().flatten()
    }

    /// The calling code of a number, and what follows it. No calling code begins another one.
    fn split<'d>(&self, e164: &'d str) -> Option<(u16, &'d str)> {
        (1..=3).find_map(|length| {
            let (code, national) = e164.split_at_checked(length)?;
            let code = code.parse().ok()?;
            self.codes.contains_key(&code).then_some((code, national))
        })
    }

    /// `getRegionCodeForNumber` and `getNumberType`.
    pub(super) fn ask(&self, e164: &str) -> Answer<'_> {
        let Some((code, national)) = self.split(e164) else { return Answer::Nobody };
        match &self.codes[&code][..] {
            [only] => Answer::Region(&only.id, only.kind(national)),
            several => several
                .iter()
                .find(|territory| match &territory.leading {
                    Some(leading) => leading.is_match(national),
                    None => territory.kind(national).is_some(),
                })
                .map_or(Answer::Shared(code), |territory| Answer::Region(&territory.id, territory.kind(national))),
        }
    }

    /// Whether a number begins with 0 behind a calling code where 0 is the trunk prefix: a service of a carrier, which has no
    /// place behind a calling code and is not dialled from abroad.
    pub(super) fn is_domestic(&self, e164: &str) -> bool {
        let trunk = |code| self.codes[&code].iter().any(|territory| territory.national_prefix.as_deref() == Some("0"));
        self.split(e164).is_some_and(|(code, national)| national.starts_with('0') && trunk(code))
    }

    /// Whether a region has numbers under the calling code of a number.
    pub(super) fn is_of(&self, e164: &str, region: &str) -> bool {
        self.split(e164).is_some_and(|(code, _)| self.codes[&code].iter().any(|territory| territory.id == region))
    }
}

impl Territory {
    fn new(metadata: &phonenumber::Metadata) -> Self {
        let of = metadata.descriptors();
        let premium = of.premium_rate().map(|described| (Kind::Premium, described));
        let ordinary = [
            of.toll_free(),
            of.shared_cost(),
            of.voip(),
            of.personal_number(),
            of.pager(),
            of.uan(),
            of.voicemail(),
            of.fixed_line(),
            of.mobile(),
        ];
        let kinds =
            premium.into_iter().chain(ordinary.into_iter().flatten().map(|described| (Kind::Ordinary, described)));
        Self {
            id: metadata.id().to_owned(),
            code: metadata.country_code(),
            national_prefix: metadata.national_prefix().map(str::to_owned),
            access: metadata.international_prefix().map(|pattern| Descriptor::new(pattern.as_str(), &[])),
            leading: metadata.leading_digits().map(|leading| expression(&format!("^(?:{})", leading.as_str()))),
            general: Descriptor::of(of.general()),
            kinds: kinds.map(|(kind, described)| (kind, Descriptor::of(described))).collect(),
        }
    }

    /// The kinds of number it has.
    pub(super) fn kinds(&self) -> &[(Kind, Descriptor)] {
        &self.kinds
    }

    fn kind(&self, national: &str) -> Option<Kind> {
        let fits = |described: &Descriptor| described.is_match(national);
        let kind = self.kinds.iter().find(|(_, described)| fits(described)).map(|(kind, _)| *kind)?;
        fits(&self.general).then_some(kind)
    }
}

impl Descriptor {
    fn of(described: &Described) -> Self {
        Self::new(described.national_number().as_str(), described.possible_length())
    }

    fn new(pattern: &str, lengths: &[u16]) -> Self {
        let plain: String = pattern.split_whitespace().collect();
        let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
        Self {
            whole: expression(&format!("^(?:{pattern})$")),
            pattern: parser.parse(&plain).expect("libphonenumber's patterns are expressions"),
            lengths: lengths.to_vec(),
        }
    }

    /// Whether digits are one of these.
    pub(super) fn is_match(&self, national: &str) -> bool {
        let possible = self.lengths.is_empty() || self.lengths.contains(&(national.len() as u16));
        possible && self.whole.is_match(national)
    }
}

fn expression(pattern: &str) -> Regex {
    let plain: String = pattern.split_whitespace().map(|part| part.replace("\\d", "[0-9]")).collect();
    Regex::new(&plain).expect("libphonenumber's patterns are expressions")
}
