//! What was decided about one packet: the record that the kernel hands out in events and in probe mode.

use crate::{Class, Method, Reason, Verdict, addr::Addr, text::DIALLED};

/// `e164_at` where there is no E.164 number.
pub const NO_NUMBER: u8 = 0xff;

/// The decision and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Judged {
    /// [`Verdict`] as its number.
    pub verdict: u8,
    /// [`Reason`] as its number.
    pub reason: u8,
    /// [`Method`] as its number, 0 for none.
    pub method: u8,
    /// [`Class`] as its number.
    pub class: u8,
    /// The country, from 1 in the order of the country table; 0 for none.
    pub country: u16,
    /// Octets of `dialled`.
    pub dialled_len: u8,
    /// Where in `dialled` the digits of the E.164 number begin, or [`NO_NUMBER`].
    pub e164_at: u8,
    /// The calling code in front of those digits, 0 where they have it.
    pub own_code: u16,
    /// Who asked, as a [`Who`].
    pub who: u8,
    /// Not zero where a probe found that the short way and the long way differ.
    pub differs: u8,
    /// Generation of the policy that decided.
    pub generation: u32,
    /// Interface the packet came in on.
    pub ifindex: u32,
    /// Explicit padding.
    pub reserved2: u32,
    /// Nanoseconds of the clock that the limits ran on.
    pub time: u64,
    /// Source address, of the innermost header read.
    pub source: Addr,
    /// The dialled string.
    pub dialled: [u8; DIALLED],
    /// A digest of the line: who a trunk or lan source says that it is; 0 where that is not known.
    pub line: u64,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Who {
    /// Anything else on a WAN interface.
    Unproved = 0,
    /// Arrives on a LAN interface.
    Lan = 1,
    /// Named in the policy.
    Trunk = 2,
}

impl Who {
    /// The name used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unproved => "unproved",
            Self::Lan => "lan",
            Self::Trunk => "trunk",
        }
    }

    /// With this number, if there is one.
    pub const fn from_u8(n: u8) -> Option<Self> {
        match n {
            0 => Some(Self::Unproved),
            1 => Some(Self::Lan),
            2 => Some(Self::Trunk),
            _ => None,
        }
    }
}

/// Octets of a [`Judged`].
pub const JUDGED: usize = 48 + DIALLED + 8;

const _: () = assert!(size_of::<Judged>() == JUDGED, "Judged has padding that nobody named");

impl Judged {
    /// Nothing decided: a pass of what is not SIP.
    pub const NOTHING: Self = Self {
        verdict: Verdict::Pass as u8,
        reason: Reason::NotSip as u8,
        method: 0,
        class: Class::None as u8,
        country: 0,
        dialled_len: 0,
        e164_at: NO_NUMBER,
        own_code: 0,
        who: Who::Unproved as u8,
        differs: 0,
        generation: 0,
        ifindex: 0,
        reserved2: 0,
        time: 0,
        source: Addr { hi: 0, lo: 0 },
        dialled: [0; DIALLED],
        line: 0,
    };

    /// The record in these octets, as the kernel wrote it; `None` if they are too few.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let (head, rest) = octets.split_first_chunk::<4>()?;
        let (country, rest) = rest.split_first_chunk()?;
        let (lens, rest) = rest.split_first_chunk::<2>()?;
        let (own_code, rest) = rest.split_first_chunk()?;
        let (who, rest) = rest.split_first_chunk::<2>()?;
        let (generation, rest) = rest.split_first_chunk()?;
        let (ifindex, rest) = rest.split_first_chunk()?;
        let (_, rest) = rest.split_first_chunk::<4>()?;
        let (time, rest) = rest.split_first_chunk()?;
        let (hi, rest) = rest.split_first_chunk()?;
        let (lo, rest) = rest.split_first_chunk()?;
        let (dialled, rest) = rest.split_first_chunk()?;
        let (line, _) = rest.split_first_chunk()?;
        let ([verdict, reason, method, class], [dialled_len, e164_at], [who, differs]) = (*head, *lens, *who);
        Some(Self {
            verdict,
            reason,
            method,
            class,
            country: u16::from_ne_bytes(*country),
            dialled_len,
            e164_at,
            own_code: u16::from_ne_bytes(*own_code),
            who,
            differs,
            generation: u32::from_ne_bytes(*generation),
            ifindex: u32::from_ne_bytes(*ifindex),
            reserved2: 0,
            time: u64::from_ne_bytes(*time),
            source: Addr { hi: u64::from_ne_bytes(*hi), lo: u64::from_ne_bytes(*lo) },
            dialled: *dialled,
            line: u64::from_ne_bytes(*line),
        })
    }

    /// The verdict; a number that no version knows reads as a pass.
    pub const fn verdict(&self) -> Verdict {
        match Verdict::from_u8(self.verdict) {
            Some(v) => v,
            None => Verdict::Pass,
        }
    }

    /// The reason; a number that no version knows reads as `not-sip`.
    pub const fn reason(&self) -> Reason {
        match Reason::from_u8(self.reason) {
            Some(r) => r,
            None => Reason::NotSip,
        }
    }

    /// The method, if it is a SIP request.
    pub const fn method(&self) -> Option<Method> {
        Method::from_u8(self.method)
    }

    /// The class.
    pub const fn class(&self) -> Class {
        match Class::from_u8(self.class) {
            Some(c) => c,
            None => Class::None,
        }
    }

    /// Who asked.
    pub const fn who(&self) -> Who {
        match Who::from_u8(self.who) {
            Some(w) => w,
            None => Who::Unproved,
        }
    }

    /// The dialled string; empty where nothing was dialled.
    pub fn dialled(&self) -> &[u8] {
        self.dialled.get(..self.dialled_len as usize).unwrap_or(&[])
    }

    /// The digits of the E.164 number, calling code first, without the plus.
    pub fn e164(&self) -> impl Iterator<Item = u8> + '_ {
        let from = if self.e164_at == NO_NUMBER { usize::MAX } else { self.e164_at as usize };
        let rest = self.dialled().get(from..).unwrap_or(&[]);
        let code = if rest.is_empty() { 0 } else { self.own_code };
        [code / 1000, code / 100 % 10, code / 10 % 10, code % 10]
            .into_iter()
            .skip_while(|d| *d == 0)
            .map(|d| b'0' + d as u8)
            .chain(rest.iter().copied().take_while(|c| !matches!(c, b'*' | b'#')).filter(u8::is_ascii_digit))
    }
}
