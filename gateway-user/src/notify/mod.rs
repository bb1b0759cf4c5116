//! Notices: who is told of orders, starts and stops, changes of mode, and bursts of stopped calls.
//!
//! The event loop pushes to a list in memory. Each way out has a thread of its own that groups what arrives together, rests
//! between two messages, and tries again with growing pauses; what it cannot deliver it counts.

mod burst;
mod command;
mod outlet;
mod webhook;

use std::{sync::Mutex, sync::PoisonError, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use outlet::{Failed, Outlet, State, Way};
pub use webhook::{Poster, SIGNATURE, signature};

use self::{burst::Burst, command::Runner};
use crate::{config, daemon::Event, journal::Change};

/// Characters of a text.
const LONGEST: usize = 300;
/// How long the end of the daemon waits for the last notices.
const LAST: Duration = Duration::from_secs(2);

/// One thing to tell. It holds no number that anybody dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When it happened.
    pub time: Timestamp,
    /// `start`, `stop`, `policy`, `mode`, `order`, `undo`, `expired`, `detach`, `suspended`, `resumed`, `uncounted`,
    /// `new-country`, `new-network`, `regular-calls`, `trunk-abroad`, `asked`, `answered`,
    /// `unanswered` or `burst`.
    pub kind: String,
    /// What happened, in words.
    pub text: String,
    /// Who did it.
    pub who: Option<String>,
    /// The order.
    pub order: Option<u64>,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Of a burst: packets that were stopped.
    pub stopped: Option<u64>,
    /// Of a burst: packets that would have been in enforce mode.
    pub would_drop: Option<u64>,
    /// Of a burst: the countries that were called most.
    pub countries: Vec<String>,
    /// Of a burst: the sources that called most.
    pub sources: Vec<String>,
}

/// How fast is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long what arrives together is collected.
    pub collect: Duration,
    /// Rest between two messages.
    pub rest: Duration,
    /// Pause before the second try; each further pause is twice as long.
    pub pause: Duration,
    /// How often a message is tried.
    pub tries: u32,
}

impl Pace {
    /// Six messages a minute at most; a message is given up after nine minutes of pauses.
    pub const USUAL: Self = Self {
        collect: Duration::from_secs(1),
        rest: Duration::from_secs(10),
        pause: Duration::from_secs(1),
        tries: 10,
    };
}

/// Tells what happens.
pub struct Notifier {
    settings: config::Notify,
    ways: Vec<Way>,
    burst: Mutex<Burst>,
}

impl Notifier {
    /// One that tells as the policy says.
    pub fn new(settings: config::Notify) -> Self {
        let burst = Mutex::new(Burst::new(settings.burst));
        Self { ways: open(&settings), settings, burst }
    }

    /// Tells as the policy says from now on. What waits goes where it was to go, tried once more.
    pub fn configure(&mut self, settings: &config::Notify) {
        if self.settings == *settings {
            return;
        }
        // The threads of the old ways end by themselves; nobody waits for them.
        self.ways.iter().for_each(Way::stop);
        self.ways = open(settings);
        self.burst = Mutex::new(Burst::new(settings.burst));
        self.settings = settings.clone();
    }

    /// Tells a change.
    pub fn change(&self, change: &Change) {
        self.tell(&Notice {
            time: change.time,
            kind: change.change.as_str().into(),
            text: short(&change.done),
            who: change.who.clone(),
            order: change.order,
            reason: change.reason.as_deref().map(short),
            stopped: None,
            would_drop: None,
            countries: Vec::new(),
            sources: Vec::new(),
        });
    }

    /// Counts an event; many stops of trunk and lan sources in a short time are told as one burst.
    pub fn count(&self, event: &Event) {
        if self.ways.is_empty() {
            return;
        }
        let notice = self.burst.lock().unwrap_or_else(PoisonError::into_inner).count(event);
        if let Some(notice) = notice {
            self.tell(&notice);
        }
    }

    /// Tells what has come on top of a burst that was told, once it has been quiet for long enough.
    pub fn tick(&self, now: Timestamp) {
        let notice = self.burst.lock().unwrap_or_else(PoisonError::into_inner).tick(now);
        if let Some(notice) = notice {
            self.tell(&notice);
        }
    }

    /// How each way does.
    pub fn states(&self) -> Vec<State> {
        self.ways.iter().map(Way::state).collect()
    }

    fn tell(&self, notice: &Notice) {
        for way in &self.ways {
            way.push(notice.clone());
        }
    }
}

/// The ways that the policy names.
fn open(settings: &config::Notify) -> Vec<Way> {
    let command = settings.command.clone().map(|words| Way::open("command", Pace::USUAL, Runner::new(words)));
    let webhook = settings.webhook.clone().map(|webhook| Way::open("webhook", Pace::USUAL, Poster::new(webhook)));
    command.into_iter().chain(webhook).collect()
}

impl Drop for Notifier {
    fn drop(&mut self) {
        for way in &self.ways {
            way.stop();
        }
        let end = std::time::Instant::now() + LAST;
        for way in &self.ways {
            way.wait(end.saturating_duration_since(std::time::Instant::now()));
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
        None => text.to_owned(),
    }
}
