//! What to type so that a call goes through next time.

use std::collections::BTreeSet;

use gateway_common::{Reason, judged::Who};

use super::Decision;
use crate::{daemon::Readable, orders};

/// What has become of the order that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Its state now.
    pub state: orders::State,
    /// The order that undid it.
    pub undone: Option<u64>,
}

/// What can be done about a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedy {
    /// The command that undoes it.
    pub undo: Option<String>,
    /// What is to be known, or done by hand where no command does it.
    pub advice: Option<String>,
}

impl Remedy {
    fn undo(command: String) -> Self {
        Self { undo: Some(command), advice: None }
    }

    fn advice(text: impl Into<String>) -> Self {
        Self { undo: None, advice: Some(text.into()) }
    }
}

/// What can be done about a decision now. `fate` is that of the order that decided, where one did; `holding` has the words of
/// `resume` for all that refuses calls now.
pub fn remedy(decision: &Decision, fate: Option<Fate>, holding: &BTreeSet<String>) -> Remedy {
    if decision.passed() {
        return Remedy::default();
    }
    if let Some(order) = decision.order {
        return of_order(order, fate);
    }
    let Some(reason) = Reason::ALL.iter().find(|reason| reason.as_str() == decision.reason) else {
        return Remedy::default();
    };
    let mut remedy = if decision.held.is_empty() { of_reason(*reason, decision) } else { of_held(decision, holding) };
    if decision.would_drop() {
        let monitored = "it went on: monitor mode, or a rule that only warns";
        let advice = remedy.advice.map_or_else(|| monitored.to_owned(), |advice| format!("{monitored}; {advice}"));
        remedy.advice = Some(advice);
    }
    remedy
}

fn of_order(order: u64, fate: Option<Fate>) -> Remedy {
    match fate {
        Some(Fate { state: orders::State::InForce, .. }) => Remedy::undo(format!("tollgate undo {order}")),
        Some(Fate { state: orders::State::Undone, undone: Some(by) }) => {
            Remedy::advice(format!("order {order} has been undone by order {by}: nothing of it is in force"))
        }
        Some(_) => Remedy::advice(format!("order {order} has ended: nothing of it is in force")),
        None => Remedy::advice(format!("order {order} is not in the orders store of this daemon")),
    }
}

/// A limit refused it, and what it held then is known.
fn of_held(decision: &Decision, holding: &BTreeSet<String>) -> Remedy {
    match decision.held.iter().find(|held| holding.contains(&held.resume)) {
        Some(held) => Remedy::undo(format!("tollgate resume {}", held.resume)),
        None => Remedy::advice("nothing of that is full or suspended any more: there is nothing to undo"),
    }
}

fn of_reason(reason: Reason, decision: &Decision) -> Remedy {
    match reason {
        // What the floor counts, no allow lifts.
        Reason::Floor
            if decision.class == "international"
                && decision.who != Who::Trunk.as_str()
                && decision.who != Who::Unproved.as_str() =>
        {
            match &decision.country {
                Some(country) => Remedy::undo(format!("tollgate resume {country}")),
                None => Remedy::undo("tollgate resume international".into()),
            }
        }
        Reason::Suspended => Remedy::advice(
            "`tollgate list lines` names what is suspended, until when, and the `tollgate resume` that lifts it",
        ),
        Reason::BlockedPrefix
        | Reason::BlockedCountry
        | Reason::ClassInternational
        | Reason::ClassPremium
        | Reason::ClassNonGeographic
        | Reason::ClassUnassigned
        | Reason::ClassOther
        | Reason::Suspicious
        | Reason::Floor => match allowed(decision) {
            Some(what) => Remedy::undo(format!("tollgate allow {what}{} --for 1h", source(decision))),
            None => Remedy::advice("name in `tollgate allow` what was dialled; this record has no number"),
        },
        Reason::Malformed => Remedy::advice(
            "the caller writes a number in a form that no telephone writes; correct it there, or write \
             class.malformed = \"monitor\" for its profile, and `tollgate reload`",
        ),
        Reason::Unreadable | Reason::AmbiguousTarget | Reason::FragmentShort => {
            Remedy::advice("no rule allows what cannot be read; docs/reasons.md says what the caller must send instead")
        }
        Reason::SourceLimit
        | Reason::NetworkLimit
        | Reason::UnprovedLimit
        | Reason::LineLimit
        | Reason::SiteLimit
        | Reason::DestinationLimit
        | Reason::PacketLimit
        | Reason::SynLimit
        | Reason::EmergencyFlood => Remedy::advice(
            "an allow lifts no limit: raise it in the policy file, or give the source a profile of its own, and \
             `tollgate reload`",
        ),
        Reason::Order => Remedy::advice(
            "the calls that the order allows are used up: `tollgate list lines` shows how many; give another with more, \
             such as `tollgate allow LV --max 40/1d`",
        ),
        Reason::Banned => Remedy::undo(format!("tollgate resume {}", decision.source)),
        Reason::OutsideRegistration => Remedy::advice(format!(
            "a telephone of yours: `tollgate allow {} --for 5m` lets it register, which makes it known; for good, write its \
             network in sources of a profile, with outside_registration = \"known\" in [site], and `tollgate reload`",
            decision.source
        )),
        Reason::InternationalOff
        | Reason::TcpDenied
        | Reason::Shield
        | Reason::NotSip
        | Reason::SipOther
        | Reason::Allowed
        | Reason::Emergency
        | Reason::Repeat
        | Reason::InDialog
        | Reason::NoNumber
        | Reason::Inbound
        | Reason::Fragment
        | Reason::UnparsedEncapsulation => Remedy::default(),
    }
}

