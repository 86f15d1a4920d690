//! The end of a run: its lock, its checkpoint and its finalizers are released, and its Jobs expire.

use backstay_core::contract::Mode;
use backstay_core::retry;

use super::jobs;
use super::steps::handover;
use crate::cluster::error::{ApiError, chain};
use crate::context::Context;
use crate::state::finalizers;
use crate::state::run::Run;
use crate::state::run_cache::RunCache;
use crate::state::work_queue::Action;

/// Releases everything that a run holds whose end is written down.
pub(crate) async fn finish(run: &Run, ctx: &Context) -> Action {
    if run.deleting && run.mode != Mode::Cleanup {
        return finish_deleted(run, ctx).await;
    }
    ctx.finished(run);
    handover::clear(run, &ctx.records.checkpoints, &ctx.state).await;
    if run.is_held()
        && let Err(error) = finalizers::remove_undo(run, &ctx.cluster.client).await
    {
        return retry(run, &error, "finalizer not removed, will try again", &ctx.state.runs);
    }
    // The Jobs of a clean-up are deleted with its Backup.
    let Some(time_to_live) = ctx.settings.job_ttl.filter(|_| run.mode != Mode::Cleanup) else {
        return Action::await_change();
    };
    match jobs::expire(run, time_to_live, &ctx.stores, &ctx.cluster.client).await {
        Ok(()) => Action::await_change(),
        Err(error) => retry(run, &error, "time to live of a job not set, will try again", &ctx.state.runs),
    }
}

/// Releases everything that a deleted run holds. The run does not go on: where it has not ended, its checkpoint is handed
/// over to the next restore and its Jobs are stopped first.
pub(crate) async fn finish_deleted(run: &Run, ctx: &Context) -> Action {
    let (registry, runs) = (&ctx.components.registry, &ctx.state.runs);
    if !run.status.is_terminal() {
        if let Err(error) = handover::hand_over(run, registry, &ctx.records.checkpoints, &ctx.state).await {
            return retry_read(run, &error, "record for the next restore not kept, will try again", runs);
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
    match finalizers::remove(run, &ctx.cluster.client).await {
        Ok(()) => Action::await_change(),
        Err(error) => retry_read(run, &error, "finalizer not removed, will try again", runs),
    }
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
