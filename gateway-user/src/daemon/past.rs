//! What is kept in the journal, and the questions about it. A question is answered on a thread of its own: reading may take
//! a while, and the event loop waits for nobody.

use std::{collections::HashMap, io, ops::RangeInclusive};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::{
    Core, Levels, MaskedNumber, cell,
    core::{refused, reply},
};
use crate::{
    config::Mode,
    control::{
        Answer,
        past::{DamagedView, DecisionView, IncidentView, ReportView, WhyQuestion},
        protocol::ErrorView,
    },
    journal::{self, Change, ChangeKind, Fate, Question, Reader},
    orders::{Action, Book, Order},
    policy::Caller,
    zone,
};

/// Decisions that one question gets.
const MOST_DECISIONS: usize = 1000;

/// What the journal should hold of the orders of the store.
pub(super) fn orders(book: &Book) -> Vec<Change> {
    book.all().map(of_order).collect()
}

fn of_order(order: &Order) -> Change {
    let until = order.expires.map(|end| format!(", until {}", zone::shown(end))).unwrap_or_default();
    Change {
        time: order.since,
        change: match order.action {
            Action::Rule(..) | Action::AllowAtMost(..) => ChangeKind::Order,
            Action::Undo(_) => ChangeKind::Undo,
        },
        done: format!("{} ({}){until}", order.action, order.scope),
        who: Some(order.who.clone()),
        order: Some(order.number),
        reason: order.reason.clone(),
        generation: None,
        policy: None,
    }
}

impl Core {
    /// Keeps a change.
    pub(super) fn keep(&self, change: ChangeKind, done: String, who: Option<&str>) {
        self.keep_change(Change {
            time: self.now(),
            change,
            done,
            who: who.map(Into::into),
            order: None,
            reason: None,
            generation: None,
            policy: None,
        });
    }

    /// Keeps an order that has come in force.
    pub(super) fn keep_order(&self, order: &Order) {
        self.keep_change(of_order(order));
    }

    /// Keeps that an order has ended by itself.
    pub(super) fn keep_expiry(&self, order: &Order) {
        let done = format!("order {} has ended: {}", order.number, order.action);
        let time = self.now();
        self.keep_change(Change { time, change: ChangeKind::Expired, done, who: None, ..of_order(order) });
    }

    /// Keeps that the policy file was read again, and the mode that it changed.
    pub(super) fn keep_reload(&self, file: &str, before: (Mode, String), who: &str) {
        let (mode, hash) = before;
        let same = if hash == self.applied.hash { ": it decides as before" } else { "" };
        self.keep(ChangeKind::Policy, format!("reload {file}{same}"), Some(who));
        if mode != self.config.mode {
            let (from, to) = (mode.as_str(), self.config.mode.as_str());
            self.keep(ChangeKind::Mode, format!("mode {from} -> {to}"), Some(who));
        }
    }

    /// How the daemon has started, in words.
    pub(super) fn started_as(&self) -> String {
        let file = self.config.path.as_ref().map_or("the built-in example".into(), |path| path.display().to_string());
        format!("tollgate {} started, {} mode, policy {file}", env!("CARGO_PKG_VERSION"), self.config.mode.as_str())
    }

    fn keep_change(&self, change: Change) {
        let change =
            Change { generation: Some(self.applied.generation), policy: Some(self.applied.hash.clone()), ..change };
        self.notifier.change(&change);
        self.journal.change(change);
    }

    /// What was decided, why, and what undoes it.
    pub(super) fn why(&self, asked: &WhyQuestion) -> Answer {
        let numbers = match asked.number.as_deref().map(|number| self.masked(number, asked)).transpose() {
            Ok(numbers) => numbers.unwrap_or_default(),
            Err(error) => return Answer::Reply(Err(error)),
        };
        let lines = match asked.line.as_deref().map(|line| self.lines(line)).transpose() {
            Ok(lines) => lines.unwrap_or_default(),
            Err(error) => return Answer::Reply(Err(error)),
        };
        let question = Question {
            from: asked.from,
            numbers,
            lines,
            span: self.span(asked.since, asked.until),
            most: if asked.last { 1 } else { MOST_DECISIONS },
        };
        let (fates, last) = (self.fates(), asked.last);
        let holding = match self.holding() {
            Ok(holding) => holding,
            Err(error) => return Answer::Reply(Err(refused(error))),
        };
        self.later(move |reader| {
            let found = journal::ask(reader, &question)?;
            let more = if last { 0 } else { found.more };
            let lines: Vec<String> = found
                .decisions
                .iter()
                .map(|(lane, decision)| {
                    let fate = decision.order.and_then(|order| fates.get(&order)).copied();
                    DecisionView::of(decision, *lane, journal::remedy(decision, fate, &holding))
                })
                .filter_map(|view| serde_json::to_string(&view).ok())
                .chain(DamagedView::of(found.damaged, more).and_then(|view| serde_json::to_string(&view).ok()))
                .collect();
            Ok(Answer::Lines(Box::new(lines.into_iter())))
        })
    }

