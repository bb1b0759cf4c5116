//! What an entry says, and which of two wins.

use gateway_common::policy::image::Ruling;

use crate::daemon::OrderRule;

/// What an entry says of what it names; on a tie the greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Say {
    Allow,
    Block,
}

/// How an order weighs among those that match the same call: digits of the prefix, how narrow the scope is.
pub(super) type Rank = (u8, u8);

/// What orders say of one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The rule that wins, and the number of the limit that it allows by: where two allow, that of less.
    rule: Option<(Rank, Say, u8)>,
    watch: Option<Rank>,
}

impl Said {
    /// An order says this, an allow by the windows of the limit `allowance` where that is not 0; of two the longer prefix
    /// holds, then the narrower scope, on a tie block.
    pub(super) fn take(&mut self, rule: OrderRule, rank: Rank, allowance: u8) {
        match Say::of(rule) {
            Some(say) => self.rule = self.rule.max(Some((rank, say, allowance))),
            None if rule == OrderRule::Monitor => self.watch = self.watch.max(Some(rank)),
            None => {}
        }
    }

    /// What acts.
    pub(super) fn ruling(self) -> Ruling {
        self.rule.map_or(Ruling::None, |(_, say, _)| say.ruling())
    }

    /// The number of the limit that it allows by, 0 for none.
    pub(super) fn allowance(self) -> u8 {
        self.rule.map_or(0, |(_, _, allowance)| allowance)
    }

    /// Whether an order that only counts would have won as a block. It takes nothing from one that acts.
    pub(super) fn is_watched(self) -> bool {
        self.watch.is_some_and(|watch| self.rule.is_none_or(|(rank, say, _)| say == Say::Allow && watch >= rank))
    }

    /// What is said of a longer head of the same string: what it lacks, the shorter one has.
    pub(super) fn within(self, above: Self) -> Self {
        Self { rule: self.rule.or(above.rule), watch: self.watch.or(above.watch) }
    }

    /// Whether nothing is said.
    pub(super) const fn is_nothing(self) -> bool {
        self.rule.is_none() && self.watch.is_none()
    }
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
            OrderRule::InternationalOff | OrderRule::Monitor | OrderRule::Shield => None,
        }
    }
}
