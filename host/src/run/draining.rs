//! The end of a turn. Jobs of a run that has ended, or whose object is gone, are stopped, and the run keeps its lock until none
//! of its pods can run.

use std::time::Duration;

use backstay_api::labels;
use backstay_core::job::{end, is_owned, what_runs};
use backstay_core::retry::Class;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, Preconditions};
use kube::{Client, Resource, ResourceExt};

use crate::cluster::api::Api;
use crate::cluster::error::{ApiError, chain, class};
use crate::cluster::pages::PAGE;
use crate::cluster::partial::{Partial, PartialDecode};
use crate::records::checkpoints::RecordsError;
use crate::records::proof_key::StoredKey;
use crate::state::draining::Seen;

/// How long a look may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The finalizer of an object that goes after its dependents.
const FOREGROUND: &str = "foregroundDeletion";

/// Stops what runs of a run that has ended, and returns what still may.
pub(crate) async fn look(
    run_uid: &str,
    namespace: &str,
    key: &StoredKey,
    client: &Client,
    now: Timestamp,
) -> Seen {
    let looked = tokio::time::timeout(TIMEOUT, what_may_run(run_uid, namespace, key, client, now)).await;
    let error = match looked {
        Ok(Ok(None)) => return Seen::Nothing,
        Ok(Ok(Some(what))) => return Seen::Runs(what),
        Ok(Err(error)) => chain(&error).to_string(),
        Err(_) => format!("listing its Jobs and pods in {namespace:?} was not answered"),
    };
    tracing::warn!(run_uid, namespace, error, "what runs of an ended run is not known, will look again");
    Seen::Unknown(format!("what its pods do is not known, since {error}"))
}

async fn what_may_run(
    run_uid: &str,
    namespace: &str,
    key: &StoredKey,
    client: &Client,
    now: Timestamp,
) -> Result<Option<String>, RecordsError> {
    let jobs = kube::Api::<Partial<Job>>::namespaced(client.clone(), namespace);
    let pods = kube::Api::<Partial<Pod>>::namespaced(client.clone(), namespace);
    let key = key.get().await?;
    // The Jobs first: what no Job starts any more is in a later list of pods.
    let jobs: Vec<Job> = all(&jobs, run_uid, namespace)
        .await?
        .into_iter()
        .filter(|job| is_owned(job, run_uid) || key.proves(job, run_uid))
        .collect();
    for job in jobs.iter().filter(|job| end(job).is_none() && !goes_with_its_pods(job)) {
        stop(job, namespace, client).await?;
        tracing::info!(run_uid, namespace, job = %job.name_any(), "job of an ended run stopped");
    }
    let pods = all(&pods, run_uid, namespace).await?;
    Ok(what_runs(&jobs, &pods, now))
}

/// Lists the objects of a run. One that does not decode is known by its metadata, and counts as running.
async fn all<K: PartialDecode + Resource<DynamicType = ()> + Default>(
    api: &kube::Api<Partial<K>>,
    run_uid: &str,
    namespace: &str,
) -> Result<Vec<K>, ApiError> {
    let mut params = ListParams::default().labels(&format!("{}={run_uid}", labels::RUN_UID)).limit(PAGE);
    let mut all = Vec::new();
    loop {
        let doing = || format!("listing the {} of a run in {namespace:?}", K::plural(&()));
        let page = api.list(&params).await.map_err(|e| ApiError::new(doing(), e))?;
        all.extend(page.items.into_iter().map(|partial| {
            partial.0.unwrap_or_else(|invalid| {
                let mut object = K::default();
                *object.meta_mut() = invalid.metadata;
                object
            })
        }));
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(all);
        }
    }
}

fn goes_with_its_pods(job: &Job) -> bool {
    job.metadata.deletion_timestamp.is_some() && job.finalizers().iter().any(|f| f == FOREGROUND)
}

