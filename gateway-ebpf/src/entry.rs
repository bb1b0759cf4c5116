//! The entry points: one for each side, plain and for multi-buffer frames. They say what a frame is, and refuse what needs
//! no closer look; what is left of SIP goes to the program that judges it.

use aya_ebpf::{
    bindings::{
        xdp_action::{XDP_DROP, XDP_PASS},
        xdp_md,
    },
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    macros::xdp,
    programs::XdpContext,
};
use gateway_common::{
    Method, Reason, Verdict,
    addr::Addr,
    judge::{self, Arrival, Canonical, Side},
    text::WINDOW,
    wire::{Datagram, Walk, plain_datagram, plain_ports, walk, walk_shallow},
};

use crate::{
    calls::{is_armed_and_bans, is_hinted},
    canonical::{COUNTRY, NOT_REFUSED, packed, passes, tg_refused},
    counters::{count_reason, count_refused},
    env::{Bare, generation},
    exported::tg_fragment,
    front::{tg_refused_unread, tg_refused_word},
    judge::decision,
    maps::{Image, POLICY, PROBE, PROBED},
    next::{JUDGE, Next},
    packet::Packet,
    told::Told,
    window::{Head, Window, rolled},
    windows::tg_is_banned,
};

/// The WAN side.
#[xdp]
pub fn wan(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Wan, Next::One)
}

/// The WAN side, for frames in several buffers.
#[xdp(frags)]
pub fn wan_frags(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Wan, Next::Frags)
}

/// The LAN side.
#[xdp]
pub fn lan(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Lan, Next::One)
}

/// The LAN side, for frames in several buffers.
#[xdp(frags)]
pub fn lan_frags(ctx: XdpContext) -> u32 {
    action(&ctx, Side::Lan, Next::Frags)
}

/// What [`tg_arrive`] found, in the lowest byte: nothing that is judged.
pub(crate) const OTHER: u64 = 0;
/// A datagram or segment to or from a SIP port, in the scratch.
const SIP: u64 = 1;
/// The same, to one.
pub(crate) const TO_SIP: u64 = 2;
/// A later fragment, in the scratch.
const LATER_FRAGMENT: u64 = 3;
/// An encapsulation that is not read.
const UNPARSED: u64 = 4;
/// Headers that packet pointers cannot follow.
const DEEP: u64 = 5;
/// A canonical INVITE that is refused: the answer of [`tg_refused`] stands above.
const REFUSED: u64 = 6;

#[inline(always)]
fn action(ctx: &XdpContext, side: Side, next: Next) -> u32 {
    let mut reason = Reason::NotSip;
    let mut verdict = Verdict::Pass;
    if let Some(image) = image() {
        let plain = plain(ctx, image);
        if plain == OTHER {
            count_reason(side, reason, verdict);
            unjudged(verdict, reason);
            return XDP_PASS;
        }
        let lan = matches!(side, Side::Lan) as u64;
        let mut found = tg_arrive(ctx.ctx, image, lan | plain << 1);
        if found == DEEP {
            found = deep(ctx, image);
        }
        let short = found >> 8;
        if found & 0xff == REFUSED {
            if let Some((verdict, reason)) = decision(short & 0xffff)
                && count_refused(side, (verdict, reason), (short >> 40) as u8, (short >> 16) as u16)
            {
                return if verdict.passes() { XDP_PASS } else { XDP_DROP };
            }
            // It shall be told, which the long way does.
            found = deep(ctx, image);
        }
        if found == SIP || found == TO_SIP {
            hand_over(ctx, side, image, short, next);
        } else if found == LATER_FRAGMENT {
            reason = Reason::Fragment;
            if let Some(refused) = fragment(ctx, side, image) {
                (verdict, reason) = refused;
            }
        } else if found == UNPARSED {
            reason = Reason::UnparsedEncapsulation;
        }
    }
    count_reason(side, reason, verdict);
    unjudged(verdict, reason);
    if verdict.passes() { XDP_PASS } else { XDP_DROP }
}

