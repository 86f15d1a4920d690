//! The cause of a failed Job as text.

use std::fmt::Write as _;

use crate::pod::{Container, Pod, PodResult};

/// Number of log lines and bytes in a cause.
const LOG_LINES: usize = 30;
const LOG_BYTES: usize = 4096;
/// Bytes of a message of Kubernetes or of a container in a cause.
const MESSAGE_BYTES: usize = 512;

/// Returns the cause of a failed Job, from its condition and its newest pod, with the remedy where one is known,
/// followed by the end of the failed container's log. At most 8 KiB.
#[must_use]
pub fn cause_of_failure(ended: &PodResult) -> String {
    let mut text = match ended.pods.first() {
        Some(pod) => of_pod(pod).unwrap_or_else(|| job_cause(ended)),
        None => job_cause(ended),
    };
    if ended.reason == "DeadlineExceeded" {
        text = format!("the Job was stopped because it ran longer than it may (DeadlineExceeded); {text}");
    }
    let failed = ended.pods.len();
    if failed > 1 && ended.reason == "BackoffLimitExceeded" {
        let _ = write!(text, "; the last {failed} pods failed");
    }
    if let Some(container) = ended.pods.first().and_then(|pod| failed_container(pod).or_else(|| stopped(pod)))
    {
        append_log(&mut text, container);
    }
    text
}

/// Returns the container whose log tells what a pod did when it was stopped.
fn stopped(pod: &Pod) -> Option<&Container> {
    let mut stopped =
        pod.containers.iter().filter(|c| !c.sidecar && c.reason == "Stopped" && !c.log.is_empty());
    stopped.next().filter(|_| pod.reason != "ContainerRunsOn")
}

/// The cause according to the Job's condition, for a Job without a pod that tells more.
fn job_cause(ended: &PodResult) -> String {
    match (ended.reason.as_str(), ended.message.as_str()) {
        ("", "") => "the Job failed, and Kubernetes gives no cause".to_owned(),
        ("DeadlineExceeded", _) if ended.pods.is_empty() => {
            "its pod is gone, and what it did last was not seen; data may have been written; raise activeDeadlineSeconds if the work takes longer".to_owned()
        }
        ("DeadlineExceeded", _) => {
            "its pod ran until then; raise activeDeadlineSeconds, or look why the pod hung".to_owned()
        }
        ("BackoffLimitExceeded", message) if ended.pods.is_empty() => format!(
            "its pod is gone, and how it ended was not seen ({}); data may have been written; create a new run, or raise backoffLimit so that another pod is tried",
            bounded(message, MESSAGE_BYTES)
        ),
        ("", message) => format!("the Job failed: {}", bounded(message, MESSAGE_BYTES)),
        (reason, "") => format!("the Job failed ({reason})"),
        (reason, message) => format!("the Job failed ({reason}): {}", bounded(message, MESSAGE_BYTES)),
    }
}

fn of_pod(pod: &Pod) -> Option<String> {
    let detail = |text: &str| match text {
        "" => String::new(),
        text => format!(": {}", bounded(text, MESSAGE_BYTES)),
    };
    let (name, what) = (&pod.name, detail(&pod.message));
    match pod.reason.as_str() {
        "Evicted" => {
            return Some(format!(
                "pod {name} was evicted from its node{what}; have it request what it needs, and create a new run"
            ));
        }
        "EvictionByEvictionAPI" => {
            return Some(format!("pod {name} was evicted from its node{what}; create a new run"));
        }
        "Preempting" | "Preempted" | "PreemptionByScheduler" => {
            return Some(format!(
                "pod {name} had to make room for one of higher priority{what}; raise its priority, or create a new run"
            ));
        }
        "NodeLost"
        | "NodeShutdown"
        | "Terminated"
        | "Shutdown"
        | "DeletionByPodGC"
        | "DeletionByTaintManager"
        | "TerminationByKubelet" => {
            return Some(format!(
                "the node of pod {name} went away ({}){what}; create a new run",
                pod.reason
            ));
        }
        "ContainerRunsOn" => {
            return Some(format!(
                "in pod {name}{what}; data may have been written; have the container that ran on end with the other one, or make it a sidecar (an init container with restartPolicy: Always)"
            ));
        }
        "Deleted" => {
            return Some(format!(
                "pod {name} was deleted before it had ended{what}; data may have been written; create a new run, or raise backoffLimit so that another pod is tried"
            ));
        }
        _ => {}
    }
    match failed_container(pod) {
        Some(container) => Some(of_container(pod, container)),
        None if pod.reason.is_empty() && pod.message.is_empty() => None,
        None => Some(format!("pod {} failed ({}){}", pod.name, pod.reason, detail(&pod.message))),
    }
}

