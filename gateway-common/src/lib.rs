//! Tollgate's decisions: frame → datagram → SIP request → dialled number → policy → limits → verdict.
//!
//! The same code runs inside the kernel (gateway-ebpf) and on the host (replay, explain, tests). Two traits carry it:
//! a reader over octets and an environment; kernel and host differ only in those. This crate allocates nothing, reads
//! no clock, does no I/O, never panics and never indexes unchecked.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod addr;
pub mod answer;
pub mod call;
pub mod counters;
pub mod dialog;
pub mod env;
pub mod judge;
pub mod judged;
pub mod limit;
pub mod number;
pub mod policy;
pub mod reset;
pub mod sip;
pub mod site;
pub mod text;
mod verdict;
pub mod wire;

pub use number::Class;
pub use sip::Method;
pub use verdict::{Reason, Verdict};
