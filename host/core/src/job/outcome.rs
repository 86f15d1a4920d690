//! The end of a Job, and the facts about its pods by which a component parses the result.

use std::sync::Arc;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod as KubePod};
use serde::{Deserialize, Serialize};

use super::containers::{
    CONTAINER_RUNS_ON, DELETED, STOPPED, disruption, failure, has_failed, in_order, marked, runs_on,
};
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

/// A pod as it was last seen.
#[derive(Clone, Debug)]
pub struct SeenPod {
    /// The pod.
    pub pod: Arc<KubePod>,
    /// The containers that ran when the pod's deletion began; `None` if no deletion was seen.
    pub deleted: Option<Vec<String>>,
}

impl From<Arc<KubePod>> for SeenPod {
    fn from(pod: Arc<KubePod>) -> Self {
        Self { pod, deleted: None }
    }
}

/// Returns the result to parse: the end of the Job and its pods, newest first, at most four. `log` returns the log lines
/// of a container by pod and container name.
#[must_use]
pub fn pod_result(
    end: &End,
    mut pods: Vec<SeenPod>,
    data: Option<Json>,
    log: impl Fn(&str, &str) -> String,
) -> PodResult {
    pods.sort_by(|a, b| {
        let key = |seen: &SeenPod| {
            let metadata = &seen.pod.metadata;
            (metadata.creation_timestamp.as_ref().map(|t| t.0), metadata.name.clone())
        };
        key(b).cmp(&key(a))
    });
    PodResult {
        succeeded: end.succeeded,
        reason: end.reason.clone(),
        message: end.message.clone(),
        pods: pods.iter().take(PODS).map(|seen| pod(seen, end, &log)).collect(),
        data,
    }
}

