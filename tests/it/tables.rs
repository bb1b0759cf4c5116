//! Policies exchanged under load: each packet meets one of them, whole, nothing is left behind, and limits go on.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use gateway_common::{
    Reason, Verdict,
    counters::by_reason,
    judge::Side,
    judged::Judged,
    policy::image::{BODY, TRIE, VECTORS},
};
use gateway_tests::{
    bench::{
        frames::{Content, Sample, Vary, Wrap, for_nobody, sample},
        stage::{Stage, TAKER},
        tables::order_bites,
        traffic::{self, Generator},
    },
    capability::{require_kernel, require_program},
    daemon::find_binary,
};
use gateway_user::{
    config::{self, Role},
    daemon::AttachMode,
    engine::host::HostEngine,
    kernel::{Measured, Prepared, Probe},
    policy::{self, PolicyImage},
};

use crate::site::until;

/// How often the policy is exchanged.
const SWAPS: u32 = 1000;
/// Calls that the limit of both policies lets pass, ever: the clock of test runs stands still.
const BURST: usize = 3;

/// Numbers, and what becomes of calls to them under either policy. Whatever one blocks by its own digits the other blocks by
/// its country, and the other way round; and where one counts a class, the other counts another.
const NUMBERS: [&str; 8] = [
    "23276123456",
    "5351234567",
    "442071838750",
    "33142685300",
    "12025550123",
    "881612345678",
    "6791234567",
    "85212345678",
];

const HEAD: &str = "mode = \"enforce\"\nfloor = false\n[site]\nregion = \"JP\"\n[ceiling]\nunproved = \"10000000/s\"\n\
                    burst = 1000000\n[limit.caller]\nkey = \"source\"\nclass = \"national\"\nrate = \"1/d\"\nburst = 3\n";

/// Two policies that differ in every rule. The second is laid out otherwise: other profiles, sources and codes stand in
/// front of its tables, and its trie has other nodes in front of each number.
fn policies() -> [String; 2] {
    let mut one = format!("{HEAD}[profile.default]\nlimits = [\"caller\"]\nblock = [");
    let mut two = format!(
        "{HEAD}[profile.lobby]\nsources = [\"198.51.100.0/28\", \"2001:db8:77::/48\"]\n[profile.desk]\n\
         sources = [\"198.51.101.16/28\"]\naccess_codes = [\"99\"]\n[profile.default]\nlimits = [\"caller\"]\n\
         outside_line = [\"0\"]\nblock = ["
    );
    for (place, number) in NUMBERS.iter().enumerate() {
        let country = ["SL", "CU", "GB", "FR", "US", "", "FJ", "HK"][place];
        let by_number = format!("\"+{}\", ", &number[..number.len() - 2]);
        let by_country = if country.is_empty() { String::new() } else { format!("\"{country}\", ") };
        let (first, second) = if place % 2 == 0 { (&by_number, &by_country) } else { (&by_country, &by_number) };
        one.push_str(first);
        two.push_str(second);
    }
    // Nodes that only the second has, in front of those of every number.
    for head in ["2", "3", "4", "5", "6", "7", "8", "9"] {
        for tail in 10..40 {
            let _ = write!(two, "\"+{head}9{tail}\", ");
        }
    }
    one.push_str("]\n");
    two.push_str("]\nclass.non-geographic = \"monitor\"\n");
    [one, two]
}

fn compiled(text: &str, generation: u32) -> PolicyImage {
    let config = config::parse(text, None, Path::new(".")).unwrap().0;
    policy::compile(&config, &[], &HashMap::new(), generation).unwrap().0
}

fn call(number: &str) -> Vec<u8> {
    for_nobody(&Content::Invite(format!("+{number}")), Wrap::Plain, Vary::NOTHING).unwrap().frame
}

/// What is compared of a verdict: all that comes out of a policy.
type Outcome = (Verdict, Reason, u8, u16);

fn outcome(judged: &Judged) -> Outcome {
    (judged.verdict(), judged.reason(), judged.class() as u8, judged.country)
}

fn outcomes(image: &PolicyImage, frames: &[Vec<u8>]) -> Vec<Outcome> {
    let mut engine = HostEngine::new(image.clone());
    frames.iter().map(|frame| outcome(&engine.judge(frame, Side::Wan, 1, 1_000_000_000))).collect()
}

