//! The attack: live frames at a pace, from a thread of its own.

use std::{
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::{
    bench::{frames::Sample, traffic::Generator},
    link,
    netns::Namespace,
};

/// From one frame to the next: a million a second, if the generator has its CPU for itself.
const EVERY: Duration = Duration::from_micros(1);
/// Frames in a row. A run takes tens of milliseconds to begin and to end, more on a busy machine, in which nothing comes.
const RUN: u32 = 2_000_000;

/// Frames that come until this ends.
#[derive(Debug)]
pub(super) struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Flood {
    /// Sends from an interface of a namespace, on these CPUs.
    pub(super) fn start(from: &Namespace, interface: &str, sample: Sample, cpus: CpuSet) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let index = link::index(from, interface)?;
        let (from, stopped) = (from.clone(), Arc::clone(&stop));
        let attack = move || {
            from.enter()?;
            sched_setaffinity(None, &cpus).context("cannot stay on the CPU of the attack")?;
            let mut generator = Generator::paced(&sample, EVERY)?;
            while !stopped.load(Ordering::Relaxed) {
                generator.send(index, RUN)?;
            }
            Ok(())
        };
        let thread = thread::Builder::new().name("attack".into()).spawn(attack).context("cannot start a thread")?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends it.
    pub(super) fn end(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| resume_unwind(panic)).context("the attack")
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
