//! The thread that writes.

use std::{
    collections::{BTreeMap, btree_map::Entry as Slot},
    io,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};

use super::{
    Change, ChangeKind, Entry, Lane, MOST_WAITING, Shared, State, lane::LaneFiles, line, read, record::grouped,
};
use crate::{config, daemon::Event};

/// Rest between two writes of events: one sync a second, however many there are.
const REST: Duration = Duration::from_secs(1);

/// Opens a lane that may take so many octets.
pub(super) type Opener = Box<dyn Fn(Lane, u64) -> io::Result<LaneFiles> + Send>;

pub(super) struct Writer {
    shared: Arc<Shared>,
    dir: PathBuf,
    opener: Opener,
    /// Empty until the first round, and after an error.
    lanes: BTreeMap<Lane, LaneFiles>,
    /// Lines that could not be written yet.
    waiting: BTreeMap<Lane, Vec<String>>,
    error: Option<String>,
    /// Whether the run before ended without a word; told with the start of this one.
    crashed: bool,
}

/// What one round has to do.
struct Round {
    events: Vec<Event>,
    changes: Vec<Change>,
    known: Option<Vec<Change>>,
    settings: config::Journal,
    now: Timestamp,
    stop: bool,
    wanted: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, dir: PathBuf, opener: Opener) -> Self {
        Self { shared, dir, opener, lanes: BTreeMap::new(), waiting: BTreeMap::new(), error: None, crashed: false }
    }

    /// Writes until it is told to stop.
    pub(super) fn run(mut self) {
        loop {
            let round = self.next();
            let (stop, wanted) = (round.stop, round.wanted);
            let lost = self.write(round);
            let octets = self.lanes.values().map(LaneFiles::len).sum();
            let oldest = self.lanes.values().filter_map(LaneFiles::oldest).min();
            let mut inbox = self.shared.lock();
            // Those that found the inbox full were counted meanwhile.
            let lost = inbox.state.lost + lost;
            inbox.state = State { error: self.error.clone(), lost, octets, oldest };
            inbox.done = wanted;
            drop(inbox);
            self.shared.settled.notify_all();
            if stop {
                return;
            }
        }
    }

    /// Waits for something to do at once, or for the next second.
    fn next(&self) -> Round {
        let inbox = self.shared.lock();
        let idle = |inbox: &mut super::Inbox| {
            inbox.changes.is_empty() && inbox.known.is_none() && !inbox.stop && inbox.wanted == inbox.done
        };
        let (mut inbox, _) = match self.shared.wake.wait_timeout_while(inbox, REST, idle) {
            Ok(waited) => waited,
            Err(poisoned) => poisoned.into_inner(),
        };
        Round {
            events: std::mem::take(&mut inbox.events),
            changes: std::mem::take(&mut inbox.changes),
            known: inbox.known.take(),
            settings: inbox.settings,
            now: inbox.now,
            stop: inbox.stop,
            wanted: inbox.wanted,
        }
    }

    /// One round. Returns how many records were given up.
    fn write(&mut self, round: Round) -> u64 {
        let mut changes = round.changes;
        if let Some(known) = round.known {
            self.complete(&mut changes, known, round.settings, round.now);
        }
        if let Some(start) = changes.iter_mut().find(|change| self.crashed && change.change == ChangeKind::Start) {
            start.done += "; the run before ended without a word (crash, kill -9 or loss of power)";
            self.crashed = false;
        }
        let entries =
            changes.into_iter().map(Entry::Change).chain(grouped(&round.events).into_iter().map(Entry::Decision));
        for entry in entries {
            match line::encode(&entry) {
                Ok(line) => self.waiting.entry(entry.lane()).or_default().push(line),
                Err(error) => tracing::error!(%error, "a record of the journal cannot be written as JSON"),
            }
        }
        let result = self.flush(round.settings, round.now);
        self.tell(result.err().map(|error| error.to_string()));
        self.give_up()
    }

    fn flush(&mut self, settings: config::Journal, now: Timestamp) -> io::Result<()> {
        let today = now.to_zoned(TimeZone::UTC).date();
        let oldest = today.saturating_sub(i64::from(settings.days).days());
        let result = self.flush_lanes(settings, today, oldest);
        if result.is_err() {
            // Opened anew in the next round: somebody may have removed the directory, or mounted another disk there.
            self.lanes.clear();
        }
        result
    }

    fn flush_lanes(&mut self, settings: config::Journal, today: Date, oldest: Date) -> io::Result<()> {
        for lane in Lane::ALL {
            let room = lane.share(settings.size);
            let files = match self.lanes.entry(lane) {
                Slot::Occupied(slot) => slot.into_mut(),
                Slot::Vacant(slot) => slot.insert((self.opener)(lane, room)?),
            };
            files.set_room(room);
            files.purge(oldest)?;
            if let Some(lines) = self.waiting.get_mut(&lane) {
                let (done, result) = files.append(today, lines);
                lines.drain(..done);
                result?;
            }
        }
        Ok(())
    }

    /// Drops the oldest of what waits too long, so that memory is bounded where no disk takes it.
    fn give_up(&mut self) -> u64 {
        let mut lost = 0;
        for lines in self.waiting.values_mut() {
            let over = lines.len().saturating_sub(MOST_WAITING);
            lines.drain(..over);
            lost += over as u64;
        }
        lost
    }

    /// Logs once that writing fails, and once that it goes on.
    fn tell(&mut self, error: Option<String>) {
        match (&self.error, &error) {
            (None, Some(error)) => {
                tracing::error!(dir = %self.dir.display(), error, "cannot write the journal; trying again every second");
            }
            (Some(_), None) => tracing::info!("the journal is written again"),
            _ => {}
        }
        self.error = error;
    }

    /// Adds the orders of the store that a crash kept from the journal, and finds out how the run before ended.
    fn complete(&mut self, changes: &mut Vec<Change>, known: Vec<Change>, settings: config::Journal, now: Timestamp) {
        let Ok(since) = now.checked_sub(jiff::SignedDuration::from_hours(24 * i64::from(settings.days))) else {
            return;
        };
        let (mut newest, mut last) = (0, None);
        let seen = read::read(&self.dir, &[Lane::Changes], &(Timestamp::MIN..=Timestamp::MAX), &mut |entry| {
            if let Entry::Change(change) = entry {
                newest = newest.max(change.order.unwrap_or(0));
                if matches!(change.change, ChangeKind::Start | ChangeKind::Stop | ChangeKind::Detach) {
                    last = Some(change.change);
                }
            }
        });
        if seen.is_err() {
            return;
        }
        self.crashed = last == Some(ChangeKind::Start);
        let missing: Vec<Change> = known
            .into_iter()
            .filter(|change| change.order.is_some_and(|order| order > newest) && change.time >= since)
            .collect();
        changes.splice(0..0, missing);
    }
}
