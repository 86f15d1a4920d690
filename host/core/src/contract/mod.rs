//! The contract with a strategy component, in Rust: one type for each type of `wit/v0.1/strategy.wit`.
//!
//! These are the only types of the contract outside `backstay-engine`, which converts each served WIT version to
//! them. JSON arguments and answers are parsed values here; times are seconds since the epoch, as in the contract.

mod descriptor;
mod log;
mod object;
mod pod;
mod run;
mod scalar;
mod step;

pub use descriptor::{Access, Descriptor, Guard, Scope, Stage, StrategyKind, Traits, Verbs};
pub use log::{LogLevel, LogLine};
pub use object::{GroupKind, NamespacedName, ObjectRef, Selection};
pub use pod::{Container, Pod, PodResult, PodRun};
pub use run::{
    Artifact, Backup, CancelCause, Cancellation, Checkpoint, Condition, Diagnostic, Event, Failure,
    Inherited, Outcome, Request, Severity,
};
pub use scalar::{Json, JsonPointer, Mode, Pairs, Reason, Seconds, Timestamp};
pub use step::{
    Action, ActionResult, Answer, Apply, Content, Create, Decision, Delete, GetQuery, ListQuery, LogQuery,
    ObjectList, Patch, Propagation, Query, ReadError, RunPod, StepResult, View, Wait, Watch, WriteError,
};