/// Returns the container that failed first, or else the first that did not end. A sidecar is to blame only where the others
/// wait for it to start.
fn failed_container(pod: &Pod) -> Option<&Container> {
    let ended_badly = |c: &&Container| c.exit_code.is_some_and(|code| code != 0);
    // Exit code 143, or 137 without a reason, means that the container was stopped with the pod: another one is
    // preferred.
    let by_itself = |c: &&Container| {
        ended_badly(c)
            && c.reason != "Stopped"
            && !(matches!(c.exit_code, Some(137 | 143)) && c.reason != "OOMKilled")
    };
    let waits_for_others =
        |c: &Container| matches!(c.reason.as_str(), "PodInitializing" | "ContainerCreating");
    let never_ended = |c: &&Container| c.exit_code.is_none() && !c.reason.is_empty();
    let containers = || pod.containers.iter().filter(|c| !c.sidecar);
    let sidecars = || pod.containers.iter().filter(|c| c.sidecar && containers().any(waits_for_others));
    containers()
        .find(by_itself)
        .or_else(|| containers().find(|c| never_ended(c) && !waits_for_others(c)))
        .or_else(|| sidecars().find(|c| ended_badly(c) || never_ended(c)))
        .or_else(|| containers().find(never_ended))
        .or_else(|| containers().find(|c| ended_badly(c) && c.reason != "Stopped"))
}

fn of_container(pod: &Pod, container: &Container) -> String {
    let who = format!("container {} of pod {}", container.name, pod.name);
    let said = match container.message.trim() {
        "" => String::new(),
        message => format!(": {}", bounded(message, MESSAGE_BYTES)),
    };
    let Some(code) = container.exit_code else {
        return match container.reason.as_str() {
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName" => {
                format!(
                    "{who} never started, because its image cannot be pulled ({}){said}; check the image's name and the pull secret",
                    container.reason
                )
            }
            "CreateContainerConfigError" => format!(
                "{who} never started ({}){said}; check that the Secrets and ConfigMaps that it names exist",
                container.reason
            ),
            reason => format!("{who} never ended ({reason}){said}"),
        };
    };
    if container.reason == "OOMKilled" {
        return format!(
            "{who} ran out of memory (OOMKilled, exit code {code}){said}; raise its memory limit"
        );
    }
    let words = match code {
        126 => {
            " (the command cannot be executed: check its permissions and the image's architecture)".to_owned()
        }
        127 => " (the command was not found in the image)".to_owned(),
        128 if container.reason == "StartError" || container.reason == "ContainerCannotRun" => {
            " (the container could not be started: check its command)".to_owned()
        }
        134 => " (aborted)".to_owned(),
        137 => " (killed: by the node, at its deadline, or for lack of memory)".to_owned(),
        139 => " (segmentation fault)".to_owned(),
        143 => " (told to stop: its time was up, or its pod was deleted)".to_owned(),
        code if (129..=192).contains(&code) => format!(" (signal {})", code - 128),
        _ => String::new(),
    };
    let reason = match container.reason.as_str() {
        "" | "Error" => String::new(),
        reason => format!(", {reason}"),
    };
    format!("{who} failed with exit code {code}{reason}{words}{said}")
}

/// Returns the line of the log that explains best why a Job failed: of the failed container, the last line about an
/// error, or else the last line; at most 512 bytes. `None` without a log, and if the container has a termination
/// message, which [`cause_of_failure`] includes.
#[must_use]
pub fn error_line(ended: &PodResult) -> Option<&str> {
    let container = failed_container(ended.pods.first()?)?;
    if !container.message.trim().is_empty() {
        return None;
    }
    let lines = || container.log.lines().rev().map(str::trim).filter(|line| !line.is_empty());
    let line = lines().find(|line| line.to_ascii_lowercase().contains("error")).or_else(|| lines().next())?;
    Some(&line[..line.floor_char_boundary(MESSAGE_BYTES)])
}

