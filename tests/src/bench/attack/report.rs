//! What came of an attack, and how it is shown.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{bench::options::Table, peer::sipp::Counts};

/// What the gateway did, a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rates {
    /// Frames that the interface which the attack arrives at took, and gave to the filter: those of the calls are among them.
    pub frames: f64,
    /// Frames that its receive queue had no room for.
    pub overrun: f64,
    /// Datagrams that reached the PBX, those of the calls among them.
    pub to_pbx: f64,
    /// What Tollgate counted as stopped.
    pub stopped: Option<f64>,
    /// The share of time for which the CPU of the receive queue and of the PBX had nothing to do.
    pub idle: f64,
}

/// Calls of the provider, a second.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Calls {
    /// Begun.
    pub offered: f64,
    /// Set up and ended as they should be.
    pub completed: f64,
    /// Given up.
    pub failed: f64,
    /// Messages that the caller sent again.
    pub retransmissions: f64,
}

impl Calls {
    /// What happened between two times of sipp's.
    pub(super) fn between((from, before): (f64, Counts), (to, after): (f64, Counts)) -> Self {
        let rate = |of: fn(&Counts) -> u64| of(&after).saturating_sub(of(&before)) as f64 / (to - from);
        Self {
            offered: rate(|counts| counts.begun),
            completed: rate(|counts| counts.successful),
            failed: rate(|counts| counts.failed),
            retransmissions: rate(|counts| counts.retransmissions),
        }
    }
}

/// Voice of the provider.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Voice {
    /// Packets that left.
    pub sent: u64,
    /// Those that did not arrive.
    pub lost: u64,
    /// How long half of the others took at most, in microseconds.
    pub p50_us: f64,
    /// How long 99 of 100 took at most.
    pub p99_us: f64,
    /// How long the slowest took.
    pub max_us: f64,
}

impl Voice {
    /// What the delays of those that arrived come to.
    pub(super) fn of(sent: u64, mut delays: Vec<Duration>) -> Self {
        delays.sort_unstable();
        let at = |share: f64| {
            let rank = (delays.len() as f64 * share).ceil() as usize;
            delays.get(rank.saturating_sub(1)).map_or(f64::NAN, |delay| delay.as_secs_f64() * 1e6)
        };
        Self { sent, lost: sent - delays.len() as u64, p50_us: at(0.5), p99_us: at(0.99), max_us: at(1.0) }
    }
}

/// What was measured beside the rates.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// Of `--only pbx`.
    Calls(Calls),
    /// Of `--only voice`.
    Voice(Voice),
}

/// A row.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Its name.
    pub row: &'static str,
    /// What the gateway did.
    #[serde(flatten)]
    pub rates: Rates,
    /// What became of the provider's packets.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The head of a table of calls or voice, in Markdown or not.
pub const fn head(table: Table, markdown: bool) -> &'static str {
    match (table, markdown) {
        (Table::Voice, false) => {
            "row                                        frames/s  overrun/s  to PBX/s   idle       sent       lost    p50 us    p99 us    max us"
        }
        (Table::Voice, true) => {
            "| row | frames/s | overrun/s | to the PBX/s | CPU idle | voice sent | lost | p50 us | p99 us | max us |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        }
        (_, false) => {
            "row                                        frames/s  overrun/s  to PBX/s   idle  offered/s  completed  failed/s  sent again/s"
        }
        (_, true) => {
            "| row | frames/s | overrun/s | to the PBX/s | CPU idle | calls offered/s | completed/s | failed/s | sent again/s |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|"
        }
    }
}

impl Measured {
    /// The row of a table in Markdown.
    pub fn markdown(&self) -> String {
        let Self { row, rates: Rates { frames, overrun, to_pbx, idle, .. }, outcome } = self;
        let rates = format!("| {row} | {frames:.0} | {overrun:.0} | {to_pbx:.0} | {idle:.2} |");
        match outcome {
            Outcome::Calls(Calls { offered, completed, failed, retransmissions }) => {
                format!("{rates} {offered:.0} | {completed:.0} | {failed:.1} | {retransmissions:.0} |")
            }
            Outcome::Voice(Voice { sent, lost, p50_us, p99_us, max_us }) => {
                format!("{rates} {sent} | {lost} | {p50_us:.0} | {p99_us:.0} | {max_us:.0} |")
            }
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, rates: Rates { frames, overrun, to_pbx, idle, .. }, outcome } = self;
        write!(f, "{row:<40} {frames:>10.0} {overrun:>10.0} {to_pbx:>9.0} {idle:>6.2} ")?;
        match outcome {
            Outcome::Calls(Calls { offered, completed, failed, retransmissions }) => {
                write!(f, "{offered:>10.1} {completed:>10.1} {failed:>9.1} {retransmissions:>13.1}")
            }
            Outcome::Voice(Voice { sent, lost, p50_us, p99_us, max_us }) => {
                write!(f, "{sent:>10} {lost:>10} {p50_us:>9.0} {p99_us:>9.0} {max_us:>9.0}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_come_to_their_ranks() {
        let delays = (1..=200).rev().map(Duration::from_micros).collect();
        let Voice { sent, lost, p50_us, p99_us, max_us } = Voice::of(210, delays);
        assert_eq!((sent, lost), (210, 10));
        assert_eq!([p50_us, p99_us, max_us].map(|us| us.round() as u64), [100, 198, 200]);
        let nothing = Voice::of(5, Vec::new());
        assert!(nothing.lost == 5 && nothing.p99_us.is_nan());
    }

    #[test]
    fn calls_are_counted_by_the_clock_of_their_caller() {
        let counts = |begun, successful| Counts { begun, successful, failed: 1, retransmissions: 7 };
        let calls = Calls::between((1.0, counts(10, 5)), (3.0, counts(30, 15)));
        assert_eq!((calls.offered, calls.completed, calls.failed), (10.0, 5.0, 0.0));
    }
}
