//! The table of lines: what orders given for a line, or about one, make of its calls.

use gateway_common::{
    limit::line_digest,
    policy::image::{LINE_CELLS, LINE_PROBES, LineEntry, line_key},
};

use super::{
    cells::{Cells, Full},
    say::Said,
    scopes::{Effective, Effectives, Line},
};
use crate::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
    what::What,
};

/// Slots at which a table is given up: lines that crowd one place of so large a one are not chance.
const MOST_SLOTS: usize = 1 << 16;

/// What of the lines is to be put into an image.
pub(super) struct Lines(Vec<(u64, u64)>);

impl Lines {
    /// Every line that an order names, in every profile; `None` where that makes too many profiles.
    pub(super) fn new(config: &Config, orders: &[ActiveOrder], effectives: &mut Effectives) -> Option<Self> {
        let mut names: Vec<&str> = orders.iter().flat_map(named).collect();
        names.sort_unstable();
        names.dedup();
        let bare = effectives.all().len();
        let mut entries = Vec::with_capacity(names.len() * bare);
        for number in 0..bare {
            for name in &names {
                let half = |effectives: &mut Effectives, vouched| {
                    let own = effective(orders, effectives.all().get(number)?, name, vouched);
                    let said = said(config, orders, &own, name, vouched);
                    Some((effectives.number(own)?, said.ruling(), said.is_watched()))
                };
                let entry = LineEntry::new(half(effectives, true)?, half(effectives, false)?);
                entries.push((line_key(number as u32, line_digest(name.as_bytes())), entry.0));
            }
        }
        Some(Self(entries))
    }

    /// Puts the table into the image; returns where it begins and how many slots it has less one, both 0 without a line.
    pub(super) fn put(&self, cells: &mut Cells) -> Result<[u32; 2], Full> {
        if self.0.is_empty() {
            return Ok([0; 2]);
        }
        let mut slots = (2 * self.0.len()).next_power_of_two();
        while slots <= MOST_SLOTS {
            if let Some(table) = self.table(slots) {
                return Ok([cells.put(&table)?, slots as u32 - 1]);
            }
            slots *= 2;
        }
        Err(Full)
    }

    /// The table with so many slots, if every line finds one near enough.
    fn table(&self, slots: usize) -> Option<Vec<u64>> {
        let mut table = vec![0; slots * LINE_CELLS as usize];
        for (key, entry) in &self.0 {
            let first = (key >> 32) as usize;
            let places = (0..LINE_PROBES as usize).map(|probe| ((first + probe) & (slots - 1)) * LINE_CELLS as usize);
            let free = places.into_iter().find(|at| table.get(*at).is_some_and(|key| *key == 0))?;
            table[free] = *key;
            table[free + 1] = *entry;
        }
        Some(table)
    }
}

/// The lines of an order.
fn named(order: &ActiveOrder) -> impl Iterator<Item = &str> {
    let what = order.what.iter().filter_map(|what| match what {
        What::Line(name) => Some(name.as_str()),
        _ => None,
    });
    order.scope.line().into_iter().chain(what)
}

/// What a line makes of the profile of its source. Where no order tells the two apart, it is the same for sources that the
/// site vouches for and for others, and where none is given for the line, it stays what it is.
fn effective(orders: &[ActiveOrder], of: &Effective, name: &str, vouched: bool) -> Effective {
    let mut own = orders.iter().filter(|order| order.scope.line() == Some(name)).peekable();
    if own.peek().is_none() {
        return of.clone();
    }
    let told_apart = own.any(|order| order.rule == OrderRule::Allow);
    Effective { line: Some(Line { name: name.to_owned(), vouched: vouched || !told_apart }), ..of.clone() }
}

/// What orders say of all calls of a line.
fn said(config: &Config, orders: &[ActiveOrder], effective: &Effective, name: &str, vouched: bool) -> Said {
    let mut said = Said::default();
    for order in orders.iter().filter(|order| effective.has(order, config)) {
        let about = order.what.iter().any(|what| matches!(what, What::Line(line) if line == name));
        if about && (vouched || order.rule != OrderRule::Allow) {
            said.take(order.rule, (0, order.scope.narrowness()), 0);
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_common::policy::image::{BODY, Ruling};

    use crate::orders::Scope;

    fn order(rule: OrderRule, what: &str, scope: Scope) -> ActiveOrder {
        ActiveOrder { number: 1, rule, what: vec![what.parse().unwrap()], scope, max: None }
    }

    #[test]
    fn what_an_unproved_source_says_of_its_line_only_makes_it_worse_off() {
        let config = crate::config::built_in().unwrap();
        let line = Scope::Line("203".into());
        for (rule, halves) in [(OrderRule::Allow, 2), (OrderRule::Block, 1), (OrderRule::InternationalOff, 1)] {
            let mut effectives = Effectives::new(&config);
            let bare = effectives.all().len();
            let what = if rule == OrderRule::InternationalOff { "GB" } else { "LV" };
            let orders = [order(rule, what, line.clone())];
            let lines = Lines::new(&config, &orders, &mut effectives).unwrap();
            assert_eq!(effectives.all().len(), bare * (1 + halves), "{rule:?}");
            assert_eq!(lines.0.len(), bare);
            let has = |vouched| {
                effectives
                    .all()
                    .iter()
                    .any(|it| it.line.as_ref().is_some_and(|it| it.vouched == vouched) && it.has(&orders[0], &config))
            };
            assert_eq!((has(true), has(false)), (true, false), "{rule:?}");
        }
    }

    #[test]
    fn a_line_that_is_blocked_whole_needs_no_profile_of_its_own() {
        let config = crate::config::built_in().unwrap();
        let mut effectives = Effectives::new(&config);
        let bare = effectives.all().len();
        let orders =
            [order(OrderRule::Block, "line:203", Scope::Site), order(OrderRule::Allow, "line:204", Scope::Site)];
        let lines = Lines::new(&config, &orders, &mut effectives).unwrap();
        assert_eq!(effectives.all().len(), bare);
        let entry = |name: &str| {
            let key = line_key(0, line_digest(name.as_bytes()));
            LineEntry(lines.0.iter().find(|(known, _)| *known == key).unwrap().1)
        };
        for unproved in [false, true] {
            assert_eq!(entry("203").of(unproved).order(), Ruling::Block);
        }
        assert_eq!(entry("204").of(false).order(), Ruling::Allow);
        assert_eq!(entry("204").of(true).order(), Ruling::None);
    }

    #[test]
    fn every_line_of_many_is_found() {
        let config = crate::config::built_in().unwrap();
        let orders: Vec<ActiveOrder> =
            (0..1000).map(|line| order(OrderRule::Block, &format!("line:{line}"), Scope::Site)).collect();
        let mut effectives = Effectives::new(&config);
        let lines = Lines::new(&config, &orders, &mut effectives).unwrap();
        let mut cells = Cells::new();
        let [at, mask] = lines.put(&mut cells).unwrap();
        assert!(at >= BODY && mask >= 2047 && (mask + 1).is_power_of_two());
        for (key, entry) in &lines.0 {
            let found = (0..LINE_PROBES).find_map(|probe| {
                let slot = at + (((key >> 32) as u32).wrapping_add(probe) & mask) * LINE_CELLS;
                (cells.get(slot) == *key).then(|| cells.get(slot + 1))
            });
            assert_eq!(found, Some(*entry));
        }
    }
}
