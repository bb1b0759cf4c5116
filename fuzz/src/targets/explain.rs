//! What `explain` is asked. The first octet chooses the policy, the second whether a source is named.

use std::net::{IpAddr, Ipv4Addr};

use gateway_user::policy::{self, Caller, Holding};
use jiff::Timestamp;

use crate::site;

pub(crate) fn run(input: &[u8]) {
    let [choice, named, text @ ..] = input else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let from = (named & 1 != 0).then(|| IpAddr::V4(Ipv4Addr::new(192, 0, 2, *named)));
    let caller = Caller { from, ..Caller::default() };
    let holding = Holding::nothing(Timestamp::UNIX_EPOCH);
    site::with(*choice, |site| {
        match policy::explain(&site.config, &site.image, &site.orders, text, &caller, &holding) {
            Ok(explained) => {
                let deciding = explained.steps.iter().filter(|step| step.decides).count();
                assert_eq!(deciding, 1, "{text}: {:?}", explained.steps);
                assert_eq!(explained.input, text);
            }
            Err(error) => assert!(!error.to_string().is_empty(), "{text} is refused without a word"),
        }
    });
}
