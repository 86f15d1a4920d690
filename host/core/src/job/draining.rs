//! What of a run that has ended can still run: its turn goes on until nothing can.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::outcome::end;

/// How long a deleted pod may stay after its grace period before its node is suspected.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);

/// Returns whether containers of the pod may run: it has not ended, or it is being deleted and its node has not said so.
#[must_use]
pub fn may_run(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    !matches!(phase, Some("Succeeded" | "Failed"))
}

/// Returns what of an ended run can still run, for the message of the runs that wait for it; `None` if nothing can.
///
/// A Job that is being deleted starts no pod, so only its pods count.
#[must_use]
pub fn what_runs(jobs: &[Job], pods: &[Pod], now: Timestamp) -> Option<String> {
    let job = |job: &&Job| end(job).is_none() && job.metadata.deletion_timestamp.is_none();
    let pod = pods.iter().filter(|pod| may_run(pod)).min_by_key(|pod| pod.metadata.name.clone());
    if let Some(pod) = pod {
        return Some(format!("pod {}{}", title(&pod.metadata), prospects(pod, jobs, now)));
    }
    jobs.iter().find(job).map(|job| format!("Job {}", title(&job.metadata)))
}

/// Returns what has to happen for a pod to end, where that is not a matter of time.
fn prospects(pod: &Pod, jobs: &[Job], now: Timestamp) -> String {
    match &pod.metadata.deletion_timestamp {
        Some(until) if now.duration_since(until.0) > OVERDUE => format!(
            ", which was to end by {} and whose node does not say that it has; once nothing of it runs for certain, delete it with --force",
            until.0
        ),
        Some(_) => String::new(),
        None if jobs.is_empty() => ", which no Job stops any more; delete it".to_owned(),
        None => String::new(),
    }
}

fn title(meta: &ObjectMeta) -> String {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!("\"{}/{}\"", text(&meta.namespace), text(&meta.name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, phase: &str, deleted: Option<&str>) -> Pod {
        let metadata = json!({"name": name, "namespace": "a", "deletionTimestamp": deleted});
        serde_json::from_value(json!({"metadata": metadata, "status": {"phase": phase}})).unwrap()
    }

    fn job(condition: Option<&str>, deleted: Option<&str>) -> Job {
        let conditions: Vec<Value> =
            condition.iter().map(|type_| json!({"type": type_, "status": "True"})).collect();
        serde_json::from_value(
            json!({"metadata": {"name": "j", "namespace": "a", "deletionTimestamp": deleted},
            "status": {"conditions": conditions}}),
        )
        .unwrap()
    }

    fn runs(jobs: &[Job], pods: &[Pod]) -> Option<String> {
        what_runs(jobs, pods, "2026-01-01T00:01:00Z".parse().unwrap())
    }

    const THEN: Option<&str> = Some("2026-01-01T00:00:50Z");

    #[test]
    fn a_job_that_may_start_pods_and_a_pod_that_has_not_ended_keep_the_turn() {
        assert_eq!(runs(&[], &[]), None);
        assert_eq!(runs(&[job(None, None)], &[]).unwrap(), "Job \"a/j\"");
        for ended in [job(Some("Complete"), None), job(Some("Failed"), None), job(None, THEN)] {
            assert_eq!(runs(&[ended], &[]), None);
        }
        for phase in ["Pending", "Running", "Unknown", ""] {
            assert_eq!(runs(&[job(None, THEN)], &[pod("p", phase, THEN)]).unwrap(), "pod \"a/p\"", "{phase}");
        }
        for phase in ["Succeeded", "Failed"] {
            assert_eq!(runs(&[], &[pod("p", phase, None), pod("q", phase, THEN)]), None);
        }
    }

    #[test]
    fn a_pod_that_nothing_ends_by_itself_is_told_with_what_to_do() {
        let orphan = runs(&[], &[pod("p", "Running", None)]).unwrap();
        assert_eq!(orphan, "pod \"a/p\", which no Job stops any more; delete it");
        let lost = runs(&[], &[pod("p", "Running", Some("2026-01-01T00:00:00Z"))]).unwrap();
        assert!(lost.starts_with("pod \"a/p\", which was to end by 2026-01-01T00:00:00Z"), "{lost}");
        assert!(lost.ends_with("delete it with --force"), "{lost}");
    }
}
