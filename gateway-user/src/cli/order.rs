//! `tollgate block`, `tollgate allow`, and what every changing command prints.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Cell, Failure, Out, Tone,
    args::{OrderArgs, Places},
    ask, plain, when,
};
use crate::{
    control::{
        client::ClientError,
        protocol::{Command, NewOrder, ScopeView},
        views::ChangedView,
    },
    daemon::OrderRule,
};

pub(super) fn run(rule: OrderRule, args: &OrderArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let new = NewOrder {
        what: args.what.clone(),
        scope: match (&args.source, &args.profile) {
            (Some(source), _) => ScopeView::Source(source.clone()),
            (None, Some(profile)) => ScopeView::Profile(profile.clone()),
            (None, None) => ScopeView::Site,
        },
        reason: args.reason.clone(),
        expires: match args.duration {
            Some(length) => Some(after(Timestamp::now(), length)?),
            None => args.until,
        },
        force: args.force,
    };
    let command = match rule {
        OrderRule::Block => Command::Block(new),
        OrderRule::Allow => Command::Allow(new),
    };
    show(ask(places, &command), args.json, out)
}

fn after(now: Timestamp, length: Duration) -> Result<Timestamp, Failure> {
    now.checked_add(length).map_err(|e| Failure::Usage(format!("the order would end too late: {e}")))
}

/// Prints what a changing command did; with `--json` a refusal is an object too.
pub(super) fn show(answer: Result<ChangedView, ClientError>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let view = match answer {
        Ok(view) => view,
        Err(error) => {
            if json {
                out.json(&serde_json::json!({
                    "ok": false, "order": null, "generation": null, "error": error.to_string(),
                }))?;
            }
            return Err(error.into());
        }
    };
    if json {
        return Ok(out.json(&view)?);
    }
    match view.order {
        Some(order) => out.toned(&format!("order {order} in force: {}", view.done), Tone::Good)?,
        None => out.toned(&format!("done: {}", view.done), Tone::Good)?,
    }
    let generation = view.generation.map(|generation| format!(", policy generation {generation}")).unwrap_or_default();
    let mut facts: Vec<(&str, Cell)> = vec![(
        "since",
        plain(format!(
            "{}, {} after it was given{generation}",
            when::shown(view.in_force),
            when::length(when::between(view.since, view.in_force))
        )),
    )];
    if let Some(expires) = view.expires {
        let left = when::length(when::between(view.in_force, expires));
        facts.push(("until", plain(format!("{} ({left})", when::shown(expires)))));
    } else if view.order.is_some() {
        facts.push(("until", plain("undone")));
    }
    if let Some(confirm) = &view.confirm {
        facts.push(("to keep it", (confirm.clone(), Tone::Head)));
        facts.push(("", ("otherwise the former policy comes back by itself".into(), Tone::Warn)));
    }
    list(&mut facts, "overridden by", &view.overridden_by, Tone::Plain);
    list(&mut facts, "warning", &view.warnings, Tone::Warn);
    if let Some(undo) = view.undo {
        facts.push(("undo with", (undo, Tone::Head)));
    }
    Ok(out.facts(&facts)?)
}

fn list(facts: &mut Vec<(&str, Cell)>, key: &'static str, texts: &[String], tone: Tone) {
    for (i, text) in texts.iter().enumerate() {
        facts.push((if i == 0 { key } else { "" }, (text.clone(), tone)));
    }
}
