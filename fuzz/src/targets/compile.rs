//! From the policy file to decisions: what is loaded lets emergency calls from the inside pass. The first line of an input
//! is what an order blocks everywhere.

use std::{collections::HashMap, net::IpAddr, path::Path};

use gateway_common::{Reason, Verdict, judge::Side};
use gateway_user::{
    config::{self, Config},
    daemon::{ActiveOrder, OrderRule},
    engine::host::HostEngine,
    numbering,
    orders::Scope,
    policy,
};

use super::policy::reads_lists;
use crate::envelope::Envelope;

/// From the inside.
const INSIDE: Envelope = Envelope(1);
const NOW: u64 = 1_000_000_000_000;

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((order, text)) = text.split_once('\n') else { return };
    if reads_lists(text) {
        return;
    }
    let Ok((config, _)) = config::parse(text, None, Path::new("/nonexistent")) else { return };
    let what: Vec<_> = order.split(' ').filter_map(|what| what.parse().ok()).collect();
    let orders = [ActiveOrder { number: 1, rule: OrderRule::Block, what, scope: Scope::Site, max: None }];
    match policy::compile(&config, &orders, &HashMap::new(), 1) {
        Ok((image, _)) => {
            let mut engine = HostEngine::new(image);
            for number in emergency(&config) {
                let message = format!("INVITE sip:{number}@gw.example.net SIP/2.0\r\nTo: <sip:{number}@gw>\r\n\r\n");
                let judged = engine.judge(&INSIDE.plain(message.as_bytes()), Side::Lan, 0, NOW);
                // On another port than those of the policy it is not read.
                if judged.method().is_some() {
                    assert_eq!((judged.verdict(), judged.reason()), (Verdict::Pass, Reason::Emergency), "{number}");
                }
            }
        }
        Err(errors) => assert!(!errors.to_string().is_empty(), "refused without a word"),
    }
}

/// The emergency numbers of the profile that holds for the caller, with and without the digit for an outside line.
fn emergency(config: &Config) -> Vec<String> {
    let from = IpAddr::V4(INSIDE.source().into());
    let named = config.profiles.iter().any(|profile| profile.sources.iter().any(|network| network.contains(from)));
    let Some(default) = config.profiles.first().filter(|_| !named) else { return Vec::new() };
    let of_region = numbering::region(&default.region).map_or(&[][..], |region| &region.emergency);
    let numbers = default.emergency.iter().map(String::as_str).chain(of_region.iter().copied());
    let lines = [""].into_iter().chain(default.outside_line.iter().map(String::as_str));
    let written = lines.map(|line| line.replace('#', "%23"));
    written.flat_map(|line| numbers.clone().map(move |number| format!("{line}{number}"))).collect()
}
