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

#[cfg(test)]
mod tests {
    use backstay_core::contract::Mode;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::records::checkpoints::tests::checkpoint;
    use crate::state::run::tests::{begun, stored_run};
    use crate::state::step_cache::{Cached, StepCache};

    /// How long a component may undo.
    const UNDO: SignedDuration = SignedDuration::from_secs(60);

    /// A run with a deadline at second 100, whose component is not loaded. `held`: its object has the finalizer of undoing.
    fn given(held: bool) -> Run {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Backup, begun(100), &server);
        run.finalizers = if held { vec![backstay_api::finalizers::UNDO.to_owned()] } else { Vec::new() };
        run.status.running("pod \"p\" cannot be scheduled", at(50));
        run
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn checked(run: &Run, second: i64) -> Result<Option<Cancellation>, NotDone> {
        check_deadlines(run, &Registry::default(), at(second), UNDO)
    }

    #[test]
    fn a_run_past_its_deadline_with_nothing_to_undo_fails_and_says_what_was_said_last() {
        let run = given(false);
        assert_eq!(checked(&run, 99), Ok(None));
        let message = "the run's deadline has passed; the last that was said: pod \"p\" cannot be scheduled";
        assert_eq!(checked(&run, 100), Err(NotDone::failed("RunDeadlineExceeded", message)));
    }

    #[test]
    fn a_held_run_past_its_deadline_is_undone_until_the_time_for_that_is_over() {
        let run = given(true);
        let cancellation = Cancellation { cause: CancelCause::Deadline, deadline: 160 };
        assert_eq!(checked(&run, 100), Ok(Some(cancellation)));
        let Err(NotDone::Failed { reason, message }) = checked(&run, 160) else { panic!("it goes on") };
        assert_eq!(reason, "UndoDeadlineExceeded");
        assert!(message.contains("by 1970-01-01T00:02:40Z; look at the application;"), "{message}");
    }

    #[test]
    fn a_deleted_run_that_is_not_held_goes_on_to_its_end_here() {
        let (mut run, mut held) = (given(false), given(true));
        run.deleted_at = Some(at(10));
        held.deleted_at = Some(at(10));
        assert_eq!(checked(&run, 20), Ok(None), "the deletion itself is no failure");
        let cancellation = Cancellation { cause: CancelCause::Deleted, deadline: 70 };
        assert_eq!(checked(&held, 20), Ok(Some(cancellation)));
    }

    #[test]
    fn a_run_may_have_pods_unless_it_has_not_begun_or_its_checkpoint_notes_none() {
        let (caches, mut run) = (StepCaches::default(), given(false));
        let may = |run: &Run| may_have_pods(run, &Registry::default(), &caches);
        assert!(may(&run), "its checkpoint is not known");
        let known = Cached::Present((checkpoint(&run.uid), "1".to_owned()));
        caches.put(&run.uid, StepCache { checkpoint: known, ..StepCache::default() });
        assert!(!may(&run));
        caches.forget(&run.uid);
        run.status.run = None;
        assert!(!may(&run), "it has not begun");
    }
}
