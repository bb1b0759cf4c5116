//! What `tollgate-proof` prints, in a shorter form, and held against what it must be.

use std::time::Duration;

use gateway_tests::{
    capability::{require_kernel, require_program},
    daemon::find_binary,
    proof::{
        Behaviour, CLOCKS, Calls, Defence, Dialled, Flood, Flow, Rate, Tool, Tried, WINDOWS, Weathered, behave, calls,
        flood, pace, rate, tool, windows,
    },
};

fn require_daemon(test: &str) -> bool {
    require_kernel(test) && require_program(test, find_binary().ok(), "cargo build -p gateway-user").is_some()
}

#[test]
fn a_rate_admits_burst_and_rate_times_time_on_two_cpus_and_over_policies() {
    if !require_daemon("proof::a_rate_admits_burst_and_rate_times_time_on_two_cpus_and_over_policies") {
        return;
    }
    let time = Duration::from_secs(2);
    let one = |cpus| Flow { cpus, sources: 1, time, reloads: 0 };
    for (limit, flow) in [
        (Rate { a_second: 1_000, burst: 1_000 }, one(1)),
        (Rate { a_second: 1_000, burst: 1_000 }, Flow { reloads: 10, ..one(2) }),
        (Rate { a_second: 2, burst: 40 }, Flow { sources: 10_000, ..one(2) }),
    ] {
        let outcome = rate(limit, flow).unwrap();
        assert!(outcome.holds(flow.sources), "{limit:?} {flow:?}: {outcome:?}");
        assert!(outcome.judged > 2 * outcome.admitted, "too little was offered: {flow:?}: {outcome:?}");
    }
}

#[test]
fn a_rate_holds_at_the_ends_of_the_clock() {
    if !require_kernel("proof::a_rate_holds_at_the_ends_of_the_clock") {
        return;
    }
    for clock in CLOCKS {
        let paced = pace(clock).unwrap();
        // Packets that came later and say an earlier time belong to more than one order.
        let slack = u64::from(clock.back > 0);
        assert!(paced.over <= slack, "{clock:?}: {paced:?}");
        assert!(paced.admitted <= paced.allowed + slack, "{clock:?}: {paced:?}");
        // The last packets before the end of the clock, as many as pass at once, may be refused.
        let less = if clock.ends() { 20 } else { 1 };
        assert!(paced.admitted + less >= paced.allowed.min(paced.offered), "{clock:?}: {paced:?}");
    }
}

#[test]
fn a_window_admits_its_calls_and_never_one_more() {
    if !require_kernel("proof::a_window_admits_its_calls_and_never_one_more") {
        return;
    }
    for list in WINDOWS {
        let got = windows(list, 3_000).unwrap();
        assert_eq!((got.too_many, got.too_few), (0, 0), "{list:?}: {got:?}");
        assert!(got.admitted > 20 && got.admitted < got.offered, "{list:?}: {got:?}");
    }
}

#[test]
fn limits_on_calls_are_exact_at_line_rate_on_two_cpus() {
    if !require_daemon("proof::limits_on_calls_are_exact_at_line_rate_on_two_cpus") {
        return;
    }
    for limit in [Calls::InAnHour(50), Calls::AtOnce(50)] {
        let (judged, admitted) = calls(limit, 2, 100_000).unwrap();
        assert_eq!(admitted, 50, "{limit:?}");
        assert!(judged > 50_000, "{limit:?}: {judged}");
    }
}

/// Forged packets that limits of 100 a second, 200 at once, for each of three methods let through.
fn outside(got: &Weathered) -> u64 {
    3 * (200 + 100 * (got.at_most.as_secs() + 1))
}

#[test]
fn a_flood_of_forged_sources_costs_known_telephones_no_call() {
    if !require_daemon("proof::a_flood_of_forged_sources_costs_known_telephones_no_call") {
        return;
    }
    for (defence, dialled) in [
        (Defence::Limited(100), Dialled::Domestic),
        (Defence::Limited(100), Dialled::Blocked),
        (Defence::Shield, Dialled::Domestic),
    ] {
        let got = flood(Flood { defence, dialled, forged: 300_000, calls: 500 }).unwrap();
        println!("{defence:?} {dialled:?}: {got:?}");
        assert!(got.forged >= 300_000 && got.calls >= 500, "{got:?}");
        assert!(got.completed * 1000 >= got.calls * 999, "{defence:?}: {got:?}");
        // What exceeds its limit gets that and no more, however many sources take its place in the table.
        let (sent, through, allowed) = got.greedy;
        assert!(sent > allowed && through <= allowed + 1, "{defence:?}: {got:?}");
        let most = if defence == Defence::Shield { 0 } else { outside(&got) };
        assert!(got.forged_passed <= most, "{defence:?}: {got:?}");
        // A telephone that nobody knows is heard since it repeats its INVITE; the shield is there to keep it out. One in twenty finds
        // its place among those that are to come back taken, twice.
        if defence != Defence::Shield {
            assert!(got.new_rang > 0 && got.new_rang * 2 >= got.new, "{got:?}");
        }
    }
}

