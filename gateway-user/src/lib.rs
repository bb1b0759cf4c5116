//! Tollgate in user space: policy, kernel façade, daemon, control socket, CLI and replay.

pub mod config;
pub mod what;
