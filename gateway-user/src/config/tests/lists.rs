//! `block_files`, and files that cannot be read.

use std::{fmt::Write as _, fs, path::Path};

use jiff::civil::date;
use tempfile::TempDir;

use super::super::{Problems, Profile, load, parse_on};
use super::{Config, listed, whats};

const POLICY: &str = "[site]\nregion = \"JP\"\n[profile.default]\nblock = [\"SL\"]\nblock_files = [\"irsf.txt\"]\n";

fn with_list(list: impl AsRef<[u8]>) -> Result<Config, Problems> {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("irsf.txt"), list).unwrap();
    parse_on(POLICY, Some(Path::new("tollgate.toml")), dir.path(), date(2026, 7, 1)).map(|(config, _)| config)
}

#[test]
fn entries_comments_and_csv() {
    let list = "\u{feff}# peers' list\r\n+881\r\n\n  dial:0570  # navi dial\ndial:*31#\n+23276,2026-07-01,\"reported, twice\"\n\
                +23277,2026-06-30,expired\n+23278,,no expiry\nGN,2027-01-01\n";
    let config = with_list(list).unwrap();
    let profile = &config.profiles[0];
    let block = listed(profile);
    assert_eq!(whats(&profile.block), ["SL"]);
    assert_eq!(whats(&block), ["+23276", "+23278", "+881", "GN", "dial:*31#", "dial:0570"]);
    let places: Vec<_> = block.iter().map(|entry| entry.place.as_str()).collect();
    assert_eq!(profile.block[0].place, "tollgate.toml:4");
    assert_eq!(places, ["irsf.txt:6", "irsf.txt:8", "irsf.txt:2", "irsf.txt:9", "irsf.txt:5", "irsf.txt:4"]);
    assert_eq!(block[0].reason.as_deref(), Some("reported, twice"));
    assert_eq!(block[1].reason.as_deref(), Some("no expiry"));
    assert_eq!(block[3].reason, None);
}

#[test]
fn a_profile_inherits_the_list_or_brings_its_own() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("irsf.txt"), "+881\n").unwrap();
    fs::write(dir.path().join("own.txt"), "+882\n").unwrap();
    let text = format!(
        "{POLICY}[profile.a]\nsources = [\"192.0.2.1\"]\nblock = [\"GN\"]\n[profile.b]\nsources = [\"192.0.2.2\"]\n\
         block_files = [\"own.txt\"]\n[profile.c]\nsources = [\"192.0.2.3\"]\nblock_files = []\n"
    );
    let (config, _) = parse_on(&text, None, dir.path(), date(2026, 7, 1)).unwrap();
    let all = |p: &Profile| [whats(&p.block), whats(&listed(p))].concat().join(" ");
    let found: Vec<_> = config.profiles.iter().map(|p| (p.name.as_str(), all(p))).collect();
    let expected = [("default", "SL +881"), ("a", "GN +881"), ("b", "SL +882"), ("c", "SL")];
    assert_eq!(found, expected.map(|(name, block)| (name, block.to_owned())));
}

#[test]
fn each_bad_line_is_named_and_nothing_is_loaded() {
    let problems = with_list("+881\n232\nsl\n+882\n+883,next week\ndial:11\n").unwrap_err();
    let shown = problems.to_string();
    let expected = [
        ("irsf.txt:2: ", "dial:232"),
        ("irsf.txt:3: ", "write SL"),
        ("irsf.txt:5: ", "2026-12-31"),
        ("irsf.txt:6: ", "emergency call"),
    ];
    assert_eq!(problems.problems.len(), expected.len(), "{shown}");
    for (line, (place, part)) in shown.lines().zip(expected) {
        assert!(line.starts_with(place) && line.contains(part), "{line}");
    }
}

#[test]
fn a_list_of_another_kind_is_told_a_hundred_times() {
    let mut list = String::new();
    for i in 1..=1_000 {
        writeln!(list, "{i}").unwrap();
    }
    let problems = with_list(list).unwrap_err();
    assert_eq!(problems.problems.len(), 101);
    assert!(problems.problems.last().unwrap().message.contains("and 900 more"), "{problems}");
}

