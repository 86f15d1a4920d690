//! A run: a BackupJob, a RestoreJob, or the clean-up after a deleted Backup.

use std::fmt::Debug;

use backstay_api::{
    Backup, BackupJob, BackupJobSpec, RestoreJob, RestoreJobSpec, TypedRef, finalizers, names,
};
use backstay_core::application_locks::Target;
use backstay_core::contract::{GroupKind, Mode, ObjectRef};
use backstay_core::status::{RunStatus, merge_diff};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{PartialObjectMeta, Patch};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::ObjectRef as StoreRef;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};

use crate::cluster::partial::Partial;
use crate::cluster::write::patch_params;
use crate::informers::stores::Stores;

/// The spec of a run.
#[derive(Clone, Debug)]
pub enum RunSpec {
    /// Of a BackupJob.
    Backup(BackupJobSpec),
    /// Of a RestoreJob.
    Restore(RestoreJobSpec),
    /// The Backup to clean up after.
    Cleanup(Box<Backup>),
}

/// A run: its object, and its status as this process knows it.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the run does.
    pub mode: Mode,
    /// Its object.
    pub object: ObjectRef,
    /// Its uid.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: Option<i64>,
    /// `metadata.resourceVersion` of the object as it was read.
    pub resource_version: String,
    /// When its object was created, in seconds.
    pub created: i64,
    /// Whether its object is being deleted.
    pub deleting: bool,
    /// When its object was deleted.
    pub deleted_at: Option<jiff::Timestamp>,
    /// Its finalizers.
    pub finalizers: Vec<String>,
    /// Its spec.
    pub spec: RunSpec,
    /// Its status as it is to be.
    pub status: RunStatus,
    /// Its status as it is stored.
    stored: RunStatus,
}

impl Run {
    fn new<K: Resource>(mode: Mode, kind: &str, object: &K, spec: RunSpec, status: RunStatus) -> Self {
        let meta = object.meta();
        Self {
            mode,
            object: backstay_core::backup::run_ref(
                kind,
                meta.namespace.as_deref().unwrap_or_default(),
                &object.name_any(),
            ),
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation,
            resource_version: meta.resource_version.clone().unwrap_or_default(),
            created: meta.creation_timestamp.as_ref().map_or(0, |t| t.0.as_second()),
            deleting: meta.deletion_timestamp.is_some(),
            deleted_at: meta.deletion_timestamp.as_ref().map(|t| t.0),
            finalizers: meta.finalizers.clone().unwrap_or_default(),
            spec,
            stored: status.clone(),
            status,
        }
    }

