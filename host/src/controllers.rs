//! Puts the parts together: watches fill stores and queues, workers empty the queues.

use std::convert::Infallible;
use std::fmt::Debug;
use std::future::Future;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use backstay_api::{Backup, finalizers};
use backstay_core::contract::GroupKind;
use backstay_core::retry;
use futures::channel::mpsc::UnboundedReceiver;
use futures::{FutureExt, StreamExt};
use kube::runtime::controller::{Action, Config, ReconcileRequest, applier};
use kube::runtime::reflector::Store;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::accounts::Accounts;
use crate::api_error::{ApiError, chain};
use crate::caches::Caches;
use crate::clock::Clock;
use crate::context::Context;
use crate::credentials::{self, Projected};
use crate::departed::{self, Departed};
use crate::discovery::Discovery;
use crate::events::events;
use crate::interests::Interests;
use crate::metrics::Metrics;
use crate::precedence::Precedence;
use crate::queues::{Inboxes, Queues};
use crate::registry::Registry;
use crate::revisions::Revisions;
use crate::run::{Memories, Run};
use crate::runs::Runs;
use crate::settings::Settings;
use crate::turns::SharedTurns;
use crate::{backup, http, plan, run, strategy, tasks, watches};

/// How long a process that is told to stop finishes what is under way.
const LAST_RUNS: Duration = Duration::from_secs(20);
/// How often unused strategy revisions are looked for.
const COLLECT_EVERY: Duration = Duration::from_secs(3600);

/// Why a controller does not start, or ends without being told to.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Its HTTP address cannot be used.
    #[error("the HTTP address cannot be used: give another one with --http-bind")]
    Http(#[source] std::io::Error),
    /// A part of it ended: the process must not go on without it.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
}

/// Runs a controller with these components until `shutdown` is done: then no new work is begun, and what is under way is
/// finished.
///
/// # Errors
/// When it cannot start, or a part of it ends.
pub async fn run(
    client: Client,
    registry: Registry,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ControllerError> {
    let (caches, writers) = Caches::new(&registry);
    let (queues, inboxes) = Queues::new(&registry);
    let (events, mut poster) = events(client.clone());
    let ctx = Arc::new(Context {
        events,
        registry,
        caches,
        queues,
        runs: Runs::default(),
        precedence: Precedence::default(),
        turns: SharedTurns::default(),
        revisions: Revisions::default(),
        discovery: Discovery::default(),
        writer: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
        accounts: Accounts::new(client.clone(), &settings.namespace),
        interests: Interests::default(),
        memories: Memories::default(),
        departed: Departed::default(),
        projected: Projected::default(),
        metrics: Metrics::default(),
        calls: Semaphore::new(usize::from(settings.concurrency)),
        settings,
        clock: Clock::start(),
        client,
    });
    let ready = Arc::new(AtomicBool::new(false));
    let shutdown = shutdown.shared();
    let http = http::serve(ctx.clone(), ready.clone()).await.map_err(ControllerError::Http)?;
    let watches = tokio::spawn(watches::run(writers, ctx.clone()));
    let work = async {
        tokio::select! {
            () = ctx.caches.filled().then(|()| resume(&ctx)) => {}
            // Told to stop before anything was begun, perhaps because the API server does not answer.
            () = shutdown.clone() => return,
        }
        ready.store(true, Ordering::Relaxed);
        tracing::info!(
            backup_jobs = ctx.caches.backup_jobs.len(),
            restore_jobs = ctx.caches.restore_jobs.len(),
            plans = ctx.caches.plans.len(),
            strategies = %ctx.registry.kinds(),
            "controller ready"
        );
        tokio::select! {
            () = workers(inboxes, &ctx, shutdown.clone()) => {}
            // Ends only with the context, which is held here.
            () = poster.post() => {}
        }
        poster.finish().await;
    };
    let result = tokio::select! {
        () = work => Ok(()),
        // What hangs must not keep the process: Kubernetes would end it less gently.
        () = shutdown.clone().then(|()| tokio::time::sleep(LAST_RUNS)) => {
            tracing::warn!("not everything that was under way is finished, it will be taken up at the next start");
            Ok(())
        }
        _ = watches => Err(ControllerError::Ended("the watches")),
        _ = http => Err(ControllerError::Ended("the HTTP server")),
    };
    tracing::info!("controller stopped");
    result
}

/// Runs that had begun hold their turns, and those that waited for one keep their place, before anybody asks.
async fn resume(ctx: &Context) {
    let backup_jobs = ctx.caches.backup_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    let restore_jobs = ctx.caches.restore_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    // One after the other: there may be thousands that are over, and what they take together would stay with the process.
    for run in backup_jobs.chain(restore_jobs) {
        if !run.status.is_terminal() && (!run.deleting || run.undoes) {
            take_up(&run, ctx).await;
        }
    }
    // Of Backups a watch shows the metadata only.
    for shown in ctx.caches.backups.state() {
        let finalized = shown.finalizers().iter().any(|f| finalizers::is_ours(f));
        if finalized && shown.metadata.deletion_timestamp.is_some() {
            let api = Api::<Backup>::namespaced(ctx.client.clone(), &shown.namespace().unwrap_or_default());
            let name = shown.name_any();
            let doing = || format!("reading Backup {name:?}");
            let read = || async { api.get_opt(&name).await.map_err(|e| ApiError::new(doing(), e)) };
            if let Some(backup) = until_answered(read).await {
                take_up(&Run::from(&backup), ctx).await;
            }
        }
    }
}

async fn take_up(run: &Run, ctx: &Context) {
    if run.status.run.is_some() {
        ctx.turns.hold(run);
    } else if let Some((application, strategy)) = until_answered(|| run::waiting_turn(run, ctx)).await {
        ctx.turns.wait(run, &application, &strategy);
    }
}

/// Asks until there is an answer: without it nobody knows whose turn it is.
async fn until_answered<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, ApiError>>,
{
    let mut attempt = 0;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                attempt += 1;
                tracing::warn!(attempt, error = %chain(&error), "turns not known yet, will try again");
                tokio::time::sleep(retry::backoff(attempt)).await;
            }
        }
    }
}

