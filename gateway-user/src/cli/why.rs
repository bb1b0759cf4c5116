//! `tollgate why`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Cell, Failure, Out, Tone,
    args::{Places, WhyArgs},
    plain, when,
};
use crate::{
    control::{
        client::Client,
        past::{DamagedView, DecisionView, WhyQuestion},
        protocol::Command,
    },
    daemon::Held,
};

/// How far around the time of `--at` is looked.
const AROUND: SignedDuration = SignedDuration::from_mins(5);
/// Decisions that a person is shown in full; older ones are one line each.
const IN_FULL: usize = 3;
/// Decisions that a person is shown at all.
const SHOWN: usize = 20;

pub(super) fn run(args: &WhyArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let now = Timestamp::now();
    let at = args.at.as_ref().map(|at| at.of_site(places)).transpose()?;
    let shifted = |time: Timestamp, by: SignedDuration| time.checked_add(by).unwrap_or(time);
    let question = WhyQuestion {
        from: args.from,
        number: args.number.clone(),
        line: args.line.clone(),
        since: match (at, args.since) {
            (Some(at), _) => Some(shifted(at, -AROUND)),
            (None, Some(length)) => Some(back(now, length)?),
            (None, None) => None,
        },
        until: at.map(|at| shifted(at, AROUND)),
        last: args.last,
    };
    let lines = Client::connect(&places.socket)?.stream(&Command::Why(question))?;
    let mut decisions: Vec<DecisionView> = Vec::new();
    let mut left_out = DamagedView { damaged: 0, more: 0 };
    for line in lines {
        let line = line?;
        if args.json {
            out.json_line(&line)?;
        } else if let Ok(found) = serde_json::from_str::<DamagedView>(&line) {
            left_out = found;
        } else {
            decisions.push(serde_json::from_str(&line)?);
        }
    }
    if args.json {
        return Ok(());
    }
    if decisions.is_empty() {
        out.line(
            "nothing of that kind is in the journal; `tollgate why --last` shows the latest, `tollgate status` how far \
             back it goes, and `tollgate explain NUMBER` what would happen now",
        )?;
    }
    show(&decisions, left_out.more, args.last, out)?;
    if left_out.damaged > 0 {
        out.toned(&format!("{} records of the journal are damaged and left out", left_out.damaged), Tone::Warn)?;
    }
    Ok(())
}

/// So long before `now`.
pub(super) fn back(now: Timestamp, length: Duration) -> Result<Timestamp, Failure> {
    now.checked_sub(length).map_err(|e| Failure::Usage(format!("that is too far back: {e}")))
}

/// The latest in full, those before as lines.
fn show(decisions: &[DecisionView], more: u64, last: bool, out: &mut Out) -> Result<(), Failure> {
    let hidden = decisions.len().saturating_sub(SHOWN);
    if hidden as u64 + more > 0 && !last {
        let count = hidden as u64 + more;
        out.toned(
            &format!("... {count} older ones; narrow it by --from, --line, --number, --at, or use --json ..."),
            Tone::Dim,
        )?;
    }
    let shown = decisions.get(hidden..).unwrap_or(decisions);
    let (lines, full) = shown.split_at(shown.len().saturating_sub(IN_FULL));
    for decision in lines {
        out.toned(&line(decision), Tone::of_verdict(&decision.verdict))?;
    }
    for decision in full {
        out.toned(&line(decision), Tone::of_verdict(&decision.verdict))?;
        out.facts(&facts(decision))?;
    }
    Ok(())
}

fn line(decision: &DecisionView) -> String {
    format!(
        "{}  {}  {}  {}  {}  {} ({}) on {}{}",
        when::shown(decision.time),
        decision.verdict,
        decision.reason,
        decision.method.as_deref().unwrap_or("-"),
        decision.number.as_deref().unwrap_or("-"),
        decision.source,
        decision.who,
        decision.interface,
        if decision.count == 1 { String::new() } else { format!(", {} packets within a second", decision.count) },
    )
}

/// What a limit held when it refused the call.
fn held_then(held: &Held) -> String {
    let suspended = match (held.since, held.until) {
        (Some(since), Some(until)) => format!(", suspended since {} until {}", when::shown(since), when::shown(until)),
        _ => String::new(),
    };
    let windows = held.windows.join(", ");
    let (limit, counts, after) = (&held.limit, &held.counts, held.read_after_ms);
    format!("{limit}: {counts}: {windows}{suspended} (read {after} ms later)")
}

fn facts(decision: &DecisionView) -> Vec<(&'static str, Cell)> {
    let mut facts: Vec<(&'static str, Cell)> = Vec::new();
    let mut fact = |key: &'static str, value: Option<String>, tone: Tone| {
        if let Some(value) = value {
            facts.push((key, (value, tone)));
        }
    };
    fact("rule", decision.rule.clone(), Tone::Head);
    fact("limit", decision.limit.clone(), Tone::Head);
    for held in &decision.held {
        fact("held then", Some(held_then(held)), Tone::Plain);
    }
    fact("line", decision.line.clone(), Tone::Plain);
    let country = decision.country.as_ref().map(|code| format!(" in {code}")).unwrap_or_default();
    fact("call", Some(format!("{}{country}", decision.class)), Tone::Plain);
    fact("profile", decision.profile.clone(), Tone::Plain);
    let hash = decision.policy.as_ref().map(|hash| format!(", digest {hash}...")).unwrap_or_default();
    fact("policy", Some(format!("generation {}{hash}", decision.generation)), Tone::Dim);
    fact("sampled", decision.sampled.then(|| "an unproved source: others like it may be missing".into()), Tone::Dim);
    fact("note", decision.advice.clone(), Tone::Warn);
    if let Some(undo) = &decision.undo {
        facts.push(("undo with", (undo.clone(), Tone::Head)));
    }
    if facts.is_empty() {
        facts.push(("rule", plain("none")));
    }
    facts
}
