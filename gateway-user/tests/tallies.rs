//! Limits on minutes, on different numbers and on calls to one: what suspends, what only tells, what survives.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{fs, path::Path};

use gateway_common::{
    Class, Reason, Verdict,
    addr::Addr,
    call::{AFTERWARDS, ANSWERED, Call, State},
    judged::Who,
    limit::{CellKey, name_hash, window::Ring},
    policy::image::Key,
};
use gateway_user::{
    control::{Answer, protocol::Command},
    daemon::{Core, Event},
};
use jiff::ToSpan as _;
use serde_json::Value;
use support::{Shared, event, parts, told};

const SITE: &str = "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\ntime_zone = \"Asia/Tokyo\"\n\
                    [profile.default]\nlimits = [\"talk\"]\n[limit.talk]\nclass = \"international\"\n";
const LINE: &str =
    "key = \"line\"\nminutes = \"10/1h, 15/1d\"\nsite_minutes = \"30/1h\"\nover = \"suspend\"\nsuspend = \"2h\"\n";
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const CLOCK: u64 = 1_000_000 * SECOND;

struct Site {
    dir: tempfile::TempDir,
    board: Shared,
    core: Core,
}

impl Site {
    fn new(mode: &str, limit: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let board = Shared::default();
        {
            let mut board = board.lock().unwrap();
            (board.now, board.clock) = (Some("2026-11-20T12:00:00+09:00".parse().unwrap()), CLOCK);
        }
        let core = start(dir.path(), &board, mode, limit);
        let mut site = Self { dir, board, core };
        site.core.count_calls();
        site
    }

    /// Time passes, and the daemon looks.
    fn after(&mut self, nanoseconds: u64) {
        {
            let mut board = self.board.lock().unwrap();
            board.clock += nanoseconds;
            board.now = board.now.map(|now| now + (nanoseconds as i64).nanoseconds());
        }
        self.core.drain_events();
        self.core.count_calls();
    }

    fn clock(&self) -> u64 {
        self.board.lock().unwrap().clock
    }

    /// A line of the site calls Latvia, and is answered now.
    fn talks(&mut self, line: u64) {
        let now = self.clock();
        self.board.lock().unwrap().records.push(Call {
            caller: Addr::v4(0xc000_0214),
            from_tag: now,
            contacts: [1, 2],
            line,
            begun: now - SECOND,
            until: now + ANSWERED,
            country: latvia(),
            class: Class::International as u8,
            who: Who::Lan as u8,
            state: State::Answered as u8,
            reason: Reason::Allowed as u8,
            ..Call::default()
        });
    }

    /// The last call ends now.
    fn hangs_up(&mut self) {
        let now = self.clock();
        let mut board = self.board.lock().unwrap();
        let call = board.records.last_mut().unwrap();
        (call.state, call.until) = (State::Ended as u8, now + AFTERWARDS);
    }

    /// Line 5 calls a number.
    fn dials(&mut self, number: u64) {
        let mut board = self.board.lock().unwrap();
        board.clock += 1;
        let (time, clock) = (board.now.unwrap(), board.clock);
        board.events.push(Event {
            time,
            verdict: Verdict::Pass,
            reason: Reason::Allowed,
            country: Some("LV"),
            source: [192, 0, 2, 20].into(),
            who: Who::Lan,
            callee: number,
            line: 5,
            clock,
            ..event()
        });
    }

    fn suspended(&self) -> Vec<(CellKey, Ring)> {
        let board = self.board.lock().unwrap();
        let cells = board.cells.iter().filter(|(_, ring)| board.clock < ring.until);
        cells.map(|(key, ring)| (*key, *ring)).collect()
    }

    fn asks(&mut self, command: Command) -> Value {
        match self.core.handle(command, "owner").0 {
            Answer::Reply(reply) => reply.unwrap(),
            _ => panic!("a reply"),
        }
    }

    /// What `list lines` shows: what it counts, whether it is suspended, how full it is, and the word of `resume`.
    fn lines(&mut self) -> Vec<[String; 4]> {
        let mut rows = told::lines(&mut self.core, ["value", "action", "level", "undo"]);
        rows.sort();
        rows
    }

