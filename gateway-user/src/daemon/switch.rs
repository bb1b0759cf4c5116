//! The switches of an emergency: `international off`, `shield on`, and what takes them back. Each is an order like any
//! other: durable, numbered, undone by its number.

use jiff::Timestamp;

use super::{
    ActiveOrder, Core, OrderRule,
    change::{Asked, check_reason, check_scope},
    core::refused,
    listing,
};
use crate::{
    config::Config,
    control::{
        protocol::{ErrorView, NewOrder, ScopeView},
        views::{ChangedView, ReceiptView, SelfTestView, SwitchView},
    },
    journal::ChangeKind,
    numbering::{self, Kind},
    orders::{Action, Order, Origin, Scope},
    selftest::SelfTest,
    what::What,
};

impl Core {
    /// Switches international calls off; what the order names is excepted.
    pub(super) fn international_off(&mut self, new: &NewOrder, who: &str) -> Result<ChangedView, ErrorView> {
        let asked = self.asked(new, OrderRule::InternationalOff)?;
        for what in &asked.what {
            excepted(&self.config, &asked.scope, what).map_err(ErrorView::usage)?;
        }
        let (what, scope) = (asked.what.clone(), asked.scope.clone());
        let view = self.put_order(OrderRule::InternationalOff, asked, new.expires, who)?;
        let tested = self.gateway.self_test();
        let self_test = match &tested {
            Ok(found) => SelfTestView::from(found),
            Err(error) => SelfTestView { ok: false, failures: vec![format!("{error:#}")], ..SelfTestView::default() },
        };
        if !self_test.ok {
            self.note_failure(&self_test, view.order);
        }
        let receipt =
            ReceiptView { stays_open: stays_open(&self.config, &scope, &what), calls: self.calls_abroad(), self_test };
        Ok(ChangedView { receipt: Some(receipt), ..view })
    }

    /// Puts the shield up: sources that nobody knows start nothing.
    pub(super) fn shield_on(&mut self, new: &NewOrder, who: &str) -> Result<ChangedView, ErrorView> {
        let asked = self.asked(new, OrderRule::Shield)?;
        if !asked.what.is_empty() || asked.scope != Scope::Site {
            return Err(ErrorView::usage("the shield holds for the whole site; it takes neither WHAT nor a scope"));
        }
        self.put_order(OrderRule::Shield, asked, new.expires, who)
    }

    fn note_failure(&self, found: &SelfTestView, order: Option<u64>) {
        let order = order.map_or_else(String::new, |order| format!(" of order {order}"));
        let done = format!("the self-test{order} FAILED, and the order stays in force: {}", found.failures.join("; "));
        tracing::error!("{done}");
        self.keep(ChangeKind::SelfTest, done, None);
    }

