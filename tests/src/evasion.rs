//! The evasion set: every known disguise of a call and what looks like one, judged by the engine in this process, by the
//! program in this kernel, or by both.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use gateway_common::{judge::Side, judged::Judged};
use gateway_user::{
    capture, config,
    engine::{Engine, host::HostEngine},
    kernel::Probe,
    policy,
};
use serde::Deserialize;

use crate::packet::Frame;

/// Judges the evasion set.
///
/// The set is a folder with `policy.toml`, `cases.json` and `pcap/cases.json`, which say what must be blocked and what
/// must pass.
#[derive(Debug, Parser)]
#[command(name = "tollgate-evasion")]
pub struct Options {
    /// The folder of the set; without it, the one of this repository.
    #[arg(long, value_name = "FOLDER")]
    set: Option<PathBuf>,
    /// Who judges; both, for root, and this process for others, where it is not said.
    #[arg(long)]
    engine: Option<Which>,
}

/// Who judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// This process.
    Host,
    /// The program in this kernel.
    Kernel,
    /// One after the other.
    Both,
}

/// One case of the set.
#[derive(Debug, Deserialize)]
struct Case {
    id: String,
    file: PathBuf,
    title: String,
    expect: Expected,
    dialled: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Block,
    Pass,
    Policy,
}

impl Expected {
    const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Pass => "pass",
            Self::Policy => "policy",
        }
    }
}

/// How many were right, of how many; of those that the policy decides, how many were blocked.
type Tally = BTreeMap<Expected, (usize, usize)>;

/// What one engine makes of one part of the set.
#[derive(Debug, Default)]
struct Outcome {
    tally: Tally,
    wrong: Vec<String>,
}

impl Outcome {
    fn note(&mut self, case: &Case, blocked: bool, dialled: Option<&str>, what: &str) {
        let (right, all) = self.tally.entry(case.expect).or_default();
        *all += 1;
        let wanted = case.dialled.as_deref().filter(|_| case.expect != Expected::Policy).zip(dialled);
        let other_number = wanted.is_some_and(|(wanted, dialled)| wanted != dialled);
        let ok = match case.expect {
            Expected::Block => blocked && !other_number,
            Expected::Pass => !blocked && !other_number,
            Expected::Policy => blocked,
        };
        *right += usize::from(ok);
        if !ok && case.expect != Expected::Policy {
            let expected = case.expect.name();
            let number = wanted.filter(|_| other_number).map(|(wanted, _)| format!(", dialled {wanted:?}"));
            self.wrong.push(format!(
                "{} {}: {what}, not {expected}{}",
                case.id,
                case.title,
                number.unwrap_or_default()
            ));
        }
    }

    fn summary(&self) -> String {
        let part = |(expected, (right, all)): (&Expected, &(usize, usize))| match expected {
            Expected::Policy => format!("policy {all} ({right} blocked)"),
            Expected::Block | Expected::Pass => format!("{} {right}/{all}", expected.name()),
        };
        self.tally.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

/// Judges the set and prints what is wrong, a line a case, and a summary of each engine.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all are right.
fn run(options: &Options) -> Result<bool> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user/tests/data/evasion");
    let set = options.set.clone().unwrap_or(own);
    let root = rustix::process::geteuid().is_root();
    let which = options.engine.unwrap_or(if root { Which::Both } else { Which::Host });
    let (config, _) = config::load(&set.join("policy.toml")).with_context(|| {
        format!("{} is no evasion set: it needs policy.toml, cases.json and pcap/cases.json", set.display())
    })?;
    let image = || Ok::<_, anyhow::Error>(policy::compile(&config, &[], &HashMap::new(), 1)?.0);
    let mut engines: Vec<(&str, Box<dyn Engine>)> = Vec::new();
    if which != Which::Kernel {
        engines.push(("host", Box::new(HostEngine::new(image()?))));
    }
    if which != Which::Host {
        engines.push(("kernel", Box::new(Probe::new(&image()?.cells)?)));
    }
    let mut right = true;
    for (name, mut engine) in engines {
        for (part, outcome) in
            [("messages", messages(&set, &mut *engine)?), ("captures", captures(&set, &mut *engine)?)]
        {
            for line in &outcome.wrong {
                println!("{name}: {line}");
            }
            println!("{name}, {part}: {}", outcome.summary());
            right &= outcome.wrong.is_empty();
        }
    }
    Ok(right)
}

fn cases(file: &Path) -> Result<Vec<Case>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let cases: Vec<Case> =
        serde_json::from_str(&text).with_context(|| format!("{} does not list cases", file.display()))?;
    ensure!(!cases.is_empty(), "{} lists no case: nothing would be judged", file.display());
    Ok(cases)
}

