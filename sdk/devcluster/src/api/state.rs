//! What the API server holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::clock::{self, Ids};
use super::fading::Fading;
use super::resource::{Resource, builtins};
use super::store::{Family, Store};
use super::{definitions, discovery};
use crate::access::{self, Kept, Objects, Tokens};

/// The kinds that are served. Forks share them until one of them serves others.
#[derive(Clone, Default)]
pub(crate) struct Kinds {
    /// By group, plural and version.
    by_plural: BTreeMap<(String, String, String), Arc<Resource>>,
    /// By kind and version, such as `batch/v1`.
    by_kind: BTreeMap<String, BTreeMap<String, Arc<Resource>>>,
}

impl Kinds {
    fn add(&mut self, resource: Resource) {
        let key = (resource.group.clone(), resource.plural.clone(), resource.version.clone());
        let resource = Arc::new(resource);
        let of_kind = self.by_kind.entry(resource.kind.clone()).or_default();
        of_kind.insert(resource.api_version(), Arc::clone(&resource));
        self.by_plural.insert(key, resource);
    }

    fn retain(&mut self, keep: impl Fn(&Resource) -> bool) {
        self.by_plural.retain(|_, one| keep(one));
        self.by_kind.values_mut().for_each(|versions| versions.retain(|_, one| keep(one)));
    }
}

/// Everything behind the lock.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) ids: Ids,
    /// What is served.
    served: Arc<Kinds>,
    /// Who has which token.
    pub(crate) tokens: Tokens,
    /// The next number of a form of a schema.
    shapes: u64,
    /// What bindings give to those who have asked.
    kept: Kept,
    /// When Events go; in a server that does nothing by itself they stay.
    pub(crate) fading: Option<Fading>,
}

impl State {
    /// A new cluster.
    pub(crate) fn new(seed: u64, history: usize, now: Timestamp) -> Self {
        let mut state = Self { fading: Some(Fading::default()), ..Self::empty(seed, history) };
        state.begin(now);
        state.store.compact();
        state
    }

    /// A server of the built-in kinds without any object.
    pub(crate) fn empty(seed: u64, history: usize) -> Self {
        let mut served = Kinds::default();
        builtins().into_iter().for_each(|resource| served.add(resource));
        Self {
            store: Store::new(history),
            ids: Ids::new(seed),
            served: Arc::new(served),
            tokens: Tokens::default(),
            shapes: 0,
            kept: Kept::default(),
            fading: None,
        }
    }

    /// Goes on with what is stored. `shapes` is how many forms of schemas were numbered, `of_definitions` the forms that
    /// definitions have now. What was before is too old.
    pub(crate) fn go_on(&mut self, shapes: u64, of_definitions: &BTreeMap<String, u64>, now: Timestamp) {
        self.shapes = shapes;
        definitions::resume(self, of_definitions);
        self.begin(now);
        self.store.compact();
        self.fade(now);
    }

    /// What is another one after each change: the revision, and how far uids have come, by which tokens are known.
    pub(crate) fn mark(&self) -> (u64, u64) {
        (self.store.revision(), self.ids.state())
    }

    /// How many forms of schemas have been numbered.
    pub(crate) fn shapes(&self) -> u64 {
        self.shapes
    }

