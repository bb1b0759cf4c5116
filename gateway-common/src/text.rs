//! The window over a message, and the automata that run over it.
//!
//! Text is read by automata whose whole step is one function of scalars (`step`): the verifier of Linux 6.1 merges all
//! paths at the call, so a loop over the window costs it a few instructions an octet. The state is one word; the loop
//! tests one bit of it.

use crate::sip::{
    headers::{self, Wanted},
    parameter,
    scan::{self, StartLine},
    target::{self, Target},
    words,
};

/// Octets of a message that are read, the same for every reader; what lies behind is not seen.
pub const WINDOW: u32 = 2048;

/// Octets of a dialled string that are kept, a power of two; longer ones are malformed.
pub const DIALLED: usize = 64;

/// The bit of an automaton's state that ends its loop.
pub const STOP: u64 = 1 << 63;

/// What the kernel's verifier and the compiler in front of it are told; on the host nothing.
pub trait Steps {
    /// The value, of which neither the compiler nor the verifier knows anything any more: paths that differ only in it
    /// merge.
    #[inline(always)]
    fn opaque(&self, value: u64) -> u64 {
        value
    }

    /// A loop's counter, which the compiler shall not unroll; the verifier still sees it count.
    #[inline(always)]
    fn rolled(&self, counter: u32) -> u32 {
        counter
    }
}

/// A message in the window, and where the dialled string read from it is put.
#[expect(clippy::len_without_is_empty, reason = "an empty message is read like any other")]
pub trait Text: Steps {
    /// Octets of the message within the window.
    fn len(&self) -> u32;

    /// Whether the message ends within the window.
    fn is_whole(&self) -> bool;

    /// The octet at `at`, `None` from `len` on.
    fn octet(&self, at: u32) -> Option<u8>;

    /// Eight octets from `at`, the first in the lowest byte. Sixteen from `len` on are zero, and what is behind them is not
    /// said.
    fn word(&self, at: u32) -> u64;

    /// Sets the octet of the dialled string at `at & 63`.
    fn set_dialled(&mut self, at: u32, octet: u8);

    /// Sets eight octets of the dialled string from `at & 56` on.
    #[inline(always)]
    fn set_dialled_word(&mut self, at: u32, octets: u64) {
        for (i, octet) in octets.to_le_bytes().into_iter().enumerate() {
            self.set_dialled((at & !7) + i as u32, octet);
        }
    }

    /// One step of an automaton; see [`scan::step`].
    #[inline(always)]
    fn step(&self, machine: u32, state: u64, octet: u32, at: u32) -> u64 {
        scan::step(machine, state, octet, at)
    }

    /// Runs `machine` from `at` to `end` or until it stops, and returns its last state.
    #[inline(always)]
    fn scan(&mut self, machine: u32, at: u32, end: u32, state: u64) -> u64 {
        scan::run(self, machine, at, end, state)
    }

    /// Runs the automaton of dialled strings from `at` to `end`; see [`crate::number::shape`].
    #[inline(always)]
    fn dial(&mut self, at: u32, end: u32, state: u64) -> u64 {
        crate::number::shape::run(self, at, end, state)
    }

    /// Reads the URI that begins at `at`; see [`target::read`].
    #[inline(always)]
    fn target(&mut self, at: u32) -> Target {
        target::read(self, at)
    }

    /// Reads a routing number; see [`target::read_value`].
    #[inline(always)]
    fn routing_number(&mut self, at: u32, context_at: u32) -> Target {
        target::read_value(self, at, context_at)
    }

    /// Where the value of a header was found, by a constant of [`headers`]; 0 where it was not, as in a text that is new.
    fn found(&mut self, header: u32) -> &mut u32;

    /// Forgets where headers were found.
    #[inline(always)]
    fn forget_headers(&mut self) {
        for header in 0..headers::PLACES as u32 {
            *self.found(header) = 0;
        }
    }

    /// Walks the headers behind the line that `at` is in; see [`headers::lines`].
    #[inline(always)]
    fn walk(&mut self, at: u32, wanted: Wanted) {
        headers::lines(self, at, wanted);
    }

    /// Notes the header in one line; see [`headers::header`].
    #[inline(always)]
    fn header(&mut self, line: u32) {
        headers::header(self, line);
    }

    /// The decimal number that a header's value begins with; see [`headers::decimal`].
    #[inline(always)]
    fn decimal(&mut self, value: u32) -> u64 {
        headers::decimal(self, value)
    }

    /// Finds method and Request-URI of the message at `at`; see [`scan::first_line`].
    #[inline(always)]
    fn first_line(&mut self, at: u32) -> StartLine {
        scan::first_line(self, at)
    }

    /// What bounds the user part of a URI; see [`words::uri`].
    #[inline(always)]
    fn uri(&mut self, at: u32, end: u32) -> u64 {
        words::uri(self, at, end)
    }

    /// A digest of the octets from `at` to `end`; see [`parameter::span`].
    #[inline(always)]
    fn span(&self, at: u32, end: u32, seed: u64) -> u64 {
        parameter::span(self, at, end, seed)
    }

    /// The digest of a word; see [`parameter::digest`].
    #[inline(always)]
    fn digest(&mut self, machine: u32, at: u32, start: u64, seed: u64) -> u64 {
        parameter::digest(self, machine, at, start, seed)
    }

    /// The digest of a user part; see [`parameter::user`].
    #[inline(always)]
    fn user(&mut self, at: u32, seed: u64) -> u64 {
        parameter::user(self, at, seed)
    }

    /// The start of the line behind the one that `at` is in, or `len`.
    #[inline(always)]
    fn next_line(&mut self, at: u32) -> u32 {
        headers::next_line(self, at)
    }
}
