//! Workers: each empties one queue by reconciling its objects.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use futures::channel::mpsc::UnboundedReceiver;
use futures::{FutureExt, StreamExt};
use kube::Resource;
use kube::runtime::controller::{Action, Config, ReconcileRequest, applier};
use kube::runtime::reflector::Store;
use tokio::task::JoinSet;

use super::background;
use crate::cluster::dynamic::group_kind;
use crate::context::Context;
use crate::reconcile::{backup, plan, run, strategy};
use crate::state::queues::Inboxes;
use crate::state::run::Run;

/// Each queue is emptied by a task of its own, so that what wakes one does not have all of them looked at.
pub(crate) async fn workers(
    inboxes: Inboxes,
    ctx: &Arc<Context>,
    shutdown: impl Future<Output = ()> + Clone + Send + 'static,
) {
    let mut tasks = JoinSet::new();
    let until = || shutdown.clone();
    for (resource, inbox) in inboxes.strategies {
        if let Some(store) = ctx.stores.strategies.get(&group_kind(&resource)) {
            tasks.spawn(work(inbox, store.clone(), ctx.clone(), until(), move |object, ctx| {
                strategy::reconcile(resource.clone(), object, ctx)
            }));
        }
    }
    for (inbox, told) in [(inboxes.backup_jobs, false), (inboxes.begun_backup_jobs, true)] {
        tasks.spawn(work(inbox, ctx.stores.backup_jobs.clone(), ctx.clone(), until(), move |job, ctx| {
            look_at(Run::from(job.as_ref()), told, ctx)
        }));
    }
    for (inbox, told) in [(inboxes.restore_jobs, false), (inboxes.begun_restore_jobs, true)] {
        tasks.spawn(work(inbox, ctx.stores.restore_jobs.clone(), ctx.clone(), until(), move |job, ctx| {
            look_at(Run::from(job.as_ref()), told, ctx)
        }));
    }
    tasks.spawn(work(inboxes.backups, ctx.stores.backups.clone(), ctx.clone(), until(), backup::reconcile));
    tasks.spawn(work(inboxes.plans, ctx.stores.plans.clone(), ctx.clone(), until(), plan::reconcile));
    tasks.spawn(background::collect(ctx.clone(), until()));
    tasks.spawn(background::delete_records(ctx.clone(), until()));
    tasks.spawn(background::project_credentials(ctx.clone(), until()));
    tasks.join_all().await;
}

/// Looks at a run. One whose Job has something to tell goes before those that have not begun.
async fn look_at(mut run: Run, told: bool, ctx: Arc<Context>) -> Action {
    let _recording = told.then(|| ctx.state.priority.recording());
    if !told && run.status.run.is_none() && !run.is_finished() {
        ctx.state.priority.quiet().await;
        run = run.shown(&ctx.stores).unwrap_or(run);
    }
    run::reconcile(run, ctx.clone()).await
}

/// Empties a queue, one object at a time by one worker only, several objects at once. A reconcile has no error: what went
/// wrong is told where it went wrong, and the answer says when to look again.
async fn work<K, F, R>(
    inbox: UnboundedReceiver<ReconcileRequest<K>>,
    store: Store<K>,
    ctx: Arc<Context>,
    until: impl Future<Output = ()> + Send + 'static,
    reconcile: R,
) where
    K: Resource + Clone + Send + Sync + 'static,
    K::DynamicType: Debug + Eq + Hash + Clone + Unpin + Send + Sync,
    F: Future<Output = Action> + Send + 'static,
    R: Fn(Arc<K>, Arc<Context>) -> F + Send + 'static,
{
    let queue = inbox.map(Ok::<_, Infallible>).take_until(until);
    let config = Config::default().concurrency(ctx.settings.concurrency);
    let reconciled = applier(
        move |object: Arc<K>, ctx: Arc<Context>| reconcile(object, ctx).map(Ok::<_, Infallible>).boxed(),
        |_: Arc<K>, error: &Infallible, _: Arc<Context>| match *error {},
        ctx,
        store,
        queue,
        config,
    );
    reconciled.for_each(|_| async {}).await;
}
