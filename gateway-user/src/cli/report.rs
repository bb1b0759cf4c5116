//! `tollgate report`.

use jiff::Timestamp;

use super::{
    Cell, Failure, Out, Tone,
    args::{Export, Places, ReportArgs},
    ask,
    out::wrapped,
    plain, when,
    why::back,
};
use crate::control::{
    client::Client,
    past::{ChangeView, ReportView, RowView},
    protocol::Command,
};

pub(super) fn run(args: &ReportArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let since = back(Timestamp::now(), args.since)?;
    if let Some(Export::Incidents) = args.export {
        for line in Client::connect(&places.socket)?.stream(&Command::Incidents { since })? {
            out.json_line(&line?)?;
        }
        return Ok(());
    }
    let report: ReportView = ask(places, &Command::Report { since })?;
    if args.json { Ok(out.json(&report)?) } else { show(&report, out) }
}

fn show(report: &ReportView, out: &mut Out) -> Result<(), Failure> {
    out.toned(&format!("from {} to {}", when::shown(report.since), when::shown(report.until)), Tone::Head)?;
    let total = report.total;
    out.facts(&[
        ("stopped", plain(format!("{} packets of trunk and LAN sources", total.stopped))),
        ("would-drop", plain(format!("{} more would be stopped in enforce mode", total.would_drop))),
        ("unproved", plain(format!("at least {} packets of unproved sources, sampled", total.unproved))),
    ])?;
    for (heading, rows) in [
        ("country", &report.countries),
        ("reason", &report.reasons),
        ("source", &report.sources),
        ("hour", &report.hours),
    ] {
        if !rows.is_empty() {
            out.line("")?;
            let cells: Vec<Vec<Cell>> = rows.iter().map(|row| cells(heading, row)).collect();
            out.table(&[heading, ">stopped", ">would-drop", ">unproved"], &cells)?;
        }
    }
    if !report.changes.is_empty() {
        out.line("")?;
        out.toned("changes", Tone::Head)?;
        for it in &report.changes {
            change(it, out)?;
        }
    }
    if report.damaged > 0 {
        out.toned(&format!("{} records of the journal are damaged and left out", report.damaged), Tone::Warn)?;
    }
    if report.lost > 0 {
        out.toned(&format!("{} records could not be written; `tollgate status` says why", report.lost), Tone::Warn)?;
    }
    Ok(())
}

fn cells(heading: &str, row: &RowView) -> Vec<Cell> {
    let of = match (heading, row.of.parse::<Timestamp>()) {
        ("hour", Ok(hour)) => when::shown(hour),
        _ => row.of.clone(),
    };
    let count = |count: u64| plain(count.to_string());
    vec![plain(of), count(row.tally.stopped), count(row.tally.would_drop), count(row.tally.unproved)]
}

/// Columns that a text may have, so that it fits into a terminal of 80.
const WIDTH: usize = 76;

/// When, what kind, which order, who; below it what was done and why, which may be long.
fn change(change: &ChangeView, out: &mut Out) -> std::io::Result<()> {
    let order = change.order.map(|order| format!(", order {order}")).unwrap_or_default();
    let who = change.who.as_ref().map(|who| format!(" by {who}")).unwrap_or_default();
    out.line(&format!("{}  {}{order}{who}", when::shown(change.time), change.change))?;
    for line in wrapped(&change.done, " ", WIDTH) {
        out.line(&format!("  {line}"))?;
    }
    match &change.reason {
        Some(reason) => out.line(&format!("  because: {reason}")),
        None => Ok(()),
    }
}
