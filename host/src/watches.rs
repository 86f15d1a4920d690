//! The watches: each fills a store, and says who has to look at what changed.
//!
//! Our own status writes come back as events too. They are dropped here, by generation: a run is looked at when a person
//! changed it, and when its Job or pods did.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use backstay_api::conditions::reasons;
use backstay_api::{
    Backup, BackupClass, BackupJob, BackupJobStatus, Plan, RestoreJob, RestoreJobStatus, finalizers, labels,
    phase,
};
use futures::StreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use kube::api::{DynamicObject, ObjectMeta, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource, ResourceExt};

use crate::api_error::chain;
use crate::caches::Writers;
use crate::context::Context;
use crate::events::Events;
use crate::lean::{Lean, Parts};

/// Objects of a list that are decoded at a time: what a page takes while it is decoded stays with the process.
const PAGE: u32 = 100;

/// What happened to an object.
enum Change<'a, K> {
    /// It is there, for the first time or changed.
    Shown(&'a K),
    /// It is gone.
    Gone(&'a K),
}

impl<'a, K> Change<'a, K> {
    fn object(&self) -> &'a K {
        match self {
            Self::Shown(object) | Self::Gone(object) => object,
        }
    }
}

/// All watches, as one future that never ends by itself.
pub async fn run(writers: Writers, ctx: Arc<Context>) {
    let runs_only = || Config::default().labels(labels::RUN_UID);
    let strategies = writers.strategies.into_iter().map(|(resource, writer)| {
        let api: Api<DynamicObject> = Api::all_with(ctx.client.clone(), &resource);
        let stream = watcher(api, Config::default());
        let mut generations = Generations::default();
        let ctx = ctx.clone();
        watch(resource.plural.clone(), stream, writer, forget_managed_fields, move |change| match change {
            Change::Shown(strategy) if generations.moved(strategy.meta()) => {
                ctx.queues.strategy(strategy, &resource);
                strategy_changed(&ctx);
            }
            Change::Shown(_) => {}
            Change::Gone(strategy) => generations.forget(strategy.meta()),
        })
    });
    let mut backup_jobs = Generations::default();
    let mut restore_jobs = Generations::default();
    let mut plans = Generations::default();
    tokio::join!(
        watch(
            "backupclasses".into(),
            lean::<BackupClass>(&ctx, Config::default()),
            writers.classes,
            whole,
            |change| class_changed(&change.object().name_any(), &ctx),
        ),
        watch(
            "backupjobs".into(),
            lean::<BackupJob>(&ctx, Config::default()),
            writers.backup_jobs,
            slim_backup_job,
            |change| match change {
                Change::Shown(job) => {
                    if job.status.as_ref().is_some_and(|s| phase::is_terminal(s.phase.as_deref())) {
                        ctx.runs.forget(job.meta().uid.as_deref().unwrap_or_default());
                    }
                    if backup_jobs.moved(job.meta()) {
                        ctx.queues.backup_job(ObjectRef::from_obj(job));
                    }
                }
                Change::Gone(job) => {
                    backup_jobs.forget(job.meta());
                    gone(job.meta(), &ctx);
                }
            },
        ),
        watch(
            "restorejobs".into(),
            lean::<RestoreJob>(&ctx, Config::default()),
            writers.restore_jobs,
            slim_restore_job,
            |change| match change {
                Change::Shown(job) => {
                    if job.status.as_ref().is_some_and(|s| phase::is_terminal(s.phase.as_deref())) {
                        ctx.runs.forget(job.meta().uid.as_deref().unwrap_or_default());
                        restore_ended(job, &ctx);
                    }
                    if restore_jobs.moved(job.meta()) {
                        ctx.queues.restore_job(ObjectRef::from_obj(job));
                    }
                }
                Change::Gone(job) => {
                    restore_jobs.forget(job.meta());
                    gone(job.meta(), &ctx);
                    restore_ended(job, &ctx);
                }
            },
        ),
        watch("plans".into(), lean::<Plan>(&ctx, Config::default()), writers.plans, whole, |change| {
            match change {
                Change::Shown(plan) if plans.moved(plan.meta()) => ctx.queues.plan(ObjectRef::from_obj(plan)),
                Change::Shown(_) => {}
                Change::Gone(plan) => plans.forget(plan.meta()),
            }
        },),
        watch(
            "backups".into(),
            lean::<PartialObjectMeta<Backup>>(&ctx, Config::default()),
            writers.backups,
            whole,
            |change| backup_changed(&change, &ctx),
        ),
        watch("jobs".into(), lean::<Job>(&ctx, runs_only()), writers.jobs, whole, |change| job_changed(
            &change, &ctx
        ),),
        watch("pods".into(), lean::<Pod>(&ctx, runs_only()), writers.pods, whole, |change| pod_changed(
            change.object(),
            &ctx
        ),),
        futures::future::join_all(strategies),
    );
}

/// Watches a kind for what is read of it. An object that does not decode is told of and left out: it stops nothing else.
fn lean<K: Parts>(
    ctx: &Context,
    config: Config,
) -> impl futures::Stream<Item = kube::runtime::watcher::Result<Event<K>>> + Send + use<K> {
    let api: Api<Lean<K>> = Api::all(ctx.client.clone());
    let events = ctx.events.clone();
    watcher(api, config.page_size(PAGE)).filter_map(move |event| {
        let decoded = event.map(|event| decoded(event, &events));
        async { decoded.transpose() }
    })
}

