//! What the watches show: one store a kind, slimmed to what is read from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_api::{Backup, BackupClass, BackupJob, Plan, RestoreJob};
use backstay_core::contract::{GroupKind, Json, StrategyKind};
use backstay_core::owner::controller;
use futures::FutureExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::backups::{Backups, BackupsShelf};
use super::evidence::Evidence;
use super::index::{By, Index};
use super::job_pods::JobPods;
use super::unfinished::Unfinished;
use crate::cluster::api::Api;
use crate::cluster::dynamic::strategy_resource;
use crate::components::registry::Registry;

/// The stores.
pub struct Stores {
    /// BackupClasses.
    pub classes: Store<BackupClass>,
    /// BackupJobs that have not ended.
    pub backup_jobs: Store<BackupJob>,
    /// RestoreJobs that have not ended, and those that a finalizer holds.
    pub restore_jobs: Store<RestoreJob>,
    /// Plans.
    pub plans: Store<Plan>,
    /// Backups, and of their metadata what is read.
    pub backups: Arc<Backups>,
    /// Jobs of runs, without their pod templates.
    pub jobs: Store<Job>,
    /// Pods of runs, without their specs.
    pub pods: Store<Pod>,
    /// The pods of each Job.
    pub job_pods: JobPods,
    /// What was seen of Jobs and pods that are gone.
    pub evidence: Evidence,
    /// Jobs and pods that may run, by run.
    pub unfinished: Unfinished,
    /// What the objects of the stores are found by.
    pub indexes: Indexes,
    /// Strategies, by kind.
    pub strategies: HashMap<GroupKind, Store<DynamicObject>>,
    /// Told when a pod changes.
    pub pods_changed: Notify,
}

/// The indexes of the stores, kept by the watches.
pub struct Indexes {
    /// Of BackupJobs.
    pub backup_jobs: Arc<Index<BackupJob>>,
    /// Of RestoreJobs.
    pub restore_jobs: Arc<Index<RestoreJob>>,
    /// Of Plans.
    pub plans: Arc<Index<Plan>>,
    /// Of Jobs of runs.
    pub jobs: Arc<Index<Job>>,
}

impl Default for Indexes {
    fn default() -> Self {
        Self {
            backup_jobs: Index::new(backup_job_keys).into(),
            restore_jobs: Index::new(restore_job_keys).into(),
            plans: Index::new(|plan: &Plan, each| uid_key(&plan.metadata, each)).into(),
            jobs: Index::new(job_keys).into(),
        }
    }
}

