//! Which refused callers are told, and what the kernel hands out so that user space can tell them.
//!
//! Over UDP a refusal is otherwise silence: a telephone sends its INVITE for 32 seconds, and a PBX tries its next trunk.

use crate::{
    Class, Method, Reason, Verdict,
    judged::{JUDGED, Judged, Who},
    limit::{ANSWER_CELL, ANSWERS_CELL, CellKey, gcra},
    sip::headers::{self, BODY},
    text::Text,
    wire::Datagram,
};

/// Emission interval and tolerance, in nanoseconds, of answers to one source: 5 a second, 20 at once.
pub const OF_SOURCE: (u64, u64) = gcra::parameters(5, 1_000_000_000, 20);
/// The same of answers to all sources together, 200 a second and 400 at once: who forges many addresses shall keep neither
/// the daemon nor the line busy.
pub const OF_ALL: (u64, u64) = gcra::parameters(200, 1_000_000_000, 400);

/// A refused request as the kernel hands it out: this, then the frame from its first octet to the blank line behind the
/// headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Refused {
    /// What was decided.
    pub judged: Judged,
    /// Where the IP header begins, in octets from the start of the frame.
    pub ip_at: u16,
    /// Where the UDP header begins.
    pub transport_at: u16,
    /// Where the payload begins.
    pub at: u16,
    /// Octets of payload in the whole frame: no answer is larger.
    pub payload: u16,
}

/// Octets of a [`Refused`].
pub const REFUSED: usize = JUDGED + 8;

const _: () = assert!(size_of::<Refused>() == REFUSED, "Refused has padding that nobody named");

impl Refused {
    /// The record in front of these octets, and the frame behind it; `None` if they are too few.
    pub fn from_octets(octets: &[u8]) -> Option<(Self, &[u8])> {
        let judged = Judged::from_octets(octets)?;
        let (ip_at, rest) = octets.get(JUDGED..)?.split_first_chunk()?;
        let (transport_at, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (payload, frame) = rest.split_first_chunk()?;
        let [ip_at, transport_at, at, payload] = [*ip_at, *transport_at, *at, *payload].map(u16::from_ne_bytes);
        Some((Self { judged, ip_at, transport_at, at, payload }, frame))
    }
}

/// Whether the sender of a request that was judged so is told. Never one whom nobody vouches for: his address may be
/// somebody else's. Out of a tunnel no way leads back, and over TCP the reset tells.
#[inline(always)]
pub const fn is_told(judged: &Judged, datagram: &Datagram) -> bool {
    let asks = judged.method == Method::Invite as u8 || judged.method == Method::Refer as u8;
    judged.verdict == Verdict::Drop as u8
        && judged.who != Who::Unproved as u8
        && judged.class != Class::Emergency as u8
        && asks
        && TOLD >> (judged.reason & 63) & 1 != 0
        && !datagram.tcp
        && !datagram.tunnelled
}

/// The reasons of which a caller is told.
const TOLD: u64 = {
    let mut told = 0;
    let mut rest = Reason::ALL;
    while let [reason, tail @ ..] = rest {
        if is_for_the_caller(*reason) {
            told |= 1 << *reason as u64;
        }
        rest = tail;
    }
    told
};

const fn is_for_the_caller(reason: Reason) -> bool {
    match reason {
        Reason::BlockedPrefix
        | Reason::BlockedCountry
        | Reason::ClassInternational
        | Reason::ClassPremium
        | Reason::ClassNonGeographic
        | Reason::ClassUnassigned
        | Reason::ClassOther
        | Reason::Suspicious
        | Reason::Malformed
        | Reason::Unreadable
        | Reason::AmbiguousTarget
        | Reason::InternationalOff
        | Reason::Banned
        | Reason::Suspended
        | Reason::SourceLimit
        | Reason::NetworkLimit
        | Reason::LineLimit
        | Reason::SiteLimit
        | Reason::DestinationLimit
        | Reason::Floor
        | Reason::Order => true,
        // They pass.
        Reason::NotSip
        | Reason::SipOther
        | Reason::Allowed
        | Reason::Emergency
        | Reason::Repeat
        | Reason::InDialog
        | Reason::NoNumber
        | Reason::Inbound
        | Reason::Fragment
        | Reason::UnparsedEncapsulation => false,
        // They stop sources that nobody vouches for, connections, or what holds no whole request.
        Reason::UnprovedLimit
        | Reason::PacketLimit
        | Reason::SynLimit
        | Reason::EmergencyFlood
        | Reason::FragmentShort
        | Reason::TcpDenied
        | Reason::Shield
        | Reason::OutsideRegistration => false,
    }
}

/// The cell of answers to the source of a packet. Who it is is part of it: a forged address outside spends nothing of the
/// one inside.
#[inline(always)]
pub const fn cell(judged: &Judged) -> CellKey {
    CellKey { limit: ANSWER_CELL, kind: judged.who as u32, value: judged.source.source() }
}

/// The cell of all answers.
pub const ALL: CellKey = CellKey { limit: ANSWERS_CELL, kind: 0, value: 0 };

/// The first octet behind the blank line that ends the headers of a request; 0 where it is not within the window.
#[inline(always)]
pub fn head_end<T: Text + ?Sized>(text: &mut T) -> u32 {
    let line = text.first_line(0);
    headers::walk(text, line.token().0);
    *text.found(BODY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addr::Addr,
        sip::headers::{Headers, LINES, PLACES},
        text::{DIALLED, Steps, WINDOW},
    };

    struct Message<'a>(&'a [u8], Headers);

