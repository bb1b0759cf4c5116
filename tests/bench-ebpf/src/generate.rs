//! The generator: writes another source, number and Call-ID into each frame, where it is told to, and sends the frame.
//!
//! The kernel uses a page again without setting its content back, so every field is written whole and never changed by a
//! difference. A place of 0 is none: the constants are known when the program is loaded, and the verifier removes what
//! they switch off.

use aya_ebpf::{
    Global,
    bindings::xdp_action::{XDP_ABORTED, XDP_TX},
    btf_maps::PerCpuArray,
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// Where the low 32 bits of the source address stand.
#[unsafe(no_mangle)]
static SOURCE_AT: Global<u32> = Global::new(0);
/// The first source, as those 32 bits.
#[unsafe(no_mangle)]
static SOURCE_FIRST: Global<u32> = Global::new(0);
/// How many sources there are.
#[unsafe(no_mangle)]
static SOURCES: Global<u32> = Global::new(1);
/// Where the checksum of the IPv4 header stands.
#[unsafe(no_mangle)]
static SUM_AT: Global<u32> = Global::new(0);
/// The sum of the header's 16-bit words without the source and the checksum.
#[unsafe(no_mangle)]
static SUM: Global<u32> = Global::new(0);
/// How many numbers there are, at most 65,536.
#[unsafe(no_mangle)]
static NUMBERS: Global<u32> = Global::new(1);
/// Where the five digits of the number stand, in the Request-URI.
#[unsafe(no_mangle)]
static NUMBER_AT: Global<u32> = Global::new(0);
/// Where they stand again, in To.
#[unsafe(no_mangle)]
static NUMBER_AGAIN_AT: Global<u32> = Global::new(0);
/// Where the eight letters of the Call-ID stand.
#[unsafe(no_mangle)]
static CALL_ID_AT: Global<u32> = Global::new(0);

/// Nanoseconds from one frame to the next; 0 where frames come as fast as they go.
#[unsafe(no_mangle)]
static EVERY: Global<u32> = Global::new(0);
/// Looks at the clock while a frame is not due: each takes 20 ns or more, so that they reach over 2 microseconds.
const LOOKS: u32 = 100;

/// When the next frame of this CPU is due.
#[btf_map]
static DUE: PerCpuArray<u64, 1> = PerCpuArray::new();

/// How many frames this CPU has made.
#[btf_map]
static MADE: PerCpuArray<u32, 1> = PerCpuArray::new();

/// Sends the frame, with what is told varied.
#[xdp]
pub fn generate(ctx: XdpContext) -> u32 {
    match vary(&ctx) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}

#[inline(always)]
fn vary(ctx: &XdpContext) -> Option<()> {
    pace()?;
    let made = MADE.get_ptr_mut(0)?;
    // SAFETY: the map gave the pointer, and the value belongs to this CPU.
    let number = unsafe { *made };
    // SAFETY: as above.
    unsafe { *made = number.wrapping_add(1) };
    // Odd factors: each walks through all of its values before it meets one again, in an order that no cache foresees.
    let source_at = SOURCE_AT.load();
    if source_at != 0 {
        let source = SOURCE_FIRST.load().wrapping_add(number.wrapping_mul(0x9e37_79b1).checked_rem(SOURCES.load())?);
        put(ctx, source_at, source.to_be_bytes())?;
        let sum_at = SUM_AT.load();
        if sum_at != 0 {
            let sum = SUM.load() + (source >> 16) + (source & 0xffff);
            let sum = (sum & 0xffff) + (sum >> 16);
            let sum = (sum & 0xffff) + (sum >> 16);
            put(ctx, sum_at, (!sum as u16).to_be_bytes())?;
        }
    }
    let number_at = NUMBER_AT.load();
    if number_at != 0 {
        // The upper half of the product, drawn to the range.
        let digits = digits((number.wrapping_mul(0x85eb_ca6b) >> 16).wrapping_mul(NUMBERS.load()) >> 16);
        put(ctx, number_at, digits)?;
        let again_at = NUMBER_AGAIN_AT.load();
        if again_at != 0 {
            put(ctx, again_at, digits)?;
        }
    }
    let call_id_at = CALL_ID_AT.load();
    if call_id_at != 0 {
        put(ctx, call_id_at, letters(number))?;
    }
    Some(())
}

/// Waits until a frame is due. The next one is due so long after this one was; what is late is not made up for.
#[inline(always)]
fn pace() -> Option<()> {
    let every = u64::from(EVERY.load());
    if every == 0 {
        return Some(());
    }
    let due = DUE.get_ptr_mut(0)?;
    // SAFETY: the map gave the pointer, and the value belongs to this CPU.
    let was = unsafe { *due };
    let mut now = 0;
    for _ in 0..LOOKS {
        // SAFETY: the helper has no preconditions.
        now = unsafe { bpf_ktime_get_ns() };
        if now >= was {
            break;
        }
    }
    let from = if now > was + every { now } else { was };
    // SAFETY: as above.
    unsafe { *due = from + every };
    Some(())
}

/// Five decimal digits of a number below 65,536.
#[inline(always)]
fn digits(number: u32) -> [u8; 5] {
    let digit = |of: u32| b'0' + (number / of % 10) as u8;
    [digit(10_000), digit(1000), digit(100), digit(10), digit(1)]
}

/// Eight letters of `a` to `p`, a letter for four bits.
#[inline(always)]
fn letters(number: u32) -> [u8; 8] {
    let low = u64::from(number);
    let spread = (low | low << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let spread = (spread | spread << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (spread + u64::from_ne_bytes([b'a'; 8])).to_ne_bytes()
}

/// Writes into the frame.
#[inline(always)]
fn put<const N: usize>(ctx: &XdpContext, at: u32, octets: [u8; N]) -> Option<()> {
    let to = ctx.data() + at as usize;
    if to + N > ctx.data_end() {
        return None;
    }
    // SAFETY: `to .. to + N` lies before the end of the packet.
    unsafe { core::ptr::write_unaligned(to as *mut [u8; N], octets) };
    Some(())
}
