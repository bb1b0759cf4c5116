//! A call as the call table knows it: when a request belongs to it, when it is sent again, and what an answer makes of it.
//!
//! A To tag alone proves nothing: whoever makes one up would be past every rule (RFC 3261 section 12.2 leaves it to the
//! server to know its dialogs). So a re-INVITE is exempt only where the call it names was seen to be answered, and only
//! for whom that call was admitted to.

use crate::{Reason, addr::Addr, dialog::Dialog, judged::Who, sip::Method};

/// A keyed digest of a Call-ID, a tag or a user part; 0 where there is none.
pub type Digest = u64;

const SECOND: u64 = 1_000_000_000;
/// A call that rings, and nobody takes: timer C of a proxy (RFC 3261 section 16.6).
pub const UNANSWERED: u64 = 180 * SECOND;
/// A call of which nothing more is seen, and that has no session timer: so long, that one whose BYE was lost ages out.
pub const ANSWERED: u64 = 4 * 3600 * SECOND;
/// The longest session that is believed, seconds: that of a call without a timer.
const LONGEST_SESSION: u32 = ((ANSWERED - AFTERWARDS) / SECOND) as u32;
/// The shortest one that there is, seconds (RFC 4028 section 4).
const SHORTEST_SESSION: u32 = 90;
/// What ended, or was refused, is sent again so long, and an INVITE that nobody answers at all: 64 times T1 (RFC 3261 section
/// 17.1.1.2, timer B).
pub const AFTERWARDS: u64 = 32 * SECOND;
/// The least time between two transmissions of one INVITE: T1 is 500 ms, less the jitter of a busy phone.
const RETRANSMISSION: u64 = 400_000_000;
/// Transmissions of one call that count once: seven by the timer schedule, and seven with credentials.
const REPEATS: u8 = 14;

/// Places at which one call rings at once and counts once: a server that forks to more (RFC 3261 section 16.6) rings a group.
const FORKS: u8 = 4;
/// How long after a call failed the next one to the same number is the same attempt: whoever meets a busy line dials again.
pub const REDIAL: u64 = 120 * SECOND;

/// Who dials whom: what a call that failed is found by when the same line dials the same number again.
#[inline(always)]
pub const fn redial(caller: Addr, line: u64, number: Digest) -> Digest {
    let mixed = (caller.source() ^ line.rotate_left(21)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ number
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// The INVITE was admitted.
    Invited = 0,
    /// A provisional answer was seen.
    Ringing = 1,
    /// 401 or 407 was seen.
    Challenged = 2,
    /// A 2xx was seen.
    Answered = 3,
    /// It failed, or its BYE was answered.
    Ended = 4,
    /// A limit refused it.
    Refused = 5,
}

impl State {
    /// The name used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Ringing => "ringing",
            Self::Challenged => "challenged",
            Self::Answered => "answered",
            Self::Ended => "ended",
            Self::Refused => "refused",
        }
    }

    /// The state with this number; a number that no version knows is an ended call.
    pub const fn from_u8(n: u8) -> Self {
        match n {
            0 => Self::Invited,
            1 => Self::Ringing,
            2 => Self::Challenged,
            3 => Self::Answered,
            5 => Self::Refused,
            _ => Self::Ended,
        }
    }
}

/// A flag of a [`Call`]: credentials came with it.
pub const CREDENTIALS: u8 = 1;
/// A flag of a [`Call`]: its first request named a To tag, which answers repeat.
pub const TAGGED: u8 = 2;

/// What is known of one call, or of one registration that waits for its answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// Who sent the INVITE that was admitted.
    pub caller: Addr,
    /// Whom it was sent to.
    pub callee: Addr,
    /// Its From tag.
    pub from_tag: Digest,
    /// The To tag of the last answer.
    pub to_tag: Digest,
    /// The user of its Request-URI.
    pub admitted: Digest,
    /// The users of the Contacts of INVITE and answer.
    pub contacts: [Digest; 2],
    /// The line; see [`Dialog::line`].
    pub line: u64,
    /// When the INVITE came, nanoseconds.
    pub begun: u64,
    /// When it came last.
    pub last: u64,
    /// Until when the record holds.
    pub until: u64,
    /// The country, as in [`crate::judged::Judged`].
    pub country: u16,
    /// The class, as its number.
    pub class: u8,
    /// Who asked, as its number.
    pub who: u8,
    /// A [`State`].
    pub state: u8,
    /// How often it was sent again.
    pub repeats: u8,
    /// [`CREDENTIALS`] and [`TAGGED`].
    pub flags: u8,
    /// The reason for which a limit refused it, as its number.
    pub reason: u8,
    /// How long its session lasts unless it is refreshed, seconds (RFC 4028); 0 where nobody said so.
    pub session: u32,
    /// The port that its first request was sent to.
    pub port: u16,
    /// Not 0 where that came over TCP.
    pub tcp: u16,
}

