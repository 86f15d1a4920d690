//! Values of `status.phase`. The CRDs do not list them: an unknown value is kept and is not terminal.

/// The object is known and nothing has begun.
pub const PENDING: &str = "Pending";
/// The run has begun.
pub const RUNNING: &str = "Running";
/// The run has ended well. Terminal.
pub const SUCCEEDED: &str = "Succeeded";
/// The run has ended badly, or the Backup cannot be used. Terminal.
pub const FAILED: &str = "Failed";
/// The Backup can be restored.
pub const READY: &str = "Ready";

/// Whether a run in this phase is over. No phase is not.
#[must_use]
pub fn is_terminal(phase: Option<&str>) -> bool {
    matches!(phase, Some(SUCCEEDED | FAILED))
}
