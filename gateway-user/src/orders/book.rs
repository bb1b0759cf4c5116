//! All orders, in memory: which act, which ends next, what `undo` would change.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Action, Order, State};
use crate::daemon::ActiveOrder;

/// Every order ever given, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    orders: BTreeMap<u64, Order>,
}

/// Why an order cannot be undone. Each text says what to type instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UndoError {
    /// There is no such order.
    #[error("there is no order {0}; `tollgate orders` lists them")]
    Unknown(u64),
    /// It has been undone already.
    #[error("order {order} was undone by order {by}; `tollgate undo {by}` brings it back")]
    AlreadyUndone {
        /// The order.
        order: u64,
        /// The order that undid it.
        by: u64,
    },
    /// Its time has run out, so nothing of it is in force.
    #[error("order {0} has expired, and nothing of it is in force; give it again if you want it back")]
    Expired(u64),
    /// It undid an order whose time has run out since.
    #[error("order {order} undid order {target}, which has expired since; give that one again if you want it back")]
    TargetExpired {
        /// The order.
        order: u64,
        /// The order that it undid.
        target: u64,
    },
}

impl Book {
    /// A book of these orders.
    pub fn new(orders: impl IntoIterator<Item = Order>) -> Self {
        Self { orders: orders.into_iter().map(|order| (order.number, order)).collect() }
    }

    /// Every order, oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// The order with this number.
    pub fn get(&self, number: u64) -> Option<&Order> {
        self.orders.get(&number)
    }

    /// Adds orders, or replaces those with the same number.
    pub fn put(&mut self, orders: &[Order]) {
        for order in orders {
            self.orders.insert(order.number, order.clone());
        }
    }

    /// The orders that act at `now`, oldest first.
    pub fn active(&self, now: Timestamp) -> Vec<ActiveOrder> {
        self.orders.values().filter_map(|order| order.active(now)).collect()
    }

    /// When the next order ends by itself.
    pub fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        self.orders.values().filter(|order| order.state(now) == State::InForce).filter_map(|order| order.expires).min()
    }

    /// The orders whose time has run out and that are not yet marked so, marked.
    pub fn newly_expired(&self, now: Timestamp) -> Vec<Order> {
        self.orders
            .values()
            .filter(|order| !order.expired && order.state(now) == State::Expired)
            .map(|order| Order { expired: true, ..order.clone() })
            .collect()
    }

    /// The orders that change when `undo`, an order that undoes `target`, is given; itself among them.
    pub fn undo(&self, undo: Order, target: u64, now: Timestamp) -> Result<Vec<Order>, UndoError> {
        let order = self.get(target).ok_or(UndoError::Unknown(target))?;
        if let Some(by) = order.undone {
            return Err(UndoError::AlreadyUndone { order: target, by });
        }
        if order.state(now) == State::Expired {
            return Err(UndoError::Expired(target));
        }
        let mut after = self.clone();
        after.put(&[undo]);
        after.settle();
        let changed: Vec<Order> = after.all().filter(|order| self.get(order.number) != Some(order)).cloned().collect();
        match changed.iter().find(|order| order.state(now) == State::Expired) {
            Some(revived) => Err(UndoError::TargetExpired { order: target, target: revived.number }),
            None => Ok(changed),
        }
    }

    /// Works out anew which order is undone by which. An undo names an older order, so from the newest to the oldest
    /// each is settled when it is reached.
    fn settle(&mut self) {
        for order in self.orders.values_mut() {
            order.undone = None;
        }
        let newest_first: Vec<u64> = self.orders.keys().rev().copied().collect();
        for number in newest_first {
            let target = match self.orders.get(&number) {
                Some(Order { action: Action::Undo(target), undone: None, .. }) => *target,
                _ => continue,
            };
            if let Some(target) = self.orders.get_mut(&target) {
                target.undone.get_or_insert(number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        daemon::OrderRule,
        orders::{Origin, Scope},
        what::What,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn order(number: u64, action: Action, expires: Option<i64>) -> Order {
        Order {
            number,
            action,
            scope: Scope::Site,
            reason: None,
            who: "root".into(),
            origin: Origin::Cli,
            since: at(0),
            expires: expires.map(at),
            expired: false,
            undone: None,
        }
    }

    fn block(number: u64, expires: Option<i64>) -> Order {
        order(number, Action::Rule(OrderRule::Block, vec![What::Country("SL".into())]), expires)
    }

    fn undo(book: &mut Book, number: u64, target: u64, now: i64) -> Result<(), UndoError> {
        let changed = book.undo(order(number, Action::Undo(target), None), target, at(now))?;
        book.put(&changed);
        Ok(())
    }

    fn active(book: &Book, now: i64) -> Vec<u64> {
        book.active(at(now)).iter().map(|order| order.number).collect()
    }

    #[test]
    fn undo_and_undo_of_undo_alternate_to_any_depth() {
        let mut book = Book::new([block(1, None)]);
        assert_eq!(active(&book, 1), [1]);
        undo(&mut book, 2, 1, 1).unwrap();
        assert_eq!(active(&book, 1), [0u64; 0]);
        undo(&mut book, 3, 2, 1).unwrap();
        assert_eq!(active(&book, 1), [1]);
        undo(&mut book, 4, 3, 1).unwrap();
        assert_eq!(active(&book, 1), [0u64; 0]);
        undo(&mut book, 5, 4, 1).unwrap();
        assert_eq!(active(&book, 1), [1]);
        undo(&mut book, 6, 1, 1).unwrap();
        assert_eq!(active(&book, 1), [0u64; 0]);
        assert_eq!(book.get(1).unwrap().undone, Some(6));
        undo(&mut book, 7, 5, 1).unwrap();
        assert_eq!(active(&book, 1), [0u64; 0], "6 still holds");
        undo(&mut book, 8, 6, 1).unwrap();
        assert_eq!(active(&book, 1), [0u64; 0], "4, and so 2, holds again");
    }

    #[test]
    fn what_cannot_be_undone_says_what_to_type() {
        let mut book = Book::new([block(1, None), block(2, Some(10))]);
        assert_eq!(undo(&mut book, 3, 9, 1), Err(UndoError::Unknown(9)));
        assert_eq!(undo(&mut book, 3, 2, 10), Err(UndoError::Expired(2)));
        undo(&mut book, 3, 1, 1).unwrap();
        let again = undo(&mut book, 4, 1, 1).unwrap_err();
        assert!(again.to_string().contains("`tollgate undo 3`"), "{again}");
        undo(&mut book, 4, 2, 5).unwrap();
        assert_eq!(undo(&mut book, 5, 4, 10), Err(UndoError::TargetExpired { order: 4, target: 2 }));
    }

    #[test]
    fn an_order_ends_at_its_time_and_a_clock_that_goes_back_does_not_revive_it() {
        let mut book = Book::new([block(1, Some(10)), block(2, Some(20)), block(3, None)]);
        assert_eq!(active(&book, 9), [1, 2, 3]);
        assert_eq!(book.next_expiry(at(9)), Some(at(10)));
        assert_eq!(active(&book, 10), [2, 3]);
        let ended = book.newly_expired(at(10));
        assert_eq!(ended.len(), 1);
        book.put(&ended);
        assert_eq!(book.newly_expired(at(10)), []);
        assert_eq!(active(&book, 5), [2, 3]);
        assert_eq!(book.next_expiry(at(5)), Some(at(20)));
    }
}
