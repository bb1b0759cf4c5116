//! The generator on a world of five territories.

use std::collections::BTreeSet;

use super::*;

const NUMBERS: &str = r#"<!DOCTYPE phoneNumberMetadata [ <!ELEMENT phoneNumberMetadata (territories)> ]>
<phoneNumberMetadata><territories>
  <territory id="001" countryCode="979">
    <premiumRate><possibleLengths national="9"/><exampleNumber>123456789</exampleNumber>
      <nationalNumberPattern>[1359]\d{8}</nationalNumberPattern></premiumRate>
  </territory>
  <territory id="AU" countryCode="61" mainCountryForCode="true" internationalPrefix="001[14-689]" nationalPrefix="0">
    <availableFormats>
      <numberFormat pattern="(\d{2})(\d{2})(\d{2})"><leadingDigits>13</leadingDigits><format>$1 $2 $3</format></numberFormat>
      <numberFormat pattern="(\d)(\d{4})(\d{4})" nationalPrefixFormattingRule="($NP$FG)">
        <leadingDigits>[2378]</leadingDigits><format>$1 $2 $3</format></numberFormat>
      <numberFormat pattern="(\d{2})(\d{2})"><leadingDigits>14</leadingDigits><format>$1 $2</format></numberFormat>
    </availableFormats>
    <generalDesc><nationalNumberPattern>1\d{5}|[2-9]\d{8}</nationalNumberPattern></generalDesc>
    <fixedLine><possibleLengths national="9" localOnly="8"/><exampleNumber>212345678</exampleNumber>
      <nationalNumberPattern>
        2\d{8}| <!-- the whole east -->
        8(?:[0-8]\d|9[02-9])\d{6}
      </nationalNumberPattern></fixedLine>
    <premiumRate><possibleLengths national="9"/><nationalNumberPattern>4[0-8]\d{7}|59\d{7}</nationalNumberPattern></premiumRate>
    <uan><possibleLengths national="6"/><nationalNumberPattern>1[34]\d{4}|0\d{7}</nationalNumberPattern></uan>
  </territory>
  <territory id="CC" countryCode="61" internationalPrefix="0011" nationalPrefix="0">
    <fixedLine><possibleLengths national="9"/><nationalNumberPattern>891\d{6}</nationalNumberPattern></fixedLine>
  </territory>
  <territory id="US" countryCode="1" mainCountryForCode="true" internationalPrefix="011" nationalPrefix="1">
    <fixedLine><possibleLengths national="10"/><nationalNumberPattern>212[2-9]\d{6}</nationalNumberPattern></fixedLine>
    <tollFree><possibleLengths national="10"/><nationalNumberPattern>800[2-9]\d{6}</nationalNumberPattern></tollFree>
    <premiumRate><possibleLengths national="10"/><nationalNumberPattern>900[2-9]\d{6}</nationalNumberPattern></premiumRate>
  </territory>
  <territory id="JM" countryCode="1" internationalPrefix="011" nationalPrefix="1">
    <fixedLine><possibleLengths national="10"/><nationalNumberPattern>876\d{7}|212\d{4}</nationalNumberPattern></fixedLine>
    <tollFree><possibleLengths national="10"/><nationalNumberPattern>800[2-9]\d{6}</nationalNumberPattern></tollFree>
  </territory>
</territories></phoneNumberMetadata>"#;

const SHORT: &str = r#"<phoneNumberMetadata><territories>
  <territory id="AU"><emergency><nationalNumberPattern>000|112</nationalNumberPattern></emergency></territory>
  <territory id="CC"><emergency><nationalNumberPattern>000</nationalNumberPattern></emergency></territory>
</territories></phoneNumberMetadata>"#;

const OWN: &str =
    "+1\temergency\t911\tNANPA\nAU\temergency\t106\tACMA\nAU\tnational_max\t10\tACMA\nCC\tprefixes\t6177\tACMA\n";

fn tables() -> Result<BTreeMap<&'static str, String>> {
    generate(&Metadata::parse(NUMBERS, SHORT)?, &Own::parse(OWN)?, "a test")
}

fn rows(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn prefixes_follow_the_patterns() -> Result<()> {
    let tables = tables()?;
    let rows: Vec<&str> = rows(&tables["e164.tsv"]);
    let assigned: BTreeSet<&str> = rows.iter().copied().filter(|row| !row.ends_with("unassigned\t0\t0")).collect();
    let expected = [
        "1\t-\tunassigned-area\t11\t11",
        "1212\tUS\tgeo\t11\t11",
        "1800\tUS\tgeo\t11\t11",
        "1876\tJM\tgeo\t11\t11",
        "1900\tUS\tpremium\t11\t11",
        "61\tAU\tgeo\t11\t11",
        "611\tAU\tgeo\t8\t11",
        "6140\tAU\tpremium\t11\t11",
        "6141\tAU\tpremium\t11\t11",
        "6142\tAU\tpremium\t11\t11",
        "6143\tAU\tpremium\t11\t11",
        "6144\tAU\tpremium\t11\t11",
        "6145\tAU\tpremium\t11\t11",
        "6146\tAU\tpremium\t11\t11",
        "6147\tAU\tpremium\t11\t11",
        "6148\tAU\tpremium\t11\t11",
        "6159\tAU\tpremium\t11\t11",
        "6177\tCC\tgeo\t11\t11",
        "61891\tCC\tgeo\t11\t11",
        "979\t-\tnon-geographic\t12\t12",
    ];
    assert_eq!(assigned, BTreeSet::from(expected));
    for row in
        ["0\t-\tunassigned\t0\t0", "60\t-\tunassigned\t0\t0", "971\t-\tunassigned\t0\t0", "98\t-\tunassigned\t0\t0"]
    {
        assert!(rows.contains(&row), "{row}");
    }
    Ok(())
}

#[test]
fn regions_join_the_metadata_and_our_own() -> Result<()> {
    let tables = tables()?;
    let rows = rows(&tables["regions.tsv"]);
    // 13 is written without 0 at six digits; 14 would have to have four. 0… behind the trunk 0 is no national number.
    assert_eq!(rows[0], "AU\t61\t0\t0011,0014,0015,0016,0018,0019\t-\t-\t000,106,112\t-\t13\t6\t10");
    assert_eq!(rows[1], "CC\t61\t0\t0011\t-\t-\t000\t-\t-\t9\t9");
    assert_eq!(rows[4], "ZZ\t-\t-\t-\t-\t-\t112\t-\t-\t0\t0");
    assert!(tables["world_access.tsv"].contains("\n0011\tAU CC\n"));
    assert!(tables["world_access.tsv"].contains("\n9011\toutside line 9, then 011\n"));
    assert!(tables["examples.tsv"].contains("\n-\tpremiumRate\t979123456789\nAU\tfixedLine\t61212345678\n"));
    Ok(())
}

#[test]
fn two_runs_give_the_same_files() -> Result<()> {
    assert_eq!(tables()?, tables()?);
    Ok(())
}

#[test]
fn a_region_without_emergency_numbers_is_refused() -> Result<()> {
    let own = Own::parse("AU\temergency\t106\tACMA\n")?;
    let Err(error) = generate(&Metadata::parse(NUMBERS, SHORT)?, &own, "a test") else {
        panic!("US has no emergency number")
    };
    assert!(format!("{error:#}").starts_with("US: no access code or no emergency number"), "{error:#}");
    Ok(())
}
