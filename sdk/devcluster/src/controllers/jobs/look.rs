//! What one look at a Job finds: its pods, its counters, its conditions, and how it ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::cluster::{after, seconds};
use super::pods::{Verdict, is_failed, is_ready, is_tracked, phase, uid, verdict};
use crate::client::{items, number, text};

/// How a Job is about to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finish {
    pub(super) kind: &'static str,
    pub(super) reason: String,
    pub(super) message: String,
}

impl Finish {
    pub(super) fn new(kind: &'static str, reason: &str, message: &str) -> Self {
        Self { kind, reason: reason.to_owned(), message: message.to_owned() }
    }

    pub(super) fn condition(&self, now: Timestamp) -> Value {
        condition(self.kind, "True", &self.reason, &self.message, now)
    }

    /// What it becomes once no pod is left.
    pub(super) fn last(&self) -> Self {
        let kind = if matches!(self.kind, "SuccessCriteriaMet" | "Complete") { "Complete" } else { "Failed" };
        Self { kind, ..self.clone() }
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({"type": kind, "status": status, "lastProbeTime": seconds(now), "lastTransitionTime": seconds(now),
        "reason": reason, "message": message})
}

/// What is known of a Job in one look.
pub(super) struct Look {
    pub(super) job: Value,
    pub(super) status: Map<String, Value>,
    pub(super) pods: Vec<Arc<Value>>,
    pub(super) active: i64,
    pub(super) ready: i64,
    pub(super) terminating: i64,
    pub(super) succeeded: i64,
    pub(super) failed: i64,
    pub(super) changed: bool,
}

impl Look {
    pub(super) fn uncounted(&self, which: &str) -> BTreeSet<String> {
        let uncounted = self.status.get("uncountedTerminatedPods").unwrap_or(&Value::Null);
        items(uncounted, &format!("/{which}")).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Pods that have ended and are not in the status yet.
    pub(super) fn new_ones(&self, which: &str, is: impl Fn(&Value) -> bool) -> Vec<Arc<Value>> {
        let uncounted = self.uncounted(which);
        let new = |pod: &&Arc<Value>| is_tracked(pod) && !uncounted.contains(uid(pod)) && is(pod);
        self.pods.iter().filter(new).cloned().collect()
    }

    /// When the Job began.
    pub(super) fn start(&self) -> Option<Timestamp> {
        self.status.get("startTime")?.as_str()?.parse().ok()
    }

    pub(super) fn set(&mut self, field: &str, value: i64, keep_zero: bool) {
        if value == 0 && !keep_zero {
            self.status.remove(field);
        } else {
            self.status.insert(field.to_owned(), value.into());
        }
    }

    pub(super) fn find(&self, kind: &str) -> Option<&Value> {
        self.status.get("conditions")?.as_array()?.iter().find(|c| c["type"] == kind)
    }

    pub(super) fn push(&mut self, condition: Value) {
        let conditions = self.status.entry("conditions").or_insert_with(|| json!([]));
        if let Some(conditions) = conditions.as_array_mut() {
            match conditions.iter_mut().find(|one| one["type"] == condition["type"]) {
                Some(one) => *one = condition,
                None => conditions.push(condition),
            }
        }
    }

    /// Sets a condition, unless it is so; one that would be false is not added. Returns whether it changed.
    pub(super) fn ensure(
        &mut self,
        kind: &str,
        status: &str,
        reason: &str,
        message: &str,
        now: Timestamp,
    ) -> bool {
        let same = self.find(kind).map(|old| old["status"] == status && old["reason"] == reason);
        if same == Some(true) || (same.is_none() && status == "False") {
            return false;
        }
        self.push(condition(kind, status, reason, message, now));
        true
    }

    pub(super) fn counter(&self, field: &str) -> i64 {
        self.status.get(field).and_then(Value::as_i64).unwrap_or_default()
    }

    pub(super) fn uncount(&mut self, which: &str, uids: &BTreeSet<String>) {
        let uncounted = self.status.entry("uncountedTerminatedPods").or_insert_with(|| json!({}));
        if let Some(uncounted) = uncounted.as_object_mut() {
            if uids.is_empty() {
                uncounted.remove(which);
            } else {
                uncounted.insert(which.to_owned(), uids.iter().cloned().collect::<Vec<_>>().into());
            }
        }
    }

    /// Counts the pods in the status that have no finalizer any more.
    pub(super) fn count(&mut self, tracked: &BTreeSet<String>) {
        for which in ["succeeded", "failed"] {
            let uncounted = self.uncounted(which);
            let left: BTreeSet<String> = uncounted.intersection(tracked).cloned().collect();
            let gone = uncounted.len() - left.len();
            if gone > 0 {
                let counted = self.counter(which) + i64::try_from(gone).unwrap_or_default();
                self.set(which, counted, false);
                self.changed = true;
            }
            self.uncount(which, &left);
        }
    }
}

impl Look {
    /// Counts a pod that was deleted as one that terminates.
    pub(super) fn deleted(&mut self, pod: &Value) {
        self.active -= 1;
        self.terminating += 1;
        self.ready -= i64::from(is_ready(pod));
    }
}

pub(super) fn is_suspended(job: &Value) -> bool {
    job.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// Which active pods are deleted first: those without a node, not running, not ready, the youngest.
pub(super) fn rank(pod: &Value) -> (bool, bool, bool, std::cmp::Reverse<String>) {
    let placed = !text(pod, "/spec/nodeName").is_empty();
    let born = text(pod, "/metadata/creationTimestamp").to_owned();
    (placed, phase(pod) == "Running", is_ready(pod), std::cmp::Reverse(born))
}

pub(super) fn is_complete(look: &Look) -> bool {
    let enough = match number(&look.job, "/spec/completions") {
        None => look.succeeded > 0,
        Some(completions) => look.succeeded >= completions,
    };
    enough && look.active == 0
}

/// Returns how a Job ends, if it does before it is complete.
pub(super) fn verdict_of(look: &Look, now: Timestamp) -> Option<Finish> {
    let job = &look.job;
    let earlier = |kind: &'static str, then: &'static str| {
        let found = look.find(kind).filter(|c| c["status"] == "True")?;
        Some(Finish::new(then, text(found, "/reason"), text(found, "/message")))
    };
    if let Some(finish) =
        earlier("SuccessCriteriaMet", "SuccessCriteriaMet").or_else(|| earlier("FailureTarget", "Failed"))
    {
        return Some(finish);
    }
    for pod in look.pods.iter().filter(|pod| is_failed(pod, job)) {
        if let Verdict::Fail(message) = verdict(job, pod) {
            return Some(Finish::new("FailureTarget", "PodFailurePolicy", &message));
        }
    }
    let limit = number(job, "/spec/backoffLimit").unwrap_or(6);
    if look.failed > limit || restarts_exceed(look, limit) {
        let message = "Job has reached the specified backoff limit";
        return Some(Finish::new("FailureTarget", "BackoffLimitExceeded", message));
    }
    let start = look.start().filter(|_| !is_suspended(job))?;
    let deadline = number(job, "/spec/activeDeadlineSeconds")?;
    let message = "Job was active longer than specified deadline";
    (now >= after(start, deadline)).then(|| Finish::new("FailureTarget", "DeadlineExceeded", message))
}

/// Whether containers were started again more often than a Job allows whose pods do that themselves.
fn restarts_exceed(look: &Look, limit: i64) -> bool {
    if text(&look.job, "/spec/template/spec/restartPolicy") != "OnFailure" {
        return false;
    }
    let alive = look.pods.iter().filter(|pod| matches!(phase(pod), "Running" | "Pending"));
    let of = |pod: &Value, which: &str| -> i64 {
        items(pod, which).iter().filter_map(|status| number(status, "/restartCount")).sum()
    };
    let restarts: i64 = alive
        .map(|pod| of(pod, "/status/initContainerStatuses") + of(pod, "/status/containerStatuses"))
        .sum();
    if limit == 0 { restarts > 0 } else { restarts >= limit }
}
