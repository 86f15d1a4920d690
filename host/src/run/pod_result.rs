//! The result of a Job that has ended: its containers' exit codes and termination messages, and the last log lines if it
//! failed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_core::contract::{Json, PodResult};
use backstay_core::job::{End, pod_result};
use backstay_core::owner::controller;
use futures::AsyncReadExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Client, ResourceExt};

use crate::cluster::Cluster;
use crate::cluster::api::Api;
use crate::cluster::error::ApiError;
use crate::informers::stores::Stores;
use crate::state::run::Run;

/// Bytes of one container's log that are kept: its last ones.
const LOG_BYTES: usize = 64 * 1024;
/// Bytes of a log that are read: more than 200 lines of a container runtime, which are of 16 KiB at most.
const READ_BYTES: u64 = 4 << 20;
/// Pods whose logs are read: as many as a result holds.
const PODS: usize = 4;

/// Collects the result of a Job, with the last `lines` of each container's log if it failed, and the guest's own `data`. The
/// pods come from the watch, or from a list where the watch lags behind the Job.
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
    let mut pods: Vec<Arc<Pod>> = stores.pods_of(job);
    if !complete(&pods, job, end) {
        pods = stores.wait_for_pods(job, Duration::from_millis(250), |p| complete(p, job, end)).await;
    }
    if !complete(&pods, job, end) {
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
        logs(run, &pods, lines, &cluster.client).await
    };
    Ok(pod_result(end, pods.iter().map(AsRef::as_ref), data, |pod, container| {
        logs.get(&(pod.to_owned(), container.to_owned())).cloned().unwrap_or_default()
    }))
}

/// Returns whether the pods show what the Job counted: a complete Job has the pods that succeeded, a failed one the pods
/// that failed, unless they were deleted since.
fn complete(pods: &[Arc<Pod>], job: &Job, end: &End) -> bool {
    let ended = |phase: &str| {
        let in_phase = |p: &&Arc<Pod>| p.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some(phase));
        i32::try_from(pods.iter().filter(in_phase).count()).unwrap_or(i32::MAX)
    };
    let status = job.status.clone().unwrap_or_default();
    if end.succeeded {
        ended("Succeeded") >= status.succeeded.unwrap_or(1).max(1)
    } else {
        ended("Failed") >= status.failed.unwrap_or(0)
    }
}

/// Returns the last lines of each container, by pod and container. A log that cannot be read is left out, since the verdict
/// does not depend on it.
async fn logs(
    run: &Run,
    pods: &[Arc<Pod>],
    lines: u32,
    client: &Client,
) -> HashMap<(String, String), String> {
    let api = kube::Api::<Pod>::namespaced(client.clone(), run.namespace());
    let mut logs = HashMap::new();
    let mut newest: Vec<_> = pods.iter().collect();
    newest.sort_by_key(|p| std::cmp::Reverse(p.metadata.creation_timestamp.as_ref().map(|t| t.0)));
    for pod in newest.into_iter().take(PODS) {
        let status = pod.status.clone().unwrap_or_default();
        let containers =
            status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        for container in containers.filter(|c| c.state.as_ref().is_some_and(|s| s.terminated.is_some())) {
            let params = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(i64::from(lines)),
                ..LogParams::default()
            };
            match tail(&api, &pod.name_any(), &params).await {
                Ok(text) => {
                    logs.insert((pod.name_any(), container.name.clone()), text);
                }
                Err(error) => {
                    tracing::warn!(run = %run.title(), pod = %pod.name_any(), container = %container.name,
                        error = %crate::cluster::error::chain(&error), "log not read");
                }
            }
        }
    }
    logs
}

/// Returns the end of a log, at most 64 KiB. The API server's own bound on bytes would keep the beginning of the lines, and
/// could end within a character.
pub(crate) async fn tail(api: &kube::Api<Pod>, pod: &str, params: &LogParams) -> Result<String, kube::Error> {
    let mut bytes = Vec::new();
    let log = api.log_stream(pod, params).await?;
    log.take(READ_BYTES).read_to_end(&mut bytes).await.map_err(kube::Error::ReadEvents)?;
    Ok(last(&bytes, LOG_BYTES))
}

/// Returns the last `limit` bytes as text, from the beginning of a character.
fn last(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let from = text.len().saturating_sub(limit);
    text.get(text.ceil_char_boundary(from)..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_kept_whole_characters_only() {
        assert_eq!(last(b"abc", 5), "abc");
        assert_eq!(last("aäöü".as_bytes(), 3), "ü");
        assert_eq!(last(b"a\xffb", 64), "a\u{fffd}b");
    }
}
