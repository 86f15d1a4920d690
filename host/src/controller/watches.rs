//! The watches: each fills a store, updates the state of the process, and enqueues what a change triggers.

use std::sync::Arc;

use backstay_api::{
    Backup, BackupJob, BackupJobSpec, BackupJobStatus, Plan, PlanSpec, PlanStatus, RestoreJob,
    RestoreJobStatus, annotations, labels, phase,
};
use backstay_core::job::POD_RUN_ANNOTATION;
use futures::Stream;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::api::{ApiResource, DynamicObject, PartialObjectMeta};
use kube::core::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Config, Event, watcher};
use tokio::task::JoinSet;

use super::{triggers, unreadable};
use crate::cluster::api::Api;
use crate::cluster::pages::PAGE;
use crate::cluster::partial::{Invalid, Partial, PartialDecode};
use crate::context::Context;
use crate::informers::index::Index;
use crate::informers::stores::Writers;
use crate::informers::watcher::{Change, follow};
use crate::panics::contained_call;
use crate::state::queues::Request;

/// Runs all watches, each as a task of its own. Returns only if a watch panics or ends.
pub(super) async fn watches(writers: Writers, ctx: Arc<Context>) {
    let mut tasks = JoinSet::new();
    for (resource, writer) in writers.strategies {
        tasks.spawn(strategies(resource, writer, ctx.clone()));
    }
    let all = Config::default;
    let of_runs = || Config::default().labels(labels::RUN_UID);
    let of = &ctx.stores.indexes;
    let (backup_jobs, restore_jobs) = (of.backup_jobs.clone(), of.restore_jobs.clone());
    let (plans, backups, jobs) = (of.plans.clone(), of.backups.clone(), of.jobs.clone());
    tasks.spawn(watch(writers.classes, None, all(), ctx.clone(), whole, |change, ctx| {
        triggers::class(change, &ctx.stores)
    }));
    tasks.spawn(watch(
        writers.backup_jobs,
        Some(backup_jobs),
        all(),
        ctx.clone(),
        slim_backup_job,
        backup_job,
    ));
    let slim = slim_restore_job;
    tasks.spawn(watch(writers.restore_jobs, Some(restore_jobs), all(), ctx.clone(), slim, |change, ctx| {
        let phase = change.object().status.as_ref().and_then(|status| status.phase.as_deref());
        forget_run(change, phase, ctx);
        triggers::restore_job(change, &ctx.stores)
    }));
    tasks.spawn(watch(writers.plans, Some(plans), all(), ctx.clone(), slim_plan, |change, ctx| {
        if let Change::Deleted(plan) = change {
            ctx.forget(plan.metadata.uid.as_deref().unwrap_or_default());
        }
        triggers::plan(change)
    }));
    tasks.spawn(watch(writers.backups, Some(backups), all(), ctx.clone(), slim_backup, |change, ctx| {
        if let Change::Deleted(backup) = change {
            ctx.forget(backup.metadata.uid.as_deref().unwrap_or_default());
            ctx.state.deleted_backups.add(&backup.metadata);
        }
        triggers::backup(change, &ctx.stores)
    }));
    tasks.spawn(watch(writers.jobs, Some(jobs), of_runs(), ctx.clone(), whole, |change, ctx| {
        match change {
            Change::Applied { object, .. } => ctx.stores.unfinished.job(object),
            Change::Deleted(object) => ctx.stores.unfinished.job_gone(object),
        }
        wake_draining(&change.object().metadata, ctx);
        if let Change::Deleted(job) = change {
            if let Some(run) = ctx.stores.unfinished_run_of(job) {
                ctx.stores.evidence.job_gone(job, &run);
            }
            let (namespace, uid) = (job.metadata.namespace.as_deref(), job.metadata.uid.as_deref());
            ctx.stores.job_pods.forget(namespace.unwrap_or_default(), uid.unwrap_or_default());
        }
        triggers::job(change).into_iter().collect()
    }));
    tasks.spawn(watch(writers.pods, None, of_runs(), ctx, slim_pod, pod));
    tasks.join_all().await;
}

