//! What the metadata does not know: `gateway-user/data/own.tsv`, written by hand.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};

/// The columns of `regions.tsv` that a line may extend (`national_max`: replace), and the prefixes of `e164.tsv`.
const FIELDS: [&str; 8] = [
    "prefixes",
    "access_codes",
    "carrier_codes",
    "service_codes",
    "emergency",
    "harmless",
    "trunk_optional",
    "national_max",
];

/// The file.
pub(super) struct Own {
    lines: Vec<Line>,
}

struct Line {
    regions: Vec<String>,
    field: String,
    values: Vec<String>,
}

impl Own {
    /// Parses the file: `regions  field  values  source`, by tabs. Regions are ISO codes, `+CODE` for all of a calling code,
    /// or `*`; values are separated by commas, `01010..01099` being all between.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            lines.push(self::line(line).with_context(|| format!("own.tsv, line {}: {line}", number + 1))?);
        }
        Ok(Self { lines })
    }

    /// What the file says of a field of a region.
    pub(super) fn values(&self, region: &str, calling_code: &str, field: &str) -> BTreeSet<String> {
        let of_region = |name: &String| name == "*" || name == region || name.strip_prefix('+') == Some(calling_code);
        let lines = self.lines.iter().filter(|line| line.field == field && line.regions.iter().any(of_region));
        lines.flat_map(|line| line.values.iter().cloned()).collect()
    }
}

fn line(line: &str) -> Result<Line> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [regions, field, list, source] = columns[..] else {
        bail!("four columns are needed: regions, field, values, source")
    };
    if !FIELDS.contains(&field) {
        bail!("no field is called {field}; there are {}", FIELDS.join(", "));
    }
    if source.is_empty() {
        bail!("the source is missing");
    }
    let mut values = Vec::new();
    for value in list.split(',') {
        values.extend(expand(value)?);
    }
    Ok(Line { regions: regions.split(',').map(str::to_owned).collect(), field: field.to_owned(), values })
}

fn expand(value: &str) -> Result<Vec<String>> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit() || b"*#.".contains(&byte)) {
        bail!("'{value}' is no code: write digits, * and #");
    }
    let Some((low, high)) = value.split_once("..") else {
        return Ok(vec![value.to_owned()]);
    };
    if low.len() != high.len() {
        bail!("both ends of {value} need the same number of digits");
    }
    let (from, to): (u32, u32) = (low.parse()?, high.parse()?);
    Ok((from..=to).map(|code| format!("{code:0width$}", width = low.len())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_a_region_by_name_by_calling_code_and_all() -> Result<()> {
        let own =
            Own::parse("# note\n\nJP,US\temergency\t118\tlaw\n+1\temergency\t911\tlaw\n*\temergency\t009..011\tlaw\n")?;
        let list = |region, code| own.values(region, code, "emergency").into_iter().collect::<Vec<_>>();
        assert_eq!(list("JP", "81"), ["009", "010", "011", "118"]);
        assert_eq!(list("CA", "1"), ["009", "010", "011", "911"]);
        assert!(own.values("JP", "81", "harmless").is_empty());
        Ok(())
    }

    #[test]
    fn bad_lines_are_named() {
        for bad in [
            "JP\temergency\t118",
            "JP\temergency\t118\t",
            "JP\turgent\t118\tlaw",
            "JP\temergency\t1x8\tlaw",
            "JP\temergency\t9..11\tlaw",
        ] {
            let Err(error) = Own::parse(bad) else { panic!("{bad} was taken") };
            assert!(error.to_string().contains("line 1"), "{error}");
        }
    }
}
