//! Runs of the contract's resource world: what a component may touch, how a wake goes, and what is kept of a run.
//!
//! Nothing here reads or writes anything. The shell asks these modules before it does what a guest wants.

mod access;
mod checkpoint;
mod conditions;
mod fields;
mod rbac;
mod wake;

pub use access::{Allowed, Grants, Owner, Pins, Reach, Verb, has_marks, unguarded};
pub use checkpoint::{
    Handover, HandoverTarget, PrivateData, RecordError, StoredCheckpoint, checkpoint_name, handover_name,
    private_name,
};
pub use conditions::room_for;
pub use fields::{identity, merge_patch, projected};
pub use rbac::rbac;
pub use wake::{Effect, Next, Wake};

/// A guest broke a rule of the contract: the run ends, and the message names the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ContractViolation {
    /// Reason of the condition, the Event and the metric.
    pub reason: &'static str,
    /// What was done, and which rule forbids it.
    pub message: String,
}

impl ContractViolation {
    fn undeclared(message: String) -> Self {
        Self { reason: backstay_api::conditions::reasons::STRATEGY_UNDECLARED_ACCESS, message }
    }

    fn rule(message: impl Into<String>) -> Self {
        Self { reason: backstay_api::conditions::reasons::STRATEGY_BAD_ANSWER, message: message.into() }
    }
}