    /// Takes back every order in force that switched this off; with a scope only those given for it.
    pub(super) fn take_back_switch(
        &mut self,
        rule: OrderRule,
        scope: Option<ScopeView>,
        reason: Option<String>,
        who: &str,
    ) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        let reason = check_reason(reason)?;
        let scope = scope.map(Scope::try_from).transpose().map_err(ErrorView::usage)?;
        if let Some(scope) = &scope {
            check_scope(self, scope)?;
        }
        let targets: Vec<ActiveOrder> = self
            .book
            .active(now)
            .into_iter()
            .filter(|order| order.rule == rule && scope.as_ref().is_none_or(|scope| *scope == order.scope))
            .collect();
        if targets.is_empty() {
            let others = self.in_force.iter().filter(|order| order.rule == rule);
            let others: Vec<String> = others.map(|order| format!("order {} ({})", order.number, order.scope)).collect();
            return Err(ErrorView::refused(match others.as_slice() {
                [] => format!("no `{}` is in force, so there is nothing to take back", rule.as_str()),
                _ => format!("no `{}` is in force for it; in force: {}", rule.as_str(), others.join(", ")),
            }));
        }
        let mut book = self.book.clone();
        let mut changed: Vec<Order> = Vec::new();
        let mut given: Vec<Order> = Vec::new();
        for (number, target) in (self.store.next_number()..).zip(&targets) {
            let undo = Order {
                number,
                action: Action::Undo(target.number),
                scope: target.scope.clone(),
                reason: reason.clone(),
                who: who.to_owned(),
                origin: Origin::Cli,
                since: now,
                expires: None,
                expired: false,
                undone: None,
            };
            let more = book.undo(undo.clone(), target.number, now).map_err(refused)?;
            book.put(&more);
            changed.retain(|order| !more.iter().any(|newer| newer.number == order.number));
            changed.extend(more);
            given.push(undo);
        }
        changed.sort_by_key(|order| order.number);
        self.put_in_force(&changed, now)?;
        for (undo, target) in given.iter().zip(&targets) {
            self.keep_order(undo);
            tracing::info!(order = undo.number, who, "order {} undone: {}", target.number, target.action());
        }
        let undone: Vec<String> = targets
            .iter()
            .map(|order| format!("undo {} ({}, {})", order.number, order.action(), order.scope))
            .collect();
        let last = given.last().map(|undo| undo.number);
        let view = self.changed(last, undone.join(", "), now);
        let undo: Vec<String> = given.iter().map(|undo| format!("tollgate undo {}", undo.number)).collect();
        let still = self.in_force.iter().filter(|order| order.rule == rule);
        let still = still.map(|order| format!("order {} ({}, {})", order.number, order.action(), order.scope));
        Ok(ChangedView { overridden_by: still.collect(), undo: Some(undo.join(" && ")), ..view })
    }

    /// The orders in force of this kind, for `status`.
    pub(super) fn switches(&self, rule: OrderRule) -> Vec<SwitchView> {
        let all = self.in_force.iter().filter(|order| order.rule == rule);
        all.filter_map(|order| self.book.get(order.number)).map(SwitchView::of).collect()
    }

    /// Gives an order that was asked for and checked.
    pub(super) fn put_order(
        &mut self,
        rule: OrderRule,
        asked: Asked,
        expires: Option<Timestamp>,
        who: &str,
    ) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        let Asked { what, scope, max, reason } = asked;
        let given = ActiveOrder { number: self.store.next_number(), rule, what, scope, max };
        let order = Order {
            number: given.number,
            action: given.action(),
            scope: given.scope.clone(),
            reason,
            who: who.to_owned(),
            origin: Origin::Cli,
            since: now,
            expires,
            expired: false,
            undone: None,
        };
        let (number, done) = (order.number, said(&order));
        self.put_in_force(std::slice::from_ref(&order), now)?;
        self.keep_order(&order);
        tracing::info!(order = number, who, "order in force: {done}");
        Ok(ChangedView { expires, overridden_by: self.overridden_by(&given), ..self.changed(Some(number), done, now) })
    }
}

/// What an order does, and for whom where that is not the site.
fn said(order: &Order) -> String {
    match &order.scope {
        Scope::Site => order.action.to_string(),
        scope => format!("{} ({scope})", order.action),
    }
}

impl From<&SelfTest> for SelfTestView {
    fn from(it: &SelfTest) -> Self {
        Self {
            ok: it.is_good(),
            foreign: it.foreign,
            emergency: it.emergency,
            wrong: it.wrong,
            failures: it.failures.clone(),
            took: it.took.as_secs_f64(),
        }
    }
}

impl Core {
    /// How many calls abroad are up; `None` where the kernel does not tell.
    fn calls_abroad(&self) -> Option<u64> {
        let calls = self.gateway.calls().ok()?;
        Some(calls.iter().filter(|call| listing::is_abroad(call)).count() as u64)
    }
}

/// The regions whose calls a scope holds for.
fn regions<'c>(config: &'c Config, scope: &Scope) -> Vec<&'c str> {
    let named = |name: &str| matches!(scope, Scope::Profile(of) if of != name);
    let mut regions: Vec<&str> =
        config.profiles.iter().filter(|profile| !named(&profile.name)).map(|profile| profile.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    regions
}

