//! The reconciler of runs: BackupJobs, RestoreJobs, and clean-ups after deleted Backups.
//!
//! The three share one flow: inputs are settled once and pinned; then a pod runs as a Job and the component says what its
//! end means, or the component takes steps on resources; and the result is published. Each step is a file of `run/`.

use std::sync::Arc;
use std::time::Duration;

use backstay_api::conditions::reasons;
use backstay_core::contract::{Mode, Outcome};
use backstay_engine::World;

use crate::cluster::error::{chain, is_undecodable};
use crate::context::Context;
use crate::panics::{Panic, contained};
use crate::run::finish::{finish, finish_deleted};
use crate::run::not_done::NotDone;
use crate::run::pinned::{self, Pinned};
use crate::run::pod::{job, verdict};
use crate::run::report::report;
use crate::run::save::save;
use crate::run::steps::{handover, wake};
use crate::run::{begin, cancel, hold, jobs, pod_result, publish, request, resolve};
use crate::state::finalizers::Known;
use crate::state::queues::{Kind, Request};
use crate::state::run::{Run, RunSpec};
use crate::state::step_cache::{BackupCache, StepCache};
use crate::state::work_queue::Action;

/// The pause before a run whose reconcile panicked is reconciled again.
const PANICKED_PAUSE: Duration = Duration::from_secs(60);
/// The message of such a run. The panic itself may quote data of others: it is in the log only.
const INTERNAL_ERROR: &str = "the controller failed while it worked on this run, which is a fault of the controller and not of this object; the controller's log has the cause: report it, and create a new run once it is mended";
/// How often a run is read that does not decode. The watch, too, shows when it does again.
const UNREADABLE: Duration = Duration::from_mins(5);

/// Reconciles a run once, and takes it as far as it goes now.
///
/// The process may die after any single write, and the reconcile is then done again: existing objects are found by the
/// run's uid, and a write that was made is not made twice.
pub async fn reconcile(seen: Run, ctx: Arc<Context>) -> Action {
    let (about, uid) = (seen.reference(), seen.uid.clone());
    let mut run = match ctx.state.runs.current(seen).await {
        Ok(Some(run)) => run,
        Ok(None) => {
            ctx.gone(&uid);
            return Action::await_change();
        }
        Err(error) if is_undecodable(&error) => {
            ctx.report_unreadable(about, &chain(&error));
            return Action::requeue(UNREADABLE);
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "a run could not be read again");
            return Action::requeue(Duration::from_secs(5));
        }
    };
    let action = match contained(go_on(&mut run, &ctx)).await {
        Ok(action) => action,
        Err(panic) => panicked(&mut run, &panic, &ctx).await,
    };
    if run.is_finished() {
        keep_in_mind(&run, action, &ctx);
    }
    action
}

/// Keeps a run in mind that has ended and is to be looked at again: the watch does not show it any more.
fn keep_in_mind(run: &Run, action: Action, ctx: &Context) {
    let Some((kind, key)) = run.place() else { return };
    if action == Action::await_change() {
        ctx.state.ends.done(&kind, &key);
    } else {
        ctx.state.ends.add(kind, key, &run.uid);
    }
}

/// Takes a run as far as it goes now, as it is on record.
async fn go_on(run: &mut Run, ctx: &Context) -> Action {
    // What an earlier reconcile saw has been told.
    run.dropped.clear();
    let finished = run.is_finished();
    let may_cancel = || cancel::facts(run, &ctx.components.registry).may_cancel();
    if run.deleting && run.mode != Mode::Cleanup && (finished || !may_cancel()) {
        // Nothing is created for a deleted run; garbage collection deletes its Job.
        return finish_deleted(run, ctx).await;
    }
    if finished {
        return finish(run, Known::Seen, ctx).await;
    }
    if let Some(pause) = ctx.state.runs.paused_for(&run.uid) {
        return Action::requeue(pause);
    }
    let advanced = advance(run, ctx).await;
    ctx.kept_fields.written(&run.object.kind, &run.dropped);
    hold::tell_other_writer(run, ctx);
    match advanced {
        Ok(()) => finish(run, Known::Fresh, ctx).await,
        Err(not_done) => report(run, not_done, ctx).await,
    }
}

/// Fails a run whose reconcile panicked: tried again, the same inputs would panic again, also after a restart. The next runs
/// of the application go on.
async fn panicked(run: &mut Run, panic: &Panic, ctx: &Context) -> Action {
    tracing::error!(run = %run.title(), %panic, "reconcile of a run panicked, the run fails; report it, this is a fault of the controller");
    ctx.metrics.panicked("reconcile", &run.object.kind);
    run.revert();
    if run.is_finished() {
        // Its end is on record. What is left to release is tried again.
        return Action::requeue(PANICKED_PAUSE);
    }
    let failed = NotDone::failed(reasons::INTERNAL_ERROR, INTERNAL_ERROR);
    match contained(report(run, failed, ctx)).await {
        Ok(action) => action,
        Err(panic) => {
            tracing::error!(run = %run.title(), %panic, "the end of a run panicked, only its failure is recorded");
            record_failure(run, ctx).await
        }
    }
}

/// Writes that a run failed, and does nothing else for its end: the next reconcile does, once the failure is on record.
async fn record_failure(run: &mut Run, ctx: &Context) -> Action {
    run.revert();
    if run.mode != Mode::Cleanup {
        run.status.fail(reasons::INTERNAL_ERROR, INTERNAL_ERROR, ctx.clock.now());
        if let Err(error) = save(run, "writing the status", &ctx.state.runs).await {
            tracing::warn!(run = %run.title(), error = %chain(&error), "status not written, will try again");
        }
    }
    Action::requeue(PANICKED_PAUSE)
}