    /// How full everything is.
    fn levels(&mut self) -> Vec<String> {
        self.lines().into_iter().map(|[_, _, level, _]| level).collect()
    }

    /// The notices of one kind, once there are so many.
    fn told(&self, kind: &str, count: usize) -> Vec<String> {
        told::told(self.dir.path(), kind, count)
    }

    fn restart(self, mode: &str, limit: &str) -> Self {
        let Self { dir, board, mut core } = self;
        core.note_stop("a test");
        drop(core);
        let core = start(dir.path(), &board, mode, limit);
        Self { dir, board, core }
    }
}

fn write(dir: &Path, mode: &str, limit: &str) {
    fs::write(dir.join("tollgate.toml"), format!("mode = \"{mode}\"\n{SITE}{limit}{}", told::to(dir))).unwrap();
}

fn start(dir: &Path, board: &Shared, mode: &str, limit: &str) -> Core {
    write(dir, mode, limit);
    Core::start(&dir.join("state"), parts(dir, board)()).unwrap()
}

/// The number of Latvia, as records have it.
fn latvia() -> u16 {
    let place = gateway_user::numbering::country_codes().binary_search(&"LV").unwrap();
    u16::try_from(place + 1).unwrap()
}

fn key(kind: Key, value: u64) -> CellKey {
    CellKey { limit: name_hash(b"talk"), kind: kind as u32, value }
}

#[test]
fn a_line_that_talks_too_long_is_suspended_while_it_talks_and_resumed_by_hand() {
    let mut site = Site::new("enforce", LINE);
    site.talks(5);
    site.after(4 * MINUTE);
    site.hangs_up();
    site.talks(6);
    site.after(2 * MINUTE);
    assert_eq!(site.levels(), ["6 of 30 min/1h", "2 of 10 min/1h, 2 of 15 min/1d", "4 of 10 min/1h, 4 of 15 min/1d"]);
    site.hangs_up();
    site.talks(5);
    site.after(6 * MINUTE);
    assert_eq!(site.suspended(), [], "ten minutes are allowed");
    assert!(site.core.status().over_limits.is_empty());
    site.after(2 * SECOND);
    let [(cell, ring)] = site.suspended()[..] else { panic!("one line") };
    assert_eq!((cell.kind, ring.until - ring.since), (Key::Line as u32, 120 * MINUTE));
    assert_eq!(ring.cause, u64::from(latvia()));
    let told = &site.told("suspended", 1)[0];
    let word = format!("line:#{:016x}", cell.value);
    assert!(
        told.starts_with(&format!("international calls of the line {word} are suspended since 2026-11-20 ")),
        "{told}"
    );
    assert!(told.contains(":12:02 ") && told.contains(" until 2026-11-20 "), "{told}");
    assert!(
        told.contains("11 of 10 min/1h in 2 calls, the last to Latvia (LV) ([limit.talk]); `tollgate resume"),
        "{told}"
    );
    let over = &site.core.status().over_limits[0];
    assert_eq!(
        (over.limit.as_str(), over.action.as_str(), &over.undo),
        ("talk", "suspend", &format!("tollgate resume {word}"))
    );
    site.after(2 * SECOND);
    assert_eq!(site.suspended(), [(cell, ring)], "once");

    // Lifted: what led to it is forgotten, and the call that is up counts from now.
    site.asks(Command::Resume { what: word });
    site.after(3 * MINUTE);
    assert_eq!(site.suspended(), []);
    assert!(site.levels().contains(&"3 of 10 min/1h, 3 of 15 min/1d".into()), "{:?}", site.lines());
    site.after(8 * MINUTE);
    assert_eq!(site.suspended().len(), 1, "it talks on");
    // What is over its limit no more when the time is over may call again.
    site.hangs_up();
    site.after(90 * MINUTE);
    assert!(site.levels().contains(&"0 of 10 min/1h, 11 of 15 min/1d".into()), "{:?}", site.lines());
    site.after(31 * MINUTE);
    assert_eq!(site.suspended(), []);
    assert_eq!(site.told("suspended", 2).len(), 2);
}

