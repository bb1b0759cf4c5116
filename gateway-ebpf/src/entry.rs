//! The entry points: one for each side, plain and for multi-buffer frames.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    macros::xdp,
    programs::XdpContext,
};
use gateway_common::{
    Reason, Verdict,
    judge::{self, Side},
    text::WINDOW,
    wire::{Datagram, Walk, walk_shallow},
};

use crate::{
    counters::{account, count_reason},
    env::{Kernel, tg_judge},
    maps::{POLICY, PROBE, PROBED},
    packet::Packet,
    window::{Window, tg_walk},
};

/// The WAN side.
#[xdp]
pub fn wan(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Wan)
}

/// The WAN side, for frames in several buffers.
#[xdp(frags)]
pub fn wan_frags(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Wan)
}

/// The LAN side.
#[xdp]
pub fn lan(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Lan)
}

/// The LAN side, for frames in several buffers.
#[xdp(frags)]
pub fn lan_frags(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Lan)
}

#[inline(always)]
fn action(ctx: &XdpContext, side: Side) -> u32 {
    match run(ctx, side) {
        Verdict::Pass | Verdict::WouldDrop => XDP_PASS,
        Verdict::Drop | Verdict::Reject => XDP_DROP,
    }
}

#[inline(always)]
fn run(ctx: &XdpContext, side: Side) -> Verdict {
    let walk = match walk_shallow(&mut Packet::new(ctx)) {
        Walk::Deep => deep(ctx),
        walk => walk,
    };
    let reason = match walk {
        Walk::Datagram(datagram) => match judge(ctx, side, &datagram) {
            Some(verdict) => return verdict,
            None => Reason::NotSip,
        },
        Walk::LaterFragment => Reason::Fragment,
        Walk::Unparsed => Reason::UnparsedEncapsulation,
        Walk::Other | Walk::Deep => Reason::NotSip,
    };
    count_reason(side, reason, Verdict::Pass);
    if PROBE.load() != 0
        && let Some(record) = PROBED.get_ptr_mut(0)
    {
        // SAFETY: the map gave the pointer.
        judge::unjudged(unsafe { &mut *record }, Verdict::Pass, reason);
    }
    Verdict::Pass
}

/// Walks headers that packet pointers cannot follow, over a copy of the frame's head.
#[inline(always)]
fn deep(ctx: &XdpContext) -> Walk {
    let Some(window) = Window::of_this_cpu() else { return Walk::Other };
    // SAFETY: the context is the kernel's.
    let frame = unsafe { bpf_xdp_get_buff_len(ctx.ctx) } as u32;
    if copy(ctx, &window, 0, frame).is_none() {
        return Walk::Other;
    }
    match tg_walk() {
        // SAFETY: the pointer is the per-CPU scratch of this program run.
        1 => Walk::Datagram(unsafe { (*window.scratch).datagram }),
        2 => Walk::LaterFragment,
        3 => Walk::Unparsed,
        _ => Walk::Other,
    }
}

/// Judges a datagram to or from a SIP port; `None` for any other.
#[inline(always)]
fn judge(ctx: &XdpContext, side: Side, datagram: &Datagram) -> Option<Verdict> {
    let image = core::ptr::from_ref(POLICY.get(0)?.get(0)?).cast();
    let window = Window::of_this_cpu()?;
    let env = Kernel { window, image, now: 0 };
    if datagram.tcp || !(judge::is_sip_port(&env, datagram.dport) || judge::is_sip_port(&env, datagram.sport)) {
        return None;
    }
    load(ctx, &window, datagram)?;
    let probe = PROBE.load() != 0;
    // SAFETY: the context is the kernel's; volatile, or the two sources of the index merge into one load through a
    // pointer that the verifier refuses.
    let mut ifindex = unsafe { core::ptr::read_volatile(&raw const (*ctx.ctx).ingress_ifindex) };
    let mut now = 0;
    if probe {
        let meta = ctx.metadata();
        if meta + 16 > ctx.metadata_end() {
            return None;
        }
        // SAFETY: 16 octets lie before the end of the metadata.
        now = unsafe { core::ptr::read_unaligned(meta as *const u64) };
        // SAFETY: as above.
        ifindex = unsafe { core::ptr::read_unaligned((meta + 8) as *const u32) };
    }
    let side_word = matches!(side, Side::Lan) as u64;
    let decision = tg_judge(image, now, ifindex as u64 | side_word << 32);
    let verdict = Verdict::from_u8(decision as u8)?;
    let reason = Reason::from_u8((decision >> 8) as u8)?;
    if probe {
        let record = PROBED.get_ptr_mut(0)?;
        // SAFETY: the map gave both pointers.
        unsafe { *record = (*window.scratch).judged };
        count_reason(side, reason, verdict);
    } else {
        account(window.scratch, side, verdict, reason);
    }
    #[cfg(feature = "trace")]
    trace(ctx, &window, datagram, decision);
    Some(verdict)
}

/// A line of debug trace: numbers only, as they stand in gateway-common's tables. What was dialled is not in it.
#[cfg(feature = "trace")]
#[inline(always)]
fn trace(ctx: &XdpContext, window: &Window, datagram: &Datagram, decision: u64) {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let judged = unsafe { &(*window.scratch).judged };
    aya_log_ebpf::debug!(
        ctx,
        "verdict {} reason {} method {} class {} country {} who {} at {} len {}",
        decision & 0xff,
        decision >> 8,
        judged.method,
        judged.class,
        judged.country,
        judged.who,
        datagram.at,
        datagram.len
    );
}

/// Copies the head of the payload into the window.
#[inline(always)]
fn load(ctx: &XdpContext, window: &Window, datagram: &Datagram) -> Option<()> {
    // SAFETY: the context is the kernel's.
    let frame = unsafe { bpf_xdp_get_buff_len(ctx.ctx) } as u32;
    let room = frame.saturating_sub(datagram.at);
    let payload = if datagram.len < room { datagram.len } else { room };
    copy(ctx, window, datagram.at, payload)?;
    let scratch = window.scratch;
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    unsafe { (*scratch).datagram = *datagram };
    // SAFETY: as above.
    unsafe { (*scratch).whole = (payload <= WINDOW && !datagram.first_fragment) as u32 };
    Some(())
}

/// Copies up to a window of `octets` from `at` of the frame, and zeros behind them.
#[inline(always)]
fn copy(ctx: &XdpContext, window: &Window, at: u32, octets: u32) -> Option<()> {
    let len = if octets < WINDOW { octets } else { WINDOW };
    let scratch = window.scratch;
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let text = unsafe { (&raw mut (*scratch).text).cast::<u8>() };
    let mut end = 0;
    if len > 0 {
        end = ((len - 1) & (WINDOW - 1)) + 1;
        // SAFETY: at most WINDOW octets, and the text has room for them.
        if unsafe { bpf_xdp_load_bytes(ctx.ctx, at, text.cast(), end) } != 0 {
            return None;
        }
    }
    // SAFETY: at most WINDOW, and 16 of the octets behind the window.
    unsafe { core::ptr::write_unaligned(text.add(end as usize).cast(), [0u64; 2]) };
    // SAFETY: as above.
    unsafe { (*scratch).len = len };
    Some(())
}
