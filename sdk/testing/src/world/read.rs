//! Answers to questions.

use std::collections::BTreeMap;
use std::sync::Arc;

use backstay_core::contract::{
    Content, GetQuery, Json, ListQuery, LogQuery, NamespacedName, ObjectList, ReadError,
};
use backstay_core::steps::projected;

use super::{Key, World, labels};

impl World {
    /// Returns the objects of a kind at `revision`; `None` means now.
    fn kind_at(&self, revision: Option<u64>, api_version: &str, kind: &str) -> BTreeMap<Key, Arc<Json>> {
        match revision {
            Some(revision) => self.history.at(revision, api_version, kind),
            None => {
                let of_kind = |key: &Key| key.api_version == api_version && key.kind == kind;
                let found = self.objects.iter().filter(|(key, _)| of_kind(key));
                found.map(|(key, object)| (key.clone(), Arc::clone(object))).collect()
            }
        }
    }

    /// Returns the last revision before `revision` at which an object of this kind changed.
    pub(crate) fn before(&self, revision: u64, api_version: &str, kind: &str) -> Option<u64> {
        self.history.before(revision, api_version, kind)
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
            None => self.objects.get(&key).cloned(),
            Some(_) => self.kind_at(revision, &object.api_version, &object.kind).remove(&key),
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
        let mut items = Vec::new();
        for (key, object) in self.kind_at(revision, &selection.api_version, &selection.kind) {
            if selection.namespace.as_ref().is_some_and(|n| *n != key.namespace) {
                continue;
            }
            match labels::selects(&selection.labels, &object) {
                None => {
                    return Err(ReadError::Unavailable(format!("{:?} is no selector", selection.labels)));
                }
                Some(selected) if selected && seen(&object) => {
                    items.push((key.name, key.namespace, projected(&object, &query.fields)));
                }
                Some(_) => {}
            }
        }
        items.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let complete = items.len() <= limit;
        let items = items.into_iter().take(limit).map(|(_, _, object)| object).collect();
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
        let key = Key {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: secret.namespace.clone(),
            name: secret.name.clone(),
        };
        let object = self.objects.get(&key).ok_or(ReadError::NotFound)?;
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
