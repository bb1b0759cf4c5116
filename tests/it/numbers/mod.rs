//! The numbering tables and the dial plans, held against libphonenumber and against themselves.
//!
//! `TOLLGATE_NUMBERS` sets how many numbers are drawn for each region of libphonenumber (1,000 by default); the full run is
//! `TOLLGATE_NUMBERS=100000 cargo test -p gateway-tests --test it numbers:: -- --nocapture`.
//! Where Tollgate answers otherwise than libphonenumber, and where a dialled string can be read in two ways, a line of
//! `tests/data` says so and why; a line that explains nothing fails too, once enough numbers were drawn.

mod differences;
mod generate;
mod library;
mod site;
mod wrappers;

use std::{collections::BTreeSet, sync::OnceLock};

use gateway_common::Class;
use gateway_tests::differential::Chance;
use gateway_user::numbering::{self, Kind as RangeKind};

use differences::Differences;
use library::{Answer, Kind, Library};
use site::{Site, Taken};
use wrappers::{STYLES, fronts};

/// What libphonenumber says of a valid number, in the words of the list of differences.
fn by_library(answer: Answer<'_>, home: &str) -> Option<String> {
    match answer {
        Answer::Nobody => Some("unassigned".to_owned()),
        Answer::Region("001", Some(_)) => Some("non-geographic".to_owned()),
        Answer::Region(region, Some(Kind::Premium)) if region == home => Some(format!("{region} premium")),
        Answer::Region(region, Some(_)) => Some(region.to_owned()),
        Answer::Region(_, None) | Answer::Shared(_) => None,
    }
}

/// What Tollgate says of a number, in the same words.
fn by_tollgate(taken: &Taken, home: &str) -> String {
    match (taken.class, taken.country) {
        (Class::National, Some(country)) if country == home => country.to_owned(),
        (Class::International, Some(country)) if country != home => country.to_owned(),
        (Class::Premium, Some(country)) if country == home => format!("{country} premium"),
        (class, None) => class.as_str().to_owned(),
        (class, Some(country)) => format!("{} {country}", class.as_str()),
    }
}

/// Whether what Tollgate says of a number that libphonenumber does not know in its region can be.
fn is_possible(number: &str, answer: Answer<'_>, taken: &Taken) -> bool {
    match (answer, taken.country) {
        (Answer::Nobody, None) => taken.class == Class::Unassigned,
        (Answer::Region("001", _), None) => taken.class == Class::NonGeographic,
        (Answer::Shared(1), None) => taken.class == Class::Unassigned,
        (_, country) => country.is_some_and(|country| library().is_of(number, country)),
    }
}

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(Library::load)
}

fn drawn() -> usize {
    std::env::var("TOLLGATE_NUMBERS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000)
}

/// From so many numbers a region on, every listed difference is met.
const ENOUGH: usize = 20_000;

#[test]
fn every_number_is_of_its_country_and_class_however_it_is_dialled() {
    let count = drawn();
    let library = library();
    let mut listed = Differences::load();
    let lines = [None, Some("0"), Some("9")];
    let mut sites = lines.map(Site::new);
    let dialled: Vec<[Vec<String>; 3]> =
        sites[0].callers.iter().map(|caller| lines.map(|outside| fronts(caller, outside))).collect();
    let mut chance = Chance(0x0123_4567_89ab_cdef);
    let (mut valid, mut others, mut wrapped) = (0u64, 0u64, 0u64);
    let mut wrong = Vec::new();
    for territory in library.territories() {
        let home = sites[0].callers.iter().position(|caller| caller.code == territory.id);
        for turn in 0..count {
            let number =
                if turn % 50 == 49 { generate::noise(&mut chance) } else { generate::number(territory, &mut chance) };
            let anybody = chance.below(dialled.len());
            let caller = home.filter(|_| turn % 4 == 0).unwrap_or(anybody);
            let from = sites[0].callers[caller].code;
            let answer = library.ask(&number);
            let plain = sites[0].judge(caller, &format!("sip:+{number}@gw.example.net"));
            let found = by_tollgate(&plain, from);
            let known = by_library(answer, from).filter(|_| !library.is_domestic(&number));
            let right = if let Some(expected) = &known {
                valid += 1;
                found == *expected && plain.e164 == number || listed.explains(&number, expected, &found)
            } else {
                others += 1;
                plain.e164 != number || is_possible(&number, answer, &plain)
            };
            if !right {
                wrong.push(format!("+{number} from {from}: {found}, libphonenumber {answer:?}"));
            }
            if known.is_none() || plain.e164 != number {
                continue;
            }
            let line = chance.below(lines.len());
            let front = chance.below(dialled[caller][line].len());
            let front = dialled[caller][line][front].as_str();
            let uri = STYLES[chance.below(STYLES.len())].uri(&format!("{front}{number}"), &mut chance);
            let taken = sites[line].judge(caller, &uri);
            wrapped += 1;
            if taken != plain && !listed.is_ambiguous(lines[line], sites[line].callers[caller], front) {
                wrong.push(format!("{uri} ({front} +{number}) from {from}: {taken:?}, not {plain:?}"));
            }
        }
    }
    println!(
        "libphonenumber knows {valid} numbers, of which {} are listed differences; {others} others are possible; {wrapped} \
         were dialled otherwise, of which {} can be read in another way; {} are wrong",
        listed.explained,
        listed.ambiguous,
        wrong.len()
    );
    wrong.sort();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(60)].join("\n"));
    if count >= ENOUGH {
        let unused = listed.unused();
        assert!(unused.is_empty(), "listed for nothing:\n{}", unused.join("\n"));
    }
}

