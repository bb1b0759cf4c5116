//! The regular expressions of the metadata as an automaton over digits, so that they can be turned into prefixes.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use regex_syntax::hir::{Class, Hir, HirKind};

/// No number has more digits than this (ITU-T E.164 allows 15); the walk over a pattern ends here.
const LONGEST: usize = 24;

/// Which pattern of a set a state belongs to: the value given to [`Patterns::add`].
pub(super) type Owner = usize;

/// The states that the patterns of a set can be in after some digits.
pub(super) type States = Vec<usize>;

#[derive(Default)]
struct State {
    /// Digits (as ASCII ranges) and the state each leads to.
    digits: Vec<(u8, u8, usize)>,
    /// States reached without a digit.
    empty: Vec<usize>,
    accept: bool,
    owner: Owner,
}

/// A set of patterns, read in parallel.
#[derive(Default)]
pub(super) struct Patterns {
    states: Vec<State>,
    starts: Vec<usize>,
}

impl Patterns {
    /// One pattern alone.
    pub(super) fn one(pattern: &str) -> Result<Self> {
        let mut set = Self::default();
        set.add(pattern, 0)?;
        Ok(set)
    }

    /// Adds a pattern. White space in it means nothing.
    pub(super) fn add(&mut self, pattern: &str, owner: Owner) -> Result<()> {
        let hir = parse(pattern)?;
        let accept = self.state(owner);
        self.states[accept].accept = true;
        let start = self.build(&hir, accept, owner).with_context(|| format!("in the pattern {pattern}"))?;
        self.starts.push(start);
        Ok(())
    }

    fn state(&mut self, owner: Owner) -> usize {
        self.states.push(State { owner, ..State::default() });
        self.states.len() - 1
    }

    /// Adds the states of `hir` in front of `next`; returns where it begins.
    fn build(&mut self, hir: &Hir, next: usize, owner: Owner) -> Result<usize> {
        Ok(match hir.kind() {
            HirKind::Empty => next,
            HirKind::Literal(literal) => literal.0.iter().rev().fold(next, |next, &byte| {
                let state = self.state(owner);
                self.states[state].digits.push((byte, byte, next));
                state
            }),
            HirKind::Class(Class::Bytes(class)) => {
                let state = self.state(owner);
                self.states[state].digits.extend(class.ranges().iter().map(|range| (range.start(), range.end(), next)));
                state
            }
            HirKind::Capture(capture) => self.build(&capture.sub, next, owner)?,
            HirKind::Concat(parts) => {
                let mut next = next;
                for part in parts.iter().rev() {
                    next = self.build(part, next, owner)?;
                }
                next
            }
            HirKind::Alternation(parts) => {
                let starts = parts.iter().map(|part| self.build(part, next, owner)).collect::<Result<_>>()?;
                let state = self.state(owner);
                self.states[state].empty = starts;
                state
            }
            HirKind::Repetition(repetition) => {
                let Some(max) = repetition.max else { bail!("a repetition without an upper bound") };
                let mut begin = next;
                for _ in repetition.min..max {
                    let body = self.build(&repetition.sub, begin, owner)?;
                    begin = self.state(owner);
                    self.states[begin].empty = vec![body, next];
                }
                for _ in 0..repetition.min {
                    begin = self.build(&repetition.sub, begin, owner)?;
                }
                begin
            }
            HirKind::Class(Class::Unicode(_)) | HirKind::Look(_) => {
                bail!("only digits, classes and repetitions are understood")
            }
        })
    }

    /// Where every pattern begins.
    pub(super) fn start(&self) -> States {
        self.closure(self.starts.iter().copied())
    }

    /// Where `states` lead on one ASCII digit; empty where no pattern goes on.
    pub(super) fn step(&self, states: &States, digit: u8) -> States {
        let next = states.iter().flat_map(|&state| &self.states[state].digits);
        self.closure(next.filter(|(low, high, _)| (*low..=*high).contains(&digit)).map(|&(_, _, next)| next))
    }

    /// Where a string of digits leads from the start.
    pub(super) fn walk(&self, digits: &str) -> States {
        digits.bytes().fold(self.start(), |states, digit| self.step(&states, digit))
    }

    fn closure(&self, from: impl Iterator<Item = usize>) -> States {
        let mut seen = BTreeSet::new();
        let mut open: Vec<usize> = from.collect();
        while let Some(state) = open.pop() {
            if seen.insert(state) {
                open.extend(&self.states[state].empty);
            }
        }
        seen.into_iter().filter(|&state| self.states[state].accept || !self.states[state].digits.is_empty()).collect()
    }

