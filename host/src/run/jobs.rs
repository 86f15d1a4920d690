//! The Jobs of a run: created, stopped, and given a time to live.
//!
//! Jobs of steps that have not ended are stopped before their run ends; `draining.rs` then waits for the pods, so that none
//! works beside the run that gets the lock next. The time to live is set after the run's end: a Job that expired before its result was on record would
//! be lost. A reconcile of a finished run sets it where it is missing.

use backstay_api::conditions::reasons;
use backstay_api::labels;
use backstay_core::contract::PodRun;
use backstay_core::job::{ProofKey, end, is_owned};
use backstay_core::retry::Class;
use jiff::SignedDuration;
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, ListParams, Patch, Preconditions};
use kube::core::Request;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::cancel;
use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, class, is_not_found};
use crate::cluster::partial::{Partial, PartialDecode};
use crate::cluster::write::{patch_params, post_params};
use crate::components::registry::Registry;
use crate::informers::index::By;
use crate::informers::stores::Stores;
use crate::state::State;
use crate::state::notices::Notices;
use crate::state::run::Run;

/// Returns whether a Job names the run as its owner, and is not being deleted.
fn is_own(job: &Job, run: &Run) -> bool {
    job.metadata.namespace.as_deref() == Some(run.namespace())
        && job.metadata.deletion_timestamp.is_none()
        && is_owned(job, &run.uid)
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
        // Its pods may go on for a while, and the watches may not show them.
        state.draining.suspect(&run.uid);
        stop(run, found, client).await?;
        tracing::info!(run = %run.title(), job = %found.name_any(), "job of an ended run removed");
    }
    Ok(())
}

/// Sets the time to live of the run's Jobs that have none. A Job that the controller did not make is left as it is.
///
/// # Errors
/// The API server's.
pub(crate) async fn expire(
    run: &Run,
    time_to_live: SignedDuration,
    key: &ProofKey,
    stores: &Stores,
    client: &Client,
) -> Result<(), ApiError> {
    let made = |job: &Job| is_own(job, run) && key.proves(job, &run.uid);
    // The Job of a pod strategy has a name of its own; the Jobs of steps are found by their owner.
    let jobs = match stores.job(run.namespace(), &run.job_name()).filter(|job| made(job)) {
        Some(job) => vec![job],
        None => {
            let mut jobs = stores.indexes.jobs.of(By::Controller(&run.uid));
            jobs.retain(|job| made(job));
            jobs
        }
    };
    let endless = |job: &Job| job.spec.as_ref().is_none_or(|s| s.ttl_seconds_after_finished.is_none());
    let api = Api::<Job>::namespaced(client.clone(), run.namespace());
    for job in jobs.iter().filter(|job| endless(job)) {
        let body = json!({
            "metadata": {"uid": job.metadata.uid},
            "spec": {"ttlSecondsAfterFinished": time_to_live.as_secs()},
        });
        let doing = || format!("setting the time to live of Job \"{}/{}\"", run.namespace(), job.name_any());
        let error = match api.patch(&job.name_any(), &patch_params(), &Patch::Merge(body)).await {
            Err(error) if !is_not_found(&error) => error,
            _ => continue,
        };
        // A Job that was made anew under the name is not the run's, and the watch will say so.
        if class(&error) == Class::Conflict {
            let now = api.get_opt(&job.name_any()).await.map_err(|e| ApiError::new(doing(), e))?;
            if now.is_none_or(|now| now.uid() != job.uid()) {
                continue;
            }
        }
        return Err(ApiError::new(doing(), error));
    }
    Ok(())
}

/// Posts the warnings of a rendered pod run as Events.
pub(crate) fn warn_of(pod_run: &PodRun, run: &Run, notices: &Notices) {
    for finding in &pod_run.findings {
        notices.warn(run, reasons::TEMPLATE_WARNING, &format!("{}: {}", finding.at, finding.message));
    }
}

/// Stops the Job of a run that has lost the record of it.
///
/// # Errors
/// The API server's.
pub(crate) async fn stop_own(run: &Run, stores: &Stores, client: &Client) -> Result<(), ApiError> {
    match stores.job(run.namespace(), &run.job_name()).filter(|job| is_own(job, run)) {
        Some(job) => stop(run, &job, client).await,
        None => Ok(()),
    }
}

