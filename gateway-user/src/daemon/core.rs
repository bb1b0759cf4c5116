//! The state of the daemon and what it answers to each command.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use gateway_common::Verdict;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use super::{ActiveOrder, Applied, Event, Gateway, listing, past};
use crate::{
    config::{Config, Mode},
    control::{
        Answer,
        past::JournalView,
        protocol::{Command, ErrorView},
        views::{ChangedView, CountersView, EventView, ExplanationView, OrderView, PolicyView, StatusView},
    },
    journal::{ChangeKind, Journal},
    notify::Notifier,
    orders::{Book, Store},
};

/// Events that wait for the slowest follower; what comes on top is counted, not kept.
const EVENT_QUEUE: usize = 1024;
/// Events kept for `events` without `--follow`.
const RECENT_EVENTS: usize = 1000;

/// Where the daemon reads the time; tests give their own.
pub type Clock = Box<dyn Fn() -> Timestamp>;
/// Reads and validates the policy file.
pub type Loader = Box<dyn Fn() -> anyhow::Result<Config>>;
/// Loads the filter, puts policy and orders in force, attaches.
pub type Starter = Box<dyn FnOnce(&Config, &[ActiveOrder]) -> anyhow::Result<(Box<dyn Gateway>, Applied)>>;

/// What the daemon is made of.
pub struct Parts {
    /// Reads and validates the policy file, at the start and at every reload.
    pub load: Loader,
    /// Loads the filter, puts policy and orders in force, attaches: in this order, so that no packet meets half of it.
    pub start: Starter,
    /// Where the time is read.
    pub clock: Clock,
}

/// The state of the daemon.
pub struct Core {
    pub(super) gateway: Box<dyn Gateway>,
    pub(super) config: Arc<Config>,
    pub(super) store: Store,
    pub(super) book: Book,
    /// What [`Gateway::apply`] last put in force, and with which orders.
    pub(super) applied: Applied,
    pub(super) in_force: Vec<ActiveOrder>,
    pub(super) clock: Clock,
    pub(super) journal: Journal,
    pub(super) notifier: Notifier,
    load: Loader,
    started: Timestamp,
    /// `None` once the daemon stops: followers end.
    followers: Option<broadcast::Sender<Arc<str>>>,
    recent: VecDeque<Arc<str>>,
}

/// Whether the daemon goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It serves the next one.
    Continue,
    /// It was detached and ends.
    Stop,
}

impl Core {
    /// Opens the store in `state_dir`, reads the policy and puts both in force.
    pub fn start(state_dir: &Path, parts: Parts) -> anyhow::Result<Self> {
        let (store, mut book) = Store::open(state_dir)?;
        let config = (parts.load)()?;
        let now = (parts.clock)();
        let expired = book.newly_expired(now);
        book.put(&expired);
        let in_force = book.active(now);
        let (gateway, applied) = (parts.start)(&config, &in_force)?;
        let journal = Journal::open(state_dir, config.journal, now, past::orders(&book));
        let notifier = Notifier::new(config.notify.clone());
        let core = Self {
            gateway,
            config: Arc::new(config),
            store,
            book,
            applied,
            in_force,
            clock: parts.clock,
            journal,
            notifier,
            load: parts.load,
            started: now,
            followers: Some(broadcast::channel(EVENT_QUEUE).0),
            recent: VecDeque::with_capacity(RECENT_EVENTS),
        };
        for order in &expired {
            core.keep_expiry(order);
        }
        core.keep(ChangeKind::Start, core.started_as(), None);
        Ok(core)
    }

