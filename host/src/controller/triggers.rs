//! The watches: each fills a store, and says who has to look at what changed.
//!
//! Our own status writes come back as events too. They are dropped here, by generation: a run is looked at when a person
//! changed it, and when its Job or pods did.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::{
    Backup, BackupClass, BackupJob, BackupJobSpec, BackupJobStatus, Plan, RestoreJob, RestoreJobStatus,
    finalizers, labels, phase,
};
use backstay_core::owner::controller;
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource, ResourceExt};
use tokio::task::JoinSet;

use crate::cluster::error::chain;
use crate::cluster::events::Events;
use crate::cluster::partial::{Partial, PartialDecode};
use crate::context::Context;
use crate::informers::stores::Writers;

/// Objects of a list that are decoded at a time: what a page takes while it is decoded stays with the process.
const PAGE: u32 = 100;

/// What happened to an object.
enum Change<'a, K> {
    /// It is there, for the first time or changed.
    Shown {
        /// As it is now.
        object: &'a K,
        /// More than its status differs from what was shown before.
        moved: bool,
    },
    /// It is gone.
    Gone(&'a K),
}

impl<'a, K> Change<'a, K> {
    fn object(&self) -> &'a K {
        match self {
            Self::Shown { object, .. } | Self::Gone(object) => object,
        }
    }
}

/// All watches, as one future that never ends by itself. Each is a task, so that an event is a matter of its own watch only.
pub async fn run(writers: Writers, ctx: Arc<Context>) {
    let mut watches = JoinSet::new();
    for (resource, writer) in writers.strategies {
        watches.spawn(strategies(resource, writer, ctx.clone()));
    }
    let all = Config::default;
    let of_runs = || Config::default().labels(labels::RUN_UID);
    watches.spawn(kind(writers.classes, all(), whole, class_changed, ctx.clone()));
    watches.spawn(kind(writers.backup_jobs, all(), slim_backup_job, backup_job_changed, ctx.clone()));
    watches.spawn(kind(writers.restore_jobs, all(), slim_restore_job, restore_job_changed, ctx.clone()));
    watches.spawn(kind(writers.plans, all(), whole, plan_changed, ctx.clone()));
    watches.spawn(kind(writers.backups, all(), whole, backup_changed, ctx.clone()));
    watches.spawn(kind(writers.jobs, of_runs(), whole, job_changed, ctx.clone()));
    watches.spawn(kind(writers.pods, of_runs(), whole, pod_changed, ctx));
    watches.join_all().await;
}

async fn strategies(resource: ApiResource, writer: Writer<DynamicObject>, ctx: Arc<Context>) {
    let api: Api<DynamicObject> = Api::all_with(ctx.cluster.client.clone(), &resource);
    let stream = watcher(api, Config::default());
    watch(&resource, stream, writer, forget_managed_fields, |change| {
        if let Change::Shown { object, moved: true } = change {
            ctx.state.queues.strategy(object, &resource);
            strategy_changed(&ctx);
        }
    })
    .await;
}