/// Takes a run further. `Ok` means that the run has ended, and that its end is written.
async fn advance(run: &mut Run, ctx: &Context) -> Result<(), NotDone> {
    if run.status.run.is_none() {
        hold::check_record(run, ctx).await?;
        let inputs = resolve::resolve(run, ctx).await?;
        let (deadline, now) = (ctx.settings.run_deadline, ctx.clock.now());
        let (before, marked) = (run.status.clone(), run.marks.begun);
        let (takes_steps, backup) = (inputs.component.world() == World::Resource, inputs.backup.clone());
        let begun = begin::begin(run, inputs, &ctx.records, &ctx.state.runs, deadline, now).await;
        if begun.is_err() {
            look_at_backup(run, ctx);
        }
        begun?;
        hold::check_beginning(run, before, ctx)?;
        if takes_steps && run.marks.begun && !marked {
            ctx.state.step_caches.put(&run.uid, StepCache::of_begun(backup));
        }
    } else {
        hold::check_restored(run)?;
    }
    let registry = &ctx.components.registry;
    let ending = cancel::facts(run, registry).ending(ctx.clock.now(), ctx.settings.undo_deadline);
    cancel::check_undo_deadline(run, ending)?;
    let pinned = pinned::load(run, registry, &ctx.records.revisions).await?;
    resolve::lock::resume(run, ctx).await?;
    match pinned.component.world() {
        World::Pod => pod(run, &pinned, ctx).await,
        World::Resource => steps(run, &pinned, ctx).await,
    }
}

/// Has the Backup of a restore looked at that has not begun after all: it may be held already, and nothing else leads to it if
/// the run turns out to have ended.
fn look_at_backup(run: &Run, ctx: &Context) {
    if let RunSpec::Restore(spec) = &run.spec
        && let Some(backup) = ctx.stores.backup(Some(run.namespace()), &spec.backup_ref.name)
    {
        ctx.state.queues.add(Request::new(Kind::Backup, backup.as_ref()));
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
    use backstay_api::BackupJob;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;
    use crate::state::run::tests::{BACKUP_JOB, begun, changed, stored_run};
    use crate::state::step_cache::StepCache;

    const PATH: &str = "/apis/backups.cozystack.io/v1alpha1/namespaces/n/backupjobs/a";

    fn backup_job() -> Value {
        json!({"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 1},
            "spec": {"backupClassName": "c", "applicationRef": {"kind": "App", "name": "app"}}})
    }

    fn stored(server: &StandIn) -> Run {
        let job: BackupJob =
            serde_json::from_value(server.get(PATH).expect("it is there")).expect("it decodes");
        Run::from(&job)
    }

    async fn panic() -> Panic {
        contained(async { panic!("secret=hunter2") }).await.expect_err("it panicked")
    }

    /// Panics in a reconcile of the stored run, by `recorder`, and checks that the failure is on record and ends the run for
    /// good, also for a controller that starts anew.
    async fn fails(recorder: impl AsyncFn(&mut Run, &Context) -> Action) {
        let server = StandIn::default();
        server.put(PATH, backup_job());
        let (ctx, _writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        let mut run = stored(&server);
        run.status.running("half of a change", ctx.clock.now());
        let _ = recorder(&mut run, &ctx).await;
        let status = server.get(PATH).expect("it is there")["status"].clone();
        assert_eq!(status["phase"], "Failed", "{status}");
        let ready = status["conditions"].as_array().expect("a list").iter().find(|c| c["type"] == "Ready");
        assert_eq!(ready.expect("it is there")["reason"], "InternalError");
        assert!(!status.to_string().contains("hunter2"), "{status}");
        let (after, _writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        server.sent();
        assert_eq!(reconcile(stored(&server), after).await, Action::await_change());
        assert_eq!(server.calls(), [""; 0], "it is not tried again");
    }

    #[tokio::test]
    async fn a_run_whose_reconcile_panicked_fails_and_is_not_tried_again_by_the_next_start() {
        fails(async |run, ctx| {
            let action = panicked(run, &panic().await, ctx).await;
            assert!(
                ctx.metrics.text().contains("backstay_panics_total{part=\"reconcile\",kind=\"BackupJob\"} 1")
            );
            action
        })
        .await;
    }

    #[tokio::test]
    async fn where_the_end_of_a_run_panics_too_its_failure_is_recorded_all_the_same() {
        fails(async |run, ctx| record_failure(run, ctx).await).await;
    }

    #[tokio::test]
    async fn nothing_is_done_for_a_run_that_is_gone_while_the_watch_lags_behind() {
        let server = StandIn::default();
        server.put(PATH, backup_job());
        let ctx = crate::context::tests::empty(server.client());
        let shown: BackupJob = serde_json::from_value(server.get(PATH).expect("it is there")).expect("a run");
        let backup_jobs = &ctx.stores.indexes.backup_jobs;
        backup_jobs.put(None, &Arc::new(shown.clone()));
        server.remove(PATH);
        // Its class is missing, and the status that says so is not found.
        assert_eq!(reconcile(Run::from(&shown), ctx.clone()).await, Action::await_change());
        assert!(server.calls().iter().any(|call| call.starts_with("PATCH")), "it was taken for there");
        server.sent();
        // Its Jobs, its application and its class have it reconciled again.
        for _ in 0..2 {
            assert_eq!(reconcile(Run::from(&shown), ctx.clone()).await, Action::await_change());
        }
        assert_eq!(server.calls(), [""; 0]);
        backup_jobs.remove(&shown);
        ctx.gone("u");
        assert_eq!(
            ctx.state.runs.uids(),
            [""; 0],
            "the watch does not show it either, and forgets it no more"
        );
    }

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
