//! The array under construction.

use gateway_common::policy::image::{BODY, CELLS};

/// The image has no room for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// The cells of an image, the header in front.
pub(super) struct Cells(Vec<u64>);

impl Cells {
    pub(super) fn new() -> Self {
        Self(vec![0; BODY as usize])
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

    pub(super) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    pub(super) fn into_inner(self) -> Vec<u64> {
        self.0
    }
}