fn append_log(text: &mut String, container: &Container) {
    let log = container.log.trim_end();
    if log.is_empty() || container.message.trim_end() == log {
        return;
    }
    let skipped = log.lines().count().saturating_sub(LOG_LINES);
    let lines: Vec<&str> = log.lines().skip(skipped).collect();
    let tail = lines.join("\n");
    let _ =
        write!(text, "\nend of the log of container {}:\n{}", container.name, last_bytes(&tail, LOG_BYTES));
}

/// Returns the first `bytes` bytes, cut at a character boundary.
fn bounded(text: &str, bytes: usize) -> String {
    let text = text.trim();
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}

/// Returns the last `bytes` bytes, cut at a character boundary.
fn last_bytes(text: &str, bytes: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(container: Container) -> PodResult {
        let pod = Pod { name: "run-backup-x".into(), containers: vec![container], ..Pod::default() };
        PodResult {
            succeeded: false,
            reason: "BackoffLimitExceeded".into(),
            message: "Job has reached the specified backoff limit".into(),
            pods: vec![pod],
            data: None,
        }
    }

    fn exit(code: i32, reason: &str) -> Container {
        Container {
            name: "dump".into(),
            exit_code: Some(code),
            reason: reason.into(),
            ..Container::default()
        }
    }

    #[test]
    fn exit_codes_are_explained() {
        for (code, reason, words) in [
            (1, "Error", "container dump of pod run-backup-x failed with exit code 1"),
            (126, "Error", "cannot be executed"),
            (127, "Error", "not found in the image"),
            (128, "StartError", "could not be started"),
            (137, "OOMKilled", "raise its memory limit"),
            (137, "Error", "killed"),
            (143, "Error", "told to stop"),
            (130, "Error", "signal 2"),
        ] {
            let text = cause_of_failure(&failed(exit(code, reason)));
            assert!(text.contains(words), "{code} {reason}: {text}");
        }
    }

    #[test]
    fn a_container_that_ran_out_of_memory_is_not_said_to_be_merely_killed() {
        let text = cause_of_failure(&failed(exit(137, "OOMKilled")));
        assert!(text.contains("ran out of memory (OOMKilled, exit code 137)"), "{text}");
    }

    #[test]
    fn an_eviction_is_reported_before_exit_codes() {
        let mut result = failed(exit(137, "Error"));
        result.pods[0].reason = "Evicted".into();
        result.pods[0].message = "The node was low on resource: ephemeral-storage.".into();
        let text = cause_of_failure(&result);
        assert!(text.contains("was evicted from its node: The node was low"), "{text}");
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named() {
        let container = Container {
            name: "dump".into(),
            reason: "ImagePullBackOff".into(),
            message: "no such image".into(),
            ..Container::default()
        };
        let text = cause_of_failure(&failed(container));
        assert!(text.contains("image cannot be pulled (ImagePullBackOff): no such image"), "{text}");
    }

    #[test]
    fn a_deadline_without_a_pod_says_what_to_do() {
        let mut result = failed(exit(0, ""));
        result.pods.clear();
        result.reason = "DeadlineExceeded".into();
        let text = cause_of_failure(&result);
        assert!(text.contains("ran longer than it may") && text.contains("activeDeadlineSeconds"), "{text}");
    }

    #[test]
    fn a_missing_pod_is_reported() {
        let mut result = failed(exit(0, ""));
        result.pods.clear();
        let text = cause_of_failure(&result);
        assert!(
            text.contains("its pod is gone, and how it ended was not seen")
                && text.contains("create a new run"),
            "{text}"
        );
        for unseen in ["evicted", "deleted", "node"] {
            assert!(!text.contains(unseen), "{text}");
        }
    }

    #[test]
    fn a_sidecar_is_not_blamed_for_what_the_work_did() {
        let sidecar = |code: Option<i32>, reason: &str| Container {
            name: "proxy".into(),
            exit_code: code,
            reason: reason.into(),
            sidecar: true,
            log: "closing listeners".into(),
            ..Container::default()
        };
        let mut result = failed(exit(5, "Error"));
        result.pods[0].containers.insert(0, sidecar(Some(2), "Error"));
        let text = cause_of_failure(&result);
        assert!(text.contains("container dump") && text.contains("exit code 5"), "{text}");
        assert!(!text.contains("closing listeners"), "{text}");

        // But it is, where the work waits for it to start.
        let waiting =
            Container { name: "dump".into(), reason: "PodInitializing".into(), ..Container::default() };
        let mut result = failed(waiting);
        result.pods[0].containers.push(sidecar(None, "ImagePullBackOff"));
        let text = cause_of_failure(&result);
        assert!(text.contains("container proxy") && text.contains("ImagePullBackOff"), "{text}");
    }

    #[test]
    fn a_container_that_was_stopped_with_its_pod_is_not_said_to_have_failed() {
        let mut result = failed(exit(1, "Stopped"));
        result.reason = "DeadlineExceeded".into();
        let text = cause_of_failure(&result);
        assert!(text.contains("its pod ran until then") && !text.contains("exit code"), "{text}");
        result.pods[0].containers[0].log = "waiting for a lock".into();
        assert!(cause_of_failure(&result).ends_with("end of the log of container dump:\nwaiting for a lock"));
        result.pods[0].containers.push(Container { name: "check".into(), ..exit(3, "Error") });
        assert!(cause_of_failure(&result).contains("container check"), "{}", cause_of_failure(&result));
    }

    #[test]
    fn a_container_that_ran_on_beside_the_work_that_had_ended_is_named_and_nobody_looks_why_the_pod_hung() {
        let mut result = failed(exit(0, ""));
        result.reason = "DeadlineExceeded".into();
        result.pods[0].reason = "ContainerRunsOn".into();
        result.pods[0].message =
            "container \"dump\" ended with exit code 0, and container \"proxy\" ran on".into();
        let text = cause_of_failure(&result);
        for part in ["\"proxy\" ran on", "data may have been written", "DeadlineExceeded"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("hung"), "{text}");
    }

    #[test]
    fn a_pod_that_was_seen_to_be_deleted_is_said_to_be() {
        let mut result = failed(exit(143, "Stopped"));
        result.pods[0].reason = "Deleted".into();
        let text = cause_of_failure(&result);
        assert!(text.contains("pod run-backup-x was deleted before it had ended"), "{text}");
    }

    #[test]
    fn disruptions_are_reported_before_exit_codes_with_the_remedy() {
        for (reason, words) in [
            ("EvictionByEvictionAPI", "was evicted from its node"),
            ("DeletionByPodGC", "the node of pod run-backup-x went away"),
            ("DeletionByTaintManager", "the node of pod run-backup-x went away"),
            ("PreemptionByScheduler", "had to make room"),
        ] {
            let mut result = failed(exit(137, "Error"));
            result.pods[0].reason = reason.into();
            let text = cause_of_failure(&result);
            assert!(text.contains(words) && text.contains("create a new run"), "{reason}: {text}");
        }
    }

    #[test]
    fn the_container_that_failed_first_is_blamed_not_those_taken_down_with_it() {
        let mut result = failed(Container { name: "proxy".into(), ..exit(143, "Error") });
        result.pods[0].containers.push(exit(2, "Error"));
        assert!(cause_of_failure(&result).contains("container dump"), "{}", cause_of_failure(&result));
    }

    #[test]
    fn the_end_of_the_log_is_shown_and_bounded() {
        let log: String = (0..1000).map(|i| format!("line {i} {}\n", "é".repeat(200))).collect();
        let text = cause_of_failure(&failed(Container { log, ..exit(1, "Error") }));
        assert!(text.contains("end of the log of container dump") && text.contains("line 999"), "{text}");
        assert!(!text.contains("line 900") && text.len() < 8192, "{}", text.len());
    }

    #[test]
    fn the_line_that_tells_most_is_the_last_that_speaks_of_an_error() {
        let line = |log: &str| {
            let result = failed(Container { log: log.into(), ..exit(1, "Error") });
            error_line(&result).map(str::to_owned)
        };
        assert_eq!(line("ERROR one\nthe error: two\nbye\n\n").as_deref(), Some("the error: two"));
        assert_eq!(line("one\n two \n\n").as_deref(), Some("two"));
        assert_eq!(line(" \n"), None);
        assert_eq!(line(&"é".repeat(1000)).map(|l| l.len()), Some(512));
    }

    #[test]
    fn without_any_cause_it_still_says_something() {
        let result = PodResult {
            reason: String::new(),
            message: String::new(),
            pods: Vec::new(),
            ..failed(exit(0, ""))
        };
        assert_eq!(cause_of_failure(&result), "the Job failed, and Kubernetes gives no cause");
    }
}
