//! The end of a run: its lock, its checkpoint and its finalizers are released, and its Jobs expire.

use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::Mode;
use backstay_core::retry::{self, Class};
use jiff::Timestamp;

use super::jobs;
use super::save::save;
use super::steps::handover;
use crate::cluster::error::{ApiError, chain};
use crate::context::Context;
use crate::records::checkpoints::RecordsError;
use crate::state::State;
use crate::state::finalizers::{self, Known};
use crate::state::notices::Notices;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;
use crate::state::work_queue::Action;

/// Failures in a row from which on a run's status shows that its checkpoint is not kept.
const VISIBLE: u32 = 4;

/// Releases everything that a run holds whose end is written down. `known` says whether this reconcile has written it.
pub(crate) async fn finish(run: &Run, known: Known, ctx: &Context) -> Action {
    if run.deleting && run.mode != Mode::Cleanup {
        return finish_deleted(run, ctx).await;
    }
    ctx.finished(run);
    handover::clear(run, &ctx.records.checkpoints, &ctx.state).await;
    if let Err(error) = let_go(run, known, ctx).await {
        return retry(run, &error, "finalizer not removed, will try again", &ctx.state.runs);
    }
    // The Jobs of a clean-up are deleted with its Backup.
    let Some(time_to_live) = ctx.settings.job_ttl.filter(|_| run.mode != Mode::Cleanup) else {
        return Action::await_change();
    };
    let key = match ctx.records.key.get().await {
        Ok(key) => key,
        Err(RecordsError::Api(error)) => {
            return retry(run, &error, "time to live of a job not set, will try again", &ctx.state.runs);
        }
        // Runs that begin say so.
        Err(_) => return Action::await_change(),
    };
    match jobs::expire(run, time_to_live, &key, &ctx.stores, &ctx.cluster.client).await {
        Ok(()) => Action::await_change(),
        Err(error) => retry(run, &error, "time to live of a job not set, will try again", &ctx.state.runs),
    }
}

/// Removes the controller's finalizers from a run that has ended. The deletion of a BackupJob is not seen once it has ended, so
/// that those go too that somebody else wrote. On a RestoreJob and a Backup the others have a meaning of their own.
async fn let_go(run: &Run, known: Known, ctx: &Context) -> Result<(), ApiError> {
    let client = &ctx.cluster.client;
    match run.mode {
        Mode::Backup if run.is_finalized() || run.is_held() => finalizers::remove(run, known, client).await,
        Mode::Restore | Mode::Cleanup if run.is_held() => finalizers::remove_undo(run, known, client).await,
        _ => Ok(()),
    }
}

/// Releases everything that a deleted run holds. The run does not go on: where it has not ended, its checkpoint is handed
/// over to the next restore and its Jobs are stopped first.
pub(crate) async fn finish_deleted(run: &Run, ctx: &Context) -> Action {
    let (registry, runs) = (&ctx.components.registry, &ctx.state.runs);
    if !run.status.is_terminal() {
        if let Err(error) = handover::hand_over(run, registry, &ctx.records.checkpoints, &ctx.state).await {
            let until = run.deleted_at.and_then(|at| at.checked_add(ctx.settings.undo_deadline).ok());
            let again = not_kept(
                &mut run.clone(),
                &error,
                until,
                "the run was deleted",
                &ctx.state,
                &ctx.notices,
                ctx.clock.now(),
            )
            .await;
            if let NotKept::Again(action) = again {
                return action;
            }
        }
        // Garbage collection deletes the Jobs too, but not before every finalizer is off the run.
        if let Err(error) = jobs::stop_unfinished(run, registry, &ctx.state).await {
            return retry_read(run, &error, "jobs of the deleted run not stopped, will try again", runs);
        }
    }
    ctx.finished(run);
    handover::clear(run, &ctx.records.checkpoints, &ctx.state).await;
    // The Go implementation puts its finalizer on every RestoreJob.
    if !run.is_finalized() && !run.is_held() {
        return Action::await_change();
    }
    match finalizers::remove(run, Known::Seen, &ctx.cluster.client).await {
        Ok(()) => Action::await_change(),
        Err(error) => retry_read(run, &error, "finalizer not removed, will try again", runs),
    }
}

/// What comes of a run whose checkpoint could not be kept for the next restore.
pub(crate) enum NotKept {
    /// It is tried again, and the run does not end before.
    Again(Action),
    /// The run ends all the same, and says this. Its own checkpoint stays, and garbage collection keeps trying.
    GivenUp(String),
}

