//! Deleted Backups whose records are still to be deleted.
//!
//! Once a Backup's finalizer is off, no event leads back to its records. Such Backups are queued here when their clean-up
//! ends, and again when the watch reports the deletion, whoever removed the finalizer. Garbage collection finds what a
//! process that died has left.

use std::collections::HashMap;

use backstay_api::labels;
use kube::core::ObjectMeta;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Backups in one batch: each puts two uids into the query of a URL.
const BATCH: usize = 50;

/// A deleted Backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedBackup {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Uid of the run that made it, by its label.
    pub run_uid: Option<String>,
}

/// The queue, by uid.
#[derive(Default)]
pub struct DeletedBackups {
    queue: Mutex<HashMap<String, DeletedBackup>>,
    queued: Notify,
}

impl DeletedBackups {
    /// Queues a Backup that is deleted, or whose finalizer has been removed.
    pub fn add(&self, backup: &ObjectMeta) {
        let Some(uid) = backup.uid.clone() else { return };
        let run_uid =
            backup.labels.as_ref().and_then(|l| l.get(labels::RUN_UID)).filter(|uid| !uid.is_empty());
        let deleted = DeletedBackup {
            uid: uid.clone(),
            namespace: backup.namespace.clone().unwrap_or_default(),
            run_uid: run_uid.cloned(),
        };
        self.queue.lock().insert(uid, deleted);
        self.queued.notify_one();
    }

    /// Waits until a Backup is queued.
    pub async fn queued(&self) {
        self.queued.notified().await;
    }

    /// Returns some of the queue.
    #[must_use]
    pub fn batch(&self) -> Vec<DeletedBackup> {
        self.queue.lock().values().take(BATCH).cloned().collect()
    }

    /// Removes a batch from the queue.
    pub fn done(&self, batch: &[DeletedBackup]) {
        let mut queue = self.queue.lock();
        for backup in batch {
            queue.remove(&backup.uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(uid: &str, run: &str) -> ObjectMeta {
        ObjectMeta {
            uid: Some(uid.to_owned()),
            namespace: Some("tenant-a".to_owned()),
            labels: Some([(labels::RUN_UID.to_owned(), run.to_owned())].into()),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_backup_stays_until_what_is_kept_of_it_is_deleted() {
        let deleted = DeletedBackups::default();
        deleted.add(&backup("b1", "r1"));
        deleted.add(&backup("b1", "r1"));
        let batch = deleted.batch();
        assert_eq!(batch.len(), 1);
        assert_eq!(batch[0].run_uid.as_deref(), Some("r1"));
        assert_eq!(deleted.batch(), batch);
        deleted.done(&batch);
        assert!(deleted.batch().is_empty());
    }

    #[test]
    fn a_label_without_a_value_names_no_run() {
        let deleted = DeletedBackups::default();
        deleted.add(&backup("b1", ""));
        assert_eq!(deleted.batch()[0].run_uid, None);
    }

    #[test]
    fn more_than_one_call_takes_are_left_for_the_next() {
        let deleted = DeletedBackups::default();
        for n in 0..=BATCH {
            deleted.add(&backup(&format!("b{n}"), "r1"));
        }
        deleted.done(&deleted.batch());
        assert_eq!(deleted.batch().len(), 1);
    }
}
