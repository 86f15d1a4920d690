//! Workers: each reconciles the objects of one queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_core::contract::GroupKind;
use backstay_core::retry;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube::Resource;
use kube::runtime::reflector::Store;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tracing::{Instrument, info_span};

use super::{background, compare, crds, held_backups, time};
use crate::cluster::dynamic::strategy_resource;
use crate::context::Context;
use crate::panics::contained;
use crate::polls::timed;
use crate::reconcile::{backup, ended, plan, run, strategy};
use crate::state::queues::{Key, Kind, backup_job_priority, restore_job_priority};
use crate::state::run::Run;
use crate::state::work_queue::{Action, Priority, WorkQueue};

/// Runs the workers and the background work, each as a task of its own, until `shutdown` is done and what was begun is
/// finished.
pub(super) async fn workers(ctx: &Arc<Context>, shutdown: impl Future<Output = ()> + Clone + Send + 'static) {
    let mut tasks = JoinSet::new();
    let until = || shutdown.clone();
    for served in ctx.components.registry.iter().flat_map(|component| &component.descriptor().kinds) {
        let (kind, resource) = (GroupKind::from(served), strategy_resource(served));
        let Some(store) = ctx.stores.strategies.get(&kind).cloned() else { continue };
        let of = resource.clone();
        let get = move |key: &Key| store.get(&key.reference(&of));
        let queue = Source::new(Kind::Strategy(kind), get, other);
        tasks.spawn(work(queue, ctx.clone(), until(), move |object, ctx| {
            strategy::reconcile(resource.clone(), object, ctx)
        }));
    }
    let backup_jobs = Source::of(Kind::BackupJob, &ctx.stores.backup_jobs, backup_job_priority);
    tasks.spawn(work(backup_jobs, ctx.clone(), until(), |job, ctx| run::reconcile(Run::from(&*job), ctx)));
    let restore_jobs = Source::of(Kind::RestoreJob, &ctx.stores.restore_jobs, restore_job_priority);
    tasks.spawn(work(restore_jobs, ctx.clone(), until(), |job, ctx| run::reconcile(Run::from(&*job), ctx)));
    let shown = ctx.stores.backups.clone();
    let get = move |key: &Key| shown.get(key.namespace.as_deref().unwrap_or_default(), &key.name);
    let backups = Source::new(Kind::Backup, get, other);
    tasks.spawn(work(backups, ctx.clone(), until(), backup::reconcile));
    let plans = Source::of(Kind::Plan, &ctx.stores.plans, other);
    tasks.spawn(work(plans, ctx.clone(), until(), plan::reconcile));
    keep(&mut tasks, "finalizers", ctx, until(), held_backups::settle);
    keep(&mut tasks, "schemas", ctx, until(), crds::watch);
    keep(&mut tasks, "collection", ctx, until(), background::collect);
    keep(&mut tasks, "turns", ctx, until(), background::drain);
    keep(&mut tasks, "memory", ctx, until(), compare::compare);
    keep(&mut tasks, "time", ctx, until(), time::keep);
    keep(&mut tasks, "records", ctx, until(), background::delete_records);
    keep(&mut tasks, "credentials", ctx, until(), background::project_credentials);
    tasks.join_all().await;
}

/// Runs work in the background until `until`, as a task of its own.
fn keep<U, W, F>(tasks: &mut JoinSet<()>, what: &'static str, ctx: &Arc<Context>, until: U, work: W)
where
    U: Clone + Send + 'static,
    W: Fn(Arc<Context>, U) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let of = ctx.clone();
    tasks.spawn(restarted(what, ctx.clone(), move || work(of.clone(), until.clone())));
}

/// Runs work in the background, and runs it anew after a pause whenever it panics.
async fn restarted<F: Future<Output = ()>>(what: &'static str, ctx: Arc<Context>, work: impl Fn() -> F) {
    let mut panics = 0;
    while let Err(panic) = timed(format!("background {what}"), &ctx.metrics, contained(work())).await {
        panics += 1;
        tracing::error!(what, %panic, "background work panicked, will try again; report it, this is a fault of the controller");
        ctx.metrics.panicked("background", what);
        tokio::time::sleep(pause(panics)).await;
    }
}

/// Returns the pause after so many panics in a row: longer than after failures of others, since nothing changes by itself.
fn pause(panics: u32) -> Duration {
    retry::backoff(panics.saturating_add(2))
}

/// Returns the object of a key as its watch shows it.
type Get<K> = Box<dyn Fn(&Key) -> Option<Arc<K>> + Send + Sync>;

