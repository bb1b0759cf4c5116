//! What an entry point tells the functions behind it of a packet.

use gateway_common::judge::{Arrival, Side};

/// Where a packet came in, and what of it is judged, in one word: interface index, then a bit for the LAN side, one for a
/// SIP port as destination, one for a plus in front of a canonical number, one where the floor is armed, one where
/// the source is banned, and the position of the message.
#[derive(Clone, Copy)]
pub(crate) struct Told(pub(crate) u64);

impl Told {
    const LAN: u64 = 1 << 32;
    pub(crate) const TO_SIP: u64 = 1 << 33;
    const PLUS: u64 = 1 << 34;
    const ARMED: u64 = 1 << 35;
    const BANNED: u64 = 1 << 36;
    pub(crate) const FROM: u32 = 40;

    #[inline(always)]
    pub(crate) const fn new(arrival: Arrival) -> Self {
        Self(arrival.ifindex as u64 | if matches!(arrival.side, Side::Lan) { Self::LAN } else { 0 })
    }

    #[inline(always)]
    pub(crate) const fn to_sip(self, yes: bool) -> Self {
        Self(self.0 | if yes { Self::TO_SIP } else { 0 })
    }

    #[inline(always)]
    pub(crate) const fn with_plus(self, yes: bool) -> Self {
        Self(self.0 | if yes { Self::PLUS } else { 0 })
    }

    #[inline(always)]
    pub(crate) const fn armed(self, yes: bool) -> Self {
        Self(self.0 | if yes { Self::ARMED } else { 0 })
    }

    #[inline(always)]
    pub(crate) const fn is_armed(self) -> bool {
        self.0 & Self::ARMED != 0
    }

    #[inline(always)]
    pub(crate) const fn banned(self, yes: bool) -> Self {
        Self(self.0 | if yes { Self::BANNED } else { 0 })
    }

    #[inline(always)]
    pub(crate) const fn is_banned(self) -> bool {
        self.0 & Self::BANNED != 0
    }

    #[inline(always)]
    pub(crate) const fn plus(self) -> u64 {
        self.0 & Self::PLUS
    }

    #[inline(always)]
    pub(crate) const fn from(self, at: u32) -> Self {
        Self(self.0 | (at as u64) << Self::FROM)
    }

    #[inline(always)]
    pub(crate) const fn arrival(self) -> Arrival {
        let side = if self.0 & Self::LAN != 0 { Side::Lan } else { Side::Wan };
        Arrival { side, ifindex: self.0 as u32 }
    }
}
