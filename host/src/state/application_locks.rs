//! The locks on applications, shared by all workers.

use parking_lot::{Mutex, MutexGuard};

use backstay_api::TypedRef;
use backstay_core::application_locks::{Claim, LockTable, Target};
use backstay_core::contract::{GroupKind, Mode};
use backstay_core::job::TurnNote;
use backstay_core::strategy_kind::strategy_kind;
use backstay_core::unplaced::Unplaced;
use kube::core::ObjectMeta;

use crate::state::run::Run;

/// [`LockTable`] behind a mutex, with the runs whose place in it is not known yet.
#[derive(Default)]
pub struct ApplicationLocks(Mutex<Locks>);

#[derive(Default)]
struct Locks {
    table: LockTable,
    unplaced: Unplaced,
}

impl ApplicationLocks {
    fn locks(&self) -> MutexGuard<'_, Locks> {
        self.0.lock()
    }

    /// Acquires the lock on a target for a run that is about to begin, or its place in the queue for it. Returns also the
    /// runs that may go now: who waits for an application that the run named before does not wait for this run.
    ///
    /// # Errors
    /// The claim of the run to wait for.
    pub fn try_acquire(
        &self,
        run: &Run,
        target: &Target,
        strategy: &GroupKind,
    ) -> (Result<(), Box<Claim>>, Vec<Claim>) {
        let Locks { table, unplaced } = &mut *self.locks();
        let claim = claim(run, strategy);
        let mut free = table.leave_others(target, &run.uid);
        free.extend(unplaced.placed(&run.uid));
        let acquired = match unplaced.before(&claim) {
            Some(before) => {
                table.enqueue(target, &claim);
                Err(Box::new(before))
            }
            None => table.try_acquire(target, &claim),
        };
        (acquired, free)
    }

    /// Restores the lock of a run that has begun, and returns the runs that waited until its place was known.
    pub fn restore(&self, run: &Run) -> Vec<Claim> {
        let Locks { table, unplaced } = &mut *self.locks();
        if let Some(record) = run.status.run.as_deref()
            && let Some(kind) = record.strategy_ref.as_ref().and_then(strategy_kind)
        {
            table.restore(&run.target_of(&record.application_ref), &claim(run, &kind));
        }
        unplaced.placed(&run.uid)
    }

    /// Gives the lock to a run that has begun unless another run holds it; see [`LockTable::resume`]. Returns also the runs that
    /// waited until its place was known.
    ///
    /// # Errors
    /// The claim of the run that holds the lock.
    pub fn resume(&self, run: &Run) -> (Result<(), Box<Claim>>, Vec<Claim>) {
        let Locks { table, unplaced } = &mut *self.locks();
        let record = run.status.run.as_deref();
        let resumed = match record.and_then(|r| Some((r, strategy_kind(r.strategy_ref.as_ref()?)?))) {
            Some((record, kind)) => table.resume(&run.target_of(&record.application_ref), &claim(run, &kind)),
            None => Ok(()),
        };
        (resumed, unplaced.placed(&run.uid))
    }

    /// Restores the place of a run that waited for the lock on `application` before this process started, and returns the runs
    /// that waited until its place was known.
    pub fn enqueue(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) -> Vec<Claim> {
        let Locks { table, unplaced } = &mut *self.locks();
        table.enqueue(&run.target_of(application), &claim(run, strategy));
        unplaced.placed(&run.uid)
    }

    /// Notes a RestoreJob that waited for its turn before this process started, on an application that its Backup names.
    pub fn unplaced(&self, run: &Run) {
        self.locks().unplaced.add(claim(run, &GroupKind::default()));
    }

    /// Notes a Backup that is being deleted, and whose clean-up may have begun before this process started.
    pub fn unplaced_cleanup(&self, backup: &ObjectMeta) {
        self.locks().unplaced.add(Claim {
            run_uid: backup.uid.clone().unwrap_or_default(),
            mode: Mode::Cleanup,
            namespace: backup.namespace.clone().unwrap_or_default(),
            name: backup.name.clone().unwrap_or_default(),
            strategy: GroupKind::default(),
            created: backup.deletion_timestamp.as_ref().map_or(0, |t| t.0.as_second()),
        });
    }

    /// Returns whether the place of a run that was there when this process started is not known.
    #[must_use]
    pub fn is_unplaced(&self, uid: &str) -> bool {
        self.locks().unplaced.contains(uid)
    }

    /// Notes that a run needs no place, and returns the runs that waited until that was known.
    pub fn placed(&self, uid: &str) -> Vec<Claim> {
        self.locks().unplaced.placed(uid)
    }

    /// Returns the uids of the runs that hold a lock or wait for one.
    #[must_use]
    pub fn uids(&self) -> Vec<String> {
        self.locks().table.runs().map(str::to_owned).collect()
    }

    /// Gives the lock back to a run of which only a Job or a pod is left.
    pub fn restore_from(&self, note: TurnNote, namespace: &str, run_uid: &str) {
        let target = Target { namespace: namespace.to_owned(), kind: note.application, name: note.name };
        let claim = Claim {
            run_uid: run_uid.to_owned(),
            mode: note.mode,
            namespace: namespace.to_owned(),
            name: note.run,
            strategy: note.strategy,
            created: 0,
        };
        self.locks().table.restore(&target, &claim);
    }

    /// Returns the namespace of the application whose lock a run holds.
    #[must_use]
    pub fn held_in(&self, run_uid: &str) -> Option<String> {
        self.locks().table.held_by(run_uid).map(|target| target.namespace.clone())
    }

    /// Returns the first of the runs that wait for a run that holds a lock.
    #[must_use]
    pub fn first_behind(&self, run_uid: &str) -> Option<Claim> {
        self.locks().table.first_behind(run_uid).cloned()
    }

    /// Releases the lock of a run or its place in the queue, and returns the runs that may go now, in order.
    pub fn release(&self, uid: &str) -> Vec<Claim> {
        let Locks { table, unplaced } = &mut *self.locks();
        let mut free = table.release(uid);
        free.extend(unplaced.placed(uid));
        free
    }
}

/// Returns the claim of a run.
#[must_use]
pub fn claim(run: &Run, strategy: &GroupKind) -> Claim {
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
