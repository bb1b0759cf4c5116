//! Counters and events.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use gateway_common::{
    Reason, Verdict,
    counters::{CELLS_FULL, COUNTERS, EVENTS_LOST, SAMPLER, by_country, by_method, by_reason},
    judge::{Decision, Side},
    judged::{Judged, Who},
};

use crate::{
    maps::{COUNTERS_MAP, EVENTS, EVENTS_OWN, PROBE},
    window::{Scratch, rolled},
};

/// Time between two events of unproved sources on one CPU, nanoseconds: 1,000 a second.
const EVENT_INTERVAL: u64 = 1_000_000;
/// How far the events of one CPU may run ahead: 256 at once.
const EVENT_TOLERANCE: u64 = 256 * EVENT_INTERVAL;
/// Once too many went out, so many packets pass before the clock is asked again.
const UNASKED: u64 = 16;

/// The exact counters of this CPU.
#[derive(Clone, Copy)]
struct Counters(*mut u64);

impl Counters {
    #[inline(always)]
    fn of_this_cpu() -> Option<Self> {
        COUNTERS_MAP.get_ptr_mut(0).map(|counters| Self(counters.cast()))
    }

    #[inline(always)]
    fn add(self, counter: usize) {
        // The compiler would take the comparison away, which the verifier needs.
        let counter = rolled(counter as u32) as usize;
        if counter < COUNTERS {
            // SAFETY: the index was compared with the length; the value belongs to this CPU.
            unsafe { *(self.0.add(counter)) += 1 };
        }
    }

    #[inline(always)]
    fn count_call(self, side: Side, verdict: Verdict, reason: Reason, method: u8, country: u16) {
        self.add(by_reason(side, reason, verdict));
        self.add(by_method(method));
        self.add(by_country(country, verdict));
    }

    /// Whether an event of an unproved source may go out. Once too many went out, the clock is not asked for a while.
    #[inline(always)]
    fn is_due(self) -> bool {
        // SAFETY: the value holds the sampler behind the counters.
        let sampler = unsafe { &mut *self.0.add(SAMPLER).cast::<Sampler>() };
        if sampler.unasked > 0 {
            sampler.unasked -= 1;
            return false;
        }
        // SAFETY: the helper has no preconditions.
        let due = sampler.next <= unsafe { bpf_ktime_get_coarse_ns() } + EVENT_TOLERANCE;
        if !due {
            sampler.unasked = UNASKED;
        }
        due
    }

    /// Takes the place of one event that is due.
    #[inline(always)]
    fn take(self) -> bool {
        // SAFETY: as in `is_due`.
        let sampler = unsafe { &mut *self.0.add(SAMPLER).cast::<Sampler>() };
        // SAFETY: the helper has no preconditions.
        let now = unsafe { bpf_ktime_get_coarse_ns() };
        sampler.next = if sampler.next > now { sampler.next } else { now } + EVENT_INTERVAL;
        true
    }
}

/// Counts a call that went uncounted by a limit, since no cell was free.
#[inline(always)]
pub(crate) fn count_full() {
    if let Some(counters) = Counters::of_this_cpu() {
        counters.add(CELLS_FULL);
    }
}

/// What bounds the events of unproved sources; see [`SAMPLER`].
#[repr(C)]
struct Sampler {
    /// When the next event may go out, nanoseconds of the coarse clock, a tolerance later than strictly.
    next: u64,
    /// Packets that do not ask whether theirs may.
    unasked: u64,
}

const _: () = assert!(SAMPLER + size_of::<Sampler>() / 8 == COUNTERS, "the sampler is not where the counters end");

/// Counts a packet that was not judged.
#[inline(always)]
pub(crate) fn count_reason(side: Side, reason: Reason, verdict: Verdict) {
    if let Some(counters) = Counters::of_this_cpu() {
        counters.add(by_reason(side, reason, verdict));
    }
}

/// Counts something else, by the place of its counter.
#[inline(always)]
pub(crate) fn count(counter: usize) {
    if let Some(counters) = Counters::of_this_cpu() {
        counters.add(counter);
    }
}

/// Counts a request of an unproved source that the short way refused; `false`, and counts nothing, if the long way shall tell
/// about it.
#[inline(always)]
pub(crate) fn count_refused(side: Side, (verdict, reason): Decision, method: u8, country: u16) -> bool {
    let Some(counters) = Counters::of_this_cpu() else { return true };
    if PROBE.load() != 0 || counters.is_due() {
        return false;
    }
    counters.count_call(side, verdict, reason, method, country);
    counters.add(EVENTS_LOST);
    true
}

/// Counts a judged packet, and tells about it where it makes a call or was stopped.
#[inline(always)]
pub(crate) fn account(scratch: *mut Scratch, side: Side, verdict: Verdict, reason: Reason) {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let judged = unsafe { &(*scratch).judged };
    if judged.method == 0 && verdict.passes() {
        count_reason(side, reason, verdict);
        return;
    }
    if matches!(reason, Reason::SipOther) {
        let Some(counters) = Counters::of_this_cpu() else { return };
        counters.add(by_reason(side, reason, verdict));
        counters.add(by_method(judged.method));
        return;
    }
    let Some(counters) = Counters::of_this_cpu() else { return };
    counters.count_call(side, verdict, reason, judged.method, judged.country);
    let lane = judged.who != Who::Unproved as u8;
    if !(lane || counters.is_due() && counters.take()) || !tell(scratch) {
        counters.add(EVENTS_LOST);
    }
}

/// Sends the record of the scratch, and says whether it went out.
#[inline(always)]
fn tell(scratch: *mut Scratch) -> bool {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let judged = unsafe { &mut (*scratch).judged };
    // SAFETY: the helper has no preconditions.
    judged.time = unsafe { bpf_ktime_get_coarse_ns() };
    let sent = if judged.who == Who::Unproved as u8 {
        EVENTS.output_untyped::<Judged>(&*judged, 0)
    } else {
        EVENTS_OWN.output_untyped::<Judged>(&*judged, 0)
    };
    sent.is_ok()
}
