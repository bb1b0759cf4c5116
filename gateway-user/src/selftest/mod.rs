//! The self-test: calls whose verdict is known beforehand, through whatever decides. Emergency calls in every wrapper before
//! a policy acts, and foreign numbers in every spelling once international calls are off.

mod callers;
mod emergency;
mod foreign;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use etherparse::PacketBuilder;
use gateway_common::{
    judge::Side,
    judged::{Judged, Who},
};

use crate::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
    engine::Engine,
    policy::{self, Lists},
};
use callers::Caller;

/// When the calls arrive, nanoseconds: all limiter cells are full then.
const NOW: u64 = 1 << 50;
/// The gateway (RFC 5737, RFC 3849).
const TO: [u8; 4] = [192, 0, 2, 1];
const TO_V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// Failures that are told; one is enough to look into it.
const MOST_TOLD: usize = 10;

/// What a self-test found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfTest {
    /// Calls to foreign numbers, each of them tried and to be refused.
    pub foreign: u64,
    /// Emergency calls, each of them tried and to pass.
    pub emergency: u64,
    /// Calls that were judged otherwise than they must be.
    pub wrong: u64,
    /// The first of them, in words.
    pub failures: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl SelfTest {
    /// Whether every call was judged as it must be.
    pub const fn is_good(&self) -> bool {
        self.wrong == 0
    }

    fn note(&mut self, failure: impl FnOnce() -> String) {
        self.wrong += 1;
        if self.failures.len() < MOST_TOLD {
            self.failures.push(failure());
        }
    }
}

/// Emergency calls of every caller that the site vouches for, in every wrapper of its dial plan: all must pass. `engine` has
/// the image of `config` and `orders`.
///
/// # Errors
///
/// Where the engine fails; a call that does not pass is no error, but noted.
pub fn emergency(engine: &mut dyn Engine, config: &Config, orders: &[ActiveOrder]) -> anyhow::Result<SelfTest> {
    let since = Instant::now();
    let mut found = SelfTest::default();
    emergency_calls(engine, config, orders, &mut found)?;
    found.took = since.elapsed();
    Ok(found)
}

/// What [`emergency`] tries, and foreign numbers in every spelling, for which international calls are off: all must be
/// refused.
///
/// # Errors
///
/// Where the engine fails; a call that is judged otherwise is no error, but noted.
pub fn whole(engine: &mut dyn Engine, config: &Config, orders: &[ActiveOrder]) -> anyhow::Result<SelfTest> {
    let since = Instant::now();
    let mut found = SelfTest::default();
    emergency_calls(engine, config, orders, &mut found)?;
    if orders.iter().any(|order| order.rule == OrderRule::InternationalOff) {
        let mut known: Vec<(&str, Option<&str>)> = Vec::new();
        for caller in callers::all(config, orders) {
            // Every country once for each profile and line; what differs between callers of one is not the number.
            let every = !known.contains(&(caller.profile.name.as_str(), caller.line));
            known.push((&caller.profile.name, caller.line));
            for uri in foreign::uris(config, orders, &caller, every) {
                found.foreign += 1;
                let judged = call(engine, config, &caller, &uri)?;
                if judged.verdict().passes() {
                    found.note(|| format!("a call of {caller} to {uri} passes, as {}", judged.reason().as_str()));
                }
            }
        }
    }
    found.took = since.elapsed();
    Ok(found)
}

fn emergency_calls(
    engine: &mut dyn Engine,
    config: &Config,
    orders: &[ActiveOrder],
    found: &mut SelfTest,
) -> anyhow::Result<()> {
    let mut plans: Vec<emergency::Plan<'_>> = Vec::new();
    for caller in callers::all(config, orders) {
        // Small buckets hold for those that nobody knows, so theirs may be refused.
        if caller.who == Who::Unproved {
            continue;
        }
        let plan = emergency::Plan::of(caller.profile);
        let known = plans.contains(&plan);
        for uri in if known { plan.bare() } else { plan.wrapped() } {
            found.emergency += 1;
            let judged = call(engine, config, &caller, &uri)?;
            if judged.verdict() != gateway_common::Verdict::Pass {
                found.note(|| refused(config, orders, &caller, &uri, &judged));
            }
        }
        if !known {
            plans.push(plan);
        }
    }
    Ok(())
}

/// An emergency call that does not pass, with what decided about it.
fn refused(config: &Config, orders: &[ActiveOrder], caller: &Caller<'_>, uri: &str, judged: &Judged) -> String {
    let decided = policy::decided(config, orders, &Lists::new(config), judged, caller.address);
    let rule = decided.rule.or(decided.limit).map(|rule| format!(": {rule}")).unwrap_or_default();
    let (verdict, reason) = (judged.verdict().as_str(), judged.reason().as_str());
    format!("the emergency call of {caller} to {uri} gets {verdict}, {reason}{rule}")
}

fn call(engine: &mut dyn Engine, config: &Config, caller: &Caller<'_>, uri: &str) -> anyhow::Result<Judged> {
    let port = config.sip.ports.first().copied().unwrap_or(5060);
    let from = caller.line.map(|name| format!("{name}@")).unwrap_or_default();
    let message = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP gateway.invalid\r\nFrom: <sip:{from}gateway.invalid>;tag=1\r\nTo: <{uri}>\r\n\
         Call-ID: self-test@gateway.invalid\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]);
    let builder = match caller.address {
        IpAddr::V4(source) => ethernet.ipv4(source.octets(), TO, 64),
        IpAddr::V6(source) => ethernet.ipv6(source.octets(), TO_V6, 64),
    };
    let builder = builder.udp(port, port);
    let mut frame = Vec::with_capacity(builder.size(message.len()));
    builder.write(&mut frame, message.as_bytes())?;
    let side = if caller.who == Who::Lan { Side::Lan } else { Side::Wan };
    // Without an index a trunk is met on any interface.
    engine.judge(&frame, side, 0, NOW)
}

#[cfg(test)]
mod tests;
