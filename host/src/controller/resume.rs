//! Restores the locks of runs on their applications when the controller starts.

use std::future::Future;

use backstay_api::{Backup, finalizers};
use backstay_core::retry;
use kube::{Api, ResourceExt};

use crate::cluster::error::{ApiError, chain};
use crate::context::Context;
use crate::run::resolve;
use crate::state::run::Run;

/// RunCache that had begun hold their turns, and those that waited for one keep their place, before anybody asks.
pub(crate) async fn resume(ctx: &Context) {
    let backup_jobs = ctx.stores.backup_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    let restore_jobs = ctx.stores.restore_jobs.state().into_iter().map(|job| Run::from(job.as_ref()));
    // One after the other: there may be thousands that are over, and what they take together would stay with the process.
    for run in backup_jobs.chain(restore_jobs) {
        if !run.status.is_terminal() && (!run.deleting || run.is_held()) {
            take_up(&run, ctx).await;
        }
    }
    // Of Backups a watch shows the metadata only.
    for shown in ctx.stores.backups.state() {
        let finalized = shown.finalizers().iter().any(|f| finalizers::is_ours(f));
        if finalized && shown.metadata.deletion_timestamp.is_some() {
            let api =
                Api::<Backup>::namespaced(ctx.cluster.client.clone(), &shown.namespace().unwrap_or_default());
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
        ctx.state.locks.restore(run);
    } else if let Some((application, strategy)) = until_answered(|| resolve::awaited_lock(run, ctx)).await {
        ctx.state.locks.enqueue(run, &application, &strategy);
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
