//! Dialled strings at sites of several countries: what they are, and which number they reach.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod engine;

use engine::{frame_of, host, invite, policy};
use gateway_common::judge::Side;
use gateway_user::{engine::host::HostEngine, numbering};

const VECTORS: &str = include_str!("data/dial-vectors.tsv");

fn site(name: &str) -> HostEngine {
    let (region, outside) = match name {
        "jp" => ("JP", ""),
        "jp0" => ("JP", "0"),
        "us" => ("US", ""),
        "us9" => ("US", "9"),
        "de" => ("DE", ""),
        "au" => ("AU", ""),
        "de0" => ("DE", "0"),
        "il" => ("IL", ""),
        _ => panic!("no site {name}"),
    };
    let outside = if outside.is_empty() { String::new() } else { format!("outside_line = [\"{outside}\"]\n") };
    host(&policy(&format!(
        "mode = \"enforce\"\nfloor = false\n[site]\nregion = \"{region}\"\n[profile.default]\n{outside}"
    )))
}

#[test]
fn every_vector_is_what_it_says() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in VECTORS.lines().filter(|line| !line.starts_with('#') && !line.starts_with("site\t")) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [name, input, class, country, e164, _] = columns[..] else { panic!("{line}") };
        count += 1;
        let uri = if input.contains(':') { input.to_owned() } else { format!("sip:{input}@gw.example.net") };
        let judged = site(name).judge(&frame_of(&invite(&uri)), Side::Wan, 0, 1);
        let digits = String::from_utf8(judged.e164().collect()).unwrap();
        let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let code = numbering::country_codes().get((judged.country as usize).wrapping_sub(1)).copied().unwrap_or("-");
        let found = [judged.class().as_str().to_owned(), code.to_owned(), or_none(&digits)];
        if found != [class, country, e164] {
            wrong.push(format!("{name} {input}: {found:?}, not {class} {country} {e164}"));
        }
    }
    assert_eq!(count, 77);
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn of_two_readings_the_one_that_is_not_too_long_counts() {
    for (name, input, country, number) in [
        // Outside line 0, carrier 01033, 00: or 00 and a number of +1 with sixteen digits.
        ("de0", "00103300442071838750", "GB", "442071838750"),
        // Access codes 012 and 00.
        ("il", "012442071838750", "GB", "442071838750"),
        ("il", "0012125551234", "US", "12125551234"),
    ] {
        let judged = site(name).judge(&frame_of(&invite(&format!("sip:{input}@gw.example.net"))), Side::Lan, 0, 1);
        let code = numbering::country_codes().get((judged.country as usize).wrapping_sub(1)).copied();
        let digits = String::from_utf8(judged.e164().collect()).unwrap();
        assert_eq!(
            (judged.class().as_str(), code, digits.as_str()),
            ("international", Some(country), number),
            "{input}"
        );
    }
}
