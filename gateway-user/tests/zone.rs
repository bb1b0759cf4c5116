//! Times for a person are in the time zone of the site, which the policy names, whatever zone the machine has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::fs;

use support::{Daemon, POLICY, stderr, stdout};

/// Five hours behind UTC in winter; the command line runs in Tokyo.
const SITE: &str = "[site]\ntime_zone = \"America/New_York\"\n";

#[test]
fn times_are_typed_and_shown_in_the_zone_of_the_site() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("tollgate.toml"), POLICY.replace("[site]\n", SITE)).unwrap();
    let daemon = Daemon::start_in(dir);

    let output = daemon.tollgate(&["block", "CU", "--until", "2040-01-02 18:00"]);
    let text = stdout(&output);
    assert!(output.status.success() && text.contains("until          2040-01-02 18:00:00 EST"), "{output:?}");
    let orders = daemon.json(&["orders", "--json"]);
    assert_eq!(orders[0]["expires"], "2040-01-02T23:00:00Z", "what programs read has its offset");
    assert!(stdout(&daemon.tollgate(&["orders"])).contains("2040-01-02 18:00:00 EST"));
    let report = stdout(&daemon.tollgate(&["report"]));
    assert!(report.contains("until 2040-01-02 18:00:00 EST") && !report.contains("JST"), "{report}");
    assert!(report.lines().all(|line| line.chars().count() <= 80), "{report}");

    // An offset that is typed holds, and a time that has passed is told in the same zone.
    let output = daemon.tollgate(&["block", "LV", "--until", "2040-01-02T18:00:00+09:00"]);
    assert!(stdout(&output).contains("2040-01-02 04:00:00 EST"), "{output:?}");
    let output = daemon.tollgate(&["block", "LV", "--until", "2020-07-02 18:00"]);
    assert!(
        output.status.code() == Some(2) && stderr(&output).contains("2020-07-02 18:00:00 EDT has passed"),
        "{output:?}"
    );

    // A reload takes the zone of the file.
    let file = daemon.dir.path().join("tollgate.toml");
    fs::write(&file, POLICY.replace("[site]\n", "[site]\ntime_zone = \"Asia/Kolkata\"\n")).unwrap();
    let diff = daemon.tollgate(&["diff", file.to_str().unwrap()]);
    assert!(stdout(&diff).contains("site time_zone: America/New_York -> Asia/Kolkata"), "{diff:?}");
    assert!(daemon.tollgate(&["reload"]).status.success());
    assert!(stdout(&daemon.tollgate(&["orders"])).contains("2040-01-03 04:30:00 IST"));
}
