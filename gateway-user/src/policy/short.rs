//! What is known of numbers behind a plus and three digits before they are looked at: what a flood asks for.

use std::collections::HashMap;

use gateway_common::policy::image::{Action, DialCell, Node, SHORTS, Short, Vector, symbol};

use super::{
    cells::{Cells, Full},
    trie,
};

/// Digits of a number that the kernel reads in words.
const MOST: u32 = 15;

/// What the answers of a profile rest on, as cells of the image.
pub(super) struct Basis<'a> {
    /// The cell of the empty string of its dial plan.
    pub(super) plan: u64,
    /// The start of its `dial:` rules, or 0.
    pub(super) dial: u64,
    /// The root of the trie.
    pub(super) root: u32,
    /// The vectors, by number.
    pub(super) vectors: &'a [u64],
    /// Its actions, by the vector's number.
    pub(super) row: &'a [u64],
}

/// Tables that are in the image already; equal ones are stored once.
#[derive(Default)]
pub(super) struct Shorts {
    stored: HashMap<Vec<u64>, u32>,
}

impl Shorts {
    /// Puts the answers of a profile into the image; 0 where there are none.
    pub(super) fn put(&mut self, cells: &mut Cells, basis: &Basis<'_>) -> Result<u32, Full> {
        let table: Vec<u64> = (0..SHORTS / 2).flat_map(|head| basis.known(cells, head)).collect();
        if table.iter().all(|cell| *cell == 0) {
            return Ok(0);
        }
        if let Some(&at) = self.stored.get(&table) {
            return Ok(at);
        }
        let at = cells.put(&table)?;
        self.stored.insert(table, at);
        Ok(at)
    }
}

impl Basis<'_> {
    /// What is known of the numbers that begin with a plus and the three digits of `head`: the answer, if it is a block, and
    /// the node behind them.
    fn known(&self, cells: &Cells, head: u32) -> [u64; 2] {
        const NOTHING: [u64; 2] = [0; 2];
        let digits = [head / 100, head / 10 % 10, head % 10];
        let plus = symbol(b'+').unwrap_or(0);
        let ruled = self.dial != 0 && step(cells, self.dial, plus) != 0;
        let plus = step(cells, self.plan, plus);
        // A string that means something as a whole passes before all else: emergency calls, harmless services.
        let whole = longest(cells, plus, &digits);
        if digits[0] == 0 || ruled || plus & DialCell::ACCESS == 0 || whole > 0 {
            return NOTHING;
        }
        let (mut node, mut number) = (Some(self.root), 0);
        for digit in digits {
            node = node.and_then(|at| trie::child(cells, at, digit));
            number = node.map(|at| Node(cells.get(at)).vector()).filter(|own| *own != 0).unwrap_or(number);
        }
        let below = node.filter(|at| (0..10).any(|digit| trie::child(cells, *at, digit).is_some())).unwrap_or(0);
        let (Some(action), Some(vector)) = (self.row.get(number as usize), self.vectors.get(number as usize)) else {
            return NOTHING;
        };
        let (action, vector) = (Action(*action), Vector(*vector));
        let blocks = number != 0 && action.blocks() && !action.looks_on() && vector.min() <= MOST;
        let answer = Short::new(action, vector.country(), vector.min().max(digits.len() as u32));
        [if blocks { answer.0 } else { 0 }, u64::from(below)]
    }
}

fn step(cells: &Cells, cell: u64, symbol: u32) -> u64 {
    match DialCell(cell).next() {
        0 => 0,
        next => cells.get(next + symbol),
    }
}

/// Digits of the longest string behind `cell` that begins with `head` and means something as a whole.
fn longest(cells: &Cells, cell: u64, head: &[u32]) -> u32 {
    let mut longest = 0;
    let mut cell = cell;
    for (digits, digit) in (1..).zip(head) {
        cell = step(cells, cell, *digit);
        if is_whole(cell) {
            longest = digits;
        }
    }
    longest.max(longest_below(cells, cell, head.len() as u32))
}

fn longest_below(cells: &Cells, cell: u64, digits: u32) -> u32 {
    let below = (0..10).map(|digit| step(cells, cell, digit)).filter(|next| *next != 0);
    below
        .map(|next| {
            let own = if is_whole(next) { digits + 1 } else { 0 };
            own.max(longest_below(cells, next, digits + 1))
        })
        .max()
        .unwrap_or(0)
}

const fn is_whole(cell: u64) -> bool {
    cell & (DialCell::EMERGENCY | DialCell::HARMLESS) != 0
}
