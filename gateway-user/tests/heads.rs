//! Limits on heads in front of one number: who is banned, who is only told, who is let alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends there")]

mod support;

use std::{fs, net::IpAddr, path::Path};

use gateway_common::{
    Reason,
    addr::Addr,
    judged::Who,
    limit::{CellKey, name_hash, window::Ring},
};
use gateway_user::{
    control::{
        Answer,
        protocol::{Command, ErrorView},
    },
    daemon::{Core, Event, Tried},
};
use jiff::ToSpan as _;
use serde_json::Value;
use support::{Shared, event, parts, told};

const LIMIT: &str = "[interface.eth0]\nrole = \"wan\"\n[interface.eth1]\nrole = \"lan\"\n[site]\nregion = \"JP\"\ntime_zone = \"Asia/Tokyo\"\n\
                     [profile.default]\nlimits = [\"plan\"]\n[trunk.itsp]\nsources = [\"203.0.113.0/24\", \"2001:db8:5::1\"]\n[limit.plan]\n\
                     key = \"source\"\nheads = \"6/10m\"\n";
const BAN: &str = "over = \"ban\"\nban = \"5m\"\n";
const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const CLOCK: u64 = 1_000_000 * SECOND;
const SCANNER: [u8; 4] = [198, 51, 100, 9];

struct Site {
    dir: tempfile::TempDir,
    board: Shared,
    core: Core,
}

