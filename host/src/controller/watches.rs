//! The watches: each fills a store, updates the state of the process, and enqueues what a change triggers.

use std::sync::Arc;

use backstay_api::{
    BackupJob, Plan, PlanSpec, PlanStatus, RestoreJob, RestoreJobStatus, finalizers, labels, phase,
};
use backstay_core::job::{self, POD_RUN_ANNOTATION};
use backstay_core::owner::controller;
use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::api::{ApiResource, DynamicObject};
use kube::core::ObjectMeta;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{self, Config, Event, watcher};
use tokio::task::JoinSet;

use super::{triggers, unreadable};
use crate::cluster::api::Api;
use crate::cluster::client::of_metadata;
use crate::cluster::dynamic::group_kind;
use crate::cluster::error::is_bad_request;
use crate::cluster::pages::PAGE;
use crate::cluster::partial::{Invalid, Partial, PartialDecode};
use crate::context::Context;
use crate::informers::backups::Shown;
use crate::informers::index::Index;
use crate::informers::shelf::{Shelf, StoreShelf};
use crate::informers::stores::Writers;
use crate::informers::watcher::{Change, follow};
use crate::panics::contained_call;
use crate::polls::timed;
use crate::state::queues::{Kind, Request};

/// The BackupJobs that have not ended.
const UNFINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";

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
    let (plans, jobs) = (of.plans.clone(), of.jobs.clone());
    let classes = StoreShelf::new((), writers.classes, None);
    tasks
        .spawn(watch(classes, all(), ctx.clone(), whole, |change, ctx| triggers::class(change, &ctx.stores)));
    tasks.spawn({
        let (shelf, ctx) = (unfinished_backup_jobs(writers.backup_jobs, backup_jobs), ctx.clone());
        let events = unfinished(Api::all(ctx.cluster.client.clone()));
        async move { handle(events, shelf, &ctx, slim_backup_job, backup_job).await }
    });
    let shelf = StoreShelf::new((), writers.restore_jobs, Some(restore_jobs)).of_those(is_kept);
    tasks.spawn(watch(shelf, all(), ctx.clone(), slim_restore_job, |change, ctx| {
        let status = change.object().status.as_ref();
        let begun = status.is_some_and(|status| status.run.is_some());
        forget_run(Kind::RestoreJob, change, status.and_then(|status| status.phase.as_deref()), begun, ctx);
        triggers::restore_job(change, &ctx.stores)
    }));
    let plans = StoreShelf::new((), writers.plans, Some(plans));
    tasks.spawn(watch(plans, all(), ctx.clone(), slim_plan, |change, ctx| {
        if let Change::Deleted(plan) = change {
            ctx.forget(plan.metadata.uid.as_deref().unwrap_or_default());
        }
        triggers::plan(change)
    }));
    tasks.spawn({
        let ctx = ctx.clone();
        // Their store keeps metadata alone.
        let api = Api::all(of_metadata(ctx.cluster.client.clone())).watched();
        let events = watcher(api, all().page_size(PAGE));
        async move { handle(events, writers.backups, &ctx, whole, backup).await }
    });
    let jobs = StoreShelf::new((), writers.jobs, Some(jobs));
    tasks.spawn(watch(jobs, of_runs(), ctx.clone(), whole, |change, ctx| {
        match change {
            Change::Applied { object, .. } => ctx.stores.unfinished.job(object),
            Change::Deleted(object) => ctx.stores.unfinished.job_gone(object),
        }
        wake_draining(&change.object().metadata, ctx);
        match change {
            Change::Applied { object, .. } => look_at_end_of_run(object, ctx),
            Change::Deleted(job) => {
                if let Some(run) = ctx.stores.unfinished_run_of(job) {
                    ctx.stores.evidence.job_gone(job, &run);
                }
                let (namespace, uid) = (job.metadata.namespace.as_deref(), job.metadata.uid.as_deref());
                ctx.stores.job_pods.forget(namespace.unwrap_or_default(), uid.unwrap_or_default());
            }
        }
        triggers::job(change).into_iter().collect()
    }));
    tasks.spawn(watch(StoreShelf::new((), writers.pods, None), of_runs(), ctx, slim_pod, pod));
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
    let shelf = StoreShelf::new(resource.clone(), writer, None);
    let follow = follow(&resource, events, shelf, decode, invalid, changed);
    timed(format!("watch {}", group_kind(&resource)), &ctx.metrics, follow).await;
}