    /// Carries out one command of `who`.
    pub fn handle(&mut self, command: Command, who: &str) -> (Answer, Flow) {
        let mut flow = Flow::Continue;
        let reply = match command {
            Command::Status {} => reply(&self.status()),
            Command::Counters {} => self.counters().map_err(refused).and_then(|view| reply(&view)),
            Command::Orders {} => {
                let now = (self.clock)();
                reply(&self.book.all().map(|order| OrderView::of(order, now)).collect::<Vec<_>>())
            }
            Command::List { kind } => {
                let now = (self.clock)();
                let orders = self.book.all().filter(|order| order.active(now).is_some()).cloned().collect();
                let lines = listing::lines(&self.config, orders, kind);
                return (Answer::Lines(Box::new(lines)), flow);
            }
            Command::Why(question) => return (self.why(&question), flow),
            Command::Report { since } => return (self.report(since), flow),
            Command::Incidents { since } => return (self.incidents(since), flow),
            Command::Block(order) if order.dry_run => return (self.rehearse(super::OrderRule::Block, &order), flow),
            Command::Allow(order) if order.dry_run => return (self.rehearse(super::OrderRule::Allow, &order), flow),
            Command::Block(order) => self.give(super::OrderRule::Block, &order, who).and_then(|view| reply(&view)),
            Command::Allow(order) => self.give(super::OrderRule::Allow, &order, who).and_then(|view| reply(&view)),
            Command::Undo { order, reason } => self.undo(order, reason, who).and_then(|view| reply(&view)),
            Command::Reload {} => self.reload(who).map_err(refused).and_then(|view| reply(&view)),
            Command::Explain { input, from } => self
                .gateway
                .explain(&input, from)
                .map_err(refused)
                .and_then(|found| reply(&ExplanationView::from(found))),
            Command::Trace { on } => self.gateway.set_trace(on).map_err(refused).map(|()| Value::Null),
            Command::Events { follow: false } => {
                let recent: Vec<Arc<str>> = self.recent.iter().cloned().collect();
                return (Answer::Lines(Box::new(recent.into_iter().map(|line| line.to_string()))), flow);
            }
            Command::Events { follow: true } => match &self.followers {
                Some(followers) => return (Answer::Follow(followers.subscribe()), flow),
                None => Err(ErrorView::refused("the daemon is stopping")),
            },
            Command::Detach {} => self.detach(who).map_err(refused).and_then(|view| {
                flow = Flow::Stop;
                reply(&view)
            }),
        };
        (Answer::Reply(reply), flow)
    }

    /// What `status` shows.
    pub fn status(&self) -> StatusView {
        StatusView {
            mode: mode_name(self.config.mode).into(),
            floor: self.config.floor,
            interfaces: self.gateway.interfaces().into_iter().map(Into::into).collect(),
            policy: PolicyView {
                hash: self.applied.hash.clone(),
                generation: self.applied.generation,
                prefixes: self.applied.prefixes,
                file: self.config.path.as_ref().map(|path| path.display().to_string()),
                in_force: self.applied.in_force,
                warnings: self.applied.warnings.clone(),
            },
            journal: JournalView::of(&self.journal, self.config.journal),
            notify: self.notifier.states().into_iter().map(Into::into).collect(),
            orders: self.in_force.len(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: self.started,
        }
    }

    fn counters(&self) -> anyhow::Result<CountersView> {
        let counters = self.gateway.counters().context("cannot read the counters of the kernel")?;
        let mut view = CountersView {
            time: (self.clock)(),
            reasons: BTreeMap::new(),
            methods: BTreeMap::new(),
            passed: 0,
            dropped: 0,
            rejected: 0,
            would_drop: 0,
            events_lost: counters.events_lost,
        };
        for (reason, verdict, count) in counters.cells.into_iter().filter(|cell| cell.2 != 0) {
            *view.reasons.entry(reason.as_str().into()).or_default() += count;
            *match verdict {
                Verdict::Pass => &mut view.passed,
                Verdict::Drop => &mut view.dropped,
                Verdict::Reject => &mut view.rejected,
                Verdict::WouldDrop => &mut view.would_drop,
            } += count;
        }
        for (method, count) in counters.by_method.into_iter().filter(|cell| cell.1 != 0) {
            *view.methods.entry(method.as_str().into()).or_default() += count;
        }
        Ok(view)
    }

    /// Reads the policy file again and puts it in force, whole or not at all.
    pub fn reload(&mut self, who: &str) -> anyhow::Result<ChangedView> {
        let now = (self.clock)();
        let config = (self.load)()?;
        let orders = self.book.active(now);
        let applied = self.gateway.apply(&config, &orders)?;
        let before = (self.config.mode, self.applied.hash.clone());
        self.config = Arc::new(config);
        self.journal.configure(self.config.journal);
        self.notifier.configure(&self.config.notify);
        self.took(applied, orders);
        let file = self.config.path.as_ref().map_or("the built-in example".into(), |path| path.display().to_string());
        tracing::info!(%file, generation = self.applied.generation, "policy reloaded");
        self.keep_reload(&file, before, who);
        Ok(self.changed(None, format!("reload {file}"), now))
    }

    /// Ends the orders whose time has run out. Called at their time and now and then, since clocks jump; what could not
    /// be put in force is tried again at the next call.
    pub fn tick(&mut self) {
        let now = (self.clock)();
        self.journal.tick(now);
        self.notifier.tick(now);
        let expired = self.book.newly_expired(now);
        if !expired.is_empty() {
            self.book.put(&expired);
            for order in &expired {
                self.keep_expiry(order);
            }
            if let Err(error) = self.store.commit(&expired) {
                tracing::warn!(%error, "cannot note in the store that orders have expired; they have");
            }
        }
        let orders = self.book.active(now);
        if orders == self.in_force {
            return;
        }
        match self.gateway.apply(&self.config, &orders) {
            Ok(applied) => {
                for order in &expired {
                    tracing::info!(order = order.number, "order expired: {}", order.action);
                }
                self.took(applied, orders);
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "cannot take expired orders out of force; trying again");
            }
        }
    }

