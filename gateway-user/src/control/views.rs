//! Results of the control socket, and the shapes of `--json`, which are the same.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::past::{JournalView, WayView};
use crate::{
    daemon::{Answers, Event, Explanation, Held, InterfaceState, SiteState},
    imports::Shown,
    orders::{Action, Order},
};

/// `status --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// `monitor` or `enforce`.
    pub mode: String,
    /// Whether the floor acts.
    pub floor: bool,
    /// What the filter has learned of the site.
    #[serde(default)]
    pub site: SiteView,
    /// The interfaces.
    pub interfaces: Vec<InterfaceView>,
    /// The policy in force.
    pub policy: PolicyView,
    /// A reload that wants, or wanted, to be confirmed; null where the policy of the file stays.
    #[serde(default)]
    pub confirm: Option<ConfirmView>,
    /// Lists of sources that others keep.
    #[serde(default)]
    pub imports: Vec<ImportView>,
    /// The journal.
    pub journal: JournalView,
    /// Each way by which notices go out.
    pub notify: Vec<WayView>,
    /// Answers to refused callers; null where the kernel does not tell.
    #[serde(default)]
    pub answers: Option<AnswersView>,
    /// How many orders act.
    pub orders: usize,
    /// Questions that wait for an answer.
    #[serde(default)]
    pub questions: Vec<QuestionView>,
    /// What has brought more minutes, numbers or heads than a limit allows.
    #[serde(default)]
    pub over_limits: Vec<OverView>,
    /// The orders in force that hold the shield up.
    #[serde(default)]
    pub shield: Vec<SwitchView>,
    /// The orders in force that switch international calls off.
    #[serde(default)]
    pub international_off: Vec<SwitchView>,
    /// The process of the daemon.
    pub pid: u32,
    /// Version of the daemon.
    pub version: String,
    /// When the daemon started.
    pub started: Timestamp,
}

/// What the filter has learned of its site.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteView {
    /// Sources whose credentials the PBX took.
    pub known: u32,
    /// How many of them there is room for.
    pub room: u32,
    /// When an answer of the PBX to the outside was first seen; null for never.
    pub answered: Option<Timestamp>,
    /// Whether the floor refuses foreign calls of sources that nobody knows.
    pub armed: bool,
    /// When it will, if answers go on.
    pub arms: Option<Timestamp>,
}

impl From<SiteState> for SiteView {
    fn from(SiteState { known, room, answered, armed, arms }: SiteState) -> Self {
        Self { known, room, answered, armed, arms }
    }
}

/// A question of a limit that asks before it suspends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionView {
    /// Its number.
    pub question: u64,
    /// The name of the limit.
    pub limit: String,
    /// Whose calls it is about.
    pub what: String,
    /// The country of the call that set it off, ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Calls over the limit since then.
    pub calls: u64,
    /// When it was asked.
    pub asked: Timestamp,
    /// When they are stopped if nobody answers.
    pub until: Timestamp,
}

/// Calls that have brought more minutes, numbers or heads than a limit allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverView {
    /// The name of the limit.
    pub limit: String,
    /// Whose calls.
    pub what: String,
    /// How much they brought.
    pub over: String,
    /// What the limit does: `suspend`, `ban` or `warn`.
    pub action: String,
    /// Since when.
    pub since: Timestamp,
    /// The command that begins the count anew, and lifts a suspension.
    pub undo: String,
}

/// A reload that wants, or wanted, to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmView {
    /// `waiting`: the new policy is in force until its time is over; `returned`: the former one is in force again.
    pub state: String,
    /// When the reload was asked for.
    pub since: Timestamp,
    /// When its time is over, or was.
    pub until: Timestamp,
    /// Who asked.
    pub who: String,
}

/// A list of sources that others keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportView {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// `good`; `kept`, where the file is bad and the last good one holds; `none`, where nothing does.
    pub state: String,
    /// Networks that it blocks.
    pub networks: usize,
    /// When the list that holds was written.
    pub written: Option<Timestamp>,
    /// When it no longer holds.
    pub expires: Option<Timestamp>,
    /// What is wrong with the file, and what was left out of it.
    pub notes: Vec<String>,
}

impl From<Shown> for ImportView {
    fn from(it: Shown) -> Self {
        Self {
            name: it.name,
            file: it.file.display().to_string(),
            state: it.state.as_str().into(),
            networks: it.networks,
            written: it.written,
            expires: it.expires,
            notes: it.notes,
        }
    }
}

/// An interface of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceView {
    /// Its name.
    pub name: String,
    /// `wan` or `lan`.
    pub role: String,
    /// `driver` or `generic`.
    pub attach: String,
    /// `pinned`, `held` or `defunct`.
    pub link: String,
}

