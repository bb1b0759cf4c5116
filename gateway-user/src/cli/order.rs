//! `tollgate block`, `tollgate allow`, and what every changing command prints.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Cell, Failure, Out, Tone,
    args::{End, OrderArgs, Places},
    ask, plain, when,
};
use crate::control::{
    client::ClientError,
    past::RehearsalView,
    protocol::{Command, NewOrder, ScopeView},
    views::{ChangedView, SelfTestView},
};

pub(super) fn run(
    command: fn(NewOrder) -> Command,
    args: &OrderArgs,
    (monitor, max): (bool, Option<&str>),
    places: &Places,
    out: &mut Out,
) -> Result<(), Failure> {
    let new = NewOrder {
        what: args.what.clone(),
        scope: match (&args.source, &args.profile, &args.line) {
            (Some(source), ..) => ScopeView::Source(source.clone()),
            (None, Some(profile), _) => ScopeView::Profile(profile.clone()),
            (None, None, Some(line)) => ScopeView::Line(line.clone()),
            (None, None, None) => ScopeView::Site,
        },
        reason: args.reason.clone(),
        expires: expires(&args.end, places)?,
        force: args.force,
        dry_run: args.dry_run,
        monitor,
        max: max.map(str::to_owned),
    };
    let command = command(new);
    if args.dry_run {
        return rehearsed(ask(places, &command), args.json, out);
    }
    show(ask(places, &command), args.json, out)
}

/// When an order that is given now ends.
pub(super) fn expires(end: &End, places: &Places) -> Result<Option<Timestamp>, Failure> {
    let Some(length) = end.duration else {
        return end.until.as_ref().map(|until| until.of_site(places)).transpose();
    };
    Timestamp::now()
        .checked_add(length)
        .map(Some)
        .map_err(|e| Failure::Usage(format!("the order would end too late: {e}")))
}

/// Prints what an order would have done.
fn rehearsed(answer: Result<RehearsalView, ClientError>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let view = match answer {
        Ok(view) => view,
        Err(error) => return Err(refusal(error, json, out)?),
    };
    if json {
        return Ok(out.json(&view)?);
    }
    out.toned(&format!("dry run, nothing is changed: {}", view.done), Tone::Head)?;
    let Some(since) = view.since else {
        return Ok(out.line("the journal is empty: there is no call to try it on")?);
    };
    let mut facts: Vec<(&str, Cell)> = vec![
        ("calls since", plain(when::shown(since))),
        ("would", plain(format!("have {} {} requests, retransmissions included", view.would, view.requests))),
    ];
    if view.perhaps > 0 {
        let text = format!("{} more, perhaps: the digits that would tell are masked", view.perhaps);
        facts.push(("", (text, Tone::Warn)));
    }
    if view.sampled > 0 {
        let text = format!("{} of these are of unproved sources, which are sampled: it may be more", view.sampled);
        facts.push(("", (text, Tone::Dim)));
    }
    list(&mut facts, "needs --force", &view.warnings, Tone::Warn);
    if view.damaged > 0 {
        facts.push(("damaged", (format!("{} records, left out", view.damaged), Tone::Warn)));
    }
    out.facts(&facts)?;
    if view.requests == 0 {
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> =
        view.countries.iter().map(|row| vec![plain(&row.country), plain(row.requests.to_string())]).collect();
    out.line("")?;
    out.table(&["country", ">requests"], &rows)?;
    out.line("")?;
    let rows: Vec<Vec<Cell>> = view
        .last
        .iter()
        .map(|call| {
            vec![
                plain(when::shown(call.time)),
                (call.verdict.clone(), Tone::of_verdict(&call.verdict)),
                plain(&call.reason),
                plain(call.number.as_deref().unwrap_or("-")),
                plain(format!("{} ({})", call.source, call.who)),
                plain(call.count.to_string()),
            ]
        })
        .collect();
    Ok(out.table(&["the last", "was", "because", "number", "source", ">requests"], &rows)?)
}

/// A refusal; with `--json` it is an object too.
fn refusal(error: ClientError, json: bool, out: &mut Out) -> Result<Failure, Failure> {
    if json {
        out.json(&serde_json::json!({
            "ok": false, "order": null, "generation": null, "error": error.to_string(),
        }))?;
    }
    Ok(error.into())
}

/// Prints what a changing command did; with `--json` a refusal is an object too.
pub(super) fn show(answer: Result<ChangedView, ClientError>, json: bool, out: &mut Out) -> Result<(), Failure> {
    let view = match answer {
        Ok(view) => view,
        Err(error) => return Err(refusal(error, json, out)?),
    };
    let tested = view.receipt.as_ref().map_or(Ok(()), |receipt| verdict(&receipt.self_test));
    if json {
        out.json(&view)?;
        return tested;
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
    if let Some(receipt) = &view.receipt {
        list(&mut facts, "stays open", &receipt.stays_open, Tone::Plain);
        let calls = receipt.calls.map_or_else(
            || "the kernel does not tell; what is up already goes on".to_owned(),
            |calls| format!("{calls} abroad are up, and go on: `tollgate list calls --abroad`"),
        );
        facts.push(("calls", plain(calls)));
        facts.push(("self-test", self_test(&receipt.self_test)));
        list(&mut facts, "", &receipt.self_test.failures, Tone::Bad);
    }
    list(&mut facts, "overridden by", &view.overridden_by, Tone::Plain);
    list(&mut facts, "warning", &view.warnings, Tone::Warn);
    if let Some(undo) = view.undo {
        facts.push(("undo with", (undo, Tone::Head)));
    }
    out.facts(&facts)?;
    tested
}

fn self_test(found: &SelfTestView) -> Cell {
    let took = when::length(Duration::from_secs_f64(found.took.max(0.0)));
    let tried =
        format!("{} calls abroad and {} emergency calls, through the kernel in {took}", found.foreign, found.emergency);
    if found.ok {
        return (format!("{tried}: the ones refused, the others passed"), Tone::Good);
    }
    (format!("FAILED: {} of {tried} were judged otherwise", found.wrong), Tone::Bad)
}

/// A self-test that failed is a failure of the command, though the order is in force.
fn verdict(found: &SelfTestView) -> Result<(), Failure> {
    if found.ok {
        return Ok(());
    }
    Err(Failure::Refused(
        "the order is in force, but the self-test failed: calls may still go out. Block them at the PBX or at the provider \
         too, and report this"
            .into(),
    ))
}

fn list(facts: &mut Vec<(&str, Cell)>, key: &'static str, texts: &[String], tone: Tone) {
    for (i, text) in texts.iter().enumerate() {
        facts.push((if i == 0 { key } else { "" }, (text.clone(), tone)));
    }
}
