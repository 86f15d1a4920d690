//! The reconciler of runs: BackupJobs, RestoreJobs, and clean-ups after deleted Backups.
//!
//! The three share one flow: inputs are settled once and pinned; then a pod runs as a Job and the component says what its
//! end means, or the component takes steps on resources; and the result is published. Each step is a file of `run/`.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Outcome};
use backstay_engine::World;

use crate::cluster::error::chain;
use crate::context::Context;
use crate::run::finish::{finish, finish_deleted};
use crate::run::not_done::NotDone;
use crate::run::pinned::{self, Pinned};
use crate::run::pod::{job, verdict};
use crate::run::report::report;
use crate::run::steps::{handover, wake};
use crate::run::{begin, cancel, jobs, pod_result, publish, request, resolve};
use crate::state::run::Run;
use crate::state::step_cache::BackupCache;
use crate::state::work_queue::Action;

/// Reconciles a run once, and takes it as far as it goes now.
///
/// The process may die after any single write, and the reconcile is then done again: existing objects are found by the
/// run's uid, and a write that was made is not made twice.
pub async fn reconcile(seen: Run, ctx: Arc<Context>) -> Action {
    let uid = seen.uid.clone();
    let mut run = match ctx.state.runs.current(seen).await {
        Ok(Some(run)) => run,
        Ok(None) => {
            ctx.forget(&uid);
            return Action::await_change();
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "a run could not be read again");
            return Action::requeue(Duration::from_secs(5));
        }
    };
    let finished = run.is_finished();
    let may_cancel = || cancel::facts(&run, &ctx.components.registry).may_cancel();
    if run.deleting && run.mode != Mode::Cleanup && (finished || !may_cancel()) {
        // Nothing is created for a deleted run; garbage collection deletes its Job.
        return finish_deleted(&run, &ctx).await;
    }
    if finished {
        return finish(&run, &ctx).await;
    }
    if let Some(pause) = ctx.state.runs.paused_for(&run.uid) {
        return Action::requeue(pause);
    }
    match advance(&mut run, &ctx).await {
        Ok(()) => finish(&run, &ctx).await,
        Err(not_done) => report(&mut run, not_done, &ctx).await,
    }
}

/// Takes a run further. `Ok` means that the run has ended, and that its end is written.
async fn advance(run: &mut Run, ctx: &Context) -> Result<(), NotDone> {
    if run.status.run.is_none() {
        let inputs = resolve::resolve(run, ctx).await?;
        let (deadline, now) = (ctx.settings.run_deadline, ctx.clock.now());
        begin::begin(run, inputs, &ctx.records, &ctx.state.runs, deadline, now).await?;
    }
    let registry = &ctx.components.registry;
    let ending = cancel::facts(run, registry).ending(ctx.clock.now(), ctx.settings.undo_deadline);
    cancel::check_undo_deadline(run, ending)?;
    let pinned = pinned::load(run, registry, &ctx.records.revisions).await?;
    ctx.restore_lock(run);
    match pinned.component.world() {
        World::Pod => pod(run, &pinned, ctx).await,
        World::Resource => steps(run, &pinned, ctx).await,
    }
}

/// A run that is one pod.
async fn pod(run: &mut Run, pinned: &Pinned, ctx: &Context) -> Result<(), NotDone> {
    let (stores, runs, cluster) = (&ctx.stores, &ctx.state.runs, &ctx.cluster);
    let recheck = ctx.settings.recheck;
    let job = match &run.status.run.as_ref().and_then(|r| r.job.clone()) {
        None => job::ensure(run, pinned, ctx).await?,
        Some(recorded) => job::recorded(run, recorded, stores, runs, ctx.clock.now(), recheck).await?,
    };
    ctx.notices.ready().await?;
    let end = job::ended(run, &job, stores, &cluster.client, ctx.clock.now(), recheck).await?;
    let record = run.status.run.as_ref().and_then(|r| r.job.clone()).unwrap_or_default();
    let data = record.data.as_deref().and_then(|d| serde_json::from_str(d).ok());
    let lines = record.log_lines.unwrap_or(0);
    let result = pod_result::collect(run, &job, &end, data, lines, cluster, stores).await?;
    let (records, mut backup) = (&ctx.records.checkpoints, BackupCache::default());
    let now = ctx.clock.now();
    let request = request::build(run, pinned, &mut backup, &cluster.client, stores, records, now).await?;
    let outcome = verdict::verdict(run, pinned, &end, result, request, &ctx.components).await?;
    publish(run, pinned, end.at, outcome, ctx).await
}

/// A run that takes steps on resources.
async fn steps(run: &mut Run, pinned: &Pinned, ctx: &Context) -> Result<(), NotDone> {
    let outcome = wake::wake(run, pinned, ctx).await?;
    jobs::stop_unfinished(run, &ctx.components.registry, &ctx.state).await?;
    if run.mode == Mode::Backup && run.deleting {
        let message = "the run was deleted: what was backed up is not recorded as a Backup";
        return Err(NotDone::failed(reasons::DELETING, message));
    }
    if run.mode == Mode::Restore {
        let component = &pinned.component.descriptor().name;
        handover::discard_inherited(run, component, &ctx.records.checkpoints, &ctx.state).await?;
    }
    publish(run, pinned, None, outcome.unwrap_or_default(), ctx).await?;
    if run.mode == Mode::Cleanup {
        // The Backup may be deleted before the run is reconciled again.
        ctx.state.step_caches.forget(&run.uid);
    }
    Ok(())
}

/// Publishes the result of a run that ended well.
async fn publish(
    run: &mut Run,
    pinned: &Pinned,
    ended: Option<i64>,
    outcome: Outcome,
    ctx: &Context,
) -> Result<(), NotDone> {
    let (state, notices) = (&ctx.state, &ctx.notices);
    match run.mode {
        Mode::Backup => publish::backup(run, pinned, ended, outcome, ctx).await,
        Mode::Restore => {
            publish::succeeded(run, None, &state.runs, notices, &ctx.metrics, ctx.clock.now()).await
        }
        Mode::Cleanup => publish::cleaned(run, &ctx.cluster.client, notices, &state.deleted_backups).await,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::state::run::tests::{BACKUP_JOB, begun, changed, stored_run};
    use crate::state::step_cache::StepCache;

    #[tokio::test]
    async fn a_run_that_turns_out_to_be_gone_or_another_one_is_forgotten_and_releases_its_lock() {
        for anew in [false, true] {
            let server = StandIn::default();
            let ctx = crate::context::tests::empty(server.client());
            let run = stored_run(Mode::Backup, begun(100), &server);
            ctx.restore_lock(&run);
            ctx.state.step_caches.put(&run.uid, StepCache::default());
            // A conflict of an earlier write.
            ctx.state.runs.invalidate(&run.uid);
            match anew {
                true => {
                    let another = json!({"metadata": {"uid": "another"}});
                    server.put(BACKUP_JOB, changed(BACKUP_JOB, &another, &server));
                }
                false => server.remove(BACKUP_JOB),
            }
            assert_eq!(reconcile(run, ctx.clone()).await, Action::await_change());
            let kept = [ctx.state.step_caches.uids(), ctx.state.runs.uids()];
            assert_eq!(kept.concat(), [""; 0], "made anew: {anew}");
            assert!(
                ctx.state.draining.contains("run-1"),
                "its lock is kept until its pods are known to be gone"
            );
        }
    }
}
