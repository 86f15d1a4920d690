//! The end of namespaces: what is in them is deleted, and they go when nothing is left.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Change, Cluster, is_deleted, seconds};
use super::drive::{Controller, Queue};
use super::owners::finalizers;
use crate::client::{Refused, items, text};

/// How soon a namespace is looked at again whose content has not gone, in seconds.
const AGAIN: i64 = 5;

/// The namespace controller.
pub(crate) struct Namespaces {
    cluster: Cluster,
}

/// What is left in a namespace.
#[derive(Default)]
struct Left {
    /// How many objects of a kind there are: `widgets.lab.example.com has 1 resource instances`.
    kinds: Vec<String>,
    /// How many objects a finalizer holds.
    finalizers: std::collections::BTreeMap<String, usize>,
    /// The kinds that refused to be deleted.
    refused: Vec<String>,
}

impl Namespaces {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// Deletes all that is in a namespace and returns what is left.
    async fn empty(&self, namespace: &str) -> Left {
        let mut left = Left::default();
        for kind in self.cluster.kinds().into_iter().filter(|kind| kind.namespaced) {
            let (group, plural) = kind.family.clone();
            for object in self.cluster.list(&group, &plural, Some(namespace)) {
                if is_deleted(&object) {
                    continue;
                }
                let key = (namespace.to_owned(), text(&object, "/metadata/name").to_owned());
                let options = json!({"propagationPolicy": "Background"});
                match self.cluster.api.delete(&kind.path(&key), options).await {
                    Err(refused) if !refused.is_absent() => left.refused.push(refused.to_string()),
                    _ => {}
                }
            }
            let rest = self.cluster.list(&group, &plural, Some(namespace));
            if rest.is_empty() {
                continue;
            }
            let name = if group.is_empty() { format!("{plural}.") } else { format!("{plural}.{group}") };
            left.kinds.push(format!("{name} has {} resource instances", rest.len()));
            for finalizer in rest.iter().flat_map(|object| finalizers(object)) {
                *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
            }
        }
        left.kinds.sort();
        left
    }

    async fn write(&self, namespace: &Arc<Value>, left: &Left) -> Result<(), Refused> {
        let conditions = conditions(namespace, left, &seconds(self.cluster.now()));
        if namespace["status"]["conditions"] == conditions {
            return Ok(());
        }
        let path = format!("/api/v1/namespaces/{}/status", text(namespace, "/metadata/name"));
        let status =
            json!({"metadata": {"uid": namespace["metadata"]["uid"]}, "status": {"conditions": conditions}});
        self.cluster.api.merge(&path, status).await.map(|_| ())
    }
}

impl Controller for Namespaces {
    type Item = String;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<String>) {
        if change.is_of("", "namespaces") {
            if change.after.as_ref().is_some_and(|namespace| is_deleted(namespace)) {
                queue.add(change.key.1.clone());
            }
        } else if change.after.is_none() && !change.key.0.is_empty() {
            let namespace = self.cluster.get("", "namespaces", &(String::new(), change.key.0.clone()));
            if namespace.is_some_and(|namespace| is_deleted(&namespace)) {
                queue.add(change.key.0.clone());
            }
        }
    }

    async fn handle(&mut self, name: String, queue: &mut Queue<String>) -> Result<(), Refused> {
        let key = (String::new(), name.clone());
        let Some(namespace) =
            self.cluster.get("", "namespaces", &key).filter(|namespace| is_deleted(namespace))
        else {
            return Ok(());
        };
        let left = self.empty(&name).await;
        if !left.kinds.is_empty() {
            queue.add_in(name, AGAIN);
            return self.write(&namespace, &left).await;
        }
        self.write(&namespace, &left).await?;
        let Some(namespace) = self.cluster.get("", "namespaces", &key) else { return Ok(()) };
        let mut namespace = (*namespace).clone();
        let kept = items(&namespace, "/spec/finalizers").iter().filter(|one| *one != "kubernetes").cloned();
        namespace["spec"]["finalizers"] = kept.collect::<Vec<Value>>().into();
        self.cluster.api.replace(&format!("/api/v1/namespaces/{name}/finalize"), namespace).await.map(|_| ())
    }
}

/// The five conditions of a namespace that ends.
fn conditions(namespace: &Value, left: &Left, now: &Value) -> Value {
    let kinds = format!("Some resources are remaining: {}", left.kinds.join(", "));
    let held: Vec<String> =
        left.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances")).collect();
    let held = format!("Some content in the namespace has finalizers remaining: {}", held.join(", "));
    let (remains, finalizers) = (!left.kinds.is_empty(), !left.finalizers.is_empty());
    let refused = format!(
        "Failed to delete all resource types, {} remaining: {}",
        left.refused.len(),
        left.refused.join(", ")
    );
    let deletion = (!left.refused.is_empty(), refused);
    let rows = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "ResourcesDiscovered",
            "",
            (false, String::new()),
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "ParsedGroupVersions",
            "",
            (false, String::new()),
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "ContentDeleted",
            "ContentDeletionFailed",
            deletion,
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "ContentRemoved",
            "SomeResourcesRemain",
            (remains, kinds),
            "All content successfully removed",
        ),
        (
            "NamespaceFinalizersRemaining",
            "ContentHasNoFinalizers",
            "SomeFinalizersRemain",
            (finalizers, held),
            "All content-preserving finalizers finished",
        ),
    ];
    let old = items(namespace, "/status/conditions");
    let row = |(kind, good, bad, (is, message), usual): (&str, &str, &str, (bool, String), &str)| {
        let status = if is { "True" } else { "False" };
        let before = old.iter().find(|one| one["type"] == kind && one["status"] == status);
        let since = before.map_or(now, |before| &before["lastTransitionTime"]);
        json!({"type": kind, "status": status, "lastTransitionTime": since, "reason": if is { bad } else { good },
            "message": if is { message } else { usual.to_owned() }})
    };
    rows.map(row).to_vec().into()
}
