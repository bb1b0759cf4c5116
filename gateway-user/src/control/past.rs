//! Questions about the journal and their answers, which are also the shapes of `--json`.

use std::{collections::HashMap, net::IpAddr, ops::RangeInclusive};

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use crate::{
    config,
    daemon::{Held, OrderRule},
    journal::{Change, Decision, Incident, Journal, Lane, Rehearsal, Remedy, Report, Tally},
    notify,
};

/// Sources of a report; the others are one row.
const MOST_SOURCES: usize = 20;

/// What `why` asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyQuestion {
    /// Only of this source.
    #[serde(default)]
    pub from: Option<IpAddr>,
    /// Only to this number, as it is dialled or with its plus.
    #[serde(default)]
    pub number: Option<String>,
    /// Only of this line: its name, or `#` and the digest that `list lines` shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// Only since then.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Only up to then.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Only the last one.
    #[serde(default)]
    pub last: bool,
}

/// The journal of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalView {
    /// Why nothing can be written now; null where it can.
    pub error: Option<String>,
    /// Records given up since the daemon started.
    pub lost: u64,
    /// Octets that it takes.
    pub octets: u64,
    /// Octets that it may take.
    pub size: u64,
    /// Days that it keeps.
    pub days: u32,
    /// Day of the oldest record, UTC.
    pub oldest: Option<Date>,
    /// Where it lies.
    pub path: String,
}

impl JournalView {
    /// How a journal with these settings does.
    pub fn of(journal: &Journal, settings: config::Journal) -> Self {
        let state = journal.state();
        Self {
            error: state.error,
            lost: state.lost,
            octets: state.octets,
            size: settings.size,
            days: settings.days,
            oldest: state.oldest,
            path: journal.dir().display().to_string(),
        }
    }
}

/// A way of `status` by which notices go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayView {
    /// `command` or `webhook`.
    pub kind: String,
    /// Notices that were delivered.
    pub delivered: u64,
    /// Notices that were given up.
    pub lost: u64,
    /// Notices that wait.
    pub waiting: usize,
    /// Why the last try failed; null where it did not.
    pub error: Option<String>,
}

impl From<notify::State> for WayView {
    fn from(it: notify::State) -> Self {
        Self { kind: it.kind.into(), delivered: it.delivered, lost: it.lost, waiting: it.waiting, error: it.error }
    }
}

/// A line of `why --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    /// When the packet arrived; of several alike within a second, the first.
    pub time: Timestamp,
    /// When the last of them arrived.
    pub last: Timestamp,
    /// How many packets alike.
    pub count: u64,
    /// `pass`, `drop`, `reject` or `would-drop`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The method.
    pub method: Option<String>,
    /// The class of the dialled number.
    pub class: String,
    /// Its country.
    pub country: Option<String>,
    /// The number, masked.
    pub number: Option<String>,
    /// Who sent it.
    pub source: IpAddr,
    /// `unproved`, `lan` or `trunk`.
    pub who: String,
    /// The interface it arrived on.
    pub interface: String,
    /// `wan` or `lan`.
    pub side: String,
    /// The profile of the source.
    pub profile: Option<String>,
    /// The rule that decided then, with file and line.
    pub rule: Option<String>,
    /// The order that decided then.
    pub order: Option<u64>,
    /// The limit that was used up then.
    pub limit: Option<String>,
    /// The policy image that decided.
    pub generation: u64,
    /// The first digits of its digest.
    pub policy: Option<String>,
    /// The line, as `list lines` shows it.
    #[serde(default)]
    pub line: Option<String>,
    /// What a limit that refused it held then.
    #[serde(default)]
    pub held: Vec<Held>,
    /// Whether others like it may have been left out: those of unproved sources are sampled.
    pub sampled: bool,
    /// The command that undoes it now.
    pub undo: Option<String>,
    /// What to know, or to do by hand.
    pub advice: Option<String>,
}

