//! The tables against facts known from elsewhere, and against libphonenumber's example numbers.

use std::collections::BTreeSet;

use super::{tables::parse, *};

const EXAMPLES: &str = include_str!("../../data/examples.tsv");

#[track_caller]
fn is(digits: &str, country: Option<&str>, kind: Kind) {
    let Some(range) = lookup(digits) else { panic!("{digits} has no range") };
    assert_eq!((range.country, range.kind), (country, kind), "{digits} is in {range:?}");
}

#[track_caller]
fn geo(country: &str, heads: &[&str]) {
    for head in heads {
        is(head, Some(country), Kind::Geographic);
    }
}

#[test]
fn area_codes_of_1_each_have_their_country() {
    for (country, areas) in [
        ("AG", "268"),
        ("AI", "264"),
        ("AS", "684"),
        ("BB", "246"),
        ("BM", "441"),
        ("BS", "242"),
        ("DM", "767"),
        ("DO", "809 829 849"),
        ("GD", "473"),
        ("GU", "671"),
        ("JM", "658 876"),
        ("KN", "869"),
        ("KY", "345"),
        ("LC", "758"),
        ("MP", "670"),
        ("MS", "664"),
        ("PR", "787 939"),
        ("SX", "721"),
        ("TC", "649"),
        ("TT", "868"),
        ("VC", "784"),
        ("VG", "284"),
        ("VI", "340"),
        (
            "CA",
            "204 226 236 249 250 257 263 273 289 306 343 354 365 367 368 382 403 416 418 428 431 437 438 450 468 474 506 514 519 548 \
             579 581 584 587 600 604 613 622 633 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867 873 879 902 905 942",
        ),
        ("US", "212 310 810 800 888 877 866 855 844 833"),
    ] {
        for area in areas.split(' ') {
            geo(country, &[&format!("1{area}5551234")]);
        }
        if country != "US" {
            let listed: Vec<String> = areas.split(' ').map(|area| format!("1{area}")).collect();
            let found: Vec<&str> =
                prefixes_of_country(country).into_iter().filter(|prefix| prefix.len() == 4).collect();
            assert_eq!(found, listed, "{country}");
        }
    }
    let us = ranges().iter().filter(|range| range.country == Some("US") && range.prefix.len() == 4).count();
    assert!((380..400).contains(&us), "{us} area codes of the US");
    is("19005551234", Some("US"), Kind::Premium);
    for unassigned in ["12005551234", "19995551234", "11235551234", "10005551234", "19115551234"] {
        is(unassigned, None, Kind::UnassignedArea);
    }
}

#[test]
fn other_shared_calling_codes_are_split() {
    geo("KZ", &["77012345678", "77172123456"]);
    geo("RU", &["74951234567", "79161234567", "78121234567"]);
    geo("GB", &["442071838750", "447400123456"]);
    geo("GG", &["441481960194", "447781123456", "447839123456", "447911123456"]);
    geo("JE", &["441534360999", "447797712345", "447937123456", "447700312345", "447509123456"]);
    geo("IM", &["441624512345", "447624512345", "447457612345", "447524123456"]);
    geo("VA", &["390669812345"]);
    geo("IT", &["390612345678", "393123456789"]);
    geo("SJ", &["4779123456"]);
    geo("NO", &["4721234567"]);
    geo("CC", &["61891621234"]);
    geo("CX", &["61891641234"]);
    geo("AU", &["61212345678", "611300232761"]);
    geo("EH", &["212528812345", "212528912345"]);
    geo("MA", &["212520123456"]);
    geo("YT", &["262269601234", "262639012345"]);
    geo("RE", &["262262161234"]);
    geo("TA", &["2908999"]);
    geo("SH", &["29022158"]);
    geo("AX", &["35818123456"]);
    geo("FI", &["358131234567"]);
    geo("MF", &["590590771234", "590590871234"]);
    geo("BL", &["590590271234", "590590511234", "590590521234"]);
    geo("GP", &["590590201234"]);
    geo("BQ", &["5997151234", "5993181234", "5994161234"]);
    geo("CW", &["59994151234"]);
    geo("XK", &["38328012345"]);
    geo("SL", &["23225123456", "232761234567"]);
}

#[test]
fn calling_codes_of_no_country_and_of_nobody_are_told_apart() {
    for shared in [
        "80012345678",
        "80812345678",
        "870773111632",
        "878101234567890",
        "881612345678",
        "883510012345",
        "88212345678",
        "979123456789",
    ] {
        is(shared, None, Kind::NonGeographic);
    }
    let unassigned = "210 214 215 217 219 259 281 289 292 379 384 388 424 671 684 693 801 807 830 851 854 857 871 879 884 889 895 969 978 990 991 997 999";
    for code in unassigned.split(' ') {
        is(&format!("{code}1234567"), None, Kind::Unassigned);
    }
}

