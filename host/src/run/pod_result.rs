//! The result of a Job that has ended: its containers' exit codes and termination messages, and the last log lines if it
//! failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_core::contract::{Json, PodResult};
use backstay_core::job::{End, SeenPod, pod_result};
use backstay_core::owner::controller;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;

use super::pod_logs;
use crate::cluster::Cluster;
use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::informers::stores::Stores;
use crate::state::run::Run;

/// Collects the result of a Job, with the last `lines` of each container's log if it failed, and the guest's own `data`. The
/// pods come from the watch, or from a list where the watch lags behind the Job; of those that are gone it has what was seen of
/// them.
///
/// # Errors
/// The API server's, where the pods are listed.
pub(crate) async fn collect(
    run: &Run,
    job: &Job,
    end: &End,
    data: Option<Json>,
    lines: u32,
    cluster: &Cluster,
    stores: &Stores,
) -> Result<PodResult, ApiError> {
    let complete = |pods: &[Arc<Pod>]| complete(pods, &stores.evidence.pods(job), job, end);
    let mut pods: Vec<Arc<Pod>> = stores.pods_of(job);
    if !complete(&pods) {
        pods = stores.wait_for_pods(job, Duration::from_millis(250), complete).await;
    }
    if !complete(&pods) {
        let api = Api::<Pod>::namespaced(cluster.client.clone(), run.namespace());
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let params = ListParams::default().labels(&format!("batch.kubernetes.io/controller-uid={uid}"));
        let doing = format!("listing the pods of Job \"{}/{}\"", run.namespace(), job.name_any());
        let list = api.list(&params).await.map_err(|e| ApiError::new(doing, e))?;
        // Whoever may write pods may write that label.
        let owned = |pod: &Pod| {
            controller(&pod.metadata).is_some_and(|owner| owner.kind == "Job" && owner.uid == uid)
        };
        pods = list.items.into_iter().filter(owned).map(Arc::new).collect();
    }
    let logs = if end.succeeded || lines == 0 {
        HashMap::new()
    } else {
        pod_logs::read(run, &pods, lines, &cluster.client).await
    };
    let wanted = !end.succeeded && lines > 0;
    Ok(pod_result(end, seen(pods, job, stores), data, |pod, container| {
        let read = logs.get(&(pod.to_owned(), container.to_owned())).cloned();
        let kept = || stores.evidence.log(job, pod, container).filter(|_| wanted);
        read.or_else(kept).unwrap_or_default()
    }))
}

/// Returns the pods of a Job, with those that are gone, and what was seen of their deletion.
fn seen(mut pods: Vec<Arc<Pod>>, job: &Job, stores: &Stores) -> Vec<SeenPod> {
    let gone = stores.evidence.pods(job).into_iter();
    let gone: Vec<_> =
        gone.filter(|gone| pods.iter().all(|pod| pod.metadata.uid != gone.metadata.uid)).collect();
    pods.extend(gone);
    let deleted = |pod: &Pod| stores.evidence.deletion(job, &pod.name_any());
    let told =
        |pod: Arc<Pod>| SeenPod { deleted: deleted(&pod), pod: stores.evidence.with_failures(job, pod) };
    pods.into_iter().map(told).collect()
}

/// Returns whether the pods show what the Job counted: a complete Job has the pods that succeeded, a failed one the pods
/// that failed. Of pods that were deleted since, `gone` are those that were seen.
fn complete(pods: &[Arc<Pod>], gone: &[Arc<Pod>], job: &Job, end: &End) -> bool {
    let in_phase = |pods: &[Arc<Pod>], phase: &str| {
        let is = |p: &&Arc<Pod>| p.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some(phase));
        pods.iter().filter(is).count()
    };
    let counted = |count: Option<i32>| usize::try_from(count.unwrap_or(0)).unwrap_or(0);
    let status = job.status.clone().unwrap_or_default();
    if end.succeeded {
        in_phase(pods, "Succeeded") + in_phase(gone, "Succeeded") >= counted(status.succeeded).max(1)
    } else {
        // A pod that was deleted counts as failed, whatever its phase was.
        in_phase(pods, "Failed") + gone.len() >= counted(status.failed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::components::registry::Registry;
    use crate::run::jobs::tests::job;

    fn pod(name: &str, deletion: &Value, phase: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "tenant-a", "uid": name,
            "deletionTimestamp": deletion}, "status": {"phase": phase, "containerStatuses": [{"name": "c", "image": "",
            "imageID": "", "ready": true, "restartCount": 0, "state": {"running": {}}}]}}))
        .unwrap()
    }

    #[test]
    fn a_pod_that_is_gone_is_in_the_result_as_it_was_last_seen() {
        let (stores, _writers) = Stores::new(&Registry::default());
        let mut failed: Job = serde_json::from_value(job("j", "run-1", "Failed")).unwrap();
        let gone = pod("gone", &json!("2026-07-01T00:00:00Z"), "Running");
        stores.evidence.pod_shown(&gone, "uid-of-j", "run-1");
        stores.evidence.pod_gone(&gone, "uid-of-j", "run-1");
        let seen = seen(vec![Arc::new(pod("there", &json!(null), "Failed"))], &failed, &stores);
        let seen: Vec<_> = seen.iter().map(|seen| (seen.pod.name_any(), seen.deleted.clone())).collect();
        assert_eq!(seen, [("there".to_owned(), None), ("gone".to_owned(), Some(vec!["c".to_owned()]))]);

        failed.status.get_or_insert_default().failed = Some(1);
        let end = backstay_core::job::end(&failed).unwrap();
        assert!(complete(&[], &stores.evidence.pods(&failed), &failed, &end), "it was seen");
        assert!(!complete(&[], &[], &failed, &end));
    }
}
