//! The harness of Tollgate's tests and of its demo: network namespaces, veth pairs, SIP peers, frames, and a daemon with directories
//! of its own.
//!
//! Nothing here has a name outside the process that made it: namespaces, interfaces and pins are held by file descriptors, so that
//! the kernel removes them when the process ends, however it ends.

pub mod bench;
pub mod bpffs;
pub mod capability;
pub mod contained;
pub mod daemon;
pub mod demo;
pub mod differential;
pub mod evasion;
pub mod link;
pub mod netns;
pub mod network;
pub mod offload;
pub mod packet;
pub mod peer;
pub mod proof;
pub mod sip;
pub mod weekend;
pub mod witness;
pub mod xdp;