impl Site {
    fn new(mode: &str, over: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let board = Shared::default();
        {
            let mut board = board.lock().unwrap();
            (board.now, board.clock) = (Some("2026-11-20T12:00:00+09:00".parse().unwrap()), CLOCK);
        }
        write(dir.path(), mode, &format!("{LIMIT}{over}"));
        let core = Core::start(&dir.path().join("state"), parts(dir.path(), &board)()).unwrap();
        Self { dir, board, core }
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

    /// A source tries a number behind these heads, and the daemon looks.
    fn tries(&mut self, source: impl Into<IpAddr>, number: u64, heads: impl IntoIterator<Item = u64>) {
        let source = source.into();
        {
            let mut board = self.board.lock().unwrap();
            let (time, clock) = (board.now.unwrap(), board.clock);
            let tried = |head| Some(Tried { tail: number, head });
            board.events.extend(heads.into_iter().map(|head| Event {
                time,
                clock,
                source,
                tried: tried(head),
                ..event()
            }));
        }
        self.after(1);
    }

    /// A source has shown that it is where it says, for an hour.
    fn shows(&mut self, source: [u8; 4]) {
        let mut board = self.board.lock().unwrap();
        let until = board.clock + 60 * MINUTE;
        board.present.insert(value(source), until);
    }

    fn ban(&self, source: [u8; 4]) -> Option<Ring> {
        let board = self.board.lock().unwrap();
        board.cells.get(&CellKey::of_ban(value(source))).filter(|ring| board.clock < ring.until).copied()
    }

    fn resume(&mut self, what: &str) -> Result<Value, ErrorView> {
        match self.core.handle(Command::Resume { what: what.into() }, "owner").0 {
            Answer::Reply(reply) => reply,
            _ => panic!("a reply"),
        }
    }

    /// What `list lines` shows: what it counts, what is done, how full it is, and the limit.
    fn lines(&mut self) -> Vec<[String; 4]> {
        told::lines(&mut self.core, ["value", "action", "level", "origin"])
    }

    /// The notices of one kind, once there are so many.
    fn told(&self, kind: &str, count: usize) -> Vec<String> {
        told::told(self.dir.path(), kind, count)
    }
}

fn write(dir: &Path, mode: &str, policy: &str) {
    fs::write(dir.join("tollgate.toml"), format!("mode = \"{mode}\"\n{policy}{}", told::to(dir))).unwrap();
}

fn value(source: [u8; 4]) -> u64 {
    Addr::v4(u32::from_be_bytes(source)).source()
}

#[test]
fn who_is_present_and_tries_one_head_too_many_is_banned_as_the_kernel_bans() {
    let mut site = Site::new("enforce", BAN);
    site.shows(SCANNER);
    site.tries(SCANNER, 7, 0..6);
    assert_eq!(site.ban(SCANNER), None, "six are let go");
    assert!(site.core.status().over_limits.is_empty());
    site.tries(SCANNER, 7, [6]);
    let ring = site.ban(SCANNER).expect("the seventh is one too many");
    assert_eq!((ring.until - ring.since, ring.admitted, ring.used), (5 * MINUTE, 1, name_hash(b"plan").into()));
    assert_eq!(site.ban([198, 51, 100, 10]), None, "a neighbour");
    let told = &site.told("suspended", 1)[0];
    assert!(
        told.starts_with("SIP of 198.51.100.9 is banned from the SIP ports since ")
            || told.starts_with("198.51.100.9 is banned from the SIP ports since "),
        "{told}"
    );
    assert!(
        told.contains("for the first time within a day: over [limit.plan]; `tollgate resume 198.51.100.9` lifts it"),
        "{told}"
    );
    assert_eq!(site.lines(), [["SIP of 198.51.100.9", "banned", "", "[limit.plan]"]]);
    assert!(site.core.status().over_limits.is_empty(), "a ban is no warning");

    // What led to a ban leads to no other one; what is tried meanwhile does, and that one is twice as long.
    site.after(5 * MINUTE);
    assert_eq!(site.ban(SCANNER), None);
    site.shows(SCANNER);
    site.tries(SCANNER, 8, 0..7);
    assert_eq!(site.ban(SCANNER).map(|ring| ring.until - ring.since), Some(10 * MINUTE));
    site.after(8 * MINUTE);
    site.tries(SCANNER, 9, 0..7);
    assert_eq!(site.ban(SCANNER).map(|ring| ring.admitted), Some(2), "banned already");
    site.after(2 * MINUTE);
    assert_eq!(site.ban(SCANNER).map(|ring| ring.until - ring.since), Some(20 * MINUTE), "it went on");

    // Lifted: with what was counted, or it would be banned at once.
    site.tries(SCANNER, 9, 0..7);
    let done = site.resume("198.51.100.9").unwrap();
    assert!(done["done"].as_str().unwrap().contains("1 suspension lifted"), "{done}");
    site.after(2 * SECOND);
    assert_eq!(site.ban(SCANNER), None);
}

#[test]
fn who_may_be_forged_is_told_and_banned_once_it_shows_to_be_there() {
    let mut site = Site::new("enforce", BAN);
    site.tries(SCANNER, 7, 0..7);
    site.after(2 * SECOND);
    assert_eq!(site.ban(SCANNER), None);
    let told = site.told("over-limit", 1);
    assert_eq!(told.len(), 1, "once: {told:?}");
    assert!(
        told[0].starts_with("198.51.100.9 is over [limit.plan]: 7 of 6 heads of one number/10m. Who has not shown"),
        "{told:?}"
    );
    assert!(
        told[0].contains("`tollgate block 198.51.100.9`") && told[0].contains("`tollgate resume 198.51.100.9`"),
        "{told:?}"
    );
    let status = site.core.status();
    let [over] = status.over_limits.as_slice() else { panic!("{:?}", status.over_limits) };
    assert_eq!((over.what.as_str(), over.action.as_str()), ("calls of 198.51.100.9", "ban"));
    assert_eq!(over.undo, "tollgate resume 198.51.100.9");
    assert_eq!(site.lines()[0][2], "7 of 6 heads of one number/10m");
    site.shows(SCANNER);
    site.after(2 * SECOND);
    assert!(site.ban(SCANNER).is_some());
    assert!(site.core.status().over_limits.is_empty());

    // Who shows it when ten minutes have passed has tried too little since.
    let other = [198, 51, 100, 10];
    site.tries(other, 7, 0..7);
    site.after(10 * MINUTE);
    site.shows(other);
    site.after(2 * SECOND);
    assert_eq!(site.ban(other), None);
    // And who is resumed before begins anew.
    site.tries([198, 51, 100, 11], 7, 0..7);
    assert!(site.resume("198.51.100.11").unwrap()["done"].as_str().unwrap().contains("begins anew"));
    site.shows([198, 51, 100, 11]);
    site.after(2 * SECOND);
    assert_eq!(site.ban([198, 51, 100, 11]), None);
}

#[test]
fn trunks_and_who_became_known_are_let_alone() {
    let (trunk, known) = ([203, 0, 113, 10], [198, 51, 100, 20]);
    let mut site = Site::new("enforce", BAN);
    site.shows(trunk);
    site.shows(known);
    site.board.lock().unwrap().known.push((known.into(), u64::MAX));
    // By what the events say they were nobody when they tried.
    site.tries(trunk, 7, 0..20);
    site.tries(known, 7, 0..20);
    // A host of a trunk in the same /64.
    let beside: IpAddr = "2001:db8:5::99".parse().unwrap();
    site.board.lock().unwrap().present.insert(0x2001_0db8_0005_0000, u64::MAX);
    site.tries(beside, 7, 0..20);
    site.after(2 * SECOND);
    assert_eq!((site.ban(trunk), site.ban(known)), (None, None));
    assert!(site.board.lock().unwrap().cells.is_empty());
    assert!(site.core.status().over_limits.is_empty());
    for who in [Who::Lan, Who::Known, Who::Trunk] {
        let mut board = site.board.lock().unwrap();
        let (time, clock) = (board.now.unwrap(), board.clock);
        let tried = (0..20).map(|head| Event {
            time,
            clock,
            who,
            source: SCANNER.into(),
            tried: Some(Tried { tail: 7, head }),
            ..event()
        });
        board.events.extend(tried);
    }
    site.shows(SCANNER);
    site.after(2 * SECOND);
    assert_eq!(site.ban(SCANNER), None, "whom the site vouches for counts for nothing");
}

#[test]
fn honest_ways_to_dial_are_let_go() {
    let mut site = Site::new("enforce", BAN);
    site.shows(SCANNER);
    // One number in four ways, again and again; and a call centre.
    for _ in 0..5 {
        site.tries(SCANNER, 7, 0..4);
        for number in 100..300 {
            site.tries(SCANNER, number, [1]);
        }
    }
    assert_eq!(site.ban(SCANNER), None);
    // Heads of different numbers are not added together; slow ones leave the ten minutes.
    for number in 500..520 {
        site.tries(SCANNER, number, number..number + 3);
    }
    for head in 0..20 {
        site.tries(SCANNER, 600, [head]);
        site.after(2 * MINUTE);
    }
    assert_eq!(site.ban(SCANNER), None);
}

#[test]
fn monitor_mode_says_whom_it_would_have_banned_and_a_warning_only_tells() {
    let mut site = Site::new("monitor", BAN);
    site.shows(SCANNER);
    site.tries(SCANNER, 7, 0..7);
    let told = &site.told("suspended", 1)[0];
    assert!(told.contains("198.51.100.9 would be banned in enforce mode from the SIP ports since "), "{told}");
    assert_eq!(site.lines()[0][1], "would ban");

    let mut site = Site::new("enforce", "over = \"warn\"\n");
    site.shows(SCANNER);
    site.tries(SCANNER, 7, 0..7);
    site.after(2 * SECOND);
    let told = site.told("over-limit", 1);
    assert!(
        told[0].contains("That limit only warns, and nothing was stopped: `tollgate block 198.51.100.9`"),
        "{told:?}"
    );
    assert_eq!((site.ban(SCANNER), site.core.status().over_limits.len()), (None, 1));
}

#[test]
fn a_flood_of_forged_scanners_is_one_notice_and_hides_nobody_who_is_there() {
    let mut site = Site::new("enforce", BAN);
    let forged = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
    {
        let mut board = site.board.lock().unwrap();
        let (time, clock) = (board.now.unwrap(), board.clock);
        let tried = |head| Some(Tried { tail: 7, head });
        let flood = (0..2000).flat_map(|n| (0..8).map(move |head| (forged(n), head)));
        board.events.extend(flood.map(|(source, head)| Event { time, clock, source, tried: tried(head), ..event() }));
    }
    site.after(SECOND);
    site.shows(SCANNER);
    site.tries(SCANNER, 7, 0..7);
    assert!(site.ban(SCANNER).is_some());
    let told = site.told("over-limit", 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("10.0.0.0, 10.0.0.1, 10.0.0.2 and 1997 other sources are over [limit.plan]: 7 of 6"),
        "{told:?}"
    );
    let over = site.core.status().over_limits;
    assert_eq!((over.len(), over[0].what.as_str()), (8, "calls of 10.0.0.0, and 1992 more"));
    assert!(site.board.lock().unwrap().cells.len() == 1, "nobody else is banned");
}

#[test]
fn a_reload_keeps_the_count_and_the_end_of_the_limit_ends_it() {
    let mut site = Site::new("enforce", BAN);
    site.shows(SCANNER);
    site.tries(SCANNER, 7, 0..6);
    let reload = || Command::Reload { confirm: None };
    write(site.dir.path(), "enforce", &format!("{LIMIT}{}", BAN.replace("5m", "7m")));
    assert!(matches!(site.core.handle(reload(), "owner").0, Answer::Reply(Ok(_))));
    site.tries(SCANNER, 7, [6]);
    assert_eq!(site.ban(SCANNER).map(|ring| ring.until - ring.since), Some(7 * MINUTE));

    let mut site = Site::new("enforce", BAN);
    site.shows(SCANNER);
    site.tries(SCANNER, 7, 0..6);
    let without = LIMIT.split("[limit.plan]").next().unwrap().replace("limits = [\"plan\"]\n", "");
    write(site.dir.path(), "enforce", &without);
    assert!(matches!(site.core.handle(reload(), "owner").0, Answer::Reply(Ok(_))));
    site.tries(SCANNER, 7, [6]);
    write(site.dir.path(), "enforce", &format!("{LIMIT}{BAN}"));
    assert!(matches!(site.core.handle(reload(), "owner").0, Answer::Reply(Ok(_))));
    site.tries(SCANNER, 7, [7]);
    assert_eq!(site.ban(SCANNER), None, "it begins anew");
}

#[test]
fn where_no_place_is_left_for_a_ban_it_is_tried_again() {
    let mut site = Site::new("enforce", BAN);
    site.shows(SCANNER);
    site.board.lock().unwrap().no_bans = true;
    site.tries(SCANNER, 7, 0..7);
    assert_eq!((site.ban(SCANNER), site.core.status().over_limits.len()), (None, 1));
    site.board.lock().unwrap().no_bans = false;
    site.after(2 * SECOND);
    assert!(site.ban(SCANNER).is_some());
}

#[test]
fn refused_guesses_count_whatever_the_reason() {
    let mut site = Site::new("enforce", BAN);
    site.shows(SCANNER);
    let reasons = [
        Reason::Allowed,
        Reason::Malformed,
        Reason::BlockedCountry,
        Reason::Banned,
        Reason::SourceLimit,
        Reason::Floor,
        Reason::Order,
    ];
    {
        let mut board = site.board.lock().unwrap();
        let (time, clock) = (board.now.unwrap(), board.clock);
        for (head, reason) in (0..).zip(reasons) {
            let tried = Some(Tried { tail: 7, head });
            board.events.push(Event { time, clock, reason, source: SCANNER.into(), tried, ..event() });
        }
    }
    site.after(SECOND);
    assert!(site.ban(SCANNER).is_some());
}
