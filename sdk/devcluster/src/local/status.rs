//! The status of a pod, as a kubelet of 1.34 writes it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::life::{Cause, Ended, Life, Part, State};
use super::plan::{Restart, Role};
use crate::client::{items, number, text};

/// How many bytes of last words a pod has altogether.
const WORDS: usize = 12 * 1024;
/// Conditions that a kubelet writes.
const OWN: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// Returns the status of a pod that the node runs.
pub(crate) fn status(pod: &Value, life: &Life, now: Timestamp) -> Value {
    let phase = phase(pod, life);
    // The end is told only once nothing of the pod is left; its conditions tell it before.
    let told = match phase {
        "Succeeded" | "Failed" if !life.is_over() && !is_terminal(pod) => {
            if life.has_begun() {
                "Running"
            } else {
                "Pending"
            }
        }
        phase => phase,
    };
    let (reason, message) = why(pod, life, told);
    let mut status = Map::new();
    status.insert("observedGeneration".to_owned(), pod["metadata"]["generation"].clone());
    status.insert("phase".to_owned(), told.into());
    status.insert("reason".to_owned(), reason);
    status.insert("message".to_owned(), message);
    status.insert("startTime".to_owned(), seconds(life.began));
    status.insert("conditions".to_owned(), conditions(pod, life, phase, now));
    let lost = life.is_over() && phase != "Succeeded";
    let of = |main: bool| -> Vec<Value> {
        let parts = life.parts.iter().filter(|part| (part.member.role == Role::Main) == main);
        let lost = lost && if main { initialised(life) } else { false };
        parts.map(|part| container(part, lost, life.is_over(), life.parts.len())).collect()
    };
    let mut main = of(true);
    main.sort_by(|a, b| text(a, "/name").cmp(text(b, "/name")));
    status.insert("containerStatuses".to_owned(), main.into());
    let init = of(false);
    if !init.is_empty() {
        status.insert("initContainerStatuses".to_owned(), init.into());
    }
    Value::Object(status)
}

/// Returns the status of a pod that the node does not take.
pub(crate) fn rejected(pod: &Value, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({"observedGeneration": pod["metadata"]["generation"], "phase": "Failed", "reason": reason,
        "message": format!("Pod was rejected: {message}"), "startTime": seconds(now)})
}

/// Writes a time as the API does.
pub(crate) fn seconds(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

fn is_terminal(pod: &Value) -> bool {
    matches!(text(pod, "/status/phase"), "Failed" | "Succeeded")
}

fn initialised(life: &Life) -> bool {
    life.has_begun() || life.parts.iter().all(|part| part.member.role == Role::Main)
}

/// Returns the phase, by the rules of the kubelet's `getPhase`.
fn phase(pod: &Value, life: &Life) -> &'static str {
    let old = text(pod, "/status/phase");
    if let Some(phase) = ["Failed", "Succeeded"].into_iter().find(|phase| *phase == old) {
        return phase;
    }
    let over = life.is_done();
    if matches!(life.ending, Some((Cause::Deadline, _))) {
        return "Failed";
    }
    let of = |role: Role| life.parts.iter().filter(move |part| part.member.role == role);
    let failed =
        |part: &Part| part.member.restart == Restart::Never && part.ended().is_some_and(|e| e.code != 0);
    let nothing_runs = !life.parts.iter().any(Part::runs);
    if nothing_runs && !life.has_begun() && of(Role::Init).any(failed) {
        return "Failed";
    }
    let pending = of(Role::Init).any(|part| part.ended().is_none())
        || (!life.has_begun()
            && of(Role::Sidecar).any(|part| part.starts == 0 || part.runs() && !part.begun));
    let waiting = of(Role::Main).chain(of(Role::Sidecar)).any(|part| part.starts == 0);
    if !life.has_begun() && (pending || waiting) || of(Role::Main).any(|part| part.starts == 0) {
        return if over { "Failed" } else { "Pending" };
    }
    let succeeded = of(Role::Main).all(|part| part.ended().is_some_and(|ended| ended.code == 0));
    match (over, succeeded) {
        (true, true) => "Succeeded",
        (true, false) => "Failed",
        (false, _) => "Running",
    }
}

fn why(pod: &Value, life: &Life, phase: &str) -> (Value, Value) {
    match life.ending {
        Some((Cause::Deadline, _)) if life.is_over() && text(pod, "/status/phase") != "Failed" => (
            "DeadlineExceeded".into(),
            "Pod was active on the node longer than the specified deadline".into(),
        ),
        _ if text(pod, "/status/phase") == phase => {
            (pod["status"]["reason"].clone(), pod["status"]["message"].clone())
        }
        _ => (Value::Null, Value::Null),
    }
}

