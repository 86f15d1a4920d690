//! Finds out why a pod does not run, for the status of the run: silence until the deadline helps nobody.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use super::containers::{disruption, failure, in_order, logs_to_keep, runs_on};
use super::outcome::end;

const IMAGE: &str = "check the image's name and the pull secret";
const COMMAND: &str = "check its command and its mounts";

/// Reasons of a waiting container that need a person, and the remedy. The others (`ContainerCreating`,
/// `PodInitializing`) pass.
const STUCK: [(&str, &str); 8] = [
    ("ErrImagePull", IMAGE),
    ("ImagePullBackOff", IMAGE),
    ("ErrImageNeverPull", IMAGE),
    ("InvalidImageName", IMAGE),
    ("CreateContainerConfigError", "check that the Secrets and ConfigMaps that it names exist"),
    ("CreateContainerError", COMMAND),
    ("RunContainerError", COMMAND),
    ("CrashLoopBackOff", "see its log"),
];

/// How long a Job may have no pod; it usually has one within a second.
const NO_POD: SignedDuration = SignedDuration::from_secs(10);
/// How long a pod may take to start; it usually takes less, unless its image is large.
const SLOW_START: SignedDuration = SignedDuration::from_secs(30);

/// How long a container may run on beside one that has ended.
const RUNS_ON: SignedDuration = SignedDuration::from_secs(10);

/// Describes what is wrong with a Job that has not ended, beyond the [`trouble`] of its pods: it is suspended, has no pod, its
/// pod does not start, or a container keeps the pod running whose work has ended. `None` if nothing is wrong.
#[must_use]
pub fn trouble_of_job<'a>(
    job: &Job,
    pods: impl IntoIterator<Item = &'a Pod>,
    now: Timestamp,
) -> Option<String> {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let namespace = job.metadata.namespace.as_deref().unwrap_or_default();
    if job.spec.as_ref().is_some_and(|s| s.suspend == Some(true)) {
        return Some(format!(
            "Job {name:?} is suspended; set its spec.suspend to false, or wait until whoever suspended it does"
        ));
    }
    let since = |time: Option<Timestamp>| time.map_or(SignedDuration::ZERO, |t| now.duration_since(t));
    let mut pods = pods.into_iter().peekable();
    if pods.peek().is_none() {
        if had_a_pod(job) {
            return None;
        }
        let begun = job.status.as_ref().and_then(|s| s.start_time.as_ref());
        let begun = begun.or(job.metadata.creation_timestamp.as_ref()).map(|t| t.0);
        return (since(begun) >= NO_POD).then(|| {
            format!(
                "Job {name:?} has no pod; a quota or an admission policy of the namespace may refuse it, or its ServiceAccount may be missing: see kubectl describe job {name} -n {namespace}"
            )
        });
    }
    pods.find_map(|pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match pod.status.as_ref()?.phase.as_deref()? {
            "Pending" => {
                let created = pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
                (since(created) >= SLOW_START).then(|| format!(
                    "pod {name:?} has not started; a volume, Secret or ConfigMap that it mounts may be missing: see kubectl describe pod {name} -n {namespace}"
                ))
            }
            "Running" => {
                let runs_on = runs_on(pod, &[]).filter(|runs_on| since(runs_on.since) >= RUNS_ON)?;
                Some(format!(
                    "pod {name:?}: {}, so data may have been written; have the one end with the other, or make it a sidecar (an init container with restartPolicy: Always)",
                    runs_on.says("has ended", "keeps the pod running")
                ))
            }
            _ => None,
        }
    })
}

/// Returns whether a run has to look at a pod of its Job that has changed: the pod is in trouble, a log of it may be gone before
/// the Job has ended, or a container has ended beside one that runs on.
#[must_use]
pub fn has_news(pod: &Pod, job: &Job) -> bool {
    trouble([pod]).is_some() || (end(job).is_none() && (!logs_to_keep(pod).is_empty() || runs_on_soon([pod])))
}

