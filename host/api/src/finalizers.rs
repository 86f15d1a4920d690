//! Finalizers (lifecycle section 3).

/// On Backups and RestoreJobs that the controller handles: their cleanup has not been done yet.
pub const CLEANUP: &str = "backups.cozystack.io/cleanup";
/// On Backups of older releases of the Go implementation: honoured and removed, never added.
pub const LEGACY_CLEANUP: &str = "backups.cozystack.io/cleanup-velero";

/// On runs whose component wants to be called when they are deleted midway or out of time, as it may have something to undo;
/// and on restores that may leave something for the next one to know.
pub const UNDO: &str = "backstay.dev/undo";

/// Whether this is one of the finalizers that the controller removes when cleanup is done.
#[must_use]
pub fn is_ours(finalizer: &str) -> bool {
    matches!(finalizer, CLEANUP | LEGACY_CLEANUP)
}
