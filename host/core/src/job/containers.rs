//! The containers of a pod: which are sidecars, which failed, and which run on when others have ended.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodStatus};

/// Reason of a pod whose work has ended while another container keeps it running.
pub(super) const CONTAINER_RUNS_ON: &str = "ContainerRunsOn";
/// Reason of a pod that was deleted before it had ended.
pub(super) const DELETED: &str = "Deleted";
/// Reason of a container that was stopped with its pod.
pub(super) const STOPPED: &str = "Stopped";
/// Begins the reason of a sidecar. The contract says so.
const SIDECAR: &str = "Sidecar";

/// Returns whether a container is a sidecar: an init container with `restartPolicy: Always`. Kubernetes stops it when the other
/// containers have ended, and its exit code means nothing then.
fn is_sidecar(pod: &Pod, name: &str) -> bool {
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    init.filter(|c| c.restart_policy.as_deref() == Some("Always")).any(|c| c.name == name)
}

/// Returns the reason of a container as the contract has it: that of a sidecar is marked.
pub(super) fn marked(pod: &Pod, name: &str, reason: String) -> String {
    match (is_sidecar(pod, name), reason.is_empty()) {
        (false, _) => reason,
        (true, true) => SIDECAR.to_owned(),
        (true, false) => format!("{SIDECAR}: {reason}"),
    }
}

/// Returns the statuses of a pod's containers: init containers, containers, and the sidecars last.
pub(super) fn in_order(pod: &Pod) -> Vec<&ContainerStatus> {
    let status = || pod.status.iter();
    let init = status().flat_map(|s| s.init_container_statuses.iter().flatten());
    let all = init.chain(status().flat_map(|s| s.container_statuses.iter().flatten()));
    let (sidecars, mut others): (Vec<_>, Vec<_>) = all.partition(|c| is_sidecar(pod, &c.name));
    others.extend(sidecars);
    others
}

/// Returns the names of the containers that run now.
#[must_use]
pub fn running(pod: &Pod) -> Vec<String> {
    let runs = |c: &&ContainerStatus| c.state.as_ref().is_some_and(|s| s.running.is_some());
    in_order(pod).into_iter().filter(runs).map(|c| c.name.clone()).collect()
}

/// Returns how a container failed by itself: now, or before it was started again. `stopped` are the containers that ran when
/// the pod's deletion began.
pub(super) fn failure<'a>(
    container: &'a ContainerStatus,
    stopped: &[String],
) -> Option<&'a ContainerStateTerminated> {
    let failed = |state: &'a Option<ContainerState>| {
        state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code != 0)
    };
    let now = failed(&container.state).filter(|_| !stopped.contains(&container.name));
    now.or_else(|| failed(&container.last_state))
}

/// Returns the failures of a pod's containers that its status shows now, by container.
#[must_use]
pub fn failures(pod: &Pod) -> Vec<(String, ContainerStateTerminated)> {
    let failed = |c: &ContainerStatus| failure(c, &[]).map(|ended| (c.name.clone(), ended.clone()));
    in_order(pod).into_iter().filter_map(failed).collect()
}

/// Adds a failure that was seen earlier to the status of a container that shows none: the last status of a pod that was deleted may
/// not have it any more.
pub fn recall(pod: &mut Pod, container: &str, ended: &ContainerStateTerminated) {
    let statuses = pod.status.iter_mut().flat_map(|s| s.container_statuses.iter_mut().flatten());
    for status in statuses.filter(|status| status.name == container) {
        let last = status.last_state.get_or_insert_default();
        if last.terminated.is_none() {
            last.terminated = Some(ended.clone());
        }
    }
}

/// Returns whether a container other than a sidecar failed by itself.
pub(super) fn has_failed(pod: &Pod, stopped: &[String]) -> bool {
    in_order(pod).into_iter().any(|c| !is_sidecar(pod, &c.name) && failure(c, stopped).is_some())
}

/// Returns reason and message of a pod's disruption, such as an eviction or the loss of its node.
pub(super) fn disruption(status: &PodStatus) -> Option<(&str, &str)> {
    let target =
        status.conditions.iter().flatten().find(|c| c.type_ == "DisruptionTarget" && c.status == "True")?;
    Some((target.reason.as_deref().unwrap_or_default(), target.message.as_deref().unwrap_or_default()))
}

