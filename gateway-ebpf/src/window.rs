//! The message in a per-CPU copy, and the exported functions that run over it.
//!
//! An exported function is verified once, with arguments that are unknown scalars, and returns an unknown scalar: all
//! paths merge at the call. Each finds the copy by itself.

use gateway_common::{
    call::Call,
    dialog::Dialog,
    judge::{Bill, Places},
    judged::Judged,
    number::shape,
    sip::{
        headers::{self, Headers, PLACES, Wanted},
        parameter,
        scan::{self, StartLine},
        target::{self, Target},
        words,
    },
    site::Site,
    text::{DIALLED, Steps, Text, WINDOW},
    wire::{Datagram, Frame},
};

use crate::maps::SCRATCH;

/// Octets of the copy: an index is masked to 4,095, and a word can be read there.
const COPY: usize = 4096 + 16;
const _: () = assert!(WINDOW as usize + 16 <= COPY && DIALLED == 64, "an index would be masked to another place");
const _: () = assert!(PLACES == 32 && core::mem::offset_of!(Scratch, headers) % 8 == 0, "headers are cleared by words");

/// What one packet needs on one CPU.
#[repr(C)]
pub(crate) struct Scratch {
    /// The first octets of the payload, zeros behind.
    pub(crate) text: [u8; COPY],
    /// The dialled string of the place at hand.
    pub(crate) dialled: [u8; DIALLED],
    /// Octets of `text` in use.
    pub(crate) len: u32,
    /// Whether the message ends within the window.
    pub(crate) whole: u32,
    /// Always zero, which only we know.
    pub(crate) zero: u64,
    /// What the dialled string is.
    pub(crate) shape: u64,
    /// Where it came in, as a [`crate::told::Told`].
    pub(crate) told: u64,
    /// Nanoseconds that a probe gives, or 0.
    pub(crate) now: u64,
    /// What the short way said, which a probe compares, and under which generation of the policy.
    pub(crate) short: u64,
    pub(crate) generation: u64,
    /// Where the message came from.
    pub(crate) datagram: Datagram,
    /// Where headers were found.
    pub(crate) headers: Headers,
    /// What is known of the places judged so far.
    pub(crate) places: Places,
    pub(crate) bill: Bill,
    /// What names the call of the message.
    pub(crate) dialog: Dialog,
    /// What stands for what was learned of the site where the map does not say.
    pub(crate) no_site: Site,
    /// A call to be kept.
    pub(crate) call: Call,
    /// What was decided.
    pub(crate) judged: Judged,
    /// What was decided about an earlier message of the same segment.
    pub(crate) kept: Judged,
}

/// The per-CPU copy of this CPU.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) scratch: *mut Scratch,
}

impl Window {
    #[inline(always)]
    pub(crate) fn of_this_cpu() -> Option<Self> {
        // The map gave the pointer, and nothing else on this CPU uses it while the program runs.
        Some(Self { scratch: SCRATCH.get_ptr_mut(0)? })
    }

    /// The octet of the dialled string at `at & 63`.
    #[inline(always)]
    pub(crate) fn dialled(&self, at: u32) -> u8 {
        let at = masked!(at, 63);
        // SAFETY: the index is masked to the array.
        unsafe { *(&raw const (*self.scratch).dialled).cast::<u8>().add(at) }
    }
}

/// The counter, moved to itself: the compiler cannot unroll on it, the verifier still sees it count.
#[inline(always)]
pub(crate) fn rolled(counter: u32) -> u32 {
    let mut counter = counter as u64;
    // SAFETY: a register moved to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) counter) };
    counter as u32
}

/// The index, masked by an instruction that the compiler cannot move, merge or take away: it knows bounds that the
/// verifier does not.
macro_rules! masked {
    ($index:expr, $mask:literal) => {{
        let mut index = $index as u64;
        // SAFETY: one `and` on a register.
        unsafe { core::arch::asm!(concat!("{0} &= ", $mask), inout(reg) index) };
        index as usize
    }};
}
pub(crate) use masked;

impl Steps for Window {
    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        // Read anew each time: kept, it would take a place on every stack.
        // SAFETY: as in `of_this_cpu`.
        value ^ unsafe { core::ptr::read_volatile(&raw const (*self.scratch).zero) }
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}

impl Text for Window {
    #[inline(always)]
    fn len(&self) -> u32 {
        // SAFETY: as in `of_this_cpu`.
        unsafe { (*self.scratch).len }
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        // SAFETY: as in `of_this_cpu`.
        unsafe { (*self.scratch).whole != 0 }
    }

    #[inline(always)]
    fn octet(&self, at: u32) -> Option<u8> {
        if at >= self.len() {
            return None;
        }
        let at = masked!(at, 4095);
        // SAFETY: the index is masked to the copy.
        Some(unsafe { *(&raw const (*self.scratch).text).cast::<u8>().add(at) })
    }

