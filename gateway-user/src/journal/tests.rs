use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicI64, Ordering},
};

use gateway_common::{Class, Method, Reason, Verdict, judged::Who, limit::line_digest};
use jiff::ToSpan as _;

use super::{lane::LaneFiles, *};
use crate::{
    config::Role,
    daemon::{Decided, MaskedNumber},
};

const NOW: &str = "2026-11-20T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    now() + second.seconds()
}

pub(super) fn decision(second: i64) -> Decision {
    Decision::of(&event(second, "23276123456", Who::Lan, Verdict::Drop))
}

fn event(second: i64, digits: &str, who: Who, verdict: Verdict) -> Event {
    Event {
        time: at(second),
        verdict,
        reason: if verdict == Verdict::Pass { Reason::Allowed } else { Reason::BlockedCountry },
        method: Some(Method::Invite),
        class: Class::International,
        country: Some("SL"),
        number: Some(MaskedNumber::of(digits)),
        callee: 0,
        source: "192.0.2.20".parse().unwrap(),
        interface: "eth1".into(),
        side: Role::Lan,
        who,
        generation: 3,
        policy: Some("5ea1fab1ede5ea1fab1e".into()),
        decided: Some(Decided {
            profile: "default".into(),
            rule: Some("block SL (Sierra Leone) at tollgate.toml:12".into()),
            ..Decided::default()
        }),
        line: line_digest(b"203"),
        clock: 0,
        held: Vec::new(),
        tried: None,
    }
}

fn change(second: i64, kind: ChangeKind, order: Option<u64>) -> Change {
    Change {
        time: at(second),
        change: kind,
        done: "block SL".into(),
        who: Some("noc".into()),
        order,
        reason: None,
        generation: Some(3),
        policy: None,
    }
}

fn all(reader: &Reader) -> (Vec<Entry>, u64) {
    let mut found = Vec::new();
    let span = Timestamp::MIN..=Timestamp::MAX;
    let damaged = reader.read(&Lane::ALL, &span, &mut |entry| found.push(entry)).unwrap();
    (found, damaged)
}

fn open(dir: &Path) -> Journal {
    Journal::open(dir, config::Journal::default(), now(), Vec::new())
}

fn settled(journal: &Journal) -> Reader {
    let reader = journal.reader();
    loop {
        reader.settle();
        // A busy machine may take longer than an operator waits.
        let inbox = reader.shared.lock();
        if inbox.done >= inbox.wanted {
            break;
        }
    }
    reader
}

#[test]
fn what_was_handed_over_is_there_after_a_restart_and_nothing_but_the_mask_of_the_number() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.note(event(0, "23276123456", Who::Lan, Verdict::Drop));
    journal.note(event(1, "4420718387", Who::Lan, Verdict::Pass));
    journal.note(event(2, "23276123456", Who::Unproved, Verdict::Drop));
    journal.change(change(3, ChangeKind::Order, Some(7)));
    let (found, _) = all(&settled(&journal));
    assert_eq!(found.len(), 4, "a question sees what was handed over before it");
    drop(journal);
    let journal = open(dir.path());
    let (again, damaged) = all(&settled(&journal));
    assert_eq!((again.len(), damaged), (4, 0));
    assert_eq!(again[0], Entry::Change(change(3, ChangeKind::Order, Some(7))));
    assert_eq!(again[1], Entry::Decision(decision(0)));
    for lane in Lane::ALL {
        let folder = dir.path().join(DIRECTORY).join(lane.name());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        for file in fs::read_dir(&folder).unwrap() {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600);
            assert!(!fs::read_to_string(&path).unwrap().contains("123456"), "a whole number in {}", path.display());
        }
    }
}

#[test]
fn a_record_of_a_version_without_lines_is_read_and_unknown_fields_are_left_out() {
    let old = r#"{"kind":"decision","time":"2026-11-20T12:00:00Z","verdict":"drop","reason":"line-limit","method":"INVITE",
        "class":"international","country":"SL","number":"+232 76••","source":"192.0.2.20","who":"lan",
        "interface":"eth1","side":"lan","profile":"default","limit":"limit.abroad","generation":3}"#;
    let line = |json: &str| format!("{:08x} {json}", crc32fast::hash(json.as_bytes()));
    let Some(Entry::Decision(read)) = line::decode(line(old).as_bytes()) else { panic!("an old record is damaged") };
    assert_eq!((read.line(), read.line_word(), read.held.as_slice()), (None, None, &[][..]));
    let newer = old.replace("\"generation\"", "\"to-come\":1,\"line\":\"00000000000000ff\",\"generation\"");
    let Some(Entry::Decision(read)) = line::decode(line(&newer).as_bytes()) else {
        panic!("a newer record is damaged")
    };
    assert_eq!(read.line(), Some(0xff));
    let odd = newer.replace("00000000000000ff", "what");
    let Some(Entry::Decision(read)) = line::decode(line(&odd).as_bytes()) else { panic!("it is whole") };
    assert_eq!(read.line(), None);
}

