//! What this process knows of runs that take steps, beside what is stored. Losing it costs reads, and nothing else.

use std::collections::HashMap;

use backstay_api::Backup;
use backstay_core::contract::{self, Inherited, Json, ObjectRef};
use backstay_core::job::PodRunNote;
use backstay_core::run_budget::BudgetLimits;
use backstay_core::steps::StoredCheckpoint;
use k8s_openapi::api::batch::v1::Job;
use parking_lot::Mutex;

use super::period::Period;
use super::spending::Spending;
use crate::cluster::error::ApiError;
use crate::records::checkpoints::{Checkpoints, RecordsError};

/// A value that is read once.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Cached<T> {
    /// Nobody has read it yet.
    #[default]
    Unread,
    /// It does not exist.
    Absent,
    /// The value.
    Present(T),
}

impl<T> Cached<T> {
    /// Returns the value, if it is known and exists.
    pub fn present(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Unread | Self::Absent => None,
        }
    }

    /// Returns whether the value has not been read.
    pub fn is_unread(&self) -> bool {
        matches!(self, Self::Unread)
    }
}

impl<T> From<Option<T>> for Cached<T> {
    fn from(read: Option<T>) -> Self {
        read.map_or(Self::Absent, Self::Present)
    }
}

/// The Backup of a run, as calls of the component are told of it.
#[derive(Default)]
pub struct BackupCache {
    private: Cached<Json>,
    /// The resource version that the Backup was read at, and the Backup.
    backup: Option<(String, contract::Backup)>,
    /// The Backup as it was read when the run began, until its private data is read.
    begun_with: Option<Box<Backup>>,
}

impl BackupCache {
    /// Returns the Backup, if it is known at this resource version.
    #[must_use]
    pub fn at(&self, version: Option<&String>) -> Option<&contract::Backup> {
        self.backup.as_ref().filter(|(known, _)| Some(known) == version).map(|(_, backup)| backup)
    }

    /// Takes the Backup that the run began with, if it has this resource version.
    pub fn take_begun_with(&mut self, version: Option<&String>) -> Option<Box<Backup>> {
        self.begun_with
            .take()
            .filter(|backup| version.is_some() && backup.metadata.resource_version.as_ref() == version)
    }

    /// Returns a Backup with its private data, which is read once, and remembers it.
    ///
    /// # Errors
    /// See [`RecordsError`].
    pub async fn with_private(
        &mut self,
        backup: &Backup,
        records: &Checkpoints,
    ) -> Result<contract::Backup, RecordsError> {
        if self.private.is_unread() {
            self.private = records.private(backup).await?.into();
        }
        let private_data = self.private.present().cloned();
        let told = contract::Backup { private_data, ..backstay_core::backup::to_contract(backup) };
        self.backup = backup.metadata.resource_version.clone().map(|version| (version, told.clone()));
        Ok(told)
    }
}

/// What is known of one run.
#[derive(Default)]
pub struct StepCache {
    /// The stored checkpoint, and the resource version of its Secret.
    pub checkpoint: Cached<(StoredCheckpoint, String)>,
    /// The checkpoint that an earlier run handed over on the target.
    pub inherited: Cached<Inherited>,
    /// The Backup of the run.
    pub backup: BackupCache,
    /// Once in a period, a wake reads everything from the API server, as a net under the watches.
    pub bypass_watches: Period,
    /// What the run has spent; `None` before its first wake.
    pub spending: Option<Spending>,
    /// Uids of the Jobs of pod runs that this process has created or found, by name of the pod run.
    pub jobs: HashMap<String, String>,
    /// What this run's writes have left, by object. A watch that is behind one of them is not read.
    pub written: HashMap<ObjectRef, Written>,
    /// This reconcile has begun the run, so that its object is known to be as it left it.
    pub just_begun: bool,
}

/// What a write has left.
pub enum Written {
    /// The object at this resource version.
    At(String),
    /// The object of this uid is deleted, or being deleted.
    Deleted(String),
    /// Unknown: the write may have happened.
    Unknown,
}

impl StepCache {
    /// What is known of a run that this reconcile has begun, and marked as begun for the first time: nobody has written a
    /// checkpoint for it.
    #[must_use]
    pub fn of_begun(backup: Option<Backup>) -> Self {
        let backup = BackupCache { begun_with: backup.map(Box::new), ..BackupCache::default() };
        Self { checkpoint: Cached::Absent, backup, just_begun: true, ..Self::default() }
    }

    /// Returns what the run has spent, of a budget that begins with the first call.
    pub fn spending(&mut self, limits: BudgetLimits) -> &mut Spending {
        self.spending.get_or_insert_with(|| Spending::new(limits))
    }

    /// Returns the stored checkpoint, if it is known.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredCheckpoint> {
        self.checkpoint.present().map(|(stored, _)| stored)
    }

    /// Writes a checkpoint over the known one.
    ///
    /// # Errors
    /// The API server's; the stored checkpoint is then read again before the next step.
    pub async fn write(&mut self, stored: StoredCheckpoint, records: &Checkpoints) -> Result<(), ApiError> {
        // Unknown until the answer comes.
        let before = std::mem::take(&mut self.checkpoint);
        let version = before.present().map(|(_, version)| version.as_str());
        self.checkpoint = Cached::Present(records.write(stored, version).await?);
        Ok(())
    }

    /// Returns what is on record of the run's pod run of this name; `None` if it was not asked for. A guest without a
    /// checkpoint has no record, and its Job holds all there is.
    #[must_use]
    pub fn pod(&self, name: &str) -> Option<PodRunNote> {
        self.stored().map(|stored| stored.pods.get(name).cloned().unwrap_or_default())
    }

    /// Notes the Job of a pod run.
    pub fn started(&mut self, name: &str, job: &Job) {
        self.jobs.extend(job.metadata.uid.clone().map(|uid| (name.to_owned(), uid)));
    }

    /// Returns the uid of a pod run's Job, if this process has created or found it.
    #[must_use]
    pub fn job_uid(&self, name: &str) -> Option<&str> {
        self.jobs.get(name).map(String::as_str)
    }
}

