//! The effects of actions.

use std::collections::BTreeSet;
use std::sync::Arc;

use backstay_core::contract::{Action, Apply, Create, Delete, Json, Patch, Propagation, WriteError};
use backstay_core::steps::merge_patch;
use serde_json::json;

use super::{Key, RUN_UID_LABEL, World, is_terminating, merge, uid};

impl World {
    /// Creates the object for the run `run_uid`.
    pub(crate) fn do_create(
        &mut self,
        create: &Create,
        run_uid: &str,
        manager: &str,
    ) -> Result<Option<Json>, WriteError> {
        let key = self.served_key(&create.manifest)?;
        if let Some(current) = self.objects.get(&key) {
            let own = current["metadata"]["labels"][RUN_UID_LABEL] == run_uid;
            return match own {
                true => Ok(Some(Json::clone(current)).filter(|_| !create.dry_run)),
                false => Err(WriteError::AlreadyExists(Json::clone(current))),
            };
        }
        let mut manifest = create.manifest.clone();
        manifest["metadata"]["labels"][RUN_UID_LABEL] = json!(run_uid);
        if create.dry_run {
            // In a copy of the world, because the kind's hook may write other objects.
            return self.clone().accept(&key, None, manifest).map(|_| None);
        }
        let owned = merge::leaves(&manifest);
        let stored = self.accept(&key, None, manifest)?;
        self.managers.entry(key).or_default().insert(manager.to_owned(), owned);
        Ok(Some(Json::clone(&stored)))
    }

    /// Applies the manifest as the field manager `manager`.
    pub(crate) fn do_apply(&mut self, apply: &Apply, manager: &str) -> Result<Option<Json>, WriteError> {
        let key = self.served_key(&apply.manifest)?;
        let current = self.objects.get(&key).cloned();
        let wanted = &apply.manifest["metadata"];
        match &current {
            Some(current) => {
                preconditions(current, wanted["uid"].as_str(), wanted["resourceVersion"].as_str())?;
            }
            None if wanted["uid"].is_string() || wanted["resourceVersion"].is_string() => {
                return Err(WriteError::Conflict(
                    "uid or resourceVersion of an object that is gone".to_owned(),
                ));
            }
            None => {}
        }
        let set: BTreeSet<String> =
            merge::leaves(&apply.manifest).into_iter().filter(|p| !is_identity(p)).collect();
        let before = self.applied_before(&key, manager);
        if !apply.force {
            let taken = |p: &&String| {
                let found = current.as_ref().and_then(|c| c.pointer(p));
                !before.contains(*p) && found.is_some_and(|v| Some(v) != apply.manifest.pointer(p))
            };
            if let Some(first) = set.iter().find(taken) {
                return Err(WriteError::Conflict(format!("{first} belongs to another field manager")));
            }
        }
        let next = self.applied(&key, apply, manager);
        let stored = self.accept(&key, current.as_deref(), next)?;
        let managers = self.managers.entry(key).or_default();
        for owned in managers.values_mut() {
            owned.retain(|p| !set.contains(p));
        }
        managers.insert(manager.to_owned(), set);
        Ok(Some(Json::clone(&stored)))
    }

    /// Returns the object after an apply: with the fields of the manifest, and without those that only this manager
    /// applied before and no longer applies. A list is one value.
    fn applied(&self, key: &Key, apply: &Apply, manager: &str) -> Json {
        let mut next = self.objects.get(key).map_or_else(|| json!({}), |o| Json::clone(o));
        let set = merge::leaves(&apply.manifest);
        let managers = self.managers.get(key);
        let of_others = |pointer: &String| {
            managers.is_some_and(|m| m.iter().any(|(name, owned)| name != manager && owned.contains(pointer)))
        };
        for pointer in self.applied_before(key, manager).difference(&set).filter(|p| !of_others(p)) {
            merge::unset(&mut next, pointer);
        }
        for pointer in
            set.iter().filter(|p| !matches!(p.as_str(), "/metadata/uid" | "/metadata/resourceVersion"))
        {
            let value = apply.manifest.pointer(pointer).cloned().unwrap_or_default();
            merge::set(&mut next, pointer, value);
        }
        next
    }

    fn applied_before(&self, key: &Key, manager: &str) -> BTreeSet<String> {
        self.managers.get(key).and_then(|m| m.get(manager)).cloned().unwrap_or_default()
    }