#[test]
fn telephones_behind_one_address_keep_a_record_each() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    let of_line = |name: &[u8]| Event { line: line_digest(name), ..event(0, "23276123456", Who::Lan, Verdict::Drop) };
    for name in [b"203", b"204", b"203"] {
        journal.note(of_line(name));
    }
    let (found, _) = all(&settled(&journal));
    let mut lines: Vec<(Option<u64>, u64)> = found
        .iter()
        .filter_map(|entry| match entry {
            Entry::Decision(decision) => Some((decision.line(), decision.count)),
            Entry::Change(_) => None,
        })
        .collect();
    lines.sort_by_key(|(_, count)| *count);
    assert_eq!(lines, [(Some(line_digest(b"204")), 1), (Some(line_digest(b"203")), 2)]);
}

#[test]
fn what_repeats_itself_is_one_record_with_a_count() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for i in 0..1000 {
        journal.note(event(i % 2, "23276123456", Who::Lan, Verdict::Drop));
        journal.note(event(0, "23299123456", Who::Lan, Verdict::WouldDrop));
    }
    let (found, _) = all(&settled(&journal));
    let sum = |verdict: &str| -> u64 {
        let alike = found.iter().filter_map(|entry| match entry {
            Entry::Decision(decision) if decision.verdict == verdict => Some(decision.count),
            _ => None,
        });
        alike.sum()
    };
    assert_eq!((sum("drop"), sum("would-drop")), (1000, 1000), "every packet is counted");
    assert!(found.len() < 100, "{} records", found.len());
}

