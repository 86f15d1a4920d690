//! One look at a Job: pods are counted, made and deleted, and the Job's status says so.
//!
//! The order of the steps is that of the controller of Kubernetes 1.34: pods that ended are written to the status before their
//! finalizer is taken, and are counted after; SuccessCriteriaMet and FailureTarget come before Complete and Failed, which wait
//! until no pod is left that terminates.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::super::cluster::{after, is_deleted, seconds};
use super::super::drive::Queue;
use super::super::owners::finalizers;
use super::pods::{
    TRACKING, Verdict, is_active, is_failed, is_ready, is_terminating, is_tracked, phase,
    replaces_failed_only, uid, verdict,
};
use super::{Jobs, path, pod_path};
use crate::client::{Key, Refused, items, key, number, text};

/// The most pods that are written to a Job's status before they are counted.
const MOST_UNCOUNTED: usize = 500;
/// The most pods that are made or deleted in one look.
const MOST_AT_ONCE: i64 = 500;

/// How a Job is about to end.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finish {
    kind: &'static str,
    reason: String,
    message: String,
}

impl Finish {
    fn new(kind: &'static str, reason: &str, message: &str) -> Self {
        Self { kind, reason: reason.to_owned(), message: message.to_owned() }
    }

    fn condition(&self, now: Timestamp) -> Value {
        condition(self.kind, "True", &self.reason, &self.message, now)
    }

