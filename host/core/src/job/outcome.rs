//! The end of a Job, and the facts about its pods by which a component parses the result.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod as KubePod};
use serde::{Deserialize, Serialize};

use super::trouble::disruption;
use crate::contract::{Container, Json, Pod, PodResult, PodRun, Timestamp};

/// Annotation of the Job with its [`PodRunNote`], until the run's status holds that, and for a run that stores none.
pub const POD_RUN_ANNOTATION: &str = "backstay.dev/pod-run";
/// Most pods in a result.
const PODS: usize = 4;
/// Longest termination message in a result, in bytes; Kubernetes itself keeps 4 KiB.
const MESSAGE: usize = 4096;

/// The part of a pod run that its result needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRunNote {
    /// [`crate::contract::PodRun::data`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Json>,
    /// [`crate::contract::PodRun::log_lines`].
    #[serde(default)]
    pub log_lines: u32,
}

impl PodRunNote {
    /// Returns the note of a pod run.
    #[must_use]
    pub fn of_run(pod_run: &PodRun) -> Self {
        Self { data: pod_run.data.clone(), log_lines: pod_run.log_lines }
    }

    /// Returns the note as JSON text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Plain data: serialising it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the note of a Job; a missing or unreadable one is empty.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        job.metadata
            .annotations
            .as_ref()
            .and_then(|a| a.get(POD_RUN_ANNOTATION))
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }
}

/// The end of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Whether the Job is `Complete`, not `Failed`.
    pub succeeded: bool,
    /// Reason of the condition.
    pub reason: String,
    /// Message of the condition.
    pub message: String,
    /// When the Job ended, in seconds; `None` if its status names no time.
    pub at: Option<Timestamp>,
}

/// Returns the end of the Job, if it has ended: its first condition `Complete` or `Failed` that is True.
#[must_use]
pub fn end(job: &Job) -> Option<End> {
    let status = job.status.as_ref()?;
    let condition = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed"))?;
    let at = status.completion_time.as_ref().or(condition.last_transition_time.as_ref());
    Some(End {
        succeeded: condition.type_ == "Complete",
        reason: condition.reason.clone().unwrap_or_default(),
        message: condition.message.clone().unwrap_or_default(),
        at: at.map(|t| t.0.as_second()),
    })
}

/// Returns the result to parse: the end of the Job and its pods, newest first, at most four. `log` returns the log lines
/// of a container by pod and container name.
#[must_use]
pub fn pod_result<'a>(
    end: &End,
    pods: impl IntoIterator<Item = &'a KubePod>,
    data: Option<Json>,
    log: impl Fn(&str, &str) -> String,
) -> PodResult {
    let mut pods: Vec<&KubePod> = pods.into_iter().collect();
    pods.sort_by(|a, b| {
        let key =
            |p: &KubePod| (p.metadata.creation_timestamp.as_ref().map(|t| t.0), p.metadata.name.clone());
        key(b).cmp(&key(a))
    });
    PodResult {
        succeeded: end.succeeded,
        reason: end.reason.clone(),
        message: end.message.clone(),
        pods: pods.into_iter().take(PODS).map(|p| pod(p, &log)).collect(),
        data,
    }
}

fn pod(pod: &KubePod, log: &impl Fn(&str, &str) -> String) -> Pod {
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let containers: Vec<Container> = status
        .init_container_statuses
        .iter()
        .flatten()
        .chain(status.container_statuses.iter().flatten())
        .map(|c| container(c, log(&name, &c.name)))
        .collect();
    let finished = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|t| t.0.as_second()))
        .max();
    // An eviction or the loss of the node often shows only in a condition.
    let disrupted = disruption(&status).map(|(reason, message)| (reason.to_owned(), message.to_owned()));
    let (reason, message) = match (status.reason, disrupted) {
        (None, Some(disrupted)) => disrupted,
        (reason, _) => (reason.unwrap_or_default(), status.message.unwrap_or_default()),
    };
    Pod {
        name,
        reason,
        message: cut(message),
        started_at: status.start_time.map(|t| t.0.as_second()),
        finished_at: finished,
        containers,
    }
}

