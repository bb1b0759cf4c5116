//! The state of the daemon and what it answers to each command.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use gateway_common::Verdict;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::broadcast;

use super::{
    ActiveOrder, Applied, Event, Explanation, Gateway, OrderRule,
    asking::{self, Asking},
    former::{self, Former},
    held,
    known::Keeper,
    listing, news, past,
    standing::Standing,
    tally::{self, Tally},
    used::{self, Used},
};
use crate::{
    config::{Config, Imported, snapshot},
    control::{
        Answer,
        past::JournalView,
        protocol::{Command, ErrorView, ListKind},
        views::{ChangedView, CountersView, EventView, ExplanationView, OrderView, PolicyView, StatusView},
    },
    imports::Imports,
    journal::{ChangeKind, Journal},
    notify::Notifier,
    orders::{Book, Store},
    policy::{self, Caller},
    zone,
};

/// Events that wait for the slowest follower; what comes on top is counted, not kept.
const EVENT_QUEUE: usize = 1024;
/// Events kept for `events` without `--follow`.
const RECENT_EVENTS: usize = 1000;

/// Where the daemon reads the time; tests give their own.
pub type Clock = Box<dyn Fn() -> Timestamp>;
/// Reads and validates the policy file.
pub type Loader = Box<dyn Fn() -> anyhow::Result<Config>>;
/// Changes a policy that was kept as the command line says.
pub type Adjuster = Box<dyn Fn(Config) -> Config>;
/// Loads the filter, puts policy and orders in force, attaches.
pub type Starter = Box<dyn FnOnce(&Config, &[ActiveOrder]) -> anyhow::Result<(Box<dyn Gateway>, Applied)>>;