#[test]
fn a_list_without_an_entry_in_force_is_warned_of() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("irsf.txt"), "# gone\n+881,2026-06-30\n").unwrap();
    let warned = |day| {
        let (_, warnings) = parse_on(POLICY, Some(Path::new("tollgate.toml")), dir.path(), day).unwrap();
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let told = [
        "tollgate.toml:5: block_files: irsf.txt holds no entry in force; fill it, or remove it; entries may have passed their day",
    ];
    assert_eq!(warned(date(2026, 7, 1)), told);
    assert_eq!(warned(date(2026, 6, 30)), [""; 0]);
}

#[test]
fn entries_of_the_file_are_told_where_a_list_covers_them_and_not_the_other_way_round() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("irsf.txt"), "+23276\n+44\n+4420\n").unwrap();
    let policy = POLICY.replace("[\"SL\"]", "[\"SL\", \"+442079\"]");
    let (_, warnings) = parse_on(&policy, Some(Path::new("tollgate.toml")), dir.path(), date(2026, 7, 1)).unwrap();
    let [warning] = &*warnings else { panic!("{warnings:?}") };
    assert!(
        warning.to_string().starts_with("tollgate.toml:4: +442079 changes nothing: +4420, at irsf.txt:3"),
        "{warning}"
    );
}

#[test]
fn a_million_entries_load() {
    let mut list = String::new();
    for i in 0..1_000_000 {
        writeln!(list, "+232{i:06}").unwrap();
    }
    let config = with_list(list).unwrap();
    let profile = &config.profiles[0];
    assert_eq!(profile.entries(), 1_000_001);
    let (allows, last) = profile.entry(1_000_000).unwrap();
    assert_eq!(
        (allows, last.place.as_str(), last.what.to_string().as_str()),
        (false, "irsf.txt:1000000", "+232999999")
    );
    assert_eq!(profile.entry(1_000_001), None);
}

#[test]
fn five_bad_lines_in_a_million_are_named() {
    let mut list = String::new();
    for i in 0..1_000_000 {
        let plus = if i % 200_000 == 7 { "" } else { "+" };
        writeln!(list, "{plus}232{i:06}").unwrap();
    }
    let problems = with_list(list).unwrap_err();
    let lines: Vec<_> = problems.problems.iter().map(|p| p.line).collect();
    assert_eq!(lines, [8, 200_008, 400_008, 600_008, 800_008]);
}

#[test]
fn lists_that_are_no_text() {
    for (list, place, part) in
        [(&b"+881\n\0\n"[..], "irsf.txt:2: ", "NUL"), (b"+881\n+882\n# caf\xe9\n", "irsf.txt:3: ", "UTF-8")]
    {
        let shown = with_list(list).unwrap_err().to_string();
        assert!(shown.starts_with(place) && shown.contains(part), "{shown}");
    }
}

#[test]
fn a_reason_cannot_write_to_the_terminal() {
    let config = with_list("+881,,\u{1b}[2Jgone\n").unwrap();
    assert_eq!(listed(&config.profiles[0])[0].reason.as_deref(), Some(" [2Jgone"));
}

#[test]
fn load_reads_the_file_and_its_lists() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("irsf.txt"), "+881\n").unwrap();
    let path = dir.path().join("tollgate.toml");
    fs::write(&path, POLICY).unwrap();
    let link = dir.path().join("link.toml");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [path, link] {
        let (config, _) = load(&path).unwrap();
        assert_eq!(config.path.as_deref(), Some(path.as_path()));
        assert_eq!(whats(&listed(&config.profiles[0])), ["+881"]);
    }
}

#[test]
fn files_that_are_no_policy() {
    let dir = TempDir::new().unwrap();
    let file = |name: &str, octets: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, octets).unwrap();
        path
    };
    let large = "# far too much\n".repeat(300_000);
    for (path, part) in [
        (dir.path().join("missing.toml"), "there is no such file"),
        (dir.path().to_path_buf(), "is a folder"),
        (file("nul.toml", b"mode = \"monitor\"\n\0"), "nul.toml:2: holds a NUL"),
        (file("latin.toml", b"\n\n# caf\xe9\n"), "latin.toml:3: is not UTF-8"),
        (file("large.toml", large.as_bytes()), "larger than 4 MiB"),
        (Path::new("/dev/zero").to_path_buf(), "is a device"),
    ] {
        let shown = load(&path).unwrap_err().to_string();
        assert!(shown.contains(part) && shown.contains(&path.display().to_string()), "{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }
}
