//! Restores the locks of runs on their applications when the controller starts.
//!
//! Nothing that a run names is asked for here: the controller would be ready only once each of these calls is answered. A run
//! whose place is not known waits in [`backstay_core::unplaced`] until it is reconciled, and holds up later runs of its namespace.

use std::collections::HashMap;

use super::restore_turns::restore_turns;
use super::triggers::is_finalized;
use crate::context::Context;
use crate::informers::watcher::let_others_go;
use crate::panics::contained_call;
use crate::run::resolve::{AwaitedLock, awaited_lock};
use crate::state::run::Run;

/// Restores the locks of runs that have begun, and the places of runs that wait for a lock, before any run is reconciled.
pub(super) async fn resume(ctx: &Context) {
    let backup_jobs = ctx.stores.backup_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    let restore_jobs = ctx.stores.restore_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    // One run at a time: the memory that thousands of runs take together would stay with the process.
    let mut living = HashMap::new();
    for (done, run) in backup_jobs.chain(restore_jobs).enumerate() {
        if !run.status.is_terminal() {
            // A deleted run that has begun keeps its lock until its pods have stopped.
            if !run.deleting || run.is_held() || run.status.run.is_some() {
                restore_lock(&run, ctx);
            }
            living.insert(run.uid.clone(), run.namespace().to_owned());
        }
        let_others_go(done).await;
    }
    for (done, shown) in ctx.stores.backups.all().enumerate() {
        let_others_go(done).await;
        if is_finalized(&shown) && shown.metadata.deletion_timestamp.is_some() {
            ctx.state.locks.unplaced_cleanup(&shown.metadata);
        }
    }
    restore_turns(&living, ctx);
}

/// Restores the lock of a run, and contains its panic: one run keeps no controller from becoming ready. Such a run fails when
/// it is reconciled.
fn restore_lock(run: &Run, ctx: &Context) {
    if let Err(panic) = contained_call(|| restore(run, ctx)) {
        tracing::error!(run = %run.title(), %panic, "restoring the lock of a run panicked; report it, this is a fault of the controller");
        ctx.metrics.panicked("resume", &run.object.kind);
    }
}