/// The narrowest WHAT that the masked number still names.
fn allowed(decision: &Decision) -> Option<String> {
    let readable = Readable::of(decision.number.as_ref()?);
    let head = readable.head.as_str();
    let keys = !head.is_empty() && head.bytes().all(|b| b.is_ascii_digit() || b"*#+".contains(&b));
    match readable.e164 {
        true if keys => Some(format!("+{head}")),
        false if keys => Some(format!("dial:{head}")),
        _ => None,
    }
}

/// Only for the caller, where it is one and no trunk.
fn source(decision: &Decision) -> String {
    if decision.who == Who::Trunk.as_str() { String::new() } else { format!(" --source {}", decision.source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{daemon::Held, journal::tests::decision};

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    #[test]
    fn a_ban_is_lifted_by_its_address_and_an_allowance_that_is_used_up_is_not_undone() {
        let of = |reason: &'static str| {
            let held = Decision { reason: reason.into(), order: None, held: Vec::new(), ..decision(0) };
            (remedy(&held, None, &none()), held.source)
        };
        let (banned, source) = of("banned");
        assert_eq!(banned.undo, Some(format!("tollgate resume {source}")));
        let (used_up, _) = of("order");
        assert_eq!(used_up.undo, None);
        assert!(used_up.advice.unwrap().contains("--max"));
    }

    #[test]
    fn what_a_limit_holds_is_resumed_while_it_does() {
        let held = Held {
            limit: "[limit.abroad]".into(),
            counts: "international calls of the line line:#00".into(),
            windows: vec!["5 of 5/60s".into()],
            since: None,
            until: None,
            resume: "line:#00".into(),
            read_after_ms: 3,
        };
        let refused = Decision { reason: Reason::LineLimit.as_str().into(), held: vec![held], ..decision(0) };
        let found = remedy(&refused, None, &BTreeSet::from(["SL".to_owned(), "line:#00".to_owned()]));
        assert_eq!(found.undo.as_deref(), Some("tollgate resume line:#00"));
        let found = remedy(&refused, None, &none());
        assert!(found.undo.is_none() && found.advice.unwrap().contains("nothing to undo"));
        let would = Decision { verdict: "would-drop".into(), ..refused };
        assert!(remedy(&would, None, &none()).advice.unwrap().contains("monitor mode"));
    }

    #[test]
    fn each_stop_has_its_command_or_its_advice() {
        let dropped = |reason: Reason, number: Option<&str>| Decision {
            reason: reason.as_str().into(),
            number: number.map(Into::into),
            ..decision(0)
        };
        let found = remedy(&dropped(Reason::BlockedCountry, Some("+232 76••••••")), None, &none());
        assert_eq!(found.undo.as_deref(), Some("tollgate allow +23276 --source 192.0.2.20 --for 1h"));
        let found = remedy(&dropped(Reason::Suspicious, Some("01••••••")), None, &none());
        assert_eq!(found.undo.as_deref(), Some("tollgate allow dial:01 --source 192.0.2.20 --for 1h"));
        let trunk = Decision { who: "trunk".into(), ..dropped(Reason::Floor, Some("+979 12•••")) };
        assert_eq!(remedy(&trunk, None, &none()).undo.as_deref(), Some("tollgate allow +97912 --for 1h"));
        assert_eq!(remedy(&dropped(Reason::BlockedPrefix, Some("a;••")), None, &none()).undo, None);
        for reason in Reason::ALL.iter().filter(|reason| reason.stops()) {
            let found = remedy(&dropped(*reason, Some("+232 76••••••")), None, &none());
            let later = matches!(
                reason,
                Reason::Order
                    | Reason::InternationalOff
                    | Reason::Banned
                    | Reason::Suspended
                    | Reason::TcpDenied
                    | Reason::Shield
            );
            assert!(later || found != Remedy::default(), "{} leaves the operator alone", reason.as_str());
        }
        let would = Decision { verdict: "would-drop".into(), ..dropped(Reason::SourceLimit, None) };
        let advice = remedy(&would, None, &none()).advice.unwrap();
        assert!(advice.contains("monitor mode") && advice.contains("lifts no limit"), "{advice}");
        let passed = Decision { verdict: "pass".into(), ..dropped(Reason::Allowed, None) };
        assert_eq!(remedy(&passed, None, &none()), Remedy::default());
    }

    #[test]
    fn an_order_is_undone_only_while_it_is_in_force() {
        let by = Decision { order: Some(7), reason: "order".into(), ..decision(0) };
        let fate = |state, undone| remedy(&by, Some(Fate { state, undone }), &none());
        assert_eq!(fate(orders::State::InForce, None).undo.as_deref(), Some("tollgate undo 7"));
        let undone = fate(orders::State::Undone, Some(9));
        assert_eq!(undone.undo, None);
        assert!(undone.advice.unwrap().contains("undone by order 9"));
        assert!(fate(orders::State::Expired, None).advice.unwrap().contains("has ended"));
        assert!(remedy(&by, None, &none()).advice.unwrap().contains("not in the orders store"));
    }
}
