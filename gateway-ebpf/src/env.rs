//! The kernel's environment: policy image, state, clock.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use gateway_common::{
    Reason, Verdict,
    addr::Addr,
    call::{Call, Digest},
    dialog::Dialog,
    env::Env,
    judge::{self, Arrival, Asker, Bill, Charge, Decision, Finding, Floor, Front, Places, Request},
    judged::Judged,
    limit::{
        CellKey,
        heard::Entry,
        window::{Answer, How},
    },
    number::{
        plan::{Found, Meaning, Readings, Weight},
        shape::Shape,
    },
    policy::{
        Policy,
        image::{Action, CELLS, DialCell, LineEntry, SWITCHES, SourceEntry},
    },
    sip::{headers::Wanted, scan::StartLine, target::Target},
    site::Site,
    text::{Steps, Text},
    wire::Datagram,
};

use crate::{
    calls::{find, site, tg_again, tg_is_known, tg_keep_call, tg_know},
    canonical::PASSED,
    cells::{named, tg_is_over, tg_take},
    channels::{tg_channel, tg_channels, tg_seize},
    exported::{
        message, tg_dial_rule, tg_junk, tg_limit, tg_limits, tg_line, tg_look_up, tg_mark, tg_meaning, tg_place,
        tg_readings, tg_rule, tg_source, tg_weigh,
    },
    facts::{tg_failed_at, tg_give, tg_given, tg_note_failed, tg_note_present, tg_present_until},
    front::{heard, tg_front, tg_hear, tg_is_used_up},
    maps::Image,
    told::Told,
    window::{Scratch, Window, masked},
    windows::{tg_floor, tg_is_banned, tg_window},
};

const _: () = assert!(CELLS == 4_194_304, "a cell's index would be masked to another image");

/// Everything one packet needs.
pub(crate) struct Kernel {
    pub(crate) window: Window,
    pub(crate) image: *const Image,
}

impl Steps for Kernel {
    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        self.window.opaque(value)
    }

    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        self.window.rolled(counter)
    }
}

impl Text for Kernel {
    #[inline(always)]
    fn len(&self) -> u32 {
        self.window.len()
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.window.is_whole()
    }

    #[inline(always)]
    fn octet(&self, at: u32) -> Option<u8> {
        self.window.octet(at)
    }

    #[inline(always)]
    fn word(&self, at: u32) -> u64 {
        self.window.word(at)
    }

    #[inline(always)]
    fn set_dialled(&mut self, at: u32, octet: u8) {
        self.window.set_dialled(at, octet);
    }

    #[inline(always)]
    fn set_dialled_word(&mut self, at: u32, octets: u64) {
        self.window.set_dialled_word(at, octets);
    }

    #[inline(always)]
    fn step(&self, machine: u32, state: u64, octet: u32, at: u32) -> u64 {
        self.window.step(machine, state, octet, at)
    }

    #[inline(always)]
    fn scan(&mut self, machine: u32, at: u32, end: u32, state: u64) -> u64 {
        self.window.scan(machine, at, end, state)
    }

    #[inline(always)]
    fn dial(&mut self, at: u32, end: u32, state: u64) -> u64 {
        self.window.dial(at, end, state)
    }

    #[inline(always)]
    fn target(&mut self, at: u32) -> Target {
        self.window.target(at)
    }

    #[inline(always)]
    fn routing_number(&mut self, at: u32, context_at: u32) -> Target {
        self.window.routing_number(at, context_at)
    }

    #[inline(always)]
    fn found(&mut self, header: u32) -> &mut u32 {
        self.window.found(header)
    }

    #[inline(always)]
    fn forget_headers(&mut self) {
        self.window.forget_headers();
    }

    #[inline(always)]
    fn walk(&mut self, at: u32, wanted: Wanted) {
        self.window.walk(at, wanted);
    }

    #[inline(always)]
    fn header(&mut self, line: u32) {
        self.window.header(line);
    }

    #[inline(always)]
    fn first_line(&mut self, at: u32) -> StartLine {
        self.window.first_line(at)
    }

    #[inline(always)]
    fn uri(&mut self, at: u32, end: u32) -> u64 {
        self.window.uri(at, end)
    }