/// Watches a kind. `slim` removes what the store does not keep of an object. `changed` updates the state for a change, and
/// returns what the change triggers.
async fn watch<S: Shelf<Of = ()>>(
    shelf: S,
    config: Config,
    ctx: Arc<Context>,
    slim: fn(&mut S::Object),
    changed: fn(&Change<'_, S::Object>, &Context) -> Vec<Request>,
) where
    S::Object: PartialDecode,
{
    let api = Api::<S::Object>::all(ctx.cluster.client.clone()).watched();
    handle(watcher(api, config.page_size(PAGE)), shelf, &ctx, slim, changed).await;
}

/// Watches the BackupJobs that have not ended. Where the CRD does not declare the field (the Go implementation's, or a Kubernetes
/// before 1.31), all of them are watched, and those that have ended are not kept.
fn unfinished(api: Api<BackupJob>) -> impl Stream<Item = watcher::Result<Event<Partial<BackupJob>>>> + Send {
    let all = Config::default().page_size(PAGE);
    let selected = watcher(api.clone().watched(), all.clone().fields(UNFINISHED)).boxed();
    stream::unfold((selected, true), move |(mut events, selected)| {
        let (api, all) = (api.clone(), all.clone());
        async move {
            match events.next().await? {
                Err(error) if selected && is_refused(&error) => {
                    tracing::info!(
                        "the CRD of BackupJobs does not let the controller select by status.phase, so that it watches those that have ended too; the CRDs of this version are installed with: backstay crds | kubectl apply --server-side -f -"
                    );
                    let mut events = watcher(api.watched(), all).boxed();
                    Some((events.next().await?, (events, false)))
                }
                event => Some((event, (events, selected))),
            }
        }
    })
}

/// Returns whether the API server does not know the field by which objects are selected.
fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) = error else {
        return false;
    };
    is_bad_request(error)
}

fn unfinished_backup_jobs(writer: Writer<BackupJob>, index: Arc<Index<BackupJob>>) -> StoreShelf<BackupJob> {
    let keeps =
        |job: &BackupJob| !phase::is_terminal(job.status.as_ref().and_then(|status| status.phase.as_deref()));
    StoreShelf::new((), writer, Some(index)).of_those(keeps)
}

/// Returns whether a RestoreJob has not ended, or a finalizer that the controller removes holds it. The Go implementation puts its
/// own on each.
fn is_kept(job: &RestoreJob) -> bool {
    let has_ended = phase::is_terminal(job.status.as_ref().and_then(|status| status.phase.as_deref()));
    let finalizers = job.metadata.finalizers.iter().flatten();
    !has_ended || finalizers.into_iter().any(|f| finalizers::is_ours(f) || f == finalizers::UNDO)
}

