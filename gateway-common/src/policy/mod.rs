//! The compiled policy, and the dialled string that is held against it.

pub mod image;
mod line;

use crate::{
    addr::Addr,
    judge,
    number::{
        plan::{self, Found, Meaning, Readings, Weight},
        shape::{LONGEST, Shape},
    },
    text::Steps,
};
use image::{DialCell, SourceEntry};

/// A policy image, and one dialled string.
pub trait Policy: Steps {
    /// Octets that a dialled string has at most.
    const OCTETS: u32 = LONGEST;

    /// A cell of the policy image, which wraps at [`CELLS`](crate::policy::image::CELLS). Every call for one packet reads
    /// the same image.
    fn cell(&self, index: u32) -> u64;

    /// The octet of the dialled string at `at & 63`.
    fn dialled(&self, at: u32) -> u8;

    /// Whether every octet of the dialled string behind a plus is a digit, so that none has to be looked at to count it.
    #[inline(always)]
    fn all_digits(&self) -> bool {
        false
    }

    /// What a dialled string means; see [`plan::meaning`].
    #[inline(always)]
    fn meaning(&self, profile: u32, shape: Shape) -> Meaning
    where
        Self: Sized,
    {
        plan::meaning(self, profile, shape)
    }

    /// Where numbers may begin; see [`plan::read`].
    #[inline(always)]
    fn readings(&self, plan: u64, shape: Shape) -> Readings
    where
        Self: Sized,
    {
        plan::read(self, plan, shape)
    }

    /// What digits mean that no codes resolve; see [`plan::junk`].
    #[inline(always)]
    fn junk(&self, profile: u32, shape: Shape) -> Meaning
    where
        Self: Sized,
    {
        plan::junk(self, profile, shape)
    }

    /// The readings that begin at one octet; see [`plan::mark`].
    #[inline(always)]
    fn mark(&self, cell: DialCell, readings: Readings, at: u32, octet: u8) -> Readings {
        plan::mark(cell, readings, at, octet)
    }

    /// The rule on a dialled string; see [`plan::dial_rule`].
    #[inline(always)]
    fn dial_rule(&self, start: u32, shape: Shape) -> u64
    where
        Self: Sized,
    {
        plan::dial_rule(self, start, shape)
    }

    /// What one reading weighs; see [`plan::weigh`].
    #[inline(always)]
    fn weigh(&self, profile: u32, word: u64) -> Weight
    where
        Self: Sized,
    {
        plan::weigh(self, profile, word)
    }

    /// The vector of a number; see [`plan::look_up`].
    #[inline(always)]
    fn look_up(&self, from: u32, span: u32) -> Found
    where
        Self: Sized,
    {
        plan::look_up(self, from, span)
    }

    /// What the policy says of a source; see [`judge::source_entry`].
    #[inline(always)]
    fn source_entry(&self, addr: Addr) -> SourceEntry
    where
        Self: Sized,
    {
        judge::source_entry(self, addr)
    }
}