/// The objects that a worker reconciles.
struct Source<K> {
    kind: Kind,
    get: Get<K>,
    /// Priority of an object whose requeue is due.
    priority: fn(&K) -> Priority,
}

impl<K> Source<K> {
    fn new(
        kind: Kind,
        get: impl Fn(&Key) -> Option<Arc<K>> + Send + Sync + 'static,
        priority: fn(&K) -> Priority,
    ) -> Self {
        Self { kind, get: Box::new(get), priority }
    }

    /// The objects of a store.
    fn of(kind: Kind, store: &Store<K>, priority: fn(&K) -> Priority) -> Self
    where
        K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
    {
        let store = store.clone();
        Self::new(kind, move |key| store.get(&key.reference(&())), priority)
    }
}

/// The priority of every object of a kind that does not begin and has no results.
fn other<K>(_: &K) -> Priority {
    Priority::Continue
}

/// Reconciles the objects of a queue as the store has them. An object that the store does not have no longer exists, or is a run
/// that has ended; if it vanished while it was reconciled, what that has put into the memory of the process is forgotten.
async fn work<K, R, F>(
    source: Source<K>,
    ctx: Arc<Context>,
    until: impl Future<Output = ()> + Send,
    reconcile: R,
) where
    K: Resource + Send + Sync + 'static,
    R: Fn(Arc<K>, Arc<Context>) -> F + Send + Sync,
    F: Future<Output = Action> + Send,
{
    let Some(queue) = ctx.state.queues.of(&source.kind) else { return };
    let object = |key: &Key| (source.get)(key);
    let priority = |key: &Key| object(key).map_or(Priority::Begin, |object| (source.priority)(&object));
    // How often in a row the reconcile of an object panicked.
    let panics = Mutex::new(HashMap::<Key, u32>::new());
    let reconcile = |key: &Key| {
        let span = info_span!("reconcile", kind = %source.kind, object = %key);
        let found = object(key);
        let uid = found.as_ref().and_then(|object| object.meta().uid.clone());
        let (reconcile, kind, panics) = (&reconcile, &source.kind, &panics);
        let (object, key, ctx) = (&object, key.clone(), ctx.clone());
        async move {
            let Some(found) = found else {
                panics.lock().remove(&key);
                return ended::reconcile(kind, &key, &ctx).await;
            };
            let _begun = ctx.state.reconciling.begin(uid.as_deref().unwrap_or_default());
            let action = match contained(async { reconcile(found, ctx.clone()).await }).await {
                Ok(action) => {
                    panics.lock().remove(&key);
                    action
                }
                Err(panic) => {
                    tracing::error!(%panic, "reconcile panicked, will try again; report it, this is a fault of the controller");
                    ctx.metrics.panicked("reconcile", &kind.to_string());
                    let mut panics = panics.lock();
                    let panics = panics.entry(key.clone()).or_default();
                    *panics += 1;
                    Action::requeue(pause(*panics))
                }
            };
            if object(&key).is_some_and(|object| object.meta().uid == uid) {
                return action;
            }
            let uid = uid.as_deref().unwrap_or_default();
            // A run may have ended by a write whose answer was lost, or something failed at its end: it is read.
            let reads = action != Action::await_change() && matches!(kind, Kind::BackupJob | Kind::RestoreJob);
            match reads {
                true => ctx.state.ends.add(kind.clone(), key, uid),
                false => ctx.state.ends.done(kind, &key),
            }
            // The watch reported that the object is gone, or the run has ended; nobody would do so again.
            ctx.forget(uid);
            if reads { action } else { Action::await_change() }
        }
        .instrument(span)
    };
    let drained = drain(queue, until, priority, reconcile);
    timed(format!("reconcile {}", source.kind), &ctx.metrics, drained).await;
}

