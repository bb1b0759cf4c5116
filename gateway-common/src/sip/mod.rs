//! SIP: start line, Request-URI and the headers a decision needs.

mod method;

pub use method::Method;
