//! Workers: each reconciles the objects of one queue.

use std::hash::Hash;
use std::sync::Arc;

use backstay_core::contract::GroupKind;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use kube::Resource;
use kube::runtime::reflector::Store;
use tokio::task::JoinSet;
use tracing::{Instrument, info_span};

use super::{background, compare, time};
use crate::cluster::dynamic::strategy_resource;
use crate::context::Context;
use crate::reconcile::{backup, plan, run, strategy};
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
        let queue = Source { kind: Kind::Strategy(kind), store, resource: resource.clone(), priority: other };
        tasks.spawn(work(queue, ctx.clone(), until(), move |object, ctx| {
            strategy::reconcile(resource.clone(), object, ctx)
        }));
    }
    let backup_jobs = Source::new(Kind::BackupJob, &ctx.stores.backup_jobs, backup_job_priority);
    tasks.spawn(work(backup_jobs, ctx.clone(), until(), |job, ctx| run::reconcile(Run::from(&*job), ctx)));
    let restore_jobs = Source::new(Kind::RestoreJob, &ctx.stores.restore_jobs, restore_job_priority);
    tasks.spawn(work(restore_jobs, ctx.clone(), until(), |job, ctx| run::reconcile(Run::from(&*job), ctx)));
    let backups = Source::new(Kind::Backup, &ctx.stores.backups, other);
    tasks.spawn(work(backups, ctx.clone(), until(), backup::reconcile));
    let plans = Source::new(Kind::Plan, &ctx.stores.plans, other);
    tasks.spawn(work(plans, ctx.clone(), until(), plan::reconcile));
    tasks.spawn(background::collect(ctx.clone(), until()));
    tasks.spawn(background::drain(ctx.clone(), until()));
    tasks.spawn(compare::compare(ctx.clone(), until()));
    tasks.spawn(time::keep(ctx.clone(), until()));
    tasks.spawn(background::delete_records(ctx.clone(), until()));
    tasks.spawn(background::project_credentials(ctx.clone(), until()));
    tasks.join_all().await;
}

/// The objects that a worker reconciles.
struct Source<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    kind: Kind,
    store: Store<K>,
    resource: K::DynamicType,
    /// Priority of an object whose requeue is due.
    priority: fn(&K) -> Priority,
}

impl<K> Source<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    fn new(kind: Kind, store: &Store<K>, priority: fn(&K) -> Priority) -> Self {
        Self { kind, store: store.clone(), resource: (), priority }
    }
}

/// The priority of every object of a kind that does not begin and has no results.
fn other<K>(_: &K) -> Priority {
    Priority::Continue
}

/// Reconciles the objects of a queue as the store has them. An object that the store does not have no longer exists; if it
/// vanished while it was reconciled, what that has put into the memory of the process is forgotten.
async fn work<K, R, F>(
    source: Source<K>,
    ctx: Arc<Context>,
    until: impl Future<Output = ()> + Send,
    reconcile: R,
) where
    K: Resource + Clone + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone + Send + Sync,
    R: Fn(Arc<K>, Arc<Context>) -> F + Send,
    F: Future<Output = Action> + Send,
{
    let Some(queue) = ctx.state.queues.of(&source.kind) else { return };
    let object = |key: &Key| source.store.get(&key.reference(&source.resource));
    let priority = |key: &Key| object(key).map_or(Priority::Begin, |object| (source.priority)(&object));
    let reconcile = |key: &Key| {
        let span = info_span!("reconcile", kind = %source.kind, object = %key);
        let found = object(key);
        let uid = found.as_ref().and_then(|object| object.meta().uid.clone());
        let reconciled = found.map(|object| reconcile(object, ctx.clone()));
        let (ctx, object, key) = (&ctx, &object, key.clone());
        async move {
            let Some(reconciled) = reconciled else { return Action::await_change() };
            let action = reconciled.await;
            if object(&key).is_some_and(|object| object.meta().uid == uid) {
                return action;
            }
            // The watch reported that the object is gone; nobody would do so again.
            ctx.forget(uid.as_deref().unwrap_or_default());
            Action::await_change()
        }
        .instrument(span)
    };
    drain(queue, until, priority, reconcile).await;
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
    use std::time::Duration;

    use backstay_api::BackupJob;
    use backstay_core::contract::Mode;
    use backstay_core::strategy_kind::strategy_kind;
    use futures::FutureExt;
    use kube::runtime::watcher::Event;
    use parking_lot::Mutex;
    use tokio::sync::oneshot;

    use super::*;
    use crate::cluster::stand_in::StandIn;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
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
        let source = Source::new(Kind::BackupJob, &ctx.stores.backup_jobs, backup_job_priority);
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
                finished.lock().take();
                Action::requeue(Duration::from_secs(1))
            }
        };
        work(source, ctx.clone(), until.map(drop), reconcile).await;

        assert!(
            ctx.state.draining.contains(&run.uid),
            "its lock is kept until its pods are known to be gone"
        );
        let kept = [ctx.state.step_caches.uids(), ctx.state.runs.uids(), ctx.state.watch_pool.uids()];
        assert_eq!(kept.concat(), [""; 0]);
        assert_eq!(queue.next(|_| Priority::Begin), None, "it is not looked at again");
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
