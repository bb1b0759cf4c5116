//! `tollgate list`.

use super::{
    Cell, Failure, Out, Tone,
    args::{ListArgs, Places},
    out::wrapped,
    plain, when,
};
use crate::control::{
    client::Client,
    protocol::{Command, ListKind},
    views::ListView,
};

/// Rows of one aligned table; a longer list is several tables, so that a million entries need not fit in memory.
const ROWS: usize = 10_000;
/// The columns of a table.
const HEADING: [&str; 8] = ["kind", "value", "action", "profile", "origin", "until", "schedule", "reason"];
/// What is left of 80 columns beside the longest key of a fact.
const WIDTH: usize = 67;

pub(super) fn run(args: ListArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let calls = args.kind == Some(ListKind::Calls);
    if args.abroad && !calls {
        return Err(Failure::Usage("--abroad is about calls: write `tollgate list calls --abroad`".into()));
    }
    let lines = Client::connect(&places.socket)?.stream(&Command::List { kind: args.kind, abroad: args.abroad })?;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut tables = 0;
    for line in lines {
        let line = line?;
        if args.json {
            out.json_line(&line)?;
            continue;
        }
        let entry: ListView = serde_json::from_str(&line)?;
        // What is counted comes first, wherever it is listed.
        if entry.undo.is_some() {
            tables += 1;
            block(out, &entry)?;
            continue;
        }
        rows.push(row(entry));
        if rows.len() == ROWS {
            table(out, &rows)?;
            rows.clear();
            tables += 1;
        }
    }
    if !args.json && rows.is_empty() && tables == 0 {
        return Ok(out.line(match args.kind {
            Some(ListKind::Calls) => "no call is up",
            Some(ListKind::Lines) => "nothing is counted or suspended, and nobody is banned",
            Some(ListKind::Limits) => "no limit holds",
            Some(ListKind::Sources) => "no source is blocked, allowed or named",
            Some(ListKind::Prefixes) => "no number is blocked or allowed",
            None => "nothing is blocked, allowed or limited",
        })?);
    }
    if !rows.is_empty() {
        if tables > 0 {
            out.line("")?;
        }
        table(out, &rows)?;
    }
    Ok(())
}

/// The columns that any row has something in.
fn table(out: &mut Out, rows: &[Vec<Cell>]) -> std::io::Result<()> {
    let used = |column: &usize| rows.iter().any(|row| row.get(*column).is_some_and(|cell| !cell.0.is_empty()));
    let columns: Vec<usize> = (0..HEADING.len()).filter(used).collect();
    let of = |row: &Vec<Cell>| columns.iter().filter_map(|column| row.get(*column).cloned()).collect();
    let rows: Vec<Vec<Cell>> = rows.iter().map(of).collect();
    let heading: Vec<&str> = columns.iter().filter_map(|column| HEADING.get(*column).copied()).collect();
    out.table(&heading, &rows)
}

/// What is counted or suspended, on lines of its own: beside one another they are wider than a terminal.
fn block(out: &mut Out, entry: &ListView) -> std::io::Result<()> {
    let action = if entry.active { entry.action.clone() } else { format!("{} (not now)", entry.action) };
    out.toned(&format!("{action}  {}", entry.value), tone(entry))?;
    let profile = entry.profile.as_ref().map(|name| format!(", profile {name}")).unwrap_or_default();
    let mut facts = vec![("by", plain(format!("{} ({}{profile})", entry.origin, entry.kind)))];
    facts.extend(entry.expires.map(|until| ("until", plain(when::shown(until)))));
    for (key, text) in [("schedule", &entry.schedule), ("reason", &entry.reason)] {
        facts.extend(text.as_ref().map(|text| (key, plain(text))));
    }
    let level = entry.level.iter().flat_map(|level| wrapped(level, ", ", WIDTH));
    facts.extend(level.enumerate().map(|(at, line)| (if at == 0 { "level" } else { "" }, plain(line))));
    facts.extend(entry.undo.as_ref().map(|undo| ("undo with", plain(undo))));
    out.facts(&facts)
}

fn tone(entry: &ListView) -> Tone {
    match entry.action.as_str() {
        _ if !entry.active => Tone::Dim,
        "block" | "drop" | "ban" | "banned" | "suspend" | "suspended" => Tone::Bad,
        "monitor" | "warn" => Tone::Warn,
        _ => Tone::Plain,
    }
}

fn row(entry: ListView) -> Vec<Cell> {
    let tone = tone(&entry);
    vec![
        plain(entry.kind),
        plain(entry.value),
        (if entry.active { entry.action } else { format!("{} (not now)", entry.action) }, tone),
        plain(entry.profile.unwrap_or_else(|| "site".into())),
        plain(entry.origin),
        plain(entry.expires.map(when::shown).unwrap_or_default()),
        plain(entry.schedule.unwrap_or_default()),
        plain(entry.reason.unwrap_or_default()),
    ]
}
