//! The demo network.
fn main() {}
