//! Questions: in business hours a limit may ask the owner before it suspends. Whoever says nothing agrees.

mod kept;

use std::time::Duration;

use gateway_common::limit::{CellKey, name_hash, window::Ring};
use jiff::{SignedDuration, Timestamp};

use super::{
    Core,
    cell::{Named, Site},
    core::{holding, refused},
};
use crate::{
    config::{Limit, Mode, Over},
    control::{
        protocol::ErrorView,
        views::{ChangedView, QuestionView},
    },
    journal::ChangeKind,
    zone,
};
pub(super) use kept::open;
use kept::{Cell, Kept, Question};

/// Questions that wait at once; nobody answers more, and what comes on top is stopped as at night.
const MOST: usize = 64;
/// Answers that are remembered; the one that ends first goes first.
const MOST_KEPT: usize = 1024;
/// How long "keep" holds where the hours have no end.
const LONGEST_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What was asked and answered.
pub(super) struct Asking {
    kept: Kept,
    /// Whether the disk lacks something of it.
    dirty: bool,
}

impl Asking {
    /// When the next question has waited long enough.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.kept.waiting.iter().map(|question| question.until).min()
    }

    /// Whether nothing is to be asked about a cell: it was asked, and the call is counted, or the answer was to let it be.
    fn is_asked(&mut self, cell: Cell, now: Timestamp) -> bool {
        if let Some(question) = self.kept.waiting.iter_mut().find(|question| question.cell == cell) {
            question.calls += 1;
            return true;
        }
        self.kept.let_be.iter().any(|(kept, until)| *kept == cell && now < *until)
    }

    /// Whether a cell was asked about, or is to be let be, without a call of it.
    pub(super) fn knows(&self, key: &CellKey, now: Timestamp) -> bool {
        let cell = Cell::from(*key);
        self.kept.waiting.iter().any(|question| question.cell == cell)
            || self.kept.let_be.iter().any(|(kept, until)| *kept == cell && now < *until)
    }

    fn take(&mut self, number: u64) -> Option<Question> {
        let place = self.kept.waiting.iter().position(|question| question.number == number)?;
        self.dirty = true;
        Some(self.kept.waiting.remove(place))
    }

    /// Forgets what was asked and answered about cells that the operator resumed.
    pub(super) fn forget(&mut self, keys: &[(CellKey, Ring)]) {
        let is_one = |cell: &Cell| keys.iter().any(|(key, _)| Cell::from(*key) == *cell);
        let before = self.kept.waiting.len() + self.kept.let_be.len();
        self.kept.waiting.retain(|question| !is_one(&question.cell));
        self.kept.let_be.retain(|(cell, _)| !is_one(cell));
        self.dirty |= before != self.kept.waiting.len() + self.kept.let_be.len();
    }
}

impl Core {
    /// Asks about cells over their limit whose limit asks now, each with the country that was called.
    pub(super) fn ask_about(&mut self, over: &[(CellKey, u16)]) {
        let now = self.now();
        for (key, country) in over {
            let Some((name, time)) = self.asks(key) else { continue };
            if self.asking.is_asked(Cell::from(*key), now) {
                continue;
            }
            let number = self.asking.kept.next;
            self.asking.kept.next += 1;
            self.asking.dirty = true;
            let what = Named::of(&self.config, &self.in_force, key).what();
            let until = now.checked_add(time).unwrap_or(now);
            let question = Question {
                number,
                cell: Cell::from(*key),
                limit: name,
                what,
                country: *country,
                asked: now,
                until,
                calls: 1,
            };
            if self.asking.kept.waiting.len() < MOST {
                let told = self.question(&question);
                tracing::warn!("{told}");
                self.keep(ChangeKind::Asked, told, None);
                self.asking.kept.waiting.push(question);
            } else {
                self.stop_unanswered(&question, &format!("{MOST} questions wait already, so nobody is asked"));
            }
        }
        self.keep_questions();
    }

    /// The name of the limit of a cell and how long it waits, if it asks now.
    pub(super) fn asks(&self, key: &CellKey) -> Option<(String, SignedDuration)> {
        // In monitor mode it would stop nothing.
        let limit =
            self.limit_of(key).filter(|limit| self.config.mode == Mode::Enforce && limit.asks_in(&self.schedules))?;
        Some((limit.name.clone(), SignedDuration::try_from(limit.ask?).ok()?))
    }

