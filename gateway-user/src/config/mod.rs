//! The policy file: read, validated as a whole, every error at once.

mod model;

pub use model::*;
