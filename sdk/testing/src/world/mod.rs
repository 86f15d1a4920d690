//! A cluster in memory, as the test of a strategy has it in its hands: a front of the API server of `devcluster`.
//!
//! What the strategy does comes to the server by requests, and so is answered as by Kubernetes: uids, versions and
//! generations, server-side apply and merge patches, preconditions, finalizers. What the test does ([`World::put`],
//! [`World::edit`]) is set as it is: nobody checks it. The clock is the test's, there are no controllers, and nothing
//! changes by itself. A kind needs no CRD: it is made without a schema when an object of it comes.

mod ask;
mod key;
mod read;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};

use backstay_core::contract::{Json, ObjectRef, WriteError};
use devcluster::api::{ApiServer, Options};
use jiff::Timestamp;
use serde_json::json;

use crate::fixture::{self, NOW};
pub(crate) use key::Key;

/// The label that the host sets on the objects of a run.
pub const RUN_UID_LABEL: &str = backstay_api::labels::RUN_UID;

/// A hook of the API server on writes of one kind. It may refuse the write, change the object that will be stored, or
/// write other objects. It receives the present object and the new one.
pub type Serve = fn(&mut World, Option<&Json>, &mut Json) -> Result<(), WriteError>;

/// A cluster in memory. A clone is independent.
pub struct World {
    server: ApiServer,
    /// Seconds since the epoch; the server's clock reads it.
    clock: Arc<AtomicI64>,
    /// The kinds of which there have been objects.
    kinds: BTreeSet<(String, String)>,
    namespaces: BTreeSet<String>,
    /// Tails of logs, by namespace, pod, container, and whether the log is of the previous instance.
    logs: BTreeMap<(String, String, String, bool), String>,
    serves: BTreeMap<(String, String), Serve>,
    /// Kinds that the API server does not know.
    unserved: BTreeSet<(String, String)>,
}

/// Returns the options of a server whose clock shows what `clock` holds. Uids come from the seed, so that a fork needs
/// another one.
fn options(clock: &Arc<AtomicI64>, seed: u64) -> Options {
    let clock = Arc::clone(clock);
    let now = move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH);
    Options { clock: Box::new(now), seed, ..Options::default() }
}

impl World {
    /// Makes an empty cluster, at [`NOW`].
    #[must_use]
    pub fn new() -> Self {
        static EMPTY: LazyLock<World> = LazyLock::new(|| {
            let clock = Arc::new(AtomicI64::new(NOW));
            let server = ApiServer::new(options(&clock, 0));
            World {
                server,
                clock,
                kinds: BTreeSet::new(),
                namespaces: BTreeSet::new(),
                logs: BTreeMap::new(),
                serves: BTreeMap::new(),
                unserved: BTreeSet::new(),
            }
        });
        EMPTY.clone()
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
        self.make_room(&Key::from(&reference));
        self.set(object);
        reference
    }

    /// Returns the present object.
    #[must_use]
    pub fn get(&self, object: &ObjectRef) -> Option<Arc<Json>> {
        self.at(&Key::from(object))
    }

    fn at(&self, key: &Key) -> Option<Arc<Json>> {
        self.server.object(&key.api_version, &key.kind, &key.namespace, &key.name)
    }

    /// Returns every object of this kind, by namespace and name.
    pub fn all(&self, api_version: &str, kind: &str) -> impl Iterator<Item = Arc<Json>> + use<> {
        self.server.objects(api_version, kind).into_iter()
    }

    /// Changes an object as another client would. Returns false if there is none. An object that is being deleted is
    /// removed once it has no finalizers.
    pub fn edit(&mut self, object: &ObjectRef, change: impl FnOnce(&mut Json)) -> bool {
        let Some(current) = self.get(object) else { return false };
        let mut next = Json::clone(&current);
        change(&mut next);
        self.set(next);
        true
    }

    /// Deletes an object in the background, as another client would. Returns false if there is none. Finalizers keep
    /// it.
    pub fn remove(&mut self, object: &ObjectRef) -> bool {
        let key = Key::from(object);
        let exists = self.at(&key).is_some();
        if exists {
            // One that is being deleted already is left alone.
            let _ = self.delete(&key, &json!({"propagationPolicy": "Background"}));
        }
        exists
    }

    /// Patches an object (RFC 7386) as another client would, through [`World::serve`].
    ///
    /// # Errors
    /// The errors that a strategy would receive.
    pub fn patch(&mut self, object: &ObjectRef, body: &Json) -> Result<(), WriteError> {
        self.merge(&Key::from(object), body, "test").map(drop)
    }

    /// Collects garbage: deletes the objects whose owners are all gone.
    pub fn collect_garbage(&mut self) {
        loop {
            let objects: Vec<(Key, Arc<Json>)> = self
                .kinds
                .iter()
                .flat_map(|(api_version, kind)| {
                    self.all(api_version, kind).map(|object| (Key::of(api_version, kind, &object), object))
                })
                .collect();
            let uids: BTreeSet<&str> = objects.iter().filter_map(|(_, object)| uid(object)).collect();
            let ownerless = |object: &Json| {
                let owners = object["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
                !owners.is_empty()
                    && owners.iter().all(|o| !o["uid"].as_str().is_some_and(|uid| uids.contains(uid)))
                    && !is_terminating(object)
            };
            let doomed: Vec<&Key> =
                objects.iter().filter(|(_, object)| ownerless(object)).map(|(key, _)| key).collect();
            if doomed.is_empty() {
                return;
            }
            for key in doomed {
                let _ = self.delete(key, &json!({"propagationPolicy": "Background"}));
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
        self.clock.load(Ordering::Relaxed)
    }

    /// Advances the time.
    pub fn advance(&mut self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Returns the resourceVersion of the latest write, which increases with every change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.server.revision()
    }

    /// Stores an object of a kind that is served, as it is.
    fn set(&self, object: Json) {
        if let Err(error) = self.server.set(object) {
            panic!("the world takes no such object: {error}");
        }
    }

    /// Makes the namespace of an object, and its kind if it is not served.
    fn make_room(&mut self, key: &Key) {
        if !self.kinds.contains(&(key.api_version.clone(), key.kind.clone())) {
            if self.server.served(&key.api_version, &key.kind).is_none() {
                self.make_kind(key);
            }
            self.kinds.insert((key.api_version.clone(), key.kind.clone()));
        }
        if !key.namespace.is_empty() && self.namespaces.insert(key.namespace.clone()) {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": key.namespace},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
            self.set(namespace);
        }
    }
}

impl Clone for World {
    fn clone(&self) -> Self {
        let clock = Arc::new(AtomicI64::new(self.now()));
        Self {
            server: self.server.fork(options(&clock, self.revision())),
            clock,
            kinds: self.kinds.clone(),
            namespaces: self.namespaces.clone(),
            logs: self.logs.clone(),
            serves: self.serves.clone(),
            unserved: self.unserved.clone(),
        }
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
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

/// Formats a time as Kubernetes does.
#[must_use]
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
