//! Identifiers that do not repeat: tags, branches, Call-IDs.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Sixteen hexadecimal digits that no other call in this process gave, and that no other process is likely to give.
pub fn unique() -> String {
    static PROCESS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:08x}{:08x}", PROCESS.hash_one("tollgate") as u32, n as u32)
}

/// A branch with the magic cookie of RFC 3261 8.1.1.7.
pub fn branch() -> String {
    format!("z9hG4bK{}", unique())
}
