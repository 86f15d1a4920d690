//! The parts of the controller that reconciles share.

use std::sync::Arc;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::components::Components;
use crate::informers::stores::Stores;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::settings::Settings;
use crate::state::State;
use crate::state::notices::Notices;
use crate::state::run::Run;

/// The parts of the controller. There is one in a process.
pub struct Context {
    /// Access to the API server.
    pub cluster: Cluster,
    /// The components.
    pub components: Components,
    /// Watched objects.
    pub stores: Stores,
    /// Data of runs in the controller's namespace.
    pub records: Records,
    /// What the process remembers.
    pub state: State,
    /// Events on runs.
    pub notices: Notices,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Settings.
    pub settings: Settings,
    /// The clock.
    pub clock: Clock,
}

impl Context {
    /// Forgets the failures of a run that has ended or is being deleted, and releases its lock.
    pub fn finished(&self, run: &Run) {
        self.state.runs.ended(&run.uid);
        self.release_lock(&run.uid);
    }

    /// Forgets a run whose object no longer exists, and releases its lock.
    pub fn forget(&self, run_uid: &str) {
        self.state.runs.forget(run_uid);
        self.state.step_caches.forget(run_uid);
        self.state.watch_pool.forget(run_uid);
        self.release_lock(run_uid);
    }

    /// Releases the lock of a run on its application, or its place in the queue for it, and enqueues the runs that wait for
    /// it.
    pub fn release_lock(&self, run_uid: &str) {
        for claim in self.state.locks.release(run_uid) {
            self.state.queues.add_run(&claim.run_uid, &self.stores);
        }
    }
}
