//! Measurements: `cargo xtask bench`. Frames at line rate through a veth pair, and test runs of one frame.

pub mod attack;
pub mod count;
pub mod frames;
pub mod memory;
pub mod options;
pub mod peers;
pub mod plot;
pub mod policies;
pub mod report;
pub mod rows;
pub mod run;
pub mod stage;
mod suricata;
pub mod tables;
pub mod traffic;

pub use options::Options;
pub use run::main;