    #[inline(always)]
    fn span(&self, at: u32, end: u32, seed: u64) -> u64 {
        self.window.span(at, end, seed)
    }

    #[inline(always)]
    fn decimal(&mut self, value: u32) -> u64 {
        self.window.decimal(value)
    }

    #[inline(always)]
    fn digest(&mut self, machine: u32, at: u32, start: u64, seed: u64) -> u64 {
        self.window.digest(machine, at, start, seed)
    }

    #[inline(always)]
    fn user(&mut self, at: u32, seed: u64) -> u64 {
        self.window.user(at, seed)
    }

    #[inline(always)]
    fn next_line(&mut self, at: u32) -> u32 {
        self.window.next_line(at)
    }
}

impl Policy for Kernel {
    #[inline(always)]
    fn cell(&self, index: u32) -> u64 {
        cell(self.image, index)
    }

    #[inline(always)]
    fn meaning(&self, profile: u32, shape: Shape) -> Meaning {
        Meaning(tg_meaning(self.image, profile, shape.0))
    }

    #[inline(always)]
    fn readings(&self, plan: u64, shape: Shape) -> Readings {
        Readings(tg_readings(self.image, plan, shape.0))
    }

    #[inline(always)]
    fn junk(&self, profile: u32, shape: Shape) -> Meaning {
        Meaning(tg_junk(self.image, profile, shape.0))
    }

    #[inline(always)]
    fn mark(&self, cell: DialCell, readings: Readings, at: u32, octet: u8) -> Readings {
        Readings(tg_mark(cell.0, readings.0, at, octet as u32))
    }

    #[inline(always)]
    fn dial_rule(&self, start: u32, shape: Shape) -> u64 {
        tg_dial_rule(self.image, start, shape.0)
    }

    #[inline(always)]
    fn weigh(&self, profile: u32, word: u64) -> Weight {
        Weight(tg_weigh(self.image, profile, word))
    }

    #[inline(always)]
    fn look_up(&self, from: u32, span: u32) -> Found {
        Found(tg_look_up(self.image, from, span))
    }

    #[inline(always)]
    fn dialled(&self, at: u32) -> u8 {
        self.window.dialled(at)
    }

    #[inline(always)]
    fn source_entry(&self, addr: Addr) -> SourceEntry {
        SourceEntry(tg_source(self.image, addr.hi, addr.lo))
    }
}

impl Env for Kernel {
    #[inline(always)]
    fn message(&mut self, _: &Datagram, arrival: Arrival, from: u32) -> Decision {
        decision(message(self.image, Told::new(arrival).from(from).0))
    }

    #[inline(always)]
    fn bill(&mut self) -> &mut Bill {
        // SAFETY: as in `judged`.
        unsafe { &mut (*self.window.scratch).bill }
    }

    #[inline(always)]
    fn place(&mut self, profile: u32, asker: Asker, request: Request) -> bool {
        tg_place(self.image, profile, asker.0, request.0) != 0
    }

    #[inline(always)]
    fn places(&mut self) -> &mut Places {
        // SAFETY: as in `judged`.
        unsafe { &mut (*self.window.scratch).places }
    }

    #[inline(always)]
    fn number(&self, profile: u32, target: Target) -> Meaning {
        Meaning(self.opaque(judge::number(self, profile, target).0))
    }

    #[inline(always)]
    fn rule(&self, asker: Asker, action: Action, place: u64) -> Finding {
        Finding(tg_rule(asker.0, action.0, place))
    }

    #[inline(always)]
    fn limit(&mut self, profile: u32, asker: Asker, charge: Charge, now: u64) -> u64 {
        tg_limit(self.image, profile, asker.0, charge.0, now)
    }

    #[inline(always)]
    fn limits(&mut self, profile: u32, asker: Asker, request: Charge) -> u64 {
        tg_limits(self.image, profile, asker.0, request.0)
    }

    #[inline(always)]
    fn floor(&mut self, ask: Floor, now: u64) -> u64 {
        tg_floor(self.image, ask as u64, now)
    }

    #[inline(always)]
    fn channel(&mut self, profile: u32, asker: Asker, charge: Charge, call: Digest) -> u64 {
        tg_channel(self.image, profile, asker.0, charge.0, call)
    }

