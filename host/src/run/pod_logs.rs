//! The logs of a Job's pods: read when the Job has failed, and before where they may be gone by then.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backstay_core::job::logs_to_keep;
use futures::AsyncReadExt as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::{Client, ResourceExt};

use crate::informers::stores::Stores;
use crate::state::run::Run;

/// Bytes of one container's log that are kept: its last ones.
const LOG_BYTES: usize = 64 * 1024;
/// Bytes of a log that are read: more than 200 lines of a container runtime, which are of 16 KiB at most.
const READ_BYTES: u64 = 4 << 20;
/// Pods whose logs are read: as many as a result holds.
const PODS: usize = 4;
/// How long the logs of a Job that has not ended may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Keeps the last `lines` of those logs that may be gone before the Job has ended. A log that cannot be read is left out.
pub(crate) async fn keep(run: &Run, job: &Job, lines: u32, client: &Client, stores: &Stores) {
    let api = kube::Api::<Pod>::namespaced(client.clone(), run.namespace());
    let reading = async {
        for pod in stores.pods_of(job) {
            let name = pod.name_any();
            for log in logs_to_keep(&pod) {
                let known = stores.evidence.has_log(job, &name, &log.container, &log.moment);
                if lines == 0 || known {
                    continue;
                }
                let params = LogParams {
                    container: Some(log.container.clone()),
                    previous: log.previous,
                    tail_lines: Some(i64::from(lines)),
                    ..LogParams::default()
                };
                match tail(&api, &name, &params).await {
                    Ok(text) => {
                        stores.evidence.keep_log(job, &run.uid, &name, &log.container, &log.moment, &text);
                    }
                    Err(error) => {
                        tracing::debug!(run = %run.title(), pod = %name, container = %log.container,
                        error = %crate::cluster::error::chain(&error), "log not kept")
                    }
                }
            }
        }
    };
    if tokio::time::timeout(TIMEOUT, reading).await.is_err() {
        tracing::debug!(run = %run.title(), "logs not kept in time");
    }
}

/// Returns the last lines of each container that has ended, by pod and container. A log that cannot be read is left out, since the verdict
/// does not depend on it.
pub(crate) async fn read(
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
    if is_apology(&bytes) {
        return Err(kube::Error::Service("the node no longer has this log".into()));
    }
    Ok(last(&bytes, LOG_BYTES))
}

/// Returns whether this is what a kubelet (1.34) answers, with 200, in place of the log of a container that it has removed
/// meanwhile.
fn is_apology(bytes: &[u8]) -> bool {
    bytes.starts_with(b"unable to retrieve container logs for ") && !bytes.contains(&b'\n')
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
    fn what_a_kubelet_says_in_place_of_a_log_is_no_log() {
        assert!(is_apology(b"unable to retrieve container logs for containerd://e539d0cb"));
        assert!(!is_apology(b"unable to retrieve container logs for containerd://e539d0cb\nand more\n"));
        assert!(!is_apology(b"access denied\n") && !is_apology(b""));
    }

    #[test]
    fn the_end_of_a_log_is_kept_whole_characters_only() {
        assert_eq!(last(b"abc", 5), "abc");
        assert_eq!(last("aäöü".as_bytes(), 3), "ü");
        assert_eq!(last(b"a\xffb", 64), "a\u{fffd}b");
    }
}
