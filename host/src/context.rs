//! The parts of the controller that reconciles share.

use std::sync::Arc;

use backstay_api::TypedRef;
use backstay_core::application_locks::Claim;
use backstay_core::contract::GroupKind;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::components::Components;
use crate::informers::stores::Stores;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::settings::Settings;
use crate::state::State;
use crate::state::notices::Notices;
use crate::state::queues::Request;
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

    /// Acquires the lock on `application` for a run that is about to begin, or its place in the queue for it.
    ///
    /// # Errors
    /// The claim of the run to wait for.
    pub fn try_lock(
        &self,
        run: &Run,
        application: &TypedRef,
        strategy: &GroupKind,
    ) -> Result<(), Box<Claim>> {
        let (acquired, free) = self.state.locks.try_acquire(run, application, strategy);
        self.let_go(free);
        acquired
    }

    /// Restores the lock of a run that has begun.
    pub fn restore_lock(&self, run: &Run) {
        self.let_go(self.state.locks.restore(run));
    }

    /// Restores the place of a run that waited for the lock on `application` before this process started.
    pub fn enqueue_for_lock(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) {
        self.let_go(self.state.locks.enqueue(run, application, strategy));
    }

    /// Notes that a run needs no place in a queue, and enqueues the runs that waited until that was known.
    pub fn needs_no_place(&self, run_uid: &str) {
        self.let_go(self.state.locks.placed(run_uid));
    }

    /// Releases the lock of a run on its application, or its place in the queue for it, and enqueues the runs that may go
    /// now.
    pub fn release_lock(&self, run_uid: &str) {
        self.let_go(self.state.locks.release(run_uid));
    }

    fn let_go(&self, free: Vec<Claim>) {
        free.iter().for_each(|claim| self.state.queues.add(Request::free(claim)));
    }
}
