//! Backups that are gone, and what is still kept of them.
//!
//! With its finalizer goes whatever leads back to a Backup. So what is to be deleted after it is remembered here until it has
//! been: once its clean-up has ended, and again when the watch shows that it is gone, whoever let it go. What a process that
//! died has left is collected.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use backstay_api::labels;
use backstay_core::retry;
use kube::core::ObjectMeta;
use tokio::sync::Notify;

use crate::api_error::{ApiError, chain};
use crate::context::Context;
use crate::records;

/// How many are asked for in one call: two uids each, in the query of a URL.
const AT_ONCE: usize = 50;

/// A Backup that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its uid.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Uid of the run that made it, if it says so.
    pub run_uid: Option<String>,
}

/// Those after whom something may be left to delete, by uid.
#[derive(Default)]
pub struct Departed {
    left: Mutex<HashMap<String, Gone>>,
    told: Notify,
}

impl Departed {
    /// A Backup is gone, or will be as far as this controller is asked.
    pub fn add(&self, backup: &ObjectMeta) {
        let Some(uid) = backup.uid.clone() else { return };
        let run_uid =
            backup.labels.as_ref().and_then(|l| l.get(labels::RUN_UID)).filter(|uid| !uid.is_empty());
        let gone = Gone {
            uid: uid.clone(),
            namespace: backup.namespace.clone().unwrap_or_default(),
            run_uid: run_uid.cloned(),
        };
        self.left.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, gone);
        self.told.notify_one();
    }

    /// Some of them.
    fn some(&self) -> Vec<Gone> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.values().take(AT_ONCE).cloned().collect()
    }

    fn done(&self, with: &[Gone]) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in with {
            left.remove(&gone.uid);
        }
    }
}

/// Deletes what is kept of Backups that are gone as they go, until `until`.
pub async fn follow(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    futures::pin_mut!(until);
    let mut attempt = 0;
    loop {
        let next = async {
            match attempt {
                0 => ctx.departed.told.notified().await,
                _ => tokio::time::sleep(retry::backoff(attempt)).await,
            }
        };
        tokio::select! {
            () = &mut until => return,
            () = next => {}
        }
        match forget(&ctx).await {
            Ok(()) => attempt = 0,
            Err(error) => {
                attempt += 1;
                tracing::warn!(attempt, error = %chain(&error), "records of deleted backups not deleted, will try again");
            }
        }
    }
}

async fn forget(ctx: &Context) -> Result<(), ApiError> {
    loop {
        let some = ctx.departed.some();
        if some.is_empty() {
            return Ok(());
        }
        records::forget(&some, ctx).await?;
        ctx.departed.done(&some);
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
        let departed = Departed::default();
        departed.add(&backup("b1", "r1"));
        departed.add(&backup("b1", "r1"));
        let some = departed.some();
        assert_eq!(some.len(), 1);
        assert_eq!(some[0].run_uid.as_deref(), Some("r1"));
        assert_eq!(departed.some(), some);
        departed.done(&some);
        assert!(departed.some().is_empty());
    }

    #[test]
    fn a_label_without_a_value_names_no_run() {
        let departed = Departed::default();
        departed.add(&backup("b1", ""));
        assert_eq!(departed.some()[0].run_uid, None);
    }

    #[test]
    fn more_than_one_call_takes_are_left_for_the_next() {
        let departed = Departed::default();
        for n in 0..=AT_ONCE {
            departed.add(&backup(&format!("b{n}"), "r1"));
        }
        departed.done(&departed.some());
        assert_eq!(departed.some().len(), 1);
    }
}
