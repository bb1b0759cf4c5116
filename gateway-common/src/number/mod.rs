//! Numbers: from the dialled string to E.164 and its class.

mod class;

pub use class::Class;
