//! Runs in steps: the accesses of a component, the course of a wake, and the Secrets with checkpoints.
//!
//! Nothing here does I/O. The shell asks these modules before it carries out a decision of a component.

mod access;
mod checkpoint;
mod conditions;
mod fields;
mod rbac;
mod violation;
mod wake;

pub use access::{Allowed, Grants, Owner, Pins, Reach, Verb, has_marks, unguarded};
pub use checkpoint::{
    Handover, HandoverTarget, PrivateData, RecordError, StoredCheckpoint, checkpoint_name, handover_name,
    private_name,
};
pub use conditions::room_for;
pub use fields::{identity, merge_patch, projected};
pub use rbac::rbac;
pub use violation::ContractViolation;
pub use wake::{Effect, Next, Wake};
