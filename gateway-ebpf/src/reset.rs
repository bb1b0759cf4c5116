//! A refused TCP segment becomes a reset; see `gateway_common::reset`.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS, XDP_TX},
    helpers::generated::bpf_xdp_store_bytes,
    programs::XdpContext,
};
use gateway_common::{
    reset::{self, Head, REMEMBERED, TCP, Way},
    text::WINDOW,
};

use crate::{
    cells::tg_take_first,
    entry::copy,
    window::{Window, masked, rolled},
};

/// The head of the frame, in the window.
struct Copy {
    window: Window,
}

impl Head for Copy {
    #[inline(always)]
    fn octet(&self, at: u32) -> u8 {
        let at = masked!(at, 4095);
        // SAFETY: the index is masked to the copy.
        unsafe { *(&raw const (*self.window.scratch).text).cast::<u8>().add(at) }
    }

    #[inline(always)]
    fn set(&mut self, at: u32, octet: u8) {
        let at = masked!(at, 4095);
        // SAFETY: as above.
        unsafe { *(&raw mut (*self.window.scratch).text).cast::<u8>().add(at) = octet };
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}

/// Sends the reset that takes the segment's place. What cannot be one is dropped.
#[inline(always)]
pub(crate) fn refuse(ctx: &XdpContext, window: &Window) -> u32 {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let datagram = unsafe { &(*window.scratch).datagram };
    let octets = datagram.transport_at as u32 + TCP;
    if datagram.first_fragment || octets > WINDOW || copy(ctx, window, 0, octets).is_none() {
        return XDP_DROP;
    }
    let way = tg_reset();
    let octets = masked!(octets - 1, 2047) as u32 + 1;
    // SAFETY: at most WINDOW octets of the copy.
    let stored = unsafe { bpf_xdp_store_bytes(ctx.ctx, 0, (&raw mut (*window.scratch).text).cast(), octets) };
    match (stored, way) {
        (0, 1) => XDP_PASS,
        (0, 2) => XDP_TX,
        _ => XDP_DROP,
    }
}

/// Makes a reset of the head in the window: 1 if it goes on, 2 if it goes back.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_reset() -> u64 {
    let Some(window) = Window::of_this_cpu() else { return 0 };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let datagram = unsafe { &(*window.scratch).datagram };
    let mut head = Copy { window };
    let key = reset::cell(&head, datagram);
    let first = tg_take_first(key.limit, key.value, REMEMBERED) != 0;
    let way = reset::way(datagram, first);
    reset::rewrite(&mut head, datagram, way);
    match way {
        Way::On => 1,
        Way::Back => 2,
    }
}
