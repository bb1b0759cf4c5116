//! The compiled policy.

pub mod image;
