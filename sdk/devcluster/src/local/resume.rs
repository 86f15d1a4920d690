//! Pods that were running when the node ended. Their containers ended with it and nobody saw how, as after a reboot of a machine, so
//! they are told of as containerd and the kubelet do then: exit code 255, `Unknown`. A pod that is never restarted has failed. Any
//! other one gets a new sandbox: its init containers run again, and of the others those that are not over.

use jiff::Timestamp;
use serde_json::Value;

use super::life::{Cause, Ended, Life, Part, State};
use super::plan::{members, title};
use crate::client::{items, number, text};

/// Returns the life of a pod, by what its status tells: that of a new one if it was not begun.
pub(super) fn resumed(pod: &Value, now: Timestamp) -> Life {
    let began = text(pod, "/status/startTime").parse().unwrap_or(now);
    let mut life = Life::new(title(pod), members(pod), began);
    let statuses = || {
        ["initContainerStatuses", "containerStatuses"]
            .iter()
            .flat_map(|of| items(pod, &format!("/status/{of}")))
    };
    for part in &mut life.parts {
        if let Some(status) = statuses().find(|status| text(status, "/name") == part.member.name) {
            recall(part, status, now);
        }
    }
    let begun = life.parts.iter().any(|part| part.starts > 0);
    if begun && text(pod, "/spec/restartPolicy") == "Never" {
        life.end(Cause::Over, 0, now);
    } else if begun {
        life.begin_anew();
    }
    life
}

/// Takes over what a status tells of a container.
fn recall(part: &mut Part, status: &Value, now: Timestamp) {
    part.last = terminated(status, "/lastState/terminated");
    let time = |pointer: &str| text(status, pointer).parse().ok();
    if status.pointer("/state/running").is_some() {
        part.state = State::Ended(Ended {
            code: 255,
            reason: "Unknown".into(),
            message: String::new(),
            began: time("/state/running/startedAt"),
            at: Some(now),
            id: text(status, "/containerID").to_owned(),
        });
    } else if let Some(ended) = terminated(status, "/state/terminated") {
        part.state = State::Ended(ended);
    } else if part.last.is_none() {
        // It waited for its first start.
        return;
    }
    let restarts =
        number(status, "/restartCount").and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    part.starts = restarts.saturating_add(1);
}

fn terminated(status: &Value, pointer: &str) -> Option<Ended> {
    let ended = status.pointer(pointer).filter(|ended| !ended.is_null())?;
    let time = |pointer: &str| text(ended, pointer).parse().ok();
    Some(Ended {
        code: number(ended, "/exitCode").and_then(|code| i32::try_from(code).ok()).unwrap_or(255),
        reason: text(ended, "/reason").to_owned().into(),
        message: text(ended, "/message").to_owned(),
        began: time("/startedAt"),
        at: time("/finishedAt"),
        id: text(ended, "/containerID").to_owned(),
    })
}
