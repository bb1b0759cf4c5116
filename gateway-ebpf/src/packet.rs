//! The frame by packet pointers.

use aya_ebpf::programs::XdpContext;
use gateway_common::wire::Frame;

/// A cursor over the linear part of a frame.
///
/// Every read compares `at + offset + size` with the end of the packet and casts the same sum: the form in which the
/// verifier follows the bound through variable offsets.
pub(crate) struct Packet {
    at: usize,
    /// Octets in front of `at`, counted apart: a difference of pointers would be narrowed to 32 bits, which the verifier
    /// refuses.
    offset: u32,
    end: usize,
}

impl Packet {
    #[inline(always)]
    pub(crate) fn new(ctx: &XdpContext) -> Self {
        Self { at: ctx.data(), offset: 0, end: ctx.data_end() }
    }

    #[inline(always)]
    fn read<T: Copy>(&self, offset: usize) -> Option<T> {
        let from = self.at + offset;
        if from + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: `from .. from + size` lies before the end of the packet, and any octets are a valid integer.
        Some(unsafe { core::ptr::read_unaligned(from as *const T) })
    }
}

impl Frame for Packet {
    #[inline(always)]
    fn u8(&self, at: usize) -> Option<u8> {
        self.read(at)
    }

    #[inline(always)]
    fn u16(&self, at: usize) -> Option<u16> {
        self.read(at).map(u16::from_be)
    }

    #[inline(always)]
    fn u32(&self, at: usize) -> Option<u32> {
        self.read(at).map(u32::from_be)
    }

    #[inline(always)]
    fn u64(&self, at: usize) -> Option<u64> {
        self.read(at).map(u64::from_be)
    }

    #[inline(always)]
    fn skip(&mut self, octets: usize) {
        self.at += octets & 2047;
        self.offset += octets as u32 & 2047;
    }

    #[inline(always)]
    fn offset(&self) -> u32 {
        self.offset
    }
}