/// Hands the datagram or segment of the scratch to the program that judges it, which does not come back. `short` is what
/// the short way said of it. It returns where there is nothing to judge.
#[inline(always)]
fn hand_over(ctx: &XdpContext, side: Side, image: *const Image, short: u64, next: Next) {
    let Some(window) = Window::of_this_cpu() else { return };
    let Some((arrival, now)) = arrival(ctx, side) else { return };
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let scratch = unsafe { &mut *window.scratch };
    if scratch.datagram.tcp && scratch.datagram.len == 0 && !scratch.datagram.syn {
        return;
    }
    scratch.told = Told::new(arrival).0;
    scratch.now = now;
    // What it noted of a request that passes stays.
    if short != NOT_REFUSED {
        scratch.short = short;
    }
    scratch.generation = generation(image);
    next.call(ctx, JUDGE);
}

/// Tells a probe of a packet that was not judged.
#[inline(always)]
pub(crate) fn unjudged(verdict: Verdict, reason: Reason) {
    if PROBE.load() != 0
        && let Some(record) = PROBED.get_ptr_mut(0)
    {
        // SAFETY: the map gave the pointer.
        judge::unjudged(unsafe { &mut *record }, verdict, reason);
    }
}

/// What the ports of an ordinary frame say: [`OTHER`] for nearly every packet; [`DEEP`] for a frame that is not ordinary.
#[inline(always)]
fn plain(ctx: &XdpContext, image: *const Image) -> u64 {
    let Some((source, destination)) = plain_ports(&Packet::new(ctx)) else { return DEEP };
    ports(image, source, destination)
}

/// The policy in force.
#[inline(always)]
pub(crate) fn image() -> Option<*const Image> {
    Some(core::ptr::from_ref(POLICY.get(0)?.get(0)?).cast())
}

/// Walks the headers of the frame, and refuses what needs no closer look. A function of its own, so that its stack is free
/// again when the packet is judged.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_arrive(ctx: *mut xdp_md, image: *const Image, told: u64) -> u64 {
    let (lan, plain) = (told & 1, told >> 1);
    let ctx = XdpContext::new(ctx);
    if plain == SIP || plain == TO_SIP {
        let mut datagram = Datagram::default();
        let mut packet = Packet::new(&ctx);
        if plain_datagram(&mut packet, &mut datagram).is_some() {
            return arrived(&ctx, image, &mut packet, &datagram, lan, plain);
        }
    }
    let mut datagram = Datagram::default();
    let mut packet = Packet::new(&ctx);
    match walk_shallow(&mut packet, &mut datagram) {
        Walk::Datagram => {}
        Walk::LaterFragment => return if keep(&datagram).is_some() { LATER_FRAGMENT } else { OTHER },
        Walk::Unparsed => return UNPARSED,
        Walk::Deep => return DEEP,
        Walk::Other => return OTHER,
    }
    match ports(image, datagram.sport, datagram.dport) {
        OTHER => OTHER,
        found => arrived(&ctx, image, &mut packet, &datagram, lan, found),
    }
}

/// A datagram or segment to or from a SIP port.
#[inline(always)]
fn arrived(
    ctx: &XdpContext,
    image: *const Image,
    packet: &mut Packet,
    datagram: &Datagram,
    lan: u64,
    found: u64,
) -> u64 {
    let refused = short(ctx, image, packet, datagram, lan);
    if refused != NOT_REFUSED {
        return REFUSED | refused << 8;
    }
    if keep(datagram).is_some() { found } else { OTHER }
}

/// The short way, of which nobody inside is refused.
#[inline(always)]
fn short(ctx: &XdpContext, image: *const Image, packet: &mut Packet, datagram: &Datagram, lan: u64) -> u64 {
    if lan != 0 {
        return NOT_REFUSED;
    }
    let numberless = judge::numberless(packet, datagram).map_or(0, |method| method as u32);
    let canonical = if numberless == 0 { Canonical::read(packet, datagram) } else { None };
    if numberless == 0 && canonical.is_none() {
        return NOT_REFUSED;
    }
    let Some((arrival, now)) = arrival(ctx, Side::Wan) else { return NOT_REFUSED };
    if is_hinted(datagram.src) {
        return NOT_REFUSED;
    }
    if PROBE.load() != 0
        && let Some(window) = Window::of_this_cpu()
    {
        // SAFETY: the pointer is the per-CPU scratch of this program run.
        unsafe { (*window.scratch).now = now };
    }
    let Addr { hi, lo } = datagram.src;
    let told = Told::new(arrival);
    if numberless > Method::Invite as u32 {
        return tg_refused_unread(image, told.0, numberless, hi, lo);
    }
    let (armed, bans) = is_armed_and_bans();
    let banned = bans && tg_is_banned(datagram.src.source(), now) != 0;
    let Some(canonical) = canonical else { return tg_refused_word(image, told.banned(banned).0, hi, lo) };
    let told = told.with_plus(canonical.shape.plus()).armed(armed).banned(banned);
    let said = tg_refused(image, told.0, packed(canonical), hi, lo);
    if !passes(said) {
        return said;
    }
    let refused = tg_refused_unread(image, told.0, Method::Invite as u32, hi, lo);
    if refused == NOT_REFUSED { NOT_REFUSED } else { refused | said & COUNTRY }
}

