//! Giving and undoing orders: checked, made durable, put in force, in this order, or nothing of it.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    ActiveOrder, Core, OrderRule,
    core::{holding, refused, reply},
    guard,
};
use crate::{
    config::{self, Window},
    control::{
        Answer,
        past::RehearsalView,
        protocol::{ErrorView, NewOrder},
        views::ChangedView,
    },
    journal,
    orders::{Action, Order, Origin, Scope},
    what::What,
    zone,
};

/// Longest reason, in characters.
const MAX_REASON: usize = 500;
/// Most things that one order names; longer lists belong into a `block_files` list.
const MAX_WHAT: usize = 1000;

/// What an order asks for.
pub(super) struct Asked {
    pub(super) what: Vec<What>,
    pub(super) scope: Scope,
    pub(super) max: Option<Window>,
    pub(super) reason: Option<String>,
}

impl Core {
    /// Gives an order to block or allow.
    pub(super) fn give(&mut self, rule: OrderRule, new: &NewOrder, who: &str) -> Result<ChangedView, ErrorView> {
        let asked = self.asked(new, rule)?;
        guard::check(&self.config, rule, &asked.what, new.force).map_err(ErrorView::refused)?;
        self.put_order(rule, asked, new.expires, who)
    }

    /// What wins over an order.
    pub(super) fn overridden_by(&self, given: &ActiveOrder) -> Vec<String> {
        guard::overridden_by(given, &self.in_force)
            .into_iter()
            .chain([guard::always_wins(given.rule).to_owned()])
            .collect()
    }

    /// Tries an order on the calls of the journal; gives no number, changes nothing.
    pub(super) fn rehearse(&self, rule: OrderRule, new: &NewOrder) -> Answer {
        let Asked { what, scope, max, .. } = match self.asked(new, rule) {
            Ok(asked) => asked,
            Err(error) => return Answer::Reply(Err(error)),
        };
        let mut warnings = Vec::new();
        if rule == OrderRule::Block {
            warnings = guard::hits(&self.config, &what);
        }
        let order = ActiveOrder { number: self.store.next_number(), rule, what, scope, max };
        let done = format!("{} ({})", order.action(), order.scope);
        let others = self.in_force.clone();
        let with_it: Vec<ActiveOrder> = others.iter().cloned().chain([order.clone()]).collect();
        if let Err(error) = self.gateway.check(&self.config, &with_it) {
            return Answer::Reply(Err(refused(error)));
        }
        let config = Arc::clone(&self.config);
        let span = Timestamp::MIN..=Timestamp::MAX;
        self.later(move |reader| {
            let found = journal::rehearsal(reader, &span, &config, &others, &order)?;
            Ok(Answer::Reply(reply(&RehearsalView::of(found, rule, done, warnings))))
        })
    }

    /// What an order asks for, if it can be given at all.
    pub(super) fn asked(&self, new: &NewOrder, rule: OrderRule) -> Result<Asked, ErrorView> {
        let now = self.now();
        if new.what.is_empty() && matches!(rule, OrderRule::Block | OrderRule::Allow | OrderRule::Monitor) {
            return Err(ErrorView::usage("the order names nothing; say what, such as +232, SL or international"));
        }
        let what = parse_what(&new.what)?;
        let max = new.max.as_deref().map(|text| at_most(rule, text)).transpose()?;
        let scope = Scope::try_from(new.scope.clone()).map_err(ErrorView::usage)?;
        check_scope(self, &scope)?;
        if let Some(expires) = new.expires
            && expires <= now
        {
            return Err(ErrorView::refused(format!(
                "the order would end at {}, which has passed",
                zone::shown(expires)
            )));
        }
        Ok(Asked { what, scope, max, reason: check_reason(new.reason.clone())? })
    }

