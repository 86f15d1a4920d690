//! What a test in the same process looks at, and sets, without a request.
//!
//! A look is not held up by anybody's rights, and what is set is checked by nobody: so a test says what others have done, and how
//! the world was before it began. What the program under test does comes by requests.

use std::sync::Arc;

use serde_json::Value;

use super::resource::Resource;
use super::select::Labels;
use super::service::ApiServer;
use super::state::State;
use super::store::{Family, Key};
use super::{clock, meta, update, view};

/// How a kind is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The path of its group and version.
    pub root: String,
    /// Its plural.
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Whether its status is written for itself.
    pub status: bool,
}

impl Served {
    fn of(resource: &Resource) -> Self {
        let version = resource.api_version();
        let root =
            if resource.group.is_empty() { format!("/api/{version}") } else { format!("/apis/{version}") };
        Self {
            root,
            plural: resource.plural.clone(),
            namespaced: resource.namespaced,
            status: resource.has("status"),
        }
    }

    /// Returns the path of the objects in a namespace, or of all where the kind has none.
    #[must_use]
    pub fn path(&self, namespace: &str) -> String {
        match self.namespaced {
            true => format!("{}/namespaces/{namespace}/{}", self.root, self.plural),
            false => format!("{}/{}", self.root, self.plural),
        }
    }
}

/// An object that is of no kind that is served, or has no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoPlace(String);

/// A label selector, as `kubectl -l` takes it.
#[derive(Clone, Debug)]
pub struct Selector(Labels);

impl Selector {
    /// Reads a selector. The empty one selects everything.
    ///
    /// # Errors
    /// It is none, in the words of kube-apiserver.
    pub fn parse(text: &str) -> Result<Self, String> {
        Labels::parse(text).map(Self)
    }

    /// Returns whether it selects an object.
    #[must_use]
    pub fn selects(&self, object: &Value) -> bool {
        self.0.fit(object)
    }
}

impl ApiServer {
    /// Returns how a kind is served in a version such as `batch/v1`; `None` if it is not.
    #[must_use]
    pub fn served(&self, api_version: &str, kind: &str) -> Option<Served> {
        self.state().in_version(api_version, kind).map(|resource| Served::of(resource))
    }

    /// Returns how a kind of a group is served, whatever its version; `None` if it is not.
    #[must_use]
    pub fn served_in(&self, group: &str, kind: &str) -> Option<Served> {
        let state = self.state();
        let mut all = state.all();
        all.find(|one| one.group == group && one.kind == kind).map(|resource| Served::of(resource))
    }

    /// Returns how a kind of a group is served that has this plural, whatever its version; `None` if it is not.
    #[must_use]
    pub fn served_as(&self, group: &str, plural: &str) -> Option<Served> {
        let state = self.state();
        let mut all = state.all();
        all.find(|one| one.group == group && one.plural == plural).map(|resource| Served::of(resource))
    }

    /// Returns an object as a client would see it.
    #[must_use]
    pub fn object(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let state = self.state();
        let resource = state.in_version(api_version, kind)?;
        let stored = state.store.get(&resource.family(), &(namespace.to_owned(), name.to_owned()))?;
        Some(view::present(resource, stored))
    }

    /// Returns the objects of a kind, in the order of namespaces and names.
    #[must_use]
    pub fn objects(&self, api_version: &str, kind: &str) -> Vec<Arc<Value>> {
        let state = self.state();
        let Some(resource) = state.in_version(api_version, kind) else { return Vec::new() };
        state.store.family(&resource.family()).map(|(_, stored)| view::present(resource, stored)).collect()
    }

    /// Returns the objects of a kind as they were at a revision, in the order of namespaces and names; `None` if that is
    /// forgotten.
    #[must_use]
    pub fn objects_at(&self, api_version: &str, kind: &str, revision: u64) -> Option<Vec<Arc<Value>>> {
        let state = self.state();
        let Some(resource) = state.in_version(api_version, kind) else { return Some(Vec::new()) };
        let objects = state.store.at(&resource.family(), revision).ok()?;
        Some(objects.values().map(|stored| view::present(resource, stored)).collect())
    }

    /// Returns the last revision before this one at which an object of a kind changed, as far as that is known.
    #[must_use]
    pub fn changed_before(&self, revision: u64, api_version: &str, kind: &str) -> Option<u64> {
        let state = self.state();
        let family = state.in_version(api_version, kind)?.family();
        state.store.changed_before(revision, &family)
    }

