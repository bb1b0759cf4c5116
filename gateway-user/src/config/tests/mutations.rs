//! Text that was never meant as a policy: it may be refused in any way, but it must be refused in an orderly one.

use std::path::Path;

use super::{super::parse, EVASION, EVERY_KEY, example};

/// Marsaglia's xorshift64: the same sequence every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

const PIECES: &[&str] = &[
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    "\n",
    "#",
    "\\",
    ",",
    "\"\"\"",
    "[[",
    "-1",
    "0",
    "99999999999999999999",
    "1e9",
    "nan",
    "true",
    "1979-05-27",
    "0x",
    "+",
    "dial:",
    "line:",
    "/",
    "::",
    "é",
    "\u{0}",
    "\u{7f}",
    "default",
    "class",
    "block = [",
    "\u{feff}",
    "[profile.default]",
    "rate = \"1/s\"",
    "18446744073709551615/18446744073709551615d",
    "::ffff:0.0.0.0/96",
    "0.0.0.0/0",
];

#[test]
fn mutations_never_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let seeds = [example(), EVASION, EVERY_KEY];
    let mut loaded = 0;
    for round in 0..10_000 {
        let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
        for _ in 0..=random.below(6) {
            let at = random.below(text.len());
            match random.below(4) {
                0 => drop(text.splice(at..at, PIECES[random.below(PIECES.len())].chars())),
                1 => drop(text.drain(at..(at + 1 + random.below(20)).min(text.len()))),
                2 => text.truncate(at),
                _ => {
                    let end = (at + random.below(60)).min(text.len());
                    let piece: Vec<char> = text[at..end].to_vec();
                    let to = random.below(text.len());
                    text.splice(to..to, piece);
                }
            }
            if text.is_empty() {
                break;
            }
        }
        let text: String = text.into_iter().collect();
        match parse(&text, None, Path::new(".")) {
            Ok((config, _)) => {
                loaded += 1;
                assert!(!config.profiles.is_empty() && !config.sip.ports.is_empty(), "{text}");
            }
            Err(problems) => {
                assert!(!problems.problems.is_empty(), "{text}");
                for problem in &problems.problems {
                    assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{problem}");
                    assert!(problem.line <= text.lines().count() + 1, "{problem}");
                }
            }
        }
    }
    assert!((1..10_000).contains(&loaded), "{loaded} of 10,000 loaded: the mutations test nothing");
}

#[test]
fn depth_is_bounded() {
    for deep in [
        format!("{}x = 1", "a.".repeat(1_000_000)),
        format!("[{}x]", "a.".repeat(1_000_000)),
        format!("k = {{ {}x = 1 }}", "'.'.".repeat(1_000_000)),
        format!("k = {}", "[".repeat(1_000_000)),
        format!("k = {}", "{a=".repeat(100_000)),
    ] {
        let problems = parse(&deep, None, Path::new(".")).expect_err("too deep");
        assert_eq!(problems.problems[0].line, 1);
    }
    let dots_in_strings = format!("[site]\nregion = \"ZZ\" # {}\n", ".".repeat(1_000));
    parse(&dots_in_strings, None, Path::new(".")).unwrap();
}
