//! What becomes of a run's Jobs. Those that have not ended are stopped before the run ends: nothing of it goes on beside the
//! run that has the next turn. The others go by themselves after a time, if one is set for them.
//!
//! Not before the end: a Job that went before its result was on record would be lost. So this is the last step of a run,
//! and whoever looks at a finished run whose Job has no time to live yet takes it again.

use std::sync::Arc;

use backstay_api::labels;
use backstay_core::contract::Mode;
use backstay_core::job::{Ownership, end, ownership};
use backstay_core::retry;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{ListParams, Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use serde_json::json;

use super::object::Run;
use super::{job, resource};
use crate::api_error::{ApiError, chain, is_not_found};
use crate::context::Context;

fn is_own(job: &Job, run: &Run) -> bool {
    matches!(ownership(job, &run.object, &run.uid), Ownership::Ours { .. })
}

/// Stops the pods that steps of the run have asked for and that have not ended. The one Job of a pod strategy has ended by
/// then, or ends at the run's own deadline.
///
/// # Errors
/// The API server's.
pub(super) async fn stop_unfinished(run: &Run, ctx: &Arc<Context>) -> Result<(), ApiError> {
    stop(run, ctx, |job| end(job).is_none()).await
}

/// Stops those, and removes those that failed: the next attempt of a clean-up finds none of its name and runs its own.
///
/// # Errors
/// The API server's.
pub(super) async fn clear_failed(run: &Run, ctx: &Arc<Context>) -> Result<(), ApiError> {
    stop(run, ctx, |job| end(job).is_none_or(|end| !end.succeeded)).await
}

/// The Jobs are listed from the API server: a watch may not show one that was made just now.
async fn stop(run: &Run, ctx: &Arc<Context>, which: impl Fn(&Job) -> bool) -> Result<(), ApiError> {
    if !resource::may_have_pods(run, ctx) {
        return Ok(());
    }
    let api = Api::<Job>::namespaced(ctx.client.clone(), run.namespace());
    let params = ListParams::default().labels(&format!("{}={}", labels::RUN_UID, run.uid));
    let doing = || format!("listing the Jobs of {}", run.title());
    let list = api.list(&params).await.map_err(|e| ApiError::new(doing(), e))?;
    for found in list.items.iter().filter(|job| is_own(job, run) && which(job)) {
        job::stop(run, found, ctx).await?;
        tracing::info!(run = %run.title(), job = %found.name_any(), "job of an ended run removed");
    }
    Ok(())
}

/// Sets the time to live of its Jobs, where that is to be done and has not been; says when to try again, if it failed.
pub(super) async fn expire(run: &Run, ctx: &Arc<Context>) -> Action {
    // The Jobs of a clean-up go with its Backup.
    let Some(ttl) = ctx.settings.job_ttl.filter(|_| run.mode != Mode::Cleanup) else {
        return Action::await_change();
    };
    // A pod strategy has one, by its name; others are found by their owner.
    let jobs = match ctx.caches.job(run.namespace(), &run.job_name()).filter(|job| is_own(job, run)) {
        Some(job) => vec![job],
        None => ctx.caches.jobs.state_filter(|job| is_own(job, run)),
    };
    let endless = |job: &Job| job.spec.as_ref().is_none_or(|s| s.ttl_seconds_after_finished.is_none());
    let api = Api::<Job>::namespaced(ctx.client.clone(), run.namespace());
    for job in jobs.iter().filter(|job| endless(job)) {
        let body = json!({"metadata": {"uid": job.metadata.uid}, "spec": {"ttlSecondsAfterFinished": ttl.as_secs()}});
        match api.patch(&job.name_any(), &PatchParams::default(), &Patch::Merge(body)).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => {}
            Err(error) => {
                let attempt = ctx.runs.failed(&run.uid);
                tracing::warn!(run = %run.title(), attempt, error = %chain(&error), "time to live of a job not set, will try again");
                return Action::requeue(retry::backoff(attempt));
            }
        }
    }
    Action::await_change()
}