/// Says in the run's status that its checkpoint cannot be kept, and why, until `until`; then gives up. `ends` is why the run ends.
pub(crate) async fn not_kept(
    run: &mut Run,
    error: &ApiError,
    until: Option<Timestamp>,
    ends: &str,
    state: &State,
    notices: &Notices,
    now: Timestamp,
) -> NotKept {
    let (runs, cause) = (&state.runs, error.user_message());
    let Some(until) = until.filter(|until| now < *until) else {
        // What this process does not know of, it does not delete.
        state.step_caches.forget(&run.uid);
        tracing::error!(run = %run.title(), error = %chain(error), "checkpoint for the next restore not kept, the run ends without");
        return NotKept::GivenUp(format!(
            "the checkpoint for the next restore could not be kept ({cause}): look at the application before it is restored again"
        ));
    };
    let attempt = runs.failed(&run.uid);
    tracing::warn!(run = %run.title(), attempt, error = %chain(error), "checkpoint for the next restore not kept, will try again");
    if error.class() == Class::RetryVisible || attempt >= VISIBLE {
        let message =
            format!("{ends}; before the run ends, its checkpoint is kept for the next restore: {cause}");
        run.status.wait(reasons::WAITING_FOR_API, &notices.redact(&message), now);
        if let Err(error) = save(run, "writing the status", runs).await {
            tracing::warn!(run = %run.title(), error = %chain(&error), "status not written");
        }
    }
    runs.invalidate(&run.uid);
    let left = Duration::try_from(until.duration_since(now)).unwrap_or_default();
    NotKept::Again(Action::requeue(retry::backoff(attempt).min(left)))
}

/// Counts a failure of a run and returns when to try again.
pub(crate) fn retry(run: &Run, error: &ApiError, what: &'static str, runs: &RunCache) -> Action {
    let attempt = runs.failed(&run.uid);
    tracing::warn!(run = %run.title(), attempt, error = %chain(error), "{what}");
    Action::requeue(retry::backoff(attempt))
}

/// As [`retry`], with a read of the run from the API server first.
pub(crate) fn retry_read(run: &Run, error: &ApiError, what: &'static str, runs: &RunCache) -> Action {
    runs.invalidate(&run.uid);
    retry(run, error, what, runs)
}

#[cfg(test)]
mod tests {
    use backstay_core::contract::Mode;
    use kube::core::Status;

    use super::*;
    use crate::cluster::events::events;
    use crate::cluster::stand_in::StandIn;
    use crate::records::credentials::ProjectedCredentials;
    use crate::state::run::tests::{RESTORE_JOB, begun, stored_run};

    fn refused(message: &str, code: u16) -> ApiError {
        let status = Status::failure(message, "Forbidden").with_code(code);
        ApiError::new("writing Secret \"backstay-system/x\"", kube::Error::Api(status.boxed()))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// What comes of a restore whose checkpoint is not kept for this error, at a moment; and what its status says then.
    async fn told(error: &ApiError, second: i64) -> (NotKept, String) {
        let server = StandIn::default();
        let mut run = stored_run(Mode::Restore, begun(100), &server);
        let client = server.client();
        let credentials = ProjectedCredentials::new(client.clone(), "backstay-system", None);
        let notices = Notices::new(events(client.clone()).0, credentials.into());
        let state = State::empty(client);
        let kept =
            not_kept(&mut run, error, Some(at(200)), "the pod failed", &state, &notices, at(second)).await;
        let status = server.get(RESTORE_JOB).unwrap()["status"].to_string();
        (kept, status)
    }

    #[tokio::test]
    async fn a_used_up_quota_that_keeps_a_run_from_ending_is_told_at_once_and_ends_it_in_time() {
        let quota = refused("secrets \"x\" is forbidden: exceeded quota: none", 403);
        let (again, status) = told(&quota, 150).await;
        assert!(matches!(again, NotKept::Again(_)));
        for says in [
            "WaitingForAPI",
            "the pod failed; before the run ends",
            "exceeded quota: none",
            "raise the quota",
        ] {
            assert!(status.contains(says), "{says} is not in {status}");
        }
        let (given_up, _) = told(&quota, 200).await;
        let NotKept::GivenUp(why) = given_up else { panic!("it goes on") };
        assert!(why.contains("exceeded quota: none") && why.contains("look at the application"), "{why}");
    }

    #[tokio::test]
    async fn an_error_that_passes_is_tried_again_without_a_word() {
        let (again, status) = told(&refused("later", 503), 150).await;
        assert!(matches!(again, NotKept::Again(_)) && !status.contains("WaitingForAPI"), "{status}");
    }
}