#[test]
fn charged_services_are_premium_and_their_neighbours_are_not() {
    for number in ["81990123456", "499001234567", "449098765432", "61190012345", "12469761234"] {
        assert_eq!(lookup(number).map(|range| range.kind), Some(Kind::Premium), "{number}");
    }
    geo("JP", &["81312345678", "81120123456", "81570012345", "819012345678"]);
    geo("DE", &["498001234567", "4990612345", "498105123456"]);
    geo("BB", &["12469751234", "12464301234"]);
}

#[test]
fn short_and_long_numbers_have_their_lengths() {
    let lengths = |digits: &str| lookup(digits).map(|range| (range.prefix, range.min, range.max));
    // Pagers of Qatar, local rate of Australia, freephone of Thailand, and telephones beside them.
    assert_eq!(lengths("9742101234"), Some(("9742", 10, 11)));
    assert_eq!(lengths("97444123456"), Some(("974", 11, 11)));
    assert_eq!(lengths("61131234"), Some(("6113", 8, 14)));
    assert_eq!(lengths("661800123456"), Some(("661800", 10, 12)));
    // Seven digits of Canada's 310 are not called from abroad.
    assert_eq!(lengths("13105551234"), Some(("1310", 11, 11)));
}

#[test]
fn any_three_digits_have_a_range() {
    for number in 0..1000 {
        assert!(lookup(&format!("{number:03}")).is_some(), "{number:03}");
    }
    assert!(lookup("").is_none());
    assert!(lookup("+81").is_none());
    assert!(lookup("é12").is_none(), "not cut within a character");
}

#[test]
fn ranges_are_sorted_single_and_possible() {
    assert!(ranges().windows(2).all(|pair| pair[0].prefix < pair[1].prefix));
    assert!(ranges().len() < 20_000);
    for range in ranges() {
        let unassigned = range.kind == Kind::Unassigned;
        assert!(unassigned == (range.max == 0) && range.min <= range.max && range.max <= 15, "{range:?}");
        assert!(unassigned || usize::from(range.max) >= range.prefix.len(), "{range:?}");
        let of_country = matches!(range.kind, Kind::Geographic | Kind::Premium);
        assert_eq!(range.country.is_some(), of_country, "{range:?}");
        if let Some(country) = range.country {
            assert!(country_codes().binary_search(&country).is_ok(), "{range:?}");
            assert!(region(country).is_some(), "{range:?}");
        }
    }
}

