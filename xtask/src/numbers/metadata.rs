//! libphonenumber's two XML files, as far as the tables need them.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use roxmltree::{Document, Node, ParsingOptions};

/// The kinds of number that can be called; `generalDesc` and `noInternationalDialling` overlap with these.
const TYPES: [&str; 10] = [
    "fixedLine",
    "mobile",
    "pager",
    "tollFree",
    "premiumRate",
    "sharedCost",
    "personalNumber",
    "voip",
    "uan",
    "voicemail",
];

/// Both files.
pub(super) struct Metadata {
    /// Every territory, in the order of the file; the non-geographic calling codes are territories called `001`.
    pub(super) territories: Vec<Territory>,
    /// The pattern of the emergency numbers, by region.
    pub(super) emergency: BTreeMap<String, String>,
}

/// One territory.
pub(super) struct Territory {
    /// ISO 3166-1 alpha-2, or `001`.
    pub(super) id: String,
    /// Its calling code.
    pub(super) calling_code: String,
    /// Whether it stands for its calling code where that is shared.
    pub(super) main: bool,
    /// Trunk prefix.
    pub(super) national_prefix: Option<String>,
    /// Pattern of the international access codes.
    pub(super) access: Option<String>,
    /// The kinds of number it has.
    pub(super) types: Vec<NumberType>,
    /// How its numbers are written.
    pub(super) formats: Vec<Format>,
}

/// One kind of number of a territory.
pub(super) struct NumberType {
    /// The name of its element, such as `fixedLine`.
    pub(super) name: String,
    /// National significant numbers of this kind.
    pub(super) pattern: String,
    /// Possible lengths of the national significant number.
    pub(super) lengths: Vec<usize>,
    /// A number of this kind.
    pub(super) example: Option<String>,
}

/// One way of writing numbers.
pub(super) struct Format {
    /// The numbers written so, with groups.
    pub(super) pattern: String,
    /// Their heads; of several patterns in the file the last is the most exact.
    pub(super) leading: Option<String>,
    /// Whether the trunk prefix may be left out.
    pub(super) without_trunk: bool,
}

impl Metadata {
    /// Reads `PhoneNumberMetadata.xml` and `ShortNumberMetadata.xml` in `dir`.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read_to_string(&path).with_context(|| {
                format!("cannot read {}: name the folder that holds it with --metadata DIR", path.display())
            })
        };
        Self::parse(&read("PhoneNumberMetadata.xml")?, &read("ShortNumberMetadata.xml")?)
    }

    /// Parses the contents of both files.
    pub(super) fn parse(numbers: &str, short: &str) -> Result<Self> {
        let options = || ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let numbers = Document::parse_with_options(numbers, options()).context("PhoneNumberMetadata.xml")?;
        let short = Document::parse_with_options(short, options()).context("ShortNumberMetadata.xml")?;
        let territories: Vec<_> = elements(&numbers).map(territory).collect::<Result<_>>()?;
        if territories.is_empty() {
            bail!("PhoneNumberMetadata.xml names no territory");
        }
        let mut emergency = BTreeMap::new();
        for node in elements(&short) {
            if let Some(pattern) = child(node, "emergency").and_then(pattern) {
                emergency.insert(attribute(node, "id")?, pattern);
            }
        }
        Ok(Self { territories, emergency })
    }

    /// The territory that stands for a calling code.
    pub(super) fn main(&self, calling_code: &str) -> Option<&Territory> {
        let mut of_code = self.territories.iter().filter(|territory| territory.calling_code == calling_code);
        of_code.clone().find(|territory| territory.main).or_else(|| of_code.next())
    }
}

impl Territory {
    /// Whether it is a calling code of no country.
    pub(super) fn is_non_geographic(&self) -> bool {
        self.id == "001"
    }

    /// The kind of that name.
    pub(super) fn of_type(&self, name: &str) -> Option<&NumberType> {
        self.types.iter().find(|kind| kind.name == name)
    }
}

fn elements<'a>(document: &'a Document<'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(|node| node.has_tag_name("territory"))
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// The text of an element without white space, comments left out.
fn text(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|node| node.text()).flat_map(str::split_whitespace).collect()
}

fn pattern<'a>(node: Node<'a, 'a>) -> Option<String> {
    child(node, "nationalNumberPattern").map(text).filter(|pattern| !pattern.is_empty() && pattern != "NA")
}

fn attribute(node: Node<'_, '_>, name: &str) -> Result<String> {
    node.attribute(name).map(str::to_owned).with_context(|| format!("an element without {name}"))
}

fn territory(node: Node<'_, '_>) -> Result<Territory> {
    let id = attribute(node, "id")?;
    let mut types = Vec::new();
    for name in TYPES {
        let Some(node) = child(node, name) else {
            continue;
        };
        let Some(pattern) = pattern(node) else {
            continue;
        };
        let lengths = child(node, "possibleLengths").and_then(|node| node.attribute("national")).unwrap_or("");
        let lengths = self::lengths(lengths).with_context(|| format!("the possible lengths of {name} of {id}"))?;
        types.push(NumberType {
            name: name.to_owned(),
            pattern,
            lengths,
            example: child(node, "exampleNumber").map(text),
        });
    }
    Ok(Territory {
        calling_code: attribute(node, "countryCode")?,
        main: node.attribute("mainCountryForCode") == Some("true"),
        national_prefix: node.attribute("nationalPrefix").map(str::to_owned),
        access: node.attribute("internationalPrefix").map(str::to_owned),
        types,
        formats: node
            .descendants()
            .filter(|node| node.has_tag_name("numberFormat"))
            .map(format)
            .collect::<Result<_>>()?,
        id,
    })
}

fn format(node: Node<'_, '_>) -> Result<Format> {
    let rule = node.attribute("nationalPrefixFormattingRule").unwrap_or("");
    Ok(Format {
        pattern: attribute(node, "pattern")?,
        leading: node.children().rfind(|child| child.has_tag_name("leadingDigits")).map(text),
        without_trunk: !rule.contains("$NP") || node.attribute("nationalPrefixOptionalWhenFormatting") == Some("true"),
    })
}

/// `6,[8-11]` as 6, 8, 9, 10, 11.
fn lengths(list: &str) -> Result<Vec<usize>> {
    let mut lengths = Vec::new();
    for part in list.split(',').filter(|part| !part.is_empty()) {
        let range = part.trim_start_matches('[').trim_end_matches(']');
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        lengths.extend(low.parse::<usize>()?..=high.parse::<usize>()?);
    }
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_numbers_and_ranges() -> Result<()> {
        assert_eq!(lengths("6,[8-10]")?, [6, 8, 9, 10]);
        assert!(lengths("six").is_err());
        Ok(())
    }

    #[test]
    fn a_file_without_territories_is_refused() {
        assert!(Metadata::parse("<phoneNumberMetadata/>", "<phoneNumberMetadata/>").is_err());
        assert!(Metadata::parse("<phoneNumberMetadata>", "<phoneNumberMetadata/>").is_err());
    }
}