/// The caches, by uid of the run.
#[derive(Default)]
pub struct StepCaches(Mutex<HashMap<String, StepCache>>);

impl StepCaches {
    /// Returns whether the run has asked for pods, if that is known.
    #[must_use]
    pub fn has_pods(&self, run_uid: &str) -> Option<bool> {
        self.0.lock().get(run_uid)?.stored().map(|stored| !stored.pods.is_empty())
    }

    /// Takes the cache of a run out. The caller reconciles the run, and nobody else does.
    #[must_use]
    pub fn take(&self, run_uid: &str) -> StepCache {
        self.0.lock().remove(run_uid).unwrap_or_default()
    }

    /// Puts the cache of a run back.
    pub fn put(&self, run_uid: &str, cache: StepCache) {
        self.0.lock().insert(run_uid.to_owned(), cache);
    }

    /// Returns the uids of the runs in the cache.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// Forgets a run.
    pub fn forget(&self, run_uid: &str) {
        self.0.lock().remove(run_uid);
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Mode;
    use backstay_core::retry::Class;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::records::checkpoints::tests::{checkpoint, records};
    use crate::state::run::tests::{BACKUP, changed, stored_run};

    #[tokio::test]
    async fn a_checkpoint_is_written_over_the_known_one_and_unknown_after_an_error() {
        let server = StandIn::default();
        let records = records(&server);
        let mut cache = StepCache { checkpoint: Cached::Absent, ..StepCache::default() };
        for stage in ["purge", "copy"] {
            let next = StoredCheckpoint { stage: stage.into(), ..checkpoint("run-1") };
            cache.write(next, &records).await.unwrap();
            assert_eq!(records.get("run-1").await.unwrap().as_ref(), cache.checkpoint.present());
        }
        server.fault(0, Fault::Answer(503, "ServiceUnavailable"));
        assert!(cache.write(checkpoint("run-1"), &records).await.is_err());
        assert!(cache.checkpoint.is_unread() && cache.stored().is_none());
    }

    #[tokio::test]
    async fn a_checkpoint_over_that_of_another_controller_is_a_conflict() {
        let server = StandIn::default();
        let mut cache = StepCache { checkpoint: Cached::Absent, ..StepCache::default() };
        let own = records(&server);
        cache.write(checkpoint("run-1"), &own).await.unwrap();
        let known = cache.checkpoint.present().map(|(_, version)| version.clone());
        records(&server).write(checkpoint("run-1"), known.as_deref()).await.unwrap();
        assert_eq!(cache.write(checkpoint("run-1"), &own).await.unwrap_err().class(), Class::Conflict);
    }

    #[test]
    fn a_run_has_pods_if_its_checkpoint_notes_one_and_that_is_unknown_without_a_checkpoint() {
        let caches = StepCaches::default();
        let note = PodRunNote { data: Some(json!("d")), log_lines: 3 };
        let with = |pods| StepCache {
            checkpoint: Cached::Present((StoredCheckpoint { pods, ..checkpoint("u") }, "1".into())),
            ..StepCache::default()
        };
        caches.put("none", with([].into()));
        caches.put("one", with([("copy".to_owned(), note.clone())].into()));
        caches.put("absent", StepCache { checkpoint: Cached::Absent, ..StepCache::default() });
        for (run, has) in [("none", Some(false)), ("one", Some(true)), ("absent", None), ("other", None)] {
            assert_eq!(caches.has_pods(run), has, "{run}");
        }
        let one = caches.take("one");
        assert_eq!(one.pod("copy"), Some(note));
        assert_eq!(one.pod("other"), Some(PodRunNote::default()), "the checkpoint notes none");
        assert_eq!(StepCache::default().pod("copy"), None, "there is no checkpoint to note it");
        assert_eq!(caches.has_pods("one"), None, "the cache was taken out");
    }

    #[tokio::test]
    async fn the_private_data_of_a_backup_is_read_once_and_the_backup_is_known_at_its_version() {
        let server = StandIn::default();
        let records = records(&server);
        records.put_private("tenant-a", "run-1", json!({"p": "s"})).await.unwrap();
        let backup = || -> Backup { serde_json::from_value(server.get(BACKUP).unwrap()).unwrap() };
        stored_run(Mode::Cleanup, json!({"privateData": "private-run-1"}), &server);
        let (mut cache, first) = (BackupCache::default(), backup());
        server.sent();
        let told = cache.with_private(&first, &records).await.unwrap();
        assert_eq!(told.private_data, Some(json!({"p": "s"})));
        assert_eq!(cache.at(first.metadata.resource_version.as_ref()), Some(&told));

        server.put(BACKUP, changed(BACKUP, &json!({"status": {"phase": "Ready"}}), &server));
        let second = backup();
        assert_eq!(cache.at(second.metadata.resource_version.as_ref()), None);
        assert_eq!(cache.at(None), None);
        assert_eq!(cache.with_private(&second, &records).await.unwrap(), told);
        assert_eq!(server.calls(), ["GET secrets/private-run-1"]);
    }
}
