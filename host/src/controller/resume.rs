//! Restores the locks of runs on their applications when the controller starts.

use backstay_api::{Backup, finalizers};
use backstay_core::retry;
use kube::{Api, ResourceExt};

use crate::cluster::error::{ApiError, chain};
use crate::context::Context;
use crate::run::resolve;
use crate::state::run::Run;

/// Restores the locks of runs that have begun, and the places of runs that wait for a lock, before any run is reconciled.
pub(super) async fn resume(ctx: &Context) {
    let backup_jobs = ctx.stores.backup_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    let restore_jobs = ctx.stores.restore_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    // One run at a time: the memory that thousands of runs take together would stay with the process.
    for run in backup_jobs.chain(restore_jobs) {
        if !run.status.is_terminal() && (!run.deleting || run.is_held()) {
            restore_lock(&run, ctx).await;
        }
    }
    // The store has only the metadata of Backups.
    for shown in ctx.stores.backups.state() {
        let finalized = shown.finalizers().iter().any(|f| finalizers::is_ours(f));
        if finalized && shown.metadata.deletion_timestamp.is_some() {
            let client = ctx.cluster.client.clone();
            let api = Api::<Backup>::namespaced(client, &shown.namespace().unwrap_or_default());
            let name = shown.name_any();
            let doing = || format!("reading Backup {name:?}");
            let read = || async { api.get_opt(&name).await.map_err(|e| ApiError::new(doing(), e)) };
            if let Some(backup) = retried(read).await {
                restore_lock(&Run::from(&backup), ctx).await;
            }
        }
    }
}

/// Restores the lock of a run that has begun, or the place of a run that waits for one.
async fn restore_lock(run: &Run, ctx: &Context) {
    if run.status.run.is_some() {
        ctx.state.locks.restore(run);
    } else if let Some((application, strategy)) = retried(|| resolve::awaited_lock(run, ctx)).await {
        ctx.state.locks.enqueue(run, &application, &strategy);
    }
}

/// Repeats a call of the API server until it succeeds. Without its answer, two runs could hold one lock.
async fn retried<T, F>(call: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, ApiError>>,
{
    let mut attempt = 0;
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => {
                attempt += 1;
                tracing::warn!(attempt, error = %chain(&error), "could not restore the locks on applications, will try again");
                tokio::time::sleep(retry::backoff(attempt)).await;
            }
        }
    }
}
