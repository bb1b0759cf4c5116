//! Orders on the trie: below a prefix that an order names, each vector is exchanged for one that knows the order. The rest
//! of the trie stays as it was compiled.

use std::collections::{BTreeMap, HashMap};

use gateway_common::policy::image::{Action, Node, Vector};
use sha2::{Digest as _, Sha256};

use super::{
    actions::{Rules, State},
    base::{Base, Problem},
    cells::{Cells, Full},
    say::Say,
    trie::Children,
};
use crate::{daemon::ActiveOrder, digits::Digits, what::What};

/// What orders say of a prefix: the digits of the one that says so, and what; by the place of the order.
type Said = Vec<(usize, (u8, Say))>;

/// The vectors of an image, and what each means to each effective profile.
pub(super) struct Outcomes<'r> {
    rules: &'r Rules<'r>,
    base: &'r Base,
    /// Vectors, by number.
    pub(super) vectors: Vec<Vector>,
    /// The actions of the effective profiles, by vector.
    actions: Vec<Vec<Action>>,
    /// Those behind the vectors of the base.
    added: HashMap<(u16, Vec<Action>), u16>,
}

impl<'r> Outcomes<'r> {
    /// Those of a trie without orders on its prefixes.
    pub(super) fn new(rules: &'r Rules<'r>, base: &'r Base) -> Self {
        let (mut vectors, mut actions): (Vec<_>, Vec<_>) = base.states.iter().map(|state| rules.outcome(state)).unzip();
        // No prefix has the first, so nothing is known of what has it.
        if let (Some(vector), Some(none)) = (vectors.first_mut(), actions.first_mut()) {
            *vector = Vector::default();
            none.fill(Action::default());
        }
        Self { rules, base, vectors, actions, added: HashMap::new() }
    }

    /// The row of actions of the effective profile at a place.
    pub(super) fn row(&self, effective: usize) -> Vec<u64> {
        self.actions.iter().map(|actions| actions.get(effective).copied().unwrap_or_default().0).collect()
    }

    /// The vector of prefixes with the vector `base`, below a prefix of which orders say so.
    fn number(&mut self, base: u16, said: &Said) -> Result<u16, Problem> {
        let Some(known) = self.base.states.get(usize::from(base)) else { return Ok(base) };
        let most = said.iter().map(|(order, _)| order + 1).max().unwrap_or(0);
        let mut state = State { orders: vec![None; most], ..known.clone() };
        for (order, (length, say)) in said {
            state.orders[*order] = Some((*length, *say));
        }
        let (vector, actions) = self.rules.outcome(&state);
        let next = self.vectors.len();
        if let Some(&number) = self.added.get(&(base, actions.clone())) {
            return Ok(number);
        }
        let number = u16::try_from(next).map_err(|_large| Problem::TooMany)?;
        self.vectors.push(vector);
        self.actions.push(actions.clone());
        self.added.insert((base, actions), number);
        Ok(number)
    }

    fn is_of_base(&self, vector: u32) -> bool {
        (vector as usize) < self.base.states.len()
    }
}

/// Puts the orders on prefixes into the trie; returns how many prefixes it has gained. What is changed goes into `digest`.
pub(super) fn put(
    cells: &mut Cells,
    outcomes: &mut Outcomes<'_>,
    orders: &[ActiveOrder],
    digest: &mut Sha256,
) -> Result<usize, Problem> {
    let mut gained = 0;
    // From the last to the first: what lies below another prefix is done before it, and its vectors are left alone then.
    for (digits, said) in said(orders).into_iter().rev() {
        let (at, inherited, own) = node(cells, outcomes.base.root, digits)?;
        gained += usize::from(own == 0);
        let mut exchange = Exchange { outcomes, said: &said, known: HashMap::new(), last: (0, 0) };
        let number = exchange.of(if own == 0 { inherited } else { own })?;
        exchange.below(cells, Children::of(Node(cells.get(at))))?;
        cells.set(at, Children::of(Node(cells.get(at))).node(number).0);
        digest.update(digits.to_string());
        let mut known: Vec<(u16, u16)> = exchange.known.into_iter().collect();
        known.sort_unstable();
        for (from, to) in known {
            digest.update([b' ']);
            digest.update(from.to_le_bytes());
            digest.update(to.to_le_bytes());
        }
    }
    Ok(gained)
}