#[test]
fn whoever_names_another_line_each_time_meets_the_sum_of_the_site() {
    let mut site = Site::new("enforce", LINE);
    for line in 1..=4 {
        site.talks(line);
    }
    site.after(7 * MINUTE + 30 * SECOND);
    assert_eq!(site.suspended(), []);
    site.after(2 * SECOND);
    assert_eq!(site.suspended().iter().map(|(key, _)| *key).collect::<Vec<_>>(), [key(Key::Site, 0)]);
    assert!(site.told("suspended", 1)[0].starts_with("all international calls of the site are suspended"));
}

#[test]
fn numbers_are_counted_and_a_warning_stops_nothing() {
    let mut site = Site::new("enforce", "key = \"source\"\ndistinct = \"3/1h\"\nsame = \"2/10m\"\nover = \"warn\"\n");
    for number in [1, 2, 3, 1, 2] {
        site.dials(number);
    }
    site.after(SECOND);
    assert_eq!(site.levels(), ["3 of 3 numbers/1h, 2 of 2 calls to one number/10m"]);
    assert!(site.core.status().over_limits.is_empty());
    site.dials(1);
    site.after(SECOND);
    let told = &site.told("over-limit", 1)[0];
    assert!(told.starts_with("international calls of 192.0.2.20 are over [limit.talk]: 3 of 2 calls to one number/10m, the last to Latvia (LV)."), "{told}");
    assert!(told.contains("nothing was stopped") && told.contains("`tollgate resume 192.0.2.20"), "{told}");
    assert_eq!(site.core.status().over_limits[0].action, "warn");
    // Ten minutes later that is over, and another number is one too many: told anew.
    site.after(10 * MINUTE);
    assert!(site.core.status().over_limits.is_empty());
    site.dials(4);
    site.after(SECOND);
    assert!(site.told("over-limit", 2)[1].contains("4 of 3 numbers/1h, the last to Latvia"));
    site.after(SECOND);
    assert_eq!(
        (site.suspended(), site.told("over-limit", 2).len()),
        (vec![], 2),
        "nothing is suspended, and it is told once"
    );
}

#[test]
fn many_numbers_or_one_too_often_suspend() {
    let limit = |what: &str| format!("key = \"country\"\n{what}\nover = \"suspend\"\n");
    for (what, numbers, why) in [
        ("distinct = \"3/1h\"", [1, 2, 3, 4], "4 of 3 numbers/1h, the last to Latvia (LV)"),
        ("same = \"3/1h\"", [9, 9, 9, 9], "4 of 3 calls to one number/1h, the last to Latvia (LV)"),
    ] {
        let mut site = Site::new("enforce", &limit(what));
        for number in numbers.iter().take(3) {
            site.dials(*number);
        }
        site.after(SECOND);
        assert_eq!(site.suspended(), [], "{what}");
        site.dials(numbers[3]);
        site.after(SECOND);
        let country = latvia().into();
        assert_eq!(
            site.suspended().iter().map(|(key, _)| *key).collect::<Vec<_>>(),
            [key(Key::Country, country)],
            "{what}"
        );
        assert!(site.told("suspended", 1)[0].contains(why), "{:?}", site.told("suspended", 1));
        site.asks(Command::Resume { what: "LV".into() });
        site.dials(numbers[3]);
        site.after(SECOND);
        assert_eq!(site.suspended(), [], "{what}: it begins anew");
    }
}

#[test]
fn monitor_mode_suspends_as_windows_do_and_says_that_nothing_stops() {
    let mut site = Site::new("monitor", LINE);
    site.talks(5);
    // What the rules of the file would stop brings nothing in enforce mode.
    let blocked = Call { reason: Reason::BlockedCountry as u8, line: 7, ..site.board.lock().unwrap().records[0] };
    site.board.lock().unwrap().records.push(blocked);
    site.after(11 * MINUTE);
    assert_eq!(site.suspended().len(), 1);
    assert!(site.told("suspended", 1)[0].contains("would be suspended in enforce mode"));
    assert_eq!(site.levels()[0], "11 of 30 min/1h");
}