/// Refuses an exception that is no foreign number, with what to write instead.
fn excepted(config: &Config, scope: &Scope, what: &What) -> Result<(), String> {
    let home =
        |country: Option<&str>| country.is_some_and(|country| regions(config, scope).iter().all(|own| *own == country));
    let at_home = |country: &str| {
        format!(
            "--except {what}: calls inside {country} stay open anyway; leave it out, or name a foreign number or country"
        )
    };
    match what {
        What::Country(country) if home(Some(country)) => Err(at_home(country)),
        What::Country(_) => Ok(()),
        What::Prefix(digits) => {
            let range = numbering::lookup(digits);
            if let Some(country) = range.and_then(|range| range.country).filter(|country| home(Some(country))) {
                return Err(at_home(country));
            }
            let assigned = range.is_some_and(|range| range.kind != Kind::Unassigned)
                || numbering::ranges()
                    .iter()
                    .any(|range| range.prefix.starts_with(digits.as_str()) && range.kind != Kind::Unassigned);
            if assigned {
                return Ok(());
            }
            Err(format!("--except {what}: no country has numbers that begin so; write one that has, such as +4420"))
        }
        What::Dial(_) | What::Source(_) | What::Class(_) | What::Line(_) => Err(format!(
            "--except {what}: only foreign numbers and countries can be excepted; write +4420 (numbers that begin so) or GB \
             (a country)"
        )),
    }
}

/// What still goes out while international calls are off.
fn stays_open(config: &Config, scope: &Scope, excepted: &[What]) -> Vec<String> {
    let mut open: Vec<String> = excepted
        .iter()
        .map(|what| match what {
            What::Country(code) => {
                format!("{what} ({}), as excepted", numbering::country_name(code).unwrap_or("unnamed"))
            }
            _ => format!("{what}, as excepted"),
        })
        .collect();
    open.push("emergency calls".to_owned());
    open.push(format!("calls inside {}, own numbers and extensions", regions(config, scope).join(", ")));
    match scope {
        Scope::Site => {}
        Scope::Profile(name) => open.push(format!("everything of profiles other than {name}")),
        Scope::Source(network) => open.push(format!("everything of sources other than {network}")),
        Scope::Line(name) => open.push(format!(
            "everything of lines other than {name}, and what the PBX sends out for {name} under another name: a call that \
             reaches the gateway from the telephone itself is what the order sees"
        )),
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_is_a_foreign_number_or_country() {
        let text =
            "[site]\nregion = \"JP\"\n[profile.default]\n[profile.us]\nregion = \"US\"\nsources = [\"192.0.2.0/28\"]\n";
        let (config, _) = crate::config::parse(text, None, std::path::Path::new(".")).unwrap();
        let us = Scope::Profile("us".into());
        let told = |scope: &Scope, what: &str| excepted(&config, scope, &what.parse().unwrap());
        for (scope, what) in [
            (&Scope::Site, "GB"),
            (&Scope::Site, "+4420"),
            (&Scope::Site, "+4"),
            (&Scope::Site, "+881"),
            (&Scope::Site, "US"),
            (&us, "JP"),
            (&us, "+81"),
            (&us, "+1876"),
        ] {
            assert_eq!(told(scope, what), Ok(()), "{what}");
        }
        for (scope, what, needle) in [
            (&us, "US", "stay open anyway"),
            (&us, "+1212", "stay open anyway"),
            (&Scope::Site, "+210", "no country has numbers"),
            (&Scope::Site, "dial:010", "only foreign numbers"),
            (&Scope::Site, "international", "only foreign numbers"),
            (&Scope::Site, "192.0.2.1", "only foreign numbers"),
            (&Scope::Site, "line:203", "only foreign numbers"),
        ] {
            let error = told(scope, what).unwrap_err();
            assert!(error.contains(needle), "{what}: {error}");
        }
        let open = stays_open(&config, &us, &["GB".parse().unwrap()]);
        assert_eq!(open.len(), 4, "{open:?}");
        assert!(
            open[0].contains("United Kingdom") && open[2].contains("inside US") && open[3].contains("other than us")
        );
    }
}
