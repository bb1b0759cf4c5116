//! The policies under which frames are judged, each compiled once a thread.

use std::{cell::RefCell, collections::HashMap, path::Path};

use gateway_common::{Reason, Verdict, judge::Side, judged::Judged};
use gateway_user::{
    config::{self, Config, Mode},
    daemon::{ActiveOrder, OrderRule},
    engine::{Engine as _, host::HostEngine},
    numbering,
    orders::Scope,
    policy::{self, PolicyImage},
};

/// Trunk, profiles by source, `dial:` rules, the floor, every kind of limit; under orders.
const BUSY: &str = include_str!("../policies/busy.toml");

const POLICIES: [&str; 6] = [
    include_str!("../../gateway-user/policies/example.toml"),
    include_str!("../../gateway-user/tests/data/evasion/policy.toml"),
    BUSY,
    include_str!("../../gateway-user/policies/jp.toml"),
    include_str!("../../gateway-user/policies/us.toml"),
    include_str!("../../gateway-user/policies/de.toml"),
];

/// Now, in nanoseconds of the engine's clock: far enough from zero that a fresh cell is not an old one.
const NOW: u64 = 1_000_000_000_000;
/// The interface that the frames come in on.
const IFINDEX: u32 = 2;

/// A compiled policy, what it was compiled from, and an engine that decides by it.
pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) orders: Vec<ActiveOrder>,
    pub(crate) image: PolicyImage,
    engine: HostEngine,
}

thread_local! {
    static SITES: RefCell<[Option<Box<Site>>; POLICIES.len()]> = RefCell::default();
}

/// Does something under the policy that an octet chooses.
pub(crate) fn with<T>(choice: u8, act: impl FnOnce(&mut Site) -> T) -> T {
    let number = usize::from(choice) % POLICIES.len();
    SITES.with_borrow_mut(|sites| act(sites[number].get_or_insert_with(|| Box::new(Site::new(POLICIES[number])))))
}

/// The policies' own text.
pub(crate) const fn policies() -> &'static [&'static str] {
    &POLICIES
}

fn orders() -> Vec<ActiveOrder> {
    let order = |(number, (rule, what, scope)): (u64, (OrderRule, &str, Scope))| ActiveOrder {
        number,
        rule,
        what: what.split(' ').filter_map(|what| what.parse().ok()).collect(),
        scope,
        max: None,
    };
    let orders = [
        (OrderRule::Block, "+2326 CU dial:0990", Scope::Site),
        (OrderRule::Allow, "+88161", Scope::Site),
        (OrderRule::Block, "198.51.100.9 198.51.100.128/25", Scope::Site),
        (OrderRule::Block, "international", Scope::Profile("lobby".into())),
        (OrderRule::Allow, "+4420", Scope::Profile("lobby".into())),
    ];
    (1..).zip(orders).map(order).collect()
}

impl Site {
    fn new(text: &str) -> Self {
        let config = match config::parse(text, None, Path::new(".")) {
            Ok((config, _)) => config,
            Err(problems) => panic!("a policy of the targets is none: {problems}"),
        };
        let orders = if text == BUSY { orders() } else { Vec::new() };
        match policy::compile(&config, &orders, &HashMap::new(), 1) {
            Ok((image, _)) => Self { engine: HostEngine::new(image.clone()), config, orders, image },
            Err(errors) => panic!("a policy of the targets does not compile: {errors}"),
        }
    }

    /// What is decided about a frame from fresh state. Fails where the record contradicts itself.
    pub(crate) fn judge(&mut self, frame: &[u8], side: Side) -> Judged {
        assert!(self.engine.reset().is_ok(), "an engine of this process can always be reset");
        let judged = self.engine.judge(frame, side, IFINDEX, NOW);
        self.check(&judged, side);
        judged
    }

    /// What holds for every record.
    fn check(&self, judged: &Judged, side: Side) {
        let (verdict, reason) = (judged.verdict(), judged.reason());
        assert_eq!(verdict as u8, judged.verdict, "a verdict that nobody knows");
        assert_eq!(reason as u8, judged.reason, "a reason that nobody knows");
        assert_eq!(judged.class() as u8, judged.class, "a class that nobody knows");
        assert!(judged.method == 0 || judged.method().is_some(), "a method that nobody knows");
        assert_eq!(verdict != Verdict::Pass, reason.stops(), "{verdict:?} for {reason:?}");
        assert!(judged.country as usize <= numbering::country_codes().len(), "country {}", judged.country);

        let dialled = judged.dialled();
        assert_eq!(dialled.len(), judged.dialled_len as usize, "more is dialled than a record holds");
        assert!(dialled.iter().all(u8::is_ascii_graphic), "{} is dialled", dialled.escape_ascii());
        let digits: Vec<u8> = judged.e164().collect();
        // What is dialled behind the whole number stays in the record of a call that is stopped for its head.
        assert!(digits.len() <= 15 || verdict != Verdict::Pass, "{} has more digits than E.164", digits.escape_ascii());
        assert!(digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0"), "{}", digits.escape_ascii());

        if judged.method().is_some_and(|method| !method.makes_call()) {
            assert!(!is_of_destination(reason), "{:?} is stopped for its destination: {reason:?}", judged.method());
        }
        let orders = matches!(reason, Reason::Order | Reason::Floor);
        if verdict == Verdict::Drop && self.config.mode == Mode::Monitor {
            assert!(orders, "{reason:?} acts in monitor mode");
        }
        if verdict == Verdict::Drop && side == Side::Lan {
            let unread = matches!(reason, Reason::Unreadable | Reason::Malformed | Reason::AmbiguousTarget);
            assert!(!unread, "{reason:?} stops a source of the inside");
            assert_ne!(reason, Reason::EmergencyFlood, "an emergency call from the inside is stopped");
        }
    }
}

/// What a call is and what becomes of it.
pub(crate) type Call = (u8, u8, u8, u16, Vec<u8>, Vec<u8>);

/// Verdict, reason, class, country, what is dialled, and the number.
pub(crate) fn call(judged: &Judged) -> Call {
    let digits = judged.e164().collect();
    (judged.verdict, judged.reason, judged.class, judged.country, judged.dialled().to_vec(), digits)
}

/// Whether a reason is about whom a request calls; SIP that makes no call never gets it.
fn is_of_destination(reason: Reason) -> bool {
    matches!(
        reason,
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
            | Reason::Suspended
            | Reason::DestinationLimit
            | Reason::Floor
            | Reason::Allowed
            | Reason::Emergency
            | Reason::NoNumber
            | Reason::Inbound
    )
}