async fn strategies(resource: ApiResource, writer: Writer<DynamicObject>, ctx: Arc<Context>) {
    let api = Api::<DynamicObject>::all_with(ctx.cluster.client.clone(), &resource).watched();
    let decode = |partial: Partial<DynamicObject>| partial.0;
    let changed = |change: Change<'_, DynamicObject>| {
        if let Change::Deleted(strategy) = change {
            ctx.state.runs.forget(strategy.metadata.uid.as_deref().unwrap_or_default());
        }
        handled(change.object(), &resource, &ctx, || triggers::strategy(&change, &resource, &ctx.stores));
    };
    let invalid = |invalid: &Invalid| unreadable::report::<DynamicObject>(&resource, invalid, &ctx);
    let events = watcher(api, Config::default().page_size(PAGE));
    follow(&resource, events, writer, None, decode, invalid, changed).await;
}

/// Watches a kind. `slim` removes what the store does not keep of an object. `changed` updates the state for a change, and
/// returns what the change triggers.
async fn watch<K: PartialDecode + Resource<DynamicType = ()>>(
    writer: Writer<K>,
    index: Option<Arc<Index<K>>>,
    config: Config,
    ctx: Arc<Context>,
    slim: fn(&mut K),
    changed: fn(&Change<'_, K>, &Context) -> Vec<Request>,
) {
    let api = Api::<K>::all(ctx.cluster.client.clone()).watched();
    handle(watcher(api, config.page_size(PAGE)), writer, index, &ctx, slim, changed).await;
}

/// Handles the events of a watch; see [`watch`].
async fn handle<K: PartialDecode + Resource<DynamicType = ()>>(
    events: impl Stream<Item = watcher::Result<Event<Partial<K>>>> + Send,
    writer: Writer<K>,
    index: Option<Arc<Index<K>>>,
    ctx: &Context,
    slim: fn(&mut K),
    changed: fn(&Change<'_, K>, &Context) -> Vec<Request>,
) {
    let decode = |partial: Partial<K>| {
        partial.0.map(|mut object| {
            slim(&mut object);
            object
        })
    };
    let invalid = |invalid: &Invalid| unreadable::report::<K>(&(), invalid, ctx);
    let changed = |change: Change<'_, K>| handled(change.object(), &(), ctx, || changed(&change, ctx));
    follow(&(), events, writer, index, decode, invalid, changed).await;
}

/// Enqueues what a change of `object` triggers. A panic of a trigger is contained: the watch goes on, and the object is
/// looked at again with its next change.
fn handled<K: Resource>(
    object: &K,
    resource: &K::DynamicType,
    ctx: &Context,
    triggered: impl FnOnce() -> Vec<Request>,
) {
    match contained_call(triggered) {
        Ok(requests) => enqueue(requests, ctx),
        Err(panic) => {
            let (kind, meta) = (K::kind(resource), object.meta());
            tracing::error!(%kind, namespace = meta.namespace, name = meta.name, %panic,
                "the handler of a change panicked, the change is skipped; report it, this is a fault of the controller");
            ctx.metrics.panicked("watch", &kind);
        }
    }
}

fn enqueue(requests: Vec<Request>, ctx: &Context) {
    requests.into_iter().for_each(|request| ctx.state.queues.add(request));
}

fn backup_job(change: &Change<'_, BackupJob>, ctx: &Context) -> Vec<Request> {
    let phase = change.object().status.as_ref().and_then(|status| status.phase.as_deref());
    forget_run(change, phase, ctx);
    triggers::backup_job(change)
}

/// Forgets what the process remembers of a run that was deleted; of a run that has ended, its writes and failures.
fn forget_run<K: Resource>(change: &Change<'_, K>, phase: Option<&str>, ctx: &Context) {
    let uid = change.object().meta().uid.as_deref().unwrap_or_default();
    match change {
        Change::Deleted(_) => ctx.forget(uid),
        Change::Applied { .. } if phase::is_terminal(phase) => {
            ctx.state.runs.forget(uid);
            ctx.stores.evidence.forget(uid);
        }
        Change::Applied { .. } => {}
    }
}

/// Has the run that a Job or a pod is of looked at, if its lock is kept for them.
fn wake_draining(meta: &ObjectMeta, ctx: &Context) {
    if let Some(run_uid) = meta.labels.as_ref().and_then(|l| l.get(labels::RUN_UID)) {
        ctx.state.draining.wake(run_uid);
    }
}

fn pod(change: &Change<'_, Pod>, ctx: &Context) -> Vec<Request> {
    let run = ctx.stores.unfinished_run_of_pod(change.object());
    let (job_pods, evidence) = (&ctx.stores.job_pods, &ctx.stores.evidence);
    match change {
        Change::Applied { object, .. } => {
            job_pods.shown(object);
            ctx.stores.unfinished.pod(object);
            if let Some((job, run)) = &run {
                evidence.pod_shown(object, job, run);
            }
        }
        Change::Deleted(object) => {
            job_pods.gone(object);
            ctx.stores.unfinished.pod_gone(object);
            if let Some((job, run)) = &run {
                evidence.pod_gone(object, job, run);
            }
        }
    }
    wake_draining(&change.object().metadata, ctx);
    ctx.stores.pods_changed.notify_waiters();
    triggers::pod(change, &ctx.stores).into_iter().collect()
}

/// The store keeps the whole decoded object.
fn whole<K>(_: &mut K) {}

/// The record on a Backup is read with the Backup.
fn slim_backup(backup: &mut PartialObjectMeta<Backup>) {
    if let Some(all) = &mut backup.metadata.annotations {
        all.remove(annotations::RECORDED);
    }
}

/// A Plan is read again when it is reconciled. What is kept tells whether it goes on.
fn slim_plan(plan: &mut Plan) {
    plan.spec = PlanSpec { suspend: plan.spec.suspend, ..PlanSpec::default() };
    let next_slot = plan.status.take().and_then(|status| status.next_slot);
    plan.status = next_slot.map(|slot| PlanStatus { next_slot: Some(slot), ..PlanStatus::default() });
}

/// The note of a pod run is read from the Job, which has it too.
fn slim_pod(pod: &mut Pod) {
    forget_note(&mut pod.metadata);
}

fn forget_note(meta: &mut ObjectMeta) {
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove(POD_RUN_ANNOTATION);
    }
}

/// Keeps little of a run that has ended: memory grows with the runs that have not.
fn slim_backup_job(job: &mut BackupJob) {
    forget_note(&mut job.metadata);
    if let Some(status) = &mut job.status
        && phase::is_terminal(status.phase.as_deref())
    {
        job.metadata.annotations = None;
        job.spec = BackupJobSpec::default();
        *status = BackupJobStatus { phase: status.phase.take(), ..BackupJobStatus::default() };
    }
}

/// See [`slim_backup_job`]. The Backup of a RestoreJob that has ended is still read.
fn slim_restore_job(job: &mut RestoreJob) {
    forget_note(&mut job.metadata);
    if let Some(status) = &mut job.status
        && phase::is_terminal(status.phase.as_deref())
    {
        job.metadata.annotations = None;
        job.spec.options = None;
        *status = RestoreJobStatus { phase: status.phase.take(), ..RestoreJobStatus::default() };
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{Request as HttpRequest, Response};
    use backstay_core::strategy_kind::strategy_kind;
    use futures::stream;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;
    use crate::state::draining::{Seen, Turn};
    use crate::state::queues::Kind;
    use crate::state::run::Run;
    use crate::state::work_queue::Priority;

    type Events = Vec<Event<Partial<BackupJob>>>;

    fn unused() -> Client {
        let refuse = |request: HttpRequest<Body>| async move {
            Err::<Response<Body>, _>(std::io::Error::other(format!("not expected: {}", request.uri())))
        };
        Client::new(service_fn(refuse), "default")
    }

    fn run_of(name: &str, status: Value) -> Partial<BackupJob> {
        serde_json::from_value(json!({
            "metadata": {"name": name, "namespace": "n", "uid": name, "generation": 1, "resourceVersion": "1"},
            "spec": {"backupClassName": "c", "applicationRef": {"kind": "App", "name": "app"}},
            "status": status,
        }))
        .expect("it decodes")
    }

    fn holder() -> Partial<BackupJob> {
        let strategy = json!({"apiGroup": "strategy.backups.cozystack.io", "kind": "Job", "name": "s"});
        let application = json!({"kind": "App", "name": "app"});
        run_of(
            "holder",
            json!({"phase": "Running",
            "run": {"applicationRef": application, "strategyRef": strategy}}),
        )
    }

    fn waiter() -> Partial<BackupJob> {
        run_of("waiter", json!({"phase": "Pending", "waitingSince": "2026-07-01T00:00:00Z"}))
    }

    fn list(objects: impl IntoIterator<Item = Partial<BackupJob>>) -> Events {
        let objects = objects.into_iter().map(Event::InitApply);
        std::iter::once(Event::Init).chain(objects).chain([Event::InitDone]).collect()
    }

    async fn handled(events: Events, writer: Writer<BackupJob>, ctx: &Context) {
        let (events, index) =
            (stream::iter(events.into_iter().map(Ok)), ctx.stores.indexes.backup_jobs.clone());
        handle(events, writer, Some(index), ctx, slim_backup_job, backup_job).await;
    }

    /// The BackupJobs in the queue.
    fn queued(ctx: &Context) -> Vec<String> {
        let queue = ctx.state.queues.of(&Kind::BackupJob).expect("there is a queue");
        std::iter::from_fn(|| queue.next(|_| Priority::Begin)).map(|key| key.name).collect()
    }

    /// Has one run hold the lock of an application and another one wait for it.
    fn lock(ctx: &Context) {
        let [holder, waiter] = [holder(), waiter()].map(|job| Run::from(&job.decoded().expect("it decodes")));
        let record = holder.status.run.clone().expect("it has begun");
        let strategy = record.strategy_ref.as_ref().and_then(strategy_kind).expect("it has a kind");
        ctx.restore_lock(&holder);
        let busy = ctx.try_lock(&waiter, &holder.target().expect("it has begun"), &strategy);
        assert_eq!(busy.expect_err("it is locked").run_uid, "holder");
    }

    /// Two looks at the holder see nothing that runs.
    fn nothing_runs(ctx: &Context) {
        assert_eq!(ctx.state.draining.looked("holder", Seen::Nothing), Turn::GoesOn);
        assert_eq!(ctx.state.draining.looked("holder", Seen::Nothing), Turn::Over);
        ctx.release_lock("holder");
    }

    #[tokio::test]
    async fn a_handler_that_panics_on_one_object_ends_no_watch_and_the_others_are_handed_on() {
        let (ctx, writers, _poster) = context(unused(), Registry::default(), Settings::default());
        let changed = |change: &Change<'_, BackupJob>, ctx: &Context| {
            assert!(change.object().metadata.name.as_deref() != Some("holder"), "no such phase");
            backup_job(change, ctx)
        };
        let events = stream::iter(list([holder(), waiter()]).into_iter().map(Ok));
        handle(events, writers.backup_jobs, None, &ctx, slim_backup_job, changed).await;
        assert_eq!(queued(&ctx), ["waiter"]);
        assert!(ctx.metrics.text().contains("backstay_panics_total{part=\"watch\",kind=\"BackupJob\"} 1"));
    }

    #[tokio::test]
    async fn a_run_that_is_missing_in_a_relist_releases_its_lock_when_nothing_of_it_runs_and_the_next_run_is_enqueued()
     {
        let (ctx, writers, _poster) = context(unused(), Registry::default(), Settings::default());
        lock(&ctx);
        let mut events = list([holder(), waiter()]);
        events.extend(list([waiter()]));
        handled(events, writers.backup_jobs, &ctx).await;
        assert_eq!(ctx.state.locks.held_in("holder").as_deref(), Some("n"), "its pods may run");
        nothing_runs(&ctx);
        assert_eq!(ctx.state.locks.release("holder"), [], "the lock is released already");
        assert!(queued(&ctx).contains(&"waiter".to_owned()));
    }

    #[tokio::test]
    async fn f20_a_run_that_no_longer_exists_keeps_its_lock_until_nothing_of_it_runs() {
        let (ctx, mut writers, _poster) = context(unused(), Registry::default(), Settings::default());
        let waiter = waiter().decoded().expect("it decodes");
        writers.backup_jobs.apply_watcher_event(&Event::Apply(waiter));
        lock(&ctx);
        ctx.forget("holder");
        assert_eq!(queued(&ctx), [""; 0]);
        assert_eq!(
            ctx.state.draining.looked("holder", Seen::Runs("pod \"n/p\"".to_owned())),
            Turn::News,
            "it is looked at"
        );
        ctx.release_lock("holder");
        assert_eq!(queued(&ctx), [""; 0], "a pod of it runs");
        nothing_runs(&ctx);
        assert_eq!(queued(&ctx), ["waiter"]);
    }
}
