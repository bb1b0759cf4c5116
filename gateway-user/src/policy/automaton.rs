//! Dial automata: a graph of codes in which several may be under way at once, made deterministic.

use std::collections::HashMap;

use gateway_common::policy::image::{DialCell, symbol};

use super::cells::{Cells, Full};

/// Cells of a state: one per symbol.
const STATE: usize = 16;

/// A graph of codes; every path is finite.
#[derive(Default)]
pub(super) struct Codes {
    places: Vec<Place>,
}

#[derive(Default)]
struct Place {
    flags: u64,
    next: Vec<(u32, u32)>,
}

impl Codes {
    /// A new place; `flags` say what a string that ends here is, as in [`DialCell`].
    pub(super) fn place(&mut self, flags: u64) -> u32 {
        self.places.push(Place { flags, next: Vec::new() });
        self.places.len() as u32 - 1
    }

    /// A code that leads from one place to another. Octets that a dial automaton does not read are left out.
    pub(super) fn code(&mut self, from: u32, code: &str, to: u32) {
        let mut symbols = code.bytes().filter_map(symbol).peekable();
        let mut here = from;
        while let Some(symbol) = symbols.next() {
            let next = if symbols.peek().is_some() { self.place(0) } else { to };
            self.places[here as usize].next.push((symbol, next));
            here = next;
        }
    }

    fn flags(&self, places: &[u32]) -> u64 {
        let mut flags = 0;
        for &place in places {
            let own = self.places[place as usize].flags;
            // Two heads that end here began at different places: the one behind more codes is kept.
            let (back, kept) = (own & DialCell::BACK, flags & DialCell::BACK);
            let back = if kept == 0 || back != 0 && back < kept { back } else { kept };
            flags = (flags | own) & !DialCell::BACK | back;
        }
        flags
    }
}

/// States that are in the image already; equal ones are stored once.
#[derive(Default)]
pub(super) struct States {
    stored: HashMap<[u64; STATE], u32>,
}

impl States {
    /// Puts the automaton that begins at `start` into the image; returns the cell of the empty string.
    pub(super) fn put(&mut self, cells: &mut Cells, codes: &Codes, start: u32) -> Result<u64, Full> {
        let mut seen = HashMap::new();
        let next = self.state(cells, codes, &[start], &mut seen)?;
        Ok(codes.flags(&[start]) | next as u64)
    }

    fn state(
        &mut self,
        cells: &mut Cells,
        codes: &Codes,
        places: &[u32],
        seen: &mut HashMap<Vec<u32>, u32>,
    ) -> Result<u32, Full> {
        if let Some(&state) = seen.get(places) {
            return Ok(state);
        }
        let mut reached: [Vec<u32>; STATE] = Default::default();
        for &place in places {
            for &(symbol, next) in &codes.places[place as usize].next {
                reached[symbol as usize & (STATE - 1)].push(next);
            }
        }
        let mut state = [0; STATE];
        for (cell, next) in state.iter_mut().zip(&mut reached) {
            if !next.is_empty() {
                next.sort_unstable();
                next.dedup();
                *cell = codes.flags(next) | self.state(cells, codes, next, seen)? as u64;
            }
        }
        let at = self.stored(cells, state)?;
        seen.insert(places.to_vec(), at);
        Ok(at)
    }

    /// Where this state stands; 0 for one that leads nowhere.
    pub(super) fn stored(&mut self, cells: &mut Cells, state: [u64; STATE]) -> Result<u32, Full> {
        if state == [0; STATE] {
            return Ok(0);
        }
        if let Some(&at) = self.stored.get(&state) {
            return Ok(at);
        }
        let at = cells.put(&state)?;
        self.stored.insert(state, at);
        Ok(at)
    }
}
