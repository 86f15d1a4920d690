//! Answers to questions.

use std::sync::Arc;

use backstay_core::contract::{
    Content, GetQuery, Json, ListQuery, LogQuery, NamespacedName, ObjectList, ReadError,
};
use backstay_core::steps::projected;
use devcluster::api::Selector;

use super::{Key, World};

impl World {
    /// Returns the objects of a kind at `revision`; `None` means now.
    fn kind_at(&self, revision: Option<u64>, api_version: &str, kind: &str) -> Vec<Arc<Json>> {
        match revision {
            Some(revision) => self.server.objects_at(api_version, kind, revision).unwrap_or_default(),
            None => self.server.objects(api_version, kind),
        }
    }

    /// Returns the last revision before `revision` at which an object of this kind changed.
    pub(crate) fn before(&self, revision: u64, api_version: &str, kind: &str) -> Option<u64> {
        self.server.changed_before(revision, api_version, kind)
    }

    pub(crate) fn is_served(&self, api_version: &str, kind: &str) -> bool {
        !self.unserved.contains(&(api_version.to_owned(), kind.to_owned()))
    }

    /// Answers `query` with the object at `revision` (`None` means now), if `seen` shows it.
    pub(crate) fn answer_get(
        &self,
        query: &GetQuery,
        revision: Option<u64>,
        seen: impl Fn(&Json) -> bool,
    ) -> Result<Content, ReadError> {
        let object = &query.object;
        if !self.is_served(&object.api_version, &object.kind) {
            return Err(ReadError::NotServed);
        }
        let key = Key::from(object);
        let found = match revision {
            None => self.at(&key),
            Some(_) => {
                let of_kind = self.kind_at(revision, &object.api_version, &object.kind);
                of_kind.into_iter().find(|found| Key::of(&key.api_version, &key.kind, found) == key)
            }
        };
        match found.filter(|o| seen(o)) {
            Some(object) => Ok(Content::Object(projected(&object, &query.fields))),
            None => Err(ReadError::NotFound),
        }
    }

    pub(crate) fn answer_list(
        &self,
        query: &ListQuery,
        revision: Option<u64>,
        seen: impl Fn(&Json) -> bool,
    ) -> Result<Content, ReadError> {
        let selection = &query.objects;
        if !self.is_served(&selection.api_version, &selection.kind) {
            return Err(ReadError::NotServed);
        }
        let selector = Selector::parse(&selection.labels)
            .map_err(|why| ReadError::Unavailable(format!("{:?} is no selector: {why}", selection.labels)))?;
        let mut found = self.kind_at(revision, &selection.api_version, &selection.kind);
        let here = |object: &Json| {
            selection.namespace.as_ref().is_none_or(|n| object["metadata"]["namespace"] == n.as_str())
        };
        found.retain(|object| here(object) && selector.selects(object) && seen(object));
        let place = |object: &Json| {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            (text("name"), text("namespace"))
        };
        found.sort_by_cached_key(|object| place(object));
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let complete = found.len() <= limit;
        let items = found.iter().take(limit).map(|object| projected(object, &query.fields)).collect();
        Ok(Content::Objects(ObjectList { items, complete }))
    }

    pub(crate) fn answer_log(&self, query: &LogQuery) -> Result<Content, ReadError> {
        let of = &query.pod;
        let key = (of.namespace.clone(), of.name.clone(), query.container.clone(), query.previous);
        let text = self.logs.get(&key).ok_or(ReadError::NotFound)?;
        let lines: Vec<&str> = text.lines().collect();
        let wanted = usize::try_from(query.lines).unwrap_or(usize::MAX);
        let tail = &lines[lines.len().saturating_sub(wanted)..];
        Ok(Content::Log(tail.join("\n")))
    }

    pub(crate) fn answer_keys(&self, secret: &NamespacedName) -> Result<Content, ReadError> {
        let object = self.server.object("v1", "Secret", &secret.namespace, &secret.name);
        let object = object.ok_or(ReadError::NotFound)?;
        let mut keys: Vec<String> = ["data", "stringData"]
            .iter()
            .filter_map(|field| object[field].as_object())
            .flat_map(|data| data.keys().cloned())
            .collect();
        keys.sort();
        keys.dedup();
        Ok(Content::SecretKeys(keys))
    }
}
