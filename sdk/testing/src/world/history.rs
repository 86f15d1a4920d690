//! The history of the world, for caches that are behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstay_core::contract::Json;

use super::key::Key;

/// Every version of every object, in order; `None` where it was removed.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Vec<(u64, Key, Option<Arc<Json>>)>);

impl History {
    pub(super) fn record(&mut self, revision: u64, key: Key, object: Option<Arc<Json>>) {
        self.0.push((revision, key, object));
    }

    /// Returns the objects of a kind at `revision`.
    pub(super) fn at(&self, revision: u64, api_version: &str, kind: &str) -> BTreeMap<Key, Arc<Json>> {
        let mut objects = BTreeMap::new();
        for (_, key, object) in self.0.iter().take_while(|(r, ..)| *r <= revision) {
            if key.api_version != api_version || key.kind != kind {
                continue;
            }
            match object {
                Some(object) => objects.insert(key.clone(), Arc::clone(object)),
                None => objects.remove(key),
            };
        }
        objects
    }

    /// Returns the last revision before `revision` at which an object of the kind changed.
    pub(super) fn before(&self, revision: u64, api_version: &str, kind: &str) -> Option<u64> {
        let of_kind = |key: &Key| key.api_version == api_version && key.kind == kind;
        self.0.iter().rev().find(|(r, key, _)| *r < revision && of_kind(key)).map(|(r, ..)| *r)
    }
}
