//! SIP: start line, Request-URI and the headers a decision needs.

pub mod headers;
mod method;
pub mod parameter;
pub mod scan;
pub mod target;
pub mod words;

pub use method::Method;
