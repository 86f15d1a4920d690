//! The Jobs of a run: created, stopped, and given a time to live.
//!
//! Jobs that have not ended are stopped before their run ends, so that no pod of the run works beside the run that gets
//! the lock next. The time to live is set after the run's end: a Job that expired before its result was on record would
//! be lost. A reconcile of a finished run sets it where it is missing.

use backstay_api::conditions::reasons;
use backstay_api::labels;
use backstay_core::contract::PodRun;
use backstay_core::job::{Ownership, end, ownership};
use backstay_core::retry::Class;
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, Patch, Preconditions};
use kube::core::Request;
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::cancel;
use crate::cluster::error::{ApiError, class, is_not_found};
use crate::cluster::write::{patch_params, post_params};
use crate::components::registry::Registry;
use crate::informers::stores::Stores;
use crate::state::State;
use crate::state::notices::Notices;
use crate::state::run::Run;

fn is_own(job: &Job, run: &Run) -> bool {
    matches!(ownership(job, &run.object, &run.uid), Ownership::Ours { .. })
}

/// Stops the Jobs of the run's steps that have not ended. The one Job of a pod strategy has ended before, or ends at the
/// run's own deadline.
///
/// # Errors
/// The API server's.
pub(crate) async fn stop_unfinished(run: &Run, registry: &Registry, state: &State) -> Result<(), ApiError> {
    stop_where(run, registry, state, |job| end(job).is_none()).await
}

/// Stops the Jobs of the run's steps that have not ended, and deletes those that failed, so that the next attempt of a
/// clean-up creates Jobs of its own.
///
/// # Errors
/// The API server's.
pub(crate) async fn clear_failed(run: &Run, registry: &Registry, state: &State) -> Result<(), ApiError> {
    stop_where(run, registry, state, |job| end(job).is_none_or(|end| !end.succeeded)).await
}

/// Lists the Jobs from the API server, since a watch may not show one that was just created.
async fn stop_where(
    run: &Run,
    registry: &Registry,
    state: &State,
    which: impl Fn(&Job) -> bool,
) -> Result<(), ApiError> {
    let client = state.runs.client();
    if !cancel::may_have_pods(run, registry, &state.step_caches) {
        return Ok(());
    }
    let api = Api::<Job>::namespaced(client.clone(), run.namespace());
    let params = ListParams::default().labels(&format!("{}={}", labels::RUN_UID, run.uid));
    let doing = || format!("listing the Jobs of {}", run.title());
    let list = api.list(&params).await.map_err(|e| ApiError::new(doing(), e))?;
    for found in list.items.iter().filter(|job| is_own(job, run) && which(job)) {
        stop(run, found, client).await?;
        tracing::info!(run = %run.title(), job = %found.name_any(), "job of an ended run removed");
    }
    Ok(())
}

/// Sets the time to live of the run's Jobs that have none.
///
/// # Errors
/// The API server's.
pub(crate) async fn expire(
    run: &Run,
    time_to_live: SignedDuration,
    stores: &Stores,
    client: &Client,
) -> Result<(), ApiError> {
    // The Job of a pod strategy has a name of its own; the Jobs of steps are found by their owner.
    let jobs = match stores.job(run.namespace(), &run.job_name()).filter(|job| is_own(job, run)) {
        Some(job) => vec![job],
        None => stores.jobs.state_filter(|job| is_own(job, run)),
    };
    let endless = |job: &Job| job.spec.as_ref().is_none_or(|s| s.ttl_seconds_after_finished.is_none());
    let api = Api::<Job>::namespaced(client.clone(), run.namespace());
    for job in jobs.iter().filter(|job| endless(job)) {
        let body = json!({
            "metadata": {"uid": job.metadata.uid},
            "spec": {"ttlSecondsAfterFinished": time_to_live.as_secs()},
        });
        match api.patch(&job.name_any(), &patch_params(), &Patch::Merge(body)).await {
            Err(error) if !is_not_found(&error) => {
                let doing =
                    format!("setting the time to live of Job \"{}/{}\"", run.namespace(), job.name_any());
                return Err(ApiError::new(doing, error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Posts the warnings of a rendered pod run as Events.
pub(crate) fn warn_of(pod_run: &PodRun, run: &Run, notices: &Notices) {
    for finding in &pod_run.findings {
        notices.warn(run, reasons::TEMPLATE_WARNING, &format!("{}: {}", finding.at, finding.message));
    }
}

/// Creates a Job from its JSON, so that fields which this program does not know reach the API server. The API server is asked
/// to refuse fields that it does not know either: a misspelt field of a template is an error.
pub(crate) async fn submit<T: DeserializeOwned>(
    api: &Api<Job>,
    job: &serde_json::Value,
    client: &Client,
) -> Result<T, kube::Error> {
    let body = serde_json::to_vec(job).map_err(kube::Error::SerdeError)?;
    let mut request =
        Request::new(api.resource_url()).create(&post_params(), body).map_err(kube::Error::BuildRequest)?;
    // Both parts are a valid request target already.
    if let Ok(strict) = format!("{}&fieldValidation=Strict", request.uri()).parse() {
        *request.uri_mut() = strict;
    }
    client.request(request).await
}

/// Deletes exactly this Job, with its pods.
///
/// # Errors
/// The API server's, other than that this Job no longer exists.
pub(crate) async fn stop(run: &Run, job: &Job, client: &Client) -> Result<(), ApiError> {
    let api = Api::<Job>::namespaced(client.clone(), run.namespace());
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: job.metadata.uid.clone(), resource_version: None }),
        ..DeleteParams::background()
    };
    match api.delete(&job.name_any(), &params).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(class(&error), Class::NotFound | Class::Conflict) => Ok(()),
        Err(error) => {
            Err(ApiError::new(format!("stopping Job \"{}/{}\"", run.namespace(), job.name_any()), error))
        }
    }
}
