//! What is new at the site, told once: a country that was never called, an account in a network where it never was, calls so
//! regular that a machine places them, a call of a trunk that would leave the country.
//!
//! None of it is stopped by this: each may be honest, and only the owner knows. The first of a kind is told at once; what comes
//! within [`REST`] of it is one notice more.

mod countries;
mod kept;
mod networks;
mod regular;

use std::{collections::BTreeMap, net::IpAddr};

use gateway_common::{Class, Method, Reason, Verdict, judged::Who};
use jiff::{SignedDuration, Timestamp};

use super::{Core, Event};
use crate::journal::ChangeKind;
use crate::zone;
use countries::Called;
use kept::Kept;

/// Rest between two notices of a kind, as between two bursts.
const REST: SignedDuration = SignedDuration::from_mins(10);
/// How often the calls are looked at where nobody registered: a machine that is told of is at work for many minutes.
const LOOK: SignedDuration = SignedDuration::from_secs(60);
/// What one notice names; the rest it counts.
const NAMED: usize = 3;

/// What was seen and told, and what waits to be told.
pub(super) struct News {
    kept: Kept,
    /// Whether the disk lacks something of it.
    dirty: bool,
    /// Countries that nobody had called, and what trunks called abroad, until they are told.
    called: BTreeMap<&'static str, Called>,
    inbound: BTreeMap<(IpAddr, &'static str), Called>,
    /// Accounts in networks that are new to them.
    arrived: Vec<networks::Arrived>,
    told: [Option<Timestamp>; 3],
    /// Sources that the PBX knew at the last look, and when that was.
    known: Vec<(IpAddr, u64)>,
    looked: Option<Timestamp>,
}

/// The kinds that rest between two notices, by their place in `told`.
#[derive(Clone, Copy)]
enum Kind {
    Country = 0,
    Trunk = 1,
    Network = 2,
}

/// Whether a call of this class leaves the country, or may.
const fn is_abroad(class: Class) -> bool {
    matches!(class, Class::International | Class::NonGeographic | Class::Unassigned | Class::Suspicious)
}

impl News {
    fn of(kept: Kept) -> Self {
        Self {
            kept,
            dirty: true,
            called: BTreeMap::new(),
            inbound: BTreeMap::new(),
            arrived: Vec::new(),
            told: [None; 3],
            known: Vec::new(),
            looked: None,
        }
    }

    /// Notes an event that may be the first of its kind.
    pub(super) fn note(&mut self, event: &Event) {
        let Some(country) = event.country.filter(|_| is_abroad(event.class)) else { return };
        if !event.verdict.passes() || event.method != Some(Method::Invite) {
            return;
        }
        // In monitor mode what would have been stopped is a call all the same.
        let placed = event.reason == Reason::Allowed || event.verdict == Verdict::WouldDrop;
        match event.who {
            Who::Lan | Who::Known if placed => self.note_country(country, event.time, Some(event.source)),
            Who::Trunk if placed || event.reason == Reason::Inbound => self.note_inbound(country, event),
            _ => {}
        }
    }

    /// Whether a notice of this kind may go out now; a clock that goes back does not silence it.
    fn may_tell(&mut self, kind: Kind, now: Timestamp) -> bool {
        let Some(told) = self.told.get_mut(kind as usize) else { return false };
        let rests = told.is_some_and(|told| (SignedDuration::ZERO..REST).contains(&now.duration_since(told)));
        if !rests {
            *told = Some(now);
        }
        !rests
    }
}

impl Core {
    /// Tells what events brought, where its kind does not rest.
    pub(super) fn tell_calls(&mut self) {
        if self.news.called.is_empty() && self.news.inbound.is_empty() {
            return;
        }
        let now = self.now();
        if !self.news.called.is_empty() && self.news.may_tell(Kind::Country, now) {
            let called = std::mem::take(&mut self.news.called);
            self.tell_news(ChangeKind::NewCountry, countries::told(&called));
        }
        if !self.news.inbound.is_empty() && self.news.may_tell(Kind::Trunk, now) {
            let inbound = std::mem::take(&mut self.news.inbound);
            self.tell_news(ChangeKind::TrunkAbroad, countries::told_inbound(&inbound));
        }
        self.keep_news();
    }

    /// Looks at what the filter remembers of calls and registrations, if there may be something new, and tells it.
    pub(super) fn look_for_news(&mut self) {
        let now = self.now();
        // What was called while no daemon ran, the floor has counted.
        for (code, first) in self.used.clone() {
            if let Some(code) = countries::code(&code) {
                self.news.note_country(code, first, None);
            }
        }
        self.tell_calls();
        if let Err(error) = self.look_at_calls(now) {
            tracing::warn!("cannot read which calls and registrations there were; trying again: {error:#}");
        }
        self.keep_news();
    }

    fn look_at_calls(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let mut known = self.gateway.known()?;
        known.sort_unstable();
        let is_due = self.news.looked.is_none_or(|last| now.duration_since(last).abs() >= LOOK);
        if is_due || known != self.news.known {
            let calls = self.gateway.call_records()?;
            self.news.note_accounts(&calls, &known, now);
            for it in self.news.regular(&calls, self.gateway.clock(), now) {
                self.tell_news(ChangeKind::RegularCalls, it);
            }
            (self.news.known, self.news.looked) = (known, Some(now));
        }
        if let Some(told) = self.news.learned(now) {
            self.tell_news(ChangeKind::NewNetwork, told);
        }
        if !self.news.arrived.is_empty() && self.news.may_tell(Kind::Network, now) {
            let arrived = std::mem::take(&mut self.news.arrived);
            self.tell_news(ChangeKind::NewNetwork, networks::told(&arrived));
        }
        Ok(())
    }

    /// Writes what was seen and told, if the disk lacks any of it.
    pub(super) fn keep_news(&mut self) {
        if !self.news.dirty {
            return;
        }
        match kept::write(&self.state_dir, &self.news.kept) {
            Ok(()) => self.news.dirty = false,
            Err(error) => {
                tracing::warn!("cannot keep what was told of new countries and networks; trying again: {error}");
            }
        }
    }

    fn tell_news(&self, kind: ChangeKind, told: String) {
        tracing::warn!("{told}");
        self.keep(kind, told, None);
    }

    /// Notes that the operator knows of calls to a country.
    pub(super) fn expect_country(&mut self, code: &str) {
        let now = self.now();
        if countries::code(code).is_some() && self.news.kept.countries.insert(code.to_owned(), now).is_none() {
            self.news.dirty = true;
        }
    }
}

/// What was told before, or a beginning: then countries of which the floor knows are no news.
pub(super) fn open(state_dir: &std::path::Path, used: &super::used::Used, now: Timestamp) -> News {
    News::of(kept::open(state_dir).unwrap_or_else(|| Kept::new(used, now)))
}

fn shown(time: Timestamp) -> String {
    zone::shown_minute(time)
}

/// `a, b and 3 more`.
fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named: Vec<String> = names.take(NAMED).collect();
    let named = named.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// `1 call`, `2 calls`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