    #[inline(always)]
    fn channels(&mut self, call: Digest) -> u64 {
        tg_channels(self.image, call)
    }

    #[inline(always)]
    fn seize(&mut self, key: &CellKey, most: u32, call: Digest) -> bool {
        tg_seize(self.image, named(key), key.value, most, call) != 0
    }

    #[inline(always)]
    fn window(&mut self, key: &CellKey, how: How, now: u64) -> Answer {
        Answer::from_u64(tg_window(self.image, named(key), key.value, how.0, now))
    }

    #[inline(always)]
    fn now(&mut self) -> u64 {
        now(self.window.scratch)
    }

    #[inline(always)]
    fn is_over(&mut self, key: &CellKey, now: u64, tolerance: u64) -> bool {
        tg_is_over(named(key), key.value, now, tolerance) != 0
    }

    #[inline(always)]
    fn take(&mut self, key: &CellKey, now: u64, interval: u64, tolerance: u64) -> bool {
        tg_take(named(key), key.value, now, interval, tolerance) != 0
    }

    #[inline(always)]
    fn site(&mut self) -> &mut Site {
        // SAFETY: as in `judged`.
        unsafe { &mut *site(self.window.scratch) }
    }

    #[inline(always)]
    fn is_known(&mut self, source: Addr) -> bool {
        tg_is_known(source.hi, source.lo) != 0
    }

    #[inline(always)]
    fn know(&mut self, source: Addr, until: u64) {
        tg_know(source.hi, source.lo, until);
    }

    #[inline(always)]
    fn failed_at(&self, attempt: Digest) -> u64 {
        tg_failed_at(attempt)
    }

    #[inline(always)]
    fn note_failed(&mut self, attempt: Digest, at: u64) {
        tg_note_failed(attempt, at);
    }

    #[inline(always)]
    fn given(&self, what: Digest) -> u64 {
        tg_given(what)
    }

    #[inline(always)]
    fn give(&mut self, what: Digest, source: u64) {
        tg_give(what, source);
    }

    #[inline(always)]
    fn present_until(&self, source: u64) -> u64 {
        tg_present_until(source)
    }

    #[inline(always)]
    fn note_present(&mut self, source: u64, until: u64) {
        tg_note_present(source, until);
    }

    #[inline(always)]
    fn heard(&self, source: u64) -> Entry {
        heard(source)
    }

    #[inline(always)]
    fn hear(&mut self, source: u64, entry: Entry, now: u64) {
        tg_hear(source, entry.0, now);
    }

    #[inline(always)]
    fn front(&mut self, src: Addr, asked: Front, now: u64) -> Asker {
        // SAFETY: the pointer is the per-CPU scratch of this program run.
        let (short, generation) = unsafe { ((*self.window.scratch).short, (*self.window.scratch).generation) };
        // The short way has asked the same policy already.
        if short & PASSED != 0 && generation == self::generation(self.image) {
            return asked.with(short & 0xffff_ffff);
        }
        Asker(tg_front(self.image, src.hi, src.lo, asked.0, now))
    }

    #[inline(always)]
    fn is_used_up(&mut self, src: Addr, asked: Front, now: u64) -> u64 {
        tg_is_used_up(self.image, src.hi, src.lo, asked.0, now)
    }

    #[inline(always)]
    fn is_banned(&self, source: u64, now: u64) -> bool {
        tg_is_banned(source, now) != 0
    }

    #[inline(always)]
    fn dialog(&mut self) -> &mut Dialog {
        // SAFETY: as in `judged`.
        unsafe { &mut (*self.window.scratch).dialog }
    }

    #[inline(always)]
    fn call(&mut self, id: Digest) -> Option<&mut Call> {
        find(id)
    }

    #[inline(always)]
    fn fresh_call(&mut self) -> (&mut Call, &Dialog) {
        // SAFETY: as in `judged`; they are two parts of it.
        unsafe { (&mut (*self.window.scratch).call, &(*self.window.scratch).dialog) }
    }

    #[inline(always)]
    fn keep_call(&mut self, own: bool, id: Digest) {
        tg_keep_call(own as u32, id);
    }

    #[inline(always)]
    fn again(&mut self, _: &Datagram, at: u32, who: u8) -> u64 {
        tg_again(self.image, at, who as u32)
    }

