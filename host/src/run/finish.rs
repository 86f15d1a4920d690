//! The end of a run: its lock, its checkpoint and its finalizers are released, and its Jobs expire.

use std::sync::Arc;

use backstay_core::contract::Mode;
use backstay_core::retry;
use kube::runtime::controller::Action;

use super::jobs;
use super::steps::handover;
use crate::cluster::error::{ApiError, chain};
use crate::context::Context;
use crate::state::finalizers;
use crate::state::run::Run;

/// Releases everything that a run holds whose end is written down.
pub(crate) async fn finish(run: &Run, ctx: &Arc<Context>) -> Action {
    if run.deleting && run.mode != Mode::Cleanup {
        return finish_deleted(run, ctx).await;
    }
    ctx.finished(run);
    handover::clear(run, &ctx.records.checkpoints, &ctx.state).await;
    if run.is_held()
        && let Err(error) = finalizers::remove_undo(run, &ctx.cluster.client).await
    {
        return retry(run, &error, "finalizer not removed, will try again", ctx);
    }
    jobs::expire(run, ctx).await
}

/// Releases everything that a deleted run holds. The run does not go on: where it has not ended, its checkpoint is handed
/// over to the next restore and its Jobs are stopped first.
pub(crate) async fn finish_deleted(run: &Run, ctx: &Arc<Context>) -> Action {
    if !run.status.is_terminal() {
        if let Err(error) = hand_over(run, ctx).await {
            return retry_read(run, &error, "record for the next restore not kept, will try again", ctx);
        }
        // Garbage collection deletes the Jobs too, but not before every finalizer is off the run.
        if let Err(error) = jobs::stop_unfinished(run, ctx).await {
            return retry_read(run, &error, "jobs of the deleted run not stopped, will try again", ctx);
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
        Err(error) => retry_read(run, &error, "finalizer not removed, will try again", ctx),
    }
}

/// See [`handover::hand_over`].
pub(crate) async fn hand_over(run: &Run, ctx: &Context) -> Result<(), ApiError> {
    handover::hand_over(run, &ctx.components.registry, &ctx.records.checkpoints, &ctx.state).await
}

/// Counts a failure of a run and returns when to try again.
pub(crate) fn retry(run: &Run, error: &ApiError, what: &'static str, ctx: &Context) -> Action {
    let attempt = ctx.state.runs.failed(&run.uid);
    tracing::warn!(run = %run.title(), attempt, error = %chain(error), "{what}");
    Action::requeue(retry::backoff(attempt))
}

/// As [`retry`], with a read of the run from the API server first.
pub(crate) fn retry_read(run: &Run, error: &ApiError, what: &'static str, ctx: &Context) -> Action {
    ctx.state.runs.invalidate(&run.uid);
    retry(run, error, what, ctx)
}
