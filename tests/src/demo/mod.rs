//! The demo: a network of four hosts, real calls, a real flood, and an account of every packet at the end.

pub mod account;
pub mod control;
pub mod counters;
pub mod edges;
pub mod options;
pub mod peers;
pub mod run;
pub mod show;
pub mod traffic;

pub use options::Options;
pub use run::main;
