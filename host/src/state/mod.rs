//! State of this process: nothing in it has to survive a restart.

pub mod application_locks;
pub mod deleted_backups;
pub mod draining;
pub mod ends;
pub mod finalizers;
pub mod kept_fields;
pub mod notices;
pub mod open_slots;
pub mod period;
pub mod queues;
pub mod reconciling;
pub mod run;
pub mod run_cache;
pub mod spending;
pub mod step_cache;
pub mod watch_pool;
mod watched_contents;
pub mod work_queue;

use std::sync::Arc;

use crate::cluster::impersonation::Impersonation;
use application_locks::ApplicationLocks;
use deleted_backups::DeletedBackups;
use draining::Draining;
use ends::Ends;
use kube::Client;
use open_slots::OpenSlots;
use queues::Queues;
use reconciling::Reconciling;
use run_cache::RunCache;
use step_cache::StepCaches;
use watch_pool::WatchPool;

/// The state of this process.
pub struct State {
    /// Queues of objects to reconcile.
    pub queues: Arc<Queues>,
    /// The controller's own last writes of runs, and their failures.
    pub runs: RunCache,
    /// Locks of runs on applications.
    pub locks: ApplicationLocks,
    /// Runs that have ended and keep their locks until nothing of them runs.
    pub draining: Draining,
    /// What is known of runs whose strategy takes steps.
    pub step_caches: StepCaches,
    /// Watches of what waiting runs named.
    pub watch_pool: WatchPool,
    /// Runs that have ended and hold something still.
    pub ends: Ends,
    /// What is being reconciled.
    pub reconciling: Reconciling,
    /// Slots of Plans whose outcome is not on record yet.
    pub open_slots: OpenSlots,
    /// Deleted Backups whose records are still to be deleted.
    pub deleted_backups: DeletedBackups,
}

impl State {
    /// The state of a process that has just started and enqueues into `queues`.
    #[must_use]
    pub fn new(queues: Arc<Queues>, client: Client, impersonation: Arc<Impersonation>) -> Self {
        Self {
            watch_pool: WatchPool::new(impersonation, queues.clone()),
            queues,
            runs: RunCache::new(client),
            locks: ApplicationLocks::default(),
            draining: Draining::default(),
            step_caches: StepCaches::default(),
            ends: Ends::default(),
            reconciling: Reconciling::default(),
            open_slots: OpenSlots::default(),
            deleted_backups: DeletedBackups::default(),
        }
    }
}

#[cfg(test)]
impl State {
    /// The state of a process without components that has just started.
    pub(crate) fn empty(client: Client) -> Self {
        let queues = Queues::new(&crate::components::registry::Registry::default(), 1);
        Self::new(Arc::new(queues), client.clone(), Arc::new(Impersonation::new(client, "backstay-system")))
    }
}