/// What the daemon is made of.
pub struct Parts {
    /// Reads and validates the policy file, at the start and at every reload.
    pub load: Loader,
    /// Makes the command line hold for a policy that the daemon kept, as `load` does for the file.
    pub adjust: Adjuster,
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
    /// The schedules that held when it did.
    pub(super) schedules: Vec<String>,
    /// Lists of sources that others keep, and what of them is in force.
    pub(super) imports: Imports,
    pub(super) imported: Arc<Vec<Imported>>,
    /// When the next schedule begins or ends. The event loop asks often, and a calendar is slow to walk.
    boundary: Option<Timestamp>,
    /// The policy to go back to, or that it went back to.
    pub(super) former: Option<Former>,
    pub(super) state_dir: PathBuf,
    pub(super) clock: Clock,
    pub(super) journal: Journal,
    pub(super) notifier: Notifier,
    pub(super) load: Loader,
    /// What limits have suspended, as far as it was told; and the countries that the site has called.
    pub(super) standing: Standing,
    pub(super) used: Used,
    pub(super) keeper: Keeper,
    /// What is new at the site.
    pub(super) news: news::News,
    /// What the owner was asked.
    pub(super) asking: Asking,
    /// What calls bring together.
    pub(super) tally: Tally,
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
        let now = (parts.clock)();
        let former = former::open(state_dir)?;
        let (config, goes_back) = policy_of_start(&parts, former.as_ref(), now)?;
        zone::set(config.site.time_zone.as_deref());
        let expired = book.newly_expired(now);
        book.put(&expired);
        let in_force = book.active(now);
        let imports = Imports::of(&config, state_dir);
        let imported = Arc::new(imports.networks(now));
        let (gateway, applied) = (parts.start)(&holding(&config, now, &imported), &in_force)?;
        let run = gateway.run()?;
        let journal = Journal::open(state_dir, config.journal, now, past::orders(&book));
        let notifier = Notifier::new(config.notify.clone());
        let used = used::open(state_dir);
        let news = news::open(state_dir, &used, now);
        let mut core = Self {
            gateway,
            schedules: config.active_schedules(now),
            boundary: config.next_change(now),
            imports,
            imported,
            config: Arc::new(config),
            store,
            book,
            applied,
            in_force,
            former,
            state_dir: state_dir.to_owned(),
            clock: parts.clock,
            journal,
            notifier,
            load: parts.load,
            standing: Standing::default(),
            used,
            keeper: Keeper::default(),
            news,
            asking: asking::open(state_dir),
            tally: tally::open(state_dir, run),
            started: now,
            followers: Some(broadcast::channel(EVENT_QUEUE).0),
            recent: VecDeque::with_capacity(RECENT_EVENTS),
        };
        for order in &expired {
            core.keep_expiry(order);
        }
        core.keep(ChangeKind::Start, core.started_as(), None);
        let used = core.used.clone();
        core.restore_used(&used);
        core.restore_known();
        if goes_back {
            core.note_return();
        }
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
            Command::List { kind: Some(ListKind::Calls), abroad } => {
                return match self.gateway.calls() {
                    Ok(calls) => (Answer::Lines(Box::new(listing::calls(calls, abroad).into_iter())), flow),
                    Err(error) => (Answer::Reply(Err(refused(error))), flow),
                };
            }
            Command::List { kind, abroad: _ } => {
                let now = (self.clock)();
                let orders = self.book.all().filter(|order| order.active(now).is_some()).cloned().collect();
                let cells = match self.list_cells(kind == Some(ListKind::Lines)) {
                    Ok(cells) => cells,
                    Err(error) => return (Answer::Reply(Err(refused(error))), flow),
                };
                let lines = listing::lines(&self.config, &self.imported, orders, kind, now);
                let cells = cells.into_iter().filter_map(|view| serde_json::to_string(&view).ok());
                return (Answer::Lines(Box::new(cells.chain(lines))), flow);
            }
            Command::Policy {} => {
                return (Answer::Lines(Box::new(snapshot::lines(Arc::clone(&self.config)))), flow);
            }
            Command::Why(question) => return (self.why(&question), flow),
            Command::Report { since } => return (self.report(since), flow),
            Command::Suggest { since } => return (self.suggest(since), flow),
            Command::Incidents { since } => return (self.incidents(since), flow),
            Command::Block(order) if order.dry_run => return (self.rehearse(order.block(), &order), flow),
            Command::Allow(order) if order.dry_run => return (self.rehearse(OrderRule::Allow, &order), flow),
            Command::Block(order) => self.give(order.block(), &order, who).and_then(|view| reply(&view)),
            Command::Allow(order) => self.give(OrderRule::Allow, &order, who).and_then(|view| reply(&view)),
            Command::InternationalOff(order) => self.international_off(&order, who).and_then(|view| reply(&view)),
            Command::InternationalRestore { scope, reason } => {
                self.take_back_switch(OrderRule::InternationalOff, scope, reason, who).and_then(|view| reply(&view))
            }
            Command::ShieldOn(order) => self.shield_on(&order, who).and_then(|view| reply(&view)),
            Command::ShieldOff { reason } => {
                self.take_back_switch(OrderRule::Shield, None, reason, who).and_then(|view| reply(&view))
            }
            Command::Undo { order, reason } => self.undo(order, reason, who).and_then(|view| reply(&view)),
            Command::Answer { question, keep } => self.answer(question, keep, who).and_then(|view| reply(&view)),
            Command::Resume { what } => self.resume(&what, who).and_then(|view| reply(&view)),
            Command::Reload { confirm } => {
                self.reload(confirm.map(Duration::from_secs), who).and_then(|view| reply(&view))
            }
            Command::Confirm {} => self.confirm(who).and_then(|view| reply(&view)),
            Command::Explain { input, from, line, at, side } => self
                .explain(&input, &Caller::of(&self.config, from, side), line.as_deref(), at)
                .map_err(refused)
                .and_then(|found| reply(&ExplanationView::from(found))),
            Command::Zone {} => Ok(Value::Null),
            Command::Exposure {} => self.exposure().map_err(refused).and_then(|view| reply(&view)),
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
            mode: self.config.mode.as_str().into(),
            floor: self.config.floor,
            site: self.gateway.site().map(Into::into).unwrap_or_default(),
            interfaces: self.gateway.interfaces().into_iter().map(Into::into).collect(),
            policy: PolicyView {
                hash: self.applied.hash.clone(),
                generation: self.applied.generation,
                prefixes: self.applied.prefixes,
                file: self.config.path.as_ref().map(|path| path.display().to_string()),
                in_force: self.applied.in_force,
                warnings: self.applied.warnings.clone(),
            },
            confirm: self.trial(),
            imports: self.imports.shown(self.now()).into_iter().map(Into::into).collect(),
            journal: JournalView::of(&self.journal, self.config.journal),
            notify: self.notifier.states().into_iter().map(Into::into).collect(),
            answers: self.gateway.counters().ok().map(|counters| counters.answers.into()),
            orders: self.in_force.len(),
            questions: self.questions(),
            over_limits: self.over_limits(),
            shield: self.switches(OrderRule::Shield),
            international_off: self.switches(OrderRule::InternationalOff),
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
            answers: counters.answers.into(),
            uncounted: counters.uncounted,
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

