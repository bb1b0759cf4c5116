//! `tollgate status`.

use jiff::Timestamp;

use super::{
    Cell, Failure, Out, Tone,
    args::{JsonArgs, Places},
    ask, plain, when,
};
use crate::control::{
    past::{JournalView, WayView},
    protocol::Command,
    views::{
        AnswersView, ConfirmView, ImportView, InterfaceView, OverView, QuestionView, SiteView, StatusView, SwitchView,
    },
};

pub(super) fn run(args: JsonArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let status: StatusView = ask(places, &Command::Status {})?;
    if args.json {
        return Ok(out.json(&status)?);
    }
    show(&status, out)
}

/// Prints a status for a person.
pub(super) fn show(status: &StatusView, out: &mut Out) -> Result<(), Failure> {
    let up = when::length(when::between(status.started, Timestamp::now()));
    out.line(&format!("tollgate {}, pid {}, up {up}", status.version, status.pid))?;
    let mode = match status.mode.as_str() {
        "enforce" => ("enforce: the rules of the file act".to_owned(), Tone::Good),
        _ => ("monitor: the rules of the file are counted and stop nothing; orders act".to_owned(), Tone::Warn),
    };
    let policy = &status.policy;
    let mut facts: Vec<(&str, Cell)> = vec![
        ("mode", mode),
        ("floor", if status.floor { plain("on") } else { ("off".into(), Tone::Warn) }),
        ("", if status.floor { strangers(&status.site) } else { plain("") }),
        ("known", known(&status.site)),
        ("policy", plain(policy.file.as_deref().unwrap_or("built-in example"))),
        (
            "",
            plain(format!(
                "generation {}, {} prefixes, in force since {}",
                policy.generation,
                policy.prefixes,
                when::shown(policy.in_force)
            )),
        ),
        ("", (policy.hash.clone(), Tone::Dim)),
        ("orders", plain(format!("{} in force", status.orders))),
    ];
    facts.extend(status.questions.iter().map(|question| ("question", asked(question))));
    facts.extend(status.over_limits.iter().map(|it| ("over", over(it))));
    facts.extend(status.shield.iter().map(|order| ("", switched("the shield is UP", order))));
    facts.extend(status.international_off.iter().map(|order| ("", switched("international calls are OFF", order))));
    facts.extend([("journal", journal(&status.journal))]);
    facts.extend(status.answers.as_ref().map(|answers| ("answers", of_refused(answers))));
    facts.extend(status.confirm.iter().map(|trial| ("confirm", on_trial(trial, policy.file.as_deref()))));
    for import in &status.imports {
        facts.push(("import", of_import(import)));
        facts.extend(import.notes.iter().map(|note| ("", (note.clone(), Tone::Warn))));
    }
    facts.extend(status.notify.iter().map(way));
    facts.extend(policy.warnings.iter().map(|warning| ("warning", (warning.clone(), Tone::Warn))));
    out.facts(&facts)?;
    let rows: Vec<Vec<Cell>> = status.interfaces.iter().map(row).collect();
    Ok(out.table(&["interface", "role", "attach", "link"], &rows)?)
}

/// What the floor does to foreign calls of sources that nobody knows.
fn strangers(site: &SiteView) -> Cell {
    match (site.armed, site.arms) {
        (true, _) => plain("foreign calls of sources that the PBX does not know are refused"),
        (false, Some(when)) => {
            let text =
                format!("foreign calls of sources that the PBX does not know: refused from {}", when::shown(when));
            (text, Tone::Warn)
        }
        (false, None) => {
            let text =
                "foreign calls of sources that the PBX does not know: not refused, no answer of the PBX was seen";
            (text.into(), Tone::Warn)
        }
    }
}

fn known(site: &SiteView) -> Cell {
    let text = format!("{} sources (room for {})", site.known, site.room);
    (text, if u64::from(site.known) * 10 > u64::from(site.room) * 9 { Tone::Bad } else { Tone::Plain })
}

/// What refused callers heard.
fn of_refused(answers: &AnswersView) -> Cell {
    let AnswersView { given, capped, lost, unfit, .. } = answers;
    let text = format!("{given} refused callers told; not told: {capped} over the bound, {unfit} unfit, {lost} lost");
    match &answers.error {
        Some(error) => (format!("{text}; {error}"), Tone::Bad),
        None => plain(text),
    }
}

/// An order that switches something.
fn switched(what: &str, order: &SwitchView) -> Cell {
    let except = if order.except.is_empty() { String::new() } else { format!(" except {}", order.except.join(" ")) };
    let until = order.expires.map(|until| format!(" until {}", when::shown(until))).unwrap_or_default();
    let SwitchView { order, scope, .. } = order;
    (format!("{what}{except}{until} ({scope}); tollgate undo {order}"), Tone::Warn)
}

