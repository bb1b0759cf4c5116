//! The kill switch: which calls an order `international off` stops.

use gateway_common::Class;

use super::scopes::Effective;
use crate::{
    config::Config,
    daemon::{ActiveOrder, OrderRule},
};

/// What the kill switch means to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    /// It is off, or does not concern the profile.
    No,
    /// It concerns the profile, and not this number.
    Elsewhere,
    /// It stops the number.
    Here,
}

/// Whether calls of this class leave the country, or may: the classes that `international off` stops.
pub(crate) const fn leaves(class: Class) -> bool {
    match class {
        Class::International | Class::NonGeographic | Class::Unassigned | Class::Suspicious => true,
        Class::Emergency
        | Class::National
        | Class::Premium
        | Class::CarrierService
        | Class::Unknown
        | Class::Malformed
        | Class::None => false,
    }
}

/// What the orders that switch international calls off mean to a number of this class, in an effective profile. `excepted`
/// says whether one of them, by its place, excepts it. Each pierces itself only.
pub(super) fn of(
    orders: &[ActiveOrder],
    effective: &Effective,
    config: &Config,
    class: Class,
    excepted: impl Fn(usize, &ActiveOrder) -> bool,
) -> Off {
    let mut found = Off::No;
    for (place, order) in orders.iter().enumerate().filter(|(_, order)| order.rule == OrderRule::InternationalOff) {
        if !effective.has(order, config) {
            continue;
        }
        if leaves(class) && !excepted(place, order) {
            return Off::Here;
        }
        found = Off::Elsewhere;
    }
    found
}

/// Whether any of them holds for an effective profile.
pub(super) fn holds(orders: &[ActiveOrder], effective: &Effective, config: &Config) -> bool {
    orders.iter().any(|order| order.rule == OrderRule::InternationalOff && effective.has(order, config))
}
