//! Programs that follow one another on a packet: each is verified by itself, and begins with an empty stack.

use aya_ebpf::programs::XdpContext;

use crate::maps::{NEXT, NEXT_FRAGS};

/// The program that judges a message.
pub(crate) const JUDGE: u32 = 0;

/// Which programs follow: the kernel keeps those for multi-buffer frames apart from the others.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// Those for frames in one buffer.
    One,
    /// Those for frames in several.
    Frags,
}

impl Next {
    /// Goes on with another program. It returns only if that is not there, which user space makes sure of before it
    /// attaches.
    #[inline(always)]
    pub(crate) fn call(self, ctx: &XdpContext, program: u32) {
        // SAFETY: nothing of this run is needed any more.
        unsafe {
            match self {
                Self::One => NEXT.tail_call(ctx, program),
                Self::Frags => NEXT_FRAGS.tail_call(ctx, program),
            }
        }
    }
}
