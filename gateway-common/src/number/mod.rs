//! Numbers: from the dialled string to E.164 and its class.

mod class;
pub mod plan;
pub mod shape;

pub use class::Class;
