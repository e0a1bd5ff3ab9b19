//! camofleet
fn main() {}