    /// Stores what a new cluster has, unless it is there.
    fn begin(&mut self, now: Timestamp) {
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace = json!({"kind": "Namespace", "apiVersion": "v1",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
            self.put(("", "namespaces"), namespace, now);
        }
        for role in access::first_roles() {
            let plural =
                format!("{}s", role.get("kind").and_then(Value::as_str).unwrap_or_default().to_lowercase());
            self.put(("rbac.authorization.k8s.io", &plural), role, now);
        }
        let versions: std::collections::BTreeSet<(String, String)> = discovery::builtin_resources()
            .into_iter()
            .map(|(g, v, _)| (g.to_owned(), v.to_owned()))
            .collect();
        for (group, version) in versions {
            self.put_api_service(&group, &version, "onstart", now);
        }
    }

    /// Stores an object of the server's own, unless it is there.
    fn put(&mut self, (group, plural): (&str, &str), mut object: Value, now: Timestamp) {
        let family = (group.to_owned(), plural.to_owned());
        let text = |field: &str| super::meta::text(&object, field).to_owned();
        let key = (text("namespace"), text("name"));
        if self.store.get(&family, &key).is_some() {
            return;
        }
        let metadata = super::meta::of(&mut object);
        metadata.insert("uid".into(), self.ids.uid().into());
        metadata.insert("creationTimestamp".into(), clock::seconds(now).into());
        self.store.commit(&family, key, Some((object, 0)));
    }

    /// Stores the APIService of a version, unless it is there.
    pub(crate) fn put_api_service(&mut self, group: &str, version: &str, managed: &str, now: Timestamp) {
        let name = format!("{version}.{group}");
        let family = api_services();
        let (minimum, priority) = if managed == "true" { (1000, 100) } else { (17_800, 15) };
        let object = json!({"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1",
            "metadata": {"name": name, "labels": {"kube-aggregator.kubernetes.io/automanaged": managed}},
            "spec": {"group": group, "version": version, "groupPriorityMinimum": minimum,
                "versionPriority": priority},
            "status": {"conditions": [{"type": "Available", "status": "True",
                "lastTransitionTime": clock::seconds(now), "reason": "Local",
                "message": "Local APIServices are always available"}]}});
        self.put((&family.0, &family.1), object, now);
    }

    /// All that is served, to be put back by [`State::set_offers`].
    pub(crate) fn offers(&self) -> Arc<Kinds> {
        Arc::clone(&self.served)
    }

    /// Serves what was served.
    pub(crate) fn set_offers(&mut self, served: Arc<Kinds>) {
        self.served = served;
    }

    /// What is served under this name.
    pub(crate) fn served(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.served.by_plural.get(&(group.to_owned(), plural.to_owned(), version.to_owned()))
    }

    /// All custom kinds.
    pub(crate) fn custom(&self) -> Vec<Arc<Resource>> {
        self.served.by_plural.values().filter(|resource| resource.custom.is_some()).cloned().collect()
    }

    /// All kinds that are served.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.served.by_plural.values()
    }

    /// The resource of a kind.
    pub(crate) fn of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.in_version(&super::resource::api_version(group, version), kind)
    }

    /// The resource of a kind in a version such as `batch/v1`.
    pub(crate) fn in_version(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.served.by_kind.get(kind)?.get(api_version)
    }

    /// Serves these versions of a definition instead of those before.
    pub(crate) fn serve(&mut self, definition: &str, resources: Vec<Resource>) {
        let served = Arc::make_mut(&mut self.served);
        served.retain(|one| one.custom.as_ref().is_none_or(|custom| custom.definition != definition));
        resources.into_iter().for_each(|resource| served.add(resource));
    }

    /// What is served of a definition.
    pub(crate) fn definition(&self, name: &str) -> Option<super::resource::Custom> {
        self.served
            .by_plural
            .values()
            .filter_map(|one| one.custom.as_ref())
            .find(|custom| custom.definition == name)
            .cloned()
    }

    pub(crate) fn next_shape(&mut self) -> u64 {
        self.shapes += 1;
        self.shapes
    }

    /// All versions in which a resource is served.
    pub(crate) fn versions(&self, of: &Resource) -> Vec<Arc<Resource>> {
        let first = (of.group.clone(), of.plural.clone(), String::new());
        let same = |one: &&Arc<Resource>| one.group == of.group && one.plural == of.plural;
        self.served.by_plural.range(first..).map(|(_, one)| one).take_while(same).cloned().collect()
    }

    /// A resource whose objects are of this family.
    pub(crate) fn any_of(&self, family: &Family) -> Option<&Arc<Resource>> {
        self.served.by_plural.values().find(|one| one.is_of(family))
    }
}

/// Where APIServices are.
pub(crate) fn api_services() -> Family {
    ("apiregistration.k8s.io".into(), "apiservices".into())
}

/// Where namespaces are.
pub(crate) fn namespaces() -> Family {
    (String::new(), "namespaces".into())
}

impl Objects for State {
    fn get(&self, group: &str, resource: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let (family, key) =
            ((group.to_owned(), resource.to_owned()), (namespace.to_owned(), name.to_owned()));
        self.store.get(&family, &key).map(|stored| Arc::clone(&stored.value))
    }

    fn list(&self, group: &str, resource: &str, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let family = (group.to_owned(), resource.to_owned());
        let objects = self.store.family(&family);
        let placed = objects.filter(|(key, _)| namespace.is_none_or(|namespace| key.0 == namespace));
        placed.map(|(_, stored)| Arc::clone(&stored.value)).collect()
    }

    fn kept(&self) -> Option<&Kept> {
        Some(self.kept.of_state(self.store.rights()))
    }
}