/// A log that may be gone before its Job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogToKeep {
    /// The container.
    pub container: String,
    /// Of the container before its last restart.
    pub previous: bool,
    /// Which of the container's lives, and how far it had come: the log is read once at each.
    pub moment: String,
}

/// Returns the logs that may be gone before the pod's Job has ended: of containers that failed in a pod that goes on, and of all
/// containers but sidecars in a pod that is being deleted.
#[must_use]
pub fn logs_to_keep(pod: &Pod) -> Vec<LogToKeep> {
    let deleting = pod.metadata.deletion_timestamp.is_some();
    let phase = pod.status.as_ref().and_then(|s| s.phase.as_deref());
    if !deleting && matches!(phase, Some("Failed" | "Succeeded")) {
        return Vec::new();
    }
    let kept = in_order(pod).into_iter().filter(|c| !is_sidecar(pod, &c.name)).filter_map(|c| {
        let state = c.state.clone().unwrap_or_default();
        let failed_now = state.terminated.as_ref().is_some_and(|ended| ended.exit_code != 0);
        let previous = !failed_now && failure(c, &[]).is_some();
        let has_log = state.terminated.is_some() || state.running.is_some();
        let moment = format!("{} {previous} {}", c.restart_count, state.terminated.is_some());
        (failed_now || previous || (deleting && has_log)).then(|| LogToKeep {
            container: c.name.clone(),
            previous,
            moment,
        })
    });
    kept.collect()
}

/// Describes a pod whose work has ended well as far as is known, while another container runs on, or ran on until the pod was
/// stopped: names of the ended containers and of those that run on. `None` for any other pod.
#[must_use]
pub(super) fn runs_on(pod: &Pod, stopped: &[String]) -> Option<RunsOn> {
    if has_failed(pod, stopped) {
        return None;
    }
    let mut found = RunsOn::default();
    for container in pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()) {
        let state = container.state.as_ref()?;
        if state.running.is_some() || stopped.contains(&container.name) {
            found.running.push(container.name.clone());
        } else if let Some(ended) = &state.terminated {
            found.ended.push(container.name.clone());
            found.since = found.since.max(ended.finished_at.as_ref().map(|t| t.0));
        } else {
            return None;
        }
    }
    (!found.ended.is_empty() && !found.running.is_empty()).then_some(found)
}

/// See [`runs_on`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RunsOn {
    /// Containers that have ended with exit code 0.
    pub(super) ended: Vec<String>,
    /// Containers that run on.
    pub(super) running: Vec<String>,
    /// When the last of `ended` ended.
    pub(super) since: Option<jiff::Timestamp>,
}

impl RunsOn {
    /// Returns the ended and the running containers as text, with the verbs for each.
    pub(super) fn says(&self, ended: &str, running: &str) -> String {
        format!("{} {ended} with exit code 0, and {} {running}", named(&self.ended), named(&self.running))
    }
}