/// A question that waits for its answer.
fn asked(it: &QuestionView) -> Cell {
    let country = it.country.as_ref().map(|country| format!(" to {country}")).unwrap_or_default();
    let left = when::length(when::between(Timestamp::now(), it.until));
    let text = format!(
        "{n}: {}: {} calls over [limit.{}]{country}, stopped at {} ({left}) if nobody answers: `tollgate answer {n} keep`, or \
         `stop`",
        it.what,
        it.calls,
        it.limit,
        when::shown(it.until),
        n = it.question
    );
    (text, Tone::Warn)
}

/// Calls that brought more than a limit allows.
fn over(it: &OverView) -> Cell {
    let OverView { limit, what, over, action, undo, .. } = it;
    let does = match action.as_str() {
        "warn" => "it only warns",
        "ban" => "it bans whoever shows to be there",
        _ => "it suspends",
    };
    let since = when::shown(it.since);
    (format!("{what} since {since}: {over} ([limit.{limit}], {does}); {undo}"), Tone::Warn)
}

/// A list of sources that others keep, with its age.
fn of_import(import: &ImportView) -> Cell {
    let now = Timestamp::now();
    let age = import.written.map(|written| format!(", written {} ago", when::length(when::between(written, now))));
    let left = import.expires.filter(|expires| *expires > now).map(|expires| {
        let left = when::length(when::between(now, expires));
        format!(", holds {left} more")
    });
    let (age, left) = (age.unwrap_or_default(), left.unwrap_or_default());
    let networks = match import.networks {
        1 => "1 network".to_owned(),
        many => format!("{many} networks"),
    };
    let says = match import.state.as_str() {
        "good" => format!("blocks {networks}"),
        "kept" => format!("the file is bad; the last good list blocks {networks}"),
        _ => "blocks nobody: there is no good list".to_owned(),
    };
    let text = format!("{}: {says}{age}{left}", import.name);
    (text, if import.state == "good" { Tone::Plain } else { Tone::Warn })
}

/// A reload that wants, or wanted, to be confirmed.
fn on_trial(trial: &ConfirmView, file: Option<&str>) -> Cell {
    let (who, until) = (&trial.who, when::shown(trial.until));
    if trial.state == "waiting" {
        let left = when::length(when::between(Timestamp::now(), trial.until));
        let text = format!("the policy is on trial by {who}: `tollgate confirm` until {until} ({left}) lets it stay");
        return (text, Tone::Warn);
    }
    let file = file.unwrap_or("FILE");
    let text = format!(
        "the reload by {who} was not confirmed by {until}: the FORMER policy is in force, not the file; `tollgate diff {file}`, \
         then `tollgate reload`"
    );
    (text, Tone::Bad)
}

fn journal(journal: &JournalView) -> Cell {
    let lost = if journal.lost == 0 { String::new() } else { format!("; {} records lost", journal.lost) };
    if let Some(error) = &journal.error {
        return (
            format!("cannot be written in {}: {error}{lost}; calls are judged all the same", journal.path),
            Tone::Bad,
        );
    }
    let since = journal.oldest.map(|day| format!(", since {day}")).unwrap_or_default();
    let (used, size) = (journal.octets as f64 / 1e6, journal.size as f64 / 1e6);
    let text = format!("{used:.1} of {size:.0} MB, {} days{since}{lost}", journal.days);
    (text, if journal.lost == 0 { Tone::Plain } else { Tone::Warn })
}

fn way(way: &WayView) -> (&'static str, Cell) {
    let text = format!("{}: {} delivered, {} waiting, {} lost", way.kind, way.delivered, way.waiting, way.lost);
    let cell = match &way.error {
        Some(error) => (format!("{text}; {error}"), Tone::Bad),
        None if way.lost > 0 => (text, Tone::Warn),
        None => plain(text),
    };
    ("notify", cell)
}

fn row(interface: &InterfaceView) -> Vec<Cell> {
    let attach = match interface.attach.as_str() {
        "driver" => plain("driver"),
        other => (format!("{other} (slower: the driver has no XDP)"), Tone::Warn),
    };
    let link = match interface.link.as_str() {
        "pinned" => ("pinned".into(), Tone::Good),
        "held" => ("held (enforcement ends with the daemon)".into(), Tone::Warn),
        _ => (format!("{} (nothing is filtered here; attach again with `tollgate run`)", interface.link), Tone::Bad),
    };
    vec![plain(&interface.name), plain(&interface.role), attach, link]
}
