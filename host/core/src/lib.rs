//! Pure decisions of the Backstay controller: observed state and a time in, verdicts out.
//!
//! No client, no clock, no environment, no randomness and no WebAssembly engine in here; `Cargo.toml` and
//! `clippy.toml` of this crate enforce it.

pub mod backup;
pub mod component;
pub mod contract;
pub mod credentials;
pub mod job;
pub mod owner;
pub mod plan;
pub mod pod_policy;
pub mod resource;
pub mod retry;
pub mod revision;
pub mod schedule;
pub mod status;
pub mod strategy_kind;
pub mod turns;
