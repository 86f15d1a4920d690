//! Pure decisions of the Backstay controller: observed state and a time in, verdicts out.
//!
//! No client, no clock, no environment, no randomness and no WebAssembly engine in here; `Cargo.toml` and
//! `clippy.toml` of this crate enforce it.

pub mod contract;