/// What orders say of each prefix that one names, with what they say of the shorter ones around it.
fn said(orders: &[ActiveOrder]) -> BTreeMap<Digits, Said> {
    let mut said: BTreeMap<Digits, Said> = BTreeMap::new();
    for (place, order) in orders.iter().enumerate() {
        for what in &order.what {
            if let What::Prefix(digits) = what {
                let digits = Digits::new(digits);
                let say = Say::of(order.rule).unwrap_or(Say::Allow);
                said.entry(digits).or_default().push((place, (digits.len() as u8, say)));
            }
        }
    }
    let mut above: Vec<(Digits, Said)> = Vec::new();
    for (digits, own) in &mut said {
        while above.last().is_some_and(|(prefix, _)| !prefix.begins(*digits)) {
            above.pop();
        }
        for (order, inherited) in above.last().into_iter().flat_map(|(_, said)| said) {
            if !own.iter().any(|(known, _)| known == order) {
                own.push((*order, *inherited));
            }
        }
        own.sort_unstable();
        above.push((*digits, own.clone()));
    }
    said
}

/// The node of these digits, made where there is none; with the vector that it inherits, and its own or 0.
fn node(cells: &mut Cells, root: u32, digits: Digits) -> Result<(u32, u16, u16), Full> {
    let (mut at, mut inherited) = (root, 0);
    for digit in digits.each() {
        let node = Node(cells.get(at));
        if node.vector() != 0 {
            inherited = node.vector() as u16;
        }
        let child = node.child(digit);
        at = if cells.get(child) == 0 { grown(cells, at, digit)? } else { child };
    }
    Ok((at, inherited, Node(cells.get(at)).vector() as u16))
}

/// Room for the child of a digit that the node at `at` lacks. The cell stays zero, as that of no child, until it is set.
fn grown(cells: &mut Cells, at: u32, digit: u32) -> Result<u32, Full> {
    let node = Node(cells.get(at));
    let Children { place, first, count } = Children::of(node);
    if (first..first + count).contains(&digit) {
        return Ok(place + digit - first);
    }
    let (low, end) = if count == 0 { (digit, digit + 1) } else { (first.min(digit), (first + count).max(digit + 1)) };
    let wider = Children { place: cells.room((end - low) as usize)?, first: low, count: end - low };
    for child in 0..count {
        cells.set(wider.place + first + child - low, cells.get(place + child));
    }
    cells.set(at, wider.node(node.vector() as u16).0);
    Ok(wider.place + digit - low)
}

/// The vectors below one prefix, exchanged.
struct Exchange<'e, 'r> {
    outcomes: &'e mut Outcomes<'r>,
    said: &'e Said,
    known: HashMap<u16, u16>,
    last: (u16, u16),
}

impl Exchange<'_, '_> {
    fn of(&mut self, vector: u16) -> Result<u16, Problem> {
        if self.last.0 == vector && self.last.1 != 0 {
            return Ok(self.last.1);
        }
        let number = if let Some(&number) = self.known.get(&vector) {
            number
        } else {
            let number = self.outcomes.number(vector, self.said)?;
            self.known.insert(vector, number);
            number
        };
        self.last = (vector, number);
        Ok(number)
    }

    /// Exchanges the vectors of all nodes below one, level by level: as the trie lies in memory.
    fn below(&mut self, cells: &mut Cells, children: Children) -> Result<(), Problem> {
        let mut level = vec![children];
        let mut next = Vec::new();
        while !level.is_empty() {
            for Children { place, count, .. } in level.drain(..) {
                for at in place..place + count {
                    let node = Node(cells.get(at));
                    let vector = node.vector();
                    if !self.outcomes.is_of_base(vector) {
                        continue;
                    }
                    let children = Children::of(node);
                    if vector != 0 {
                        cells.set(at, children.node(self.of(vector as u16)?).0);
                    }
                    if children.count > 0 {
                        next.push(children);
                    }
                }
            }
            std::mem::swap(&mut level, &mut next);
        }
        Ok(())
    }
}
