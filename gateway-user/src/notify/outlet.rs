//! One way out, on a thread of its own.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;

use super::{Notice, Pace};

/// Notices that wait; what comes on top is counted, not kept.
const MOST_WAITING: usize = 1000;
/// Notices in one message.
const MOST_TOLD: usize = 50;
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Delivers messages.
pub trait Outlet: Send + 'static {
    /// Delivers one message, within a bounded time. `id` stays the same when a message is tried again.
    ///
    /// # Errors
    ///
    /// Why it was not delivered, and whether trying again may help.
    fn deliver(&mut self, id: &str, body: &[u8]) -> Result<(), Failed>;
}

/// A message that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Why, and what to do about it.
    pub cause: String,
    /// Whether trying again may help.
    pub again: bool,
}

/// How a way does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `command` or `webhook`.
    pub kind: &'static str,
    /// Notices that were delivered.
    pub delivered: u64,
    /// Notices that were given up.
    pub lost: u64,
    /// Notices that wait.
    pub waiting: usize,
    /// Why the last try failed.
    pub error: Option<String>,
}

/// The message.
#[derive(Serialize)]
struct Message<'m> {
    version: u32,
    id: &'m str,
    host: &'m str,
    /// Notices that were given up before this message.
    lost: u64,
    notices: &'m [Notice],
}

/// A way out: a queue and the thread that empties it.
pub struct Way {
    kind: &'static str,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    notices: VecDeque<Notice>,
    /// Those of the message that is being tried.
    trying: usize,
    delivered: u64,
    lost: u64,
    error: Option<String>,
    stop: bool,
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until the way is to stop. Returns whether it is.
    fn rest(&self, length: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), length, |queue| !queue.stop);
        waited.map_or_else(|poisoned| poisoned.into_inner().0.stop, |(queue, _)| queue.stop)
    }
}

impl Way {
    /// Opens a way.
    pub fn open(kind: &'static str, pace: Pace, outlet: impl Outlet) -> Self {
        let shared = Arc::new(Shared::default());
        let worker = Worker { kind, shared: Arc::clone(&shared), pace, outlet };
        if let Err(error) = std::thread::Builder::new().name(kind.into()).spawn(move || worker.run()) {
            let mut queue = shared.lock();
            queue.error = Some(format!("cannot start a thread: {error}"));
            queue.over = true;
        }
        Self { kind, shared }
    }

    /// Hands over a notice. Never waits.
    pub fn push(&self, notice: Notice) {
        let mut queue = self.shared.lock();
        if queue.notices.len() >= MOST_WAITING || queue.over {
            queue.lost += 1;
        } else {
            queue.notices.push_back(notice);
        }
        self.shared.changed.notify_all();
    }

    /// Ends the way once it has tried what waits.
    pub fn stop(&self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
    }

    /// Waits until a way that was stopped has ended, or so long.
    pub fn wait(&self, length: Duration) {
        drop(self.shared.changed.wait_timeout_while(self.shared.lock(), length, |queue| !queue.over));
    }

    /// How it does.
    pub fn state(&self) -> State {
        let queue = self.shared.lock();
        State {
            kind: self.kind,
            delivered: queue.delivered,
            lost: queue.lost,
            waiting: queue.notices.len() + queue.trying,
            error: queue.error.clone(),
        }
    }
}

struct Worker<O> {
    kind: &'static str,
    shared: Arc<Shared>,
    pace: Pace,
    outlet: O,
}

impl<O: Outlet> Worker<O> {
    fn run(mut self) {
        let uname = rustix::system::uname();
        let host = uname.nodename().to_string_lossy().into_owned();
        let mut number = 0_u64;
        while let Some((notices, lost)) = self.next() {
            number += 1;
            let id = format!("{}-{}-{number}", std::process::id(), Timestamp::now().as_microsecond());
            let message = Message { version: 1, id: &id, host: &host, lost, notices: &notices };
            match serde_json::to_vec(&message) {
                Ok(body) => self.deliver(&id, &body, notices.len()),
                Err(error) => tracing::error!(%error, "a notice cannot be written as JSON"),
            }
            self.shared.rest(self.pace.rest);
        }
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
    }

    /// What is to be told next, and how many were given up before; `None` where the way ends.
    fn next(&self) -> Option<(Vec<Notice>, u64)> {
        let empty = |queue: &mut Queue| queue.notices.is_empty() && !queue.stop;
        drop(self.shared.changed.wait_while(self.shared.lock(), empty));
        self.shared.rest(self.pace.collect);
        let mut queue = self.shared.lock();
        let count = queue.notices.len().min(MOST_TOLD);
        if count == 0 {
            return None;
        }
        queue.trying = count;
        let lost = queue.lost;
        Some((queue.notices.drain(..count).collect(), lost))
    }

    fn deliver(&mut self, id: &str, body: &[u8], count: usize) {
        let mut pause = self.pace.pause;
        for attempt in 1.. {
            let result = self.outlet.deliver(id, body);
            let mut queue = self.shared.lock();
            let Err(failed) = result else {
                queue.trying = 0;
                queue.delivered += count as u64;
                queue.error = None;
                return;
            };
            if queue.error.is_none() {
                tracing::warn!(kind = self.kind, attempt, "a notice was not delivered: {}", failed.cause);
            }
            queue.error = Some(failed.cause);
            if !failed.again || attempt >= self.pace.tries || queue.stop {
                queue.trying = 0;
                queue.lost += count as u64;
                tracing::error!(kind = self.kind, "{count} notices are given up after {attempt} tries");
                return;
            }
            drop(queue);
            self.shared.rest(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
