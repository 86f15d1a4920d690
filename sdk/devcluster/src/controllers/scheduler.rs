//! The scheduler: pods get a node that is ready and that they may be on.
//!
//! Node selectors, required node affinity, taints and claims count; resources do not. A pod with affinity to pods, or with
//! topology spread constraints, is not scheduled, and says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Change, Cluster, is_deleted, seconds};
use super::drive::{Controller, Queue};
use crate::client::{Key, Refused, items, pairs, text};

/// The scheduler.
pub(crate) struct Scheduler {
    cluster: Cluster,
    /// Pods that wait for a node.
    waiting: BTreeSet<Key>,
}

impl Scheduler {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster, waiting: BTreeSet::new() }
    }

    /// Returns the node for a pod, or why there is none.
    fn place(&self, pod: &Value) -> Result<String, String> {
        for field in ["affinity/podAffinity", "affinity/podAntiAffinity", "topologySpreadConstraints"] {
            if pod.pointer(&format!("/spec/{field}")).is_some_and(|value| !value.is_null()) {
                return Err(format!("this scheduler does not support spec.{}", field.replace('/', ".")));
            }
        }
        let nodes = self.cluster.list("", "nodes", None);
        let all = nodes.len();
        self.claims(pod).map_err(|why| format!("0/{all} nodes are available: {why}"))?;
        let mut reasons: Vec<(String, usize)> = Vec::new();
        for node in nodes {
            let Some(why) = hindrance(pod, &node) else {
                return Ok(text(&node, "/metadata/name").to_owned());
            };
            match reasons.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, count)) => *count += 1,
                None => reasons.push((why, 1)),
            }
        }
        let mut reasons: Vec<String> =
            reasons.into_iter().map(|(why, count)| format!("{count} {why}")).collect();
        reasons.sort();
        Err(match all {
            0 => "no nodes available to schedule pods".to_owned(),
            _ => format!("0/{all} nodes are available: {}.", reasons.join(", ")),
        })
    }

    fn claims(&self, pod: &Value) -> Result<(), String> {
        let namespace = text(pod, "/metadata/namespace");
        for volume in items(pod, "/spec/volumes") {
            let name = text(volume, "/persistentVolumeClaim/claimName");
            if name.is_empty() {
                continue;
            }
            let key = (namespace.to_owned(), name.to_owned());
            let claim = self.cluster.get("", "persistentvolumeclaims", &key);
            let claim = claim.ok_or_else(|| format!("persistentvolumeclaim \"{name}\" not found."))?;
            if is_deleted(&claim) {
                return Err(format!("persistentvolumeclaim \"{name}\" is being deleted."));
            }
            if text(&claim, "/status/phase") != "Bound" {
                return Err("pod has unbound immediate PersistentVolumeClaims.".to_owned());
            }
        }
        Ok(())
    }

    /// Binds a pod as the subresource `binding` does: it is no update of the pod, and nobody owns the field. Of the pod as it
    /// is by now only the node changes; returns whether it could be bound.
    fn bind(&self, key: &Key, seen: &Value, node: &str) -> bool {
        let family = (String::new(), "pods".to_owned());
        let now = seconds(self.cluster.now());
        let mut state = self.cluster.server.state();
        let Some(stored) = state.store.get(&family, key) else { return false };
        let (mut pod, shape) = (Value::clone(&stored.value), stored.shape);
        let other = pod["metadata"]["uid"] != seen["metadata"]["uid"];
        if other || is_deleted(&pod) || !text(&pod, "/spec/nodeName").is_empty() {
            return false;
        }
        pod["spec"]["nodeName"] = node.into();
        let condition = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
        pod["status"]["conditions"] = with(&pod, condition);
        state.store.commit(&family, key.clone(), Some((pod, shape)));
        drop(state);
        self.cluster.server.changed().notify_waiters();
        true
    }

    async fn refuse(&self, pod: &Arc<Value>, why: &str) -> Result<(), Refused> {
        let old =
            items(pod, "/status/conditions").iter().find(|condition| condition["type"] == "PodScheduled");
        if old.is_some_and(|old| old["message"] == why) {
            return Ok(());
        }
        self.cluster.event(pod, "Warning", "FailedScheduling", why).await;
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why,
            "lastProbeTime": null, "lastTransitionTime": seconds(self.cluster.now()),
            "observedGeneration": pod["metadata"]["generation"]});
        let path = format!(
            "/api/v1/namespaces/{}/pods/{}/status",
            text(pod, "/metadata/namespace"),
            text(pod, "/metadata/name")
        );
        let body = json!({"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": with(pod, condition)}});
        match self.cluster.api.merge(&path, body).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }
}

/// Returns the conditions of a pod with one of them replaced.
fn with(pod: &Value, condition: Value) -> Value {
    let others =
        items(pod, "/status/conditions").iter().filter(|one| one["type"] != condition["type"]).cloned();
    others.chain([condition.clone()]).collect()
}