impl From<InterfaceState> for InterfaceView {
    fn from(state: InterfaceState) -> Self {
        Self {
            name: state.name,
            role: state.role.as_str().into(),
            attach: state.attach.as_str().into(),
            link: state.link.as_str().into(),
        }
    }
}

/// The policy of `status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyView {
    /// Digest of the policy image.
    pub hash: String,
    /// Number of the policy image.
    pub generation: u64,
    /// How many prefixes it holds.
    pub prefixes: usize,
    /// The file it was read from; null for the built-in example.
    pub file: Option<String>,
    /// When it came in force.
    pub in_force: Timestamp,
    /// What can never match, is shadowed, contradicts or is unused.
    pub warnings: Vec<String>,
}

/// `counters --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountersView {
    /// When they were read.
    pub time: Timestamp,
    /// Packets by reason, whatever the verdict; zeros left out.
    pub reasons: BTreeMap<String, u64>,
    /// SIP requests by method; zeros left out.
    pub methods: BTreeMap<String, u64>,
    /// Packets that passed and that no rule would have stopped.
    pub passed: u64,
    /// Packets dropped.
    pub dropped: u64,
    /// Packets refused with an answer.
    pub rejected: u64,
    /// Packets that passed, and would have been stopped in enforce mode.
    pub would_drop: u64,
    /// Events that were lost; counters never are.
    pub events_lost: u64,
    /// Calls that a limit by windows did not count, since no cell was free.
    #[serde(default)]
    pub uncounted: u64,
    /// Answers to refused callers.
    #[serde(default)]
    pub answers: AnswersView,
}

/// Answers to refused callers, of `counters` and of `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswersView {
    /// Given, since the daemon started.
    pub given: u64,
    /// Not given: over the bound of their source, or of all.
    pub capped: u64,
    /// Not given: not read in time, or not sent.
    pub lost: u64,
    /// Not given: nothing that can be answered.
    pub unfit: u64,
    /// Why none can be sent now; null where they can.
    pub error: Option<String>,
}

impl From<Answers> for AnswersView {
    fn from(it: Answers) -> Self {
        Self { given: it.given, capped: it.capped, lost: it.lost, unfit: it.unfit, error: it.error }
    }
}

/// `orders --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// Its number.
    pub order: u64,
    /// `block`, `block --monitor`, `allow`, `international off`, `shield on` or `undo`.
    pub verb: String,
    /// What it names; of `international off`, what it excepts.
    pub what: Vec<String>,
    /// How many calls it allows, such as `20/1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// Where it holds: `site`, `profile:NAME`, `source:NETWORK` or `line:NAME`.
    pub scope: String,
    /// Why.
    pub reason: Option<String>,
    /// Who gave it.
    pub who: String,
    /// Where it came from.
    pub origin: String,
    /// When it was given.
    pub since: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// The order that undid it.
    pub undone: Option<u64>,
    /// `in-force`, `expired` or `undone`.
    pub state: String,
}

impl OrderView {
    /// The view of an order at `now`.
    pub fn of(order: &Order, now: Timestamp) -> Self {
        Self {
            order: order.number,
            verb: order.action.verb().into(),
            what: order.action.what(),
            max: match &order.action {
                Action::AllowAtMost(max, _) => Some(max.to_string()),
                Action::Rule(..) | Action::Undo(_) => None,
            },
            scope: order.scope.to_string(),
            reason: order.reason.clone(),
            who: order.who.clone(),
            origin: order.origin.as_str().into(),
            since: order.since,
            expires: order.expires,
            undone: order.undone,
            state: order.state(now).as_str().into(),
        }
    }
}

/// What a changing command prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedView {
    /// Always true; a refusal has false.
    pub ok: bool,
    /// Number of the order; null for `reload` and `detach`.
    pub order: Option<u64>,
    /// The policy image now in force; null after `detach`.
    pub generation: Option<u64>,
    /// What was done, in the words of the command line.
    pub done: String,
    /// When the request arrived.
    pub since: Timestamp,
    /// When it came in force.
    pub in_force: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// The command that lets it stay; null where it stays anyway.
    #[serde(default)]
    pub confirm: Option<String>,
    /// What still wins over it.
    pub overridden_by: Vec<String>,
    /// What is odd about the policy now in force.
    pub warnings: Vec<String>,
    /// The command that undoes it.
    pub undo: Option<String>,
    /// What `international off` came to; null for all else.
    #[serde(default)]
    pub receipt: Option<ReceiptView>,
}

