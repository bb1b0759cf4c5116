//! What the loaded filter takes of the kernel's memory.

use std::{collections::BTreeMap, fmt, thread};

use anyhow::Result;
use serde::Serialize;

use super::policies::{Kind, Policy};

/// The rows: what they are called, and how many prefixes are in force.
pub const ROWS: [(&str, u32); 2] = [("memory, 50 prefixes", 50), ("memory, 1,000,000 prefixes", 1_000_000)];
/// Octets that all of it may take, and those that each CPU may add: counters, and the message at hand.
pub const MOST: u64 = 96 << 20;
/// See [`MOST`].
pub const MOST_A_CPU: u64 = 32 << 10;

/// What one policy takes.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// What is measured.
    pub row: &'static str,
    /// All of it, in octets.
    pub total: u64,
    /// Maps that have a part for each CPU have this many.
    pub cpus: usize,
    /// By map; `POLICY[0]` is the policy in force, and `programs` are those of both roles.
    pub parts: BTreeMap<String, u64>,
}

/// Loads the filter under a policy of so many prefixes, and asks the kernel.
///
/// # Errors
/// Where the kernel refuses, or does not tell.
pub fn measure(row: &'static str, prefixes: u32) -> Result<Figures> {
    let policy = Policy { prefixes, kind: Kind::Roomy };
    let parts: BTreeMap<_, _> = policy.load(&policy.compile()?)?.memory()?.into_iter().collect();
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Figures { row, total: parts.values().sum(), cpus, parts })
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mebibytes = |octets: u64| octets as f64 / f64::from(1 << 20);
        write!(f, "{}: {:.1} MiB;", self.row, mebibytes(self.total))?;
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort_by_key(|(_, octets)| std::cmp::Reverse(**octets));
        let (large, small) = parts.split_at(parts.partition_point(|(_, octets)| **octets >= 100 << 10));
        for (name, octets) in large {
            write!(f, " {name} {:.1},", mebibytes(**octets))?;
        }
        write!(f, " {} others {:.1}", small.len(), mebibytes(small.iter().map(|(_, octets)| **octets).sum()))
    }
}
