//! A run: a BackupJob, a RestoreJob, or the clean-up after a deleted Backup.

use std::collections::BTreeSet;
use std::fmt::Debug;

use backstay_api::{
    Backup, BackupJob, BackupJobSpec, RestoreJob, RestoreJobSpec, TypedRef, finalizers, names,
};
use backstay_core::application_locks::Target;
use backstay_core::contract::{GroupKind, Mode, ObjectRef};
use backstay_core::kept_fields::dropped;
use backstay_core::restored_run::Marks;
use backstay_core::status::RunStatus;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::Patch;
use kube::core::{NamespaceResourceScope, Request};
use kube::runtime::reflector::ObjectRef as StoreRef;
use kube::{Client, Resource, ResourceExt};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cluster::api::Api;
use crate::cluster::write::{FIELD_MANAGER, patch_params, status_patch};
use crate::components::Caller;
use crate::informers::stores::Stores;
use crate::state::queues::{Key, Kind};

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
    /// Marks of an earlier life, and of this one.
    pub marks: Marks,
    /// Fields that the API server did not keep at the last write of the status.
    pub dropped: BTreeSet<String>,
    /// Another field manager of the status, as the last write showed it.
    pub other_writer: Option<String>,
    /// Its status as it is to be.
    pub status: RunStatus,
    /// Its status as it is stored.
    stored: RunStatus,
}

/// The part of the answer to a patch of a status that a run cannot do without.
#[derive(Deserialize)]
struct Patched {
    #[serde(default)]
    metadata: PatchedMetadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PatchedMetadata {
    resource_version: Option<String>,
    #[serde(default)]
    managed_fields: Vec<Writer>,
}

/// A field manager, and what it has written.
#[derive(Deserialize)]
struct Writer {
    manager: Option<String>,
    subresource: Option<String>,
}

impl PatchedMetadata {
    /// Returns a field manager of the status other than this controller.
    fn other_writer(&self) -> Option<String> {
        let others =
            self.managed_fields.iter().filter(|writer| writer.subresource.as_deref() == Some("status"));
        others
            .filter_map(|writer| writer.manager.as_deref())
            .find(|name| *name != FIELD_MANAGER)
            .map(str::to_owned)
    }
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
            marks: Marks::of(meta),
            dropped: BTreeSet::new(),
            other_writer: None,
            spec,
            stored: status.clone(),
            status,
        }
    }

    /// Takes back what was not written of the status.
    pub fn revert(&mut self) {
        self.status = self.stored.clone();
    }

    /// Returns whether the status differs from what is stored.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        self.status != self.stored
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

    /// Returns in which queue its object is, and its place there; `None` for a Backup, which is watched until it is gone.
    #[must_use]
    pub fn place(&self) -> Option<(Kind, Key)> {
        let kind = match self.mode {
            Mode::Backup => Kind::BackupJob,
            Mode::Restore => Kind::RestoreJob,
            Mode::Cleanup => return None,
        };
        Some((kind, Key { namespace: Some(self.namespace().to_owned()), name: self.name().to_owned() }))
    }

    /// Returns for whom components are called in the run.
    #[must_use]
    pub fn caller(&self) -> Caller<'_> {
        Caller { namespace: self.namespace(), restore: self.mode == Mode::Restore }
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
        let Some(patch) = status_patch(Some(&self.resource_version), &stored, &wanted) else {
            return Ok(false);
        };
        let (metadata, dropped) = match self.mode {
            Mode::Backup => self.patch_status::<BackupJob>(client, &patch).await?,
            Mode::Restore => self.patch_status::<RestoreJob>(client, &patch).await?,
            Mode::Cleanup => self.patch_status::<Backup>(client, &patch).await?,
        };
        self.dropped = dropped;
        // Others may write into a Backup: its status has more owners than its clean-up.
        self.other_writer = metadata.other_writer().filter(|_| self.mode != Mode::Cleanup);
        self.resource_version = metadata.resource_version.unwrap_or_default();
        self.stored = self.status.clone();
        Ok(true)
    }

    /// Reduces the status to what has room in an object that is too large for all of it.
    pub fn reduce_status(&mut self) {
        let stored = self.stored.run.clone();
        self.status.reduce(stored);
    }

    /// Patches the status, and returns the new metadata, and the fields that the API server did not keep.
    async fn patch_status<K>(
        &self,
        client: &Client,
        patch: &Patch<Value>,
    ) -> Result<(PatchedMetadata, BTreeSet<String>), kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        let request = Request::new(K::url_path(&(), Some(self.namespace())));
        let request = request
            .patch_subresource("status", self.name(), &patch_params(), patch)
            .map_err(kube::Error::BuildRequest)?;
        let answer = client.request_text(request).await?;
        let patched: Patched = serde_json::from_str(&answer).map_err(kube::Error::SerdeError)?;
        // What is too deep for a value cannot be compared.
        let dropped = match (patch, serde_json::from_str::<Value>(&answer)) {
            (Patch::Merge(sent), Ok(there)) => dropped(&json!({"status": sent["status"]}), &there),
            _ => BTreeSet::new(),
        };
        Ok((patched.metadata, dropped))
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