    /// Returns the name of its object.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.object.name
    }

    /// Returns the namespace of its object.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.object.namespace.as_deref().unwrap_or_default()
    }

    /// Returns kind and name, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} \"{}/{}\"", self.object.kind, self.namespace(), self.name())
    }

    /// Returns the name of its Job.
    #[must_use]
    pub fn job_name(&self) -> String {
        match self.mode {
            Mode::Backup => names::backup_job_name(self.name()),
            Mode::Restore => names::restore_job_name(self.name()),
            Mode::Cleanup => names::cleanup_job_name(self.name()),
        }
    }

    /// Returns whether the run has ended, or its Backup needs no clean-up.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        match self.mode {
            Mode::Backup | Mode::Restore => self.status.is_terminal(),
            Mode::Cleanup => !self.is_finalized(),
        }
    }

    /// Returns whether the object has a finalizer of this controller for Backups, or its older name.
    #[must_use]
    pub fn is_finalized(&self) -> bool {
        self.finalizers.iter().any(|f| finalizers::is_ours(f))
    }

    /// Returns whether the object has the finalizer that holds it until its component has undone what it began.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.finalizers.iter().any(|f| f == finalizers::UNDO)
    }

    /// Returns the deadline of a run that has begun.
    #[must_use]
    pub fn deadline(&self) -> Option<jiff::Timestamp> {
        self.status.deadline()
    }

    /// Returns whether the deadline has passed.
    #[must_use]
    pub fn is_late(&self, now: jiff::Timestamp) -> bool {
        self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// Returns an application in the run's namespace as the target of the run.
    #[must_use]
    pub fn target_of(&self, application: &TypedRef) -> Target {
        Target {
            namespace: self.namespace().to_owned(),
            kind: GroupKind::from(application),
            name: application.name.clone(),
        }
    }

    /// Returns the target of a run that has begun.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        self.status.run.as_ref().map(|record| self.target_of(&record.application_ref))
    }

    /// Returns how long the run took, in seconds; zero if it has not begun or not ended.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        match (&self.status.started_at, &self.status.completed_at) {
            (Some(from), Some(to)) => to.0.duration_since(from.0).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// Returns the reference to the object for an Event.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.object.api_version.clone()),
            kind: Some(self.object.kind.clone()),
            namespace: self.object.namespace.clone(),
            name: Some(self.object.name.clone()),
            uid: Some(self.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// Returns a status as it is sent. The status of a Backup is shared with its clean-up, which owns the record and the
    /// conditions.
    fn on_the_wire(&self, status: &RunStatus) -> Value {
        // Serialising plain data cannot fail.
        let mut status = serde_json::to_value(status).unwrap_or_default();
        if self.mode == Mode::Cleanup
            && let Some(fields) = status.as_object_mut()
        {
            fields.retain(|key, _| key == "run" || key == "conditions");
        }
        status
    }

    /// Writes the status if it differs from the stored one, with the resource version as precondition. Returns whether
    /// anything was written.
    ///
    /// # Errors
    /// The API server's. The status in memory still differs from the stored one then.
    pub async fn write_status(&mut self, client: &Client) -> Result<bool, kube::Error> {
        self.status.observed_generation = self.generation.or(self.status.observed_generation);
        if self.status == self.stored {
            return Ok(false);
        }
        let (stored, wanted) = (self.on_the_wire(&self.stored), self.on_the_wire(&self.status));
        let Some(difference) = merge_diff(&stored, &wanted) else { return Ok(false) };
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": self.resource_version},
            "status": difference,
        }));
        self.resource_version = match self.mode {
            Mode::Backup => self.patch_status::<BackupJob>(client, &patch).await?,
            Mode::Restore => self.patch_status::<RestoreJob>(client, &patch).await?,
            Mode::Cleanup => self.patch_status::<Backup>(client, &patch).await?,
        };
        self.stored = self.status.clone();
        Ok(true)
    }

    /// Patches the status, and returns the new resource version.
    async fn patch_status<K>(&self, client: &Client, patch: &Patch<Value>) -> Result<String, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Send + Sync + 'static,
    {
        let api = Api::<Partial<PartialObjectMeta<K>>>::namespaced(client.clone(), self.namespace());
        let patched = api.patch_status(self.name(), &patch_params(), patch).await?;
        Ok(patched.resource_version().unwrap_or_default())
    }

    /// Reads the object from the API server; `None` if it no longer exists, or another object has its name.
    ///
    /// # Errors
    /// The API server's, other than that the object does not exist.
    pub async fn read_again(&self, client: &Client) -> Result<Option<Self>, kube::Error> {
        let (namespace, name) = (self.namespace(), self.name());
        let run = match self.mode {
            Mode::Backup => Api::<BackupJob>::namespaced(client.clone(), namespace)
                .get_opt(name)
                .await?
                .as_ref()
                .map(Self::from),
            Mode::Restore => Api::<RestoreJob>::namespaced(client.clone(), namespace)
                .get_opt(name)
                .await?
                .as_ref()
                .map(Self::from),
            Mode::Cleanup => Api::<Backup>::namespaced(client.clone(), namespace)
                .get_opt(name)
                .await?
                .as_ref()
                .map(Self::from),
        };
        Ok(run.filter(|r| r.uid == self.uid))
    }
}

impl Run {
    /// Returns the run as its watch shows it now; `None` if the watch does not show an object with the run's uid.
    #[must_use]
    pub fn shown(&self, stores: &Stores) -> Option<Self> {
        let (namespace, name) = (self.namespace(), self.name());
        let found = match self.mode {
            Mode::Backup => {
                stores.backup_jobs.get(&StoreRef::new(name).within(namespace)).map(|j| Self::from(j.as_ref()))
            }
            Mode::Restore => stores
                .restore_jobs
                .get(&StoreRef::new(name).within(namespace))
                .map(|j| Self::from(j.as_ref())),
            Mode::Cleanup => None,
        };
        found.filter(|run| run.uid == self.uid)
    }
}

impl From<&BackupJob> for Run {
    fn from(job: &BackupJob) -> Self {
        let status = job.status.as_ref().map(RunStatus::from).unwrap_or_default();
        Self::new(Mode::Backup, "BackupJob", job, RunSpec::Backup(job.spec.clone()), status)
    }
}

impl From<&RestoreJob> for Run {
    fn from(job: &RestoreJob) -> Self {
        let status = job.status.as_ref().map(RunStatus::from).unwrap_or_default();
        Self::new(Mode::Restore, "RestoreJob", job, RunSpec::Restore(job.spec.clone()), status)
    }
}

impl From<&Backup> for Run {
    fn from(backup: &Backup) -> Self {
        let status = backup.status.clone().unwrap_or_default();
        let status = RunStatus {
            run: status.run,
            conditions: status.conditions,
            started_at: backup.metadata.deletion_timestamp.clone(),
            ..RunStatus::default()
        };
        Self::new(Mode::Cleanup, "Backup", backup, RunSpec::Cleanup(Box::new(backup.clone())), status)
    }
}
