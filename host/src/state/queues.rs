//! Where work is put: one queue a kind of object that is reconciled, and one more for runs whose Job has something to tell.
//!
//! A thousand new runs are a thousand things to begin. A Job that ends meanwhile does not wait behind them: what is done
//! is recorded before more is begun.

use std::collections::HashMap;

use backstay_api::{Backup, BackupJob, Plan, RestoreJob};
use backstay_core::contract::GroupKind;
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::ObjectRef;

use crate::cluster::dynamic::{group_kind, strategy_resource};
use crate::components::registry::Registry;
use crate::informers::stores::Stores;

/// The sending ends.
pub struct Queues {
    backup_jobs: UnboundedSender<ReconcileRequest<BackupJob>>,
    begun_backup_jobs: UnboundedSender<ReconcileRequest<BackupJob>>,
    restore_jobs: UnboundedSender<ReconcileRequest<RestoreJob>>,
    begun_restore_jobs: UnboundedSender<ReconcileRequest<RestoreJob>>,
    backups: UnboundedSender<ReconcileRequest<PartialObjectMeta<Backup>>>,
    plans: UnboundedSender<ReconcileRequest<Plan>>,
    strategies: HashMap<GroupKind, UnboundedSender<ReconcileRequest<DynamicObject>>>,
}

/// The receiving ends.
pub struct Inboxes {
    /// BackupJobs to look at.
    pub backup_jobs: UnboundedReceiver<ReconcileRequest<BackupJob>>,
    /// BackupJobs whose Job has something to tell.
    pub begun_backup_jobs: UnboundedReceiver<ReconcileRequest<BackupJob>>,
    /// RestoreJobs to look at.
    pub restore_jobs: UnboundedReceiver<ReconcileRequest<RestoreJob>>,
    /// RestoreJobs whose Job has something to tell.
    pub begun_restore_jobs: UnboundedReceiver<ReconcileRequest<RestoreJob>>,
    /// Backups to look at.
    pub backups: UnboundedReceiver<ReconcileRequest<PartialObjectMeta<Backup>>>,
    /// Plans to look at.
    pub plans: UnboundedReceiver<ReconcileRequest<Plan>>,
    /// Strategies to look at, by kind.
    pub strategies: Vec<(ApiResource, UnboundedReceiver<ReconcileRequest<DynamicObject>>)>,
}

impl Queues {
    /// Empty queues for the host's kinds and for each strategy kind that a component serves.
    #[must_use]
    pub fn new(registry: &Registry) -> (Self, Inboxes) {
        let mut strategies = HashMap::new();
        let mut strategy_inboxes = Vec::new();
        for served in registry.iter().flat_map(|c| &c.descriptor().kinds) {
            let (sender, inbox) = unbounded();
            strategies.insert(GroupKind::from(served), sender);
            strategy_inboxes.push((strategy_resource(served), inbox));
        }
        let (backup_jobs, backup_jobs_inbox) = unbounded();
        let (begun_backup_jobs, begun_backup_jobs_inbox) = unbounded();
        let (restore_jobs, restore_jobs_inbox) = unbounded();
        let (begun_restore_jobs, begun_restore_jobs_inbox) = unbounded();
        let (backups, backups_inbox) = unbounded();
        let (plans, plans_inbox) = unbounded();
        (
            Self {
                backup_jobs,
                begun_backup_jobs,
                restore_jobs,
                begun_restore_jobs,
                backups,
                plans,
                strategies,
            },
            Inboxes {
                backup_jobs: backup_jobs_inbox,
                begun_backup_jobs: begun_backup_jobs_inbox,
                restore_jobs: restore_jobs_inbox,
                begun_restore_jobs: begun_restore_jobs_inbox,
                backups: backups_inbox,
                plans: plans_inbox,
                strategies: strategy_inboxes,
            },
        )
    }

    /// Look at a BackupJob. The receiving end goes only when the process ends; then nothing is lost.
    pub fn backup_job(&self, object: ObjectRef<BackupJob>) {
        let _ = self.backup_jobs.unbounded_send(object.into());
    }

    /// Look at a RestoreJob.
    pub fn restore_job(&self, object: ObjectRef<RestoreJob>) {
        let _ = self.restore_jobs.unbounded_send(object.into());
    }

    /// Look at a Backup.
    pub fn backup(&self, namespace: &str, name: &str) {
        let _ = self.backups.unbounded_send(ObjectRef::new(name).within(namespace).into());
    }

    /// Look at a Plan.
    pub fn plan(&self, object: ObjectRef<Plan>) {
        let _ = self.plans.unbounded_send(object.into());
    }

    /// Look at a strategy.
    pub fn strategy(&self, object: &DynamicObject, resource: &ApiResource) {
        if let Some(queue) = self.strategies.get(&group_kind(resource)) {
            let _ = queue.unbounded_send(ObjectRef::from_obj_with(object, resource.clone()).into());
        }
    }

    /// Enqueues the run that owns a Job, ahead of runs that have not started. An owner reference names it by kind and name.
    pub fn enqueue_owner(&self, kind: &str, namespace: &str, name: &str) {
        match kind {
            "BackupJob" => {
                let run = ObjectRef::new(name).within(namespace);
                let _ = self.begun_backup_jobs.unbounded_send(run.into());
            }
            "RestoreJob" => {
                let run = ObjectRef::new(name).within(namespace);
                let _ = self.begun_restore_jobs.unbounded_send(run.into());
            }
            "Backup" => self.backup(namespace, name),
            _ => {}
        }
    }

    /// Look at the run with this uid, if a watch shows it.
    pub fn wake(&self, caches: &Stores, uid: &str) {
        let is = |meta: &kube::core::ObjectMeta| meta.uid.as_deref() == Some(uid);
        if let Some(job) = caches.backup_jobs.find(|j| is(&j.metadata)) {
            self.backup_job(ObjectRef::from_obj(&job));
        } else if let Some(job) = caches.restore_jobs.find(|j| is(&j.metadata)) {
            self.restore_job(ObjectRef::from_obj(&job));
        }
    }
}