/// Restores the lock of a run that has begun, or the place of a run that waits for one.
fn restore(run: &Run, ctx: &Context) {
    if run.status.run.is_some() {
        ctx.restore_lock(run);
        return;
    }
    match awaited_lock(run, ctx) {
        AwaitedLock::None => {}
        AwaitedLock::On(application, strategy) => ctx.enqueue_for_lock(run, &application, &strategy),
        AwaitedLock::OfBackup => ctx.state.locks.unplaced(run),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use backstay_api::{Backup, BackupJob, RestoreJob, TypedRef, finalizers};
    use backstay_core::contract::GroupKind;
    use k8s_openapi::api::batch::v1::Job;
    use kube::api::PartialObjectMeta;
    use kube::runtime::watcher::Event;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::informers::shelf::Shelf;
    use crate::informers::stores::Writers;
    use crate::settings::Settings;
    use crate::state::queues::Kind;
    use crate::state::work_queue::Priority;

    fn object<K: DeserializeOwned>(name: &str, second: u32, rest: &Value) -> K {
        let mut object = json!({"metadata": {"name": name, "namespace": "n", "uid": name, "generation": 1,
            "creationTimestamp": format!("2026-07-01T00:00:{second:02}Z")}});
        backstay_core::steps::merge_patch(&mut object, rest);
        serde_json::from_value(object).expect("it decodes")
    }

    fn busy() -> Value {
        json!({"phase": "Pending", "waitingSince": "2026-07-01T00:00:00Z", "conditions": [{"type": "Ready",
            "status": "False", "reason": "TargetBusy", "message": "m", "lastTransitionTime": "2026-07-01T00:00:00Z"}]})
    }

    fn waiting_restore(name: &str, second: u32, backup: &str) -> RestoreJob {
        object(name, second, &json!({"spec": {"backupRef": {"name": backup}}, "status": busy()}))
    }

    fn a_backup_job(name: &str, second: u32) -> BackupJob {
        let spec = json!({"backupClassName": "c", "applicationRef": {"kind": "App", "name": "app"}});
        object(name, second, &json!({"spec": spec}))
    }

    fn deleted_backup(name: &str) -> PartialObjectMeta<Backup> {
        let meta = json!({"deletionTimestamp": "2026-07-01T00:00:00Z", "finalizers": [finalizers::CLEANUP]});
        object(name, 0, &json!({ "metadata": meta }))
    }

    /// A controller whose stores have these RestoreJobs, these BackupJobs and these deleted Backups.
    fn given(
        server: &StandIn,
        restores: Vec<RestoreJob>,
        backup_jobs: Vec<BackupJob>,
        backups: &[&str],
    ) -> (Arc<Context>, Writers) {
        let (ctx, mut writers, _) = context(server.client(), Registry::default(), Settings::default());
        restores.into_iter().for_each(|job| writers.restore_jobs.apply_watcher_event(&Event::Apply(job)));
        backup_jobs.into_iter().for_each(|job| writers.backup_jobs.apply_watcher_event(&Event::Apply(job)));
        let backups = backups.iter().map(|name| deleted_backup(name));
        backups.for_each(|backup| drop(writers.backups.put(backup)));
        (ctx, writers)
    }

    async fn resumed(ctx: &Context) {
        let resumed = tokio::time::timeout(Duration::from_secs(5), resume(ctx)).await;
        resumed.expect("the controller is ready, whatever its runs name");
    }

    fn application(name: &str) -> TypedRef {
        TypedRef { api_group: None, kind: "App".to_owned(), name: name.to_owned() }
    }

    /// Whether a run gets the lock on an application.
    fn acquires(run: impl Into<Run>, name: &str, ctx: &Context) -> bool {
        let run: Run = run.into();
        ctx.try_lock(&run, &run.target_of(&application(name)), &GroupKind::default()).is_ok()
    }

    #[tokio::test]
    async fn nothing_that_a_run_names_is_asked_for_before_the_controller_is_ready() {
        let server = StandIn::default();
        let names = ["", "a b", "%", "../secrets/x", "missing"];
        let restores = names.iter().enumerate();
        let restores = restores.map(|(n, name)| waiting_restore(&format!("r{n}"), 1, name)).collect();
        let (ctx, _writers) = given(&server, restores, Vec::new(), &["b1", "b2"]);
        resumed(&ctx).await;
        assert_eq!(server.calls(), [""; 0]);
    }

    #[tokio::test]
    async fn f20_a_restore_that_waited_before_a_restart_keeps_its_place_though_its_target_is_not_known() {
        let server = StandIn::default();
        let restore = waiting_restore("r", 1, "backup");
        let (earlier, later) = (a_backup_job("earlier", 0), a_backup_job("later", 2));
        let (ctx, _writers) =
            given(&server, vec![restore.clone()], vec![earlier.clone(), later.clone()], &[]);
        resumed(&ctx).await;
        assert!(acquires(&earlier, "app", &ctx), "it was created before the restore");
        assert!(!acquires(&later, "other", &ctx), "the target of the restore may be this one");
        assert!(!acquires(&restore, "app", &ctx), "the earlier backup goes on");
        let queue = ctx.state.queues.of(&Kind::BackupJob).expect("there is a queue");
        assert_eq!(queue.next(|_| Priority::Begin).map(|key| key.name).as_deref(), Some("later"));
        assert!(acquires(&later, "other", &ctx), "the target of the restore is another one");
    }

    #[tokio::test]
    async fn f20_a_clean_up_whose_pods_run_goes_on_after_a_restart() {
        let server = StandIn::default();
        let (ctx, mut writers) = given(&server, Vec::new(), Vec::new(), &["b1"]);
        let turn = json!({"application": {"group": "", "kind": "App"}, "name": "app", "mode": "cleanup",
            "run": "b1", "strategy": {"group": "g", "kind": "K"}});
        let meta = json!({"labels": {"backstay.dev/run-uid": "b1"}, "annotations": {"backstay.dev/turn": turn.to_string()}});
        let job: Job = object("b1-cleanup", 1, &json!({ "metadata": meta }));
        ctx.stores.unfinished.job(&job);
        writers.jobs.apply_watcher_event(&Event::Apply(job));
        resumed(&ctx).await;
        assert!(!ctx.state.draining.contains("b1"), "its Job is not stopped");
        assert!(ctx.state.locks.is_unplaced("b1"), "it gets its lock when its Backup has been read");
    }

    #[tokio::test]
    async fn f20_a_restore_waits_until_it_is_known_which_clean_ups_have_begun() {
        let server = StandIn::default();
        let restore = waiting_restore("r", 1, "backup");
        let (ctx, _writers) = given(&server, vec![restore.clone()], Vec::new(), &["b1", "b2"]);
        resumed(&ctx).await;
        assert!(!acquires(&restore, "app", &ctx));
        ctx.needs_no_place("b1");
        assert!(!acquires(&restore, "app", &ctx));
        ctx.needs_no_place("b2");
        assert!(acquires(&restore, "app", &ctx));
    }
}
