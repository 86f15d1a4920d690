//! The `batch/v1` Job of a pod run: builds it, checks who owns it, and reads its result.

mod build;
mod containers;
mod draining;
mod outcome;
mod ownership;
mod proof;
mod trouble;
mod turn;

pub use build::{JobSpec, build};
pub use containers::{LogToKeep, failures, logs_to_keep, recall, running};
pub use draining::{may_run, what_runs};
pub use outcome::{End, POD_RUN_ANNOTATION, PodRunNote, SeenPod, end, pod_result};
pub use ownership::{Ownership, is_owned, ownership};
pub use proof::{PROOF_ANNOTATION, ProofKey};
pub use trouble::{has_news, runs_on_soon, trouble, trouble_of_job};
pub use turn::{TURN_ANNOTATION, TurnNote};
