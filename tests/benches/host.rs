//! The host's side: what a decision, a policy and a replay cost in this process. `cargo bench -p gateway-tests`.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up ends")]

use std::{fmt::Write as _, path::Path};

use divan::{Bencher, black_box, counter::ItemsCount};
use gateway_common::judge::Side;
use gateway_tests::bench::{
    frames::for_nobody,
    policies::{Kind, Policy, prefix},
    rows,
};
use gateway_user::{
    config,
    engine::host::HostEngine,
    replay::{self, Source},
};

fn main() {
    divan::main();
}

const ROWS: [&str; 6] = [
    "not SIP",
    "SIP that makes no call",
    "country-blocked",
    "country-blocked, every digit escaped",
    "deep prefix of 10,000",
    "allowed",
];

/// Parses and decides one frame.
#[divan::bench(args = ROWS, sample_size = 1000)]
fn decide(bencher: Bencher<'_, '_>, name: &str) {
    let row = rows::all().into_iter().find(|row| row.name == name).unwrap();
    let policy = Policy { prefixes: row.policy.prefixes.min(10_000), ..row.policy };
    let mut engine = HostEngine::new(policy.compile().unwrap());
    let frame = for_nobody(&row.content, row.wrap, row.vary).unwrap().frame;
    let mut now = 1_000_000_000;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        now += 1_000;
        engine.judge(black_box(&frame), Side::Wan, 1, now)
    });
}

/// Reads a policy file with a list.
#[divan::bench(args = [50, 10_000, 1_000_000], sample_count = 10)]
fn read_policy(bencher: Bencher<'_, '_>, prefixes: u32) {
    let directory = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for number in 0..prefixes {
        writeln!(list, "+{}", prefix(number)).unwrap();
    }
    std::fs::write(directory.path().join("irsf.txt"), list).unwrap();
    let text = "[site]\nregion = \"JP\"\n[profile.default]\nblock_files = [\"irsf.txt\"]\n";
    bencher.bench_local(|| config::parse(black_box(text), None, directory.path()).unwrap());
}

/// Compiles a policy to an image. What reading its list takes is not in it.
#[divan::bench(args = [50, 10_000, 1_000_000], sample_count = 10)]
fn compile_policy(bencher: Bencher<'_, '_>, prefixes: u32) {
    let policy = Policy { prefixes, kind: Kind::Roomy };
    bencher.bench_local(|| black_box(policy).compile().unwrap());
}

/// Replays a capture, each packet of which makes a line.
#[divan::bench]
fn replay_capture(bencher: Bencher<'_, '_>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user/tests/data/evasion/pcap");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "pcap"));
    files.sort();
    let sources: Vec<_> = files.into_iter().map(Source::Capture).collect();
    let mut engine = HostEngine::new(Policy { prefixes: 50, kind: Kind::Roomy }.compile().unwrap());
    let all = |engine: &mut HostEngine| {
        let mut lines: u32 = 0;
        for source in &sources {
            replay::replay(source, engine, &mut |line| {
                black_box(line);
                lines += 1;
                Ok(())
            })
            .unwrap();
        }
        lines
    };
    let lines = all(&mut engine);
    bencher.counter(ItemsCount::new(lines)).bench_local(|| all(&mut engine));
}
