//! XDP.
fn main() {}