/// Each queue is emptied by a task of its own, so that what wakes one does not have all of them looked at.
async fn workers(
    inboxes: Inboxes,
    ctx: &Arc<Context>,
    shutdown: impl Future<Output = ()> + Clone + Send + 'static,
) {
    let mut tasks = JoinSet::new();
    let until = || shutdown.clone();
    for (resource, inbox) in inboxes.strategies {
        let kind = GroupKind { group: resource.group.clone(), kind: resource.kind.clone() };
        if let Some(store) = ctx.caches.strategies.get(&kind) {
            tasks.spawn(work(inbox, store.clone(), ctx.clone(), until(), move |object, ctx| {
                strategy::reconcile(resource.clone(), object, ctx)
            }));
        }
    }
    for (inbox, told) in [(inboxes.backup_jobs, false), (inboxes.begun_backup_jobs, true)] {
        tasks.spawn(work(inbox, ctx.caches.backup_jobs.clone(), ctx.clone(), until(), move |job, ctx| {
            look_at(Run::from(job.as_ref()), told, ctx)
        }));
    }
    for (inbox, told) in [(inboxes.restore_jobs, false), (inboxes.begun_restore_jobs, true)] {
        tasks.spawn(work(inbox, ctx.caches.restore_jobs.clone(), ctx.clone(), until(), move |job, ctx| {
            look_at(Run::from(job.as_ref()), told, ctx)
        }));
    }
    tasks.spawn(work(inboxes.backups, ctx.caches.backups.clone(), ctx.clone(), until(), backup::reconcile));
    tasks.spawn(work(inboxes.plans, ctx.caches.plans.clone(), ctx.clone(), until(), plan::reconcile));
    tasks.spawn(collect(ctx.clone(), until()));
    tasks.spawn(departed::follow(ctx.clone(), until()));
    tasks.spawn(credentials::keep(ctx.clone(), until()));
    tasks::all(tasks).await;
}

/// Looks at a run. One whose Job has something to tell goes before those that have not begun.
async fn look_at(mut run: Run, told: bool, ctx: Arc<Context>) -> Action {
    let _recording = told.then(|| ctx.precedence.recording());
    if !told && run.status.run.is_none() && !run.is_over() {
        ctx.precedence.quiet().await;
        run = ctx.caches.run(&run).unwrap_or(run);
    }
    run::reconcile(run, ctx.clone()).await
}

/// Now and then, deletes the strategy revisions that nothing names any more, and the records of runs that are over.
async fn collect(ctx: Arc<Context>, until: impl Future<Output = ()>) {
    let mut every = tokio::time::interval(COLLECT_EVERY);
    futures::pin_mut!(until);
    loop {
        tokio::select! {
            () = &mut until => return,
            _ = every.tick() => {}
        }
        match ctx.revisions.collect(&ctx).await {
            Ok(0) => {}
            Ok(collected) => tracing::info!(collected, "unused strategy revisions deleted"),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "strategy revisions not collected, will try again")
            }
        }
        match run::collect(&ctx).await {
            Ok(0) => {}
            Ok(collected) => tracing::info!(collected, "records of ended runs deleted"),
            Err(error) => {
                tracing::warn!(error = %chain(&error), "records of ended runs not collected, will try again")
            }
        }
    }
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