/// Returns whether [`trouble_of_job`] may soon have to say that a container runs on: no event reports that.
#[must_use]
pub fn runs_on_soon<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> bool {
    pods.into_iter().any(|pod| {
        pod.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Running"))
            && runs_on(pod, &[]).is_some()
    })
}

/// Describes the first trouble among the pods of a run that has not ended; `None` if nothing is wrong.
#[must_use]
pub fn trouble<'a>(pods: impl IntoIterator<Item = &'a Pod>) -> Option<String> {
    pods.into_iter().find_map(|pod| {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let status = pod.status.as_ref()?;
        if status.phase.as_deref() == Some("Failed") || status.phase.as_deref() == Some("Succeeded") {
            return None;
        }
        let unscheduled = status.conditions.iter().flatten().find(|c| {
            c.type_ == "PodScheduled" && c.status == "False" && c.reason.as_deref() == Some("Unschedulable")
        });
        if let Some(condition) = unscheduled {
            let why = condition.message.as_deref().unwrap_or("no node fits");
            return Some(format!(
                "pod {name:?} cannot be scheduled: {why}; make room, or correct the pod's requests, nodeSelector, affinity or tolerations"
            ));
        }
        if let Some((reason, message)) = disruption(status) {
            return Some(format!("pod {name:?} is being taken from its node ({reason}): {message}"));
        }
        in_order(pod).into_iter().find_map(|container| {
            let what = stuck(container).or_else(|| again(container))?;
            Some(format!("pod {name:?}, container {:?}: {what}", container.name))
        })
    })
}

/// Describes a container that waits for a person.
fn stuck(container: &ContainerStatus) -> Option<String> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let (_, remedy) = STUCK.iter().find(|(stuck, _)| *stuck == reason)?;
    let failed = failure(container, &[]).map(|ended| format!("exit code {}; ", ended.exit_code));
    let message = waiting.message.as_deref().unwrap_or_default();
    Some(format!("{reason}: {}{message}; {remedy}", failed.unwrap_or_default()))
}

/// Describes a container that failed and is started again in the same pod.
fn again(container: &ContainerStatus) -> Option<String> {
    let failed = failure(container, &[]).filter(|_| container.restart_count > 0)?;
    Some(format!("failed with exit code {}, and is started again; see its log", failed.exit_code))
}

