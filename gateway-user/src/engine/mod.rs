//! What decides about frames: this process, or the program in this kernel.

pub mod host;

use gateway_common::{judge::Side, judged::Judged};

/// Decides about frames, one after the other.
pub trait Engine {
    /// Decides about one Ethernet frame that arrives on an interface of this side and index at `now_ns`, nanoseconds of
    /// a clock that never goes back.
    fn judge(&mut self, frame: &[u8], side: Side, ifindex: u32, now_ns: u64) -> anyhow::Result<Judged>;

    /// Forgets every frame: limiter cells are fresh.
    fn reset(&mut self) -> anyhow::Result<()>;
}
