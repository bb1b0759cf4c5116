//! Fuzzing of every parser that reads octets from outside.
//!
//! A target is an ordinary function of octets that panics where a property does not hold. Coverage-guided search calls it
//! (`cargo xtask fuzz`), and so does the test `replay` on stable Rust, with every input that the search found worth
//! keeping. The first octets of some inputs are the circumstances, the rest is what the parser reads.

pub mod archive;
mod envelope;
mod seeds;
mod site;
mod targets;
mod text;

pub use targets::{TARGETS, Target};

/// The variable that names the target of the program `fuzz`.
pub const TARGET: &str = "TOLLGATE_FUZZ_TARGET";

/// The target with this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