fn named(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match quoted.as_slice() {
        [name] => format!("container {name}"),
        names => format!("containers {}", names.join(" and ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn status(name: &str, state: Value, last: Value) -> Value {
        json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": state, "lastState": last})
    }

    fn exit(code: i32) -> Value {
        json!({"terminated": {"exitCode": code, "finishedAt": "2026-01-01T00:00:05Z"}})
    }

    fn runs() -> Value {
        json!({"running": {}})
    }

    fn pod(init: &[Value], containers: &[Value]) -> Pod {
        let sidecar = json!([{"name": "mesh", "restartPolicy": "Always"}]);
        serde_json::from_value(
            json!({"metadata": {"name": "p"}, "spec": {"containers": [], "initContainers": sidecar},
            "status": {"initContainerStatuses": init, "containerStatuses": containers}}),
        )
        .unwrap()
    }

    #[test]
    fn a_failure_that_was_seen_is_recalled_where_the_status_no_longer_shows_it() {
        let status = |last: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [
                {"name": "dump", "image": "", "imageID": "", "ready": true, "restartCount": 1, "lastState": last,
                 "state": {"running": {}}}]}}))
            .unwrap()
        };
        let before = status(serde_json::json!({"terminated": {"exitCode": 3}}));
        let mut after = status(serde_json::json!({}));
        assert!(failures(&after).is_empty());
        for (container, ended) in failures(&before) {
            recall(&mut after, &container, &ended);
        }
        assert!(has_failed(&after, &["dump".to_owned()]));
        assert_eq!(failures(&after), failures(&before));
    }

    #[test]
    fn sidecars_come_last_and_are_marked() {
        let pod = pod(
            &[status("mesh", exit(2), json!({})), status("setup", exit(0), json!({}))],
            &[status("dump", exit(5), json!({}))],
        );
        let names: Vec<&str> = in_order(&pod).iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["setup", "dump", "mesh"]);
        assert_eq!(marked(&pod, "mesh", "Error".into()), "Sidecar: Error");
        assert_eq!(marked(&pod, "mesh", String::new()), "Sidecar");
        assert_eq!(marked(&pod, "dump", "Error".into()), "Error");
    }

    #[test]
    fn the_failure_of_a_container_outlasts_its_restart_and_the_stop_of_its_pod() {
        let container = |state: Value, last: Value| -> ContainerStatus {
            serde_json::from_value(status("dump", state, last)).unwrap()
        };
        let stopped = ["dump".to_owned()];
        let code = |c: &ContainerStatus, stopped: &[String]| failure(c, stopped).map(|ended| ended.exit_code);
        assert_eq!(code(&container(exit(3), json!({})), &[]), Some(3));
        assert_eq!(code(&container(runs(), exit(3)), &[]), Some(3));
        assert_eq!(code(&container(exit(137), exit(3)), &stopped), Some(3));
        assert_eq!(code(&container(exit(137), json!({})), &stopped), None);
        assert_eq!(code(&container(exit(0), json!({})), &[]), None);
    }

    #[test]
    fn a_log_is_kept_where_it_may_be_gone_before_the_job_has_ended() {
        let of = |state: Value, last: Value, phase: &str, deleting: bool| {
            let mut pod = pod(&[], &[status("dump", state, last)]);
            pod.status.as_mut().unwrap().phase = Some(phase.to_owned());
            let deletion =
                "2026-01-01T00:00:00Z".parse().map(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time);
            pod.metadata.deletion_timestamp = deleting.then(|| deletion.unwrap());
            logs_to_keep(&pod).into_iter().map(|log| log.previous).collect::<Vec<_>>()
        };
        assert_eq!(of(runs(), exit(3), "Running", false), [true], "it is started again");
        assert_eq!(of(exit(3), json!({}), "Running", false), [false], "another one runs on");
        assert_eq!(of(runs(), json!({}), "Running", true), [false]);
        assert_eq!(of(runs(), json!({}), "Running", false), [false; 0]);
        assert_eq!(of(exit(3), json!({}), "Failed", false), [false; 0], "the pod stays");
    }

    #[test]
    fn a_container_that_ended_beside_one_that_runs_on_is_seen() {
        let dump = || status("dump", exit(0), json!({}));
        let of = |init: &[Value], containers: &[Value], stopped: &[String]| {
            runs_on(&pod(init, containers), stopped).map(|r| r.says("has ended", "runs on"))
        };
        let says = r#"container "dump" has ended with exit code 0, and container "proxy" runs on"#;
        let proxy = |state: Value| status("proxy", state, json!({}));
        assert_eq!(of(&[], &[proxy(runs()), dump()], &[]).as_deref(), Some(says));
        assert_eq!(of(&[], &[proxy(exit(143)), dump()], &["proxy".to_owned()]).as_deref(), Some(says));
        assert_eq!(of(&[], &[proxy(exit(0)), dump()], &["proxy".to_owned()]).as_deref(), Some(says));

        assert_eq!(of(&[], &[proxy(exit(0)), dump()], &[]), None, "both have ended");
        assert_eq!(of(&[], &[proxy(exit(1)), dump()], &[]), None, "one has failed");
        assert_eq!(
            of(&[status("mesh", runs(), json!({}))], &[dump()], &[]),
            None,
            "a sidecar ends with the others"
        );
        assert_eq!(of(&[], &[proxy(json!({"waiting": {}})), dump()], &[]), None, "one has not begun");
    }
}