/// Handles the events of a watch; see [`watch`].
async fn handle<S: Shelf<Of = ()>>(
    events: impl Stream<Item = watcher::Result<Event<Partial<S::Object>>>> + Send,
    shelf: S,
    ctx: &Context,
    slim: fn(&mut S::Object),
    changed: fn(&Change<'_, S::Object>, &Context) -> Vec<Request>,
) where
    S::Object: PartialDecode,
{
    let decode = |partial: Partial<S::Object>| {
        partial.0.map(|mut object| {
            slim(&mut object);
            object
        })
    };
    let invalid = |invalid: &Invalid| unreadable::report::<S::Object>(&(), invalid, ctx);
    let changed =
        |change: Change<'_, S::Object>| handled(change.object(), &(), ctx, || changed(&change, ctx));
    let follow = follow(&(), events, shelf, decode, invalid, changed);
    timed(format!("watch {}", S::Object::kind(&())), &ctx.metrics, follow).await;
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
    let status = change.object().status.as_ref();
    let begun = status.is_some_and(|status| status.run.is_some());
    forget_run(Kind::BackupJob, change, status.and_then(|status| status.phase.as_deref()), begun, ctx);
    triggers::backup_job(change)
}

fn backup(change: &Change<'_, Shown>, ctx: &Context) -> Vec<Request> {
    if let Change::Deleted(backup) = change {
        ctx.forget(backup.metadata.uid.as_deref().unwrap_or_default());
        ctx.state.deleted_backups.add(&backup.metadata);
    }
    triggers::backup(change, &ctx.stores)
}

/// Forgets what the process remembers of a run that is gone or has ended; of one that has ended and is held, its writes and
/// failures.
fn forget_run<K: Resource>(
    kind: Kind,
    change: &Change<'_, K>,
    phase: Option<&str>,
    begun: bool,
    ctx: &Context,
) {
    let uid = change.object().meta().uid.as_deref().unwrap_or_default();
    match change {
        Change::Deleted(run) => ctx.left(kind, *run, begun),
        Change::Applied { .. } if phase::is_terminal(phase) => {
            ctx.state.runs.forget(uid);
            ctx.stores.evidence.forget(uid);
        }
        Change::Applied { .. } => {}
    }
}

/// Has the run of a Job looked at that has ended and has no time to live, if the watches do not show the run: it has ended, and this
/// Job was not seen then.
fn look_at_end_of_run(job: &Job, ctx: &Context) {
    let endless = job.spec.as_ref().is_none_or(|spec| spec.ttl_seconds_after_finished.is_none());
    if ctx.settings.job_ttl.is_none() || !endless || job::end(job).is_none() {
        return;
    }
    let Some(owner) = controller(&job.metadata).filter(|owner| owner.kind != "Backup") else { return };
    if let Some(run) = Request::news(&owner.kind, job.metadata.namespace.as_deref(), &owner.name)
        && !ctx.stores.has_run(&owner.uid)
    {
        ctx.look_at_end(run, &owner.uid);
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

/// The note of a pod run is read from the Job.
fn slim_backup_job(job: &mut BackupJob) {
    forget_note(&mut job.metadata);
}

/// Keeps little of a restore that has ended and is held. Its Backup is still read.
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
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;
    use crate::components::registry::Registry;
    use crate::controller::start::context;
    use crate::settings::Settings;
    use crate::state::draining::{Seen, Turn};
    use crate::state::queues::Key;
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
        handle(events, unfinished_backup_jobs(writer, index), ctx, slim_backup_job, backup_job).await;
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
        let shelf = StoreShelf::new((), writers.backup_jobs, None);
        handle(events, shelf, &ctx, slim_backup_job, changed).await;
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

    /// Answers each list as a server whose CRD does or does not let a client select by `status.phase`; the queries come in order.
    fn listing(declares: bool) -> (Api<BackupJob>, Arc<parking_lot::Mutex<Vec<String>>>) {
        let queries = Arc::<parking_lot::Mutex<Vec<String>>>::default();
        let asked = queries.clone();
        let answer = move |request: HttpRequest<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let refused = query.contains("fieldSelector") && !declares;
            asked.lock().push(query);
            let (code, body) = match refused {
                true => (
                    400,
                    json!({"kind": "Status", "status": "Failure", "code": 400, "reason": "BadRequest",
                    "message": "field label not supported: status.phase"}),
                ),
                false => {
                    (200, json!({"kind": "BackupJobList", "items": [], "metadata": {"resourceVersion": "7"}}))
                }
            };
            async move {
                let body = Body::from(serde_json::to_vec(&body).expect("JSON"));
                Ok::<_, std::io::Error>(Response::builder().status(code).body(body).expect("an answer"))
            }
        };
        let client = Client::new(service_fn(answer), "default");
        (Api::all(client), queries)
    }

    #[tokio::test]
    async fn runs_that_have_ended_are_not_even_asked_for() {
        let (api, queries) = listing(true);
        let events: Vec<_> = unfinished(api).take(2).collect().await;
        assert!(matches!(events[..], [Ok(Event::Init), Ok(Event::InitDone)]), "{events:?}");
        assert!(
            queries.lock()[0]
                .contains("fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed")
        );
    }

    #[tokio::test]
    async fn where_the_crd_does_not_declare_the_phase_all_runs_are_watched() {
        let (api, queries) = listing(false);
        let events: Vec<_> = unfinished(api).take(3).collect().await;
        assert!(matches!(events[..], [Ok(Event::Init), Ok(Event::Init), Ok(Event::InitDone)]), "{events:?}");
        let selects: Vec<_> = queries.lock().iter().map(|query| query.contains("fieldSelector")).collect();
        assert_eq!(selects, [true, false]);
    }

    #[tokio::test]
    async fn a_run_that_ends_is_forgotten_and_one_that_is_being_reconciled_after_that() {
        let (ctx, writers, _poster) = context(unused(), Registry::default(), Settings::default());
        lock(&ctx);
        let ended = || run_of("holder", json!({"phase": "Succeeded"}));
        let mut events = list([holder()]);
        events.push(Event::Apply(ended()));
        let begun = ctx.state.reconciling.begin("holder");
        handled(events, writers.backup_jobs, &ctx).await;
        assert!(ctx.stores.backup_jobs.is_empty());
        assert!(!ctx.state.draining.contains("holder"), "its reconcile releases the lock, or has it kept");
        drop(begun);
        let holder = holder().decoded().expect("it decodes");
        ctx.left(Kind::BackupJob, &holder, true);
        assert!(ctx.state.draining.contains("holder"), "nobody knows whether its pods run");
        let key = Key::of(&holder);
        let kept_in_mind = ctx.state.ends.uid(&Kind::BackupJob, &key);
        assert_eq!(kept_in_mind.as_deref(), Some("holder"), "nobody knows whether all is done at its end");
    }

    #[tokio::test]
    async fn a_run_of_which_it_is_known_that_it_has_ended_is_not_read_again() {
        let (ctx, writers, _poster) = context(unused(), Registry::default(), Settings::default());
        ctx.state.runs.failed("holder");
        ctx.state.runs.ended("holder");
        let mut events = list([holder()]);
        events.push(Event::Apply(run_of("holder", json!({"phase": "Failed"}))));
        handled(events, writers.backup_jobs, &ctx).await;
        assert_eq!(ctx.state.runs.uids(), [""; 0]);
        assert_eq!(queued(&ctx), ["holder"], "the first list showed it");
        let key = Key { namespace: Some("n".to_owned()), name: "holder".to_owned() };
        assert_eq!(ctx.state.ends.uid(&Kind::BackupJob, &key), None);
    }
}