fn pod(seen: &SeenPod, end: &End, log: &impl Fn(&str, &str) -> String) -> Pod {
    let pod = seen.pod.as_ref();
    let name = pod.metadata.name.clone().unwrap_or_default();
    let status = pod.status.clone().unwrap_or_default();
    let stopped = seen.deleted.as_deref().unwrap_or_default();
    let containers: Vec<Container> = in_order(pod)
        .into_iter()
        .map(|c| {
            let told = container(c, stopped, log(&name, &c.name));
            Container { reason: marked(pod, &c.name, told.reason), ..told }
        })
        .collect();
    let finished = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|t| t.0.as_second()))
        .max();
    // An eviction or the loss of the node often shows only in a condition.
    let disrupted = disruption(&status).map(|(reason, message)| (reason.to_owned(), message.to_owned()));
    let (reason, message) = match (status.reason, disrupted.or_else(|| what_was_seen(seen, end))) {
        (None, Some(found)) => found,
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

/// Returns reason and message of a pod that Kubernetes gives none: what the controller saw of its end.
fn what_was_seen(seen: &SeenPod, end: &End) -> Option<(String, String)> {
    if end.succeeded {
        return None;
    }
    let stopped = seen.deleted.as_deref().unwrap_or_default();
    if let Some(runs_on) = runs_on(&seen.pod, stopped) {
        return Some((CONTAINER_RUNS_ON.to_owned(), runs_on.says("ended", "ran on")));
    }
    let succeeded = seen.pod.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Succeeded"));
    // A Job that is out of time deletes its pods itself.
    let by_others = seen.deleted.is_some() && end.reason != "DeadlineExceeded";
    let deleted = by_others && !succeeded && !has_failed(&seen.pod, stopped);
    deleted.then(|| (DELETED.to_owned(), String::new()))
}

fn container(status: &ContainerStatus, stopped: &[String], log: String) -> Container {
    let state = status.state.clone().unwrap_or_default();
    let last = status.last_state.clone().unwrap_or_default();
    let is_stopped = stopped.contains(&status.name);
    let ended = failure(status, stopped).cloned().or_else(|| state.terminated.or(last.terminated));
    if let Some(ended) = ended {
        let by_itself = !is_stopped || failure(status, stopped).is_some();
        let reason = ended.reason.unwrap_or_default();
        return Container {
            name: status.name.clone(),
            exit_code: Some(ended.exit_code),
            reason: if by_itself || reason == "OOMKilled" { reason } else { STOPPED.to_owned() },
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

    fn seen(pods: impl IntoIterator<Item = KubePod>) -> Vec<SeenPod> {
        pods.into_iter().map(|pod| Arc::new(pod).into()).collect()
    }

    /// The result of a Job that failed for `reason`, whose one pod has these container statuses. `deleted` are those that ran
    /// when the pod's deletion began.
    fn failed_pod(reason: &str, containers: &Json, deleted: Option<&[&str]>) -> Pod {
        let mut statuses = containers.clone();
        for status in statuses.as_array_mut().unwrap() {
            let rest = json!({"image": "", "imageID": "", "ready": false, "restartCount": 0});
            status.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        }
        let pod: KubePod = serde_json::from_value(
            json!({"metadata": {"name": "a"}, "status": {"containerStatuses": statuses}}),
        )
        .unwrap();
        let deleted = deleted.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let end = End { succeeded: false, reason: reason.into(), message: String::new(), at: None };
        pod_result(&end, vec![SeenPod { pod: Arc::new(pod), deleted }], None, |_, _| String::new())
            .pods
            .remove(0)
    }

    #[test]
    fn the_exit_of_a_container_that_was_stopped_with_its_pod_is_not_taken_for_its_own() {
        let exit = |code: i32| json!({"terminated": {"exitCode": code, "reason": "Error"}});
        let stopped = failed_pod(
            "DeadlineExceeded",
            &json!([{"name": "dump", "state": exit(1), "lastState": {}}]),
            Some(&["dump"]),
        );
        assert_eq!((stopped.reason.as_str(), stopped.containers[0].reason.as_str()), ("", "Stopped"));
        // One that was started again keeps the exit code of its failure.
        let again = failed_pod(
            "BackoffLimitExceeded",
            &json!([{"name": "dump", "state": exit(137), "lastState": exit(3)}]),
            Some(&["dump"]),
        );
        assert_eq!((again.reason.as_str(), again.containers[0].exit_code), ("", Some(3)));
        assert_eq!(again.containers[0].reason, "Error");
    }

    #[test]
    fn a_pod_that_was_deleted_while_it_ran_says_so_and_one_that_was_not_does_not() {
        let runs = json!([{"name": "dump", "state": {"running": {}}, "lastState": {}}]);
        let reason = |reason: &str, deleted: Option<&[&str]>| failed_pod(reason, &runs, deleted).reason;
        assert_eq!(reason("BackoffLimitExceeded", Some(&["dump"])), "Deleted");
        assert_eq!(reason("DeadlineExceeded", Some(&["dump"])), "", "the Job deletes it itself");
        assert_eq!(reason("BackoffLimitExceeded", None), "");
    }

    #[test]
    fn a_container_that_ended_beside_one_that_ran_on_is_told() {
        let exit = |code: i32| json!({"terminated": {"exitCode": code}});
        let pod = failed_pod(
            "DeadlineExceeded",
            &json!([{"name": "proxy", "state": exit(0)}, {"name": "dump", "state": exit(0)}]),
            Some(&["proxy"]),
        );
        assert_eq!(pod.reason, "ContainerRunsOn");
        assert_eq!(pod.message, r#"container "dump" ended with exit code 0, and container "proxy" ran on"#);
    }

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
        let result = pod_result(&end, seen(pods), None, |pod, container| format!("{pod}/{container}"));
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
        let result = pod_result(&end, seen([pod]), None, |_, _| String::new());
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
        let result = pod_result(&end, seen([pod]), None, |_, _| String::new());
        assert_eq!(result.pods[0].containers[0].exit_code, None);
        assert_eq!(result.pods[0].containers[0].reason, "ErrImagePull");
    }
}
