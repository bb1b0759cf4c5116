//! When to stop: at the end of the time, or at a signal.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// The exit code after Ctrl-C: 128 and the number of SIGINT, as shells have it.
pub const INTERRUPTED: u8 = 130;

/// Tells every thread when to stop.
#[derive(Debug, Default)]
pub struct Control {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// No new call is begun; those begun end.
    finished: bool,
    /// A signal came: nothing is waited for.
    interrupted: bool,
}

impl Control {
    /// A control that SIGINT, SIGTERM and SIGHUP interrupt from now on. A second signal ends the process at once; the kernel then
    /// removes namespaces, interfaces and pins.
    ///
    /// # Errors
    /// Where the handlers cannot be installed.
    pub fn with_signals() -> Result<Arc<Self>> {
        let control = Arc::new(Self::default());
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().context("cannot start a runtime")?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            let open = |kind| signal(kind).context("cannot handle signals");
            (open(SignalKind::interrupt())?, open(SignalKind::terminate())?, open(SignalKind::hangup())?)
        };
        let shared = Arc::clone(&control);
        let wait = move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {}
                    }
                    if shared.interrupted() {
                        std::process::exit(i32::from(INTERRUPTED));
                    }
                    shared.set(|state| state.interrupted = true);
                }
            });
        };
        thread::Builder::new().name("signals".to_owned()).spawn(wait).context("cannot start the signal thread")?;
        Ok(control)
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Ends the traffic.
    pub fn finish(&self) {
        self.set(|state| state.finished = true);
    }

    /// Whether a signal came.
    pub fn interrupted(&self) -> bool {
        self.state().interrupted
    }

    /// Whether no new call is to be begun.
    pub fn stopped(&self) -> bool {
        let state = self.state();
        state.finished || state.interrupted
    }

    /// Sleeps for so long, or until it is time to stop; then it says `true`.
    pub fn wait(&self, time: Duration) -> bool {
        self.wait_while(time, |state| !(state.finished || state.interrupted))
    }

    /// Sleeps for so long, or until a signal comes; then it says `true`.
    pub fn wait_for_signal(&self, time: Duration) -> bool {
        self.wait_while(time, |state| !state.interrupted)
    }

    fn wait_while(&self, time: Duration, go_on: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + time;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while go_on(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_early_only_when_it_is_time_to_stop() {
        let control = Control::default();
        assert!(!control.wait(Duration::from_millis(1)));
        control.finish();
        assert!(control.wait(Duration::from_secs(3600)));
        assert!(control.stopped() && !control.interrupted());
        assert!(!control.wait_for_signal(Duration::from_millis(1)));
        control.set(|state| state.interrupted = true);
        assert!(control.wait_for_signal(Duration::from_secs(3600)));
    }
}
