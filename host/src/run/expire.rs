//! The Job of a run that is over goes by itself after a time, if one is set for it.
//!
//! Not before: a Job that went before its result was on record would be lost. So this is the last step of a run, and
//! whoever looks at a finished run whose Job has no time to live yet takes it again.

use std::sync::Arc;

use backstay_core::contract::Mode;
use backstay_core::job::{Ownership, ownership};
use backstay_core::retry;
use k8s_openapi::api::batch::v1::Job;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use serde_json::json;

use super::object::Run;
use crate::api_error::{chain, is_not_found};
use crate::context::Context;

/// Sets the time to live of the Job, where that is to be done and has not been; says when to try again, if it failed.
pub(super) async fn expire(run: &Run, ctx: &Arc<Context>) -> Action {
    // The Job of a clean-up goes with its Backup.
    let ttl = ctx.settings.job_ttl.filter(|_| run.mode != Mode::Cleanup);
    let (Some(ttl), Some(job)) = (ttl, ctx.caches.job(run.namespace(), &run.job_name())) else {
        return Action::await_change();
    };
    let ours = matches!(ownership(&job, &run.object, &run.uid), Ownership::Ours { .. });
    if !ours || job.spec.as_ref().is_some_and(|s| s.ttl_seconds_after_finished.is_some()) {
        return Action::await_change();
    }
    let api = Api::<Job>::namespaced(ctx.client.clone(), run.namespace());
    let body =
        json!({"metadata": {"uid": job.metadata.uid}, "spec": {"ttlSecondsAfterFinished": ttl.as_secs()}});
    match api.patch(&run.job_name(), &PatchParams::default(), &Patch::Merge(body)).await {
        Ok(_) => Action::await_change(),
        Err(error) if is_not_found(&error) => Action::await_change(),
        Err(error) => {
            let attempt = ctx.runs.failed(&run.uid);
            tracing::warn!(run = %run.title(), attempt, error = %chain(&error), "time to live of the job not set, will try again");
            Action::requeue(retry::backoff(attempt))
        }
    }
}
