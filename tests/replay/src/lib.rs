//! What tests ask a real API server is recorded, and asked again of the Kubernetes in memory: its answers must be the same.
//!
//! [`record`] is a proxy between clients and the API server, and watches of its own on every kind, so that it is known what others
//! write. [`play`] goes through a recording by its resource versions.

pub mod line;
pub mod play;
pub mod record;
pub mod trim;
