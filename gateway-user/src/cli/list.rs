//! `tollgate list`.

use super::{
    Cell, Failure, Out, Tone,
    args::{ListArgs, Places},
    plain, when,
};
use crate::control::{
    client::Client,
    protocol::{Command, ListKind},
    views::ListView,
};

/// Rows of one aligned table; a longer list is several tables, so that a million entries need not fit in memory.
const ROWS: usize = 10_000;

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
        rows.push(row(serde_json::from_str(&line)?));
        if rows.len() == ROWS {
            table(out, &rows)?;
            rows.clear();
            tables += 1;
        }
    }
    if !args.json && rows.is_empty() && tables == 0 {
        return Ok(out.line(if calls { "no call is up" } else { "nothing is blocked, allowed or limited" })?);
    }
    if !rows.is_empty() {
        table(out, &rows)?;
    }
    Ok(())
}

fn table(out: &mut Out, rows: &[Vec<Cell>]) -> std::io::Result<()> {
    out.table(
        &["kind", "value", "action", "profile", "origin", "until", "schedule", "reason", "level", "undo with"],
        rows,
    )
}

fn row(entry: ListView) -> Vec<Cell> {
    let tone = match entry.action.as_str() {
        "block" | "drop" | "ban" | "suspend" | "suspended" => Tone::Bad,
        "monitor" | "warn" => Tone::Warn,
        _ => Tone::Plain,
    };
    vec![
        plain(entry.kind),
        plain(entry.value),
        (
            if entry.active { entry.action } else { format!("{} (not now)", entry.action) },
            if entry.active { tone } else { Tone::Dim },
        ),
        plain(entry.profile.unwrap_or_else(|| "site".into())),
        plain(entry.origin),
        plain(entry.expires.map(when::shown).unwrap_or_default()),
        plain(entry.schedule.unwrap_or_default()),
        plain(entry.reason.unwrap_or_default()),
        plain(entry.level.unwrap_or_default()),
        plain(entry.undo.unwrap_or_default()),
    ]
}