/// Deletes a Job after its pods, also where its deletion has begun in another way: a Job that a finalizer of somebody else
/// holds keeps its pods otherwise.
async fn stop(job: &Job, namespace: &str, client: &Client) -> Result<(), ApiError> {
    let preconditions = Preconditions { uid: job.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::foreground() };
    let api = Api::<Job>::namespaced(client.clone(), namespace);
    match api.delete(&job.name_any(), &params).await {
        Err(error) if !matches!(class(&error), Class::NotFound | Class::Conflict) => {
            Err(ApiError::new(format!("stopping Job \"{namespace}/{}\"", job.name_any()), error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use backstay_core::job::{PROOF_ANNOTATION, ProofKey};
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::stand_in::{Fault, StandIn};
    use crate::records::proof_key::tests::known;
    use crate::run::jobs::tests::{JOBS, job};

    const PODS: &str = "/api/v1/namespaces/tenant-a/pods";

    async fn seen(server: &StandIn) -> Seen {
        look("run-1", "tenant-a", &known(server), &server.client(), Timestamp::UNIX_EPOCH).await
    }

    fn put(object: Value, at: &str, server: &StandIn) {
        server.put(&format!("{at}/{}", object["metadata"]["name"].as_str().unwrap()), object);
    }

    fn pod(name: &str, phase: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": "tenant-a", "labels": {labels::RUN_UID: "run-1"},
            "deletionTimestamp": "1970-01-01T00:00:00Z"}, "status": {"phase": phase}})
    }

    fn exists(name: &str, server: &StandIn) -> bool {
        server.get(&format!("{JOBS}/{name}")).is_some()
    }

    #[tokio::test]
    async fn what_has_not_ended_of_an_ended_run_is_stopped_and_the_rest_stays() {
        let server = StandIn::default();
        put(job("ours", "run-1", ""), JOBS, &server);
        put(job("complete", "run-1", "Complete"), JOBS, &server);
        put(job("another", "run-2", ""), JOBS, &server);
        assert_eq!(seen(&server).await, Seen::Runs("Job \"tenant-a/ours\"".to_owned()));
        assert!(!exists("ours", &server) && exists("complete", &server) && exists("another", &server));
        assert_eq!(seen(&server).await, Seen::Nothing);
    }

    #[tokio::test]
    async fn a_job_that_was_orphaned_is_known_by_its_proof_and_stopped() {
        let server = StandIn::default();
        let mut orphan = job("orphan", "", "");
        orphan["metadata"]["ownerReferences"] = json!([]);
        put(orphan.clone(), JOBS, &server);
        assert_eq!(seen(&server).await, Seen::Nothing, "it is somebody else's");
        let proof = ProofKey::new([7; 32]).of_job("tenant-a", "orphan", "run-1");
        orphan["metadata"]["annotations"] = json!({PROOF_ANNOTATION: proof});
        put(orphan, JOBS, &server);
        assert_eq!(seen(&server).await, Seen::Runs("Job \"tenant-a/orphan\"".to_owned()));
        assert!(!exists("orphan", &server));
    }

    #[tokio::test]
    async fn a_pod_that_has_not_ended_is_waited_for_though_its_job_is_gone() {
        let server = StandIn::default();
        put(pod("done", "Succeeded"), PODS, &server);
        put(pod("p", "Running"), PODS, &server);
        assert_eq!(seen(&server).await, Seen::Runs("pod \"tenant-a/p\"".to_owned()));
        put(pod("p", "Failed"), PODS, &server);
        assert_eq!(seen(&server).await, Seen::Nothing);
    }

    #[tokio::test]
    async fn a_job_whose_deletion_leaves_its_pods_is_deleted_with_them() {
        let server = StandIn::default();
        let mut deleting = job("ours", "run-1", "");
        deleting["metadata"]["deletionTimestamp"] = json!("1970-01-01T00:00:00Z");
        deleting["metadata"]["finalizers"] = json!(["example.org/hold"]);
        put(deleting.clone(), JOBS, &server);
        seen(&server).await;
        let sent = server.sent();
        let delete = sent.iter().find(|sent| sent.call == "DELETE jobs/ours").expect("it is deleted");
        assert_eq!(delete.body["propagationPolicy"], json!("Foreground"));
        assert_eq!(delete.body["preconditions"]["uid"], json!("uid-of-ours"));
        deleting["metadata"]["finalizers"] = json!(["example.org/hold", FOREGROUND]);
        put(deleting, JOBS, &server);
        seen(&server).await;
        assert!(!server.calls().contains(&"DELETE jobs/ours".to_owned()), "once is enough");
    }

    #[tokio::test]
    async fn a_list_that_fails_says_nothing_about_the_pods() {
        for call in [0, 1] {
            let server = StandIn::default();
            server.fault(call, Fault::Answer(503, "ServiceUnavailable"));
            assert!(matches!(seen(&server).await, Seen::Unknown(_)), "call {call}");
        }
    }
}
