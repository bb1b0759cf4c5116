//! Counters and events.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use gateway_common::{
    Reason, Verdict,
    counters::{COUNTERS, EVENTS_LOST, by_country, by_method, by_reason},
    judge::Side,
    judged::{Judged, Who},
};

use crate::{
    maps::{COUNTERS_MAP, EVENTS, EVENTS_OWN},
    window::{Scratch, rolled},
};

/// Time between two events of unproved sources on one CPU, nanoseconds: 1,000 a second.
const EVENT_INTERVAL: u64 = 1_000_000;
/// How far the events of one CPU may run ahead: 256 at once.
const EVENT_TOLERANCE: u64 = 256 * EVENT_INTERVAL;

#[inline(always)]
fn add(counter: usize) {
    let Some(counters) = COUNTERS_MAP.get_ptr_mut(0) else {
        return;
    };
    // The compiler would take the comparison away, which the verifier needs.
    let counter = rolled(counter as u32) as usize;
    if counter < COUNTERS {
        // SAFETY: the index was compared with the length; the value belongs to this CPU.
        unsafe { *(counters.cast::<u64>().add(counter)) += 1 };
    }
}

/// Counts a packet that was not judged.
#[inline(always)]
pub(crate) fn count_reason(side: Side, reason: Reason, verdict: Verdict) {
    add(by_reason(side, reason, verdict));
}

/// Counts a judged packet, and tells about it where it makes a call or was stopped.
#[inline(always)]
pub(crate) fn account(scratch: *mut Scratch, side: Side, verdict: Verdict, reason: Reason) {
    count_reason(side, reason, verdict);
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let judged = unsafe { &mut (*scratch).judged };
    if judged.method == 0 && verdict.passes() {
        return;
    }
    add(by_method(judged.method));
    if matches!(reason, Reason::SipOther) {
        return;
    }
    add(by_country(judged.country, verdict));
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    judged.time = now;
    let sent = if judged.who == Who::Unproved as u8 {
        // SAFETY: as above.
        let next = unsafe { &mut (*scratch).next_event };
        let base = if *next > now { *next } else { now };
        if base - now > EVENT_TOLERANCE {
            false
        } else {
            *next = base + EVENT_INTERVAL;
            EVENTS.output_untyped::<Judged>(&*judged, 0).is_ok()
        }
    } else {
        EVENTS_OWN.output_untyped::<Judged>(&*judged, 0).is_ok()
    };
    if !sent {
        add(EVENTS_LOST);
    }
}
