//! Hands out a refused request, so that user space can answer it; see `gateway_common::answer`.

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_ktime_get_ns, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use gateway_common::{
    answer::{self, ALL, OF_ALL, OF_SOURCE, REFUSED, Refused},
    counters::{ANSWERS_CAPPED, ANSWERS_LOST, ANSWERS_UNFIT},
    limit::CellKey,
    text::WINDOW,
};

use crate::{
    cells::{tg_is_over, tg_take},
    counters::count,
    maps,
    window::{Window, masked},
};

/// Tells user space of the judged packet of the scratch, if its sender is to be told. It writes over the window: whoever
/// comes behind loads it anew.
#[inline(always)]
pub(crate) fn tell(ctx: &XdpContext, window: &Window) {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let (judged, datagram) = unsafe { (&(*window.scratch).judged, &(*window.scratch).datagram) };
    if answer::is_told(judged, datagram) {
        tg_tell(ctx.ctx);
    }
}

/// Hands out the request in the window, within what all and its source may be told.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_tell(ctx: *mut xdp_md) -> u64 {
    let Some(mut window) = Window::of_this_cpu() else { return 0 };
    let (judged, at) = {
        // SAFETY: the pointer is the per-CPU scratch of this program run.
        let scratch = unsafe { &(*window.scratch) };
        (&scratch.judged, scratch.datagram.at)
    };
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let cell = answer::cell(judged);
    // What all may be told comes first, so that a flood of forged addresses makes no cells.
    if is_over(&ALL, now, OF_ALL) || !take(&cell, now, OF_SOURCE) || !take(&ALL, now, OF_ALL) {
        count(ANSWERS_CAPPED);
        return 0;
    }
    let head = answer::head_end(&mut window);
    if head == 0 || at > WINDOW || head > WINDOW - at {
        count(ANSWERS_UNFIT);
        return 0;
    }
    if hand_out(&window, ctx, at + head).is_none() {
        count(ANSWERS_LOST);
    }
    0
}

#[inline(always)]
fn is_over(key: &CellKey, now: u64, (_, tolerance): (u64, u64)) -> bool {
    tg_is_over(key.limit as u64 | (key.kind as u64) << 32, key.value, now, tolerance) != 0
}

#[inline(always)]
fn take(key: &CellKey, now: u64, (interval, tolerance): (u64, u64)) -> bool {
    tg_take(key.limit as u64 | (key.kind as u64) << 32, key.value, now, interval, tolerance) != 0
}

/// Sends the first `octets` of the frame, at most a window, with what was decided about it in front.
#[inline(always)]
fn hand_out(window: &Window, ctx: *mut xdp_md, octets: u32) -> Option<()> {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let scratch = unsafe { &mut *window.scratch };
    let datagram = &scratch.datagram;
    // SAFETY: the context is the kernel's.
    let room = (unsafe { bpf_xdp_get_buff_len(ctx) } as u32).saturating_sub(datagram.at);
    let payload = if datagram.len < room { datagram.len } else { room };
    let refused = Refused {
        judged: scratch.judged,
        ip_at: datagram.ip_at,
        transport_at: datagram.transport_at,
        at: datagram.at as u16,
        payload: payload as u16,
    };
    let record = (&raw mut scratch.text).cast::<u8>();
    // SAFETY: the copy has room for the record, a window and more.
    unsafe { core::ptr::write_unaligned(record.cast(), refused) };
    let octets = masked!(octets - 1, 2047) + 1;
    // SAFETY: as above.
    if unsafe { bpf_xdp_load_bytes(ctx, 0, record.add(REFUSED).cast(), octets as u32) } != 0 {
        return None;
    }
    // SAFETY: these octets have just been written.
    let record = unsafe { core::slice::from_raw_parts(record, REFUSED + octets) };
    maps::REFUSED.output_untyped::<[u8]>(record, 0).ok()
}