    /// The patterns that some number beginning like this matches.
    pub(super) fn owners(&self, states: &States) -> BTreeSet<Owner> {
        states.iter().map(|&state| self.states[state].owner).collect()
    }

    /// The patterns of which the digits so far are a whole number.
    pub(super) fn accepting(&self, states: &States) -> BTreeSet<Owner> {
        states.iter().filter(|&&state| self.states[state].accept).map(|&state| self.states[state].owner).collect()
    }

    /// Whether the digits so far are a whole number.
    pub(super) fn accepts(&self, states: &States) -> bool {
        states.iter().any(|&state| self.states[state].accept)
    }

    /// Whether, whatever digits follow, some pattern matches sooner or later.
    pub(super) fn full(&self, states: &States) -> bool {
        // Most digits lead to the same place: looked at once, or ten digits would be 10^10 ways.
        if self.accepts(states) {
            return true;
        }
        let ways: BTreeSet<States> = (b'0'..=b'9').map(|digit| self.step(states, digit)).collect();
        ways.iter().all(|next| !next.is_empty() && self.full(next))
    }

    /// The lengths of the strings matched that begin with `head` and not with the digit `not_first`.
    pub(super) fn lengths(&self, head: &str, not_first: Option<u8>) -> BTreeSet<usize> {
        let mut lengths = BTreeSet::new();
        let mut states = self.walk(head);
        for length in head.len()..=LONGEST {
            if self.accepts(&states) {
                lengths.insert(length);
            }
            let digits = (b'0'..=b'9').filter(|digit| length > 0 || Some(*digit) != not_first);
            let next: BTreeSet<usize> = digits.flat_map(|digit| self.step(&states, digit)).collect();
            states = next.into_iter().collect();
        }
        lengths
    }

    /// Every string matched, in order; `None` where there are more than `most`.
    pub(super) fn literals(&self, most: usize) -> Option<Vec<String>> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), self.start())];
        while let Some((head, states)) = open.pop() {
            if self.accepts(&states) && !head.is_empty() {
                found.push(head.clone());
            }
            for digit in b'0'..=b'9' {
                let next = self.step(&states, digit);
                if !next.is_empty() {
                    open.push((format!("{head}{}", char::from(digit)), next));
                }
            }
            if found.len() + open.len() > most {
                return None;
            }
        }
        found.sort();
        Some(found)
    }
}

fn parse(pattern: &str) -> Result<Hir> {
    let pattern: String = pattern.split_whitespace().collect();
    // Without Unicode `\d` is the ten ASCII digits.
    let mut parser = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build();
    parser.parse(&pattern).with_context(|| format!("the pattern {pattern} is no regular expression"))
}

/// The alternatives at the top of a pattern.
pub(super) fn alternatives(pattern: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0usize;
    for letter in pattern.chars().filter(|letter| !letter.is_whitespace()) {
        match letter {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if letter != '|' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_becomes_its_strings() -> Result<()> {
        let set = Patterns::one("00(?:1[24]| 9 )?|3\\d{0,1}")?;
        let found = set.literals(100).unwrap_or_default();
        assert_eq!(found.len(), 4 + 11);
        assert_eq!(found[..4], ["00", "0012", "0014", "009"]);
        assert_eq!(set.literals(5), None, "more than asked for");
        assert_eq!(set.lengths("", None).into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(set.lengths("", Some(b'0')).into_iter().collect::<Vec<_>>(), [1, 2]);
        Ok(())
    }

    #[test]
    fn full_means_that_nothing_is_left_out() -> Result<()> {
        let set = Patterns::one("9(?:0\\d{2}|1[0-8]\\d)")?;
        assert!(set.full(&set.walk("90")));
        assert!(!set.full(&set.walk("91")), "919 is missing");
        assert!(set.walk("92").is_empty());
        Ok(())
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        assert!(Patterns::one("9\\d*").is_err());
        assert!(Patterns::one("^9").is_err());
        assert!(Patterns::one("9(").is_err());
    }

    #[test]
    fn alternatives_are_those_of_the_top() {
        assert_eq!(alternatives("00|1(?:[12]|79)00 | 5[|]"), ["00", "1(?:[12]|79)00", "5[|]"]);
    }
}
