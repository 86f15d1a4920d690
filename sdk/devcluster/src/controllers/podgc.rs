//! Pods whose node has gone: they have failed, and are deleted.

use serde_json::json;

use super::cluster::{Change, Cluster, seconds};
use super::drive::{Controller, Queue};
use crate::client::{Key, Refused, items, text};

/// How long a node has to be gone, in seconds.
const QUARANTINE: i64 = 40;

/// The collector of pods without nodes.
pub(crate) struct PodGc {
    cluster: Cluster,
}

impl PodGc {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }
}

impl Controller for PodGc {
    /// The name of a node that has gone.
    type Item = String;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<String>) {
        if change.is_of("", "nodes") && change.after.is_none() {
            queue.add_in(change.key.1.clone(), QUARANTINE);
        } else if change.is_of("", "pods")
            && let Some(pod) = &change.after
        {
            let node = text(pod, "/spec/nodeName").to_owned();
            let key = (String::new(), node.clone());
            if !node.is_empty() && self.cluster.get("", "nodes", &key).is_none() {
                queue.add_in(node, QUARANTINE);
            }
        }
    }

    async fn handle(&mut self, node: String, _: &mut Queue<String>) -> Result<(), Refused> {
        if self.cluster.get("", "nodes", &(String::new(), node.clone())).is_some() {
            return Ok(());
        }
        let pods = self.cluster.list("", "pods", None);
        for pod in pods.iter().filter(|pod| text(pod, "/spec/nodeName") == node) {
            let key: Key = crate::client::key(pod);
            let path = format!("/api/v1/namespaces/{}/pods/{}", key.0, key.1);
            let uid = &pod["metadata"]["uid"];
            if !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
                let others = items(pod, "/status/conditions")
                    .iter()
                    .filter(|c| c["type"] != "DisruptionTarget")
                    .cloned();
                let target = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC",
                    "message": "PodGC: node no longer exists", "lastProbeTime": null,
                    "lastTransitionTime": seconds(self.cluster.now()), "observedGeneration": pod["metadata"]["generation"]});
                let conditions: Vec<_> = others.chain([target]).collect();
                let status = json!({"metadata": {"uid": uid}, "status": {"phase": "Failed", "conditions": conditions}});
                self.cluster.api.merge(&format!("{path}/status"), status).await?;
            }
            let options = json!({"gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
            match self.cluster.api.delete(&path, options).await {
                Err(refused) if !refused.is_absent() => return Err(refused),
                _ => {}
            }
        }
        Ok(())
    }
}