/// Takes objects from a queue and reconciles them concurrently, until `until` is done and what was begun is finished.
/// Reconcilers are infallible: they report their own errors and return when to requeue.
async fn drain<F: Future<Output = Action>>(
    queue: &WorkQueue<Key>,
    until: impl Future<Output = ()>,
    priority: impl Fn(&Key) -> Priority,
    reconcile: impl Fn(&Key) -> F,
) {
    let mut running = FuturesUnordered::new();
    futures::pin_mut!(until);
    loop {
        while let Some(key) = queue.next(&priority) {
            let reconciled = reconcile(&key);
            running.push(async move { (key, reconciled.await) });
        }
        tokio::select! {
            biased;
            () = &mut until => break,
            Some((key, action)) = running.next() => queue.done(&key, action),
            () = queue.changed() => {}
        }
    }
    while running.next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use backstay_api::BackupJob;
    use backstay_core::contract::Mode;
    use backstay_core::strategy_kind::strategy_kind;
    use futures::FutureExt;
    use kube::runtime::watcher::Event;
    use parking_lot::Mutex;
    use tokio::sync::oneshot;

    use backstay_api::Plan;
    use kube::ResourceExt;
    use kube::runtime::watcher;
    use serde_json::json;

    use super::super::start::context;
    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::settings::Settings;
    use crate::state::run::tests::{BACKUP_JOB, begun, stored_run};
    use crate::state::step_cache::StepCache;

    fn key(name: impl ToString) -> Key {
        Key { namespace: Some("n".to_owned()), name: name.to_string() }
    }

    #[tokio::test]
    async fn a_result_is_reconciled_among_the_next_while_a_thousand_runs_begin() {
        const CONCURRENCY: usize = 16;
        let queue = WorkQueue::new(CONCURRENCY);
        (0..1000).for_each(|run| queue.add(key(run), Priority::Begin));
        let reconciled = Mutex::new(Vec::new());
        let (most, running) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (all, done) = oneshot::channel::<()>();
        let all = Mutex::new(Some(all));
        let reconcile = |key: &Key| {
            let name = key.name.clone();
            let (reconciled, queue, all) = (&reconciled, &queue, &all);
            let (most, running) = (&most, &running);
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                // The Job of a run ends while the hundredth begins.
                if name == "100" {
                    queue.add(self::key("result"), Priority::Result);
                }
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::Relaxed);
                reconciled.lock().push(name);
                if reconciled.lock().len() == 1001 {
                    all.lock().take();
                }
                Action::await_change()
            }
        };
        drain(&queue, done.map(drop), |_| Priority::Begin, reconcile).await;

        let reconciled = reconciled.into_inner();
        let place = |name: &str| reconciled.iter().position(|n| n == name).expect("it was reconciled");
        assert!(place("result") <= place("100") + CONCURRENCY, "{} {}", place("result"), place("100"));
        assert!(most.into_inner() <= CONCURRENCY);
        assert_eq!(reconciled.len(), 1001);
    }

    /// Everything that a reconcile puts into the memory of the process after the watch has reported that its run is gone.
    #[tokio::test]
    async fn a_run_that_vanishes_while_it_is_reconciled_leaves_nothing_in_memory() {
        let server = StandIn::default();
        let (ctx, mut writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        let run = stored_run(Mode::Backup, begun(100), &server);
        let target = run.target().expect("it has begun");
        let mut waiter = run.clone();
        (waiter.uid, waiter.created) = ("waiter".to_owned(), 9);
        let strategy = run.status.run.as_ref().and_then(|r| r.strategy_ref.as_ref()).and_then(strategy_kind);
        let strategy = strategy.expect("it has a kind");
        let shown: BackupJob =
            serde_json::from_value(server.get(BACKUP_JOB).expect("it is stored")).expect("a run");
        writers.backup_jobs.apply_watcher_event(&Event::Apply(shown.clone()));
        let queue = ctx.state.queues.of(&Kind::BackupJob).expect("there is a queue");
        queue.add(
            Key { namespace: Some("tenant-a".to_owned()), name: "nightly".to_owned() },
            Priority::Continue,
        );

        let (finished, until) = oneshot::channel::<()>();
        let (finished, writers) = (Mutex::new(Some(finished)), Mutex::new(writers));
        let source = Source::of(Kind::BackupJob, &ctx.stores.backup_jobs, backup_job_priority);
        let reconcile = |_: Arc<BackupJob>, ctx: Arc<Context>| {
            let (run, shown, target, strategy) = (&run, &shown, &target, &strategy);
            let (waiter, writers, finished) = (&waiter, &writers, &finished);
            async move {
                writers.lock().backup_jobs.apply_watcher_event(&Event::Delete(shown.clone()));
                ctx.forget(&run.uid);
                tokio::task::yield_now().await;
                let acquired = ctx.state.locks.try_acquire(run, target, strategy);
                assert_eq!(acquired, (Ok(()), Vec::new()));
                assert!(ctx.state.locks.try_acquire(waiter, target, strategy).0.is_err());
                ctx.state.step_caches.put(&run.uid, StepCache::default());
                ctx.state.runs.failed(&run.uid);
                ctx.state.watch_pool.wait_for(&run.object, &run.uid, Vec::new());
                ctx.state.open_slots.refused(&run.uid, jiff::Timestamp::UNIX_EPOCH, "refused".to_owned());
                finished.lock().take();
                Action::requeue(Duration::from_secs(1))
            }
        };
        work(source, ctx.clone(), until.map(drop), reconcile).await;

        assert!(
            ctx.state.draining.contains(&run.uid),
            "its lock is kept until its pods are known to be gone"
        );
        let (state, key) = (&ctx.state, Key::of(&shown));
        assert!(state.ends.uid(&Kind::BackupJob, &key).is_some(), "it may have ended, and is read");
        assert_eq!(ended::reconcile(&Kind::BackupJob, &key, &ctx).await, Action::await_change());
        assert_eq!(state.ends.uid(&Kind::BackupJob, &key), None);
        let kept =
            [state.step_caches.uids(), state.runs.uids(), state.watch_pool.uids(), state.open_slots.uids()];
        assert_eq!(kept.concat(), [""; 0]);
        assert_eq!(queue.next(|_| Priority::Begin), None, "it is not looked at again");
    }

    #[tokio::test]
    async fn a_panic_of_one_object_is_counted_and_tried_again_after_a_pause_and_hits_no_other() {
        let server = StandIn::default();
        let (ctx, mut writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        for name in ["bad", "good"] {
            let plan: Plan = serde_json::from_value(json!({"metadata": {"name": name, "namespace": "n"},
                "spec": {"applicationRef": {"kind": "App", "name": "app"}, "backupClassName": "c",
                    "schedule": {"type": "cron", "cron": "0 0 * * *"}}}))
            .expect("it decodes");
            writers.plans.apply_watcher_event(&watcher::Event::Apply(plan));
        }
        let queue = ctx.state.queues.of(&Kind::Plan).expect("there is a queue");
        queue.add(key("bad"), Priority::Continue);
        queue.add(key("good"), Priority::Continue);
        let (seen, (end, ended)) = (Arc::new(Mutex::new(Vec::new())), oneshot::channel::<()>());
        let (reconciled, end, began) = (seen.clone(), Mutex::new(Some(end)), Instant::now());
        let reconcile = move |plan: Arc<Plan>, _| {
            let name = plan.name_any();
            reconciled.lock().push((name.clone(), began.elapsed()));
            if reconciled.lock().len() == 3 {
                end.lock().take();
            }
            async move {
                assert!(name == "good", "no plan\nfor {name}");
                Action::await_change()
            }
        };
        let source = Source::of(Kind::Plan, &ctx.stores.plans, other);
        work(source, ctx.clone(), ended.map(drop), reconcile).await;

        let seen = seen.lock().clone();
        let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["bad", "good", "bad"]);
        assert!(seen[2].1 >= pause(1) && pause(1) >= Duration::from_secs(1), "{seen:?}");
        assert!(ctx.metrics.text().contains("backstay_panics_total{part=\"reconcile\",kind=\"Plan\"} 2"));
    }

    #[test]
    fn the_pause_after_panics_grows_to_a_minute() {
        assert!((1..20).map(pause).is_sorted() && pause(1) < pause(2));
        assert_eq!(pause(u32::MAX), Duration::from_mins(1));
    }

    #[tokio::test]
    async fn work_in_the_background_that_panics_is_begun_anew() {
        let server = StandIn::default();
        let (ctx, _writers, _poster) = context(server.client(), Registry::default(), Settings::default());
        let begun = AtomicUsize::new(0);
        let work = || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) == 1, "not yet");
        };
        restarted("collection", ctx.clone(), work).await;
        assert_eq!(begun.load(Ordering::Relaxed), 2);
        let counted = "backstay_panics_total{part=\"background\",kind=\"collection\"} 1";
        assert!(ctx.metrics.text().contains(counted));
    }

    #[tokio::test]
    async fn what_was_begun_is_finished_and_nothing_more_is_begun_once_the_worker_is_told_to_stop() {
        let queue = WorkQueue::new(1);
        queue.add(key("begun"), Priority::Continue);
        queue.add(key("waiting"), Priority::Continue);
        let finished = Mutex::new(Vec::new());
        let reconcile = |key: &Key| {
            let (name, finished) = (key.name.clone(), &finished);
            async move {
                tokio::task::yield_now().await;
                finished.lock().push(name);
                Action::await_change()
            }
        };
        drain(&queue, std::future::ready(()), |_| Priority::Continue, reconcile).await;
        assert_eq!(finished.into_inner(), ["begun"]);
    }
}
