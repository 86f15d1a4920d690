//! The garbage collector: what has lost its owners goes, and owners wait for what they own where that is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::cluster::{Change, Cluster, Served, is_deleted};
use super::drive::{Controller, Queue};
use super::owners::{finalizers, has_finalizer};
use crate::client::{Key, Refused, items, key, text};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// The garbage collector.
pub(crate) struct Garbage {
    cluster: Cluster,
    /// All objects by uid.
    nodes: BTreeMap<String, Node>,
    /// What names an owner, by the owner's uid.
    dependents: BTreeMap<String, BTreeSet<String>>,
    /// What names an owner of a kind that is not served.
    unresolved: BTreeSet<String>,
}

struct Node {
    family: (String, String),
    key: Key,
    owners: Vec<String>,
}

/// What a reference to an owner comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// The owner is there.
    Solid,
    /// It is not.
    Dangling,
    /// It waits until its dependents have gone.
    Waiting,
    /// It cannot be told.
    Unknown,
}

fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

fn references(object: &Value) -> &[Value] {
    items(object, "/metadata/ownerReferences")
}

fn waits(object: &Value) -> bool {
    is_deleted(object) && has_finalizer(object, FOREGROUND)
}

impl Garbage {
    pub(crate) fn new(cluster: Cluster) -> Self {
        let (nodes, dependents) = (BTreeMap::new(), BTreeMap::new());
        Self { cluster, nodes, dependents, unresolved: BTreeSet::new() }
    }

    fn forget(&mut self, uid: &str) -> Option<Node> {
        let node = self.nodes.remove(uid)?;
        for owner in &node.owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
        Some(node)
    }

    fn learn(&mut self, change: &Change, object: &Value) {
        let uid = uid(object);
        let owners: Vec<String> =
            references(object).iter().map(|owner| text(owner, "/uid").to_owned()).collect();
        if self.nodes.get(uid).is_none_or(|node| node.owners != owners) {
            self.forget(uid);
            for owner in &owners {
                self.dependents.entry(owner.clone()).or_default().insert(uid.to_owned());
            }
            let (family, key) = (change.family.clone(), change.key.clone());
            self.nodes.insert(uid.to_owned(), Node { family, key, owners });
        }
    }

    /// Returns an object and how its kind is served, if it is still the same object.
    fn latest(&self, uid: &str) -> Option<(Arc<Value>, Served)> {
        let node = self.nodes.get(uid)?;
        let object = self.cluster.get(&node.family.0, &node.family.1, &node.key)?;
        let served = self.cluster.kinds().into_iter().find(|kind| kind.family == node.family)?;
        (self::uid(&object) == uid).then_some((object, served))
    }