    /// Ends the orders, and the trial of a policy, whose time has run out, and lets schedules begin and end. Called at
    /// their time and now and then, since clocks jump; what could not be put in force is tried again at the next call.
    pub fn tick(&mut self) {
        let now = (self.clock)();
        self.journal.tick(now);
        self.notifier.tick(now);
        self.watch();
        self.keep_known(false);
        self.look_for_news();
        self.end_questions();
        self.end_trial(now);
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
        let schedules = self.config.active_schedules(now);
        self.imports.refresh(&self.config, &self.state_dir);
        let imported = self.imports.networks(now);
        if orders == self.in_force && schedules == self.schedules && imported == *self.imported {
            return;
        }
        if schedules != self.schedules {
            tracing::info!("schedules in force: {}; before: {}", named(&schedules), named(&self.schedules));
        }
        match self.apply(&Arc::clone(&self.config), orders, now) {
            Ok(()) => {
                for order in &expired {
                    tracing::info!(order = order.number, "order expired: {}", order.action);
                }
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "cannot take orders, schedules or imports in or out of force; trying again");
            }
        }
    }

    /// Puts the policy, as it holds at `now`, and orders in force. On an error what was in force stays.
    pub(super) fn apply(&mut self, config: &Config, orders: Vec<ActiveOrder>, now: Timestamp) -> anyhow::Result<()> {
        let imported = Arc::new(self.imports.networks(now));
        let applied = self.gateway.apply(&holding(config, now, &imported), &orders)?;
        zone::set(config.site.time_zone.as_deref());
        for warning in &applied.warnings {
            tracing::warn!("policy: {warning}");
        }
        self.applied = applied;
        self.in_force = orders;
        self.schedules = config.active_schedules(now);
        self.boundary = config.next_change(now);
        self.imported = imported;
        Ok(())
    }

    /// What would happen to a call now, or at another time by the orders and schedules that hold then.
    fn explain(
        &self,
        input: &str,
        caller: &Caller,
        line: Option<&str>,
        at: Option<Timestamp>,
    ) -> anyhow::Result<Explanation> {
        let line = line.map(|line| line.strip_prefix("line:").unwrap_or(line));
        let Some(at) = at else { return self.gateway.explain(input, caller, line, &self.levels()) };
        let (config, orders) = (holding(&self.config, at, &self.imported), self.book.active(at));
        let (image, _) = policy::compile(&config, &orders, &HashMap::new(), 0)?;
        // How full a limit is at another time nobody knows, nor who is banned then.
        let holding = policy::Holding { line, clock: self.gateway.clock(), ..policy::Holding::nothing(at) };
        policy::explain(&config, &image, &orders, input, caller, &holding)
    }

    /// When [`Core::tick`] has something to do.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        let now = self.now();
        let boundary = self.boundary.filter(|boundary| *boundary > now);
        [self.book.next_expiry(now), self.trial_end(now), boundary, self.asking.next()].into_iter().flatten().min()
    }

    /// Now, as the daemon sees it.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Hands the events that wait in the kernel to the followers.
    pub fn drain_events(&mut self) {
        // Those that tell what a limit held: their cells are read once the gateway is free.
        let mut limited = Vec::new();
        let (followers, recent, standing) = (&self.followers, &mut self.recent, &mut self.standing);
        let (journal, notifier, news, tally) = (&self.journal, &self.notifier, &mut self.news, &mut self.tally);
        self.gateway.poll_events(&mut |event| {
            let line = logged(&event);
            notifier.count(&event);
            news.note(&event);
            tally.note(&event);
            if standing.note(&event) && limited.len() < held::MOST {
                limited.push(event);
            } else {
                journal.note(event);
            }
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
        self.note_limited(limited);
        self.watch_if_due();
        self.tell_calls();
    }

    /// The gateway, for what only the event loop asks.
    pub fn gateway(&self) -> &dyn Gateway {
        &*self.gateway
    }

    /// Notes that the daemon ends because of `why`, and what is in force stays.
    pub fn note_stop(&mut self, why: &str) {
        self.keep_used();
        self.keep_known(true);
        self.keep_news();
        self.keep_tally(true);
        self.stop_asking();
        self.keep(ChangeKind::Stop, "stopped; what was in force stays in force".into(), Some(why));
    }

    /// Ends every stream of events.
    pub fn end_followers(&mut self) {
        self.followers = None;
    }

    /// Disarms: detaches from every interface and removes every pin.
    pub fn detach(&mut self, who: &str) -> anyhow::Result<ChangedView> {
        let now = (self.clock)();
        self.keep_known(true);
        self.gateway.detach()?;
        tracing::warn!(who, "detached: nothing is filtered any more");
        // Whoever starts again after this means the file.
        let left = self.former.take().and_then(|_| self.forget().err());
        self.keep(ChangeKind::Detach, "detached: nothing is filtered any more".into(), Some(who));
        Ok(ChangedView {
            generation: None,
            in_force: (self.clock)(),
            warnings: left.into_iter().collect(),
            undo: Some("tollgate run".into()),
            ..self.changed(None, "detach".into(), now)
        })
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
            confirm: None,
            overridden_by: Vec::new(),
            receipt: None,
            warnings: self.applied.warnings.clone(),
            undo: order.map(|order| format!("tollgate undo {order}")),
        }
    }
}

