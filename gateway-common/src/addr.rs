//! Addresses as two words, and the keys made of them.

/// An IPv6 address, or an IPv4 address in its mapped form (RFC 4291 section 2.5.5.2), as two words in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Addr {
    /// The upper 64 bits.
    pub hi: u64,
    /// The lower 64 bits.
    pub lo: u64,
}

/// `::ffff:0:0/96` in the lower word.
const MAPPED: u64 = 0xffff_0000_0000;

impl Addr {
    /// An IPv4 address.
    #[inline(always)]
    pub const fn v4(addr: u32) -> Self {
        Self { hi: 0, lo: MAPPED | addr as u64 }
    }

    /// The IPv4 address, if it is one.
    #[inline(always)]
    pub const fn as_v4(self) -> Option<u32> {
        if self.hi == 0 && self.lo >> 32 == MAPPED >> 32 { Some(self.lo as u32) } else { None }
    }

    /// Whether it is the other address.
    #[inline(always)]
    pub const fn is(self, other: Self) -> bool {
        (self.hi ^ other.hi) | (self.lo ^ other.lo) == 0
    }

    /// What one source is: IPv4 /32, IPv6 /64.
    #[inline(always)]
    pub const fn source(self) -> u64 {
        match self.as_v4() {
            Some(a) => MAPPED | a as u64,
            None => self.hi,
        }
    }

    /// What one network is: IPv4 /24, IPv6 /56.
    #[inline(always)]
    pub const fn network(self) -> u64 {
        match self.as_v4() {
            Some(a) => MAPPED | (a & 0xffff_ff00) as u64,
            None => self.hi & !0xff,
        }
    }
}