impl DecisionView {
    /// The view of a decision.
    pub fn of(decision: &Decision, lane: Lane, remedy: Remedy) -> Self {
        let name = |name: &crate::journal::Name| name.clone().into_owned();
        Self {
            time: decision.time,
            last: decision.end(),
            count: decision.count,
            verdict: name(&decision.verdict),
            reason: name(&decision.reason),
            method: decision.method.as_ref().map(name),
            class: name(&decision.class),
            country: decision.country.as_ref().map(name),
            number: decision.number.clone(),
            source: decision.source,
            who: name(&decision.who),
            interface: decision.interface.clone(),
            side: name(&decision.side),
            profile: decision.profile.clone(),
            rule: decision.rule.clone(),
            order: decision.order,
            limit: decision.limit.clone(),
            generation: decision.generation,
            policy: decision.policy.clone(),
            line: decision.line_word(),
            held: decision.held.clone(),
            sampled: lane == Lane::Unproved,
            undo: remedy.undo,
            advice: remedy.advice,
        }
    }
}

/// The last line of `why` and `report --export`, where something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedView {
    /// Records that are damaged.
    pub damaged: u64,
    /// Older ones that the answer has no room for.
    pub more: u64,
}

impl DamagedView {
    /// The view, if there is anything to say.
    pub fn of(damaged: u64, more: u64) -> Option<Self> {
        (damaged + more > 0).then_some(Self { damaged, more })
    }
}

/// `report --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportView {
    /// From when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// All together.
    pub total: TallyView,
    /// By country, most first.
    pub countries: Vec<RowView>,
    /// By reason, most first.
    pub reasons: Vec<RowView>,
    /// By source, most first; the last may be `others`.
    pub sources: Vec<RowView>,
    /// By hour, UTC, oldest first.
    pub hours: Vec<RowView>,
    /// What was changed, oldest first.
    pub changes: Vec<ChangeView>,
    /// Records that are damaged and were left out.
    pub damaged: u64,
    /// Records given up since the daemon started.
    pub lost: u64,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TallyView {
    /// Packets of trunk and lan sources that were stopped; exact.
    pub stopped: u64,
    /// Those that would have been in enforce mode; exact.
    pub would_drop: u64,
    /// Packets of unproved sources, stopped or not; at least so many.
    pub unproved: u64,
}

/// A row of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowView {
    /// The country, reason, source or hour.
    pub of: String,
    /// How often.
    #[serde(flatten)]
    pub tally: TallyView,
}

/// A change of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// When.
    pub time: Timestamp,
    /// `start`, `stop`, `policy`, `mode`, `order`, `undo`, `expired` or `detach`.
    pub change: String,
    /// What was done, in words.
    pub done: String,
    /// Who did it.
    pub who: Option<String>,
    /// The order.
    pub order: Option<u64>,
    /// Why.
    pub reason: Option<String>,
    /// The policy image in force behind it.
    pub generation: Option<u64>,
    /// Its digest.
    pub policy: Option<String>,
}

impl From<Change> for ChangeView {
    fn from(it: Change) -> Self {
        Self {
            time: it.time,
            change: it.change.as_str().into(),
            done: it.done,
            who: it.who,
            order: it.order,
            reason: it.reason,
            generation: it.generation,
            policy: it.policy,
        }
    }
}

impl From<Tally> for TallyView {
    fn from(it: Tally) -> Self {
        Self { stopped: it.stopped, would_drop: it.would_drop, unproved: it.unproved }
    }
}

impl ReportView {
    /// The view of a report of `span`.
    pub fn of(report: Report, span: &RangeInclusive<Timestamp>, lost: u64) -> Self {
        let hours = report.hours.into_iter().map(|(hour, tally)| row(hour.to_string(), tally)).collect();
        Self {
            since: *span.start(),
            until: *span.end(),
            total: report.total.into(),
            countries: most_first(report.countries),
            reasons: most_first(report.reasons),
            sources: sources(report.sources),
            hours,
            changes: report.changes.into_iter().map(Into::into).collect(),
            damaged: report.damaged,
            lost,
        }
    }
}