/// Returns whether the Job counts a pod, or has failed and deletes its pods.
fn had_a_pod(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| {
        let counts = [status.active, status.failed, status.succeeded, status.terminating];
        let conditions = status.conditions.iter().flatten();
        counts.iter().flatten().any(|count| *count > 0)
            || conditions.into_iter().any(|c| c.type_ == "FailureTarget" && c.status == "True")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: serde_json::Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "status": status})).unwrap()
    }

    #[test]
    fn f9_an_image_that_cannot_be_pulled_is_said() {
        let stuck = pod(
            json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "m"}}}]}),
        );
        assert_eq!(
            trouble([&stuck]).unwrap(),
            r#"pod "p", container "c": ImagePullBackOff: m; check the image's name and the pull secret"#
        );
    }

    #[test]
    fn f9_a_pod_that_no_node_takes_is_said() {
        let stuck =
            pod(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"}]}));
        assert!(trouble([&stuck]).unwrap().contains("0/1 nodes are available"));
    }

    #[test]
    fn an_eviction_is_reported_while_the_pod_exists() {
        let evicted =
            pod(json!({"phase": "Running", "conditions": [{"type": "DisruptionTarget", "status": "True",
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}]}));
        assert!(trouble([&evicted]).unwrap().contains("EvictionByEvictionAPI"));
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn job(suspend: bool) -> Job {
        serde_json::from_value(json!({"metadata": {"name": "j", "namespace": "n",
            "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {"suspend": suspend, "template": {}}}))
        .unwrap()
    }

    fn pod_since_midnight(phase: &str) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"phase": phase}}))
        .unwrap()
    }

    #[test]
    fn f9_a_job_without_a_pod_is_said_after_a_while() {
        assert_eq!(trouble_of_job(&job(false), [], at(9)), None);
        let trouble = trouble_of_job(&job(false), [], at(10)).unwrap();
        assert!(
            trouble.contains("has no pod")
                && trouble.contains("its ServiceAccount may be missing")
                && trouble.contains("kubectl describe job j -n n"),
            "{trouble}"
        );
    }

    #[test]
    fn a_job_that_counts_a_pod_is_not_reported_to_have_none() {
        for status in [
            json!({"active": 1}),
            json!({"failed": 1}),
            json!({"conditions": [
            {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}]}),
        ] {
            let job = Job { status: Some(serde_json::from_value(status).unwrap()), ..job(false) };
            assert_eq!(trouble_of_job(&job, [], at(3600)), None);
        }
    }

    #[test]
    fn f9_a_pod_that_does_not_start_is_said_after_a_while() {
        let pending = pod_since_midnight("Pending");
        assert_eq!(trouble_of_job(&job(false), [&pending], at(29)), None);
        let trouble = trouble_of_job(&job(false), [&pending], at(30)).unwrap();
        assert!(trouble.contains("kubectl describe pod p -n n"), "{trouble}");
        assert_eq!(trouble_of_job(&job(false), [&pod_since_midnight("Running")], at(30)), None);
    }

    fn container(
        name: &str,
        restarts: i32,
        state: &serde_json::Value,
        last: &serde_json::Value,
    ) -> serde_json::Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": restarts, "state": state,
            "lastState": last})
    }

    #[test]
    fn a_container_that_failed_and_is_started_again_is_said_with_its_exit_code() {
        let failed = json!({"terminated": {"exitCode": 3}});
        let of = |state: &serde_json::Value| {
            let statuses = json!([container("dump", 1, state, &failed)]);
            trouble([&pod(json!({"phase": "Running", "containerStatuses": statuses}))]).unwrap()
        };
        let runs = of(&json!({"running": {}}));
        assert!(
            runs.contains(r#"container "dump": failed with exit code 3, and is started again"#),
            "{runs}"
        );
        let waits = of(&json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}));
        assert!(waits.contains("CrashLoopBackOff: exit code 3; back-off 10s; see its log"), "{waits}");
    }

    #[test]
    fn f9_a_container_that_keeps_a_pod_running_whose_work_has_ended_is_said_after_a_while() {
        let ended = json!({"terminated": {"exitCode": 0, "finishedAt": "2026-01-01T00:00:00Z"}});
        let statuses = json!([
            container("proxy", 0, &json!({"running": {}}), &json!({})),
            container("dump", 0, &ended, &json!({}))
        ]);
        let pod = pod(json!({"phase": "Running", "containerStatuses": statuses}));
        assert!(has_news(&pod, &job(false)) && runs_on_soon([&pod]));
        assert_eq!(trouble_of_job(&job(false), [&pod], at(9)), None);
        let said = trouble_of_job(&job(false), [&pod], at(10)).unwrap();
        for part in
            [r#"container "dump" has ended with exit code 0"#, r#"container "proxy" keeps the pod running"#]
        {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn a_pod_whose_log_may_be_gone_soon_is_news_until_its_job_has_ended() {
        let statuses = json!([container("dump", 0, &json!({"running": {}}), &json!({}))]);
        let mut pod = pod(json!({"phase": "Running", "containerStatuses": statuses}));
        assert!(!has_news(&pod, &job(false)));
        pod.metadata.deletion_timestamp = job(false).metadata.creation_timestamp;
        assert!(has_news(&pod, &job(false)));
        let ended = json!({"conditions": [{"type": "Failed", "status": "True"}]});
        let ended = Job { status: Some(serde_json::from_value(ended).unwrap()), ..job(false) };
        assert!(!has_news(&pod, &ended));
    }

    #[test]
    fn f9_a_suspended_job_is_said_at_once() {
        assert!(trouble_of_job(&job(true), [], at(0)).unwrap().contains("spec.suspend"));
    }

    #[test]
    fn a_pod_that_starts_or_runs_is_no_trouble() {
        let starting =
            pod(json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]}));
        assert_eq!(trouble([&starting, &pod(json!({"phase": "Running"}))]), None);
    }
}