/// Places of the table of calls of sources that nobody knows. Each call has one, and two that have the same push each other out.
pub const PLACES: u32 = 1 << 15;

/// The place of a call there.
#[inline(always)]
pub const fn place(id: Digest) -> u32 {
    (id >> 49) as u32
}

/// Octets of a [`Call`].
pub const CALL: usize = 120;

const _: () = assert!(size_of::<Call>() == CALL, "Call has padding that nobody named");

/// What the table says of an INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It begins a call.
    New,
    /// It belongs to a call that goes on.
    InDialog,
    /// It was counted before.
    Repeat,
    /// It was refused before.
    Refused,
}

impl Call {
    /// The record in these octets, as the kernel wrote it.
    pub fn from_octets(octets: &[u8; CALL]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(octets.get(8 * at..8 * at + 8).unwrap_or(&[0; 8]));
            u64::from_ne_bytes(word)
        };
        let tail = word(13).to_ne_bytes();
        let [first, second, class, who, state, repeats, flags, reason] = tail;
        let [a, b, c, d, port, port_too, tcp, tcp_too] = word(14).to_ne_bytes();
        Self {
            caller: Addr { hi: word(0), lo: word(1) },
            callee: Addr { hi: word(2), lo: word(3) },
            from_tag: word(4),
            to_tag: word(5),
            admitted: word(6),
            contacts: [word(7), word(8)],
            line: word(9),
            begun: word(10),
            last: word(11),
            until: word(12),
            country: u16::from_ne_bytes([first, second]),
            class,
            who,
            state,
            repeats,
            flags,
            reason,
            session: u32::from_ne_bytes([a, b, c, d]),
            port: u16::from_ne_bytes([port, port_too]),
            tcp: u16::from_ne_bytes([tcp, tcp_too]),
        }
    }

    /// How far it is.
    pub const fn state(&self) -> State {
        State::from_u8(self.state)
    }

    /// Whether it is a registration: of all that is kept only that makes no call.
    pub const fn registers(&self) -> bool {
        self.reason == Reason::SipOther as u8 || self.reason == Reason::OutsideRegistration as u8
    }

    /// Whether it came from outside, of no trunk, with credentials that the PBX took. What refuses a registration has a To
    /// tag (RFC 3261 section 8.2.6.2), which is kept; what takes one leaves the record without.
    pub const fn has_shown_credentials(&self) -> bool {
        let outside = self.who == Who::Known as u8 || self.who == Who::Unproved as u8;
        let taken = match self.state() {
            State::Ended => self.registers() && self.to_tag == 0,
            State::Answered => !self.registers(),
            State::Invited | State::Ringing | State::Challenged | State::Refused => false,
        };
        outside && taken && self.flags & CREDENTIALS != 0
    }

    /// What an INVITE between `src` and `dst` at `now` is to this call, whose Call-ID it has; one that was sent again is
    /// noted.
    #[inline(always)]
    pub fn again(&mut self, invite: &Dialog, src: Addr, dst: Addr, now: u64) -> Again {
        if now > self.until {
            return Again::New;
        }
        if invite.to_tag != 0 {
            if self.goes_on(invite, src, dst) {
                return Again::InDialog;
            }
            // That of a call that was up before the filter saw any, sent again before it is answered.
            if self.to_tag != invite.to_tag {
                return Again::New;
            }
        }
        if invite.from_tag != self.from_tag || invite.user != self.admitted || invite.user == 0 {
            return Again::New;
        }
        if self.state == State::Refused as u8 {
            return Again::Refused;
        }
        // The authenticated repeat comes at once, and once; what else comes faster than a timer is another call.
        let proves = invite.credentials != 0 && self.flags & CREDENTIALS == 0;
        let on_time = now.saturating_sub(self.last) >= RETRANSMISSION;
        // A client sends again until it is answered, or challenged (RFC 3261 section 17.1.1.2): behind an answer the same INVITE
        // is another call, or a call that was let through once would be fourteen.
        let waits = self.state == State::Invited as u8 && on_time;
        let challenged = self.state != State::Ended as u8 && self.state != State::Answered as u8 && proves;
        let forked = self.state == State::Invited as u8 && !dst.is(self.callee) && self.repeats < FORKS;
        if self.repeats >= REPEATS || !waits && !challenged && !forked {
            return Again::New;
        }
        if challenged {
            self.state = State::Invited as u8;
            self.until = now + AFTERWARDS;
        }
        self.repeats += 1;
        self.last = now;
        self.flags |= (invite.credentials != 0) as u8 * CREDENTIALS;
        Again::Repeat
    }

    /// Either side may go on; with both tags, and calling whom the call was admitted to or who said to be called so.
    #[inline(always)]
    fn goes_on(&self, invite: &Dialog, src: Addr, dst: Addr) -> bool {
        let from_caller = src.is(self.caller)
            && dst.is(self.callee)
            && invite.from_tag == self.from_tag
            && invite.to_tag == self.to_tag;
        let from_callee = src.is(self.callee)
            && dst.is(self.caller)
            && invite.from_tag == self.to_tag
            && invite.to_tag == self.from_tag;
        // Each side calls the other's Contact: its own it chooses itself.
        let contact = if from_caller { self.contacts[1] } else { self.contacts[0] };
        let known = invite.user == self.admitted || invite.user == contact;
        let whole = self.from_tag != 0 && self.to_tag != 0 && invite.user != 0;
        self.state == State::Answered as u8 && whole && known && (from_caller || from_callee)
    }

    /// Notes an answer with `status` that goes from `src` to `dst` at `now`, and says whether it shows that the caller's
    /// credentials hold.
    #[inline(always)]
    pub fn answer(&mut self, answer: &Dialog, status: u32, src: Addr, dst: Addr, now: u64) -> bool {
        if now > self.until {
            return false;
        }
        let to_caller = dst.is(self.caller);
        if answer.method == Method::Bye as u32 {
            if status / 100 == 2 && to_caller && src.is(self.callee) {
                self.end(now);
            }
            return false;
        }
        if status / 100 == 2 && self.state == State::Answered as u8 {
            self.refresh(answer, src, dst, now);
        }
        let asks = answer.method == Method::Invite as u32 || answer.method == Method::Register as u32;
        if !asks || !to_caller || answer.from_tag != self.from_tag || self.state == State::Refused as u8 {
            return false;
        }
        if status < 200 {
            if self.state == State::Invited as u8 || self.state == State::Challenged as u8 {
                self.state = State::Ringing as u8;
            }
            if self.state == State::Ringing as u8 {
                self.until = now + UNANSWERED;
            }
            return false;
        }
        if status >= 300 {
            // An answer to a re-INVITE ends nothing (RFC 3261 section 14.1).
            if self.state == State::Answered as u8 {
                return false;
            }
            self.to_tag = answer.to_tag;
            if status == 401 || status == 407 {
                self.state = State::Challenged as u8;
                self.until = now + AFTERWARDS;
            } else {
                self.end(now);
            }
            return false;
        }
        if answer.method == Method::Register as u32 {
            self.end(now);
            return self.flags & CREDENTIALS != 0;
        }
        if self.state == State::Ended as u8 {
            return false;
        }
        self.state = State::Answered as u8;
        self.to_tag = answer.to_tag;
        self.callee = src;
        self.contacts[1] = answer.contact;
        self.lasts(answer.session, now);
        self.flags & CREDENTIALS != 0
    }

    /// Notes an answer that refreshes the session: to a re-INVITE or UPDATE of either side (RFC 4028 section 7.4). How long it
    /// lasts says whom the call was made to; the caller may only make it longer, or he could end it in Tollgate's eyes.
    #[inline(always)]
    fn refresh(&mut self, answer: &Dialog, src: Addr, dst: Addr, now: u64) {
        if answer.method != Method::Invite as u32 && answer.method != Method::Update as u32 || self.to_tag == 0 {
            return;
        }
        let said = answer.session;
        let of_callee = src.is(self.callee) && dst.is(self.caller);
        if of_callee && answer.from_tag == self.from_tag && answer.to_tag == self.to_tag {
            self.lasts(said, now);
        }
        let of_caller = src.is(self.caller) && dst.is(self.callee);
        if of_caller && answer.from_tag == self.to_tag && answer.to_tag == self.from_tag {
            self.lasts(if session(said) > session(self.session) { said } else { self.session }, now);
        }
    }

    /// The session begins anew.
    #[inline(always)]
    const fn lasts(&mut self, session: u32, now: u64) {
        self.session = session;
        self.until = now + self.hold();
    }

    /// How long it is up behind the last answer that refreshed its session, nanoseconds.
    const fn hold(&self) -> u64 {
        session(self.session) as u64 * SECOND + AFTERWARDS
    }

    /// When its session was last refreshed, or it was answered, nanoseconds; `None` where it is not up.
    pub const fn refreshed_at(&self) -> Option<u64> {
        if matches!(self.state(), State::Answered) { Some(self.until.saturating_sub(self.hold())) } else { None }
    }

    /// Whether it is up at `now`, or about to be.
    #[inline(always)]
    pub const fn is_up(&self, now: u64) -> bool {
        now <= self.until && self.state != State::Ended as u8 && self.state != State::Refused as u8
    }

    /// Whether somebody took it. Of a call that is over only the Contact of the answer shows that (RFC 3261 section 12.1.1 wants it
    /// there).
    pub const fn was_taken(&self) -> bool {
        match self.state() {
            State::Answered => true,
            State::Ended => self.contacts[1] != 0,
            State::Invited | State::Ringing | State::Challenged | State::Refused => false,
        }
    }

    /// When it ended, nanoseconds; `None` where it has not.
    pub const fn ended_at(&self) -> Option<u64> {
        if matches!(self.state(), State::Ended) { Some(self.until.saturating_sub(AFTERWARDS)) } else { None }
    }

    /// Notes a BYE from `src` to `dst`: one of whom was called ends the call, if it has both tags (RFC 3261 section 15.1.2).
    #[inline(always)]
    pub fn hang_up(&mut self, bye: &Dialog, src: Addr, dst: Addr, now: u64) {
        let of_callee = src.is(self.callee) && dst.is(self.caller);
        let tagged = self.to_tag != 0 && bye.from_tag == self.to_tag && bye.to_tag == self.from_tag;
        if of_callee && tagged && self.state == State::Answered as u8 && now <= self.until {
            self.end(now);
        }
    }

    /// Whether an answer with `status` to `dst` ends the attempt to call: it is the last one, and no challenge.
    #[inline(always)]
    pub fn fails(&self, answer: &Dialog, status: u32, dst: Addr) -> bool {
        let waits = self.state != State::Answered as u8 && self.state != State::Ended as u8;
        let last = status >= 300 && status != 401 && status != 407 && answer.method == Method::Invite as u32;
        last && waits && self.state != State::Refused as u8 && dst.is(self.caller) && answer.from_tag == self.from_tag
    }

    /// The flags of a call that begins with this request.
    #[inline(always)]
    pub const fn flags(request: &Dialog) -> u8 {
        (request.credentials != 0) as u8 * CREDENTIALS | (request.to_tag != 0) as u8 * TAGGED
    }

    /// What an answer to `dst` gives away: the To tag that its sender chose, which only who receives the answer can
    /// know, or 0; and whether it answers credentials. 400 and 481 are given to requests that no server reads as they were
    /// sent, with tags of any origin.
    #[inline(always)]
    pub fn gives(&self, answer: &Dialog, dst: Addr) -> (Digest, bool) {
        let status = answer.status;
        if !dst.is(self.caller) || answer.from_tag != self.from_tag {
            return (0, false);
        }
        let chosen = self.flags & TAGGED == 0 && status > 100 && status != 400 && status != 481;
        (if chosen { answer.to_tag } else { 0 }, self.flags & CREDENTIALS != 0)
    }

    #[inline(always)]
    fn end(&mut self, now: u64) {
        self.state = State::Ended as u8;
        self.until = now + AFTERWARDS;
    }
}

/// How long a session lasts of which an answer says so many seconds, or nothing (0).
#[inline(always)]
const fn session(said: u32) -> u32 {
    if said == 0 || said > LONGEST_SESSION {
        LONGEST_SESSION
    } else if said < SHORTEST_SESSION {
        SHORTEST_SESSION
    } else {
        said
    }
}

#[cfg(test)]
mod tests;