#[test]
fn unproved_sources_cannot_crowd_out_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let small = config::Journal { days: 14, size: 1_000_000 };
    let journal = Journal::open(dir.path(), small, now(), Vec::new());
    journal.note(event(0, "23276123456", Who::Lan, Verdict::Drop));
    journal.change(change(0, ChangeKind::Order, Some(1)));
    settled(&journal);
    for round in 0..10_u32 {
        for i in 0..1000_u32 {
            let mut flood = event(1, "23276123456", Who::Unproved, Verdict::Drop);
            flood.source = std::net::Ipv4Addr::from_bits(0xc633_0000 + round * 1000 + i).into();
            journal.note(flood);
        }
        settled(&journal);
    }
    let (found, _) = all(&settled(&journal));
    let lanes: Vec<Lane> = found.iter().map(Entry::lane).collect();
    assert_eq!(lanes.iter().filter(|lane| **lane == Lane::Own).count(), 1);
    assert_eq!(lanes.iter().filter(|lane| **lane == Lane::Changes).count(), 1);
    let flood = lanes.iter().filter(|lane| **lane == Lane::Unproved).count();
    assert!((200..1000).contains(&flood), "{flood} of 10,000 are left, the youngest");
    let octets: u64 = fs::read_dir(dir.path().join(DIRECTORY).join("unproved"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(octets <= Lane::Unproved.share(small.size), "{octets} octets");
    assert_eq!(journal.state().octets, journal_octets(dir.path()));
    assert_eq!(journal.state().lost, 0);
}

fn journal_octets(dir: &Path) -> u64 {
    let files = Lane::ALL.iter().flat_map(|lane| fs::read_dir(dir.join(DIRECTORY).join(lane.name())).unwrap());
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn old_days_are_removed_whole() {
    let dir = tempfile::tempdir().unwrap();
    let days = config::Journal { days: 2, ..config::Journal::default() };
    let journal = Journal::open(dir.path(), days, now(), Vec::new());
    for day in 0..6 {
        journal.tick(now() + (24 * day).hours());
        journal.note(event(24 * 3600 * day, "23276123456", Who::Lan, Verdict::Drop));
        settled(&journal);
    }
    let (found, _) = all(&settled(&journal));
    let left: Vec<i64> = found.iter().map(|entry| (entry.time().as_second() - now().as_second()) / 86_400).collect();
    assert_eq!(left, [3, 4, 5]);
    assert_eq!(journal.state().oldest, Some("2026-11-23".parse().unwrap()));
    journal.configure(config::Journal { days: 1, ..days });
    assert_eq!(all(&settled(&journal)).0.len(), 2, "fewer days hold at once");
    // Nothing arrives any more, and time goes on.
    journal.tick(now() + (24 * 30).hours());
    assert_eq!(all(&settled(&journal)).0.len(), 0);
    assert_eq!(journal_octets(dir.path()), 0);
}

/// Appends batches to one lane and cuts the files off behind each octet.
#[test]
fn a_crash_at_any_octet_loses_nothing_acknowledged() {
    // Thousands of syncs: on a file system in memory, where there is one.
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let folder = dir.path().join(DIRECTORY).join("own");
    // Room for about ten records, so that segments are begun and removed as well.
    let day = "2026-11-20".parse().unwrap();
    let room = 8 * 1024;
    let mut lane = LaneFiles::open(&folder, room).unwrap();
    let mut number = 0;
    for _ in 0..6 {
        let batch: Vec<String> = (0..2)
            .map(|_| {
                number += 1;
                line::encode(&Entry::Decision(decision(number))).unwrap()
            })
            .collect();
        // What is acknowledged before the batch, and what is on the disk behind it.
        let before = times(&folder);
        let (done, result) = lane.append(day, &batch);
        result.unwrap();
        assert_eq!(done, batch.len());
        let last = lane::segments(&folder).unwrap().pop_back().unwrap();
        let whole = fs::read(&last.path).unwrap();
        let acknowledged: Vec<i64> = before.iter().copied().filter(|time| times(&folder).contains(time)).collect();
        let new = batch.iter().map(String::len).sum::<usize>().min(whole.len());
        for cut in whole.len() - new..whole.len() {
            fs::write(&last.path, &whole[..cut]).unwrap();
            let found = times(&folder);
            let lost: Vec<&i64> = acknowledged.iter().filter(|time| !found.contains(time)).collect();
            assert!(lost.is_empty(), "cut at {cut} of {}: {lost:?} lost", whole.len());
            // The daemon starts, goes on behind the cut, and what it writes then is there.
            let mut after = LaneFiles::open(&folder, room).unwrap();
            let line = line::encode(&Entry::Decision(decision(1000))).unwrap();
            after.append(day, &[line]).1.unwrap();
            assert!(times(&folder).contains(&1000), "cut at {cut}");
            let behind = lane::segments(&folder).unwrap().pop_back().unwrap();
            if behind.path != last.path {
                fs::remove_file(&behind.path).unwrap();
            }
        }
        fs::write(&last.path, &whole).unwrap();
        lane = LaneFiles::open(&folder, room).unwrap();
    }
}

/// The seconds of the records in a lane.
fn times(folder: &Path) -> Vec<i64> {
    let mut found = Vec::new();
    let span = Timestamp::MIN..=Timestamp::MAX;
    read::read(folder.parent().unwrap(), &[Lane::Own], &span, &mut |entry| {
        found.push(entry.time().as_second() - now().as_second());
    })
    .unwrap();
    found
}

#[test]
fn a_damaged_octet_costs_its_own_record_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    for second in 0..5 {
        journal.note(event(second, &format!("2327612345{second}"), Who::Lan, Verdict::Drop));
        settled(&journal);
    }
    let reader = journal.reader();
    drop(journal);
    let path = lane::segments(&dir.path().join(DIRECTORY).join("own")).unwrap()[0].path.clone();
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        fs::write(&path, &flipped).unwrap();
        let (found, damaged) = all(&reader);
        // A last line without its end may still be being written.
        let unended = at + 1 == whole.len();
        assert!(
            found.len() >= 3 && (damaged >= 1 || unended),
            "octet {at}: {} records, {damaged} damaged",
            found.len()
        );
        assert!(found.len() >= 4 || whole[at] == b'\n', "octet {at} costs one record, or the two that it parted");
    }
    // Whatever stands there, reading ends and the daemon starts.
    for garbage in [vec![0; 100_000], vec![b'\n'; 10_000], b"deadbeef {}\n".repeat(1000), vec![b'x'; 300_000]] {
        fs::write(&path, &garbage).unwrap();
        let journal = open(dir.path());
        assert_eq!(all(&settled(&journal)).0.len(), 0);
        assert_eq!(journal.state().error, None);
    }
}