#[test]
fn examples_of_libphonenumber_are_in_their_country_and_possible() -> Result<(), Box<dyn std::error::Error>> {
    let examples = parse("examples.tsv", EXAMPLES, |columns: [&'static str; 3]| Ok(columns))?;
    assert!(examples.len() > 1000);
    let mut premium = 0;
    for [home, kind, number] in examples {
        let range = lookup(number).ok_or(number)?;
        let shared = region(home)
            .and_then(|home| home.calling_code)
            .is_some_and(|code| regions().iter().filter(|other| other.calling_code == Some(code)).count() > 1);
        if home == "-" {
            assert_eq!(range.kind, Kind::NonGeographic, "{number} {kind}");
        } else if (kind == "fixedLine" && home != "MF") || !shared {
            assert_eq!(range.country, Some(home), "{number} {kind}");
        } else {
            // Services and mobiles that several regions share belong to the main one; MF's example is a number of BL's.
            let of = range.country.and_then(region).and_then(|region| region.calling_code);
            assert_eq!(of, region(home).and_then(|home| home.calling_code), "{number} {kind} of {home}");
        }
        match kind {
            "premiumRate" => premium += usize::from(range.kind == Kind::Premium),
            _ => assert_ne!(range.kind, Kind::Premium, "{number} {kind} of {home}"),
        }
        if matches!(kind, "fixedLine" | "mobile") {
            let digits = number.len();
            assert!((usize::from(range.min)..=usize::from(range.max)).contains(&digits), "{number} {kind}: {range:?}");
        }
    }
    // The others (7 and +979) differ from ordinary numbers in length alone, which no prefix tells.
    assert!(premium > 140, "{premium} examples of charged services are known as such");
    Ok(())
}

#[test]
fn every_region_can_dial_abroad_and_for_help() {
    assert!(regions().windows(2).all(|pair| pair[0].code < pair[1].code));
    assert!(regions().len() > 240);
    for region in regions() {
        assert!(!region.emergency.is_empty(), "{}", region.code);
        for list in
            [&region.access_codes, &region.emergency, &region.harmless, &region.service_codes, &region.trunk_optional]
        {
            assert!(list.windows(2).all(|pair| pair[0] < pair[1]), "{}: {list:?}", region.code);
        }
        if region.code == "ZZ" {
            assert_eq!(
                (region.emergency.as_slice(), region.access_codes.len(), region.calling_code),
                (&["112"][..], 0, None)
            );
            continue;
        }
        assert!(!region.access_codes.is_empty(), "{}", region.code);
        assert!(
            0 < region.national_min && region.national_min <= region.national_max && region.national_max < 15,
            "{}",
            region.code
        );
        assert_eq!(region.national_prefix.is_none(), region.trunk_optional == ["*"], "{}", region.code);
        assert!(country_name(region.code).is_some(), "{}", region.code);
        let digits = |list: &[&str]| list.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        assert!(
            digits(&region.access_codes) && digits(&region.emergency) && digits(&region.carrier_codes),
            "{}",
            region.code
        );
    }
}

#[test]
fn japan_dials_as_japan_does() {
    let Some(japan) = region("JP") else { panic!("no JP") };
    assert_eq!((japan.calling_code, japan.national_prefix), (Some("81"), Some("0")));
    assert_eq!(japan.access_codes, ["010"]);
    assert_eq!(japan.emergency, ["110", "118", "119"]);
    assert_eq!(japan.harmless, ["171", "188", "189"]);
    for code in ["122", "184", "186"] {
        assert!(japan.service_codes.contains(&code), "{code}");
    }
    for code in ["001", "0033", "0041", "0061", "0088", "005345", "009130"] {
        assert!(japan.carrier_codes.contains(&code), "{code}");
    }
    assert!(japan.trunk_optional.is_empty(), "34561234 is a local call, not a national number");
    assert_eq!((japan.national_min, japan.national_max), (9, 10));
}

#[test]
fn other_plans_that_are_well_known() {
    let list = |code: &str, of: fn(&'static Region) -> &'static Vec<&'static str>| {
        region(code).map(of).cloned().unwrap_or_default()
    };
    assert_eq!(list("US", |region| &region.access_codes), ["011"]);
    assert_eq!(list("US", |region| &region.trunk_optional), ["2", "3", "4", "5", "6", "7", "8", "9"]);
    assert!(list("US", |region| &region.service_codes).contains(&"*67"));
    assert_eq!(list("DE", |region| &region.access_codes), ["00"]);
    assert!(list("DE", |region| &region.carrier_codes).contains(&"01033"));
    assert_eq!(region("DE").map(|region| region.national_max), Some(11));
    assert!(list("AU", |region| &region.access_codes).contains(&"0011"));
    assert_eq!(list("AU", |region| &region.emergency), ["000", "106", "112"]);
    assert!(list("AU", |region| &region.trunk_optional).contains(&"13"));
    assert!(list("GB", |region| &region.service_codes).contains(&"141"));
    assert!(list("GB", |region| &region.trunk_optional).is_empty());
    assert!(list("FR", |region| &region.trunk_optional).is_empty());
    assert_eq!(list("IT", |region| &region.trunk_optional), ["*"]);
    assert!(list("CU", |region| &region.access_codes).contains(&"119"));
    for (code, numbers) in
        [("US", "911"), ("GB", "112 999"), ("DE", "110 112"), ("FR", "112 15 17 18"), ("CN", "110 119 120")]
    {
        let known = list(code, |region| &region.emergency);
        assert!(numbers.split(' ').all(|number| known.contains(&number)), "{code}: {known:?}");
    }
}

#[test]
fn the_world_s_access_codes_are_what_scanners_try() {
    let codes = world_access_codes();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
    for code in ["00", "000", "0011", "010", "011", "810", "900", "9011", "9010", "9810", "0011", "000", "8011"] {
        assert!(codes.contains(&code), "{code}");
    }
    for harmful in ["0", "01", "1", "9"] {
        assert!(!codes.contains(&harmful), "{harmful} would make a foreign number of any local one");
    }
}

#[test]
fn countries_are_the_world_s() {
    let codes = country_codes();
    assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(codes.len(), 249 + ["AC", "TA", "XK"].len(), "ISO 3166-1, and three that have numbers too");
    assert_eq!(country_name("SL"), Some("Sierra Leone"));
    assert_eq!((country_name("ZZ"), country_name("sl"), region("jp")), (None, None, None));
    let reached: BTreeSet<&str> = ranges().iter().filter_map(|range| range.country).collect();
    assert!(reached.len() > 240, "{} countries have numbers", reached.len());
    assert!(prefixes_of_country("AQ").is_empty());
    assert_eq!(prefixes_of_country("SL"), ["232"]);
}

#[test]
fn a_bad_line_is_named() {
    for bad in
        ["81\tJP\tgeo\t11", "81\tJP\tgood\t11\t12", "+81\tJP\tgeo\t11\t12", "81\tJP\tgeo\t11\t256", "\tJP\tgeo\t11\t12"]
    {
        let Err(error) = parse("e164.tsv", bad, tables::range) else { panic!("{bad} was taken") };
        assert!(error.to_string().starts_with("e164.tsv: line"), "{error}");
    }
}
