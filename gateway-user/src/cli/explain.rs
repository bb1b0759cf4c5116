//! `tollgate explain`.

use jiff::Timestamp;

use super::{
    Cell, Failure, Out, Tone,
    args::{ExplainArgs, Places},
    ask, plain, replay, when,
};
use crate::{
    config::EXAMPLE_NAME,
    control::{client::ClientError, protocol::Command, views::ExplanationView},
    policy::{self, Caller, Holding},
};

pub(super) fn run(args: &ExplainArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    if args.config.is_some() {
        return show(&alone(args)?, args.json, out);
    }
    let at = args.at.as_ref().map(|at| at.of_site(places)).transpose()?;
    let (input, line) = (args.input.clone(), args.line.clone());
    match ask(places, &Command::Explain { input, from: args.from, line, at, side: args.side }) {
        Ok(view) => show(&view, args.json, out),
        Err(ClientError::NoDaemon { .. }) => {
            let socket = places.socket.display();
            eprintln!(
                "tollgate: no daemon at {socket}: this is the answer of the {EXAMPLE_NAME}; name a policy with --config"
            );
            show(&alone(args)?, args.json, out)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a policy file, or the built-in example, says without a daemon: no orders.
fn alone(args: &ExplainArgs) -> Result<ExplanationView, Failure> {
    let (config, _) = replay::policy(args.config.as_deref())?;
    let at = args.at.as_ref().map_or_else(|| Ok(Timestamp::now()), when::Typed::here)?;
    let config = &*config.at(at);
    let image = replay::image(config)?;
    let line = args.line.as_deref().map(|line| line.strip_prefix("line:").unwrap_or(line));
    let holding = Holding { line, ..Holding::nothing(at) };
    let caller = Caller::of(config, args.from, args.side);
    let explained = policy::explain(config, &image, &[], &args.input, &caller, &holding);
    explained.map(ExplanationView::from).map_err(|error| Failure::Usage(format!("{error:#}")))
}

/// Prints an explanation.
pub(super) fn show(view: &ExplanationView, json: bool, out: &mut Out) -> Result<(), Failure> {
    if json {
        return Ok(out.json(view)?);
    }
    let none = || (String::from("none"), Tone::Dim);
    let text = |value: &Option<String>| value.as_ref().map_or_else(none, plain);
    out.toned(
        &format!("{}: {} ({})", view.input, view.verdict, view.reason),
        match Tone::of_verdict(&view.verdict) {
            Tone::Plain => Tone::Good,
            tone => tone,
        },
    )?;
    out.facts(&[
        ("rule", text(&view.rule)),
        ("profile", plain(&view.profile)),
        ("dialled", text(&view.dialled)),
        ("E.164", view.e164.as_ref().map_or_else(none, |digits| plain(format!("+{digits}")))),
        ("class", plain(&view.class)),
        ("country", text(&view.country)),
    ])?;
    let rows: Vec<Vec<Cell>> = view
        .steps
        .iter()
        .map(|step| {
            let tone = if step.decides { Tone::Head } else { Tone::Plain };
            vec![plain(if step.decides { "=>" } else { "" }), (step.step.clone(), tone), (step.finding.clone(), tone)]
        })
        .collect();
    Ok(out.table(&["", "step", "finding"], &rows)?)
}