#[test]
fn a_full_disk_is_told_and_what_waits_is_written_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let room = Arc::new(AtomicI64::new(i64::MAX));
    let (lanes, disk) = (dir.path().join(DIRECTORY), Arc::clone(&room));
    let opener: writer::Opener = Box::new(move |lane, octets| {
        let disk = Arc::clone(&disk);
        let writer: lane::Writer = Box::new(move |file, octets| {
            use std::io::Write as _;
            let left = usize::try_from(disk.load(Ordering::SeqCst)).unwrap_or(0).min(octets.len());
            file.write_all(&octets[..left])?;
            disk.fetch_sub(left as i64, Ordering::SeqCst);
            if left < octets.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        });
        LaneFiles::with_writer(&lanes.join(lane.name()), octets, writer)
    });
    let journal =
        Journal::with_opener(dir.path().join(DIRECTORY), config::Journal::default(), now(), Vec::new(), opener);
    journal.note(event(0, "23276123456", Who::Lan, Verdict::Drop));
    settled(&journal);
    for left in [0, 1, 100, 350, 700] {
        room.store(left, Ordering::SeqCst);
        let first = left * 100 + 1;
        for i in 0..5 {
            journal.note(event(first + i, &format!("2327612345{i}"), Who::Lan, Verdict::Drop));
            settled(&journal);
        }
        let state = journal.state();
        assert!(state.error.as_deref().unwrap_or_default().contains("storage"), "room for {left}: {state:?}");
        room.store(i64::MAX, Ordering::SeqCst);
        let (found, damaged) = all(&settled(&journal));
        assert_eq!((journal.state().error, journal.state().lost, damaged), (None, 0, 0), "room for {left}");
        let mut seen: Vec<i64> = found.iter().map(|entry| entry.time().as_second() - now().as_second()).collect();
        seen.retain(|second| *second >= first);
        assert_eq!(seen, (first..first + 5).collect::<Vec<_>>(), "each once, room for {left}");
    }
}

#[test]
fn what_no_disk_takes_is_bounded_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let opener: writer::Opener = Box::new(|_, _| Err(io::ErrorKind::ReadOnlyFilesystem.into()));
    let journal =
        Journal::with_opener(dir.path().join(DIRECTORY), config::Journal::default(), now(), Vec::new(), opener);
    let flood = |count: u32| {
        for i in 0..count {
            let mut event = event(0, "23276123456", Who::Lan, Verdict::Drop);
            event.source = std::net::Ipv4Addr::from_bits(0x0a00_0000 + i).into();
            journal.note(event);
        }
    };
    flood(50_000);
    settled(&journal);
    flood(50_000);
    settled(&journal);
    let state = journal.state();
    assert_eq!(state.lost, 100_000 - MOST_WAITING as u64, "{state:?}");
    assert!(state.error.unwrap().contains("read-only"));
}

#[test]
fn a_place_that_is_no_directory_is_told_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DIRECTORY);
    fs::write(&path, "precious").unwrap();
    let journal = open(dir.path());
    journal.note(event(0, "23276123456", Who::Lan, Verdict::Drop));
    settled(&journal);
    assert!(journal.state().error.is_some());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();
    assert_eq!(all(&settled(&journal)).0.len(), 1, "once the place is free, what waited is written");
    // Somebody removes the directory under the daemon.
    fs::remove_dir_all(&path).unwrap();
    journal.tick(now() + 24.hours());
    journal.note(event(1, "23276123456", Who::Lan, Verdict::Drop));
    settled(&journal);
    assert_eq!(all(&settled(&journal)).0.len(), 1);
    // A symlink in place of a segment is not followed.
    drop(journal);
    let segment = lane::segments(&path.join("own")).unwrap()[0].path.clone();
    fs::remove_file(&segment).unwrap();
    fs::write(dir.path().join("elsewhere"), "precious").unwrap();
    std::os::unix::fs::symlink(dir.path().join("elsewhere"), &segment).unwrap();
    let journal = open(dir.path());
    journal.tick(now() + 24.hours());
    journal.note(event(2, "23276123456", Who::Lan, Verdict::Drop));
    settled(&journal);
    assert!(journal.state().error.is_some());
    assert_eq!(fs::read_to_string(dir.path().join("elsewhere")).unwrap(), "precious");
}

#[test]
fn orders_that_a_crash_kept_from_the_journal_are_added_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path());
    journal.change(change(0, ChangeKind::Start, None));
    journal.change(change(1, ChangeKind::Order, Some(1)));
    drop(journal);
    let known = || {
        let old = Change { time: now() - (24 * 20).hours(), ..change(0, ChangeKind::Order, Some(3)) };
        vec![change(1, ChangeKind::Order, Some(1)), change(2, ChangeKind::Order, Some(2)), old]
    };
    for _ in 0..2 {
        let journal = Journal::open(dir.path(), config::Journal::default(), at(10), known());
        journal.change(change(10, ChangeKind::Start, None));
        settled(&journal);
        journal.change(change(11, ChangeKind::Stop, None));
    }
    let journal = open(dir.path());
    let (found, _) = all(&settled(&journal));
    let orders: Vec<u64> = found
        .iter()
        .filter_map(|entry| match entry {
            Entry::Change(change) => change.order,
            Entry::Decision(_) => None,
        })
        .collect();
    assert_eq!(orders, [1, 2]);
    let crashed = found.iter().filter(|entry| format!("{entry:?}").contains("ended without a word")).count();
    assert_eq!(crashed, 1, "the first run ended without a stop, the others did not");
}
