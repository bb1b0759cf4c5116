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
    session: 0,
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
    assert!(call.is_up(NOW + ANSWERED) && !call.is_up(NOW + ANSWERED + 1));
    call.answer(&answer(Method::Bye, 2), 200, CALLEE, CALLER, NOW);
    assert_eq!(call.state(), State::Ended);
    assert!(!call.is_up(NOW));
    assert_eq!(call.again(&INVITE, CALLER, CALLEE, NOW + SECOND), Again::New, "what ended begins anew");
}

#[test]
fn a_call_whose_bye_was_lost_ends_with_its_session() {
    let takes = |seconds| {
        let mut call = invited();
        call.answer(&Dialog { session: seconds, ..answer(Method::Invite, 2) }, 200, CALLEE, CALLER, NOW);
        assert_eq!((call.state(), call.refreshed_at()), (State::Answered, Some(NOW)), "{seconds}");
        call.until - NOW
    };
    assert_eq!(takes(0), ANSWERED, "it has no timer");
    assert_eq!(takes(1800), 1800 * SECOND + AFTERWARDS);
    assert_eq!(takes(1), 90 * SECOND + AFTERWARDS, "there is none so short");
    assert_eq!(takes(9_999_999), ANSWERED);
}

#[test]
fn either_side_refreshes_the_session_and_only_whom_was_called_makes_it_shorter() {
    let later = NOW + 600 * SECOND;
    let of_callee = |method, session| Dialog { session, ..answer(method, 2) };
    let of_caller = |method, session| Dialog { from_tag: 2, session, ..answer(method, 1) };
    let mut first = invited();
    first.answer(&of_callee(Method::Invite, 1800), 200, CALLEE, CALLER, NOW);
    let after = |said: &Dialog, src, dst| {
        let mut call = first;
        call.answer(said, 200, src, dst, later);
        assert_eq!(call.state(), State::Answered, "{said:?}");
        (call.until > later).then(|| (call.until - later - AFTERWARDS) / SECOND)
    };
    for method in [Method::Invite, Method::Update] {
        assert_eq!(after(&of_callee(method, 600), CALLEE, CALLER), Some(600));
        assert_eq!(after(&of_callee(method, 0), CALLEE, CALLER), Some(14_368), "no timer any more");
        assert_eq!(after(&of_caller(method, 1800), CALLER, CALLEE), Some(1800));
        assert_eq!(after(&of_caller(method, 90), CALLER, CALLEE), Some(1800), "not by the caller");
        assert_eq!(after(&of_caller(method, 3600), CALLER, CALLEE), Some(3600));
    }
    let unchanged = Some(1800 - 600);
    assert_eq!(after(&of_callee(Method::Update, 90), OTHER, CALLER), unchanged, "somebody else");
    assert_eq!(after(&Dialog { to_tag: 3, ..of_callee(Method::Update, 90) }, CALLEE, CALLER), unchanged);
    assert_eq!(after(&of_callee(Method::Options, 90), CALLEE, CALLER), unchanged);

    let mut early = invited();
    early.answer(&answer(Method::Invite, 2), 183, CALLEE, CALLER, NOW);
    early.answer(&of_callee(Method::Update, 90), 200, CALLEE, CALLER, NOW);
    assert_eq!((early.state(), early.until), (State::Ringing, NOW + UNANSWERED), "an UPDATE takes no call (RFC 3311)");
}

#[test]
fn who_placed_a_call_cannot_say_alone_that_it_is_over() {
    let mut call = answered();
    for (src, dst) in [(CALLER, CALLEE), (OTHER, CALLER)] {
        call.answer(&answer(Method::Bye, 2), 200, src, dst, NOW);
        assert_eq!(call.state(), State::Answered, "an answer to a BYE that nobody sent, from {src:?}");
    }
    let bye = Dialog { from_tag: 2, to_tag: 1, ..INVITE };
    for (bye, src, dst) in [
        (Dialog { from_tag: 1, to_tag: 2, ..INVITE }, CALLER, CALLEE),
        (Dialog { from_tag: 3, ..bye }, CALLEE, CALLER),
        (Dialog { to_tag: 0, ..bye }, CALLEE, CALLER),
        (bye, OTHER, CALLER),
    ] {
        call.hang_up(&bye, src, dst, NOW);
        assert_eq!(call.state(), State::Answered, "{bye:?} from {src:?}");
    }
    call.hang_up(&bye, CALLEE, CALLER, NOW);
    assert_eq!(call.state(), State::Ended, "whom it was made to hangs up");
}

#[test]
fn a_call_is_up_as_long_as_somebody_may_take_it() {
    let mut call = Call { until: NOW + AFTERWARDS, ..invited() };
    assert!(call.is_up(NOW + AFTERWARDS) && !call.is_up(NOW + AFTERWARDS + 1), "nobody answers at all");
    call.answer(&answer(Method::Invite, 0), 100, CALLEE, CALLER, NOW + SECOND);
    call.answer(&answer(Method::Invite, 2), 180, CALLEE, CALLER, NOW + 60 * SECOND);
    assert!(call.is_up(NOW + 60 * SECOND + UNANSWERED), "it rings");
    let mut challenged = call;
    challenged.answer(&answer(Method::Invite, 2), 401, CALLEE, CALLER, NOW + 61 * SECOND);
    assert!(challenged.is_up(NOW + 62 * SECOND), "the repeat with credentials comes at once");
    assert!(!challenged.is_up(NOW + 94 * SECOND), "nobody repeats it");
    call.answer(&answer(Method::Invite, 2), 486, CALLEE, CALLER, NOW + 61 * SECOND);
    assert!(!call.is_up(NOW + 61 * SECOND), "busy");
    assert!(!Call { state: State::Refused as u8, ..invited() }.is_up(NOW));
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