fn said(judged: &Judged) -> String {
    let dialled = String::from_utf8_lossy(judged.dialled()).into_owned();
    format!("{} {} {dialled:?}", judged.verdict().as_str(), judged.reason().as_str())
}

/// Each message as a datagram of its own, with fresh state.
fn messages(set: &Path, engine: &mut dyn Engine) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for case in cases(&set.join("cases.json"))? {
        let file = set.join(&case.file);
        let message = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let frame = Frame::udp(([192, 0, 2, 66], 5060), ([192, 0, 2, 1], 5060), message).build()?;
        engine.reset()?;
        let judged = engine.judge(&frame, Side::Wan, 0, 1)?;
        let dialled = String::from_utf8_lossy(judged.dialled()).into_owned();
        outcome.note(&case, !judged.verdict().passes(), Some(&dialled), &said(&judged));
    }
    Ok(outcome)
}

/// Each capture from its first packet to its last, with fresh state and its own clock. It is blocked if one packet is.
fn captures(set: &Path, engine: &mut dyn Engine) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for case in cases(&set.join("pcap/cases.json"))? {
        let file = set.join("pcap").join(&case.file);
        engine.reset()?;
        let (mut blocked, mut last) = (None, String::from("no packet"));
        for packet in capture::open(&file)? {
            let packet = packet?;
            let frame = capture::to_ethernet(&packet).with_context(|| format!("{}: no frame", file.display()))?;
            let judged = engine.judge(&frame, Side::Wan, 0, packet.time_ns)?;
            last = said(&judged);
            if !judged.verdict().passes() {
                blocked.get_or_insert_with(|| last.clone());
            }
        }
        outcome.note(&case, blocked.is_some(), None, blocked.as_ref().unwrap_or(&last));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        Options::parse_from([&["tollgate-evasion"], arguments].concat())
    }

    #[test]
    fn this_process_judges_the_set_of_the_repository_right() {
        assert!(run(&options(&["--engine", "host"])).unwrap());
    }

    #[test]
    fn a_wrong_case_is_found_and_a_folder_that_is_no_set_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let set = folder.path().to_str().unwrap().to_owned();
        let arguments = ["--engine", "host", "--set", &set];
        assert!(run(&options(&arguments)).unwrap_err().to_string().contains("is no evasion set"));
        fs::create_dir(folder.path().join("pcap")).unwrap();
        fs::write(folder.path().join("policy.toml"), "mode = \"enforce\"\n[site]\nregion = \"JP\"\n").unwrap();
        fs::write(folder.path().join("a.sip"), "INVITE sip:+442079460000@x SIP/2.0\r\n\r\n").unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway-user/tests/data/evasion/pcap/T76.pcap");
        fs::copy(own, folder.path().join("pcap/a.pcap")).unwrap();
        let write = |file: &str, case: &str, expect: &str, dialled: &str| {
            let text = format!(r#"[{{"id":"A","file":"{case}","title":"a","expect":"{expect}","dialled":{dialled}}}]"#);
            fs::write(folder.path().join(file), text).unwrap();
        };
        for (message, number, capture, right) in [
            ("pass", "\"+442079460000\"", "pass", true),
            ("policy", "\"1\"", "policy", true),
            ("block", "null", "pass", false),
            ("pass", "\"+44\"", "pass", false),
            ("pass", "null", "block", false),
        ] {
            write("cases.json", "a.sip", message, number);
            write("pcap/cases.json", "a.pcap", capture, "null");
            assert_eq!(run(&options(&arguments)).unwrap(), right, "{message} {number} {capture}");
        }
    }
}