/// A part of one image in the other: what a packet would meet that saw half of an exchange.
fn mixed(base: &PolicyImage, other: &PolicyImage, from: u32, to: u32) -> PolicyImage {
    let mut cells = base.cells.clone();
    cells.resize(cells.len().max(other.cells.len()), 0);
    let (from, to) = (from as usize, (to as usize).min(other.cells.len()));
    cells[from..to].copy_from_slice(&other.cells[from..to]);
    PolicyImage { cells, ..base.clone() }
}

#[test]
fn a_mix_of_the_two_policies_would_be_seen() {
    let frames: Vec<Vec<u8>> = NUMBERS.iter().map(|number| call(number)).collect();
    let [one, two] = policies().map(|text| compiled(&text, 1));
    let (of_one, of_two) = (outcomes(&one, &frames), outcomes(&two, &frames));
    for (number, (a, b)) in NUMBERS.iter().zip(of_one.iter().zip(&of_two)) {
        assert_ne!(a, b, "+{number} tells them apart");
    }
    for (base, other) in [(&one, &two), (&two, &one)] {
        let at = |cell: u32| other.cells[cell as usize] as u32;
        let (trie, vectors, end) = (at(TRIE), at(VECTORS), other.cells.len() as u32);
        for (part, from, to) in [("trie", trie, vectors), ("header", 0, BODY), ("all but the header", BODY, end)] {
            let found = outcomes(&mixed(base, other, from, to), &frames);
            let neither =
                found.iter().zip(of_one.iter().zip(&of_two)).filter(|(found, (a, b))| found != a && found != b);
            assert!(neither.count() > 0, "{part} of the other: {found:?} could be either's");
        }
    }
}

#[test]
fn no_packet_meets_half_of_a_policy() {
    if !require_kernel("tables::no_packet_meets_half_of_a_policy") {
        return;
    }
    let mut frames: Vec<Vec<u8>> = NUMBERS.iter().map(|number| call(number)).collect();
    let images = policies().map(|text| compiled(&text, 0));
    let expected = [outcomes(&images[0], &frames), outcomes(&images[1], &frames)];
    // A call of the own country, under the limit that both have.
    frames.push(call("81352345678"));
    let numbered = |generation: u32| {
        let mut cells = images[generation as usize % 2].cells.clone();
        cells[1] |= u64::from(generation);
        cells
    };
    // Made once: making one takes longer than a swap.
    let prepared: Vec<Prepared> = (0..2).map(|generation| Prepared::new(&numbered(generation + 2)).unwrap()).collect();
    let mut probe = Probe::new(&numbered(2)).unwrap();
    let mut slot = probe.slot().unwrap();
    let done = AtomicBool::new(false);
    let (met, passed) = thread::scope(|scope| {
        let judge = || {
            let mut met: BTreeMap<u32, u64> = BTreeMap::new();
            let mut passed = 0;
            while !done.load(Ordering::Relaxed) {
                for (place, frame) in frames.iter().enumerate() {
                    let judged = probe.judge(frame, Side::Wan, 1, 1_000_000_000).unwrap();
                    *met.entry(judged.generation).or_default() += 1;
                    let whole = &expected[judged.generation as usize % 2];
                    match whole.get(place) {
                        Some(whole) => assert_eq!(outcome(&judged), *whole, "frame {place} of {}", judged.generation),
                        None if judged.reason() == Reason::SourceLimit => {}
                        None => {
                            assert_eq!(judged.reason(), Reason::Allowed);
                            passed += 1;
                        }
                    }
                }
            }
            (met, passed)
        };
        let judging = scope.spawn(judge);
        for swap in 0..SWAPS {
            slot.flip(&prepared[swap as usize % 2]).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        judging.join().unwrap()
    });
    println!("{SWAPS} swaps; packets under each policy: {met:?}");
    assert_eq!(met.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from([2, 3]), "both were met");
    assert_eq!(passed, BURST, "the limit began anew with a policy");
}

/// Octets that the kernel has mapped, for arrays of BPF among others.
fn mapped() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmallocUsed:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() << 10
}

