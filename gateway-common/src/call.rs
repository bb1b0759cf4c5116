//! A call as a call table knows it, and when a request belongs to it.
//!
//! A To tag alone proves nothing: whoever makes one up would be past every rule (RFC 3261 section 12.2 leaves it to the
//! server to know its dialogs). So a re-INVITE is exempt only where the call it names was seen to be answered, and only
//! for whom that call was admitted to.

use crate::addr::Addr;

/// A keyed hash of a Call-ID, a tag or a user part; 0 where there is none.
pub type Digest = u64;

/// What is known of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Who sent the INVITE that was admitted.
    pub caller: Addr,
    /// Who answered it.
    pub callee: Addr,
    /// Its From tag.
    pub from_tag: Digest,
    /// The To tag of the answer.
    pub to_tag: Digest,
    /// The dialled string that was admitted.
    pub admitted: Digest,
    /// The users of the Contacts of INVITE and answer.
    pub contacts: [Digest; 2],
    /// A 2xx was seen from the other side.
    pub confirmed: bool,
}

/// An INVITE with a To tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReInvite {
    /// Its Call-ID.
    pub call_id: Digest,
    /// Where it comes from.
    pub src: Addr,
    /// Where it goes.
    pub dst: Addr,
    /// Its From tag.
    pub from_tag: Digest,
    /// Its To tag.
    pub to_tag: Digest,
    /// The user of its Request-URI.
    pub user: Digest,
}

/// Where calls are kept.
pub trait Calls {
    /// The call with this Call-ID, if it is known.
    fn call(&self, call_id: Digest) -> Option<Call>;
}

/// Whether an INVITE belongs to a call that goes on. One that does not is a new call, whatever it says of itself.
pub fn is_in_dialog(calls: &impl Calls, request: &ReInvite) -> bool {
    calls.call(request.call_id).is_some_and(|call| call.goes_on(request))
}

impl Call {
    /// Either side may send it; it must carry both tags, and call whom the call was admitted to or who said to be called so.
    fn goes_on(&self, request: &ReInvite) -> bool {
        let sides = (request.src, request.dst, request.from_tag, request.to_tag);
        let from_caller = sides == (self.caller, self.callee, self.from_tag, self.to_tag);
        let from_callee = sides == (self.callee, self.caller, self.to_tag, self.from_tag);
        let known = request.user == self.admitted || self.contacts.contains(&request.user);
        let whole = self.from_tag != 0 && self.to_tag != 0 && request.user != 0;
        self.confirmed && whole && known && (from_caller || from_callee)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: Addr = Addr::v4(0xc000_0242);
    const CALLEE: Addr = Addr::v4(0xc000_0201);
    const OTHER: Addr = Addr::v4(0xc633_6401);

    const CALL: Call = Call {
        caller: CALLER,
        callee: CALLEE,
        from_tag: 1,
        to_tag: 2,
        admitted: 10,
        contacts: [11, 12],
        confirmed: true,
    };
    const HOLD: ReInvite = ReInvite { call_id: 7, src: CALLER, dst: CALLEE, from_tag: 1, to_tag: 2, user: 12 };

    struct One(Call);

    impl Calls for One {
        fn call(&self, call_id: Digest) -> Option<Call> {
            (call_id == 7).then_some(self.0)
        }
    }

    fn passes(call: Call, request: ReInvite) -> bool {
        is_in_dialog(&One(call), &request)
    }

    #[test]
    fn either_side_may_go_on_with_an_answered_call() {
        assert!(passes(CALL, HOLD), "to the Contact of the other side");
        assert!(passes(CALL, ReInvite { user: 10, ..HOLD }), "to the number that was admitted");
        let back = ReInvite { src: CALLEE, dst: CALLER, from_tag: 2, to_tag: 1, user: 11, ..HOLD };
        assert!(passes(CALL, back), "from who was called");
    }

    #[test]
    fn a_known_call_is_no_cover_for_another_number() {
        assert!(!passes(CALL, ReInvite { user: 99, ..HOLD }));
        assert!(!passes(CALL, ReInvite { user: 0, ..HOLD }), "no user is nobody's Contact");
        assert!(!passes(Call { contacts: [0, 0], ..CALL }, ReInvite { user: 0, ..HOLD }));
    }

    #[test]
    fn made_up_tags_and_other_addresses_begin_a_new_call() {
        for request in [
            ReInvite { call_id: 8, ..HOLD },
            ReInvite { to_tag: 3, ..HOLD },
            ReInvite { from_tag: 3, ..HOLD },
            ReInvite { to_tag: 0, ..HOLD },
            ReInvite { src: OTHER, ..HOLD },
            ReInvite { dst: OTHER, ..HOLD },
            ReInvite { src: CALLEE, dst: CALLER, ..HOLD },
        ] {
            assert!(!passes(CALL, request), "{request:?}");
        }
    }

    #[test]
    fn a_call_that_nobody_answered_is_none() {
        assert!(!passes(Call { confirmed: false, ..CALL }, HOLD));
        assert!(!passes(Call { to_tag: 0, ..CALL }, ReInvite { to_tag: 0, ..HOLD }));
    }
}
