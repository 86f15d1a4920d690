//! The harness of the tests on a real cluster: one controller for all tests, and a namespace for each; and of those on a Kubernetes
//! in memory, see [`model`].
//!
//! The controller runs in the test process, with the token of its ServiceAccount and real components, against the cluster
//! that `tests/run` starts. Without a cluster a test reports that it is skipped, or fails if `CI` is set.

pub mod bad_inputs;
pub mod chart;
mod client;
pub mod clock;
pub mod controller;
pub mod faults;
pub mod figures;
pub mod hostile;
pub mod life;
pub mod load;
pub mod model;
pub mod node;
pub mod sidecar;
pub mod webhook;
mod world;

pub use client::administrator;
pub use controller::{JOB_TTL, RUN_DEADLINE, UNDO_DEADLINE, WAIT_DEADLINE};
pub use world::{World, ready, script_spec};
