//! The work queues: one for each kind of object that is reconciled.

use std::collections::HashMap;
use std::fmt;

use backstay_api::{BackupJob, RestoreJob, phase};
use backstay_core::application_locks::Claim;
use backstay_core::contract::{GroupKind, Mode};
use kube::runtime::reflector::{Lookup, ObjectRef};
use kube::{Resource, ResourceExt};

use super::work_queue::{Priority, Queued, WorkQueue};
use crate::components::registry::Registry;

/// A kind of object that is reconciled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Clean-ups after deleted Backups.
    Backup,
    /// Backup runs.
    BackupJob,
    /// Schedules.
    Plan,
    /// Restore runs.
    RestoreJob,
    /// A strategy kind that a component serves.
    Strategy(GroupKind),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backup => f.write_str("Backup"),
            Self::BackupJob => f.write_str("BackupJob"),
            Self::Plan => f.write_str("Plan"),
            Self::RestoreJob => f.write_str("RestoreJob"),
            Self::Strategy(kind) => kind.fmt(f),
        }
    }
}

/// Names an object of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its namespace; none: the kind is cluster-scoped.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Key {
    /// Returns the key of an object.
    #[must_use]
    pub fn of(object: &impl Resource) -> Self {
        Self { namespace: object.meta().namespace.clone(), name: object.name_any() }
    }

    /// Returns the reference by which a store finds the object.
    #[must_use]
    pub fn reference<K: Lookup>(&self, resource: &K::DynamicType) -> ObjectRef<K>
    where
        K::DynamicType: Clone,
    {
        let mut reference = ObjectRef::new_with(&self.name, resource.clone());
        reference.namespace.clone_from(&self.namespace);
        reference
    }
}

/// Namespaces share a queue. Objects outside of namespaces are all of one party.
impl Queued for Key {
    type Party = Option<String>;

    fn party(&self) -> Option<String> {
        self.namespace.clone()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A request to reconcile an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The kind of the object.
    pub kind: Kind,
    /// The object.
    pub key: Key,
    /// Its place among the others.
    pub priority: Priority,
}

impl Request {
    /// Requests the reconciliation of an object for no urgent reason.
    #[must_use]
    pub fn new(kind: Kind, object: &impl Resource) -> Self {
        Self { kind, key: Key::of(object), priority: Priority::Continue }
    }

    /// Requests the reconciliation of a BackupJob, which has begun or is to begin.
    #[must_use]
    pub fn backup_job(job: &BackupJob) -> Self {
        Self { priority: backup_job_priority(job), ..Self::new(Kind::BackupJob, job) }
    }

    /// Requests the reconciliation of a RestoreJob, which has begun or is to begin.
    #[must_use]
    pub fn restore_job(job: &RestoreJob) -> Self {
        Self { priority: restore_job_priority(job), ..Self::new(Kind::RestoreJob, job) }
    }

    /// Requests the reconciliation of a run that waited for the lock on its application, and may go now.
    #[must_use]
    pub fn free(claim: &Claim) -> Self {
        let (kind, priority) = match claim.mode {
            Mode::Backup => (Kind::BackupJob, Priority::Begin),
            Mode::Restore => (Kind::RestoreJob, Priority::Begin),
            Mode::Cleanup => (Kind::Backup, Priority::Continue),
        };
        let key = Key { namespace: Some(claim.namespace.clone()), name: claim.name.clone() };
        Self { kind, key, priority }
    }

    /// Requests the reconciliation of a run for which there is news, ahead of other runs. `None` if the kind is that of no
    /// run.
    #[must_use]
    pub fn news(kind: &str, namespace: Option<&str>, name: &str) -> Option<Self> {
        let kind = match kind {
            "Backup" => Kind::Backup,
            "BackupJob" => Kind::BackupJob,
            "RestoreJob" => Kind::RestoreJob,
            _ => return None,
        };
        let key = Key { namespace: namespace.map(str::to_owned), name: name.to_owned() };
        Some(Self { kind, key, priority: Priority::Result })
    }
}

/// Returns the priority of a BackupJob for which there is no news.
#[must_use]
pub fn backup_job_priority(job: &BackupJob) -> Priority {
    let status = job.status.as_ref();
    priority(status.is_some_and(|s| s.run.is_some() || phase::is_terminal(s.phase.as_deref())))
}

/// Returns the priority of a RestoreJob for which there is no news.
#[must_use]
pub fn restore_job_priority(job: &RestoreJob) -> Priority {
    let status = job.status.as_ref();
    priority(status.is_some_and(|s| s.run.is_some() || phase::is_terminal(s.phase.as_deref())))
}

fn priority(has_begun: bool) -> Priority {
    if has_begun { Priority::Continue } else { Priority::Begin }
}

/// The queues.
pub struct Queues(HashMap<Kind, WorkQueue<Key>>);

impl Queues {
    /// Empty queues for the host's kinds and for each strategy kind that a component serves. Of each kind at most
    /// `concurrency` objects are reconciled at once.
    #[must_use]
    pub fn new(registry: &Registry, concurrency: u16) -> Self {
        let served = registry.iter().flat_map(|c| &c.descriptor().kinds);
        let strategies = served.map(|kind| Kind::Strategy(GroupKind::from(kind)));
        let kinds = [Kind::Backup, Kind::BackupJob, Kind::Plan, Kind::RestoreJob];
        Self(
            kinds
                .into_iter()
                .chain(strategies)
                .map(|kind| (kind, WorkQueue::new(concurrency.into())))
                .collect(),
        )
    }

    /// Returns the queue of a kind; `None` for a strategy kind that no component serves.
    #[must_use]
    pub fn of(&self, kind: &Kind) -> Option<&WorkQueue<Key>> {
        self.0.get(kind)
    }

    /// Enqueues an object.
    pub fn add(&self, request: Request) {
        if let Some(queue) = self.of(&request.kind) {
            queue.add(request.key, request.priority);
        }
    }
}
