//! The turns on applications, shared by all workers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use backstay_api::{RunRecord, TypedRef};
use backstay_core::contract::{GroupKind, Mode};
use backstay_core::strategy_kind::strategy_kind;
use backstay_core::turns::{Claim, Target, Turns};

use crate::run::Run;

/// [`Turns`] behind a lock.
#[derive(Default)]
pub struct SharedTurns(Mutex<Turns>);

impl SharedTurns {
    fn turns(&self) -> MutexGuard<'_, Turns> {
        // A panic while this lock was held cannot leave the table half-changed: each change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the turn on `application` for a run that is about to begin.
    ///
    /// # Errors
    /// The run to wait for.
    pub fn claim(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) -> Result<(), Claim> {
        self.turns().claim(&target(run, application), &claim(run, strategy))
    }

    /// Notes that a run which has begun holds its turn.
    pub fn hold(&self, run: &Run) {
        let Some(RunRecord { application_ref, strategy_ref: Some(strategy), .. }) = run.status.run.as_deref()
        else {
            return;
        };
        if let Some(kind) = strategy_kind(strategy) {
            self.turns().hold(&target(run, application_ref), claim(run, &kind));
        }
    }

    /// Notes that a run which has not begun waited for its turn on `application` before this process started.
    pub fn wait(&self, run: &Run, application: &TypedRef, strategy: &GroupKind) {
        self.turns().wait(&target(run, application), claim(run, strategy));
    }

    /// Gives back what a run holds; returns the runs to look at now.
    pub fn release(&self, uid: &str) -> Vec<Claim> {
        self.turns().release(uid)
    }
}

fn target(run: &Run, application: &TypedRef) -> Target {
    Target {
        namespace: run.namespace().to_owned(),
        kind: GroupKind { group: application.group().to_owned(), kind: application.kind.clone() },
        name: application.name.clone(),
    }
}

fn claim(run: &Run, strategy: &GroupKind) -> Claim {
    Claim {
        run_uid: run.uid.clone(),
        run: run.title(),
        mode: run.mode,
        strategy: strategy.clone(),
        created: match (run.mode, run.deleted_at) {
            (Mode::Cleanup, Some(deleted)) => deleted.as_second(),
            _ => run.created,
        },
    }
}
