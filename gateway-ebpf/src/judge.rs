//! The program that judges a datagram or segment of SIP. It is called at the end of the entry points, so that the verifier
//! counts each by itself.

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    helpers::generated::bpf_xdp_get_buff_len,
    macros::xdp,
    programs::XdpContext,
};
use gateway_common::{Reason, Verdict, sip::headers, text::WINDOW};

use crate::{
    answer,
    canonical::{NOT_REFUSED, refuses},
    counters::{account, count_reason},
    entry::{OTHER, TO_SIP, copy, image, ports, unjudged},
    env::generation,
    exported::{NOTHING, message, tg_segment},
    maps::{Image, PROBE, PROBED},
    reset::refuse,
    told::Told,
    window::Window,
};

/// Judges the message of the scratch.
#[xdp]
pub fn judge(ctx: XdpContext) -> u32 {
    action(&ctx)
}

/// The same, for frames in several buffers.
#[xdp(frags)]
pub fn judge_frags(ctx: XdpContext) -> u32 {
    action(&ctx)
}

#[inline(always)]
fn action(ctx: &XdpContext) -> u32 {
    let Some(window) = Window::of_this_cpu() else { return XDP_PASS };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let told = Told(unsafe { (*window.scratch).told });
    let action = match image() {
        Some(image) => judged(ctx, &window, image, told),
        None => None,
    };
    // SAFETY: as above. It holds for one packet.
    unsafe { (*window.scratch).short = NOT_REFUSED };
    if let Some(action) = action {
        return action;
    }
    count_reason(told.arrival().side, Reason::NotSip, Verdict::Pass);
    unjudged(Verdict::Pass, Reason::NotSip);
    XDP_PASS
}

/// Judges the datagram or segment of the scratch, and says what becomes of the packet; `None` where it is no SIP.
///
/// The policy may be another than the one that sent the packet here, so its ports are asked again: then this policy decides,
/// and no other.
#[inline(always)]
fn judged(ctx: &XdpContext, window: &Window, image: *const Image, told: Told) -> Option<u32> {
    let side = told.arrival().side;
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let (datagram, short) = unsafe { (&(*window.scratch).datagram, (*window.scratch).short) };
    let ports = ports(image, datagram.sport, datagram.dport);
    if ports == OTHER {
        return None;
    }
    let told = told.to_sip(ports == TO_SIP).0;
    load(ctx, window)?;
    let decided = if datagram.tcp { tg_segment(image, told) } else { message(image, told) };
    let (verdict, reason) = decision(decided)?;
    if PROBE.load() != 0 {
        let record = PROBED.get_ptr_mut(0)?;
        // SAFETY: the map gave both pointers.
        unsafe { *record = (*window.scratch).judged };
        // SAFETY: as above.
        let same = unsafe { (*window.scratch).generation } == generation(image);
        if same && refuses(short) && short & 0xffff != decided {
            // SAFETY: as above.
            unsafe { (*record).differs = 1 };
        }
        count_reason(side, reason, verdict);
        return Some(if verdict.passes() { XDP_PASS } else { XDP_DROP });
    }
    account(window.scratch, side, verdict, reason);
    #[cfg(feature = "trace")]
    tg_trace(decided);
    answer::tell(ctx, window);
    Some(match verdict {
        Verdict::Pass | Verdict::WouldDrop => XDP_PASS,
        Verdict::Drop => XDP_DROP,
        Verdict::Reject => refuse(ctx, window),
    })
}

/// Verdict and reason of an exported function's answer.
#[inline(always)]
pub(crate) fn decision(decided: u64) -> Option<(Verdict, Reason)> {
    if decided == NOTHING {
        return None;
    }
    let verdict = Verdict::from_u8(decided as u8)?;
    let reason = Reason::from_u8((decided >> 8) as u8)?;
    Some((verdict, reason))
}

/// A line of debug trace: numbers only, as they stand in gateway-common's tables. What was dialled is not in it.
/// A function of its own, since the log takes much of the stack.
#[cfg(feature = "trace")]
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_trace(decided: u64) -> u64 {
    let Some(window) = Window::of_this_cpu() else { return 0 };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let (judged, datagram) = unsafe { (&(*window.scratch).judged, &(*window.scratch).datagram) };
    // The log has no use for the context.
    aya_log_ebpf::debug!(
        (),
        "verdict {} reason {} method {} class {} country {} who {} at {} len {}",
        decided & 0xff,
        decided >> 8,
        judged.method,
        judged.class,
        judged.country,
        judged.who,
        datagram.at,
        datagram.len
    );
    0
}

/// Copies the head of the payload into the window.
#[inline(always)]
fn load(ctx: &XdpContext, window: &Window) -> Option<()> {
    let scratch = window.scratch;
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let datagram = unsafe { &(*scratch).datagram };
    // SAFETY: the context is the kernel's.
    let frame = unsafe { bpf_xdp_get_buff_len(ctx.ctx) } as u32;
    let room = frame.saturating_sub(datagram.at);
    let payload = if datagram.len < room { datagram.len } else { room };
    copy(ctx, window, datagram.at, payload)?;
    // SAFETY: as above. Behind the end of a segment the message may go on.
    unsafe { (*scratch).whole = (payload <= WINDOW && !datagram.first_fragment && !datagram.tcp) as u32 };
    headers::forget(&mut Window { scratch });
    Some(())
}