    /// The limit of a cell.
    pub(super) fn limit_of(&self, key: &CellKey) -> Option<&Limit> {
        self.config.limits.iter().find(|limit| name_hash(limit.name.as_bytes()) == key.limit)
    }

    /// A question for a person: what, how many calls, which country, what silence means, what to type.
    fn question(&self, it: &Question) -> String {
        let key = it.cell.into();
        let named = Named::of(&self.config, &self.in_force, &key);
        let count =
            || self.gateway.cell(&key).ok().flatten().map_or(0, |ring| named.count(&ring, self.gateway.clock()));
        let calls = self
            .over_limit(&key)
            .unwrap_or_else(|| format!("{} calls, the last to {}", count(), Site::name(it.country.into())));
        let time = self.limit_of(&key).and_then(|limit| limit.suspend).unwrap_or_default().as_secs() / 60;
        let time = if time.is_multiple_of(60) { format!("{}h", time / 60) } else { format!("{time}m") };
        format!(
            "question {n}: {}: {calls}, are too many for [limit.{}]. If nobody answers they are stopped at {} for {time}. \
             `tollgate answer {n} stop` stops them now, `tollgate answer {n} keep` lets them go on until {}",
            it.what,
            it.limit,
            zone::shown_minute(it.until),
            zone::shown_minute(self.kept_until(&key, it.asked)),
            n = it.number,
        )
    }

    /// Until when "keep" holds: as long as the hours do in which the limit asks.
    fn kept_until(&self, key: &CellKey, now: Timestamp) -> Timestamp {
        let schedule = self.limit_of(key).and_then(|limit| self.config.schedule(limit.ask_schedule.as_ref()?));
        let longest = now.checked_add(LONGEST_KEPT).unwrap_or(now);
        let end = schedule.filter(|schedule| schedule.is_active(now)).and_then(|schedule| schedule.next_change(now));
        end.map_or(longest, |end| end.min(longest))
    }

