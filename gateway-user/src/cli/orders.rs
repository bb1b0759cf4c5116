//! `tollgate orders`.

use super::{
    Cell, Failure, Out, Tone,
    args::{JsonArgs, Places},
    ask, plain, when,
};
use crate::{
    control::{protocol::Command, views::OrderView},
    daemon::OrderRule,
};

pub(super) fn run(args: JsonArgs, places: &Places, out: &mut Out) -> Result<(), Failure> {
    let orders: Vec<OrderView> = ask(places, &Command::Orders {})?;
    if args.json {
        for order in &orders {
            out.json(order)?;
        }
        return Ok(());
    }
    if orders.is_empty() {
        return Ok(out.line("no orders; `tollgate block --help` shows how to give one")?);
    }
    let rows: Vec<Vec<Cell>> = orders.iter().map(row).collect();
    Ok(out.table(&[">order", "state", "what", "scope", "since", "until", "who", "reason"], &rows)?)
}

fn row(order: &OrderView) -> Vec<Cell> {
    let tone = if order.state == "in-force" { Tone::Good } else { Tone::Dim };
    let state = match order.undone {
        Some(by) => format!("undone by {by}"),
        None => order.state.clone(),
    };
    vec![
        plain(order.order.to_string()),
        (state, tone),
        plain(done(order)),
        plain(&order.scope),
        plain(when::shown(order.since)),
        plain(order.expires.map(when::shown).unwrap_or_default()),
        plain(&order.who),
        plain(order.reason.as_deref().unwrap_or_default()),
    ]
}

/// What it does, as it was typed.
fn done(order: &OrderView) -> String {
    let excepts = order.verb == OrderRule::InternationalOff.as_str() && !order.what.is_empty();
    let except = excepts.then_some("--except");
    let max = order.max.as_ref().map(|max| format!("--max {max}"));
    let words = [order.verb.as_str()].into_iter().chain(except).chain(order.what.iter().map(String::as_str));
    words.chain(max.as_deref()).collect::<Vec<_>>().join(" ")
}
