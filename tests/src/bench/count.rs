//! Instructions a packet, in a machine whose clock counts them: the figure that no other load on the host can change.
//!
//! There a nanosecond is an instruction (qemu, `-icount shift=0`), so the time of a test run is how many the program and
//! the kernel around it executed. What the bare program takes is taken off.

use anyhow::Result;
use gateway_user::{daemon::AttachMode, kernel::Repeated};

use super::{
    frames::for_nobody,
    policies::Policy,
    rows::{self, Row},
    traffic::Receiver,
};

/// Packets of a run.
const PACKETS: u32 = 2_000;
/// Runs: the timer of the kernel interrupts some.
const RUNS: u32 = 5;
/// Prefixes: the length of a list changes caches, and hardly instructions; an emulated machine compiles slowly.
const PREFIXES: u32 = 50;

/// The rows in driver mode that differ in instructions, each with its count.
///
/// # Errors
/// Where the kernel does not run the programs.
pub fn count() -> Result<Vec<(String, i64)>> {
    let mut counts = Vec::new();
    let mut rows = rows::all();
    rows.retain(|row| row.mode == AttachMode::Driver);
    while let Some(first) = rows.first() {
        let policy = Policy { prefixes: PREFIXES, ..first.policy };
        let (same, others) = rows.into_iter().partition(|row| row.policy.kind == policy.kind);
        rows = others;
        count_under(policy, same, &mut counts)?;
    }
    Ok(counts)
}

/// Counts rows under one policy: to load a filter takes the verifier of an emulated machine seconds.
fn count_under(policy: Policy, rows: Vec<Row>, counts: &mut Vec<(String, i64)>) -> Result<()> {
    let mut filter = policy.load(&policy.compile()?)?;
    let mut seen = Vec::new();
    for row in rows {
        let frame = for_nobody(&row.content, row.wrap, row.vary)?.frame;
        // Rows that vary it send the same first frame.
        if seen.contains(&frame) {
            continue;
        }
        let mut bare = Receiver::new(row.bare)?;
        let filtered = least(|| filter.repeat(&frame, PACKETS))?;
        counts.push((row.name, filtered - least(|| bare.repeat(&frame, PACKETS))?));
        seen.push(frame);
    }
    Ok(())
}

fn least(mut run: impl FnMut() -> Result<Repeated>) -> Result<i64> {
    let mut least = i64::MAX;
    for _ in 0..RUNS {
        least = least.min(run()?.each.as_nanos() as i64);
    }
    Ok(least)
}