/// Which of the ports carries SIP.
#[inline(always)]
pub(crate) fn ports(image: *const Image, source: u16, destination: u16) -> u64 {
    let Some(policy) = Bare::new(image) else { return OTHER };
    if judge::is_sip_port(&policy, destination) {
        TO_SIP
    } else if judge::is_sip_port(&policy, source) {
        SIP
    } else {
        OTHER
    }
}

/// Puts the datagram into the scratch.
#[inline(always)]
fn keep(datagram: &Datagram) -> Option<()> {
    let window = Window::of_this_cpu()?;
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    unsafe { (*window.scratch).datagram = *datagram };
    Some(())
}

/// Walks headers that packet pointers cannot follow, over a copy of the frame's head.
#[inline(always)]
fn deep(ctx: &XdpContext, image: *const Image) -> u64 {
    let Some(window) = Window::of_this_cpu() else { return OTHER };
    // SAFETY: the context is the kernel's.
    let frame = unsafe { bpf_xdp_get_buff_len(ctx.ctx) } as u32;
    if copy(ctx, &window, 0, frame).is_none() {
        return OTHER;
    }
    tg_deep(image)
}

/// Walks the headers of the frame whose head is in the window.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tg_deep(image: *const Image) -> u64 {
    let Some(window) = Window::of_this_cpu() else { return OTHER };
    // SAFETY: the pointer is the per-CPU scratch of this program run; nothing that the walk reads lies there.
    let datagram = unsafe { &mut (*window.scratch).datagram };
    *datagram = Datagram::default();
    match walk(&mut Head::new(window), datagram) {
        Walk::Datagram => ports(image, datagram.sport, datagram.dport),
        Walk::LaterFragment => LATER_FRAGMENT,
        Walk::Unparsed => UNPARSED,
        Walk::Other | Walk::Deep => OTHER,
    }
}

/// Where the packet came in, and the time, which is 0 where the decision shall read the clock.
#[inline(always)]
fn arrival(ctx: &XdpContext, side: Side) -> Option<(Arrival, u64)> {
    // SAFETY: the context is the kernel's; volatile, or the two sources of the index merge into one load through a
    // pointer that the verifier refuses.
    let mut ifindex = unsafe { core::ptr::read_volatile(&raw const (*ctx.ctx).ingress_ifindex) };
    let mut now = 0;
    if PROBE.load() != 0 {
        let meta = ctx.metadata();
        if meta + 16 > ctx.metadata_end() {
            return None;
        }
        // SAFETY: 16 octets lie before the end of the metadata.
        now = unsafe { core::ptr::read_unaligned(meta as *const u64) };
        // SAFETY: as above.
        ifindex = unsafe { core::ptr::read_unaligned((meta + 8) as *const u32) };
    }
    Some((Arrival { side, ifindex }, now))
}

/// Judges the later fragment of the scratch.
#[inline(always)]
fn fragment(ctx: &XdpContext, side: Side, image: *const Image) -> Option<(Verdict, Reason)> {
    let (arrival, now) = arrival(ctx, side)?;
    decision(tg_fragment(image, now, Told::new(arrival).0))
}

/// Copies up to a window of `octets` from `at` of the frame, and zeros behind them.
#[inline(always)]
pub(crate) fn copy(ctx: &XdpContext, window: &Window, at: u32, octets: u32) -> Option<()> {
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
    // The compiler would make of two zeros a function that goes octet by octet.
    let zero = rolled(0) as u64;
    // SAFETY: at most WINDOW, and 16 of the octets behind the window.
    unsafe { core::ptr::write_unaligned(text.add(end as usize).cast(), [zero; 2]) };
    // SAFETY: as above.
    unsafe { (*scratch).len = len };
    Some(())
}