#[test]
fn in_business_hours_the_owner_is_asked() {
    let hours = "ask = \"15m\"\nask_schedule = \"business\"\n[schedule.business]\nhours = \"09:00-18:00\"\n";
    let mut site = Site::new("enforce", &format!("{}{hours}", LINE.replace("30/1h", "300/1h")));
    site.talks(5);
    for _ in 0..3 {
        site.after(10 * MINUTE + SECOND);
    }
    let questions = site.core.status().questions;
    assert_eq!((questions.len(), questions[0].calls), (1, 1), "one question, however often it is looked");
    let asked = &site.told("asked", 1)[0];
    assert!(
        asked.contains(": 11 of 10 min/1h in 1 call, the last to Latvia (LV), are too many for [limit.talk]"),
        "{asked}"
    );
    assert_eq!(site.suspended(), []);
    site.core.tick();
    assert_eq!(site.suspended().len(), 1, "silence stops");
    assert!(site.told("unanswered", 1)[0].contains("are suspended until"));
}

#[test]
fn sums_survive_a_restart_and_a_reload() {
    let mut site = Site::new("enforce", LINE);
    site.talks(5);
    site.after(4 * MINUTE);
    let mut site = site.restart("enforce", LINE);
    // While no daemon runs the call goes on, and ends.
    site.after(2 * MINUTE);
    site.hangs_up();
    site.after(SECOND);
    assert_eq!(site.levels(), ["6 of 30 min/1h", "6 of 10 min/1h, 6 of 15 min/1d"]);
    write(site.dir.path(), "enforce", &LINE.replace("10/1h", "5/1h"));
    site.asks(Command::Reload { confirm: None });
    site.after(SECOND);
    assert_eq!(site.suspended().len(), 1, "the limit that stands has the sum of the one before");
    // Another limit has none of it, and a call that is up counts for it from then on.
    site.talks(8);
    site.after(4 * MINUTE);
    write(site.dir.path(), "enforce", &LINE.replace("line\"", "source\"").replace("site_minutes = \"30/1h\"\n", ""));
    site.asks(Command::Reload { confirm: None });
    site.after(SECOND);
    site.after(3 * MINUTE);
    assert!(site.levels().contains(&"3 of 10 min/1h, 3 of 15 min/1d".to_owned()), "{:?}", site.lines());
    write(site.dir.path(), "enforce", "key = \"source\"\nwindows = [\"50/1h\"]\n");
    site.asks(Command::Reload { confirm: None });
    site.after(SECOND);
    assert!(site.levels().iter().all(|level| !level.contains("min")), "{:?}", site.lines());
    assert!(!site.dir.path().join("state/tallies.json").exists());
}

#[test]
fn of_more_lines_than_there_is_room_for_the_site_still_counts() {
    let mut site = Site::new("enforce", &LINE.replace("30/1h", "50000/1h"));
    for line in 1..=4100 {
        site.talks(line);
    }
    site.after(2 * MINUTE);
    site.after(SECOND);
    let lines = site.lines();
    assert_eq!(lines.len(), 4097);
    assert!(lines.iter().any(|[_, _, level, _]| level == "8269 of 50000 min/1h"), "{:?}", lines.first());
    assert!(site.told("uncounted", 1)[0].starts_with("4 calls were not added up by limits on minutes or numbers"));
}

#[test]
fn what_is_still_over_when_a_suspension_ends_is_suspended_anew() {
    let mut site = Site::new("enforce", LINE);
    site.talks(5);
    site.after(16 * MINUTE);
    site.hangs_up();
    site.after(SECOND);
    let first = site.suspended();
    assert_eq!(first.len(), 1);
    site.after(121 * MINUTE);
    let again = site.suspended();
    assert!(again.len() == 1 && again[0].1.since > first[0].1.until, "16 minutes in a day are too many: {again:?}");
    assert!(site.told("suspended", 2)[1].contains("16 of 15 min/1d in 1 call"));
}