    /// What it becomes once no pod is left.
    fn last(&self) -> Self {
        let kind = if matches!(self.kind, "SuccessCriteriaMet" | "Complete") { "Complete" } else { "Failed" };
        Self { kind, ..self.clone() }
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> Value {
    json!({"type": kind, "status": status, "lastProbeTime": seconds(now), "lastTransitionTime": seconds(now),
        "reason": reason, "message": message})
}

/// What is known of a Job in one look.
struct Look {
    job: Value,
    status: Map<String, Value>,
    pods: Vec<Arc<Value>>,
    active: i64,
    ready: i64,
    terminating: i64,
    succeeded: i64,
    failed: i64,
    changed: bool,
}

impl Look {
    fn uncounted(&self, which: &str) -> BTreeSet<String> {
        let uncounted = self.status.get("uncountedTerminatedPods").unwrap_or(&Value::Null);
        items(uncounted, &format!("/{which}")).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Pods that have ended and are not in the status yet.
    fn new_ones(&self, which: &str, is: impl Fn(&Value) -> bool) -> Vec<Arc<Value>> {
        let uncounted = self.uncounted(which);
        let new = |pod: &&Arc<Value>| is_tracked(pod) && !uncounted.contains(uid(pod)) && is(pod);
        self.pods.iter().filter(new).cloned().collect()
    }

    /// When the Job began.
    fn start(&self) -> Option<Timestamp> {
        self.status.get("startTime")?.as_str()?.parse().ok()
    }

    fn set(&mut self, field: &str, value: i64, keep_zero: bool) {
        if value == 0 && !keep_zero {
            self.status.remove(field);
        } else {
            self.status.insert(field.to_owned(), value.into());
        }
    }

    fn find(&self, kind: &str) -> Option<&Value> {
        self.status.get("conditions")?.as_array()?.iter().find(|c| c["type"] == kind)
    }

    fn push(&mut self, condition: Value) {
        let conditions = self.status.entry("conditions").or_insert_with(|| json!([]));
        if let Some(conditions) = conditions.as_array_mut() {
            match conditions.iter_mut().find(|one| one["type"] == condition["type"]) {
                Some(one) => *one = condition,
                None => conditions.push(condition),
            }
        }
    }

    /// Sets a condition, unless it is so; one that would be false is not added. Returns whether it changed.
    fn ensure(&mut self, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> bool {
        let same = self.find(kind).map(|old| old["status"] == status && old["reason"] == reason);
        if same == Some(true) || (same.is_none() && status == "False") {
            return false;
        }
        self.push(condition(kind, status, reason, message, now));
        true
    }

    fn counter(&self, field: &str) -> i64 {
        self.status.get(field).and_then(Value::as_i64).unwrap_or_default()
    }

    fn uncount(&mut self, which: &str, uids: &BTreeSet<String>) {
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
    fn count(&mut self, tracked: &BTreeSet<String>) {
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

impl Jobs {
    pub(super) async fn sync(&mut self, job: &Value, queue: &mut Queue<Key>) -> Result<(), Refused> {
        let now = self.cluster.now();
        let pods = self.pods(job);
        let count = |is: fn(&Value) -> bool| {
            i64::try_from(pods.iter().filter(|pod| is(pod)).count()).unwrap_or_default()
        };
        let mut look = Look {
            active: count(is_active),
            ready: count(|pod| is_active(pod) && is_ready(pod)),
            terminating: count(is_terminating),
            succeeded: 0,
            failed: 0,
            changed: false,
            status: job["status"].as_object().cloned().unwrap_or_default(),
            job: job.clone(),
            pods,
        };
        let succeeded = look.new_ones("succeeded", |pod| phase(pod) == "Succeeded");
        let failed = look.new_ones("failed", |pod| is_failed(pod, job));
        let counted = failed.iter().filter(|pod| verdict(job, pod) != Verdict::Ignore).count();
        let sum = |look: &Look, which: &str, new: usize| {
            look.counter(which) + i64::try_from(new + look.uncounted(which).len()).unwrap_or_default()
        };
        look.succeeded = sum(&look, "succeeded", succeeded.len());
        look.failed = sum(&look, "failed", counted);
        if look.start().is_none() && !is_suspended(job) {
            look.status.insert("startTime".to_owned(), seconds(now));
        }
        let backoff = self.backoff.get(uid(job)).cloned().unwrap_or_default().with(&succeeded, &failed);
        let mut finish = verdict_of(&look, now);
        if finish.is_none()
            && let Some(deadline) = number(job, "/spec/activeDeadlineSeconds").filter(|_| !is_suspended(job))
            && let Some(start) = look.start()
        {
            queue.add_at(key(job), after(start, deadline));
        }
        let mut trouble = None;
        if finish.is_some() {
            trouble = self.delete_active(&mut look).await.err();
            finish = finish.filter(|_| trouble.is_none());
        } else {
            let mut managed = false;
            if !is_deleted(job) {
                managed = true;
                let later = backoff.until(now);
                if let Err(refused) = self.manage(&mut look, later, queue).await {
                    trouble = Some(refused);
                }
            }
            if is_complete(&look) {
                let message = "Reached expected number of succeeded pods";
                finish = Some(Finish::new("SuccessCriteriaMet", "CompletionsReached", message));
            } else if managed {
                self.suspend(&mut look, now).await;
            }
        }
        let before = ["active", "ready", "terminating"].map(|field| look.status.get(field).cloned());
        let (active, ready, terminating) = (look.active, look.ready, look.terminating);
        look.set("active", active, false);
        look.set("ready", ready, true);
        look.set("terminating", terminating, true);
        look.changed |=
            before != ["active", "ready", "terminating"].map(|field| look.status.get(field).cloned());
        self.track(look, finish, backoff, now).await?;
        trouble.map_or(Ok(()), Err)
    }

    /// Writes what has ended, takes the finalizers, and counts.
    async fn track(
        &mut self,
        mut look: Look,
        finish: Option<Finish>,
        backoff: super::Backoff,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let mut tracked: BTreeSet<String> =
            look.pods.iter().filter(|pod| is_tracked(pod)).map(|pod| uid(pod).to_owned()).collect();
        look.count(&tracked);
        let (mut succeeded, mut failed) = (look.uncounted("succeeded"), look.uncounted("failed"));
        let mut ended = Vec::new();
        let mut all = true;
        for pod in look.pods.iter().filter(|pod| is_tracked(pod)) {
            let is_failed = is_failed(pod, &look.job);
            let free = is_deleted(&look.job) || finish.is_some() || phase(pod) == "Succeeded" || is_failed;
            if !free {
                continue;
            }
            ended.push(pod.clone());
            let success = finish.as_ref().is_none_or(|finish| finish.last().kind == "Complete");
            if phase(pod) == "Succeeded" && !failed.contains(uid(pod)) {
                look.changed |= succeeded.insert(uid(pod).to_owned());
            } else if (is_failed || !success) && verdict(&look.job, pod) != Verdict::Ignore {
                look.changed |= failed.insert(uid(pod).to_owned());
            }
            if succeeded.len() + failed.len() >= MOST_UNCOUNTED {
                all = false;
                break;
            }
        }
        look.uncount("succeeded", &succeeded);
        look.uncount("failed", &failed);
        if let Some(finish) =
            finish.as_ref().filter(|finish| matches!(finish.kind, "FailureTarget" | "SuccessCriteriaMet"))
            && look.find(finish.kind).is_none()
        {
            look.push(finish.condition(now));
            look.changed = true;
        }
        if look.changed {
            self.write(&mut look).await?;
            self.backoff.insert(uid(&look.job).to_owned(), backoff);
        }
        let mut trouble = None;
        for pod in ended {
            match self.untrack(&pod).await {
                Ok(()) => drop(tracked.remove(uid(&pod))),
                Err(refused) => trouble = Some(refused),
            }
        }
        look.count(&tracked);
        if trouble.is_none() && all {
            self.finish(&mut look, finish.map(|finish| finish.last()), now).await?;
        } else if look.changed {
            self.write(&mut look).await?;
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Ends the Job if nothing of it is left, and writes its status if that is still to be done.
    async fn finish(
        &mut self,
        look: &mut Look,
        finish: Option<Finish>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        let uncounted = !look.uncounted("succeeded").is_empty() || !look.uncounted("failed").is_empty();
        let finish = finish.filter(|_| !uncounted && look.terminating == 0);
        if let Some(finish) = &finish {
            look.push(finish.condition(now));
            if finish.kind == "Complete" {
                look.status.insert("completionTime".to_owned(), seconds(now));
            }
            look.changed = true;
        }
        if look.changed {
            self.write(look).await?;
        }
        match finish {
            Some(finish) if finish.kind == "Complete" => {
                self.cluster.event(&look.job, "Normal", "Completed", "Job completed").await;
            }
            Some(finish) => self.cluster.event(&look.job, "Warning", &finish.reason, &finish.message).await,
            None => {}
        }
        Ok(())
    }

    async fn write(&self, look: &mut Look) -> Result<(), Refused> {
        look.job["status"] = Value::Object(look.status.clone());
        look.job = self.cluster.api.replace(&format!("{}/status", path(&look.job)), look.job.clone()).await?;
        look.status = look.job["status"].as_object().cloned().unwrap_or_default();
        look.changed = false;
        Ok(())
    }

    /// Deletes the pods of a Job that is over; they keep their finalizers.
    async fn delete_active(&self, look: &mut Look) -> Result<(), Refused> {
        for pod in look.pods.clone().iter().filter(|pod| is_active(pod)) {
            self.delete(&look.job, pod).await?;
            look.deleted(pod);
        }
        Ok(())
    }

    async fn delete(&self, job: &Value, pod: &Value) -> Result<(), Refused> {
        match self.cluster.api.delete(&pod_path(pod), json!({})).await {
            Err(refused) if !refused.is_absent() => {
                self.cluster
                    .event(job, "Warning", "FailedDelete", &format!("Error deleting: {refused}"))
                    .await;
                Err(refused)
            }
            Err(_) => Ok(()),
            Ok(_) => {
                let message = format!("Deleted pod: {}", text(pod, "/metadata/name"));
                self.cluster.event(job, "Normal", "SuccessfulDelete", &message).await;
                Ok(())
            }
        }
    }

    /// Makes pods that are missing, or deletes those that are too many.
    async fn manage(
        &self,
        look: &mut Look,
        later: Option<Timestamp>,
        queue: &mut Queue<Key>,
    ) -> Result<(), Refused> {
        let parallelism = number(&look.job, "/spec/parallelism").unwrap_or(1);
        let wanted = match number(&look.job, "/spec/completions") {
            _ if is_suspended(&look.job) => 0,
            None if look.succeeded > 0 => look.active,
            None => parallelism,
            Some(completions) => (completions - look.succeeded).min(parallelism).max(0),
        };
        if look.active > wanted {
            let surplus = usize::try_from((look.active - wanted).min(MOST_AT_ONCE)).unwrap_or_default();
            let mut active: Vec<Arc<Value>> =
                look.pods.iter().filter(|pod| is_active(pod)).cloned().collect();
            active.sort_by_key(|pod| rank(pod));
            for pod in active.iter().take(surplus) {
                // It does not count as failed.
                self.untrack(pod).await?;
                self.delete(&look.job, pod).await?;
                look.deleted(pod);
            }
            return Ok(());
        }
        let terminating = if replaces_failed_only(&look.job) { look.terminating } else { 0 };
        let missing = (wanted - terminating - look.active).min(MOST_AT_ONCE);
        if missing <= 0 || is_suspended(&look.job) {
            return Ok(());
        }
        if let Some(later) = later {
            queue.add_at(key(&look.job), later);
            look.active = 0;
            return Ok(());
        }
        for _ in 0..missing {
            self.create(&look.job).await?;
            look.active += 1;
        }
        Ok(())
    }

    async fn create(&self, job: &Value) -> Result<(), Refused> {
        let template = &job["spec"]["template"];
        let mut pod = template.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        let metadata = &template["metadata"];
        let mut kept: Vec<&str> = finalizers(template);
        if !kept.contains(&TRACKING) {
            kept.push(TRACKING);
        }
        let name = text(job, "/metadata/name");
        pod["metadata"] = json!({"generateName": format!("{name}-"), "labels": metadata["labels"],
            "annotations": metadata["annotations"], "finalizers": kept,
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid(job),
                "controller": true, "blockOwnerDeletion": true}]});
        let namespace = text(job, "/metadata/namespace");
        match self.cluster.api.create(&format!("/api/v1/namespaces/{namespace}/pods"), pod).await {
            Ok(made) => {
                let message = format!("Created pod: {}", text(&made, "/metadata/name"));
                self.cluster.event(job, "Normal", "SuccessfulCreate", &message).await;
                Ok(())
            }
            Err(refused) => {
                let ending = items(&refused.body, "/details/causes")
                    .iter()
                    .any(|c| c["reason"] == "NamespaceTerminating");
                if ending {
                    return Ok(());
                }
                let message = format!("Error creating: {}", text(&refused.body, "/message"));
                self.cluster.event(job, "Warning", "FailedCreate", &message).await;
                Err(refused)
            }
        }
    }

    /// Says whether the Job is suspended; a Job that goes on starts anew.
    async fn suspend(&self, look: &mut Look, now: Timestamp) {
        let suspended = is_suspended(&look.job);
        let (status, reason, message) = if suspended {
            ("True", "JobSuspended", "Job suspended")
        } else {
            ("False", "JobResumed", "Job resumed")
        };
        if !look.ensure("Suspended", status, reason, message, now) {
            return;
        }
        look.changed = true;
        if !suspended {
            look.status.insert("startTime".to_owned(), seconds(now));
        }
        self.cluster
            .event(&look.job, "Normal", if suspended { "Suspended" } else { "Resumed" }, message)
            .await;
    }
}

impl Look {
    /// Counts a pod that was deleted as one that terminates.
    fn deleted(&mut self, pod: &Value) {
        self.active -= 1;
        self.terminating += 1;
        self.ready -= i64::from(is_ready(pod));
    }
}

fn is_suspended(job: &Value) -> bool {
    job.pointer("/spec/suspend") == Some(&Value::Bool(true))
}

/// Which active pods are deleted first: those without a node, not running, not ready, the youngest.
fn rank(pod: &Value) -> (bool, bool, bool, std::cmp::Reverse<String>) {
    let placed = !text(pod, "/spec/nodeName").is_empty();
    let born = text(pod, "/metadata/creationTimestamp").to_owned();
    (placed, phase(pod) == "Running", is_ready(pod), std::cmp::Reverse(born))
}

fn is_complete(look: &Look) -> bool {
    let enough = match number(&look.job, "/spec/completions") {
        None => look.succeeded > 0,
        Some(completions) => look.succeeded >= completions,
    };
    enough && look.active == 0
}

/// Returns how a Job ends, if it does before it is complete.
fn verdict_of(look: &Look, now: Timestamp) -> Option<Finish> {
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