/// What `international off` came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptView {
    /// What still goes out.
    pub stays_open: Vec<String>,
    /// How many calls abroad are up, which no order ends; null where the kernel does not tell.
    pub calls: Option<u64>,
    /// What the self-test found.
    pub self_test: SelfTestView,
}

/// What a self-test found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SelfTestView {
    /// Whether every call was judged as it must be.
    pub ok: bool,
    /// Calls to foreign numbers that were tried, each to be refused.
    pub foreign: u64,
    /// Emergency calls that were tried, each to pass.
    pub emergency: u64,
    /// Calls that were judged otherwise.
    pub wrong: u64,
    /// The first of them, in words.
    pub failures: Vec<String>,
    /// Seconds that it took.
    pub took: f64,
}

// Times are finite.
impl Eq for SelfTestView {}

/// An order of `status` that switches something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchView {
    /// Its number.
    pub order: u64,
    /// Where it holds.
    pub scope: String,
    /// What it excepts.
    pub except: Vec<String>,
    /// When it was given.
    pub since: Timestamp,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
}

impl SwitchView {
    /// The view of an order.
    pub fn of(order: &Order) -> Self {
        Self {
            order: order.number,
            scope: order.scope.to_string(),
            except: order.action.what(),
            since: order.since,
            expires: order.expires,
        }
    }
}

/// `list --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    /// `prefix`, `country`, `dial`, `class`, `source`, `line` or `limit`; of what a limit counts also `network`, `site`.
    pub kind: String,
    /// The thing, as it would be typed; the name of a limit.
    pub value: String,
    /// `block`, `allow`, `monitor`, `international off`, `except`, `profile`, `trunk` or what a limit does; `suspended` or
    /// `counted`.
    pub action: String,
    /// The profile; null where it holds for the site.
    pub profile: Option<String>,
    /// File and line, or the number of the order.
    pub origin: String,
    /// Why, if anybody said.
    pub reason: Option<String>,
    /// When it was ordered; null for what the file says.
    pub since: Option<Timestamp>,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// The schedule by which it holds; null for always.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Whether it acts now.
    #[serde(default = "always")]
    pub active: bool,
    /// How many calls each window of a limit holds, of how many.
    #[serde(default)]
    pub level: Option<String>,
    /// The command that lifts a suspension.
    #[serde(default)]
    pub undo: Option<String>,
}

const fn always() -> bool {
    true
}

/// `events --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// When the packet arrived.
    pub time: Timestamp,
    /// `pass`, `drop`, `reject` or `would-drop`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The method; null where it is not a SIP request.
    pub method: Option<String>,
    /// The class of the dialled number.
    pub class: String,
    /// Its country.
    pub country: Option<String>,
    /// The number, masked.
    pub number: Option<String>,
    /// Who sent it.
    pub source: IpAddr,
    /// The interface it arrived on.
    pub interface: String,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            time: event.time,
            verdict: event.verdict.as_str().into(),
            reason: event.reason.as_str().into(),
            method: event.method.map(|method| method.as_str().into()),
            class: event.class.as_str().into(),
            country: event.country.map(Into::into),
            number: event.number.as_ref().map(ToString::to_string),
            source: event.source,
            interface: event.interface.clone(),
        }
    }
}

/// A line of `events` in place of events that this follower was too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostView {
    /// How many.
    pub lost: u64,
}

/// `explain --json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplanationView {
    /// What was asked about.
    pub input: String,
    /// The profile that applies to the source.
    pub profile: String,
    /// The string that a server would dial.
    pub dialled: Option<String>,
    /// The number in E.164, digits without the plus.
    pub e164: Option<String>,
    /// Its class.
    pub class: String,
    /// Its country.
    pub country: Option<String>,
    /// What would happen.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The rule that decides.
    pub rule: Option<String>,
    /// Every step of the decision.
    pub steps: Vec<StepView>,
    /// The cells that a call of a line would be charged to.
    #[serde(default)]
    pub charged: Vec<Held>,
}

/// A step of `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// What it found.
    pub finding: String,
    /// Whether it decided.
    pub decides: bool,
}

impl From<Explanation> for ExplanationView {
    fn from(it: Explanation) -> Self {
        Self {
            input: it.input,
            profile: it.profile,
            dialled: it.dialled,
            e164: it.e164,
            class: it.class.as_str().into(),
            country: it.country,
            verdict: it.verdict.as_str().into(),
            reason: it.reason.as_str().into(),
            rule: it.rule,
            steps: it
                .steps
                .into_iter()
                .map(|step| StepView { step: step.name, finding: step.finding, decides: step.decides })
                .collect(),
            charged: it.charged,
        }
    }
}
