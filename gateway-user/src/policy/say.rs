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

impl From<OrderRule> for Say {
    fn from(rule: OrderRule) -> Self {
        match rule {
            OrderRule::Allow => Self::Allow,
            OrderRule::Block => Self::Block,
        }
    }
}

/// Of two on the same prefix, each with how narrow its scope is: the narrower, on a tie block.
pub(super) fn narrower(a: Option<(u8, Say)>, b: Option<(u8, Say)>) -> Option<(u8, Say)> {
    a.max(b)
}
