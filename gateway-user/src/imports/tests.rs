use std::time::SystemTime;

use tempfile::TempDir;

use super::*;
use crate::config::{Config, parse};

const POLICY: &str = "[site]\nregion = \"JP\"\n[profile.lobby]\nsources = [\"198.51.100.0/28\"]\n\
                      [trunk.itsp]\nsources = [\"203.0.113.10\"]\n[import.bad]\nfile = \"list\"\nexpires = \"2d\"\n";

fn policy(dir: &TempDir) -> (Config, Vec<String>) {
    let (config, warnings) = parse(POLICY, None, dir.path()).unwrap_or_else(|problems| panic!("{problems}"));
    (config, warnings.iter().map(ToString::to_string).collect())
}

fn put(dir: &TempDir, text: impl AsRef<[u8]>) {
    fs::write(dir.path().join("list"), text).unwrap();
}

/// Sets the time of the list to so many seconds ago.
fn aged(dir: &TempDir, seconds: u64) {
    let file = fs::File::options().write(true).open(dir.path().join("list")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
}

fn held(imports: &Imports) -> Vec<String> {
    imports.networks(Timestamp::now()).iter().map(|it| it.network.to_string()).collect()
}

#[test]
fn every_form_is_read_and_found_by_itself() {
    for (format, text) in [
        (Format::Lines, "# VoIPBL\n5.6.7.8\n\n 9.9.9.0/24 ; noted\n2a01:4f8::/33\r\n"),
        (Format::Csv, "ip,seen,score\n5.6.7.8,2026-11-20,3\n\"9.9.9.0/24\",x,\nx,2a01:4f8::/33,9\n"),
        (Format::Apiban, "{\"ipaddress\":[\"5.6.7.8\",\"9.9.9.0/24\",\"2a01:4f8::/33\"],\"ID\":\"17\"}"),
    ] {
        for format in [format, Format::Auto] {
            let found = format::parse(format, text).unwrap();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found, ["5.6.7.8", "9.9.9.0/24", "2a01:4f8::/33"], "{format:?} {text}");
        }
    }
    assert_eq!(format::parse(Format::Voipbl, "5.6.7.8/24\n").unwrap()[0].to_string(), "5.6.7.0/24");
}

#[test]
fn what_is_no_list_says_where_and_why() {
    for (text, part) in [
        ("5.6.7.8\nexample.net\n", ":2: \"example.net\" is no address"),
        ("5.6.7.8/33\n", ":1: "),
        ("<html><body>502 Bad Gateway</body></html>", ":1: \"<html>"),
        ("ip,x\n1,2\n", ":2: "),
        ("{\"ipaddress\":\"none\",\"ID\":\"none\"}", "not JSON with a list"),
        ("{\"ipaddress\":[\"5.6.7.8\",\"\\u001b[2J\"]}", "is no address"),
        ("{\"ipaddress\":[\"5.6.", "not JSON"),
        ("# nothing\n", "holds no address"),
        ("", "holds no address"),
    ] {
        let error = format::parse(Format::Auto, text).unwrap_err();
        assert!(error.contains(part) && !error.contains('\u{1b}'), "{text}: {error}");
    }
}

#[test]
fn the_site_itself_is_never_blocked_by_a_list_of_others() {
    let dir = tempfile::tempdir().unwrap();
    put(
        &dir,
        "5.6.7.8\n203.0.113.0/24\n203.0.113.10\n198.51.100.3\n10.1.2.3\n192.168.1.0/24\n127.0.0.1\n0.0.0.0/0\n8.0.0.0/9\n\
         fe80::1\n::1\n::ffff:10.0.0.1\n100.64.0.1\n239.1.1.1\n2000::/3\n5.6.7.8\n",
    );
    let (config, warnings) = policy(&dir);
    let imports = Imports::of(&config, dir.path());
    assert_eq!(held(&imports), ["5.6.7.8"]);
    for (network, why) in [
        ("203.0.113.0/24", "a trunk of the policy"),
        ("203.0.113.10", "a trunk"),
        ("198.51.100.3", "a profile"),
        ("10.1.2.3", "private"),
    ] {
        let told = warnings.iter().any(|it| it.contains(&format!("{network} is left out: ")) && it.contains(why));
        assert!(told, "{network}: {warnings:?}");
    }
    assert!(warnings.iter().any(|it| it.contains("and 9 more are left out")), "{warnings:?}");
    assert_eq!(imports.shown(Timestamp::now())[0].state, State::Good);
}

#[test]
fn the_last_good_list_is_kept_over_a_bad_one_and_a_restart_until_it_is_too_old() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "5.6.7.8\n");
    let (config, _) = policy(&dir);
    let mut imports = Imports::of(&config, dir.path());
    put(&dir, "5.6.7.9\n5.6.7.10\n");
    imports.refresh(&config, dir.path());
    assert_eq!(held(&imports), ["5.6.7.9", "5.6.7.10"]);
    for bad in ["<html>", "", "5.6.7.8\n\0\n"] {
        put(&dir, bad);
        imports.refresh(&config, dir.path());
        assert_eq!(held(&imports), ["5.6.7.9", "5.6.7.10"], "{bad}");
    }
    fs::remove_file(dir.path().join("list")).unwrap();
    imports.refresh(&config, dir.path());
    let mut again = Imports::of(&config, dir.path());
    for imports in [&imports, &again] {
        assert_eq!(held(imports), ["5.6.7.9", "5.6.7.10"]);
        let shown = &imports.shown(Timestamp::now())[0];
        assert_eq!((shown.state, shown.networks), (State::Kept, 2));
        assert!(shown.notes[0].contains("there is no such file"), "{shown:?}");
        let later = Timestamp::now().checked_add(SignedDuration::from_hours(49)).unwrap();
        assert_eq!(imports.networks(later), []);
        assert_eq!(imports.shown(later)[0].state, State::None);
    }
    // An old file does not become new by being read.
    put(&dir, "5.6.7.11\n");
    aged(&dir, 3 * 86_400);
    again.refresh(&config, dir.path());
    assert_eq!(held(&again), [""; 0]);
    assert!(again.shown(Timestamp::now())[0].notes[0].contains("too old"), "{again:?}");
    // Nor does one from the future hold longer.
    let future = Timestamp::now().checked_add(SignedDuration::from_hours(9999)).unwrap();
    let ends = config.imports[0].ends(future, Timestamp::now());
    assert!(ends <= Timestamp::now().checked_add(SignedDuration::from_hours(48)).unwrap());
}

#[test]
fn files_that_are_too_large_or_none_are_refused_and_long_lists_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..5000u32).map(|n| format!("5.{}.{}.1", n / 250, n % 250)).collect();
    put(&dir, lines.join("\n"));
    let (config, warnings) = policy(&dir);
    assert_eq!(held(&Imports::of(&config, dir.path())).len(), MOST);
    assert!(warnings.iter().any(|it| it.contains("the last 904 networks are left out")), "{warnings:?}");
    put(&dir, vec![b'#'; (LARGEST + 1) as usize]);
    let error = read(&config.imports[0], &Protected::default()).unwrap_err();
    assert!(error.contains("larger than 16 MiB"), "{error}");
    let folder = Import { file: dir.path().to_owned(), ..config.imports[0].clone() };
    assert!(read(&folder, &Protected::default()).unwrap_err().contains("no regular file"));
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("import-bad.json"), "{\"written\":1}").unwrap();
    assert_eq!(held(&Imports::of(&config, state.path())), [""; 0], "what was kept and is damaged is none");
}