fn row(of: String, tally: Tally) -> RowView {
    RowView { of, tally: tally.into() }
}

fn most_first(rows: impl IntoIterator<Item = (String, Tally)>) -> Vec<RowView> {
    let mut rows: Vec<(String, Tally)> = rows.into_iter().collect();
    rows.sort_by(|a, b| b.1.all().cmp(&a.1.all()).then_with(|| a.0.cmp(&b.0)));
    rows.into_iter().map(|(of, tally)| row(of, tally)).collect()
}

fn sources(all: HashMap<IpAddr, Tally>) -> Vec<RowView> {
    let mut rows = most_first(all.into_iter().map(|(source, tally)| (source.to_string(), tally)));
    let others = rows.split_off(rows.len().min(MOST_SOURCES));
    if !others.is_empty() {
        let mut sum = TallyView { stopped: 0, would_drop: 0, unproved: 0 };
        for row in &others {
            sum.stopped += row.tally.stopped;
            sum.would_drop += row.tally.would_drop;
            sum.unproved += row.tally.unproved;
        }
        rows.push(RowView { of: format!("others ({})", others.len()), tally: sum });
    }
    rows
}

/// `block --dry-run` and `allow --dry-run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalView {
    /// Always true: nothing was changed.
    pub dry_run: bool,
    /// What would have been ordered.
    pub done: String,
    /// `cut` or `let through`.
    pub would: String,
    /// The oldest record of the journal that was looked at; null where it is empty.
    pub since: Option<Timestamp>,
    /// How many requests.
    pub requests: u64,
    /// Of how many more the masked digits would tell.
    pub perhaps: u64,
    /// How many of both are of unproved sources, which are sampled: it may be more.
    pub sampled: u64,
    /// By country, most first.
    pub countries: Vec<CountView>,
    /// The last of them, oldest first.
    pub last: Vec<DecisionView>,
    /// What would need `--force`.
    pub warnings: Vec<String>,
    /// Records that are damaged and were left out.
    pub damaged: u64,
}

/// How many requests to one country.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountView {
    /// The country; `-` where the number has none.
    pub country: String,
    /// How many.
    pub requests: u64,
}

impl RehearsalView {
    /// The view of a rehearsal of `done`.
    pub fn of(it: Rehearsal, rule: OrderRule, done: String, warnings: Vec<String>) -> Self {
        let mut countries: Vec<CountView> =
            it.countries.into_iter().map(|(country, requests)| CountView { country, requests }).collect();
        countries.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.country.cmp(&b.country)));
        Self {
            dry_run: true,
            done,
            would: match rule {
                OrderRule::Block | OrderRule::Monitor | OrderRule::InternationalOff | OrderRule::Shield => "cut".into(),
                OrderRule::Allow => "let through".into(),
            },
            since: it.since,
            requests: countries.iter().map(|row| row.requests).sum(),
            perhaps: it.perhaps,
            sampled: it.sampled,
            countries,
            last: it.last.iter().map(|(lane, decision)| DecisionView::of(decision, *lane, Remedy::default())).collect(),
            warnings,
            damaged: it.damaged,
        }
    }
}

/// A line of `report --export incidents`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentView {
    /// The hour, UTC.
    pub hour: Timestamp,
    /// The country that was called; null where it is not known.
    pub country: Option<String>,
    /// Who called.
    pub source: IpAddr,
    /// `unproved`, `lan` or `trunk`.
    pub who: String,
    /// Why it was stopped.
    pub reason: String,
    /// Whether it was stopped; else it would have been in enforce mode.
    pub stopped: bool,
    /// How many packets; of unproved sources at least so many.
    pub count: u64,
}

impl IncidentView {
    /// The view of an incident.
    pub fn of(it: Incident, count: u64) -> Self {
        Self {
            hour: it.hour,
            country: it.country,
            source: it.source,
            who: it.who,
            reason: it.reason,
            stopped: it.stopped,
            count,
        }
    }
}
