//! The Backstay controller.
fn main() {}
