//! Runs of the contract's resource world: what a component may touch, how a wake goes, and what is kept of a run.
//!
//! Nothing here reads or writes anything. The shell asks these modules before it does what a guest wants.

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
pub use wake::{Next, Wake};
