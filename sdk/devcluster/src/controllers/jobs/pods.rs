//! What the pods of a Job come to, and the Job's policy for those that failed.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::cluster::{is_deleted, time};
use super::super::owners::has_finalizer;
use crate::client::{items, number, text};

/// The finalizer of pods that are not counted yet.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// The uid of an object.
pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// Whether a pod is not counted yet.
pub(super) fn is_tracked(pod: &Value) -> bool {
    has_finalizer(pod, TRACKING)
}

/// The phase of a pod.
pub(super) fn phase(pod: &Value) -> &str {
    text(pod, "/status/phase")
}

fn is_terminal(pod: &Value) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether a pod works, or is to.
pub(super) fn is_active(pod: &Value) -> bool {
    !is_terminal(pod) && !is_deleted(pod)
}

/// Whether a pod is being deleted and has not ended.
pub(super) fn is_terminating(pod: &Value) -> bool {
    !is_terminal(pod) && is_deleted(pod)
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    items(pod, "/status/conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// Whether a Job replaces pods only once they have ended.
pub(super) fn replaces_failed_only(job: &Value) -> bool {
    let policy = job.pointer("/spec/podFailurePolicy").is_some_and(|policy| !policy.is_null());
    policy || text(job, "/spec/podReplacementPolicy") == "Failed"
}

/// Whether a pod counts as failed.
pub(super) fn is_failed(pod: &Value, job: &Value) -> bool {
    let deleted = !replaces_failed_only(job) && is_deleted(pod) && phase(pod) != "Succeeded";
    phase(pod) == "Failed" || deleted
}

/// Returns when a pod ended: as its containers say, or its condition, or its deletion, or when it was created.
pub(super) fn finished(pod: &Value) -> Timestamp {
    let ends = items(pod, "/status/containerStatuses")
        .iter()
        .map(|status| time(status, "/state/terminated/finishedAt"));
    let ends: Option<Vec<Timestamp>> = ends.collect();
    let last = ends.and_then(|ends| ends.into_iter().max());
    let ready =
        items(pod, "/status/conditions").iter().find(|c| c["type"] == "Ready" && c["status"] == "False");
    let grace = number(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or_default();
    let deleted = || {
        let at = time(pod, "/metadata/deletionTimestamp")?;
        at.checked_sub(SignedDuration::from_secs(grace)).ok()
    };
    last.or_else(|| ready.and_then(|ready| time(ready, "/lastTransitionTime")))
        .or_else(deleted)
        .or_else(|| time(pod, "/metadata/creationTimestamp"))
        .unwrap_or_default()
}

/// What a Job does about a pod that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It counts.
    Count,
    /// It does not count.
    Ignore,
    /// The Job has failed, for this reason.
    Fail(String),
}

/// Returns what the podFailurePolicy of a Job says of a pod: its first rule that fits.
pub(super) fn verdict(job: &Value, pod: &Value) -> Verdict {
    for (index, rule) in items(job, "/spec/podFailurePolicy/rules").iter().enumerate() {
        let (namespace, name) = (text(pod, "/metadata/namespace"), text(pod, "/metadata/name"));
        let what = if rule.get("onExitCodes").is_some_and(|codes| !codes.is_null()) {
            by_exit_code(&rule["onExitCodes"], pod).map(|(container, code)| {
                format!("Container {container} for pod {namespace}/{name} failed with exit code {code}")
            })
        } else {
            let patterns = items(rule, "/onPodConditions");
            let fits =
                |c: &&Value| patterns.iter().any(|p| p["type"] == c["type"] && p["status"] == c["status"]);
            let found = items(pod, "/status/conditions").iter().find(fits);
            found.map(|found| format!("Pod {namespace}/{name} has condition {}", text(found, "/type")))
        };
        match (what, text(rule, "/action")) {
            (None, _) => {}
            (Some(_), "Ignore") => return Verdict::Ignore,
            (Some(what), "FailJob") => {
                return Verdict::Fail(format!("{what} matching FailJob rule at index {index}"));
            }
            (Some(_), _) => return Verdict::Count,
        }
    }
    Verdict::Count
}

fn by_exit_code<'a>(wanted: &Value, pod: &'a Value) -> Option<(&'a str, i64)> {
    let name = wanted["containerName"].as_str();
    let values = items(wanted, "/values");
    let all =
        items(pod, "/status/containerStatuses").iter().chain(items(pod, "/status/initContainerStatuses"));
    all.into_iter().find_map(|status| {
        let code = number(status, "/state/terminated/exitCode").filter(|code| *code != 0)?;
        let own = text(status, "/name");
        let among = values.iter().any(|value| value.as_i64() == Some(code));
        let fits = if wanted["operator"] == "NotIn" { !among } else { among };
        (fits && name.is_none_or(|name| name == own)).then_some((own, code))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let job = json!({"spec": {"podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
            {"action": "Count", "onExitCodes": {"operator": "NotIn", "values": [7]}}]}}});
        let pod = |code: i64, condition: &str| {
            json!({"metadata": {"namespace": "ns", "name": "p"}, "status": {"conditions": [{"type": condition, "status": "True"}],
                "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": code}}}]}})
        };
        assert_eq!(verdict(&job, &pod(42, "DisruptionTarget")), Verdict::Ignore);
        let message = "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 1";
        assert_eq!(verdict(&job, &pod(42, "Ready")), Verdict::Fail(message.to_owned()));
        assert_eq!(verdict(&job, &pod(1, "Ready")), Verdict::Count);
    }

    #[test]
    fn a_pod_that_is_deleted_has_failed_unless_only_ended_pods_are_replaced() {
        let pod = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}});
        assert!(is_failed(&pod, &json!({"spec": {}})));
        assert!(!is_failed(&pod, &json!({"spec": {"podReplacementPolicy": "Failed"}})));
    }
}