/// Which of these images the kernel still has.
fn left(ids: &BTreeSet<u32>) -> BTreeSet<u32> {
    traffic::maps().filter(|id| ids.contains(id)).collect()
}

/// Frames that were judged on the WAN side, by reason.
fn counted(filter: &Measured) -> BTreeMap<&'static str, u64> {
    let counters = filter.counters().unwrap();
    let mut counted = BTreeMap::new();
    for reason in Reason::ALL {
        for verdict in [Verdict::Pass, Verdict::WouldDrop, Verdict::Drop, Verdict::Reject] {
            let count = counters.get(by_reason(Side::Wan, *reason, verdict)).copied().unwrap_or(0);
            if count > 0 {
                *counted.entry(reason.as_str()).or_default() += count;
            }
        }
    }
    counted
}

#[test]
fn a_thousand_swaps_at_line_rate_lose_no_packet_and_leave_no_memory() {
    if !require_kernel("tables::a_thousand_swaps_at_line_rate_lose_no_packet_and_leave_no_memory") {
        return;
    }
    let images = policies().map(|text| compiled(&text, 1));
    // In a thread of its own, which enters a network for good.
    let swapped = || {
        let stage = Stage::enter(0).unwrap();
        let wire = stage.wire("gate", &[]).unwrap();
        let mut filter = Measured::new(&images[1].cells, Role::Wan).unwrap();
        filter.attach(wire.taker, AttachMode::Driver).unwrap();
        let mut slot = filter.slot().unwrap();
        let number = Content::Invite(format!("+{}", NUMBERS[0]));
        let sample: Sample = sample(&number, Wrap::Plain, Vary::sources(1000), TAKER).unwrap();
        let done = AtomicBool::new(false);
        let before = mapped();
        let (sent, ids) = thread::scope(|scope| {
            let send = || {
                let mut generator = Generator::new(&sample).unwrap();
                let mut sent = 0;
                while !done.load(Ordering::Relaxed) {
                    generator.send(wire.sender, 20_000).unwrap();
                    sent += 20_000;
                }
                sent
            };
            let sending = stage.elsewhere(|| Ok(scope.spawn(send))).unwrap();
            let mut ids = BTreeSet::new();
            for swap in 0..SWAPS {
                let image = Prepared::new(&images[swap as usize % 2].cells).unwrap();
                ids.insert(image.id().unwrap());
                slot.flip(&image).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            (sending.join().unwrap(), ids)
        });
        let mut counted = counted(&filter);
        // What the kernel itself says over a new link, looking for neighbours.
        counted.remove("not-sip");
        // A busy machine does not take in time what is sent.
        let lost = wire.lost().unwrap();
        println!("{SWAPS} swaps; {sent} frames, {lost} found no room; judged {counted:?}");
        assert_eq!(counted.keys().copied().collect::<Vec<_>>(), ["blocked-country", "blocked-prefix"], "and no other");
        assert!(lost < sent / 10, "{lost} of {sent} frames found no room: it measures something else");
        assert_eq!(counted.values().sum::<u64>() + lost, sent, "every frame was judged, and once");
        assert_eq!(ids.len() as u32, SWAPS);
        until("all images but the last are gone", || left(&ids).len() == 1);
        // The filter that is still there keeps one; others on this machine may have theirs.
        until("the memory is back", || mapped() - before < 512 << 20);
        println!("mapped by the kernel before {} MiB, after {} MiB", before >> 20, mapped() >> 20);
        drop((filter, slot));
        until("the last image is gone", || left(&ids).is_empty());
    };
    thread::scope(|scope| scope.spawn(swapped).join().unwrap());
}

#[test]
fn an_order_bites_among_a_million_prefixes() {
    let test = "tables::an_order_bites_among_a_million_prefixes";
    if !require_kernel(test) || require_program(test, find_binary().ok(), "cargo build -p gateway-user").is_none() {
        return;
    }
    for bite in order_bites(3).unwrap() {
        // How long it may take is for the measurements: a test machine is busy.
        assert!(bite > Duration::ZERO);
        println!("the last call passed {} ms after the order was typed", bite.as_millis());
    }
}