    /// What was stopped and changed since then.
    pub(super) fn report(&self, since: Timestamp) -> Answer {
        let span = self.span(Some(since), None);
        let lost = self.journal.state().lost;
        self.later(move |reader| {
            let report = journal::report(reader, &span)?;
            Ok(Answer::Reply(reply(&ReportView::of(report, &span, lost))))
        })
    }

    /// What was stopped since then, without any number.
    pub(super) fn incidents(&self, since: Timestamp) -> Answer {
        let span = self.span(Some(since), None);
        self.later(move |reader| {
            let (found, damaged) = journal::incidents(reader, &span)?;
            let lines: Vec<String> = found
                .into_iter()
                .filter_map(|(incident, count)| serde_json::to_string(&IncidentView::of(incident, count)).ok())
                .chain(DamagedView::of(damaged, 0).and_then(|view| serde_json::to_string(&view).ok()))
                .collect();
            Ok(Answer::Lines(Box::new(lines.into_iter())))
        })
    }

    /// Answers on a thread of its own, from what was handed over up to now.
    pub(super) fn later(&self, work: impl FnOnce(&Reader) -> io::Result<Answer> + Send + 'static) -> Answer {
        let (answer, later) = oneshot::channel();
        let reader = self.journal.reader();
        let worker = move || {
            reader.settle();
            let found = work(&reader).unwrap_or_else(|error| {
                Answer::Reply(Err(ErrorView::refused(format!(
                    "cannot read the journal in {}: {error}; what is enforced is not touched by that",
                    reader.dir().display()
                ))))
            });
            // Nobody waits any more where this fails.
            let _ = answer.send(found);
        };
        match std::thread::Builder::new().name("question".into()).spawn(worker) {
            Ok(_) => Answer::Later(later),
            Err(error) => Answer::Reply(Err(refused(anyhow::Error::new(error).context("cannot read the journal")))),
        }
    }

    /// From then, or the oldest record, until then, or now.
    pub(super) fn span(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> RangeInclusive<Timestamp> {
        since.unwrap_or(Timestamp::MIN)..=until.unwrap_or_else(|| self.now().max(Timestamp::now()))
    }

    /// How the journal may have masked a number: as E.164, or as it was dialled.
    fn masked(&self, number: &str, asked: &WhyQuestion) -> Result<Vec<String>, ErrorView> {
        let caller = Caller { from: asked.from, ..Caller::default() };
        // A word is no number: without one, everything that has none would be found.
        if !number.bytes().any(|octet| octet.is_ascii_digit()) {
            return Err(ErrorView::usage(format!(
                "`{}` is no number: write it as it was dialled, such as 010232761234567, or with its plus",
                number.escape_debug()
            )));
        }
        let found = self.gateway.explain(number, &caller, None, &Levels::new()).map_err(refused)?;
        let numbers = [
            found.e164.map(|digits| MaskedNumber::of(&digits)),
            found.dialled.map(|dialled| MaskedNumber::dialled(&dialled)),
            number.strip_prefix('+').map(MaskedNumber::of),
        ];
        Ok(numbers.into_iter().flatten().map(|masked| masked.to_string()).collect())
    }

    /// The digests of a line.
    fn lines(&self, line: &str) -> Result<Vec<u64>, ErrorView> {
        let name = line.strip_prefix("line:").unwrap_or(line);
        // Part of a digest would be taken for another one, and nothing be found.
        let whole = name.strip_prefix('#').is_none_or(|digest| digest.len() == 16);
        cell::lines(&self.config, name).filter(|_| whole).ok_or_else(|| {
            ErrorView::usage(format!(
                "`{}` is no line: write its name, such as 203, or # and the 16 digits that `tollgate list lines` shows",
                line.escape_debug()
            ))
        })
    }

    fn fates(&self) -> HashMap<u64, Fate> {
        let now = self.now();
        self.book.all().map(|order| (order.number, Fate { state: order.state(now), undone: order.undone })).collect()
    }
}
