//! What every namespace has: the ServiceAccount `default` and the ConfigMap `kube-root-ca.crt`.

use serde_json::json;

use super::cluster::{Change, Cluster, is_deleted};
use super::drive::{Controller, Queue};
use crate::client::Refused;

/// The ServiceAccount and the ConfigMap controllers.
pub(crate) struct Accounts {
    cluster: Cluster,
}

impl Accounts {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }
}

impl Controller for Accounts {
    type Item = String;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<String>) {
        let is = |plural: &str, name: &str| change.is_of("", plural) && change.key.1 == name;
        if change.is_of("", "namespaces") && change.after.is_some() {
            queue.add(change.key.1.clone());
        } else if is("serviceaccounts", "default") || is("configmaps", "kube-root-ca.crt") {
            queue.add(change.key.0.clone());
        }
    }

    async fn handle(&mut self, namespace: String, _: &mut Queue<String>) -> Result<(), Refused> {
        let found = self.cluster.get("", "namespaces", &(String::new(), namespace.clone()));
        if found.is_none_or(|namespace| is_deleted(&namespace)) {
            return Ok(());
        }
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
        let text = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints \
            such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions \
            of Kubernetes clusters.";
        let certificate = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt",
            "annotations": {"kubernetes.io/description": text}}, "data": {"ca.crt": ""}});
        for (plural, object) in [("serviceaccounts", account), ("configmaps", certificate)] {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            if self.cluster.get("", plural, &(namespace.clone(), name)).is_none() {
                match self
                    .cluster
                    .api
                    .create(&format!("/api/v1/namespaces/{namespace}/{plural}"), object)
                    .await
                {
                    Err(refused) if !refused.is_conflict() && !refused.is_absent() => return Err(refused),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}