/// Watches a kind of ours, or one that runs are made of.
async fn kind<K: PartialDecode>(
    writer: Writer<K>,
    config: Config,
    slim: impl Fn(&mut K),
    changed: impl Fn(&Change<'_, K>, &Context),
    ctx: Arc<Context>,
) {
    watch(&(), lean(&ctx, config), writer, slim, |change| changed(&change, &ctx)).await;
}

/// Watches a kind for what is read of it. An object that does not decode is told of and left out: it stops nothing else.
fn lean<K: PartialDecode>(
    ctx: &Context,
    config: Config,
) -> impl futures::Stream<Item = kube::runtime::watcher::Result<Event<K>>> + Send + use<K> {
    let api: Api<Partial<K>> = Api::all(ctx.cluster.client.clone());
    let events = ctx.cluster.events.clone();
    watcher(api, config.page_size(PAGE)).filter_map(move |event| {
        let decoded = event.map(|event| decoded(event, &events));
        async { decoded.transpose() }
    })
}

/// An event without its object where that does not decode; of one that is there, it is told.
fn decoded<K: PartialDecode>(event: Event<Partial<K>>, events: &Events) -> Option<Event<K>> {
    let tell = |lean: Partial<K>| match lean.0 {
        Ok(object) => Some(object),
        Err(invalid) => {
            unreadable::<K>(&invalid.metadata, &invalid.error, events);
            None
        }
    };
    match event {
        Event::Apply(object) => tell(object).map(Event::Apply),
        Event::InitApply(object) => tell(object).map(Event::InitApply),
        Event::Delete(object) => object.0.ok().map(Event::Delete),
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
    }
}

/// Says of an object that does not decode that it is left alone, where its owner looks.
fn unreadable<K: Resource<DynamicType = ()>>(meta: &ObjectMeta, error: &str, events: &Events) {
    let kind = K::kind(&());
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

/// Nothing more is left out of an object.
fn whole<K>(_: &mut K) {}

/// Fills a store from a stream of events, slimming each object first, and tells of each change.
async fn watch<K>(
    resource: &K::DynamicType,
    stream: impl futures::Stream<Item = kube::runtime::watcher::Result<Event<K>>> + Send,
    mut writer: Writer<K>,
    slim: impl Fn(&mut K),
    mut changed: impl FnMut(Change<'_, K>),
) where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let shown = writer.as_reader();
    let stream = stream.default_backoff();
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                let event = event.modify(&slim);
                let moved = match &event {
                    Event::Apply(object) | Event::InitApply(object) => {
                        let before = shown.get(&ObjectRef::from_obj_with(object, resource.clone()));
                        before.is_none_or(|before| moved(before.meta(), object.meta()))
                    }
                    Event::Delete(_) | Event::Init | Event::InitDone => false,
                };
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(object) | Event::InitApply(object) => {
                        changed(Change::Shown { object, moved });
                    }
                    Event::Delete(object) => changed(Change::Gone(object)),
                    Event::Init | Event::InitDone => {}
                }
            }
            Err(error) => {
                tracing::warn!(
                    resource = %K::plural(resource),
                    error = %chain(&error),
                    "watch interrupted, will go on; a missing CRD is installed with: backstay crds | kubectl apply --server-side -f -"
                );
            }
        }
    }
}

fn forget_managed_fields<K: Resource>(object: &mut K) {
    object.meta_mut().managed_fields = None;
}

/// Of a run that has ended only that is kept: memory grows with the runs that have not.
fn slim_backup_job(job: &mut BackupJob) {
    if let Some(status) = &mut job.status
        && phase::is_terminal(status.phase.as_deref())
    {
        job.metadata.annotations = None;
        job.spec = BackupJobSpec::default();
        *status = BackupJobStatus { phase: status.phase.take(), ..BackupJobStatus::default() };
    }
}

/// The same for a RestoreJob.
fn slim_restore_job(job: &mut RestoreJob) {
    if let Some(status) = &mut job.status
        && phase::is_terminal(status.phase.as_deref())
    {
        job.metadata.annotations = None;
        job.spec.options = None;
        *status = RestoreJobStatus { phase: status.phase.take(), ..RestoreJobStatus::default() };
    }
}

/// A Backup whose deletion waited for this restore may go now.
fn restore_ended(job: &RestoreJob, ctx: &Context) {
    let (namespace, name) = (job.namespace().unwrap_or_default(), &job.spec.backup_ref.name);
    let backup = ctx.stores.backups.get(&ObjectRef::new(name).within(&namespace));
    if backup.is_some_and(|b| b.meta().deletion_timestamp.is_some()) {
        ctx.state.queues.backup(&namespace, name);
    }
}

/// Whether more than the status changed.
fn moved(before: &ObjectMeta, now: &ObjectMeta) -> bool {
    let of = |meta: &ObjectMeta| (meta.generation, meta.deletion_timestamp.is_some());
    before.uid != now.uid || of(before) != of(now)
}

fn gone(meta: &ObjectMeta, ctx: &Context) {
    let uid = meta.uid.as_deref().unwrap_or_default();
    ctx.forget(uid);
}

fn class_changed(change: &Change<'_, BackupClass>, ctx: &Context) {
    let class = change.object().name_any();
    for job in ctx.stores.backup_jobs.state() {
        let waits =
            job.status.as_ref().is_none_or(|s| s.run.is_none() && !phase::is_terminal(s.phase.as_deref()));
        if waits && job.spec.backup_class_name == class {
            ctx.state.queues.backup_job(ObjectRef::from_obj(&job));
        }
    }
}

