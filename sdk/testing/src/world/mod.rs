//! A cluster in memory: it stores objects as an API server does, and serves a strategy's questions and actions.
//!
//! It implements the parts of an API server that strategies depend on: uids, resourceVersions and generations, label
//! selectors, server-side apply, merge patches and deletes with preconditions, finalizers and garbage collection. It
//! validates nothing unless [`World::serve`] adds a check, and nothing changes by itself.

mod history;
mod key;
mod labels;
mod merge;
mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use backstay_core::contract::{Json, ObjectRef, WriteError};
use backstay_core::steps::merge_patch;
use serde_json::json;

use crate::fixture::{self, NOW};
use history::History;
pub(crate) use key::Key;

/// The label that the host sets on the objects of a run.
pub const RUN_UID_LABEL: &str = backstay_api::labels::RUN_UID;

/// A hook of the API server on writes of one kind. It may refuse the write, change the object that will be stored, or
/// write other objects. It receives the present object and the new one.
pub type Serve = fn(&mut World, Option<&Json>, &mut Json) -> Result<(), WriteError>;

/// A cluster in memory. A clone is independent.
#[derive(Clone, Debug, Default)]
pub struct World {
    now: i64,
    /// The resourceVersion of the latest write.
    revision: u64,
    objects: BTreeMap<Key, Arc<Json>>,
    history: History,
    /// By object and field manager, the pointers of the applied fields.
    managers: BTreeMap<Key, BTreeMap<String, BTreeSet<String>>>,
    /// Tails of logs, by namespace, pod, container, and whether the log is of the previous instance.
    logs: BTreeMap<(String, String, String, bool), String>,
    serves: BTreeMap<(String, String), Serve>,
    /// Kinds that the API server does not know.
    unserved: BTreeSet<(String, String)>,
}

impl World {
    /// Makes an empty cluster, at [`NOW`].
    #[must_use]
    pub fn new() -> Self {
        Self { now: NOW, ..Self::default() }
    }

    /// Makes a cluster of these objects: YAML documents. Sets uid, resourceVersion, generation and creationTimestamp
    /// where they are missing.
    ///
    /// # Panics
    /// A document is no object with `apiVersion`, `kind` and `metadata.name`.
    #[must_use]
    #[track_caller]
    pub fn of(yaml: &str) -> Self {
        let mut world = Self::new();
        world.add(yaml);
        world
    }

    /// Adds these objects to the cluster: YAML documents.
    ///
    /// # Panics
    /// As [`World::of`].
    #[track_caller]
    pub fn add(&mut self, yaml: &str) {
        for object in fixture::documents("world", yaml) {
            self.put(object);
        }
    }

    /// Creates or replaces an object as another client would. Keeps its uid and creationTimestamp.
    ///
    /// # Panics
    /// The object has no `apiVersion`, `kind` or `metadata.name`.
    #[track_caller]
    pub fn put(&mut self, object: Json) -> ObjectRef {
        let reference = fixture::reference("world", &object);
        self.store(&Key::from(&reference), object);
        reference
    }

    /// Returns the present object.
    #[must_use]
    pub fn get(&self, object: &ObjectRef) -> Option<&Json> {
        self.objects.get(&Key::from(object)).map(AsRef::as_ref)
    }