    /// Reverses order `target`.
    pub(super) fn undo(&mut self, target: u64, reason: Option<String>, who: &str) -> Result<ChangedView, ErrorView> {
        let now = self.now();
        let undo = Order {
            number: self.store.next_number(),
            action: Action::Undo(target),
            scope: self.book.get(target).map(|order| order.scope.clone()).unwrap_or_default(),
            reason: check_reason(reason)?,
            who: who.to_owned(),
            origin: Origin::Cli,
            since: now,
            expires: None,
            expired: false,
            undone: None,
        };
        let number = undo.number;
        let changed = self.book.undo(undo.clone(), target, now).map_err(refused)?;
        let undone = self.book.get(target).map(|order| order.action.to_string()).unwrap_or_default();
        self.put_in_force(&changed, now)?;
        self.keep_order(&undo);
        tracing::info!(order = number, who, "order {target} undone: {undone}");
        Ok(self.changed(Some(number), format!("undo {target} ({undone})"), now))
    }

    /// Checks, stores and applies new and changed orders. On an error everything is as it was.
    pub(super) fn put_in_force(&mut self, changed: &[Order], now: Timestamp) -> Result<(), ErrorView> {
        let mut book = self.book.clone();
        book.put(changed);
        let orders = book.active(now);
        self.gateway.check(&holding(&self.config, now, &self.imported), &orders).map_err(refused)?;
        self.store.commit(changed).map_err(refused)?;
        match self.apply(&Arc::clone(&self.config), orders, now) {
            Ok(()) => {
                self.book = book;
                Ok(())
            }
            Err(error) => Err(self.take_back(changed, &error)),
        }
    }

    /// Takes orders that the kernel did not accept out of the store again.
    fn take_back(&mut self, changed: &[Order], error: &anyhow::Error) -> ErrorView {
        let previous: Vec<Order> = changed.iter().filter_map(|order| self.book.get(order.number)).cloned().collect();
        let gone: Vec<u64> =
            changed.iter().map(|order| order.number).filter(|&number| self.book.get(number).is_none()).collect();
        match self.store.retract(&previous, &gone) {
            Ok(()) => ErrorView::refused(format!("the kernel did not take the order, nothing was changed: {error:#}")),
            Err(store) => ErrorView::refused(format!(
                "the kernel did not take the order, and it is not in force: {error:#}. It could not be taken out of \
                 the store either, so it comes in force when the daemon starts again: {store}"
            )),
        }
    }
}

fn parse_what(texts: &[String]) -> Result<Vec<What>, ErrorView> {
    if texts.len() > MAX_WHAT {
        return Err(ErrorView::usage(format!(
            "the order names {} things and may name {MAX_WHAT}; put them into a list, name it in block_files of the \
             policy file, and reload",
            texts.len()
        )));
    }
    let mut what: Vec<What> = Vec::with_capacity(texts.len());
    for text in texts {
        let parsed = text.parse().map_err(|e| ErrorView::usage(format!("`{}`: {e}", text.escape_debug())))?;
        if !what.contains(&parsed) {
            what.push(parsed);
        }
    }
    Ok(what)
}

/// How many calls an allow lets through.
fn at_most(rule: OrderRule, text: &str) -> Result<Window, ErrorView> {
    if rule != OrderRule::Allow {
        return Err(ErrorView::usage(format!(
            "--max says how many calls an allow lets through, and `{}` lets none through; leave it out",
            rule.as_str()
        )));
    }
    config::allowance(text)
        .map_err(|e| ErrorView::usage(format!("--max {}: {}; {}", text.escape_debug(), e.message, e.remedy)))
}

pub(super) fn check_scope(core: &Core, scope: &Scope) -> Result<(), ErrorView> {
    let Scope::Profile(name) = scope else {
        return Ok(());
    };
    let known: Vec<&str> = core.config.profiles.iter().map(|profile| profile.name.as_str()).collect();
    if known.contains(&name.as_str()) {
        return Ok(());
    }
    Err(ErrorView::refused(format!("the policy has no profile `{}`; it has {}", name.escape_debug(), known.join(", "))))
}

pub(super) fn check_reason(reason: Option<String>) -> Result<Option<String>, ErrorView> {
    let Some(reason) = reason else {
        return Ok(None);
    };
    if reason.chars().any(char::is_control) {
        return Err(ErrorView::usage("the reason holds a line end or another control character; leave it out"));
    }
    let length = reason.chars().count();
    if length > MAX_REASON {
        return Err(ErrorView::usage(format!("the reason has {length} characters and may have {MAX_REASON}")));
    }
    Ok((!reason.trim().is_empty()).then_some(reason))
}
