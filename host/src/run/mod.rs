//! One run: a BackupJob, a RestoreJob, or the clean-up after a Backup that is being deleted.
//!
//! The three share one flow, because they are one thing: inputs are settled once and pinned; then a pod runs as a Job and
//! the component says what its end means, or the component takes steps on resources; and the result is recorded.
//! [`reconcile`] is that flow; each step is a file.

mod begin;
mod evidence;
mod expire;
mod halt;
mod job;
mod judge;
mod object;
mod pinned;
mod record;
mod request;
mod resolve;
mod resource;

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::Mode;
use backstay_engine::World;
use kube::runtime::controller::Action;
use tokio::sync::OwnedMutexGuard;

pub use halt::Halt;
pub use object::Run;
pub use resolve::waiting_turn;
pub use resource::{Memories, collect};

use crate::context::Context;
use pinned::Pinned;

/// Looks at a run once and takes it as far as it goes now.
///
/// Everything here may be cut off after any single write and done again: what exists is found by the run's uid, and a
/// write that was made is not made twice.
pub async fn reconcile(mut seen: Run, ctx: Arc<Context>) -> Action {
    let _alone = if seen.is_over() { None } else { Some(alone(&mut seen, &ctx).await) };
    let mut run = match ctx.runs.current(seen, &ctx).await {
        Ok(Some(run)) => run,
        Ok(None) => return Action::await_change(),
        Err(error) => {
            tracing::warn!(error = %crate::api_error::chain(&error), "a run could not be read again");
            return Action::requeue(Duration::from_secs(5));
        }
    };
    let over_already = run.is_over();
    if run.deleting && run.mode != Mode::Cleanup && (over_already || !resource::may_undo(&run, &ctx)) {
        // Nothing is created for a run that is going away (F10); its Job goes with it, by garbage collection.
        return halt::let_go(&run, &ctx).await;
    }
    if over_already {
        return over(&run, &ctx).await;
    }
    if let Some(rest) = ctx.runs.resting(&run.uid) {
        return Action::requeue(rest);
    }
    match advance(&mut run, &ctx).await {
        Ok(()) => over(&run, &ctx).await,
        Err(halt) => halt::settle(&mut run, halt, &ctx).await,
    }
}

/// Nobody else looks at the run while this is held: two queues lead to it. What was seen before a wait is seen anew.
async fn alone(seen: &mut Run, ctx: &Context) -> OwnedMutexGuard<()> {
    let lock = ctx.runs.lock(&seen.uid);
    if let Ok(held) = lock.clone().try_lock_owned() {
        return held;
    }
    let held = lock.lock_owned().await;
    if let Some(newer) = ctx.caches.run(seen) {
        *seen = newer;
    }
    held
}

/// A run that has ended gives back what it held, and its Job gets its time to live.
async fn over(run: &Run, ctx: &Arc<Context>) -> Action {
    if run.deleting && run.mode != Mode::Cleanup {
        return halt::let_go(run, ctx).await;
    }
    ctx.finished(run);
    resource::over(run, ctx).await;
    if run.undoes
        && let Err(again) = halt::nothing_to_undo(run, ctx).await
    {
        return again;
    }
    expire::expire(run, ctx).await
}

/// One look at a run. `Ok` means that it has ended and that this is written down.
async fn advance(run: &mut Run, ctx: &Arc<Context>) -> Result<(), Halt> {
    if run.status.run.is_none() {
        let inputs = resolve::inputs(run, ctx).await?;
        if inputs.component.descriptor().traits.credentials {
            crate::credentials::ensure(run.namespace(), ctx).await?;
        }
        begin::begin(run, inputs, ctx).await?;
    }
    resource::undone_in_time(run, ctx)?;
    let pinned = pinned::load(run, ctx).await?;
    ctx.turns.hold(run);
    match pinned.component.world() {
        World::Pod => pod(run, &pinned, ctx).await,
        World::Resource => steps(run, &pinned, ctx).await,
    }
}

/// A run that is one pod.
async fn pod(run: &mut Run, pinned: &Pinned, ctx: &Arc<Context>) -> Result<(), Halt> {
    let job = match &run.status.run.as_ref().and_then(|r| r.job.clone()) {
        None => job::ensure(run, pinned, ctx).await?,
        Some(recorded) => job::recorded(run, recorded, ctx).await?,
    };
    let end = job::ended(run, &job, ctx).await?;
    let record = run.status.run.as_ref().and_then(|r| r.job.clone()).unwrap_or_default();
    let data = record.data.as_deref().and_then(|d| serde_json::from_str(d).ok());
    let result = evidence::gather(run, &job, &end, data, record.log_lines.unwrap_or(0), ctx).await?;
    let outcome = judge::judge(run, pinned, &end, result, ctx).await?;
    match run.mode {
        Mode::Backup => record::backup(run, pinned, end.at, &outcome, ctx).await,
        Mode::Restore => record::restored(run, ctx).await,
        Mode::Cleanup => record::cleaned(run, ctx).await,
    }
}

/// A run that is steps on resources.
async fn steps(run: &mut Run, pinned: &Pinned, ctx: &Arc<Context>) -> Result<(), Halt> {
    let outcome = resource::advance(run, pinned, ctx).await?;
    expire::stop_unfinished(run, ctx).await?;
    match (run.mode, outcome) {
        (Mode::Backup, _) if run.deleting => Err(Halt::fail(
            reasons::DELETING,
            "the run was deleted: what was backed up is not recorded as a Backup",
        )),
        (Mode::Backup, outcome) => record::backup(run, pinned, None, &outcome.unwrap_or_default(), ctx).await,
        (Mode::Restore, _) => {
            resource::settle(run, &pinned.component.descriptor().name, ctx).await?;
            record::restored(run, ctx).await
        }
        (Mode::Cleanup, _) => {
            record::cleaned(run, ctx).await?;
            // With the Backup goes what memory holds of the run, perhaps before the run is looked at again.
            ctx.memories.forget(&run.uid);
            Ok(())
        }
    }
}
