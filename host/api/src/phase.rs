//! Values of `status.phase`. The CRDs allow others, which are not terminal.

/// The controller has seen the object, and the run has not begun.
pub const PENDING: &str = "Pending";
/// The run has begun.
pub const RUNNING: &str = "Running";
/// The run has succeeded. Terminal.
pub const SUCCEEDED: &str = "Succeeded";
/// The run has failed, or the Backup cannot be used. Terminal.
pub const FAILED: &str = "Failed";
/// The Backup can be restored.
pub const READY: &str = "Ready";

/// Returns whether a run in this phase has ended.
#[must_use]
pub fn is_terminal(phase: Option<&str>) -> bool {
    matches!(phase, Some(SUCCEEDED | FAILED))
}