    /// Returns the object after a write, before admission; null for a delete.
    pub(crate) fn after(&self, action: &Action, manager: &str) -> Json {
        match action {
            Action::Create(create) => create.manifest.clone(),
            Action::Apply(apply) => {
                let key = Key::from(&crate::fixture::reference("manifest", &apply.manifest));
                self.applied(&key, apply, manager)
            }
            Action::Patch(patch) => {
                let current = self.objects.get(&Key::from(&patch.object));
                let mut next = current.map_or_else(|| json!({}), |o| Json::clone(o));
                merge_patch(&mut next, &patch.body);
                next
            }
            Action::Delete(_) | Action::RunPod(_) => Json::Null,
        }
    }

    pub(crate) fn do_patch(&mut self, patch: &Patch) -> Result<Option<Json>, WriteError> {
        let key = Key::from(&patch.object);
        if !self.is_served(&key.api_version, &key.kind) {
            return Err(WriteError::NotServed);
        }
        let Some(current) = self.objects.get(&key).cloned() else { return Err(WriteError::NotFound) };
        preconditions(&current, patch.uid.as_deref(), patch.resource_version.as_deref())?;
        let mut next = Json::clone(&current);
        merge_patch(&mut next, &patch.body);
        let stored = self.accept(&key, Some(&current), next)?;
        Ok(Some(Json::clone(&stored)))
    }

    pub(crate) fn do_delete(&mut self, delete: &Delete) -> Result<Option<Json>, WriteError> {
        let key = Key::from(&delete.object);
        if !self.is_served(&key.api_version, &key.kind) {
            return Err(WriteError::NotServed);
        }
        let Some(current) = self.objects.get(&key).cloned() else { return Err(WriteError::NotFound) };
        preconditions(&current, Some(&delete.uid), delete.resource_version.as_deref())?;
        if is_terminating(&current) {
            return Ok(None);
        }
        match delete.propagation {
            Propagation::Background => self.terminate(&key),
            Propagation::Orphan => {
                self.orphan(&delete.uid);
                self.terminate(&key);
            }
            Propagation::Foreground => {
                for dependent in self.dependents(&delete.uid) {
                    self.terminate(&dependent);
                }
                self.terminate(&key);
            }
        }
        Ok(None)
    }

    /// Runs the hook of the object's kind, and stores the object.
    pub(super) fn accept(
        &mut self,
        key: &Key,
        current: Option<&Json>,
        mut object: Json,
    ) -> Result<Arc<Json>, WriteError> {
        if let Some(serve) = self.serves.get(&(key.api_version.clone(), key.kind.clone())).copied() {
            serve(self, current, &mut object)?;
        }
        match self.objects.get(key) {
            // A write without a change keeps the version.
            Some(stored) if **stored == object => Ok(Arc::clone(stored)),
            _ => Ok(self.store(key, object)),
        }
    }

    fn served_key(&self, manifest: &Json) -> Result<Key, WriteError> {
        let key = Key::from(&crate::fixture::reference("manifest", manifest));
        match self.is_served(&key.api_version, &key.kind) {
            true => Ok(key),
            false => Err(WriteError::NotServed),
        }
    }

    fn dependents(&self, owner: &str) -> Vec<Key> {
        let owned = |object: &Json| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|o| o.iter().any(|o| o["uid"] == owner))
        };
        self.objects.iter().filter(|(_, o)| owned(o)).map(|(key, _)| key.clone()).collect()
    }

    fn orphan(&mut self, owner: &str) {
        for key in self.dependents(owner) {
            if let Some(object) = self.objects.get(&key) {
                let mut object = Json::clone(object);
                if let Some(owners) = object["metadata"]["ownerReferences"].as_array_mut() {
                    owners.retain(|o| o["uid"] != owner);
                }
                self.store(&key, object);
            }
        }
    }
}

/// Whether a pointer is part of the identity of a manifest's object.
fn is_identity(pointer: &str) -> bool {
    let identity = ["name", "namespace", "uid", "resourceVersion"];
    matches!(pointer, "/apiVersion" | "/kind")
        || pointer.strip_prefix("/metadata/").is_some_and(|field| identity.contains(&field))
}

fn preconditions(current: &Json, wanted: Option<&str>, version: Option<&str>) -> Result<(), WriteError> {
    let is = current["metadata"]["resourceVersion"].as_str();
    if wanted.is_some() && wanted != uid(current) {
        let is = uid(current).unwrap_or_default();
        return Err(WriteError::Conflict(format!("the uid is {is}, not {}", wanted.unwrap_or_default())));
    }
    if version.is_some() && version != is {
        let (is, wanted) = (is.unwrap_or_default(), version.unwrap_or_default());
        return Err(WriteError::Conflict(format!("the resourceVersion is {is}, not {wanted}")));
    }
    Ok(())
}
