//! The `batch/v1` Job of a pod run: builds it, checks who owns it, and reads its result.

mod build;
mod outcome;
mod ownership;
mod trouble;

pub use build::{JobSpec, build};
pub use outcome::{End, POD_RUN_ANNOTATION, PodRunNote, end, pod_result};
pub use ownership::{Ownership, ownership};
pub use trouble::{trouble, trouble_of_job};
