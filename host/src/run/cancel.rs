//! The early end of a run: facts for the decisions of [`backstay_core::cancel`], and their errors.

use backstay_api::conditions::reasons;
use backstay_core::cancel::{Ending, RunFacts};
use backstay_core::contract::{CancelCause, Cancellation};
use backstay_engine::{Component, World};
use jiff::{SignedDuration, Timestamp};

use super::not_done::NotDone;
use crate::components::registry::Registry;
use crate::state::run::Run;
use crate::state::step_cache::StepCaches;

/// Returns the facts of a run that decide about its early end.
pub(crate) fn facts(run: &Run, registry: &Registry) -> RunFacts {
    let cancels = component(run, registry).map(|c| c.descriptor().traits.cancel);
    RunFacts::new(run.mode, &run.status, &run.finalizers, run.deleted_at, cancels)
}

/// Returns what the component is told of the run's end; `None` while the run goes on, or where it is deleted and undoes nothing.
///
/// # Errors
/// The run has failed: its deadline has passed and its component undoes nothing, or the component's time for undoing is over.
pub(crate) fn check_deadlines(
    run: &Run,
    registry: &Registry,
    now: Timestamp,
    undo_deadline: SignedDuration,
) -> Result<Option<Cancellation>, NotDone> {
    let ending = facts(run, registry).ending(now, undo_deadline);
    match ending {
        Ending::Now { cause: CancelCause::Deadline, .. } => Err(NotDone::failed(
            reasons::RUN_DEADLINE_EXCEEDED,
            format!("the run's deadline has passed{}", last_message(run)),
        )),
        Ending::UndoTimeOver { .. } => check_undo_deadline(run, ending).map(|()| None),
        _ => Ok(ending.cancellation()),
    }
}

/// Ends a run whose component did not finish undoing in its time.
///
/// # Errors
/// The run has failed.
pub(crate) fn check_undo_deadline(run: &Run, ending: Ending) -> Result<(), NotDone> {
    let Ending::UndoTimeOver { until } = ending else { return Ok(()) };
    Err(NotDone::failed(
        reasons::UNDO_DEADLINE_EXCEEDED,
        format!(
            "the run was to end, and its strategy did not finish undoing what it had begun by {until}; look at the application{}",
            last_message(run)
        ),
    ))
}

fn last_message(run: &Run) -> String {
    run.status.ready().map(|c| format!("; the last that was said: {}", c.message)).unwrap_or_default()
}

/// Returns the component of a run that has begun, if it is loaded.
fn component<'a>(run: &Run, registry: &'a Registry) -> Option<&'a Component> {
    let name = &run.status.run.as_ref()?.component.as_ref()?.name;
    registry.iter().find(|c| c.descriptor().name == *name)
}

/// Returns whether the run is one pod, by the world of its component.
pub(crate) fn is_pod(run: &Run, registry: &Registry) -> bool {
    component(run, registry).is_some_and(|c| c.world() == World::Pod)
}

/// Returns whether steps of the run may have asked for pods: the checkpoint says so, or it is not known.
pub(crate) fn may_have_pods(run: &Run, registry: &Registry, caches: &StepCaches) -> bool {
    run.status.run.is_some() && !is_pod(run, registry) && caches.has_pods(&run.uid).unwrap_or(true)
}
