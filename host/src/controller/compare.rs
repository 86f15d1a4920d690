//! Compares what the process keeps in memory by uid with what exists, and mends differences.
//!
//! Watches and reconciles keep the memory right: an object that is gone is forgotten. This is a net under them. What it finds is
//! a defect, or an event that never came, so it is logged and counted.

use std::collections::HashSet;
use std::sync::Arc;

use backstay_api::{BackupJob, Plan, RestoreJob, phase};

use super::background::periodically;
use super::triggers::is_finalized;
use crate::context::Context;
use crate::informers::stores::Stores;
use crate::informers::watcher::let_others_go;
use crate::state::ends::Ends;
use crate::state::queues::{Key, Kind, Request};

/// A difference: what differs, and the uid.
type Difference = (&'static str, String);

/// Compares once in a `--recheck`, until `until`.
pub(crate) async fn compare(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    let before = parking_lot::Mutex::new(HashSet::new());
    periodically(ctx.settings.recheck, until, || async {
        let seen = std::mem::take(&mut *before.lock());
        *before.lock() = pass(&seen, &ctx).await;
    })
    .await;
}

/// Mends the differences that the pass before had found too, and returns the new ones: a reconcile that is going on may differ
/// for a while.
async fn pass(before: &HashSet<Difference>, ctx: &Context) -> HashSet<Difference> {
    let mut found = HashSet::new();
    let state = &ctx.state;
    for (what, uids) in [
        ("lock", state.locks.uids()),
        ("run", state.runs.uids()),
        ("steps", state.step_caches.uids()),
        ("watch", state.watch_pool.uids()),
        ("evidence", ctx.stores.evidence.uids()),
        ("slot", state.open_slots.uids()),
    ] {
        for (number, uid) in uids.into_iter().enumerate() {
            let_others_go(number).await;
            // The lock of a run whose object is gone is kept as long as its pods may run.
            if exists(&uid, &ctx.stores, &state.ends) || what == "lock" && state.draining.contains(&uid) {
                continue;
            }
            if mended(what, &uid, "", before, &mut found, ctx) {
                ctx.forget(&uid);
            }
        }
    }
    for (number, (namespace, uid)) in ctx.stores.job_pods.all().into_iter().enumerate() {
        let_others_go(number).await;
        if !ctx.stores.indexes.jobs.has_uid(&uid) && mended("pods", &uid, "", before, &mut found, ctx) {
            ctx.stores.job_pods.forget(&namespace, &uid);
        }
    }
    unqueued(before, &mut found, ctx).await;
    found
}

/// Notes a difference, of an object with a uid or a name. Returns whether it is to be mended now.
fn mended(
    what: &'static str,
    uid: &str,
    object: &str,
    before: &HashSet<Difference>,
    found: &mut HashSet<Difference>,
    ctx: &Context,
) -> bool {
    let difference = (what, uid.to_owned());
    if !before.contains(&difference) {
        found.insert(difference);
        return false;
    }
    tracing::warn!(what, uid, object, "memory of the process differed from the cluster, and was mended");
    ctx.metrics.mended(what);
    true
}

/// Returns whether there is an object of this uid among those of which something is kept in memory.
fn exists(uid: &str, stores: &Stores, ends: &Ends) -> bool {
    stores.has_run(uid)
        || ends.has_uid(uid)
        || stores.indexes.plans.has_uid(uid)
        || stores
            .strategies
            .values()
            .any(|s| s.find(|object| object.metadata.uid.as_deref() == Some(uid)).is_some())
}

/// Enqueues what is neither queued, nor due later, nor being reconciled, although it goes on.
async fn unqueued(before: &HashSet<Difference>, found: &mut HashSet<Difference>, ctx: &Context) {
    let stores = &ctx.stores;
    for (number, job) in stores.backup_jobs.state().iter().enumerate() {
        let_others_go(number).await;
        if backup_job_goes_on(job) {
            enqueue(Request::backup_job(job), job.metadata.uid.as_deref(), before, found, ctx);
        }
    }
    for (number, job) in stores.restore_jobs.state().iter().enumerate() {
        let_others_go(number).await;
        if restore_job_goes_on(job) {
            enqueue(Request::restore_job(job), job.metadata.uid.as_deref(), before, found, ctx);
        }
    }
    for (number, backup) in stores.backups.all().enumerate() {
        let_others_go(number).await;
        if is_finalized(&backup) && backup.metadata.deletion_timestamp.is_some() {
            let request = Request::new(Kind::Backup, backup.as_ref());
            enqueue(request, backup.metadata.uid.as_deref(), before, found, ctx);
        }
    }
    for (number, plan) in stores.plans.state().iter().enumerate() {
        let_others_go(number).await;
        if plan_goes_on(plan) {
            enqueue(
                Request::new(Kind::Plan, plan.as_ref()),
                plan.metadata.uid.as_deref(),
                before,
                found,
                ctx,
            );
        }
    }
}

fn enqueue(
    request: Request,
    uid: Option<&str>,
    before: &HashSet<Difference>,
    found: &mut HashSet<Difference>,
    ctx: &Context,
) {
    let has = |key: &Key| ctx.state.queues.of(&request.kind).is_none_or(|queue| queue.has(key));
    if has(&request.key) {
        return;
    }
    let object = format!("{} {}", request.kind, request.key);
    if mended("queue", uid.unwrap_or_default(), &object, before, found, ctx) {
        ctx.state.queues.add(request);
    }
}

/// Returns whether this controller has begun with a run, or has had it wait, and the run has not ended.
fn backup_job_goes_on(job: &BackupJob) -> bool {
    job.metadata.deletion_timestamp.is_none()
        && job
            .status
            .as_ref()
            .is_some_and(|s| goes_on(s.run.is_some(), s.waiting_since.is_some(), s.phase.as_deref()))
}

/// See [`backup_job_goes_on`].
fn restore_job_goes_on(job: &RestoreJob) -> bool {
    job.metadata.deletion_timestamp.is_none()
        && job
            .status
            .as_ref()
            .is_some_and(|s| goes_on(s.run.is_some(), s.waiting_since.is_some(), s.phase.as_deref()))
}

fn goes_on(has_begun: bool, waits: bool, phase: Option<&str>) -> bool {
    (has_begun || waits) && !phase::is_terminal(phase)
}

fn plan_goes_on(plan: &Plan) -> bool {
    plan.metadata.deletion_timestamp.is_none()
        && plan.spec.suspend != Some(true)
        && plan.status.as_ref().is_some_and(|status| status.next_slot.is_some())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use backstay_core::contract::Mode;
    use jiff::Timestamp;
    use kube::runtime::watcher::Event;
    use serde_json::json;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;
    use crate::state::run::Run;
    use crate::state::run::tests::{begun, stored_run};
    use crate::state::step_cache::StepCache;
    use crate::state::work_queue::{Action, Priority};

    fn mended(ctx: &Context) -> Vec<String> {
        let text = ctx.metrics.text();
        let of = |line: &str| line.strip_prefix("backstay_memory_mended_total{what=\"").map(str::to_owned);
        let mut lines: Vec<_> = text.lines().filter_map(of).collect();
        lines.sort();
        lines
    }

    /// Puts everything into the memory that a reconcile of a run can leave there.
    fn remember(run: &Run, ctx: &Context) {
        ctx.restore_lock(run);
        ctx.state.runs.failed(&run.uid);
        ctx.state.step_caches.put(&run.uid, StepCache::default());
        ctx.state.open_slots.refused(&run.uid, Timestamp::UNIX_EPOCH, "a slot".to_owned());
        let job = json!({"metadata": {"name": "j", "namespace": "tenant-a", "uid": "j"}});
        ctx.stores.evidence.job_gone(&serde_json::from_value(job).expect("a Job"), &run.uid);
    }

    fn remembered(ctx: &Context) -> usize {
        let state = &ctx.state;
        let kept = [state.locks.uids(), state.runs.uids(), state.step_caches.uids(), state.open_slots.uids()];
        kept.concat().len() + ctx.stores.evidence.uids().len()
    }

    #[tokio::test]
    async fn what_is_kept_of_a_run_that_no_longer_exists_is_forgotten_at_the_second_look_and_counted() {
        let server = StandIn::default();
        let (ctx, _writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        let run = stored_run(Mode::Backup, begun(100), &server);
        remember(&run, &ctx);
        let first = pass(&HashSet::new(), &ctx).await;
        assert_eq!((first.len(), remembered(&ctx)), (5, 5), "a reconcile may be going on");
        assert_eq!(mended(&ctx), [""; 0]);
        assert!(pass(&first, &ctx).await.is_empty());
        assert_eq!(remembered(&ctx), 1);
        assert!(
            ctx.state.draining.contains(&run.uid),
            "its lock is kept until its pods are known to be gone"
        );
        assert_eq!(mended(&ctx), ["evidence\"} 1", "lock\"} 1", "run\"} 1", "slot\"} 1", "steps\"} 1"]);
    }

    #[tokio::test]
    async fn what_is_kept_of_a_run_that_exists_stays_and_one_that_nothing_leads_to_is_enqueued() {
        let server = StandIn::default();
        let (ctx, mut writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        let run = stored_run(Mode::Backup, begun(100), &server);
        remember(&run, &ctx);
        let shown = server.get(crate::state::run::tests::BACKUP_JOB).expect("it is stored");
        writers
            .backup_jobs
            .apply_watcher_event(&Event::Apply(serde_json::from_value(shown).expect("it decodes")));
        ctx.stores.index();

        let first = pass(&HashSet::new(), &ctx).await;
        assert_eq!(first.iter().map(|(what, _)| *what).collect::<Vec<_>>(), ["queue"]);
        let queue = ctx.state.queues.of(&Kind::BackupJob).expect("there is a queue");
        assert_eq!(queue.next(|_| Priority::Continue), None);
        assert!(pass(&first, &ctx).await.is_empty());
        assert_eq!(remembered(&ctx), 5);
        assert_eq!(mended(&ctx), ["queue\"} 1"]);

        let key = queue.next(|_| Priority::Continue).expect("it is enqueued");
        assert!(pass(&HashSet::new(), &ctx).await.is_empty(), "it is being reconciled");
        queue.done(&key, Action::requeue(Duration::from_secs(60)));
        assert!(pass(&HashSet::new(), &ctx).await.is_empty(), "it is due later");
    }

    #[tokio::test]
    async fn the_pods_of_a_job_that_no_longer_exists_are_forgotten() {
        let (ctx, _writers, _poster) =
            context(StandIn::default().client(), Registry::default(), Settings::default());
        let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "gone", "controller": true}]);
        let pod = json!({"metadata": {"name": "p", "namespace": "n", "uid": "p", "ownerReferences": owner}});
        ctx.stores.job_pods.shown(&serde_json::from_value(pod).expect("a pod"));
        let first = pass(&HashSet::new(), &ctx).await;
        assert!(pass(&first, &ctx).await.is_empty());
        assert!(ctx.stores.job_pods.all().is_empty());
        assert_eq!(mended(&ctx), ["pods\"} 1"]);
    }
}