    /// Stores an object as it is, as if it had always been so: no check, no admission, no owner of its fields. The server sets
    /// only what it keeps of an object: the uid and the time of its creation (those of the object that is there, or else those
    /// that are given, or else new ones), the generation and the version. An object that is being deleted and that nothing
    /// holds is removed.
    ///
    /// # Errors
    /// The kind is not served, or the object has no name.
    pub fn set(&self, object: Value) -> Result<Arc<Value>, NoPlace> {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        let mut state = self.state();
        let resource = state.in_version(text("apiVersion"), text("kind")).cloned();
        let resource = resource.ok_or_else(|| {
            NoPlace(format!("kind {} of {:?} is not served", text("kind"), text("apiVersion")))
        })?;
        let namespace = if resource.namespaced { meta::text(&object, "namespace") } else { "" };
        let key = (namespace.to_owned(), meta::text(&object, "name").to_owned());
        if key.1.is_empty() {
            return Err(NoPlace("an object has no name".to_owned()));
        }
        let set = self.set_in(&mut state, &resource, &resource.family(), key, object);
        drop(state);
        self.wake(None);
        Ok(set)
    }

    fn set_in(
        &self,
        state: &mut State,
        resource: &Arc<Resource>,
        family: &Family,
        key: Key,
        mut object: Value,
    ) -> Arc<Value> {
        let before = state.store.get(family, &key).map(|stored| view::present(resource, stored));
        let kept = |field: &str| before.as_ref().and_then(|before| meta::get(before, field).cloned());
        let given = |field: &str| meta::get(&object, field).filter(|value| value.is_string()).cloned();
        let uid = kept("uid").or_else(|| given("uid")).unwrap_or_else(|| state.ids.uid().into());
        let created = kept("creationTimestamp").or_else(|| given("creationTimestamp"));
        let created = created.unwrap_or_else(|| clock::seconds(self.now()).into());
        meta::set(&mut object, "uid", Some(uid));
        meta::set(&mut object, "creationTimestamp", Some(created));
        if resource.generation {
            let generation = before.as_ref().map_or(1, |before| {
                let was = meta::get(before, "generation").and_then(Value::as_u64).unwrap_or(1);
                was + u64::from(update::differs(resource, before, &object))
            });
            meta::set(&mut object, "generation", Some(generation.into()));
        }
        if meta::terminating(&object) && meta::finalizers(&object).is_empty() {
            state.store.commit(family, key, None);
            return Arc::new(object);
        }
        let stored = view::stored(resource, object);
        match state.store.commit(family, key, Some((stored, resource.shape()))) {
            Some(stored) => view::present(resource, &stored),
            None => Arc::new(Value::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claim(finalizers: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"namespace": "a", "name": "b", "uid": "volume-1", "finalizers": finalizers}})
    }

    fn get(server: &ApiServer) -> Option<Arc<Value>> {
        server.object("v1", "PersistentVolumeClaim", "a", "b")
    }

    #[test]
    fn what_is_set_is_there_as_it_was_given_and_keeps_its_uid() {
        let server = ApiServer::default();
        let begun = server.revision();
        server.set(claim(&json!(["a/b"]))).expect("a known kind");
        let mut next = claim(&json!(["a/b"]));
        next["metadata"]["uid"] = "volume-2".into();
        server.set(next).expect("a known kind");
        let found = get(&server).expect("it is there");
        assert_eq!(found["metadata"]["uid"], "volume-1");
        let kind = ("v1", "PersistentVolumeClaim");
        assert_eq!(server.changed_before(begun + 2, kind.0, kind.1), Some(begun + 1));
        assert_eq!(server.objects_at(kind.0, kind.1, begun).map(|all| all.len()), Some(0));
        assert_eq!(server.objects(kind.0, kind.1).len(), 1);
    }

    #[test]
    fn an_object_that_is_being_deleted_goes_with_its_last_finalizer() {
        let server = ApiServer::default();
        let mut held = claim(&json!(["a/b"]));
        held["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        server.set(held).expect("a known kind");
        let mut free = (*get(&server).expect("it is held")).clone();
        free["metadata"]["finalizers"] = json!([]);
        server.set(free).expect("a known kind");
        assert_eq!(get(&server), None);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let server = ApiServer::default();
        let widget = json!({"apiVersion": "lab.example.com/v1", "kind": "Widget", "metadata": {"name": "a"}});
        let refused = server.set(widget).expect_err("no such kind");
        assert_eq!(refused.to_string(), "kind Widget of \"lab.example.com/v1\" is not served");
    }
}
