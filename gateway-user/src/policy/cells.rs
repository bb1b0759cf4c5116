//! The array under construction.

use gateway_common::policy::image::{BODY, CELLS};
use sha2::{Digest as _, Sha256};

/// Cells that most policies put behind the trie.
const ROOM: usize = 1 << 17;

/// The image has no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The cells of an image, the header in front.
pub(super) struct Cells(Vec<u64>);

impl Cells {
    pub(super) fn new() -> Self {
        Self(vec![0; BODY as usize])
    }

    /// A copy, with memory for what is put behind a trie.
    pub(super) fn roomy(&self) -> Self {
        let mut cells = Vec::with_capacity((self.0.len() + ROOM).min(CELLS as usize));
        cells.extend_from_slice(&self.0);
        Self(cells)
    }

    /// Room for `count` cells, zero; returns where it begins.
    pub(super) fn room(&mut self, count: usize) -> Result<u32, Full> {
        let at = self.0.len();
        let end = at.checked_add(count).filter(|end| *end <= CELLS as usize).ok_or(Full)?;
        self.0.resize(end, 0);
        Ok(at as u32)
    }

    /// Puts these cells behind the last one.
    pub(super) fn put(&mut self, values: &[u64]) -> Result<u32, Full> {
        let at = self.room(values.len())?;
        self.0[at as usize..].copy_from_slice(values);
        Ok(at)
    }

    /// Sets a cell that there is room for.
    pub(super) fn set(&mut self, at: u32, value: u64) {
        self.0[at as usize] = value;
    }

    pub(super) fn get(&self, at: u32) -> u64 {
        self.0.get(at as usize).copied().unwrap_or(0)
    }

    pub(super) const fn len(&self) -> u32 {
        self.0.len() as u32
    }

    /// Adds some of the cells to a digest.
    pub(super) fn digest(&self, from: u32, to: u32, digest: &mut Sha256) {
        let mut octets = [0; 4096];
        for cells in self.0.get(from as usize..to as usize).unwrap_or_default().chunks(octets.len() / 8) {
            for (octets, cell) in octets.chunks_exact_mut(8).zip(cells) {
                octets.copy_from_slice(&cell.to_le_bytes());
            }
            digest.update(octets.get(..8 * cells.len()).unwrap_or_default());
        }
    }

    pub(super) fn into_inner(self) -> Vec<u64> {
        self.0
    }
}
