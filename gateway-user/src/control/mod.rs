//! The control socket: a Unix socket, one JSON request line, one JSON reply line; what is followed streams lines.

pub mod client;
pub mod exposure;
mod listener;
pub mod past;
mod peer;
pub mod protocol;
mod server;
pub mod suggest;
pub mod views;

pub use listener::{ListenError, Listener};
pub use server::{Answer, Job, serve};