fn uid_key(meta: &ObjectMeta, each: &mut dyn FnMut(By<'_>)) {
    each(By::Uid(meta.uid.as_deref().unwrap_or_default()));
}

fn controller_key(meta: &ObjectMeta, each: &mut dyn FnMut(By<'_>)) {
    if let Some(owner) = controller(meta) {
        each(By::Controller(&owner.uid));
    }
}

fn backup_job_phase(job: &BackupJob) -> Option<&str> {
    job.status.as_ref()?.phase.as_deref()
}

fn restore_job_phase(job: &RestoreJob) -> Option<&str> {
    job.status.as_ref()?.phase.as_deref()
}

fn has_ended(phase: Option<&str>) -> bool {
    backstay_api::phase::is_terminal(phase)
}

fn backup_job_keys(job: &BackupJob, each: &mut dyn FnMut(By<'_>)) {
    uid_key(&job.metadata, each);
    if job.status.as_ref().is_none_or(|status| status.run.is_none()) && !has_ended(backup_job_phase(job)) {
        each(By::Class(&job.spec.backup_class_name));
    }
    if job.status.as_ref().is_some_and(|status| status.waiting_since.is_some()) {
        each(By::Waiting);
    }
}

fn restore_job_keys(job: &RestoreJob, each: &mut dyn FnMut(By<'_>)) {
    uid_key(&job.metadata, each);
    if !has_ended(restore_job_phase(job)) {
        let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
        each(By::NamedBackup(namespace, &job.spec.backup_ref.name));
    }
    let Some(status) = &job.status else { return };
    if status.waiting_since.is_some() {
        each(By::Waiting);
    }
    if let Some(uid) = status.run.as_ref().and_then(|run| run.backup_uid.as_deref())
        && !has_ended(restore_job_phase(job))
    {
        each(By::RestoredBackup(uid));
    }
}

fn job_keys(job: &Job, each: &mut dyn FnMut(By<'_>)) {
    uid_key(&job.metadata, each);
    controller_key(&job.metadata, each);
}

/// The other ends of the stores, for the watches.
pub struct Writers {
    /// See [`Stores`].
    pub classes: Writer<BackupClass>,
    /// See [`Stores`].
    pub backup_jobs: Writer<BackupJob>,
    /// See [`Stores`].
    pub restore_jobs: Writer<RestoreJob>,
    /// See [`Stores`].
    pub plans: Writer<Plan>,
    /// See [`Stores`].
    pub backups: BackupsShelf,
    /// See [`Stores`].
    pub jobs: Writer<Job>,
    /// See [`Stores`].
    pub pods: Writer<Pod>,
    /// See [`Stores`].
    pub strategies: Vec<(ApiResource, Writer<DynamicObject>)>,
}

#[cfg(test)]
impl Stores {
    /// Has the indexes show what the stores show, as the watches do.
    pub(crate) fn index(&self) {
        let of = &self.indexes;
        of.backup_jobs.replace(&self.backup_jobs.state());
        of.restore_jobs.replace(&self.restore_jobs.state());
        of.plans.replace(&self.plans.state());
        of.jobs.replace(&self.jobs.state());
    }
}

impl Stores {
    /// Empty stores for the host's kinds and for each strategy kind that a component serves.
    #[must_use]
    pub fn new(registry: &Registry) -> (Self, Writers) {
        use kube::runtime::reflector::store;
        let (classes, classes_writer) = store();
        let (backup_jobs, backup_jobs_writer) = store();
        let (restore_jobs, restore_jobs_writer) = store();
        let (plans, plans_writer) = store();
        let backups = Arc::new(Backups::default());
        let backups_writer = BackupsShelf::new(backups.clone());
        let (jobs, jobs_writer) = store();
        let (pods, pods_writer) = store();
        let mut strategies = HashMap::new();
        let mut strategy_writers = Vec::new();
        for served in registry.iter().flat_map(|c| &c.descriptor().kinds) {
            let resource = strategy_resource(served);
            let writer = Writer::new(resource.clone());
            strategies.insert(GroupKind::from(served), writer.as_reader());
            strategy_writers.push((resource, writer));
        }
        (
            Self {
                classes,
                backup_jobs,
                restore_jobs,
                plans,
                backups,
                jobs,
                pods,
                strategies,
                job_pods: JobPods::default(),
                evidence: Evidence::default(),
                unfinished: Unfinished::default(),
                indexes: Indexes::default(),
                pods_changed: Notify::new(),
            },
            Writers {
                classes: classes_writer,
                backup_jobs: backup_jobs_writer,
                restore_jobs: restore_jobs_writer,
                plans: plans_writer,
                backups: backups_writer,
                jobs: jobs_writer,
                pods: pods_writer,
                strategies: strategy_writers,
            },
        )
    }

    /// A Backup's metadata.
    #[must_use]
    pub fn backup(&self, namespace: Option<&str>, name: &str) -> Option<Arc<PartialObjectMeta<Backup>>> {
        self.backups.get(namespace?, name)
    }

    /// Waits until every store of the host's own kinds has been filled once. Strategies are left out: a strategy kind
    /// whose CRD is missing must not keep the others from being served.
    pub async fn filled(&self) {
        // The writers live as long as the process: a dropped one means that it is ending.
        let _ = tokio::join!(
            self.classes.wait_until_ready(),
            self.backup_jobs.wait_until_ready(),
            self.restore_jobs.wait_until_ready(),
            self.plans.wait_until_ready(),
            self.backups.filled(),
            self.jobs.wait_until_ready(),
            self.pods.wait_until_ready(),
        );
    }

    /// A BackupClass.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<Arc<BackupClass>> {
        self.classes.get(&ObjectRef::new(name))
    }

    /// Whether there is a BackupJob of this uid that has not ended.
    #[must_use]
    pub fn is_backing_up(&self, uid: &str) -> bool {
        self.indexes.backup_jobs.any(By::Uid(uid), |job| !has_ended(backup_job_phase(job)))
    }

    /// Whether a run of this uid has not ended, or is a Backup: one that is being deleted may be cleaned up after.
    #[must_use]
    pub fn is_unfinished(&self, uid: &str) -> bool {
        let of = &self.indexes;
        self.is_backing_up(uid)
            || of.restore_jobs.any(By::Uid(uid), |job| !has_ended(restore_job_phase(job)))
            || self.backups.has_uid(uid)
    }

    /// Whether the watches show a run of this uid: those that have ended are not watched.
    #[must_use]
    pub fn has_run(&self, uid: &str) -> bool {
        let of = &self.indexes;
        of.backup_jobs.has_uid(uid) || of.restore_jobs.has_uid(uid) || self.backups.has_uid(uid)
    }

    /// Whether there is a Backup that the run of this uid made, beside the one of a uid.
    #[must_use]
    pub fn has_backup_of(&self, run_uid: &str, beside: Option<&str>) -> bool {
        self.backups.has_one_of(run_uid, beside)
    }

    /// Whether a RestoreJob names this Backup and has not ended: it may be about to begin.
    #[must_use]
    pub fn is_named_by_a_restore(&self, namespace: &str, backup: &str) -> bool {
        self.indexes.restore_jobs.any(By::NamedBackup(namespace, backup), |_| true)
    }

    /// Whether a restore that has begun and not ended reads the Backup of this uid.
    #[must_use]
    pub fn is_restored(&self, backup_uid: &str) -> bool {
        self.indexes
            .restore_jobs
            .any(By::RestoredBackup(backup_uid), |job| job.metadata.deletion_timestamp.is_none())
    }

    /// A Job of ours.
    #[must_use]
    pub fn job(&self, namespace: &str, name: &str) -> Option<Arc<Job>> {
        self.jobs.get(&ObjectRef::new(name).within(namespace))
    }

    /// The pods that a Job controls.
    #[must_use]
    pub fn pods_of(&self, job: &Job) -> Vec<Arc<Pod>> {
        let (Some(namespace), Some(uid)) = (job.metadata.namespace.as_deref(), job.metadata.uid.as_deref())
        else {
            return Vec::new();
        };
        let shown = self.job_pods.of(namespace, uid).into_iter().filter_map(|pod| self.pods.get(&pod));
        // Another one may have the name by now.
        shown.filter(|pod| controller(&pod.metadata).is_some_and(|owner| owner.uid == uid)).collect()
    }

    /// The uid of the run that a Job belongs to, if that has not ended. A Backup counts as one: it may be cleaned up after.
    #[must_use]
    pub fn unfinished_run_of(&self, job: &Job) -> Option<String> {
        let (owner, namespace) = (controller(&job.metadata)?, job.metadata.namespace.as_deref()?);
        let is = |meta: &kube::core::ObjectMeta| meta.uid.as_deref() == Some(owner.uid.as_str());
        let ended = |phase: Option<&str>| backstay_api::phase::is_terminal(phase);
        let goes_on = match owner.kind.as_str() {
            "BackupJob" => {
                self.backup_jobs.get(&ObjectRef::new(&owner.name).within(namespace)).is_some_and(|j| {
                    is(&j.metadata) && !ended(j.status.as_ref().and_then(|s| s.phase.as_deref()))
                })
            }
            "RestoreJob" => {
                self.restore_jobs.get(&ObjectRef::new(&owner.name).within(namespace)).is_some_and(|j| {
                    is(&j.metadata) && !ended(j.status.as_ref().and_then(|s| s.phase.as_deref()))
                })
            }
            "Backup" => self.backup(Some(namespace), &owner.name).is_some_and(|b| is(&b.metadata)),
            _ => false,
        };
        goes_on.then(|| owner.uid.clone())
    }

    /// The uid of the Job that a pod belongs to, and of the Job's run, if that has not ended.
    #[must_use]
    pub fn unfinished_run_of_pod(&self, pod: &Pod) -> Option<(String, String)> {
        let (owner, namespace) = (controller(&pod.metadata)?, pod.metadata.namespace.as_deref()?);
        let shown =
            self.job(namespace, &owner.name).filter(|j| j.metadata.uid.as_deref() == Some(&owner.uid));
        let run = match shown {
            Some(job) => self.unfinished_run_of(&job),
            None => self.evidence.run_of_gone(&owner.uid, namespace),
        };
        run.map(|run| (owner.uid.clone(), run))
    }

    /// Waits up to `timeout` until the Job's pods satisfy `ready`, and returns the pods that the store has then.
    pub async fn wait_for_pods(
        &self,
        job: &Job,
        timeout: Duration,
        ready: impl Fn(&[Arc<Pod>]) -> bool,
    ) -> Vec<Arc<Pod>> {
        let deadline = Instant::now() + timeout;
        loop {
            let changed = self.pods_changed.notified();
            let pods = self.pods_of(job);
            if ready(&pods) || tokio::time::timeout_at(deadline, changed).await.is_err() {
                return pods;
            }
        }
    }

    /// The spec of a strategy. What the watch does not show is asked of the API server: the watch may lag, or the kind's
    /// CRD may have come later than the controller.
    ///
    /// # Errors
    /// The API server's, other than that the object or its kind is not there.
    pub async fn strategy(
        &self,
        client: &Client,
        served: &StrategyKind,
        name: &str,
    ) -> Result<Option<Json>, kube::Error> {
        let resource = strategy_resource(served);
        if let Some(store) = self.strategies.get(&GroupKind::from(served))
            && store.wait_until_ready().now_or_never().is_some()
            && let Some(found) = store.get(&ObjectRef::new_with(name, resource.clone()))
        {
            return Ok(Some(spec_of(&found)));
        }
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        Ok(api.get_opt(name).await?.map(|object| spec_of(&object)))
    }
}

fn spec_of(object: &DynamicObject) -> Json {
    object.data.get("spec").cloned().unwrap_or_default()
}