fn backup_job_changed(change: &Change<'_, BackupJob>, ctx: &Context) {
    match change {
        Change::Shown { object: job, moved } => {
            if job.status.as_ref().is_some_and(|s| phase::is_terminal(s.phase.as_deref())) {
                ctx.state.runs.forget(job.meta().uid.as_deref().unwrap_or_default());
            }
            if *moved {
                ctx.state.queues.backup_job(ObjectRef::from_obj(*job));
            }
        }
        Change::Gone(job) => gone(job.meta(), ctx),
    }
}

fn restore_job_changed(change: &Change<'_, RestoreJob>, ctx: &Context) {
    match change {
        Change::Shown { object: job, moved } => {
            if job.status.as_ref().is_some_and(|s| phase::is_terminal(s.phase.as_deref())) {
                ctx.state.runs.forget(job.meta().uid.as_deref().unwrap_or_default());
                restore_ended(job, ctx);
            }
            if *moved {
                ctx.state.queues.restore_job(ObjectRef::from_obj(*job));
            }
        }
        Change::Gone(job) => {
            gone(job.meta(), ctx);
            restore_ended(job, ctx);
        }
    }
}

fn plan_changed(change: &Change<'_, Plan>, ctx: &Context) {
    if let Change::Shown { object, moved: true } = change {
        ctx.state.queues.plan(ObjectRef::from_obj(*object));
    }
}

/// A strategy appeared or changed: whoever has not begun may have waited for it.
fn strategy_changed(ctx: &Context) {
    for job in ctx.stores.backup_jobs.state() {
        if job.status.as_ref().is_some_and(|s| s.waiting_since.is_some()) {
            ctx.state.queues.backup_job(ObjectRef::from_obj(&job));
        }
    }
    for job in ctx.stores.restore_jobs.state() {
        if job.status.as_ref().is_some_and(|s| s.waiting_since.is_some()) {
            ctx.state.queues.restore_job(ObjectRef::from_obj(&job));
        }
    }
}

fn backup_changed(change: &Change<'_, PartialObjectMeta<Backup>>, ctx: &Context) {
    let backup = change.object();
    let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
    match change {
        Change::Shown { .. } => {
            let finalized = backup.finalizers().iter().any(|f| finalizers::is_ours(f));
            if finalized == backup.meta().deletion_timestamp.is_some() {
                ctx.state.queues.backup(&namespace, &name);
            }
        }
        Change::Gone(_) => {
            gone(backup.meta(), ctx);
            ctx.state.deleted_backups.add(backup.meta());
        }
    }
    for job in ctx.stores.restore_jobs.state() {
        let waits = job.status.as_ref().is_some_and(|s| s.waiting_since.is_some());
        if waits && job.spec.backup_ref.name == name && job.namespace().unwrap_or_default() == namespace {
            ctx.state.queues.restore_job(ObjectRef::from_obj(&job));
        }
    }
}

/// A Job matters to its run when it ends or goes, or is suspended.
fn job_changed(change: &Change<'_, Job>, ctx: &Context) {
    let job = change.object();
    let matters = match change {
        Change::Gone(job) => {
            ctx.stores.job_pods.forget(job.metadata.uid.as_deref().unwrap_or_default());
            true
        }
        Change::Shown { object: job, .. } => {
            backstay_core::job::end(job).is_some()
                || job.meta().deletion_timestamp.is_some()
                || job.spec.as_ref().is_some_and(|s| s.suspend == Some(true))
        }
    };
    if matters {
        wake_owner(job, ctx);
    }
}

/// A pod matters to its run when it is in trouble, or out of it.
fn pod_changed(change: &Change<'_, Pod>, ctx: &Context) {
    let pod = change.object();
    match change {
        Change::Shown { .. } => ctx.stores.job_pods.shown(pod),
        Change::Gone(_) => ctx.stores.job_pods.gone(pod),
    }
    ctx.stores.pods_changed.notify_waiters();
    if backstay_core::job::trouble([pod]).is_none() {
        return;
    }
    let namespace = pod.namespace().unwrap_or_default();
    if let Some(job) = controller(&pod.metadata).and_then(|o| ctx.stores.job(&namespace, &o.name)) {
        wake_owner(&job, ctx);
    }
}

fn wake_owner(job: &Job, ctx: &Context) {
    if let Some(owner) = controller(&job.metadata) {
        ctx.state.queues.enqueue_owner(&owner.kind, &job.namespace().unwrap_or_default(), &owner.name);
    }
}
