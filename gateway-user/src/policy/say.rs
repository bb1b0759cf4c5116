//! What an entry says, and which of two wins.

use gateway_common::policy::image::Ruling;

use crate::daemon::OrderRule;

/// What an entry says of what it names; on a tie the greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Say {
    Allow,
    Block,
}

impl Say {
    pub(super) const fn ruling(self) -> Ruling {
        match self {
            Self::Allow => Ruling::Allow,
            Self::Block => Ruling::Block,
        }
    }
}

impl Say {
    /// What an order says of what it names; `None` for those that stand above single numbers.
    pub(super) const fn of(rule: OrderRule) -> Option<Self> {
        match rule {
            OrderRule::Allow => Some(Self::Allow),
            OrderRule::Block => Some(Self::Block),
            OrderRule::InternationalOff => None,
        }
    }
}

/// Of two on the same prefix, each with how narrow its scope is: the narrower, on a tie block.
pub(super) fn narrower(a: Option<(u8, Say)>, b: Option<(u8, Say)>) -> Option<(u8, Say)> {
    a.max(b)
}
