//! What a controller sees of the cluster, and how it writes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::api::ApiServer;
use crate::client::{Api, Key, Over, text};

/// A change of an object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// Group and plural of its kind.
    pub(crate) family: (String, String),
    /// Its namespace and name.
    pub(crate) key: Key,
    /// What it was.
    pub(crate) before: Option<Arc<Value>>,
    /// What it is now.
    pub(crate) after: Option<Arc<Value>>,
}

impl Change {
    /// Whether it is of this kind.
    pub(crate) fn is_of(&self, group: &str, plural: &str) -> bool {
        self.family.0 == group && self.family.1 == plural
    }

    /// The object, or its last state.
    pub(crate) fn object(&self) -> Option<&Arc<Value>> {
        self.after.as_ref().or(self.before.as_ref())
    }
}

/// A cluster, as one controller has it.
pub(crate) struct Cluster {
    pub(crate) server: ApiServer,
    pub(crate) api: Api,
    component: &'static str,
    events: AtomicU64,
}

/// How a kind is served.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Served {
    /// Its group and plural.
    pub(crate) family: (String, String),
    /// The version by which it is asked for.
    pub(crate) version: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Whether its objects are in namespaces.
    pub(crate) namespaced: bool,
}

impl Served {
    /// The path of an object.
    pub(crate) fn path(&self, (namespace, name): &Key) -> String {
        let (group, plural) = &self.family;
        let root = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let namespace = if self.namespaced { format!("/namespaces/{namespace}") } else { String::new() };
        format!("{root}/{}{namespace}/{plural}/{name}", self.version)
    }
}

impl Cluster {
    pub(crate) fn new(server: ApiServer, component: &'static str, token: Option<&str>) -> Self {
        let agent = match component {
            "default-scheduler" => "kube-scheduler",
            "kubelet" => "kubelet",
            _ => "kube-controller-manager",
        };
        let api = Over::new(server.clone(), agent);
        let api: Api = match token {
            Some(token) => Arc::new(api.with_token(token)),
            None => Arc::new(api),
        };
        Self { server, api, component, events: AtomicU64::new(0) }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.server.now()
    }

    /// Returns an object.
    pub(crate) fn get(&self, group: &str, plural: &str, key: &Key) -> Option<Arc<Value>> {
        let family = (group.to_owned(), plural.to_owned());
        self.server.state().store.get(&family, key).map(|stored| stored.value.clone())
    }

    /// Returns the objects of a kind in a namespace, or everywhere.
    pub(crate) fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let family = (group.to_owned(), plural.to_owned());
        let state = self.server.state();
        let all = state.store.family(&family);
        all.filter(|(key, _)| namespace.is_none_or(|n| n == key.0))
            .map(|(_, stored)| stored.value.clone())
            .collect()
    }

    /// Returns how kinds are served whose objects can be written, one version of each.
    pub(crate) fn kinds(&self) -> Vec<Served> {
        let state = self.server.state();
        let mut kinds = BTreeMap::new();
        for resource in state.all().filter(|resource| resource.modelled) {
            kinds.entry(resource.family()).or_insert_with(|| Served {
                family: (resource.group.clone(), resource.plural.clone()),
                version: resource.version.clone(),
                kind: resource.kind.clone(),
                namespaced: resource.namespaced,
            });
        }
        kinds.into_values().collect()
    }

    /// Returns how a kind is served in a version.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<Served> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let state = self.server.state();
        state.of_kind(group, version, kind).map(|resource| Served {
            family: (resource.group.clone(), resource.plural.clone()),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
            namespaced: resource.namespaced,
        })
    }

    /// Returns what has changed since a revision, all that there is if that is not known any more, and the revision now.
    pub(crate) fn since(&self, revision: u64) -> (Vec<Change>, u64) {
        let state = self.server.state();
        let store = &state.store;
        let now = store.revision();
        if revision > 0
            && let Ok(changes) = store.since(revision)
        {
            let changes = changes.map(|change| Change {
                family: change.family.clone(),
                key: change.key.clone(),
                before: change.before.as_ref().map(|stored| stored.value.clone()),
                after: change.after.as_ref().map(|stored| stored.value.clone()),
            });
            return (changes.collect(), now);
        }
        let all = store.families().flat_map(|family| {
            store.family(family).map(|(key, stored)| Change {
                family: family.clone(),
                key: key.clone(),
                before: None,
                after: Some(stored.value.clone()),
            })
        });
        (all.collect(), now)
    }

    /// Writes an Event about an object; it does not matter if it is not taken.
    pub(crate) async fn event(&self, about: &Value, kind: &str, reason: &str, message: &str) {
        let now = self.now();
        let number = self.events.fetch_add(1, Ordering::Relaxed);
        let nanos = u128::try_from(now.as_nanosecond()).unwrap_or_default() + u128::from(number);
        let namespace = match text(about, "/metadata/namespace") {
            "" => "default",
            namespace => namespace,
        };
        let name = format!("{}.{nanos:x}", text(about, "/metadata/name"));
        let metadata = &about["metadata"];
        let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {"apiVersion": about["apiVersion"], "kind": about["kind"], "name": metadata["name"],
                "namespace": metadata["namespace"], "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
            "reason": reason, "message": message, "type": kind, "count": 1, "firstTimestamp": seconds(now),
            "lastTimestamp": seconds(now), "source": {"component": self.component},
            "reportingComponent": self.component, "reportingInstance": ""});
        if let Err(refused) = self.api.create(&format!("/api/v1/namespaces/{namespace}/events"), event).await
        {
            tracing::debug!(%refused, reason, "an event is not written");
        }
    }
}

/// Writes a time as the API does.
pub(crate) fn seconds(time: Timestamp) -> Value {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}

/// Reads a time at a JSON pointer.
pub(crate) fn time(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// Returns a time some seconds later.
pub(crate) fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(time)
}

/// Whether an object is being deleted.
pub(crate) fn is_deleted(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
}
