//! `tollgate counters`.

use std::{thread::sleep, time::Duration};

use gateway_common::Reason;

use super::{
    Cell, Failure, Out, Tone,
    args::{FollowArgs, Places},
    ask, plain, when,
};
use crate::control::{protocol::Command, views::CountersView};

/// Rest between two readings of `--follow`.
const REST: Duration = Duration::from_secs(1);

pub(super) fn run(args: FollowArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let mut last: Option<CountersView> = None;
    loop {
        let now: CountersView = ask(places, &Command::Counters {})?;
        if args.json {
            out.json(&now)?;
        } else if args.follow && !out.is_terminal() {
            out.line(&summary(&now, last.as_ref()))?;
        } else {
            out.clear()?;
            show(&now, last.as_ref(), out)?;
        }
        if !args.follow {
            return Ok(());
        }
        out.flush()?;
        last = Some(now);
        sleep(REST);
    }
}

/// What a counter was before, and the seconds since.
fn rate(now: u64, before: u64, seconds: f64) -> String {
    if seconds <= 0.0 { String::new() } else { format!("{:.0}/s", now.saturating_sub(before) as f64 / seconds) }
}

fn seconds(now: &CountersView, last: Option<&CountersView>) -> f64 {
    last.map_or(0.0, |last| when::between(last.time, now.time).as_secs_f64())
}

fn totals(view: &CountersView) -> [(&'static str, u64, Tone); 7] {
    let answers = &view.answers;
    [
        ("passed", view.passed, Tone::Good),
        ("dropped", view.dropped, Tone::Bad),
        ("rejected", view.rejected, Tone::Bad),
        ("would-drop", view.would_drop, Tone::Warn),
        ("answered", answers.given, Tone::Plain),
        ("not answered", answers.capped + answers.lost + answers.unfit, Tone::Warn),
        ("events lost", view.events_lost, Tone::Dim),
    ]
}

/// One line, for a log.
fn summary(now: &CountersView, last: Option<&CountersView>) -> String {
    let before = last.map(totals);
    let span = seconds(now, last);
    let parts: Vec<String> = totals(now)
        .iter()
        .enumerate()
        .map(|(i, (name, count, _))| match before {
            Some(before) => format!("{name} {count} ({})", rate(*count, before[i].1, span)),
            None => format!("{name} {count}"),
        })
        .collect();
    format!("{}  {}", when::shown(now.time), parts.join("  "))
}

fn show(now: &CountersView, last: Option<&CountersView>, out: &mut Out) -> Result<(), Failure> {
    let span = seconds(now, last);
    out.line(&when::shown(now.time))?;
    let before = last.map(totals);
    // The first reading has no rate.
    let rated = |mut columns: Vec<Cell>| {
        if last.is_none() {
            columns.remove(2);
        }
        columns
    };
    let rows: Vec<Vec<Cell>> = totals(now)
        .iter()
        .enumerate()
        .map(|(i, &(name, count, tone))| {
            let tone = if count == 0 { Tone::Dim } else { tone };
            let rate = before.map(|before| rate(count, before[i].1, span)).unwrap_or_default();
            rated(vec![(name.into(), tone), plain(count.to_string()), plain(rate)])
        })
        .collect();
    match last {
        Some(_) => out.table(&["", ">packets", ">rate"], &rows)?,
        None => out.table(&["", ">packets"], &rows)?,
    }
    out.line("")?;
    let rows: Vec<Vec<Cell>> = now
        .reasons
        .iter()
        .map(|(name, &count)| {
            let before = last.map(|last| last.reasons.get(name).copied().unwrap_or(0));
            let reason = Reason::ALL.iter().find(|reason| reason.as_str() == name);
            rated(vec![
                plain(name),
                plain(count.to_string()),
                plain(before.map(|before| rate(count, before, span)).unwrap_or_default()),
                (reason.map_or("", |reason| reason.meaning().trim()).into(), Tone::Dim),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(out.line("no packet has been seen")?);
    }
    match last {
        Some(_) => out.table(&["reason", ">packets", ">rate", "meaning"], &rows)?,
        None => out.table(&["reason", ">packets", "meaning"], &rows)?,
    }
    Ok(())
}