/// The policy to start with, and whether that is going back: the file's, unless a reload of it was not confirmed.
fn policy_of_start(parts: &Parts, former: Option<&Former>, now: Timestamp) -> anyhow::Result<(Config, bool)> {
    let Some(former) = former else { return Ok(((parts.load)()?, false)) };
    let kept = || (parts.adjust)((*former.config).clone());
    let until = zone::shown(former.trial.until);
    if former.returned {
        tracing::warn!("the last reload was not confirmed: the former policy is in force until `tollgate reload`");
        return Ok((kept(), false));
    }
    if former.trial.is_over(now) {
        tracing::warn!("a reload was not confirmed by {until}: the former policy comes back in force");
        return Ok((kept(), true));
    }
    match (parts.load)() {
        Ok(config) => Ok((config, false)),
        Err(error) => {
            tracing::error!(
                "the policy on trial until {until} no longer loads, so the former one comes back in force: {error:#}"
            );
            Ok((kept(), true))
        }
    }
}

/// The policy as it holds at `now`, with what imports name.
pub(super) fn holding<'c>(config: &'c Config, now: Timestamp, imported: &Arc<Vec<Imported>>) -> Cow<'c, Config> {
    let mut config = config.at(now);
    if !imported.is_empty() {
        config.to_mut().imported = Arc::clone(imported);
    }
    config
}

/// `a, b`, or `none`.
fn named(schedules: &[String]) -> String {
    if schedules.is_empty() { "none".to_owned() } else { schedules.join(", ") }
}

pub(super) fn reply(view: &impl Serialize) -> Result<Value, ErrorView> {
    serde_json::to_value(view).map_err(|e| ErrorView::refused(format!("the reply cannot be written: {e}")))
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
