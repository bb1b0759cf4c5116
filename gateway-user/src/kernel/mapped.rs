//! Arrays of the kernel as memory of this process: 20 MB are written in 3 ms instead of 550 ms.

#![expect(unsafe_code, reason = "memory that the kernel shares is read and written as its words")]

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// linux/bpf.h, BPF_F_MMAPABLE.
pub(super) const MMAPABLE: u32 = 1 << 10;

/// An array that was made to be mapped, for as long as this is there.
pub(super) struct Mapped {
    at: *mut u64,
    words: usize,
}

impl Mapped {
    /// Maps the first `octets` of an array, which has at least so many; a multiple of eight.
    pub(super) fn of(array: BorrowedFd<'_>, octets: usize) -> Result<Self> {
        // SAFETY: the kernel chooses the place, so no memory of this process is replaced.
        let at = unsafe {
            mmap(std::ptr::null_mut(), octets, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, array, 0)
        }?;
        Ok(Self { at: at.cast(), words: octets / size_of::<u64>() })
    }

    /// Writes words from the beginning, and leaves what is behind them; what does not fit is left out.
    pub(super) fn write(&mut self, words: &[u64]) {
        let count = words.len().min(self.words);
        // SAFETY: the mapping has room for so many, it begins at a page, and nobody else in this process knows of it.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), self.at, count) };
    }

    /// Makes all of it zero.
    pub(super) fn zero(&mut self) {
        // SAFETY: as in `write`.
        unsafe { std::ptr::write_bytes(self.at, 0, self.words) };
    }

    /// A copy of all of it, of which each word is whole.
    pub(super) fn copy(&self) -> Vec<u64> {
        // SAFETY: the mapping is so long, and begins at a page. The kernel's programs may write meanwhile, hence atomics.
        let words = unsafe { std::slice::from_raw_parts(self.at.cast::<AtomicU64>(), self.words) };
        words.iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `of`, and nothing refers to it any more. It is given back whole, which cannot fail.
        let _ = unsafe { munmap(self.at.cast(), self.words * size_of::<u64>()) };
    }
}
