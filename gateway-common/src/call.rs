//! A call as the call table knows it: when a request belongs to it, when it is sent again, and what an answer makes of it.
//!
//! A To tag alone proves nothing: whoever makes one up would be past every rule (RFC 3261 section 12.2 leaves it to the
//! server to know its dialogs). So a re-INVITE is exempt only where the call it names was seen to be answered, and only
//! for whom that call was admitted to.

use crate::{Reason, addr::Addr, dialog::Dialog, judged::Who, sip::Method};

/// A keyed digest of a Call-ID, a tag or a user part; 0 where there is none.
pub type Digest = u64;

const SECOND: u64 = 1_000_000_000;
/// An INVITE that nobody answers: timer C of a proxy (RFC 3261 section 16.6).
pub const UNANSWERED: u64 = 180 * SECOND;
/// A call of which nothing more is seen: longer than session timers run (RFC 4028 section 4 has 30 minutes), so that one
/// whose BYE was lost ages out.
pub const ANSWERED: u64 = 4 * 3600 * SECOND;
/// What ended, or was refused, is sent again so long: 64 times T1 (RFC 3261 section 17.1.1.2).
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
}

/// Octets of a [`Call`].
pub const CALL: usize = 112;

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
        let bye = answer.method == Method::Bye as u32;
        if bye && status / 100 == 2 && (to_caller || dst.is(self.callee)) {
            self.end(now);
            return false;
        }
        let asks = answer.method == Method::Invite as u32 || answer.method == Method::Register as u32;
        if !asks || !to_caller || answer.from_tag != self.from_tag || self.state == State::Refused as u8 {
            return false;
        }
        if status < 200 {
            if self.state == State::Invited as u8 || self.state == State::Challenged as u8 {
                self.state = State::Ringing as u8;
            }
            return false;
        }
        if status >= 300 {
            // An answer to a re-INVITE ends nothing (RFC 3261 section 14.1).
            if self.state == State::Answered as u8 {
                return false;
            }
            self.to_tag = answer.to_tag;
            self.state = State::Challenged as u8;
            if status != 401 && status != 407 {
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
        self.until = now + ANSWERED;
        self.flags & CREDENTIALS != 0
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

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: Addr = Addr::v4(0xc000_0242);
    const CALLEE: Addr = Addr::v4(0xc000_0201);
    const OTHER: Addr = Addr::v4(0xc633_6401);
    const NOW: u64 = 1_000 * SECOND;

    const INVITE: Dialog = Dialog {
        call_id: 7,
        from_tag: 1,
        to_tag: 0,
        line: 0,
        user: 10,
        contact: 11,
        method: 1,
        credentials: 0,
        status: 0,
        reserved: 0,
    };
    const HOLD: Dialog = Dialog { to_tag: 2, user: 12, ..INVITE };

    fn invited() -> Call {
        Call {
            caller: CALLER,
            callee: CALLEE,
            from_tag: 1,
            admitted: 10,
            contacts: [11, 0],
            begun: NOW,
            last: NOW,
            until: NOW + UNANSWERED,
            ..Call::default()
        }
    }

    fn answer(method: Method, to_tag: Digest) -> Dialog {
        Dialog { to_tag, contact: 12, method: method as u32, ..INVITE }
    }

    fn answered() -> Call {
        let mut call = invited();
        assert!(!call.answer(&answer(Method::Invite, 2), 200, CALLEE, CALLER, NOW));
        call
    }

    fn is_in_dialog(call: Call, request: Dialog, src: Addr, dst: Addr) -> bool {
        let mut call = call;
        call.again(&request, src, dst, NOW) == Again::InDialog
    }

    #[test]
    fn either_side_may_go_on_with_an_answered_call() {
        assert!(is_in_dialog(answered(), HOLD, CALLER, CALLEE), "to the Contact of the other side");
        assert!(is_in_dialog(answered(), Dialog { user: 10, ..HOLD }, CALLER, CALLEE), "to the number admitted");
        let back = Dialog { from_tag: 2, to_tag: 1, user: 11, ..HOLD };
        assert!(is_in_dialog(answered(), back, CALLEE, CALLER), "from who was called");
    }

    #[test]
    fn a_known_call_is_no_cover_for_another_number() {
        assert!(!is_in_dialog(answered(), Dialog { user: 99, ..HOLD }, CALLER, CALLEE));
        assert!(!is_in_dialog(answered(), Dialog { user: 0, ..HOLD }, CALLER, CALLEE), "no user is nobody's Contact");
    }

    #[test]
    fn made_up_tags_and_other_addresses_begin_a_new_call() {
        for (request, src, dst) in [
            (Dialog { to_tag: 3, ..HOLD }, CALLER, CALLEE),
            (Dialog { from_tag: 3, ..HOLD }, CALLER, CALLEE),
            (HOLD, OTHER, CALLEE),
            (HOLD, CALLER, OTHER),
            (HOLD, CALLEE, CALLER),
        ] {
            assert!(!is_in_dialog(answered(), request, src, dst), "{request:?}");
        }
        assert!(!is_in_dialog(invited(), HOLD, CALLER, CALLEE), "a call that nobody answered is none");
    }

    #[test]
    fn a_retransmission_counts_once_and_a_flood_does_not() {
        let mut call = invited();
        let mut again = |after| call.again(&INVITE, CALLER, CALLEE, NOW + after);
        assert_eq!(again(1_000_000), Again::New, "faster than any timer");
        for after in [500, 1_500, 3_500, 7_500, 15_500, 31_500] {
            assert_eq!(again(after * 1_000_000), Again::Repeat, "{after} ms");
        }
        for seconds in 32..40 {
            assert_eq!(again(seconds * SECOND), Again::Repeat);
        }
        assert_eq!(again(40 * SECOND), Again::New, "a fixed number");
        assert_eq!(invited().again(&Dialog { user: 13, ..INVITE }, CALLER, CALLEE, NOW + SECOND), Again::New);
        assert_eq!(invited().again(&Dialog { from_tag: 3, ..INVITE }, CALLER, CALLEE, NOW + SECOND), Again::New);
    }

    #[test]
    fn a_call_that_rings_at_several_places_counts_once_and_a_ring_group_does_not() {
        let mut call = invited();
        let mut at = |place: u32| call.again(&INVITE, CALLER, Addr::v4(0xc000_0300 + place), NOW + u64::from(place));
        for place in 1..=4 {
            assert_eq!(at(place), Again::Repeat, "{place}");
        }
        assert_eq!(at(5), Again::New);
    }

    #[test]
    fn only_a_call_that_waited_fails_and_only_once() {
        let fails = |call: Call, status| call.fails(&answer(Method::Invite, 2), status, CALLER);
        for status in [404, 480, 486, 487, 500, 603] {
            assert!(fails(invited(), status), "{status}");
        }
        for status in [100, 180, 200, 401, 407] {
            assert!(!fails(invited(), status), "{status}");
        }
        assert!(!fails(answered(), 486), "the answer to a re-INVITE");
        let mut busy = invited();
        busy.answer(&answer(Method::Invite, 2), 486, CALLEE, CALLER, NOW);
        assert!(!fails(busy, 486), "sent again");
        assert!(!invited().fails(&answer(Method::Invite, 2), 486, OTHER));
    }

    #[test]
    fn behind_an_answer_the_same_invite_is_another_call() {
        assert_eq!(answered().again(&INVITE, CALLER, CALLEE, NOW + 5 * SECOND), Again::New);
        let mut ringing = invited();
        ringing.answer(&answer(Method::Invite, 2), 180, CALLEE, CALLER, NOW);
        assert_eq!(ringing.again(&INVITE, CALLER, CALLEE, NOW + 5 * SECOND), Again::New);
        let mut proved = invited();
        proved.answer(&answer(Method::Invite, 2), 407, CALLEE, CALLER, NOW);
        assert_eq!(proved.again(&INVITE, CALLER, CALLEE, NOW + SECOND), Again::New, "without credentials");
        let credentials = Dialog { credentials: 1, ..INVITE };
        assert_eq!(proved.again(&credentials, CALLER, CALLEE, NOW + SECOND), Again::Repeat);
        assert_eq!(proved.again(&credentials, CALLER, CALLEE, NOW + 2 * SECOND), Again::Repeat, "sent again");
    }

    #[test]
    fn nobody_goes_on_with_a_call_to_his_own_contact() {
        assert!(!is_in_dialog(answered(), Dialog { user: 11, ..HOLD }, CALLER, CALLEE));
        let back = Dialog { from_tag: 2, to_tag: 1, user: 12, ..HOLD };
        assert!(!is_in_dialog(answered(), back, CALLEE, CALLER));
    }

    #[test]
    fn the_repeat_with_credentials_comes_at_once_and_once() {
        let mut call = invited();
        call.answer(&answer(Method::Invite, 2), 407, CALLEE, CALLER, NOW);
        assert_eq!(call.state(), State::Challenged);
        let proved = Dialog { credentials: 1, ..INVITE };
        assert_eq!(call.again(&proved, CALLER, CALLEE, NOW + 1_000_000), Again::Repeat);
        assert_eq!(call.again(&proved, CALLER, CALLEE, NOW + 2_000_000), Again::New);
        assert!(call.answer(&answer(Method::Invite, 3), 200, CALLEE, CALLER, NOW + SECOND), "its credentials hold");
    }

    #[test]
    fn a_call_that_a_limit_refused_stays_refused() {
        let mut call = Call { state: State::Refused as u8, until: NOW + AFTERWARDS, ..invited() };
        assert_eq!(call.again(&INVITE, CALLER, CALLEE, NOW + 31 * SECOND), Again::Refused);
        assert_eq!(call.again(&INVITE, CALLER, CALLEE, NOW + 33 * SECOND), Again::New);
        assert_eq!(call.again(&Dialog { user: 13, ..INVITE }, CALLER, CALLEE, NOW), Again::New, "another number");
    }

    #[test]
    fn a_call_rings_is_answered_and_ends() {
        let mut call = invited();
        call.answer(&answer(Method::Invite, 2), 180, CALLEE, CALLER, NOW);
        assert_eq!(call.state(), State::Ringing);
        call.answer(&answer(Method::Invite, 2), 200, CALLEE, OTHER, NOW);
        assert_eq!(call.state(), State::Ringing, "an answer to somebody else");
        call.answer(&answer(Method::Invite, 2), 200, CALLEE, CALLER, NOW);
        assert_eq!((call.state(), call.until), (State::Answered, NOW + ANSWERED));
        call.answer(&answer(Method::Invite, 2), 488, CALLEE, CALLER, NOW);
        assert_eq!(call.state(), State::Answered, "a re-INVITE that is refused ends nothing");
        let mut by_callee = call;
        call.answer(&answer(Method::Bye, 2), 200, CALLEE, CALLER, NOW);
        assert_eq!(call.state(), State::Ended);
        by_callee.answer(&answer(Method::Bye, 1), 200, CALLER, CALLEE, NOW);
        assert_eq!(by_callee.state(), State::Ended);
        assert_eq!(call.again(&INVITE, CALLER, CALLEE, NOW + SECOND), Again::New, "what ended begins anew");
    }

    #[test]
    fn only_credentials_that_hold_make_a_source_known() {
        let register = |credentials, status| {
            let mut call = Call { flags: credentials, ..invited() };
            call.answer(&answer(Method::Register, 2), status, CALLEE, CALLER, NOW)
        };
        assert!(register(1, 200));
        assert!(!register(0, 200), "a server that lets anybody register proves nothing");
        assert!(!register(1, 401) && !register(1, 403) && !register(1, 100));
    }

    #[test]
    fn octets_of_the_kernel_are_read_as_it_wrote_them() {
        let mut octets = [0; CALL];
        for (at, octet) in octets.iter_mut().enumerate() {
            *octet = at as u8;
        }
        let call = Call::from_octets(&octets);
        assert_eq!(call.caller.hi.to_ne_bytes(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(call.until.to_ne_bytes(), [96, 97, 98, 99, 100, 101, 102, 103]);
        assert_eq!(call.country.to_ne_bytes(), [104, 105]);
        assert_eq!((call.class, call.state, call.reason), (106, 108, 111));
    }

    #[test]
    fn clocks_at_their_ends_do_not_overflow() {
        let mut call = Call { last: u64::MAX, until: u64::MAX, ..invited() };
        assert_eq!(call.again(&INVITE, CALLER, CALLEE, 0), Again::New);
    }
}
