//! Volumes for claims: each claim gets a volume of the size that it asks for, a folder of the local node. A claim that is deleted
//! stays while a pod on a node uses it.

use serde_json::{Value, json};

use super::cluster::{Change, Cluster, is_deleted};
use super::drive::{Controller, Queue};
use super::owners::{finalizers, has_finalizer};
use crate::client::{Key, Refused, items, text};

/// The finalizer of claims.
const PROTECTION: &str = "kubernetes.io/pvc-protection";
const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";

/// The controller of volumes.
pub(crate) struct Claims {
    cluster: Cluster,
}

impl Claims {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// Returns the field by which a claim asks for more than an empty folder.
    fn unsupported(claim: &Value) -> Option<&'static str> {
        let spec = &claim["spec"];
        let own = format!("pvc-{}", text(claim, "/metadata/uid"));
        let asks = |field: &&str| {
            spec.get(*field).is_some_and(|value| !value.is_null() && value != "" && *value != own.as_str())
        };
        let field = ["dataSource", "dataSourceRef", "selector", "volumeName"].into_iter().find(asks);
        field.or_else(|| (spec["volumeMode"] == "Block").then_some("volumeMode"))
    }

    async fn bind(&self, (namespace, name): &Key, claim: &Value) -> Result<(), Refused> {
        let volume = format!("pvc-{}", text(claim, "/metadata/uid"));
        let spec = &claim["spec"];
        let capacity = json!({"storage": spec["resources"]["requests"]["storage"]});
        let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": namespace, "name": name,
            "uid": claim["metadata"]["uid"]});
        let mut object = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
            "spec": {"capacity": capacity, "accessModes": spec["accessModes"], "claimRef": reference,
                "volumeMode": spec["volumeMode"], "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": spec["storageClassName"], "hostPath": {"path": format!("/claims/{volume}")}}});
        if let Some(spec) = object["spec"].as_object_mut() {
            spec.retain(|_, value| !value.is_null());
        }
        match self.cluster.api.create("/api/v1/persistentvolumes", object).await {
            Err(refused) if !refused.is_conflict() => return Err(refused),
            _ => {}
        }
        let status = json!({"status": {"phase": "Bound"}});
        self.cluster.api.merge(&format!("/api/v1/persistentvolumes/{volume}/status"), status).await?;
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}");
        let mut kept = finalizers(claim);
        if !kept.contains(&PROTECTION) {
            kept.push(PROTECTION);
        }
        let bound = json!({"metadata": {"finalizers": kept, "annotations": {"pv.kubernetes.io/bind-completed": "yes",
            "pv.kubernetes.io/bound-by-controller": "yes"}}, "spec": {"volumeName": volume}});
        self.cluster.api.merge(&path, bound).await?;
        let status =
            json!({"status": {"phase": "Bound", "accessModes": spec["accessModes"], "capacity": capacity}});
        self.cluster.api.merge(&format!("{path}/status"), status).await.map(|_| ())
    }
}

impl Claims {
    /// Deletes the volume of a claim that has gone.
    async fn discard(&self, key: &Key) -> Result<(), Refused> {
        let path = format!("/api/v1/persistentvolumes/{}", key.1);
        if self.cluster.get("", VOLUMES, key).is_some() {
            self.cluster.api.delete(&path, json!({})).await?;
        }
        let Some(volume) = self.cluster.get("", VOLUMES, key) else { return Ok(()) };
        let kept = finalizers(&volume).into_iter().filter(|one| *one != "kubernetes.io/pv-protection");
        let kept: Vec<&str> = kept.collect();
        self.cluster.api.merge(&path, json!({"metadata": {"finalizers": kept}})).await.map(|_| ())
    }

    /// Lets a deleted claim go that no pod uses.
    async fn release(&self, (namespace, name): &Key, claim: &Value) -> Result<(), Refused> {
        let uses = |pod: &&std::sync::Arc<Value>| {
            let ended = matches!(text(pod, "/status/phase"), "Succeeded" | "Failed");
            !ended && !text(pod, "/spec/nodeName").is_empty() && claims(pod).any(|claim| claim == name)
        };
        let pods = self.cluster.list("", "pods", Some(namespace));
        if !has_finalizer(claim, PROTECTION) || pods.iter().any(|pod| uses(&pod)) {
            return Ok(());
        }
        let kept: Vec<&str> = finalizers(claim).into_iter().filter(|one| *one != PROTECTION).collect();
        let metadata = json!({"uid": claim["metadata"]["uid"], "finalizers": kept});
        let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}");
        self.cluster.api.merge(&path, json!({"metadata": metadata})).await.map(|_| ())
    }
}

/// The claims that a pod uses.
fn claims(pod: &Value) -> impl Iterator<Item = &str> {
    let all =
        items(pod, "/spec/volumes").iter().map(|volume| text(volume, "/persistentVolumeClaim/claimName"));
    all.filter(|name| !name.is_empty())
}

impl Controller for Claims {
    /// A claim; or, without a namespace, a volume.
    type Item = Key;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<Key>) {
        if change.is_of("", "pods") {
            let named = change.object().into_iter().flat_map(|pod| claims(pod));
            named.for_each(|name| queue.add((change.key.0.clone(), name.to_owned())));
        }
        if change.is_of("", CLAIMS) {
            queue.add(change.key.clone());
            if let (None, Some(before)) = (&change.after, &change.before) {
                queue.add((String::new(), text(before, "/spec/volumeName").to_owned()));
            }
        }
    }

    async fn handle(&mut self, key: Key, _: &mut Queue<Key>) -> Result<(), Refused> {
        if key.0.is_empty() {
            return self.discard(&key).await;
        }
        let Some(claim) = self.cluster.get("", CLAIMS, &key) else { return Ok(()) };
        if is_deleted(&claim) {
            return self.release(&key, &claim).await;
        }
        // A claim of the class "" takes only a volume that somebody made for it.
        let by_hand = claim.pointer("/spec/storageClassName").is_some_and(|class| class == "");
        if by_hand || !["", "Pending"].contains(&text(&claim, "/status/phase")) {
            return Ok(());
        }
        if let Some(field) = Self::unsupported(&claim) {
            let message = format!("volumes of this cluster are empty folders: spec.{field} is not supported");
            self.cluster.event(&claim, "Warning", "ProvisioningFailed", &message).await;
            return Ok(());
        }
        self.bind(&key, &claim).await
    }
}