    #[inline(always)]
    fn word(&self, at: u32) -> u64 {
        let at = masked!(at, 4095);
        // SAFETY: the index is masked to the copy, in which a word can be read.
        unsafe { core::ptr::read_unaligned((&raw const (*self.scratch).text).cast::<u8>().add(at).cast()) }
    }

    #[inline(always)]
    fn set_dialled(&mut self, at: u32, octet: u8) {
        let at = masked!(at, 63);
        // SAFETY: the index is masked to the array.
        unsafe { *(&raw mut (*self.scratch).dialled).cast::<u8>().add(at) = octet };
    }

    #[inline(always)]
    fn set_dialled_word(&mut self, at: u32, octets: u64) {
        let at = masked!(at, 56);
        // SAFETY: the index is masked so that a word is left of the array.
        unsafe {
            core::ptr::write_unaligned((&raw mut (*self.scratch).dialled).cast::<u8>().add(at).cast(), octets);
        }
    }

    #[inline(always)]
    fn step(&self, machine: u32, state: u64, octet: u32, at: u32) -> u64 {
        tg_step(machine, state, octet, at)
    }

    #[inline(always)]
    fn scan(&mut self, machine: u32, at: u32, end: u32, state: u64) -> u64 {
        tg_scan(machine, at, end, state)
    }

    #[inline(always)]
    fn dial(&mut self, at: u32, end: u32, state: u64) -> u64 {
        tg_dial(at, end, state)
    }

    #[inline(always)]
    fn target(&mut self, at: u32) -> Target {
        let head = tg_target(at);
        // SAFETY: as in `of_this_cpu`.
        Target { head, shape: unsafe { (*self.scratch).shape } }
    }

    #[inline(always)]
    fn routing_number(&mut self, at: u32, context_at: u32) -> Target {
        let head = tg_routing_number(at, context_at);
        // SAFETY: as in `of_this_cpu`.
        Target { head, shape: unsafe { (*self.scratch).shape } }
    }

    #[inline(always)]
    fn found(&mut self, header: u32) -> &mut u32 {
        let header = masked!(header, 31);
        // SAFETY: the index is masked to the array.
        unsafe { &mut *(&raw mut (*self.scratch).headers).cast::<u32>().add(header) }
    }

    #[inline(always)]
    fn forget_headers(&mut self) {
        let mut i = 0;
        while i < PLACES / 2 {
            // SAFETY: as in `of_this_cpu`; volatile, or the compiler calls a function that goes octet by octet.
            unsafe { (&raw mut (*self.scratch).headers).cast::<u64>().add(i).write_volatile(0) };
            i += 1;
        }
    }

    #[inline(always)]
    fn walk(&mut self, at: u32, wanted: Wanted) {
        tg_walk(at, wanted as u32);
    }

    #[inline(always)]
    fn header(&mut self, line: u32) {
        tg_header(line);
    }

    #[inline(always)]
    fn first_line(&mut self, at: u32) -> StartLine {
        StartLine(tg_first_line(at))
    }

    #[inline(always)]
    fn uri(&mut self, at: u32, end: u32) -> u64 {
        tg_uri(at, end)
    }

    #[inline(always)]
    fn span(&self, at: u32, end: u32, seed: u64) -> u64 {
        tg_span(at, end, seed)
    }

    #[inline(always)]
    fn decimal(&mut self, value: u32) -> u64 {
        tg_decimal(value)
    }

    #[inline(always)]
    fn digest(&mut self, machine: u32, at: u32, start: u64, seed: u64) -> u64 {
        tg_digest(machine, at, start, seed)
    }

    #[inline(always)]
    fn user(&mut self, at: u32, seed: u64) -> u64 {
        tg_user(at, seed)
    }

    #[inline(always)]
    fn next_line(&mut self, at: u32) -> u32 {
        tg_next_line(at)
    }
}

/// Finds method and Request-URI.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_first_line(at: u32) -> u64 {
    match Window::of_this_cpu() {
        Some(mut window) => scan::first_line(&mut window, at).0,
        None => 0,
    }
}

/// Finds what bounds the user part of a URI.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_uri(at: u32, end: u32) -> u64 {
    match Window::of_this_cpu() {
        Some(mut window) => words::uri(&mut window, at, end),
        None => 0,
    }
}

/// A digest of octets of the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_span(at: u32, end: u32, seed: u64) -> u64 {
    match Window::of_this_cpu() {
        Some(window) => parameter::span(&window, at, end, seed),
        None => 0,
    }
}

/// The number that a header's value begins with.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_decimal(value: u32) -> u64 {
    match Window::of_this_cpu() {
        Some(mut window) => headers::decimal(&mut window, value),
        None => headers::NO_NUMBER,
    }
}

