//! The Job controller of Kubernetes 1.34, for Jobs that are not Indexed, and the controller that removes finished Jobs.

mod backoff;
mod look;
mod manage;
mod pods;
mod sync;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Change, Cluster, after, is_deleted, time};
use super::drive::{Controller, Queue};
use super::owners;
use crate::client::{Key, Refused, items, key, number, text};
use backoff::Backoff;
use pods::{TRACKING, is_tracked, uid};

/// How long changes of pods are gathered before the Job is looked at, in seconds.
const GATHER: i64 = 1;

/// The controller.
pub(crate) struct Jobs {
    cluster: Cluster,
    /// The failures of Jobs by their uid.
    backoff: BTreeMap<String, Backoff>,
}

/// The path of an object of a namespace in batch/v1.
fn path(job: &Value) -> String {
    let (namespace, name) = key(job);
    format!("/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
}

fn pod_path(pod: &Value) -> String {
    let (namespace, name) = key(pod);
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

/// Returns the condition of a Job by which it is over.
fn over(job: &Value) -> Option<&Value> {
    let over = |c: &&Value| (c["type"] == "Complete" || c["type"] == "Failed") && c["status"] == "True";
    items(job, "/status/conditions").iter().find(over)
}

impl Jobs {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster, backoff: BTreeMap::new() }
    }

    /// Returns the pods that a Job controls.
    fn pods(&self, job: &Value) -> Vec<Arc<Value>> {
        let mut pods = self.cluster.list("", "pods", Some(text(job, "/metadata/namespace")));
        pods.retain(|pod| owners::job(pod).is_some_and(|(_, owner)| owner == uid(job)));
        pods
    }

    /// Lets pods go whose Job has gone; those that nobody controls, where there is no name.
    async fn release(&self, key: &Key, job: Option<&Value>) -> Result<(), Refused> {
        for pod in self.cluster.list("", "pods", Some(&key.0)) {
            let orphan = match owners::job(&pod) {
                Some((name, owner)) => name == key.1 && job.is_none_or(|job| uid(job) != owner),
                None => key.1.is_empty() && owners::controller(&pod).is_none(),
            };
            if orphan && is_tracked(&pod) {
                self.untrack(&pod).await?;
            }
        }
        Ok(())
    }

    /// Takes the finalizer from a pod; one that is gone has none.
    async fn untrack(&self, pod: &Value) -> Result<(), Refused> {
        let latest = self.cluster.get("", "pods", &key(pod));
        let Some(latest) = latest.filter(|latest| uid(latest) == uid(pod) && is_tracked(latest)) else {
            return Ok(());
        };
        let kept: Vec<&str> =
            owners::finalizers(&latest).into_iter().filter(|one| *one != TRACKING).collect();
        let metadata = json!({"uid": uid(pod), "finalizers": kept});
        match self.cluster.api.merge(&pod_path(pod), json!({"metadata": metadata})).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }

    /// Deletes a finished Job when its time has come.
    async fn expire(&self, job: &Value, queue: &mut Queue<Key>) -> Result<(), Refused> {
        let end = over(job).and_then(|condition| time(condition, "/lastTransitionTime"));
        let Some((seconds, end)) = number(job, "/spec/ttlSecondsAfterFinished").zip(end) else {
            return Ok(());
        };
        let at = after(end, seconds);
        if at > self.cluster.now() {
            queue.add_at(key(job), at);
            return Ok(());
        }
        let options = json!({"propagationPolicy": "Foreground", "preconditions": {"uid": uid(job)}});
        match self.cluster.api.delete(&path(job), options).await {
            Err(refused) if !refused.is_absent() && !refused.is_conflict() => Err(refused),
            _ => Ok(()),
        }
    }
}

impl Controller for Jobs {
    type Item = Key;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<Key>) {
        if change.is_of("batch", "jobs") {
            if change.after.is_none()
                && let Some(before) = &change.before
            {
                self.backoff.remove(uid(before));
            }
            queue.add(change.key.clone());
        } else if change.is_of("", "pods")
            && let Some((job, _)) = change.object().and_then(|pod| owners::job(pod))
        {
            queue.add_in((change.key.0.clone(), job.to_owned()), GATHER);
        } else if change.is_of("", "pods")
            && change.after.as_ref().is_some_and(|pod| is_tracked(pod) && owners::controller(pod).is_none())
        {
            queue.add((change.key.0.clone(), String::new()));
        }
    }

    async fn handle(&mut self, key: Key, queue: &mut Queue<Key>) -> Result<(), Refused> {
        let job = self.cluster.get("batch", "jobs", &key);
        self.release(&key, job.as_deref()).await?;
        let Some(job) = job else { return Ok(()) };
        let manager = text(&job, "/spec/managedBy");
        if !["", "kubernetes.io/job-controller"].contains(&manager) {
            return Ok(());
        }
        if over(&job).is_some() {
            self.backoff.remove(uid(&job));
            return if is_deleted(&job) { Ok(()) } else { self.expire(&job, queue).await };
        }
        for field in ["successPolicy", "backoffLimitPerIndex", "maxFailedIndexes"] {
            if job["spec"].get(field).is_some_and(|value| !value.is_null()) {
                return self.unsupported(&job, &format!("spec.{field}")).await;
            }
        }
        if text(&job, "/spec/completionMode") == "Indexed" {
            return self.unsupported(&job, "spec.completionMode: Indexed").await;
        }
        self.sync(&job, queue).await
    }
}

impl Jobs {
    /// Says loudly that a Job asks for what this controller does not do.
    async fn unsupported(&self, job: &Value, field: &str) -> Result<(), Refused> {
        let message = format!("the Job controller of devcluster does not support {field}");
        tracing::error!(job = path(job), message);
        self.cluster.event(job, "Warning", "NotImplemented", &message).await;
        Ok(())
    }
}
