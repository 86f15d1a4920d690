//! What the tests on a real cluster share: one controller for all of them, and a world of its own for each.
//!
//! The controller runs in the test process, with the rights of its ServiceAccount (by impersonation) and real components,
//! against the cluster that `tests/run` starts. A test that cannot reach one says so, and fails where `CI` is set.

pub mod bad_inputs;
pub mod chart;
mod client;
pub mod controller;
pub mod faults;
pub mod node;
pub mod sidecar;
pub mod webhook;
mod world;

pub use client::administrator;
pub use controller::{JOB_TTL, RUN_DEADLINE, UNDO_DEADLINE, WAIT_DEADLINE};
pub use world::{World, ready, script_spec};
