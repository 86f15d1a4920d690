//! Names of objects that the controller makes, shortened by one rule (docs/rules.md F11).
//!
//! A name that fits is the Go implementation's, since scripts rely on it. Names prove nothing: uids distinguish two runs
//! of one name.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Longest value of a label, and longest name of a Job, whose pods carry it as a label.
pub const LABEL_LIMIT: usize = 63;
/// Longest name of an object.
pub const NAME_LIMIT: usize = 253;
/// Longest kind.
pub const KIND_LIMIT: usize = 63;
/// Longest name of a BackupJob that a Plan makes: with `-backup` its Job's name still fits [`LABEL_LIMIT`].
pub const PLAN_RUN_LIMIT: usize = LABEL_LIMIT - BACKUP_SUFFIX.len();

const BACKUP_SUFFIX: &str = "-backup";
const RESTORE_SUFFIX: &str = "-restore";
const CLEANUP_SUFFIX: &str = "-cleanup";
/// Hex digits of the hash in a name that was too long.
const HASH_LEN: usize = 8;

/// Returns `stem` + `suffix` if that is at most `limit` bytes; else replaces the end of the stem by a hash of the whole:
/// `<stem, cut, without trailing '-' and '.'>-<8 hex digits><suffix>`.
///
/// Deterministic; different names stay different except for a collision of 32 bits. The result is longer than `limit`
/// only if `suffix` leaves less than eight bytes.
#[must_use]
pub fn bounded(stem: &str, suffix: &str, limit: usize) -> String {
    let candidate = format!("{stem}{suffix}");
    if candidate.len() <= limit {
        return candidate;
    }
    let hash = hash(&candidate);
    let room = limit.saturating_sub(1 + HASH_LEN + suffix.len());
    let kept = stem[..stem.floor_char_boundary(room)].trim_end_matches(['-', '.']);
    if kept.is_empty() { format!("{hash}{suffix}") } else { format!("{kept}-{hash}{suffix}") }
}

/// Returns the name of the Job of a BackupJob: `<backupjob>-backup`.
#[must_use]
pub fn backup_job_name(backup_job: &str) -> String {
    bounded(backup_job, BACKUP_SUFFIX, LABEL_LIMIT)
}

/// Returns the name of the Job of a RestoreJob: `<restorejob>-restore`.
#[must_use]
pub fn restore_job_name(restore_job: &str) -> String {
    bounded(restore_job, RESTORE_SUFFIX, LABEL_LIMIT)
}

/// Returns the name of the Job of a pod run that a step asked for: `<run>-<pod run>`.
#[must_use]
pub fn pod_run_name(run: &str, pod_run: &str) -> String {
    bounded(run, &format!("-{pod_run}"), LABEL_LIMIT)
}

/// Returns the name of the Job that cleans up after a Backup: `<backup>-cleanup`.
#[must_use]
pub fn cleanup_job_name(backup: &str) -> String {
    bounded(backup, CLEANUP_SUFFIX, LABEL_LIMIT)
}

/// Returns the name of the BackupJob of a Plan's slot, `<plan>-<minutes since the epoch>`, so that a slot cannot run
/// twice.
#[must_use]
pub fn plan_run_name(plan: &str, slot_unix: i64) -> String {
    bounded(plan, &format!("-{}", slot_unix.div_euclid(60)), PLAN_RUN_LIMIT)
}

/// Returns the name of a run's Backup if another run's Backup has the BackupJob's name:
/// `<backupjob>-<first 8 of the uid>` (docs/rules.md R3).
#[must_use]
pub fn fallback_backup_name(backup_job: &str, run_uid: &str) -> String {
    let short = &run_uid[..run_uid.floor_char_boundary(HASH_LEN)];
    bounded(backup_job, &format!("-{short}"), NAME_LIMIT)
}

/// Shortens `value`, whose characters a label allows, to a label value.
#[must_use]
pub fn label_value(value: &str) -> String {
    bounded(value, "", LABEL_LIMIT)
}

/// Returns the first hex digits of the SHA-256 of `text`.
fn hash(text: &str) -> String {
    let mut hex = String::with_capacity(HASH_LEN);
    for byte in Sha256::digest(text.as_bytes()).iter().take(HASH_LEN / 2) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests;