#[cfg(test)]
pub(crate) mod tests {
    use backstay_core::retry::Class;
    use serde_json::json;

    use super::*;
    use crate::cluster::error::class;
    use crate::cluster::stand_in::{Fault, StandIn};

    pub(crate) const BACKUP_JOB: &str =
        "/apis/backups.cozystack.io/v1alpha1/namespaces/tenant-a/backupjobs/nightly";
    pub(crate) const RESTORE_JOB: &str =
        "/apis/backups.cozystack.io/v1alpha1/namespaces/tenant-a/restorejobs/nightly";
    pub(crate) const BACKUP: &str = "/apis/backups.cozystack.io/v1alpha1/namespaces/tenant-a/backups/nightly";

    /// Stores the object of a run with this status, and returns the run. The run has the uid `run-1`.
    pub(crate) fn stored_run(mode: Mode, status: Value, server: &StandIn) -> Run {
        let (kind, path) = match mode {
            Mode::Backup => ("BackupJob", BACKUP_JOB),
            Mode::Restore => ("RestoreJob", RESTORE_JOB),
            Mode::Cleanup => ("Backup", BACKUP),
        };
        let application = json!({"apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders"});
        // Each kind ignores the fields of the others.
        let spec = json!({"applicationRef": application, "backupClassName": "daily", "backupRef": {"name": "b"},
            "strategyRef": {"kind": "Job", "name": "dump"}, "takenAt": "2026-01-01T00:00:00Z"});
        server.put(
            path,
            json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": kind,
            "metadata": {"name": "nightly", "namespace": "tenant-a", "uid": "run-1", "generation": 1},
            "spec": spec, "status": status}),
        );
        shown_run(mode, server)
    }

    /// Returns the run as a watch would show it now.
    pub(crate) fn shown_run(mode: Mode, server: &StandIn) -> Run {
        fn decoded<K: serde::de::DeserializeOwned>(server: &StandIn, path: &str) -> K {
            serde_json::from_value(server.get(path).unwrap()).unwrap()
        }
        match mode {
            Mode::Backup => Run::from(&decoded::<BackupJob>(server, BACKUP_JOB)),
            Mode::Restore => Run::from(&decoded::<RestoreJob>(server, RESTORE_JOB)),
            Mode::Cleanup => Run::from(&decoded::<Backup>(server, BACKUP)),
        }
    }

    /// Changes the object of a run as another client would.
    pub(crate) fn changed(path: &str, change: &Value, server: &StandIn) -> Value {
        let mut object = server.get(path).unwrap();
        backstay_core::steps::merge_patch(&mut object, change);
        object
    }

    /// The status of a run that has begun, with this deadline in seconds.
    pub(crate) fn begun(deadline: i64) -> Value {
        let deadline = jiff::Timestamp::from_second(deadline).unwrap();
        json!({"phase": "Running", "observedGeneration": 1, "startedAt": "1970-01-01T00:00:00Z", "run": {
            "applicationRef": {"apiGroup": "apps.cozystack.io", "kind": "Postgres", "name": "orders"},
            "strategyRef": {"apiGroup": "strategy.backups.cozystack.io", "kind": "Job", "name": "dump"},
            "deadline": deadline,
            "component": {"name": "copier", "version": "1.0.0", "digest": "sha256:0"}}})
    }

    #[tokio::test]
    async fn of_a_status_only_the_difference_is_sent_over_the_version_that_was_seen() {
        let server = StandIn::default();
        let status = json!({"phase": "Pending", "message": "old", "observedGeneration": 1});
        let mut run = stored_run(Mode::Backup, status, &server);
        run.status.phase = Some("Running".to_owned());
        run.status.message = None;

        assert!(run.write_status(&server.client()).await.unwrap());

        let sent = server.sent();
        assert_eq!(sent[0].call, "PATCH backupjobs/nightly/status");
        let difference = json!({"phase": "Running", "message": null});
        assert_eq!(sent[0].body, json!({"metadata": {"resourceVersion": "1"}, "status": difference}));
        assert_eq!(run.resource_version, "2");
        assert_eq!(
            server.get(BACKUP_JOB).unwrap()["status"],
            json!({"phase": "Running", "observedGeneration": 1})
        );
    }

    #[tokio::test]
    async fn fields_of_a_status_that_the_api_server_does_not_keep_are_known_after_the_write() {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Backup, json!({"phase": "Pending"}), &server);
        server.prune(&["observedGeneration", "run", "waitingSince"]);
        run.status.begin(backstay_api::RunRecord::default(), jiff::Timestamp::UNIX_EPOCH);
        assert!(run.write_status(&server.client()).await.unwrap());
        let dropped: Vec<_> = run.dropped.iter().map(String::as_str).collect();
        assert_eq!(dropped, ["status.observedGeneration", "status.run"]);
        assert_eq!(run.resource_version, "2");
    }

    #[tokio::test]
    async fn another_writer_of_the_status_is_known_after_the_write() {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Backup, begun(100), &server);
        let managers = |names: Value| json!({"metadata": {"managedFields": names}});
        let own = json!([{"manager": "kubectl", "operation": "Update"},
            {"manager": "backstay", "subresource": "status", "time": "2026-01-01T00:00:00Z"}]);
        server.put(BACKUP_JOB, changed(BACKUP_JOB, &managers(own), &server));
        let write = async |message: &str, run: &mut Run| {
            run.resource_version = shown_run(Mode::Backup, &server).resource_version;
            run.status.message = Some(message.to_owned());
            assert!(run.write_status(&server.client()).await.unwrap());
        };
        write("one", &mut run).await;
        assert_eq!(run.other_writer, None);
        let both = json!([{"manager": "backup-controller", "subresource": "status"},
            {"manager": "backstay", "subresource": "status"}]);
        let mut object = server.get(BACKUP_JOB).unwrap();
        object["metadata"]["managedFields"] = both;
        server.put(BACKUP_JOB, object);
        write("two", &mut run).await;
        assert_eq!(run.other_writer.as_deref(), Some("backup-controller"));
    }

    #[tokio::test]
    async fn nothing_is_sent_for_a_status_that_has_not_changed_since_the_last_write() {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Restore, begun(100), &server);
        assert!(!run.write_status(&server.client()).await.unwrap());
        run.status.message = Some("m".to_owned());
        assert!(run.write_status(&server.client()).await.unwrap());
        server.sent();
        assert!(!run.write_status(&server.client()).await.unwrap());
        assert_eq!(server.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn a_status_says_which_generation_it_is_about() {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Backup, json!({"phase": "Pending"}), &server);
        assert!(run.write_status(&server.client()).await.unwrap());
        assert_eq!(server.get(BACKUP_JOB).unwrap()["status"]["observedGeneration"], json!(1));
    }

    #[tokio::test]
    async fn a_clean_up_sends_its_record_and_conditions_and_leaves_the_rest_to_the_backup() {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Cleanup, json!({"phase": "Ready"}), &server);
        run.status.phase = Some("Failed".to_owned());
        run.status.message = Some("m".to_owned());
        assert!(!run.write_status(&server.client()).await.unwrap(), "neither is the clean-up's");

        run.status.begin(backstay_api::RunRecord::default(), jiff::Timestamp::UNIX_EPOCH);
        assert!(run.write_status(&server.client()).await.unwrap());

        let sent = server.sent();
        let fields: Vec<_> = sent[0].body["status"].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["conditions", "run"]);
        assert_eq!(sent.len(), 1);
        assert_eq!(server.get(BACKUP).unwrap()["status"]["phase"], json!("Ready"));
    }

    #[tokio::test]
    async fn a_status_over_the_one_of_another_writer_is_a_conflict_and_is_still_to_be_written() {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Backup, begun(100), &server);
        run.status.message = Some("mine".to_owned());
        let theirs = changed(BACKUP_JOB, &json!({"status": {"phase": "Failed"}}), &server);
        server.fault(0, Fault::Overtaken(BACKUP_JOB.to_owned(), theirs.clone()));

        let error = run.write_status(&server.client()).await.unwrap_err();

        assert_eq!(class(&error), Class::Conflict);
        assert_eq!(server.get(BACKUP_JOB).unwrap()["status"], theirs["status"]);
        run.resource_version = shown_run(Mode::Backup, &server).resource_version;
        assert!(run.write_status(&server.client()).await.unwrap());
    }

    #[tokio::test]
    async fn a_run_is_read_again_only_as_the_object_that_it_was() {
        for mode in [Mode::Backup, Mode::Restore, Mode::Cleanup] {
            let server = StandIn::default();
            let run = stored_run(mode, begun(100), &server);
            let read = run.read_again(&server.client()).await.unwrap().unwrap();
            assert_eq!((read.mode, &read.uid, read.title()), (mode, &run.uid, run.title()));
            let path = match mode {
                Mode::Backup => BACKUP_JOB,
                Mode::Restore => RESTORE_JOB,
                Mode::Cleanup => BACKUP,
            };
            server.put(path, changed(path, &json!({"metadata": {"uid": "another"}}), &server));
            assert!(run.read_again(&server.client()).await.unwrap().is_none());
            server.remove(path);
            assert!(run.read_again(&server.client()).await.unwrap().is_none());
        }
    }
}
