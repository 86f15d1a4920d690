//! Where work is put: one queue a kind of object that is reconciled.

use backstay_api::{Backup, BackupJob, Plan, RestoreJob};
use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use kube::api::PartialObjectMeta;
use kube::runtime::controller::ReconcileRequest;
use kube::runtime::reflector::ObjectRef;

use crate::caches::Caches;

/// The sending ends.
pub struct Queues {
    backup_jobs: UnboundedSender<ReconcileRequest<BackupJob>>,
    restore_jobs: UnboundedSender<ReconcileRequest<RestoreJob>>,
    backups: UnboundedSender<ReconcileRequest<PartialObjectMeta<Backup>>>,
    plans: UnboundedSender<ReconcileRequest<Plan>>,
}

/// The receiving ends.
pub struct Inboxes {
    /// BackupJobs to look at.
    pub backup_jobs: UnboundedReceiver<ReconcileRequest<BackupJob>>,
    /// RestoreJobs to look at.
    pub restore_jobs: UnboundedReceiver<ReconcileRequest<RestoreJob>>,
    /// Backups to look at.
    pub backups: UnboundedReceiver<ReconcileRequest<PartialObjectMeta<Backup>>>,
    /// Plans to look at.
    pub plans: UnboundedReceiver<ReconcileRequest<Plan>>,
}

impl Queues {
    /// Empty queues.
    #[must_use]
    pub fn new() -> (Self, Inboxes) {
        let (backup_jobs, backup_jobs_inbox) = unbounded();
        let (restore_jobs, restore_jobs_inbox) = unbounded();
        let (backups, backups_inbox) = unbounded();
        let (plans, plans_inbox) = unbounded();
        (
            Self { backup_jobs, restore_jobs, backups, plans },
            Inboxes {
                backup_jobs: backup_jobs_inbox,
                restore_jobs: restore_jobs_inbox,
                backups: backups_inbox,
                plans: plans_inbox,
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

    /// Look at the run of an owner reference, by kind and name.
    pub fn run(&self, kind: &str, namespace: &str, name: &str) {
        match kind {
            "BackupJob" => self.backup_job(ObjectRef::new(name).within(namespace)),
            "RestoreJob" => self.restore_job(ObjectRef::new(name).within(namespace)),
            "Backup" => self.backup(namespace, name),
            _ => {}
        }
    }

    /// Look at the run with this uid, if a watch shows it.
    pub fn wake(&self, caches: &Caches, uid: &str) {
        let is = |meta: &kube::core::ObjectMeta| meta.uid.as_deref() == Some(uid);
        if let Some(job) = caches.backup_jobs.find(|j| is(&j.metadata)) {
            self.backup_job(ObjectRef::from_obj(&job));
        } else if let Some(job) = caches.restore_jobs.find(|j| is(&j.metadata)) {
            self.restore_job(ObjectRef::from_obj(&job));
        }
    }
}