    fn dependents(&self, uid: &str) -> Vec<String> {
        self.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    fn classify(&self, object: &Value, reference: &Value) -> Owner {
        let served = self.cluster.of_kind(text(reference, "/apiVersion"), text(reference, "/kind"));
        let Some(served) = served else { return Owner::Unknown };
        let namespace = text(object, "/metadata/namespace");
        if served.namespaced && namespace.is_empty() {
            return Owner::Unknown;
        }
        let namespace = if served.namespaced { namespace.to_owned() } else { String::new() };
        let key = (namespace, text(reference, "/name").to_owned());
        match self.cluster.get(&served.family.0, &served.family.1, &key) {
            Some(owner) if uid(&owner) == text(reference, "/uid") => {
                if waits(&owner) {
                    Owner::Waiting
                } else {
                    Owner::Solid
                }
            }
            _ => Owner::Dangling,
        }
    }

    /// Says it where an owner is in another namespace.
    async fn warn_of_namespaces(&self, object: &Value) {
        let namespace = text(object, "/metadata/namespace");
        for reference in references(object) {
            let Some(owner) = self.nodes.get(text(reference, "/uid")) else { continue };
            if !owner.key.0.is_empty() && owner.key.0 != namespace {
                let [version, kind, name, uid] =
                    ["/apiVersion", "/kind", "/name", "/uid"].map(|at| text(reference, at));
                let message = format!(
                    "ownerRef [{version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}] does not exist in \
                     namespace \"{namespace}\""
                );
                self.cluster.event(object, "Warning", "OwnerRefInvalidNamespace", &message).await;
            }
        }
    }

    /// Deletes what has no owner any more.
    async fn collect(&mut self, object: &Value, served: &Served) -> Result<(), Refused> {
        let owners: Vec<Owner> = references(object).iter().map(|r| self.classify(object, r)).collect();
        if owners.contains(&Owner::Unknown) {
            self.unresolved.insert(uid(object).to_owned());
            self.warn_of_namespaces(object).await;
            return Ok(());
        }
        if owners.contains(&Owner::Solid) {
            let kept: Vec<&Value> = references(object)
                .iter()
                .zip(&owners)
                .filter(|(_, owner)| **owner == Owner::Solid)
                .map(|(r, _)| r)
                .collect();
            if kept.len() == owners.len() {
                return Ok(());
            }
            return self.patch(object, served, json!({"ownerReferences": kept})).await;
        }
        self.warn_of_namespaces(object).await;
        let dependents = self.dependents(uid(object));
        let policy = if owners.contains(&Owner::Waiting) && !dependents.is_empty() {
            if dependents.iter().filter_map(|uid| self.latest(uid)).any(|(dependent, _)| waits(&dependent)) {
                // A circle: nobody may wait for this object.
                self.unblock(object, served).await?;
            }
            "Foreground"
        } else if has_finalizer(object, ORPHAN) {
            "Orphan"
        } else if has_finalizer(object, FOREGROUND) {
            "Foreground"
        } else {
            "Background"
        };
        let options = json!({"propagationPolicy": policy, "preconditions": {"uid": uid(object)}});
        match self.cluster.api.delete(&served.path(&key(object)), options).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }

    async fn unblock(&self, object: &Value, served: &Served) -> Result<(), Refused> {
        let free = references(object).iter().cloned().map(|mut reference| {
            reference["blockOwnerDeletion"] = false.into();
            reference
        });
        let free: Vec<Value> = free.collect();
        self.patch(object, served, json!({"ownerReferences": free})).await
    }

    /// Lets an owner go for which nothing has to be deleted first.
    async fn release(
        &self,
        owner: &Value,
        served: &Served,
        queue: &mut Queue<String>,
    ) -> Result<(), Refused> {
        let mut blocked = false;
        for dependent in self.dependents(uid(owner)) {
            let Some((object, _)) = self.latest(&dependent) else { continue };
            let mut references = references(&object).iter().filter(|r| text(r, "/uid") == uid(owner));
            blocked |= references.any(|reference| reference["blockOwnerDeletion"] == true);
            if !is_deleted(&object) {
                queue.add(dependent);
            }
        }
        if blocked { Ok(()) } else { self.unfinalize(owner, served, FOREGROUND).await }
    }

    /// Takes an owner out of what it owned, and lets it go.
    async fn orphan(&self, owner: &Value, served: &Served) -> Result<(), Refused> {
        for dependent in self.dependents(uid(owner)) {
            let Some((object, kind)) = self.latest(&dependent) else { continue };
            let kept = references(&object).iter().filter(|reference| text(reference, "/uid") != uid(owner));
            let kept: Vec<&Value> = kept.collect();
            self.patch(&object, &kind, json!({"ownerReferences": kept})).await?;
        }
        self.unfinalize(owner, served, ORPHAN).await
    }

    async fn unfinalize(&self, object: &Value, served: &Served, finalizer: &str) -> Result<(), Refused> {
        let mut kept = finalizers(object);
        kept.retain(|one| *one != finalizer);
        self.patch(object, served, json!({"finalizers": kept})).await
    }

    async fn patch(&self, object: &Value, served: &Served, mut metadata: Value) -> Result<(), Refused> {
        metadata["uid"] = object["metadata"]["uid"].clone();
        metadata["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        match self.cluster.api.merge(&served.path(&key(object)), json!({"metadata": metadata})).await {
            Err(refused) if !refused.is_absent() => Err(refused),
            _ => Ok(()),
        }
    }
}

impl Controller for Garbage {
    type Item = String;

    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn seen(&mut self, change: &Change, queue: &mut Queue<String>) {
        if change.is_of("apiextensions.k8s.io", "customresourcedefinitions") {
            std::mem::take(&mut self.unresolved).into_iter().for_each(|uid| queue.add(uid));
        }
        if change.is_of("", "events") {
            return;
        }
        if let Some(before) = &change.before
            && change.after.as_ref().is_none_or(|after| uid(after) != uid(before))
        {
            let owners = self.forget(uid(before)).map(|node| node.owners).unwrap_or_default();
            self.dependents(uid(before)).into_iter().chain(owners).for_each(|uid| queue.add(uid));
        }
        if let Some(after) = &change.after {
            self.learn(change, after);
            let acts = waits(after) || is_deleted(after) && has_finalizer(after, ORPHAN);
            if acts || !references(after).is_empty() {
                queue.add(uid(after).to_owned());
            }
            // An owner may have waited for this.
            let owners =
                [&change.before, &change.after].into_iter().flatten().flat_map(|object| references(object));
            for owner in owners.map(|reference| text(reference, "/uid")) {
                if self.latest(owner).is_some_and(|(owner, _)| waits(&owner)) {
                    queue.add(owner.to_owned());
                }
            }
        }
    }

    async fn handle(&mut self, uid: String, queue: &mut Queue<String>) -> Result<(), Refused> {
        let Some((object, served)) = self.latest(&uid) else { return Ok(()) };
        if waits(&object) {
            return self.release(&object, &served, queue).await;
        }
        if is_deleted(&object) {
            return if has_finalizer(&object, ORPHAN) { self.orphan(&object, &served).await } else { Ok(()) };
        }
        if references(&object).is_empty() { Ok(()) } else { self.collect(&object, &served).await }
    }
}
