//! Tollgate in user space: policy, kernel façade, daemon, control socket, CLI and replay.

pub mod answer;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod diff;
pub mod digits;
pub mod doctor;
pub mod engine;
pub mod exposed;
pub mod imports;
pub mod init;
pub mod journal;
pub mod kernel;
pub mod notify;
pub mod numbering;
pub mod orders;
pub mod policy;
pub mod replay;
pub mod schedule;
pub mod selftest;
pub mod suggest;
pub mod what;
pub mod zone;