/// The digest of a word.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_digest(machine: u32, at: u32, start: u64, seed: u64) -> u64 {
    match Window::of_this_cpu() {
        Some(mut window) => parameter::digest(&mut window, machine, at, start, seed),
        None => 0,
    }
}

/// The digest of a user part.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_user(at: u32, seed: u64) -> u64 {
    match Window::of_this_cpu() {
        Some(mut window) => parameter::user(&mut window, at, seed),
        None => 0,
    }
}

/// One step of an automaton.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_step(machine: u32, state: u64, octet: u32, at: u32) -> u64 {
    scan::step(machine, state, octet, at)
}

/// Runs an automaton over the window.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_scan(machine: u32, at: u32, end: u32, state: u64) -> u64 {
    match Window::of_this_cpu() {
        Some(window) => scan::run(&window, machine, at, end, state),
        None => state,
    }
}

/// Reads a dialled string.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_dial(at: u32, end: u32, state: u64) -> u64 {
    match Window::of_this_cpu() {
        Some(mut window) => shape::run(&mut window, at, end, state),
        None => state,
    }
}

/// Keeps the shape in the scratch, and returns the rest.
#[inline(always)]
fn returned(window: &Window, target: Target) -> u64 {
    // SAFETY: as in `of_this_cpu`.
    unsafe { (*window.scratch).shape = target.shape };
    target.head
}

/// Reads a URI.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_target(at: u32) -> u64 {
    let Some(mut window) = Window::of_this_cpu() else { return 0 };
    let target = target::read(&mut window, at);
    returned(&window, target)
}

/// Reads a routing number.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_routing_number(at: u32, context_at: u32) -> u64 {
    let Some(mut window) = Window::of_this_cpu() else { return 0 };
    let target = target::read_value(&mut window, at, context_at);
    returned(&window, target)
}

/// Walks the headers.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_walk(at: u32, wanted: u32) -> u64 {
    let Some(mut window) = Window::of_this_cpu() else { return 0 };
    let wanted = if wanted == Wanted::Contact as u32 { Wanted::Contact } else { Wanted::All };
    headers::lines(&mut window, at, wanted);
    1
}

/// Notes the header in one line.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_header(line: u32) -> u64 {
    let Some(mut window) = Window::of_this_cpu() else { return 0 };
    headers::header(&mut window, line);
    1
}

/// Finds the next line.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn tg_next_line(at: u32) -> u32 {
    match Window::of_this_cpu() {
        Some(window) => headers::next_line(&window, at),
        None => at,
    }
}

/// The head of a frame in the window, and where the cursor stands.
pub(crate) struct Head {
    window: Window,
    at: u32,
}

impl Head {
    /// A cursor at the start of the frame.
    #[inline(always)]
    pub(crate) const fn new(window: Window) -> Self {
        Self { window, at: 0 }
    }

    #[inline(always)]
    fn at(&self, offset: usize, size: u32) -> Option<*const u8> {
        let from = self.at.wrapping_add(offset as u32);
        if from > WINDOW || from.wrapping_add(size) > self.window.len() {
            return None;
        }
        let from = masked!(from, 4095);
        // SAFETY: the index is masked to the copy, in which a word can be read.
        Some(unsafe { (&raw const (*self.window.scratch).text).cast::<u8>().add(from) })
    }
}

impl Frame for Head {
    #[inline(always)]
    fn u8(&self, at: usize) -> Option<u8> {
        // SAFETY: `at` checked the octet.
        self.at(at, 1).map(|from| unsafe { *from })
    }

    #[inline(always)]
    fn u16(&self, at: usize) -> Option<u16> {
        // SAFETY: `at` checked the octets.
        self.at(at, 2).map(|from| u16::from_be(unsafe { core::ptr::read_unaligned(from.cast()) }))
    }

    #[inline(always)]
    fn u32(&self, at: usize) -> Option<u32> {
        // SAFETY: `at` checked the octets.
        self.at(at, 4).map(|from| u32::from_be(unsafe { core::ptr::read_unaligned(from.cast()) }))
    }

    #[inline(always)]
    fn u64(&self, at: usize) -> Option<u64> {
        // SAFETY: `at` checked the octets.
        self.at(at, 8).map(|from| u64::from_be(unsafe { core::ptr::read_unaligned(from.cast()) }))
    }

    #[inline(always)]
    fn skip(&mut self, octets: usize) {
        self.at = self.window.opaque(self.at.wrapping_add(octets as u32) as u64) as u32;
    }

    #[inline(always)]
    fn offset(&self) -> u32 {
        self.at
    }

    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        self.window.opaque(value)
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        rolled(counter)
    }
}
