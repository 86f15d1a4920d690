//! Finds out why a pod does not run, for the status of the run: silence until the deadline helps nobody.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, PodStatus};

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

/// Describes why a Job that has not ended has no running pod, beyond the [`trouble`] of its pods: it is suspended, has no
/// pod, or its pod does not start. `None` if nothing is wrong.
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
                "Job {name:?} has no pod; a quota or an admission policy of the namespace may refuse it: see kubectl describe job {name} -n {namespace}"
            )
        });
    }
    let mut slow =
        pods.filter(|pod| pod.status.as_ref().is_some_and(|s| s.phase.as_deref() == Some("Pending")));
    let pod = slow.find(|pod| since(pod.metadata.creation_timestamp.as_ref().map(|t| t.0)) >= SLOW_START)?;
    let pod = pod.metadata.name.as_deref().unwrap_or_default();
    Some(format!(
        "pod {pod:?} has not started; a volume, Secret or ConfigMap that it mounts may be missing: see kubectl describe pod {pod} -n {namespace}"
    ))
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
        status
            .init_container_statuses
            .iter()
            .flatten()
            .chain(status.container_statuses.iter().flatten())
            .find_map(|c| {
                let waiting = c.state.as_ref()?.waiting.as_ref()?;
                let reason = waiting.reason.as_deref().unwrap_or_default();
                let (_, remedy) = STUCK.iter().find(|(stuck, _)| *stuck == reason)?;
                let message = waiting.message.as_deref().unwrap_or_default();
                Some(format!("pod {name:?}, container {:?}: {reason}: {message}; {remedy}", c.name))
            })
    })
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

/// Returns reason and message of a pod's disruption, such as an eviction or the loss of its node.
pub(super) fn disruption(status: &PodStatus) -> Option<(&str, &str)> {
    let target =
        status.conditions.iter().flatten().find(|c| c.type_ == "DisruptionTarget" && c.status == "True")?;
    Some((target.reason.as_deref().unwrap_or_default(), target.message.as_deref().unwrap_or_default()))
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
            trouble.contains("has no pod") && trouble.contains("kubectl describe job j -n n"),
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