/// Creates a Job from its JSON, so that fields which this program does not know reach the API server. The API server is asked
/// to refuse fields that it does not know either: a misspelt field of a template is an error.
pub(crate) async fn submit<K: PartialDecode>(
    api: &Api<K>,
    job: &serde_json::Value,
) -> Result<K, kube::Error> {
    let body = serde_json::to_vec(job).map_err(kube::Error::SerdeError)?;
    let mut request =
        Request::new(api.resource_url()).create(&post_params(), body).map_err(kube::Error::BuildRequest)?;
    // Both parts are a valid request target already.
    if let Ok(strict) = format!("{}&fieldValidation=Strict", request.uri()).parse() {
        *request.uri_mut() = strict;
    }
    api.client().request::<Partial<K>>(request).await?.decoded()
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

#[cfg(test)]
pub(crate) mod tests {
    use backstay_core::contract::Mode;
    use kube::runtime::watcher::Event;
    use serde_json::Value;

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::informers::stores::Writers;
    use crate::state::run::tests::{begun, stored_run};

    pub(crate) const JOBS: &str = "/apis/batch/v1/namespaces/tenant-a/jobs";

    /// A Job of the run `nightly` with uid `owner`. `condition` is the one that is true; none while it is empty.
    pub(crate) fn job(name: &str, owner: &str, condition: &str) -> Value {
        let conditions = json!([{"type": condition, "status": "True", "reason": "r", "message": "m"}]);
        json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": name, "namespace": "tenant-a", "uid": format!("uid-of-{name}"),
                "labels": {(labels::RUN_UID): "run-1"},
                "ownerReferences": [{"apiVersion": "backups.cozystack.io/v1alpha1", "kind": "BackupJob",
                    "name": "nightly", "uid": owner, "controller": true}]},
            "spec": {"template": {}},
            "status": if condition.is_empty() { json!({}) } else { json!({"conditions": conditions}) }})
    }

    /// A Job with the proof that the controller made it for the run `run-1`.
    pub(crate) fn proven(mut job: Value) -> Value {
        let name = job["metadata"]["name"].as_str().unwrap();
        let proof = ProofKey::new([7; 32]).of_job("tenant-a", name, "run-1");
        job["metadata"]["annotations"] = json!({backstay_core::job::PROOF_ANNOTATION: proof});
        job
    }

    pub(crate) fn show(job: &Value, writers: &mut Writers) {
        let job: Job = serde_json::from_value(job.clone()).unwrap();
        writers.jobs.apply_watcher_event(&Event::Apply(job));
    }

    fn put(job: &Value, server: &StandIn) {
        server.put(&format!("{JOBS}/{}", job["metadata"]["name"].as_str().unwrap()), job.clone());
    }

    /// Names of the Jobs that exist, among those that [`given`] stores.
    fn left(server: &StandIn) -> Vec<&'static str> {
        let all = ["runs", "failed", "complete", "foreign"];
        all.into_iter().filter(|name| server.get(&format!("{JOBS}/{name}")).is_some()).collect()
    }

    /// A run of steps, with Jobs of it in each state, and a Job of somebody else that has the run's label.
    fn given(server: &StandIn) -> (Run, State) {
        for (name, owner, condition) in [
            ("runs", "run-1", ""),
            ("failed", "run-1", "Failed"),
            ("complete", "run-1", "Complete"),
            ("foreign", "x", ""),
        ] {
            put(&job(name, owner, condition), server);
        }
        (stored_run(Mode::Backup, begun(100), server), State::empty(server.client()))
    }

    #[tokio::test]
    async fn of_a_runs_jobs_those_that_have_not_ended_are_stopped() {
        let server = StandIn::default();
        let (run, state) = given(&server);
        stop_unfinished(&run, &Registry::default(), &state).await.unwrap();
        assert_eq!(left(&server), ["failed", "complete", "foreign"]);
    }

    #[tokio::test]
    async fn before_another_attempt_the_failed_jobs_are_deleted_too() {
        let server = StandIn::default();
        let (run, state) = given(&server);
        clear_failed(&run, &Registry::default(), &state).await.unwrap();
        assert_eq!(left(&server), ["complete", "foreign"]);
    }

    #[tokio::test]
    async fn jobs_that_cannot_be_listed_or_stopped_are_an_error() {
        let server = StandIn::default();
        let (run, state) = given(&server);
        for (call, doing) in
            [(0, "listing the Jobs of BackupJob \"tenant-a/nightly\""), (1, "stopping Job \"tenant-a/runs\"")]
        {
            server.fault(call, Fault::Answer(503, "ServiceUnavailable"));
            let error = stop_unfinished(&run, &Registry::default(), &state).await.unwrap_err();
            assert!(error.to_string().starts_with(doing), "{error}");
        }
    }

    #[tokio::test]
    async fn exactly_the_job_that_was_seen_is_stopped() {
        let server = StandIn::default();
        let run = stored_run(Mode::Backup, begun(100), &server);
        let mut newer = job("runs", "run-1", "");
        newer["metadata"]["uid"] = json!("newer");
        put(&newer, &server);
        let seen: Job = serde_json::from_value(job("runs", "run-1", "")).unwrap();
        stop(&run, &seen, &server.client()).await.unwrap();
        assert!(server.get(&format!("{JOBS}/runs")).is_some(), "another Job has the name");
        server.remove(&format!("{JOBS}/runs"));
        stop(&run, &seen, &server.client()).await.unwrap();
    }

    #[tokio::test]
    async fn a_time_to_live_is_set_on_the_runs_jobs_that_have_none() {
        let server = StandIn::default();
        let (run, _) = given(&server);
        let (stores, mut writers) = Stores::new(&Registry::default());
        let mut expiring = job("failed", "run-1", "Failed");
        expiring["spec"]["ttlSecondsAfterFinished"] = json!(7);
        put(&expiring, &server);
        // The watch still shows a Job that no longer exists.
        for shown in [
            &proven(job("complete", "run-1", "Complete")),
            &proven(expiring.clone()),
            &job("foreign", "x", ""),
            &job("runs", "run-1", "Complete"),
            &proven(job("gone", "run-1", "")),
        ] {
            show(shown, &mut writers);
        }
        stores.index();
        let key = ProofKey::new([7; 32]);
        expire(&run, SignedDuration::from_secs(60), &key, &stores, &server.client()).await.unwrap();
        let ttl = |name: &str| {
            server.get(&format!("{JOBS}/{name}")).unwrap()["spec"]["ttlSecondsAfterFinished"].clone()
        };
        assert_eq!([ttl("complete"), ttl("failed"), ttl("foreign")], [json!(60), json!(7), Value::Null]);
        assert_eq!(ttl("runs"), Value::Null, "the controller did not make it");
    }

    #[tokio::test]
    async fn a_job_that_was_made_anew_under_the_name_is_left_alone_and_another_conflict_is_an_error() {
        let server = StandIn::default();
        let (run, _) = given(&server);
        let (stores, mut writers) = Stores::new(&Registry::default());
        show(&proven(job("complete", "run-1", "Complete")), &mut writers);
        stores.index();
        let (day, key) = (SignedDuration::from_hours(24), ProofKey::new([7; 32]));
        server.fault(0, Fault::Answer(409, "Conflict"));
        let refused = expire(&run, day, &key, &stores, &server.client()).await.unwrap_err();
        assert_eq!(refused.class(), Class::Conflict);

        let mut anew = job("complete", "run-1", "");
        anew["metadata"]["uid"] = json!("newer");
        put(&anew, &server);
        expire(&run, day, &key, &stores, &server.client()).await.unwrap();
        let spec = server.get(&format!("{JOBS}/complete")).unwrap()["spec"].clone();
        assert_eq!(spec["ttlSecondsAfterFinished"], Value::Null);
    }

    #[tokio::test]
    async fn of_a_pod_strategy_the_job_of_the_runs_name_expires_alone() {
        let server = StandIn::default();
        let run = stored_run(Mode::Backup, begun(100), &server);
        let (stores, mut writers) = Stores::new(&Registry::default());
        for name in [run.job_name().as_str(), "other"] {
            let job = proven(job(name, "run-1", "Complete"));
            put(&job, &server);
            show(&job, &mut writers);
        }
        server.sent();
        let key = ProofKey::new([7; 32]);
        expire(&run, SignedDuration::from_secs(60), &key, &stores, &server.client()).await.unwrap();
        assert_eq!(server.calls(), [format!("PATCH jobs/{}", run.job_name())]);
    }
}
