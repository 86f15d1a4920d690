//! The store: all objects under one revision, and the log of their changes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

/// Of what kind stored objects are: their group and the plural of the kind.
pub(crate) type Family = (String, String);

/// Where an object is within its family: its namespace, which may be empty, and its name.
pub(crate) type Key = (String, String);

/// The form of an object of a built-in kind that lacks, as it is stored, a default that it has when it is read.
pub(crate) const WITHOUT_DEFAULTS: u64 = u64::MAX;

/// A stored object.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// The object, with its resourceVersion.
    pub(crate) value: Arc<Value>,
    /// Under which form of its schema it was written: see `Custom::shape`.
    pub(crate) shape: u64,
}

/// A change of one object.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) family: Family,
    pub(crate) key: Key,
    pub(crate) before: Option<Stored>,
    pub(crate) after: Option<Stored>,
}

/// The revision asked for is not in the log any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOld;

/// All objects.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    revision: u64,
    /// The oldest revision whose state can still be told.
    floor: u64,
    /// Forks share the objects of a family until one of them changes it.
    families: BTreeMap<Family, Arc<BTreeMap<Key, Stored>>>,
    latest: BTreeMap<Family, u64>,
    log: VecDeque<Arc<Change>>,
    keep: usize,
}

impl Store {
    /// Returns an empty store that keeps this many changes.
    pub(crate) fn new(keep: usize) -> Self {
        // A client may ask for version 1 as one that is surely too old.
        Self {
            revision: 100,
            floor: 100,
            families: BTreeMap::new(),
            latest: BTreeMap::new(),
            log: VecDeque::new(),
            keep,
        }
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The revision of the last change of this family; 0 if there was none.
    pub(crate) fn latest(&self, family: &Family) -> u64 {
        self.latest.get(family).copied().unwrap_or(0)
    }

    pub(crate) fn get(&self, family: &Family, key: &Key) -> Option<&Stored> {
        self.families.get(family)?.get(key)
    }

    /// The objects of a family in the order of namespace and name.
    pub(crate) fn family(&self, family: &Family) -> impl Iterator<Item = (&Key, &Stored)> {
        self.families.get(family).into_iter().flat_map(|objects| objects.iter())
    }

    /// All families that hold something.
    pub(crate) fn families(&self) -> impl Iterator<Item = &Family> {
        self.families.iter().filter(|(_, objects)| !objects.is_empty()).map(|(family, _)| family)
    }

    /// The objects of a family as they were at a revision.
    pub(crate) fn at(&self, family: &Family, revision: u64) -> Result<BTreeMap<Key, Stored>, TooOld> {
        if revision < self.floor {
            return Err(TooOld);
        }
        let mut objects = self.families.get(family).map(|all| BTreeMap::clone(all)).unwrap_or_default();
        for change in self.log.iter().rev().take_while(|change| change.revision > revision) {
            if &change.family == family {
                match &change.before {
                    Some(before) => objects.insert(change.key.clone(), before.clone()),
                    None => objects.remove(&change.key),
                };
            }
        }
        Ok(objects)
    }

    /// The changes after a revision.
    pub(crate) fn since(&self, revision: u64) -> Result<impl Iterator<Item = &Change>, TooOld> {
        if revision < self.floor {
            return Err(TooOld);
        }
        let first = self.log.partition_point(|change| change.revision <= revision);
        Ok(self.log.range(first..).map(|change| &**change))
    }

    /// The last revision before this one at which something of a family changed, as far as the log goes.
    pub(crate) fn changed_before(&self, revision: u64, family: &Family) -> Option<u64> {
        let end = self.log.partition_point(|change| change.revision < revision);
        self.log.range(..end).rev().find(|change| &change.family == family).map(|change| change.revision)
    }

    /// Stores an object, or removes it, under the next revision; returns what is stored.
    pub(crate) fn commit(
        &mut self,
        family: &Family,
        key: Key,
        after: Option<(Value, u64)>,
    ) -> Option<Stored> {
        self.revision += 1;
        let after = after.map(|(mut value, shape)| {
            if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.insert("resourceVersion".into(), self.revision.to_string().into());
            }
            Stored { value: Arc::new(value), shape }
        });
        let objects = Arc::make_mut(self.families.entry(family.clone()).or_default());
        let before = match &after {
            Some(stored) => objects.insert(key.clone(), stored.clone()),
            None => objects.remove(&key),
        };
        self.latest.insert(family.clone(), self.revision);
        let change =
            Change { revision: self.revision, family: family.clone(), key, before, after: after.clone() };
        self.log.push_back(Arc::new(change));
        while self.log.len() > self.keep {
            self.forget();
        }
        after
    }

    /// Keeps this many changes from now on.
    pub(crate) fn keep(&mut self, keep: usize) {
        self.keep = keep;
        while self.log.len() > keep {
            self.forget();
        }
    }

    /// Forgets all changes: older versions are too old from now on.
    pub(crate) fn compact(&mut self) {
        self.log.clear();
        self.floor = self.revision;
    }

    fn forget(&mut self) {
        if let Some(change) = self.log.pop_front() {
            self.floor = change.revision;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn family() -> Family {
        (String::new(), "secrets".into())
    }

    fn put(store: &mut Store, name: &str) -> u64 {
        let value = json!({"metadata": {"name": name}});
        store.commit(&family(), ("a".into(), name.into()), Some((value, 0)));
        store.revision()
    }

    #[test]
    fn the_state_at_an_older_revision_has_what_was_deleted_since_and_not_what_was_made() {
        let mut store = Store::new(10);
        let first = put(&mut store, "one");
        put(&mut store, "two");
        store.commit(&family(), ("a".into(), "one".into()), None);
        let names = |objects: BTreeMap<Key, Stored>| objects.into_keys().map(|key| key.1).collect::<Vec<_>>();
        assert_eq!(store.at(&family(), first).map(names), Ok(vec!["one".into()]));
        assert_eq!(store.at(&family(), store.revision()).map(names), Ok(vec!["two".into()]));
    }

    #[test]
    fn what_is_forgotten_is_too_old() {
        let mut store = Store::new(1);
        let first = put(&mut store, "one");
        put(&mut store, "two");
        put(&mut store, "three");
        assert_eq!(store.at(&family(), first).err(), Some(TooOld));
        assert_eq!(store.since(store.revision() - 1).map(Iterator::count), Ok(1));
    }
}
