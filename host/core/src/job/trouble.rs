//! Why a pod that should run does not: said on the run while it waits, instead of silence until the deadline.

use k8s_openapi::api::core::v1::Pod;

/// Reasons of a waiting container that mean a person is needed; others (`ContainerCreating`, `PodInitializing`) pass.
const STUCK: [&str; 8] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
];

/// The first trouble among the pods of a run that has not ended, in words; `None` if all goes well as far as one sees.
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
            return Some(format!("pod {name:?} cannot be scheduled: {why}"));
        }
        status
            .init_container_statuses
            .iter()
            .flatten()
            .chain(status.container_statuses.iter().flatten())
            .find_map(|c| {
                let waiting = c.state.as_ref()?.waiting.as_ref()?;
                let reason = waiting.reason.as_deref().filter(|r| STUCK.contains(r))?;
                let message = waiting.message.as_deref().unwrap_or_default();
                Some(format!("pod {name:?}, container {:?}: {reason}: {message}", c.name))
            })
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
        assert_eq!(trouble([&stuck]).unwrap(), r#"pod "p", container "c": ImagePullBackOff: m"#);
    }

    #[test]
    fn f9_a_pod_that_no_node_takes_is_said() {
        let stuck =
            pod(json!({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available"}]}));
        assert!(trouble([&stuck]).unwrap().contains("0/1 nodes are available"));
    }

    #[test]
    fn a_pod_that_starts_or_runs_is_no_trouble() {
        let starting =
            pod(json!({"phase": "Pending", "containerStatuses": [{"name": "c", "image": "", "imageID": "",
            "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}]}));
        assert_eq!(trouble([&starting, &pod(json!({"phase": "Running"}))]), None);
    }
}