    impl Steps for Message<'_> {}

    impl Text for Message<'_> {
        fn len(&self) -> u32 {
            self.0.len().min(WINDOW as usize) as u32
        }

        fn is_whole(&self) -> bool {
            self.0.len() <= WINDOW as usize
        }

        fn octet(&self, at: u32) -> Option<u8> {
            self.0.get(..self.len() as usize)?.get(at as usize).copied()
        }

        fn word(&self, at: u32) -> u64 {
            let octet = |i| self.octet(at + i).unwrap_or(0) as u64;
            (0..8).fold(0, |word, i| word | octet(i) << (8 * i))
        }

        fn set_dialled(&mut self, _: u32, _: u8) {}

        fn found(&mut self, header: u32) -> &mut u32 {
            &mut self.1[header as usize]
        }
    }

    fn end(message: &[u8]) -> u32 {
        head_end(&mut Message(message, [0; PLACES]))
    }

    #[test]
    fn the_head_ends_behind_the_blank_line() {
        let message = b"INVITE sip:a SIP/2.0\r\nTo: b\r\n\r\nv=0\r\n\r\n";
        assert_eq!(end(message), 31);
        assert_eq!(end(b"\r\n\r\nINVITE sip:a SIP/2.0\nTo: b\n\nv=0"), 32);
        assert_eq!(end(b"INVITE sip:a SIP/2.0\rTo: b\r\rv=0"), 28);
        for without in [&b""[..], b"INVITE sip:a SIP/2.0", b"INVITE sip:a SIP/2.0\r\nTo: b\r\n"] {
            assert_eq!(end(without), 0, "{without:?}");
        }
        let mut long = b"INVITE sip:a SIP/2.0\r\nX: ".to_vec();
        long.resize(WINDOW as usize - 4, b'x');
        long.extend(b"\r\n\r\n");
        assert_eq!(end(&long), WINDOW);
        long.splice(30..30, *b"xxxx");
        assert_eq!(end(&long), 0, "the blank line lies behind the window");
        let lines =
            |headers| [b"INVITE sip:a SIP/2.0\r\n".to_vec(), b"x\r\n".repeat(headers), b"\r\n".to_vec()].concat();
        let most = lines(LINES as usize - 1);
        assert_eq!(end(&most) as usize, most.len());
        assert_eq!(end(&lines(LINES as usize)), 0);
    }

    fn refused() -> Judged {
        Judged {
            verdict: Verdict::Drop as u8,
            reason: Reason::BlockedCountry as u8,
            method: Method::Invite as u8,
            class: Class::International as u8,
            who: Who::Lan as u8,
            source: Addr::v4(0xc000_0214),
            ..Judged::NOTHING
        }
    }

    #[test]
    fn callers_that_somebody_vouches_for_are_told_of_what_was_dropped() {
        let udp = Datagram::default();
        assert!(is_told(&refused(), &udp));
        assert!(is_told(&Judged { who: Who::Trunk as u8, ..refused() }, &udp));
        assert!(is_told(&Judged { method: Method::Refer as u8, ..refused() }, &udp));
        assert!(is_told(&refused(), &Datagram { first_fragment: true, ..udp }), "its head may be whole");
        assert!(!is_told(&Judged { who: Who::Unproved as u8, ..refused() }, &udp));
        assert!(!is_told(&Judged { class: Class::Emergency as u8, ..refused() }, &udp));
        assert!(!is_told(&refused(), &Datagram { tcp: true, ..udp }));
        assert!(!is_told(&refused(), &Datagram { tunnelled: true, ..udp }));
        for verdict in Verdict::ALL {
            assert_eq!(is_told(&Judged { verdict: verdict as u8, ..refused() }, &udp), verdict == Verdict::Drop);
        }
        for &method in Method::ALL {
            assert_eq!(is_told(&Judged { method: method as u8, ..refused() }, &udp), method.makes_call(), "{method:?}");
        }
        for &reason in Reason::ALL {
            let told = is_told(&Judged { reason: reason as u8, ..refused() }, &udp);
            assert!(!told || reason.stops(), "{reason:?} stops nothing, and is told");
            assert_eq!(told, is_for_the_caller(reason), "{reason:?}");
        }
        assert!(!is_told(&Judged { reason: 63, ..refused() }, &udp), "a reason that nobody knows");
    }

    #[test]
    fn who_asks_is_part_of_the_cell() {
        let inside = cell(&refused());
        assert_eq!(inside, cell(&Judged { reason: 0, ..refused() }));
        assert_ne!(inside, cell(&Judged { who: Who::Trunk as u8, ..refused() }));
        assert_ne!(inside, cell(&Judged { source: Addr::v4(0xc000_0215), ..refused() }));
        assert_ne!(inside.limit, ALL.limit);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut judged = refused();
        judged.dialled = [b'7'; DIALLED];
        judged.dialled_len = 3;
        judged.time = 0x0102_0304_0506_0708;
        let mut octets = std::vec![0; REFUSED];
        octets[0..4].copy_from_slice(&[judged.verdict, judged.reason, judged.method, judged.class]);
        octets[6] = judged.dialled_len;
        octets[7] = judged.e164_at;
        octets[10] = judged.who;
        octets[24..32].copy_from_slice(&judged.time.to_ne_bytes());
        octets[32..40].copy_from_slice(&judged.source.hi.to_ne_bytes());
        octets[40..48].copy_from_slice(&judged.source.lo.to_ne_bytes());
        octets[48..48 + DIALLED].copy_from_slice(&judged.dialled);
        for (i, value) in [14u16, 34, 42, 700].into_iter().enumerate() {
            octets[JUDGED + 2 * i..][..2].copy_from_slice(&value.to_ne_bytes());
        }
        octets.extend(b"frame");
        let (refused, frame) = Refused::from_octets(&octets).unwrap();
        assert_eq!(refused, Refused { judged, ip_at: 14, transport_at: 34, at: 42, payload: 700 });
        assert_eq!(frame, b"frame");
        assert_eq!(Refused::from_octets(&octets[..REFUSED - 1]), None);
    }
}
