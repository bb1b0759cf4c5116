//! The journal: what was decided and what was changed, kept for some days in bounded room.
//!
//! The event loop only hands over; a thread of its own writes, once a second or at once for a change, and no disk, full,
//! slow or gone, holds the daemon up or keeps it from starting. What could not be written is tried again, then counted.

mod lane;
mod line;
mod peaks;
mod question;
mod read;
mod record;
mod rehearsal;
mod remedy;
mod report;
mod writer;

use std::{
    io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use jiff::{Timestamp, civil::Date};

pub use peaks::{BURSTS, LENGTHS, Peaks, peaks};
pub(crate) use peaks::{highest, most};
pub use question::{Found, Latest, Question, ask};
pub use record::{Change, ChangeKind, Decision, Entry, Lane, Name};
pub use rehearsal::{Rehearsal, rehearsal};
pub use remedy::{Fate, Remedy, remedy};
pub use report::{Incident, Report, Tally, incidents, report};

use crate::{config, daemon::Event};

/// Name of the directory inside the state directory.
pub const DIRECTORY: &str = "journal";
/// Events that wait for the disk; what comes on top is counted, not kept.
const MOST_WAITING: usize = 65_536;
/// How long a question waits for what was handed over before it.
const SETTLE: Duration = Duration::from_secs(2);

/// The journal, as the daemon hands over to it.
pub struct Journal {
    shared: Arc<Shared>,
    dir: PathBuf,
    thread: Option<JoinHandle<()>>,
}

/// The journal, as a question reads it, on any thread.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    dir: PathBuf,
}

/// How the journal does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Why nothing can be written now.
    pub error: Option<String>,
    /// Records that were given up because they could not be written in time.
    pub lost: u64,
    /// Octets that it takes.
    pub octets: u64,
    /// The day of the oldest record, UTC.
    pub oldest: Option<Date>,
}

/// What the event loop and the writing thread share.
#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    /// Something for the writer to do at once.
    wake: Condvar,
    /// A round of the writer is over.
    settled: Condvar,
}

/// What waits for the writer, and what it has to tell.
#[derive(Default)]
struct Inbox {
    events: Vec<Event>,
    changes: Vec<Change>,
    /// Orders of the store, of which those that the journal lacks are added once.
    known: Option<Vec<Change>>,
    settings: config::Journal,
    now: Timestamp,
    stop: bool,
    /// Rounds that were asked for, begun and over.
    wanted: u64,
    done: u64,
    state: State,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Whoever panicked with the lock held left plain values behind.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal {
    /// Begins to keep a journal in `state_dir`. `known` are the orders of the store: those that a crash kept from the
    /// journal are added. Whatever is wrong there, [`Journal::state`] tells it, and the daemon goes on.
    pub fn open(state_dir: &Path, settings: config::Journal, now: Timestamp, known: Vec<Change>) -> Self {
        let dir = state_dir.join(DIRECTORY);
        let lanes = dir.clone();
        Self::with_opener(
            dir,
            settings,
            now,
            known,
            Box::new(move |lane, room| lane::LaneFiles::open(&lanes.join(lane.name()), room)),
        )
    }

    fn with_opener(
        dir: PathBuf,
        settings: config::Journal,
        now: Timestamp,
        known: Vec<Change>,
        opener: writer::Opener,
    ) -> Self {
        let inbox = Inbox { settings, now, known: Some(known), ..Inbox::default() };
        let shared = Arc::new(Shared { inbox: Mutex::new(inbox), ..Shared::default() });
        let (of_writer, from) = (Arc::clone(&shared), dir.clone());
        let spawned = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer::Writer::new(of_writer, from, opener).run());
        let thread = match spawned {
            Ok(thread) => Some(thread),
            Err(error) => {
                shared.lock().state.error = Some(format!("cannot start the thread that writes: {error}"));
                None
            }
        };
        Self { shared, dir, thread }
    }

    /// Keeps an event. Never waits for the disk.
    pub fn note(&self, event: Event) {
        let mut inbox = self.shared.lock();
        if inbox.events.len() >= MOST_WAITING {
            inbox.state.lost += 1;
        } else {
            inbox.events.push(event);
        }
    }

    /// Keeps a change, at once. Never waits for the disk.
    pub fn change(&self, change: Change) {
        let mut inbox = self.shared.lock();
        if inbox.changes.len() >= MOST_WAITING {
            inbox.state.lost += 1;
        } else {
            inbox.changes.push(change);
        }
        self.shared.wake.notify_all();
    }

    /// Keeps so long and so much from now on.
    pub fn configure(&self, settings: config::Journal) {
        self.shared.lock().settings = settings;
    }

    /// Tells the time, by which old records are removed.
    pub fn tick(&self, now: Timestamp) {
        self.shared.lock().now = now;
    }

    /// How it does.
    pub fn state(&self) -> State {
        let mut state = self.shared.lock().state.clone();
        if state.error.is_none() && self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            state.error = Some("the thread that writes has ended; restart the daemon".into());
        }
        state
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What a question needs.
    pub fn reader(&self) -> Reader {
        Reader { shared: Arc::clone(&self.shared), dir: self.dir.clone() }
    }
}

impl Drop for Journal {
    /// Writes what waits.
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the journal panicked; what it had not written is lost");
        }
    }
}

impl Reader {
    /// Waits until what was handed over before is written, or for so long as an operator does not mind.
    pub fn settle(&self) {
        let mut inbox = self.shared.lock();
        // A round that is under way may have taken what it writes before.
        inbox.wanted += 1;
        let wanted = inbox.wanted;
        self.shared.wake.notify_all();
        let waited = self.shared.settled.wait_timeout_while(inbox, SETTLE, |inbox| inbox.done < wanted);
        drop(waited);
    }

    /// Hands every record of these lanes in `span` to `visit`, each lane from the oldest to the newest. Returns how many
    /// are damaged and were left out.
    ///
    /// # Errors
    ///
    /// Where the files cannot be read.
    pub fn read(
        &self,
        lanes: &[Lane],
        span: &RangeInclusive<Timestamp>,
        visit: &mut dyn FnMut(Entry),
    ) -> io::Result<u64> {
        read::read(&self.dir, lanes, span, visit)
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

#[cfg(test)]
mod tests;