fn conditions(pod: &Value, life: &Life, phase: &str, now: Timestamp) -> Value {
    let old = items(pod, "/status/conditions");
    let names = |parts: Vec<&Part>| {
        let names: Vec<&str> = parts.iter().map(|part| part.member.name.as_str()).collect();
        names.join(" ")
    };
    let kept = old.iter().filter(|condition| !OWN.contains(&text(condition, "/type"))).cloned();
    let mut all: Vec<Value> = kept.collect();
    let mut add = |kind: &str, status: bool, reason: &str, message: String| {
        let status = if status { "True" } else { "False" };
        let before = old.iter().find(|condition| text(condition, "/type") == kind);
        let same = before.filter(|condition| text(condition, "/status") == status);
        let since = same.map_or_else(|| seconds(now), |condition| condition["lastTransitionTime"].clone());
        let mut condition = json!({"type": kind, "status": status, "lastProbeTime": null,
            "lastTransitionTime": since, "observedGeneration": pod["metadata"]["generation"]});
        if !reason.is_empty() {
            condition["reason"] = reason.into();
        }
        if !message.is_empty() {
            condition["message"] = message.into();
        }
        all.push(condition);
    };
    add("PodReadyToStartContainers", life.sandbox && !life.is_over(), "", String::new());
    let incomplete: Vec<&Part> = life.parts.iter().filter(|part| !complete(part)).collect();
    if phase == "Succeeded" {
        add("Initialized", true, "PodCompleted", String::new());
    } else if life.has_begun() || incomplete.is_empty() {
        add("Initialized", true, "", String::new());
    } else {
        let message = format!("containers with incomplete status: [{}]", names(incomplete));
        add("Initialized", false, "ContainersNotInitialized", message);
    }
    let unready = life
        .parts
        .iter()
        .filter(|part| part.member.role != Role::Init && !part.is_ready())
        .collect::<Vec<_>>();
    let (ready, reason, message) = match phase {
        "Succeeded" => (false, "PodCompleted", String::new()),
        "Failed" => (false, "PodFailed", String::new()),
        _ if unready.is_empty() => (true, "", String::new()),
        _ => (false, "ContainersNotReady", format!("containers with unready status: [{}]", names(unready))),
    };
    add("Ready", ready, reason, message.clone());
    add("ContainersReady", ready, reason, message);
    add("PodScheduled", true, "", String::new());
    all.into()
}

fn complete(part: &Part) -> bool {
    match part.member.role {
        Role::Init => part.ended().is_some_and(|ended| ended.code == 0),
        Role::Sidecar => part.is_started(),
        Role::Main => true,
    }
}

fn container(part: &Part, lost: bool, over: bool, parts: usize) -> Value {
    let spec = &part.member.spec;
    let words = WORDS / parts.max(1);
    let done = part.member.role == Role::Init && part.ended().is_some_and(|ended| ended.code == 0);
    let (state, id) = match &part.state {
        State::Waiting(_) if lost && part.starts == 0 => (terminated(&unseen(), words), String::new()),
        State::Waiting(why) if why.message.is_empty() => {
            (json!({"waiting": {"reason": why.reason}}), String::new())
        }
        State::Waiting(why) => {
            let id = part.last.as_ref().map(|last| last.id.clone()).unwrap_or_default();
            (json!({"waiting": {"reason": why.reason, "message": why.message}}), id)
        }
        State::Running { since, id } => (json!({"running": {"startedAt": seconds(*since)}}), id.clone()),
        State::Ended(ended) => (terminated(ended, words), ended.id.clone()),
    };
    // A kubelet keeps one container that has ended: once the last one has, it forgets those before.
    let kept = part.last.as_ref().filter(|_| !(over && matches!(part.state, State::Ended(_))));
    let last = kept.map_or_else(|| json!({}), |ended| terminated(ended, words));
    let mut status = json!({"name": part.member.name, "image": spec["image"], "imageID": "",
        "restartCount": part.starts.saturating_sub(1), "ready": part.is_ready() && part.member.role != Role::Init || done,
        "started": part.is_started(), "state": state, "lastState": last});
    if !id.is_empty() {
        status["containerID"] = id.into();
        status["imageID"] = format!("local://{}", text(spec, "/image")).into();
        if let Some(resources) = spec.get("resources") {
            status["resources"] = resources.clone();
            status["allocatedResources"] = resources.get("requests").cloned().unwrap_or_else(|| json!({}));
        }
    }
    let mounts: Vec<Value> = items(spec, "/volumeMounts").iter().map(mount).collect();
    if !mounts.is_empty() {
        status["volumeMounts"] = mounts.into();
    }
    status
}

fn mount(mount: &Value) -> Value {
    let mut shown = json!({"name": mount["name"], "mountPath": mount["mountPath"]});
    if mount["readOnly"] == true {
        shown["readOnly"] = true.into();
        shown["recursiveReadOnly"] = "Disabled".into();
    }
    shown
}

fn unseen() -> Ended {
    Ended {
        code: 137,
        reason: "ContainerStatusUnknown".into(),
        message: "The container could not be located when the pod was terminated".to_owned(),
        began: None,
        at: None,
        id: String::new(),
    }
}

