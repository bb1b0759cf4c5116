//! A flooding source: INVITEs at a steady pace, each a call of its own, and no interest in the answers.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::message::{Invite, StartLine};

/// How late a transmission may be and still be made up for. What a longer pause has cost is not sent in one burst, which a full queue
/// of an interface might cut.
const LATE: Duration = Duration::from_millis(200);

/// What a flood is to send.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Where to.
    pub target: SocketAddr,
    /// The Request-URI.
    pub uri: String,
    /// INVITEs a second.
    pub rate: u32,
    /// How many at most.
    pub count: u64,
}

/// What a flood has sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// INVITEs.
    pub count: u64,
    /// Time from before the first transmission to after the last: never less than a limiter saw.
    pub at_most: Duration,
    /// Time from after the first transmission to before the last: never more than a limiter saw.
    pub at_least: Duration,
    /// The longest time between two transmissions.
    pub longest_pause: Duration,
}

impl Flood {
    /// Sends until the count is reached or `wait`, which sleeps for a while, says to stop. A late wake-up is made up for.
    ///
    /// # Errors
    /// Where the rate is 0, or the socket cannot send.
    pub fn send(&self, socket: &UdpSocket, mut wait: impl FnMut(Duration) -> bool) -> Result<Sent> {
        ensure!(self.rate > 0, "a flood of 0 INVITEs a second sends nothing: give it a rate");
        let from = socket.local_addr().context("cannot read the flooder's address")?;
        let before_first = Instant::now();
        let (mut after_first, mut before_last, mut after_last) = (before_first, before_first, before_first);
        let mut longest_pause = Duration::ZERO;
        let mut count = 0;
        let mut schedule = before_first;
        while count < self.count {
            let due = schedule + Duration::from_secs_f64(count as f64 / f64::from(self.rate));
            let late = Instant::now().saturating_duration_since(due);
            schedule += late.saturating_sub(LATE);
            if wait(due.saturating_duration_since(Instant::now())) {
                break;
            }
            let datagram = Invite::new(StartLine::plain(self.uri.clone()), from).to_bytes();
            before_last = Instant::now();
            socket.send_to(&datagram, self.target).with_context(|| format!("cannot send to {}", self.target))?;
            let previous = after_last;
            after_last = Instant::now();
            if count == 0 {
                after_first = after_last;
            } else {
                longest_pause = longest_pause.max(after_last - previous);
            }
            count += 1;
        }
        Ok(Sent {
            count,
            at_most: after_last - before_first,
            at_least: before_last.saturating_duration_since(after_first),
            longest_pause,
        })
    }
}
