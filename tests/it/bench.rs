//! What the measurements rest on: the generator makes the frames that it says it makes, and every row measures what it is
//! called after.

use std::collections::HashSet;

use gateway_common::judge::Side;
use gateway_tests::{
    bench::{
        attack,
        frames::{Content, FIRST, Vary, Wrap, for_nobody},
        memory,
        policies::Kind,
        rows,
        traffic::Generator,
    },
    capability::{require_kernel, require_program},
    peer::Kamailio,
};
use gateway_user::engine::host::HostEngine;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Checks the checksum of an IPv4 header.
fn sums_up(header: &[u8]) -> bool {
    let mut sum: u32 = header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum == 0xffff
}

#[test]
fn the_generator_varies_sources_numbers_and_call_ids() {
    if !require_kernel("the_generator_varies_sources_numbers_and_call_ids") {
        return;
    }
    // The generator counts its frames by CPU.
    let allowed = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).unwrap());
    sched_setaffinity(None, &one).unwrap();
    let vary = Vary { sources: 100, numbers: 500, call_ids: true };
    let sample = for_nobody(&Content::Invite("+2327600000".into()), Wrap::Plain, vary).unwrap();
    let mut generator = Generator::new(&sample).unwrap();
    let (mut sources, mut numbers, mut call_ids) = (HashSet::new(), HashSet::new(), HashSet::new());
    for _ in 0..1000 {
        let frame = generator.vary().unwrap();
        assert!(sums_up(&frame[14..34]), "{frame:?}");
        sources.insert(frame[26..30].to_vec());
        let message = String::from_utf8(frame[42..].to_vec()).unwrap();
        let user = message["INVITE sip:".len()..].split('@').next().unwrap().to_owned();
        assert!(message.contains(&format!("To: <sip:{user}@")), "{message}");
        assert!(user.starts_with("+23276") && user[6..].parse::<u32>().unwrap() < 500, "{user}");
        numbers.insert(user);
        call_ids.insert(message.lines().find(|line| line.starts_with("Call-ID")).unwrap().to_owned());
    }
    assert_eq!((sources.len(), call_ids.len()), (100, 1000));
    assert!(sources.iter().all(|source| source[..3] == [10, 1, 0] && source[3] < 100));
    assert!(numbers.len() > 400, "{} different numbers", numbers.len());
}

#[test]
fn every_row_is_judged_as_it_is_called() {
    let rows = rows::all();
    let names: HashSet<_> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(names.len(), rows.len());
    for row in rows {
        // Few prefixes, so that the test is quick; what a row is called after is among the first ones.
        let policy = gateway_tests::bench::policies::Policy { prefixes: row.policy.prefixes.min(50), ..row.policy };
        let mut engine = HostEngine::new(policy.compile().unwrap());
        if policy.kind == Kind::Banned {
            engine.ban(FIRST.into());
        }
        let sample = for_nobody(&row.content, row.wrap, row.vary).unwrap();
        // A limit lets the first ones through.
        let last = (0..1000).map(|_| engine.judge(&sample.frame, Side::Wan, 1, 1)).last().unwrap();
        assert_eq!(last.reason(), row.reason, "{}", row.name);
    }
}

#[test]
fn the_loaded_filter_keeps_to_its_memory_whatever_its_policy() {
    if !require_kernel("the_loaded_filter_keeps_to_its_memory_whatever_its_policy") {
        return;
    }
    let [few, many] = memory::ROWS.map(|(row, prefixes)| memory::measure(row, prefixes).unwrap());
    assert_eq!(few.parts, many.parts);
    assert!(few.parts["POLICY[0]"] >= 32 << 20 && few.parts["LIMITS"] > 0 && few.parts["programs"] > 0, "{few}");
    let most = memory::MOST + few.cpus as u64 * memory::MOST_A_CPU;
    assert!(few.total <= most, "{few}; at most {most} octets");
}

#[test]
fn voice_reaches_a_site_while_its_attack_is_stopped() {
    let test = "voice_reaches_a_site_while_its_attack_is_stopped";
    if !require_kernel(test) || require_program(test, Kamailio::find(), "cargo xtask setup").is_none() {
        return;
    }
    let mut rows = attack::rows().into_iter();
    let row = rows.find(|row| row.name == "voice, blocked INVITEs, Tollgate").unwrap();
    // It fails by itself where the attack was not stopped.
    let measured = row.measure(None).unwrap();
    let attack::Outcome::Voice(voice) = measured.outcome else { panic!("{measured}") };
    assert!(measured.rates.frames > 0.0 && measured.rates.to_pbx < measured.rates.frames, "{measured}");
    assert!(voice.lost < voice.sent && voice.p50_us <= voice.p99_us && voice.p99_us <= voice.max_us, "{measured}");
}