    /// When [`Core::tick`] has something to do.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.book.next_expiry((self.clock)())
    }

    /// Now, as the daemon sees it.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Hands the events that wait in the kernel to the followers.
    pub fn drain_events(&mut self) {
        let (followers, recent) = (&self.followers, &mut self.recent);
        let (journal, notifier) = (&self.journal, &self.notifier);
        self.gateway.poll_events(&mut |event| {
            let line = logged(&event);
            notifier.count(&event);
            journal.note(event);
            let Some(line) = line else { return };
            if recent.len() == RECENT_EVENTS {
                recent.pop_front();
            }
            recent.push_back(Arc::clone(&line));
            if let Some(followers) = followers {
                // An error means that nobody follows.
                let _ = followers.send(line);
            }
        });
    }

    /// The gateway, for what only the event loop asks.
    pub fn gateway(&self) -> &dyn Gateway {
        &*self.gateway
    }

    /// Notes that the daemon ends because of `why`, and what is in force stays.
    pub fn note_stop(&self, why: &str) {
        self.keep(ChangeKind::Stop, "stopped; what was in force stays in force".into(), Some(why));
    }

    /// Ends every stream of events.
    pub fn end_followers(&mut self) {
        self.followers = None;
    }

    /// Disarms: detaches from every interface and removes every pin.
    pub fn detach(&mut self, who: &str) -> anyhow::Result<ChangedView> {
        let now = (self.clock)();
        self.gateway.detach()?;
        tracing::warn!(who, "detached: nothing is filtered any more");
        self.keep(ChangeKind::Detach, "detached: nothing is filtered any more".into(), Some(who));
        Ok(ChangedView {
            generation: None,
            in_force: (self.clock)(),
            warnings: Vec::new(),
            undo: Some("tollgate run".into()),
            ..self.changed(None, "detach".into(), now)
        })
    }

    pub(super) fn took(&mut self, applied: Applied, orders: Vec<ActiveOrder>) {
        for warning in &applied.warnings {
            tracing::warn!("policy: {warning}");
        }
        self.applied = applied;
        self.in_force = orders;
    }

    /// The view of a change that is in force now.
    pub(super) fn changed(&self, order: Option<u64>, done: String, since: Timestamp) -> ChangedView {
        ChangedView {
            ok: true,
            order,
            generation: Some(self.applied.generation),
            done,
            since,
            in_force: self.applied.in_force,
            expires: None,
            overridden_by: Vec::new(),
            warnings: self.applied.warnings.clone(),
            undo: order.map(|order| format!("tollgate undo {order}")),
        }
    }
}

pub(super) fn reply(view: &impl Serialize) -> Result<Value, ErrorView> {
    serde_json::to_value(view).map_err(|e| ErrorView::refused(format!("the reply cannot be written: {e}")))
}

/// The name of a mode, as the policy file writes it.
pub(super) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Monitor => "monitor",
        Mode::Enforce => "enforce",
    }
}

/// An error with all its causes, for the operator.
pub(super) fn refused(error: impl Into<anyhow::Error>) -> ErrorView {
    ErrorView::refused(format!("{:#}", error.into()))
}

/// Logs an event; the line that followers get.
fn logged(event: &Event) -> Option<Arc<str>> {
    tracing::debug!(
        target: "tollgate::event",
        verdict = event.verdict.as_str(),
        reason = event.reason.as_str(),
        method = event.method.map(gateway_common::Method::as_str),
        number = event.number.as_ref().map(super::MaskedNumber::as_str),
        source = %event.source,
        interface = event.interface,
    );
    serde_json::to_string(&EventView::from(event)).ok().map(Into::into)
}
