//! The effects of actions.

use std::sync::Arc;

use backstay_core::contract::{Action, Apply, Create, Delete, Json, Patch, Propagation, WriteError};
use backstay_core::steps::merge_patch;
use serde_json::json;

use super::ask::How;
use super::{Key, RUN_UID_LABEL, World};

impl World {
    /// Creates the object for the run `run_uid`.
    pub(crate) fn do_create(
        &mut self,
        create: &Create,
        run_uid: &str,
        manager: &str,
    ) -> Result<Option<Json>, WriteError> {
        let key = self.served_key(&create.manifest)?;
        if let Some(current) = self.at(&key) {
            let own = current["metadata"]["labels"][RUN_UID_LABEL] == run_uid;
            return match own {
                true => Ok(Some(Json::clone(&current)).filter(|_| !create.dry_run)),
                false => Err(WriteError::AlreadyExists(Json::clone(&current))),
            };
        }
        let mut manifest = create.manifest.clone();
        manifest["metadata"]["labels"][RUN_UID_LABEL] = json!(run_uid);
        self.make_room(&key);
        let stored = self.accept(How::Create, &key, &manifest, manager, create.dry_run)?;
        Ok(stored.map(|stored| Json::clone(&stored)))
    }

    /// Applies the manifest as the field manager `manager`.
    pub(crate) fn do_apply(&mut self, apply: &Apply, manager: &str) -> Result<Option<Json>, WriteError> {
        let key = self.served_key(&apply.manifest)?;
        self.make_room(&key);
        let stored = self.accept(How::Apply { force: apply.force }, &key, &apply.manifest, manager, false)?;
        Ok(stored.map(|stored| Json::clone(&stored)))
    }

    /// Returns the object after a write, before admission, as the host judges it; null for a delete.
    pub(crate) fn after(&self, action: &Action) -> Json {
        let merged = |key: &Key, set: &Json| {
            let mut after = self.at(key).map_or_else(|| json!({}), |current| Json::clone(&current));
            merge_patch(&mut after, set);
            after
        };
        match action {
            Action::Create(create) => create.manifest.clone(),
            Action::Apply(apply) => {
                let key = Key::from(&crate::fixture::reference("manifest", &apply.manifest));
                merged(&key, &apply.manifest)
            }
            Action::Patch(patch) => merged(&Key::from(&patch.object), &patch.body),
            Action::Delete(_) | Action::RunPod(_) => Json::Null,
        }
    }

    pub(crate) fn do_patch(&mut self, patch: &Patch, manager: &str) -> Result<Option<Json>, WriteError> {
        let key = Key::from(&patch.object);
        if !self.is_served(&key.api_version, &key.kind) {
            return Err(WriteError::NotServed);
        }
        let mut body = patch.body.clone();
        for (field, wanted) in [("uid", &patch.uid), ("resourceVersion", &patch.resource_version)] {
            if let Some(wanted) = wanted {
                body["metadata"][field] = json!(wanted);
            }
        }
        self.merge(&key, &body, manager).map(|stored| stored.map(|stored| Json::clone(&stored)))
    }

    /// Sends a merge patch.
    ///
    /// # Errors
    /// The refusal.
    pub(super) fn merge(
        &mut self,
        key: &Key,
        body: &Json,
        manager: &str,
    ) -> Result<Option<Arc<Json>>, WriteError> {
        if self.at(key).is_none() {
            return Err(WriteError::NotFound);
        }
        self.accept(How::Merge, key, body, manager, false)
    }

    pub(crate) fn do_delete(&mut self, delete: &Delete) -> Result<Option<Json>, WriteError> {
        let key = Key::from(&delete.object);
        if !self.is_served(&key.api_version, &key.kind) {
            return Err(WriteError::NotServed);
        }
        if self.at(&key).is_none() {
            return Err(WriteError::NotFound);
        }
        let propagation = match delete.propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut preconditions = json!({"uid": delete.uid});
        if let Some(version) = &delete.resource_version {
            preconditions["resourceVersion"] = json!(version);
        }
        self.delete(&key, &json!({"propagationPolicy": propagation, "preconditions": preconditions}))?;
        Ok(None)
    }

    /// Sends a write, through the hook of the object's kind. Returns the stored object; none after a dry run.
    ///
    /// # Errors
    /// The refusal of the server or of the hook.
    fn accept(
        &mut self,
        how: How,
        key: &Key,
        body: &Json,
        manager: &str,
        dry: bool,
    ) -> Result<Option<Arc<Json>>, WriteError> {
        let Some(serve) = self.serves.get(&(key.api_version.clone(), key.kind.clone())).copied() else {
            self.ask(how, key, body, manager, dry)?;
            return Ok(if dry { None } else { self.at(key) });
        };
        let current = self.at(key);
        let asked = self.ask(how, key, body, manager, true)?;
        let mut next: Json = serde_json::from_slice(&asked).unwrap_or_default();
        let before = next.clone();
        if dry {
            // In a copy of the world, because the hook may write other objects.
            return serve(&mut self.clone(), current.as_deref(), &mut next).map(|()| None);
        }
        serve(self, current.as_deref(), &mut next)?;
        self.ask(how, key, body, manager, false)?;
        if next != before {
            // The hook has changed what was asked for.
            if let Some(stored) = self.at(key) {
                next["metadata"] = stored["metadata"].clone();
                if next != *stored {
                    self.set(next);
                }
            }
        }
        Ok(self.at(key))
    }

    fn served_key(&self, manifest: &Json) -> Result<Key, WriteError> {
        let key = Key::from(&crate::fixture::reference("manifest", manifest));
        match self.is_served(&key.api_version, &key.kind) {
            true => Ok(key),
            false => Err(WriteError::NotServed),
        }
    }
}