    /// Carries out the answer to a question.
    pub(super) fn answer(&mut self, number: u64, keep: bool, who: &str) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        let Some(question) = self.asking.kept.waiting.iter().find(|question| question.number == number).cloned() else {
            return Err(ErrorView::refused(format!(
                "question {number} does not wait for an answer: it had one, or its time is over. `tollgate status` shows those \
                 that wait, `tollgate list lines` what is suspended"
            )));
        };
        let key: CellKey = question.cell.into();
        let (done, expires) = if keep {
            let until = self.kept_until(&key, now);
            let kept = &mut self.asking.kept.let_be;
            if kept.len() >= MOST_KEPT
                && let Some(first) = kept.iter().enumerate().min_by_key(|(_, (_, until))| *until).map(|(at, _)| at)
            {
                kept.swap_remove(first);
            }
            kept.push((question.cell, until));
            let limit = &question.limit;
            (
                format!(
                    "question {number}: keep: {} go on until {}, and then [limit.{limit}] acts",
                    question.what,
                    zone::shown_minute(until)
                ),
                until,
            )
        } else {
            let Some((until, word)) = self.suspend(&question).map_err(refused)? else {
                return Err(ErrorView::refused(format!(
                    "nothing is left to stop: the calls of question {number} count for no limit any more"
                )));
            };
            let what = &question.what;
            (
                format!(
                    "question {number}: stop: {what} are suspended until {}; `tollgate resume {word}` lifts it",
                    zone::shown_minute(until)
                ),
                until,
            )
        };
        self.asking.take(number);
        self.keep_questions();
        self.keep(ChangeKind::Answered, done.clone(), Some(who));
        tracing::info!(who, "{done}");
        Ok(ChangedView { in_force: now, expires: Some(expires), ..self.changed(None, done, now) })
    }

    /// Stops what questions are about whose time is over, and forgets answers whose time is.
    pub(super) fn end_questions(&mut self) {
        let now = self.now();
        let waiting = &self.asking.kept.waiting;
        // A clock that was set back prolongs no question.
        let due: Vec<Question> =
            waiting.iter().filter(|question| question.until <= now || now < question.asked).cloned().collect();
        for question in due {
            let why = format!("nobody answered question {}", question.number);
            if self.stop_unanswered(&question, &why) {
                self.asking.take(question.number);
            }
        }
        let before = self.asking.kept.let_be.len();
        self.asking.kept.let_be.retain(|(_, until)| now < *until);
        self.asking.dirty |= before != self.asking.kept.let_be.len();
        self.keep_questions();
    }

    /// Whether it is settled; what the kernel does not take is tried again.
    fn stop_unanswered(&mut self, question: &Question, why: &str) -> bool {
        let told = match self.suspend(question) {
            Ok(Some((until, word))) => format!(
                "{why}: {} are suspended until {}, the last call was to {} ([limit.{}]); `tollgate resume {word}` lifts it",
                question.what,
                zone::shown_minute(until),
                Site::name(question.country.into()),
                question.limit
            ),
            Ok(None) => format!("{why}, and it has lapsed: its calls count for no limit any more"),
            Err(error) => {
                tracing::error!("{why}, and {} cannot be suspended; trying again: {error:#}", question.what);
                return false;
            }
        };
        tracing::warn!("{told}");
        self.keep(ChangeKind::Unanswered, told, None);
        true
    }

    /// Suspends what a question is about, as its limit does outside its hours: until when, and the word of `resume`. `None`
    /// where there is nothing to suspend any more: another policy, or a reboot that forgot the calls.
    fn suspend(&mut self, question: &Question) -> anyhow::Result<Option<(Timestamp, String)>> {
        let key = question.cell.into();
        let suspends = |limit: &&Limit| self.config.mode == Mode::Enforce && limit.over == Over::Suspend;
        let Some(time) = self.limit_of(&key).filter(suspends).and_then(|limit| limit.suspend) else { return Ok(None) };
        // What the daemon adds up is there without the kernel.
        let summed = self.over_limit(&key).map(|_| Ring::FRESH);
        let Some(mut ring) = self.gateway.cell(&key)?.or(summed) else { return Ok(None) };
        let clocks = self.clocks();
        if ring.until <= clocks.kernel {
            ring = self.latch(&key, &ring, time, question.country)?;
        }
        let named = Named::of(&self.config, &self.in_force, &key);
        let (what, word) = (named.what(), named.word());
        self.standing.is_told(key, ring.since, what);
        Ok(Some((clocks.wall_of(ring.until), word)))
    }

    /// Suspends a cell from now on because of calls to a country; what the cell is then.
    pub(super) fn latch(&mut self, key: &CellKey, ring: &Ring, time: Duration, country: u16) -> anyhow::Result<Ring> {
        let (now, time) = (self.gateway.clock(), u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let ring = Ring { since: now, until: now.saturating_add(time), refused: 0, cause: country.into(), ..*ring };
        self.gateway.set_cell(key, Some(&ring))?;
        Ok(ring)
    }

    /// Once the daemon has ended nobody asks, so that limits which would ask suspend from then on.
    pub(super) fn stop_asking(&mut self) {
        self.keep_questions();
        if !self.config.limits.iter().any(|limit| limit.asks_in(&self.schedules)) {
            return;
        }
        let config = self.config.without_asking();
        if let Err(error) = self.gateway.apply(&holding(&config, self.now(), &self.imported), &self.in_force) {
            tracing::warn!("limits that ask only count until a daemon runs again: {error:#}");
        }
    }

    fn keep_questions(&mut self) {
        if !self.asking.dirty {
            return;
        }
        match kept::write(&self.state_dir, &self.asking.kept) {
            Ok(()) => self.asking.dirty = false,
            Err(error) => tracing::warn!("cannot keep which questions wait; trying again: {error}"),
        }
    }

    /// The questions that wait, for `status`.
    pub(super) fn questions(&self) -> Vec<QuestionView> {
        let waiting = self.asking.kept.waiting.iter();
        waiting
            .map(|it| QuestionView {
                question: it.number,
                limit: it.limit.clone(),
                what: it.what.clone(),
                country: Site::code(it.country.into()).map(str::to_owned),
                calls: it.calls,
                asked: it.asked,
                until: it.until,
            })
            .collect()
    }
}