#[test]
fn a_blocked_number_is_stopped_behind_every_code_of_every_region() {
    let mut chance = Chance(0x0fed_cba9_8765_4321);
    let (mut count, mut missed) = (0, Vec::new());
    for outside in [None, Some("0"), Some("9")] {
        let mut site = Site::blocking(outside, &["SL", "JM", "IM", "KZ"]);
        for place in 0..site.callers.len() {
            let caller = site.callers[place];
            for front in fronts(caller, outside) {
                for (country, number) in
                    [("SL", "23276123456"), ("JM", "18764567890"), ("IM", "441624512345"), ("KZ", "77012345678")]
                {
                    if country == caller.code {
                        continue;
                    }
                    let uri = STYLES[count % STYLES.len()].uri(&format!("{front}{number}"), &mut chance);
                    count += 1;
                    if site.passes(place, &uri) {
                        missed.push(format!("{} {front}{number}: {uri}", caller.code));
                    }
                }
            }
        }
    }
    println!("{count} calls to blocked countries, {} passed", missed.len());
    assert!(missed.is_empty(), "{} of {count}:\n{}", missed.len(), missed[..missed.len().min(60)].join("\n"));
}

#[test]
fn every_area_code_of_1_is_where_libphonenumber_has_it() {
    let library = library();
    // Assigned after the metadata's version; see own.tsv.
    let newer = BTreeSet::from([273]);
    let mut assigned = 0;
    for area in 200..1000 {
        let number = format!("1{area}2345678");
        let range = numbering::lookup(&number).expect("every number has a range");
        match library.ask(&number) {
            Answer::Region(region, _) => {
                assigned += 1;
                assert_eq!(range.country, Some(region), "{number}");
            }
            _ if newer.contains(&area) => assert_eq!(range.country, Some("CA"), "{number}"),
            answer => {
                assert_eq!((range.country, range.kind), (None, RangeKind::UnassignedArea), "{number}: {answer:?}");
            }
        }
    }
    assert!(assigned > 450, "{assigned} area codes");
}

#[test]
fn every_region_dials_as_libphonenumber_says() {
    let library = library();
    let mut chance = Chance(0x5eed_5eed_5eed_5eed);
    let regions: BTreeSet<&str> =
        numbering::regions().iter().map(|region| region.code).filter(|code| *code != "ZZ").collect();
    let theirs: BTreeSet<&str> =
        library.territories().map(|territory| territory.id.as_str()).filter(|id| *id != "001").collect();
    assert_eq!(regions, theirs);
    for territory in library.territories().filter(|territory| territory.id != "001") {
        let region = numbering::region(&territory.id).expect("compared above");
        let id = region.code;
        assert_eq!(region.calling_code, Some(territory.code.to_string().as_str()), "{id}");
        assert_eq!(region.national_prefix, territory.national_prefix.as_deref(), "{id}");
        let access = territory.access.as_ref().expect("every region has access codes");
        for code in &region.access_codes {
            assert!(access.is_match(code), "{id}: {code}");
        }
        for _ in 0..500 {
            let code = generate::string(&access.pattern, &mut chance);
            // China's carriers have 2,100 codes, of which own.tsv has those of the four that sell them.
            let listed = region.access_codes.contains(&code.as_str()) || id == "CN" && code.len() == 7;
            assert!(listed, "{id}: {code} is missing");
        }
    }
}
