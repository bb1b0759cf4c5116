//! An order as it lies in the store: JSON, with every value in the form in which it would be typed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Action, Order, Origin, Scope};
use crate::{config, daemon::OrderRule, what::What};

/// The stored form. Fields are added with a default, never renamed.
#[derive(Serialize, Deserialize)]
struct Record {
    number: u64,
    verb: Verb,
    what: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    scope: ScopeRecord,
    reason: Option<String>,
    who: String,
    origin: OriginRecord,
    since: Timestamp,
    expires: Option<Timestamp>,
    expired: bool,
    undone: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Block,
    Allow,
    InternationalOff,
    Monitor,
    Shield,
    Undo,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScopeRecord {
    Site,
    Profile(String),
    Source(String),
    Line(String),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OriginRecord {
    Cli,
}

/// The octets to store.
///
/// # Errors
///
/// Where the order cannot be written as JSON.
pub fn encode(order: &Order) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Record {
        number: order.number,
        verb: match order.action {
            Action::Rule(OrderRule::Block, _) => Verb::Block,
            Action::Rule(OrderRule::Allow, _) | Action::AllowAtMost(..) => Verb::Allow,
            Action::Rule(OrderRule::InternationalOff, _) => Verb::InternationalOff,
            Action::Rule(OrderRule::Monitor, _) => Verb::Monitor,
            Action::Rule(OrderRule::Shield, _) => Verb::Shield,
            Action::Undo(_) => Verb::Undo,
        },
        what: order.action.what(),
        max: match &order.action {
            Action::AllowAtMost(max, _) => Some(max.to_string()),
            Action::Rule(..) | Action::Undo(_) => None,
        },
        scope: match &order.scope {
            Scope::Site => ScopeRecord::Site,
            Scope::Profile(name) => ScopeRecord::Profile(name.clone()),
            Scope::Source(network) => ScopeRecord::Source(network.to_string()),
            Scope::Line(line) => ScopeRecord::Line(line.clone()),
        },
        reason: order.reason.clone(),
        who: order.who.clone(),
        origin: match order.origin {
            Origin::Cli => OriginRecord::Cli,
        },
        since: order.since,
        expires: order.expires,
        expired: order.expired,
        undone: order.undone,
    })
}

/// The order in these octets.
///
/// # Errors
///
/// What is wrong with them.
pub fn decode(octets: &[u8]) -> Result<Order, String> {
    let record: Record = serde_json::from_slice(octets).map_err(|e| e.to_string())?;
    let what = || {
        record
            .what
            .iter()
            .map(|text| text.parse::<What>().map_err(|e| format!("{text}: {e}")))
            .collect::<Result<Vec<_>, _>>()
    };
    let action = match record.verb {
        Verb::Block => Action::Rule(OrderRule::Block, what()?),
        Verb::Allow => match &record.max {
            Some(max) => Action::AllowAtMost(config::allowance(max).map_err(|e| format!("{max}: {e}"))?, what()?),
            None => Action::Rule(OrderRule::Allow, what()?),
        },
        Verb::Monitor => Action::Rule(OrderRule::Monitor, what()?),
        Verb::Shield => Action::Rule(OrderRule::Shield, what()?),
        Verb::InternationalOff => Action::Rule(OrderRule::InternationalOff, what()?),
        Verb::Undo => match record.what.as_slice() {
            [target] => Action::Undo(target.parse().map_err(|_parse| format!("`{target}` is no order's number"))?),
            _ => return Err("an undo without the order that it undoes".into()),
        },
    };
    Ok(Order {
        number: record.number,
        action,
        scope: match record.scope {
            ScopeRecord::Site => Scope::Site,
            ScopeRecord::Profile(name) => Scope::Profile(name),
            ScopeRecord::Source(text) => Scope::Source(text.parse().map_err(|e| format!("{text}: {e}"))?),
            ScopeRecord::Line(line) => Scope::Line(line),
        },
        reason: record.reason,
        who: record.who,
        origin: match record.origin {
            OriginRecord::Cli => Origin::Cli,
        },
        since: record.since,
        expires: record.expires,
        expired: record.expired,
        undone: record.undone,
    })
}