    #[inline(always)]
    fn line(&self, key: u64) -> LineEntry {
        LineEntry(tg_line(self.image, key))
    }

    #[inline(always)]
    fn judged(&mut self) -> &mut Judged {
        // SAFETY: the map gave the pointer, and nothing else on this CPU uses the record while the program runs.
        unsafe { &mut (*self.window.scratch).judged }
    }

    #[inline(always)]
    fn keep_dialled(&mut self) {
        let scratch = self.window.scratch;
        // SAFETY: as in `judged`; both arrays are of the same length, and do not overlap.
        unsafe {
            let from = (&raw const (*scratch).dialled).cast::<[u64; 8]>();
            let to = (&raw mut (*scratch).judged.dialled).cast::<[u64; 8]>();
            core::ptr::copy_nonoverlapping(from, to, 1);
        }
    }

    #[inline(always)]
    fn kept(&mut self) -> &mut Judged {
        // SAFETY: as in `judged`.
        unsafe { &mut (*self.window.scratch).kept }
    }

    #[inline(always)]
    fn keep_judged(&mut self) {
        let scratch = self.window.scratch;
        // SAFETY: as in `judged`; the two records do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(&raw const (*scratch).judged, &raw mut (*scratch).kept, 1) };
    }

    #[inline(always)]
    fn restore_judged(&mut self) {
        let scratch = self.window.scratch;
        // SAFETY: as in `judged`; the two records do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(&raw const (*scratch).kept, &raw mut (*scratch).judged, 1) };
    }
}

/// The generation of an image, and its switches.
#[inline(always)]
pub(crate) fn generation(image: *const Image) -> u64 {
    cell(image, SWITCHES)
}

/// Nanoseconds of the clock, read once a packet.
#[inline(always)]
pub(crate) fn now(scratch: *mut Scratch) -> u64 {
    // SAFETY: the pointer is the per-CPU scratch of this program run.
    let now = unsafe { &mut (*scratch).now };
    if *now == 0 {
        // SAFETY: the helper has no preconditions.
        *now = unsafe { bpf_ktime_get_ns() };
    }
    *now
}

/// Verdict and reason, a byte each.
#[inline(always)]
pub(crate) const fn decided((verdict, reason): Decision) -> u64 {
    verdict as u64 | (reason as u64) << 8
}

/// The decision in the answer of an exported function.
#[inline(always)]
fn decision(told: u64) -> Decision {
    let verdict = Verdict::from_u8(told as u8).unwrap_or(Verdict::Pass);
    (verdict, Reason::from_u8((told >> 8) as u8).unwrap_or(Reason::NotSip))
}

/// The image that an exported function was given.
#[inline(always)]
fn given(image: *const Image) -> Option<*const Image> {
    // The compiler sees only callers that pass an image and would take the check away, which the verifier needs.
    let mut image = image;
    // SAFETY: a register moved to itself.
    unsafe { core::arch::asm!("{0} = {0}", inout(reg) image) };
    if image.is_null() { None } else { Some(image) }
}

/// The environment of an exported function that works on the image.
#[inline(always)]
pub(crate) fn with_image(image: *const Image) -> Option<Kernel> {
    Some(Kernel { image: given(image)?, window: Window::of_this_cpu()? })
}

/// A policy alone, before anything is dialled.
pub(crate) struct Bare(*const Image);

impl Bare {
    /// The policy that an exported function was given.
    #[inline(always)]
    pub(crate) fn new(image: *const Image) -> Option<Self> {
        given(image).map(Self)
    }

    /// The image.
    #[inline(always)]
    pub(crate) const fn image(&self) -> *const Image {
        self.0
    }
}

impl Steps for Bare {}

impl Policy for Bare {
    #[inline(always)]
    fn cell(&self, index: u32) -> u64 {
        cell(self.0, index)
    }

    #[inline(always)]
    fn dialled(&self, _: u32) -> u8 {
        0
    }
}

#[inline(always)]
fn cell(image: *const Image, index: u32) -> u64 {
    let index = masked!(index, 4194303);
    // SAFETY: the map gave the pointer; the index is masked to the image, and a reader never sees it change.
    unsafe { *(&raw const (*image).cells).cast::<u64>().add(index) }
}