fn container(status: &ContainerStatus, log: String) -> Container {
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.clone().unwrap_or_default();
    if let Some(ended) = state.terminated.or(last.terminated) {
        return Container {
            name: status.name.clone(),
            exit_code: Some(ended.exit_code),
            reason: ended.reason.unwrap_or_default(),
            message: cut(ended.message.unwrap_or_default()),
            log,
        };
    }
    let waiting = state.waiting.unwrap_or_default();
    Container {
        name: status.name.clone(),
        exit_code: None,
        reason: waiting.reason.unwrap_or_default(),
        message: cut(waiting.message.unwrap_or_default()),
        log,
    }
}

/// Cuts a text to [`MESSAGE`] bytes.
fn cut(mut text: String) -> String {
    if text.len() > MESSAGE {
        text.truncate(text.floor_char_boundary(MESSAGE));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(status: Json) -> Job {
        serde_json::from_value(json!({"metadata": {}, "status": status})).unwrap()
    }

    #[test]
    fn a_job_ends_by_the_first_true_condition() {
        assert_eq!(end(&job(json!({}))), None);
        assert_eq!(end(&job(json!({"conditions": [{"type": "Suspended", "status": "True"}]}))), None);
        assert_eq!(end(&job(json!({"conditions": [{"type": "Complete", "status": "False"}]}))), None);
        let failed = end(&job(json!({"conditions": [
            {"type": "FailureTarget", "status": "True"},
            {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]})))
        .unwrap();
        assert_eq!((failed.succeeded, failed.reason.as_str()), (false, "BackoffLimitExceeded"));
    }

    #[test]
    fn the_end_of_a_run_is_the_jobs_own_completion_time_so_that_a_restart_records_the_same() {
        let complete = end(&job(json!({"completionTime": "2026-01-01T00:00:10Z", "conditions": [
            {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:12Z"}]})))
        .unwrap();
        assert_eq!(complete.at, Some(1_767_225_610));
    }

    #[test]
    fn r10_the_termination_message_of_the_newest_pod_comes_first() {
        let pod = |name: &str, at: &str, code: i32, message: &str| -> KubePod {
            serde_json::from_value(json!({"metadata": {"name": name, "creationTimestamp": at}, "status": {
                "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
                    "state": {"terminated": {"exitCode": code, "message": message}}}]}}))
            .unwrap()
        };
        let pods = [
            pod("a", "2026-01-01T00:00:00Z", 1, "no"),
            pod("b", "2026-01-01T00:00:05Z", 0, "{\"artifact\":{}}"),
        ];
        let end = End { succeeded: true, reason: String::new(), message: String::new(), at: None };
        let result = pod_result(&end, &pods, None, |pod, container| format!("{pod}/{container}"));
        assert_eq!(result.pods[0].containers[0].message, "{\"artifact\":{}}");
        assert_eq!(result.pods[1].containers[0].exit_code, Some(1));
        assert_eq!(result.pods[1].containers[0].log, "a/c");
    }

    #[test]
    fn the_reason_of_a_pod_evicted_through_the_api_is_that_of_its_condition() {
        let pod: KubePod = serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "m"}]}}))
        .unwrap();
        let end = End { succeeded: false, reason: String::new(), message: String::new(), at: None };
        let result = pod_result(&end, [&pod], None, |_, _| String::new());
        assert_eq!(
            (result.pods[0].reason.as_str(), result.pods[0].message.as_str()),
            ("EvictionByEvictionAPI", "m")
        );
    }

    #[test]
    fn a_container_that_never_ran_has_no_exit_code_but_its_reason() {
        let pod: KubePod =
            serde_json::from_value(json!({"metadata": {"name": "a"}, "status": {"containerStatuses": [
            {"name": "c", "image": "", "imageID": "", "ready": false, "restartCount": 0,
             "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}]}}))
            .unwrap();
        let end = End { succeeded: false, reason: String::new(), message: String::new(), at: None };
        let result = pod_result(&end, [&pod], None, |_, _| String::new());
        assert_eq!(result.pods[0].containers[0].exit_code, None);
        assert_eq!(result.pods[0].containers[0].reason, "ErrImagePull");
    }
}
