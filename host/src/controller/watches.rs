//! The watches: each fills a store, updates the state of the process, and enqueues what a change triggers.

use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::{BackupJob, BackupJobSpec, BackupJobStatus, RestoreJob, RestoreJobStatus, labels, phase};
use futures::Stream;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::{ApiResource, DynamicObject};
use kube::core::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Config, Event, watcher};
use kube::{Api, Resource};
use tokio::task::JoinSet;

use super::triggers;
use crate::cluster::events::Events;
use crate::cluster::partial::{Invalid, Partial, PartialDecode};
use crate::context::Context;
use crate::informers::index::Index;
use crate::informers::stores::Writers;
use crate::informers::watcher::{Change, follow};
use crate::state::queues::Request;

/// Objects in a page of a list. The memory that decoding a page takes stays with the process.
const PAGE_SIZE: u32 = 100;

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
    tasks.spawn(watch(writers.plans, Some(plans), all(), ctx.clone(), whole, |change, ctx| {
        if let Change::Deleted(plan) = change {
            ctx.state.runs.forget(plan.metadata.uid.as_deref().unwrap_or_default());
        }
        triggers::plan(change)
    }));
    tasks.spawn(watch(writers.backups, Some(backups), all(), ctx.clone(), whole, |change, ctx| {
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
            let (namespace, uid) = (job.metadata.namespace.as_deref(), job.metadata.uid.as_deref());
            ctx.stores.job_pods.forget(namespace.unwrap_or_default(), uid.unwrap_or_default());
        }
        triggers::job(change).into_iter().collect()
    }));
    tasks.spawn(watch(writers.pods, None, of_runs(), ctx, whole, pod));
    tasks.join_all().await;
}

async fn strategies(resource: ApiResource, writer: Writer<DynamicObject>, ctx: Arc<Context>) {
    let api: Api<DynamicObject> = Api::all_with(ctx.cluster.client.clone(), &resource);
    let decode = |mut object: DynamicObject| {
        object.metadata.managed_fields = None;
        Ok(object)
    };
    let changed = |change: Change<'_, DynamicObject>| {
        if let Change::Deleted(strategy) = change {
            ctx.state.runs.forget(strategy.metadata.uid.as_deref().unwrap_or_default());
        }
        enqueue(triggers::strategy(&change, &resource, &ctx.stores), &ctx);
    };
    follow(&resource, watcher(api, Config::default()), writer, None, decode, |_| {}, changed).await;
}

/// Watches a kind. `slim` removes what the store does not keep of an object. `changed` updates the state for a change, and
/// returns what the change triggers.
async fn watch<K: PartialDecode>(
    writer: Writer<K>,
    index: Option<Arc<Index<K>>>,
    config: Config,
    ctx: Arc<Context>,
    slim: fn(&mut K),
    changed: fn(&Change<'_, K>, &Context) -> Vec<Request>,
) {
    let api: Api<Partial<K>> = Api::all(ctx.cluster.client.clone());
    handle(watcher(api, config.page_size(PAGE_SIZE)), writer, index, &ctx, slim, changed).await;
}

/// Handles the events of a watch; see [`watch`].
async fn handle<K: PartialDecode>(
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
    let invalid = |invalid: &Invalid| report::<K>(invalid, &ctx.cluster.events);
    follow(&(), events, writer, index, decode, invalid, |change| enqueue(changed(&change, ctx), ctx)).await;
}

fn enqueue(requests: Vec<Request>, ctx: &Context) {
    requests.into_iter().for_each(|request| ctx.state.queues.add(request));
}

/// Reports an object that does not decode, in the log and in an Event on the object.
fn report<K: Resource<DynamicType = ()>>(invalid: &Invalid, events: &Events) {
    let (meta, error, kind) = (&invalid.metadata, &invalid.error, K::kind(&()));
    let name = meta.name.as_deref().unwrap_or_default();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    tracing::warn!(%kind, namespace, name, error, "object does not decode and is left alone, correct it");
    let about = ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(kind.into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    };
    let note = format!(
        "this object cannot be read and is left alone: {error}; correct it, or delete it and create it anew"
    );
    events.warning(about, reasons::UNREADABLE_OBJECT, &note);
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
        Change::Applied { .. } if phase::is_terminal(phase) => ctx.state.runs.forget(uid),
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
    match change {
        Change::Applied { object, .. } => {
            ctx.stores.job_pods.shown(object);
            ctx.stores.unfinished.pod(object);
        }
        Change::Deleted(object) => {
            ctx.stores.job_pods.gone(object);
            ctx.stores.unfinished.pod_gone(object);
        }
    }
    wake_draining(&change.object().metadata, ctx);
    ctx.stores.pods_changed.notify_waiters();
    triggers::pod(change, &ctx.stores).into_iter().collect()
}

/// The store keeps the whole decoded object.
fn whole<K>(_: &mut K) {}

/// Keeps little of a run that has ended: memory grows with the runs that have not.
fn slim_backup_job(job: &mut BackupJob) {
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
