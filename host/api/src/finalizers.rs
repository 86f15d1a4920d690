//! Finalizers.

/// Holds the Backups and RestoreJobs of this controller until their clean-up is done.
pub const CLEANUP: &str = "backups.cozystack.io/cleanup";
/// Finalizer of older releases of the Go implementation on Backups: honoured and removed, never added.
pub const LEGACY_CLEANUP: &str = "backups.cozystack.io/cleanup-velero";

/// Holds a run until its component has undone what it began, and a restore until its handover is stored.
pub const UNDO: &str = "backstay.dev/undo";

/// Returns whether the controller removes this finalizer when the clean-up is done.
#[must_use]
pub fn is_ours(finalizer: &str) -> bool {
    matches!(finalizer, CLEANUP | LEGACY_CLEANUP)
}
