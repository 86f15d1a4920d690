//! A node that is heard of no more, and what a cluster does about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::{Cluster, is_deleted, seconds};
use super::scripted::{path, readiness};
use crate::client::{Refused, items, text};

/// Makes a scripted node disappear.
#[derive(Clone)]
pub struct Switch {
    pub(super) cluster: Arc<Cluster>,
    pub(super) name: String,
    pub(super) lost: Arc<AtomicBool>,
}

impl Switch {
    /// The node stops: nothing is heard of it or its pods any more. After 40 seconds the cluster says so, and after five minutes more
    /// its pods are deleted, which ends when the Node is. Returns then.
    ///
    /// # Errors
    /// The API server refuses one of these writes.
    pub async fn lose(self) -> Result<(), Refused> {
        self.lost.store(true, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(40)).await;
        let api = &self.cluster.api;
        let unknown =
            readiness(&self.cluster, "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.");
        let node = format!("/api/v1/nodes/{}", self.name);
        api.merge(&format!("{node}/status"), json!({"status": {"conditions": [unknown]}})).await?;
        let taint = |effect: &str| json!({"key": "node.kubernetes.io/unreachable", "effect": effect});
        api.merge(&node, json!({"spec": {"taints": [taint("NoSchedule"), taint("NoExecute")]}})).await?;
        for pod in self.pods() {
            let mut conditions = items(&pod, "/status/conditions").to_vec();
            for condition in conditions.iter_mut().filter(|c| c["type"] == "Ready" && c["status"] == "True") {
                condition["status"] = "False".into();
                condition["reason"] = "NodeNotReady".into();
                condition["lastTransitionTime"] = seconds(self.cluster.now());
            }
            self.write(&pod, conditions).await?;
        }
        tokio::time::sleep(Duration::from_secs(300)).await;
        for pod in self.pods() {
            let mut conditions = items(&pod, "/status/conditions").to_vec();
            conditions.push(json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager",
                "message": "Taint manager: deleting due to NoExecute taint", "lastProbeTime": null,
                "lastTransitionTime": seconds(self.cluster.now()), "observedGeneration": pod["metadata"]["generation"]}));
            self.write(&pod, conditions).await?;
            api.delete(&path(&pod), json!({})).await?;
        }
        Ok(())
    }

    fn pods(&self) -> Vec<Arc<Value>> {
        let mut pods = self.cluster.list("", "pods", None);
        pods.retain(|pod| text(pod, "/spec/nodeName") == self.name && !is_deleted(pod));
        pods.retain(|pod| !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed"));
        pods
    }

    async fn write(&self, pod: &Value, conditions: Vec<Value>) -> Result<(), Refused> {
        let status =
            json!({"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": conditions}});
        self.cluster.api.merge(&format!("{}/status", path(pod)), status).await.map(|_| ())
    }
}