/// The tool, where it is installed, and what it came to.
fn tried(test: &str, which: Tool) -> Option<Tried> {
    if !require_daemon(test) {
        return None;
    }
    if let Some(remedy) = which.missing() {
        require_program(test, None::<()>, &remedy);
        return None;
    }
    let got = tool(which, Duration::from_secs(8)).unwrap();
    println!("{which:?}: {got:?}");
    assert_eq!((got.calls.0, got.cut), (got.calls.1, 0), "a call of the honest telephone was cut: {got:?}");
    assert!(got.calls.0 > 0 && got.sent > 0, "{got:?}");
    Some(got)
}

/// Requests that a bucket of so many at once and so many a second lets through in that time.
fn bucket(got: &Tried, burst: u64, a_second: u64) -> u64 {
    burst + a_second * (got.at_most.as_secs() + 1)
}

#[test]
fn svmap_is_held_to_the_ceiling() {
    let Some(got) = tried("proof::svmap_is_held_to_the_ceiling", Tool::Svmap) else { return };
    assert!(got.through <= bucket(&got, 200, 50) && got.before_first_stop.is_some(), "{got:?}");
    assert!(got.reasons["packet-limit"] > 0, "{got:?}");
}

/// Requests that pass until a source that guesses is banned: the burst of the limit, and as many first tries without a password.
const GUESSES: u64 = 2 * 20 + 10;

#[test]
fn svwar_by_invite_is_banned_since_it_acknowledges_what_it_is_told() {
    let test = "proof::svwar_by_invite_is_banned_since_it_acknowledges_what_it_is_told";
    let Some(got) = tried(test, Tool::SvwarInvite) else { return };
    assert!(got.through <= GUESSES && got.before_first_stop.is_some(), "{got:?}");
    assert!(got.reasons.get("banned").is_some_and(|count| *count > 100), "{got:?}");
}

#[test]
fn svwar_by_register_is_held_to_the_limit_of_registrations() {
    let test = "proof::svwar_by_register_is_held_to_the_limit_of_registrations";
    let Some(got) = tried(test, Tool::SvwarRegister) else { return };
    assert!(got.through <= bucket(&got, 320, 5) && got.before_first_stop.is_some(), "{got:?}");
    assert!(got.reasons.contains_key("packet-limit") || got.reasons.contains_key("source-limit"), "{got:?}");
}

#[test]
fn svcrack_is_banned_after_a_few_passwords() {
    let Some(got) = tried("proof::svcrack_is_banned_after_a_few_passwords", Tool::Svcrack) else { return };
    // A nonce that the honest telephone was given in the same second proves nothing: the ceiling holds until the next one.
    assert!(got.through <= 200 && got.before_first_stop.is_some(), "{got:?}");
    assert!(got.reasons.get("banned").is_some_and(|count| *count > 100), "{got:?}");
    assert!(got.answers.contains_key(&401) && !got.answers.contains_key(&200), "{got:?}");
}

#[test]
fn sipsak_is_held_to_the_ceiling() {
    let Some(got) = tried("proof::sipsak_is_held_to_the_ceiling", Tool::Sipsak) else { return };
    assert!(got.through <= bucket(&got, 200, 50), "{got:?}");
    assert_eq!(got.reasons["packet-limit"] + got.through, got.sent, "{got:?}");
}

#[test]
fn calls_abroad_by_sipp_stop_at_the_first_or_after_few() {
    let test = "proof::calls_abroad_by_sipp_stop_at_the_first_or_after_few";
    let Some(got) = tried(test, Tool::Sipp) else { return };
    assert_eq!(got.before_first_stop, Some(0), "{got:?}");
    // Every other call goes to a blocked country, and each is sent twice.
    assert!(got.reasons["blocked-country"] * 2 + 4 >= got.sent, "{got:?}");
    // The windows of calls abroad are a rate for whom nobody knows: half of eight at once, at any hour.
    assert!(got.through <= 2 * bucket(&got, 4, 1), "{got:?}");
}

#[test]
fn nothing_that_an_honest_telephone_does_within_its_calls_is_cut() {
    if !require_kernel("proof::nothing_that_an_honest_telephone_does_within_its_calls_is_cut") {
        return;
    }
    for behaviour in Behaviour::ALL {
        let behaved = behave(behaviour).unwrap();
        println!("{behaviour:?}: {behaved:?}");
        assert!(behaved.calling >= 5, "{behaviour:?}: {behaved:?}");
        assert!(behaved.cut.is_empty(), "{behaviour:?}: {behaved:?}");
    }
}
