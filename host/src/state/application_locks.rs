//! The locks on applications, shared by all workers.

use parking_lot::{Mutex, MutexGuard};

use backstay_api::{RunRecord, TypedRef};
use backstay_core::application_locks::{Claim, LockTable};
use backstay_core::contract::{GroupKind, Mode};
use backstay_core::strategy_kind::strategy_kind;

use crate::state::run::Run;

/// [`LockTable`] behind a mutex.
#[derive(Default)]
pub struct ApplicationLocks(Mutex<LockTable>);

impl ApplicationLocks {
    fn table(&self) -> MutexGuard<'_, LockTable> {
        self.0.lock()
    }

    /// Releases what the run has of other applications than this one, and returns the runs that may go now.
    pub fn leave_others(&self, run: &Run, application: &TypedRef) -> Vec<Claim> {
        self.table().leave_others(&run.target_of(application), &run.uid)
    }

    /// Acquires the lock on `application` for a run that is about to begin.
    ///
    /// # Errors
    /// The run to wait for.
    pub fn try_acquire(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) -> Result<(), Claim> {
        self.table().try_acquire(&run.target_of(application), &claim(run, strategy))
    }

    /// Restores the lock of a run that has begun.
    pub fn restore(&self, run: &Run) {
        let Some(RunRecord { application_ref, strategy_ref: Some(strategy), .. }) = run.status.run.as_deref()
        else {
            return;
        };
        if let Some(kind) = strategy_kind(strategy) {
            self.table().restore(&run.target_of(application_ref), &claim(run, &kind));
        }
    }

    /// Restores the place of a run that waited for the lock on `application` before this process started.
    pub fn enqueue(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) {
        self.table().enqueue(&run.target_of(application), &claim(run, strategy));
    }

    /// Releases the lock of a run or its place in the queue, and returns the runs that may go now, in order.
    pub fn release(&self, uid: &str) -> Vec<Claim> {
        self.table().release(uid)
    }
}

fn claim(run: &Run, strategy: &GroupKind) -> Claim {
    Claim {
        run_uid: run.uid.clone(),
        mode: run.mode,
        namespace: run.namespace().to_owned(),
        name: run.name().to_owned(),
        strategy: strategy.clone(),
        created: match (run.mode, run.deleted_at) {
            (Mode::Cleanup, Some(deleted)) => deleted.as_second(),
            _ => run.created,
        },
    }
}
