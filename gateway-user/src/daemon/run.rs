//! The event loop: control socket, expiry of orders, events of the kernel, signals.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, sleep},
};

use super::{Core, Flow, Parts, tally::LOOK};
use crate::control::{Job, Listener, serve, views::StatusView};

/// Requests that wait for the daemon.
const JOB_QUEUE: usize = 64;
/// Longest rest between two looks at the clock and at the events: wall clocks jump.
const MAX_REST: Duration = Duration::from_secs(10);
/// Rest between two looks at the events where no descriptor tells of them.
const POLL_REST: Duration = Duration::from_millis(200);
/// How long peers may take to receive the last replies once the daemon stops.
const LAST_REPLIES: Duration = Duration::from_millis(200);

/// Where the daemon lives, and how it ends.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control socket.
    pub socket: PathBuf,
    /// The directory of the orders store.
    pub state_dir: PathBuf,
    /// Whether SIGTERM and SIGINT disarm; otherwise enforcement outlives the daemon.
    pub detach_on_exit: bool,
}

/// Runs the daemon until it is told to stop. `ready` is called once everything is in force and the socket listens.
pub async fn run(options: Options, parts: Parts, ready: impl FnOnce(&StatusView, &Path)) -> anyhow::Result<()> {
    // Before anything is loaded, so that a signal from here on ends the daemon in order.
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle SIGINT")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot handle SIGHUP")?;

    let listener = Listener::bind(&options.socket)?;
    let mut core = Core::start(&options.state_dir, parts)?;
    let events = events_of(&core)?;
    let (jobs, mut inbox) = mpsc::channel(JOB_QUEUE);
    ready(&core.status(), listener.path());

    let serving = serve(&listener, jobs);
    tokio::pin!(serving);
    // Intervals keep their time over the loop: however many requests come, the clock and the events are looked at.
    let (mut look, mut poll, mut count) = (interval(MAX_REST), interval(POLL_REST), interval(LOOK));
    count.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let expiry =
            core.next_expiry().map(|end| Duration::try_from(end.duration_since(core.now())).unwrap_or(Duration::ZERO));
        tokio::select! {
            () = &mut serving => {}
            Some(job) = inbox.recv() => {
                if answer(&mut core, job) == Flow::Stop {
                    break;
                }
            }
            readable = wait_for_events(events.as_ref(), &mut poll) => {
                readable.context("cannot wait for events of the kernel")?;
                core.drain_events();
            }
            () = sleep(expiry.unwrap_or_default()), if expiry.is_some() => core.tick(),
            _ = look.tick() => {
                core.drain_events();
                core.tick();
            }
            _ = count.tick() => core.count_calls(),
            _ = hangup.recv() => {
                if let Err(error) = core.reload(None, "SIGHUP") {
                    tracing::error!("SIGHUP: the policy was not reloaded, the old one stays in force: {error}");
                }
            }
            _ = terminate.recv() => {
                stop(&mut core, "SIGTERM", options.detach_on_exit)?;
                break;
            }
            _ = interrupt.recv() => {
                stop(&mut core, "SIGINT", options.detach_on_exit)?;
                break;
            }
        }
    }
    // Whoever still waits is told that the daemon stops.
    drop(inbox);
    core.end_followers();
    sleep(LAST_REPLIES).await;
    Ok(())
}

fn answer(core: &mut Core, job: Job) -> Flow {
    let (answer, flow) = core.handle(job.command, &job.who);
    if job.answer.send(answer).is_err() {
        tracing::debug!("a peer left before its answer");
    }
    flow
}

fn stop(core: &mut Core, signal: &str, detach: bool) -> anyhow::Result<()> {
    if detach {
        core.detach("--detach-on-exit")?;
    } else {
        core.note_stop(signal);
        tracing::info!("stopping; what is in force stays in force until `tollgate detach`");
    }
    Ok(())
}

/// The descriptor that tells of events, as tokio waits on it.
#[expect(
    deprecated,
    reason = "its successor is unsafe for the sake of types that exchange their descriptor; an `OwnedFd` does not"
)]
fn events_of(core: &Core) -> anyhow::Result<Option<AsyncFd<OwnedFd>>> {
    core.gateway()
        .events_fd()
        .map(|fd| AsyncFd::with_interest(fd.try_clone_to_owned()?, Interest::READABLE))
        .transpose()
        .context("cannot wait for events of the kernel")
}

/// Returns when events may wait. The readiness is cleared before the caller drains, so that none is missed.
async fn wait_for_events(events: Option<&AsyncFd<OwnedFd>>, poll: &mut Interval) -> io::Result<()> {
    match events {
        Some(events) => {
            events.readable().await?.clear_ready();
        }
        None => {
            poll.tick().await;
        }
    }
    Ok(())
}
