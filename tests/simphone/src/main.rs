//! Command line of the simulated phone.
fn main() {}