/// Returns why a pod may not be on a node, in the scheduler's words.
fn hindrance(pod: &Value, node: &Value) -> Option<String> {
    if node.pointer("/spec/unschedulable") == Some(&true.into()) {
        return Some("node(s) were unschedulable".to_owned());
    }
    let mut taints = items(node, "/spec/taints").iter();
    let hinders = |taint: &&Value| taint["effect"] != "PreferNoSchedule" && !tolerated(pod, taint);
    if let Some(taint) = taints.find(hinders) {
        let (key, value) = (text(taint, "/key"), text(taint, "/value"));
        return Some(format!("node(s) had untolerated taint {{{key}: {value}}}"));
    }
    let ready =
        items(node, "/status/conditions").iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    if !ready {
        return Some("node(s) were not ready".to_owned());
    }
    let label = |key: &str| node.pointer("/metadata/labels").and_then(|labels| labels.get(key)?.as_str());
    let selected = pairs(pod, "/spec/nodeSelector").all(|(key, value)| label(key) == Some(value));
    let required =
        "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = items(pod, required);
    let matches = |term: &Value| {
        let fields =
            items(term, "/matchFields").iter().all(|rule| fits(rule, Some(text(node, "/metadata/name"))));
        fields && items(term, "/matchExpressions").iter().all(|rule| fits(rule, label(text(rule, "/key"))))
    };
    let fits = selected && (terms.is_empty() || terms.iter().any(matches));
    (!fits).then(|| "node(s) didn't match Pod's node affinity/selector".to_owned())
}

fn fits(rule: &Value, value: Option<&str>) -> bool {
    let values = items(rule, "/values");
    let among = value.is_some_and(|value| values.iter().any(|one| one == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let bound = number(values.first().and_then(Value::as_str));
    match text(rule, "/operator") {
        "In" => among,
        "NotIn" => !among,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number(value).zip(bound).is_some_and(|(value, bound)| value > bound),
        "Lt" => number(value).zip(bound).is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}

fn tolerated(pod: &Value, taint: &Value) -> bool {
    items(pod, "/spec/tolerations").iter().any(|toleration| {
        let effect = text(toleration, "/effect");
        let key = text(toleration, "/key");
        let exists = text(toleration, "/operator") == "Exists";
        (effect.is_empty() || taint["effect"] == effect)
            && (key == text(taint, "/key") || key.is_empty() && exists)
            && (exists || text(toleration, "/value") == text(taint, "/value"))
    })
}

impl Controller for Scheduler {
    type Item = Key;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<Key>) {
        if change.is_of("", "pods") {
            let waits = |pod: &&std::sync::Arc<Value>| {
                let scheduler = text(pod, "/spec/schedulerName");
                text(pod, "/spec/nodeName").is_empty() && ["", "default-scheduler"].contains(&scheduler)
            };
            if change.after.as_ref().filter(waits).is_some() {
                queue.add(change.key.clone());
            }
        } else if change.is_of("", "nodes") || change.is_of("", "persistentvolumeclaims") {
            self.waiting.iter().for_each(|key| queue.add(key.clone()));
        }
    }

    async fn handle(&mut self, key: Key, _: &mut Queue<Key>) -> Result<(), Refused> {
        self.waiting.remove(&key);
        let Some(pod) = self.cluster.get("", "pods", &key) else { return Ok(()) };
        let phase = text(&pod, "/status/phase");
        let gated = !items(&pod, "/spec/schedulingGates").is_empty();
        if !text(&pod, "/spec/nodeName").is_empty()
            || is_deleted(&pod)
            || gated
            || !["", "Pending"].contains(&phase)
        {
            return Ok(());
        }
        match self.place(&pod) {
            Ok(node) if !self.bind(&key, &pod, &node) => Ok(()),
            Ok(node) => {
                let message = format!("Successfully assigned {}/{} to {node}", key.0, key.1);
                self.cluster.event(&pod, "Normal", "Scheduled", &message).await;
                Ok(())
            }
            Err(why) => {
                self.waiting.insert(key);
                self.refuse(&pod, &why).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ApiServer;

    const POD: &str = "/api/v1/namespaces/default/pods";

    /// A pod that waits for a node, and the scheduler that has seen it.
    async fn seen() -> (Scheduler, Key, Arc<Value>) {
        let scheduler = Scheduler::new(Cluster::new(ApiServer::default(), "default-scheduler", None));
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "main", "image": "i"}]}});
        scheduler.cluster.api.create(POD, pod).await.expect("a pod");
        let key = ("default".to_owned(), "p".to_owned());
        let pod = scheduler.cluster.get("", "pods", &key).expect("it is there");
        (scheduler, key, pod)
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_wrote_since_the_pod_was_seen_stays() {
        let (scheduler, key, pod) = seen().await;
        let label = json!({"metadata": {"labels": {"a": "b"}}});
        scheduler.cluster.api.merge(&format!("{POD}/p"), label).await.expect("a patch");
        assert!(scheduler.bind(&key, &pod, "node"));
        let bound = scheduler.cluster.get("", "pods", &key).expect("it is there");
        assert_eq!((text(&bound, "/spec/nodeName"), text(&bound, "/metadata/labels/a")), ("node", "b"));
        assert!(!scheduler.bind(&key, &pod, "other"), "it has a node");
    }

    #[tokio::test(start_paused = true)]
    async fn another_pod_of_the_name_is_not_bound_and_a_deleted_one_does_not_come_back() {
        let (scheduler, key, pod) = seen().await;
        let options = json!({"gracePeriodSeconds": 0});
        scheduler.cluster.api.delete(&format!("{POD}/p"), options).await.expect("a delete");
        assert!(!scheduler.bind(&key, &pod, "node"));
        assert!(scheduler.cluster.get("", "pods", &key).is_none());
        let other = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "main", "image": "i"}]}});
        scheduler.cluster.api.create(POD, other).await.expect("a pod");
        assert!(!scheduler.bind(&key, &pod, "node"));
        let other = scheduler.cluster.get("", "pods", &key).expect("it is there");
        assert_eq!(text(&other, "/spec/nodeName"), "");
    }
}