    /// Returns every object of this kind, by namespace and name.
    pub fn all<'w>(&'w self, api_version: &'w str, kind: &'w str) -> impl Iterator<Item = &'w Json> {
        let of_kind = move |(key, _): &(&Key, &Arc<Json>)| key.api_version == api_version && key.kind == kind;
        self.objects.iter().filter(of_kind).map(|(_, object)| object.as_ref())
    }

    /// Changes an object as another client would. Returns false if there is none. An object that is being deleted is
    /// removed once it has no finalizers.
    pub fn edit(&mut self, object: &ObjectRef, change: impl FnOnce(&mut Json)) -> bool {
        let key = Key::from(object);
        let Some(current) = self.objects.get(&key) else { return false };
        let mut next = Json::clone(current);
        change(&mut next);
        self.store(&key, next);
        true
    }

    /// Deletes an object in the background, as another client would. Returns false if there is none. Finalizers keep
    /// it.
    pub fn remove(&mut self, object: &ObjectRef) -> bool {
        let key = Key::from(object);
        let exists = self.objects.contains_key(&key);
        if exists {
            self.terminate(&key);
        }
        exists
    }

    /// Patches an object (RFC 7386) as another client would, through [`World::serve`].
    ///
    /// # Errors
    /// The errors that a strategy would receive.
    pub fn patch(&mut self, object: &ObjectRef, body: &Json) -> Result<(), WriteError> {
        let key = Key::from(object);
        let Some(current) = self.objects.get(&key).cloned() else { return Err(WriteError::NotFound) };
        let mut next = Json::clone(&current);
        merge_patch(&mut next, body);
        self.accept(&key, Some(&current), next).map(drop)
    }

    /// Collects garbage: deletes the objects whose owners are all gone.
    pub fn collect_garbage(&mut self) {
        loop {
            let uids: BTreeSet<&str> = self.objects.values().filter_map(|o| uid(o)).collect();
            let ownerless = |object: &Json| {
                let owners = object["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
                !owners.is_empty()
                    && owners.iter().all(|o| !o["uid"].as_str().is_some_and(|uid| uids.contains(uid)))
                    && !is_terminating(object)
            };
            let of_nobody = self.objects.iter().filter(|(_, o)| ownerless(o));
            let doomed: Vec<Key> = of_nobody.map(|(key, _)| key.clone()).collect();
            if doomed.is_empty() {
                return;
            }
            for key in doomed {
                self.terminate(&key);
            }
        }
    }

    /// Sets the log of a container, as a query reads its tail; `previous` for the instance before the last restart.
    pub fn logged(&mut self, namespace: &str, pod: &str, container: &str, previous: bool, text: &str) {
        let key = (namespace.to_owned(), pod.to_owned(), container.to_owned(), previous);
        self.logs.insert(key, text.to_owned());
    }

    /// Removes this kind from the API server.
    pub fn unserved(&mut self, api_version: &str, kind: &str) {
        self.unserved.insert((api_version.to_owned(), kind.to_owned()));
    }

    /// Sets the hook for writes of this kind, for admission or an API server of its own.
    pub fn serve(&mut self, api_version: &str, kind: &str, serve: Serve) {
        self.serves.insert((api_version.to_owned(), kind.to_owned()), serve);
    }

    /// Returns the time, in seconds since the epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// Advances the time.
    pub fn advance(&mut self, seconds: i64) {
        self.now += seconds;
    }

    /// Returns the resourceVersion of the latest write, which increases with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Stores `object` as the next version at `key`.
    fn store(&mut self, key: &Key, mut object: Json) -> Arc<Json> {
        self.revision += 1;
        let current = self.objects.get(key);
        let generation = match current {
            None => 1,
            Some(old) => {
                old["metadata"]["generation"].as_u64().unwrap_or(1) + u64::from(differs(old, &object))
            }
        };
        let kept = |field: &str| current.map(|old| old["metadata"][field].clone()).filter(|v| !v.is_null());
        let (kept_uid, kept_created) = (kept("uid"), kept("creationTimestamp"));
        let metadata = &mut object["metadata"];
        if let Some(uid) = kept_uid {
            metadata["uid"] = uid;
        } else if !metadata["uid"].is_string() {
            metadata["uid"] = json!(format!("00000000-0000-4000-8000-{:012}", self.revision));
        }
        if let Some(created) = kept_created {
            metadata["creationTimestamp"] = created;
        } else if !metadata["creationTimestamp"].is_string() {
            metadata["creationTimestamp"] = json!(rfc3339(self.now));
        }
        metadata["resourceVersion"] = json!(self.revision.to_string());
        metadata["generation"] = json!(generation);
        if is_terminating(&object) && !has_finalizers(&object) {
            let object = Arc::new(object);
            self.drop_object(key);
            return object;
        }
        let object = Arc::new(object);
        self.objects.insert(key.clone(), Arc::clone(&object));
        self.history.record(self.revision, key.clone(), Some(Arc::clone(&object)));
        object
    }

    /// Deletes an object, or marks it as deleted if it has finalizers.
    fn terminate(&mut self, key: &Key) {
        let Some(object) = self.objects.get(key) else { return };
        if is_terminating(object) {
            return;
        }
        if !has_finalizers(object) {
            self.revision += 1;
            self.drop_object(key);
            return;
        }
        let mut object = Json::clone(object);
        object["metadata"]["deletionTimestamp"] = json!(rfc3339(self.now));
        self.store(key, object);
    }

    fn drop_object(&mut self, key: &Key) {
        self.objects.remove(key);
        self.managers.remove(key);
        self.history.record(self.revision, key.clone(), None);
    }
}

/// Whether a change increases the generation: any change outside of metadata and status.
fn differs(old: &Json, new: &Json) -> bool {
    let rest = |object: &Json| {
        let fields = object.as_object().cloned().unwrap_or_default().into_iter();
        fields.filter(|(name, _)| name != "metadata" && name != "status").collect::<Vec<_>>()
    };
    rest(old) != rest(new)
}

/// Returns the uid of an object.
#[must_use]
pub fn uid(object: &Json) -> Option<&str> {
    object["metadata"]["uid"].as_str()
}

/// Whether an object is being deleted.
#[must_use]
pub fn is_terminating(object: &Json) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

fn has_finalizers(object: &Json) -> bool {
    object["metadata"]["finalizers"].as_array().is_some_and(|f| !f.is_empty())
}

/// Formats a time as Kubernetes does.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
