//! Replay: captures and SIP messages through an engine, one line a packet.

mod line;
mod paths;
mod sip;

use std::path::Path;

pub use line::Line;
pub(crate) use line::country;
pub use paths::{Source, sources};
pub(crate) use sip::invite;

use gateway_common::{judge::Side, judged::Judged};

use crate::{capture, engine::Engine};

/// Where the clock of an engine begins: far enough from zero that no limiter cell looks fresh for that alone.
const START_NS: u64 = 1_000_000_000;

/// Replays one file and hands every line to `sink`. State is fresh at the start; a capture keeps it from packet to
/// packet, on its own clock.
///
/// # Errors
///
/// What cannot be read names the file and the place; lines before it have been handed out. An error of `sink` ends it.
pub fn replay(
    source: &Source,
    engine: &mut dyn Engine,
    sink: &mut dyn FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    engine.reset()?;
    match source {
        Source::Capture(path) => replay_capture(path, engine, sink),
        Source::Message(path) => {
            let frame = sip::frame(path)?;
            let judged = engine.judge(&frame, Side::Wan, 0, START_NS)?;
            sink(Line::new(path, 1, 0.0, &frame, &judged))
        }
    }
}

fn replay_capture(
    path: &Path,
    engine: &mut dyn Engine,
    sink: &mut dyn FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut first = None;
    let mut now = START_NS;
    for (packet, number) in capture::open(path)?.zip(1..) {
        let packet = packet?;
        let since = packet.time_ns.saturating_sub(*first.get_or_insert(packet.time_ns));
        // A capture of several interfaces may step back; no clock of a kernel does.
        now = now.max(START_NS.saturating_add(since));
        let seconds = since as f64 / 1e9;
        let line = match capture::to_ethernet(&packet) {
            Some(frame) => {
                let judged = engine.judge(&frame, Side::Wan, 0, now)?;
                Line::new(path, number, seconds, &frame, &judged)
            }
            None => Line::new(path, number, seconds, &[], &Judged::NOTHING),
        };
        sink(line)?;
    }
    Ok(())
}