fn terminated(ended: &Ended, words: usize) -> Value {
    let time = |time: Option<Timestamp>| time.map_or(Value::Null, seconds);
    let mut state = json!({"exitCode": ended.code, "reason": ended.reason, "startedAt": time(ended.began),
        "finishedAt": time(ended.at)});
    let message = cut(&ended.message, words);
    if !message.is_empty() {
        state["message"] = message.into();
    }
    if !ended.id.is_empty() {
        state["containerID"] = ended.id.clone().into();
    }
    json!({"terminated": state})
}

/// Returns the first bytes of a text that are whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Returns when a pod has to be over, if it may not take for ever.
pub(crate) fn deadline(pod: &Value, life: &Life) -> Option<Timestamp> {
    let seconds = number(pod, "/spec/activeDeadlineSeconds")?;
    life.began.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::plan::members;
    use super::*;

    const T: Timestamp = Timestamp::UNIX_EPOCH;

    fn pod(policy: &str) -> Value {
        json!({"metadata": {"generation": 1}, "spec": {"restartPolicy": policy, "containers": [{"name": "main", "image": "i"}],
            "initContainers": [{"name": "first", "image": "i"}]}})
    }

    fn ended(code: i32, message: &str) -> Ended {
        let reason = if code == 0 { "Completed" } else { "Error" };
        Ended {
            code,
            reason: reason.into(),
            message: message.to_owned(),
            began: Some(T),
            at: Some(T),
            id: "local://1".to_owned(),
        }
    }

    fn condition<'a>(status: &'a Value, kind: &str) -> &'a Value {
        items(status, "/conditions").iter().find(|c| c["type"] == kind).expect("a condition")
    }

    #[test]
    fn a_pod_passes_from_pending_to_its_end() {
        let pod = pod("Never");
        let mut life = Life::new(String::new(), members(&pod), T);
        let before = status(&pod, &life, T);
        assert_eq!(before["phase"], "Pending");
        assert_eq!(
            before["containerStatuses"][0]["state"],
            json!({"waiting": {"reason": "PodInitializing"}})
        );
        let message = "containers with incomplete status: [first]";
        assert_eq!(condition(&before, "Initialized")["message"], message);
        life.started(0, "local://0".to_owned(), T);
        assert_eq!(status(&pod, &life, T)["phase"], "Pending");
        life.ended(0, ended(0, ""), T);
        life.started(1, "local://1".to_owned(), T);
        let during = status(&pod, &life, T);
        assert_eq!(during["phase"], "Running");
        assert_eq!(condition(&during, "Ready")["status"], "True");
        assert_eq!(during["initContainerStatuses"][0]["ready"], true);
        life.ended(1, ended(3, &"é".repeat(6000)), T);
        life.next(T, 30);
        let after = status(&pod, &life, T);
        assert_eq!(
            (&after["phase"], &after["containerStatuses"][0]["state"]["terminated"]["exitCode"]),
            (&"Failed".into(), &3.into())
        );
        let words = text(&after, "/containerStatuses/0/state/terminated/message");
        assert_eq!(words.len(), 12 * 1024 / 2);
        assert_eq!(condition(&after, "Ready")["reason"], "PodFailed");
    }

    #[test]
    fn a_pod_that_is_deleted_before_it_began_has_failed() {
        let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "main", "image": "i"}]}});
        let mut life = Life::new(String::new(), members(&pod), T);
        life.end(Cause::Deleted, 0, T);
        let status = status(&pod, &life, T);
        assert_eq!(status["phase"], "Failed");
        assert_eq!(status["containerStatuses"][0]["state"]["terminated"]["reason"], "ContainerStatusUnknown");
    }

    #[test]
    fn a_pod_that_took_too_long_says_so_at_its_end() {
        let pod = pod("Never");
        let mut life = Life::new(String::new(), members(&pod), T);
        life.started(0, String::new(), T);
        life.end(Cause::Deadline, 30, T);
        assert_eq!(status(&pod, &life, T)["phase"], "Pending");
        life.ended(0, ended(143, ""), T);
        let status = status(&pod, &life, T);
        assert_eq!((&status["phase"], &status["reason"]), (&"Failed".into(), &"DeadlineExceeded".into()));
    }

    #[test]
    fn a_container_that_waits_shows_how_it_ended_and_conditions_of_others_stay() {
        let mut pod = pod("OnFailure");
        pod["status"] = json!({"conditions": [{"type": "DisruptionTarget", "status": "True"}]});
        let mut life = Life::new(String::new(), members(&pod), T);
        life.started(0, String::new(), T);
        life.ended(0, ended(0, ""), T);
        for _ in 0..2 {
            life.started(1, String::new(), T);
            life.ended(1, ended(1, "why"), T);
        }
        life.next(T, 30);
        let status = status(&pod, &life, T);
        let main = &status["containerStatuses"][0];
        assert_eq!((&status["phase"], &main["restartCount"]), (&"Running".into(), &1.into()));
        assert_eq!(main["state"]["waiting"]["reason"], "CrashLoopBackOff");
        assert_eq!(main["lastState"]["terminated"]["message"], "why");
        assert_eq!(status["conditions"][0]["type"], "DisruptionTarget");
    }
}