/// An event without its object where that does not decode; of one that is there, it is told.
fn decoded<K: Parts>(event: Event<Lean<K>>, events: &Events) -> Option<Event<K>> {
    let tell = |lean: Lean<K>| match lean.0 {
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
    what: String,
    stream: impl futures::Stream<Item = kube::runtime::watcher::Result<Event<K>>> + Send,
    mut writer: Writer<K>,
    slim: impl Fn(&mut K),
    mut changed: impl FnMut(Change<'_, K>),
) where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    let stream = stream.default_backoff();
    futures::pin_mut!(stream);
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                let event = event.modify(&slim);
                writer.apply_watcher_event(&event);
                match &event {
                    Event::Apply(object) | Event::InitApply(object) => changed(Change::Shown(object)),
                    Event::Delete(object) => changed(Change::Gone(object)),
                    Event::Init | Event::InitDone => {}
                }
            }
            Err(error) => {
                tracing::warn!(
                    resource = %what,
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
    let backup = ctx.caches.backups.get(&ObjectRef::new(name).within(&namespace));
    if backup.is_some_and(|b| b.meta().deletion_timestamp.is_some()) {
        ctx.queues.backup(&namespace, name);
    }
}

/// Which generation of each object has been passed on.
#[derive(Default)]
struct Generations(HashMap<String, (Option<i64>, bool)>);

impl Generations {
    /// Whether more than the status changed.
    fn moved(&mut self, meta: &ObjectMeta) -> bool {
        let now = (meta.generation, meta.deletion_timestamp.is_some());
        let uid = meta.uid.clone().unwrap_or_default();
        self.0.insert(uid, now) != Some(now)
    }

    fn forget(&mut self, meta: &ObjectMeta) {
        self.0.remove(meta.uid.as_deref().unwrap_or_default());
    }
}

fn gone(meta: &ObjectMeta, ctx: &Context) {
    let uid = meta.uid.as_deref().unwrap_or_default();
    ctx.runs.forget(uid);
    ctx.memories.forget(uid);
    ctx.interests.forget(uid);
    ctx.passes_on(uid);
}

fn class_changed(class: &str, ctx: &Context) {
    for job in ctx.caches.backup_jobs.state() {
        let waits =
            job.status.as_ref().is_none_or(|s| s.run.is_none() && !phase::is_terminal(s.phase.as_deref()));
        if waits && job.spec.backup_class_name == class {
            ctx.queues.backup_job(ObjectRef::from_obj(&job));
        }
    }
}

/// A strategy appeared or changed: whoever has not begun may have waited for it.
fn strategy_changed(ctx: &Context) {
    for job in ctx.caches.backup_jobs.state() {
        if job.status.as_ref().is_some_and(|s| s.waiting_since.is_some()) {
            ctx.queues.backup_job(ObjectRef::from_obj(&job));
        }
    }
    for job in ctx.caches.restore_jobs.state() {
        if job.status.as_ref().is_some_and(|s| s.waiting_since.is_some()) {
            ctx.queues.restore_job(ObjectRef::from_obj(&job));
        }
    }
}

fn backup_changed(change: &Change<'_, PartialObjectMeta<Backup>>, ctx: &Context) {
    let backup = change.object();
    let (namespace, name) = (backup.namespace().unwrap_or_default(), backup.name_any());
    match change {
        Change::Shown(_) => {
            let finalized = backup.finalizers().iter().any(|f| finalizers::is_ours(f));
            if finalized == backup.meta().deletion_timestamp.is_some() {
                ctx.queues.backup(&namespace, &name);
            }
        }
        Change::Gone(_) => {
            gone(backup.meta(), ctx);
            ctx.departed.add(backup.meta());
        }
    }
    for job in ctx.caches.restore_jobs.state() {
        let waits = job.status.as_ref().is_some_and(|s| s.waiting_since.is_some());
        if waits && job.spec.backup_ref.name == name && job.namespace().unwrap_or_default() == namespace {
            ctx.queues.restore_job(ObjectRef::from_obj(&job));
        }
    }
}

/// A Job matters to its run when it ends or goes, or is suspended.
fn job_changed(change: &Change<'_, Job>, ctx: &Context) {
    let job = change.object();
    let matters = match change {
        Change::Gone(_) => true,
        Change::Shown(job) => {
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
fn pod_changed(pod: &Pod, ctx: &Context) {
    ctx.caches.pods_changed.notify_waiters();
    if backstay_core::job::trouble([pod]).is_none() {
        return;
    }
    let namespace = pod.namespace().unwrap_or_default();
    let owner = pod.meta().owner_references.iter().flatten().find(|o| o.controller == Some(true));
    if let Some(job) = owner.and_then(|o| ctx.caches.job(&namespace, &o.name)) {
        wake_owner(&job, ctx);
    }
}

fn wake_owner(job: &Job, ctx: &Context) {
    if let Some(owner) = job.meta().owner_references.iter().flatten().find(|o| o.controller == Some(true)) {
        ctx.queues.told(&owner.kind, &job.namespace().unwrap_or_default(), &owner.name);
    }
}
